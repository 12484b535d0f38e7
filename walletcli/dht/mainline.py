"""Taking part in the DHT: libtorrent and a writer for each IP version, behind one interface.

Spec: docs/spec/dht.md.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterable
from typing import Final

from walletcli.dht.contacts import Contact
from walletcli.dht.endpoint import Endpoint, Traffic
from walletcli.dht.look_up import NEAREST
from walletcli.dht.messages import Item
from walletcli.dht.session import READS_AT_ONCE, Session
from walletcli.dht.settings import Settings
from walletcli.dht.writer import Kept, Reading, Writer, is_genuine, signed_twice
from walletcli.errors import NetworkError, VerificationError

MAX_READS_WAITING: Final = 256
NEWER_WAIT: Final = 3.0
"""How long a read that has found something waits for something newer, in times that the first took."""

MIN_NEWER_WAIT_S: Final = 0.002
MAX_NEWER_WAIT_S: Final = 0.25

HEDGE_S: Final = 1.0
"""How long libtorrent has to find something before the writer looks as well, in seconds."""

READ_S: Final = 10.0
_CONTACTS_S: Final = 30.0


class Mainline:
    """A member of the DHT that puts, counts and reads items; make it with `join`.

    Args:
        session: libtorrent.
        writers: one for each IP version.
    """

    def __init__(self, session: Session, writers: list[Writer]) -> None:
        self._session = session
        self._writers = writers
        self._reading = asyncio.Semaphore(READS_AT_ONCE)
        self._reads_waiting = 0

    @classmethod
    async def join(cls, settings: Settings, state: bytes | None = None) -> Mainline:
        """Start.

        Args:
            settings: how.
            state: what `save` returned in an earlier life, or None.

        Raises:
            NetworkError: ``dht.listen``.
        """
        session = await Session.open(settings, state)
        session.save()
        seeds = _Seeds(session, answers=not settings.read_only)
        writers: list[Writer] = []
        try:
            for host in dict.fromkeys(host for host, _ in settings.listen):
                endpoint = await Endpoint.open(host, settings.writer_port, private=settings.private)
                writers.append(Writer(endpoint, settings.copies, seeds.contacts, session.is_own))
        except NetworkError:
            for writer in writers:
                writer.close()
            await session.close()
            raise
        return cls(session, writers)

    @property
    def session(self) -> Session:
        """The member behind it."""
        return self._session

    @property
    def traffic(self) -> list[Traffic]:
        """What each writer counts."""
        return [writer.endpoint.traffic for writer in self._writers]

    @property
    def known(self) -> int:
        """How many nodes the writers know."""
        return sum(len(writer.endpoint.known) for writer in self._writers)

    def save(self) -> bytes:
        """Return libtorrent's routing state, for `join`."""
        return self._session.save()

    async def put(self, item: Item, cas: int | None = None, *, counted: bool = True) -> Kept:
        """Put an item that was verified.

        Args:
            item: what to put.
            cas: the `seq` that it may replace; None for any.
            counted: whether the nodes are asked again afterwards.

        Raises:
            NetworkError: ``dht.unreachable`` when no node answers, ``dht.precondition`` when `cas` is not what they
                have and nobody took it.
            VerificationError: ``dht.newer-exists``.
        """
        kept = merged(await asyncio.gather(*(writer.put(item, cas, counted=counted) for writer in self._writers)))
        if kept.newer is not None:
            raise VerificationError(
                "dht.newer-exists", f"the DHT has a newer packet of this key (seq {kept.newer.seq}, not {item.seq})"
            )
        if not kept.nearest:
            raise NetworkError("dht.unreachable", "no node of the DHT answers", "look at dht.bootstrap and dht.peers")
        if not kept.stored and kept.refused[301]:
            raise NetworkError("dht.precondition", "the DHT has another packet than the one to be replaced")
        return kept

    async def keep(self, item: Item) -> Kept:
        """Put an item again, without counting; a newer one that is met is in the result."""
        return merged(await asyncio.gather(*(writer.put(item, counted=False) for writer in self._writers)))

    async def count(self, item: Item) -> int:
        """Return on how many nodes exactly this item is."""
        return max(await asyncio.gather(*(writer.count(item) for writer in self._writers)))

    async def look_up(self, key: bytes) -> Reading:
        """Ask the nodes nearest to a key (32 bytes) themselves, and wait for all of them.

        Returns:
            The newest verified item that any of them has, or None; how many have answered; and what was signed twice.
        """
        results = await asyncio.gather(*(writer.get(key) for writer in self._writers))
        items = [result.item for result in results if result.item is not None]
        twice = signed_twice(key, {*items, *(item for result in results for item in result.twice)})
        newest = max(items, key=lambda item: item.seq, default=None)
        return Reading(newest, max(result.answered for result in results), twice)

    async def get(self, key: bytes) -> Item | None:
        """Return the newest verified item that is found for a key (32 bytes), or None.

        Raises:
            NetworkError: ``dht.busy`` when too many reads wait already.
        """
        if self._reads_waiting >= MAX_READS_WAITING:
            raise NetworkError("dht.busy", "too many look-ups are waiting", "ask again later")
        self._reads_waiting += 1
        try:
            async with self._reading:
                return await _Read(self._session, self._writers, key).run()
        finally:
            self._reads_waiting -= 1

    async def close(self) -> None:
        """Leave."""
        for writer in self._writers:
            writer.close()
        await self._session.close()


