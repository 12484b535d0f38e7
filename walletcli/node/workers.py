"""A few daemon threads for calls that block: questions to other nodes.

Not a ThreadPoolExecutor, because that makes the process wait for its threads at exit, and these may be waiting for a
peer.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")


class Workers:
    """Runs functions on threads of their own.

    Args:
        count: how many threads; they start with the first call.
        loop: the event loop that waits for results.
    """

    def __init__(self, count: int, loop: asyncio.AbstractEventLoop) -> None:
        self._count = count
        self._loop = loop
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []

    def _start(self) -> None:
        while len(self._threads) < self._count:
            thread = threading.Thread(target=self._work, name="peer", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()

    def stop(self) -> None:
        """End the threads once they have done what they are doing."""
        for _ in self._threads:
            self._jobs.put(None)

    async def run(self, function: Callable[[], _T]) -> _T:
        """Run `function` on a thread and return its result, or raise what it raised."""
        self._start()
        future: asyncio.Future[_T] = self._loop.create_future()

        def settle(result: _T | None, error: BaseException | None) -> None:
            if future.cancelled():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)  # type: ignore[arg-type]  # None only if that is what _T is

        def job() -> None:
            result: _T | None = None
            failure: BaseException | None = None
            try:
                result = function()
            except Exception as error:  # noqa: BLE001 - raised again where the result is awaited
                failure = error
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(settle, result, failure)

        self._jobs.put(job)
        return await future
