"""How much one address, and one key, may ask for: rates in bounded memory, and connections.

A rate is kept as one number per name: the instant until which what was used is paid for (GCRA, the virtual scheduling
form of a token bucket). A name whose instant has passed is the same as one never seen, so forgetting it costs
nothing.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from typing import Final

MAX_NAMES: Final = 65_536
"""How many names one rate remembers."""

_CLOSE_ENOUGH_S: Final = 1e-6
"""Rounding errors of clocks are below this."""


class Rate:
    """Lets each name use `per_second` units on average and `burst` at once.

    Args:
        per_second: units per second, above 0.
        burst: units at once, at least 1.
    """

    __slots__ = ("_cost_s", "_names", "_room_s")

    def __init__(self, per_second: float, burst: float) -> None:
        self._cost_s = 1 / per_second
        self._room_s = burst / per_second
        self._names: dict[bytes, float] = {}

    def wait_s(self, name: bytes, now: float, units: int = 1) -> float:
        """Return 0.0 if there is room for `units`, else the seconds until there could be.

        Args:
            name: an address or a key.
            now: monotonic seconds.
            units: how many.
        """
        paid = self._names.get(name, 0.0)
        if paid < now:
            paid = now
        over = paid + units * self._cost_s - now - self._room_s
        return over if over > _CLOSE_ENOUGH_S else 0.0

    def use(self, name: bytes, now: float, units: int = 1) -> None:
        """Use `units`, whether or not there is room."""
        paid = self._names.get(name)
        if paid is None:
            if len(self._names) >= MAX_NAMES:
                self._forget(now)
            paid = now
        elif paid < now:
            paid = now
        self._names[name] = paid + units * self._cost_s

    def take(self, name: bytes, now: float, units: int = 1) -> float:
        """Use `units` if there is room; return what `wait_s` does."""
        wait = self.wait_s(name, now, units)
        if not wait:
            self.use(name, now, units)
        return wait

    def _forget(self, now: float) -> None:
        """Drop what has passed; if that is not enough, the half that was seen first."""
        self._names = {name: paid for name, paid in self._names.items() if paid > now}
        if len(self._names) >= MAX_NAMES:
            first = list(self._names)[: MAX_NAMES // 2]
            for name in first:
                del self._names[name]


class ConnectionLimits:
    """Counts open connections, in all and per address.

    Args:
        in_all: most at once.
        per_address: most at once from one address.
    """

    __slots__ = ("_open", "in_all", "per_address", "total")

    def __init__(self, in_all: int, per_address: int) -> None:
        self.in_all = in_all
        self.total = 0
        self.per_address = per_address
        self._open: Counter[bytes] = Counter()

    def open(self, bucket: bytes | None) -> bool:
        """Count a connection; False (and not counted) if it is one too many.

        Args:
            bucket: the address, or None for a proxy, which may have as many as there are.
        """
        if self.total >= self.in_all:
            return False
        if bucket is not None:
            if self._open[bucket] >= self.per_address:
                return False
            self._open[bucket] += 1
        self.total += 1
        return True

    def close(self, bucket: bytes | None) -> None:
        """Count a connection off; `bucket` as in `open`."""
        self.total -= 1
        if bucket is None:
            return
        self._open[bucket] -= 1
        if not self._open[bucket]:
            del self._open[bucket]


def bucket_of(host: str) -> bytes:
    """Return what limits count an address by: 4 bytes of IPv4, or the first 8 of IPv6.

    Args:
        host: a numeric address, with or without a scope id.
    """
    address = ipaddress.ip_address(host.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        mapped = address.ipv4_mapped
        return mapped.packed if mapped is not None else address.packed[:8]
    return address.packed
