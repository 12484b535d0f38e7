"""Chooses how connections are opened."""

from __future__ import annotations

from walletcli.net.dialer import Dialer


def dialer_for(offline: bool) -> Dialer:
    """Return the dialer of a command: plain TCP, or one that opens nothing."""
    if offline:
        from walletcli.net.offline import OfflineDialer

        return OfflineDialer()
    from walletcli.net.tcp import TcpDialer

    return TcpDialer()
