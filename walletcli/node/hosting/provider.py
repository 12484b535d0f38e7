"""Who this node is as a provider: its record, the key that grants, and the terms of today."""

from __future__ import annotations

import os
import secrets
import time
from typing import Final

from walletcli.client.host_answers import Offer
from walletcli.core.cose import Sign1
from walletcli.core.document import Document
from walletcli.core.document_parts import Power
from walletcli.core.grant import NONCE_BYTES, Grant, Terms
from walletcli.core.short_record import to_short
from walletcli.node.config import Hosting, Policy
from walletcli.node.hosting.claims import claim_of
from walletcli.node.hosting.kept import Claim
from walletcli.node.identity import NodeIdentity

DAY_S: Final = 86_400
_SPREAD_DAYS: Final = 7
"""The first day of a grant lies up to so many days back, so that days do not tell who came together."""


def today() -> int:
    """Return the day by this machine's clock, days since 1970-01-01 (UTC)."""
    return int(time.time()) // DAY_S


class Provider:
    """Signs grants, and recognises them.

    Args:
        identity: the node's record and daily keys.
        settings: what the operator set.

    Attributes:
        settings: the same; replaced when the operator changes them.
    """

    def __init__(self, identity: NodeIdentity, settings: Hosting) -> None:
        self._identity = identity
        self.settings = settings

    @property
    def key(self) -> bytes:
        """The node's root key, 32 bytes."""
        return self._identity.record.packet.public_key

    @property
    def signer(self) -> bytes:
        """The device key that signs grants, 32 bytes."""
        return self._identity.device.signing.public_key

    @property
    def is_off(self) -> bool:
        """Whether this node hosts nobody."""
        return self.settings.policy is Policy.OFF

    @property
    def is_open(self) -> bool:
        """Whether anybody gets a grant."""
        return self.settings.policy is Policy.OPEN

    def may_grant(self) -> bool:
        """Tell whether the node's record lets the device key grant today, and says where to find the node."""
        document = self._identity.record.document
        if document is None or not any(address.pin for address in document.addresses):
            return False
        return any(
            item.signing_key == self.signer and Power.GRANT in item.powers and item.holds_on(today())
            for item in document.delegations
        )

    def offer(self) -> bytes:
        """Return the offer of now."""
        return Offer(self._identity.record, self.settings.terms, self.is_open, int(time.time())).to_bytes()

    def grant(self, identity: bytes, quota_bytes: int) -> bytes:
        """Sign a grant.

        Args:
            identity: whom it is for, root key of 32 bytes.
            quota_bytes: room; at most that of the terms.

        Returns:
            The COSE_Sign1, at most 4096 bytes.
        """
        settings = self.settings
        terms = Terms(quota_bytes, settings.retention_days, settings.terms.max_blob_bytes)
        first_day = today() - 1 - secrets.randbelow(_SPREAD_DAYS)
        last_day = first_day + settings.grant_days - secrets.randbelow(settings.grant_days // 10 + 1)
        evidence = to_short(self._identity.record)
        said = Grant(self.key, identity, terms, os.urandom(NONCE_BYTES), first_day, last_day, evidence)
        return Sign1.sign(self._identity.device.signing, Grant.TYP, said.to_payload()).to_bytes()

    def claim_of(self, document: Document) -> Claim | None:
        """Return the grant of this node that a document holds, or None."""
        return claim_of(document, self.key, self.signer) if document.bindings else None
