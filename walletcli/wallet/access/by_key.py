"""Opens a vault by a security key that is plugged in. Loaded only for vaults that have a slot for one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from walletcli.errors import MissingExtraError, SignerError
from walletcli.signers.devices.failures import not_enrolled
from walletcli.signers.devices.prompts import KeyPrompts
from walletcli.signers.devices.unlocker import SecurityKeyFactor
from walletcli.vault.factors import Factor, PasswordFactor
from walletcli.vault.file import Vault
from walletcli.vault.kinds import FIDO2, KEYRING, PASSWORD, Parameters
from walletcli.vault.slots import SlotInfo
from walletcli.wallet.home import PasswordSource


def open_by_key(path: Path, slots: Sequence[SlotInfo], prompts: KeyPrompts, password: PasswordSource) -> Vault | None:
    """Open the vault by the first slot that a plugged-in key fits.

    Args:
        path: of the vault.
        slots: all that it has.
        prompts: asks for PIN and touch.
        password: asked for the password if the slot wants it as well.

    Returns:
        The vault; None if it is to be opened by a password alone.

    Raises:
        SignerError: ``key.*``, if no password alone opens it.
        MissingExtraError: ``key.no-hidapi``, likewise.
        VaultError: as `Vault.unlock`.
    """
    otherwise = any(PASSWORD in slot.kinds and FIDO2 not in slot.kinds for slot in slots)
    if otherwise and prompts.password_first:
        return None
    factor = SecurityKeyFactor(prompts)
    try:
        slot = fitting_slot(slots, factor)
        if slot is not None and PASSWORD in slot.kinds and otherwise:
            # the password may be that of the other slot, which is then opened without a touch
            return Vault.unlock(path, [PasswordFactor(password()), factor, *_keyring(slots)])
        if slot is not None:
            return open_slot(path, slot, factor, password)
        refused: SignerError | MissingExtraError = not_enrolled()
    except (SignerError, MissingExtraError) as error:
        refused = error
    if not otherwise:
        raise refused
    if refused.code != "key.not-enrolled":  # that it is not plugged in is no news
        prompts.missed(refused.message)
    return None


def fitting_slot(slots: Sequence[SlotInfo], factor: SecurityKeyFactor) -> SlotInfo | None:
    """Return the first slot that a plugged-in key fits; no key is touched for this.

    Raises:
        MissingExtraError: ``key.no-hidapi``.
        SignerError: ``key.no-list``, or why a key cannot be asked if no other one fits.
    """
    refused: SignerError | None = None
    for slot in slots:
        if FIDO2 in slot.kinds:
            try:
                if factor.knows(key_parameters(slot)):
                    return slot
            except SignerError as error:
                refused = error
    if refused is not None:
        raise refused
    return None


def open_slot(path: Path, slot: SlotInfo, factor: SecurityKeyFactor, password: PasswordSource) -> Vault:
    """Open the vault by one slot.

    Raises:
        VaultError: as `Vault.unlock`.
        SignerError: ``key.*``.
    """
    known: list[Factor] = [PasswordFactor(password())] if PASSWORD in slot.kinds else []
    return Vault.unlock(path, [factor, *known, *_keyring([slot])], only=slot.slot_id)


def _keyring(slots: Sequence[SlotInfo]) -> list[Factor]:
    from walletcli.wallet.access.opening import keyring_factor

    return [keyring_factor()] if any(KEYRING in slot.kinds for slot in slots) else []


def key_parameters(slot: SlotInfo) -> Parameters:
    """Return what the header says about the security key of a slot that asks for one."""
    return next(factor.parameters for factor in slot.factors if factor.kind == FIDO2)


def credential_of(slot: SlotInfo) -> bytes:
    """Return the credential id of a slot that asks for a security key."""
    credential_id = key_parameters(slot)[1]
    assert isinstance(credential_id, bytes)
    return credential_id
