"""The node with its DHT: as fast for its clients as without one, and faster than others in front of a DHT."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import statistics
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

from bench import servers
from bench.dht import item
from bench.load import Load, get_all, get_once, put_all
from bench.measure import Row, at_least
from bench.processes import Server, python
from bench.records import packets, write_packets
from bench.servers import ROOT
from scripts import swarm as strangers
from walletcli.dht.mainline import Mainline
from walletcli.dht.messages import Item
from walletcli.dht.settings import Settings
from walletcli.node.run import new_loop

NODES = 60
MEMBERS = 16
STORED = 10_000
PUTS = 10_000
GET_SECONDS = 3
ROUNDS = 7
LOOK_UPS = 4_000
FIRST_ROUND_S = 32.0
"""When a node's first round has begun: it rests for 30 s first."""

IDENTITIES = 1_000
SCALE_NODES = 100

Address = tuple[str, int]
_S = TypeVar("_S")
_T = TypeVar("_T")


@contextmanager
def swarm() -> Iterator[list[Address]]:
    """A swarm in a process of its own."""
    with Server(python(str(ROOT / "scripts" / "swarm.py"), str(NODES)), ROOT, core=1) as process:
        yield [(host, port) for host, port in json.loads(process.ready_line)]


@contextmanager
def only(server: Server, among: Sequence[Server]) -> Iterator[None]:
    """Let one of some servers run: they share a core, and each works on when it is not asked anything."""
    others = [other.pid for other in among if other is not server]
    for pid in others:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in others:
            os.kill(pid, signal.SIGCONT)


def _write_config(directory: Path, members: Sequence[Address]) -> None:
    peers = ", ".join(f'"{host}:{port}"' for host, port in members)
    (directory / "node.toml").write_text(
        '[dht]\njoin = "yes"\nprivate = true\nlisten = ["127.0.0.1:0"]\nwriter_port = 0\nbootstrap = []\n'
        f"peers = [{peers}]\nrepublish_minutes = 15\nsample = {STORED}\n"
    )


def joined_and_alone() -> list[Row]:
    """GET and PUT of the same node with and without a DHT."""
    gets: dict[str, list[Load]] = {"joined": [], "alone": []}
    puts: dict[str, list[Load]] = {"joined": [], "alone": []}
    cpu_s = dict.fromkeys(gets, 0.0)
    with tempfile.TemporaryDirectory(dir=ROOT / ".work") as name, swarm() as members, ExitStack() as running:
        scratch = Path(name)
        file, keys = scratch / "packets", scratch / "keys"
        write_packets(file, 0, STORED)
        keys.write_text("".join(line.split()[0] + "\n" for line in file.read_text().splitlines()))
        nodes = {}
        for what in gets:
            servers.init_node(scratch / what)
            if what == "joined":
                _write_config(scratch / what, members[:MEMBERS])
            nodes[what] = servers.node(scratch / what)
            running.enter_context(nodes[what][0])
            put_all(nodes[what][1], file)
        time.sleep(FIRST_ROUND_S)
        for number in range(ROUNDS):
            write_packets(file, STORED + number * PUTS, PUTS)
            for what, (server, url) in nodes.items():
                with only(server, [other for other, _ in nodes.values()]):
                    before_s = server.cpu_s()
                    gets[what].append(get_all(url, keys, GET_SECONDS))
                    cpu_s[what] += server.cpu_s() - before_s
                    puts[what].append(put_all(url, file))
    per_get_us = {what: 1e6 * cpu_s[what] / sum(load.answered for load in gets[what]) for what in gets}
    more = {
        "GET": f"; {per_get_us['joined']:.0f} and {per_get_us['alone']:.0f} µs of processor time for each",
        "PUT": "",
    }
    rows = []
    for method, loads in (("GET", gets), ("PUT", puts)):
        joined, alone = (statistics.median(load.rate for load in loads[what]) for what in ("joined", "alone"))
        ratio = statistics.median(ours.rate / theirs.rate for ours, theirs in zip(*loads.values(), strict=True))
        rows.append(
            at_least(
                f"node, {method}, in a DHT and keeping {STORED:,} packets alive, against the same node without one",
                ratio,
                0.8,
                f"{joined:,.0f} {method}/s; without {alone:,.0f} {method}/s{more[method]}",
            )
        )
    return rows


