"""Bencoding, strictly: one encoding per value, bounded in size and depth.

Spec: BEP3, "bencoding"; docs/spec/dht.md, "Bencoding".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from walletcli.errors import FormatError

MAX_BYTES: Final = 4096
"""Longest input by default: more than any KRPC datagram needs."""

MAX_DEPTH: Final = 8
"""Levels of lists and dictionaries. KRPC needs three; values of others may have more."""

Value: TypeAlias = int | bytes | list["Value"] | dict[bytes, "Value"]
Encodable: TypeAlias = int | bytes | Sequence["Encodable"] | Mapping[bytes, "Encodable"]

_INTEGER: Final = re.compile(rb"i(0|-?[1-9][0-9]{0,18})e")
_LENGTH_CHARS: Final = 10
_ZERO: Final = 0x30
_NINE: Final = 0x39
_INT: Final = 0x69
_LIST: Final = 0x6C
_DICT: Final = 0x64
_END: Final = 0x65


def encode(value: Encodable) -> bytes:
    """Return the bencoding of a value; the keys of dictionaries are put in order.

    Args:
        value: integers from -2^63 to 2^63 - 1, bytes, lists, and dictionaries with bytes as keys.
    """
    if isinstance(value, bytes):
        return b"%d:%b" % (len(value), value)
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, Mapping):
        return b"d%be" % b"".join(b"%d:%b%b" % (len(key), key, encode(value[key])) for key in sorted(value))
    return b"l%be" % b"".join(encode(item) for item in value)


def decode(data: bytes, max_bytes: int = MAX_BYTES) -> Value:
    """Decode one value that takes up all of `data`.

    Args:
        data: the bencoding.
        max_bytes: longest input.

    Raises:
        FormatError: ``bencode.too-long``, ``bencode.nested``, ``bencode.malformed``.
    """
    if len(data) > max_bytes:
        raise FormatError("bencode.too-long", f"at most {max_bytes} bytes are decoded, found {len(data)}")
    value, end = _value(data, 0, 0)
    if end != len(data):
        raise _malformed("something follows the value")
    return value


def _value(data: bytes, at: int, depth: int) -> tuple[Value, int]:
    """Return the value that starts at `at`, and where it ends."""
    kind = data[at] if at < len(data) else _END
    if kind == _DICT:
        return _dictionary(data, at + 1, depth + 1)
    if kind == _LIST:
        return _list(data, at + 1, depth + 1)
    if kind == _INT:
        return _integer(data, at)
    return _string(data, at)


def _string(data: bytes, at: int) -> tuple[bytes, int]:
    colon = data.find(b":", at, at + _LENGTH_CHARS)
    digits = data[at:colon]
    if colon < 0 or not digits.isdigit() or (digits[0] == _ZERO and colon - at > 1):
        raise _malformed("a value is neither integer, string, list nor dictionary")
    start = colon + 1
    end = start + int(digits)
    if end > len(data):
        raise _malformed("a string is cut off")
    return data[start:end], end


def _integer(data: bytes, at: int) -> tuple[int, int]:
    found = _INTEGER.match(data, at)
    if found is None:
        raise _malformed("an integer is not in its one form")
    value = int(found[1])
    if not -(2**63) <= value < 2**63:
        raise _malformed("an integer has more than 64 bits")
    return value, found.end()


def _list(data: bytes, at: int, depth: int) -> tuple[list[Value], int]:
    _check_depth(depth)
    items: list[Value] = []
    while data[at : at + 1] != b"e":
        item, at = _value(data, at, depth)
        items.append(item)
    return items, at + 1


def _dictionary(data: bytes, at: int, depth: int) -> tuple[dict[bytes, Value], int]:
    _check_depth(depth)
    items: dict[bytes, Value] = {}
    last: bytes | None = None
    size = len(data)
    while at >= size or data[at] != _END:
        key, at = _string(data, at)
        if last is not None and key <= last:
            raise _malformed("keys of a dictionary are not in order, or twice")
        if at < size and _ZERO <= data[at] <= _NINE:  # most values are strings
            items[key], at = _string(data, at)
        else:
            items[key], at = _value(data, at, depth)
        last = key
    return items, at + 1


def _check_depth(depth: int) -> None:
    if depth > MAX_DEPTH:
        raise FormatError("bencode.nested", f"more than {MAX_DEPTH} levels")


def _malformed(what: str) -> FormatError:
    return FormatError("bencode.malformed", f"not bencoding: {what}")
