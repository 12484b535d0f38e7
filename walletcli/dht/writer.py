"""Puts of items that were signed elsewhere, over one socket: no key is in reach of this code.

Spec: docs/spec/dht.md, "Putting" and "Reading".
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from walletcli.core.bep44 import target as target_of
from walletcli.dht.contacts import Contact
from walletcli.dht.endpoint import INSIST, Endpoint, Silence, Told
from walletcli.dht.look_up import NEAREST, Found, Holder, LookUp
from walletcli.dht.messages import Answer, Item, Refusal
from walletcli.errors import VerificationError

MAX_TWICE: Final = 2
"""How many `seq` with two values are told of one key; the highest."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What a put came to.

    Attributes:
        had: how many of the nearest nodes said before that they have it.
        nearest: how many that were.
        stored: how many hold it: by asking again if that was wanted, else by their answers to the put.
        refused: KRPC error codes, and how many answered with each.
        newer: a verified item with a higher `seq` that was met; nothing was put then.
        twice: this item and another with its `seq`, where the count met one.
    """

    had: int = 0
    nearest: int = 0
    stored: int = 0
    refused: Counter[int] = field(default_factory=Counter)
    newer: Item | None = None
    twice: tuple[Item, ...] = ()


class Reading(NamedTuple):
    """What a look-up found.

    Attributes:
        item: the newest verified one, or None.
        answered: how many nodes answered whose ids fit their addresses.
        twice: verified items of which another one has the same `seq` and another value, whatever is newest.
    """

    item: Item | None
    answered: int
    twice: tuple[Item, ...] = ()


class Writer:
    """Puts, counts and reads items in the DHT of one IP version.

    Args:
        endpoint: the socket.
        copies: on how many nodes an item is put.
        seeds: gives nodes to start from when few are known.
        is_own: tells whether a node id is this process's own, which no copy is put on.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        copies: int = NEAREST,
        seeds: Callable[[], Iterable[Contact]] = tuple,
        is_own: Callable[[bytes], bool] = lambda node_id: False,
    ) -> None:
        self.endpoint = endpoint
        self._copies = copies
        self._wanted = max(copies, NEAREST)
        self._seeds = seeds
        self._is_own = is_own

    async def put(self, item: Item, cas: int | None = None, *, counted: bool) -> Kept:
        """Put an item on the nearest nodes.

        Args:
            item: verified by the caller.
            cas: the `seq` that it may replace; None for any.
            counted: whether the nodes are asked again afterwards.
        """
        found = await self._look_up(item.target, item.seq)
        newer = newest(item.key, (holder.item for holder in found.nearest), item.seq)
        if newer is not None:
            return Kept(newer=newer)
        nearest = found.nearest[: self._wanted]
        had = sum(holder.seq == item.seq for holder in nearest)
        targets = self._targets(found.nearest)
        refused: Counter[int] = Counter()
        answers = await asyncio.gather(*(self._put(holder, item, cas) for holder in targets))
        for answer in answers:
            if isinstance(answer, Refusal):
                refused[answer.code] += 1
        twice: tuple[Item, ...] = ()
        if counted:
            held = await self._held(targets, item.target)
            stored, twice = held.count(item), signed_twice(item.key, {item, *held})
        else:
            stored = sum(
                isinstance(answer, Answer)
                or (isinstance(answer, Refusal) and answer.code == 302 and holder.seq == item.seq)
                for holder, answer in zip(targets, answers, strict=True)
            )
        return Kept(had, len(nearest), stored, refused, twice=twice)

    async def count(self, item: Item) -> int:
        """Return how many of the nearest nodes hold exactly this item."""
        found = await self._look_up(item.target, None)
        return sum(holder.item == item for holder in found.nearest)

    async def get(self, key: bytes, first: Callable[[Item], None] | None = None) -> Reading:
        """Look up to the end, and return the newest verified item of a key, and what was signed twice.

        Args:
            key: Ed25519 public key, 32 bytes.
            first: told about each verified item that is newer than all before it, as it comes.
        """
        best: list[Item] = []
        rejected: set[Item] = set()
        offered: dict[Item, None] = {}

        def offer(item: Item) -> None:
            offered[item] = None
            if item in rejected or (best and item.seq <= best[-1].seq):
                return
            if not is_genuine(key, item):
                rejected.add(item)
                return
            best.append(item)
            if first is not None:
                first(item)

        found = await self._look_up(target_of(key), None, offer)
        answered = sum(holder.fits for holder in found.nearest)
        return Reading(best[-1] if best else None, answered, signed_twice(key, offered.keys() - rejected))

    def close(self) -> None:
        """Close the socket."""
        self.endpoint.close()

    async def _look_up(
        self, target: bytes, newer_than: int | None, on_item: Callable[[Item], None] | None = None
    ) -> Found:
        found = Found()
        for seeds in ((), self._seeds):
            look_up = LookUp(self.endpoint, target, newer_than, on_item, wanted=self._wanted, is_own=self._is_own)
            found = await look_up.run(seeds() if callable(seeds) else seeds)
            if sum(holder.fits for holder in found.nearest) >= self._wanted:
                break  # else few are known, or those that were are gone
        return found

    def _targets(self, nearest: Sequence[Holder]) -> list[Holder]:
        """Choose who gets it: the nearest, and the nearest whose id fits their address."""
        chosen = dict.fromkeys(nearest[: self._copies])
        fitting = [holder for holder in nearest if holder.fits]
        chosen.update(dict.fromkeys(fitting[: self._copies]))
        return list(chosen)

    async def _put(self, holder: Holder, item: Item, cas: int | None) -> Answer | Refusal | None:
        return await self._reply(
            lambda told: self.endpoint.put(holder.address, holder.node_id, item, holder.token, cas, told)
        )

    async def _held(self, holders: Sequence[Holder], target: bytes) -> list[Item]:
        """Return what nodes hold now, one item from each that has one; not verified."""
        answers = await asyncio.gather(*(self._again(holder, target) for holder in holders))
        return [answer.item for answer in answers if isinstance(answer, Answer) and answer.item is not None]

    async def _again(self, holder: Holder, target: bytes) -> Answer | Refusal | None:
        return await self._reply(
            lambda told: self.endpoint.get(holder.address, holder.node_id, target, None, told, INSIST)
        )

    async def _reply(self, ask: Callable[[Told], None]) -> Answer | Refusal | None:
        """Ask something, and return the reply, or None if none came to any sending of the question."""
        future: asyncio.Future[Answer | Refusal | None] = asyncio.get_running_loop().create_future()

        def told(reply: Answer | Refusal | Silence) -> None:
            if not future.done() and reply is not Silence.LATE:
                future.set_result(None if reply is Silence.OVER else reply)

        await self.endpoint.room()
        ask(told)
        return await future


