"""Seals and opens blobs as docs/spec/sealed.md says, with a library that walletcli does not use for it."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

NONCE = bytes(12)


def _hkdf(secret: bytes, salt: bytes, label: str) -> bytes:
    return HKDF(SHA512(), 32, salt, label.encode()).derive(secret)


def _wrap_key(ours: bytes, theirs: bytes, ephemeral: bytes, recipient: bytes) -> bytes:
    shared = X25519PrivateKey.from_private_bytes(ours).exchange(X25519PublicKey.from_public_bytes(theirs))
    return _hkdf(shared, ephemeral + recipient, "walletcli sealed 1 wrap")


def seal(
    padded: bytes,
    recipients: Sequence[bytes],
    context: bytes,
    *,
    ephemeral_scalar: bytes,
    content_key: bytes,
    wraps: int = 4,
    version: int = 1,
    committed: bytes | None = None,
) -> bytes:
    """Seal padded content to recipients in their order; the wraps that are missing are zeros."""
    ephemeral = X25519PrivateKey.from_private_bytes(ephemeral_scalar).public_key().public_bytes_raw()
    head = bytes([version, wraps]) + ephemeral
    head += _hkdf(content_key if committed is None else committed, ephemeral, "walletcli sealed 1 commitment")
    for recipient in recipients:
        wrap_key = _wrap_key(ephemeral_scalar, recipient, ephemeral, recipient)
        head += ChaCha20Poly1305(wrap_key).encrypt(NONCE, content_key, context)
    head += bytes(48 * (wraps - len(recipients)))
    return head + ChaCha20Poly1305(content_key).encrypt(NONCE, padded, context + head)


def unseal(blob: bytes, scalar: bytes, context: bytes) -> bytes:
    """Open a blob that is as it must be; return the padded content."""
    ephemeral, head_bytes = blob[2:34], 66 + 48 * blob[1]
    recipient = X25519PrivateKey.from_private_bytes(scalar).public_key().public_bytes_raw()
    cipher = ChaCha20Poly1305(_wrap_key(scalar, ephemeral, ephemeral, recipient))
    for at in range(66, head_bytes, 48):
        try:
            content_key = cipher.decrypt(NONCE, blob[at : at + 48], context)
        except InvalidTag:
            continue
        assert blob[34:66] == _hkdf(content_key, ephemeral, "walletcli sealed 1 commitment")
        return ChaCha20Poly1305(content_key).decrypt(NONCE, blob[head_bytes:], context + blob[:head_bytes])
    raise AssertionError("not for this recipient")
