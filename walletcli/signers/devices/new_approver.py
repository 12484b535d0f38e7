"""What a security key has made for an identity that it shall approve for.

Spec: docs/spec/approval.md, "Making"; RFC 9053 sections 7.1 and 7.2 (keys).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from walletcli.core.document_parts import Approver
from walletcli.errors import FormatError
from walletcli.signers.devices.ctaphid import bad_answer

ES256: Final = -7
EDDSA: Final = -8
"""COSE numbers of the signatures that security keys are asked for."""


@dataclass(frozen=True, slots=True)
class NewApprover:
    """What a security key has made for an identity.

    Args:
        credential_id: 1 to 1023 bytes; needed to ask it.
        approver: its key, as documents name it.
    """

    credential_id: bytes
    approver: Approver


def approver_of(key: Mapping[int, Any], *, verify: bool) -> Approver:
    """Return a COSE key that a security key gave as an approver.

    Raises:
        SignerError: ``key.bad-answer``.
    """
    try:
        if (key[1], key[3], key[-1]) == (1, EDDSA, 6):
            return Approver(EDDSA, bytes(key[-2]), verify)
        if (key[1], key[3], key[-1]) == (2, ES256, 1) and len(key[-3]) == 32:
            return Approver(ES256, bytes([2 + (key[-3][31] & 1)]) + bytes(key[-2]), verify)
    except (KeyError, TypeError, FormatError) as error:
        raise bad_answer("a public key that is none") from error
    raise bad_answer("a public key of another kind than was asked for")
