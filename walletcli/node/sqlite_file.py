"""The file of a store in SQLite: its tables, how it is opened for writing, what it counts, and its errors."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import apsw

from walletcli.errors import StorageError
from walletcli.node import sqlite_guard
from walletcli.node.hosting import tables
from walletcli.node.store import Counts

APPLICATION_ID: Final = 0x77_63_6E_31
"""SQLite's application_id of a store: ``wcn1``."""

SCHEMA_VERSION: Final = 3
"""1 had no tables of what is hosted, 2 nothing of approvals; such a store gets them when it is opened."""

WRITER_CACHE_KIB: Final = 16_384
PAGE_BYTES: Final = 4096

_SCHEMA: Final = """
CREATE TABLE packet(
    id INTEGER PRIMARY KEY, tag INTEGER NOT NULL, key BLOB NOT NULL, stored_s INTEGER NOT NULL,
    document BLOB, payload BLOB NOT NULL
);
CREATE TABLE packet_index(tag INTEGER NOT NULL, id INTEGER NOT NULL, PRIMARY KEY(tag, id)) WITHOUT ROWID;
CREATE TABLE document(
    id INTEGER PRIMARY KEY, tag INTEGER NOT NULL, hash BLOB NOT NULL, identity BLOB NOT NULL,
    expires_s INTEGER, claim BLOB, has_approvers INTEGER, beside BLOB, body BLOB NOT NULL
);
CREATE INDEX document_tag ON document(tag);
CREATE INDEX document_expiry ON document(expires_s) WHERE expires_s IS NOT NULL;
CREATE TABLE outbox(
    id INTEGER PRIMARY KEY, sink TEXT NOT NULL, key BLOB NOT NULL, queued_s INTEGER NOT NULL,
    due_s INTEGER NOT NULL, attempts INTEGER NOT NULL, UNIQUE(sink, key)
);
CREATE INDEX outbox_due ON outbox(sink, due_s);
CREATE TABLE count(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"""


def storage_error(error: Exception) -> StorageError:
    """Return our error for one of apsw's or the system's."""
    if isinstance(error, apsw.FullError):
        return StorageError("storage.full", "the disk is full", "make room on the disk; the node goes on by itself")
    if isinstance(error, apsw.NotADBError | apsw.CorruptError):
        hint = "restore a backup with: walletcli node restore FILE DIR"
        return StorageError("storage.damaged", f"the store is damaged ({error})", hint)
    return StorageError("storage.failed", f"the store cannot be used ({error})", "look at the disk and its permissions")


def open_writer(path: Path) -> apsw.Connection:
    """Open a store for writing; it is made, or brought to this version, if need be.

    Raises:
        StorageError: ``storage.version``.
        apsw.Error: as SQLite has it.
    """
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))  # its log inherits the mode
    writer = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    writer.set_busy_timeout(5000)
    version = writer.execute("PRAGMA user_version").get
    if version == 0 and writer.execute("SELECT count(*) FROM sqlite_schema").get == 0:
        writer.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        writer.execute("PRAGMA journal_mode = WAL")
        # All or nothing; should it fail, closing the connection rolls back.
        writer.execute(f"BEGIN IMMEDIATE; {_SCHEMA}{tables.SCHEMA}{sqlite_guard.SCHEMA}")
        writer.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        writer.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        writer.execute("COMMIT")
    elif version in (1, 2) and writer.execute("PRAGMA application_id").get == APPLICATION_ID:
        writer.execute("BEGIN IMMEDIATE")
        if version == 1:
            writer.execute(f"ALTER TABLE document ADD COLUMN claim BLOB; {tables.SCHEMA}")
        writer.execute(f"{sqlite_guard.COLUMNS}{sqlite_guard.SCHEMA}")
        writer.execute(f"PRAGMA user_version = {SCHEMA_VERSION}; COMMIT")
    elif version != SCHEMA_VERSION or writer.execute("PRAGMA application_id").get != APPLICATION_ID:
        raise StorageError("storage.version", f"{path.name} is not a store of this version", "update walletcli")
    writer.execute("PRAGMA synchronous = FULL")
    writer.execute(f"PRAGMA cache_size = -{WRITER_CACHE_KIB}")
    writer.execute("PRAGMA cache_spill = OFF")  # nothing reaches the disk before COMMIT
    writer.execute("PRAGMA wal_autocheckpoint = 0")  # `settle` does it, after the answers are out
    writer.execute("PRAGMA journal_size_limit = 67108864")
    return writer


def read_counts(connection: apsw.Connection) -> Counts:
    """Return what the store behind `connection` holds; nothing, if it was never finished."""
    if connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'count'").get is None:
        return Counts()
    values: dict[str, int] = dict(connection.execute("SELECT name, value FROM count"))
    return Counts(**{name: values[name] for name in Counts.__slots__ if name in values})


def store_size_bytes(path: Path) -> int:
    """Return the size of a database file and its log."""
    total = 0
    for part in (path, path.with_name(path.name + "-wal")):
        try:
            total += part.stat().st_size
        except FileNotFoundError:
            continue
    return total
