"""The drill: what a loss would cost is what it says, and nothing is changed by saying it."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.wallet.airgap.conftest import machines
from tests.wallet.airgap.parts import Machines
from tests.wallet.parts import WORDS, HonestRelay, opened, password
from tests.wallet.providers.parts import Host, fails
from tests.wallet.recovery.machine import Machine, contacts
from tests.wallet.recovery.parts import tree_of
from walletcli.core.encodings import z32_encode
from walletcli.core.secret import Secret
from walletcli.wallet.access.session import Session
from walletcli.wallet.access.unlock import lock, unlock
from walletcli.wallet.contacts.book import read_book, save_book
from walletcli.wallet.identities import create_identity, rename_identity, set_attribute
from walletcli.wallet.index.overview import publish_index
from walletcli.wallet.publish import publish_identity
from walletcli.wallet.recovery.drill import Drill, Rehearsed, Words, rehearse
from walletcli.wallet.relays import add_relay, remove_relay
from walletcli.wallet.state.changes import SetShares
from walletcli.wallet.state.draft import next_document
from walletcli.wallet.state.view import Share

__all__ = ["machines"]

RIGHT = Words(Secret.from_text(WORDS))
FILES = {"notes.txt": 10, "photo.jpg": 1_500_000}


@pytest.fixture
def machine(tmp_path: Path, host: Host) -> Machine:
    """A wallet whose relay and provider is one node."""
    return Machine(tmp_path, [host.url])


@pytest.fixture
def relayed(tmp_path: Path, relay: HonestRelay) -> Machine:
    """A wallet that publishes at one relay and has no provider."""
    return Machine(tmp_path, [relay.url])


def go(session: Session, words: Words | None = None, **how: Any) -> Drill:
    return rehearse(session, words, timeout_s=5.0, **how)


def lost(loss: Rehearsed) -> set[tuple[str, str, str]]:
    """Return kind, name and code of what would be lost."""
    return {(told.what.kind, told.what.name, told.code) for told in loss.missing}


def back(loss: Rehearsed) -> set[tuple[str, str, str]]:
    """Return kind, name and place of what would come back."""
    return {(told.what.kind, told.what.name, told.what.place) for told in loss.back}


def everything_at(place: str) -> set[tuple[str, str, str]]:
    return {("contacts", "", place), ("settings", "", place), *(("file", name, place) for name in FILES)}


def digest(path: Path) -> dict[str, str]:
    """Return the digests of all files of a directory."""
    files = [item for item in sorted(path.rglob("*")) if item.is_file() and not item.is_socket()]
    return {str(item.relative_to(path)): hashlib.sha256(item.read_bytes()).hexdigest() for item in files}


def stored(host: Host) -> list[str]:
    """Return all that a node's database holds."""
    with sqlite3.connect(host.node.directory / "store.db") as database:
        return list(database.iterdump())


@pytest.mark.parametrize("words", [None, RIGHT], ids=["without-words", "with-words"])
def test_a_wallet_that_is_at_provider_and_kit_would_lose_nothing(
    machine: Machine, host: Host, words: Words | None
) -> None:
    with machine.open() as session:
        machine.create(session, "alice", host.address, kit=True, friends=3, files=FILES, sealed={"phone": "1"})
        found = go(session, words)
    assert found.passed, found.to_json()
    assert found.words_checked == (words is not None)
    assert back(found.device_loss) >= everything_at(host.address)
    assert back(found.provider_loss) == everything_at(str(machine.kit("alice")))
    assert found.missing == 0
    assert found.sources == 1


@pytest.mark.parametrize("is_agent", [False, True], ids=["here", "agent"])
def test_a_rehearsal_changes_nothing_anywhere(machine: Machine, host: Host, is_agent: bool) -> None:
    with machine.open() as session:
        machine.create(session, "alice", host.address, kit=True, friends=3, files=FILES)
        create_identity(session, "unpublished")
    if is_agent:
        unlock(machine.home, password)
    home, kits = Path(machine.home.path), machine.kit("alice").parent
    with machine.open() as session:
        before = digest(home), digest(kits), stored(host), session.snapshot()
        go(session, RIGHT)
        go(session)
        assert (digest(home), digest(kits), stored(host), session.snapshot()) == before
    lock(machine.home)


def test_other_words_are_refused_before_anybody_is_asked(relayed: Machine, relay: HonestRelay) -> None:
    with relayed.open() as session:
        relayed.create(session, "alice")
        relay.shelf.asked.clear()
        other = Words(Secret.from_text("zoo " * 11 + "wrong"))
        fails("backup.mismatch", lambda: go(session, other))
        fails("mnemonic.checksum", lambda: go(session, Words(Secret.from_text("zoo " * 12))))
        fails("backup.mismatch", lambda: go(session, Words(RIGHT.text, passphrase=Secret(b"more"))))
    assert relay.shelf.asked == []


