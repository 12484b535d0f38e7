"""From the words and a provider or an exit kit, on real nodes: contacts, relations, settings, files, and what not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.wallet.providers.parts import Host
from tests.wallet.recovery.machine import Machine, contacts
from tests.wallet.recovery.parts import Lost, go
from walletcli.net.tcp import TcpDialer
from walletcli.wallet.access.session import Session
from walletcli.wallet.contacts.book import read_book, save_book
from walletcli.wallet.providers.book import KitChoice
from walletcli.wallet.providers.book import read_book as read_provider_book
from walletcli.wallet.providers.migrate import MigrateWish, migrate
from walletcli.wallet.providers.move_report import Outcome
from walletcli.wallet.recovery.keeping import kits_away
from walletcli.wallet.recovery.report import Report
from walletcli.wallet.relays import add_relay, list_relays
from walletcli.wallet.sealed.access import open_data
from walletcli.wallet.sealed.index import Kind

FILES = {"notes.txt": 10, "photo.jpg": 1_500_000}


@pytest.fixture
def machine(tmp_path: Path, host: Host) -> Machine:
    """A wallet with one identity at a provider, and its exit kit."""
    return Machine(tmp_path, [host.url])


def make(machine: Machine, host: Host, **settings: Any) -> dict[str, Any]:
    """Make the identity, lose the machine, and return what its contact book was."""
    with machine.open() as session:
        defaults = {"kit": True, "friends": 5, "relations": 2, "files": FILES, "sealed": {"phone": "1"}}
        machine.create(session, "alice", host.address, **{**defaults, **settings})
        book = machine.book(session, "alice")
    machine.lose()
    return {"book": book}


def items(report: Report, kind: str) -> list[dict[str, object]]:
    return [item.to_json() for found in report.restored for item in found.entry.items if item.kind == kind]


def missing(report: Report) -> set[tuple[str, str]]:
    return {(found.missing.kind, found.missing.code) for found in report.not_found}


def read_file(session: Session, name: str) -> bytes:
    with open_data(session, session.snapshot().wallet.by_index(0), TcpDialer()) as data:
        content = data.items().content(Kind.FILE, name)
    assert content is not None
    return content


def test_everything_comes_back_from_the_provider(machine: Machine, host: Host, tmp_path: Path) -> None:
    truth = make(machine, host)
    with Lost(tmp_path).begin(host.url, sources=1) as session:
        report = go(session)
        assert report.is_complete, report.to_json()
        [alice] = report.restored
        assert (alice.view.label, alice.view.sealed_profile) == ("alice", {"phone": "1"})
        assert read_book(session, 0) == truth["book"]
        assert [(item["count"], item["from"]) for item in items(report, "contacts")] == [(5, host.address)]
        assert [(item["count"], item["from"]) for item in items(report, "relations")] == [(2, host.address)]
        assert {(item["name"], item["count"], item["from"]) for item in items(report, "file")} == {
            (name, size, host.address) for name, size in FILES.items()
        }
        assert [item["name"] for item in items(report, "binding")] == [host.did]
        assert [item["name"] for item in items(report, "kit")] == [str(machine.kit("alice"))]
        assert len(alice.revoked) == 1
        assert list_relays(session.home) == [host.url]
        assert len(read_file(session, "photo.jpg")) == FILES["photo.jpg"]


def test_that_there_is_no_exit_kit_on_purpose_is_not_forgotten(machine: Machine, host: Host, tmp_path: Path) -> None:
    with machine.open() as session:
        machine.create(session, "alice", host.address)
    machine.lose()
    with Lost(tmp_path).begin(host.url, sources=1) as session:
        report = go(session)
        assert report.is_complete, report.to_json()
        assert read_provider_book(session, 0).kit == KitChoice()
        assert list(kits_away(session, report)) == []
        assert items(report, "kit") == []


def test_everything_comes_back_from_the_exit_kit_when_the_provider_is_dead(
    machine: Machine,
    hosts: Callable[..., Host],
    host: Host,
    tmp_path: Path,
) -> None:
    other = hosts("other")
    add_relay(machine.home, other.url)
    truth = make(machine, host)
    host.stop()
    kits = str(tmp_path / "kits")
    with Lost(tmp_path).begin(other.url, host.url, sources=1, kits=[kits]) as session:
        report = go(session, timeout_s=2.0)
        assert read_book(session, 0) == truth["book"]
        kit = str(machine.kit("alice"))
        assert {
            item["from"] for kind in ("contacts", "relations", "settings", "file") for item in items(report, kind)
        } == {kit}
        assert missing(report) == {("relay", "relay.unreachable"), ("provider", "host.unreachable")}
        assert not report.is_complete
        host.restart()
        again = go(session)
        assert again.is_complete, again.to_json()
        assert {item["from"] for item in items(again, "contacts")} == {host.address}


def test_without_provider_and_kit_it_is_told_what_cannot_be_told(
    machine: Machine,
    hosts: Callable[..., Host],
    host: Host,
    tmp_path: Path,
) -> None:
    other = hosts("other")
    add_relay(machine.home, other.url)
    make(machine, host, kit=False)
    host.stop()
    with Lost(tmp_path).begin(other.url, sources=1) as session:
        report = go(session, timeout_s=2.0)
        assert [found.view.label for found in report.restored] == ["alice"]
        assert missing(report) == {(kind, "host.unreachable") for kind in ("provider", "contacts", "settings", "files")}
        assert items(report, "contacts") == []


def test_moving_from_a_dead_provider_says_that_nobody_knows_what_is_lost_where_only_the_words_were_left(
    machine: Machine, hosts: Callable[..., Host], host: Host, tmp_path: Path
) -> None:
    """The restored wallet has never seen the list of what was kept: an empty new provider is no proof of anything."""
    relay, new = hosts("relay"), hosts("new")
    add_relay(machine.home, relay.url)
    make(machine, host, kit=False)
    host.stop()
    with Lost(tmp_path).begin(relay.url, sources=1) as session:
        go(session, timeout_s=2.0)
        moved = migrate(session, "alice", MigrateWish(new.address))
        assert (moved.report.indexed, moved.report.is_complete) == (False, False)
        assert moved.shortfall is not None
        assert (moved.shortfall.code, moved.shortfall.exit_code) == ("migration.unknown", 11)
        again = migrate(session, "alice", MigrateWish(new.address))
        assert again.shortfall is not None
        assert again.shortfall.code == "migration.unknown", "said again, as long as the owner asks"


def test_what_the_owner_did_meanwhile_stays(machine: Machine, host: Host, tmp_path: Path) -> None:
    make(machine, host)
    host.stop()
    kits = str(tmp_path / "kits")
    with Lost(tmp_path).begin(sources=1, kits=[kits]) as session:
        go(session, timeout_s=2.0)
        book = read_book(session, 0)
        save_book(session, 0, book, book.with_contacts(contacts("new", 3, 0)))
        host.restart()
        report = go(session, relays=[host.url])
        assert report.is_complete, report.to_json()
        assert len(read_book(session, 0)) == 8


def test_a_restore_comes_to_its_end_after_a_move_back_to_a_provider_of_before(
    machine: Machine, hosts: Callable[..., Host], host: Host, tmp_path: Path
) -> None:
    """What the lost device has signed there is still right, though no record names that device any more."""
    relay, before = hosts("relay"), hosts("before")
    with machine.open() as session:
        machine.create(session, "alice", before.address, kit=True, friends=5, relations=2, files=FILES)
        migrate(session, "alice", MigrateWish(host.address))
    machine.lose()
    host.stop()
    with Lost(tmp_path).begin(relay.url, sources=1, kits=[str(tmp_path / "kits")]) as session:
        assert missing(go(session, timeout_s=2.0)) == {("provider", "host.unreachable")}
        moved = migrate(session, "alice", MigrateWish(before.address))
        assert {item.outcome for item in moved.report.items} == {Outcome.THERE}
        report = go(session, timeout_s=2.0)
        assert report.is_complete, report.to_json()
        assert {item["name"] for item in items(report, "file")} == set(FILES)
        assert len(read_file(session, "photo.jpg")) == FILES["photo.jpg"]
