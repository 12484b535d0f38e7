"""When the agent has an identity brought in step, and the process that does it.

Each identity has instants of its own, drawn from the operating system's entropy. One child process runs at a time; it
asks the agent like any command, and ends with it.

Spec: docs/spec/agent.md, "By itself".
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from walletcli.errors import InputError
from walletcli.wallet.home import Home

DEFAULT_MIN_S: Final = 2 * 3600.0
"""Shortest time between two synchronizations of an identity, in seconds."""

DEFAULT_MAX_S: Final = 6 * 3600.0
"""Longest, in seconds."""

LONGEST_S: Final = 30 * 86_400.0
"""Longest time that can be chosen, in seconds."""

FIRST_MIN_S: Final = 120.0
"""How many seconds after the wallet was unlocked something is done, at the earliest, that should have been done."""

FIRST_MAX_S: Final = 600.0
"""How many seconds afterwards, at the latest."""

HANG_S: Final = 6 * 3600.0
"""After so many seconds what is at work is taken to hang, and ended."""

WALLET_INDEX: Final = 2147483647
"""Stands for the wallet index in place of an identity's index: it is the step of the key tree where its keys are."""

MODULE: Final = "walletcli.wallet.sealed.scheduled"
"""What the child process runs."""

_KILL_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Interval:
    """How often.

    Attributes:
        min_s: shortest time between two synchronizations of an identity, in seconds.
        max_s: longest.

    Raises:
        InputError: ``agent.interval``.
    """

    min_s: float = DEFAULT_MIN_S
    max_s: float = DEFAULT_MAX_S

    def __post_init__(self) -> None:
        if not 0 < self.min_s <= self.max_s <= LONGEST_S:
            raise InputError(
                "agent.interval", "the times between two synchronizations are 1 second to 30 days", "choose others"
            )

    def draw(self) -> float:
        """Return a random time between the two, in seconds."""
        return self.min_s + _fraction() * (self.max_s - self.min_s)


def _fraction() -> float:
    return int.from_bytes(os.urandom(8), "big") / (1 << 64)


class Schedule:
    """The next instant of each identity, by a clock that nobody sets.

    Args:
        interval: how often.
        home: whose wallet.
    """

    def __init__(self, interval: Interval, home: Home) -> None:
        self._interval = interval
        self._home = home
        self._due: dict[int, float] = {}
        self._slot_s: int | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._started_s = 0.0

    @property
    def child_pid(self) -> int | None:
        """The process that is at work, or None."""
        return self._child.pid if self._child is not None else None

    def plan(self, last_s: Mapping[int, int | None], now_s: float, wall_s: float, slot_s: int | None = None) -> None:
        """Draw an instant for each identity that has none; forget those that are gone.

        Args:
            last_s: when each identity was tried last (Unix time in seconds), by index; None: never.
            now_s: by the clock of the schedule.
            wall_s: Unix time.
            slot_s: the next slot of the wallet index (Unix time in seconds), or None if it is not written here.
        """
        self._due = {index: due_s for index, due_s in self._due.items() if index in last_s or index == WALLET_INDEX}
        self._plan_index(slot_s, now_s, wall_s)
        for index, tried_s in last_s.items():
            if index not in self._due:
                wait_s = self._interval.draw()
                since_s = wall_s - tried_s if tried_s is not None else wait_s
                left_s = wait_s - max(0.0, since_s)  # a clock that was set back makes it later, never at once
                self._due[index] = now_s + (left_s if left_s > 0 else self._soon_s())

    def _plan_index(self, slot_s: int | None, now_s: float, wall_s: float) -> None:
        """Take over the slot of the wallet index, if it is another one than before."""
        if slot_s is None:
            self._due.pop(WALLET_INDEX, None)
        elif slot_s != self._slot_s or WALLET_INDEX not in self._due:
            left_s = min(slot_s - wall_s, LONGEST_S)
            self._due[WALLET_INDEX] = now_s + (left_s if left_s > 0 else self._soon_s())
        self._slot_s = slot_s

    def _soon_s(self) -> float:
        soon = Interval(min(FIRST_MIN_S, self._interval.min_s), min(FIRST_MAX_S, self._interval.max_s))
        return soon.draw()

    def next_s(self) -> float | None:
        """Return the next instant, or None if there is none."""
        return min(self._due.values(), default=None)

    def tick(self, now_s: float) -> None:
        """Start what is due, if nothing is at work; see whether what was at work has ended."""
        if self._child is not None:
            if self._child.poll() is None:
                if now_s - self._started_s > HANG_S:
                    self._child.kill()  # it hangs; its identity's turn comes again
                return
            self._child = None
        index = min(self._due, key=self._due.__getitem__, default=None)
        if index is None or self._due[index] > now_s:
            return
        self._due[index] = now_s + self._interval.draw()
        for other, due_s in self._due.items():
            if other != index and due_s <= now_s:  # not one right after the other
                self._due[other] = now_s + self._soon_s()
        self._start(index, now_s)

    def _start(self, index: int, now_s: float) -> None:
        """Start the child; which identity it is for goes through a pipe, so that no list of processes tells."""
        command = [sys.executable, "-P", "-m", MODULE, self._home.path]
        with contextlib.suppress(OSError):
            self._child = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, close_fds=True
            )
            self._started_s = now_s
            assert self._child.stdin is not None
            with contextlib.suppress(BrokenPipeError), self._child.stdin as pipe:
                pipe.write(b"%d %d\n" % (index, os.getpid()))

    def end(self) -> None:
        """End what is at work."""
        if self._child is None:
            return
        self._child.terminate()
        try:
            self._child.wait(_KILL_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._child = None