def is_genuine(key: bytes, item: Item) -> bool:
    """Tell whether an item is this key's and its signature verifies."""
    if item.key != key:
        return False
    try:
        item.check()
    except VerificationError:
        return False
    return True


def newest(key: bytes, items: Iterable[Item | None], above: int) -> Item | None:
    """Return the genuine item with the highest `seq` over `above`, or None; each is verified once."""
    offered = {item for item in items if item is not None and item.seq > above}
    for item in sorted(offered, key=lambda offer: offer.seq, reverse=True):
        if is_genuine(key, item):
            return item
    return None


def signed_twice(key: bytes, items: Iterable[Item]) -> tuple[Item, ...]:
    """Return genuine items in pairs that have one `seq` and two values, the highest first; others are not verified.

    Args:
        key: Ed25519 public key, 32 bytes.
        items: as they were met; as many as nodes were asked.
    """
    offered: dict[int, dict[bytes, list[Item]]] = {}
    for item in items:
        offered.setdefault(item.seq, {}).setdefault(item.value, []).append(item)
    found: list[Item] = []
    for seq in sorted((seq for seq, values in offered.items() if len(values) > 1), reverse=True):
        genuine = [next((item for item in same if is_genuine(key, item)), None) for same in offered[seq].values()]
        sides = sorted((item for item in genuine if item is not None), key=lambda item: item.value)
        if len(sides) > 1 and len(found) < 2 * MAX_TWICE:
            found += sides[:2]
    return tuple(found)
