"""What is remembered of drills, and what has changed since one passed."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.wallet.parts import HonestRelay
from tests.wallet.providers.parts import Host, bind, fails
from tests.wallet.recovery.machine import Machine, contacts
from walletcli.core import cbor
from walletcli.wallet.access.session import Session
from walletcli.wallet.contacts.book import read_book, save_book
from walletcli.wallet.contacts.contact import Contact, Sighting
from walletcli.wallet.identities import create_identity, rename_identity, set_attribute, unset_attribute
from walletcli.wallet.publish import publish_identity
from walletcli.wallet.recovery.drill import drill
from walletcli.wallet.recovery.drill_log import DRAWER, DrillLog, Mark, drill_state, marks_of, remember
from walletcli.wallet.state.changes import PutDrawer

MARK = Mark(3, bytes(16), bytes(16), bytes(16), bytes(16), 7)
LOG = DrillLog(1_700_000_100, 2, 1_700_000_000, (MARK, replace(MARK, index=4, data_version=0)))


def changed(session: Session) -> dict[str, set[str]]:
    """Return what has changed since the last drill that passed, by label."""
    state = drill_state(session)
    assert state is not None
    return {item.identity.label: set(item.what) for item in state.changed}


def pass_now(session: Session) -> None:
    remember(session, 1_700_000_000, 0, marks_of(session))


def test_a_log_is_read_as_it_was_written() -> None:
    assert DrillLog.from_bytes(LOG.to_bytes()) == LOG
    assert DrillLog.from_bytes(DrillLog(1, 5).to_bytes()) == DrillLog(1, 5)


def encoded(**fields: object) -> bytes:
    """Return the encoding of the log with some fields replaced; None leaves one out."""
    rows = [MARK.to_row()]
    found: dict[int, object] = {1: 1, 2: 5, 3: 0, 4: 5, 5: rows}
    found.update({int(name[1:]): value for name, value in fields.items()})
    return cbor.encode({key: value for key, value in found.items() if value != "none"})


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (encoded(f1=2), "drill-log.unknown-version"),
        (encoded(f6=0), "drill-log.malformed"),
        (encoded(f2="none"), "drill-log.malformed"),
        (encoded(f2=-1), "drill-log.malformed"),
        (encoded(f4=None), "drill-log.malformed"),
        (encoded(f5=[MARK.to_row(), MARK.to_row()]), "drill-log.malformed"),
        (encoded(f5=[[*MARK.to_row(), 1]]), "drill-log.malformed"),
        (encoded(f5=[[1, bytes(15), *MARK.to_row()[2:]]]), "drill-log.malformed"),
        (encoded()[:-1], "cbor.truncated"),
        (b"", "cbor.truncated"),
    ],
)  # fmt: skip
def test_a_damaged_log_is_refused(data: bytes, code: str) -> None:
    with pytest.raises(Exception) as refused:
        DrillLog.from_bytes(data)
    assert getattr(refused.value, "code", "") == code


def test_a_wallet_without_a_drill_says_so(session: Session) -> None:
    assert drill_state(session) is None


def test_a_drill_is_remembered_with_its_time(tmp_path: Path, relay: HonestRelay) -> None:
    machine = Machine(tmp_path, [relay.url])
    with machine.open() as session:
        machine.create(session, "alice")
        before_s = int(time.time())
        assert drill(session, timeout_s=5.0).passed
        state = drill_state(session)
        assert state is not None
        assert state.log.passed_s is not None
        assert before_s <= state.log.tried_s == state.log.passed_s <= time.time()
        create_identity(session, "bob")
        assert not drill(session, timeout_s=5.0, now_s=time.time() + 60).passed
        again = drill_state(session)
        assert again is not None
        assert (again.log.passed_s, again.log.missing, again.log.passed) == (state.log.passed_s, 1, False)
        assert again.log.tried_s > state.log.tried_s


def test_a_drill_that_never_passed_names_no_changes(session: Session) -> None:
    create_identity(session, "alice")
    remember(session, 1_700_000_000, 3, marks_of(session))
    state = drill_state(session)
    assert state is not None
    assert (state.log.passed_s, state.changed) == (None, ())


def test_nothing_has_changed_right_after(session: Session) -> None:
    create_identity(session, "alice")
    pass_now(session)
    assert changed(session) == {}


def test_new_identities_labels_and_contacts_are_changes(session: Session) -> None:
    for label in ("alice", "bob", "carol"):
        create_identity(session, label)
    pass_now(session)
    create_identity(session, "dave")
    rename_identity(session, "alice", "alicia")
    book = read_book(session, 1)
    save_book(session, 1, book, book.with_contacts(contacts("new", 1, 0)))
    assert changed(session) == {"alicia": {"profile"}, "bob": {"contacts"}, "dave": {"new"}}


def test_what_a_look_up_says_of_a_contact_is_no_change(session: Session) -> None:
    create_identity(session, "alice")
    friend = Contact(bytes([7]) * 32, "friend", 20_000)
    save_book(session, 0, read_book(session, 0), read_book(session, 0).with_contacts([friend]))
    pass_now(session)
    seen = Contact(friend.id, friend.name, friend.added_day, sighting=Sighting(5, 20_001))
    save_book(session, 0, read_book(session, 0), read_book(session, 0).with_contacts([seen]))
    assert changed(session) == {}


def test_bindings_and_data_are_changes_and_a_new_record_is_none(tmp_path: Path, host: Host) -> None:
    machine = Machine(tmp_path, [host.url])
    with machine.open() as session:
        machine.create(session, "alice", host.address)
        machine.create(session, "bob")
        pass_now(session)
        set_attribute(session, "bob", "mail", "b@example.org")
        publish_identity(session, "bob")
        unset_attribute(session, "bob", "mail")
        publish_identity(session, "bob")
        assert changed(session) == {}
        machine.put(session, "alice", "file", 10)
        bind(session, host.address, "bob", accept_link=True)
        assert changed(session) == {"alice": {"data"}, "bob": {"bindings", "data"}}  # a bind stores the settings


def test_a_log_of_a_newer_version_is_not_written_over(session: Session) -> None:
    session.put_drawers(PutDrawer(None, DRAWER, encoded(f1=2), None))
    fails("drill-log.unknown-version", lambda: pass_now(session))
    fails("drill-log.unknown-version", lambda: drill_state(session))
