"""``node status``: what a node is and holds, whether or not it runs."""

from __future__ import annotations

import os
import time
from pathlib import Path

import apsw

from walletcli.errors import StorageError
from walletcli.node.config import Config
from walletcli.node.directory import NodeDirectory
from walletcli.node.identity import NodeIdentity
from walletcli.node.sqlite_file import read_counts, storage_error, store_size_bytes
from walletcli.node.store import Counts


def status(directory: Path) -> dict[str, object]:
    """Return the state of the node in `directory`.

    Returns:
        ``did``, ``running``, ``pid``, ``listen``, ``http``, ``version``, ``uptime_s`` (None where it does not run),
        ``addresses``, ``seq``, ``delegation_days_left``, ``root_present``, ``packets``, ``pending``, ``documents``,
        ``unreferenced_documents``, ``queued``, ``hosting`` (the policy), ``hosted``, ``leaving``, ``blobs``,
        ``blob_bytes``, ``store_bytes``, ``free_bytes``, ``notices``.

    Raises:
        StorageError: ``node.missing``, ``node.unreadable``, ``storage.*``.
        InputError: ``config.*``.
    """
    files = NodeDirectory(directory)
    files.check()
    identity = NodeIdentity(files)
    running = files.is_locked()
    state = files.read_run_state() if running else {}
    counts = _counts(files, running)
    disk = os.statvfs(directory)
    started_s = state.get("started_s")
    return {
        "did": identity.did,
        "running": running,
        "pid": state.get("pid"),
        "listen": state.get("listen"),
        "http": state.get("http"),
        "version": state.get("version"),
        "uptime_s": max(0, int(time.time()) - started_s) if isinstance(started_s, int) else None,
        "addresses": [address.location for address in identity.addresses],
        "seq": identity.record.packet.seq,
        "delegation_days_left": identity.days_left(),
        "root_present": files.root_key.exists(),
        "packets": counts.packets,
        "pending": counts.pending,
        "documents": counts.documents,
        "unreferenced_documents": counts.unreferenced,
        "queued": counts.queued,
        "hosting": state.get("hosting") or Config.from_file(files.config).hosting.policy.value,
        "hosted": counts.hosted,
        "leaving": counts.leaving,
        "blobs": counts.blobs,
        "blob_bytes": counts.blob_bytes,
        "store_bytes": store_size_bytes(files.store),
        "free_bytes": disk.f_bavail * disk.f_frsize,
        "notices": identity.notices(),
    }


def _counts(files: NodeDirectory, running: bool) -> Counts:
    if not files.store.exists():
        return Counts()
    try:
        connection = open_for_reading(files.store, running)
        try:
            return read_counts(connection)
        finally:
            connection.close()
    except apsw.Error as error:
        raise storage_error(error) from error


def open_for_reading(path: Path, running: bool) -> apsw.Connection:
    """Open a store beside the process that owns it, or alone.

    A node that was killed left a log behind; reading that needs a connection that can recover it.

    Raises:
        StorageError: ``storage.failed``.
    """
    flags = apsw.SQLITE_OPEN_READONLY if running else apsw.SQLITE_OPEN_READWRITE
    try:
        connection = apsw.Connection(str(path), flags=flags)
        connection.set_busy_timeout(5000)
        connection.execute("PRAGMA query_only = ON")
    except apsw.Error as error:
        raise storage_error(error) from error
    except OSError as error:
        raise StorageError("node.unreadable", f"cannot read {path}") from error
    return connection
