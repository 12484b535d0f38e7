"""Publishing: what is signed, when, and what stays as it is."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.wallet.parts import WORDS, HonestRelay, make_home, opened, restored_home
from walletcli.client.publish import PublishedShortError
from walletcli.core.document import Document
from walletcli.core.document_parts import Power
from walletcli.core.keys import KeyTree, Scheme
from walletcli.core.record import Record
from walletcli.core.sealed import unseal
from walletcli.errors import InputError, NetworkError, SignerError, VerificationError
from walletcli.wallet.access.session import Session
from walletcli.wallet.home import Home
from walletcli.wallet.identities import (
    create_identity,
    rename_identity,
    retire_identity,
    set_attribute,
    show_identity,
    unset_attribute,
)
from walletcli.wallet.publish import publish_identity
from walletcli.wallet.state.sections import OwnerSection, context


def document_of(record: Record) -> Document:
    assert record.document is not None
    return record.document


def test_a_published_record_is_held_by_the_relay_and_verifies(either_session: Session, relay: HonestRelay) -> None:
    view = create_identity(either_session, "alice")
    set_attribute(either_session, "alice", "name", "Alice")
    published = publish_identity(either_session, "alice", [relay.url])
    held = relay.record(view.public_key)
    assert held == published.record
    assert document_of(held).profile == {"name": "Alice"}
    assert published.relays == (relay.url,)
    assert published.new
    assert published.to_json()["stored"] == {"relays": [relay.url], "packet_only": [], "dht_nodes": 0, "failed": []}
    assert show_identity(either_session, "alice").summary().published


def test_the_device_enrols_itself_for_at_most_90_days(session: Session, relay: HonestRelay) -> None:
    view = create_identity(session, "alice")
    (delegation,) = document_of(publish_identity(session, "alice", [relay.url]).record).delegations
    today = int(time.time()) // 86_400
    assert (delegation.signing_key, delegation.sealing_key) == (view.device_signing_key, view.device_sealing_key)
    assert delegation.powers == {Power.HOST, Power.MESSAGE, Power.SHARE}
    assert delegation.not_after_day - delegation.not_before_day == 90
    assert today - 28 < delegation.not_before_day <= today


def test_publishing_again_stores_the_same_packet(session: Session, relays: Callable[[], HonestRelay]) -> None:
    one, other = relays(), relays()
    view = create_identity(session, "alice")
    first = publish_identity(session, "alice", [one.url])
    second = publish_identity(session, "alice", [one.url, other.url])
    assert not second.new
    assert second.record == first.record == other.record(view.public_key)
    stored = show_identity(session, "alice").stored
    assert stored is not None
    assert set(stored.relays) == {one.url, other.url}


def test_a_change_gives_a_new_record_that_names_the_one_before(session: Session, relay: HonestRelay) -> None:
    create_identity(session, "alice")
    first = publish_identity(session, "alice", [relay.url])
    set_attribute(session, "alice", "name", "Alice")
    second = publish_identity(session, "alice", [relay.url])
    assert second.seq > first.seq
    assert document_of(second.record).previous == document_of(first.record).hash
    assert document_of(second.record).delegations == document_of(first.record).delegations


def test_an_attribute_that_is_unset_is_gone_from_the_next_record(session: Session, relay: HonestRelay) -> None:
    create_identity(session, "alice")
    set_attribute(session, "alice", "name", "Alice")
    publish_identity(session, "alice", [relay.url])
    unset_attribute(session, "alice", "name")
    assert document_of(publish_identity(session, "alice", [relay.url]).record).profile == {}


def test_label_and_sealed_attributes_open_with_the_device_and_with_the_recovery_key(
    tmp_path: Path, relay: HonestRelay
) -> None:
    home = make_home(tmp_path / "fixed", WORDS)
    with opened(home) as session:
        view = create_identity(session, "alice")
        set_attribute(session, "alice", "phone", "+1 555 0100", sealed=True)
        record = publish_identity(session, "alice", [relay.url]).record
        (section,) = document_of(record).sections
        assert document_of(record).profile == {}
        by_device = session.unseal(view.index, section, context(view.public_key))
    from walletcli.core.bip39 import Mnemonic

    tree = KeyTree(Mnemonic.parse(WORDS).seed(None), Scheme.WALLETCLI)
    by_words = unseal(section, tree.recovery_secret(0, 0), context(view.public_key))
    assert OwnerSection.from_bytes(by_device) == OwnerSection("alice", {"phone": "+1 555 0100"})
    assert by_words == by_device


def test_a_rename_goes_out_sealed_only(session: Session, relay: HonestRelay) -> None:
    create_identity(session, "alice")
    publish_identity(session, "alice", [relay.url])
    rename_identity(session, "alice", "somebody else")
    view = show_identity(session, "somebody else")
    record = publish_identity(session, "somebody else", [relay.url]).record
    (section,) = document_of(record).sections
    content = OwnerSection.from_bytes(session.unseal(view.index, section, context(view.public_key)))
    assert content.label == "somebody else"


def test_a_delegation_is_renewed_in_its_last_30_days(
    session: Session, relay: HonestRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_identity(session, "alice")
    first = publish_identity(session, "alice", [relay.url])
    (before,) = document_of(first.record).delegations
    real = time.time

    def at(day: int) -> None:
        monkeypatch.setattr("walletcli.wallet.next_record.time.time", lambda: day * 86_400 + real() % 86_400)

    at(before.not_after_day - 30)
    assert not publish_identity(session, "alice", [relay.url]).new
    at(before.not_after_day - 29)
    second = publish_identity(session, "alice", [relay.url])
    (after,) = document_of(second.record).delegations
    assert second.new
    assert after.signing_key == before.signing_key
    assert after.not_after_day > before.not_after_day


def test_retiring_publishes_a_signed_end_and_nothing_follows(session: Session, relay: HonestRelay) -> None:
    create_identity(session, "alice")
    set_attribute(session, "alice", "name", "Alice")
    publish_identity(session, "alice", [relay.url])
    retire_identity(session, "alice", "no longer used")
    ended = document_of(publish_identity(session, "alice", [relay.url]).record)
    assert ended.retirement is not None
    assert ended.retirement.to_json()["reason"] == "no longer used"
    assert (ended.profile, ended.delegations) == ({}, ())
    assert not publish_identity(session, "alice", [relay.url]).new
    changes: list[Callable[[], object]] = [
        lambda: set_attribute(session, "alice", "name", "Alice"),
        lambda: unset_attribute(session, "alice", "name"),
        lambda: retire_identity(session, "alice"),
    ]
    for change in changes:
        with pytest.raises(InputError) as refused:
            change()
        assert refused.value.code == "identity.retired"


def test_a_record_is_kept_before_any_relay_sees_it(session: Session, relay: HonestRelay) -> None:
    view = create_identity(session, "alice")
    with pytest.raises(NetworkError) as failed:
        publish_identity(session, "alice", ["http://127.0.0.1:1"])
    assert failed.value.code == "publish.short"
    kept = show_identity(session, "alice")
    assert kept.record is not None
    assert kept.stored is None
    published = publish_identity(session, "alice", [relay.url])
    assert not published.new
    assert relay.record(view.public_key).to_bytes() == kept.record


def test_a_short_publish_remembers_where_it_did_get(session: Session, relay: HonestRelay) -> None:
    create_identity(session, "alice")
    with pytest.raises(PublishedShortError):
        publish_identity(session, "alice", [relay.url, "http://127.0.0.1:1"])
    stored = show_identity(session, "alice").stored
    assert stored is not None
    assert stored.relays == (relay.url,)


def test_offline_signs_and_opens_no_connection(session: Session, relay: HonestRelay) -> None:
    create_identity(session, "alice")
    with pytest.raises(NetworkError) as failed:
        publish_identity(session, "alice", [relay.url], offline=True)
    assert failed.value.code == "network.offline"
    assert relay.shelf.asked == []


def test_without_a_relay_nothing_is_signed(session: Session) -> None:
    create_identity(session, "alice")
    with pytest.raises(NetworkError) as failed:
        publish_identity(session, "alice")
    assert failed.value.code == "relay.none"
    assert show_identity(session, "alice").record is None


def test_another_device_of_the_owner_is_noticed_and_built_on_only_when_asked(
    tmp_path: Path, relay: HonestRelay
) -> None:
    first_home = make_home(tmp_path / "one", WORDS)
    second_home = restored_home(tmp_path / "two", WORDS)
    with opened(first_home) as first, opened(second_home) as second:
        create_identity(first, "alice")
        publish_identity(first, "alice", [relay.url])
        create_identity(second, "alice here, too")
        set_attribute(second, "alice here, too", "name", "Alice")
        theirs = publish_identity(second, "alice here, too", [relay.url])
        set_attribute(first, "alice", "city", "Budapest")
        with pytest.raises(VerificationError) as refused:
            publish_identity(first, "alice", [relay.url])
        assert refused.value.code == "publish.newer-exists"
        joined = document_of(publish_identity(first, "alice", [relay.url], on_top=True).record)
    assert joined.previous == document_of(theirs.record).hash
    assert joined.profile == {"name": "Alice", "city": "Budapest"}
    assert len(joined.delegations) == 2


def test_a_restored_identity_continues_from_its_newest_record(tmp_path: Path, relay: HonestRelay) -> None:
    with opened(make_home(tmp_path / "lost", WORDS)) as lost:
        create_identity(lost, "alice")
        set_attribute(lost, "alice", "name", "Alice")
        set_attribute(lost, "alice", "phone", "+1 555 0100", sealed=True)
        before = publish_identity(lost, "alice", [relay.url])
    with opened(restored_home(tmp_path / "new", WORDS)) as session:
        view = create_identity(session, "alice again")
        assert view.unseen
        after = publish_identity(session, "alice again", [relay.url])
        assert after.seq > before.seq
        assert document_of(after.record).previous == document_of(before.record).hash
        assert document_of(after.record).profile == {"name": "Alice"}
        restored = show_identity(session, "alice again")
        assert restored.sealed_profile == {"phone": "+1 555 0100"}
        (section,) = document_of(after.record).sections
        opened_section = OwnerSection.from_bytes(session.unseal(0, section, context(view.public_key)))
        assert opened_section == OwnerSection("alice again", {"phone": "+1 555 0100"})


def test_a_restored_identity_signs_nothing_while_its_newest_record_cannot_be_looked_up(tmp_path: Path) -> None:
    with opened(restored_home(tmp_path / "new", WORDS)) as session:
        create_identity(session, "alice")
        with pytest.raises(NetworkError) as failed:
            publish_identity(session, "alice", ["http://127.0.0.1:1"])
        assert failed.value.code == "resolve.unreachable"
        assert show_identity(session, "alice").record is None
        snapshot = session.snapshot()
        with pytest.raises(SignerError) as refused:
            session.sign(0, Document(snapshot.wallet.by_index(0).public_key, 1).to_bytes(), snapshot.generation)
        assert refused.value.code == "identity.unseen"


def test_a_restored_identity_that_was_never_published_starts_anew(tmp_path: Path, relay: HonestRelay) -> None:
    with opened(restored_home(tmp_path / "new", WORDS)) as session:
        create_identity(session, "alice")
        published = publish_identity(session, "alice", [relay.url])
        assert document_of(published.record).previous is None


def test_the_list_of_relays_is_used_where_none_is_named(wallet_home: Home, relay: HonestRelay) -> None:
    from walletcli.wallet.relays import add_relay

    add_relay(wallet_home, relay.url)
    with opened(wallet_home) as session:
        create_identity(session, "alice")
        assert publish_identity(session, "alice").relays == (relay.url,)
