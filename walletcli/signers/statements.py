"""Signs typed statements (COSE_Sign1) with a key that is in this process.

Spec: docs/spec/cose.md.
"""

from __future__ import annotations

from walletcli.core.cose import Sign1
from walletcli.core.ed25519 import SigningKey
from walletcli.errors import SignerError, VerificationError


def sign_statement(key: SigningKey, typ: str, payload: bytes) -> bytes:
    """Sign a payload that was decoded and allowed before.

    A fault while signing can give away an Ed25519 key, so the signature is verified before anybody sees it.

    Args:
        key: a device key or a root key.
        typ: type of the statement.
        payload: its content.

    Returns:
        The COSE_Sign1, tagged.

    Raises:
        SignerError: ``signer.failed``.
    """
    signed = Sign1.sign(key, typ, payload)
    try:
        signed.verify()
    except VerificationError as error:
        raise SignerError(
            "signer.failed", "the signer's own signature does not verify", "check this machine's memory, then try again"
        ) from error
    return signed.to_bytes()
