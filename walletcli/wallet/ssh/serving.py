"""Serves an identity's SSH keys on a socket, one request after the other, until told to stop.

Spec: docs/spec/ssh.md, "The agent".
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from walletcli.core.ssh.agent_messages import MAX_MESSAGE_BYTES
from walletcli.core.ssh.encoding import LENGTH_BYTES, string
from walletcli.errors import WalletError
from walletcli.wallet.access.clients import Client, Clients
from walletcli.wallet.ssh.conversation import Conversation, Policy, SharedLock
from walletcli.wallet.ssh.holder import KeyHolder

MAX_CLIENTS = 32
"""Most connections at once; the one that was silent longest makes room."""


@dataclass(slots=True)
class _Client(Client):
    conversation: Conversation = field(kw_only=True)


class SshAgent:
    """Serves the keys of one identity on one listening socket.

    While a security key waits for a touch, nothing else is answered.

    Args:
        listener: listening Unix socket.
        holders: of the keys.
        policy: what is granted.
        refused: is told why a request was refused.
    """

    def __init__(
        self,
        listener: socket.socket,
        holders: Sequence[KeyHolder],
        policy: Policy,
        refused: Callable[[WalletError], None],
    ) -> None:
        self._holders = tuple(holders)
        self._policy = policy
        self._refused = refused
        self._lock = SharedLock()
        self._stopped = False
        self._woken, self._waker = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._clients = Clients(listener, self._selector, MAX_CLIENTS, time.monotonic, self._admit, self._take)
        self._woken.setblocking(False)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._waker.setblocking(False)

    def stop(self) -> None:
        """Have `run` return soon; safe in a signal handler and from another thread."""
        self._stopped = True
        with contextlib.suppress(OSError):
            self._waker.send(b"\0")

    def run(self) -> None:
        """Serve until stopped."""
        try:
            while not self._stopped:
                for key, events in self._selector.select():
                    self._clients.handle(key, events)
        finally:
            for client in self._clients:
                self._clients.close(client)
            self._selector.close()
            self._woken.close()
            self._waker.close()

    def _admit(self, connection: socket.socket, now_s: float) -> _Client:
        def is_over() -> bool:
            return self._stopped or _has_gone(connection)

        conversation = Conversation(self._holders, self._lock, self._policy, self._refused, is_over)
        return _Client(connection, now_s, conversation=conversation)

    def _take(self, client: _Client) -> None:
        while len(client.incoming) >= LENGTH_BYTES and not client.closing:
            length_bytes = int.from_bytes(client.incoming[:LENGTH_BYTES], "big")
            if not 1 <= length_bytes <= MAX_MESSAGE_BYTES:
                client.closing = True
                client.incoming.clear()
            elif len(client.incoming) < LENGTH_BYTES + length_bytes:
                return
            else:
                message = bytes(client.incoming[LENGTH_BYTES : LENGTH_BYTES + length_bytes])
                del client.incoming[: LENGTH_BYTES + length_bytes]
                client.outgoing += string(client.conversation.answer(message))


def _has_gone(connection: socket.socket) -> bool:
    """Tell whether the other side has ended the connection; nothing is taken from it."""
    try:
        return not connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True
