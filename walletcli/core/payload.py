"""Reads the payloads of statements strictly: each field once, of its type and size, and no other.

Spec: docs/spec/cose.md, "Payloads".
"""

from __future__ import annotations

from collections.abc import Collection

from walletcli.core import cbor
from walletcli.core.cbor import Map, Value
from walletcli.errors import FormatError

VERSION = 1
"""Version of the payloads; their field 1."""


class Payload:
    """The fields of a payload.

    Args:
        data: the payload.
        what: name of the statement, first part of the error code.
        required: keys beside the version.
        optional: keys that may be missing.
        max_bytes: longest payload.

    Raises:
        FormatError: ``WHAT.malformed``, ``WHAT.unknown-version`` or ``cbor.*``.
    """

    __slots__ = ("_fields", "_what")

    def __init__(
        self, data: bytes, what: str, required: Collection[int], optional: Collection[int], max_bytes: int
    ) -> None:
        self._what = what
        fields = cbor.decode(data, max_bytes)
        if type(fields) is not dict:
            raise malformed(what, "a map is needed")
        if fields.get(1) != VERSION or type(fields[1]) is not int:
            raise FormatError(f"{what}.unknown-version", f"{what}: of a version not known here", "update walletcli")
        keys = set(fields) - {1}
        if not set(required) <= keys or not keys <= {*required, *optional}:
            raise malformed(what, "a field is missing or unknown")
        self._fields: Map = fields

    def has(self, key: int) -> bool:
        """Tell whether an optional field is there."""
        return key in self._fields

    def value(self, key: int) -> Value:
        """Return a field as it is."""
        return self._fields[key]

    def integer(self, key: int, low: int, high: int) -> int:
        """Return a number from `low` to `high`."""
        value = self._fields[key]
        if type(value) is not int or not low <= value <= high:
            raise malformed(self._what, f"field {key} is not a number from {low} to {high}")
        return value

    def raw(self, key: int, low_bytes: int, high_bytes: int) -> bytes:
        """Return a byte string of `low_bytes` to `high_bytes`."""
        value = self._fields[key]
        if type(value) is not bytes or not low_bytes <= len(value) <= high_bytes:
            raise malformed(self._what, f"field {key} is not a byte string of {low_bytes} to {high_bytes} bytes")
        return value

    def text(self, key: int, high_bytes: int) -> str:
        """Return a text of 1 to `high_bytes` of UTF-8."""
        value = self._fields[key]
        if type(value) is not str or not 1 <= len(value.encode()) <= high_bytes:
            raise malformed(self._what, f"field {key} is not a text of 1 to {high_bytes} bytes")
        return value


def malformed(what: str, detail: str) -> FormatError:
    """Return ``WHAT.malformed``."""
    return FormatError(f"{what}.malformed", f"{what}: {detail}")
