"""Protocol buffers, as little of them as a Trezor needs: fields written and read by number, with a limit on everything.

Pure. What is known is read strictly; what is not known is passed over, because later firmware says more.

Spec: docs/spec/trezor.md, "Messages"; https://protobuf.dev/programming-guides/encoding/.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from walletcli.signers.devices.trezor_frames import bad_answer

NUMBER: Final = -1
"""In a table of known fields: the field is a number. Other values are the most bytes that it may have."""

MAX_FIELDS: Final = 128
"""Most fields of one message."""

MAX_NUMBER: Final = (1 << 64) - 1
"""Highest number."""

_MAX_FIELD = (1 << 29) - 1
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED_BYTES = {_FIXED64: 8, _FIXED32: 4}

Value = int | bytes


def encode(*fields: tuple[int, int | bytes | str]) -> bytes:
    """Write fields, in the order given; a number is written as such, bytes and text with their length.

    Args:
        fields: pairs of field number and value.
    """
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += _varint(number << 3 | _VARINT) + _varint(value)
            continue
        data = value.encode() if isinstance(value, str) else value
        out += _varint(number << 3 | _BYTES) + _varint(len(data)) + data
    return out


def decode(data: bytes, known: Mapping[int, int]) -> dict[int, Value]:
    """Read a message.

    Args:
        data: the message.
        known: what each field is that is looked at: `NUMBER`, or the most bytes that it may have.

    Returns:
        The known fields that are there.

    Raises:
        SignerError: ``trezor.bad-answer``.
    """
    found: dict[int, Value] = {}
    for number, value in _fields(data):
        limit = known.get(number)
        if limit is None:
            continue
        if number in found:
            raise bad_answer(f"field {number} twice")
        if isinstance(value, int) != (limit == NUMBER):
            raise bad_answer(f"field {number} is of another type")
        if isinstance(value, bytes) and len(value) > limit:
            raise bad_answer(f"field {number} has {len(value)} bytes, at most {limit} are possible")
        found[number] = value
    return found


def text_of(found: Mapping[int, Value], number: int) -> str:
    """Return a field's text in printable form, or an empty one if it is not there.

    Raises:
        SignerError: ``trezor.bad-answer``.
    """
    value = found.get(number, b"")
    assert isinstance(value, bytes)
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise bad_answer(f"field {number} is no text") from error
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def number_of(found: Mapping[int, Value], number: int, missing: int = 0) -> int:
    """Return a field's number, or another one if it is not there."""
    value = found.get(number, missing)
    assert isinstance(value, int)
    return value


def bytes_of(found: Mapping[int, Value], number: int) -> bytes:
    """Return a field's bytes.

    Raises:
        SignerError: ``trezor.bad-answer`` if it is not there.
    """
    value = found.get(number)
    if not isinstance(value, bytes):
        raise bad_answer(f"field {number} is missing")
    return value


def _fields(data: bytes) -> Iterator[tuple[int, Value]]:
    at = 0
    for _ in range(MAX_FIELDS):
        if at == len(data):
            return
        tag, at = _read_varint(data, at)
        number, kind = tag >> 3, tag & 7
        if not 1 <= number <= _MAX_FIELD:
            raise bad_answer(f"a field with the number {number}")
        value: Value
        if kind == _VARINT:
            value, at = _read_varint(data, at)
        elif kind == _BYTES:
            length, at = _read_varint(data, at)
            value, at = _read_bytes(data, at, length)
        elif kind in _FIXED_BYTES:
            value, at = _read_bytes(data, at, _FIXED_BYTES[kind])
        else:
            raise bad_answer(f"a field of type {kind}")
        yield number, value
    if at != len(data):
        raise bad_answer(f"more than {MAX_FIELDS} fields")


def _read_bytes(data: bytes, at: int, length: int) -> tuple[bytes, int]:
    if length > len(data) - at:
        raise bad_answer("a message that ends too early")
    return data[at : at + length], at + length


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at == len(data):
            raise bad_answer("a message that ends too early")
        part = data[at]
        at += 1
        value |= (part & 0x7F) << shift
        if part < 0x80:
            if (part == 0 and shift) or value > MAX_NUMBER:
                raise bad_answer("a number that is not in its shortest form")
            return value, at
    raise bad_answer("a number that does not end")


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
