"""A provider: durable PUT of sealed blobs of 64 KiB against raw SQLite, raw files, and as little as can be."""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench import servers
from bench.hosting import CONNECTIONS, ROUNDS, frame, host_path, start
from bench.load import request, send_all, write_requests
from bench.measure import Row, at_least
from bench.processes import pin, python
from walletcli.node.sqlite_store import CHECKPOINT_PAGES

BLOB_BYTES = 65_536
BLOBS = 800
SYNCS = 100
MEMORY = Path("/dev/shm")
"""A file system in memory."""


def raw_writes(directory: Path, blobs: int, per_transaction: float) -> float:
    """Write blobs into a table of SQLite, so many per transaction, on the node's core; return blobs per second."""
    command = python(str(servers.HERE / "raw_sqlite.py"), str(directory / "raw.db"), str(blobs), str(per_transaction))
    done = subprocess.run(
        [*command, str(BLOB_BYTES), str(CHECKPOINT_PAGES)],
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: pin(0),
    )
    return float(done.stdout)


def raw_files(directory: Path, blobs: int) -> float:
    """Write blobs into files of their own, on the node's core; return blobs per second."""
    command = python(str(servers.HERE / "raw_files.py"), str(directory), str(blobs), str(BLOB_BYTES))
    done = subprocess.run(command, capture_output=True, text=True, check=True, preexec_fn=lambda: pin(0))
    return float(done.stdout)


def sync_ms(directory: Path) -> float:
    """Return how long the disk takes to sync a blob that was written over another, in milliseconds; the median."""
    found = []
    content = os.urandom(BLOB_BYTES)
    with (directory / "sync").open("w+b", buffering=0) as file:
        for number in range(2 * SYNCS):
            os.pwrite(file.fileno(), content, number % SYNCS * BLOB_BYTES)
            started = time.perf_counter()
            os.fdatasync(file.fileno())
            found.append(time.perf_counter() - started)
    return statistics.median(found[SYNCS:]) * 1000


@dataclass(frozen=True)
class BlobPuts:
    """Blobs of 64 KiB per second, medians of the rounds.

    Attributes:
        one: by the node, for one client that sends them one after another.
        many: by the node, for so many clients at once that it writes several in one transaction.
        raw_one: into SQLite alone, one in a transaction.
        raw_many: into SQLite alone, as many in a transaction as the node had.
        size: how many those were.
        files: into files of their own, one after another.
        bare: by a program that verifies and stores what one client sends one after another, and is nothing else.
        sync_ms: what a sync of one blob takes there, in milliseconds.
    """

    one: float
    many: float
    raw_one: float
    raw_many: float
    size: float
    files: float
    bare: float
    sync_ms: float


def _blob_puts(place: Path, rounds: int) -> BlobPuts:
    """Measure node and floor in turn, in a new directory below `place`."""
    rates: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(dir=place) as name, ExitStack() as running:
        scratch = Path(name)
        servers.init_node(scratch / "node")
        provider = start(running, scratch / "node")
        provider.bind(0)
        contents = [os.urandom(BLOB_BYTES) for _ in range(50)]
        bare, bare_url = servers.bare_provider(scratch / "bare", CHECKPOINT_PAGES)
        running.enter_context(bare)
        for number in range(rounds):
            headers = (f"Authorization: Bearer {provider.token(0)}", 'If-Match: "0"')
            rates.setdefault("sync", []).append(sync_ms(scratch))
            for half, connections in enumerate((CONNECTIONS, 1)):
                first = (2 * number + half) * BLOBS
                puts = (
                    request("PUT", host_path(0, f"/blob/{at:032x}"), frame(0, at, contents[at % 50]), *headers)
                    for at in range(first + 1, first + 1 + BLOBS)
                )
                write_requests(scratch / "requests", puts)
                before = provider.batches
                rate = send_all(provider.url, scratch / "requests", connections).rate
                size = BLOBS / (provider.batches - before)
                rates.setdefault(f"node {connections}", []).append(rate)
                rates.setdefault(f"size {connections}", []).append(size)
                directory = scratch / f"raw{connections}-{number}"
                directory.mkdir()
                rates.setdefault(f"raw {connections}", []).append(raw_writes(directory, BLOBS, size))
            rates.setdefault("bare", []).append(send_all(bare_url, scratch / "requests", 1).rate)
            files = scratch / f"files-{number}"
            files.mkdir()
            rates.setdefault("files", []).append(raw_files(files, BLOBS))
    found = {what: statistics.median(values) for what, values in rates.items()}
    many = str(CONNECTIONS)
    return BlobPuts(
        found["node 1"], found[f"node {many}"], found["raw 1"], found[f"raw {many}"], found[f"size {many}"],
        found["files"], found["bare"], found["sync"],
    )  # fmt: skip


def blob_put() -> list[Row]:
    """Durable PUT of sealed blobs of 64 KiB, each side with as many fsyncs per blob as the other."""
    disk = _blob_puts(servers.ROOT / ".work", ROUNDS)
    what = "provider, PUT of sealed blobs of 64 KiB, durable"
    rows = [
        at_least(
            f"{what}, one after another, against raw SQLite writes one after another: an fsync for each on both sides",
            disk.one / disk.raw_one,
            0.6,
            f"{disk.one:,.0f} PUT/s; raw {disk.raw_one:,.0f}/s; a sync took {disk.sync_ms:.2f} ms",
        ),
        at_least(
            f"{what}, {CONNECTIONS} at once, against raw SQLite writes in as many transactions: as many fsyncs",
            disk.many / disk.raw_many,
            0.6,
            f"{disk.many:,.0f} PUT/s; raw {disk.raw_many:,.0f}/s with {disk.size:.1f} blobs in each",
        ),
        Row(
            f"{what}, {CONNECTIONS} at once, against raw SQLite writes with an fsync for each",
            "",
            f"{disk.many / disk.raw_one:.2f}x",
            None,
            "what a client sees: nothing is acknowledged before it is synced, on either side",
        ),
        Row(
            f"{what}, one after another and {CONNECTIONS} at once, against raw file writes: file and directory synced",
            "",
            f"{disk.one / disk.files:.2f}x, {disk.many / disk.files:.2f}x",
            None,
            f"{disk.files:,.0f} files/s, one after another",
        ),
        Row(
            "the same blobs, one after another, into a program that receives, verifies, hashes, stores and syncs them, "
            "and is nothing else, against raw SQLite writes",
            "",
            f"{disk.bare / disk.raw_one:.2f}x",
            None,
            f"{disk.bare:,.0f} PUT/s: as much as one client can get; the node {disk.one / disk.bare:.2f}x of it",
        ),
    ]
    if MEMORY.is_dir():
        memory = _blob_puts(MEMORY, ROUNDS // 2)
        rows.append(
            Row(
                f"{what}, one after another and {CONNECTIONS} at once, where a sync costs nothing (in memory)",
                "",
                f"{memory.one / memory.raw_one:.2f}x, {memory.many / memory.raw_many:.2f}x",
                None,
                f"{memory.one:,.0f}, {memory.many:,.0f} PUT/s; raw {memory.raw_one:,.0f}, {memory.raw_many:,.0f}/s",
            )
        )
    return rows
