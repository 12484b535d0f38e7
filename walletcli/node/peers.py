"""Connections to other nodes and relays, kept and shared between the worker threads."""

from __future__ import annotations

import queue
from collections.abc import Callable
from typing import Final, TypeVar

from walletcli.client.relay import RelayClient
from walletcli.errors import WalletError
from walletcli.net.addresses import NodeAddress
from walletcli.net.dialer import Dialer

TIMEOUT_S: Final = 5.0
"""How long one call to a peer may take, in seconds."""

_KEPT: Final = 4

_T = TypeVar("_T")


class Peer:
    """One other node or relay.

    Args:
        address: where it is.
        dialer: opens connections.
    """

    def __init__(self, address: NodeAddress, dialer: Dialer) -> None:
        self.address = address
        self.name = address.to_text()
        self._dialer = dialer
        self._clients: queue.LifoQueue[RelayClient] = queue.LifoQueue(_KEPT)
        self._is_closed = False

    def call(self, function: Callable[[RelayClient], _T]) -> _T:
        """Call `function` with a client that no other thread uses meanwhile.

        Raises:
            WalletError: what the client raises; its connection is closed then.
        """
        try:
            client = self._clients.get_nowait()
        except queue.Empty:
            client = RelayClient(self.address, self._dialer, timeout_s=TIMEOUT_S)
        try:
            result = function(client)
        except WalletError:
            client.close()
            raise
        try:
            self._clients.put_nowait(client)
        except queue.Full:
            client.close()
        if self._is_closed:
            self.close()
        return result

    def close(self) -> None:
        """Close the connections that are kept, and those under way when they are done."""
        self._is_closed = True
        while True:
            try:
                self._clients.get_nowait().close()
            except queue.Empty:
                return
