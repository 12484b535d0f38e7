"""The running node: its parts, put together, and what it does by the clock."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final

from walletcli import __version__
from walletcli.core.record import Record
from walletcli.dht.settings import Settings
from walletcli.errors import StorageError, WalletError
from walletcli.net.dialer import Dialer
from walletcli.node import log
from walletcli.node.batch_writer import BatchWriter
from walletcli.node.clock import Clock
from walletcli.node.config import Config, Reread
from walletcli.node.dht.part import NodeDht
from walletcli.node.documents import DocumentRoutes
from walletcli.node.gate import Gate
from walletcli.node.hosting.budget import Budget
from walletcli.node.hosting.kept import Disown, Sweep
from walletcli.node.hosting.provider import Provider
from walletcli.node.hosting.routes import HostRoutes
from walletcli.node.identity import NodeIdentity
from walletcli.node.limits import ConnectionLimits
from walletcli.node.metrics import Metrics, Reading, memory_bytes
from walletcli.node.named_nodes import NamedNodes
from walletcli.node.operator_pages import OperatorPages
from walletcli.node.packets import PacketRoutes
from walletcli.node.page import Facts
from walletcli.node.peers import Peer
from walletcli.node.public_dialer import PublicDialer
from walletcli.node.routes import Routes
from walletcli.node.server import TICK_S, Server
from walletcli.node.sinks import Sinks
from walletcli.node.sources import AT_ONCE, Sources
from walletcli.node.store import Expire, Probe, PutApprovals, PutDocument, PutPacket, Store
from walletcli.node.workers import Workers

PROBE_S: Final = 5.0
"""A store that took no batch for so long is tried with a write that changes nothing, in seconds."""

EXPIRE_S: Final = 60.0
SWEEP_S: Final = 60.0
CLEAR_S: Final = 0.25
RENEW_S: Final = 3600.0
STOP_S: Final = 10.0
"""How long requests under way may take when the node stops, in seconds."""

_NO_LIMIT_CONNECTIONS: Final = 8192


class Service:
    """A node that runs in this process.

    Args:
        identity: the node's keys and record.
        config: what the operator set.
        store: where everything is; the service closes it.
        dialer: opens connections to sources and sinks.
        limits: False for load tests: no rates, and connections as many as the system allows.
        listen: the pinned address, for the status page.
        http: the address in clear, or None.
        reread: returns the configuration as it is now, whenever its file has changed; None: it is not looked at.
        dht: how to take part in the DHT; None: not at all.
    """

    def __init__(
        self,
        identity: NodeIdentity,
        config: Config,
        store: Store,
        dialer: Dialer,
        *,
        limits: bool,
        listen: str,
        http: str | None,
        reread: Callable[[], Config] | None = None,
        dht: Settings | None = None,
    ) -> None:
        loop = asyncio.get_running_loop()
        self._identity = identity
        self._config = config
        self._listen = listen
        self._http = http
        self._store = store
        self._clock = Clock(loop.time())
        self.metrics = Metrics()
        self._writer = BatchWriter(store, loop)
        self.gate = Gate(
            store, self._writer, self._clock, config.limits if limits else None, config.storage, identity.files.path
        )
        bounds = config.limits
        connections = (
            ConnectionLimits(bounds.connections, bounds.connections_per_address)
            if limits
            else ConnectionLimits(_NO_LIMIT_CONNECTIONS, _NO_LIMIT_CONNECTIONS)
        )
        self.server = Server(
            loop, self._clock, connections, config.operator_networks, config.proxies, self._count_refused
        )
        self._has_limits = limits
        self._reread = Reread(identity.files.config, reread) if reread is not None else None
        self._provider = provider = Provider(identity, config.hosting)
        self._budget = Budget(self._clock, config.limits if limits else None)
        self._workers = workers = Workers(AT_ONCE, loop)
        peering = self.metrics.peering
        self._sources: Sources | None = None
        self._sinks: Sinks | None = None
        self._dht = NodeDht(dht, config.dht, identity, store, self.metrics.dht) if dht is not None else None
        if config.sources or self._dht is not None:
            peers = [Peer(address, dialer) for address in config.sources]
            find = self._dht.find if self._dht is not None else None
            named = None
            if self._dht is not None and config.dht.named_nodes:
                public = PublicDialer(config.dht.named_networks)
                named = NamedNodes(identity.record.packet.public_key, store, public, workers, peering, loop)
            self._sources = Sources(
                peers, store, self._writer, self._clock, workers, peering, loop, provider.claim_of, find, named
            )
            self.gate.on_stored.append(self._sources.is_fresh)
            if self._dht is not None:
                self._dht.sources = self._sources
                self.gate.on_stored.append(self._dht.offer)
        if config.sinks:
            peers = [Peer(address, dialer) for address in config.sinks]
            self._sinks = sinks = Sinks(peers, store, self._writer, workers, peering)
            self.gate.on_stored.append(lambda key: sinks.wake())
        self.pages = OperatorPages(
            self.gate,
            self.metrics,
            identity.did,
            lambda: self.server.open_connections,
            identity.days_left,
            self._facts,
        )
        sources = self._sources
        self.routes = Routes(
            self.gate,
            PacketRoutes(
                self.gate,
                sources.ask_packet if sources else None,
                self._dht.publish if self._dht is not None else None,
                sources.are_settled if sources else None,
            ),
            DocumentRoutes(self.gate, provider.claim_of, sources.ask_document if sources else None),
            self.pages,
            self.metrics,
            HostRoutes(self.gate, provider, self._budget, self.metrics.hosting),
            self.server.forget,
            loop,
        )
        self._tasks: list[asyncio.Task[None]] = []

    def _count_refused(self) -> None:
        self.metrics.refused_connections += 1

    async def start(self) -> None:
        """Store the node's own record and begin what is done by the clock.

        Raises:
            StorageError: the store cannot be written.
            NetworkError: ``dht.listen``.
        """
        if self._dht is not None:
            try:
                await self._dht.start()
            except WalletError:
                await self.stop()
                raise
        await self.publish(self._identity.record)
        await self._writer.write(Disown(self._provider.signer))
        await self._writer.write(Probe())
        for work, period_s in (
            (self._every_tick, TICK_S),
            (self._every_second, 1.0),
            (self._every_minute, 60.0),
            (self._probe, PROBE_S / 2),
            (self._expire, EXPIRE_S),
            (self._sweep, SWEEP_S),
            (self._renew, RENEW_S),
        ):
            self._tasks.append(asyncio.create_task(_repeat(work, period_s)))

    async def publish(self, record: Record) -> None:
        """Store the node's own record and queue it for the sinks; raises StorageError."""
        packet = record.packet
        if record.document is not None:
            document = record.document
            has_approvers = document.approvers is not None
            await self._writer.write(
                PutDocument(document.hash, document.identity, document.to_bytes(), has_approvers=has_approvers)
            )
            if record.beside is not None:
                await self._writer.write(PutApprovals(document.hash, record.beside.to_bytes()))
        payload = packet.to_relay_payload()
        await self._writer.write(
            PutPacket(packet.public_key, payload, packet.seq, packet.document_hash, forward=bool(self._sinks))
        )
        if self._dht is not None:
            self._dht.offer(packet.public_key)

    async def stop(self) -> None:
        """Answer what is under way, store what was taken in, and close everything."""
        await self.server.stop(STOP_S)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._dht is not None:
            await self._dht.stop()
        if self._sources is not None:
            self._sources.stop()
        if self._sinks is not None:
            await self._sinks.stop()
        self._workers.stop()
        await self._writer.stop()
        self._store.close()

    # by the clock

    async def _every_tick(self) -> None:
        self.server.tick()

    async def _every_second(self) -> None:
        self.gate.answers.tick(time.time())
        self.gate.look_at_disk()
        if self._reread is not None and (config := self._reread.changed()) is not None:
            self._apply(config)

    def _apply(self, config: Config) -> None:
        """Take over what can change while the node runs."""
        limits = config.limits if self._has_limits else None
        self.gate.set_bounds(limits, config.storage)
        self._budget.set_limits(limits)
        if limits is not None:
            self.server.set_limits(limits.connections, limits.connections_per_address)
        self._provider.settings = config.hosting
        log.info("node.configured")

    async def _every_minute(self) -> None:
        self.metrics.close_minute()

    async def _probe(self) -> None:
        state = self._writer.state
        if state.error is None and time.monotonic() - state.stored_at < PROBE_S:
            return
        failed_before = state.error is not None
        try:
            await self._writer.write(Probe())
        except StorageError as error:
            if not failed_before:
                log.error("store.failed", code=error.code, message=error.message)
        else:
            if failed_before:
                log.info("store.works-again")

    async def _expire(self) -> None:
        with contextlib.suppress(StorageError):  # the probe reports it
            await self._writer.write(Expire())

    async def _sweep(self) -> None:
        """End what is over of hosting; as long as deleted data is left, a little of it every second."""
        with contextlib.suppress(StorageError):  # the probe reports it
            await self._writer.write(Sweep())
            while self._store.counts().trash:
                await asyncio.sleep(CLEAR_S)
                await self._writer.write(Sweep())

    async def _renew(self) -> None:
        """Renew the delegation in time, or say that it cannot be done."""
        try:
            record = self._identity.renewed(time.time())
            if record is not None:
                await self.publish(record)
                log.info("node.renewed", days_left=self._identity.days_left())
        except WalletError as error:
            log.error("node.not-renewed", code=error.code, message=error.message)
        for notice in self._identity.notices():
            log.warning("node.notice", message=notice)

    # the status page

    def _facts(self, reading: Reading) -> Facts:
        usage_s = time.process_time()
        uptime_s = max(time.monotonic() - self.metrics.started_at, 0.001)
        return Facts(
            did=self._identity.did,
            listen=self._listen,
            http=self._http,
            version=__version__,
            uptime_s=uptime_s,
            cpu_share=usage_s / uptime_s,
            memory_bytes=memory_bytes(),
            load=_load(),
            requests=self.metrics.total(),
            kinds=self.metrics.by_kind(),
            minutes=list(self.metrics.minutes),
            sources=[address.to_text() for address in self._config.sources],
            sinks=[address.to_text() for address in self._config.sinks],
            notices=self._notices(reading),
            reading=reading,
            dht=self.metrics.dht,
            hosting=self._provider.settings,
        )

    def _notices(self, reading: Reading) -> Sequence[str]:
        notices = list(self._identity.notices())
        error = reading.writer.error
        if error is not None:
            notices.insert(0, f"The store cannot be written: {error.message}. {error.hint.capitalize()}.")
        elif self.gate.is_full:
            notices.insert(0, "There is no room left for new packets: make room on the disk, or raise storage.max_mib.")
        return notices


async def _repeat(work: Callable[[], Coroutine[Any, Any, None]], period_s: float) -> None:
    while True:
        await work()
        await asyncio.sleep(period_s)


def _load() -> float | None:
    try:
        return os.getloadavg()[0]
    except OSError:
        return None