def test_an_identity_that_was_never_published_would_be_lost_with_its_contacts(relayed: Machine) -> None:
    with relayed.open() as session:
        create_identity(session, "alice")
        relayed.know(session, "alice", contacts("alice", 2, 0))
        found = go(session)
    assert lost(found.device_loss) == {
        ("record", "", "drill.unpublished"),
        ("contacts", "friend 0 of alice", "drill.no-provider"),
        ("contacts", "friend 1 of alice", "drill.no-provider"),
    }
    assert not found.passed
    assert found.provider_loss.passed


def test_what_was_not_brought_in_step_is_named(machine: Machine, host: Host, tmp_path: Path) -> None:
    with machine.open() as session:
        machine.create(session, "alice", host.address, friends=3)
        machine.know(session, "alice", contacts("new", 1, 0))
        old = read_book(session, 0)
        [first, *_] = old
        save_book(session, 0, old, old.with_contacts([type(first)(first.id, "renamed", first.added_day)]))
        rename_identity(session, "alice", "bob")
        set_attribute(session, "bob", "mail", "a@example.org", sealed=True)
        set_attribute(session, "bob", "name", "B.", sealed=False)
        found = go(session)
    assert lost(found.device_loss) == {
        ("contacts", "friend 0 of new", "drill.only-here"),
        ("contacts", "renamed", "drill.only-here"),
        ("label", "bob", "drill.only-here"),
        ("profile", "mail", "drill.only-here"),
        ("profile", "name", "drill.only-here"),
    }


def test_whom_an_attribute_is_shared_with_is_lost_without_a_provider(relayed: Machine) -> None:
    with relayed.open() as session:
        relayed.create(session, "alice")
        session.change(SetShares(0, (Share(("mail",), (bytes(range(32)),)),)))
        found = go(session)
    assert lost(found.device_loss) == {("settings", "", "drill.no-provider")}


def test_without_an_exit_kit_everything_is_at_one_place(machine: Machine, host: Host) -> None:
    with machine.open() as session:
        machine.create(session, "alice", host.address, friends=3, files=FILES)
        found = go(session)
    assert found.device_loss.passed
    assert lost(found.provider_loss) == {
        ("index", "", "drill.one-place"),
        ("contacts", "", "drill.one-place"),
        ("settings", "", "drill.one-place"),
        *(("file", name, "drill.one-place") for name in FILES),
    }
    assert found.provider_loss.back == ()


def test_a_kit_that_lacks_a_file_says_which(machine: Machine, host: Host, tmp_path: Path) -> None:
    with machine.open() as session:
        machine.create(session, "alice", host.address, kit=True, friends=3, files=FILES)
        kit = machine.kit("alice")
        for path in sorted(kit.rglob("*"), key=lambda item: item.stat().st_size)[-2:]:
            path.write_bytes(path.read_bytes()[:-1] + b"?")
        found = go(session)
    assert found.device_loss.passed
    assert lost(found.provider_loss) == {("file", "photo.jpg", "drill.one-place")}
    [told] = found.provider_loss.missing
    assert told.what.place == host.address


def test_a_dead_provider_costs_what_no_kit_has(machine: Machine, hosts: Callable[..., Host], host: Host) -> None:
    other = hosts("other")
    add_relay(machine.home, other.url)
    with machine.open() as session:
        machine.create(session, "alice", host.address, kit=True, friends=3, files=FILES)
        machine.create(session, "bob", host.address, friends=1, files={"b": 1})
        host.stop()
        found = rehearse(session, None, timeout_s=2.0)
    assert {item.identity.label for item in found.device_loss.missing} == {"bob"}
    assert lost(found.device_loss) == {
        ("contacts", "friend 0 of bob", "host.unreachable"),
        ("file", "b", "host.unreachable"),
    }
    assert {(item.identity.label, item.code) for item in found.provider_loss.missing} == {("bob", "drill.nowhere")}
    assert back(found.device_loss) >= everything_at(str(machine.kit("alice")))


def test_relays_that_have_forgotten_or_are_behind_are_found_out(relayed: Machine, relay: HonestRelay) -> None:
    with relayed.open() as session:
        for label in ("alice", "bob"):
            relayed.create(session, label)
        keys = {view.label: view.public_key for view in session.snapshot().wallet.identities}
        old = relay.record(keys["bob"])
        set_attribute(session, "bob", "mail", "b@example.org", sealed=True)
        publish_identity(session, "bob")
        relay.shelf.put(old)
        del relay.shelf.packets[keys["alice"]]
        found = go(session)
    assert lost(found.device_loss) == {
        ("record", "", "drill.not-found"),
        ("record", "", "drill.older-record"),
        ("profile", "mail", "drill.only-here"),
    }


