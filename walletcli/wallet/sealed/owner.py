"""Whose sealed data it is, and what it takes to read and to write it; the keys stay behind callbacks.

Spec: docs/spec/sealed-data.md, "Items and pieces".
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from walletcli.core import sealed
from walletcli.core.document_parts import Power
from walletcli.core.manifest import Manifest
from walletcli.wallet.state.draft import last_document

if TYPE_CHECKING:
    from walletcli.wallet.access.session import Session
    from walletcli.wallet.state.view import IdentityView

Unseal: TypeAlias = Callable[[bytes, bytes], bytes]
"""Opens sealed bytes that stand in a context; raises `VerificationError` ``sealed.*``."""

INDEX_LABEL: Final = b"walletcli data index 1"
"""First part of the index's sealing context; the root public key follows."""

PIECE_LABEL: Final = b"walletcli data piece 1"
"""First part of a piece's sealing context; root public key and blob id follow."""


def index_context(identity: bytes) -> bytes:
    """Return the sealing context of an identity's index."""
    return INDEX_LABEL + identity


def piece_context(identity: bytes, blob_id: bytes) -> bytes:
    """Return the sealing context of a piece."""
    return PIECE_LABEL + identity + blob_id


@dataclass(frozen=True, slots=True)
class Owner:
    """A device of an identity, with what it may do.

    Attributes:
        identity: root key, 32 bytes.
        device: this device's signing key, 32 bytes.
        devices: signing keys of all devices that may write today: those of the latest document, and this one.
        recipients: X25519 keys that everything is sealed to, 32 bytes each, ascending.
        unseal: opens what is sealed to this device or to the recovery recipient.
        sign: signs a manifest's payload as this device; returns the COSE_Sign1.
        entropy: gives as many random bytes as asked.
    """

    identity: bytes
    device: bytes
    devices: frozenset[bytes]
    recipients: tuple[bytes, ...]
    unseal: Unseal
    sign: Callable[[bytes], bytes]
    entropy: Callable[[int], bytes] = os.urandom

    @classmethod
    def of(cls, session: Session, identity: IdentityView) -> Owner:
        """Return this device as owner of `identity`, one of the open wallet's."""
        document = last_document(identity)
        hosts = [item for item in (document.delegations if document is not None else ()) if Power.HOST in item.powers]
        keys = {item.sealing_key for item in hosts} | {identity.device_sealing_key, identity.recovery_key}
        devices = frozenset({item.signing_key for item in hosts} | {identity.device_signing_key})
        index = identity.index
        return cls(
            identity.public_key,
            identity.device_signing_key,
            devices,
            tuple(sorted(keys)),
            lambda blob, context: session.unseal(index, blob, context),
            lambda payload: session.sign_statement(index, Manifest.TYP, payload),
        )

    def seal(self, content: bytes, context: bytes) -> bytes:
        """Seal to all recipients.

        Raises:
            FormatError: ``sealed.recipients`` if there are more than 16.
        """
        return sealed.seal(content, self.recipients, self.entropy, context)

    def manifest(self, blob_id: bytes, version: int, content: bytes, previous: bytes | None = None) -> bytes:
        """Return this device's signed manifest of sealed bytes; of a deletion if they are empty."""
        digest = hashlib.sha256(content).digest() if content else None
        return self.sign(Manifest(self.identity, blob_id, version, digest, len(content), previous).to_payload())
