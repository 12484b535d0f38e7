"""What an open wallet signs for any program of its user, and what it refuses to."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from walletcli.core.document import Document
from walletcli.core.document_parts import Approver, Approvers, Delegation, Retirement, Succession
from walletcli.core.ed25519 import SigningKey
from walletcli.core.record import SEQ_JUMP, Record
from walletcli.core.secret import Secret
from walletcli.errors import FormatError, SignerError, VerificationError, WalletError
from walletcli.wallet.access.session import Session
from walletcli.wallet.identities import create_identity, retire_identity, show_identity
from walletcli.wallet.state.changes import Adopt, MarkStored
from walletcli.wallet.state.draft import next_document

OTHER = SigningKey(Secret(bytes(32))).public_key
APPROVERS = Approvers(1, (Approver(-8, OTHER, user_verification=True),), 30)
Change = Callable[[Document], Document]


def drafted(session: Session) -> tuple[Document, int]:
    snapshot = session.snapshot()
    return next_document(snapshot.wallet.by_index(0), (), time.time(), os.urandom), snapshot.generation


def signed(session: Session) -> Record:
    document, generation = drafted(session)
    return Record.from_bytes(session.sign(0, document.to_bytes(), generation))


@pytest.fixture
def alice(session: Session) -> Session:
    create_identity(session, "alice")
    return session


def foreign(document: Document) -> Delegation:
    return replace(document.delegations[0], signing_key=OTHER)


REFUSED: list[tuple[Change, str]] = [
    (lambda d: replace(d, delegations=(foreign(d),)), "request.foreign-device"),
    (
        lambda d: replace(d, delegations=tuple(sorted((*d.delegations, foreign(d)), key=lambda x: x.signing_key))),
        "request.foreign-device",
    ),
    (lambda d: replace(d, approvers=APPROVERS), "request.approvers"),
    (lambda d: replace(d, succession=Succession(bytes(32), 30)), "request.successor"),
    (lambda d: replace(d, retirement=Retirement(20_000)), "request.retirement"),
    (lambda d: replace(d, identity=OTHER), "request.identity"),
    (lambda d: replace(d, previous=bytes(32)), "request.previous"),
    (lambda d: replace(d, seq=int((time.time() + 2 * 86_400) * 1e6)), "request.seq"),
    (lambda d: replace(d, seq=4_102_444_800_000_000), "request.seq"),
]


@pytest.mark.parametrize(("change", "code"), REFUSED)
def test_a_first_record_that_goes_too_far_is_refused(alice: Session, change: Change, code: str) -> None:
    document, generation = drafted(alice)
    with pytest.raises(SignerError) as refused:
        alice.sign(0, change(document).to_bytes(), generation)
    assert refused.value.code == code
    assert show_identity(alice, "alice").record is None
    assert alice.facts().generation == generation


FOLLOWING: list[tuple[Change, str]] = [
    *REFUSED[2:7],
    (lambda d: replace(d, seq=d.seq - 2 * SEQ_JUMP - 86_400_000_000 * 2), "request.seq"),
]


@pytest.mark.parametrize(("change", "code"), FOLLOWING)
def test_a_later_record_that_goes_too_far_is_refused(alice: Session, change: Change, code: str) -> None:
    first = signed(alice)
    document, generation = drafted(alice)
    with pytest.raises(SignerError) as refused:
        alice.sign(0, change(document).to_bytes(), generation)
    assert refused.value.code == code
    assert show_identity(alice, "alice").record == first.to_bytes()


def test_a_seq_ahead_of_the_clock_is_followed_only_as_far_as_needed(alice: Session) -> None:
    first = signed(alice)
    ahead = first.packet.seq + 1
    document, generation = drafted(alice)
    record = Record.from_bytes(alice.sign(0, replace(document, seq=ahead).to_bytes(), generation))
    assert record.packet.seq == ahead


def test_the_device_may_have_other_dates_but_is_still_this_device(alice: Session) -> None:
    document, generation = drafted(alice)
    shorter = replace(document.delegations[0], not_after_day=document.delegations[0].not_before_day + 30)
    record = Record.from_bytes(alice.sign(0, replace(document, delegations=(shorter,)).to_bytes(), generation))
    assert record.document is not None
    assert record.document.delegations == (shorter,)


def test_a_retired_identity_signs_its_end_and_nothing_else(alice: Session) -> None:
    retire_identity(alice, "alice")
    document, generation = drafted(alice)
    with pytest.raises(SignerError) as refused:
        alice.sign(0, replace(document, retirement=None).to_bytes(), generation)
    assert refused.value.code == "request.retirement"
    signed(alice)
    snapshot = alice.snapshot()
    ended = Record.from_bytes(snapshot.wallet.by_index(0).record or b"").document
    assert ended is not None
    after = replace(ended, seq=ended.seq + 1, previous=ended.hash)
    with pytest.raises(SignerError) as refused:
        alice.sign(0, after.to_bytes(), snapshot.generation)
    assert refused.value.code == "request.retired"


@pytest.mark.parametrize("data", [b"", b"\x80", b"3:seqi1e1:v0:", bytes(1024)])
def test_bytes_that_are_no_document_are_never_signed(alice: Session, data: bytes) -> None:
    with pytest.raises(FormatError):
        alice.sign(0, data, alice.facts().generation)


def test_only_a_newer_verified_record_of_the_same_identity_is_taken_over(alice: Session) -> None:
    create_identity(alice, "bob")
    own = signed(alice)
    snapshot = alice.snapshot()
    bobs_draft = next_document(snapshot.wallet.by_index(1), (), time.time(), os.urandom)
    bobs = alice.sign(1, bobs_draft.to_bytes(), snapshot.generation)
    pending = Record(own.packet, None).to_bytes()
    spoiled = bytearray(own.to_bytes())
    spoiled[40] ^= 1
    for data, code in (
        (bobs, "record.identity-mismatch"),
        (own.to_bytes(), "record.not-newer"),
        (pending, "record.pending"),
        (bytes(spoiled), ""),
    ):
        with pytest.raises(WalletError) as refused:
            alice.apply(Adopt(0, data))
        assert isinstance(refused.value, VerificationError | FormatError)
        assert refused.value.code == code or not code
    assert show_identity(alice, "alice").record == own.to_bytes()


def test_relays_that_hold_an_older_record_are_not_taken_for_holding_the_new(alice: Session) -> None:
    own = signed(alice)
    alice.apply(MarkStored(0, own.packet.seq - 1, ("https://relay.example",), 20_000))
    assert show_identity(alice, "alice").stored is None
