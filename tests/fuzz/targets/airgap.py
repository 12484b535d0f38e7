"""What crosses an air gap: requests and responses."""

from __future__ import annotations

from dataclasses import replace

from tests.core.approving import ONE, TWO, approvers
from tests.core.samples import ALICE, DAY, digest
from tests.fuzz.target import Target
from tests.vectors import cases_request as cases
from walletcli.core import cbor
from walletcli.core.approval import Subject, in_order
from walletcli.core.approval_file import ApprovalFile, Offer
from walletcli.core.approver_items import ApproveItem, AskedKey, OfferItem
from walletcli.core.cose import Sign1
from walletcli.core.document import Document
from walletcli.core.packet import SignedPacket
from walletcli.core.record import Record, packet_value
from walletcli.core.request_file import RequestFile, digest_words
from walletcli.core.response import Response, ResponseFile, verify_response
from walletcli.errors import WalletError
from walletcli.wallet.airgap.book import Answered, Closed, Context, End, RequestBook, Waiting


def check_request(data: bytes) -> bool:
    """One encoding per request; its digest has words."""
    try:
        request = RequestFile.from_bytes(data)
    except WalletError:
        return False
    assert request.to_bytes() == data
    assert len(digest_words(request.digest)) == 8
    return True


def check_response(data: bytes) -> bool:
    """A response that anybody could have signed verifies when its identity signs it."""
    try:
        response = Response.from_payload(data)
    except WalletError:
        return False
    assert response.to_payload() == data
    if response.identity == ALICE.public_key:
        assert verify_response(Sign1.sign(ALICE, Response.TYP, data).to_bytes()) == response
    return True


def check_response_file(data: bytes) -> bool:
    """One encoding per response file."""
    try:
        file = ResponseFile.from_bytes(data)
    except WalletError:
        return False
    assert file.to_bytes() == data
    return True


def _responses() -> list[bytes]:
    fields = (cases.response_fields(), cases.made(), cases.made(_5=32))
    return [cbor.encode(item) for item in fields]


def check_request_book(data: bytes) -> bool:
    """One encoding per book; what it holds of answers is verified before it is given out."""
    try:
        book = RequestBook.from_bytes(data)
    except WalletError:
        return False
    assert book.to_bytes() == data
    for answer in book.answered:
        book.answer_to(answer.digest)
    return True


def _books() -> list[bytes]:
    request = RequestFile.from_bytes(cases.request(cases.create(), cases.sign()))
    waiting = Waiting(request, (Context(), Context(bytes(32), ("https://relay.example",))))
    signed = cases.signed(cases.response_fields())
    answer = Answered(digest("request"), cases.ID, DAY, DAY + 14, (signed,))
    closed = Closed(bytes(16), bytes(32), DAY, End.CANCELLED)
    return [RequestBook().to_bytes(), RequestBook((waiting,), (closed,), (answer,)).to_bytes()]


def check_approval_file(data: bytes) -> bool:
    """One encoding per approval file."""
    try:
        file = ApprovalFile.from_bytes(data)
    except WalletError:
        return False
    assert file.to_bytes() == data
    return True


def _asked() -> list[bytes]:
    """Return what approvers are asked: of a document, and for a key."""
    document = replace(LAST, seq=LAST.seq + 1, previous=LAST.hash)
    keys = tuple(AskedKey(item.public_key, b"credential") for item in GROUP.approvers)
    record = Record.verified(SignedPacket.sign(ALICE, LAST.seq, packet_value(LAST)), LAST.to_bytes())
    items = (ApproveItem(ALICE.public_key, record, document, None, keys), OfferItem(ALICE.public_key, verify=True))
    return [RequestFile(cases.ID, DAY, DAY + 14, (item,)).to_bytes() for item in items]


def _approval_files() -> list[bytes]:
    subject = Subject.of_document(LAST)
    approvals = in_order([ONE.agree(subject), TWO.agree(subject)])
    offer = Offer(ONE.approver, b"credential", ONE.agree(subject))
    files = (ApprovalFile(cases.ID, bytes(32), approvals), ApprovalFile(cases.ID, bytes(32), offer=offer))
    return [file.to_bytes() for file in files]


GROUP = approvers(ONE, TWO)
LAST = Document(ALICE.public_key, 1_764_000_000_000_000, approvers=GROUP)

TARGETS = [
    Target("approval-file", check_approval_file, _approval_files),
    Target("request-for-approvers", check_request, _asked, 8192),
    Target("request-book", check_request_book, _books, 8192),
    Target(
        "request-file",
        check_request,
        lambda: [
            cases.request(cases.publish(), cases.create(), cases.sign()),
            cases.request(cases.enrol(), _3=DAY + 90),
            cases.request(cases.enrol(_2=7)),
        ],
        8192,
    ),
    Target("response", check_response, _responses),
    Target(
        "response-file",
        check_response_file,
        lambda: [
            cases.response(cases.signed(cases.response_fields())),
            cases.response(cases.signed(cases.response_fields()), cases.signed(cases.made(_5=3))),
        ],
        8192,
    ),
]
