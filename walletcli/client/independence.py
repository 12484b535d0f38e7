"""Which sources count towards freshness: those that do not depend on each other.

Spec: docs/spec/resolution.md, "Sources"; docs/decisions/0022-independent-sources.md.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Final

from walletcli.net.addresses import NodeAddress, Scheme

WANTED_SOURCES: Final = 3
"""How many independent sources must have answered before new trust starts."""

_Mark = tuple[str, object]


def independent(addresses: Iterable[str]) -> tuple[str, ...]:
    """Return one address for each source: the first of those that belong together.

    Two addresses are one source if they name the same node's key or the same host (of IPv6 the same /64); on this
    machine itself, where hosts say nothing, the same port. If A and B have one key, and B and C one host, all three are
    one. The DHT is one source, whatever members it is entered by.

    Args:
        addresses: of relays and nodes, as text.
    """
    groups: dict[str, set[_Mark]] = {}
    for text in addresses:
        marks = _marks(NodeAddress.from_relay_text(text))
        touching = [first for first, others in groups.items() if not marks.isdisjoint(others)]
        first = touching[0] if touching else text
        groups[first] = marks.union(*(groups[name] for name in touching))
        for name in touching[1:]:
            del groups[name]
    return tuple(groups)


def _marks(address: NodeAddress) -> set[_Mark]:
    """Return what tells that two addresses are one source."""
    if address.scheme is Scheme.DHT:
        return {("dht", None)}
    marks: set[_Mark] = {("port", address.port) if address.is_loopback else ("host", _machine(address.host))}
    if address.node is not None:
        marks.add(("key", address.node.public_key))
    return marks


def _machine(host: str) -> str:
    """Return what stands for a host: of an IPv6 address its /64, which a machine has whole, or the IPv4 in it."""
    try:
        found = ipaddress.IPv6Address(host)
    except ValueError:
        return host
    return str(found.ipv4_mapped or ipaddress.IPv6Network((found, 64), strict=False))
