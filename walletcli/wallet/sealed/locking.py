"""One process of a wallet at a time writes an identity's sealed data.

The lock is a range of bytes of one file in the home, so that neither its name nor its length tells how many identities
there are. It ends with the process that holds it.

Spec: docs/spec/sealed-data.md, "Interrupted uploads".
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import struct
import time
from collections.abc import Iterator
from typing import Final

from walletcli.errors import StorageError
from walletcli.wallet.home import Home

LOCK_S: Final = 10.0
"""How long another process is waited for, in seconds."""

_RETRY_S: Final = 0.05
_BUSY: Final = (errno.EACCES, errno.EAGAIN)


@contextlib.contextmanager
def data_lock(home: Home, index: int, wait_s: float = LOCK_S) -> Iterator[None]:
    """Keep other processes of this wallet from writing the data of the identity with this index meanwhile.

    Raises:
        StorageError: ``data.busy`` after `wait_s` seconds; ``storage.failed``.
    """
    try:
        handle = os.open(home.data_lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StorageError(
            "storage.failed", f"cannot open {home.data_lock_path}: {error.strerror}", "correct its permissions"
        ) from error
    try:
        _lock(handle, index, wait_s)
        yield
    finally:
        os.close(handle)


def _lock(handle: int, index: int, wait_s: float) -> None:
    ends_s = time.monotonic() + wait_s
    while True:
        try:
            return _try_lock(handle, index)
        except OSError as error:
            if error.errno not in _BUSY:
                raise StorageError(
                    "storage.failed", f"cannot lock the wallet's data: {error.strerror}", "is the disk a network's?"
                ) from error
        if time.monotonic() >= ends_s:
            raise StorageError(
                "data.busy",
                "another process of this wallet is writing this identity's data",
                "try again when it has finished",
            )
        time.sleep(_RETRY_S)


def _try_lock(handle: int, index: int) -> None:
    """Lock one byte for this open file, or the whole file where the system has no such locks."""
    if not hasattr(fcntl, "F_OFD_SETLK"):
        return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    wanted = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, index, 1, 0)
    fcntl.fcntl(handle, fcntl.F_OFD_SETLK, wanted)
    return None
