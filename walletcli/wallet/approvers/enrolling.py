"""Makes a device an approver of an identity: a security key, or a Ledger.

Spec: docs/spec/approval.md, "Making"; docs/spec/ledger.md, "The key".
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence

from walletcli.core.approval import EDDSA, Subject
from walletcli.core.document_parts import Approver, Form
from walletcli.errors import SignerError, UsageError
from walletcli.signers.devices.hidapi import PluggedKey, plugged_keys, plugged_ledgers
from walletcli.signers.devices.ledger import FIRST_ACCOUNT, approver_path, is_approver_path
from walletcli.signers.devices.new_approver import NewApprover
from walletcli.signers.devices.opening import only_key, opened, opened_ledger
from walletcli.signers.devices.prompts import KeyPrompts
from walletcli.wallet.linkability import accepted_keys
from walletcli.wallet.shared_keys import shared_links
from walletcli.wallet.state.view import IdentityView

_PATH_NUMBERS = (1 << 31) - FIRST_ACCOUNT


def chosen_device(which: str | None) -> PluggedKey:
    """Return the plugged-in device that can approve with a path or serial number, or the only one for None.

    Raises:
        SignerError: ``key.none``, ``key.several``, ``key.no-list``.
        UsageError: ``key.unknown``.
        MissingExtraError: ``key.no-hidapi``.
    """
    there = (*plugged_keys(), *plugged_ledgers())
    if not there:
        hint = "put one in and try again; a Ledger has to be unlocked"
        raise SignerError("key.none", "no security key is plugged in, and no Ledger", hint)
    if which is None:
        return only_key(there)
    found = [device for device in there if which in (device.path, device.serial)]
    if not found:
        hint = "see: walletcli key list"
        raise UsageError("key.unknown", f"no security key {which} is plugged in, and no Ledger", hint)
    return only_key(found)


def enrol(
    plugged: PluggedKey,
    prompts: KeyPrompts,
    identity: IdentityView,
    identities: Sequence[IdentityView],
    *,
    verify: bool,
    accept_link: bool,
) -> tuple[NewApprover, tuple[str, ...]]:
    """Have a device make a key for an identity, and approve something that nobody uses.

    Args:
        plugged: the device.
        prompts: asks its owner.
        identity: that it shall approve for.
        identities: all of the wallet.
        verify: its approvals need its PIN; a Ledger's always do.
        accept_link: go ahead though it approves for another identity of the wallet, and its approvals would tell.

    Returns:
        The new approver, and the names of the links that were accepted for it.

    Raises:
        SignerError: ``key.*``, ``ledger.*``.
        UsageError: ``ledger.has-pin``.
        InputError: ``link.would-link``.
        MissingExtraError: ``key.no-hidapi``.
    """
    rehearsal = Subject.rehearsal(identity.public_key, os.urandom(32))
    if plugged.is_ledger:
        if not verify:
            hint = "leave --no-pin out"
            raise UsageError("ledger.has-pin", "a Ledger is always unlocked with its PIN", hint)
        return _new_on_ledger(plugged, prompts, identity, rehearsal), ()
    before = [item.credential_id for item in identity.credentials if not is_approver_path(item.credential_id)]
    with opened(plugged, prompts) as key:
        accepted = accepted_keys(shared_links(key, identity, identities), accept=accept_link)
        made = key.new_approver(before, verify=verify)
        key.approve(made.credential_id, made.approver, rehearsal)
    return made, accepted


def _new_on_ledger(plugged: PluggedKey, prompts: KeyPrompts, identity: IdentityView, rehearsal: Subject) -> NewApprover:
    path = approver_path(FIRST_ACCOUNT + secrets.randbelow(_PATH_NUMBERS))
    with opened_ledger(plugged) as ledger:
        for item in identity.credentials:
            if is_approver_path(item.credential_id) and ledger.holds(item.credential_id, item.public_key):
                raise SignerError(
                    "ledger.already-approver",
                    f"this device approves for {identity.label!r} already",
                    f"see: walletcli identity approver list {identity.label_word}",
                )
        approver = Approver(EDDSA, ledger.public_key(path), user_verification=False, form=Form.SIGNED_TEXT)
        ledger.approve(path, approver, rehearsal, prompts)
    return NewApprover(path, approver)
