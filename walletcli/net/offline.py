"""The dialer of ``--offline``: it opens nothing."""

from __future__ import annotations

from typing import NoReturn

from walletcli.errors import NetworkError
from walletcli.net.addresses import NodeAddress


class OfflineDialer:
    """Refuses every connection, so that offline is a property of the program and not of its cables."""

    def dial(self, address: NodeAddress, for_identity: str | None, deadline_s: float) -> NoReturn:
        """Refuse.

        Raises:
            NetworkError: ``network.offline``, always.
        """
        raise _offline(address)

    def allow_datagrams(self, address: NodeAddress) -> NoReturn:
        """Refuse.

        Raises:
            NetworkError: ``network.offline``, always.
        """
        raise _offline(address)


def _offline(address: NodeAddress) -> NetworkError:
    return NetworkError(
        "network.offline",
        f"not connecting to {address.to_text()}: --offline was given",
        "leave out --offline, or carry the record as a file",
    )
