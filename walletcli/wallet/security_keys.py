"""Security keys of a wallet: which are plugged in, and which of its slots they open; enrols, tests and removes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from walletcli.core.secret import Secret
from walletcli.errors import InputError, SignerError, UsageError
from walletcli.signers.devices.failures import not_enrolled
from walletcli.signers.devices.hidapi import PluggedKey, plugged_keys
from walletcli.signers.devices.opening import only_key, opened
from walletcli.signers.devices.prompts import KeyPrompts
from walletcli.signers.devices.security_key import KeyFacts
from walletcli.signers.devices.unlocker import SecurityKeyFactor
from walletcli.vault.factors import Factor, PasswordFactor
from walletcli.vault.kdf import KdfParameters
from walletcli.vault.kinds import FIDO2
from walletcli.vault.slots import SlotInfo
from walletcli.vault.unopened import describe
from walletcli.wallet.access.by_key import credential_of, fitting_slot, open_slot
from walletcli.wallet.access.opening import open_vault
from walletcli.wallet.home import Home, PasswordSource
from walletcli.wallet.state.approvers import MAX_NAME_BYTES
from walletcli.wallet.status import SlotView


@dataclass(frozen=True, slots=True)
class KeyView:
    """A security key that is plugged in.

    Attributes:
        key: as the system describes it.
        facts: what it says about itself, or None if it cannot be asked.
        refused: why it cannot be asked, or None.
        slots: ids of the slots of this wallet that it opens.
    """

    key: PluggedKey
    facts: KeyFacts | None
    refused: SignerError | None
    slots: tuple[int, ...]

    @property
    def state(self) -> str:
        """What can be done with it, in one word: ``ready``, ``no-pin``, ``unsupported``, or a code without ``key.``."""
        if self.facts is None:
            return self.refused.code.removeprefix("key.") if self.refused is not None else "unsupported"
        if not self.facts.opens_vaults:
            return "unsupported"
        return "ready" if self.facts.pin_set else "no-pin"

    def to_json(self) -> dict[str, object]:
        """Return what names it, its state, and the slots that it opens."""
        return {
            "path": self.key.path,
            "name": self.key.name,
            "vendor_id": self.key.vendor_id,
            "product_id": self.key.product_id,
            "serial": self.key.serial,
            "state": self.state,
            "slots": list(self.slots),
        }


def list_keys(home: Home) -> tuple[KeyView, ...]:
    """Return the keys that are plugged in; none is touched, and the vault stays closed.

    Raises:
        MissingExtraError: ``key.no-hidapi``.
        SignerError: ``key.no-list``.
        FormatError: ``vault.*`` for a vault that is none.
    """
    slots = _key_slots(home)
    return tuple(_view(key, slots, prompts_of(home)) for key in plugged_keys())


def key_info(home: Home, which: str | None) -> KeyView:
    """Return one key.

    Args:
        home: whose slots it may open.
        which: its path or serial number; None if one only is plugged in.

    Raises:
        SignerError: ``key.none``, ``key.several``, or why it cannot be asked.
        UsageError: ``key.unknown``.
        MissingExtraError: ``key.no-hidapi``.
    """
    view = _view(chosen_key(which), _key_slots(home), prompts_of(home))
    if view.refused is not None:
        raise view.refused
    return view


def enrol_key(
    home: Home,
    password: PasswordSource,
    which: str | None = None,
    *,
    verify: bool = True,
    new_password: Secret | None = None,
    kdf: KdfParameters | None = None,
) -> SlotView:
    """Let a security key open the vault.

    Args:
        home: whose wallet.
        password: asked for what opens the vault now.
        which: path or serial number of the key; None if one only is plugged in.
        verify: the key shall ask for its PIN.
        new_password: the slot asks for this password as well; None: for the key alone.
        kdf: how much a guess at that password costs, or None for the default.

    Raises:
        SignerError: ``key.*``.
        UsageError: ``key.unknown``.
        MissingExtraError: ``key.no-hidapi``.
        VaultError: ``slot.too-many``, or as `open_vault`.
        InputError: ``password.*``, ``key.pin-*``.
    """
    home.require()
    key = chosen_key(which)
    exclude = [credential_of(slot) for slot in _key_slots(home)]
    first: list[Factor] = [] if new_password is None else [PasswordFactor(new_password, kdf)]
    vault = open_vault(home, password)
    factor = SecurityKeyFactor(prompts_of(home), key, verify=verify, exclude=exclude)
    return SlotView.of(vault.add_slot([*first, factor]))


def try_key(home: Home, password: PasswordSource, which: str | None = None) -> SlotView:
    """Open the vault by a security key, change nothing, and return the slot that it opened.

    Raises:
        SignerError: ``key.*``.
        UsageError: ``key.unknown``.
        MissingExtraError: ``key.no-hidapi``.
        VaultError: as `Vault.unlock`.
    """
    home.require()
    factor = SecurityKeyFactor(prompts_of(home), None if which is None else chosen_key(which))
    slot = fitting_slot(_key_slots(home), factor)
    if slot is None:
        raise not_enrolled()
    open_slot(Path(home.vault_path), slot, factor, password)
    return SlotView.of(slot)


def remove_key(home: Home, slot_id: int, password: PasswordSource) -> None:
    """Remove the slot of a security key; the key itself is not needed for this, but what else opens the vault is.

    Raises:
        UsageError: ``slot.unknown``, ``slot.not-a-key``.
        VaultError: ``slot.last``, or as `open_vault`.
    """
    from walletcli.wallet.slots import remove_slot

    home.require()
    slots = describe(Path(home.vault_path)).slots
    if any(slot.slot_id == slot_id and FIDO2 not in slot.kinds for slot in slots):
        hint = f"walletcli slot remove {slot_id}"
        raise UsageError("slot.not-a-key", f"slot {slot_id} has no security key", hint)
    remove_slot(home, slot_id, password)


def chosen_key(which: str | None) -> PluggedKey:
    """Return the plugged-in key with a path or serial number, or the only one for None.

    Raises:
        SignerError: ``key.none``, ``key.several``, ``key.no-list``.
        UsageError: ``key.unknown``.
        MissingExtraError: ``key.no-hidapi``.
    """
    keys = plugged_keys()
    if which is None:
        return only_key(keys)
    named = [key for key in keys if which in (key.path, key.serial)]
    if not named:
        raise UsageError("key.unknown", f"no security key {which} is plugged in", "see: walletcli key list")
    return only_key(named)


def given_name(text: str) -> str:
    """Return an owner's name for a security key, on one line.

    Raises:
        InputError: ``approver.name``.
    """
    name = " ".join(text.split())
    if not name or len(name.encode()) > MAX_NAME_BYTES or not name.isprintable():
        raise InputError("approver.name", f"a name is one line of 1 to {MAX_NAME_BYTES} bytes", "give --name NAME")
    return name


def prompts_of(home: Home) -> KeyPrompts:
    """Return who asks the owner."""
    if home.keys is None:
        raise RuntimeError("a story of security keys needs somebody to ask")
    return home.keys


def _key_slots(home: Home) -> tuple[SlotInfo, ...]:
    if not home.exists():
        return ()
    return tuple(slot for slot in describe(Path(home.vault_path)).slots if FIDO2 in slot.kinds)


def _view(key: PluggedKey, slots: Sequence[SlotInfo], prompts: KeyPrompts) -> KeyView:
    try:
        with opened(key, prompts) as device:
            facts = device.facts()
            known = [slot.slot_id for slot in slots if device.knows(credential_of(slot))]
        return KeyView(key, facts, None, tuple(known))
    except SignerError as error:
        return KeyView(key, None, error, ())
