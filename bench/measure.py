"""Ratios within one run: two things timed in turn, many times, so that a busy machine slows both."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of docs/benchmarks.md.

    Args:
        what: what was measured, against what.
        goal: the goal in words.
        measured: the ratio, or the number, in words.
        met: whether the goal is met; None where there is no goal.
        detail: the absolute numbers behind it, on this machine.
    """

    what: str
    goal: str
    measured: str
    met: bool | None
    detail: str

    def to_json(self) -> dict[str, object]:
        """Return the row as plain values."""
        return asdict(self)


def at_least(what: str, ratio: float, goal: float, detail: str) -> Row:
    """Return a row whose ratio shall be at or above `goal`."""
    return Row(what, f"at least {goal:g}x", f"{ratio:.2f}x", ratio >= goal, detail)


def at_most(what: str, ratio: float, goal: float, detail: str) -> Row:
    """Return a row whose ratio shall be at or below `goal`."""
    return Row(what, f"at most {goal:g}x", f"{ratio:.2f}x", ratio <= goal, detail)


def in_turn(
    ours: Callable[[], object], floor: Callable[[], object], rounds: int, clock: Clock = time.process_time
) -> tuple[float, float]:
    """Time both in turn and return the seconds that `ours` and `floor` take.

    Of processor time that is the least disturbed round of each, of elapsed time the median round.

    Args:
        ours: one round of ours.
        floor: one round of what it is compared with.
        rounds: how many rounds of each, after one round each that does not count.
        clock: processor time of this process, unless the work is done by others.
    """
    ours()
    floor()
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for kept, work in zip(times, (ours, floor), strict=True):
            started = clock()
            work()
            kept.append(clock() - started)
    pick: Callable[[list[float]], float] = min if clock is time.process_time else statistics.median
    return pick(times[0]), pick(times[1])
