"""The node under load: durable PUT and GET, against libsodium, npm pkarr's relay and a constant."""

from __future__ import annotations

import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from nacl import bindings

from bench import servers
from bench.load import get_all, put_all
from bench.measure import Row, at_least
from bench.records import packets, write_packets
from walletcli.core.bep44 import signable

PUTS = 40_000
GETS_FROM = 10_000
GET_SECONDS = 6
ROUNDS = 3


def _verify_rate(count: int = 5000) -> float:
    """Return libsodium's verifications per processor-second, of packets as they are PUT."""
    signed = [(p.signature + signable(p.seq, p.value), p.public_key) for p in packets(0, count)]
    started = time.process_time()
    for message, key in signed:
        bindings.crypto_sign_open(message, key)
    return count / (time.process_time() - started)


def put() -> list[Row]:
    """Durable PUT of distinct valid packets."""
    per_cpu, rates, npm_rates, verify_rates = [], [], [], []
    with tempfile.TemporaryDirectory(dir=servers.ROOT / ".work") as name:
        scratch = Path(name)
        file = scratch / "packets"
        length = write_packets(file, 0, PUTS)
        idle = peak = 0
        for number in range(ROUNDS):
            verify_rates.append(_verify_rate())
            directory = scratch / f"node{number}"
            servers.init_node(directory)
            server, url = servers.node(directory)
            with server:
                idle, before_s = server.memory().resident, server.cpu_s()
                load = put_all(url, file)
                per_cpu.append(PUTS / (server.cpu_s() - before_s))
                rates.append(load.rate)
                peak = max(peak, server.memory().peak)
            relay, url = servers.npm_relay()
            with relay:
                npm_rates.append(put_all(url, file).rate)
    ours, verify = statistics.median(per_cpu), statistics.median(verify_rates)
    rate, npm = statistics.median(rates), statistics.median(npm_rates)
    return [
        at_least(
            "node, PUT of distinct valid packets, durable: per processor-second, against libsodium's verify rate",
            ours / verify,
            0.5,
            f"{ours:,.0f} PUT per processor-second; verify {verify:,.0f}; payload {length} bytes",
        ),
        at_least(
            "node, PUT, durable, against npm pkarr's relay over a map in memory",
            rate / npm,
            1.5,
            f"{rate:,.0f} PUT/s; npm {npm:,.0f} PUT/s",
        ),
        Row("node, memory", "", f"{idle / 1024:.0f} MB idle", None, f"peak {peak / 1024:.0f} MB under {PUTS:,} PUTs"),
    ]


def get() -> list[Row]:
    """GET of stored packets."""
    rates: dict[str, list[float]] = {"node": [], "constant": [], "npm": []}
    with tempfile.TemporaryDirectory(dir=servers.ROOT / ".work") as name, ExitStack() as running:
        scratch = Path(name)
        file, keys = scratch / "packets", scratch / "keys"
        length = write_packets(file, 0, GETS_FROM)
        keys.write_text("".join(line.split()[0] + "\n" for line in file.read_text().splitlines()))
        servers.init_node(scratch / "node")
        urls = {}
        for what, (server, url) in {
            "node": servers.node(scratch / "node"),
            "constant": servers.constant(length),
            "npm": servers.npm_relay(),
        }.items():
            running.enter_context(server)
            urls[what] = url
        for what in ("node", "npm"):
            put_all(urls[what], file)
        for _ in range(ROUNDS):
            for what, url in urls.items():
                rates[what].append(get_all(url, keys, GET_SECONDS).rate)
    node, constant, npm = (statistics.median(rates[what]) for what in ("node", "constant", "npm"))
    return [
        at_least(
            "node, GET, against the same server answering a constant of that size",
            node / constant,
            0.6,
            f"{node:,.0f} GET/s; constant {constant:,.0f} GET/s; payload {length} bytes",
        ),
        at_least(
            "node, GET, against npm pkarr's relay over a map in memory",
            node / npm,
            3.0,
            f"{node:,.0f} GET/s; npm {npm:,.0f} GET/s",
        ),
    ]
