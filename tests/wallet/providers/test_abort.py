"""Giving a migration up: back to the bindings from before, as long as nobody else has been told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.wallet.parts import HonestRelay
from tests.wallet.providers.parts import Host, bind, fails, get_data, put_data, record_of, view_of
from tests.wallet.providers.test_migrate import move, providers_in
from walletcli.wallet.access.session import Session
from walletcli.wallet.providers.abort import Aborted, abort_migration
from walletcli.wallet.providers.book import Role, read_book
from walletcli.wallet.providers.migration_steps import MigrationRun
from walletcli.wallet.providers.overview import provider_status
from walletcli.wallet.publish import publish_identity
from walletcli.wallet.relays import add_relay
from walletcli.wallet.state.view import IdentityView

Hosts = Callable[..., Host]
STEPS = ("sign", "copy", "tell", "finish")


class Cut(BaseException):
    """What a power cut looks like from inside."""


def cut_before(monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    def cut(_: MigrationRun) -> None:
        raise Cut

    monkeypatch.setattr(MigrationRun, step, cut)


def abort(session: Session) -> Aborted:
    return abort_migration(session, "alice")


@pytest.fixture
def old(hosts: Hosts, session: Session, alice: IdentityView, tmp_path: Path) -> Host:
    """The provider of alice, with a letter of hers."""
    old = hosts("old")
    bind(session, old.address)
    put_data(session, tmp_path, "letter", b"dear")
    return old


def test_before_anything_is_signed_the_decision_is_taken_back(
    session: Session, alice: IdentityView, old: Host, hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = hosts("new")
    before = record_of(session)
    cut_before(monkeypatch, "sign")
    with pytest.raises(Cut):
        move(session, new.address)
    aborted = abort(session)
    assert not aborted.signed
    assert record_of(session) == before
    assert read_book(session, alice.index).get(new.key) is None
    publish_identity(session, "alice")
    assert providers_in(record_of(session)) == [old.key]
    assert get_data(session, "letter") == b"dear"


@pytest.mark.parametrize("step", ["copy", "tell"])
def test_once_it_is_signed_another_document_takes_it_back(
    session: Session, alice: IdentityView, old: Host, hosts: Hosts, relay: HonestRelay, monkeypatch: pytest.MonkeyPatch,
    step: str,
) -> None:  # fmt: skip
    add_relay(session.home, relay.url)
    new = hosts("new")
    cut_before(monkeypatch, step)
    with pytest.raises(Cut):
        move(session, new.address)
    aborted = abort(session)
    assert aborted.signed
    assert aborted.forgotten
    assert aborted.shortfall is None
    assert providers_in(record_of(session)) == [old.key]
    assert relay.record(alice.public_key) == record_of(session)
    (bound, left) = provider_status(session, "alice").providers
    assert bound.counts_the_grant
    assert (left.provider, left.state) == (new.key, "left")
    assert get_data(session, "letter") == b"dear"
    publish_identity(session, "alice")


def test_an_abort_with_a_dead_new_provider_works_all_the_same(
    session: Session, alice: IdentityView, old: Host, hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = hosts("new")
    cut_before(monkeypatch, "copy")
    with pytest.raises(Cut):
        move(session, new.address)
    new.stop()
    aborted = abort(session)
    assert not aborted.forgotten
    assert aborted.error is not None
    assert providers_in(record_of(session)) == [old.key]
    assert get_data(session, "letter") == b"dear"


def test_giving_up_leads_back_to_a_provider_that_has_come_back_and_to_all_that_it_has(
    session: Session, alice: IdentityView, old: Host, hosts: Hosts, relay: HonestRelay, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    add_relay(session.home, relay.url)
    new = hosts("new")
    old.stop()
    cut_before(monkeypatch, "tell")
    with pytest.raises(Cut):
        move(session, new.address)  # the letter is lost by then: there is no exit kit
    old.restart()
    abort(session)
    assert get_data(session, "letter") == b"dear"
    put_data(session, tmp_path, "other", b"more")
    assert get_data(session, "other") == b"more"


def test_an_interrupted_abort_is_completed_by_another_one_and_by_nothing_else(
    session: Session, alice: IdentityView, old: Host, hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    import walletcli.wallet.providers.abort as module

    new = hosts("new")
    with monkeypatch.context() as patch:
        cut_before(patch, "copy")
        with pytest.raises(Cut):
            move(session, new.address)

    def cut(*_: object, **__: object) -> None:
        raise Cut

    with monkeypatch.context() as patch:
        patch.setattr(module, "sign_next", cut)
        with pytest.raises(Cut):
            abort(session)
    fails("migration.aborting", lambda: move(session, new.address))
    fails("migration.under-way", lambda: publish_identity(session, "alice"))
    abort(session)
    assert providers_in(record_of(session)) == [old.key]
    assert view_of(session).bindings is None
    publish_identity(session, "alice")


def test_when_others_have_been_told_it_is_too_late(
    session: Session, alice: IdentityView, old: Host, hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = hosts("new")
    with monkeypatch.context() as patch:
        cut_before(patch, "finish")
        with pytest.raises(Cut):
            move(session, new.address)
    fails("migration.too-late", lambda: abort(session))
    move(session, None)
    assert providers_in(record_of(session)) == [new.key]


def test_there_must_be_something_to_give_up(session: Session, alice: IdentityView, old: Host) -> None:
    fails("migration.none", lambda: abort(session))


def test_a_second_provider_stays_the_kit_after_an_abort(
    session: Session, alice: IdentityView, hosts: Hosts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, kit = hosts("old"), hosts("kit")
    bind(session, old.address, kit=kit.address)
    put_data(session, tmp_path, "letter", b"dear")
    cut_before(monkeypatch, "copy")
    with pytest.raises(Cut):
        move(session, kit.address)
    abort(session)
    assert providers_in(record_of(session)) == [old.key, kit.key]
    entry = read_book(session, alice.index).get(kit.key)
    assert entry is not None
    assert entry.role is Role.KIT
    assert [view.counts_the_grant for view in provider_status(session, "alice").providers] == [True, True]


@pytest.mark.parametrize("step", STEPS)
def test_a_migration_that_was_cut_off_goes_on_and_comes_to_the_same(
    session: Session, alice: IdentityView, old: Host, hosts: Hosts, relay: HonestRelay, monkeypatch: pytest.MonkeyPatch,
    step: str,
) -> None:  # fmt: skip
    add_relay(session.home, relay.url)
    new = hosts("new")
    with monkeypatch.context() as patch:
        cut_before(patch, step)
        with pytest.raises(Cut):
            move(session, new.address)
    seqs = [record_of(session).packet.seq]
    moved = move(session, None)
    seqs.append(record_of(session).packet.seq)
    assert moved.shortfall is None
    assert [item.name for item in moved.report.items] == ["letter"]
    assert providers_in(record_of(session)) == [new.key]
    assert relay.record(alice.public_key) == record_of(session)
    assert (seqs[0] == seqs[1]) == (step != "sign"), "one document is signed, and no more"
    assert get_data(session, "letter") == b"dear"
