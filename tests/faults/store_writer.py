"""Writes batches to a store and says which are stored: ``store_writer.py PATH BATCHES``. Made to be killed.

The tail and the log are short, so that merges and checkpoints come often. A batch stores three packets of its own, the
document of one of them, and replaces one packet that all batches share.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.faults.batches import write_batches
from walletcli.errors import StorageError
from walletcli.node import sqlite_store
from walletcli.node.sqlite_store import SqliteStore
from walletcli.node.store import PutDocument, PutPacket, Write

TAIL_PACKETS = 7
CHECKPOINT_PAGES = 30
SHARED = 1_000_000
"""Stands for a batch in the name of the packet that every batch replaces."""


def key(batch: int, number: int) -> bytes:
    return hashlib.sha256(b"%d %d" % (batch, number)).digest()


def body(batch: int) -> bytes:
    return b"document %d" % batch * 100


def packet(batch: int, number: int, seq: int) -> PutPacket:
    """Return a packet; the first of a batch names a document."""
    named = hashlib.sha256(body(batch)).digest() if number == 0 else None
    payload = bytes(64) + seq.to_bytes(8, "big") + b"%d %d" % (batch, number) * 20
    return PutPacket(key(batch, number), payload, seq, named, forward=True)


def writes(batch: int) -> list[Write]:
    document = PutDocument(hashlib.sha256(body(batch)).digest(), key(batch, 0), body(batch))
    return [document, *(packet(batch, number, 1) for number in range(3)), packet(SHARED, 1, 1 + batch)]


def open_store(path: Path) -> SqliteStore:
    return SqliteStore(path, ["http://127.0.0.1:1"])


def main() -> None:
    sqlite_store.TAIL_PACKETS = TAIL_PACKETS  # type: ignore[misc]  # of this process, which is here to be killed
    sqlite_store.CHECKPOINT_PAGES = CHECKPOINT_PAGES  # type: ignore[misc]
    try:
        store = open_store(Path(sys.argv[1]))
    except StorageError as error:
        print(f"not opened: {error.code}", flush=True)
        return
    write_batches(store, int(sys.argv[2]), writes, 1000, copies_beside="beside" in sys.argv)


if __name__ == "__main__":
    main()
