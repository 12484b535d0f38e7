"""The node's directory: its files, its lock, and writes that cannot tear.

::

    node.toml     configuration
    root.key      the identity's root key; may be moved off this machine
    device.key    the daily keys that the root delegated
    tls.key, tls.crt
    node.record   the node's own record, signed by the root
    store.db      packets and documents
    lock          held by the process that runs
    run.json      what that process says of itself
    dht.state     members of the DHT that were known when it was last saved
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from walletcli.errors import InputError, StorageError

LOCK_WAIT_S: Final = 0.5
"""How long the lock is tried for, in seconds: `walletcli.node.status` may hold it for an instant."""


@dataclass(frozen=True, slots=True)
class NodeDirectory:
    """Names the files of a node.

    Attributes:
        path: the directory.
    """

    path: Path

    @property
    def config(self) -> Path:
        """The configuration."""
        return self.path / "node.toml"

    @property
    def root_key(self) -> Path:
        """The root key, which need not be there."""
        return self.path / "root.key"

    @property
    def device_key(self) -> Path:
        """The daily keys."""
        return self.path / "device.key"

    @property
    def tls_key(self) -> Path:
        """The TLS key, PEM."""
        return self.path / "tls.key"

    @property
    def tls_certificate(self) -> Path:
        """The TLS certificate, PEM."""
        return self.path / "tls.crt"

    @property
    def record(self) -> Path:
        """The node's own record file."""
        return self.path / "node.record"

    @property
    def store(self) -> Path:
        """The database."""
        return self.path / "store.db"

    @property
    def dht_state(self) -> Path:
        """Members of the DHT that are known."""
        return self.path / "dht.state"

    @property
    def lock(self) -> Path:
        """The lock file."""
        return self.path / "lock"

    @property
    def run_state(self) -> Path:
        """What the running process says of itself."""
        return self.path / "run.json"

    def check(self) -> None:
        """Raise StorageError ``node.missing`` if this is not a node's directory."""
        if not self.config.is_file() or not self.record.is_file():
            hint = f"make one with: walletcli node init {self.path}"
            raise StorageError("node.missing", f"{self.path} is not a node's directory", hint)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the directory for this process.

        Raises:
            StorageError: ``node.busy`` if another process has it, ``node.unwritable``.
        """
        try:
            handle = os.open(self.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StorageError("node.unwritable", f"cannot open {self.lock}: {error.strerror}") from error
        try:
            _take(handle, self.path)
            yield
        finally:
            os.close(handle)

    def is_locked(self) -> bool:
        """Tell whether a process runs on this directory."""
        try:
            handle = os.open(self.lock, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(handle)
        return False

    def read_run_state(self) -> dict[str, Any]:
        """Return what the running process wrote about itself; empty if nothing usable is there."""
        try:
            state = json.loads(self.run_state.read_bytes()[:65_536])
        except (OSError, ValueError):
            return {}
        return state if isinstance(state, dict) else {}


def _take(handle: int, path: Path) -> None:
    end = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= end:
                hint = "stop that process, or use another directory"
                raise StorageError("node.busy", f"another process runs on {path}", hint) from None
            time.sleep(0.02)
        except OSError as error:
            raise StorageError("node.unwritable", f"cannot lock {path}: {error.strerror}") from error


def fsync_directory(path: Path) -> None:
    """Make renames in a directory durable."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_new(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Write a file that is not there yet, fsynced.

    Raises:
        StorageError: ``node.unwritable``, ``storage.full``.
    """
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with open(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise write_error(path, error) from error


def replace(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Write a file so that at any instant the old or the new one is there, and fsync it; raises as `write_new`."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        write_new(beside, data, mode)
        os.replace(beside, path)
        fsync_directory(path.parent)
    except OSError as error:
        raise write_error(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            beside.unlink()


@contextlib.contextmanager
def new_directory(path: Path) -> Iterator[Path]:
    """Give a hidden directory to fill, and move it to `path` (fsynced) if that went well; else nothing is left.

    Raises:
        InputError: ``node.exists`` if there is something at `path` other than an empty directory.
        StorageError: ``node.unwritable``, ``storage.full``.
    """
    if path.is_symlink() or (path.exists() and not (path.is_dir() and not any(path.iterdir()))):
        raise InputError("node.exists", f"{path} is already there", "name a directory that does not exist yet")
    parent = path.absolute().parent
    beside = parent / f".{path.name}.{secrets.token_hex(8)}"
    try:
        beside.mkdir(mode=0o700)
        try:
            yield beside
            fsync_directory(beside)
            os.rename(beside, path)
            fsync_directory(parent)
        except BaseException:
            _remove_tree(beside)
            raise
    except OSError as error:
        raise write_error(path, error) from error


def _remove_tree(path: Path) -> None:
    with contextlib.suppress(OSError):
        for item in path.iterdir():
            item.unlink()
        path.rmdir()


def write_error(path: Path, error: OSError) -> StorageError:
    """Return our error for a write to `path` that failed."""
    if error.errno in (28, 122):  # ENOSPC, EDQUOT
        return StorageError("storage.full", f"no room to write {path.name}", "make room on the disk")
    return StorageError(
        "node.unwritable", f"cannot write {path}: {error.strerror}", "look at the path and its permissions"
    )
