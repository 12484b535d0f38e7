"""Serves an identity's SSH key on a socket, one request after the other, until told to stop.

Spec: docs/spec/ssh.md, "The agent".
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from walletcli.core.ssh.agent_messages import MAX_MESSAGE_BYTES
from walletcli.core.ssh.encoding import LENGTH_BYTES, string
from walletcli.errors import WalletError
from walletcli.wallet.access import runtime
from walletcli.wallet.ssh.conversation import Conversation, Policy, SharedLock
from walletcli.wallet.ssh.holder import KeyHolder

MAX_CLIENTS = 32
"""Most connections at once; the one that was silent longest makes room."""

_CHUNK_BYTES = 65_536


@dataclass(slots=True)
class _Client:
    connection: socket.socket
    conversation: Conversation
    heard_s: float
    incoming: bytearray = field(default_factory=bytearray)
    outgoing: bytearray = field(default_factory=bytearray)
    closing: bool = False


class SshAgent:
    """Serves one key on one listening socket.

    Args:
        listener: listening Unix socket.
        holder: of the key.
        policy: what is granted.
        refused: is told why a request was refused.
    """

    def __init__(
        self, listener: socket.socket, holder: KeyHolder, policy: Policy, refused: Callable[[WalletError], None]
    ) -> None:
        self._listener = listener
        self._holder = holder
        self._policy = policy
        self._refused = refused
        self._lock = SharedLock()
        self._clients: dict[int, _Client] = {}
        self._stopped = False
        self._woken, self._waker = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        for watched in (listener, self._woken):
            watched.setblocking(False)
            self._selector.register(watched, selectors.EVENT_READ)
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
                    if key.fileobj is self._listener:
                        self._accept()
                    elif key.fd in self._clients:
                        self._serve(self._clients[key.fd], events)
        finally:
            for client in list(self._clients.values()):
                self._close(client)
            self._selector.close()
            self._woken.close()
            self._waker.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # until nobody waits any more
            while True:
                connection, _ = self._listener.accept()
                self._admit(connection)

    def _admit(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        if runtime.peer_uid(connection) != os.getuid():
            connection.close()
            return
        if len(self._clients) >= MAX_CLIENTS:
            self._close(min(self._clients.values(), key=lambda client: client.heard_s))
        conversation = Conversation(self._holder, self._lock, self._policy, self._refused)
        self._clients[connection.fileno()] = _Client(connection, conversation, time.monotonic())
        self._selector.register(connection, selectors.EVENT_READ)

    def _serve(self, client: _Client, events: int) -> None:
        try:
            if events & selectors.EVENT_READ:
                self._read(client)
            if client.outgoing:
                del client.outgoing[: client.connection.send(client.outgoing)]
        except BlockingIOError:
            pass
        except OSError:
            client.closing, client.outgoing = True, bytearray()
        if client.closing and not client.outgoing:
            self._close(client)
        else:
            # while an answer waits to go out, nothing more is read: a client cannot make answers pile up
            wanted = selectors.EVENT_WRITE if client.outgoing else selectors.EVENT_READ
            self._selector.modify(client.connection, wanted)

    def _read(self, client: _Client) -> None:
        data = client.connection.recv(_CHUNK_BYTES)
        client.heard_s = time.monotonic()
        if not data:
            client.closing = True
        client.incoming += data
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

    def _close(self, client: _Client) -> None:
        del self._clients[client.connection.fileno()]
        self._selector.unregister(client.connection)
        client.connection.close()
