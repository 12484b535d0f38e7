"""One writer at a time, across processes.

The lock is the operating system's, on a file next to the vault, so that it ends with the process that holds it.

Spec: docs/spec/vault.md, "Writing".
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from walletcli.errors import VaultError
from walletcli.vault.storage import storage_error, symlink_error

WAIT_S: Final = 2.0
"""How long a writer waits for another one."""

_PAUSE_S: Final = 0.02


@contextlib.contextmanager
def exclusive(path: Path, wait_s: float = WAIT_S) -> Iterator[None]:
    """Hold the lock on `path`, which is made if it is not there and stays.

    Raises:
        VaultError: ``vault.busy`` if another process holds it for longer than `wait_s`, ``vault.symlink``.
        StorageError: the system refused.
    """
    deadline = time.monotonic() + wait_s
    while True:
        descriptor = _open(path)
        try:
            if _try_lock(descriptor, path) and _is_still(descriptor, path):
                yield
                return
        finally:
            os.close(descriptor)
        if time.monotonic() >= deadline:
            hint = "wait for it, or end it, and try again"
            raise VaultError("vault.busy", "another walletcli process is changing this vault", hint)
        time.sleep(_PAUSE_S)


def _open(path: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
    try:
        return os.open(path, flags, 0o600)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise symlink_error(path) from error
        raise storage_error(error, path) from error


def _is_still(descriptor: int, path: Path) -> bool:
    # Between opening and locking, a wipe may have removed the file; then two could hold "the" lock.
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int, path: Path) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_lock(descriptor: int, path: Path) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            raise storage_error(error, path) from error
        return True
