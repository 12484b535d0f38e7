"""What an open wallet signs of an identity with approvers, and what it refuses to."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.core.approving import ONE, TWO, approvers
from tests.wallet.parts import password
from walletcli.core.approvals import DocumentApprovals
from walletcli.core.document import Document
from walletcli.core.document_parts import Approver, Approvers
from walletcli.core.record import Record
from walletcli.errors import WalletError
from walletcli.wallet.access.agent_session import open_session
from walletcli.wallet.access.session import Session
from walletcli.wallet.access.unlock import lock, unlock
from walletcli.wallet.identities import create_identity
from walletcli.wallet.state.approvers import ApproverPlan
from walletcli.wallet.state.changes import Rename, SetApprovers, Several
from walletcli.wallet.state.draft import next_document


@pytest.fixture
def alice(session: Session) -> Session:
    create_identity(session, "alice")
    return session


def drafted(session: Session) -> tuple[Document, int]:
    snapshot = session.snapshot()
    return next_document(snapshot.wallet.by_index(0), (), time.time(), os.urandom), snapshot.generation


def signed(session: Session) -> Record:
    document, generation = drafted(session)
    return Record.from_bytes(session.sign(0, document.to_bytes(), generation))


def decide(session: Session, group: Approvers | None, *, lost: bool = False) -> None:
    session.apply(SetApprovers(0, ApproverPlan(group, lost), ()))


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(WalletError) as refused:
        call()
    return refused.value.code


def test_a_document_that_its_approvers_have_not_approved_is_not_signed(alice: Session) -> None:
    decide(alice, approvers(ONE))
    signed(alice)
    document, generation = drafted(alice)
    assert document.approvers == approvers(ONE)
    of_another = DocumentApprovals((ONE.approve(replace(document, seq=document.seq + 1)),))
    by_another = DocumentApprovals((TWO.approve(document),))
    for beside in (None, of_another.to_bytes(), by_another.to_bytes()):
        sign = lambda beside=beside: alice.sign(0, document.to_bytes(), generation, beside)  # noqa: E731
        assert refusal(sign) == "request.not-approved"
    good = DocumentApprovals((ONE.approve(document),))
    record = Record.from_bytes(alice.sign(0, document.to_bytes(), generation, good.to_bytes()))
    assert record.beside == good


def test_approvers_are_changed_only_as_their_owner_has_decided(alice: Session) -> None:
    decide(alice, approvers(ONE))
    document, generation = drafted(alice)
    for other in (None, approvers(TWO), approvers(ONE, delay_days=31)):
        changed = replace(document, approvers=other).to_bytes()
        assert refusal(lambda changed=changed: alice.sign(0, changed, generation)) == "request.approvers"


def test_who_has_said_that_the_approvers_are_lost_signs_without_them_once(alice: Session) -> None:
    decide(alice, approvers(ONE))
    signed(alice)
    decide(alice, approvers(TWO), lost=True)
    assert signed(alice).beside is None
    assert alice.snapshot().wallet.by_index(0).approvers is None
    document, generation = drafted(alice)
    assert refusal(lambda: alice.sign(0, document.to_bytes(), generation)) == "request.not-approved"


def test_the_root_key_is_no_approver(alice: Session) -> None:
    root = Approver(-8, alice.snapshot().wallet.by_index(0).public_key, user_verification=True)
    assert refusal(lambda: decide(alice, Approvers(1, (root,), 30))) == "approver.root"


def test_what_is_decided_as_it_is_signed_is_no_decision(alice: Session) -> None:
    signed(alice)
    decide(alice, None)
    identity = alice.snapshot().wallet.by_index(0)
    assert (identity.approvers, identity.changed) == (None, False)


def test_the_agent_takes_no_decision_on_approvers_and_signs_what_they_approved(alice: Session) -> None:
    """Any program of the user may ask the agent."""
    decide(alice, approvers(ONE))
    signed(alice)
    unlock(alice.home, password)
    try:
        with open_session(alice.home) as asking:
            change = SetApprovers(0, ApproverPlan(None, lost=True), ())
            assert refusal(lambda: asking.apply(change)) == "approver.consent"
            hidden = Several((Rename(0, "other"), change))
            assert refusal(lambda: asking.apply(hidden)) == "approver.consent"
            document, generation = drafted(asking)
            assert refusal(lambda: asking.sign(0, document.to_bytes(), generation)) == "request.not-approved"
            beside = DocumentApprovals((ONE.approve(document),)).to_bytes()
            assert Record.from_bytes(asking.sign(0, document.to_bytes(), generation, beside)).beside is not None
    finally:
        lock(alice.home)
