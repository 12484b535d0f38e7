"""What a wallet remembers of requests: one encoding, within limits, believed no more than a file."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from tests.core.approving import ONE
from tests.core.samples import DAY, digest
from tests.vectors.cases_request import create, made, request, response_fields, sign, signed
from tests.wallet.airgap.parts import Machines, here, refusal
from walletcli.core import cbor
from walletcli.core.approval import Subject
from walletcli.core.request_file import RequestFile
from walletcli.errors import WalletError
from walletcli.wallet.airgap.book import Answered, Closed, Context, End, RequestBook, Waiting
from walletcli.wallet.airgap.making import NewIdentity, Wish
from walletcli.wallet.state.changes import PutDrawer

ID = bytes(range(16))
REQUEST = RequestFile.from_bytes(request(create(), sign()))
WAITING = Waiting(REQUEST, (Context(), Context(bytes(32), ("https://relay.example",))))
ANSWER = Answered(digest("request"), ID, DAY, DAY + 14, (signed(response_fields()), signed(made(_5=2))))
APPROVAL = ONE.agree(Subject.rehearsal(bytes(32), bytes(32)))
BOOK = RequestBook((WAITING,), (Closed(bytes(16), bytes(32), DAY, End.CANCELLED),), (ANSWER,))


def fields(**changes: Any) -> bytes:
    value = cbor.decode(BOOK.to_bytes(), 1 << 20)
    assert isinstance(value, dict)
    merged = {**value, **{int(name[1:]): item for name, item in changes.items()}}
    return cbor.encode({number: item for number, item in merged.items() if item is not ...})


def test_what_is_written_is_read() -> None:
    assert RequestBook.from_bytes(BOOK.to_bytes()) == BOOK
    assert RequestBook.from_bytes(RequestBook().to_bytes()) == RequestBook() == RequestBook.from_bytes(None)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "cbor.truncated"),
        (fields(_1=2), "request-book.unknown-version"),
        (fields(_1=...), "request-book.malformed"),
        (fields(_6=0), "request-book.malformed"),
        (fields(_5=0), "request-book.malformed"),
        (fields(_5=[]), "request-book.malformed"),
        (fields(_5=[[bytes(31), []]]), "request-book.malformed"),
        (fields(_5=[[bytes(32), [], 0]]), "request-book.malformed"),
        (fields(_5=[[bytes(32), []]]), "request-book.malformed"),
        (fields(_5=[[bytes(32), [0]]]), "approval.malformed"),
        (fields(_5=[[bytes(32), [APPROVAL.to_cbor()]]] * 2), "request-book.malformed"),
        (fields(_2=...), "request-book.malformed"),
        (fields(_2=[[REQUEST.to_bytes(), []]]), "request-book.malformed"),
        (fields(_2=[[REQUEST.to_bytes(), [[None, []]]]]), "request-book.malformed"),
        (fields(_2=[WAITING.to_row(), WAITING.to_row()]), "request-book.malformed"),
        (fields(_2=[[b"x", [[None, []]]]]), "request.file"),
        (fields(_2=[[REQUEST.to_bytes(), [[bytes(31), []]] * 2]]), "request-book.malformed"),
        (fields(_2=[[REQUEST.to_bytes(), [[None, [5]]] * 2]]), "request-book.malformed"),
        (fields(_3=[[bytes(15), bytes(32), DAY, 0]]), "request-book.malformed"),
        (fields(_3=[[bytes(16), bytes(32), DAY, 3]]), "request-book.malformed"),
        (fields(_3=[[bytes(16), bytes(32), DAY, 1]] * 257), "request-book.malformed"),
        (fields(_4=[[bytes(32), ID, DAY, DAY, []]]), "request-book.malformed"),
        (fields(_4=[ANSWER.to_row(), ANSWER.to_row()]), "request-book.malformed"),
        (fields(_4=[[bytes([n]) * 32, ID, DAY, DAY, [b""]] for n in range(129)]), "request-book.malformed"),
        (fields(_4=[[bytes(32), ID, DAY, DAY, [bytes(82_885)]]]), "request-book.malformed"),
    ],
)
def test_what_is_not_of_this_form_is_refused(data: bytes, code: str) -> None:
    with pytest.raises(WalletError) as refused:
        RequestBook.from_bytes(data)
    assert refused.value.code == code


def test_an_answer_is_given_again_only_if_it_is_one() -> None:
    assert BOOK.answer_to(digest("request")) is not None
    assert BOOK.answer_to(bytes(32)) is None
    for spoiled in (
        Answered(bytes(32), ID, DAY, DAY + 1, ANSWER.signed),
        Answered(digest("request"), bytes(16), DAY, DAY + 1, ANSWER.signed),
        Answered(digest("request"), ID, DAY, DAY + 1, (ANSWER.signed[0][:-1] + b"\0",)),
        Answered(digest("request"), ID, DAY, DAY + 1, (b"nonsense",)),
    ):
        assert RequestBook(answered=(spoiled,)).answer_to(spoiled.digest) is None


def test_old_answers_make_room_and_expired_ones_go_first() -> None:
    book = RequestBook()
    for number in range(128):
        expires = DAY + 1 if number == 60 else DAY + 90
        book = book.with_answer(Answered(bytes([number]) * 32, ID, DAY, expires, ANSWER.signed), DAY)
    book = book.with_answer(Answered(b"\xff" * 32, ID, DAY, DAY + 90, ANSWER.signed), DAY + 1)
    digests = [item.digest for item in book.answered]
    assert len(digests) == 128
    assert bytes([60]) * 32 not in digests
    assert bytes(32) in digests
    book = book.with_answer(Answered(b"\xfe" * 32, ID, DAY, DAY + 90, ANSWER.signed), DAY + 1)
    assert bytes(32) not in [item.digest for item in book.answered]


def test_large_answers_make_room_sooner() -> None:
    book = RequestBook()
    for number in range(100):
        book = book.with_answer(Answered(bytes([number]) * 32, ID, DAY, DAY + 9, (bytes(66_000),) * 3), DAY)
    assert len(book.answered) == 31
    assert book.answered[-1].digest == bytes([99]) * 32


def test_an_answer_takes_the_place_of_the_one_before() -> None:
    book = BOOK.with_answer(Answered(ANSWER.digest, ID, DAY, DAY + 1, ANSWER.signed[:1]), DAY)
    assert len(book.answered) == 1
    assert book.answered[0].signed == ANSWER.signed[:1]


def test_ended_requests_are_forgotten_after_some_hundreds() -> None:
    book = RequestBook(closed=tuple(Closed(bytes(16), bytes(32), DAY, End.APPLIED) for _ in range(256)))
    book = RequestBook((WAITING,), book.closed).closing(REQUEST.request_id, DAY + 1, End.CANCELLED)
    assert (len(book.closed), book.closed[-1].day, book.waiting) == (256, DAY + 1, ())


def test_a_drawer_that_cannot_be_read_is_an_error_and_signs_nothing(alice: Machines) -> None:
    path = alice.ask(Wish(new=(NewIdentity("b"),))).path
    with here(alice.cold) as session:
        before = session.drawer(None, "requests") or b""
        session.put_drawers(PutDrawer(None, "requests", b"\x00", hashlib.sha256(before).digest()))
    assert refusal(lambda: alice.approve(path)).code == "request-book.malformed"
    assert Path(path).exists()
