"""Which grant of this node a document holds.

Spec: docs/spec/hosting.md, "Bound, leaving, unknown".
"""

from __future__ import annotations

import hashlib

from walletcli.core.cose import Sign1
from walletcli.core.document import MAX_GRANT_BYTES, Document
from walletcli.core.grant import Grant
from walletcli.core.statements import verify_statement
from walletcli.errors import FormatError, VerificationError
from walletcli.node.hosting.kept import Claim


def claim_of(document: Document, provider: bytes, signer: bytes) -> Claim | None:
    """Return the grant that counts: of several the one that lasts longest, then the one with the most room.

    The provider keeps to what its key has signed, whether or not its own delegation has been renewed since.

    Args:
        document: verified, or about to be named by a verified packet.
        provider: this node's root key, 32 bytes.
        signer: this node's device key, 32 bytes.
    """
    found = [claim for data in document.bindings if (claim := _claim(data, document.identity, provider, signer))]
    return max(found, key=lambda claim: (claim.not_after_day, claim.terms.quota_bytes), default=None)


def _claim(data: bytes, identity: bytes, provider: bytes, signer: bytes) -> Claim | None:
    try:
        if Sign1.from_bytes(data, MAX_GRANT_BYTES).signer != signer:  # most bindings are with others
            return None
        grant, _ = verify_statement(data, Grant, MAX_GRANT_BYTES)
    except (FormatError, VerificationError):
        return None
    if grant.provider != provider or grant.identity != identity:
        return None
    return Claim(hashlib.sha256(data).digest(), signer, grant.terms, grant.not_after_day)
