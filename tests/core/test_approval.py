"""docs/spec/approval.md: what an approval is worth, and who may be followed where there are approvers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.approving import KEYS, ONE, THREE, TWO, SoftKey, approvers, client_data_hash
from tests.core.samples import ALICE, BOB, SEQ, digest
from tests.core.vectors import load, name
from walletcli.core.approval import Approval, Kind, Subject, check_threshold, in_order
from walletcli.core.approvals import (
    MAX_APPROVALS_BYTES,
    DocumentApprovals,
    Step,
    approvals_for,
    change_of,
    check_follows,
)
from walletcli.core.document import Document
from walletcli.core.document_parts import Approver
from walletcli.errors import FormatError, VerificationError, WalletError

DOCUMENT = Document(ALICE.public_key, SEQ, profile={"name": "Alice"})
SUBJECT = Subject.of_document(DOCUMENT)


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(WalletError) as raised:
        call()
    return raised.value.code


@pytest.mark.parametrize("key", KEYS)
def test_an_approval_of_the_exact_document_counts_and_has_one_encoding(key: SoftKey) -> None:
    approval = key.approve(DOCUMENT)
    approval.check(SUBJECT, key.approver)
    assert Approval.from_bytes(approval.to_bytes()) == approval
    assert cbor2.loads(approval.to_bytes())[0] == "application/walletcli-approval"


def test_what_the_key_signs_is_what_the_page_says() -> None:
    assert SUBJECT.client_data_hash == client_data_hash(1, ALICE.public_key, DOCUMENT.hash)
    export = replace(SUBJECT, kind=Kind.CONTACT_EXPORT)
    assert export.client_data_hash == client_data_hash(2, ALICE.public_key, DOCUMENT.hash)


WORTHLESS: dict[str, tuple[Callable[[SoftKey], Approval], str]] = {
    "of another document": (lambda key: key.approve(replace(DOCUMENT, seq=SEQ + 1)), "approval.signature"),
    "of another identity's": (lambda key: key.approve(DOCUMENT, identity=BOB.public_key), "approval.signature"),
    "of an export with the same hash": (lambda key: key.approve(DOCUMENT, kind=2), "approval.signature"),
    "for another relying party": (
        lambda key: key.approve(DOCUMENT, party=hashlib.sha256(b"walletcli:vault").digest()),
        "approval.relying-party",
    ),
    "without a touch": (lambda key: key.approve(DOCUMENT, flags=0x04), "approval.not-touched"),
    "by another key": (lambda key: SoftKey("thief", key.algorithm).approve(DOCUMENT), "approval.key"),
    "with a changed counter": (
        lambda key: (
            lambda made: replace(made, authenticator_data=made.authenticator_data[:-1] + b"\x08")
        )(key.approve(DOCUMENT)),
        "approval.signature",
    ),
}  # fmt: skip


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("name", WORTHLESS)
def test_an_approval_that_is_worth_nothing_says_why(name: str, key: SoftKey) -> None:
    make, code = WORTHLESS[name]
    assert refusal(lambda: make(key).check(SUBJECT, key.approver)) == code
    missing = refusal(lambda: check_threshold(approvers(key), SUBJECT, [make(key)]))
    assert missing == "approval.missing"


def test_an_approver_who_must_give_the_pin_is_not_satisfied_by_a_touch() -> None:
    assert refusal(lambda: ONE.approve(DOCUMENT, flags=0x01).check(SUBJECT, ONE.approver)) == "approval.not-verified"
    THREE.approve(DOCUMENT, flags=0x01).check(SUBJECT, THREE.approver)


@pytest.mark.parametrize("flags", [0x45, 0x85, 0xC5])
def test_a_registration_or_extensions_never_pass_for_an_approval(flags: int) -> None:
    assert refusal(lambda: ONE.approve(DOCUMENT, flags=flags)) == "approval.authenticator-data"


@pytest.mark.parametrize("key", [ONE, TWO])
def test_each_flipped_bit_is_refused(key: SoftKey) -> None:
    data = key.approve(DOCUMENT).to_bytes()
    for place in range(8 * len(data)):
        changed = bytearray(data)
        changed[place // 8] ^= 1 << place % 8
        try:
            approval = Approval.from_bytes(bytes(changed))
        except FormatError:
            continue
        with pytest.raises(VerificationError):
            approval.check(SUBJECT, key.approver)


def test_an_es256_signature_in_another_encoding_is_refused() -> None:
    every = (TWO.approve(DOCUMENT, counter=counter) for counter in range(100))
    made = next(approval for approval in every if len(approval.signature) < 72)
    padded = replace(made, signature=b"\x30\x81" + made.signature[1:])
    assert refusal(lambda: padded.check(SUBJECT, TWO.approver)) == "approval.signature"


def test_a_key_that_is_no_point_of_its_curve_approves_nothing() -> None:
    x = next(x for x in range(1, 100) if _is_off_curve(x))
    approver = Approver(-7, b"\x02" + x.to_bytes(32, "big"), False)
    made = replace(TWO.approve(DOCUMENT), public_key=approver.public_key)
    assert refusal(lambda: made.check(SUBJECT, approver)) == "approval.signature"


def _is_off_curve(x: int) -> bool:
    p = 2**256 - 2**224 + 2**192 + 2**96 - 1
    b = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
    return pow(x**3 - 3 * x + b, (p - 1) // 2, p) == p - 1


def test_the_threshold_counts_different_approvers_with_good_approvals() -> None:
    group = approvers(ONE, TWO, THREE, threshold=2)
    check_threshold(group, SUBJECT, [ONE.approve(DOCUMENT), TWO.approve(DOCUMENT)])
    check_threshold(group, SUBJECT, [key.approve(DOCUMENT) for key in KEYS])
    bad = TWO.approve(DOCUMENT, kind=2)
    check_threshold(group, SUBJECT, [ONE.approve(DOCUMENT), bad, THREE.approve(DOCUMENT)])
    for given_ in ([], [ONE.approve(DOCUMENT)], [ONE.approve(DOCUMENT)] * 2, [ONE.approve(DOCUMENT), bad]):
        assert refusal(lambda given_=given_: check_threshold(group, SUBJECT, given_)) == "approval.missing"


def parts(approval: Approval) -> list[Any]:
    return list(cbor2.loads(approval.to_bytes()))


GOOD = parts(ONE.approve(DOCUMENT))
MALFORMED: dict[str, tuple[object, str]] = {
    "a map": ({}, "approval.malformed"),
    "nothing in it": ([], "approval.malformed"),
    "another type": (["application/walletcli-card+cose", *GOOD[1:]], "approval.malformed"),
    "a later version": ([GOOD[0], 3, *GOOD[2:]], "approval.unknown-version"),
    "the other version's number": ([GOOD[0], 2, *GOOD[2:]], "approval.malformed"),
    "a version that is true": ([GOOD[0], True, *GOOD[2:]], "approval.unknown-version"),
    "a field more": ([*GOOD, 0], "approval.malformed"),
    "a field less": (GOOD[:-1], "approval.malformed"),
    "another algorithm": ([*GOOD[:2], -35, *GOOD[3:]], "approval.malformed"),
    "the other algorithm's number": ([*GOOD[:2], -7, *GOOD[3:]], "approval.malformed"),
    "a key of small order": ([*GOOD[:3], bytes(32), *GOOD[4:]], "approval.malformed"),
    "authenticator data that is short": ([*GOOD[:4], GOOD[4][:-1], GOOD[5]], "approval.authenticator-data"),
    "authenticator data that is long": ([*GOOD[:4], GOOD[4] + b"\0", GOOD[5]], "approval.authenticator-data"),
    "a short signature": ([*GOOD[:5], GOOD[5][:-1]], "approval.malformed"),
    "a signature that is a text": ([*GOOD[:5], "x"], "approval.malformed"),
    "a key that is a number": ([*GOOD[:3], 5, *GOOD[4:]], "approval.malformed"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_no_approval_is_refused(name: str) -> None:
    value, code = MALFORMED[name]
    assert refusal(lambda: Approval.from_bytes(cbor2.dumps(value, canonical=True))) == code
    beside = cbor2.dumps([1, [value], []], canonical=True)
    assert refusal(lambda: DocumentApprovals.from_bytes(beside)) == code


def test_sizes_are_checked_before_anything_is_parsed() -> None:
    assert refusal(lambda: Approval.from_bytes(bytes(257))) == "approval.too-long"
    assert refusal(lambda: DocumentApprovals.from_bytes(bytes(MAX_APPROVALS_BYTES + 1))) == "approval.too-long"


STEP = [DOCUMENT.to_bytes(), [GOOD]]
NINE = sorted((parts(SoftKey(str(number)).approve(DOCUMENT)) for number in range(9)), key=lambda item: item[3])
FIVE = [[Document(ALICE.public_key, SEQ + number).to_bytes(), []] for number in range(5)]
BESIDE: dict[str, tuple[object, str]] = {
    "no list": ({1: 1}, "approval.malformed"),
    "an empty list": ([], "approval.malformed"),
    "a later version": ([2, [], []], "approval.unknown-version"),
    "a field more": ([1, [], [], 0], "approval.malformed"),
    "an approval twice": ([1, [GOOD, GOOD], []], "approval.malformed"),
    "nine approvals": ([1, NINE, []], "approval.malformed"),
    "a step that is none": ([1, [], [0]], "approval.malformed"),
    "a step twice": ([1, [], [STEP, STEP]], "approval.malformed"),
    "five steps": ([1, [], FIVE], "approval.malformed"),
    "a step whose document is none": ([1, [], [[b"x", []]]], "cbor.truncated"),
}


@pytest.mark.parametrize("name", BESIDE)
def test_what_are_no_approvals_beside_a_document_is_refused(name: str) -> None:
    value, code = BESIDE[name]
    assert refusal(lambda: DocumentApprovals.from_bytes(cbor2.dumps(value, canonical=True))) == code


# Following

FIRST = Document(ALICE.public_key, SEQ, approvers=approvers(ONE))
SECOND = Document(ALICE.public_key, SEQ + 1, FIRST.hash, approvers=approvers(ONE))
HANDED_OVER = Document(ALICE.public_key, SEQ + 2, SECOND.hash, approvers=approvers(TWO))
THIRD = Document(ALICE.public_key, SEQ + 3, HANDED_OVER.hash, approvers=approvers(TWO))
LIFTED = Document(ALICE.public_key, SEQ + 4, THIRD.hash)
LATER = Document(ALICE.public_key, SEQ + 5, LIFTED.hash, profile={"name": "A"})


def beside(document: Document, *keys: SoftKey, steps: tuple[Step, ...] = ()) -> DocumentApprovals:
    return DocumentApprovals(in_order(key.approve(document) for key in keys), steps)


def chain() -> dict[int, tuple[Document, DocumentApprovals | None]]:
    """Return documents by seq and what goes beside each, as its owner makes it, one after the other."""
    made: dict[int, tuple[Document, DocumentApprovals | None]] = {FIRST.seq: (FIRST, None)}
    before = FIRST
    for document, keys in ((SECOND, (ONE,)), (HANDED_OVER, (ONE,)), (THIRD, (TWO,)), (LIFTED, (TWO,)), (LATER, ())):
        approvals = tuple(key.approve(document) for key in keys)
        made[document.seq] = document, approvals_for(before, made[before.seq][1], document, approvals)
        before = document
    return made


CHAIN = chain()


@pytest.mark.parametrize("known", [None, *CHAIN])
def test_whoever_has_seen_any_of_them_can_follow_to_any_later_one(known: int | None) -> None:
    for seq, (document, offered) in CHAIN.items():
        if known is None or known <= seq:
            check_follows(CHAIN[known][0] if known else None, document, offered)


@pytest.mark.parametrize("document", [SECOND, HANDED_OVER, THIRD, LIFTED, LATER])
def test_nobody_follows_without_what_is_beside(document: Document) -> None:
    assert refusal(lambda: check_follows(FIRST, document, None)) == "approval.missing"
    assert refusal(lambda: check_follows(FIRST, document, DocumentApprovals(()))) == "approval.missing"


def test_newcomers_and_those_who_saw_no_approvers_follow_the_root_alone() -> None:
    check_follows(None, THIRD, None)
    check_follows(Document(ALICE.public_key, SEQ - 1), THIRD, None)


def test_the_approvers_of_the_new_document_do_not_approve_it() -> None:
    """Whoever has the root key can name approvers of their own."""
    stolen = Document(ALICE.public_key, SEQ + 9, approvers=approvers(TWO))
    assert refusal(lambda: check_follows(FIRST, stolen, beside(stolen, TWO))) == "approval.missing"


def step(document: Document) -> Step:
    return Step(document, (ONE.approve(document),))


FORGED_STEPS: dict[str, Step] = {
    "approved by the new approvers": Step(HANDED_OVER, (TWO.approve(HANDED_OVER),)),
    "not approved": Step(HANDED_OVER, ()),
    "approved as another document": Step(HANDED_OVER, (ONE.approve(SECOND),)),
    "older than what is known": step(replace(HANDED_OVER, seq=SEQ - 1)),
    "newer than what is offered": step(replace(HANDED_OVER, seq=SEQ + 8)),
    "another identity's": step(replace(HANDED_OVER, identity=BOB.public_key)),
}  # fmt: skip


@pytest.mark.parametrize("name", FORGED_STEPS)
def test_a_step_that_is_not_one_leads_nowhere(name: str) -> None:
    offered = beside(THIRD, TWO, steps=(FORGED_STEPS[name],))
    assert refusal(lambda: check_follows(FIRST, THIRD, offered)) == "approval.missing"


def test_a_step_back_in_time_cannot_be_replayed() -> None:
    """One handed over to two, two handed back to one: whoever has two's key now gains nothing with the old step."""
    back = Document(ALICE.public_key, SEQ + 6, approvers=approvers(ONE))
    stolen = Document(ALICE.public_key, SEQ + 9, approvers=approvers(TWO))
    replayed = beside(stolen, TWO, steps=(Step(HANDED_OVER, (ONE.approve(HANDED_OVER),)),))
    assert refusal(lambda: check_follows(back, stolen, replayed)) == "approval.missing"


