"""What a wallet remembers of requests: those that it made, and those that it answered. A drawer of the vault.

Programs of the user can write drawers, so what is read here is believed no more than a file.

Spec: docs/spec/request.md, "Drawer requests".
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import IntEnum

from walletcli.core import cbor
from walletcli.core.approval import Approval, in_order, read_approvals
from walletcli.core.approver_items import ApproveItem
from walletcli.core.cbor import Value
from walletcli.core.request_file import ID_BYTES, MAX_FILE_BYTES, MAX_ITEMS, RequestFile
from walletcli.core.request_items import PublishItem
from walletcli.core.response import DIGEST_BYTES, MAX_RESPONSE_BYTES, ResponseFile
from walletcli.errors import FormatError, InputError, WalletError
from walletcli.wallet.state.fields import Fields
from walletcli.wallet.state.view import MAX_DRAWER_BYTES

DRAWER = "requests"
"""Name of the drawer; the wallet's own."""

VERSION = 1
"""Version of the format."""

MAX_WAITING = 16
"""Most requests that wait for an answer."""

MAX_WAITING_BYTES = 24 << 20
"""Most bytes of requests that wait."""

MAX_CLOSED = 256
"""Most requests that are remembered after their end."""

MAX_ANSWERED = 128
"""Most answers that are kept."""

MAX_ANSWERED_BYTES = 6 << 20
"""Most bytes of answers that are kept."""

_WHAT = "request-book"


@dataclass(frozen=True, slots=True)
class Context:
    """What belongs to an item that waits, and does not travel.

    Attributes:
        decisions: hash of what the owner had decided when the item was made (32 bytes), or None.
        asked: relays that were asked about the identity.
    """

    decisions: bytes | None = None
    asked: tuple[str, ...] = ()

    def to_row(self) -> list[object]:
        """Return the list of the CDDL."""
        return [self.decisions, list(self.asked)]

    @classmethod
    def from_row(cls, value: object) -> Context:
        """Read the list of the CDDL."""
        row = Fields.of_row(value, _WHAT)
        context = cls(row.optional_raw(0, 32), row.texts(1))
        row.end()
        return context


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request that was made here and waits for its answer.

    Attributes:
        request: as it was written.
        contexts: one for each item.

    Raises:
        FormatError: ``request-book.malformed``.
    """

    request: RequestFile
    contexts: tuple[Context, ...]

    def __post_init__(self) -> None:
        if len(self.contexts) != len(self.request.items):
            raise _wrong("a request and its contexts do not match")

    @property
    def to_approve(self) -> Iterator[bytes]:
        """The digests (32 bytes) of what approvers approve of it."""
        for item in self.request.items:
            if isinstance(item, PublishItem):
                yield item.document.hash
            elif isinstance(item, ApproveItem):
                yield item.subject.digest

    def to_row(self) -> list[object]:
        """Return the list of the CDDL."""
        return [self.request.to_bytes(), [context.to_row() for context in self.contexts]]

    @classmethod
    def from_row(cls, value: object) -> Waiting:
        """Read the list of the CDDL."""
        row = Fields.of_row(value, _WHAT)
        request = RequestFile.from_bytes(row.raw(0, max_bytes=MAX_FILE_BYTES))
        waiting = cls(request, tuple(map(Context.from_row, row.items(1))))
        row.end()
        return waiting


@dataclass(frozen=True, slots=True)
class Gathered:
    """What was approved so far of a document or an export that waits.

    Attributes:
        digest: of what is approved, 32 bytes.
        approvals: of it, ascending by key; as they came, checked by whoever uses them.
    """

    digest: bytes
    approvals: tuple[Approval, ...]

    def to_row(self) -> list[object]:
        """Return the list of the CDDL."""
        return [self.digest, [approval.to_cbor() for approval in self.approvals]]

    @classmethod
    def from_row(cls, value: object) -> Gathered:
        """Read the list of the CDDL."""
        row = Fields.of_row(value, _WHAT)
        rows: list[Value] = row.items(1)  # type: ignore[assignment]  # decoded from CBOR
        gathered = cls(row.raw(0, DIGEST_BYTES), read_approvals(rows))
        row.end()
        if not gathered.approvals:
            raise _wrong("nothing was approved")
        return gathered


class End(IntEnum):
    """How a request ended."""

    APPLIED = 0
    CANCELLED = 1
    SUPERSEDED = 2


@dataclass(frozen=True, slots=True)
class Closed:
    """A request that was made here and has ended.

    Attributes:
        request_id: 16 bytes.
        digest: 32 bytes.
        day: when it ended, days since 1970-01-01.
        end: its answer was applied, its owner has cancelled it, or something else was signed or decided since.
    """

    request_id: bytes
    digest: bytes
    day: int
    end: End

    def to_row(self) -> list[object]:
        """Return the list of the CDDL."""
        return [self.request_id, self.digest, self.day, int(self.end)]

    @classmethod
    def from_row(cls, value: object) -> Closed:
        """Read the list of the CDDL."""
        row = Fields.of_row(value, _WHAT)
        closed = cls(row.raw(0, ID_BYTES), row.raw(1, DIGEST_BYTES), row.integer(2), End(row.integer(3, high=2)))
        row.end()
        return closed


@dataclass(frozen=True, slots=True)
class Answered:
    """A request that was approved here.

    Attributes:
        digest: of the request, 32 bytes.
        request_id: 16 bytes.
        approved_day: days since 1970-01-01.
        expires_day: of the request.
        signed: the signed responses, ascending by item.
    """

    digest: bytes
    request_id: bytes
    approved_day: int
    expires_day: int
    signed: tuple[bytes, ...]

    def to_row(self) -> list[object]:
        """Return the list of the CDDL."""
        return [self.digest, self.request_id, self.approved_day, self.expires_day, list(self.signed)]

    @classmethod
    def from_row(cls, value: object) -> Answered:
        """Read the list of the CDDL."""
        row = Fields.of_row(value, _WHAT)
        digest, request_id = row.raw(0, DIGEST_BYTES), row.raw(1, ID_BYTES)
        answered = cls(digest, request_id, row.integer(2), row.integer(3), row.raws(4, max_bytes=MAX_RESPONSE_BYTES))
        row.end()
        if not 1 <= len(answered.signed) <= MAX_ITEMS:
            raise _wrong("an answer without responses, or with too many")
        return answered

    @property
    def size_bytes(self) -> int:
        """Length of the responses."""
        return sum(map(len, self.signed))

    def file(self) -> ResponseFile | None:
        """Return the response file, verified; None if what stands here is not this wallet's own."""
        try:
            file = ResponseFile.of(self.signed)
        except WalletError:
            return None
        return file if (file.digest, file.request_id) == (self.digest, self.request_id) else None


