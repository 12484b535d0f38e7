"""The iterative search for the nodes nearest to a target.

Spec: docs/spec/dht.md, "Look-up".
"""

from __future__ import annotations

import asyncio
from bisect import insort
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from walletcli.dht.contacts import Address, Contact, fits_address, group_of
from walletcli.dht.endpoint import Endpoint, Silence
from walletcli.dht.messages import Answer, Item, Refusal

NEAREST: Final = 8
AT_ONCE: Final = 8
MAX_QUESTIONS: Final = 128
MAX_CANDIDATES: Final = 256
MAX_SECONDS: Final = 15.0
SEEDS: Final = 16
_FARTHEST: Final = 1 << 160


@dataclass(frozen=True, slots=True)
class Holder:
    """A node that answered near the target.

    Attributes:
        node_id: 20 bytes.
        address: where it is.
        token: for a put.
        seq: of the item that it says it has, or None.
        item: the item that it gave, not verified, or None.
        fits: whether its id was made from its address (BEP42), and so was not chosen to be near the target.
    """

    node_id: bytes
    address: Address
    token: bytes
    seq: int | None
    item: Item | None
    fits: bool = True


@dataclass(slots=True)
class Found:
    """What a look-up ends with.

    Attributes:
        nearest: who answered with a token, the nearest first; all of them, not only those wanted.
        questions: how many were asked.
        silent: how many of those had no answer in time.
    """

    nearest: list[Holder] = field(default_factory=list)
    questions: int = 0
    silent: int = 0


class LookUp:
    """One search, over one endpoint.

    Args:
        endpoint: asks.
        target: 20 bytes.
        newer_than: the `seq` that is known, so that only newer items are sent back; None for any.
        on_item: told about each item as it comes, not verified.
        wanted: how many of the nearest nodes that give tokens are searched for.
        is_own: tells whether a node id is this process's own, which does not count.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        target: bytes,
        newer_than: int | None = None,
        on_item: Callable[[Item], None] | None = None,
        *,
        wanted: int = NEAREST,
        is_own: Callable[[bytes], bool] = lambda node_id: False,
    ) -> None:
        self._endpoint = endpoint
        self._target = target
        self._wanted = int.from_bytes(target, "big")
        self._newer_than = newer_than
        self._on_item = on_item
        self._count = wanted
        self._is_own = is_own
        self._loop = asyncio.get_running_loop()
        self._candidates: list[tuple[int, Address, bytes | None]] = []
        self._seen: set[Address] = set()
        self._groups: set[bytes] = set()
        self._holders: list[tuple[int, Holder]] = []  # the nearest first, as the candidates are
        self._answered: set[bytes] = set()
        self._under_way = 0
        self._is_waiting = False  # until the endpoint may ask again
        self._pending: list[tuple[int, bool]] = []  # distances of those under way, and whether their ids fit
        self._late: list[int] = []  # distances of those that were asked again
        self._found = Found()
        self._done: asyncio.Future[None] = self._loop.create_future()

    async def run(self, seeds: Iterable[Contact] = ()) -> Found:
        """Search; `seeds` are asked beside the known nodes nearest to the target."""
        timer = self._loop.call_later(MAX_SECONDS, self._end)
        try:
            for contact in (*self._endpoint.known.nearest(self._target, SEEDS), *seeds):
                self._add(contact)
            self._step()
            await self._done
        finally:
            self._end()
            timer.cancel()
        self._found.nearest = [holder for _, holder in self._holders]
        return self._found

    def _end(self) -> None:
        if not self._done.done():
            self._done.set_result(None)

    def _add(self, contact: Contact) -> None:
        node_id, address = contact
        endpoint = self._endpoint
        if address in self._seen or node_id == endpoint.node_id or (":" in address[0]) is not endpoint.ipv6:
            return
        if endpoint.known.is_dead(address, self._loop.time()):
            return
        if not endpoint.private:
            group = group_of(address[0])
            if group in self._groups:
                return
            self._groups.add(group)
        self._seen.add(address)
        distance = -1 if node_id is None else int.from_bytes(node_id, "big") ^ self._wanted
        insort(self._candidates, (distance, address, node_id), key=_distance)
        del self._candidates[MAX_CANDIDATES:]

    def _step(self) -> None:
        """Ask more nodes, or end."""
        if self._done.done():
            return
        while self._candidates and self._under_way < AT_ONCE:
            if self._found.questions >= MAX_QUESTIONS or self._candidates[0][0] > self._bound():
                break
            if self._endpoint.is_busy:
                self._wait()
                break
            distance, address, node_id = self._candidates.pop(0)
            self._found.questions += 1
            self._under_way += 1
            progress = _Progress(None)
            if node_id is not None:
                progress.place = (distance, fits_address(node_id, address[0]))
                self._pending.append(progress.place)
            told = partial(self._told, address, progress)
            self._endpoint.get(address, node_id, self._target, self._newer_than, told)
        if not self._under_way and not self._is_waiting and not self._may_still_matter():
            self._end()

    def _wait(self) -> None:
        if not self._is_waiting:
            self._is_waiting = True
            self._endpoint.when_free(self._go_on)

    def _go_on(self) -> None:
        self._is_waiting = False
        self._step()

    def _may_still_matter(self) -> bool:
        """Tell whether somebody that was asked again would take a place among those wanted."""
        bound = self._bound()
        return any(distance < bound for distance in self._late)

    def _bound(self) -> int:
        """Return the distance beyond which nobody is asked: of the last of those wanted, if they answer in time.

        Wanted are the nearest, and the nearest whose ids fit their addresses. The former are enough only where they
        are the latter too: else whoever chooses ids near a target ends the search before it meets anybody else.
        """
        near = [(distance, holder.fits) for distance, holder in self._holders] + self._pending
        fitting = sorted(distance for distance, fits in near if fits)
        return fitting[self._count - 1] if len(fitting) >= self._count else _FARTHEST

    def _told(self, address: Address, progress: _Progress, reply: Answer | Refusal | Silence) -> None:
        distance = _FARTHEST - 1 if progress.place is None else progress.place[0]
        if not progress.counted:
            progress.counted = True
            self._under_way -= 1
            if progress.place is not None:
                self._pending.remove(progress.place)
            self._found.silent += isinstance(reply, Silence)
            if reply is Silence.LATE:
                progress.is_late = True
                self._late.append(distance)
        elif progress.is_late:
            progress.is_late = False
            self._late.remove(distance)
        if self._done.done():
            return
        if isinstance(reply, Answer):
            self._take(address, reply)
        self._step()

    def _take(self, address: Address, answer: Answer) -> None:
        distance = int.from_bytes(answer.node_id, "big") ^ self._wanted
        if answer.token is not None and answer.node_id not in self._answered and not self._is_own(answer.node_id):
            self._answered.add(answer.node_id)
            fits = fits_address(answer.node_id, address[0])
            holder = Holder(answer.node_id, address, answer.token, answer.seq, answer.item, fits)
            insort(self._holders, (distance, holder), key=_distance)
        for contact in answer.contacts:
            self._add(contact)
        if answer.item is not None and self._on_item is not None:
            self._on_item(answer.item)


def _distance(entry: tuple[Any, ...]) -> int:
    distance: int = entry[0]
    return distance


@dataclass(slots=True)
class _Progress:
    """What became of a question; the node may answer after all that.

    Attributes:
        place: how far the node is, and whether its id fits; None: not known.
        counted: it was taken off those under way.
        is_late: it was asked again.
    """

    place: tuple[int, bool] | None
    counted: bool = False
    is_late: bool = False
