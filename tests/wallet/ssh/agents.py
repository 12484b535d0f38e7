"""Agents of identities for tests: a real socket, served by a thread of the test's process."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from walletcli.core.ssh.agent_messages import Message, encode
from walletcli.core.ssh.encoding import string
from walletcli.errors import WalletError
from walletcli.wallet.access.session import Session
from walletcli.wallet.access.shared import SharedSession
from walletcli.wallet.ssh.conversation import Policy
from walletcli.wallet.ssh.holder import SessionHolder
from walletcli.wallet.ssh.key import SshKeyPage, ssh_key
from walletcli.wallet.ssh.place import AgentSocket
from walletcli.wallet.ssh.serving import SshAgent
from walletcli.wallet.ssh.touching import touched_holders


@dataclass(slots=True)
class RunningAgent:
    """An agent that serves.

    Args:
        page: whose key.
        path: of its socket.
        refused: codes of what was refused so far.
        asked: what security keys were to be touched for so far.
    """

    page: SshKeyPage
    path: str
    refused: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def connect(self) -> socket.socket:
        """Return a connection to it."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(30)
        connection.connect(self.path)
        return connection

    def ask(self, *messages: Message) -> list[bytes]:
        """Send requests on one connection; return their answers, without their lengths."""
        with self.connect() as connection:
            return [exchange(connection, encode(message)) for message in messages]


def exchange(connection: socket.socket, content: bytes) -> bytes:
    """Send a request and return the answer, without its length; nothing if the connection was ended."""
    with contextlib.suppress(BrokenPipeError):
        connection.sendall(string(content))
    header = receive(connection, 4)
    return receive(connection, int.from_bytes(header, "big")) if header else b""


def receive(connection: socket.socket, length_bytes: int) -> bytes:
    """Read so many bytes; fewer if the connection was ended."""
    data = b""
    while len(data) < length_bytes:
        try:
            part = connection.recv(length_bytes - len(data))
        except ConnectionResetError:
            break
        if not part:
            break
        data += part
    return data


@contextlib.contextmanager
def serving(session: Session, who: str, policy: Policy | None = None) -> Iterator[RunningAgent]:
    """Serve an identity's SSH keys for the time of a block."""
    page = ssh_key(session, who)
    with AgentSocket(session.home, page.identity.public_key, alone=False) as place:
        running = RunningAgent(page, place.path)

        def refused(error: WalletError) -> None:
            running.refused.append(error.code)

        touched = touched_holders(session, page.identity, running.asked.append)
        holders = [SessionHolder(SharedSession(session), page.identity), *touched]
        agent = SshAgent(place.listener, holders, policy or Policy(), refused)
        thread = threading.Thread(target=agent.run, daemon=True)
        thread.start()
        try:
            yield running
        finally:
            agent.stop()
            thread.join(30)
