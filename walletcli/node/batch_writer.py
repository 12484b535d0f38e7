"""Group commit: writes that come together share one fsync, and nobody is answered before it is over.

While one batch is being fsynced, on a thread that holds no Python lock meanwhile, the event loop collects the next.
What needs Python is done on the event loop's thread in one go: two threads that take turns at the interpreter would
spend their time on that (docs/decisions/0005-node.md has the numbers). A third thread copies the store's log while
batches go on, so that few writes have to wait for that.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from walletcli.errors import StorageError, WalletError
from walletcli.node import log
from walletcli.node.hosting.kept import PutBlob
from walletcli.node.store import DueWork, Outcome, Store, Write

MAX_BATCH = 256
"""Most writes in one batch; it bounds how long staging keeps the event loop."""

MAX_BATCH_BYTES = 8 << 20
"""Most content of blobs in one batch, for the same reason; one blob at least."""

Done = Callable[[Outcome | WalletError], None]
"""Told what became of a write; on the event loop's thread."""


@dataclass(slots=True)
class WriterState:
    """What metrics and health checks want to know.

    Attributes:
        batches: batches that were stored.
        writes: writes in them.
        records: batches that held anything but blobs, and so may have changed who may do what.
        failures: batches that were not stored.
        error: the last batch's error, or None if it was stored.
        last_commit_s: how long the last commit took, in seconds.
        stored_at: when a batch was last stored, monotonic seconds.
    """

    batches: int = 0
    writes: int = 0
    records: int = 0
    failures: int = 0
    error: StorageError | None = None
    last_commit_s: float = 0.0
    stored_at: float = float("-inf")


class BatchWriter:
    """Writes batches to a store; the only one that does.

    Args:
        store: where to.
        loop: the event loop whose thread calls `submit`.
    """

    def __init__(self, store: Store, loop: asyncio.AbstractEventLoop) -> None:
        self._store = store
        self._loop = loop
        self._next: list[tuple[Write, Done]] = []
        self._next_bytes = 0
        self._busy = False
        self._is_due = False
        self._idle: asyncio.Event = asyncio.Event()
        self._idle.set()
        self._jobs: queue.SimpleQueue[list[tuple[Write, Done]] | None] = queue.SimpleQueue()
        self._copies: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._is_copying = False
        self._threads = [
            threading.Thread(target=work, name=name, daemon=True)
            for work, name in ((self._work, "writer"), (self._copy, "log copier"))
        ]
        self.state = WriterState()
        for thread in self._threads:
            thread.start()

    def submit(self, write: Write, done: Done) -> None:
        """Put a write into the next batch; `done` is called when that is on disk, or has failed."""
        self._next.append((write, done))
        if isinstance(write, PutBlob):
            self._next_bytes += len(write.content)
        if not self._busy:
            self._busy = True
            self._idle.clear()
            # After everything that has already arrived in this turn of the loop.
            self._is_due = True
            self._loop.call_soon(self._start_due)

    def hasten(self) -> None:
        """Say that all is submitted that arrived in this turn of the loop."""
        if self._is_due:
            self._start_due()

    def _start_due(self) -> None:
        if self._is_due:
            self._is_due = False
            self._start()

    async def write(self, write: Write) -> Outcome:
        """Submit a write and wait for it.

        Raises:
            StorageError: as `Store.stage`.
        """
        future: asyncio.Future[Outcome] = self._loop.create_future()

        def done(result: Outcome | WalletError) -> None:
            if future.cancelled():
                return
            if isinstance(result, Outcome):
                future.set_result(result)
            else:
                future.set_exception(result)

        self.submit(write, done)
        return await future

    async def stop(self) -> None:
        """Wait until everything submitted is stored or failed, then end the threads."""
        await self._idle.wait()
        self._jobs.put(None)
        self._copies.put(False)
        for thread in self._threads:
            thread.join()

    def _start(self) -> None:
        batch = self._take()
        if not batch:
            self._busy = False
            self._idle.set()
            return
        try:
            self._store.stage([write for write, _ in batch], int(time.time()))
        except StorageError as error:
            self._answer(batch, error, 0.0)
            self._loop.call_soon(self._start)
        else:
            self._jobs.put(batch)

    def _take(self) -> list[tuple[Write, Done]]:
        """Return the next batch, in the order in which the writes came."""
        size = MAX_BATCH
        if self._next_bytes:
            size = taken = 0
            for write, _ in self._next[:MAX_BATCH]:
                more = len(write.content) if isinstance(write, PutBlob) else 0
                if size and taken + more > MAX_BATCH_BYTES:
                    break
                taken += more
                size += 1
            self._next_bytes -= taken
        batch, self._next = self._next[:size], self._next[size:]
        return batch

    def _work(self) -> None:
        """Commit batch after batch; the writer's thread."""
        while (batch := self._jobs.get()) is not None:
            started = time.monotonic()
            result: list[Outcome] | StorageError
            try:
                result = self._store.commit()
            except StorageError as error:
                result = error
            except Exception as error:  # noqa: BLE001 - without this thread the node would answer nobody again
                log.bug("store.bug", error)
                result = StorageError("storage.failed", "the store cannot be used")
            took_s = time.monotonic() - started
            must_settle = self._look_at_log()
            self._loop.call_soon_threadsafe(self._finish, batch, result, took_s, not must_settle)
            if must_settle:
                try:
                    self._store.settle()
                except StorageError as error:
                    self.state.error = error
                self._loop.call_soon_threadsafe(self._start)

    def _look_at_log(self) -> bool:
        """Have the log copied if it is long; tell whether the store has to be settled before the next batch."""
        if self._is_copying:
            return False
        due = self._store.due_work()
        if due is DueWork.COPY:
            self._is_copying = True
            self._copies.put(True)
        return due is DueWork.SETTLE

    def _copy(self) -> None:
        """Copy the log whenever it is long; the copier's thread."""
        while self._copies.get():
            try:
                self._store.copy_log()
            except StorageError as error:
                self.state.error = error
            except Exception as error:  # noqa: BLE001 - without this thread the log would grow without end
                log.bug("store.bug", error)
            self._is_copying = False

    def _finish(
        self, batch: list[tuple[Write, Done]], result: list[Outcome] | StorageError, took_s: float, go_on: bool
    ) -> None:
        """Answer a batch; but first hand the next one over, if it may begin, so that the disk has it meanwhile."""
        if not isinstance(result, StorageError):
            self._store.committed()
        try:
            if go_on:
                self._start()
        finally:
            self._answer(batch, result, took_s)

    def _answer(self, batch: list[tuple[Write, Done]], result: list[Outcome] | StorageError, took_s: float) -> None:
        state = self.state
        state.last_commit_s = took_s
        if isinstance(result, StorageError):
            state.failures += 1
            state.error = result
            for _, done in batch:
                done(result)
            return
        state.batches += 1
        state.writes += len(batch)
        state.records += not all(isinstance(write, PutBlob) for write, _ in batch)
        state.error = None
        state.stored_at = time.monotonic()
        for (_, done), outcome in zip(batch, result, strict=True):
            done(outcome)
