"""Reads and writes the few files of a directory that is an exit kit, and follows no link out of it.

Spec: docs/spec/exit-kit.md, "Files".
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from typing import Final

from walletcli.errors import FormatError, StorageError

HEAD: Final = "exit-kit"
"""Name of the kit's head."""

BLOBS: Final = "blobs"
"""Name of the directory of the blobs."""

UNFINISHED: Final = ".new"
"""Name of what is being written; left behind by a crash it means nothing."""

MAX_NAMES: Final = 70_000
"""Most files that a kit may have."""

LOCK_S: Final = 10.0
"""How long a writer waits for another one, in seconds."""

_OPEN_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_OPEN_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_NOT_OURS: Final = (errno.ELOOP, errno.EMLINK, errno.ENOTDIR, errno.EISDIR)
_NOT_SUPPORTED: Final = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)


class KitFiles:
    """The files of one kit, below two directories that are opened for each use.

    Args:
        path: the kit's directory; it may be reached through a link, nothing inside it may be one.
    """

    def __init__(self, path: str) -> None:
        self.path = os.path.abspath(path)

    def make(self) -> None:
        """Make the directories where they are missing; what is there already stays.

        Raises:
            StorageError: ``exit-kit.not-empty`` for a directory that holds something else, ``storage.*``.
        """
        try:
            os.makedirs(self.path, mode=0o700, exist_ok=True)
            names = set(os.listdir(self.path))
            if names and not names <= {HEAD, BLOBS, UNFINISHED}:
                raise StorageError(
                    "exit-kit.not-empty",
                    f"{self.path} holds other files",
                    "name a directory of its own for the exit kit",
                )
            with contextlib.suppress(FileExistsError):
                os.mkdir(os.path.join(self.path, BLOBS), 0o700)
            with self._directory(None) as directory:
                os.fsync(directory)
        except OSError as error:
            raise self._failed("make", self.path, error) from error

    def names(self) -> Iterator[str]:
        """Return the names in the directory of the blobs, ascending, but for an unfinished one.

        Raises:
            StorageError: ``exit-kit.missing``, ``storage.failed``.
            FormatError: ``exit-kit.malformed`` for too many.
        """
        try:
            with self._directory(BLOBS) as directory:
                names = os.listdir(directory)
        except FileNotFoundError as error:
            raise self._missing() from error
        except OSError as error:
            raise self._failed("read", BLOBS, error) from error
        if len(names) > MAX_NAMES:
            raise FormatError(
                "exit-kit.malformed",
                f"{self.path} holds more than {MAX_NAMES} files",
                "name the directory of an exit kit",
            )
        return iter(sorted(name for name in names if name != UNFINISHED))

    def read(
        self, directory: str | None, name: str, max_bytes: int, first_bytes: int | None = None
    ) -> tuple[bytes, int]:
        """Read a file.

        Args:
            directory: `BLOBS`, or None for the kit's own.
            name: of the file.
            max_bytes: the longest that it may be.
            first_bytes: read no more than so many; None: all.

        Returns:
            What was read, and the length of the file in bytes.

        Raises:
            FileNotFoundError: if it is not there.
            FormatError: ``exit-kit.foreign`` for a link or anything else that is no file, or one that is too long.
            StorageError: ``storage.failed``.
        """
        try:
            with self._directory(directory) as parent:
                handle = os.open(name, _OPEN_FILE, dir_fd=parent)
                try:
                    size = self._checked_size(handle, name, max_bytes)
                    return _read_exactly(handle, size if first_bytes is None else min(first_bytes, size)), size
                finally:
                    os.close(handle)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise self._failed("read", name, error) from error

    def write(self, directory: str | None, name: str, data: bytes) -> None:
        """Put a file in place of the one that is there: at any instant, and after any crash, one of them is whole.

        Raises:
            StorageError: ``storage.full``, ``storage.failed``.
        """
        try:
            with self._directory(directory) as parent:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(UNFINISHED, dir_fd=parent)
                _write_new(parent, data)
                os.replace(UNFINISHED, name, src_dir_fd=parent, dst_dir_fd=parent)
                os.fsync(parent)
        except OSError as error:
            raise self._failed("write", name, error) from error

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other writers out meanwhile, where the file system can.

        Raises:
            StorageError: ``exit-kit.busy`` after `LOCK_S`, ``exit-kit.missing``, ``storage.failed``.
        """
        try:
            handle = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise self._missing() from error
        except OSError as error:
            raise self._failed("lock", self.path, error) from error
        try:
            self._lock(handle)
            yield
        finally:
            os.close(handle)

    def _lock(self, handle: int) -> None:
        ends_s = time.monotonic() + LOCK_S
        while True:
            try:
                return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                if time.monotonic() > ends_s:
                    raise StorageError(
                        "exit-kit.busy", f"another process writes to {self.path}", "try again when it has finished"
                    ) from error
            except OSError as error:
                if error.errno in _NOT_SUPPORTED:
                    return None
                raise self._failed("lock", self.path, error) from error
            time.sleep(0.02)

    @contextlib.contextmanager
    def _directory(self, name: str | None) -> Iterator[int]:
        """Open the kit's directory, or one in it, without following a link in it."""
        root = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            if name is None:
                yield root
                return
            inner = os.open(name, _OPEN_DIRECTORY, dir_fd=root)
            try:
                yield inner
            finally:
                os.close(inner)
        finally:
            os.close(root)

    def _checked_size(self, handle: int, name: str, max_bytes: int) -> int:
        about = os.fstat(handle)
        if not stat.S_ISREG(about.st_mode):
            raise self._foreign(name, "is no file")
        if about.st_size > max_bytes:
            raise self._foreign(name, f"is longer than {max_bytes} bytes")
        return about.st_size

    def _missing(self) -> StorageError:
        return StorageError(
            "exit-kit.missing", f"there is no exit kit in {self.path}", "check the path, and that the disk is there"
        )

    def _foreign(self, name: str, what: str) -> FormatError:
        return FormatError(
            "exit-kit.foreign", f"{name!r} in {self.path} {what}", "remove it: nothing but an exit kit belongs there"
        )

    def _failed(self, verb: str, what: str, error: OSError) -> FormatError | StorageError:
        if error.errno in _NOT_OURS:
            return self._foreign(what, "is a link, or not what an exit kit has under this name")
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        return StorageError(
            "storage.full" if full else "storage.failed",
            f"cannot {verb} {what} in the exit kit {self.path}: {error.strerror}",
            "free some space there" if full else "check the disk and the permissions of the directory",
        )


def _read_exactly(handle: int, size: int) -> bytes:
    parts = []
    while size and (part := os.read(handle, size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _write_new(parent: int, data: bytes) -> None:
    handle = os.open(UNFINISHED, _OPEN_NEW, 0o600, dir_fd=parent)
    try:
        left = memoryview(data)
        while left:
            left = left[os.write(handle, left) :]
        os.fsync(handle)
    finally:
        os.close(handle)
