"""One kept connection to one node, on behalf of one identity, that ends at the node that its address names.

Spec: docs/spec/addresses.md, docs/spec/resolution.md, "One exchange".
"""

from __future__ import annotations

from types import TracebackType
from typing import Final, Self

from walletcli.client.freshness import Freshness
from walletcli.client.http import HttpConnection, Request, Response, bad_answer
from walletcli.client.pinning import check_pin
from walletcli.core.record import Record
from walletcli.errors import NetworkError
from walletcli.net.addresses import NodeAddress
from walletcli.net.dialer import Dialer

TIMEOUT_S: Final = 15.0
"""How long one call may take by default, connecting and proving the node's key included, in seconds."""


class NodeLink:
    """One node, one identity, at most one connection; for one thread at a time.

    Nothing is shared with any other link: no connection, no TLS session, no cookie. The connection is kept between
    calls and opened anew when it has gone.

    Args:
        address: the node or relay.
        dialer: opens the connections.
        for_identity: did:key of the identity on whose behalf it is asked, or None.
        memory: freshness of the *node's* own record, for pinned addresses; None starts from nothing.
    """

    def __init__(
        self, address: NodeAddress, dialer: Dialer, for_identity: str | None, memory: Freshness | None
    ) -> None:
        self.address = address
        self._name = address.to_text()
        self._dialer = dialer
        self._for_identity = for_identity
        self._memory = memory
        self._connection: HttpConnection | None = None
        self._proven_pin: bytes | None = None
        self._node_record: Record | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def node_record(self) -> Record | None:
        """The record with which a pinned node has proven its key; None before that, and for other addresses."""
        return self._node_record

    def close(self) -> None:
        """Close the connection, if there is one; the link can be used again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def ask(self, request: Request, max_body_bytes: int, deadline_s: float) -> Response:
        """Make one request and read its whole answer.

        If a kept connection turns out to be closed, the request is made once more on a new one.

        Args:
            request: does no harm when it is made twice: the node may have acted on it before the connection broke.
            max_body_bytes: longest body to take.
            deadline_s: the instant of ``time.monotonic()``, in seconds, by which everything is read.

        Raises:
            NetworkError: ``relay.*``, ``tls.*``, ``network.*``.
            VerificationError: ``tls.*``, ``record.stale``, ``record.equivocation``.
        """
        if self._connection is not None and self._connection.is_reusable:
            try:
                return self._connection.exchange(request, max_body_bytes, deadline_s)
            except NetworkError as error:
                if error.code != "relay.unreachable":
                    raise
        return self.connection(deadline_s).exchange(request, max_body_bytes, deadline_s)

    def connection(self, deadline_s: float) -> HttpConnection:
        """Return a connection that is free for a request, opening one and proving the node's key if need be.

        Args:
            deadline_s: the instant of ``time.monotonic()``, in seconds, by which it must stand.

        Raises:
            NetworkError: ``relay.*``, ``tls.*``, ``network.*``.
            VerificationError: ``tls.*``, ``record.stale``, ``record.equivocation``.
        """
        if self._connection is None or not self._connection.is_reusable:
            self.close()
            self._connection = self._connect(deadline_s)
        return self._connection

    def _connect(self, deadline_s: float) -> HttpConnection:
        stream = self._dialer.dial(self.address, self._for_identity, deadline_s)
        connection = HttpConnection(stream, self.address.authority, self._name)
        if self.address.node is None or (self._proven_pin is not None and stream.peer_pin == self._proven_pin):
            return connection
        try:
            self._proven_pin, self._node_record = check_pin(connection, self.address, self._memory, deadline_s)
        except BaseException:
            connection.close()
            raise
        if not connection.is_reusable:
            raise bad_answer(self._name, "it ends the connection on which it proved its key")
        return connection
