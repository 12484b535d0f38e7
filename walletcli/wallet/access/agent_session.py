"""A wallet that an agent holds open, and how it is found: the light way in, which loads no cryptography.

Spec: docs/spec/agent.md.
"""

from __future__ import annotations

import contextlib
import socket
import time
from dataclasses import dataclass
from typing import cast

from walletcli.errors import VaultError
from walletcli.wallet.access import runtime, wire
from walletcli.wallet.access.session import Session, rows_of
from walletcli.wallet.home import Home, PasswordSource

ANSWER_TIMEOUT_S = 30.0
"""How long a command waits for the agent; a write waits for the disk and for other processes."""

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class AgentStatus:
    """How an agent is.

    Attributes:
        pid: its process id.
        expires_in_s: seconds until it forgets everything if nobody asks it anything.
        already: it had been unlocked before.
    """

    pid: int
    expires_in_s: int
    already: bool = False

    def to_json(self) -> dict[str, object]:
        """Return the fields under their names."""
        return {"pid": self.pid, "expires_in_s": self.expires_in_s, "already": self.already}


class AgentSession(Session):
    """A wallet that an agent holds open.

    Args:
        home: whose wallet it is.
        connection: connected to the agent, with a timeout.
    """

    def __init__(self, home: Home, connection: socket.socket) -> None:
        super().__init__(home)
        self._connection = connection

    def close(self) -> None:
        """Close the connection; the agent stays."""
        self._connection.close()

    def ask(self, kind: int, *arguments: object) -> object:
        """Have a request answered by the agent.

        Raises:
            WalletError: what the request ends in, or ``agent.gone``, ``agent.bad-answer``.
        """
        deadline_s = time.monotonic() + ANSWER_TIMEOUT_S
        try:
            self._connection.sendall(wire.frame(wire.encode_request([kind, *arguments])))
            length = int.from_bytes(self._receive(wire.HEADER_BYTES, deadline_s), "big")
            if length > wire.MAX_ANSWER_BYTES:
                raise VaultError("agent.bad-answer", "the agent's answer is too long", "lock and unlock the wallet")
            content = self._receive(length, deadline_s)
        except OSError as error:
            raise VaultError(
                "agent.gone", "the agent went away before it answered", "walletcli wallet unlock"
            ) from error
        return wire.decode_answer(content)

    def _receive(self, length: int, deadline_s: float) -> bytes:
        parts = bytearray()
        while len(parts) < length:
            if time.monotonic() > deadline_s:
                raise TimeoutError
            part = self._connection.recv(min(length - len(parts), _CHUNK_BYTES))
            if not part:
                raise ConnectionResetError
            parts += part
        return bytes(parts)

    def status(self) -> AgentStatus:
        """Return how the agent is."""
        pid, expires_in_s = rows_of(self.ask(wire.GET_STATUS))
        return AgentStatus(cast("int", pid), cast("int", expires_in_s))

    def lock(self) -> None:
        """Make the agent forget everything and end."""
        self.ask(wire.LOCK)

    def kill(self) -> None:
        """End an agent that no longer answers; it is this user's process, as the kernel told when it was found."""
        import os
        import signal

        pid = runtime.peer_pid(self._connection)
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def find_agent(home: Home) -> AgentSession | None:
    """Return a session with this home's agent, or None if there is none.

    Raises:
        VaultError: ``agent.foreign`` or ``agent.unreachable``.
        StorageError: ``agent.directory``.
    """
    connection = runtime.connect(home, ANSWER_TIMEOUT_S)
    return AgentSession(home, connection) if connection is not None else None


def live_agent(home: Home) -> AgentSession | None:
    """Return a session with this home's agent if it still has the vault open.

    An agent that finds, when it is asked, that the vault has been sealed with another key or has gone, ends; then there
    is none.

    Raises:
        VaultError: ``agent.foreign`` or ``agent.unreachable``.
        StorageError: ``agent.directory``.
    """
    agent = find_agent(home)
    if agent is None:
        return None
    try:
        agent.status()
    except VaultError as error:
        agent.close()
        if error.code not in ("agent.locked", "agent.gone"):
            raise
        return None
    return agent


def open_session(home: Home, password: PasswordSource | None = None) -> Session:
    """Open the wallet: through its agent, or else here with the keyring or the password.

    Args:
        home: whose wallet.
        password: asked for the password if nothing else opens the vault; None: nobody can be asked.

    Raises:
        VaultError: ``wallet.missing``, ``wallet.locked``, ``vault.*``.
    """
    home.require()
    agent = live_agent(home)
    if agent is not None:
        return agent
    from walletcli.wallet.access.opening import open_here

    return open_here(home, password)
