"""The node with 1,000,000 records against the node with 10,000."""

from __future__ import annotations

import hashlib
import os
import statistics
import tempfile
from contextlib import ExitStack
from pathlib import Path

from bench import servers
from bench.load import get_all, put_all
from bench.measure import Row, at_most
from bench.records import FIRST_SEQ, packets, write_packets
from walletcli.core.encodings import z32_encode
from walletcli.node.sqlite_store import SqliteStore
from walletcli.node.store import PutPacket

MANY = 1_000_000
FEW = 10_000
BATCH = 5000
ASKED = 200_000
PUTS = 15_000
GET_SECONDS = 6
ROUNDS = 3


def _key(number: int) -> bytes:
    return hashlib.sha256(f"bench stored {number}".encode()).digest()


def fill(directory: Path, count: int) -> int:
    """Fill a node's store through its own interface; return the bytes of one payload."""
    value = next(iter(packets(0, 1))).value
    store = SqliteStore(servers.store_path(directory))
    for first in range(0, count, BATCH):
        writes = []
        for number in range(first, min(first + BATCH, count)):
            seq = FIRST_SEQ + number
            payload = os.urandom(64) + seq.to_bytes(8, "big") + value
            writes.append(PutPacket(_key(number), payload, seq, hashlib.sha256(_key(number)).digest()))
        store.stage(writes, 1_700_000_000)
        store.commit()
        store.committed()
        store.settle()
    store.close()
    return 72 + len(value)


def _write_keys(path: Path, count: int) -> None:
    """Write keys in an order that is neither that of arrival nor that of any index."""
    asked = range(0, count, max(1, count // ASKED))
    order = sorted(asked, key=lambda number: hashlib.sha256(_key(number)).digest())
    path.write_text("".join(z32_encode(_key(number)) + "\n" for number in order))


def million() -> list[Row]:
    """GET, PUT, bytes on disk and memory with a hundred times the records."""
    gets: dict[int, list[float]] = {FEW: [], MANY: []}
    puts: dict[int, list[float]] = {FEW: [], MANY: []}
    with tempfile.TemporaryDirectory(dir=servers.ROOT / ".work") as name, ExitStack() as running:
        scratch = Path(name)
        nodes, size_bytes, payload_bytes = {}, {}, 0
        for count in (FEW, MANY):
            directory = scratch / f"node{count}"
            servers.init_node(directory)
            payload_bytes = fill(directory, count)
            size_bytes[count] = servers.store_path(directory).stat().st_size
            _write_keys(scratch / f"keys{count}", count)
            nodes[count] = servers.node(directory)
            running.enter_context(nodes[count][0])
        for number in range(ROUNDS):
            for count, (_, url) in nodes.items():
                gets[count].append(get_all(url, scratch / f"keys{count}", GET_SECONDS).rate)
            write_packets(scratch / "packets", number * PUTS, PUTS)
            for count, (_, url) in nodes.items():
                puts[count].append(put_all(url, scratch / "packets").rate)
        memory = {count: server.memory() for count, (server, _) in nodes.items()}
    get = {count: statistics.median(rates) for count, rates in gets.items()}
    put = {count: statistics.median(rates) for count, rates in puts.items()}
    per_record = size_bytes[MANY] / MANY
    grown_mb = (memory[MANY].resident - memory[FEW].resident) / 1024
    what = "node with 1,000,000 records against 10,000"
    return [
        at_most(f"{what}: time of a GET", get[FEW] / get[MANY], 1.3, f"{get[MANY]:,.0f} GET/s against {get[FEW]:,.0f}"),
        at_most(f"{what}: time of a PUT", put[FEW] / put[MANY], 1.5, f"{put[MANY]:,.0f} PUT/s against {put[FEW]:,.0f}"),
        at_most(
            "bytes on disk per record, against the packet",
            per_record / payload_bytes,
            2.0,
            f"{per_record:.0f} bytes for a payload of {payload_bytes}; {size_bytes[MANY] / 1e6:,.0f} MB in all",
        ),
        Row(
            f"{what}: memory growth after the same load",
            "under 64 MB",
            f"{grown_mb:.0f} MB",
            grown_mb < 64,
            f"{memory[MANY].resident / 1024:.0f} MB against {memory[FEW].resident / 1024:.0f} MB resident; "
            f"peak {memory[MANY].peak / 1024:.0f} MB",
        ),
    ]