def test_steps_that_do_not_fit_are_left_out_oldest_first() -> None:
    before, kept = FIRST, None
    for number in range(1, 12):
        keys = (ONE, TWO)[number % 2], (ONE, TWO)[(number + 1) % 2]
        document = Document(ALICE.public_key, SEQ + number, approvers=approvers(keys[1]), profile={"name": "x" * 1000})
        kept = approvals_for(before, kept, document, (keys[0].approve(document),))
        before = document
    assert kept is not None
    assert len(kept.steps) <= 4
    assert kept.steps[-1].document == before
    assert len(kept.to_bytes()) <= MAX_APPROVALS_BYTES
    assert DocumentApprovals.from_bytes(kept.to_bytes()) == kept


@pytest.mark.parametrize("case", load("approval.json"), ids=name)
def test_vectors_that_are_followed(case: dict[str, Any]) -> None:
    check_follows(*_vector(case))


@pytest.mark.parametrize("case", load("approval.json", "invalid"), ids=name)
def test_vectors_that_are_refused(case: dict[str, Any]) -> None:
    assert refusal(lambda: check_follows(*_vector(case))) == case["error"]


def _vector(case: dict[str, Any]) -> tuple[Document, Document, DocumentApprovals | None]:
    known, document = (Document.from_bare_bytes(bytes.fromhex(case[part])) for part in ("known", "document"))
    offered = DocumentApprovals.from_bytes(bytes.fromhex(case["beside"])) if case["beside"] is not None else None
    return known, document, offered


def test_one_change_of_approvers_is_told_from_another() -> None:
    assert change_of(FIRST, SECOND) is None
    changes = {change_of(FIRST, HANDED_OVER), change_of(FIRST, LIFTED), change_of(THIRD, LIFTED)}
    assert len(changes) == 3
    assert None not in changes


@given(st.lists(st.sampled_from(KEYS), max_size=3, unique=True), st.integers(1, 3), st.binary(max_size=8))
def test_as_many_keys_as_the_threshold_approve_and_fewer_do_not(
    signing: list[SoftKey], threshold: int, name: bytes
) -> None:
    known = Document(ALICE.public_key, SEQ, approvers=approvers(*KEYS, threshold=threshold))
    document = Document(ALICE.public_key, SEQ + 1, known.hash, bindings=(digest(name.hex()),))
    offered = beside(document, *signing)
    assert DocumentApprovals.from_bytes(offered.to_bytes()) == offered
    if len(signing) >= threshold:
        check_follows(known, document, offered)
    else:
        assert refusal(lambda: check_follows(known, document, offered)) == "approval.missing"
