"""The store in SQLite, through apsw.

WAL with full fsync. One connection writes; another, read-only one, answers reads; a third copies the log back while
batches are written, and the first what came to it meanwhile. Why the tables look as they do is measured in
docs/decisions/0005-node.md: rows in order of arrival, found by an index over six bytes of the key, touch the fewest
pages per write.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Final, cast

import apsw

from walletcli.node.hosting import tables
from walletcli.node.hosting.kept import Hosted, Rule, StoredBlob
from walletcli.node.sqlite_batch import Batch
from walletcli.node.sqlite_file import PAGE_BYTES, open_writer, read_counts, storage_error, store_size_bytes
from walletcli.node.sqlite_tail import read_tail
from walletcli.node.store import Counts, DueWork, Outcome, QueuedPacket, Write

READER_CACHE_KIB: Final = 8192
"""More finds hardly more of what is asked for at random, and is slower to look through itself."""

CONTENT_CACHE_KIB: Final = 1024
"""Content is read through a connection of its own, so that it does not drive everything else out of memory."""

CHECKPOINT_PAGES: Final = 4000
"""Pages of 4 KiB in the log from which it is copied back."""

HELD_PAGES: Final = 3000
"""Pages in the log from which no snapshot is held over many reads: one from before the last batch would keep the
copying from its end, and it would have to be done twice."""

LEFT_PAGES: Final = 500
"""Pages that came to the log while it was copied, from which that is done once more, ..."""

COPIES: Final = 3
"""... and how often at most before no batch is written until the rest is copied."""

TAIL_PACKETS: Final = 32_768
"""How many packets at the table's end are found through memory before they are put into the index, all at once."""

_MERGE: Final = "INSERT INTO packet_index(tag, id) SELECT tag, id FROM packet WHERE id > ? ORDER BY tag"
_SET_INDEXED: Final = "INSERT OR REPLACE INTO count(name, value) VALUES('indexed', ?)"
_KEY_OF_ROW: Final = "SELECT key FROM packet WHERE id = ?"
_READ_BESIDE: Final = "SELECT beside FROM document WHERE tag = ? AND hash = ?"
_READ_DOCUMENT: Final = "SELECT body FROM document WHERE tag = ? AND hash = ?"


