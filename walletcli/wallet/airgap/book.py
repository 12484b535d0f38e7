"""What a wallet remembers of requests: those that it made, and those that it answered. A drawer of the vault.

Programs of the user can write drawers, so what is read here is believed no more than a file.

Spec: docs/spec/request.md, "Drawer requests".
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from walletcli.core import cbor
from walletcli.core.request_file import ID_BYTES, MAX_FILE_BYTES, MAX_ITEMS, RequestFile
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
class Closed:
    """A request that was made here and has ended.

    Attributes:
        request_id: 16 bytes.
        digest: 32 bytes.
        day: when it ended, days since 1970-01-01.
        cancelled: by its owner; otherwise its answer was applied.
    """

    request_id: bytes
    digest: bytes
    day: int
    cancelled: bool

    def to_row(self) -> list[object]:
        """Return the list of the CDDL."""
        return [self.request_id, self.digest, self.day, int(self.cancelled)]

    @classmethod
    def from_row(cls, value: object) -> Closed:
        """Read the list of the CDDL."""
        row = Fields.of_row(value, _WHAT)
        closed = cls(row.raw(0, ID_BYTES), row.raw(1, DIGEST_BYTES), row.integer(2), bool(row.integer(3, high=1)))
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

    Raises:
        FormatError: ``request-book.malformed``.
    """

    waiting: tuple[Waiting, ...] = ()
    closed: tuple[Closed, ...] = ()
    answered: tuple[Answered, ...] = ()

    def __post_init__(self) -> None:
        ids = [item.request.request_id for item in self.waiting]
        digests = [item.digest for item in self.answered]
        if len(set(ids)) < len(ids) or len(set(digests)) < len(digests):
            raise _wrong("a request stands there twice")
        if len(ids) > MAX_WAITING or len(self.closed) > MAX_CLOSED or len(digests) > MAX_ANSWERED:
            raise _wrong("too many requests")

    def to_bytes(self) -> bytes:
        """Encode the drawer."""
        waiting, closed = [item.to_row() for item in self.waiting], [item.to_row() for item in self.closed]
        return cbor.encode({1: VERSION, 2: waiting, 3: closed, 4: [item.to_row() for item in self.answered]})

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

    def closing(self, request_id: bytes, day: int, *, cancelled: bool) -> RequestBook:
        """Return the book after a request that waited has ended; `day` in days since 1970-01-01."""
        ended = [item for item in self.waiting if item.request.request_id == request_id]
        closed = [*self.closed, *(Closed(request_id, item.request.digest, day, cancelled) for item in ended)]
        left = tuple(item for item in self.waiting if item.request.request_id != request_id)
        return replace(self, waiting=left, closed=tuple(closed[-MAX_CLOSED:]))

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


def drawer_hash(data: bytes | None) -> bytes | None:
    """Return what `PutDrawer` wants to know of the content before: its SHA-256, or None."""
    return hashlib.sha256(data).digest() if data is not None else None


def _wrong(why: str) -> FormatError:
    return FormatError(f"{_WHAT}.malformed", f"malformed {_WHAT}: {why}")
