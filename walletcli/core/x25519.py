"""X25519 key agreement for sealing.

Spec: RFC 7748 section 6.1; docs/spec/sealed.md.
"""

from __future__ import annotations

from nacl.bindings import crypto_scalarmult, crypto_scalarmult_base
from nacl.exceptions import CryptoError

from walletcli.core.secret import Secret
from walletcli.errors import FormatError, VerificationError

KEY_BYTES = 32
"""Length of a scalar, of a public key and of a shared secret."""

_P = 2**255 - 19

_SMALL_ORDER = frozenset(
    value.to_bytes(32, "little")
    for value in (
        0,
        1,
        0x00B8495F16056286FDB1329CEB8D09DA6AC49FF1FAE35616AEB8413B7C7AEBE0,
        0x57119FD0DD4E22D8868E1C58C45C44045BEF839C55B1D0B1248C50A3BC959C5F,
        _P - 1,
    )
)


def check_public_key(public_key: bytes) -> None:
    """Refuse keys that are not 32 bytes, not canonical, or of small order.

    Raises:
        FormatError: ``key.malformed``.
    """
    if len(public_key) != KEY_BYTES:
        raise FormatError("key.malformed", f"an X25519 key has {KEY_BYTES} bytes, found {len(public_key)}")
    if public_key in _SMALL_ORDER or (public_key[31] >= 0x7F and int.from_bytes(public_key, "little") >= _P):
        raise FormatError("key.malformed", "the X25519 key is not canonical or of small order")


def public_key(scalar: Secret) -> bytes:
    """Return the public key (32 bytes) of a scalar (32 bytes, clamped on use).

    Raises:
        FormatError: ``key.malformed`` for a scalar of another length.
    """
    _check_scalar(scalar)
    return crypto_scalarmult_base(scalar.reveal())


def shared_secret(scalar: Secret, other: bytes) -> Secret:
    """Agree on a shared secret of 32 bytes.

    Raises:
        FormatError: ``key.malformed`` for a scalar or key of another length.
        VerificationError: ``sealed.weak-key`` if the result would be all zero.
    """
    _check_scalar(scalar)
    if len(other) != KEY_BYTES:
        raise FormatError("key.malformed", f"an X25519 key has {KEY_BYTES} bytes, found {len(other)}")
    try:
        return Secret(crypto_scalarmult(scalar.reveal(), other))
    except (CryptoError, RuntimeError) as error:
        raise VerificationError("sealed.weak-key", "the key agreement gave no secret") from error


def _check_scalar(scalar: Secret) -> None:
    if len(scalar) != KEY_BYTES:
        raise FormatError("key.malformed", f"an X25519 scalar has {KEY_BYTES} bytes, found {len(scalar)}")
