"""SSH's data types: strings, numbers and booleans, read strictly.

Spec: RFC 4251 section 5; docs/spec/ssh.md.
"""

from __future__ import annotations

from collections.abc import Callable

from walletcli.errors import FormatError

LENGTH_BYTES = 4
"""Length of a string's length, and of a number."""


def string(data: bytes) -> bytes:
    """Put the length before `data`."""
    return len(data).to_bytes(LENGTH_BYTES, "big") + data


def mpint(number: int) -> bytes:
    """Return a positive integer in its shortest form (RFC 4251, mpint), with its length before it."""
    return string(number.to_bytes(number.bit_length() // 8 + 1, "big"))


class SshReader:
    """Reads one value after the other, and nothing beyond the end.

    Args:
        data: all of the bytes.
        wrong: makes the error of what is read, from what was wrong with it.

    Raises:
        FormatError: that of `wrong`, here and in each method.
    """

    __slots__ = ("_at", "_data", "_wrong")

    def __init__(self, data: bytes, wrong: Callable[[str], FormatError]) -> None:
        self._data = data
        self._at = 0
        self._wrong = wrong

    def raw(self, length_bytes: int) -> bytes:
        """Take so many bytes as they are."""
        taken = self._data[self._at : self._at + length_bytes]
        if len(taken) < length_bytes:
            raise self._wrong("it ends too early")
        self._at += length_bytes
        return taken

    def number(self) -> int:
        """Take a number of 4 bytes."""
        return int.from_bytes(self.raw(LENGTH_BYTES), "big")

    def string(self, low_bytes: int = 0, high_bytes: int = 1 << 18) -> bytes:
        """Take a string of `low_bytes` to `high_bytes`."""
        length_bytes = self.number()
        if not low_bytes <= length_bytes <= high_bytes:
            raise self._wrong(f"a part has {length_bytes} bytes, {low_bytes} to {high_bytes} needed")
        return self.raw(length_bytes)

    def text(self, high_bytes: int) -> str:
        """Take a string of 1 to `high_bytes` of UTF-8 without control characters."""
        try:
            text = self.string(1, high_bytes).decode("utf-8")
        except UnicodeDecodeError:
            raise self._wrong("a text is not UTF-8") from None
        if any(ord(letter) < 0x20 or 0x7F <= ord(letter) < 0xA0 for letter in text):
            raise self._wrong("a text holds control characters")
        return text

    def integer(self, high_bytes: int) -> int:
        """Take a positive integer of any length in its shortest form (RFC 4251, mpint), at most `high_bytes`."""
        data = self.string(1, high_bytes)
        if data[0] & 0x80 or (data[0] == 0 and (len(data) == 1 or not data[1] & 0x80)):
            raise self._wrong("an integer is not positive, or not in its shortest form")
        return int.from_bytes(data, "big")

    def flag(self) -> bool:
        """Take a boolean: one byte, 0 or 1."""
        value = self.raw(1)[0]
        if value > 1:
            raise self._wrong("a boolean is neither 0 nor 1")
        return value == 1

    def rest(self) -> bytes:
        """Take all that is left."""
        return self.raw(len(self._data) - self._at)

    def end(self) -> None:
        """Check that nothing is left."""
        if self._at != len(self._data):
            raise self._wrong("something follows its end")
