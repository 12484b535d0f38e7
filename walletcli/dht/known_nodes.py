"""The writer's memory: which nodes answered, how fast, and which did not.

Spec: docs/spec/dht.md, "Look-up".
"""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass, field
from typing import Final

from walletcli.dht.contacts import Address, Contact

MAX_KNOWN: Final = 4096
MAX_DEAD: Final = 4096
DEAD_S: Final = 600.0
"""How long a node is left alone that did not answer twice in a row, in seconds."""

MIN_TIMEOUT_S: Final = 0.25
MAX_TIMEOUT_S: Final = 2.0
_FAILURES: Final = 2
_NEIGHBOURS: Final = 24


@dataclass(slots=True)
class RoundTrips:
    """An estimate of how long answers take (RFC 6298).

    Attributes:
        mean_s: smoothed round trip, in seconds; None before the first.
        deviation_s: smoothed deviation from it, in seconds.
    """

    mean_s: float | None = None
    deviation_s: float = 0.0

    def note(self, took_s: float) -> None:
        """Take a round trip into account."""
        if self.mean_s is None:
            self.mean_s, self.deviation_s = took_s, took_s / 2
        else:
            self.deviation_s += (abs(took_s - self.mean_s) - self.deviation_s) / 4
            self.mean_s += (took_s - self.mean_s) / 8

    @property
    def timeout_s(self) -> float:
        """How long to wait for an answer, in seconds."""
        if self.mean_s is None:
            return 1.0
        return min(max(self.mean_s + 4 * self.deviation_s, MIN_TIMEOUT_S), MAX_TIMEOUT_S)


@dataclass(slots=True)
class _Node:
    number: int
    address: Address
    round_trips: RoundTrips = field(default_factory=RoundTrips)


class KnownNodes:
    """Nodes that answered, by id; bounded, the one that answered longest ago goes first."""

    def __init__(self) -> None:
        self._nodes: dict[Address, _Node] = {}  # in the order of their last answers
        self._numbers: list[int] = []  # ids as integers, sorted
        self._by_number: dict[int, Address] = {}
        self._failures: dict[Address, int] = {}
        self._dead: dict[Address, float] = {}
        self._others = RoundTrips()
        self._heard_at = float("-inf")  # anybody

    def __len__(self) -> int:
        return len(self._nodes)

    def note_answer(self, node_id: bytes, address: Address, took_s: float, now: float) -> None:
        """Remember that a node answered, and after how many seconds."""
        self._heard_at = now
        self._failures.pop(address, None)
        self._dead.pop(address, None)
        self._others.note(took_s)
        number = int.from_bytes(node_id, "big")
        node = self._nodes.pop(address, None)
        if node is None or node.number != number:
            if node is not None:
                self._forget_number(node.number)
            if self._by_number.get(number, address) != address:
                self.forget(self._by_number[number])
            if len(self._nodes) >= MAX_KNOWN:
                self.forget(next(iter(self._nodes)))
            insort(self._numbers, number)
            self._by_number[number] = address
            node = _Node(number, address)
        self._nodes[address] = node
        node.round_trips.note(took_s)

    def note_silence(self, address: Address, now: float, asked_at: float) -> None:
        """Remember that a node did not answer; after two times in a row it is dead for a while.

        If nobody at all answered since it was asked, the silence is our own, and is held against no one.
        """
        if self._heard_at >= asked_at:
            self.note_lie(address, now)

    def note_lie(self, address: Address, now: float) -> None:
        """Remember that what a node answered is as good as nothing."""
        failures = self._failures.pop(address, 0) + 1
        if failures < _FAILURES:
            if len(self._failures) >= MAX_DEAD:
                del self._failures[next(iter(self._failures))]
            self._failures[address] = failures
            return
        self.forget(address)
        self._dead.pop(address, None)
        if len(self._dead) >= MAX_DEAD:
            del self._dead[next(iter(self._dead))]
        self._dead[address] = now + DEAD_S

    def is_dead(self, address: Address, now: float) -> bool:
        """Tell whether a node is to be left alone."""
        until = self._dead.get(address)
        if until is None:
            return False
        if until > now:
            return True
        del self._dead[address]
        return False

    def forget(self, address: Address) -> None:
        """Drop a node."""
        node = self._nodes.pop(address, None)
        if node is not None:
            self._forget_number(node.number)

    def _forget_number(self, number: int) -> None:
        del self._numbers[bisect_left(self._numbers, number)]
        del self._by_number[number]

    def timeout_s(self, address: Address) -> float:
        """Return how long to wait for this node, in seconds."""
        node = self._nodes.get(address)
        return (self._others if node is None else node.round_trips).timeout_s

    def nearest(self, target: bytes, count: int) -> list[Contact]:
        """Return known nodes near a target, the nearest first.

        Nodes that share the longest prefix with the target are next to it in order; so the neighbours in order are
        looked at, and not all.
        """
        wanted = int.from_bytes(target, "big")
        at = bisect_left(self._numbers, wanted)
        reach = max(_NEIGHBOURS, count)
        near = sorted(self._numbers[max(at - reach, 0) : at + reach], key=wanted.__xor__)[:count]
        return [Contact(number.to_bytes(20, "big"), self._by_number[number]) for number in near]
