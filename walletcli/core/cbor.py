"""Strict deterministic CBOR: the one encoding per value that walletcli's formats allow.

The subset is: unsigned and negative integers of up to 64 bits, byte strings, UTF-8 text, arrays, maps whose keys are
integers or text, ``true``, ``false``, ``null`` and tag 18 (COSE_Sign1). All else, and everything said in a second
way (long heads, indefinite lengths, unsorted or repeated keys, trailing bytes), is refused.

Spec: RFC 8949 section 4.2.1 (core deterministic encoding); docs/spec/record.md, "Encoding".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from walletcli.errors import FormatError

MAX_DEPTH = 16
"""Arrays, maps and tags inside one another, at most; deeper input is refused."""

TAG_COSE_SIGN1 = 18
"""COSE_Sign1, the only tag that is accepted (RFC 9052 section 2)."""


@dataclass(frozen=True, slots=True)
class Tagged:
    """A tagged value; `tag` is always 18."""

    tag: int
    value: Value


Value: TypeAlias = "int | bytes | str | list[Value] | dict[int | str, Value] | Tagged | None"
"""What `decode` gives (`bool` is an `int`)."""

Map: TypeAlias = dict[int | str, Value]
"""A map as `decode` gives it."""


def encode(value: object) -> bytes:
    """Encode `value` in the one form that `decode` accepts.

    Raises:
        FormatError: ``cbor.unsupported`` for a type or number outside the subset.
    """
    out = bytearray()
    _encode(value, out)
    return bytes(out)


def _head(major: int, number: int, out: bytearray) -> None:
    if number < 24:
        out.append(major << 5 | number)
    elif number < 0x100:
        out += bytes((major << 5 | 24, number))
    elif number < 0x10000:
        out.append(major << 5 | 25)
        out += number.to_bytes(2, "big")
    elif number < 0x1_0000_0000:
        out.append(major << 5 | 26)
        out += number.to_bytes(4, "big")
    elif number < 0x1_0000_0000_0000_0000:
        out.append(major << 5 | 27)
        out += number.to_bytes(8, "big")
    else:
        raise FormatError("cbor.unsupported", "an integer needs more than 64 bits")


def _encode(value: object, out: bytearray) -> None:
    if isinstance(value, bool):
        out.append(0xF5 if value else 0xF4)
    elif isinstance(value, int):
        _head(0, value, out) if value >= 0 else _head(1, -1 - value, out)
    elif isinstance(value, bytes):
        _head(2, len(value), out)
        out += value
    elif isinstance(value, str):
        try:
            text = value.encode("utf-8")
        except UnicodeEncodeError:
            raise FormatError("cbor.text", "a text is not valid Unicode") from None
        _head(3, len(text), out)
        out += text
    elif isinstance(value, list | tuple):
        _head(4, len(value), out)
        for item in value:
            _encode(item, out)
    elif isinstance(value, dict):
        _encode_map(value, out)
    elif value is None:
        out.append(0xF6)
    elif isinstance(value, Tagged) and value.tag == TAG_COSE_SIGN1:
        out.append(0xC0 | TAG_COSE_SIGN1)
        _encode(value.value, out)
    else:
        raise FormatError("cbor.unsupported", f"no encoding for a value of type {type(value).__name__}")


def _encode_map(value: dict[object, object], out: bytearray) -> None:
    pairs = []
    for key, item in value.items():
        if isinstance(key, bool) or not isinstance(key, int | str):
            raise FormatError("cbor.unsupported", f"no map key of type {type(key).__name__}")
        pairs.append((encode(key), item))
    pairs.sort(key=lambda pair: pair[0])
    _head(5, len(pairs), out)
    for encoded_key, item in pairs:
        out += encoded_key
        _encode(item, out)


def decode(data: bytes, max_bytes: int) -> Value:
    """Decode exactly one value that fills `data`.

    Args:
        data: the encoded value.
        max_bytes: refuse longer input before looking at it.

    Raises:
        FormatError: ``cbor.too-long``, ``cbor.truncated``, ``cbor.trailing``, ``cbor.not-canonical``,
            ``cbor.unsupported``, ``cbor.too-deep``, ``cbor.text``.
    """
    if len(data) > max_bytes:
        raise FormatError("cbor.too-long", f"{len(data)} bytes, at most {max_bytes} are allowed")
    try:
        value, end = _item(data, 0, 0)
    except IndexError:
        raise FormatError("cbor.truncated", "the data ends in the middle of a value") from None
    if end != len(data):
        raise FormatError("cbor.trailing", f"{len(data) - end} bytes follow the value")
    return value


_MINIMUM = {24: 24, 25: 0x100, 26: 0x10000, 27: 0x1_0000_0000}


def _long_number(data: bytes, at: int, info: int) -> tuple[int, int]:
    """Read the 1, 2, 4 or 8 byte argument that follows a head; `at` is where it starts."""
    if info > 27:
        raise FormatError("cbor.not-canonical", "indefinite lengths and reserved heads are not allowed")
    end = at + (1 << (info - 24))
    if end > len(data):
        raise IndexError
    number = int.from_bytes(data[at:end], "big")
    if number < _MINIMUM[info]:
        raise FormatError("cbor.not-canonical", "a number is not in its shortest form")
    return number, end


def _item(data: bytes, at: int, depth: int) -> tuple[Value, int]:
    head = data[at]
    at += 1
    major = head >> 5
    number = head & 31
    if major == 7:
        return _simple(head), at
    if number > 23:
        number, at = _long_number(data, at, number)
    if major == 0:
        return number, at
    if major == 2 or major == 3:
        end = at + number
        if end > len(data):
            raise IndexError
        chunk = data[at:end]
        return (chunk if major == 2 else _text(chunk)), end
    if major == 1:
        return -1 - number, at
    if depth >= MAX_DEPTH:
        raise FormatError("cbor.too-deep", f"values are nested more than {MAX_DEPTH} deep")
    if major == 4:
        return _array(data, at, number, depth)
    if major == 5:
        return _map(data, at, number, depth)
    if number != TAG_COSE_SIGN1:
        raise FormatError("cbor.unsupported", f"tag {number} is not allowed")
    value, at = _item(data, at, depth + 1)
    return Tagged(number, value), at


def _simple(head: int) -> bool | None:
    if head == 0xF5:
        return True
    if head == 0xF4:
        return False
    if head == 0xF6:
        return None
    raise FormatError("cbor.unsupported", "floating point numbers and simple values are not allowed")


def _text(chunk: bytes) -> str:
    try:
        return chunk.decode("utf-8")
    except UnicodeDecodeError:
        raise FormatError("cbor.text", "a text is not UTF-8") from None


def _array(data: bytes, at: int, count: int, depth: int) -> tuple[list[Value], int]:
    if count > len(data) - at:
        raise IndexError
    items: list[Value] = []
    depth += 1
    for _ in range(count):
        value, at = _item(data, at, depth)
        items.append(value)
    return items, at


def _map(data: bytes, at: int, count: int, depth: int) -> tuple[Map, int]:
    if 2 * count > len(data) - at:
        raise IndexError
    result: Map = {}
    depth += 1
    previous = b""
    for _ in range(count):
        start = at
        key, at = _item(data, at, depth)
        if isinstance(key, bool) or not isinstance(key, int | str):
            raise FormatError("cbor.unsupported", "a map key must be an integer or a text")
        encoded_key = data[start:at]
        if encoded_key <= previous:
            raise FormatError("cbor.not-canonical", "map keys are repeated or out of order")
        previous = encoded_key
        result[key], at = _item(data, at, depth)
    return result, at
