"""What approvers are asked and give back: one encoding, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.core.approving import ONE, TWO, approvers
from tests.core.samples import ALICE, DAY, key
from walletcli.core import cbor
from walletcli.core.approval import Subject, in_order
from walletcli.core.approval_file import MAGIC, ApprovalFile, Offer, offer_subject
from walletcli.core.approver_items import ApproveItem, AskedKey, OfferItem
from walletcli.core.document import Document
from walletcli.core.packet import SignedPacket
from walletcli.core.record import Record, packet_value
from walletcli.core.request_file import RequestFile
from walletcli.errors import WalletError

ID = bytes(range(16))
LAST = Document(ALICE.public_key, 1_764_000_000_000_000, approvers=approvers(ONE, TWO))
NEXT = replace(LAST, seq=LAST.seq + 1, previous=LAST.hash)
RECORD = Record.verified(SignedPacket.sign(ALICE, LAST.seq, packet_value(LAST)), LAST.to_bytes())
KEYS = tuple(AskedKey(item.public_key, b"credential") for item in approvers(ONE, TWO).approvers)
ASKED = ApproveItem(ALICE.public_key, RECORD, NEXT, None, KEYS)
SUBJECT = Subject.of_document(NEXT)
FILE = ApprovalFile(ID, bytes(32), in_order([ONE.agree(SUBJECT), TWO.agree(SUBJECT)]))
OFFERED = ApprovalFile(ID, bytes(32), offer=Offer(ONE.approver, b"credential", ONE.agree(SUBJECT)))


def refusal(act: Callable[[], object]) -> str:
    with pytest.raises(WalletError) as refused:
        act()
    return refused.value.code


def request_of(*items: object) -> bytes:
    rows: Any = [item if isinstance(item, list) else item.to_row() for item in items]  # type: ignore[attr-defined]
    return b"walletcli request 1\n" + cbor.encode({1: ID, 2: DAY, 3: DAY + 14, 4: rows})


@pytest.mark.parametrize("file", [FILE, OFFERED], ids=["approvals", "offer"])
def test_what_is_written_is_read(file: ApprovalFile) -> None:
    assert ApprovalFile.from_bytes(file.to_bytes()) == file


@pytest.mark.parametrize("item", [ASKED, OfferItem(ALICE.public_key, verify=False)], ids=["approve", "offer"])
def test_what_is_asked_is_read_in_a_request(item: ApproveItem | OfferItem) -> None:
    assert RequestFile.from_bytes(request_of(item)).items == (item,)


def body(*parts: Any) -> bytes:
    return MAGIC + cbor.encode(list(parts))


OFFER = {1: ONE.approver.to_cbor(), 2: b"credential", 3: ONE.agree(SUBJECT).to_cbor()}
BOTH = [approval.to_cbor() for approval in FILE.approvals]

BAD_FILES = [
    (b"", "approval-file.file"),
    (b"walletcli approval 2\n" + FILE.to_bytes()[len(MAGIC) :], "approval-file.file"),
    (FILE.to_bytes() + b"\0", "cbor.trailing"),
    (MAGIC + bytes(16_384), "approval-file.file"),
    (MAGIC + cbor.encode({1: 2}), "approval-file.malformed"),
    (body(ID, bytes(32)), "approval-file.malformed"),
    (body(ID[1:], bytes(32), BOTH), "approval-file.malformed"),
    (body(ID, bytes(31), BOTH), "approval-file.malformed"),
    (body(ID, bytes(32), []), "approval-file.malformed"),
    (body(ID, bytes(32), BOTH[::-1]), "approval.malformed"),
    (body(ID, bytes(32), [BOTH[0], BOTH[0]]), "approval.malformed"),
    (body(ID, bytes(32), [0]), "approval.malformed"),
    (body(ID, bytes(32), {}), "approval-file.malformed"),
    (body(ID, bytes(32), {**OFFER, 4: 0}), "approval-file.malformed"),
    (body(ID, bytes(32), {**OFFER, 2: b""}), "approval-file.malformed"),
    (body(ID, bytes(32), {**OFFER, 2: bytes(1024)}), "approval-file.malformed"),
    (body(ID, bytes(32), {**OFFER, 1: {}}), "document.malformed"),
    (body(ID, bytes(32), {**OFFER, 3: []}), "approval.malformed"),
]


@pytest.mark.parametrize(("data", "code"), BAD_FILES, ids=range(len(BAD_FILES)))
def test_another_file_is_refused(data: bytes, code: str) -> None:
    found = refusal(lambda: ApprovalFile.from_bytes(data))
    assert found == code or (code == "document.malformed" and found.startswith("document."))


ROW = ASKED.to_row()
NO_APPROVERS = Document(ALICE.public_key, 5)
BARE_RECORD = Record.verified(SignedPacket.sign(ALICE, 5, packet_value(NO_APPROVERS)), NO_APPROVERS.to_bytes())
STRANGER = Document(key("stranger").public_key, 9)


def row(**changes: Any) -> list[Any]:
    return [changes.get(f"_{number}", part) for number, part in enumerate(ROW)]


BAD_REQUESTS = [
    ((row(), row()), "request.malformed"),
    ((row(), [6, ALICE.public_key, True]), "request.malformed"),
    ((row(_1=key("stranger").public_key),), "request.record"),
    ((row(_2=BARE_RECORD.to_bytes()),), "request.malformed"),
    ((row(_4=STRANGER.to_bare_bytes()),), "request.record"),
    ((row(_3=3),), "request.malformed"),
    ((row(_3=2),), "cbor"),
    ((row(_4=0),), "request.malformed"),
    ((row(_5=[]),), "request.malformed"),
    ((row(_5=[ROW[5][0]] * 2),), "request.malformed"),  # type: ignore[index]
    ((row(_5=[[bytes(32), b"x"]]),), "request.malformed"),
    ((row(_5=[[KEYS[0].public_key, b""]]),), "request.malformed"),
    ((row(_5=[[KEYS[0].public_key, bytes(1024)]]),), "request.malformed"),
    (([6, ALICE.public_key, 1],), "request.malformed"),
    (([6, bytes(31), True],), "request.malformed"),
    (([7, ALICE.public_key, True],), "request.malformed"),
]


@pytest.mark.parametrize(("items", "code"), BAD_REQUESTS, ids=range(len(BAD_REQUESTS)))
def test_another_request_is_refused(items: tuple[list[Any], ...], code: str) -> None:
    found = refusal(lambda: RequestFile.from_bytes(request_of(*items)))
    assert found == code or (code == "cbor" and found.split(".")[0] in ("cbor", "cose"))


def test_what_an_offered_key_approves_is_of_that_key_and_that_request_alone() -> None:
    one = offer_subject(ALICE.public_key, bytes(32), ONE.approver)
    others = [
        offer_subject(ALICE.public_key, bytes(32), TWO.approver),
        offer_subject(ALICE.public_key, b"\1" * 32, ONE.approver),
        offer_subject(key("stranger").public_key, bytes(32), ONE.approver),
    ]
    hashes = {subject.client_data_hash for subject in (one, *others)}
    assert len(hashes) == 4
