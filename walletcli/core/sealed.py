"""Sealing: encryption to a few X25519 keys that tells nobody who they are.

Spec: docs/spec/sealed.md.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence

from nacl.bindings import (
    crypto_aead_chacha20poly1305_ietf_decrypt,
    crypto_aead_chacha20poly1305_ietf_encrypt,
)
from nacl.exceptions import CryptoError

from walletcli.core import x25519
from walletcli.core.hkdf import hkdf_sha512
from walletcli.core.secret import Secret
from walletcli.errors import FormatError, VerificationError

VERSION = 1
"""First byte of a sealed blob."""

MAX_RECIPIENTS = 16
"""Most keys that one blob can be sealed to."""

MAX_BYTES = 1 << 26
"""Longest sealed blob."""

MIN_PADDED_BYTES = 64
"""Shortest padded plaintext."""

_WRAP_BYTES = 48
_WRAP_COUNTS = (4, 8, 16)
_HEAD_BYTES = 66
_TAG_BYTES = 16
_NONCE = bytes(12)
_WRAP_LABEL = b"walletcli sealed 1 wrap"
_COMMITMENT_LABEL = b"walletcli sealed 1 commitment"


def padme(length: int) -> int:
    """Return the padded length (Padmé: at most 12 % more, O(log log) bits of the length remain visible)."""
    if length < 2:
        return length
    exponent = length.bit_length() - 1
    mask = (1 << (exponent - exponent.bit_length())) - 1
    return (length + mask) & ~mask


def _padded_bytes(plaintext_bytes: int) -> int:
    return max(MIN_PADDED_BYTES, padme(plaintext_bytes + 1))


def seal(plaintext: bytes, recipients: Sequence[bytes], entropy: Callable[[int], bytes], context: bytes) -> bytes:
    """Encrypt `plaintext` so that each of `recipients` can open it.

    Args:
        plaintext: up to 66,060,287 bytes.
        recipients: 1 to 16 X25519 public keys of 32 bytes.
        entropy: gives as many random bytes as asked.
        context: says where the blob stands; must be given again to open it.

    Raises:
        FormatError: ``sealed.recipients``, ``sealed.too-long`` or ``key.malformed``.
    """
    if not 1 <= len(recipients) <= MAX_RECIPIENTS:
        raise FormatError("sealed.recipients", f"a blob is sealed to 1 to {MAX_RECIPIENTS} keys, not {len(recipients)}")
    for recipient in recipients:
        x25519.check_public_key(recipient)
    count = next(n for n in _WRAP_COUNTS if n >= len(recipients))
    padded_bytes = _padded_bytes(len(plaintext))
    if _HEAD_BYTES + count * _WRAP_BYTES + padded_bytes + _TAG_BYTES > MAX_BYTES:
        raise FormatError("sealed.too-long", f"a sealed blob has at most {MAX_BYTES} bytes")
    padded = (plaintext + b"\x80").ljust(padded_bytes, b"\0")
    scalar, content_key = Secret(entropy(32)), entropy(32)
    ephemeral = x25519.public_key(scalar)
    wraps = [entropy(_WRAP_BYTES) for _ in range(count - len(recipients))]
    for recipient in recipients:
        wrap_key = _wrap_key(scalar, recipient, ephemeral, recipient)
        wraps.append(crypto_aead_chacha20poly1305_ietf_encrypt(content_key, context, _NONCE, wrap_key))
    head = bytes((VERSION, count)) + ephemeral + _commitment(ephemeral, content_key)
    head += b"".join(_shuffled(wraps, entropy))
    return head + crypto_aead_chacha20poly1305_ietf_encrypt(padded, context + head, _NONCE, content_key)


def _wrap_key(scalar: Secret, other: bytes, ephemeral: bytes, recipient: bytes) -> bytes:
    shared = x25519.shared_secret(scalar, other)
    return hkdf_sha512(shared, _WRAP_LABEL, 32, salt=ephemeral + recipient).reveal()


def _commitment(ephemeral: bytes, content_key: bytes) -> bytes:
    """Return what shows to all recipients that they hold the same content key.

    The cipher alone does not: one ciphertext can be made to open under two keys, to two contents.
    """
    return hkdf_sha512(Secret(content_key), _COMMITMENT_LABEL, 32, salt=ephemeral).reveal()


def _shuffled(items: list[bytes], entropy: Callable[[int], bytes]) -> list[bytes]:
    return [item for _, item in sorted((entropy(16), item) for item in items)]


def unseal(blob: bytes, secret: Secret, context: bytes, public_key: bytes | None = None) -> bytes:
    """Open `blob` with an X25519 scalar.

    Args:
        blob: a sealed blob.
        secret: scalar of 32 bytes.
        context: the one it was sealed with.
        public_key: the scalar's public key (32 bytes), where it is known; None: it is computed.

    Raises:
        FormatError: ``sealed.malformed`` or ``key.malformed``.
        VerificationError: ``sealed.not-for-you``, ``sealed.damaged`` or ``sealed.weak-key``.
    """
    head_bytes = _check_form(blob)
    ephemeral = blob[2:34]
    own = public_key if public_key is not None else x25519.public_key(secret)
    wrap_key = _wrap_key(secret, ephemeral, ephemeral, own)
    for at in range(_HEAD_BYTES, head_bytes, _WRAP_BYTES):
        try:
            wrap = blob[at : at + _WRAP_BYTES]
            content_key = crypto_aead_chacha20poly1305_ietf_decrypt(wrap, context, _NONCE, wrap_key)
            break
        except CryptoError:
            continue
    else:
        raise VerificationError("sealed.not-for-you", "the blob is not sealed to this key, or stands in another place")
    if not hmac.compare_digest(blob[34:_HEAD_BYTES], _commitment(ephemeral, content_key)):
        raise VerificationError("sealed.damaged", "the blob does not say the same to all of its recipients")
    try:
        aad = context + blob[:head_bytes]
        padded = crypto_aead_chacha20poly1305_ietf_decrypt(blob[head_bytes:], aad, _NONCE, content_key)
    except CryptoError as error:
        raise VerificationError("sealed.damaged", "the sealed content has been changed") from error
    return _unpadded(padded)


def _check_form(blob: bytes) -> int:
    if len(blob) > MAX_BYTES or len(blob) < _HEAD_BYTES:
        raise FormatError("sealed.malformed", "not a sealed blob: its length is out of range")
    if blob[0] != VERSION or blob[1] not in _WRAP_COUNTS:
        raise FormatError("sealed.malformed", "not a sealed blob of a known version")
    head_bytes = _HEAD_BYTES + blob[1] * _WRAP_BYTES
    if len(blob) < head_bytes + MIN_PADDED_BYTES + _TAG_BYTES:
        raise FormatError("sealed.malformed", "the sealed blob ends early")
    x25519.check_public_key(blob[2:34])
    return head_bytes


def _unpadded(padded: bytes) -> bytes:
    stripped = padded.rstrip(b"\0")
    if not stripped.endswith(b"\x80") or _padded_bytes(len(stripped) - 1) != len(padded):
        raise FormatError("sealed.malformed", "the padding of the sealed content is wrong")
    return stripped[:-1]
