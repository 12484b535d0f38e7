"""Blobs into one table of SQLite: ``bench/raw_sqlite.py FILE BLOBS PER_TRANSACTION BYTES CHECKPOINT_PAGES``.

With the node's settings and nothing else of a node; prints blobs per second.
"""

from __future__ import annotations

import os
import sys
import time

import apsw


def open_table(path: str) -> tuple[apsw.Connection, list[int]]:
    """Make a table as the node has one for content; return it, and a list with the number of pages in its log."""
    connection = apsw.Connection(path)
    connection.execute("PRAGMA page_size = 4096; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")
    connection.execute("PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = -16384; PRAGMA cache_spill = OFF")
    connection.execute("CREATE TABLE blob(id INTEGER PRIMARY KEY, data BLOB NOT NULL)")
    log = [0]

    def on_wal(connection: apsw.Connection, name: str, pages: int) -> int:
        log[0] = pages
        return apsw.SQLITE_OK

    connection.set_wal_hook(on_wal)
    return connection, log


def main() -> None:
    path, blobs, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[4])
    per_transaction, checkpoint_pages = float(sys.argv[3]), int(sys.argv[5])
    connection, log = open_table(path)
    contents = [os.urandom(size) for _ in range(50)]
    written = due = 0.0
    started = time.monotonic()
    while written < blobs:
        due += per_transaction
        connection.execute("BEGIN IMMEDIATE")
        while written < min(due, blobs):
            connection.execute("INSERT INTO blob(data) VALUES(?)", (contents[int(written) % len(contents)],))
            written += 1
        connection.execute("COMMIT")
        if log[0] >= checkpoint_pages:
            connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
    print(blobs / (time.monotonic() - started))


if __name__ == "__main__":
    main()
