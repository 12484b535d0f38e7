"""Which answers count towards freshness: sources that do not depend on each other.

Spec: docs/spec/recovery.md, "Freshness".
"""

from __future__ import annotations

from collections.abc import Iterable

from walletcli.client.resolution import SourceReport
from walletcli.net.addresses import NodeAddress
from walletcli.wallet.recovery.gap_scan import is_failure


def independent(addresses: Iterable[str]) -> tuple[str, ...]:
    """Return those of `addresses` that no other one before them depends on.

    Two addresses are one source if they name the same node's key or the same host; on this machine itself, where a host
    says nothing, the same port.
    """
    keys: set[bytes] = set()
    hosts: set[str] = set()
    found = []
    for text in addresses:
        address = NodeAddress.from_text(text)
        host = address.authority if address.is_loopback else address.host
        key = address.node.public_key if address.node is not None else None
        if host in hosts or key in keys:
            continue
        hosts.add(host)
        if key is not None:
            keys.add(key)
        found.append(text)
    return tuple(found)


def answered(sources: Iterable[SourceReport]) -> tuple[str, ...]:
    """Return the independent sources that said what they have, were it nothing, or something too old to be taken."""
    return independent(source.address for source in sources if not is_failure(source))
