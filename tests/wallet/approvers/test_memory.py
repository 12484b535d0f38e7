"""What a wallet remembers of approvers is in its vault: nobody waits less because a program has ended."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.client.records import identity, record
from tests.core.approving import ONE, approvers
from tests.core.samples import DAY
from tests.wallet.parts import WORDS, opened, restored_home
from walletcli.client.approved import check_remembered
from walletcli.client.freshness import Seen
from walletcli.core.approvals import DocumentApprovals
from walletcli.core.record import Record
from walletcli.errors import VerificationError
from walletcli.wallet.access.session import Session
from walletcli.wallet.memory import WalletMemory

KEY = identity("alice").public_key
GUARDED = record("alice", 100, approvers=approvers(ONE))
REMOVED = record("alice", 300)


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return opened(restored_home(tmp_path / "home", WORDS))


def memory_of(session: Session) -> WalletMemory:
    """Return what a program that begins now remembers."""
    return WalletMemory(session.snapshot().wallet)


def remember(session: Session, found: Record) -> None:
    memory = memory_of(session)
    memory.put(KEY, Seen.of(found))
    memory.save(session)


def refused_on(session: Session, day: int) -> bool:
    memory = memory_of(session)
    try:
        check_remembered(memory, REMOVED, day)
    except VerificationError:
        memory.save(session)
        return True
    return False


def test_the_first_sight_of_a_change_of_approvers_outlives_the_program(session: Session) -> None:
    remember(session, GUARDED)
    assert [refused_on(session, DAY + days) for days in (0, 10, 30, 31)] == [True, True, True, False]
    remember(session, GUARDED)  # seen again meanwhile: nothing is forgotten, and nothing begins anew
    assert [refused_on(session, DAY + days) for days in (30, 31)] == [True, False]


def test_two_programs_at_once_take_nothing_from_each_other(session: Session) -> None:
    remember(session, GUARDED)
    document = GUARDED.document
    assert document is not None
    one, other = memory_of(session), memory_of(session)
    with pytest.raises(VerificationError):
        check_remembered(one, REMOVED, DAY)
    other.put(KEY, Seen.of(GUARDED.with_approvals(DocumentApprovals((ONE.approve(document),)))))
    one.save(session)
    other.save(session)
    seen = memory_of(session).get(KEY)
    assert seen is not None
    assert seen.waiting is not None
    assert seen.record is not None
    assert seen.record.beside is not None


def test_a_vault_put_back_to_before_the_first_sight_waits_anew(session: Session) -> None:
    """Who restores a backup waits longer, never less."""
    remember(session, GUARDED)
    assert refused_on(session, DAY + 400)
    assert refused_on(session, DAY + 430)
    assert not refused_on(session, DAY + 431)


def test_approvals_that_come_later_are_kept_and_are_not_taken_away_again(session: Session) -> None:
    document = GUARDED.document
    assert document is not None
    approved = GUARDED.with_approvals(DocumentApprovals((ONE.approve(document),)))
    for found in (GUARDED, approved, GUARDED, GUARDED.with_approvals(DocumentApprovals(()))):
        remember(session, found)
    seen = memory_of(session).get(KEY)
    assert seen is not None
    assert seen.record is not None
    assert seen.record.beside == approved.beside
