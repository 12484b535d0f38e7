"""Writes a whole file so that at any instant the old one or the new one is there."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from types import TracebackType
from typing import Self

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
        raise _exists(path) from error
    except OSError as error:
        raise _not_written(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            os.unlink(new)


class NewFile:
    """A file that is written part by part and appears whole, or not at all; a context manager.

    Args:
        path: of the file.
        replace: whether a file that is there may be replaced.

    Raises:
        InputError: ``file.exists`` if one is there and may not be replaced.
        StorageError: ``storage.full``, ``storage.failed``; in each method as well.
    """

    def __init__(self, path: str, *, replace: bool = False) -> None:
        self.path = path
        self._replace = replace
        if not replace and os.path.lexists(path):
            raise _exists(path)
        self._directory = os.path.dirname(os.path.abspath(path))
        self._new = os.path.join(self._directory, f".{os.path.basename(path)[:200]}.{secrets.token_hex(8)}")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        with self._wrapped():
            self._handle: int = os.open(self._new, flags, FILE_MODE)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._handle)
        with contextlib.suppress(OSError):
            os.unlink(self._new)

    def write(self, data: bytes) -> None:
        """Add to the end."""
        with self._wrapped():
            left = memoryview(data)
            while left:
                left = left[os.write(self._handle, left) :]

    def restart(self) -> None:
        """Throw away what was written, and begin anew."""
        with self._wrapped():
            os.ftruncate(self._handle, 0)
            os.lseek(self._handle, 0, os.SEEK_SET)

    def commit(self) -> None:
        """Put the file in its place, durably.

        Raises:
            InputError: ``file.exists`` if one has come there meanwhile and may not be replaced.
        """
        with self._wrapped():
            os.fsync(self._handle)
            if self._replace:
                os.replace(self._new, self.path)
            else:
                os.link(self._new, self.path)  # refuses where a file is; a rename would not
            _sync_directory(self._directory)

    @contextlib.contextmanager
    def _wrapped(self) -> Iterator[None]:
        try:
            yield
        except FileExistsError as error:
            raise _exists(self.path) from error
        except OSError as error:
            raise _not_written(self.path, error) from error


def _exists(path: str) -> InputError:
    return InputError("file.exists", f"{path} is there already", "name another file, or remove it")


def _not_written(path: str, error: OSError) -> StorageError:
    code = "storage.full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "storage.failed"
    return StorageError(code, f"cannot write {path}: {error.strerror}", "free some space, or correct the permissions")


def refuse_existing(path: str) -> None:
    """Check that nothing is at `path` yet, before work is done for a file that could not be written.

    Raises:
        InputError: ``file.exists``.
    """
    if os.path.lexists(path):
        raise _exists(path)


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
