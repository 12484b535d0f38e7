"""A connected stream with a deadline on every read and write, in clear or inside TLS."""

from __future__ import annotations

import select
import socket
import ssl
import time
from typing import Final, Protocol

from walletcli.errors import NetworkError, VerificationError
from walletcli.net import tls
from walletcli.net.addresses import NAME_HINT, NodeAddress, Scheme

READ_BYTES: Final = 65_536
"""Most bytes that one read gives; inside TLS a record, which has at most 16,384."""

_WRITE_BYTES: Final = 65_536


class Stream(Protocol):
    """A connected byte stream. Deadlines are instants of ``time.monotonic()``, in seconds."""

    @property
    def peer_pin(self) -> bytes | None:
        """SHA-256 of the other side's TLS key (32 bytes), or None where there is no TLS."""

    def send(self, data: bytes, deadline_s: float) -> None:
        """Send all of `data`."""

    def recv(self, deadline_s: float) -> bytes:
        """Return what has come, at most `READ_BYTES`; empty when the other side has finished."""

    def is_quiet(self) -> bool:
        """Whether nothing is waiting to be read, not even the end: what an idle connection should be."""

    def close(self) -> None:
        """Close at once; closing twice is fine."""


class SocketStream:
    """A `Stream` over a connected socket.

    Args:
        sock: connected; owned by the stream from now on.
        name: the address, for messages.
    """

    def __init__(self, sock: socket.socket, name: str) -> None:
        self._sock = sock
        self._name = name
        self._pin: bytes | None = None

    @property
    def peer_pin(self) -> bytes | None:
        """SHA-256 of the other side's TLS key (32 bytes), or None where there is no TLS."""
        if self._pin is None and isinstance(self._sock, ssl.SSLSocket):
            certificate = self._sock.getpeercert(binary_form=True)
            self._pin = tls.spki_pin(certificate) if certificate else None
        return self._pin

    def send(self, data: bytes, deadline_s: float) -> None:
        """Send all of `data`.

        Raises:
            NetworkError: ``relay.timeout`` past the deadline, ``relay.unreachable`` when the connection is gone.
        """
        try:
            left = memoryview(data)
            while left:
                self._sock.settimeout(remaining_s(deadline_s, self._name))
                self._sock.sendall(left[:_WRITE_BYTES])
                left = left[_WRITE_BYTES:]
        except TimeoutError as error:
            raise timed_out(self._name) from error
        except OSError as error:
            raise broken(self._name, reason(error)) from error

    def recv(self, deadline_s: float) -> bytes:
        """Return what has come, at most `READ_BYTES`; empty when the other side has finished.

        Raises:
            NetworkError: ``relay.timeout`` past the deadline, ``relay.unreachable`` when the connection is gone.
        """
        try:
            self._sock.settimeout(remaining_s(deadline_s, self._name))
            return self._sock.recv(READ_BYTES)
        except TimeoutError as error:
            raise timed_out(self._name) from error
        except ssl.SSLEOFError:
            return b""  # an end without close_notify; the framing of HTTP tells whether something is missing
        except OSError as error:
            raise broken(self._name, reason(error)) from error

    def is_quiet(self) -> bool:
        """Whether nothing is waiting to be read, not even the end."""
        if isinstance(self._sock, ssl.SSLSocket) and self._sock.pending():
            return False
        try:
            readable, _, _ = select.select([self._sock], [], [], 0)
        except (OSError, ValueError):
            return False
        return not readable

    def close(self) -> None:
        """Close at once; closing twice is fine."""
        self._sock.close()


def secured(sock: socket.socket, address: NodeAddress, deadline_s: float) -> SocketStream:
    """Start TLS as the address's scheme asks and return the stream; the socket is closed on failure.

    A pinned address is *not* checked here: its pin stands in the node's record, which is read over the stream itself.

    Raises:
        NetworkError: ``tls.handshake`` or ``relay.timeout``.
        VerificationError: ``tls.untrusted`` when the web's PKI does not vouch for the host.
    """
    name = address.to_text()
    if address.scheme is Scheme.CLEAR:
        return SocketStream(sock, name)
    try:
        sock.settimeout(remaining_s(deadline_s, name))
        if address.scheme is Scheme.PINNED:
            return SocketStream(tls.pinned_client_context().wrap_socket(sock), name)
        return SocketStream(tls.web_client_context().wrap_socket(sock, server_hostname=address.host), name)
    except TimeoutError as error:
        sock.close()
        raise timed_out(name) from error
    except ssl.SSLCertVerificationError as error:
        sock.close()
        raise VerificationError(
            "tls.untrusted",
            f"the certificate of {name} is not to be trusted: {error.verify_message}",
            NAME_HINT,
        ) from error
    except OSError as error:
        sock.close()
        raise NetworkError("tls.handshake", f"no TLS 1.3 with {name}: {reason(error)}", NAME_HINT) from error
    except NetworkError:
        sock.close()
        raise


def remaining_s(deadline_s: float, name: str) -> float:
    """Return the seconds left until `deadline_s` (an instant of ``time.monotonic()``), always above 0.

    Raises:
        NetworkError: ``relay.timeout`` when it has passed.
    """
    left_s = deadline_s - time.monotonic()
    if left_s <= 0:
        raise timed_out(name)
    return left_s


def timed_out(name: str) -> NetworkError:
    """Return the error for `name` not having finished in time."""
    return NetworkError("relay.timeout", f"{name} did not answer in time", "try again, or name another relay")


def broken(name: str, why: str, *, may_be_misnamed: bool = False) -> NetworkError:
    """Return the error for a connection to `name` that was lost."""
    return NetworkError(
        "relay.unreachable",
        f"the connection to {name} broke: {why}",
        NAME_HINT if may_be_misnamed else "try again, or name another relay",
    )


def reason(error: OSError) -> str:
    """Return the system's own words for `error`, lower case."""
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.replace("_", " ").lower()
    return (error.strerror or type(error).__name__).lower()
