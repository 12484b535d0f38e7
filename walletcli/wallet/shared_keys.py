"""Finds that one security key serves several identities of a wallet: its counter, which all see, ties them together.

Spec: docs/spec/approval.md, "What approvals give away"; docs/spec/ssh.md, "On a security key".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from walletcli.core.approval import RELYING_PARTY
from walletcli.core.ssh.security_keys import APPLICATION
from walletcli.wallet.linkability import Link, named
from walletcli.wallet.state.view import IdentityView

if TYPE_CHECKING:
    from walletcli.signers.devices.security_key import SecurityKey

LINK_KEY = "approver:key"
"""Accepted link: one security key approves or signs for several identities."""


def shared_links(device: SecurityKey, identity: IdentityView, identities: Sequence[IdentityView]) -> list[Link]:
    """Return that a security key serves other identities, unless its owner has accepted that for this one.

    Args:
        device: the open security key.
        identity: that it shall serve.
        identities: all of the wallet's.
    """
    if LINK_KEY in identity.accepted_links:
        return []
    others = [other for other in identities if other.index != identity.index and _serves(device, other)]
    text = f"this security key serves {named(others)} as well, and most keys count all that they sign in one counter"
    return [Link(LINK_KEY, text)] if others else []


def _serves(device: SecurityKey, identity: IdentityView) -> bool:
    from walletcli.signers.devices.ledger import is_approver_path

    approving = [item.credential_id for item in identity.credentials if not is_approver_path(item.credential_id)]
    asked = [(credential_id, RELYING_PARTY) for credential_id in approving]
    asked += [(item.credential_id, APPLICATION) for item in identity.ssh_credentials if item.can_be_asked]
    return any(device.knows(credential_id, party) for credential_id, party in asked)
