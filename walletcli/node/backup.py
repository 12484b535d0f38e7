"""``node backup`` and ``node restore``: the whole node in one file.

A backup is a SQLite database: the store as it is at one instant, a table ``node_file`` with the directory's other
files, and a table ``backup_digest`` with the SHA-256 of all of that. It is taken by SQLite's online backup from a
process of its own while the node runs.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from pathlib import Path
from typing import Final

import apsw

from walletcli.errors import FormatError, InputError, StorageError
from walletcli.node.directory import NodeDirectory, fsync_directory, new_directory, write_error, write_new
from walletcli.node.hosting import tables
from walletcli.node.sqlite_file import APPLICATION_ID, SCHEMA_VERSION, storage_error
from walletcli.node.status import open_for_reading

BACKUP_APPLICATION_ID: Final = 0x77_63_62_31
"""SQLite's application_id of a backup: ``wcb1``."""

_FILES: Final = {
    "node.toml": 0o644,
    "node.record": 0o644,
    "tls.crt": 0o644,
    "tls.key": 0o600,
    "device.key": 0o600,
    "root.key": 0o600,
}
_ORDERS: Final = {"count": "name", "guard": "key", "node_file": "name", "packet_index": "tag, id", **tables.ORDERS}
"""By what the rows of each table are ordered; the others by ``id``."""

_SECRET: Final = frozenset(("tls.key", "device.key", "root.key"))
_MAX_FILE_BYTES: Final = 131_072
_TABLES: Final = frozenset(
    ("packet", "packet_index", "document", "outbox", "count", "guard", *tables.TABLES, "node_file", "backup_digest")
)


def backup(directory: Path, file: Path, *, keys: bool = True) -> None:
    """Write a backup of a node, running or not; fsynced and checked when this returns.

    Args:
        directory: the node's.
        file: must not exist; mode 0600.
        keys: False to leave the node's keys out; such a backup cannot be restored without them.

    Raises:
        InputError: ``backup.exists``.
        StorageError: ``node.missing``, ``node.unwritable``, ``storage.*``, ``backup.damaged``.
    """
    files = NodeDirectory(directory)
    files.check()
    if file.exists() or file.is_symlink():
        raise InputError("backup.exists", f"{file} is already there", "name a file that does not exist yet")
    beside = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    try:
        write_new(beside, b"")
        with contextlib.ExitStack() as stack:
            running = files.is_locked()
            if not running:
                stack.enter_context(files.locked())
            target = _open(beside)
            stack.callback(target.close)
            if files.store.exists():
                source = open_for_reading(files.store, running)
                stack.callback(source.close)
                _copy(source, target)
            _add_files(target, files, keys)
            _add_digest(target)
            _check(target)
        _fsync(beside)
        os.link(beside, file)  # unlike a rename, fails if somebody made the file meanwhile
        fsync_directory(file.absolute().parent)
    except apsw.Error as error:
        raise storage_error(error) from error
    except FileExistsError as error:
        raise InputError("backup.exists", f"{file} is already there") from error
    except OSError as error:
        raise write_error(file, error) from error
    finally:
        with contextlib.suppress(OSError):
            beside.unlink()


def restore(file: Path, directory: Path) -> bool:
    """Make a node's directory from a backup, all or nothing.

    Args:
        file: what `backup` wrote.
        directory: must not exist, or be empty.

    Returns:
        Whether the backup held the keys without which the node cannot run.

    Raises:
        InputError: ``node.exists``, ``backup.missing``.
        FormatError: ``backup.malformed``.
        StorageError: ``backup.damaged``, ``node.unwritable``, ``storage.*``.
    """
    if not file.is_file():
        raise InputError("backup.missing", f"{file} is not there")
    try:
        with contextlib.closing(_open_backup(file)) as source, new_directory(directory) as beside:
            _check(source)
            made = NodeDirectory(beside)
            for name, content in source.execute("SELECT name, content FROM node_file"):
                if name not in _FILES or not isinstance(content, bytes) or len(content) > _MAX_FILE_BYTES:
                    raise FormatError("backup.malformed", "the backup holds a file that no node has")
                write_new(beside / name, content, _FILES[name])
            _restore_store(source, made)
            return made.device_key.exists() and made.tls_key.exists()
    except apsw.Error as error:
        raise storage_error(error) from error


