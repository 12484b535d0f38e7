"""What every route goes through: store, writer, limits, answers."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from walletcli.errors import StorageError
from walletcli.node.batch_writer import BatchWriter
from walletcli.node.clock import Clock
from walletcli.node.config import Limits, Storage
from walletcli.node.limits import Rate
from walletcli.node.request import Client
from walletcli.node.store import Store
from walletcli.node.wire import Answers


class Gate:
    """Decides whether a request may go on.

    Args:
        store: answers reads.
        writer: takes writes.
        clock: the server's coarse clock.
        limits: rates; None for none at all (load tests on loopback).
        storage: bounds on disk space.
        directory: where the store is, for its disk's free space.

    Attributes:
        answers: renders answers.
        free_bytes: free space on the disk, as of the last `look_at_disk`.
        disk_bytes: the disk's size.
        is_full: whether there is no room for anything new.
        on_stored: called with the key of each packet that was stored.
    """

    def __init__(
        self, store: Store, writer: BatchWriter, clock: Clock, limits: Limits | None, storage: Storage, directory: Path
    ) -> None:
        self.store = store
        self.writer = writer
        self.clock = clock
        self.answers = Answers()
        self.free_bytes = 0
        self.disk_bytes = 0
        self._directory = directory
        self.is_full = False
        self.on_stored: list[Callable[[bytes], None]] = []
        self._requests: Rate | None = None
        self.set_bounds(limits, storage)

    def set_bounds(self, limits: Limits | None, storage: Storage) -> None:
        """Set other limits and bounds; what was used under the ones before is forgotten."""
        self._storage = storage
        if limits is not None:
            self._requests = Rate(limits.requests_per_second, limits.requests_burst)
            self._writes = Rate(limits.writes_per_second, limits.writes_burst)
            self._keys = Rate(limits.writes_per_key_per_second, limits.writes_per_key_burst)
            self._document_bytes = Rate(limits.document_bytes_per_second, limits.document_bytes_burst)
        self.look_at_disk()

    def look_at_disk(self) -> None:
        """See whether there is room; call it every few seconds."""
        try:
            disk = os.statvfs(self._directory)
        except OSError:
            return  # the next write will tell
        self.free_bytes = disk.f_bavail * disk.f_frsize
        self.disk_bytes = disk.f_blocks * disk.f_frsize
        most = self._storage.max_mib << 20
        try:
            reusable = self.store.reusable_bytes()
        except StorageError:
            return
        no_reserve = self.free_bytes + reusable < self._storage.reserve_mib << 20
        self.is_full = no_reserve or bool(most and self.store.size_bytes() - reusable >= most)

    def refuse_request(self, client: Client) -> bytes | None:
        """Count a request of a client; return the answer if it is one too many."""
        if self._requests is None:
            return None
        wait_s = self._requests.take(client.bucket, self.clock.now)
        return self._come_back(wait_s, "limits.requests", "too many requests from this address") if wait_s else None

    def refuse_write(self, client: Client, key: bytes | None, document_bytes: int = 0) -> bytes | None:
        """Count a write of a client; return the answer if it is one too many, or if there is no room.

        Args:
            client: who writes.
            key: the packet's, or None for a document.
            document_bytes: length of the document.
        """
        if self.is_full:
            return self.answers.error(507, "storage.full", "this node has no room")
        if self._requests is None:
            return None
        now = self.clock.now
        if key is not None:
            wait_s = self._keys.wait_s(key, now)
            if wait_s:
                return self._come_back(wait_s, "limits.requests", "too many packets of this key")
        if document_bytes:
            wait_s = self._document_bytes.take(client.bucket, now, document_bytes)
            if wait_s:
                return self._come_back(wait_s, "limits.bytes", "too many document bytes from this address")
        wait_s = self._writes.take(client.bucket, now)
        return self._come_back(wait_s, "limits.requests", "too many writes from this address") if wait_s else None

    def stored(self, key: bytes) -> None:
        """Count a packet that was stored against its key, and pass on that it was."""
        for told in self.on_stored:
            told(key)
        if self._requests is not None:
            self._keys.use(key, self.clock.now)

    def storage_failed(self, error: StorageError) -> bytes:
        """Return the answer to a write that could not be stored."""
        if error.code == "storage.full":
            return self.answers.error(507, "storage.full", "this node has no room")
        return self.answers.error(503, "storage.failed", "this node cannot store anything now", b"Retry-After: 10\r\n")

    def _come_back(self, wait_s: float, code: str, message: str) -> bytes:
        return self.answers.error(429, code, message, b"Retry-After: %d\r\n" % (int(wait_s) + 1))
