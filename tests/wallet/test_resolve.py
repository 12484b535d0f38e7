"""Resolving: with the wallet's memory, and without a wallet."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.client.records import identity, record
from tests.wallet.parts import HonestRelay, make_home, opened
from walletcli.client.resolution import FreshnessCheck
from walletcli.core.identity_id import IdentityId
from walletcli.errors import InputError, NetworkError, VerificationError
from walletcli.vault import storage
from walletcli.wallet.access.session import Session
from walletcli.wallet.home import Home
from walletcli.wallet.identities import create_identity, set_attribute
from walletcli.wallet.publish import Published, publish_identity
from walletcli.wallet.relays import add_relay
from walletcli.wallet.resolve import identity_id, resolve_identity


@pytest.fixture
def theirs(tmp_path: Path, relay: HonestRelay) -> Published:
    """Somebody else's identity, published."""
    with opened(make_home(tmp_path / "theirs")) as other:
        create_identity(other, "them")
        return publish_identity(other, "them", [relay.url])


@pytest.fixture
def newer(tmp_path: Path, relay: HonestRelay, theirs: Published) -> Callable[[], Published]:
    """Have them publish again."""

    def publish() -> Published:
        from tests.wallet.parts import password
        from walletcli.wallet.access.agent_session import open_session

        with open_session(Home(str(tmp_path / "theirs")), password) as other:
            set_attribute(other, "them", "name", "Them")
            return publish_identity(other, "them", [relay.url])

    return publish


def forms(published: Published) -> list[str]:
    key_id = IdentityId(published.record.packet.public_key)
    return [key_id.did, key_id.did_dht, key_id.pk, key_id.z32, f" {key_id.did}\n"]


def test_without_a_wallet_freshness_is_not_checked(theirs: Published, relay: HonestRelay, tmp_path: Path) -> None:
    for who in forms(theirs):
        found = resolve_identity(who, None, [relay.url], Home(str(tmp_path / "none")))
        assert found.resolution.record == theirs.record
        assert found.resolution.freshness is FreshnessCheck.NOT_CHECKED
        assert found.to_json()["freshness"] == "not-checked"


def test_without_a_wallet_a_label_is_no_id(relay: HonestRelay) -> None:
    with pytest.raises(InputError) as refused:
        resolve_identity("them", None, [relay.url])
    assert refused.value.code == "identity.unknown"
    assert "unlock" in refused.value.hint


