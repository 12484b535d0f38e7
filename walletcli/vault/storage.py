"""Files that change as a whole or not at all.

A write goes to a new file, is synced, and takes the old one's place by a rename, so that at every instant the name
stands for a complete file. The file before is kept under a second name. The caller holds the lock (`locking`).

Spec: docs/spec/vault.md, "Writing" and "Reading", step 1.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from walletcli.errors import FormatError, StorageError, VaultError, WalletError

_MODE: Final = 0o600
_NO_LINKS: Final = frozenset({errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EXDEV})
# Not on every platform: 0 leaves the checks after opening.
_NOFOLLOW: Final = getattr(os, "O_NOFOLLOW", 0)
_CLOEXEC: Final = getattr(os, "O_CLOEXEC", 0)
_NONBLOCK: Final = getattr(os, "O_NONBLOCK", 0)
_BINARY: Final = getattr(os, "O_BINARY", 0)


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that the user should hear about, though nothing failed.

    Args:
        code: stable dotted slug.
        message: lower case, no full stop, no secret.
        hint: an action.
    """

    code: str
    message: str
    hint: str


@dataclass(frozen=True, slots=True)
class FileNames:
    """The names around a vault.

    Args:
        path: the vault itself.
    """

    path: Path

    @property
    def previous(self) -> Path:
        """The state before the last change."""
        return self._with(".previous")

    @property
    def new(self) -> Path:
        """What is being written; left over after a crash, and removed then."""
        return self._with(".new")

    @property
    def previous_new(self) -> Path:
        """What is about to become `previous`."""
        return self._with(".previous.new")

    @property
    def lock(self) -> Path:
        """The file whose lock a writer holds."""
        return self._with(".lock")

    def _with(self, ending: str) -> Path:
        return self.path.with_name(self.path.name + ending)


def storage_error(error: OSError, path: Path) -> StorageError:
    """Return our error for what the operating system refused."""
    name, where = path.name, path.parent
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return StorageError("storage.full", f"there is no room to write {name}", "free some space; nothing was changed")
    if error.errno == errno.EROFS:
        hint = "mount it writable, or choose another --home"
        return StorageError("storage.read-only", f"{name} is on a read-only file system", hint)
    if error.errno in (errno.EACCES, errno.EPERM):
        hint = "check owner and mode of the directory"
        return StorageError("storage.permission", f"no permission for {name} in {where}", hint)
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return StorageError("storage.missing", f"the directory {where} is not there", "check --home")
    reason = os.strerror(error.errno) if error.errno else type(error).__name__
    hint = "check the disk; nothing was changed"
    return StorageError("storage.failed", f"the system refused {name}: {reason.lower()}", hint)


