"""Writes the wallet index, or restores by it, in a process of its own that is killed at one point.

Called as ``python -m tests.faults.index_keeper write HOME POINT`` or ``… recover HOME PAUSES``: killed (signal 9) right
after a function has returned, or in the middle of a wait after so many waits; empty: never.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from tests.wallet.parts import password
from walletcli.wallet.access.opening import open_here
from walletcli.wallet.home import Home
from walletcli.wallet.index import writing
from walletcli.wallet.index.overview import publish_index
from walletcli.wallet.recovery.story import journal_of, recover

POINTS: dict[str, tuple[Any, str]] = {
    "read": (writing, "_shown"),
    "joined": (writing, "_joined"),
    "signed": (writing, "sign_with"),
    "stored": (writing.client, "publish"),
    "noted": (writing, "write_shard"),
}
"""Where something happens: right after a function has returned for the first time."""


def killed_after(point: str) -> None:
    """Have this process killed at a point."""
    owner, name = POINTS[point]
    original = getattr(owner, name)

    def call(*arguments: Any, **settings: Any) -> Any:
        original(*arguments, **settings)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, name, call)


def killed_after_waits(count: int) -> Callable[[float], None]:
    """Return what waits for nothing, and the last time for ever."""
    left = [count]

    def pause(_seconds: float) -> None:
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    return pause


def main(what: str, path: str, point: str) -> None:
    with open_here(Home(path), password) as session:
        if what == "write":
            if point:
                killed_after(point)
            view = writing.write_shard(session, 0) if point == "noted" else publish_index(session)
            print(view.next_s)
            return
        pause = killed_after_waits(int(point)) if point else lambda _seconds: None
        report = recover(session, journal_of(session), pause=pause, timeout_s=5.0)
        print(len(report.restored), report.is_complete, report.looked_up)


if __name__ == "__main__":
    main(*sys.argv[1:])
