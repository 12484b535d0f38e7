"""The owner's second wallet: it takes over what the approvers approved, and nothing that the root alone signed."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.core.approving import ONE, approvers
from tests.wallet.parts import WORDS, HonestRelay, opened, restored_home
from tests.wallet.recovery.parts import signed, tree_of
from walletcli.core.approvals import DocumentApprovals
from walletcli.core.document import Document
from walletcli.core.equivocation import Side, proofs_among
from walletcli.core.record import Record
from walletcli.errors import WalletError
from walletcli.wallet.access.session import Session
from walletcli.wallet.airgap.waiting import change_book
from walletcli.wallet.approvers import gathering
from walletcli.wallet.approvers.gathering import Keeper, waiting_document
from walletcli.wallet.identities import create_identity, set_attribute
from walletcli.wallet.publish import publish_identity
from walletcli.wallet.resolve import resolve_identity
from walletcli.wallet.state.approvers import ApproverPlan, Credential
from walletcli.wallet.state.changes import KeepSplits, SetApprovers
from walletcli.wallet.state.draft import next_document
from walletcli.wallet.state.kept_splits import KeptSplit


@pytest.fixture
def second(tmp_path: Path, relay: HonestRelay, monkeypatch: pytest.MonkeyPatch) -> Session:
    """A wallet that knows the approvers of its identity, which the relay has as well."""
    monkeypatch.setattr(gathering, "ask", lambda _home, question, _progress: (ONE.agree(question.subject),))
    session = opened(restored_home(tmp_path / "second", WORDS))
    create_identity(session, "alice")
    publish_identity(session, "alice", [relay.url])
    session.apply(SetApprovers(0, ApproverPlan(approvers(ONE)), ()))
    publish_identity(session, "alice", [relay.url])
    return session


def document_of(session: Session) -> Document:
    record = session.snapshot().wallet.by_index(0).record
    assert record is not None
    document = Record.from_bytes(record).document
    assert document is not None
    return document


def elsewhere(session: Session, relay: HonestRelay, *, approved: bool) -> Document:
    """Sign a migration with the same words on another machine, and put it at the relay."""
    before = document_of(session)
    moved = replace(before, seq=before.seq + 1000, previous=before.hash, bindings=(b"another provider's grant",))
    record = signed(tree_of(WORDS).root(0), moved)
    if approved:
        record = record.with_approvals(DocumentApprovals((ONE.approve(moved),)))
    relay.shelf.put(record)
    return moved


def test_a_migration_that_the_root_alone_signed_elsewhere_is_not_taken_over(
    second: Session, relay: HonestRelay
) -> None:
    before = document_of(second)
    elsewhere(second, relay, approved=False)
    found = resolve_identity("alice", second, [relay.url], home=second.home)
    assert found.resolution.record.document == before
    assert found.resolution.refused is not None
    set_attribute(second, "alice", "name", "Alice")
    with pytest.raises(WalletError) as refused:
        publish_identity(second, "alice", [relay.url])
    assert refused.value.code == "publish.not-approved"
    assert document_of(second) == before


def test_the_owner_publishes_over_it_and_ends_the_waiting_everywhere(second: Session, relay: HonestRelay) -> None:
    before = document_of(second)
    moved = elsewhere(second, relay, approved=False)
    assert publish_identity(second, "alice", [relay.url], on_top=True).new
    after = document_of(second)
    assert (after.bindings, after.previous) == (before.bindings, before.hash)
    assert after.seq > moved.seq
    assert relay.shelf.packets[after.identity].seq == after.seq


def test_a_migration_that_the_approvers_approved_is_taken_over(second: Session, relay: HonestRelay) -> None:
    moved = elsewhere(second, relay, approved=True)
    found = resolve_identity("alice", second, [relay.url], home=second.home)
    assert found.resolution.record.document == moved
    set_attribute(second, "alice", "name", "Alice")
    publish_identity(second, "alice", [relay.url], on_top=True)
    after = document_of(second)
    assert after.bindings == moved.bindings
    assert after.previous == moved.hash


@pytest.mark.parametrize("ahead", [0, 1 << 61], ids=["that could be healed", "that nothing can come after"])
def test_a_split_of_the_thiefs_keeps_an_owner_with_approvers_from_nothing_for_ever(
    second: Session, relay: HonestRelay, ahead: int
) -> None:
    before = document_of(second)
    root = tree_of(WORDS).root(0)
    sides = [replace(before, seq=before.seq + ahead, previous=before.hash, profile={"name": name}) for name in "ab"]
    kept = proofs_among([Side(signed(root, side).packet) for side in sides])
    second.apply(KeepSplits(tuple(KeptSplit.of(proof).proof for proof in kept)))
    set_attribute(second, "alice", "name", "Alice")
    if not ahead:
        with pytest.raises(WalletError) as refused:
            publish_identity(second, "alice", [relay.url])
        assert refused.value.code == "publish.split"
        return
    publish_identity(second, "alice", [relay.url], on_top=True)
    assert document_of(second).profile == {"name": "Alice"}


@pytest.mark.parametrize(
    "planted",
    ["a binding", "another profile", "no sealed sections", "a section of no use", "a section more", "a device less"],
)
def test_what_a_program_left_waiting_for_approval_is_not_signed_in_place_of_what_was_decided(
    second: Session, relay: HonestRelay, planted: str
) -> None:
    """Whoever can write into the vault's drawers waits for the owner's next touch."""
    set_attribute(second, "alice", "name", "Alice")
    identity = second.snapshot().wallet.by_index(0)
    assert identity.record is not None
    last = Record.from_bytes(identity.record)
    good = next_document(identity, (), time.time(), os.urandom)
    fields: dict[str, Any] = {
        "a binding": {"bindings": (b"another provider's grant",)},
        "another profile": {"profile": {"name": "Mallory"}},
        "no sealed sections": {"sections": ()},
        "a section of no use": {"sections": (good.sections[0][:-1] + b"\0",)},
        "a section more": {"sections": tuple(sorted((good.sections[0], good.sections[0][:-1] + b"\0")))},
        "a device less": {"delegations": ()},
    }[planted]
    planted_document = replace(good, **fields)
    asked = replace(identity, credentials=(Credential(ONE.public_key, b"id", "one"),))
    change_book(second, lambda book: (Keeper(second, asked, last, planted_document).begun(book), ()))
    assert waiting_document(second, identity) == planted_document
    publish_identity(second, "alice", [relay.url])
    signed_document = document_of(second)
    assert signed_document.hash != planted_document.hash
    assert (signed_document.bindings, signed_document.profile) == ((), {"name": "Alice"})
    assert signed_document.sections
    assert signed_document.delegations
