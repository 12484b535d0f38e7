"""The agent's place: a private runtime directory, and in it a socket whose name says nothing.

Light: this is on the way of every command while the wallet is unlocked, so no platformdirs and no asyncio.

Spec: docs/spec/agent.md, "Socket".
"""

from __future__ import annotations

import hashlib
import os
import socket
import stat
import struct
import time

from walletcli.errors import StorageError, VaultError
from walletcli.wallet.home import IS_LINUX, Home

NAME_CHARS = 32
"""Length of the socket's name without its ending: the first half of a SHA-256 in hex."""

_RETRY_S = 0.01

MAX_SOCKET_PATH_BYTES = 100
"""Longest path that every platform's `sockaddr_un` takes (Linux: 107, macOS: 103)."""


def runtime_directory() -> str:
    """Return the directory for the sockets of this user's agents; it need not exist."""
    if IS_LINUX:
        base = os.environ.get("XDG_RUNTIME_DIR", "").strip()
        if base:
            return os.path.join(base, "walletcli")
        base = f"/run/user/{os.getuid()}"
        return os.path.join(base, "walletcli") if os.path.isdir(base) else f"/tmp/walletcli-{os.getuid()}"  # noqa: S108 - checked by `check_directory`
    import platformdirs

    return platformdirs.user_runtime_dir("walletcli", appauthor=False)


def make_directory() -> str:
    """Make the runtime directory if needed and return its path.

    Raises:
        StorageError: ``agent.directory``.
    """
    path = runtime_directory()
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
    except OSError as error:
        raise StorageError(
            "agent.directory", f"cannot make {path}: {error.strerror}", "set XDG_RUNTIME_DIR to a directory of yours"
        ) from error
    check_directory(path)
    return path


def check_directory(path: str) -> None:
    """Check that nobody else can put a socket into the runtime directory.

    Raises:
        StorageError: ``agent.directory``: a link, not a directory, another's, or open to others.
    """
    try:
        found = os.lstat(path)
    except OSError as error:
        raise StorageError("agent.directory", f"cannot look at {path}: {error.strerror}") from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise StorageError(
            "agent.directory",
            f"{path} is not a directory that only you can open",
            "remove it, or correct its owner and mode (0700)",
        )


def socket_name(home: Home) -> str:
    """Return the file name of the socket of this home's agent."""
    digest = hashlib.sha256(b"walletcli agent 1\0" + os.fsencode(os.path.realpath(home.path))).hexdigest()
    return digest[:NAME_CHARS] + ".sock"


def connect(home: Home, timeout_s: float) -> socket.socket | None:
    """Connect to this home's agent.

    Returns:
        A connected socket whose other side belongs to this user, or None if no agent listens.

    Raises:
        VaultError: ``agent.foreign`` if another user's process listens.
        StorageError: ``agent.directory``.
    """
    directory = runtime_directory()
    if not os.path.lexists(os.path.join(directory, socket_name(home))):
        return None
    check_directory(directory)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(timeout_s)
    try:
        _connect_in(connection, directory, socket_name(home), time.monotonic() + timeout_s)
    except (FileNotFoundError, ConnectionRefusedError):  # gone, or left behind by a killed agent
        connection.close()
        return None
    except OSError as error:
        connection.close()
        raise VaultError(
            "agent.unreachable", f"the agent does not answer: {error}", "walletcli wallet lock, or end its process"
        ) from error
    if peer_uid(connection) != os.getuid():
        connection.close()
        raise VaultError(
            "agent.foreign", "another user's process listens at the agent's socket", f"look into {directory}"
        )
    return connection


def _connect_in(connection: socket.socket, directory: str, name: str, deadline_s: float) -> None:
    """Connect to a socket by a name of any length; wait while the agent has more callers than it can hold."""
    path = os.path.join(directory, name)
    handle = None
    if len(os.fsencode(path)) > MAX_SOCKET_PATH_BYTES and IS_LINUX:
        handle = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        path = f"/proc/self/fd/{handle}/{name}"
    try:
        while True:
            try:
                return connection.connect(path)
            except BlockingIOError:
                if time.monotonic() > deadline_s:
                    raise
                time.sleep(_RETRY_S)
    finally:
        if handle is not None:
            os.close(handle)


def peer_uid(connection: socket.socket) -> int:
    """Return the user id of the process at the other end, as the kernel knows it.

    Where the kernel does not tell (no SO_PEERCRED), this user is assumed: the private directory keeps others out.
    """
    found = _peer(connection)
    return found[1] if found is not None else os.getuid()


def peer_pid(connection: socket.socket) -> int | None:
    """Return the process id at the other end, or None where the kernel does not tell."""
    found = _peer(connection)
    return found[0] if found is not None else None


def _peer(connection: socket.socket) -> tuple[int, int] | None:
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, uid, _ = struct.unpack("3i", found)
    return int(pid), int(uid)


def claim(home: Home) -> int | None:
    """Claim the place of this home's agent.

    Returns:
        The handle that holds the claim until it is closed or its process ends, or None if an agent has it.

    Raises:
        StorageError: ``agent.directory``.
    """
    return claim_name(socket_name(home))


def claim_name(name: str) -> int | None:
    """Claim the place of a socket in the runtime directory by its file name; otherwise as `claim`."""
    import fcntl

    path = os.path.join(make_directory(), name + ".lock")
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return None
    return handle


def is_free(home: Home) -> bool:
    """Tell whether no agent holds this home's place."""
    handle = claim(home)
    if handle is None:
        return False
    os.close(handle)
    return True