class SqliteStore:
    """A `walletcli.node.store.Store` in one file.

    Args:
        path: the database file; made if it is not there.
        sinks: addresses that newly accepted packets are queued for.

    Raises:
        StorageError: ``storage.failed``, ``storage.full``, ``storage.damaged``, ``storage.version``.
    """

    def __init__(self, path: Path, sinks: Sequence[str] = ()) -> None:
        self._path = path
        self._sinks = tuple(sinks)
        self._wal_pages = 0
        self._held = False  # the reader is inside a transaction, whose snapshot is current
        self._outcomes: list[Outcome] = []
        self._merged = False
        self._is_copied = False  # all of the log but what came last
        try:
            self._writer = open_writer(path)
            self._copier = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
            self._copier.execute("PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0")
            self._writer.set_wal_hook(self._on_wal)
            self._tail = read_tail(self._writer)
            self._batch = Batch(self._writer, self._sinks, self._tail)
            self._reader = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
            self._reader.execute(f"PRAGMA cache_size = -{READER_CACHE_KIB}")
            self._cursor = self._reader.cursor()
            self._content_reader = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
            self._content_reader.execute(f"PRAGMA cache_size = -{CONTENT_CACHE_KIB}")
            self._content = self._content_reader.cursor()
        except (apsw.Error, OSError) as error:
            raise storage_error(error) from error

    def _on_wal(self, connection: apsw.Connection, name: str, pages: int) -> int:
        self._wal_pages = pages
        return apsw.SQLITE_OK

    # reads

    def _begin_read(self) -> None:
        """Hold one snapshot over many reads: opening one costs more than a look-up.

        It is let go when a batch is staged or stored. While the log is about to be copied back none is held, as any
        would keep it growing.
        """
        if self._wal_pages < min(HELD_PAGES, CHECKPOINT_PAGES):
            self._cursor.execute("BEGIN")
            self._held = True

    def _end_read(self) -> None:
        if self._held:
            self._held = False
            self._cursor.execute("COMMIT")

    def packets(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the relay payload stored for each key, or None."""
        find, execute = self._tail.find, self._cursor.execute
        try:
            if not self._held:
                self._begin_read()
            return [find(execute, key) for key in keys]
        except apsw.Error as error:
            raise storage_error(error) from error

    def document(self, document_hash: bytes) -> bytes | None:
        """Return the document with this hash, or None."""
        try:
            self._end_read()
            tag = int.from_bytes(document_hash[:6], "big")
            body: bytes | None = self._cursor.execute(_READ_DOCUMENT, (tag, document_hash)).get
        except apsw.Error as error:
            raise storage_error(error) from error
        return body

    def approvals(self, document_hash: bytes) -> bytes | None:
        """Return what is beside the document with this hash, or None."""
        try:
            self._end_read()
            tag = int.from_bytes(document_hash[:6], "big")
            beside: bytes | None = self._cursor.execute(_READ_BESIDE, (tag, document_hash)).get
        except apsw.Error as error:
            raise storage_error(error) from error
        return beside

    def is_guarded(self, key: bytes) -> bool:
        """Tell whether approvers of this identity are known here."""
        try:
            self._end_read()
            return self._cursor.execute("SELECT 1 FROM guard WHERE key = ?", (key,)).get is not None
        except apsw.Error as error:
            raise storage_error(error) from error

    def named_document(self, key: bytes) -> bytes | None:
        """Return the hash of the document that a key's packet names, or None."""
        try:  # no snapshot is held for it: the reads of hosting that come with it would end it each time
            return self._tail.find_named(self._cursor.execute, key)
        except apsw.Error as error:
            raise storage_error(error) from error

    def hosted(self, key: bytes) -> Hosted | None:
        """Return how an identity is hosted, or None."""
        try:
            self._end_read()  # the operator's commands write as well
            return tables.find_hosted(self._cursor, key)
        except apsw.Error as error:
            raise storage_error(error) from error

    def rule(self, key: bytes) -> Rule | None:
        """Return what the operator decided about an identity, or None."""
        try:
            self._end_read()
            return tables.find_rule(self._cursor, key)
        except apsw.Error as error:
            raise storage_error(error) from error

    def blob(self, host_id: int, blob_id: bytes) -> StoredBlob | None:
        """Return a blob, or None."""
        try:
            return tables.find_blob(self._cursor, host_id, blob_id)
        except apsw.Error as error:
            raise storage_error(error) from error

    def blob_part(self, content_id: int, number: int) -> bytes | None:
        """Return a part of a blob's content, or None if it is gone."""
        try:
            return tables.find_part(self._content, content_id, number)
        except apsw.Error as error:
            raise storage_error(error) from error

    def manifests(self, host_id: int, after: bytes | None, limit: int) -> list[bytes]:
        """Return manifests ascending by blob id."""
        try:
            return tables.find_manifests(self._cursor, host_id, after, limit)
        except apsw.Error as error:
            raise storage_error(error) from error

    def reusable_bytes(self) -> int:
        """Return the space inside the store that is free to be used again."""
        try:
            pages: int = self._content.execute("PRAGMA freelist_count").get
        except apsw.Error as error:
            raise storage_error(error) from error
        return pages * PAGE_BYTES

    def hosted_keys(self) -> list[bytes]:
        """Return the keys of all that is hosted."""
        try:
            self._end_read()
            rows = cast("list[tuple[bytes]]", self._cursor.execute("SELECT key FROM hosted").fetchall())
            return [row[0] for row in rows]
        except apsw.Error as error:
            raise storage_error(error) from error

    def random_keys(self, count: int) -> list[bytes]:
        """Return the keys of about `count` packets; row ids have no gaps, so each packet is as likely as any other."""
        try:
            self._end_read()
            last = self._cursor.execute("SELECT max(id) FROM packet").get or 0
            rows = range(1, last + 1) if count >= last else {1 + secrets.randbelow(last) for _ in range(count)}
            keys: list[object] = [self._cursor.execute(_KEY_OF_ROW, (row,)).get for row in rows]
            return [key for key in keys if isinstance(key, bytes)]
        except apsw.Error as error:
            raise storage_error(error) from error

    def counts(self) -> Counts:
        """Return what the store holds."""
        try:
            self._end_read()
            return read_counts(self._reader)
        except apsw.Error as error:
            raise storage_error(error) from error

    def size_bytes(self) -> int:
        """Return the size of the database file and its log."""
        return store_size_bytes(self._path)

    def due(self, sink: str, now_s: int, limit: int) -> list[QueuedPacket]:
        """Return entries of a sink's queue that are due."""
        query = "SELECT key, attempts, queued_s FROM outbox WHERE sink = ? AND due_s <= ? ORDER BY due_s LIMIT ?"
        try:
            self._end_read()
            return [QueuedPacket(*row) for row in self._cursor.execute(query, (sink, now_s, limit))]
        except apsw.Error as error:
            raise storage_error(error) from error

    # writes

    def stage(self, writes: Sequence[Write], now_s: int) -> None:
        """Begin a transaction and put the batch into it; nothing reaches the disk yet."""
        try:
            self._end_read()
            if self._merged:
                self._tail.clear()
                self._merged = False
            self._writer.execute("BEGIN IMMEDIATE")
            self._outcomes = self._batch.run(writes, now_s)
        except apsw.Error as error:
            self._roll_back()
            raise storage_error(error) from error

    def commit(self) -> list[Outcome]:
        """Commit: when this returns, the log is fsynced."""
        try:
            self._writer.execute("COMMIT")
        except apsw.Error as error:
            self._roll_back()
            raise storage_error(error) from error
        self._batch.keep()
        return self._outcomes

    def committed(self) -> None:
        """Let reads from here on see the batch."""
        self._end_read()

    def _roll_back(self) -> None:
        """End a transaction that failed; what the tail learned from it is forgotten."""
        self._batch.undo()
        try:
            if not self._writer.get_autocommit():
                self._writer.execute("ROLLBACK")
        except apsw.Error:  # SQLite has rolled back by itself
            return

    def due_work(self) -> DueWork:
        """Tell what is due: of a long log the most is copied beside the batches, the rest between two of them."""
        if len(self._tail.ids) >= TAIL_PACKETS and not self._merged:
            return DueWork.SETTLE
        if self._wal_pages < CHECKPOINT_PAGES:
            return DueWork.NOTHING
        return DueWork.SETTLE if self._is_copied else DueWork.COPY

    def copy_log(self) -> None:
        """Copy the log back while batches are appended to it, until little is left."""
        try:
            for _ in range(COPIES):
                _, copied = self._copier.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
                if self._wal_pages - copied < LEFT_PAGES:
                    break
        except apsw.Error as error:
            raise storage_error(error) from error
        self._is_copied = True

    def settle(self) -> None:
        """Put the tail into the index when it is long, and copy back what is in a long log."""
        try:
            if len(self._tail.ids) >= TAIL_PACKETS and not self._merged:
                self._merge()
            if self._wal_pages < CHECKPOINT_PAGES:
                return
            in_log, copied = self._writer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except apsw.Error as error:
            self._roll_back()
            raise storage_error(error) from error
        self._is_copied = False
        if in_log == copied:  # readers no longer need the log now, so none can keep it from starting anew
            self._wal_pages = 0

    def _merge(self) -> None:
        """Put the tail into the index: sorted, so that a page of the index is written once for many packets."""
        writer = self._writer
        writer.execute("BEGIN IMMEDIATE")
        writer.execute(_MERGE, (self._tail.indexed,))
        writer.execute(_SET_INDEXED, (self._tail.last,))
        writer.execute("COMMIT")
        self._merged = True

    def close(self) -> None:
        """Close; the last connection copies the log back and removes it."""
        try:
            self._end_read()
            self._content_reader.close()
            self._reader.close()
            self._copier.close()
            self._writer.close()
        except apsw.Error as error:
            raise storage_error(error) from error
