"""BEP44 mutable items: what is signed, and where it is found.

Spec: BEP44, "Mutable items"; docs/spec/record.md, "Packet".
"""

from __future__ import annotations

import hashlib

MAX_VALUE_BYTES = 996
"""Longest value: its bencoding ("996:" and the value) is then 1000 bytes, BEP44's limit as libtorrent counts it."""

MAX_SEQ = 2**63 - 1
"""BEP44 sequence numbers are signed 64-bit integers; negative ones are not used."""


def signable(seq: int, value: bytes, salt: bytes = b"") -> bytes:
    """Return the bytes that a BEP44 signature covers.

    Args:
        seq: sequence number, 0 to 2^63 - 1.
        value: the raw value; it is bencoded here as a byte string.
        salt: 0 to 64 bytes; our records use none.
    """
    prefix = b"4:salt%d:%s" % (len(salt), salt) if salt else b""
    return b"%s3:seqi%de1:v%d:%s" % (prefix, seq, len(value), value)


def target(public_key: bytes, salt: bytes = b"") -> bytes:
    """Return the 20-byte DHT target (SHA-1) of the item of `public_key` (32 bytes)."""
    return hashlib.sha1(public_key + salt, usedforsecurity=False).digest()
