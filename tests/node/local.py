"""A node inside the test's process, on real sockets, so that a test can reach its clock and its store."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import socket
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from walletcli.net.tcp import TcpDialer
from walletcli.net.tls import server_context
from walletcli.node import setup
from walletcli.node.config import Config
from walletcli.node.directory import NodeDirectory
from walletcli.node.identity import NodeIdentity
from walletcli.node.run import new_loop
from walletcli.node.server import bind
from walletcli.node.service import Service
from walletcli.node.sqlite_store import SqliteStore

_T = TypeVar("_T")

WAIT_S = 60.0
"""How long something that has to happen may take on a busy machine, in seconds."""


@dataclass(frozen=True)
class Answer:
    """An HTTP answer; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """The error code that the body starts with."""
        return self.body.decode().partition(":")[0]


def ask(port: int, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
    """Make one request on a connection of its own; ``if_match="1"`` becomes the header ``if-match``."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_S)
    with contextlib.closing(connection):
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        found = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, found, response.read())


def exchange(port: int, *pieces: bytes, half_close: bool = False) -> bytes:
    """Send raw bytes and return everything that comes until the node closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=WAIT_S) as sock:
        for piece in pieces:
            try:
                sock.sendall(piece)
            except OSError:
                break  # the node has refused already
        if half_close:
            sock.shutdown(socket.SHUT_WR)
        return read_to_end(sock)


def read_to_end(sock: socket.socket) -> bytes:
    """Return what still comes on a socket."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := sock.recv(65_536):
            received += piece
    return received


def eventually(condition: Callable[[], _T], what: str = "it") -> _T:
    """Wait until `condition` gives something true, and return that."""
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"{what} did not happen within {WAIT_S} s")


@dataclass
class LocalNode:
    """A node in a thread of this process."""

    directory: Path
    limits: bool = True
    port: int = 0
    tls_port: int = 0
    loop_factory: Callable[[], asyncio.AbstractEventLoop] = new_loop
    service: Service = field(init=False)
    loop: asyncio.AbstractEventLoop = field(init=False)
    _thread: threading.Thread = field(init=False)
    _stopping: asyncio.Event = field(init=False)
    _failure: BaseException | None = None

    def start(self) -> LocalNode:
        """Start it and wait until it serves."""
        ready = threading.Event()
        self._thread = threading.Thread(target=self._main, args=(ready,), daemon=True)
        self._thread.start()
        assert ready.wait(WAIT_S)
        if self._failure is not None:
            raise self._failure
        return self

    def _main(self, ready: threading.Event) -> None:
        try:
            with asyncio.Runner(loop_factory=self.loop_factory) as runner:
                runner.run(self._serve(ready))
        except BaseException as error:
            self._failure = error
        finally:
            ready.set()

    async def _serve(self, ready: threading.Event) -> None:
        files = NodeDirectory(self.directory)
        config = Config.from_file(files.config)
        identity = NodeIdentity(files)
        with contextlib.ExitStack() as stack:
            clear, tls = bind("127.0.0.1", self.port), bind("127.0.0.1", self.tls_port)
            self.port, self.tls_port = clear.getsockname()[1], tls.getsockname()[1]
            identity.set_addresses(config.addresses, f"127.0.0.1:{self.tls_port}", time.time())
            store = SqliteStore(files.store, [sink.to_text() for sink in config.sinks])
            address = f"walletcli://127.0.0.1:{self.tls_port}/{identity.did}"
            self.service = Service(
                identity,
                config,
                store,
                TcpDialer(),
                limits=self.limits,
                listen=address,
                http=self.url,
                reread=lambda: Config.from_file(files.config),
                dht=config.dht.settings_for("127.0.0.1"),
            )
            self.loop = asyncio.get_running_loop()
            self._stopping = asyncio.Event()
            await self.service.start()
            self.service.server.listen(clear, self.service.routes, None)
            self.service.server.listen(tls, self.service.routes, server_context(files.tls_certificate, files.tls_key))
            stack.callback(clear.close)
            stack.callback(tls.close)
            ready.set()
            await self._stopping.wait()
            await self.service.stop()

    @property
    def url(self) -> str:
        """Where it serves in clear."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def key(self) -> bytes:
        """Its root key, 32 bytes."""
        return self.service._identity.record.packet.public_key

    @property
    def address(self) -> str:
        """Where it serves TLS."""
        return self.service._listen

    def stop(self) -> None:
        """Stop it; it can be started again."""
        if self._thread.is_alive():
            self.loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(WAIT_S)
            assert not self._thread.is_alive()
        if self._failure is not None:
            raise self._failure

    def run(self, function: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        """Run a coroutine function in the node's event loop."""
        return asyncio.run_coroutine_threadsafe(function(), self.loop).result(WAIT_S)

    def call(self, function: Callable[[], _T]) -> _T:
        """Call a function on the node's thread."""

        async def calling() -> _T:
            return function()

        return self.run(calling)

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        """Make a request in clear."""
        return ask(self.port, method, path, body, **headers)


@contextlib.contextmanager
def running(
    directory: Path,
    settings: str = "",
    *,
    limits: bool = True,
    loop_factory: Callable[[], asyncio.AbstractEventLoop] = new_loop,
) -> Iterator[LocalNode]:
    """Run a node, in a new directory if there is none, with `settings` added to its configuration."""
    if not directory.exists():
        setup.init(directory)
    if settings:
        (directory / "node.toml").write_text(settings)
    node = LocalNode(directory, limits, loop_factory=loop_factory).start()
    try:
        yield node
    finally:
        node.stop()
