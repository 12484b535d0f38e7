"""Devices that approve, of whatever kind: security keys, and Ledgers.

Spec: docs/spec/approval.md, "Making".
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Protocol

from walletcli.core.approval import RELYING_PARTY, Approval, Subject
from walletcli.core.document_parts import Approver, Form
from walletcli.signers.devices.hidapi import PluggedKey, plugged_keys, plugged_ledgers
from walletcli.signers.devices.ledger import Ledger, is_approver_path
from walletcli.signers.devices.opening import opened, opened_ledger
from walletcli.signers.devices.prompts import KeyPrompts
from walletcli.signers.devices.security_key import SecurityKey


class ApprovingDevice(Protocol):
    """An open device that can approve."""

    def fits(self, approver: Approver, credential_id: bytes) -> bool:
        """Tell whether it is this approver; nobody touches it for this.

        Args:
            approver: as the document names it.
            credential_id: what the wallet keeps to ask it by.

        Raises:
            SignerError: ``key.*``, ``ledger.*``.
        """
        ...

    def approve(self, approver: Approver, credential_id: bytes, subject: Subject) -> Approval:
        """Have its owner approve.

        Args:
            approver: that it is.
            credential_id: what the wallet keeps to ask it by.
            subject: what is approved.

        Raises:
            SignerError: ``key.*``, ``ledger.*``.
        """
        ...


class KeyApprover:
    """A security key that approves.

    Args:
        key: open.
    """

    def __init__(self, key: SecurityKey) -> None:
        self._key = key

    def fits(self, approver: Approver, credential_id: bytes) -> bool:
        """Tell whether it made the credential; a key that wants its PIN for all is taken for one that did."""
        return approver.form is Form.ASSERTION and self._key.knows(credential_id, RELYING_PARTY)

    def approve(self, approver: Approver, credential_id: bytes, subject: Subject) -> Approval:
        """Have it touched."""
        return self._key.approve(credential_id, approver, subject)


class LedgerApprover:
    """A Ledger that approves.

    Args:
        ledger: open.
        prompts: told what it must show.
    """

    def __init__(self, ledger: Ledger, prompts: KeyPrompts) -> None:
        self._ledger = ledger
        self._prompts = prompts

    def fits(self, approver: Approver, credential_id: bytes) -> bool:
        """Tell whether its key at the path is the approver's."""
        is_path = approver.form is Form.SIGNED_TEXT and is_approver_path(credential_id)
        return is_path and self._ledger.holds(credential_id, approver.public_key)

    def approve(self, approver: Approver, credential_id: bytes, subject: Subject) -> Approval:
        """Have the text read and confirmed."""
        return self._ledger.approve(credential_id, approver, subject, self._prompts)


def plugged_approvers(wanted: Sequence[Approver]) -> tuple[PluggedKey, ...]:
    """Return the devices that are plugged in, of those kinds that some approvers are.

    Raises:
        MissingExtraError: ``key.no-hidapi``.
        SignerError: ``key.no-list``.
    """
    forms = {approver.form for approver in wanted}
    keys = plugged_keys() if Form.ASSERTION in forms else ()
    return (*keys, *(plugged_ledgers() if Form.SIGNED_TEXT in forms else ()))


@contextlib.contextmanager
def opened_approver(plugged: PluggedKey, prompts: KeyPrompts) -> Iterator[ApprovingDevice]:
    """Open a device of either kind for a ``with`` block.

    Raises:
        SignerError: ``key.*``, ``ledger.*``.
        MissingExtraError: ``key.no-hidapi``.
    """
    if plugged.is_ledger:
        with opened_ledger(plugged) as ledger:
            yield LedgerApprover(ledger, prompts)
        return
    with opened(plugged, prompts) as key:
        yield KeyApprover(key)
