"""ES256: ECDSA over P-256 with SHA-256, verification only: security keys sign so, no key of walletcli's own does.

Spec: FIPS 186-5; SEC 1 section 2.3 (points); RFC 3279 section 2.2.3 (the signature in DER, as FIDO2 gives it).
"""

from __future__ import annotations

from typing import Final

from walletcli.errors import VerificationError

PUBLIC_KEY_BYTES: Final = 33
"""Length of a compressed point: 0x02 or 0x03, then x."""

MAX_SIGNATURE_BYTES: Final = 72
"""Longest signature in DER: two integers of 33 bytes, each with a head of two, in a sequence with a head of two."""


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
