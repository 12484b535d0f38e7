"""Listeners: accept within limits, clear or TLS, and drop who is too slow."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import resource
import socket
import ssl
from collections.abc import Callable, Sequence
from typing import Final

from walletcli.errors import NetworkError
from walletcli.node.clock import Clock
from walletcli.node.http import Connection, Handler
from walletcli.node.limits import ConnectionLimits, bucket_of
from walletcli.node.request import Client

TICK_S: Final = 0.25
"""How often the clock is set and deadlines are looked at, in seconds."""

HANDSHAKE_S: Final = 10.0
_BACKLOG: Final = 1024
_ACCEPT_AT_ONCE: Final = 64
_RETRY_ACCEPT_S: Final = 0.5
_SPARE_FILES: Final = 64
_NO_FILES: Final = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Args:
        host: a numeric address, or a name that has one.
        port: 0 for any.

    Raises:
        NetworkError: ``node.listen``.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        sock = socket.socket(family, kind, protocol)
    except OSError as error:
        raise NetworkError("node.listen", f"cannot listen on {host}: {error.strerror}") from error
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(_BACKLOG)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        hint = "choose another port, or stop what uses it"
        raise NetworkError("node.listen", f"cannot listen on {host}:{port}: {error.strerror}", hint) from error
    return sock


class Server:
    """Accepts connections on any number of listeners.

    Args:
        loop: the running event loop.
        clock: set here.
        limits: of connections.
        operator_networks: who, beside this machine, may see the operator's pages.
        proxies: whose X-Forwarded-For is believed; their connections are counted in all only.
        refused: told about each connection that was closed at once.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
        limits: ConnectionLimits,
        operator_networks: Sequence[Network],
        proxies: Sequence[Network],
        refused: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._clock = clock
        self._limits = limits
        self._operator_networks = operator_networks
        self._proxies = proxies
        self._refused = refused
        self._connections: set[Connection] = set()
        self._listeners: list[socket.socket] = []
        self._handshakes: set[asyncio.Task[None]] = set()
        self._allow_files()

    def _allow_files(self) -> None:
        """Let the process open as many files as the connection limit needs, or lower the limit to what it may open."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = self._limits.in_all + _SPARE_FILES
        if soft < wanted:
            soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        self._limits.in_all = max(1, min(self._limits.in_all, soft - _SPARE_FILES))

    def set_limits(self, in_all: int, per_address: int) -> None:
        """Allow other numbers of connections from here on; those that are open stay."""
        self._limits.in_all, self._limits.per_address = in_all, per_address
        self._allow_files()

    @property
    def open_connections(self) -> int:
        """How many connections are open, handshakes included."""
        return self._limits.total

    def listen(self, sock: socket.socket, handler: Handler, context: ssl.SSLContext | None) -> None:
        """Accept on a listening socket, which the server owns from now on; with TLS if there is a context."""
        self._listeners.append(sock)
        self._loop.add_reader(sock, self._accept, sock, handler, context)

    def _accept(self, listener: socket.socket, handler: Handler, context: ssl.SSLContext | None) -> None:
        for _ in range(_ACCEPT_AT_ONCE):
            try:
                sock, address = listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno in _NO_FILES:
                    self._loop.remove_reader(listener)
                    self._loop.call_later(_RETRY_ACCEPT_S, self._accept_again, listener, handler, context)
                return
            client = self._client(address[0])
            if self._limits.open(None if client.is_proxy else client.bucket):
                task = self._loop.create_task(self._connect(sock, handler, context, client))
                self._handshakes.add(task)
                task.add_done_callback(self._handshakes.discard)
            else:
                self._refuse(sock, handler, context is None)

    def _accept_again(self, listener: socket.socket, handler: Handler, context: ssl.SSLContext | None) -> None:
        if listener in self._listeners:
            self._loop.add_reader(listener, self._accept, listener, handler, context)

    def _client(self, host: str) -> Client:
        address = ipaddress.ip_address(host.partition("%")[0])
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        is_operator = address.is_loopback or any(address in network for network in self._operator_networks)
        is_proxy = any(address in network for network in self._proxies)
        return Client(bucket_of(host), is_operator, is_proxy)

    def _refuse(self, sock: socket.socket, handler: Handler, in_clear: bool) -> None:
        self._refused()
        if in_clear:
            answer = handler.answers.error(503, "limits.connections", "too many connections", b"Connection: close\r\n")
            with contextlib.suppress(OSError):
                sock.setblocking(False)
                sock.send(answer)
        sock.close()

    async def _connect(
        self, sock: socket.socket, handler: Handler, context: ssl.SSLContext | None, client: Client
    ) -> None:
        connection = Connection(handler, client)
        self._connections.add(connection)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await self._loop.connect_accepted_socket(
                lambda: connection,
                sock,
                ssl=context,
                ssl_handshake_timeout=HANDSHAKE_S if context else None,
                ssl_shutdown_timeout=HANDSHAKE_S if context else None,
            )
        except (OSError, ssl.SSLError, ConnectionError, TimeoutError):
            sock.close()
            self.forget(connection)

    def forget(self, connection: Connection) -> None:
        """Count a connection off; called when it is over."""
        if connection in self._connections:
            self._connections.discard(connection)
            client = connection.client
            self._limits.close(None if client.is_proxy else client.bucket)

    def tick(self) -> None:
        """Set the clock and drop connections whose deadline is over; called every `TICK_S`."""
        now = self._clock.now = self._loop.time()
        for connection in [item for item in self._connections if item.deadline < now]:
            connection.expire()

    def stop_listening(self) -> None:
        """Accept nothing more."""
        for sock in self._listeners:
            self._loop.remove_reader(sock)
            sock.close()
        self._listeners.clear()

    async def stop(self, within_s: float) -> None:
        """Let every request that is under way be answered, then close all; abort what is left after `within_s`."""
        self.stop_listening()
        for connection in list(self._connections):
            connection.stop()
        end = self._loop.time() + within_s
        while self._connections and self._loop.time() < end:  # noqa: ASYNC110 - connections end one by one
            await asyncio.sleep(0.02)
        for connection in list(self._connections):
            connection.deadline = 0.0
            connection.expire()
