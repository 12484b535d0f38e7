"""What is shown of a Ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

from walletcli.cli.output import pairs, safe

if TYPE_CHECKING:
    from walletcli.wallet.ledgers import LedgerView


def ledger_row(view: LedgerView) -> tuple[str, str, str, str]:
    """Return a Ledger's row in the list of keys."""
    return view.device.path, safe(view.device.name), "ledger" if view.state == "ready" else f"ledger-{view.state}", "-"


def ledger_lines(view: LedgerView) -> list[str]:
    """Return what a Ledger said about itself."""
    from walletcli.wallet.ledgers import CHECKED

    assert view.app is not None
    fault = view.fault
    return pairs(
        [
            ("device", view.device.path),
            ("name", safe(view.device.name)),
            ("serial", safe(view.device.serial) or "not told"),
            ("usb id", f"{view.device.vendor_id:04x}:{view.device.product_id:04x}"),
            ("application", safe(f"{view.app.name} {view.app.version}")),
            ("approves", "yes: it shows the text that it signs" if fault is None else f"no: {fault.message}"),
            ("checked", CHECKED),
        ]
    )