def _restore_store(source: apsw.Connection, made: NodeDirectory) -> None:
    has_store = source.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'packet'").get
    if not has_store:
        return
    write_new(made.store, b"")
    with contextlib.closing(_open(made.store)) as target:
        _copy(source, target)
        target.execute("PRAGMA secure_delete = ON")  # the keys must not stay in free pages
        target.execute("DROP TABLE node_file")
        target.execute("DROP TABLE backup_digest")
        target.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        target.execute("PRAGMA journal_mode = WAL")
    _fsync(made.store)


def _open(path: Path) -> apsw.Connection:
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def _open_backup(file: Path) -> apsw.Connection:
    connection = apsw.Connection(
        f"{file.absolute().as_uri()}?immutable=1", flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    )
    try:
        known = connection.execute("PRAGMA application_id").get == BACKUP_APPLICATION_ID
    except apsw.NotADBError:
        known = False
    if not known:
        connection.close()
        raise FormatError("backup.malformed", f"{file} is not a backup of a node")
    version = connection.execute("PRAGMA user_version").get
    if not 0 <= version <= SCHEMA_VERSION:
        connection.close()
        raise FormatError("backup.malformed", f"{file} is of another version", "update walletcli")
    return connection


def _copy(source: apsw.Connection, target: apsw.Connection) -> None:
    """Copy all pages in one step: of one instant, whatever is written meanwhile."""
    with target.backup("main", source, "main") as copying:
        copying.step(-1)


def _add_files(target: apsw.Connection, files: NodeDirectory, keys: bool) -> None:
    target.execute("PRAGMA journal_mode = DELETE")
    with target:
        target.execute("CREATE TABLE node_file(name TEXT PRIMARY KEY, content BLOB NOT NULL) WITHOUT ROWID")
        for name in _FILES:
            path = files.path / name
            if path.exists() and (keys or name not in _SECRET):
                target.execute("INSERT INTO node_file VALUES(?, ?)", (name, path.read_bytes()))
        target.execute(f"PRAGMA application_id = {BACKUP_APPLICATION_ID}")


def _digest(connection: apsw.Connection) -> bytes:
    """Return the SHA-256 of every row of every table, by name of the table and in the table's order."""
    digest = hashlib.sha256()
    names: list[str] = [
        name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
    ]
    for name in names:
        if name == "backup_digest":
            continue
        digest.update(f"{name}\n".encode())
        query = f'SELECT * FROM "{name}" ORDER BY {_ORDERS.get(name, "id")}'  # noqa: S608 - names of our own
        for row in connection.execute(query):
            if name == "blob_part":  # long: not written out as text
                digest.update(b"%d %d\n" % (row[0], len(row[1])))
                digest.update(row[1])
            else:
                digest.update(repr(row).encode())
    return digest.digest()


def _add_digest(target: apsw.Connection) -> None:
    target.execute("CREATE TABLE backup_digest(sha256 BLOB NOT NULL)")
    target.execute("INSERT INTO backup_digest VALUES(?)", (_digest(target),))


def _check(connection: apsw.Connection) -> None:
    damaged = StorageError("backup.damaged", "the backup is damaged", "make another one")
    if connection.execute("PRAGMA integrity_check(1)").get != "ok":
        raise damaged
    found = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    if not found <= _TABLES:
        raise FormatError("backup.malformed", "the backup holds a table that no node has")
    if connection.execute("SELECT sha256 FROM backup_digest").get != _digest(connection):
        raise damaged
    if "hosted" in found and not tables.is_consistent(connection):
        raise damaged


def _fsync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
