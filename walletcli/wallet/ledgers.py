"""Ledgers: which are plugged in, and what one says about itself.

Spec: docs/spec/ledger.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from walletcli.errors import SignerError, UsageError
from walletcli.signers.devices.hidapi import PluggedKey, is_one_of, plugged_ledgers
from walletcli.signers.devices.ledger import LedgerApp
from walletcli.signers.devices.opening import opened_ledger

CHECKED: Final = "against the published protocol, the maker's client and framing only, not the device's firmware"
"""How far what is said about these devices was checked."""


@dataclass(frozen=True, slots=True)
class LedgerView:
    """A Ledger that is plugged in.

    Attributes:
        device: as the system describes it.
        app: the application that is open on it, or None if it was not asked or does not say.
        refused: why it does not say, or None.
    """

    device: PluggedKey
    app: LedgerApp | None = None
    refused: SignerError | None = None

    @property
    def fault(self) -> SignerError | None:
        """Why it cannot approve as it is, or None."""
        return self.refused if self.app is None else self.app.fault

    @property
    def state(self) -> str:
        """What can be done with it, in one word: ``ready``, or a code without its first part."""
        return "ready" if self.fault is None else self.fault.code.partition(".")[2]

    def to_json(self) -> dict[str, object]:
        """Return what names it, its state, and which application is open on it."""
        return {
            "path": self.device.path,
            "name": self.device.name,
            "vendor_id": self.device.vendor_id,
            "product_id": self.device.product_id,
            "serial": self.device.serial,
            "state": self.state,
            "app": self.app.name if self.app is not None else None,
            "app_version": self.app.version if self.app is not None else None,
            "checked": CHECKED,
        }


def list_ledgers() -> tuple[LedgerView, ...]:
    """Return the Ledgers that are plugged in; each is asked which application is open on it.

    Raises:
        MissingExtraError: ``key.no-hidapi``.
        SignerError: ``key.no-list``.
    """
    return tuple(map(_view, plugged_ledgers()))


def is_ledger(which: str | None) -> bool:
    """Tell whether a path or serial number is that of a Ledger, or, for None, nothing but one is plugged in.

    Raises:
        MissingExtraError: ``key.no-hidapi``.
        SignerError: ``key.no-list``.
    """
    return is_one_of(which, plugged_ledgers())


def ledger_info(which: str | None) -> LedgerView:
    """Ask a Ledger which application is open on it; nothing is shown there, and nothing is signed.

    Args:
        which: its path or serial number; None if one only is plugged in.

    Raises:
        SignerError: ``ledger.none``, ``ledger.several``, or why it does not answer.
        UsageError: ``ledger.unknown``.
        MissingExtraError: ``key.no-hidapi``.
    """
    view = _view(chosen_ledger(which))
    if view.refused is not None:
        raise view.refused
    return view


def chosen_ledger(which: str | None) -> PluggedKey:
    """Return the plugged-in Ledger with a path or serial number, or the only one for None.

    Raises:
        SignerError: ``ledger.none``, ``ledger.several``, ``key.no-list``.
        UsageError: ``ledger.unknown``.
        MissingExtraError: ``key.no-hidapi``.
    """
    found = [device for device in plugged_ledgers() if which in (None, device.path, device.serial)]
    if not found and which is not None:
        raise UsageError("ledger.unknown", f"no Ledger {which} is plugged in", "see: walletcli key list")
    if not found:
        raise SignerError("ledger.none", "no Ledger is plugged in", "put one in, unlock it and try again")
    if len(found) > 1:
        names = ", ".join(f"{device.path} ({device.name})" for device in found)
        raise SignerError("ledger.several", f"several Ledgers are plugged in: {names}", "name one with --key")
    return found[0]


def _view(device: PluggedKey) -> LedgerView:
    try:
        with opened_ledger(device) as ledger:
            return LedgerView(device, ledger.app)
    except SignerError as error:
        return LedgerView(device, None, error)
