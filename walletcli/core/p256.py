"""ES256: ECDSA over P-256 with SHA-256, verification only: security keys sign so, no key of walletcli's own does.

Points and signatures are re-encoded here as well, for SSH spells both in another way than FIDO2.

Spec: FIPS 186-5; SEC 1 section 2.3 (points); RFC 3279 section 2.2.3 (the signature in DER, as FIDO2 gives it).
"""

from __future__ import annotations

from typing import Final

from walletcli.errors import FormatError, VerificationError

PUBLIC_KEY_BYTES: Final = 33
"""Length of a compressed point: 0x02 or 0x03, then x."""

MAX_SIGNATURE_BYTES: Final = 72
"""Longest signature in DER: two integers of 33 bytes, each with a head of two, in a sequence with a head of two."""

_P: Final = 2**256 - 2**224 + 2**192 + 2**96 - 1
_B: Final = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
_SEQUENCE, _INTEGER = 0x30, 0x02


def uncompressed(public_key: bytes) -> bytes:
    """Return a point in its long form: 0x04, x, y; 65 bytes.

    Args:
        public_key: compressed point, 33 bytes.

    Raises:
        FormatError: ``key.malformed`` if that is no point of the curve.
    """
    x = int.from_bytes(public_key[1:], "big")
    square = (x * x * x - 3 * x + _B) % _P
    y = pow(square, (_P + 1) // 4, _P)
    if len(public_key) != PUBLIC_KEY_BYTES or public_key[0] not in (2, 3) or x >= _P or y * y % _P != square:
        raise FormatError("key.malformed", "the key is no compressed point of P-256")
    y = y if y & 1 == public_key[0] & 1 else _P - y
    return b"\x04" + public_key[1:] + y.to_bytes(32, "big")


def compressed(point: bytes) -> bytes:
    """Return a point in its short form, 33 bytes.

    Args:
        point: 0x04, x, y; 65 bytes.

    Raises:
        FormatError: ``key.malformed`` if that is no point of the curve.
    """
    short = bytes([2 + (point[-1] & 1)]) + point[1:33] if len(point) == 65 else b""
    if not short or uncompressed(short) != point:
        raise FormatError("key.malformed", "the key is no point of P-256 in its long form")
    return short


def to_der(r: int, s: int) -> bytes:
    """Return DER of two positive integers of at most 32 bytes."""
    numbers = (number.to_bytes(number.bit_length() // 8 + 1, "big") for number in (r, s))
    parts = b"".join(bytes([_INTEGER, len(number)]) + number for number in numbers)
    return bytes([_SEQUENCE, len(parts)]) + parts


def from_der(signature: bytes) -> tuple[int, int]:
    """Return the two integers of a signature in DER.

    Raises:
        VerificationError: ``signature.invalid`` if it is not in its one encoding.
    """
    if not 8 <= len(signature) <= MAX_SIGNATURE_BYTES:
        raise VerificationError("signature.invalid", "a P-256 signature has 8 to 72 bytes")
    r_end = 4 + signature[3]
    r, s = int.from_bytes(signature[4:r_end], "big"), int.from_bytes(signature[r_end + 2 :], "big")
    if max(r, s).bit_length() > 256 or to_der(r, s) != signature:
        raise VerificationError("signature.invalid", "the signature is not in its one encoding")
    return r, s


def verify(public_key: bytes, message: bytes, signature: bytes) -> None:
    """Check an ECDSA signature over the SHA-256 of exactly these bytes.

    Args:
        public_key: compressed point, 33 bytes.
        message: any length.
        signature: DER of r and s, at most 72 bytes, in its one encoding.

    Raises:
        VerificationError: ``signature.invalid``: wrong lengths, no point of the curve, another encoding than DER's, or
            simply not this key's signature of this message.
    """
    from cryptography.exceptions import InvalidSignature  # takes a tenth of a second, and few identities need it
    from cryptography.hazmat.primitives.asymmetric import ec, utils
    from cryptography.hazmat.primitives.hashes import SHA256

    if len(public_key) != PUBLIC_KEY_BYTES or len(signature) > MAX_SIGNATURE_BYTES:
        raise VerificationError("signature.invalid", "a P-256 key has 33 bytes, and a signature at most 72")
    try:
        if utils.encode_dss_signature(*utils.decode_dss_signature(signature)) != signature:
            raise VerificationError("signature.invalid", "the signature is not in its one encoding")
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), public_key)
        key.verify(signature, message, ec.ECDSA(SHA256()))
    except (InvalidSignature, ValueError) as error:
        raise VerificationError("signature.invalid", "the signature does not verify") from error
