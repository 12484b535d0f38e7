"""Safety words and a safety picture: what two people compare to know that they hold each other's real keys.

Both sides get the same ones, because the two keys are taken in ascending order.

Spec: docs/spec/contact.md, "Safety words".
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Final

from walletcli.core import bip39, ed25519
from walletcli.core.fingerprint import fingerprint
from walletcli.errors import InputError

WORDS: Final = 12
"""Number of safety words; 11 bits each."""

ROUNDS: Final = 65_536
"""Rounds of PBKDF2-HMAC-SHA512: what one guess costs somebody who looks for keys with the same words."""

DIGEST_BYTES: Final = 64
"""Length of the digest, bytes; words and picture come from it."""

_SALT: Final = b"walletcli safety words 1"
_WORD_BITS: Final = 11


def safety_words(key_a: bytes, key_b: bytes) -> tuple[str, ...]:
    """Return the 12 English words for two root keys (32 bytes each), in whichever order they are given.

    Takes some tens of milliseconds the first time.

    Raises:
        FormatError: ``key.malformed``.
        InputError: ``safety.same-key``: one key twice.
    """
    bits = int.from_bytes(_digest_of(key_a, key_b), "big") >> (8 * DIGEST_BYTES - WORDS * _WORD_BITS)
    return bip39.words_at(
        tuple(bits >> shift & 2047 for shift in range(_WORD_BITS * (WORDS - 1), -1, -_WORD_BITS)), "english"
    )


def safety_picture(key_a: bytes, key_b: bytes) -> tuple[str, ...]:
    """Return the picture for two root keys: 11 lines of 19 printable ASCII characters, the same for both sides.

    Raises:
        FormatError: ``key.malformed``.
        InputError: ``safety.same-key``: one key twice.
    """
    return fingerprint(_digest_of(key_a, key_b))


def _digest_of(key_a: bytes, key_b: bytes) -> bytes:
    for key in (key_a, key_b):
        ed25519.check_encoding(key)
    if key_a == key_b:
        raise InputError(
            "safety.same-key", "safety words are for two identities, and this is one", "name the other side's identity"
        )
    return _digest(min(key_a, key_b), max(key_a, key_b))


@lru_cache(maxsize=64)
def _digest(lower: bytes, higher: bytes) -> bytes:
    return hashlib.pbkdf2_hmac("sha512", lower + higher, _SALT, ROUNDS, DIGEST_BYTES)
