"""Lengths of time and days, as people write and read them."""

from __future__ import annotations

import datetime
from typing import Any

import click

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

MAX_DURATION_S = 30 * 86400
"""Longest duration that is taken, in seconds."""


class Duration(click.ParamType[int]):
    """Seconds, as ``90``, ``90s``, ``15m``, ``8h`` or ``1d``.

    Args:
        shortest_s: 1, or 0 where no time at all is a choice.
    """

    name = "time"

    def __init__(self, shortest_s: int = 1) -> None:
        self._shortest_s = shortest_s

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return seconds, at most `MAX_DURATION_S`."""
        if isinstance(value, int):
            return value
        number, unit = (value[:-1], value[-1]) if value[-1:] in _SECONDS else (value, "s")
        seconds = int(number) * _SECONDS[unit] if number.isascii() and number.isdigit() and len(number) < 9 else -1
        if not self._shortest_s <= seconds <= MAX_DURATION_S:
            self.fail(f"'{value}' is not a time from {self._shortest_s}s to 30d, such as 90s, 15m or 8h", param, ctx)
        return seconds


DURATION = Duration()
"""Type of options that take a length of time."""

SPREAD = Duration(0)
"""Type of options that spread something over a time, or do not."""


def for_people(seconds: float) -> str:
    """Return a length of time in its largest whole unit."""
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if (count := round(seconds / size)) >= 2 or seconds == size:
            return _counted(count, unit)
    return _counted(round(seconds), "second")


def date_text(day: int) -> str:
    """Return a day (since 1970-01-01, UTC) as ``2026-11-23``."""
    return (datetime.date(1970, 1, 1) + datetime.timedelta(days=day)).isoformat()


def instant_text(time_s: int) -> str:
    """Return a Unix time in seconds as ``2026-11-23 14:05`` (UTC); one that no calendar has as it is."""
    try:
        return datetime.datetime.fromtimestamp(time_s, datetime.UTC).strftime("%Y-%m-%d %H:%M")
    except (OverflowError, OSError, ValueError):
        return str(time_s)


def _counted(number: int, unit: str) -> str:
    return f"{number} {unit}" + ("" if number == 1 else "s")


def age_line(day: int | None) -> str:
    """Say how old a state is at most, by what its owner has written into it."""
    if day is None:
        return "not known: nothing in it has a date"
    return f"its latest date is {date_text(day)}, by its owner's word; seq says nothing of time"
