"""Text encodings of bytes: z-base-32, base32, base58btc and unpadded base64url.

Each decoder accepts exactly one text for each value: the one that its encoder writes. Length is checked before anything
else, so an over-long text costs nothing.

Spec: z-base-32 as pkarr and did:dht use it (most significant bit first, zero bits fill the last letter);
base58btc of multibase (draft-multiformats-multibase); RFC 4648 sections 5 and 6 without padding.
docs/spec/identity-id.md.
"""

from __future__ import annotations

import base64
import binascii
from functools import lru_cache
from typing import Final

from walletcli.errors import FormatError

Z32_ALPHABET: Final = "ybndrfg8ejkmcpqxot1uwisza345h769"
"""z-base-32 letters, by their value 0 to 31."""

BASE58_ALPHABET: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
"""base58btc letters, by their value 0 to 57."""

MAX_BASE58_BYTES: Final = 128
"""Longest value that `base58_decode` gives back unless told otherwise, bytes (decoding takes quadratic time)."""

_INVALID: Final = 0xFF
_TO_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")
_FROM_URL_SAFE: Final = bytes.maketrans(b"-_+/", b"+/!!")
_BASE32_DIGITS: Final = b"0123456789abcdefghijklmnopqrstuv"

_KEY_LETTERS: Final = 52
# bytes.translate tables: a five bit value to its letter, and a letter to the digit that int(…, 32) reads.
_Z32_LETTERS: Final = Z32_ALPHABET.encode("ascii").ljust(256, b"\0")
_Z32_DIGITS: Final = bytes(
    _BASE32_DIGITS[Z32_ALPHABET.index(chr(code))] if chr(code) in Z32_ALPHABET else _INVALID for code in range(256)
)

# Two letters at a time halve the work of base58.
_BASE58_PAIRS: Final = tuple(high + low for high in BASE58_ALPHABET for low in BASE58_ALPHABET)
_BASE58_VALUES: Final = {letter: value for value, letter in enumerate(BASE58_ALPHABET)}
_BASE58_CHUNK: Final = 58**10
_BASE58_HALF_CHUNK: Final = 58**5  # below 2^30: one digit of a Python integer. 58^2 = 3364, 58^4 = 11316496


@lru_cache(maxsize=64)
def _spread_plan(letter_count: int) -> tuple[int, tuple[tuple[int, int, int], ...]]:
    """Return how to give each five bit group of an integer a byte of its own: (byte length, steps).

    A step is (high mask, low mask, shift). Each step cuts all blocks of 2^k groups in half at once and moves the upper
    halves to where they belong. Six steps on one large integer beat 52 table look-ups.
    """
    half = 1
    while 2 * half < letter_count:
        half *= 2
    length_bytes = 2 * half
    steps = []
    while half:
        blocks = length_bytes // (2 * half)
        low = sum(((1 << (5 * half)) - 1) << (16 * half * block) for block in range(blocks))
        steps.append((low << (5 * half), low, 3 * half))
        half //= 2
    return length_bytes, tuple(steps)


def z32_encode(data: bytes) -> str:
    """Return `data` in z-base-32, without padding."""
    letter_count = (8 * len(data) + 4) // 5
    if not letter_count:
        return ""
    length_bytes, steps = _spread_plan(letter_count)
    value = int.from_bytes(data, "big") << (5 * letter_count - 8 * len(data))
    for high, low, shift in steps:
        value = ((value & high) << shift) | (value & low)
    return value.to_bytes(length_bytes, "big").translate(_Z32_LETTERS)[length_bytes - letter_count :].decode("ascii")


def z32_decode(text: str, length_bytes: int) -> bytes:
    """Return the bytes that `text` stands for.

    Args:
        text: z-base-32, lower case, without padding or white space.
        length_bytes: the exact length that the value must have.

    Raises:
        FormatError: `encoding.z32`: another length, a letter outside the alphabet, or unused bits that are not zero.
    """
    letter_count = (8 * length_bytes + 4) // 5
    if len(text) != letter_count:
        raise FormatError("encoding.z32", f"z-base-32 text has {len(text)} letters, {letter_count} needed")
    if not letter_count:
        return b""
    spare_bits = 5 * letter_count - 8 * length_bytes
    try:
        value = int(text.encode("ascii").translate(_Z32_DIGITS), 32)
    except ValueError as error:  # UnicodeEncodeError is one, too
        raise FormatError("encoding.z32", "z-base-32 text holds a letter outside its alphabet") from error
    if value & ((1 << spare_bits) - 1):
        raise FormatError("encoding.z32", "z-base-32 text ends in bits that are not zero")
    return (value >> spare_bits).to_bytes(length_bytes, "big")


def z32_key(text: bytes) -> bytes:
    """Return the 32 bytes that 52 letters of z-base-32, in ASCII, stand for; raises as `z32_decode`, and is quicker."""
    if len(text) != _KEY_LETTERS:
        raise FormatError("encoding.z32", f"z-base-32 text has {len(text)} letters, {_KEY_LETTERS} needed")
    try:
        value = int(text.translate(_Z32_DIGITS), 32)
    except ValueError as error:
        raise FormatError("encoding.z32", "z-base-32 text holds a letter outside its alphabet") from error
    if value & 0xF:
        raise FormatError("encoding.z32", "z-base-32 text ends in bits that are not zero")
    return (value >> 4).to_bytes(32, "big")


