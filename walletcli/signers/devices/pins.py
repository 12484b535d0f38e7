"""PINs of security keys: the one form in which they are sent.

Spec: CTAP 2.1, section 6.5.1; docs/spec/fido2.md, "What is asked of a key".
"""

from __future__ import annotations

import unicodedata
from typing import Final

from walletcli.core.secret import Secret
from walletcli.errors import InputError

MIN_PIN_LETTERS: Final = 4
"""Least Unicode characters of a PIN."""

MAX_PIN_BYTES: Final = 63
"""Most bytes of a PIN in UTF-8."""


def normal_pin(pin: Secret) -> Secret:
    """Return a PIN as it is sent: UTF-8, normalization form C.

    Raises:
        InputError: ``key.pin-not-text``, ``key.pin-length``.
    """
    try:
        text = unicodedata.normalize("NFC", pin.reveal().decode("utf-8"))
    except UnicodeDecodeError:  # not chained: the foreign error holds the bytes
        raise InputError("key.pin-not-text", "the PIN is not UTF-8 text", "use a UTF-8 terminal or file") from None
    if len(text) < MIN_PIN_LETTERS or len(text.encode()) > MAX_PIN_BYTES:
        message = f"a PIN has {MIN_PIN_LETTERS} characters to {MAX_PIN_BYTES} bytes"
        raise InputError("key.pin-length", message, "type the PIN of the security key, not a password")
    return Secret.from_text(text)
