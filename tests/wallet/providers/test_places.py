"""The places of an identity: found from its record alone, logged into, and closed; what cannot be used says why."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.wallet.parts import WORDS, HonestRelay, make_home, opened, restored_home
from tests.wallet.providers.parts import Host, bind, blob_id, fails, put, view_of
from walletcli.client.manifests import SignedManifest
from walletcli.net.tcp import TcpDialer
from walletcli.wallet.access.session import Session
from walletcli.wallet.identities import create_identity
from walletcli.wallet.providers.book import ProviderBook, ProviderEntry, Role, change_book, read_book
from walletcli.wallet.providers.links import bound_entries
from walletcli.wallet.providers.places import Places, ProviderPlace, bound_places
from walletcli.wallet.publish import publish_identity
from walletcli.wallet.relays import add_relay
from walletcli.wallet.state.changes import Adopt
from walletcli.wallet.state.view import IdentityView

DIALER = TcpDialer()


def places_of(session: Session, **settings: bool) -> Places:
    return bound_places(session, view_of(session), DIALER, timeout_s=3, **settings)  # type: ignore[arg-type]


def only(places: Places) -> ProviderPlace:
    (found,) = places.providers
    return found


def test_an_identity_without_a_record_has_no_places(session: Session, alice: IdentityView) -> None:
    with places_of(session) as places:
        assert places.providers == []
        assert places.kit is None


def test_a_bound_provider_is_logged_into_and_holds_data(session: Session, alice: IdentityView, host: Host) -> None:
    bind(session, host.address)
    with places_of(session) as places:
        (found,) = places.usable
        assert found.place is not None
        signed = put(session, alice, found.place, 1, b"sealed")
        assert [item.data for item in found.place.manifests() if isinstance(item, SignedManifest)] == [signed]
        assert found.binding is not None
        assert found.binding.is_valid


def test_the_words_alone_lead_to_the_provider_and_what_it_keeps(
    session: Session, host: Host, relay: HonestRelay, tmp_path: Path
) -> None:
    lost = make_home(tmp_path / "lost", WORDS)
    add_relay(lost, relay.url)
    with opened(lost) as before:
        identity = create_identity(before, "alice")
        bind(before, host.address)
        with places_of(before) as places:
            place = only(places).place
            assert place is not None
            put(before, identity, place, 1, b"sealed")
    record = relay.record(identity.public_key)
    with opened(restored_home(tmp_path / "new", WORDS)) as after:
        found = create_identity(after, "alice")
        after.apply(Adopt(found.index, record.to_bytes()))
        with places_of(after) as places:
            refused = only(places)
            assert refused.place is None
            assert refused.error is not None
            assert refused.error.code == "host.login"  # this device is nobody yet
        with places_of(after, by_root=True) as places:
            place = only(places).place
            assert place is not None
            blob = place.get(blob_id(1))
            assert blob is not None
            assert blob.content == b"sealed"
            fails("host.refused", lambda: put(after, found, place, 2, b"more"))


def test_a_dead_provider_is_in_the_list_and_says_why(session: Session, alice: IdentityView, host: Host) -> None:
    bind(session, host.address)
    host.stop()
    with places_of(session) as places:
        assert places.usable == []
        assert only(places).error is not None
        assert only(places).error.code == "host.unreachable"  # type: ignore[union-attr]
        assert only(places).name == host.address


def test_a_provider_that_has_moved_is_found_by_its_newer_record(
    session: Session, alice: IdentityView, hosts: Callable[..., Host], relay: HonestRelay
) -> None:
    host = hosts()
    bind(session, host.url)
    host.stop()
    host.node.port = host.node.tls_port = 0
    host.restart()
    with places_of(session) as places:
        assert only(places).place is None
    add_relay(session.home, host.url)
    with places_of(session) as places:
        assert only(places).place is not None
        assert only(places).name == host.address


def test_another_node_at_the_providers_address_is_not_believed(
    session: Session, alice: IdentityView, hosts: Callable[..., Host]
) -> None:
    one, other = hosts("one"), hosts("other")
    bind(session, one.address)
    change_book(session, alice.index, lambda book: book.with_entry(ProviderEntry(one.key, other.url)))
    one.stop()
    publish_identity(session, "alice", [other.url])
    with places_of(session) as places:
        assert only(places).place is None
        assert only(places).error is not None


def test_a_binding_that_does_not_hold_is_listed_with_the_reason(
    session: Session, alice: IdentityView, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    bind(session, host.address)
    monkeypatch.setattr("walletcli.wallet.providers.places.today", lambda now_s: int(now_s) // 86_400 + 401)
    with places_of(session) as places:
        assert only(places).place is None
        assert only(places).error is not None
        assert only(places).error.code == "grant.expired"  # type: ignore[union-attr]


def test_a_book_that_another_device_has_overtaken_does_not_mislead(
    session: Session, alice: IdentityView, hosts: Callable[..., Host]
) -> None:
    new, kit, gone = hosts("new"), hosts("kit"), hosts("gone")
    bind(session, new.address, kit=kit.address)
    stale = ProviderBook().with_entry(ProviderEntry(gone.key, gone.address))
    change_book(session, alice.index, lambda _: stale.with_entry(ProviderEntry(kit.key, kit.address, Role.KIT)))
    entries = bound_entries(view_of(session), read_book(session, alice.index))
    assert [(entry.provider, entry.address, entry.role) for entry in entries] == [
        (new.key, new.address, Role.MAIN),
        (kit.key, kit.address, Role.KIT),
    ]
    assert set(publish_identity(session, "alice").relays) == {new.address, kit.address}
    with places_of(session) as places:
        assert [(item.provider, item.role) for item in places.usable] == [(new.key, Role.MAIN), (kit.key, Role.KIT)]


def test_one_bound_provider_is_the_main_one_whatever_the_book_says(
    session: Session, alice: IdentityView, host: Host
) -> None:
    bind(session, host.address)
    change_book(session, alice.index, lambda _: ProviderBook((ProviderEntry(host.key, host.address, Role.KIT),)))
    with places_of(session) as places:
        assert [item.role for item in places.usable] == [Role.MAIN]


def test_a_wallet_without_a_book_takes_the_first_binding_for_the_main_one(
    session: Session, alice: IdentityView, hosts: Callable[..., Host]
) -> None:
    one, other = hosts("one"), hosts("other")
    bind(session, one.address, kit=other.address)
    change_book(session, alice.index, lambda _: ProviderBook())
    with places_of(session) as places:
        assert [(item.provider, item.role) for item in places.usable] == [(one.key, Role.MAIN), (other.key, Role.KIT)]
    assert read_book(session, alice.index) == ProviderBook()
