"""Who may sign in an identity's name.

Spec: docs/spec/cose.md.
"""

from __future__ import annotations

from walletcli.core.cose import Sign1
from walletcli.core.document import Document
from walletcli.core.document_parts import Power
from walletcli.core.record import Record
from walletcli.errors import VerificationError


def check_authority(
    sign1: Sign1, identity: bytes, record: Record | Document, power: Power, day: int, *, root_allowed: bool
) -> None:
    """Check that a signer may sign for `identity`: its root, or a device that has `power` on `day`.

    Raises:
        VerificationError: ``authority.identity``, ``authority.not-delegated``, ``authority.power``,
            ``authority.expired``.
    """
    document = record.document if isinstance(record, Record) else record
    if sign1.signer == identity and root_allowed:
        return
    if document is None or document.identity != identity:
        raise VerificationError("authority.identity", "the record is another identity's, or has no document")
    found = next((item for item in document.delegations if item.signing_key == sign1.signer), None)
    if found is None:
        raise VerificationError("authority.not-delegated", "the signer is no device of the identity")
    if power not in found.powers:
        raise VerificationError("authority.power", f"the device may not {power}")
    if not found.holds_on(day):
        raise VerificationError("authority.expired", "the device's delegation does not hold on that day")
