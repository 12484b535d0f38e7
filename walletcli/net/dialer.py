"""What opens connections, and on whose behalf."""

from __future__ import annotations

from typing import Protocol

from walletcli.net.addresses import NodeAddress
from walletcli.net.stream import Stream


class Dialer(Protocol):
    """Opens connections to nodes.

    Every connection is opened for one identity or for none, and a dialer whose network has circuits, sessions or
    source addresses gives each identity its own: nothing of one identity's route is ever used for another.
    """

    def dial(self, address: NodeAddress, for_identity: str | None, deadline_s: float) -> Stream:
        """Open a new connection.

        Args:
            address: where to.
            for_identity: did:key of the identity on whose behalf the connection is opened; None where no identity is
                meant, such as a look-up by somebody who has none.
            deadline_s: the instant of ``time.monotonic()``, in seconds, by which it must stand.

        Raises:
            NetworkError: ``relay.unreachable``, ``relay.timeout``, ``tls.handshake``, ``network.transport``,
                ``network.offline``.
            VerificationError: ``tls.untrusted``.
        """

    def allow_datagrams(self, address: NodeAddress) -> None:
        """Return if datagrams may be sent from this machine's own address, which is what a DHT takes.

        A dialer that hides the address, or has nothing that carries datagrams, never allows it.

        Args:
            address: the DHT.

        Raises:
            NetworkError: ``network.transport``, ``network.offline``.
        """
