"""The DHT part against libtorrent itself, on a private swarm of 100 nodes on loopback in a process of their own."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import secrets
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any, cast

import libtorrent
from nacl.signing import SigningKey

from bench.measure import Row, at_most
from bench.processes import Server, ahead_of_others, python
from bench.servers import ROOT
from scripts.swarm import settings
from walletcli.core import bep44
from walletcli.dht.mainline import Mainline
from walletcli.dht.messages import Item
from walletcli.dht.settings import Settings
from walletcli.node.run import new_loop

NODES = 100
PUTS = 300
GETS = 1000
KEPT = 2000
KEPT_AT_ONCE = 4
VALUE_BYTES = 400
SETTLE_S = 2.0


class Floor:
    """A bare libtorrent member, as its own users have it."""

    def __init__(self, addresses: list[tuple[str, int]]) -> None:
        self._session = libtorrent.session(cast(Any, settings()))
        for address in addresses[:16]:
            self._session.add_dht_node(address)
        self._wake, self._waker = os.pipe2(os.O_NONBLOCK)
        self._waiting: asyncio.Future[Any] | None = None
        asyncio.get_running_loop().add_reader(self._wake, self._take)
        self._session.set_alert_fd(self._waker)

    def _take(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake, 4096)
        for alert in self._session.pop_alerts():
            is_over = isinstance(alert, libtorrent.dht_put_alert) or (
                isinstance(alert, libtorrent.dht_mutable_item_alert) and alert.authoritative
            )
            if is_over and self._waiting is not None and not self._waiting.done():
                self._waiting.set_result(getattr(alert, "num_success", None) or alert)

    async def put(self, key: SigningKey, value: bytes) -> None:
        """Let libtorrent sign and put."""
        expanded = bytearray(hashlib.sha512(bytes(key)).digest())
        expanded[0] &= 248
        expanded[31] = expanded[31] & 63 | 64
        self._waiting = asyncio.get_running_loop().create_future()
        self._session.dht_put_mutable_item(bytes(expanded), bytes(key.verify_key), value, b"")
        await self._waiting

    async def get(self, key: bytes) -> None:
        """Let libtorrent read to the end of its look-up."""
        self._waiting = asyncio.get_running_loop().create_future()
        self._session.dht_get_mutable_item(key, b"")
        await self._waiting

    def close(self) -> None:
        """Leave."""
        asyncio.get_running_loop().remove_reader(self._wake)


def item() -> Item:
    """Return an item of a new key, as its owner signs it."""
    key, value = SigningKey.generate(), secrets.token_bytes(VALUE_BYTES)
    return Item(bytes(key.verify_key), 1, bytes(key.sign(bep44.signable(1, value)).signature), value)


@contextlib.asynccontextmanager
async def members() -> AsyncIterator[tuple[Mainline, Floor]]:
    """Our member and a bare one, in one swarm."""
    command = python(str(ROOT / "scripts" / "swarm.py"), str(NODES))
    with ahead_of_others(), Server(command, ROOT, core=1) as swarm:
        addresses = [(host, port) for host, port in json.loads(swarm.ready_line)]
        own = Settings((("127.0.0.1", 0),), bootstrap=(), peers=tuple(addresses[:16]), private=True)
        ours = await Mainline.join(own)
        floor = Floor(addresses)
        try:
            await asyncio.sleep(SETTLE_S)
            for _ in range(40):  # both have met the swarm before the clock starts
                await ours.put(item(), counted=False)
                await floor.put(SigningKey.generate(), b"warm")
            yield ours, floor
        finally:
            floor.close()
            await ours.close()


async def timed(work: Awaitable[object]) -> float:
    """Return how long something takes, in milliseconds."""
    started = time.perf_counter()
    await work
    return (time.perf_counter() - started) * 1000


def run(story: Callable[[], Awaitable[list[Row]]]) -> list[Row]:
    """Run a measurement on the event loop that the node uses."""

    async def main() -> list[Row]:
        return await story()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(main())


def put() -> list[Row]:
    """Puts of pre-signed items, and libtorrent's own keyed puts, in turn."""

    async def story() -> list[Row]:
        async with members() as (ours, floor):
            signed = [item() for _ in range(PUTS)]
            keys = [SigningKey.generate() for _ in range(PUTS)]
            mine, theirs, counted, copies = [], [], [], []
            for one, key in zip(signed, keys, strict=True):
                mine.append(await timed(ours.put(one, counted=False)))
                theirs.append(await timed(floor.put(key, one.value)))
            for one in signed[:50]:
                started = time.perf_counter()
                copies.append((await ours.put(one)).stored)
                counted.append((time.perf_counter() - started) * 1000)
            p50, floor_p50 = statistics.median(mine), statistics.median(theirs)
            detail = (
                f"{p50:.2f} ms, slowest {max(mine):.0f} ms; libtorrent {floor_p50:.2f} ms, slowest "
                f"{max(theirs):.0f} ms; with the copies counted {statistics.median(counted):.2f} ms, "
                f"{min(copies)} to {max(copies)} copies"
            )
            return [
                at_most(
                    f"put of a pre-signed item on {NODES} nodes, p50, against libtorrent's own keyed put",
                    p50 / floor_p50,
                    1.5,
                    detail,
                )
            ]

    return run(story)


