"""BEP44's published vectors."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from walletcli.core import bep44, ed25519
from walletcli.core.packet import SignedPacket
from walletcli.errors import FormatError, VerificationError

FILE = json.loads((Path(__file__).parents[1] / "vectors" / "bep44.json").read_text())
VECTORS: list[dict[str, Any]] = FILE["vectors"]


def parts(vector: dict[str, Any]) -> tuple[bytes, bytes, bytes, bytes]:
    value, salt = vector["value"].encode(), vector["salt"].encode()
    return bytes.fromhex(vector["public_key"]), bytes.fromhex(vector["signature"]), value, salt


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_the_signed_bytes_the_signature_and_the_target_are_the_published_ones(vector: dict[str, Any]) -> None:
    key, signature, value, salt = parts(vector)
    signable = bep44.signable(vector["seq"], value, salt)
    assert signable == vector["signable"].encode()
    ed25519.verify(key, signable, signature)
    assert bep44.target(key, salt).hex() == vector["target"]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
@pytest.mark.parametrize("change", ["seq", "value", "salt"])
def test_the_signature_covers_seq_value_and_salt(vector: dict[str, Any], change: str) -> None:
    key, signature, value, salt = parts(vector)
    seq = vector["seq"]
    changed = {
        "seq": bep44.signable(seq + 1, value, salt),
        "value": bep44.signable(seq, value + b"!", salt),
        "salt": bep44.signable(seq, value, salt + b"x"),
    }[change]
    with pytest.raises(VerificationError):
        ed25519.verify(key, changed, signature)


def test_a_salted_signature_is_not_one_for_the_same_item_without_salt() -> None:
    plain, salted = VECTORS
    with pytest.raises(VerificationError):
        ed25519.verify(
            bytes.fromhex(plain["public_key"]),
            bep44.signable(1, plain["value"].encode()),
            bytes.fromhex(salted["signature"]),
        )


def test_an_item_that_is_signed_and_is_no_dns_message_is_not_a_packet() -> None:
    key, signature, value, _ = parts(VECTORS[0])
    with pytest.raises(FormatError):
        SignedPacket.from_relay_payload(key, signature + (1).to_bytes(8, "big") + value)


def test_the_target_of_an_immutable_item_is_the_hash_of_its_value() -> None:
    immutable = FILE["immutable"]
    assert hashlib.sha1(immutable["value"].encode()).hexdigest() == immutable["target"]


def test_the_longest_value_is_a_thousand_bytes_with_its_bencoding() -> None:
    assert len(b"%d:" % bep44.MAX_VALUE_BYTES) + bep44.MAX_VALUE_BYTES == 1000