def test_no_key_that_is_not_in_use_is_asked_for(relayed: Machine, relay: HonestRelay) -> None:
    with relayed.open() as session:
        relayed.create(session, "alice")
        create_identity(session, "unpublished")
        [alice, _] = session.snapshot().wallet.identities
        relay.shelf.asked.clear()
        go(session)
    asked = {item.path for item in relay.shelf.asked if not item.path.startswith("/document/")}
    assert asked == {f"/{z32_encode(alice.public_key)}"}
    assert {item.method for item in relay.shelf.asked} == {"GET"}


def publish_at(session: Session, *indices: int) -> None:
    for index in indices:
        create_identity(session, f"name {index}", index)
        publish_identity(session, f"name {index}", accept_link=True)


def test_an_identity_within_the_gap_would_be_found(relayed: Machine) -> None:
    with relayed.open() as session:
        publish_at(session, 0, 20, 40)
        assert go(session).passed


def test_an_identity_beyond_the_gap_is_named_with_those_behind_it(relayed: Machine) -> None:
    with relayed.open() as session:
        publish_at(session, 0, 21, 22)
        found = go(session)
    named = {(told.identity.label, told.code) for told in found.device_loss.missing}
    assert named == {("name 21", "drill.beyond-gap"), ("name 22", "drill.beyond-gap")}
    assert {told.identity.label for told in found.device_loss.back} == {"name 0"}


def test_an_identity_that_the_index_names_is_found_however_far_it_is(relayed: Machine, relay: HonestRelay) -> None:
    with relayed.open() as session:
        publish_at(session, 0, 21, 500)
        publish_index(session)
        found = go(session)
        assert found.passed, found.to_json()
        assert [row["what"] for row in found.lookups if row["found"]] == ["index", "records"]
        publish_at(session, 2, 503, 505)
        assert go(session).passed, "in a gap near the beginning, or less than four behind one that is found"
        publish_at(session, 100)
        assert lost(go(session).device_loss) == {("record", "", "drill.beyond-gap")}
        relay.shelf.packets.pop(tree_of(WORDS).index_key(0).public_key)
        assert {told.code for told in go(session).device_loss.missing} == {"drill.beyond-gap"}


def test_the_kit_brings_back_an_identity_that_no_search_reaches(machine: Machine, host: Host) -> None:
    with machine.open() as session:
        create_identity(session, "far", 100)
        machine.create(session, "alice", host.address, kit=True, friends=1)
        found = go(session)
    assert {told.identity.label for told in found.device_loss.back} == {"alice"}
    assert {told.code for told in found.device_loss.missing} == {"drill.unpublished"}


def test_relays_that_have_not_seen_that_identities_belong_together_are_not_shown_it_unasked(
    tmp_path: Path, relays: Callable[[], HonestRelay]
) -> None:
    one = relays()
    machine = Machine(tmp_path, [one.url])
    with machine.open() as session:
        machine.create(session, "alice")
        create_identity(session, "bob")
        snapshot = session.snapshot()
        document = next_document(snapshot.wallet.by_index(1), (), time.time(), os.urandom)
        session.sign(1, document.to_bytes(), snapshot.generation)  # signed, and shown to nobody yet
        one.shelf.asked.clear()
        fails("link.would-link", lambda: go(session))
        assert one.shelf.asked == []
        go(session, accept_link=True)
        assert len({item.path for item in one.shelf.asked}) > 1


def test_without_a_relay_the_own_provider_is_asked_and_is_one_source(
    tmp_path: Path, host: Host, hosts: Callable[..., Host]
) -> None:
    machine = Machine(tmp_path, [])
    with machine.open() as session:
        machine.create(session, "alice", host.address, kit=True, friends=3, files=FILES)
        found = go(session, RIGHT)
        assert (found.passed, found.sources, found.by_providers) == (True, 1, True)
        assert back(found.device_loss) >= everything_at(host.address)
        other = hosts("other")
        machine.create(session, "bob", other.address)
        assert go(session).sources == 2
        add_relay(machine.home, host.url)
        assert not go(session).by_providers


def test_nothing_is_rehearsed_offline_or_without_relays(relayed: Machine, relay: HonestRelay) -> None:
    with relayed.open() as session:
        relayed.create(session, "alice")
        fails("network.offline", lambda: go(session, offline=True))
        remove_relay(relayed.home, relay.url)
        fails("relay.none", lambda: go(session))


def test_a_watch_wallet_says_that_its_root_is_elsewhere(machines: Machines) -> None:
    with opened(machines.online) as session:
        error = fails("wallet.watch-only", lambda: go(session))
    assert "they are on another machine" in error.message
    assert "walletcli provider status" in error.hint
