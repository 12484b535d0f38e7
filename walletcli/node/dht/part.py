"""The node's part that is about the DHT, as the service holds it.

Spec: docs/spec/dht.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from walletcli.core.packet import SignedPacket
from walletcli.dht.settings import Settings
from walletcli.node import log
from walletcli.node.dht.config import DhtConfig
from walletcli.node.dht.counters import DhtCounters
from walletcli.node.dht.keeper import Keeper
from walletcli.node.dht.member import DhtMember
from walletcli.node.identity import NodeIdentity
from walletcli.node.sources import Sources
from walletcli.node.store import Store


class NodeDht:
    """Membership and rounds.

    Args:
        settings: how it takes part.
        config: what is kept alive.
        identity: the node's keys and record; only its public key is looked at.
        store: has the packets.
        counters: what is counted.

    Attributes:
        sources: store what is met, and fetch documents; set before `start`.
    """

    def __init__(
        self, settings: Settings, config: DhtConfig, identity: NodeIdentity, store: Store, counters: DhtCounters
    ) -> None:
        self.sources: Sources | None = None
        self.member = DhtMember(settings, identity.files.dht_state, store, counters, self._met)
        own_key = identity.record.packet.public_key
        self.keeper = Keeper(self.member, store, config, own_key, counters, self._mirror, self._kept)
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Join and begin the first round; raises NetworkError ``dht.listen``."""
        await self.member.start()
        self._run(self.keeper.run())

    async def stop(self) -> None:
        """Leave."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.member.stop()

    def offer(self, key: bytes) -> None:
        """Put the stored packet of a key soon."""
        self.member.offer(key)

    async def find(self, key: bytes) -> SignedPacket | None:
        """Return the packet that the DHT has for a key, verified, or None."""
        return await self.member.find(key)

    def publish(self, key: bytes, wait_s: float, told: Callable[[int | None], None]) -> None:
        """Put the stored packet of a key now.

        Args:
            key: 32 bytes.
            wait_s: how long `told` waits, in seconds.
            told: called with the number of nodes that it is on, or None if that is not known in time.
        """
        self._run(self._publish(key, wait_s, told))

    async def _publish(self, key: bytes, wait_s: float, told: Callable[[int | None], None]) -> None:
        stored: int | None = None
        try:
            async with asyncio.timeout(wait_s):
                stored = await self.member.publish(key)
        except TimeoutError:
            self.member.offer(key)
        except Exception as error:  # noqa: BLE001 - whoever waits gets an answer
            log.bug("dht.bug", error)
        finally:
            told(stored)

    async def _met(self, packet: SignedPacket) -> None:
        if self.sources is not None:
            await self.sources.take(packet)

    async def _mirror(self, key: bytes, document_hash: bytes) -> None:
        if self.sources is not None:
            await self.sources.mirror(key, document_hash)

    def _kept(self, body: bytes) -> None:
        if self.sources is not None:
            self.sources.learn(body)

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
