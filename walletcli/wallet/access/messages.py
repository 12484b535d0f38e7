"""The requests that whoever holds the open vault answers, as typed values.

Spec: docs/spec/agent.md, "Requests".
"""

from __future__ import annotations

from dataclasses import dataclass

from walletcli.core import cbor
from walletcli.core.approvals import MAX_APPROVALS_BYTES
from walletcli.core.bep44 import MAX_SEQ
from walletcli.core.packet import MAX_RELAY_PAYLOAD_BYTES
from walletcli.core.ssh.signable import MAX_SIGNABLE_BYTES
from walletcli.core.wallet_index import CONTENT_BYTES, MAX_SHARDS
from walletcli.errors import FormatError
from walletcli.wallet.access import wire
from walletcli.wallet.state import change_rows, changes
from walletcli.wallet.state.fields import Fields
from walletcli.wallet.state.view import MAX_DRAWER_BYTES, MAX_INDEX

MAX_ITEMS = 32
"""Most items of a request (docs/spec/request.md)."""

MAX_REQUEST_FILE_BYTES = 16 << 20
"""Longest request file."""

MAX_SEALED_BYTES = 48 << 20
"""Longest sealed blob that is opened for somebody: a full drawer, sealed."""

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
        beside: what goes beside the document (docs/spec/approval.md), or None.
    """

    index: int
    document: bytes
    generation: int
    beside: bytes | None = None


@dataclass(frozen=True, slots=True)
class Apply:
    """Ask for a change."""

    change: changes.Change


@dataclass(frozen=True, slots=True)
class Unseal:
    """Ask for what a sealed section of an identity's own document says."""

    index: int
    sealed: bytes
    context: bytes


@dataclass(frozen=True, slots=True)
class GetDrawer:
    """Ask for a drawer; `index` None: the wallet's own."""

    index: int | None
    name: str


@dataclass(frozen=True, slots=True)
class SignStatement:
    """Ask for a statement to be signed.

    Attributes:
        index: identity index.
        typ: type of the statement (docs/spec/cose.md).
        payload: its content.
        by_root: with the root key, where the type allows it; otherwise with this device's key.
    """

    index: int
    typ: str
    payload: bytes
    by_root: bool


@dataclass(frozen=True, slots=True)
class DeriveKeys:
    """Ask for the root public keys of `count` identities from index `start` on, held or not."""

    start: int
    count: int


@dataclass(frozen=True, slots=True)
class UnsealAsRoot:
    """Ask for what is sealed to the recovery recipient of an identity, held or not; no device key is tried."""

    index: int
    sealed: bytes
    context: bytes


@dataclass(frozen=True, slots=True)
class OpenShard:
    """Ask for the public key of a shard of the wallet index, and for what a packet of that key says.

    Attributes:
        number: of the shard.
        payload: the packet as relays give it, or None.
    """

    number: int
    payload: bytes | None


@dataclass(frozen=True, slots=True)
class SignShard:
    """Ask for a shard of the wallet index to be signed.

    Attributes:
        number: of the shard.
        content: what it is to say, padded.
        seq: the lowest that it may get.
    """

    number: int
    content: bytes
    seq: int


@dataclass(frozen=True, slots=True)
class NewDevices:
    """Ask a watch wallet to draw keys of `count` devices that a request is to ask for."""

    count: int


@dataclass(frozen=True, slots=True)
class ReviewRequest:
    """Ask what a request file would do."""

    data: bytes


@dataclass(frozen=True, slots=True)
class ApproveRequest:
    """Ask for items of a request file to be signed; the agent does not do it.

    Attributes:
        data: the request file.
        digest: its SHA-256 (32 bytes), which its owner has compared.
        items: their numbers, counted from 1.
        accepted: names of the alarms that its owner accepts.
    """

    data: bytes
    digest: bytes
    items: tuple[int, ...]
    accepted: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SignSsh:
    """Ask for a login or a file's hash to be signed with this device's SSH key.

    Attributes:
        index: identity index.
        data: what is to be signed (docs/spec/ssh.md).
    """

    index: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Lock:
    """Ask the agent to forget everything and end."""


Request = (
    GetStatus
    | GetFacts
    | GetSummaries
    | GetView
    | DeriveSummaries
    | Sign
    | Apply
    | Unseal
    | GetDrawer
    | SignStatement
    | DeriveKeys
    | UnsealAsRoot
    | OpenShard
    | SignShard
    | NewDevices
    | ReviewRequest
    | ApproveRequest
    | SignSsh
    | Lock
)


