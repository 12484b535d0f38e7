"""What a local name of an identity may be."""

from __future__ import annotations

import unicodedata

from walletcli.errors import InputError

MAX_LABEL_CHARS = 64
"""Longest label, characters in form NFC."""

_HINT = "1 to 64 letters, digits, spaces or signs; not something that looks like an id"
_ID_PREFIXES = ("did:", "pk:")
_Z32_KEY_CHARS = 52


def check_label(text: str) -> str:
    """Return `text` as a label: in form NFC, without white space at its ends.

    Raises:
        InputError: ``label.malformed``: empty, too long, with characters that do not show, or like an identity id.
    """
    label = unicodedata.normalize("NFC", text).strip()
    if not 1 <= len(label) <= MAX_LABEL_CHARS:
        raise InputError("label.malformed", f"a label has 1 to {MAX_LABEL_CHARS} characters, found {len(label)}", _HINT)
    if not label.isprintable():
        raise InputError("label.malformed", "the label holds characters that do not show", _HINT)
    if label.lower().startswith(_ID_PREFIXES) or (len(label) == _Z32_KEY_CHARS and label.isalnum()):
        raise InputError("label.malformed", "the label looks like an identity id", _HINT)
    return label


def same_label(one: str, other: str) -> bool:
    """Tell whether two labels would be taken for each other: the same but for case."""
    return one.casefold() == other.casefold()
