"""Keys, documents and packets for tests and vectors: the same ones in every run, and writers that check nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from walletcli.core import bep44, cbor, ed25519, x25519
from walletcli.core.cbor import Map
from walletcli.core.document import STEPS, Document
from walletcli.core.document_parts import (
    Address,
    Approver,
    Approvers,
    Delegation,
    Form,
    Power,
    Retirement,
    Succession,
    Transport,
)
from walletcli.core.record import packet_value
from walletcli.core.secret import Secret

DAY = 20_000
SEQ = 1_700_000_000_000_000
P256_P = 2**256 - 2**224 + 2**192 + 2**96 - 1
P256_G = bytes.fromhex("036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296")


def digest(name: str) -> bytes:
    return hashlib.sha256(f"walletcli sample: {name}".encode()).digest()


def key(name: str) -> ed25519.SigningKey:
    return ed25519.SigningKey(Secret(digest(name)))


def scalar(name: str) -> Secret:
    return Secret(digest(f"{name}, sealing"))


def sealing_key(name: str) -> bytes:
    return x25519.public_key(scalar(name))


def entropy(label: str) -> Callable[[int], bytes]:
    """Return a source whose call i, from 0, gives the start of SHA-512(label ‖ " " ‖ i in decimal)."""
    calls = 0

    def give(length_bytes: int) -> bytes:
        nonlocal calls
        calls += 1
        return hashlib.sha512(f"{label} {calls - 1}".encode()).digest()[:length_bytes]

    return give


ALICE = key("alice")
BOB = key("bob")


def device(name: str, *powers: Power) -> Delegation:
    return Delegation(
        key(name).public_key, sealing_key(name), frozenset(powers) or frozenset({Power.HOST}), DAY, DAY + 90
    )


def devices(count: int) -> tuple[Delegation, ...]:
    made = [device(f"device {n}", Power.HOST, Power.MESSAGE, Power.SHARE) for n in range(count)]
    return tuple(sorted(made, key=lambda item: item.signing_key))


def approvers(count: int, threshold: int) -> Approvers:
    made = [Approver(-8, key(f"approver {n}").public_key, n % 2 == 0) for n in range(count - 1)]
    made.append(Approver(-7, P256_G, True))
    return Approvers(threshold, tuple(sorted(made, key=lambda item: item.public_key)), 30)


def everything() -> Document:
    """Return a document that has every field."""
    return Document(
        ALICE.public_key,
        SEQ,
        previous=digest("the document before"),
        bindings=(b"\xd2\x84grant", b"\xd2"),
        delegations=tuple(sorted((*devices(2), device("grants", *Power)), key=lambda item: item.signing_key)),
        approvers=approvers(3, 2),
        succession=Succession(digest("commitment"), 30, key("veto").public_key),
        profile={"about": "née ☿\nline", "name": "Ada"},
        sections=(b"a" * 40, b"b" * 300),
        addresses=(
            Address(Transport.TCP, "198.51.100.7:7411", digest("certificate")),
            Address(Transport.TOR, "a" * 56 + ".onion:80"),
            Address(Transport.I2P, "b" * 52 + ".b32.i2p"),
            Address(Transport.HTTPS, "relay.example"),
        ),
        retirement=Retirement(DAY, 1),
        healed=((bytes(32), b"\1" * 32), (b"\2" * 32, b"\3" * 32)),
        extensions={0: True, -1: None, 300: 2**64 - 1, "x": [{"deep": b"bytes"}, -(2**64)]},
    )


def documents() -> dict[str, Document]:
    """Return documents by what they show."""
    alice = ALICE.public_key
    return {
        "no optional field": Document(alice, SEQ),
        "seq 0": Document(alice, 0),
        "the highest seq": Document(alice, 2**63 - 1),
        "one device": Document(alice, SEQ, delegations=devices(1)),
        "two devices and a profile": Document(
            alice, SEQ, previous=digest("before"), delegations=devices(2), profile={"name": "Ada"}
        ),
        "eight devices, all shown by the packet": Document(alice, SEQ, delegations=devices(8)),
        "thirty-two devices, eight shown by the packet": Document(alice, SEQ, delegations=devices(32)),
        "approvers": Document(alice, SEQ, approvers=approvers(8, 8)),
        "one approver": Document(alice, SEQ, approvers=approvers(1, 1)),
        "a successor without veto": Document(alice, SEQ, succession=Succession(digest("commitment"), 7)),
        "a successor with veto": Document(
            alice, SEQ, succession=Succession(digest("commitment"), 365, key("veto").public_key)
        ),
        "a long profile in many scripts": Document(
            alice,
            SEQ,
            profile={"name": "Zoë ☿ 水銀 مرکوری", "emoji": "👩‍🚀", "a": "x" * 1024, "z.9_-": "two\nlines", "0": " "},
        ),
        "sealed sections": Document(alice, SEQ, sections=(b"a" * 500, b"b" * 700)),
        "addresses": Document(alice, SEQ, addresses=everything().addresses),
        "retired": Document(alice, SEQ, retirement=Retirement(47_482, 3)),
        "healed": Document(alice, SEQ, healed=everything().healed),
        "extensions": Document(alice, SEQ, extensions=everything().extensions),
        "an approver that signs texts": Document(
            alice, SEQ, approvers=Approvers(1, (Approver(-8, key("screen").public_key, False, Form.SIGNED_TEXT),), 30)
        ),
        "everything": everything(),
    }


def fields_of(document: Document) -> Map:
    """Return a document's map without its padding."""
    fields = cbor.decode(document.to_bytes(), 1 << 16)
    assert isinstance(fields, dict)
    return {number: value for number, value in fields.items() if number != 16}


def padded(bare: bytes) -> bytes:
    """Pad the encoding of a map of fewer than 23 pairs without its padding; nothing else about it is checked."""
    assert bare[0] >> 5 == 5 and bare[0] & 31 < 23
    for step in STEPS:
        for count in range(step - len(bare) - 4, step - len(bare)):
            if count >= 0:
                padding = cbor.encode(bytes(count))
                if len(bare) + 1 + len(padding) == step:
                    return bytes([bare[0] + 1]) + bare[1:] + b"\x10" + padding
    raise AssertionError("no step is long enough")


def written(fields: Map) -> bytes:
    """Encode fields that may be wrong as a document that is padded as it must be."""
    return padded(cbor.encode({number: value for number, value in fields.items() if number != 16}))


def payload(signer: ed25519.SigningKey, seq: int, value: bytes, salt: bytes = b"") -> bytes:
    """Sign whatever it is as a relay payload."""
    return signer.sign(bep44.signable(seq, value, salt)) + seq.to_bytes(8, "big") + value


def payload_of(document: Document, signer: ed25519.SigningKey = ALICE) -> bytes:
    return payload(signer, document.seq, packet_value(document))


def record_file(public_key: bytes, relay_payload: bytes, document: bytes | None) -> bytes:
    """Write a record file of whatever it is."""
    parts = [
        public_key,
        relay_payload[:64],
        int.from_bytes(relay_payload[64:72], "big"),
        relay_payload[72:],
        document,
    ]
    return b"walletcli record 1\n" + cbor.encode(parts)
