"""Strict deterministic CBOR: the one encoding per value that walletcli's formats allow.

The subset is: unsigned and negative integers of up to 64 bits, byte strings, UTF-8 text, arrays, maps whose keys are
integers or text, ``true``, ``false``, ``null`` and tag 18 (COSE_Sign1). All else, and everything said in a second
way (long heads, indefinite lengths, unsorted or repeated keys, trailing bytes), is refused.

Spec: RFC 8949 section 4.2.1 (core deterministic encoding); docs/spec/record.md, "Encoding".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeGuard

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


@dataclass(frozen=True, slots=True)
class Encoded:
    """A value that `encode` has encoded before: it is put in its place as it is."""

    data: bytes


Value: TypeAlias = "int | bytes | str | list[Value] | dict[int | str, Value] | Tagged | None"
"""What `decode` gives (`bool` is an `int`)."""

Map: TypeAlias = dict[int | str, Value]
"""A map as `decode` gives it."""


def encode(value: object) -> bytes:
    """Encode `value` in the one form that `decode` accepts.

    Raises:
        FormatError: ``cbor.unsupported`` for a type or number outside the subset, ``cbor.text`` for a text that is not
            valid Unicode, ``cbor.too-deep``.
    """
    out = bytearray()
    _encode(value, out, 0)
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


def _encode(value: Any, out: bytearray, depth: int) -> None:
    kind = type(value)
    if kind is bytes:
        _head(2, len(value), out)
        out += value
    elif kind is int:
        _head(0, value, out) if value >= 0 else _head(1, -1 - value, out)
    elif kind is str:
        _encode_text(value, out)
    elif kind is list:
        _encode_items(value, out, depth)
    elif kind is dict:
        _encode_map(value, out, _deeper(depth))
    else:
        _encode_other(value, out, depth)


def _encode_other(value: object, out: bytearray, depth: int) -> None:
    """Encode what is met less often, and subclasses of the types above."""
    if value is None:
        out.append(0xF6)
    elif isinstance(value, bool):
        out.append(0xF5 if value else 0xF4)
    elif isinstance(value, Encoded):
        out += value.data
    elif isinstance(value, int):
        _encode(int(value), out, depth)
    elif isinstance(value, bytes):
        _encode(bytes(value), out, depth)
    elif isinstance(value, str):
        _encode_text(str(value), out)
    elif isinstance(value, list | tuple):
        _encode_items(value, out, depth)
    elif isinstance(value, dict):
        _encode_map(value, out, _deeper(depth))
    elif isinstance(value, Tagged) and value.tag == TAG_COSE_SIGN1:
        inner = _deeper(depth)
        out.append(0xC0 | TAG_COSE_SIGN1)
        _encode(value.value, out, inner)
    else:
        raise FormatError("cbor.unsupported", f"no encoding for a value of type {type(value).__name__}")


def _encode_text(value: str, out: bytearray) -> None:
    try:
        text = value.encode("utf-8")
    except UnicodeEncodeError:
        raise FormatError("cbor.text", "a text is not valid Unicode") from None
    _head(3, len(text), out)
    out += text


def _encode_items(value: Sequence[object], out: bytearray, depth: int) -> None:
    inner = _deeper(depth)
    _head(4, len(value), out)
    for item in value:
        _encode(item, out, inner)


def _deeper(depth: int) -> int:
    if depth >= MAX_DEPTH:
        raise _too_deep()
    return depth + 1


def _too_deep() -> FormatError:
    return FormatError("cbor.too-deep", f"values are nested more than {MAX_DEPTH} deep")


def _encode_map(value: dict[object, object], out: bytearray, depth: int) -> None:
    if _has_small_keys(value):  # nearly all maps: each key is one byte, and they stand in their order already
        _head(5, len(value), out)
        for small, item in value.items():
            out.append(small)
            _encode(item, out, depth)
        return
    pairs = []
    for key, item in value.items():
        if isinstance(key, bool) or not isinstance(key, int | str):
            raise FormatError("cbor.unsupported", f"no map key of type {type(key).__name__}")
        pairs.append((encode(key), item))
    pairs.sort(key=lambda pair: pair[0])
    _head(5, len(pairs), out)
    for encoded_key, item in pairs:
        out += encoded_key
        _encode(item, out, depth)


def _has_small_keys(value: dict[object, object]) -> TypeGuard[dict[int, object]]:
    last = -1
    for key in value:
        if type(key) is not int or not last < key < 24:
            return False
        last = key
    return True


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
    if end > len(data):
        raise FormatError("cbor.truncated", "the data ends in the middle of a value")
    if end != len(data):
        raise FormatError("cbor.trailing", f"{len(data) - end} bytes follow the value")
    return value


_MINIMUM = {25: 0x100, 26: 0x10000, 27: 0x1_0000_0000}


def _long_number(data: bytes, at: int, info: int) -> tuple[int, int]:
    """Read the 2, 4 or 8 byte argument that follows a head; `at` is where it starts."""
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
    if head < 24:
        return head, at
    major = head >> 5
    number = head & 31
    if major == 7:
        return _simple(head), at
    if number == 24:
        number = data[at]
        at += 1
        if number < 24:
            raise FormatError("cbor.not-canonical", "a number is not in its shortest form")
    elif number > 24:
        number, at = _long_number(data, at, number)
    if major == 2 or major == 3:
        end = at + number
        if end > len(data):
            raise IndexError
        chunk = data[at:end]
        return (chunk if major == 2 else _text(chunk)), end
    if major < 2:
        return number if major == 0 else -1 - number, at
    if depth >= MAX_DEPTH:
        raise _too_deep()
    if major == 4:
        return _array(data, at, number, depth + 1)
    if major == 5:
        return _map(data, at, number, depth + 1)
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
    value: Value
    for _ in range(count):
        head = data[at]
        if head < 24:
            value = head
            at += 1
        elif head == 0x58:  # a byte string of 24 bytes or more, such as a key
            length = data[at + 1]
            if length < 24:
                raise FormatError("cbor.not-canonical", "a number is not in its shortest form")
            end = at + length + 2
            value = data[at + 2 : end]
            at = end
        elif 0x61 <= head <= 0x77:  # a short text
            start, at = at + 1, at + head - 0x5F
            if at > len(data):
                raise IndexError
            value = _text(data[start:at])
        else:
            value, at = _item(data, at, depth)
        items.append(value)
    return items, at


def _map(data: bytes, at: int, count: int, depth: int) -> tuple[Map, int]:
    if 2 * count > len(data) - at:
        raise IndexError
    result: Map = {}
    key: int | str
    last_small = -1
    last_key = b""
    for _ in range(count):
        head = data[at]
        if head < 24:  # nearly every key: one byte, its own sort order
            if head <= last_small or last_key:
                raise FormatError("cbor.not-canonical", "map keys are repeated or out of order")
            key = last_small = head
            at += 1
        elif 0x61 <= head <= 0x77:  # a short text
            start, at = at, at + head - 0x5F
            if at > len(data):
                raise IndexError
            if data[start:at] <= last_key:
                raise FormatError("cbor.not-canonical", "map keys are repeated or out of order")
            last_key = data[start:at]
            key = _text(last_key[1:])
        else:
            start = at
            key, at = _key(data, at, depth)
            if data[start:at] <= last_key:
                raise FormatError("cbor.not-canonical", "map keys are repeated or out of order")
            last_key = data[start:at]
        head = data[at]
        if 0x40 <= head <= 0x57:  # a short byte string
            end = at + head - 0x3F
            result[key] = data[at + 1 : end]
            at = end
        elif head < 24:
            result[key] = head
            at += 1
        elif head == 0x58:  # a byte string of 24 bytes or more, such as a key
            length = data[at + 1]
            if length < 24:
                raise FormatError("cbor.not-canonical", "a number is not in its shortest form")
            end = at + length + 2
            result[key] = data[at + 2 : end]
            at = end
        elif head == 0x19:  # a number of two bytes, such as a day
            number = data[at + 1] << 8 | data[at + 2]
            if number < 0x100:
                raise FormatError("cbor.not-canonical", "a number is not in its shortest form")
            result[key] = number
            at += 3
        else:
            result[key], at = _item(data, at, depth)
    return result, at


def _key(data: bytes, at: int, depth: int) -> tuple[int | str, int]:
    if data[at] >> 5 not in (0, 1, 3):
        raise FormatError("cbor.unsupported", "a map key must be an integer or a text")
    key, at = _item(data, at, depth)
    assert isinstance(key, int | str)  # by the major types above
    return key, at
