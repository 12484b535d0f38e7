"""Asks several relays at once, each in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

MAX_THREADS: Final = 16
"""How many relays are asked at once."""

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def for_each(items: Sequence[_Item], work: Callable[[_Item], _Result], at_once: int = MAX_THREADS) -> list[_Result]:
    """Return ``[work(item) for item in items]``, up to `at_once` at once.

    The threads are daemons: an interrupted command ends at once and does not wait for the slowest relay. What `work`
    raises is raised here after all have finished; work that may fail reports failure in its result.
    """
    if len(items) <= 1:
        return [work(item) for item in items]
    tasks = [_Task(item, work) for item in items]
    waiting = iter(tasks)
    lock = threading.Lock()

    def run() -> None:
        while True:
            with lock:
                task = next(waiting, None)
            if task is None:
                return
            task.run()

    threads = [threading.Thread(target=run, daemon=True) for _ in range(min(at_once, len(tasks)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [task.result() for task in tasks]


class _Task(Generic[_Item, _Result]):
    """One call and what came of it."""

    def __init__(self, item: _Item, work: Callable[[_Item], _Result]) -> None:
        self._item = item
        self._work = work
        self._results: list[_Result] = []
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            self._results.append(self._work(self._item))
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread by result()
            self._error = error

    def result(self) -> _Result:
        if self._error is not None:
            raise self._error
        return self._results[0]
