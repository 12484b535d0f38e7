"""What a security key may refuse with, as our errors.

Spec: CTAP 2.1, section 8.2 ("Status codes"); docs/spec/fido2.md, "Errors".
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from walletcli.errors import SignerError, WalletError
from walletcli.signers.devices.channel import failed
from walletcli.signers.devices.ctaphid import bad_answer

PIN_INVALID = 0x31
PIN_BLOCKED = 0x32
PIN_AUTH_INVALID = 0x33
PIN_AUTH_BLOCKED = 0x34
PIN_NOT_SET = 0x35
PIN_REQUIRED = 0x36
NO_CREDENTIALS = 0x2E
"""Status codes that decide what is done next."""


@contextlib.contextmanager
def told_as_ours() -> Iterator[None]:
    """Let nothing but our own errors leave the block: no refusal of a key, and nothing that parsers raise on a lie.

    Raises:
        SignerError: ``key.*``.
    """
    from fido2.ctap import CtapError

    try:
        yield
    except CtapError as error:
        raise refusal(int(error.code)) from error
    except WalletError:
        raise
    except Exception as error:  # what the library's parsers raise on a lie is not listed anywhere
        raise bad_answer(f"it cannot be read ({type(error).__name__})") from error


def refusal(status: int) -> SignerError:
    """Return the error for a status other than success.

    Args:
        status: 1 to 255.
    """
    if status in (0x05, 0x2F, 0x3A):
        return SignerError("key.not-touched", "the security key was not touched in time", "try again, and touch it")
    if status in (0x27, 0x2D):
        return SignerError("key.denied", "it was refused at the security key", "try again, and touch it")
    if status == NO_CREDENTIALS:
        return not_enrolled()
    if status == 0x19:
        hint = "it opens this vault already: walletcli key list shows by which slot"
        return SignerError("key.already-enrolled", "this security key was enrolled before", hint)
    if status in (0x16, 0x26, 0x2B, 0x2C, 0x01):
        return unsupported("does not do what was asked of it")
    return _pin_refusal(status) or failed(status)


def _pin_refusal(status: int) -> SignerError | None:
    if status in (PIN_INVALID, PIN_AUTH_INVALID):
        return pin_wrong(None)
    if status == PIN_BLOCKED:
        hint = "only its maker's reset tool opens it again, and that deletes all that it holds: use another slot"
        return SignerError("key.locked-out", "the security key has locked itself after too many wrong PINs", hint)
    if status == PIN_AUTH_BLOCKED:
        hint = "take it out, put it in again, and be sure of the PIN before the next try"
        return SignerError("key.pin-paused", "the security key takes no more PINs for now", hint)
    if status == PIN_NOT_SET:
        return pin_not_set()
    if status == PIN_REQUIRED:
        hint = "enrol it without --no-pin"
        return SignerError("key.pin-required", "the security key does nothing without its PIN", hint)
    if status == 0x37:
        return SignerError("key.pin-refused", "the security key does not take such a PIN", "choose another one")
    return None


def pin_wrong(tries_left: int | None) -> SignerError:
    """Return the error for a PIN that is not the key's.

    Args:
        tries_left: until it locks itself, or None if it does not say.
    """
    left = "" if tries_left is None else f"; it locks itself after {tries_left} more"
    return SignerError("key.pin-wrong", f"the PIN is wrong{left}", "be sure of it before you try again")


def pin_not_set() -> SignerError:
    """Return the error for a key without a PIN."""
    hint = "set one with the tool of its maker (or fido2-token -S), or enrol it with --no-pin"
    return SignerError("key.pin-not-set", "the security key has no PIN", hint)


def not_enrolled() -> SignerError:
    """Return the error for keys that cannot open the slot."""
    hint = "put in the one that was enrolled, or open it another way"
    return SignerError("key.not-enrolled", "no security key that is plugged in opens this vault", hint)


def unsupported(why: str) -> SignerError:
    """Return the error for a key that cannot be used.

    Args:
        why: follows "the security key".
    """
    hint = "it takes a key with FIDO2 and its hmac-secret extension: most made since 2019"
    return SignerError("key.unsupported", f"the security key {why}", hint)
