"""What is shown of a Trezor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from walletcli.cli.output import pairs
from walletcli.core.slip10 import path_to_text
from walletcli.core.slip13 import identity_uri

if TYPE_CHECKING:
    from walletcli.wallet.trezors import TrezorView


def trezor_row(view: TrezorView) -> tuple[str, str, str, str]:
    """Return a Trezor's row in the list of keys."""
    return view.device.path, view.device.name, "trezor" if view.over == "hid" else "trezor-webusb", "-"


def trezor_lines(view: TrezorView) -> list[str]:
    """Return what a Trezor said about itself, and whose root key it holds."""
    from walletcli.wallet.trezors import CHECKED, SMALLEST_RECORD_BYTES

    facts = view.facts
    assert facts is not None
    room = f"at most {facts.max_challenge_bytes} bytes; a record has {SMALLEST_RECORD_BYTES} or more"
    lines = [
        ("device", view.device.path),
        ("name", view.device.name),
        ("serial", view.device.serial or "not told"),
        ("usb id", f"{view.device.vendor_id:04x}:{view.device.product_id:04x}"),
        ("model", facts.model),
        ("firmware", ".".join(map(str, facts.firmware))),
        ("label", facts.label or "none"),
        ("pin", "set" if facts.pin_set else "not set"),
        ("passphrase", "asked for" if facts.passphrase_used else "not used"),
        ("signs", room),
        ("signs records", "yes, blindly: its screen does not show them" if view.signs_records else "no"),
        ("checked", CHECKED),
    ]
    if view.identity is not None:
        asked = identity_uri(view.identity.index)
        lines += [
            ("identity", f"{view.identity.index} of the scheme slip13"),
            ("did", view.identity.identity.did),
            ("path", f"{path_to_text(asked.path)} ({asked.uri}, index {asked.index})"),
        ]
    return pairs(lines)
