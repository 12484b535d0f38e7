"""The dialer of plain TCP: every connection is new, nothing is kept between them."""

from __future__ import annotations

import ipaddress
import queue
import socket
import threading
import time
from collections.abc import Sequence
from typing import Final

from walletcli.errors import NetworkError
from walletcli.net.addresses import NodeAddress, Transport
from walletcli.net.stream import SocketStream, reason, remaining_s, secured, timed_out

MAX_TRIES: Final = 4
"""How many of a name's addresses are tried, at most."""

Target = tuple[socket.AddressFamily, str]
"""A numeric address, and of which family it is."""


class TcpDialer:
    """Opens TCP connections from this machine's own address.

    TCP has nothing that could tell identities apart: whoever sees two connections sees one source address. The policy
    that allows TCP for an identity is not decided here.
    """

    def dial(self, address: NodeAddress, for_identity: str | None, deadline_s: float) -> SocketStream:
        """Open a new connection; TLS is started where the address asks for it.

        Args:
            address: where to; a host under ``.onion`` or ``.i2p`` is refused before any name server hears of it.
            for_identity: not used by TCP.
            deadline_s: the instant of ``time.monotonic()``, in seconds, by which the connection must stand.

        Raises:
            NetworkError: ``relay.unreachable``, ``relay.timeout``, ``tls.handshake``, ``network.transport``.
            VerificationError: ``tls.untrusted``.
        """
        if address.transport is not Transport.TCP:
            raise NetworkError(
                "network.transport",
                f"{address.to_text()} is not reached over TCP",
                f"use a route over {address.transport.value}",
            )
        return secured(self._connect(address, deadline_s), address, deadline_s)

    def allow_datagrams(self, address: NodeAddress) -> None:
        """Allow them: they show no more than a connection from here does."""

    def usable(self, address: NodeAddress, targets: Sequence[Target]) -> Sequence[Target]:
        """Return which of the numeric addresses behind a node's address may be connected to: here all of them.

        Args:
            address: where to.
            targets: what its host stands for, after any look-up of a name.

        Raises:
            NetworkError: none of them may.
        """
        return targets

    def _connect(self, address: NodeAddress, deadline_s: float) -> socket.socket:
        name = address.to_text()
        targets = self.usable(address, _targets(address, deadline_s)[:MAX_TRIES])
        failure: OSError | None = None
        for number, (family, host) in enumerate(targets):
            # a dead address must leave time for the living ones behind it
            share_s = remaining_s(deadline_s, name) / (len(targets) - number)
            sock = socket.socket(family, socket.SOCK_STREAM)
            try:
                sock.settimeout(share_s)
                sock.connect((host, address.port))
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError as error:
                sock.close()
                failure = error
            else:
                return sock
        if isinstance(failure, TimeoutError):
            raise timed_out(name) from failure
        why = reason(failure) if failure else "the name has no address"
        raise NetworkError(
            "relay.unreachable", f"cannot connect to {name}: {why}", "check the address and that the node runs"
        ) from failure


def _targets(address: NodeAddress, deadline_s: float) -> list[Target]:
    try:
        literal = ipaddress.ip_address(address.host)
    except ValueError:
        pass
    else:
        return [(socket.AF_INET6 if literal.version == 6 else socket.AF_INET, address.host)]
    if address.is_loopback:
        # RFC 6761: localhost is this machine, whatever a name server says
        return [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
    return _look_up(address, deadline_s)


def _look_up(address: NodeAddress, deadline_s: float) -> list[Target]:
    """Ask the system's resolver, which knows no deadline of its own, from a thread that may be left behind."""
    answers: queue.SimpleQueue[list[Target] | OSError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            answers.put(error if isinstance(error, OSError) else OSError("not a name"))
        else:
            answers.put([(family, str(target[0])) for family, _, _, _, target in found])

    threading.Thread(target=ask, name="name look-up", daemon=True).start()
    try:
        answer = answers.get(timeout=max(0.0, deadline_s - time.monotonic()))
    except queue.Empty as error:
        raise timed_out(address.to_text()) from error
    if isinstance(answer, OSError):
        raise NetworkError(
            "relay.unreachable", f"the name {address.host} is not known: {reason(answer)}", "check the address"
        ) from answer
    return answer
