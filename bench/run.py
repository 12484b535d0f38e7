"""Measure speed and size as ratios within one run: ``python bench/run.py all --write docs/benchmarks.md``.

Each measurement can be run alone; its rows are kept in .work/bench, so that a page can be written from several runs.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench.measure import Row  # noqa: E402  (the path comes first)

KEPT = ROOT / ".work" / "bench"

MEASUREMENTS = {
    "startup": "bench.startup:startup",
    "derive": "bench.formats:derive",
    "verify": "bench.formats:verify",
    "contacts": "bench.contacts:verify_contacts",
    "restore": "bench.restore:restore",
    "restore-index": "bench.restore_index:restore_index",
    "put": "bench.relay:put",
    "get": "bench.relay:get",
    "million": "bench.million:million",
    "migration": "bench.migration:migration",
    "sealed": "bench.sealed:sealed",
    "blob-put": "bench.blob_put:blob_put",
    "hosted": "bench.hosting:hosted",
    "dht-put": "bench.dht:put",
    "dht-get": "bench.dht:get",
    "dht-keep": "bench.dht:keep",
    "ssh": "bench.ssh:ssh",
    "dht-relay": "bench.dht_relay:joined_and_alone",
    "dht-look-ups": "bench.dht_relay:look_ups",
    "dht-scale": "bench.dht_relay:scale",
}
"""Name on the command line -> module:function, in the order of the page."""


def measure(name: str) -> list[Row]:
    """Run one measurement, print and keep its rows."""
    module, function = MEASUREMENTS[name].split(":")
    started = time.monotonic()
    rows: list[Row] = getattr(importlib.import_module(module), function)()
    KEPT.mkdir(parents=True, exist_ok=True)
    (KEPT / f"{name}.json").write_text(json.dumps([row.to_json() for row in rows], indent=1))
    for row in rows:
        print(
            f"{verdict(row):<6} {row.measured:>10}  ({row.goal or 'no goal'})  {row.what}\n{'':19}{row.detail}",
            flush=True,
        )
    print(f"       {name} took {time.monotonic() - started:.0f} s", flush=True)
    return rows


def verdict(row: Row) -> str:
    """Return whether the goal is met, in a word."""
    return "" if row.met is None else "met" if row.met else "MISSED"


def machine() -> str:
    """Say in one line what this machine is."""
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    release = platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    cores = len(os.sched_getaffinity(0))
    return f"{cores} cores of {model}, {memory_gib:.0f} GiB, {release}, Python {platform.python_version()}"


def page() -> str:
    """Return docs/benchmarks.md from what was kept."""
    lines = [
        *INTRODUCTION,
        "",
        f"Machine: {machine()}.",
        "",
        "| what | goal | measured | | numbers |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name in MEASUREMENTS:
        kept = KEPT / f"{name}.json"
        if kept.exists():
            for row in (Row(**fields) for fields in json.loads(kept.read_text())):
                lines.append(f"| {row.what} | {row.goal} | **{row.measured}** | {verdict(row)} | {row.detail} |")
    lines += ["", *NOTES, ""]
    return "\n".join(lines)


INTRODUCTION = """# Speed and size

Made by `make bench`; a part of it is measured again with `python bench/run.py NAME --write docs/benchmarks.md`. What
counts are the ratios: both sides of each are measured in the same run, in turn or one right after the other, on the
same machine. The absolute numbers are this machine's. Load comes from a second process (`wrk`, one thread, 128
connections) on a core of its own; servers are kept on one core.""".splitlines()

NOTES = """How each is measured:

- *startup*: the installed command and `python -c 'import click'` in turn, 25 times each, medians of elapsed time.
- *derive*, *verify*: in one process, in turn, 15 rounds each, processor time of the least disturbed round of
  each. The floor calls libsodium through PyNaCl's plain bindings and nothing else.
- *contacts*: the same way; the export is signed by its owner, each contact has a card with a name and a mail address,
  signed by its root. The second row is the whole of `contact import`: reading the file, verifying, comparing names for
  look-alikes, and writing the contact book into the vault, synced; into an empty book each time.
- *restore*: a wallet of 1,000 identities, each bound to the node, with a contact book of 20 there. Ours derives, looks
  the records up, logs in with each root, reads index and contact book, verifies, decodes and writes the vault, up to
  where new records would be signed. Against it: the derivation of the same keys, and a client that makes the same
  exchanges over as many connections in as many threads (TLS handshakes and logins among them) and looks at nothing of
  what comes. Compared is the processor time of client and node together, the least of five rounds of each.
