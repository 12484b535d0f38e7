"""Which relay a contact's record is kept alive at: each relay gets a share of the contacts, and always the same.

Spec: docs/spec/keepalive.md, "Which relay".
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

from walletcli.net.addresses import NodeAddress
from walletcli.wallet.state.view import IdentityView

MIN_RELAYS: Final = 3
"""Fewest relays among which contacts are spread: with fewer, one of them learns of half of the contacts or of all."""

_LABEL: Final = b"walletcli keepalive 1"


def placing_key(identity: IdentityView) -> bytes:
    """Return the key (32 bytes) of an identity's placing.

    It follows from the public half of the recovery recipient, which the owner's devices know and nobody else: they
    place alike, before and after a restore, and no relay can tell what is placed elsewhere.
    """
    return hashlib.sha256(_LABEL + identity.recovery_key).digest()


def relay_for(key: bytes, contact: bytes, relays: Sequence[NodeAddress], moved: int = 0) -> NodeAddress:
    """Return where a contact's record is kept alive.

    The relays are ranked for each contact anew, by a keyed hash. One that goes leaves only its own contacts to others,
    and one that comes takes its share from all of them.

    Args:
        key: of the placing, 32 bytes.
        contact: root key, 32 bytes.
        relays: at least one, no two alike.
        moved: how many were given up on.
    """
    ranked = sorted(
        relays, key=lambda relay: hmac.digest(key, contact + relay.to_text().encode("utf-8"), "sha256"), reverse=True
    )
    return ranked[moved % len(ranked)]