def get() -> list[Row]:
    """Reads of items that are there, and libtorrent's own, in turn."""

    async def story() -> list[Row]:
        async with members() as (ours, floor):
            signed = [item() for _ in range(GETS)]
            for one in signed:
                await ours.put(one, counted=False)
            mine, theirs, found = [], [], 0
            for one in signed:
                started = time.perf_counter()
                found += await ours.get(one.key) == one
                mine.append((time.perf_counter() - started) * 1000)
                theirs.append(await timed(floor.get(one.key)))
            p50, floor_p50 = statistics.median(mine), statistics.median(theirs)
            p99, floor_p99 = (statistics.quantiles(times, n=100)[98] for times in (mine, theirs))
            stalls = sum(took > 10_000 for took in mine)
            detail = (
                f"{p50:.2f} ms; libtorrent {floor_p50:.2f} ms; p99 {p99:.2f} ms, slowest {max(mine):.0f} ms "
                f"(libtorrent {floor_p99:.2f} and {max(theirs):.0f} ms); {found} of {GETS} found"
            )
            return [
                at_most(
                    f"a packet read from {NODES} nodes and verified, p50, against libtorrent's own read",
                    p50 / floor_p50,
                    1.5,
                    detail,
                ),
                at_most("the same, p99 against p50", p99 / p50, 5, f"{stalls} of {GETS} reads stalled"),
            ]

    return run(story)


def keep() -> list[Row]:
    """Packets put again as rounds do it."""

    async def story() -> list[Row]:
        async with members() as (ours, _):
            signed = [item() for _ in range(KEPT)]
            for one in signed:
                await ours.put(one, counted=False)
            limit = asyncio.Semaphore(KEPT_AT_ONCE)
            had = []

            async def again(one: Item) -> None:
                async with limit:
                    had.append((await ours.keep(one)).had)

            traffic = ours.traffic[0]
            before = replace(traffic)
            cpu_s, started = time.process_time(), time.perf_counter()
            await asyncio.gather(*(again(one) for one in signed))
            cpu_s, seconds = time.process_time() - cpu_s, time.perf_counter() - started
            rate = KEPT / cpu_s
            asked = (traffic.asked + traffic.sent_again - before.asked - before.sent_again) / KEPT
            answered = (traffic.answered - before.answered) / KEPT
            sent, received = (
                (getattr(traffic, name) - getattr(before, name)) / KEPT for name in ("sent_bytes", "received_bytes")
            )
            detail = (
                f"{KEPT / seconds:,.0f} a second by the clock; {statistics.mean(had):.2f} copies were there before; "
                f"for each {asked:.1f} datagrams out and {answered:.1f} in, {sent:,.0f} and {received:,.0f} bytes, "
                f"values of {VALUE_BYTES} bytes"
            )
            return [
                Row(
                    f"packets kept alive on {NODES} nodes, per second of one core",
                    "at least 300",
                    f"{rate:,.0f}",
                    rate >= 300,
                    detail,
                )
            ]

    return run(story)