@contextlib.contextmanager
def _wrapping(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise storage_error(error, path) from error


def read_file(path: Path, max_bytes: int) -> tuple[bytes, tuple[Notice, ...]]:
    """Read a regular file, through no symbolic link.

    Returns:
        Its bytes, and notices about who else can reach it.

    Raises:
        VaultError: ``vault.missing``, ``vault.symlink``, ``vault.not-a-file``.
        FormatError: ``vault.too-long`` over `max_bytes`.
        StorageError: the system refused.
    """
    with _opened(path) as descriptor:
        status = os.fstat(descriptor)
        if status.st_size > max_bytes:
            message = f"{path.name} has {status.st_size} bytes, a vault has at most {max_bytes}"
            raise FormatError("vault.too-long", message, "check the path")
        data = _read(descriptor, path, max_bytes)
    return data, _notices(path, status)


def read_start(path: Path, length_bytes: int) -> bytes:
    """Read at most the first `length_bytes` of a regular file.

    Raises:
        VaultError: ``vault.missing``, ``vault.symlink``, ``vault.not-a-file``.
        StorageError: the system refused.
    """
    with _opened(path) as descriptor:
        return _read(descriptor, path, length_bytes)


def _read(descriptor: int, path: Path, length_bytes: int) -> bytes:
    with _wrapping(path), open(descriptor, "rb", closefd=False) as file:  # a descriptor, not a path
        return file.read(length_bytes)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    # O_NONBLOCK: opening a pipe that somebody put there must not hang.
    try:
        refuse_symlink(path)
        descriptor = os.open(path, os.O_RDONLY | _CLOEXEC | _NOFOLLOW | _NONBLOCK | _BINARY)
    except OSError as error:
        raise _opening_error(error, path) from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise VaultError("vault.not-a-file", f"{path} is not a regular file", "check the path")
        yield descriptor
    finally:
        os.close(descriptor)


def _opening_error(error: OSError, path: Path) -> WalletError:
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return VaultError("vault.missing", f"there is no vault at {path}", "create a wallet first, or check --home")
    if error.errno == errno.ELOOP:
        return symlink_error(path)
    if error.errno in (errno.ENXIO, errno.EOPNOTSUPP):
        return VaultError("vault.not-a-file", f"{path} is not a regular file", "check the path")
    return storage_error(error, path)


def symlink_error(path: Path) -> VaultError:
    """Return the error for a symbolic link where a file of ours should be."""
    return VaultError("vault.symlink", f"{path} is a symbolic link", "name the file itself; a linked directory is fine")


def refuse_symlink(path: Path) -> None:
    """Refuse a symbolic link.

    Raises:
        VaultError: ``vault.symlink``.
    """
    if path.is_symlink():
        raise symlink_error(path)


def _notices(path: Path, status: os.stat_result) -> tuple[Notice, ...]:
    if sys.platform == "win32":
        return ()
    notices = []
    if status.st_mode & 0o077:
        message = f"others on this machine have access to {path.name}"
        notices.append(Notice("vault.readable-by-others", message, f"chmod 600 {path}"))
    if status.st_uid not in (os.geteuid(), 0):
        message = f"{path.name} belongs to another user"
        notices.append(Notice("vault.foreign-owner", message, "check where it comes from"))
    with contextlib.suppress(OSError):
        mode = path.parent.stat().st_mode
        if mode & 0o022 and not mode & stat.S_ISVTX:
            message = f"others can replace files in {path.parent}"
            notices.append(Notice("vault.directory-writable-by-others", message, f"chmod go-w {path.parent}"))
    return tuple(notices)


def replace_file(names: FileNames, data: bytes, *, old: bytes | None, previous: bytes | None = None) -> None:
    """Put `data` in the place of the file, and keep what was there.

    Args:
        names: of the file.
        data: its new bytes.
        old: its bytes as they are now, or None if there is no file yet.
        previous: bytes to keep under the second name instead of `old`.

    Raises:
        StorageError: ``storage.full``, ``storage.read-only``, ``storage.permission``, ``storage.failed``: nothing was
            changed. ``storage.not-durable``: all was changed, and a power cut may undo it.
    """
    try:
        _write_synced(names.new, data)
        if old is not None and previous is not None:
            _write_synced(names.previous_new, previous)
        elif old is not None:
            _second_name(names, old)
        with _wrapping(names.path):
            if old is not None:
                os.replace(names.previous_new, names.previous)
            os.replace(names.new, names.path)
    finally:
        for path in (names.new, names.previous_new):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
    _sync_directory(names.path)


def _write_synced(path: Path, data: bytes) -> None:
    with _wrapping(path):
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _CLOEXEC | _NOFOLLOW | _BINARY, _MODE)
        try:
            if sys.platform != "win32":
                os.fchmod(descriptor, _MODE)  # whatever the umask was
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _second_name(names: FileNames, old: bytes) -> None:
    with _wrapping(names.previous_new):
        names.previous_new.unlink(missing_ok=True)
        try:
            os.link(names.path, names.previous_new, follow_symlinks=False)
            return
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
    _write_synced(names.previous_new, old)


def _sync_directory(path: Path) -> None:
    if sys.platform == "win32":
        return
    try:
        descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | _CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno == errno.EINVAL:  # a file system without it
            return
        message = f"{path.name} was written, and a power cut may still undo it"
        raise StorageError("storage.not-durable", message, "check the disk, then look at the result") from error
