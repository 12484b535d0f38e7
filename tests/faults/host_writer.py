"""Writes batches about hosted identities and says which are stored: ``host_writer.py PATH BATCHES``. Made to be killed.

Each batch binds an identity of its own with two blobs, replaces a blob that all batches share, uses an invitation, and
every third one lets an identity's data go and clears away. The log is short, so that checkpoints come often.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.faults.batches import write_batches
from walletcli.core.grant import Terms
from walletcli.node import sqlite_store
from walletcli.node.hosting.kept import Claim, Forget, PutBlob, Sweep, UseInvitation
from walletcli.node.sqlite_store import SqliteStore
from walletcli.node.store import PutDocument, PutPacket, Write

NOW_S = 20_000 * 86_400
CHECKPOINT_PAGES = 30
SHARED = 1_000_000
"""Stands for a batch in the name of the identity whose blob every batch replaces."""

TERMS = Terms(1 << 30, 30, 1 << 21)
INVITATION = bytes(32)


def key(batch: int) -> bytes:
    return batch.to_bytes(32, "big")


def bind(batch: int) -> list[Write]:
    name = batch.to_bytes(32, "little")
    payload = bytes(64) + (1).to_bytes(8, "big") + bytes(100)
    claim = Claim(bytes(32), bytes(32), TERMS, 20_300)
    return [PutDocument(name, key(batch), b"document", claim=claim), PutPacket(key(batch), payload, 1, name)]


def content(batch: int, number: int) -> bytes:
    return (b"%d %d " % (batch, number)) * (200 if number else 50_000)


def blob(batch: int, number: int, version: int = 1, replaces: int = 0) -> PutBlob:
    manifest = b"manifest %d %d %d" % (batch, number, version)
    return PutBlob(
        key(batch), number.to_bytes(16, "big"), version, manifest, content(batch + version, number), replaces
    )


def writes(batch: int) -> list[Write]:
    shared = blob(SHARED, 1, batch + 1, batch)
    found = [*bind(batch), blob(batch, 0), blob(batch, 1), shared, UseInvitation(INVITATION, key(batch))]
    return [*found, Forget(key(batch - 1)), Sweep()] if batch % 3 == 2 else found


def open_store(path: Path) -> SqliteStore:
    return SqliteStore(path)


def prepare(path: Path) -> None:
    """Make a store with the shared identity and the invitation."""
    store = open_store(path)
    store._writer.execute("INSERT INTO invitation VALUES(?, 1000, 0, 0, ?)", (INVITATION, 1 << 40))
    store.stage(bind(SHARED), NOW_S)
    store.commit()
    store.committed()
    store.close()


def main() -> None:
    sqlite_store.CHECKPOINT_PAGES = CHECKPOINT_PAGES  # type: ignore[misc]  # of this process, which is here to be killed
    write_batches(open_store(Path(sys.argv[1])), int(sys.argv[2]), writes, NOW_S, each_alone=False)


if __name__ == "__main__":
    main()
