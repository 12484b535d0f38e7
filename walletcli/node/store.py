"""What a store of packets and documents does, whatever it is made of.

Writes come in batches. `stage` prepares one and must be quick; `commit` makes it durable and may take as long as a
disk, or a server far away, takes. They are called in turn, never at once, but on two threads: `stage` and every read
on the event loop's, `commit` on the writer's. Only `copy_log` may run beside them, on a third. All or nothing of a
batch is stored. Conditions of a write are checked against the store inside the batch's transaction, so that several
processes may share one store.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from walletcli.node.hosting.kept import Claim, HostStore, HostWrite

UNREFERENCED_S = 3600
"""How long a document is kept that no packet names, in seconds."""

MAX_UNREFERENCED_BYTES = 64 << 20
"""How much all documents may take together that no packet names."""

MAX_QUEUED = 100_000
"""How many entries each sink's queue may have."""


class Outcome(Enum):
    """What became of a write."""

    STORED = "stored"
    SAME = "same"
    CONFLICT = "conflict"
    PRECONDITION = "precondition"
    NOT_BOUND = "not-bound"
    REFUSED = "refused"
    TOO_LONG = "too-long"
    NO_QUOTA = "no-quota"
    NO_ROOM = "no-room"
    NOT_APPROVED = "not-approved"
    NO_DOCUMENT = "no-document"


class DueWork(Enum):
    """What a store wants to have done after a batch."""

    NOTHING = "nothing"
    COPY = "copy"
    SETTLE = "settle"


@dataclass(slots=True)
class PutPacket:
    """Store a verified packet if it is newer.

    Attributes:
        key: public key, 32 bytes.
        payload: relay payload.
        seq: the payload's.
        document_hash: of the document that it names, 32 bytes, or None.
        cas_seq: the `seq` that must be stored now; None for any. Holds where nothing is stored.
        unmodified_since_s: the Unix second that the stored `seq` must not lie after; None for any.
        forward: whether it goes to the sinks.
    """

    key: bytes
    payload: bytes
    seq: int
    document_hash: bytes | None
    cas_seq: int | None = None
    unmodified_since_s: int | None = None
    forward: bool = False


@dataclass(slots=True)
class PutDocument:
    """Store a verified document.

    Attributes:
        document_hash: SHA-256, 32 bytes.
        identity: public key, 32 bytes, that the document is of.
        body: the document's bytes.
        forward: whether the packet that names it goes to the sinks (again) now that it is complete.
        claim: this node's grant that it holds, or None.
        has_approvers: whether it names approvers.
    """

    document_hash: bytes
    identity: bytes
    body: bytes
    forward: bool = False
    claim: Claim | None = None
    has_approvers: bool = False


@dataclass(slots=True)
class PutApprovals:
    """Store what is beside a stored document, unless something better is there.

    Attributes:
        document_hash: SHA-256 of the document, 32 bytes.
        body: approvals, their form checked.
    """

    document_hash: bytes
    body: bytes


@dataclass(slots=True)
class Expire:
    """Delete documents that were unreferenced for too long; a bounded number at a time."""


@dataclass(slots=True)
class Sent:
    """Settle an entry of a sink's queue.

    Attributes:
        sink: the sink's address.
        key: the packet's.
        seq: what was sent; a newer packet that was queued since stays queued.
        retry_at_s: None if it is done (or given up), else when to try again, Unix seconds.
    """

    sink: str
    key: bytes
    seq: int
    retry_at_s: int | None = None


@dataclass(slots=True)
class Probe:
    """Write something that changes nothing, to see whether the store can."""


Write = PutPacket | PutDocument | PutApprovals | Expire | Sent | Probe | HostWrite


@dataclass(frozen=True, slots=True)
class Counts:
    """What a store holds.

    Attributes:
        packets: all of them.
        documents: all of them.
        pending: packets whose document is not there.
        unreferenced: documents that no packet names.
        unreferenced_bytes: and their size, with the approvals beside them.
        document_bytes: size of all documents and of the approvals beside them.
        queued: entries in the sinks' queues.
        dropped: entries that fell out of a full queue, since the store was made.
        hosted: identities that are hosted, those that are leaving included.
        leaving: those that are leaving.
        blobs: of all of them, deleted ones included.
        blob_bytes: their sealed content.
        trash: identities whose deleted data is still being cleared away.
    """

    packets: int = 0
    documents: int = 0
    pending: int = 0
    unreferenced: int = 0
    unreferenced_bytes: int = 0
    document_bytes: int = 0
    queued: int = 0
    dropped: int = 0
    hosted: int = 0
    leaving: int = 0
    blobs: int = 0
    blob_bytes: int = 0
    trash: int = 0


@dataclass(frozen=True, slots=True)
class QueuedPacket:
    """An entry of a sink's queue that is due.

    Attributes:
        key: the packet's.
        attempts: how often it was tried.
        queued_s: when it was queued, Unix seconds.
    """

    key: bytes
    attempts: int
    queued_s: int


class Store(HostStore, Protocol):
    """Packets, documents, and what is hosted, durably."""

    def packets(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the relay payload stored for each key (32 bytes), or None.

        Raises:
            StorageError: ``storage.failed``.
        """

    def document(self, document_hash: bytes) -> bytes | None:
        """Return the document with this SHA-256 (32 bytes), or None; raises as `packets`."""

    def approvals(self, document_hash: bytes) -> bytes | None:
        """Return what is beside the document with this SHA-256 (32 bytes), or None; raises as `packets`."""

    def is_guarded(self, key: bytes) -> bool:
        """Tell whether approvers of an identity (32 bytes) are known here; raises as `packets`."""

    def hosted_keys(self) -> list[bytes]:
        """Return the keys of all that is hosted, those that are leaving included; raises as `packets`."""

    def random_keys(self, count: int) -> list[bytes]:
        """Return the keys of about `count` stored packets, drawn at random, each at most once; raises as `packets`."""

    def counts(self) -> Counts:
        """Return what the store holds; raises as `packets`."""

    def size_bytes(self) -> int:
        """Return the space that the store takes."""

    def due(self, sink: str, now_s: int, limit: int) -> list[QueuedPacket]:
        """Return entries of a sink's queue that are due, longest due first; raises as `packets`."""

    def stage(self, writes: Sequence[Write], now_s: int) -> None:
        """Begin a batch.

        Raises:
            StorageError: ``storage.full`` or ``storage.failed``; nothing of the batch is stored then.
        """

    def commit(self) -> list[Outcome]:
        """Make the staged batch durable and return the outcome of each write; raises as `stage`."""

    def committed(self) -> None:
        """Let reads from here on see what was committed; called on the event loop's thread."""

    def due_work(self) -> DueWork:
        """Tell what is due: `copy_log`, beside the batches, or `settle`, before the next of them."""

    def copy_log(self) -> None:
        """Do what may be done while batches are staged and committed, on a thread of its own; raises as `stage`."""

    def settle(self) -> None:
        """Do what is due between batches, `copy_log`'s work included; called as `commit` is; raises as `stage`."""

    def close(self) -> None:
        """Close the store, everything in one file."""
