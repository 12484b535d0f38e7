"""Migration: the provider agrees, refuses or is dead; contacts find the new one, and nothing is lost unsaid."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.wallet.parts import HonestRelay, make_home, opened
from tests.wallet.providers.parts import (
    Host,
    bind,
    fails,
    get_data,
    names_of,
    put_data,
    record_of,
    view_of,
)
from walletcli.client.host_answers import HostState
from walletcli.core.record import Record
from walletcli.net.tcp import TcpDialer
from walletcli.wallet.access.session import Session
from walletcli.wallet.providers.book import Role, read_book
from walletcli.wallet.providers.links import read_grant
from walletcli.wallet.providers.migrate import Migrated, MigrateWish, migrate
from walletcli.wallet.providers.migration_steps import MigrationRun
from walletcli.wallet.providers.move_report import Outcome
from walletcli.wallet.providers.overview import provider_status
from walletcli.wallet.providers.places import access_to, open_provider, writers_of
from walletcli.wallet.publish import publish_identity
from walletcli.wallet.relays import add_relay
from walletcli.wallet.resolve import resolve_identity
from walletcli.wallet.sealed.index import Kind
from walletcli.wallet.sealed.owner import Owner
from walletcli.wallet.sealed.writing import put_item
from walletcli.wallet.state.view import IdentityView

Hosts = Callable[..., Host]


def move(session: Session, address: str | None, **wish: object) -> Migrated:
    return migrate(session, "alice", MigrateWish(address, **wish))  # type: ignore[arg-type]


def outcomes(moved: Migrated) -> dict[str, Outcome]:
    return {item.name: item.outcome for item in moved.report.items if item.is_file}


def providers_in(record: Record) -> list[bytes]:
    assert record.document is not None
    found = [read_grant(data) for data in record.document.bindings]
    return [grant.provider for grant in found if grant is not None]


@pytest.fixture
def old(hosts: Hosts) -> Host:
    return hosts("old")


@pytest.fixture
def new(hosts: Hosts) -> Host:
    return hosts("new")


def test_from_a_provider_that_agrees_everything_moves(
    session: Session, alice: IdentityView, old: Host, new: Host, relay: HonestRelay, tmp_path: Path
) -> None:
    add_relay(session.home, relay.url)
    bind(session, old.address)
    put_data(session, tmp_path, "letter", b"dear")
    put_data(session, tmp_path, "film", b"frame" * 500_000)
    moved = move(session, new.address)
    assert moved.shortfall is None
    assert moved.report.old == "agreed"
    assert outcomes(moved) == {"letter": Outcome.MOVED, "film": Outcome.MOVED}
    assert moved.report.lost == ()
    assert providers_in(record_of(session)) == [new.key]
    assert relay.record(alice.public_key) == record_of(session)
    assert get_data(session, "film") == b"frame" * 500_000
    book = read_book(session, alice.index)
    assert book.journal is None
    assert [(entry.provider, entry.left_day is None) for entry in book.entries] == sorted(
        [(old.key, False), (new.key, True)]
    )


def test_the_old_provider_serves_the_new_record_on_and_is_leaving(
    session: Session, alice: IdentityView, old: Host, new: Host, tmp_path: Path
) -> None:
    bind(session, old.address)
    put_data(session, tmp_path, "letter", b"dear")
    moved = move(session, new.address)
    assert moved.told_error is None
    contact = make_home(tmp_path / "contact")
    with opened(contact) as other:
        found = resolve_identity(moved.to_json()["did"], other, [old.address])  # type: ignore[arg-type]
    assert found.resolution.record == record_of(session)
    assert [view.host.state for view in provider_status(session, "alice").providers if view.host] == [HostState.BOUND]


def test_a_contact_resolves_the_new_provider_and_refuses_the_old_record(
    session: Session, alice: IdentityView, old: Host, new: Host, relay: HonestRelay, tmp_path: Path
) -> None:
    add_relay(session.home, relay.url)
    bind(session, old.address)
    did = str(view_of(session).summary().did)
    contact = make_home(tmp_path / "contact")
    with opened(contact) as other:
        before = resolve_identity(did, other, [old.address]).resolution.record
        old.stop()
        move(session, new.address)
        found = resolve_identity(did, other, [relay.url]).resolution
        assert providers_in(found.record) == [new.key]
        assert [binding.state for binding in found.bindings] == ["valid"]
        old.restart()  # it never heard of the move
        error = fails("record.stale", lambda: resolve_identity(did, other, [old.address]))
        assert str(before.packet.seq) in error.message


def test_a_dead_providers_data_comes_from_the_kit_and_what_was_only_there_is_named(
    session: Session, alice: IdentityView, old: Host, new: Host, relay: HonestRelay, tmp_path: Path
) -> None:
    add_relay(session.home, relay.url)
    kit = tmp_path / "kit"
    bind(session, old.address, kit=str(kit))
    put_data(session, tmp_path, "letter", b"dear")
    put_data(session, tmp_path, "diary", b"monday")
    hidden = tmp_path / "drawer"
    kit.rename(hidden)
    put_data(session, tmp_path, "diary", b"monday, tuesday", replace=True)
    put_data(session, tmp_path, "song", b"la la")
    hidden.rename(kit)
    old.stop()
    moved = move(session, new.address)
    assert moved.report.old == "dead"
    assert outcomes(moved) == {"letter": Outcome.KIT, "diary": Outcome.OLDER, "song": Outcome.LOST}
    assert moved.shortfall is not None
    assert (moved.shortfall.code, moved.shortfall.exit_code) == ("migration.lost", 11)
    assert len(moved.report.lost) == 2
    older = next(item for item in moved.report.items if item.name == "diary")
    assert older.found_s is not None
    (state,) = provider_status(session, "alice").kits
    assert state.complete, "what is lost is no longer looked for"
    assert names_of(session) == ["diary", "letter"]
    assert get_data(session, "diary") == b"monday"
    assert get_data(session, "letter") == b"dear"
    put_data(session, tmp_path, "song", b"la la")
    assert get_data(session, "song") == b"la la"


def test_a_dead_provider_without_a_kit_loses_everything_and_says_so(
    session: Session, alice: IdentityView, old: Host, new: Host, relay: HonestRelay, tmp_path: Path
) -> None:
    add_relay(session.home, relay.url)
    bind(session, old.address)
    put_data(session, tmp_path, "letter", b"dear")
    old.stop()
    moved = move(session, new.address)
    assert outcomes(moved) == {"letter": Outcome.LOST}
    assert names_of(session) == []
    put_data(session, tmp_path, "letter", b"dear again")


def test_a_provider_that_lost_a_part_is_helped_out_by_the_kit(
    session: Session, alice: IdentityView, old: Host, new: Host, tmp_path: Path
) -> None:
    bind(session, old.address, kit=str(tmp_path / "kit"))
    put_data(session, tmp_path, "letter", b"dear")
    old.stop()
    shutil.copytree(old.node.directory, tmp_path / "backup")
    old.restart()
    put_data(session, tmp_path, "song", b"la la")
    old.stop()
    shutil.rmtree(old.node.directory)
    (tmp_path / "backup").rename(old.node.directory)
    old.restart()
    moved = move(session, new.address)
    assert outcomes(moved) == {"letter": Outcome.MOVED, "song": Outcome.KIT}
    assert moved.report.is_complete
    assert get_data(session, "song") == b"la la"


def test_a_provider_that_lets_nobody_in_has_refused(
    session: Session, alice: IdentityView, hosts: Hosts, new: Host, relay: HonestRelay, tmp_path: Path
) -> None:
    add_relay(session.home, relay.url)
    old = hosts("old")
    bind(session, old.address, kit=str(tmp_path / "kit"))
    put_data(session, tmp_path, "letter", b"dear")
    old.stop()
    (old.node.directory / "node.toml").write_text('[hosting]\npolicy = "off"\n')
    old.restart()
    moved = move(session, new.address)
    assert moved.report.old == "refused"
    assert moved.report.old_error is not None
    assert outcomes(moved) == {"letter": Outcome.KIT}
    assert moved.told_error is None


def test_a_second_provider_that_was_the_kit_can_become_the_main_one(
    session: Session, alice: IdentityView, old: Host, new: Host, tmp_path: Path
) -> None:
    bind(session, old.address, kit=new.address)
    put_data(session, tmp_path, "letter", b"dear")
    old.stop()
    moved = move(session, new.address)
    assert outcomes(moved) == {"letter": Outcome.THERE}
    assert moved.report.is_complete
    entry = read_book(session, alice.index).get(new.key)
    assert entry is not None
    assert entry.role is Role.MAIN
    assert providers_in(record_of(session)) == [new.key]
    assert get_data(session, "letter") == b"dear"


def test_a_second_provider_that_is_the_kit_stays_that(
    session: Session, alice: IdentityView, old: Host, new: Host, hosts: Hosts, tmp_path: Path
) -> None:
    second = hosts("second")
    bind(session, old.address, kit=second.address)
    put_data(session, tmp_path, "letter", b"dear")
    old.stop()
    moved = move(session, new.address)
    assert outcomes(moved) == {"letter": Outcome.KIT}
    assert providers_in(record_of(session)) == [new.key, second.key]
    assert moved.shortfall is not None or moved.report.is_complete


def test_a_provider_that_is_the_kit_can_be_replaced_as_well(
    session: Session, alice: IdentityView, old: Host, new: Host, hosts: Hosts, tmp_path: Path
) -> None:
    main = hosts("main")
    bind(session, main.address, kit=old.address)
    put_data(session, tmp_path, "letter", b"dear")
    old.stop()
    moved = move(session, new.address, old=old.did)
    assert outcomes(moved) == {"letter": Outcome.KIT}, "from the main provider"
    assert moved.report.is_complete
    assert providers_in(record_of(session)) == [main.key, new.key]
    overview = provider_status(session, "alice")
    assert [(view.provider, view.role) for view in overview.providers if view.binding is not None] == [
        (main.key, Role.MAIN),
        (new.key, Role.KIT),
    ]
    assert [kit.complete for kit in overview.kits] == [True]
    fails("provider.left", lambda: move(session, new.address, old=old.did))


def test_the_kit_does_not_move_into_the_main_provider(
    session: Session, alice: IdentityView, old: Host, new: Host
) -> None:
    bind(session, new.address, kit=old.address)
    fails("migration.same", lambda: move(session, new.address, old=old.did))
    assert read_book(session, alice.index).journal is None


def test_a_second_run_tells_what_the_first_did_and_changes_nothing(
    session: Session, alice: IdentityView, old: Host, new: Host, tmp_path: Path
) -> None:
    bind(session, old.address)
    put_data(session, tmp_path, "letter", b"dear")
    first = move(session, new.address)
    before = record_of(session)
    again = move(session, new.address)
    assert again.report == first.report
    assert (again.old, again.new) == (first.old, first.new)
    assert record_of(session) == before


def test_what_another_device_stores_at_the_old_provider_meanwhile_is_fetched(
    session: Session, alice: IdentityView, old: Host, new: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bind(session, old.address)
    put_data(session, tmp_path, "letter", b"dear")

    def cut(_: MigrationRun) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(MigrationRun, "tell", cut)
        with pytest.raises(KeyboardInterrupt):
            move(session, new.address)
    view = view_of(session)
    place = open_provider(access_to(session, view, TcpDialer()), old.key, writers_of(view), named=old.address)
    assert place.place is not None
    put_item(place.place, Owner.of(session, view), Kind.FILE, "late", b"by another device")
    place.close()
    moved = move(session, None)
    assert outcomes(moved) == {"late": Outcome.MOVED, "letter": Outcome.MOVED}
    assert moved.report.is_complete
    assert get_data(session, "late") == b"by another device"


def test_the_kit_has_the_new_record_and_everything_afterwards(
    session: Session, alice: IdentityView, old: Host, new: Host, tmp_path: Path
) -> None:
    bind(session, old.address, kit=str(tmp_path / "kit"))
    put_data(session, tmp_path, "letter", b"dear")
    moved = move(session, new.address)
    (report,) = moved.kit_reports
    assert report.is_complete
    (kit,) = provider_status(session, "alice").kits
    assert kit.complete


def test_where_to_go_must_be_said_and_be_somewhere_else(
    session: Session, alice: IdentityView, old: Host, new: Host
) -> None:
    fails("migration.none", lambda: move(session, None))
    fails("provider.none", lambda: move(session, new.address))
    bind(session, old.address)
    fails("migration.same", lambda: move(session, old.address))
    fails("migration.same", lambda: move(session, old.url))
    fails("provider.unknown", lambda: move(session, new.address, old="http://127.0.0.1:9"))
    assert read_book(session, alice.index).journal is None


def test_a_new_provider_that_does_not_answer_or_refuses_changes_nothing(
    session: Session, alice: IdentityView, old: Host, hosts: Hosts
) -> None:
    bind(session, old.address)
    before = view_of(session)
    closed = hosts("closed", 'policy = "closed"')
    fails("host.invitation", lambda: move(session, closed.address))
    closed.stop()
    fails("host.unreachable", lambda: move(session, closed.address))
    assert view_of(session).bindings == before.bindings
    assert providers_in(record_of(session)) == [old.key]
    publish_identity(session, "alice")


def test_a_new_provider_with_too_little_room_is_found_out_before_anybody_is_told(
    session: Session, alice: IdentityView, old: Host, hosts: Hosts, tmp_path: Path
) -> None:
    bind(session, old.address)
    put_data(session, tmp_path, "film", b"frame" * 500_000)
    small = hosts("small", 'policy = "open"\nquota_mib = 1')
    fails("blob.quota", lambda: move(session, small.address))
    contact = make_home(tmp_path / "contact")
    with opened(contact) as other:
        found = resolve_identity(str(view_of(session).summary().did), other, [old.address])
    assert providers_in(found.resolution.record) == [old.key]
    fails("migration.under-way", lambda: publish_identity(session, "alice"))
    fails("migration.under-way", lambda: bind(session, old.address))
    fails("migration.under-way", lambda: move(session, old.address))


def test_another_identity_at_the_new_provider_needs_the_owners_word(
    session: Session, alice: IdentityView, old: Host, new: Host, relay: HonestRelay
) -> None:
    from walletcli.wallet.identities import create_identity

    create_identity(session, "bob")
    bind(session, new.address, "bob")
    bind(session, old.address, accept_link=True)
    error = fails("link.would-link", lambda: move(session, new.address))
    assert new.did in error.message
    move(session, new.address, accept_link=True)
