"""Leaving: a document without the grant, no data left without a second place, and what the provider says it keeps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.wallet.parts import HonestRelay
from tests.wallet.providers.parts import Host, bind, blob_id, fails, put, record_of, view_of
from walletcli.client.host_answers import HostState
from walletcli.net.tcp import TcpDialer
from walletcli.wallet.access.session import Session
from walletcli.wallet.providers.book import Role, read_book
from walletcli.wallet.providers.exit_kits import refresh_kit
from walletcli.wallet.providers.overview import list_providers
from walletcli.wallet.providers.places import bound_places
from walletcli.wallet.providers.unbind import Unbound, unbind_provider
from walletcli.wallet.relays import add_relay
from walletcli.wallet.state.view import IdentityView


def unbind(session: Session, provider: str, **settings: bool) -> Unbound:
    return unbind_provider(session, "alice", provider, **settings)  # type: ignore[arg-type]


def put_at(session: Session, number: int, content: bytes, version: int = 1, role: Role = Role.MAIN) -> None:
    with bound_places(session, view_of(session), TcpDialer()) as places:
        place = next(item.place for item in places.usable if item.role is role)
        assert place is not None
        put(session, view_of(session), place, number, content, version)


def bindings(session: Session) -> tuple[bytes, ...]:
    document = record_of(session).document
    assert document is not None
    return document.bindings


def test_the_next_document_no_longer_holds_the_grant_and_the_provider_knows(
    session: Session, alice: IdentityView, host: Host, relay: HonestRelay
) -> None:
    add_relay(session.home, relay.url)
    bind(session, host.address)
    left = unbind(session, host.did)
    assert bindings(session) == ()
    assert relay.record(alice.public_key) == record_of(session)
    assert left.host is not None
    assert left.host.state is HostState.LEAVING
    assert left.host.leaving_day is not None
    assert left.stored is not None
    assert left.stored.relays == (relay.url,)
    (overview,) = list_providers(session, "alice")
    assert [view.state for view in overview.providers] == ["left"]


@pytest.mark.parametrize("form", ["did", "address", "url"])
def test_a_provider_is_named_by_id_or_address(session: Session, alice: IdentityView, host: Host, form: str) -> None:
    bind(session, host.url)
    unbind(session, getattr(host, form))
    assert bindings(session) == ()


@pytest.mark.parametrize("name", ["http://127.0.0.1:1", "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"])
def test_a_provider_that_is_none_is_refused(session: Session, alice: IdentityView, host: Host, name: str) -> None:
    bind(session, host.address)
    fails("provider.unknown", lambda: unbind(session, name))
    assert len(bindings(session)) == 1


def test_data_is_not_left_behind_without_a_second_place(session: Session, alice: IdentityView, host: Host) -> None:
    bind(session, host.address)
    put_at(session, 1, b"sealed")
    error = fails("provider.last-copy", lambda: unbind(session, host.did))
    assert "1 of 1" in error.message
    assert len(bindings(session)) == 1
    left = unbind(session, host.did, without_copy=True)
    assert left.host is not None
    assert left.host.blobs == 1


def test_the_hint_against_leaving_data_behind_leads_to_leaving_with_it(
    session: Session, alice: IdentityView, host: Host, tmp_path: Path
) -> None:
    bind(session, host.address)
    put_at(session, 1, b"sealed")
    error = fails("provider.last-copy", lambda: unbind(session, host.did))
    assert "again with `provider bind` and --kit PLACE" in error.hint
    bind(session, host.address, kit=str(tmp_path / "kit"))
    put_at(session, 1, b"sealed anew", 2)
    error = fails("provider.last-copy", lambda: unbind(session, host.did))
    assert "up to date with `walletcli sync`" in error.hint
    with bound_places(session, view_of(session), TcpDialer()) as places:
        refresh_kit(session, view_of(session), places)
    unbind(session, host.did)


def test_with_a_fresh_kit_nothing_is_lost(session: Session, alice: IdentityView, host: Host, tmp_path: Path) -> None:
    bind(session, host.address, kit=str(tmp_path / "kit"))
    put_at(session, 1, b"sealed")
    with bound_places(session, view_of(session), TcpDialer()) as places:
        refresh_kit(session, view_of(session), places)
    put_at(session, 1, b"sealed anew", 2)
    error = fails("provider.last-copy", lambda: unbind(session, host.did))
    assert "1 of 1" in error.message
    with bound_places(session, view_of(session), TcpDialer()) as places:
        refresh_kit(session, view_of(session), places)
    unbind(session, host.did)


def test_what_is_deleted_needs_no_second_place(session: Session, alice: IdentityView, host: Host) -> None:
    bind(session, host.address)
    put_at(session, 1, b"sealed")
    with bound_places(session, view_of(session), TcpDialer()) as places:
        place = places.usable[0].place
        assert place is not None
        put(session, alice, place, 1, None, 2)
    unbind(session, host.did)


def test_forgetting_deletes_at_once(session: Session, alice: IdentityView, host: Host) -> None:
    bind(session, host.address)
    put_at(session, 1, b"sealed")
    fails("provider.last-copy", lambda: unbind(session, host.did, forget=True))
    left = unbind(session, host.did, forget=True, without_copy=True)
    assert left.forgotten
    assert left.shortfall is None


def test_a_dead_provider_is_left_only_by_the_owners_word(
    session: Session, alice: IdentityView, host: Host, relay: HonestRelay
) -> None:
    add_relay(session.home, relay.url)
    bind(session, host.address)
    host.stop()
    fails("provider.last-copy", lambda: unbind(session, host.did))
    left = unbind(session, host.did, without_copy=True)
    assert bindings(session) == ()
    assert relay.record(alice.public_key) == record_of(session)
    assert left.error is not None
    assert left.error.code == "host.unreachable"
    assert left.shortfall is None
    again = unbind(session, host.did, forget=True)
    assert again.shortfall is not None  # it cannot be told to delete anything


def test_a_second_run_completes_what_the_first_could_not(
    session: Session, alice: IdentityView, host: Host, relay: HonestRelay
) -> None:
    add_relay(session.home, relay.url)
    bind(session, host.address)
    put_at(session, 1, b"sealed")
    host.stop()
    unbind(session, host.did, without_copy=True)
    host.restart()
    left = unbind(session, host.did, forget=True)
    assert left.forgotten


def test_when_the_main_provider_goes_the_other_takes_its_place(
    session: Session, alice: IdentityView, hosts: Callable[..., Host]
) -> None:
    one, other = hosts("one"), hosts("other")
    bind(session, one.address, kit=other.address)
    unbind(session, one.did)
    book = read_book(session, alice.index)
    assert [(entry.provider, entry.role) for entry in book.entries if entry.left_day is None] == [
        (other.key, Role.MAIN)
    ]
    put_at(session, 1, b"sealed")


def test_whoever_left_can_come_back(session: Session, alice: IdentityView, host: Host) -> None:
    bind(session, host.address)
    put_at(session, 1, b"sealed")
    unbind(session, host.did, without_copy=True)
    bound = bind(session, host.address)
    assert bound.new
    with bound_places(session, view_of(session), TcpDialer()) as places:
        place = places.usable[0].place
        assert place is not None
        assert place.get(blob_id(1)) is not None
