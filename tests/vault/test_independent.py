"""The golden vault, opened step by step from the specification with other people's primitives and none of our code.

HKDF, Argon2id, X25519 and ChaCha20-Poly1305 are those of `cryptography` (OpenSSL); HChaCha20 is written out here.

Spec: docs/spec/vault.md, "Keys"; draft-irtf-cfrg-xchacha-03, section 2.2.
"""

from __future__ import annotations

import base64
import json
import struct
import unicodedata
from typing import Any

import cbor2
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.vault.golden import VECTORS

GOOD: dict[str, Any] = json.loads(VECTORS.read_text(encoding="utf-8"))["opens"][0]
FILE = base64.b64decode(GOOD["file_b64"])
MASK = 0xFFFFFFFF


def quarter(s: list[int], a: int, b: int, c: int, d: int) -> None:
    for x, y, z, turn in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        s[x] = (s[x] + s[y]) & MASK
        s[z] ^= s[x]
        s[z] = (s[z] << turn | s[z] >> (32 - turn)) & MASK


def hchacha20(key: bytes, nonce: bytes) -> bytes:
    state = [*struct.unpack("<4I", b"expand 32-byte k"), *struct.unpack("<8I", key), *struct.unpack("<4I", nonce)]
    for _ in range(10):
        for column in range(4):
            quarter(state, column, 4 + column, 8 + column, 12 + column)
        for row in range(4):
            quarter(state, row, 4 + (row + 1) % 4, 8 + (row + 2) % 4, 12 + (row + 3) % 4)
    return struct.pack("<8I", *state[:4], *state[12:])


def aead_open(key: bytes, nonce: bytes, sealed: bytes, associated: bytes) -> bytes:
    return ChaCha20Poly1305(hchacha20(key, nonce[:16])).decrypt(bytes(4) + nonce[16:], sealed, associated)


def hkdf(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(SHA512(), length, salt, info).derive(secret)


def argon2id(password: str, parameters: dict[int, Any]) -> bytes:
    return Argon2id(
        salt=parameters[3], length=32, iterations=parameters[2], lanes=1, memory_cost=parameters[1] * 1024
    ).derive(unicodedata.normalize("NFC", password).encode())


def raw(key: X25519PublicKey) -> bytes:
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def header_of(data: bytes) -> tuple[dict[int, Any], int]:
    assert data[:18] == b"walletcli vault 1\n"
    end = 22 + int.from_bytes(data[18:22], "big")
    return cbor2.loads(data[22:end]), end


def open_slot(header: dict[int, Any], slot: dict[int, Any], outputs: list[bytes]) -> tuple[bytes, bytes]:
    vault_id = header[1]
    parameters = cbor2.dumps({1: slot[1], 2: slot[2], 3: slot[3]}, canonical=True)
    wrapping = hkdf(b"".join(outputs), vault_id, b"walletcli vault 1 wrapping key" + parameters, 32)
    associated = b"walletcli vault 1 slot key" + vault_id + parameters
    scalar = X25519PrivateKey.from_private_bytes(aead_open(wrapping, slot[4][:24], slot[4][24:], associated))
    ephemeral, public = slot[5][:32], raw(scalar.public_key())
    shared = scalar.exchange(X25519PublicKey.from_public_bytes(ephemeral))
    label = b"walletcli vault 1 data key" + vault_id
    return aead_open(hkdf(shared, ephemeral + public, label, 32), bytes(24), slot[5][32:], label), public


def output_of(header: dict[int, Any], factor: list[Any]) -> bytes:
    kind, parameters = factor
    if kind == "password":
        return argon2id(GOOD["password"], parameters)
    return bytes.fromhex(GOOD["keyring"][f"vault {header[1].hex()} {parameters[1].hex()}"])


@pytest.mark.parametrize("index", [0, 1, 2])
def test_the_golden_vault_is_what_the_specification_says(index: int) -> None:
    header, end = header_of(FILE)
    slot = header[6][index]
    data_key, public = open_slot(header, slot, [output_of(header, factor) for factor in slot[3]])
    assert data_key.hex() == GOOD["data_key_hex"]
    assert hkdf(data_key, header[1], b"walletcli vault 1 key id", 16) == header[3]
    payload_key = hkdf(data_key, header[1], b"walletcli vault 1 payload", 32)
    body = aead_open(payload_key, header[4], FILE[end:], FILE[:end])
    assert len(body) == 65_536 == header[5] - 16
    assert body[32 * index : 32 * index + 32] == public
    at = 32 * len(header[6])
    length = int.from_bytes(body[at : at + 4], "big")
    assert body[at + 4 : at + 4 + length].hex() == GOOD["payload_hex"]
    assert body[at + 4 + length :].strip(b"\0") == b""


def test_the_header_re_encodes_to_the_same_bytes_elsewhere() -> None:
    header, end = header_of(FILE)
    assert cbor2.dumps(header, canonical=True) == FILE[22:end]


def test_the_factors_in_another_order_do_not_open() -> None:
    header, _ = header_of(FILE)
    slot = header[6][2]
    with pytest.raises(InvalidTag):
        open_slot(header, slot, [output_of(header, factor) for factor in slot[3]][::-1])


def test_hchacha20_is_right() -> None:
    key = bytes(range(32))
    nonce = bytes.fromhex("000000090000004a0000000031415927")
    expected = "82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc"
    assert hchacha20(key, nonce).hex() == expected
