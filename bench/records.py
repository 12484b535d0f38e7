"""Valid records in any number, the same on every run."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from walletcli.core import x25519
from walletcli.core.document import Document
from walletcli.core.document_parts import Delegation, Power
from walletcli.core.ed25519 import SigningKey
from walletcli.core.encodings import z32_encode
from walletcli.core.packet import SignedPacket
from walletcli.core.record import Record, packet_value
from walletcli.core.secret import Secret

FIRST_SEQ = 1_700_000_000_000_000
DAY = 20_000


def _seed(label: str, number: int) -> Secret:
    return Secret(hashlib.sha256(f"bench {label} {number}".encode()).digest())


def _delegation(number: int) -> Delegation:
    signing = SigningKey(_seed("device", number)).public_key
    powers = frozenset({Power.HOST, Power.MESSAGE, Power.SHARE})
    return Delegation(signing, x25519.public_key(_seed("sealing", number)), powers, DAY, DAY + 90)


def signed_record(number: int, devices: int = 1) -> Record:
    """Return the record of identity `number` (any whole number) with so many device keys."""
    delegations = sorted((_delegation(n) for n in range(devices)), key=lambda item: item.signing_key)
    root = SigningKey(_seed("root", number))
    document = Document(root.public_key, FIRST_SEQ + number, delegations=tuple(delegations))
    packet = SignedPacket.sign(root, document.seq, packet_value(document))
    return Record.verified(packet, document.to_bytes())


def packets(first: int, count: int) -> Iterator[SignedPacket]:
    """Yield the packets of identities `first` to `first` + `count` - 1, each with one device key."""
    delegation = _delegation(0)
    for number in range(first, first + count):
        root = SigningKey(_seed("root", number))
        document = Document(root.public_key, FIRST_SEQ + number, delegations=(delegation,))
        yield SignedPacket.sign(root, document.seq, packet_value(document))


def write_packets(path: Path, first: int, count: int) -> int:
    """Write packets as lines ``z32 hex(payload)`` for the load generator; return the bytes of one payload."""
    with path.open("w") as out:
        for packet in packets(first, count):
            payload = packet.to_relay_payload()
            out.write(f"{z32_encode(packet.public_key)} {payload.hex()}\n")
    return len(payload)
