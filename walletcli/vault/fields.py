"""Narrowing of decoded CBOR to the types that the vault's header asks for.

Each function returns the value it was given, typed, or raises ``vault.malformed`` (``slot.malformed`` for what lies in
a slot).

Spec: docs/spec/vault.md, "Bytes".
"""

from __future__ import annotations

from walletcli.core.cbor import Value
from walletcli.errors import FormatError

PREVIOUS_HINT = "the state before the last change is kept next to it, with .previous at the end of its name"
"""What to do about a vault whose bytes are wrong."""


def malformed(what: str, code: str = "vault.malformed") -> FormatError:
    """Return the error for bytes that do not follow the format."""
    return FormatError(code, f"the vault is malformed: {what}", PREVIOUS_HINT)


def take_fields(value: Value, count: int, what: str, code: str = "vault.malformed") -> dict[int | str, Value]:
    """Return a map that has exactly the keys 1 to `count`."""
    if not isinstance(value, dict) or set(value) != set(range(1, count + 1)):
        raise malformed(f"{what} has missing or unknown fields", code)
    return {**value}


def take_list(value: Value, most: int, what: str, code: str = "vault.malformed") -> list[Value]:
    """Return a list of 1 to `most` items."""
    if not isinstance(value, list) or not 1 <= len(value) <= most:
        raise malformed(f"{what} must number 1 to {most}", code)
    return value


def take_uint(value: object, low: int, high: int, what: str, code: str = "vault.malformed") -> int:
    """Return an integer from `low` to `high`."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise malformed(f"{what} must be {low} to {high}", code)
    return value


def take_bytes(value: object, length_bytes: int, what: str, code: str = "vault.malformed") -> bytes:
    """Return a byte string of exactly `length_bytes`."""
    if not isinstance(value, bytes) or len(value) != length_bytes:
        raise malformed(f"{what} must have {length_bytes} bytes", code)
    return value
