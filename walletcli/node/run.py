"""``node run``: serve until told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import ipaddress
import json
import os
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import replace as with_changes
from pathlib import Path
from typing import Final

from walletcli import __version__
from walletcli.errors import InputError, UsageError
from walletcli.net.addresses import NodeAddress
from walletcli.net.tcp import TcpDialer
from walletcli.net.tls import server_context
from walletcli.node import directory, log
from walletcli.node.config import Config, policy_of
from walletcli.node.directory import NodeDirectory
from walletcli.node.identity import NodeIdentity
from walletcli.node.server import bind
from walletcli.node.service import Service
from walletcli.node.sqlite_store import SqliteStore

MAX_PEERS: Final = 16


def run(
    node_directory: Path,
    listen: str,
    http: str | None = None,
    limits: bool = True,
    on_ready: Callable[[dict[str, str | None]], None] | None = None,
    *,
    sources: tuple[str, ...] = (),
    sinks: tuple[str, ...] = (),
    hosting: str | None = None,
) -> None:
    """Run a node until SIGTERM or SIGINT; return when everything is stored and closed.

    Args:
        node_directory: as `walletcli.node.setup.init` made it.
        listen: ``HOST:PORT`` for TLS; port 0 takes a free one.
        http: ``HOST:PORT`` for the same API in clear, or None.
        limits: False to serve without limits, on loopback only.
        on_ready: called once with ``did``, ``listen`` (``walletcli://HOST:PORT/did:key:…``) and ``http``
            (``http://HOST:PORT`` or None).
        sources: addresses of nodes and relays to ask, beside those of the configuration.
        sinks: addresses of nodes and relays to send to, beside those of the configuration.
        hosting: ``open``, ``closed`` or ``off``, in place of the configuration's policy.

    Raises:
        UsageError: ``node.no-limits``, ``node.no-address``.
        InputError: ``address.malformed``, ``config.*``.
        NetworkError: ``node.listen``, ``dht.listen``.
        StorageError: ``node.missing``, ``node.busy``, ``storage.*``.
    """
    files = NodeDirectory(node_directory)
    files.check()
    places = [_host_port(listen)] + ([_host_port(http)] if http is not None else [])
    if not limits and not all(_is_loopback(host) for host, _ in places):
        hint = "listen on 127.0.0.1 or [::1], or leave --no-limits out"
        raise UsageError("node.no-limits", "--no-limits is for load tests on loopback addresses only", hint)

    def read() -> Config:
        config = Config.from_file(files.config)
        policy = policy_of(hosting) if hosting is not None else config.hosting.policy
        return with_changes(
            config,
            sources=_joined(config.sources, sources),
            sinks=_joined(config.sinks, sinks),
            hosting=with_changes(config.hosting, policy=policy),
        )

    config = read()
    with files.locked(), contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(contextlib.closing(bind(host, port))) for host, port in places]
        loop = new_loop()
        stack.callback(loop.close)
        log.start_logging()
        try:
            loop.run_until_complete(_serve(files, config, read, sockets, limits, hosting, on_ready))
        finally:
            files.run_state.unlink(missing_ok=True)


def new_loop() -> asyncio.AbstractEventLoop:
    """Return uvloop's event loop, or asyncio's where there is no uvloop."""
    try:
        import uvloop
    except ImportError:  # no wheel for this system: asyncio's own loop does the same, a little slower
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


async def _serve(
    files: NodeDirectory,
    config: Config,
    read: Callable[[], Config],
    sockets: list[socket.socket],
    limits: bool,
    hosting: str | None,
    on_ready: Callable[[dict[str, str | None]], None] | None,
) -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_on_bug)
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    identity = NodeIdentity(files)
    location = _location(sockets[0])
    http = f"http://{_location(sockets[1])}" if len(sockets) > 1 else None
    is_wildcard = _is_wildcard(sockets[0])
    identity.set_addresses(config.addresses, None if is_wildcard else location, time.time())
    if is_wildcard:  # nobody can dial 0.0.0.0: say what the record says
        location = identity.addresses[0].location
    address = f"walletcli://{location}/{identity.did}"
    context = server_context(files.tls_certificate, files.tls_key)
    store = SqliteStore(files.store, [sink.to_text() for sink in config.sinks])
    dht = config.dht.settings_for(sockets[0].getsockname()[0])
    service = Service(
        identity, config, store, TcpDialer(), limits=limits, listen=address, http=http, reread=read, dht=dht
    )
    await service.start()
    service.server.listen(sockets[0], service.routes, context)
    for sock in sockets[1:]:
        service.server.listen(sock, service.routes, None)
    _calm_collector()
    ready = {"did": identity.did, "listen": address, "http": http}
    state = {**ready, "pid": os.getpid(), "started_s": int(time.time()), "version": __version__, "limits": limits}
    state["hosting"] = hosting  # in place of what the configuration says, if it is given
    directory.replace(files.run_state, json.dumps(state).encode(), 0o644)
    log.info("node.ready", **ready)
    notify_service_manager("READY=1")
    if on_ready is not None:
        on_ready(ready)
    await stopping.wait()
    log.info("node.stopping")
    notify_service_manager("STOPPING=1")
    await service.stop()
    log.info("node.stopped")


def _calm_collector() -> None:
    """Leave what the start made out of garbage collection, and collect more seldom: requests make no cycles."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def _on_bug(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    """Log what nobody caught; asyncio's own handler would write a traceback."""
    failure = context.get("exception")
    if isinstance(failure, BaseException):
        log.bug("node.bug", failure)
    else:
        log.error("node.bug", message=str(context.get("message")))


def _host_port(text: str) -> tuple[str, int]:
    """Split ``HOST:PORT``; unlike in an address to dial, port 0 is allowed."""
    host, separator, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]") if host.startswith("[") else host
    if not separator or not host or not port.isdecimal() or not port.isascii() or int(port) > 65535:
        raise InputError(
            "address.malformed", f"{text!r} is not HOST:PORT", "write it like 127.0.0.1:7411 or [::1]:7411"
        )
    return host, int(port)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _location(sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _is_wildcard(sock: socket.socket) -> bool:
    return ipaddress.ip_address(sock.getsockname()[0]).is_unspecified


def _joined(configured: tuple[NodeAddress, ...], given: tuple[str, ...]) -> tuple[NodeAddress, ...]:
    addresses = dict.fromkeys((*configured, *(NodeAddress.from_text(text) for text in given)))
    if len(addresses) > MAX_PEERS:
        raise UsageError("node.peers", f"at most {MAX_PEERS} sources and as many sinks can be named")
    return tuple(addresses)


def notify_service_manager(state: str) -> None:
    """Tell systemd, if it started this process, what state it is in (sd_notify(3))."""
    path = os.environ.get("NOTIFY_SOCKET")
    if not path or path[0] not in "/@":
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.connect("\0" + path[1:] if path[0] == "@" else path)
        sock.send(state.encode("ascii"))
