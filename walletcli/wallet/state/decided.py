"""What an owner has decided about an identity, as one value: has it changed since something was drafted from it?"""

from __future__ import annotations

import hashlib

from walletcli.core import cbor
from walletcli.wallet.state.view import IdentityView


def decisions_hash(identity: IdentityView) -> bytes:
    """Return SHA-256 (32 bytes) of what the owner has decided: the same as long as nothing else is decided."""
    retired = identity.retired
    named = [identity.ssh_key] if identity.names_ssh_key else []
    return hashlib.sha256(
        cbor.encode(
            [
                identity.label,
                identity.profile,
                identity.sealed_profile,
                [retired.day, retired.reason] if retired is not None else None,
                list(identity.bindings) if identity.bindings is not None else None,
                [share.to_row() for share in identity.shares],
                list(identity.revoked),
                *named,
                *([[item.to_row() for item in identity.ssh_credentials]] if identity.ssh_credentials else []),
                *([identity.approvers.to_row()] if identity.approvers is not None else []),
                *([[item.to_row() for item in identity.healing]] if identity.healing else []),
            ]
        )
    ).digest()
