"""Identities and records for tests: the same ones in every run."""

from __future__ import annotations

import hashlib
from typing import Any

from walletcli.core import dns
from walletcli.core.document import Document
from walletcli.core.ed25519 import SigningKey
from walletcli.core.identity_id import IdentityId
from walletcli.core.packet import SignedPacket
from walletcli.core.record import Record, packet_value
from walletcli.core.secret import Secret


def key(name: str) -> SigningKey:
    """Return the key of the identity called `name`."""
    return SigningKey(Secret(hashlib.sha256(name.encode()).digest()))


def identity(name: str) -> IdentityId:
    return IdentityId(key(name).public_key)


def record(name: str = "alice", seq: int = 100, **fields: Any) -> Record:
    """Return a signed record of the identity called `name`; `fields` are the document's."""
    document = Document(key(name).public_key, seq, **fields)
    packet = SignedPacket.sign(key(name), seq, packet_value(document))
    return Record.verified(packet, document.to_bytes())


def foreign_packet(name: str = "alice", seq: int = 100, text: bytes = b"hello") -> SignedPacket:
    """Return a packet as somebody else's pkarr tool makes it: a TXT, no document."""
    z32 = IdentityId(key(name).public_key).z32.encode()
    owner = b"\x04_foo\x34" + z32 + b"\0"
    value = dns.response_header(1) + dns.txt_record(owner, text, 300)
    return SignedPacket.sign(key(name), seq, value)


def unsigned(packet: SignedPacket) -> bytes:
    """Return the payload of `packet` with one bit of its signature turned."""
    payload = bytearray(packet.to_relay_payload())
    payload[5] ^= 1
    return bytes(payload)
