"""What a Ledger may refuse with, as our errors.

Spec: docs/spec/ledger.md, "Errors".
"""

from __future__ import annotations

from typing import Final

from walletcli.errors import SignerError

SUCCESS: Final = 0x9000
"""The status of an answer that is none of these."""

_LOCKED: Final = (0x5515, 0x6B0C, 0x6982)
_WRONG_APP: Final = (0x6E00, 0x6E01, 0x6511)
_OLD: Final = (0x6D00, 0x6A81)
_DENIED: Final = 0x6985
_SETTING: Final = 0x6808


def refusal(status: int) -> SignerError:
    """Return the error for a status other than success, 0 to 65535."""
    if status in _LOCKED:
        return SignerError("ledger.locked", "the device is locked", "enter its PIN on it, and try again")
    if status in _WRONG_APP:
        return wrong_app(None)
    if status in _OLD:
        return old(None)
    if status == _DENIED:
        return SignerError("ledger.denied", "it was refused at the device", "try again, and confirm it there")
    if status == _SETTING:
        hint = "look at the settings of its application Solana; reset them if you do not know which"
        return SignerError("ledger.setting", "a setting of the device's application forbids this", hint)
    hint = "take it out, put it in again, open its application Solana and try once more"
    return SignerError("ledger.failed", f"the device refused (status {status:#06x})", hint)


def wrong_app(found: str | None) -> SignerError:
    """Return the error for a device on which another application is open, or none.

    Args:
        found: what it is called, or None.
    """
    what = f"the application {found!r} is open on the device" if found else "another application is open on the device"
    hint = "open the application Solana on it (its maker's program installs it)"
    return SignerError("ledger.wrong-app", f"{what}, and Solana is needed", hint)


def old(version: str | None) -> SignerError:
    """Return the error for an application that does not know what is asked of it.

    Args:
        version: as it says, or None.
    """
    which = f" {version}" if version else ""
    hint = "update the application Solana with its maker's program, and try again"
    return SignerError("ledger.old", f"the device's application Solana{which} is too old for this", hint)


def other_device() -> SignerError:
    """Return the error for a device that holds another key than it should."""
    return SignerError(
        "ledger.other-device",
        "the device does not hold the approver's key",
        "put in the one that became the approver; the same words in another device will do, a passphrase included",
    )


def timeout() -> SignerError:
    """Return the error for a device that is silent."""
    hint = "take it out, put it in again, open its application Solana and try once more"
    return SignerError("ledger.timeout", "the device gave no answer in time", hint)


def not_pressed() -> SignerError:
    """Return the error for a device at which nobody confirmed anything."""
    hint = "refuse it there if it still shows the text, then try again and confirm it"
    return SignerError("ledger.not-pressed", "nobody confirmed it at the device in time", hint)