- *restore-index*: three relays whose answers come 200 ms late (`bench/far_away.py` before one node), the way they do
  from afar: compared is how often each has to wait. Ours makes the keys, asks for the index, then for the 20
  identities that it names and three beyond, each over connections of its own, verifies, and writes the vault, up to
  where new records would be signed; a resolve asks for one identity. Medians of 7, in turn, by the clock.
- *put*: distinct valid packets, each sent once, against `walletcli node run --no-limits --http`, default durability.
  Its rate per processor-second it used (user and system time of the process, all threads) is compared with libsodium's
  verify rate per processor-second in the same run; its rate by the clock with that of npm pkarr's relay over a map in
  memory (`bench/npm_relay.mjs`) under the same load.
- *get*: 10,000 stored packets asked for in turn; against the node's own connection handling answering a constant of
  the same size (`bench/constant.py`), and against npm pkarr's relay holding the same packets.
- *million*: the same node with 1,000,000 and with 10,000 records. The store is filled through its own interface with
  packets of the usual size (their signatures are random bytes: nothing reads them on the way out), then loaded over
  HTTP with GETs of random keys and with PUTs of new, valid packets.
- *migration*: an identity with one file of 100 MB (98 blobs and the index) moves between two nodes, back and forth, by
  the function behind `provider migrate`, in a process of its own: grant, document, copy, reading back, publish,
  forwarding. Before each, the same blobs are copied from the same node to a third one with Python's `http.client`: GET,
  then PUT, one after the other, over two kept connections in clear. Memory is the peak of the resident set during the
  migration above what it was before.
- *blob-put*: distinct blobs of random bytes, each with its signed manifest, sent once, in clear, by `wrk` on the other
  core, by one identity. The floor writes as many blobs of that size into one table of SQLite (`bench/raw_sqlite.py`),
  on the node's core and with the node's settings, and with as many fsyncs per blob: one for each where one client sends
  them one after another, and as many blobs in a transaction as the node had where several do
  ([decision 0027](decisions/0027-blob-put.md)). How long a sync takes decides how much the node's own work counts, and
  so it stands beside the result: where it costs nothing, the processor alone is compared. Beside the floor stand files
  (`bench/raw_files.py`), and a program that verifies and stores what one client sends and does nothing else
  (`bench/bare_provider.py`).
- *hosted*: a provider whose store holds that many identities with a record and two blobs each, filled through its own
  interface. A bind is the PUT of a document with a grant and of its packet, counted as two requests.
- *dht-put*, *dht-get*: a private swarm of 100 libtorrent nodes on loopback in a process of its own; our member and a
  bare libtorrent session side by side in another, one operation at a time, in turn. A put ends when all eight nodes
  have answered, a read when libtorrent's look-up is over. All of them run with real-time priority where that is
  allowed: on a busy machine the slowest reads of both are otherwise as long as the time slices of what else runs there
  (measured at a load of 10 on two cores: libtorrent's own p99 17 times its p50, and 1.5 times with priority).
- *dht-keep*: on the same swarm, four at a time; processor time of our process, libtorrent's threads in it
  included. Datagrams and bytes are those of the writer's socket, both ways, without headers of IP and UDP.
- *dht-relay*: two nodes with the same 10,000 packets, one of them in a swarm of 60 libtorrent nodes, where it keeps all
  of them alive in rounds of 15 minutes; they get the same load in turn. The swarm shares the core of the load.
- *dht-look-ups*: packets that only the DHT has, each asked for once, by the same load, through our node and through npm
  pkarr's relay, which looks each key up for each request; both start with the same 16 members of the swarm.
- *dht-scale*: 1,000 identities put and counted on a swarm of 100 nodes, read, half of the nodes killed, put again from
  what was read, an eighth more killed, read by a newcomer.""".splitlines()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the chosen measurements; return 1 if one of them misses its goal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "names", nargs="+", choices=[*MEASUREMENTS, "all"], metavar="NAME", help=", ".join(MEASUREMENTS)
    )
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the page from all rows that are kept")
    chosen = parser.parse_args(arguments)
    names = list(MEASUREMENTS) if "all" in chosen.names else chosen.names
    rows = [row for name in names for row in measure(name)]
    if chosen.write:
        chosen.write.write_text(page())
    return 1 if any(row.met is False for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