def to_row(request: Request) -> list[object]:
    """Return the kind and the arguments that stand for `request`."""
    match request:
        case GetStatus():
            return [wire.GET_STATUS]
        case GetFacts():
            return [wire.GET_FACTS]
        case GetSummaries():
            return [wire.GET_SUMMARIES]
        case GetView():
            return [wire.GET_VIEW]
        case DeriveSummaries():
            return [wire.DERIVE_SUMMARIES, request.start, request.count]
        case Sign():
            return [wire.SIGN, request.index, request.document, request.generation, request.beside]
        case Apply():
            return [wire.APPLY, change_rows.to_row(request.change)]
        case Unseal():
            return [wire.UNSEAL, request.index, request.sealed, request.context]
        case DeriveKeys():
            return [wire.DERIVE_KEYS, request.start, request.count]
        case UnsealAsRoot():
            return [wire.UNSEAL_AS_ROOT, request.index, request.sealed, request.context]
        case OpenShard():
            return [wire.OPEN_SHARD, request.number, request.payload]
        case SignShard():
            return [wire.SIGN_SHARD, request.number, request.content, request.seq]
        case NewDevices():
            return [wire.NEW_DEVICES, request.count]
        case ReviewRequest():
            return [wire.REVIEW_REQUEST, request.data]
        case ApproveRequest():
            items, accepted = list(request.items), list(request.accepted)
            return [wire.APPROVE_REQUEST, request.data, request.digest, items, accepted]
        case SignSsh():
            return [wire.SIGN_SSH, request.index, request.data]
        case Lock():
            return [wire.LOCK]
        case GetDrawer():
            return [wire.GET_DRAWER, request.index, request.name]
        case SignStatement():
            return [wire.SIGN_STATEMENT, request.index, request.typ, request.payload, request.by_root]


def from_row(row: object) -> Request:
    """Make a typed request of a kind and its arguments.

    Raises:
        FormatError: ``agent-request.*``.
    """
    fields = Fields.of_row(row, _WHAT)
    request = _request(fields.integer(0), fields)
    fields.end()
    return request


def encode_request(request: Request) -> bytes:
    """Return the content of a frame that asks for `request`."""
    return wire.encode_request(to_row(request))


def decode_request(data: bytes) -> Request:
    """Read the content of a frame.

    Raises:
        FormatError: ``agent-request.*`` or ``cbor.*``.
    """
    row = cbor.decode(data, wire.MAX_LARGE_REQUEST_BYTES)
    fields = Fields.of_row(row, _WHAT)
    if fields.integer(0) != wire.VERSION:
        raise FormatError(
            f"{_WHAT}.version", "the agent speaks another version of its protocol", "lock and unlock the wallet"
        )
    assert isinstance(row, list)
    return from_row(row[1:])


def _sealed(row: Fields) -> tuple[int, bytes, bytes]:
    """Read which identity's, what, and where it stands."""
    return row.integer(1, high=MAX_INDEX), row.raw(2, max_bytes=MAX_SEALED_BYTES), row.raw(3, max_bytes=256)


def _shard(row: Fields) -> int:
    return row.integer(1, high=MAX_SHARDS - 1)


def _request(kind: int, row: Fields) -> Request:
    match kind:
        case wire.GET_STATUS:
            return GetStatus()
        case wire.GET_FACTS:
            return GetFacts()
        case wire.GET_SUMMARIES:
            return GetSummaries()
        case wire.GET_VIEW:
            return GetView()
        case wire.DERIVE_SUMMARIES:
            return DeriveSummaries(row.integer(1, high=MAX_INDEX), row.integer(2, 1, wire.MAX_KEYS))
        case wire.SIGN:
            index, document, generation = row.integer(1, high=MAX_INDEX), row.raw(2, max_bytes=1 << 16), row.integer(3)
            return Sign(index, document, generation, row.optional_raw(4, max_bytes=MAX_APPROVALS_BYTES))
        case wire.APPLY:
            return Apply(change_rows.from_row(row.items(1)))
        case wire.UNSEAL:
            return Unseal(*_sealed(row))
        case wire.DERIVE_KEYS:
            return DeriveKeys(row.integer(1, high=MAX_INDEX), row.integer(2, 1, wire.MAX_KEYS))
        case wire.UNSEAL_AS_ROOT:
            return UnsealAsRoot(*_sealed(row))
        case wire.OPEN_SHARD:
            return OpenShard(_shard(row), row.optional_raw(2, max_bytes=MAX_RELAY_PAYLOAD_BYTES))
        case wire.SIGN_SHARD:
            return SignShard(_shard(row), row.raw(2, CONTENT_BYTES), row.integer(3, 0, MAX_SEQ))
        case wire.NEW_DEVICES:
            return NewDevices(row.integer(1, 1, MAX_ITEMS))
        case wire.REVIEW_REQUEST:
            return ReviewRequest(row.raw(1, max_bytes=MAX_REQUEST_FILE_BYTES))
        case wire.APPROVE_REQUEST:
            data, digest = row.raw(1, max_bytes=MAX_REQUEST_FILE_BYTES), row.raw(2, 32)
            return ApproveRequest(data, digest, row.number_list(3, 1, MAX_ITEMS), row.texts(4))
        case wire.SIGN_SSH:
            return SignSsh(row.integer(1, high=MAX_INDEX), row.raw(2, max_bytes=MAX_SIGNABLE_BYTES))
        case wire.LOCK:
            return Lock()
        case wire.GET_DRAWER:
            return GetDrawer(row.optional_integer(1, MAX_INDEX), row.text(2, 32))
        case wire.SIGN_STATEMENT:
            return SignStatement(
                row.integer(1, high=MAX_INDEX), row.text(2, 128), row.raw(3, max_bytes=MAX_DRAWER_BYTES), row.flag(4)
            )
        case _:
            raise FormatError(
                f"{_WHAT}.unknown", f"unknown request {kind}", "lock and unlock the wallet: the agent may be older"
            )
