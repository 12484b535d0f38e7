"""HKDF-SHA-512: from one secret to others, each with a label of its own.

Spec: RFC 5869 with SHA-512. Labels are listed in docs/spec/keys.md.
"""

from __future__ import annotations

import hmac
from typing import Final

from walletcli.core.secret import Secret

MAX_OUTPUT_BYTES: Final = 255 * 64
"""Longest output, bytes (RFC 5869 section 2.3)."""

_NO_SALT: Final = bytes(64)


def hkdf_sha512(secret: Secret, info: bytes, length_bytes: int, salt: bytes = _NO_SALT) -> Secret:
    """Return `length_bytes` bytes that tell nothing about `secret` or about outputs with another `info`.

    Args:
        secret: input keying material.
        info: the label, different for every purpose.
        length_bytes: 1 to 16320.
        salt: optional; without it HKDF's own default of zeros.

    Raises:
        ValueError: the length is out of range, which only a bug can bring about.
    """
    if not 0 < length_bytes <= MAX_OUTPUT_BYTES:
        raise ValueError(f"HKDF-SHA-512 gives 1 to {MAX_OUTPUT_BYTES} bytes")
    pseudorandom_key = hmac.digest(salt, secret.reveal(), "sha512")
    output = block = b""
    counter = 1
    while len(output) < length_bytes:
        block = hmac.digest(pseudorandom_key, block + info + bytes([counter]), "sha512")
        output += block
        counter += 1
    return Secret(output[:length_bytes])