def base58_encode(data: bytes) -> str:
    """Return `data` in base58btc; each leading zero byte is a leading ``1``."""
    value = int.from_bytes(data, "big")
    pairs = _BASE58_PAIRS
    parts: list[str] = []  # from the end
    while value:
        value, ten = divmod(value, _BASE58_CHUNK)  # long division once per ten letters, the rest in machine words
        upper, lower = divmod(ten, _BASE58_HALF_CHUNK)
        parts += (
            pairs[lower % 3364],
            pairs[lower // 3364 % 3364],
            BASE58_ALPHABET[lower // 11316496],
            pairs[upper % 3364],
            pairs[upper // 3364 % 3364],
            BASE58_ALPHABET[upper // 11316496],
        )
    parts.reverse()
    zero_count = len(data) - len(data.lstrip(b"\0"))
    return "1" * zero_count + "".join(parts).lstrip("1")


def base58_decode(text: str, max_bytes: int = MAX_BASE58_BYTES) -> bytes:
    """Return the bytes that `text` stands for.

    Args:
        text: base58btc, without a multibase prefix or white space.
        max_bytes: longest value to accept, bytes.

    Raises:
        FormatError: `encoding.base58`: too long, or a letter outside the alphabet.
    """
    if len(text) > max_bytes * 138 // 100 + 1:  # log 256 / log 58 is 1.3657
        raise FormatError("encoding.base58", f"base58 text has {len(text)} letters, too many for {max_bytes} bytes")
    value = 0
    try:
        for letter in text:
            value = value * 58 + _BASE58_VALUES[letter]
    except KeyError as error:
        raise FormatError("encoding.base58", "base58 text holds a letter outside its alphabet") from error
    zero_count = len(text) - len(text.lstrip("1"))
    data = bytes(zero_count) + value.to_bytes((value.bit_length() + 7) // 8, "big")
    if len(data) > max_bytes:
        raise FormatError("encoding.base58", f"base58 text holds {len(data)} bytes, at most {max_bytes} allowed")
    return data


def b64url_encode(data: bytes) -> str:
    """Return `data` in base64url without padding."""
    return binascii.b2a_base64(data, newline=False).translate(_TO_URL_SAFE).rstrip(b"=").decode("ascii")


def b64url_decode(text: str) -> bytes:
    """Return the bytes that `text` stands for.

    Args:
        text: base64url without padding or white space.

    Raises:
        FormatError: `encoding.base64url`: a letter outside the alphabet, padding, an impossible length, or unused bits
            that are not zero.
    """
    try:
        data = binascii.a2b_base64(text.encode("ascii").translate(_FROM_URL_SAFE) + b"=" * (-len(text) % 4))
    except (UnicodeEncodeError, binascii.Error) as error:
        raise FormatError("encoding.base64url", "text is not base64url") from error
    if b64url_encode(data) != text:  # the decoder above skips foreign letters and unused bits
        raise FormatError("encoding.base64url", "text is not base64url in its one form: no padding, no unused bits")
    return data


def b32_encode(data: bytes) -> str:
    """Return `data` in base32, upper case, without padding: letters that QR codes hold in 5.5 bits each."""
    return base64.b32encode(data).rstrip(b"=").decode("ascii")


def b32_decode(text: str, max_bytes: int) -> bytes:
    """Return the bytes that `text` stands for.

    Args:
        text: base32 in upper or lower case, without padding or white space.
        max_bytes: longest value to accept, bytes.

    Raises:
        FormatError: `encoding.base32`: too long, a letter outside the alphabet, padding, an impossible length, or
            unused bits that are not zero.
    """
    if len(text) > (8 * max_bytes + 4) // 5:
        raise FormatError("encoding.base32", f"base32 text has {len(text)} letters, too many for {max_bytes} bytes")
    try:
        letters = text.encode("ascii").upper()
        data = base64.b32decode(letters + b"=" * (-len(letters) % 8))
    except (UnicodeEncodeError, binascii.Error) as error:
        raise FormatError("encoding.base32", "text is not base32") from error
    if base64.b32encode(data).rstrip(b"=") != letters:  # the decoder above skips unused bits
        raise FormatError("encoding.base32", "text is not base32 in its one form: no padding, no unused bits")
    return data


def b64_encode(data: bytes) -> str:
    """Return `data` in base64 with padding (RFC 4648 section 4)."""
    return binascii.b2a_base64(data, newline=False).decode("ascii")


def b64_decode(text: str) -> bytes:
    """Decode base64.

    Args:
        text: base64 with padding and without white space.

    Raises:
        FormatError: `encoding.base64`: a letter outside the alphabet, padding that is missing or too much, or unused
            bits that are not zero.
    """
    try:
        data = binascii.a2b_base64(text.encode("ascii"), strict_mode=True)
    except (ValueError, UnicodeEncodeError) as error:
        raise FormatError("encoding.base64", "text is not base64") from error
    if b64_encode(data) != text:
        raise FormatError("encoding.base64", "text is not base64 in its one form")
    return data
