"""The socket of an identity's SSH agent: its name, its lock, and the removal of what a killed agent left.

Spec: docs/spec/ssh.md, "Socket".
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import stat
from types import TracebackType
from typing import Self

from walletcli.errors import StorageError, VaultError
from walletcli.wallet.access import runtime
from walletcli.wallet.home import Home

MAX_AGENTS = 16
"""Most agents of one identity at once."""

NAME_CHARS = 16
"""Length of what stands for home and identity in the name, hexadecimal digits: the path has to be short."""

MAX_WAITING = 128
"""Most connections that wait to be taken."""


def socket_names(home: Home, identity: bytes, count: int) -> list[str]:
    """Return file names of sockets for an identity (root public key, 32 bytes)."""
    place = os.fsencode(os.path.realpath(home.path))
    digest = hashlib.sha256(b"walletcli ssh agent 1\0" + place + b"\0" + identity).hexdigest()[:NAME_CHARS]
    return [f"ssh-{digest}.sock", *(f"ssh-{digest}-{number}.sock" for number in range(2, count + 1))]


class AgentSocket:
    """A listening socket that only its user can connect to; a context manager.

    Args:
        home: whose wallet.
        identity: root public key, 32 bytes.
        alone: take the identity's first place, or none.

    Raises:
        VaultError: ``ssh-agent.running``, ``ssh-agent.too-many``.
        StorageError: ``ssh-agent.unsupported``, ``ssh-agent.socket``, ``ssh-agent.path-too-long``, ``agent.directory``.
    """

    def __init__(self, home: Home, identity: bytes, *, alone: bool) -> None:
        if not hasattr(socket, "AF_UNIX"):
            raise StorageError(
                "ssh-agent.unsupported",
                "this system has no sockets for an agent",
                "sign files with: walletcli sign FILE --as ID",
            )
        directory = runtime.make_directory()
        name, self._lock = _claimed(socket_names(home, identity, 1 if alone else MAX_AGENTS), alone=alone)
        self.path = os.path.join(directory, name)
        try:
            self.listener = _listening(self.path)
        except BaseException:
            os.close(self._lock)
            raise
        self._inode = os.lstat(self.path).st_ino

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.listener.close()
        with contextlib.suppress(OSError):
            if os.lstat(self.path).st_ino == self._inode:
                os.unlink(self.path)
        os.close(self._lock)


def _claimed(names: list[str], *, alone: bool) -> tuple[str, int]:
    for name in names:
        lock = runtime.claim_name(name)
        if lock is not None:
            return name, lock
    if alone:
        path = os.path.join(runtime.runtime_directory(), names[0])
        raise VaultError(
            "ssh-agent.running", "an SSH agent serves this identity already", f"use it: SSH_AUTH_SOCK={path}"
        )
    raise VaultError("ssh-agent.too-many", f"{len(names)} SSH agents serve this identity already", "end some of them")


def _listening(path: str) -> socket.socket:
    """Return a socket at `path`; whoever calls holds its lock, so what is there was left by an agent that has gone."""
    if len(os.fsencode(path)) > runtime.MAX_SOCKET_PATH_BYTES:
        raise StorageError(
            "ssh-agent.path-too-long",
            f"{path} is too long for the path of a socket",
            "set XDG_RUNTIME_DIR to a directory with a shorter name",
        )
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise StorageError("ssh-agent.socket", f"{path} is there already, and is no socket", "remove it")
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listener.bind(path)
        listener.listen(MAX_WAITING)
    except OSError as error:
        listener.close()
        raise StorageError("ssh-agent.socket", f"cannot listen at {path}: {error.strerror}", "try again") from error
    finally:
        os.umask(before)
    return listener
