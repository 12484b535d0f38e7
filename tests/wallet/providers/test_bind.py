"""Binding: a grant in the published document, what is checked before, and a second run that completes a first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.wallet.parts import HonestRelay
from tests.wallet.providers.parts import Host, bind, blob_id, fails, put, record_of, view_of
from walletcli.client.host_answers import HostState
from walletcli.client.kit import read_head
from walletcli.core.secret import Secret
from walletcli.errors import UsageError
from walletcli.net.tcp import TcpDialer
from walletcli.wallet.access.session import Session
from walletcli.wallet.identities import create_identity, retire_identity
from walletcli.wallet.providers.bind import BindWish, bind_provider
from walletcli.wallet.providers.book import KitChoice, ProviderEntry, Role, read_book
from walletcli.wallet.providers.overview import list_providers, provider_status
from walletcli.wallet.providers.places import bound_places
from walletcli.wallet.publish import publish_identity
from walletcli.wallet.relays import add_relay
from walletcli.wallet.state.view import IdentityView


def test_a_bound_identitys_record_holds_a_grant_that_the_provider_counts(
    session: Session, alice: IdentityView, host: Host, relay: HonestRelay
) -> None:
    add_relay(session.home, relay.url)
    bound = bind(session, host.address, quota_bytes=1 << 20)
    (view,) = bound.overview.providers
    assert (view.did, view.state, view.role, view.address) == (host.did, "valid", Role.MAIN, host.address)
    assert view.host is not None
    assert view.host.state is HostState.BOUND
    assert view.counts_the_grant
    assert view.host.terms is not None
    assert view.host.terms.quota_bytes == 1 << 20
    assert set(bound.stored.relays) == {relay.url, host.address}
    held = relay.record(alice.public_key)
    assert held == record_of(session)
    assert held.document is not None
    assert view.binding is not None
    assert held.document.bindings == (view.binding.data,)
    assert view.binding.to_json()["signers"] == {
        "provider_key": view.binding.signer.hex() if view.binding.signer is not None else None,
        "identity": bound.overview.to_json()["did"],
    }


def test_a_second_run_says_that_it_is_bound_and_signs_nothing(
    session: Session, alice: IdentityView, host: Host
) -> None:
    assert bind(session, host.address).new
    before = record_of(session)
    assert not bind(session, host.address).new
    assert record_of(session) == before


def test_more_quota_takes_the_place_of_the_grant_before(session: Session, alice: IdentityView, host: Host) -> None:
    bind(session, host.address, quota_bytes=1000)
    bound = bind(session, host.address, quota_bytes=2000)
    (view,) = bound.overview.providers
    assert view.host is not None
    assert view.host.terms is not None
    assert view.host.terms.quota_bytes == 2000


def test_an_address_in_clear_binds_to_whoever_is_there_and_is_remembered(
    session: Session, alice: IdentityView, host: Host
) -> None:
    bind(session, host.url)
    assert read_book(session, alice.index).entries == (ProviderEntry(host.key, host.url),)
    with bound_places(session, view_of(session), TcpDialer()) as places:
        assert [item.name for item in places.usable] == [host.url]


@pytest.mark.parametrize("choice", [{"kit": None, "no_kit": False}, {"kit": "/somewhere", "no_kit": True}])
def test_a_kit_or_none_is_a_decision(
    session: Session, alice: IdentityView, host: Host, choice: dict[str, object]
) -> None:
    with pytest.raises(UsageError) as caught:
        bind(session, host.address, **choice)
    assert caught.value.code == "provider.kit-choice"
    assert view_of(session).record is None


def test_the_decision_about_the_kit_is_made_once(session: Session, alice: IdentityView, host: Host) -> None:
    bind(session, host.address)
    bind(session, host.address, kit=None, no_kit=False)


def test_the_kit_has_record_grants_and_data(session: Session, alice: IdentityView, host: Host, tmp_path: Path) -> None:
    bind(session, host.address)
    with bound_places(session, view_of(session), TcpDialer()) as places:
        (there,) = places.usable
        assert there.place is not None
        put(session, alice, there.place, 1, b"sealed")
        put(session, alice, there.place, 0, b"index")
    kit = tmp_path / "stick" / "kit"
    kit.parent.mkdir()
    bound = bind(session, host.address, kit=str(kit))
    (report,) = bound.kit_reports
    assert [item.blob_id for item in report.copied] == [blob_id(1), blob_id(0)]
    head = read_head(str(kit))
    assert head is not None
    assert head.record == record_of(session)
    assert head.record.document is not None
    assert head.grants == head.record.document.bindings
    (state,) = bound.overview.kits
    assert state.complete
    chosen = read_book(session, alice.index).kit
    assert chosen is not None
    assert chosen.path == str(kit)
    assert chosen.day is not None


def test_a_second_provider_can_be_the_kit(session: Session, alice: IdentityView, hosts: Callable[..., Host]) -> None:
    one, other = hosts("one"), hosts("other")
    bound = bind(session, one.address, kit=other.address)
    assert [(view.did, view.role) for view in bound.overview.providers] == [
        (one.did, Role.MAIN),
        (other.did, Role.KIT),
    ]
    assert all(view.counts_the_grant for view in bound.overview.providers)
    assert [state.is_provider for state in bound.overview.kits] == [True]


def test_one_identity_has_one_main_provider(session: Session, alice: IdentityView, hosts: Callable[..., Host]) -> None:
    bind(session, hosts("one").address)
    before = record_of(session)
    fails("provider.bound-elsewhere", lambda: bind(session, hosts("other").address))
    assert record_of(session) == before


def test_a_closed_provider_wants_an_invitation(
    session: Session, alice: IdentityView, hosts: Callable[..., Host]
) -> None:
    closed = hosts("closed", 'policy = "closed"')
    fails("host.invitation", lambda: bind(session, closed.address))
    fails("host.invitation", lambda: bind(session, closed.address, invitation=Secret(b"guess")))
    assert read_book(session, alice.index).entries == ()
    document = record_of(session).document
    assert document is not None
    assert document.bindings == ()


def test_no_more_is_asked_for_than_is_offered(session: Session, alice: IdentityView, host: Host) -> None:
    fails("host.quota", lambda: bind(session, host.address, quota_bytes=1 << 40))


def test_a_retired_identity_is_not_bound(session: Session, alice: IdentityView, host: Host) -> None:
    retire_identity(session, "alice", 0)
    fails("identity.retired", lambda: bind(session, host.address))


def test_a_node_that_hosts_nobody_says_so(session: Session, alice: IdentityView, hosts: Callable[..., Host]) -> None:
    fails("host.not-offered", lambda: bind(session, hosts("off", 'policy = "off"').address))


def test_an_address_of_another_node_is_refused_before_anything_is_said(
    session: Session, alice: IdentityView, hosts: Callable[..., Host]
) -> None:
    one, other = hosts("one"), hosts("other")
    address = one.address.replace(one.did, other.did)
    fails("tls.no-record", lambda: bind(session, address))
    assert view_of(session).record is None


@pytest.mark.parametrize("form", ["address", "url"])
def test_one_provider_for_two_identities_needs_the_owners_word(
    session: Session, alice: IdentityView, host: Host, relay: HonestRelay, form: str
) -> None:
    create_identity(session, "bob")
    bind(session, host.address)
    publish_identity(session, "bob", [relay.url], accept_link=True)  # the route is another question
    published = record_of(session, "bob")
    error = fails("link.would-link", lambda: bind(session, getattr(host, form), "bob"))
    assert "'alice'" in error.message
    assert host.did in error.message
    assert record_of(session, "bob") == published
    assert not read_book(session, view_of(session, "bob").index).entries
    bind(session, getattr(host, form), "bob", accept_link=True)
    assert f"provider:{host.did}" in view_of(session, "bob").accepted_links
    bind(session, getattr(host, form), "bob")


def test_two_kits_on_one_disk_need_the_owners_word(
    session: Session, alice: IdentityView, hosts: Callable[..., Host], tmp_path: Path
) -> None:
    create_identity(session, "bob")
    bind(session, hosts("one").address, kit=str(tmp_path / "a"))
    other = hosts("other").address
    view = view_of(session, "bob")
    publish_identity(session, "bob", [other], accept_link=True)  # the route is another question
    assert view.record is None
    error = fails("link.would-link", lambda: bind(session, other, "bob", kit=str(tmp_path / "b")))
    assert "exit kit" in error.message
    bind(session, other, "bob", kit=str(tmp_path / "b"), accept_link=True)


def test_two_identities_never_share_a_kits_directory(
    session: Session, alice: IdentityView, hosts: Callable[..., Host], tmp_path: Path
) -> None:
    create_identity(session, "bob")
    bind(session, hosts("one").address, kit=str(tmp_path / "a"))
    other = hosts("other").address
    fails("exit-kit.taken", lambda: bind(session, other, "bob", kit=str(tmp_path / "a"), accept_link=True))


def test_a_directory_that_holds_other_files_is_no_place_for_a_kit(
    session: Session, alice: IdentityView, host: Host, tmp_path: Path
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter").write_text("dear")
    bound = bind(session, host.address, kit=str(tmp_path / "full"))
    assert bound.shortfall is not None
    assert bound.shortfall.code == "exit-kit.not-empty"
    bind(session, host.address, kit=str(tmp_path / "empty"))
    assert read_book(session, alice.index).kit == KitChoice(
        str(tmp_path / "empty"), read_book(session, alice.index).kit.day
    )  # type: ignore[union-attr]


def test_a_relay_that_does_not_answer_is_told_of_when_everything_else_is_done(
    session: Session, alice: IdentityView, host: Host, relays: Callable[[], HonestRelay], tmp_path: Path
) -> None:
    dead = relays()
    add_relay(session.home, dead.url)
    dead.close()
    bound = bind(session, host.address, kit=str(tmp_path / "kit"))
    assert bound.shortfall is not None
    assert bound.shortfall.code == "publish.short"
    assert read_head(str(tmp_path / "kit")) is not None
    assert [view.counts_the_grant for view in bound.overview.providers] == [True]


def test_a_later_publish_goes_to_the_provider_as_well(
    session: Session, alice: IdentityView, host: Host, relay: HonestRelay
) -> None:
    add_relay(session.home, relay.url)
    bind(session, host.address)
    assert set(publish_identity(session, "alice").relays) == {relay.url, host.address}


def test_what_is_decided_and_not_signed_is_pending_and_the_next_run_completes_it(
    session: Session,
    alice: IdentityView,
    host: Host,
    relays: Callable[[], HonestRelay],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import walletcli.wallet.providers.bind as module

    def power_cut(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    publish = module.publish_identity
    monkeypatch.setattr(module, "publish_identity", power_cut)
    with pytest.raises(KeyboardInterrupt):
        bind(session, host.address)
    (overview,) = list_providers(session, "alice")
    assert [view.state for view in overview.providers] == ["pending"]
    monkeypatch.setattr(module, "publish_identity", publish)
    decided = view_of(session).bindings
    bound = bind(session, host.address)
    assert bound.new
    document = record_of(session).document
    assert document is not None
    assert document.bindings == decided


def test_status_of_a_provider_that_does_not_answer_says_why(session: Session, alice: IdentityView, host: Host) -> None:
    bind(session, host.address)
    host.stop()
    (view,) = provider_status(session, "alice").providers
    assert view.state == "valid"
    assert view.host is None
    assert view.error is not None
    assert view.error.code == "host.unreachable"


def test_the_list_asks_nobody(session: Session, alice: IdentityView, host: Host) -> None:
    create_identity(session, "bob")
    bind(session, host.address)
    host.stop()
    (overview,) = list_providers(session)
    assert overview.identity.label == "alice"
    assert [view.state for view in overview.providers] == ["valid"]
    (none,) = list_providers(session, "bob")
    assert none.providers == ()


def test_bind_works_through_the_agent(either_session: Session, host: Host) -> None:
    create_identity(either_session, "alice")
    bound = bind_provider(either_session, "alice", BindWish(host.address, no_kit=True))
    assert [view.counts_the_grant for view in bound.overview.providers] == [True]
