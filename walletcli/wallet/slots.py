"""What opens the vault: lists, adds and removes slots, and changes the password.

These need the password (or the keyring) itself: an unlocked agent is no leave to add another way in.
"""

from __future__ import annotations

from pathlib import Path

from walletcli.core.secret import Secret
from walletcli.vault.factors import PasswordFactor
from walletcli.vault.kdf import KdfParameters
from walletcli.vault.kinds import KEYRING
from walletcli.vault.unopened import describe
from walletcli.wallet.access.opening import keyring_factor, open_vault
from walletcli.wallet.home import Home, PasswordSource
from walletcli.wallet.status import SlotView


def list_slots(home: Home) -> tuple[SlotView, ...]:
    """Return the slots, by id; the vault stays closed.

    Raises:
        VaultError: ``wallet.missing``.
    """
    home.require()
    return tuple(SlotView.of(slot) for slot in describe(Path(home.vault_path)).slots)


def add_password_slot(home: Home, password: PasswordSource, new: Secret, kdf: KdfParameters | None = None) -> SlotView:
    """Let one more password open the vault.

    Raises:
        VaultError: ``slot.too-many``, or as `open_vault`.
        InputError: ``password.*``.
    """
    return SlotView.of(open_vault(home, password).add_slot([PasswordFactor(new, kdf)]))


def add_keyring_slot(home: Home, password: PasswordSource) -> SlotView:
    """Let the operating system's keyring open the vault.

    Raises:
        VaultError: ``keyring.*``, ``slot.too-many``, or as `open_vault`.
    """
    return SlotView.of(open_vault(home, password).add_slot([keyring_factor()]))


def remove_slot(home: Home, slot_id: int, password: PasswordSource) -> None:
    """Remove a slot; the data key is replaced, so an agent that holds the old one locks itself.

    Raises:
        VaultError: ``slot.last``, or as `open_vault`.
        UsageError: ``slot.unknown``.
    """
    vault = open_vault(home, password)
    uses_keyring = any(slot.slot_id == slot_id and KEYRING in slot.kinds for slot in vault.slots)
    vault.remove_slot(slot_id, [keyring_factor()] if uses_keyring else [])


def change_password(
    home: Home, old: PasswordSource, new: Secret, slot_id: int | None = None, kdf: KdfParameters | None = None
) -> SlotView:
    """Replace the password of a slot; the data key is replaced, so an agent that holds the old one locks itself.

    Args:
        home: whose wallet.
        old: asked for the password if the keyring does not open the vault.
        new: the new password.
        slot_id: which slot; None if only one has a password.
        kdf: how much a guess at the new password costs, or None for the default.

    Raises:
        UsageError: ``slot.*``.
        VaultError: as `open_vault`.
        InputError: ``password.*``.
    """
    vault = open_vault(home, old)
    others = [keyring_factor()] if any(KEYRING in slot.kinds and len(slot.kinds) > 1 for slot in vault.slots) else []
    return SlotView.of(vault.change_password(PasswordFactor(new, kdf), slot_id, others))
