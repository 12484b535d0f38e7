"""Connects where strangers' records point, and so to public addresses only, seldom to each, and to no odd ports.

Otherwise whoever writes a record could have nodes knock at somebody's door, or look around in their own networks.

Spec: docs/spec/node-api.md, "Nodes that records name".
"""

from __future__ import annotations

import ipaddress
import threading
import time
from collections.abc import Sequence
from typing import Final

from walletcli.errors import NetworkError
from walletcli.net.addresses import NodeAddress, Scheme
from walletcli.net.tcp import Target, TcpDialer
from walletcli.node.limits import Rate, bucket_of

PER_HOST_S: Final = 600.0
"""One connection to an address (to 2^64 of IPv6) in so many seconds, on average."""

PER_HOST_BURST: Final = 4
"""And so many at once."""

FIRST_PORT: Final = 1024
"""Lower ports belong to other services; 443 is a node's behind a firewall."""

_HTTPS_PORT: Final = 443
_LEADS_ELSEWHERE: Final = tuple(
    ipaddress.IPv6Network(text)
    for text in ("::/96", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "2001::/32", "2002::/16", "fec0::/10")
)
"""Forms of IPv6 that stand for an IPv4 address, which may be a private one; and what was meant for sites of old."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class PublicDialer(TcpDialer):
    """Opens TCP connections to nodes with pinned keys, at public addresses.

    A name is looked up first, and what is looked at is the address that is then connected to.

    Args:
        networks: other networks that are allowed.
    """

    def __init__(self, networks: Sequence[Network] = ()) -> None:
        self._networks = tuple(networks)
        self._rate = Rate(1 / PER_HOST_S, PER_HOST_BURST)
        self._lock = threading.Lock()

    def usable(self, address: NodeAddress, targets: Sequence[Target]) -> Sequence[Target]:
        """Return the one address that is connected to.

        Raises:
            NetworkError: ``network.not-public`` if there is none, ``network.too-often``.
        """
        usable = [target for target in targets if self._is_allowed(target[1])]
        is_port = address.port >= FIRST_PORT or address.port == _HTTPS_PORT
        if not usable or not is_port or address.scheme is not Scheme.PINNED:
            raise NetworkError(
                "network.not-public",
                f"a record names {address.to_text()}, which is no place where strangers may lead this node",
                "allow its network with dht.named_networks in node.toml, if it is yours",
            )
        with self._lock:
            if self._rate.take(bucket_of(usable[0][1]), time.monotonic()):
                raise NetworkError("network.too-often", f"the address of {address.to_text()} was asked lately")
        return usable[:1]

    def _is_allowed(self, host: str) -> bool:
        found = ipaddress.ip_address(host)
        if any(found in network for network in self._networks if network.version == found.version):
            return True
        if isinstance(found, ipaddress.IPv6Address) and (
            found.scope_id is not None or any(found in network for network in _LEADS_ELSEWHERE)
        ):
            return False
        return found.is_global and not found.is_multicast
