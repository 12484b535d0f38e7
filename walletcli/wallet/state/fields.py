"""Reads maps of the wallet's own CBOR formats strictly: each field once, of its type and size, and no other.

Spec: docs/spec/wallet-state.md and docs/spec/agent.md.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import TypeVar

from walletcli.errors import FormatError

Key = TypeVar("Key", int, bytes)
Row = TypeVar("Row")

MAX_UINT = 2**63 - 1
"""Largest number in these formats."""

MAX_TEXT_BYTES = 8192
"""Longest text in these formats unless said otherwise, bytes of UTF-8."""


class Fields:
    """A decoded CBOR map with unsigned keys, read field by field.

    Args:
        value: what the CBOR decoder gave.
        what: name of the format, first part of the error code.

    Raises:
        FormatError: ``WHAT.malformed`` here and in each method.
    """

    __slots__ = ("_left", "_what")

    def __init__(self, value: object, what: str) -> None:
        self._what = what
        if isinstance(value, Fields):
            value = value._left
        if not isinstance(value, dict):
            raise self._malformed("a map is needed")
        self._left: dict[object, object] = dict(value)

    @classmethod
    def of_row(cls, value: object, what: str) -> Fields:
        """Read a list as if it were a map of positions, counted from 0."""
        return cls(dict(enumerate(value)) if isinstance(value, list) else None, what)

    def _malformed(self, why: str) -> FormatError:
        return FormatError(f"{self._what}.malformed", f"malformed {self._what}: {why}")

    def _take(self, key: int) -> object:
        try:
            return self._left.pop(key)
        except KeyError:
            raise self._malformed(f"field {key} is missing") from None

    def has(self, key: int) -> bool:
        """Tell whether an optional field is there, not null, and not yet read."""
        return self._left.get(key) is not None

    def integer(self, key: int, low: int = 0, high: int = MAX_UINT) -> int:
        """Take a number from `low` to `high`."""
        value = self._take(key)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self._malformed(f"field {key} is not a number from {low} to {high}")
        return value

    def flag(self, key: int) -> bool:
        """Take true or false."""
        value = self._take(key)
        if not isinstance(value, bool):
            raise self._malformed(f"field {key} is neither true nor false")
        return value

    def present(self, key: int) -> bool:
        """Take a field that is true or missing."""
        if key not in self._left:
            return False
        if self._left.pop(key) is not True:
            raise self._malformed(f"field {key} is not true")
        return True

    def raw(self, key: int, length_bytes: int | None = None, max_bytes: int = 2**32) -> bytes:
        """Take a byte string of exactly `length_bytes`, or of at most `max_bytes`."""
        value = self._take(key)
        if not isinstance(value, bytes) or len(value) > max_bytes or length_bytes not in (None, len(value)):
            raise self._malformed(f"field {key} is not a byte string of the right length")
        return value

    def text(self, key: int, max_bytes: int = MAX_TEXT_BYTES) -> str:
        """Take a text of at most `max_bytes` of UTF-8."""
        value = self._take(key)
        if not isinstance(value, str) or len(value.encode()) > max_bytes:
            raise self._malformed(f"field {key} is not a text of at most {max_bytes} bytes")
        return value

    def optional_integer(self, key: int, high: int = MAX_UINT) -> int | None:
        """Take null, or a number from 0 to `high`."""
        if self.has(key):
            return self.integer(key, 0, high)
        self._take(key)
        return None

    def optional_raw(self, key: int, length_bytes: int | None = None, max_bytes: int = 2**32) -> bytes | None:
        """Take null, or a byte string."""
        if self.has(key):
            return self.raw(key, length_bytes, max_bytes)
        self._take(key)
        return None

    def number_list(self, key: int, low: int = 0, high: int = MAX_UINT) -> tuple[int, ...]:
        """Take a list of numbers from `low` to `high`."""
        row = Fields.of_row(self.items(key), self._what)
        return tuple(row.integer(position, low, high) for position in range(len(row._left)))

    def optional_text(self, key: int, max_bytes: int = MAX_TEXT_BYTES) -> str | None:
        """Take null, or a text."""
        if self.has(key):
            return self.text(key, max_bytes)
        self._take(key)
        return None

    def texts(self, key: int) -> tuple[str, ...]:
        """Take a list of texts."""
        values = self.items(key)
        if not all(isinstance(value, str) for value in values):
            raise self._malformed(f"field {key} is not a list of texts")
        return tuple(value for value in values if isinstance(value, str))

    def raws(self, key: int, length_bytes: int | None = None, max_bytes: int = 2**32) -> tuple[bytes, ...]:
        """Take a list of byte strings, each of exactly `length_bytes` or of at most `max_bytes`."""
        row = Fields.of_row(self.items(key), self._what)
        return tuple(row.raw(position, length_bytes, max_bytes) for position in range(len(row._left)))

    def integers(self, high: int = MAX_UINT) -> tuple[int, ...]:
        """Take all that is left as numbers from 0 to `high`."""
        return tuple(self.integer(position, 0, high) for position in range(len(self._left)))

    def text_map(self, key: int) -> dict[str, str]:
        """Take a map of text to text."""
        value = self._take(key)
        if not isinstance(value, dict) or not all(isinstance(k, str) and isinstance(v, str) for k, v in value.items()):
            raise self._malformed(f"field {key} is not a map of texts")
        return {str(name): str(item) for name, item in value.items()}

    def items(self, key: int) -> list[object]:
        """Take a list."""
        value = self._take(key)
        if not isinstance(value, list):
            raise self._malformed(f"field {key} is not a list")
        return list(value)

    def keyed_rows(self, key: int, read: Callable[[object], tuple[Key, Row]]) -> dict[Key, Row]:
        """Take a list of rows that stand in the order of their keys, each key once.

        Args:
            key: of the field.
            read: makes a key and a value of a row.
        """
        rows = [read(item) for item in self.items(key)]
        if any(first[0] >= second[0] for first, second in pairwise(rows)):
            raise self._malformed(f"field {key} has rows that are repeated or out of order")
        return dict(rows)

    def fields(self, key: int) -> Fields:
        """Take a map."""
        return Fields(self._take(key), self._what)

    def end(self) -> None:
        """Check that nothing is left."""
        if self._left:
            raise self._malformed("it has an unknown field")
