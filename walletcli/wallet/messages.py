"""What is said over the agent's socket: typed requests, answers, and the frames around them.

A frame is a length (4 bytes, big-endian) and that many bytes of deterministic CBOR. Light: this is on the way of every
command while the wallet is unlocked.

Spec: docs/spec/agent.md.
"""

from __future__ import annotations

from dataclasses import dataclass

from walletcli import errors
from walletcli.core import cbor
from walletcli.errors import FormatError, WalletError
from walletcli.wallet.changes import Change, from_row, to_row
from walletcli.wallet.fields import Fields
from walletcli.wallet.view import MAX_INDEX

VERSION = 1
"""Version of the protocol; first field of every request."""

HEADER_BYTES = 4
"""Length of a frame's length."""

MAX_REQUEST_BYTES = 160_000
"""Longest request: a document, or a record, and its surroundings."""

MAX_ANSWER_BYTES = 256 << 20
"""Longest answer: the public half of a large wallet."""

MAX_KEYS = 10_000
"""Most public keys in one answer."""

_WHAT = "agent-request"


@dataclass(frozen=True, slots=True)
class GetStatus:
    """Ask how the agent is."""


@dataclass(frozen=True, slots=True)
class GetFacts:
    """Ask for the wallet in one line."""


@dataclass(frozen=True, slots=True)
class GetSummaries:
    """Ask for the list of identities."""


@dataclass(frozen=True, slots=True)
class GetView:
    """Ask for the public half of the wallet."""


@dataclass(frozen=True, slots=True)
class DeriveSummaries:
    """Ask what `count` identities from index `start` on the seed gives, held or not."""

    start: int
    count: int


@dataclass(frozen=True, slots=True)
class Sign:
    """Ask for a document's packet to be signed, and the record to be kept.

    Attributes:
        index: identity index.
        document: the new document.
        generation: the vault generation from which the document was made; at another one the request is refused.
    """

    index: int
    document: bytes
    generation: int


@dataclass(frozen=True, slots=True)
class Apply:
    """Ask for a change."""

    change: Change


@dataclass(frozen=True, slots=True)
class Unseal:
    """Ask for what a sealed section of an identity's own document says."""

    index: int
    sealed: bytes
    context: bytes


@dataclass(frozen=True, slots=True)
class Lock:
    """Ask the agent to forget everything and end."""


Request = GetStatus | GetFacts | GetSummaries | GetView | DeriveSummaries | Sign | Apply | Unseal | Lock


def encode_request(request: Request) -> bytes:
    """Return the frame's content for `request`."""
    return cbor.encode([VERSION, *_request_row(request)])


def _request_row(request: Request) -> list[object]:
    match request:
        case GetStatus():
            return [1]
        case GetFacts():
            return [2]
        case GetSummaries():
            return [3]
        case GetView():
            return [4]
        case DeriveSummaries():
            return [5, request.start, request.count]
        case Sign():
            return [6, request.index, request.document, request.generation]
        case Apply():
            return [7, to_row(request.change)]
        case Unseal():
            return [8, request.index, request.sealed, request.context]
        case Lock():
            return [9]


def decode_request(data: bytes) -> Request:
    """Read a frame's content.

    Raises:
        FormatError: ``agent-request.*`` or ``cbor.*``.
    """
    row = Fields.of_row(cbor.decode(data, MAX_REQUEST_BYTES), _WHAT)
    if row.integer(0) != VERSION:
        raise FormatError(
            f"{_WHAT}.version", "the agent speaks another version of its protocol", "lock and unlock the wallet"
        )
    request = _request(row.integer(1), row)
    row.end()
    return request


def _request(kind: int, row: Fields) -> Request:
    match kind:
        case 1:
            return GetStatus()
        case 2:
            return GetFacts()
        case 3:
            return GetSummaries()
        case 4:
            return GetView()
        case 5:
            return DeriveSummaries(row.integer(2, high=MAX_INDEX), row.integer(3, 1, MAX_KEYS))
        case 6:
            return Sign(row.integer(2, high=MAX_INDEX), row.raw(3, max_bytes=1 << 16), row.integer(4))
        case 7:
            return Apply(from_row(row.items(2)))
        case 8:
            return Unseal(row.integer(2, high=MAX_INDEX), row.raw(3, max_bytes=1 << 16), row.raw(4, max_bytes=256))
        case 9:
            return Lock()
        case _:
            raise FormatError(
                f"{_WHAT}.unknown", f"unknown request {kind}", "lock and unlock the wallet: the agent may be older"
            )


def encode_answer(value: object) -> bytes:
    """Return the content of a frame that answers with `value`."""
    return cbor.encode([True, value])


def encode_error(error: WalletError) -> bytes:
    """Return the content of a frame that answers with an error."""
    return cbor.encode([False, type(error).__name__, error.code, error.message, error.hint])


def decode_answer(data: bytes) -> object:
    """Return the value that was answered, or raise the error that was.

    Raises:
        WalletError: the agent's, of its own family.
        FormatError: ``agent-answer.malformed`` or ``cbor.*``.
    """
    answer = cbor.decode(data, MAX_ANSWER_BYTES)
    if isinstance(answer, list) and len(answer) == 2 and answer[0] is True:
        return answer[1]
    row = Fields.of_row(answer, "agent-answer")
    row.flag(0)
    family = getattr(errors, row.text(1), None)
    if not isinstance(family, type) or not issubclass(family, WalletError):
        family = WalletError
    raise family(row.text(2), row.text(3), row.text(4))


def frame(content: bytes) -> bytes:
    """Put the length before `content`."""
    return len(content).to_bytes(HEADER_BYTES, "big") + content
