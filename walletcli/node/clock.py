"""The time as the server sees it: read once a tick, not once a request."""

from __future__ import annotations


class Clock:
    """The server's coarse clock: a float of the event loop's time that one timer keeps up to date.

    Attributes:
        now: seconds, monotonic.
    """

    __slots__ = ("now",)

    def __init__(self, now: float) -> None:
        self.now = now
