"""Batches of writes inside SQLite transactions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast

import apsw

from walletcli.core.approvals import DocumentApprovals
from walletcli.core.document import Document
from walletcli.node.hosting.batch import HostBatch
from walletcli.node.sqlite_guard import Guards
from walletcli.node.sqlite_tail import Tail, tag_of
from walletcli.node.store import (
    MAX_QUEUED,
    MAX_UNREFERENCED_BYTES,
    UNREFERENCED_S,
    Expire,
    Outcome,
    Probe,
    PutApprovals,
    PutDocument,
    PutPacket,
    Sent,
    Write,
)

_EXPIRE_AT_ONCE: Final = 500

_BY_ID: Final = "SELECT id, payload, document FROM packet WHERE id = ? AND key = ?"
_BY_TAG: Final = (
    "SELECT id, payload, document FROM packet WHERE id IN (SELECT id FROM packet_index WHERE tag = ?) AND key = ?"
)
_HAS_TAG: Final = "SELECT 1 FROM packet_index WHERE tag = ?"
_INSERT: Final = "INSERT INTO packet(id, tag, key, stored_s, document, payload) VALUES(?, ?, ?, ?, ?, ?)"
_UPDATE: Final = "UPDATE packet SET stored_s = ?, document = ?, payload = ? WHERE id = ?"
_SIZE: Final = "length(body) + coalesce(length(beside), 0)"
_FIND_DOCUMENT: Final = (
    f"SELECT id, expires_s, {_SIZE}, identity, claim, has_approvers FROM document WHERE tag = ? AND hash = ?"  # noqa: S608
)
_INSERT_DOCUMENT: Final = (
    "INSERT INTO document(tag, hash, identity, expires_s, body, claim, has_approvers) VALUES(?, ?, ?, ?, ?, ?, ?)"
)
_BESIDE: Final = "SELECT id, expires_s, body, beside FROM document WHERE tag = ? AND hash = ?"
_SET_EXPIRY: Final = "UPDATE document SET expires_s = ? WHERE id = ?"
_OLDEST_DOCUMENTS: Final = (
    f"SELECT id, {_SIZE} FROM document WHERE expires_s IS NOT NULL AND expires_s <= ? ORDER BY expires_s LIMIT ?"  # noqa: S608
)
_QUEUE: Final = (
    "INSERT INTO outbox(sink, key, queued_s, due_s, attempts) VALUES(?1, ?2, ?3, ?3, 0) "
    "ON CONFLICT(sink, key) DO UPDATE SET queued_s = ?3, due_s = ?3, attempts = 0"
)
_FOREVER_S: Final = 1 << 62


class Batch:
    """Applies batch after batch of writes on one connection.

    Args:
        writer: the connection; inside a write transaction whenever `run` is called.
        sinks: whose queues forwarded packets go to.
        tail: gives out row ids, and learns of new packets.
    """

    def __init__(self, writer: apsw.Connection, sinks: Sequence[str], tail: Tail) -> None:
        self._cursor = writer.cursor()
        self._sinks = sinks
        self._tail = tail
        self._now_s = 0
        self._changes: dict[str, int] = {}
        self._added: list[bytes] = []
        self._guards = Guards(self._cursor)
        self._hosting = HostBatch(self._cursor, self._count, self._stored_count)

    def run(self, writes: Sequence[Write], now_s: int) -> list[Outcome]:
        """Apply writes and return what becomes of each, should the transaction be committed.

        Args:
            writes: the batch.
            now_s: Unix seconds.
        """
        self._now_s = now_s
        self._changes = {}
        self._added = []
        self._guards.begin()
        outcomes = [self._apply(write) for write in writes]
        self._save_counts()
        return outcomes

    def keep(self) -> None:
        """Make what the last batch added final: its transaction is committed."""
        self._added = []

    def undo(self) -> None:
        """Forget what the last batch added: its transaction is rolled back."""
        for key in self._added:
            self._tail.ids.pop(key, None)
        self._added = []

    def _apply(self, write: Write) -> Outcome:
        if isinstance(write, PutPacket):
            return self._put_packet(write)
        if isinstance(write, PutDocument):
            return self._put_document(write)
        if isinstance(write, PutApprovals):
            return self._put_approvals(write)
        if isinstance(write, Sent):
            self._settle_sent(write)
        elif isinstance(write, Expire):
            self._evict(self._now_s, _EXPIRE_AT_ONCE)
        elif isinstance(write, Probe):
            self._cursor.execute("INSERT OR REPLACE INTO count(name, value) VALUES('probed_s', ?)", (self._now_s,))
        else:
            return self._hosting.apply(write, self._now_s)
        return Outcome.STORED

    def _save_counts(self) -> None:
        for name, change in self._changes.items():
            if change:
                self._cursor.execute(
                    "INSERT INTO count(name, value) VALUES(?1, ?2) ON CONFLICT(name) DO UPDATE SET value = value + ?2",
                    (name, change),
                )

    def _count(self, name: str, change: int) -> None:
        self._changes[name] = self._changes.get(name, 0) + change

    # packets

    def _find(self, key: bytes) -> tuple[int, bytes, bytes | None] | None:
        """Return row id, payload and document hash of a packet."""
        row_id = self._tail.ids.get(key)
        row: tuple[int, bytes, bytes | None] | None
        if row_id is not None:
            row = self._cursor.execute(_BY_ID, (row_id, key)).get
            if row is not None:
                return row
        tag = tag_of(key)
        if self._cursor.execute(_HAS_TAG, (tag,)).get is None:
            return None
        row = self._cursor.execute(_BY_TAG, (tag, key)).get
        return row

    def _put_packet(self, put: PutPacket) -> Outcome:
        key = put.key
        found = self._find(key)
        if found is None:
            tail = self._tail
            tail.last += 1
            row = (tail.last, tag_of(key), key, self._now_s, put.document_hash, put.payload)
            self._cursor.execute(_INSERT, row)
            tail.ids[key] = tail.last
            self._added.append(key)
            self._count("packets", 1)
        else:
            row_id, payload, old_document = found
            refusal = _refusal(put, payload)
            if refusal is not None:
                return refusal
            if not self._guards.follows(key, put.payload, put.document_hash, self._now_s):
                return Outcome.NOT_APPROVED
            self._cursor.execute(_UPDATE, (self._now_s, put.document_hash, put.payload, row_id))
            if old_document is not None:
                self._unreference(old_document, key)
        if put.document_hash is None:
            self._hosting.named(key, None, self._now_s)
        else:
            self._reference(put.document_hash, key, put.payload)
        if put.forward and self._sinks:
            self._queue(key)
        return Outcome.STORED

    def _document(
        self, document_hash: bytes, identity: bytes
    ) -> tuple[int, int | None, int, bytes | None, bool] | None:
        """Return row id, expiry, size, claim and whether there are approvers, if it is there and this identity's."""
        row = self._cursor.execute(_FIND_DOCUMENT, (tag_of(document_hash), document_hash)).get
        if row is None or row[3] != identity:
            return None
        return row[0], row[1], row[2], row[4], bool(row[5])

    def _unreference(self, document_hash: bytes, identity: bytes) -> None:
        """Start a document's last hour."""
        found = self._document(document_hash, identity)
        if found is None:
            self._count("pending", -1)
        elif found[1] is None:
            self._cursor.execute(_SET_EXPIRY, (self._now_s + UNREFERENCED_S, found[0]))
            self._count("unreferenced", 1)
            self._count("unreferenced_bytes", found[2])
            self._bound_unreferenced()

    def _reference(self, document_hash: bytes, identity: bytes, payload: bytes) -> None:
        """Keep the document that a packet names, and let what it says of hosting take effect."""
        found = self._document(document_hash, identity)
        if found is None:
            self._count("pending", 1)
            return
        if found[1] is not None:
            self._cursor.execute(_SET_EXPIRY, (None, found[0]))
            self._count("unreferenced", -1)
            self._count("unreferenced_bytes", -found[2])
        if found[4]:
            self._guards.see(identity, payload, document_hash)
        self._hosting.named(identity, found[3], self._now_s)

    # documents

    def _put_document(self, put: PutDocument) -> Outcome:
        if self._document(put.document_hash, put.identity) is not None:
            return Outcome.SAME
        cursor = self._cursor
        claim = put.claim.to_bytes() if put.claim is not None else None
        named = self._find(put.identity)
        is_named = named is not None and named[2] == put.document_hash
        expires_s = None if is_named else self._now_s + UNREFERENCED_S
        cursor.execute(
            _INSERT_DOCUMENT,
            (tag_of(put.document_hash), put.document_hash, put.identity, expires_s, put.body, claim, put.has_approvers),
        )
        self._count("documents", 1)
        self._count("document_bytes", len(put.body))
        if claim is not None:
            self._hosting.count_claim()
        if named is not None and is_named:
            self._count("pending", -1)
            if put.has_approvers:
                self._guards.see(put.identity, named[1], put.document_hash)
            self._hosting.named(put.identity, claim, self._now_s)
            if put.forward:
                self._queue(put.identity)
        else:
            self._count("unreferenced", 1)
            self._count("unreferenced_bytes", len(put.body))
            self._bound_unreferenced()
        return Outcome.STORED

    def _put_approvals(self, put: PutApprovals) -> Outcome:
        """Keep what is beside a document; what is worth less than what is there is refused."""
        row = self._cursor.execute(_BESIDE, (tag_of(put.document_hash), put.document_hash)).get
        if row is None:
            return Outcome.NO_DOCUMENT
        row_id, expires_s, body, before = row
        if before == put.body:
            return Outcome.SAME
        document = Document.from_bytes(body)
        old = DocumentApprovals.from_bytes(before) if before is not None else None
        if not self._guards.is_better(document, DocumentApprovals.from_bytes(put.body), old):
            return Outcome.NOT_APPROVED
        self._cursor.execute("UPDATE document SET beside = ? WHERE id = ?", (put.body, row_id))
        longer_bytes = len(put.body) - len(before or b"")
        self._count("document_bytes", longer_bytes)
        if expires_s is not None:
            self._count("unreferenced_bytes", longer_bytes)
            self._bound_unreferenced()
        return Outcome.STORED

    def _stored_count(self, name: str) -> int:
        stored = self._cursor.execute("SELECT value FROM count WHERE name = ?", (name,)).get
        return (stored or 0) + self._changes.get(name, 0)

    def _bound_unreferenced(self) -> None:
        while self._stored_count("unreferenced_bytes") > MAX_UNREFERENCED_BYTES:
            if not self._evict(_FOREVER_S, 1):
                return

    def _evict(self, until_s: int, limit: int) -> int:
        """Delete unreferenced documents that expire by `until_s`, the earliest first; return how many."""
        rows = cast("list[tuple[int, int]]", self._cursor.execute(_OLDEST_DOCUMENTS, (until_s, limit)).fetchall())
        for row_id, size in rows:
            self._cursor.execute("DELETE FROM document WHERE id = ?", (row_id,))
            self._count("documents", -1)
            self._count("document_bytes", -size)
            self._count("unreferenced", -1)
            self._count("unreferenced_bytes", -size)
        return len(rows)

    # the sinks' queues

    def _queue(self, key: bytes) -> None:
        for sink in self._sinks:
            known = self._cursor.execute("SELECT 1 FROM outbox WHERE sink = ? AND key = ?", (sink, key)).get
            self._cursor.execute(_QUEUE, (sink, key, self._now_s))
            if known is None:
                self._count("queued", 1)
                self._count(f"queued {sink}", 1)
                self._bound_queue(sink)

    def _bound_queue(self, sink: str) -> None:
        if self._stored_count(f"queued {sink}") <= MAX_QUEUED:
            return
        self._cursor.execute(
            "DELETE FROM outbox WHERE id = (SELECT id FROM outbox WHERE sink = ? ORDER BY due_s LIMIT 1)", (sink,)
        )
        self._count("queued", -1)
        self._count(f"queued {sink}", -1)
        self._count("dropped", 1)

    def _settle_sent(self, sent: Sent) -> None:
        cursor = self._cursor
        row_id = cursor.execute("SELECT id FROM outbox WHERE sink = ? AND key = ?", (sent.sink, sent.key)).get
        if row_id is None:
            return
        if sent.retry_at_s is not None:
            cursor.execute(
                "UPDATE outbox SET due_s = ?, attempts = attempts + 1 WHERE id = ?", (sent.retry_at_s, row_id)
            )
            return
        packet = self._find(sent.key)
        if packet is not None and _seq_of(packet[1]) > sent.seq:
            return
        cursor.execute("DELETE FROM outbox WHERE id = ?", (row_id,))
        self._count("queued", -1)
        self._count(f"queued {sent.sink}", -1)


def _seq_of(payload: bytes) -> int:
    return int.from_bytes(payload[64:72], "big")


def _refusal(put: PutPacket, stored: bytes) -> Outcome | None:
    """Return why `put` may not replace the payload `stored`, or None if it may."""
    stored_seq = _seq_of(stored)
    if put.payload == stored:
        return Outcome.SAME
    if put.cas_seq is not None and put.cas_seq != stored_seq:
        return Outcome.PRECONDITION
    if put.unmodified_since_s is not None and stored_seq // 1_000_000 > put.unmodified_since_s:
        return Outcome.PRECONDITION
    return Outcome.CONFLICT if put.seq <= stored_seq else None
