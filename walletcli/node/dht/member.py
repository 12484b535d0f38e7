"""The node's membership: puts what was accepted, looks for what is missing.

Spec: docs/spec/dht.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from walletcli.core.packet import SignedPacket
from walletcli.dht.messages import Item
from walletcli.dht.settings import Settings
from walletcli.errors import NetworkError, StorageError, VerificationError, WalletError
from walletcli.node import directory, log
from walletcli.node.dht.counters import DhtCounters
from walletcli.node.store import Store

if TYPE_CHECKING:
    from walletcli.dht.mainline import Mainline

PUTS_AT_ONCE: Final = 4
MAX_WAITING: Final = 10_000
SAVE_S: Final = 600.0
LOOK_S: Final = 10.0
LONELY_S: Final = 5.0
"""How long puts wait for a first member to be known, in seconds."""

QUIET_S: Final = 0.0003
REST: Final = 300.0
MAX_REST_S: Final = 1.0
"""A pass of the event loop that takes longer than QUIET_S has clients in it: puts rest for REST times as long."""

Met = Callable[[SignedPacket], Awaitable[None]]
"""Takes a packet that was met in the DHT and is newer than the stored one."""


class DhtMember:
    """This node in the DHT.

    Args:
        settings: how it takes part.
        state_file: where the routing state is saved.
        store: has the packets.
        counters: what is counted.
        met: stores what is newer.
    """

    def __init__(self, settings: Settings, state_file: Path, store: Store, counters: DhtCounters, met: Met) -> None:
        self._settings = settings
        self._state_file = state_file
        self._store = store
        self._counters = counters
        self._met = met
        self._mainline: Mainline | None = None
        self._waiting: dict[bytes, None] = {}
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Join.

        Raises:
            NetworkError: ``dht.listen``.
        """
        from walletcli.dht.mainline import Mainline  # loads libtorrent, which only a member needs

        self._mainline = await Mainline.join(self._settings, self._saved_state())
        self._counters.is_joined = True
        self._tasks = [asyncio.create_task(self._put_waiting()) for _ in range(PUTS_AT_ONCE)]
        self._tasks.append(asyncio.create_task(self._look_after()))
        addresses = [f"{host} port {port}" for host, port in self._mainline.session.addresses]
        log.info("dht.joined", addresses=addresses)

    async def stop(self) -> None:
        """Leave; the routing state is saved."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._mainline is not None:
            self._save()
            await self._mainline.close()

    @property
    def mainline(self) -> Mainline:
        """The member itself, once it has joined."""
        assert self._mainline is not None
        return self._mainline

    # puts

    def offer(self, key: bytes) -> None:
        """Put the stored packet of a key soon."""
        self._waiting.pop(key, None)
        if len(self._waiting) >= MAX_WAITING:
            del self._waiting[next(iter(self._waiting))]
            self._counters.dropped += 1
        self._waiting[key] = None
        self._counters.waiting = len(self._waiting)
        self._wake.set()

    async def publish(self, key: bytes) -> int:
        """Put the stored packet of a key now, and return on how many nodes it is then, by asking them again."""
        self._waiting.pop(key, None)
        item = self._item(key)
        if item is None:
            return 0
        self._counters.puts += 1
        try:
            kept = await self.mainline.put(item)
            self._counters.splits += bool(kept.twice)
            return kept.stored
        except VerificationError:
            await self._take_newer(key)
        except NetworkError as error:
            self._counters.put_failures += 1
            log.warning("dht.not-put", code=error.code)
        return 0

    async def keep(self, key: bytes) -> bool:
        """Put the stored packet of a key again; what is newer in the DHT, or is not stored here, is taken from there.

        Returns:
            False if there is nobody to put it on.
        """
        item = self._item(key)
        if item is None:  # a pin that was never seen
            packet = await self.find(key)
            if packet is not None:
                await self._take(packet)
            return True
        counters = self._counters
        counters.puts += 1
        kept = await self.mainline.keep(item)
        if kept.newer is not None:
            counters.overtaken += 1
            await self._meet(kept.newer)
            return True
        counters.copies_expected += kept.nearest
        counters.copies_missing += kept.nearest - kept.had
        counters.put_failures += not kept.stored
        return bool(kept.nearest)

    async def _take_newer(self, key: bytes) -> None:
        self._counters.overtaken += 1
        item = await self.mainline.get(key)
        if item is not None:
            await self._meet(item)

    async def _meet(self, item: Item) -> None:
        packet = _packet(item)
        if packet is not None:
            await self._take(packet)

    async def _take(self, packet: SignedPacket) -> None:
        with contextlib.suppress(StorageError):  # the probe reports it
            await self._met(packet)

    def _item(self, key: bytes) -> Item | None:
        payload = self._store.packets([key])[0]
        if payload is None:
            return None
        return Item(key, int.from_bytes(payload[64:72], "big"), payload[:64], payload[72:])

    async def _put_waiting(self) -> None:
        while True:
            while not self._waiting:
                self._wake.clear()
                await self._wake.wait()
            key = next(iter(self._waiting))
            del self._waiting[key]
            self._counters.waiting = len(self._waiting)
            if not await self._calmly_keep(key):
                self.offer(key)
                await asyncio.sleep(LONELY_S)
            await self._let_clients_go_first()

    async def _let_clients_go_first(self) -> None:
        started = time.perf_counter()  # the loop's own clock stands still within a pass
        await asyncio.sleep(0)
        took_s = time.perf_counter() - started
        if took_s > QUIET_S:
            await asyncio.sleep(min(REST * took_s, MAX_REST_S))

    async def _calmly_keep(self, key: bytes) -> bool:
        """Do what must not end the task that does it by failing."""
        try:
            return await self.keep(key)
        except WalletError as error:
            log.warning("dht.failed", code=error.code)
        except Exception as error:  # noqa: BLE001 - a bug costs one packet its put, not all others
            log.bug("dht.bug", error)
        return True

    # reads

    async def find(self, key: bytes) -> SignedPacket | None:
        """Return the newest packet of a key that the DHT has, verified like one that is PUT here, or None."""
        self._counters.asked += 1
        try:
            item = await self.mainline.get(key)
        except NetworkError:  # too many wait already
            return None
        packet = _packet(item) if item is not None else None
        self._counters.found += packet is not None
        return packet

    # by the clock

    async def _look_after(self) -> None:
        saved_at = asyncio.get_running_loop().time()
        while True:
            self._counters.nodes = self.mainline.session.nodes
            self._counters.known = self.mainline.known
            if asyncio.get_running_loop().time() - saved_at >= SAVE_S:
                saved_at = asyncio.get_running_loop().time()
                self._save()
            await asyncio.sleep(LOOK_S)

    def _saved_state(self) -> bytes | None:
        try:
            return self._state_file.read_bytes()
        except OSError:
            return None

    def _save(self) -> None:
        try:
            directory.replace(self._state_file, self.mainline.save(), 0o600)
        except (OSError, StorageError):
            log.warning("dht.state-not-saved")


def _packet(item: Item) -> SignedPacket | None:
    """Return an item as a packet, or None if it is none."""
    try:
        return SignedPacket.from_relay_payload(item.key, item.signature + item.seq.to_bytes(8, "big") + item.value)
    except WalletError:
        return None
