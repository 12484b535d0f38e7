"""Addresses and ids of DHT nodes, as they stand in messages.

Spec: docs/spec/dht.md, "Messages"; BEP5 and BEP32 (compact form), BEP42 (ids that fit addresses).
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from functools import lru_cache, partial
from typing import Final, NamedTuple

ID_BYTES: Final = 20
MAX_CONTACTS: Final = 32
"""Nodes that are read from one message."""

Address = tuple[str, int]
"""Numeric IP address and UDP port."""

_V4: Final = struct.Struct(">20s4sH")
_V6: Final = struct.Struct(">20s16sH")
_V4_MASK: Final = bytes.fromhex("030f3fff")
_V6_MASK: Final = bytes.fromhex("0103070f1f3f7fff")


class Contact(NamedTuple):
    """A node.

    Attributes:
        node_id: 20 bytes, or None where only the address is known.
        address: where it is.
    """

    node_id: bytes | None
    address: Address


def read_contacts(data: bytes, *, ipv6: bool, private: bool) -> list[Contact]:
    """Return the usable ones of the first nodes in compact form.

    Args:
        data: a whole number of 26 (IPv4) or 38 bytes (IPv6).
        ipv6: which.
        private: whether addresses count that are not public.
    """
    compact = _V6 if ipv6 else _V4
    usable = _usable_private if private else _usable_public
    return [
        Contact(node_id, (host, port))
        for node_id, packed, port in compact.iter_unpack(data[: MAX_CONTACTS * compact.size])
        if port and (host := usable(packed))
    ]


def write_contacts(contacts: list[Contact], *, ipv6: bool) -> bytes:
    """Return nodes in compact form; those without an id are left out."""
    family = socket.AF_INET6 if ipv6 else socket.AF_INET
    return b"".join(
        node_id + socket.inet_pton(family, host) + port.to_bytes(2, "big")
        for node_id, (host, port) in contacts
        if node_id is not None
    )


def _host_if_usable(packed: bytes, *, private: bool) -> str:
    host = socket.inet_ntop(socket.AF_INET6 if len(packed) == 16 else socket.AF_INET, packed)
    return host if is_usable(host, private=private) else ""


_usable_private = lru_cache(maxsize=8192)(partial(_host_if_usable, private=True))
_usable_public = lru_cache(maxsize=8192)(partial(_host_if_usable, private=False))


@lru_cache(maxsize=4096)
def is_usable(host: str, *, private: bool) -> bool:
    """Tell whether a node can be at this numeric address."""
    address = ipaddress.ip_address(host)
    if address.is_multicast or address.is_unspecified or host == "255.255.255.255":
        return False
    return private or address.is_global


@lru_cache(maxsize=4096)
def group_of(host: str) -> bytes:
    """Return what counts as one place: the IPv4 address, or the /64 of an IPv6 address."""
    packed = ipaddress.ip_address(host).packed
    return packed if len(packed) == 4 else packed[:8]


@lru_cache(maxsize=4096)
def fits_address(node_id: bytes, host: str) -> bool:
    """Tell whether an id was made from the address (BEP42); addresses that are not public fit any.

    Args:
        node_id: 20 bytes.
        host: numeric address.
    """
    address = ipaddress.ip_address(host)
    if not address.is_global:
        return True
    mask = _V4_MASK if address.version == 4 else _V6_MASK
    masked = bytearray(a & b for a, b in zip(address.packed, mask, strict=False))
    masked[0] |= (node_id[19] & 7) << 5
    expected = _crc32c(bytes(masked)).to_bytes(4, "big")
    return node_id[:2] == expected[:2] and node_id[2] & 0xF8 == expected[2] & 0xF8


def _crc32c(data: bytes) -> int:
    """Return the CRC-32C (Castagnoli) of a few bytes."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF
