"""Writes a whole file so that at any instant the old one or the new one is there."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets

from walletcli.errors import InputError, StorageError

FILE_MODE = 0o600
"""Mode of every file that the wallet makes."""


def write_file(path: str, data: bytes, *, replace: bool = True) -> None:
    """Write `data` to `path`, durably.

    Args:
        path: the file.
        data: its whole content.
        replace: whether a file that is there may be replaced.

    Raises:
        InputError: ``file.exists`` if one is there and may not be replaced.
        StorageError: ``storage.full``, ``storage.failed``.
    """
    directory = os.path.dirname(os.path.abspath(path))
    new = os.path.join(directory, f".{os.path.basename(path)}.{secrets.token_hex(8)}")
    try:
        _write_new(new, data)
        if replace:
            os.replace(new, path)
        else:
            os.link(new, path)  # refuses where a file is; a rename would not
        _sync_directory(directory)
    except FileExistsError as error:
        raise InputError("file.exists", f"{path} is there already", "name another file, or remove it") from error
    except OSError as error:
        code = "storage.full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "storage.failed"
        raise StorageError(
            code, f"cannot write {path}: {error.strerror}", "free some space, or correct the permissions"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            os.unlink(new)


def _write_new(path: str, data: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE)
    try:
        left = memoryview(data)
        while left:
            left = left[os.write(handle, left) :]
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync_directory(path: str) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_file(path: str, max_bytes: int) -> bytes:
    """Read a whole file of at most `max_bytes`.

    Raises:
        InputError: ``file.missing``, ``file.unreadable`` or ``file.too-long``.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(max_bytes + 1)
    except FileNotFoundError as error:
        raise InputError("file.missing", f"there is no file {path}", "check the name") from error
    except OSError as error:
        raise InputError(
            "file.unreadable", f"cannot read {path}: {error.strerror}", "check the name and its permissions"
        ) from error
    if len(data) > max_bytes:
        raise InputError("file.too-long", f"{path} is longer than {max_bytes} bytes", "is it the right file?")
    return data
