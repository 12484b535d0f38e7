"""What a Trezor may refuse with, as our errors.

Spec: docs/spec/trezor.md, "Errors"; messages-common.proto, ``FailureType``.
"""

from __future__ import annotations

from typing import Final

from walletcli.errors import SignerError

PIN_FORM_HINT: Final = "type where the digits stand on the device's screen, not the PIN itself: 7 8 9 is the top row"
"""How a PIN is given."""

_DENIED = (4, 6)
_PIN_INVALID = 7
_BUSY = 15


def refusal(code: int) -> SignerError:
    """Return the error for a failure.

    Args:
        code: as the device gave it; 0 if it gave none.
    """
    if code in _DENIED:
        return SignerError("trezor.denied", "it was refused at the device", "try again, and confirm it there")
    if code == _PIN_INVALID:
        hint = "be sure of it before you try again: each wrong one doubles the wait, and the sixteenth wipes the device"
        return SignerError("trezor.pin-wrong", "the PIN is wrong", hint)
    if code == _BUSY:
        return SignerError("key.busy", "the device is busy", "another program is using it: try again when it is done")
    hint = "take it out, put it in again and try once more"
    return SignerError("trezor.failed", f"the device refused (failure {code})", hint)


def unusable(code: str) -> SignerError:
    """Return the error for a device that cannot be used as it is.

    Args:
        code: ``trezor.not-one``, ``trezor.bootloader``, ``trezor.empty`` or ``trezor.old``.
    """
    if code == "trezor.bootloader":
        return SignerError("trezor.bootloader", "the device waits for firmware", "put it in without pressing a button")
    if code == "trezor.empty":
        hint = "set it up with its maker's program first"
        return SignerError("trezor.empty", "there are no words on the device", hint)
    if code == "trezor.old":
        return SignerError("trezor.old", "its firmware knows no Ed25519", "it takes firmware 1.3.6 or later")
    return SignerError("trezor.not-one", "the device does not say that it is a Trezor", "name another one with --key")


def too_long(length_bytes: int, limit_bytes: int) -> SignerError:
    """Return the error for something that does not fit into the device."""
    return SignerError(
        "trezor.too-long",
        f"there are {length_bytes} bytes to sign, and the device's firmware takes {limit_bytes}",
        "sign it with the words: walletcli wallet restore --scheme slip13 gives the same keys",
    )


def timeout() -> SignerError:
    """Return the error for a device that is silent."""
    hint = "take it out, put it in again and try once more"
    return SignerError("trezor.timeout", "the device gave no answer in time", hint)


def not_pressed() -> SignerError:
    """Return the error for a device whose button nobody pressed."""
    return SignerError("trezor.not-pressed", "nobody pressed the device's button in time", "try again, and press it")
