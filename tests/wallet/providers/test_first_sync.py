"""A bind stores the wallet's own items at once: from the first day on the words bring back what stands nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.wallet.parts import HonestRelay
from tests.wallet.providers.parts import Host, bind, fails, put_data, record_of, view_of
from walletcli.wallet.access.session import Session
from walletcli.wallet.providers.migrate import MigrateWish, migrate
from walletcli.wallet.providers.move_report import Outcome
from walletcli.wallet.providers.overview import provider_status
from walletcli.wallet.providers.unbind import unbind_provider
from walletcli.wallet.relays import add_relay
from walletcli.wallet.sealed.data import list_data
from walletcli.wallet.sealed.index import SETTINGS, Kind
from walletcli.wallet.state.view import IdentityView


def test_a_bind_stores_settings_at_the_provider_and_in_the_kit(
    session: Session, alice: IdentityView, host: Host, tmp_path: Path
) -> None:
    bound = bind(session, host.address, kit=str(tmp_path / "kit"))
    assert bound.shortfall is None
    assert [item.name for item in list_data(session, "alice").seen.index.of_kind(Kind.SYSTEM)] == [SETTINGS]
    (kit,) = bound.overview.kits
    assert kit.complete
    (view,) = bound.overview.providers
    assert view.host is not None
    assert view.host.blobs == 2


def test_a_second_bind_stores_nothing_again(session: Session, alice: IdentityView, host: Host) -> None:
    bind(session, host.address)
    before, version = record_of(session), list_data(session, "alice").seen.version
    bind(session, host.address)
    assert record_of(session) == before
    assert list_data(session, "alice").seen.version == version


def test_a_provider_with_no_room_is_bound_all_the_same_and_the_result_says_it(
    session: Session, alice: IdentityView, host: Host
) -> None:
    bound = bind(session, host.address, quota_bytes=100)
    assert bound.shortfall is not None
    assert bound.shortfall.code == "blob.quota"
    assert [view.counts_the_grant for view in bound.overview.providers] == [True]


def test_what_is_in_the_vault_is_no_last_copy(
    session: Session, alice: IdentityView, host: Host, tmp_path: Path
) -> None:
    bind(session, host.address)
    put_data(session, tmp_path, "letter", b"dear")
    error = fails("provider.last-copy", lambda: unbind_provider(session, "alice", host.did))
    assert "1 of 1" in error.message


def test_without_files_one_may_leave(session: Session, alice: IdentityView, host: Host) -> None:
    bind(session, host.address)
    unbind_provider(session, "alice", host.did)
    document = record_of(session).document
    assert document is not None
    assert document.bindings == ()


def test_the_wallets_own_items_of_a_dead_provider_are_in_the_vault(
    session: Session, alice: IdentityView, hosts: Callable[..., Host], relay: HonestRelay
) -> None:
    add_relay(session.home, relay.url)
    old, new = hosts("old"), hosts("new")
    bind(session, old.address)
    old.stop()
    moved = migrate(session, "alice", MigrateWish(new.address))
    assert [(item.name, item.outcome) for item in moved.report.items] == [(SETTINGS, Outcome.VAULT)]
    assert moved.report.is_complete
    assert moved.shortfall is None
    assert provider_status(session, "alice").identity == view_of(session)
