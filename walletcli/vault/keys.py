"""The vault's keys: what is derived from the data key, and how a slot carries the data key.

Everything here is pure: entropy is an argument, nothing is read or written.

Spec: docs/spec/vault.md, "Keys". XChaCha20-Poly1305: draft-irtf-cfrg-xchacha; HKDF: RFC 5869; X25519: RFC 7748.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt,
    crypto_aead_xchacha20poly1305_ietf_encrypt,
)
from nacl.exceptions import CryptoError

from walletcli.core import x25519
from walletcli.core.hkdf import hkdf_sha512
from walletcli.core.secret import Secret
from walletcli.errors import FormatError, VaultError, VerificationError

Entropy = Callable[[int], bytes]
"""Gives that many random bytes: `os.urandom`, or a fixed source for vectors."""

KEY_BYTES = 32
"""Length of a data key, a slot key, a public key, and of the output of a factor."""

VAULT_ID_BYTES = 16
"""Length of the random id that a vault keeps for life."""

KEY_ID_BYTES = 16
"""Length of the value that tells which data key seals the payload."""

NONCE_BYTES = 24
"""Length of an XChaCha20-Poly1305 nonce."""

TAG_BYTES = 16
"""Length of a Poly1305 tag."""

WRAPPED_SLOT_KEY_BYTES = NONCE_BYTES + KEY_BYTES + TAG_BYTES
"""Nonce, ciphertext and tag of a wrapped slot key."""

SEALED_DATA_KEY_BYTES = KEY_BYTES + KEY_BYTES + TAG_BYTES
"""Ephemeral public key, ciphertext and tag of a data key sealed to a slot."""

_PAYLOAD = b"walletcli vault 1 payload"
_KEY_ID = b"walletcli vault 1 key id"
_WRAPPING_KEY = b"walletcli vault 1 wrapping key"
_SLOT_KEY = b"walletcli vault 1 slot key"
_DATA_KEY = b"walletcli vault 1 data key"
_SINGLE_USE_NONCE = bytes(NONCE_BYTES)


def _hkdf(secret: Secret, salt: bytes, info: bytes, length_bytes: int) -> bytes:
    return hkdf_sha512(secret, info, length_bytes, salt=salt).reveal()


@dataclass(frozen=True, slots=True)
class SlotKey:
    """The key pair of a slot; only the public half is kept, and that inside the sealed part.

    Args:
        scalar: X25519 scalar, 32 bytes.
        public_key: 32 bytes.
    """

    scalar: Secret
    public_key: bytes

    @classmethod
    def from_scalar(cls, scalar: Secret) -> SlotKey:
        """Compute the public half."""
        return cls(scalar, x25519.public_key(scalar))


def key_id(data_key: Secret, vault_id: bytes) -> bytes:
    """Return 16 public bytes that name `data_key` and say nothing else about it."""
    return _hkdf(data_key, vault_id, _KEY_ID, KEY_ID_BYTES)


def seal_payload(data_key: Secret, vault_id: bytes, nonce: bytes, body: bytes, associated: bytes) -> bytes:
    """Seal `body` and authenticate `associated`; the result is 16 bytes longer than `body`."""
    key = _hkdf(data_key, vault_id, _PAYLOAD, KEY_BYTES)
    return crypto_aead_xchacha20poly1305_ietf_encrypt(body, associated, nonce, key)


def open_payload(data_key: Secret, vault_id: bytes, nonce: bytes, sealed: bytes, associated: bytes) -> bytes:
    """Open what `seal_payload` made.

    Raises:
        VaultError: ``vault.damaged`` if a bit of `sealed` or `associated` differs.
    """
    key = _hkdf(data_key, vault_id, _PAYLOAD, KEY_BYTES)
    try:
        return crypto_aead_xchacha20poly1305_ietf_decrypt(sealed, associated, nonce, key)
    except CryptoError as error:
        raise damaged("its contents do not match their seal") from error


def wrap_slot_key(
    slot_key: SlotKey, outputs: Sequence[Secret], vault_id: bytes, parameters: bytes, entropy: Entropy
) -> bytes:
    """Wrap the scalar of a slot under the outputs of all its factors.

    Args:
        slot_key: what is wrapped.
        outputs: one secret of 32 bytes for each factor, in the order of the slot.
        vault_id: 16 bytes.
        parameters: the slot's parameters, encoded; the wrap opens with exactly these.
        entropy: source of the nonce.

    Returns:
        72 bytes.
    """
    key = _wrapping_key(outputs, vault_id, parameters)
    nonce = entropy(NONCE_BYTES)
    associated = _SLOT_KEY + vault_id + parameters
    return nonce + crypto_aead_xchacha20poly1305_ietf_encrypt(slot_key.scalar.reveal(), associated, nonce, key)


def unwrap_slot_key(wrapped: bytes, outputs: Sequence[Secret], vault_id: bytes, parameters: bytes) -> SlotKey | None:
    """Open what `wrap_slot_key` made, or return None: a factor is wrong, or the slot was altered."""
    key = _wrapping_key(outputs, vault_id, parameters)
    associated = _SLOT_KEY + vault_id + parameters
    nonce, sealed = wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:]
    try:
        scalar = crypto_aead_xchacha20poly1305_ietf_decrypt(sealed, associated, nonce, key)
    except CryptoError:
        return None
    return SlotKey.from_scalar(Secret(scalar))


def _wrapping_key(outputs: Sequence[Secret], vault_id: bytes, parameters: bytes) -> bytes:
    # Each output has the same length, so that their concatenation says where one ends.
    if not outputs or any(len(output) != KEY_BYTES for output in outputs):
        raise FormatError("slot.malformed", f"every factor of a slot gives {KEY_BYTES} bytes")
    joined = Secret(b"".join(output.reveal() for output in outputs))
    return _hkdf(joined, vault_id, _WRAPPING_KEY + parameters, KEY_BYTES)


def seal_data_key(data_key: Secret, slot_public_key: bytes, vault_id: bytes, entropy: Entropy) -> bytes:
    """Seal the data key to the public half of a slot key; 80 bytes."""
    ephemeral = SlotKey.from_scalar(Secret(entropy(KEY_BYTES)))
    key = _carrier_key(ephemeral.scalar, slot_public_key, ephemeral.public_key, slot_public_key, vault_id)
    sealed = crypto_aead_xchacha20poly1305_ietf_encrypt(data_key.reveal(), _DATA_KEY + vault_id, _SINGLE_USE_NONCE, key)
    return ephemeral.public_key + sealed


def open_data_key(sealed: bytes, slot_key: SlotKey, vault_id: bytes) -> Secret:
    """Open what `seal_data_key` made.

    Raises:
        VaultError: ``vault.damaged`` if it was altered.
    """
    ephemeral_public = sealed[:KEY_BYTES]
    try:
        key = _carrier_key(slot_key.scalar, ephemeral_public, ephemeral_public, slot_key.public_key, vault_id)
        data_key = crypto_aead_xchacha20poly1305_ietf_decrypt(
            sealed[KEY_BYTES:], _DATA_KEY + vault_id, _SINGLE_USE_NONCE, key
        )
    except (CryptoError, VerificationError) as error:
        raise damaged("a slot does not carry its data key") from error
    return Secret(data_key)


def _carrier_key(scalar: Secret, other: bytes, ephemeral_public: bytes, slot_public: bytes, vault_id: bytes) -> bytes:
    shared = x25519.shared_secret(scalar, other)
    return _hkdf(shared, ephemeral_public + slot_public, _DATA_KEY + vault_id, KEY_BYTES)


def damaged(what: str) -> VaultError:
    """Return the error for a vault that was opened rightly and is not whole."""
    return VaultError(
        "vault.damaged",
        f"the vault is damaged: {what}",
        "the state before the last change is kept next to it, with .previous at the end of its name",
    )