class _Seeds:
    """Nodes that a writer starts from: libtorrent itself, if it answers anybody, and whom it knows."""

    def __init__(self, session: Session, *, answers: bool) -> None:
        self._session = session
        self._answers = answers
        self._contacts: list[Contact] = []
        self._loop = asyncio.get_running_loop()
        self._looked_at = float("-inf")

    def contacts(self) -> Iterable[Contact]:
        now = self._loop.time()
        if now - self._looked_at > _CONTACTS_S or not self._contacts:
            self._looked_at = now
            self._contacts = self._session.contacts()
        if not self._answers:
            return self._contacts
        own = [Contact(None, (_reachable(host), port)) for host, port in self._session.addresses]
        return [*own, *self._contacts]


def _reachable(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound


def merged(results: list[Kept]) -> Kept:
    """Return what two IP versions came to: a node may be in both, so the larger count is what is certain."""
    most = max(results, key=lambda kept: kept.stored)
    newer = max((kept.newer for kept in results if kept.newer is not None), key=lambda item: item.seq, default=None)
    refused = sum((kept.refused for kept in results), Counter[int]())
    twice = next((kept.twice for kept in results if kept.twice), ())
    return Kept(most.had, most.nearest, most.stored, refused, newer, twice)


class _Read:
    """One read: libtorrent first, the writers beside it when that takes long."""

    def __init__(self, session: Session, writers: list[Writer], key: bytes) -> None:
        self._session = session
        self._writers = writers
        self._key = key
        self._loop = asyncio.get_running_loop()
        self._started_at = self._loop.time()
        self._best: Item | None = None
        self._rejected: set[Item] = set()
        self._over: asyncio.Future[None] = self._loop.create_future()
        self._running = 1
        self._timers: list[asyncio.TimerHandle] = []
        self._task: asyncio.Task[None] | None = None

    async def run(self) -> Item | None:
        self._timers = [
            self._loop.call_later(HEDGE_S, self._hedge),
            self._loop.call_later(READ_S, self._end),
        ]
        if not self._session.read(self._key, self._heard):  # then the writers alone look, and at once
            self._hedge()
            self._one_less()
        try:
            await self._over
        finally:
            self._end()
            self._session.give_up(self._key, self._heard)
            for timer in self._timers:
                timer.cancel()
            if self._task is not None:
                self._task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await self._task
        return self._best

    def _end(self) -> None:
        if not self._over.done():
            self._over.set_result(None)

    def _heard(self, item: Item | None, is_over: bool) -> None:
        if item is not None:
            self._offer(item)
        if is_over:
            self._hedge()  # it may have asked only such as hide the item
            self._one_less()

    def _one_less(self) -> None:
        self._running -= 1
        if not self._running:
            self._end()

    def _offer(self, item: Item) -> None:
        if item in self._rejected or (self._best is not None and item.seq <= self._best.seq):
            return
        if not is_genuine(self._key, item):
            self._rejected.add(item)
            return
        if self._best is None:
            wait_s = NEWER_WAIT * (self._loop.time() - self._started_at)
            wait_s = min(max(wait_s, MIN_NEWER_WAIT_S), MAX_NEWER_WAIT_S)
            self._timers.append(self._loop.call_later(wait_s, self._end))
        self._best = item

    def _hedge(self) -> None:
        if self._best is None and self._task is None and not self._over.done():
            self._running += 1
            self._task = self._loop.create_task(self._look())

    async def _look(self) -> None:
        results = await asyncio.gather(*(writer.get(self._key, self._offer) for writer in self._writers))
        answered = [
            result.answered for result in results if result.answered
        ]  # an IP version without members has nothing to say
        if answered and min(answered) >= NEAREST:
            self._end()  # the nearest have answered: there is nothing to wait for in libtorrent's timeouts
        else:
            self._one_less()
