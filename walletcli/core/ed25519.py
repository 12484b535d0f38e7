"""Ed25519 signing keys and strict verification.

Spec: RFC 8032 section 5.1 (pure Ed25519). Stricter than that text wherever implementations differ, so that everybody
who verifies comes to the same answer: S at or above the group order is refused, and so are points that are not in their
one encoding and points of small order, for the public key A and for the commitment R alike. docs/spec/keys.md.
"""

from __future__ import annotations

from typing import Final

from nacl import bindings
from nacl.exceptions import BadSignatureError

from walletcli.core.secret import Secret
from walletcli.errors import FormatError, VerificationError

PUBLIC_KEY_BYTES: Final = 32
"""Length of a public key: the encoded point A, bytes (RFC 8032 section 5.1.5)."""

SIGNATURE_BYTES: Final = 64
"""Length of a signature: R and S, bytes (RFC 8032 section 5.1.6)."""

SEED_BYTES: Final = 32
"""Length of a private key as RFC 8032 has it, bytes."""

_P: Final = 2**255 - 19
_Y_MASK: Final = 2**255 - 1

_SMALL_ORDER: Final = frozenset(
    (y | sign << 255).to_bytes(32, "little")
    for sign in (0, 1)
    for y in (
        0,
        1,
        _P - 1,
        0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826,
        _P - 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826,
    )
)
"""Encodings of the points whose order divides 8, with either sign bit."""

_open = bindings.crypto_sign_open


class SigningKey:
    """An Ed25519 key pair; the private half stays in a `Secret`.

    Args:
        seed: 32 bytes, the private key of RFC 8032.

    Raises:
        FormatError: `key.seed-length`: the seed is not 32 bytes long.
    """

    __slots__ = ("_expanded", "public_key")

    public_key: Final[bytes]

    def __init__(self, seed: Secret) -> None:
        if len(seed) != SEED_BYTES:
            raise FormatError("key.seed-length", f"an Ed25519 seed has {len(seed)} bytes, {SEED_BYTES} needed")
        self.public_key, secret_key = bindings.crypto_sign_seed_keypair(seed.reveal())
        self._expanded = Secret(secret_key)  # libsodium's form: seed ‖ public key

    @property
    def seed(self) -> Secret:
        """The 32 bytes that the key pair was made from."""
        return Secret(self._expanded.reveal()[:SEED_BYTES])

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature of `message`; deterministic."""
        return bindings.crypto_sign(message, self._expanded.reveal())[:SIGNATURE_BYTES]

    def __repr__(self) -> str:
        return f"SigningKey(public_key={self.public_key.hex()})"


def verify(public_key: bytes, message: bytes, signature: bytes) -> None:
    """Check `signature` over exactly these bytes.

    Args:
        public_key: 32 bytes.
        message: any length.
        signature: 64 bytes, R ‖ S.

    Raises:
        VerificationError: `signature.invalid`: wrong lengths, a point of small order or not in its one encoding, S out
            of range, or simply not this key's signature of this message.
    """
    if len(public_key) != 32 or len(signature) != 64:
        raise VerificationError("signature.invalid", "a signature is 64 bytes and its public key 32")
    # libsodium checks S, small order, and the encoding of A; whether it checks the encoding of R depends on its
    # version. Only y from 2^255 - 19 up is at stake, so the last byte settles nearly every case.
    if signature[31] & 0x7F == 0x7F and not _is_canonical(signature[:32]):
        raise VerificationError("signature.invalid", "the signature's point R is not in its one encoding")
    try:
        _open(signature + message, public_key)
    except BadSignatureError as error:
        raise VerificationError("signature.invalid", "the signature does not verify") from error


def check_public_key(public_key: bytes) -> None:
    """Check that `public_key` can be an honest key: a point of the prime-order group in its one encoding.

    Costs about as much as verifying a signature.

    Raises:
        FormatError: `key.malformed`: not 32 bytes, y not below 2^255 - 19, not on the curve, of small or mixed order.
    """
    check_encoding(public_key)
    if not bindings.crypto_core_ed25519_is_valid_point(public_key):
        raise FormatError("key.malformed", "the public key is not a point of the prime-order group of Ed25519")


def check_encoding(public_key: bytes) -> None:
    """Check what costs next to nothing: length, the one encoding, and none of the points of small order.

    For keys that are read long before they are used; `verify` and `check_public_key` do the rest.

    Raises:
        FormatError: `key.malformed`.
    """
    if len(public_key) != PUBLIC_KEY_BYTES:
        raise FormatError("key.malformed", f"a public key has {len(public_key)} bytes, {PUBLIC_KEY_BYTES} needed")
    if public_key in _SMALL_ORDER or (public_key[31] & 0x7F == 0x7F and not _is_canonical(public_key)):
        raise FormatError("key.malformed", "the public key is not canonical or of small order")


def _is_canonical(point: bytes) -> bool:
    """Tell whether the 32-byte encoding holds a y below the field's prime (RFC 8032 section 5.1.3 step 1)."""
    return int.from_bytes(point, "little") & _Y_MASK < _P
