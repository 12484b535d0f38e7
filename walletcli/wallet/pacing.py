"""Spreads what is done for several identities or contacts over time, at random instants."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final, TypeAlias

DEFAULT_SPREAD_S: Final = 300.0
"""Within how many seconds several visits are made unless something else is said."""

Pause: TypeAlias = Callable[[float], object]
"""Waits for so many seconds."""


def random_waits(count: int, spread_s: float) -> list[float]:
    """Return how long to wait before each of `count` visits; the first comes at once, the others at random instants."""
    instants = sorted([0.0, *(random_fraction() * spread_s for _ in range(max(0, count - 1)))])[:count]
    return [after - before for before, after in zip([0.0, *instants], instants, strict=False)]


def random_fraction() -> float:
    """Return a number from 0 to below 1, drawn from the operating system's entropy."""
    return int.from_bytes(os.urandom(8), "big") / (1 << 64)


def random_pauses(count: int, spread_s: float) -> list[float]:
    """Return how long to wait before each of `count` things, all of them at random instants within `spread_s`."""
    instants = sorted(random_fraction() * spread_s for _ in range(count))
    return [after - before for before, after in zip([0.0, *instants], instants, strict=False)]