@dataclass(frozen=True, slots=True)
class RequestBook:
    """All that a wallet remembers of requests; each list has its oldest first.

    Attributes:
        waiting: made here, not answered yet.
        closed: made here, ended.
        answered: approved here.
        gathered: what approvers have approved so far of documents and exports in requests that wait.

    Raises:
        FormatError: ``request-book.malformed``.
    """

    waiting: tuple[Waiting, ...] = ()
    closed: tuple[Closed, ...] = ()
    answered: tuple[Answered, ...] = ()
    gathered: tuple[Gathered, ...] = ()

    def __post_init__(self) -> None:
        ids = [item.request.request_id for item in self.waiting]
        digests = [item.digest for item in self.answered]
        if len(set(ids)) < len(ids) or len(set(digests)) < len(digests):
            raise _wrong("a request stands there twice")
        if len({item.digest for item in self.gathered}) < len(self.gathered):
            raise _wrong("something was approved twice")
        if len(ids) > MAX_WAITING or len(self.closed) > MAX_CLOSED or len(digests) > MAX_ANSWERED:
            raise _wrong("too many requests")

    def to_bytes(self) -> bytes:
        """Encode the drawer."""
        waiting, closed = [item.to_row() for item in self.waiting], [item.to_row() for item in self.closed]
        gathered = {5: [item.to_row() for item in self.gathered]} if self.gathered else {}
        answered = [item.to_row() for item in self.answered]
        return cbor.encode({1: VERSION, 2: waiting, 3: closed, 4: answered, **gathered})

    @classmethod
    def from_bytes(cls, data: bytes | None) -> RequestBook:
        """Decode the drawer; None: it is empty.

        Raises:
            FormatError: ``request-book.malformed``, ``request-book.unknown-version``, ``request.*``, ``cbor.*``.
            VerificationError: as `RequestFile.from_bytes`.
        """
        if data is None:
            return cls()
        fields = Fields(cbor.decode(data, MAX_DRAWER_BYTES), _WHAT)
        if fields.integer(1) != VERSION:
            raise FormatError(
                f"{_WHAT}.unknown-version", "the requests were written by a newer version of walletcli", "update it"
            )
        book = cls(
            tuple(map(Waiting.from_row, fields.items(2))),
            tuple(map(Closed.from_row, fields.items(3))),
            tuple(map(Answered.from_row, fields.items(4))),
            _gathered(fields) if fields.has(5) else (),
        )
        fields.end()
        return book

    def with_waiting(self, waiting: Waiting) -> RequestBook:
        """Return the book with one more request that waits.

        Raises:
            InputError: ``request.too-many``.
        """
        size_bytes = sum(len(item.request.to_bytes()) for item in (*self.waiting, waiting))
        if len(self.waiting) >= MAX_WAITING or size_bytes > MAX_WAITING_BYTES:
            raise InputError(
                "request.too-many",
                "too many requests wait for an answer, or they are too long",
                "apply the answers, or see `walletcli request list` and cancel some",
            )
        return replace(self, waiting=(*self.waiting, waiting))

    def approvals_of(self, digest: bytes) -> tuple[Approval, ...]:
        """Return what was approved so far of what has this digest (32 bytes), if it waits."""
        return next((item.approvals for item in self.gathered if item.digest == digest), ())

    def with_approvals(self, digest: bytes, approvals: tuple[Approval, ...]) -> RequestBook:
        """Return the book with these approvals of what has this digest (32 bytes); of what does not wait, none."""
        others = tuple(item for item in self.gathered if item.digest != digest)
        return replace(self, gathered=(*others, Gathered(digest, in_order(approvals)))).pruned()

    def pruned(self) -> RequestBook:
        """Return the book without approvals of what does not wait any more."""
        wanted = {digest for waiting in self.waiting for digest in waiting.to_approve}
        return replace(self, gathered=tuple(item for item in self.gathered if item.digest in wanted))

    def closing(self, request_id: bytes, day: int, end: End) -> RequestBook:
        """Return the book after a request that waited has ended; `day` in days since 1970-01-01."""
        ended = [item for item in self.waiting if item.request.request_id == request_id]
        closed = [*self.closed, *(Closed(request_id, item.request.digest, day, end) for item in ended)]
        left = tuple(item for item in self.waiting if item.request.request_id != request_id)
        return replace(self, waiting=left, closed=tuple(closed[-MAX_CLOSED:])).pruned()

    def with_answer(self, answer: Answered, today: int) -> RequestBook:
        """Return the book with an answer in the place of an earlier one to the same request.

        Older ones make room, those first that have expired on `today` (days since 1970-01-01).
        """
        others = [item for item in self.answered if item.digest != answer.digest]
        while others and (
            len(others) >= MAX_ANSWERED or sum(item.size_bytes for item in (*others, answer)) > MAX_ANSWERED_BYTES
        ):
            expired = [item for item in others if item.expires_day <= today]
            others.remove((expired or others)[0])
        return replace(self, answered=(*others, answer))

    def answer_to(self, digest: bytes) -> ResponseFile | None:
        """Return what was answered to the request with this digest, if this wallet still has it."""
        found = [item for item in self.answered if item.digest == digest]
        return found[0].file() if found else None


def _gathered(fields: Fields) -> tuple[Gathered, ...]:
    found = tuple(map(Gathered.from_row, fields.items(5)))
    if not found:
        raise _wrong("an empty list of what was approved")
    return found


def drawer_hash(data: bytes | None) -> bytes | None:
    """Return what `PutDrawer` wants to know of the content before: its SHA-256, or None."""
    return hashlib.sha256(data).digest() if data is not None else None


def _wrong(why: str) -> FormatError:
    return FormatError(f"{_WHAT}.malformed", f"malformed {_WHAT}: {why}")