def look_ups() -> list[Row]:
    """GET of what only the DHT has, once each."""
    with tempfile.TemporaryDirectory(dir=ROOT / ".work") as name, swarm() as members, ExitStack() as running:
        scratch = Path(name)
        files = {what: scratch / what for what in ("node keys", "npm keys")}
        stored = list(packets(0, LOOK_UPS))
        running.enter_context(_publisher([Item(p.public_key, p.seq, p.signature, p.value) for p in stored], members))
        write_packets(scratch / "packets", 0, LOOK_UPS)
        names = [line.split()[0] for line in (scratch / "packets").read_text().splitlines()]
        files["node keys"].write_text("".join(f"{name}\n" for name in names))
        files["npm keys"].write_text("".join(f"{name}\n" for name in names[: LOOK_UPS // 4]))
        servers.init_node(scratch / "node")
        _write_config(scratch / "node", members[:MEMBERS])
        server, url = servers.node(scratch / "node")
        running.enter_context(server)
        relay, npm_url = servers.npm_dht_relay(members[:MEMBERS])
        running.enter_context(relay)
        time.sleep(3)  # both have met the swarm
        node = get_once(url, files["node keys"]).rate
        npm = get_once(npm_url, files["npm keys"]).rate
    return [
        at_least(
            "node, GET of what only the DHT has, against npm pkarr's relay on the same swarm",
            node / npm,
            5.0,
            f"{node:,.0f} GET/s; npm {npm:,.0f} GET/s; {NODES} nodes",
        )
    ]


def scale() -> list[Row]:
    """Publish, find, churn, find."""
    nodes = strangers.start(SCALE_NODES)
    strangers.introduce(nodes)
    items = [item() for _ in range(IDENTITIES)]
    copies: list[int] = []
    found = [0, 0]
    started = time.perf_counter()

    def kill(count: int) -> None:
        for address in list(nodes)[:count]:
            del nodes[address]

    async def story() -> None:
        ours = await _join(list(nodes))
        copies.extend(kept.stored for kept in await _each(items, ours.put))
        found[0] = sum(one is not None for one in await _each(items, lambda one: ours.get(one.key)))
        kill(SCALE_NODES // 2)
        await _each(items, ours.keep)
        await ours.close()
        kill(SCALE_NODES // 8)
        newcomer = await _join(list(nodes))
        found[1] = sum(one is not None for one in await _each(items, lambda one: newcomer.get(one.key)))
        await newcomer.close()

    _run(story)
    whole = sum(count == 8 for count in copies)
    detail = (
        f"{whole:,} on 8 nodes, {min(copies)} at least; {found[0]:,} read; half of the nodes killed, all put again "
        f"without a key, an eighth killed: {found[1]:,} read by a newcomer; {time.perf_counter() - started:.0f} s"
    )
    return [
        Row(
            f"{IDENTITIES:,} identities on {SCALE_NODES} nodes, found after most of the nodes have died",
            "all",
            f"{found[1]:,}",
            whole == found[0] == found[1] == IDENTITIES,
            detail,
        )
    ]


async def _join(members: Sequence[Address]) -> Mainline:
    ours = await Mainline.join(
        Settings((("127.0.0.1", 0),), bootstrap=(), peers=tuple(members[:MEMBERS]), private=True)
    )
    while ours.session.nodes < MEMBERS // 2:  # noqa: ASYNC110 - libtorrent tells nobody when its table fills
        await asyncio.sleep(0.05)
    return ours


@contextmanager
def _publisher(items: Sequence[Item], members: Sequence[Address]) -> Iterator[None]:
    """Put items from a member that stays and answers: one that has left costs every look-up of others time."""
    is_done, is_over = threading.Event(), threading.Event()

    async def story() -> None:
        ours = await _join(members)
        await _each(items, ours.keep)
        is_done.set()
        while not is_over.is_set():  # noqa: ASYNC110 - the event is another thread's
            await asyncio.sleep(0.05)
        await ours.close()

    thread = threading.Thread(target=_run, args=(story,))
    thread.start()
    try:
        is_done.wait()
        yield
    finally:
        is_over.set()
        thread.join()


async def _each(of: Sequence[_S], do: Callable[[_S], Awaitable[_T]]) -> list[_T]:
    limit = asyncio.Semaphore(8)

    async def one(value: _S) -> _T:
        async with limit:
            return await do(value)

    return await asyncio.gather(*(one(value) for value in of))


def _run(story: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await story()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(main())
