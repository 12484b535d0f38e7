"""The shortcut for packets of ours gives what the decoder gives, or nothing."""

from __future__ import annotations

import os

import pytest

from tests.core.samples import ALICE, BOB, SEQ
from walletcli.core import dns, packet_shape, x25519
from walletcli.core.document import Document
from walletcli.core.document_parts import Delegation, Power
from walletcli.core.ed25519 import SigningKey
from walletcli.core.packet import SignedPacket, _pointed_at
from walletcli.core.record import PACKET_DEVICE_KEYS, packet_value
from walletcli.core.secret import Secret
from walletcli.errors import FormatError


def document(devices: int) -> Document:
    """Return a document of Alice's with so many device keys."""
    keys = sorted(SigningKey(Secret(bytes([number + 1]) * 32)).public_key for number in range(devices))
    sealing = x25519.public_key(Secret(b"\7" * 32))
    delegations = tuple(Delegation(key, sealing, frozenset((Power.HOST,)), 20_000, 20_090) for key in keys)
    return Document(ALICE.public_key, SEQ, delegations=delegations)


def decoded(public_key: bytes, value: bytes) -> bytes | None:
    return _pointed_at(public_key, dns.decode(value))


@pytest.mark.parametrize("devices", range(12))
def test_every_packet_that_a_document_gives_is_recognised(devices: int) -> None:
    given = document(devices)
    value = packet_value(given)
    assert packet_shape.document_hash(ALICE.public_key, value) == given.hash == decoded(ALICE.public_key, value)


def test_as_many_devices_are_known_as_a_packet_shows() -> None:
    assert packet_shape.MAX_DEVICE_KEYS == PACKET_DEVICE_KEYS
    assert len(packet_shape._SHAPES) == PACKET_DEVICE_KEYS + 1


def test_packet_of_another_identity_is_left_to_the_decoder() -> None:
    value = packet_value(document(1))
    assert packet_shape.document_hash(BOB.public_key, value) is None
    assert SignedPacket.sign(BOB, SEQ, value).document_hash is None


@pytest.mark.parametrize("devices", [0, 1, 8])
def test_whatever_byte_is_changed_the_decoder_agrees(devices: int) -> None:
    """Every byte is set to its neighbours, to the bounds, and to letters that stand at such places."""
    value = packet_value(document(devices))
    recognised = 0
    for at in range(len(value)):
        for byte in {value[at] ^ 1, value[at] ^ 0x80, 0, 0xFF, 0xC0, *b"Aa0-_=+/.\\yw"} - {value[at]}:
            changed = value[:at] + bytes([byte]) + value[at + 1 :]
            quick = packet_shape.document_hash(ALICE.public_key, changed)
            if quick is not None:
                recognised += 1
                assert quick == decoded(ALICE.public_key, changed), (at, byte)
    assert recognised > 100  # other keys, another hash, another time to live


def test_random_texts_of_the_right_length_are_not_taken() -> None:
    for length in packet_shape._SHAPES:
        for _ in range(20):
            assert packet_shape.document_hash(ALICE.public_key, os.urandom(length)) is None


@pytest.mark.parametrize("last", "BCDFGHJKLNOPRTVX")
def test_hash_has_one_spelling(last: str) -> None:
    value = packet_value(document(1))[:-1] + last.encode()
    assert packet_shape.document_hash(ALICE.public_key, value) is None
    assert decoded(ALICE.public_key, value) is None


def test_shape_with_more_after_it_is_not_taken() -> None:
    value = packet_value(document(1)) + b"\0"
    assert packet_shape.document_hash(ALICE.public_key, value) is None
    with pytest.raises(FormatError):
        dns.decode(value)
