"""Connections of a listening Unix socket: of this user's own processes, so many at once, and none is waited for.

Both agents serve theirs like that: the wallet's (`agent.py`) and SSH's (`walletcli/wallet/ssh/serving.py`).

Spec: docs/spec/agent.md, docs/spec/ssh.md ("The agent").
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from walletcli.wallet.access import runtime

_CHUNK_BYTES: Final = 65_536


@dataclass(slots=True)
class Client:
    """One connection.

    Attributes:
        connection: does not block.
        heard_s: when something came in last, by the clock of its `Clients`.
        incoming: what came in and is no whole request yet.
        outgoing: what is still to go out.
        closing: to be closed once that is out; nothing more is answered.
    """

    connection: socket.socket
    heard_s: float
    incoming: bytearray = field(default_factory=bytearray)
    outgoing: bytearray = field(default_factory=bytearray)
    closing: bool = False


_C = TypeVar("_C", bound=Client)


class Clients(Generic[_C]):
    """All connections of one listener.

    Args:
        listener: listening Unix socket; is registered with the selector, as its connections are.
        selector: whose events are given to `handle`.
        most: connections at once; the one that was silent longest makes room.
        clock: seconds since some moment.
        admit: makes a client of a connection and the time.
        take: takes the whole requests out of a client's `incoming`, and adds the answers to its `outgoing`.
    """

    def __init__(
        self,
        listener: socket.socket,
        selector: selectors.BaseSelector,
        most: int,
        clock: Callable[[], float],
        admit: Callable[[socket.socket, float], _C],
        take: Callable[[_C], None],
    ) -> None:
        self._listener = listener
        self._selector = selector
        self._most = most
        self._clock = clock
        self._make = admit
        self._take = take
        self._clients: dict[int, _C] = {}
        listener.setblocking(False)
        selector.register(listener, selectors.EVENT_READ)

    def __iter__(self) -> Iterator[_C]:
        """Go through those that are there now; they may be closed meanwhile."""
        return iter(list(self._clients.values()))

    def handle(self, key: selectors.SelectorKey, events: int) -> None:
        """Do what an event of the selector asks for, if it is the listener's or a client's."""
        if key.fileobj is self._listener:
            with contextlib.suppress(OSError):  # until nobody waits any more
                while True:
                    connection, _ = self._listener.accept()
                    self._admit(connection)
        elif key.fd in self._clients:
            self._serve(self._clients[key.fd], events)

    def close(self, client: _C) -> None:
        """End a connection, whatever is still to go out."""
        del self._clients[client.connection.fileno()]
        self._selector.unregister(client.connection)
        client.connection.close()

    def _admit(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        if runtime.peer_uid(connection) != os.getuid():
            connection.close()
            return
        if len(self._clients) >= self._most:
            self.close(min(self._clients.values(), key=lambda client: client.heard_s))
        self._clients[connection.fileno()] = self._make(connection, self._clock())
        self._selector.register(connection, selectors.EVENT_READ)

    def _serve(self, client: _C, events: int) -> None:
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
            self.close(client)
        else:
            # while an answer waits to go out, nothing more is read: a client cannot make answers pile up
            wanted = selectors.EVENT_WRITE if client.outgoing else selectors.EVENT_READ
            self._selector.modify(client.connection, wanted)

    def _read(self, client: _C) -> None:
        data = client.connection.recv(_CHUNK_BYTES)
        client.heard_s = self._clock()
        if not data:
            client.closing = True
        client.incoming += data
        self._take(client)