def test_the_first_sight_is_remembered(either_session: Session, theirs: Published, relay: HonestRelay) -> None:
    first = resolve_identity(theirs.did, either_session, [relay.url])
    second = resolve_identity(theirs.did, either_session, [relay.url])
    assert first.resolution.freshness is FreshnessCheck.FIRST_SEEN
    assert second.resolution.freshness is FreshnessCheck.CHECKED


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return a function after which the vault can no longer be written."""

    def full(*_: object) -> None:
        raise storage.storage_error(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), Path("wallet.vault"))

    return lambda: monkeypatch.setattr(storage, "_write_synced", full)


def test_what_cannot_be_remembered_is_found_all_the_same(
    session: Session, theirs: Published, relay: HonestRelay, full_disk: Callable[[], None]
) -> None:
    full_disk()
    found = resolve_identity(theirs.did, session, [relay.url])
    assert found.resolution.record == theirs.record
    assert found.not_remembered is not None
    assert found.not_remembered.code == "storage.full"
    assert found.to_json()["not_remembered"] == found.not_remembered.to_json()


def test_a_split_is_told_though_it_cannot_be_remembered(
    session: Session, relays: Callable[[], HonestRelay], full_disk: Callable[[], None]
) -> None:
    shown = [record("alice", 100, profile={"name": name}) for name in ("one", "other")]
    servers = [relays() for _ in shown]
    for server, side in zip(servers, shown, strict=True):
        server.shelf.put(side)
    full_disk()
    with pytest.raises(VerificationError) as refused:
        resolve_identity(identity("alice").did, session, [server.url for server in servers])
    assert refused.value.code == "record.equivocation"


def test_nobody_leads_it_back(
    either_session: Session, theirs: Published, newer: Callable[[], Published], relay: HonestRelay
) -> None:
    latest = newer()
    resolve_identity(theirs.did, either_session, [relay.url])
    relay.shelf.packets[theirs.record.packet.public_key] = theirs.record.packet
    with pytest.raises(VerificationError) as refused:
        resolve_identity(theirs.did, either_session, [relay.url])
    assert refused.value.code == "record.stale"
    assert str(latest.seq) in refused.value.message


def test_what_is_newer_is_followed(
    either_session: Session, theirs: Published, newer: Callable[[], Published], relay: HonestRelay
) -> None:
    resolve_identity(theirs.did, either_session, [relay.url])
    latest = newer()
    assert resolve_identity(theirs.did, either_session, [relay.url]).seq == latest.seq
    assert either_session.snapshot().wallet.seen[latest.record.packet.public_key].seq == latest.seq


def test_the_remembered_record_serves_where_its_document_is_gone(
    session: Session, theirs: Published, relay: HonestRelay
) -> None:
    resolve_identity(theirs.did, session, [relay.url])
    relay.shelf.documents.clear()
    assert resolve_identity(theirs.did, session, [relay.url]).resolution.record == theirs.record


def test_memory_survives_the_process(wallet_home: Home, theirs: Published, relay: HonestRelay) -> None:
    with opened(wallet_home) as session:
        resolve_identity(theirs.did, session, [relay.url])
    with opened(wallet_home) as session:
        found = resolve_identity(theirs.did, session, [relay.url])
    assert found.resolution.freshness is FreshnessCheck.CHECKED


def test_resolving_the_same_again_writes_nothing(session: Session, theirs: Published, relay: HonestRelay) -> None:
    resolve_identity(theirs.did, session, [relay.url])
    generation = session.facts().generation
    resolve_identity(theirs.did, session, [relay.url])
    assert session.facts().generation == generation


def test_ones_own_record_counts_as_seen(session: Session, relay: HonestRelay) -> None:
    create_identity(session, "alice")
    first = publish_identity(session, "alice", [relay.url])
    set_attribute(session, "alice", "name", "Alice")
    publish_identity(session, "alice", [relay.url])
    relay.shelf.packets[first.record.packet.public_key] = first.record.packet
    with pytest.raises(VerificationError) as refused:
        resolve_identity("alice", session, [relay.url])
    assert refused.value.code == "record.stale"


def test_a_label_is_resolved_and_told_to_nobody(session: Session, relay: HonestRelay) -> None:
    create_identity(session, "my alter ego")
    publish_identity(session, "my alter ego", [relay.url])
    found = resolve_identity("my alter ego", session, [relay.url])
    assert found.label == "my alter ego"
    assert "my alter ego" not in str(found.to_json())
    assert not [asked for asked in relay.shelf.asked if b"alter" in asked.head + asked.body]


def test_the_list_of_relays_is_used_without_a_wallet(theirs: Published, relay: HonestRelay, tmp_path: Path) -> None:
    home = Home(str(tmp_path / "list only"))
    add_relay(home, relay.url)
    assert resolve_identity(theirs.did, None, home=home).seq == theirs.seq


def test_no_relay_and_offline_say_so(theirs: Published, relay: HonestRelay, tmp_path: Path) -> None:
    with pytest.raises(NetworkError) as refused:
        resolve_identity(theirs.did, None, home=Home(str(tmp_path / "none")))
    assert refused.value.code == "relay.none"
    with pytest.raises(NetworkError) as refused:
        resolve_identity(theirs.did, None, [relay.url], offline=True)
    assert refused.value.code == "network.offline"


def test_an_id_is_read_in_every_form(session: Session, theirs: Published) -> None:
    for who in forms(theirs):
        assert identity_id(who, session).did == theirs.did
