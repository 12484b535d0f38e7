"""What the items of a request have in common: how their parts are read.

Spec: docs/spec/request.md, "Request file".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from walletcli.core import ed25519
from walletcli.core.cbor import Map, Value
from walletcli.core.record import SEQ_LIMIT, Record
from walletcli.core.short_record import from_short
from walletcli.errors import FormatError, VerificationError

MAX_INDEX: Final = 2**31 - 2
"""Largest identity index (docs/spec/keys.md)."""


def malformed(detail: str) -> FormatError:
    """Return ``request.malformed``."""
    return FormatError("request.malformed", f"request: {detail}")


def check_record(identity: bytes, record: Record) -> None:
    """Raise VerificationError ``request.record`` if a record is not the identity's (root key, 32 bytes)."""
    if record.packet.public_key != identity:
        raise VerificationError("request.record", "the record in the request is another identity's")


def sized(row: list[Value], length: int) -> list[Value]:
    """Return an item that has as many parts as it should."""
    if len(row) != length:
        raise malformed("an item has too many or too few parts")
    return row


def read_key(value: Value) -> bytes:
    """Read a root key, 32 bytes."""
    if type(value) is not bytes or len(value) != 32:
        raise malformed("an identity is a key of 32 bytes")
    ed25519.check_encoding(value)
    return value


def read_bytes(value: Value) -> bytes:
    """Read a byte string of any length."""
    if type(value) is not bytes:
        raise malformed("a document or payload is a byte string")
    return value


def read_record(value: Value) -> Record:
    """Read a short record, and verify it."""
    return from_short(read_bytes(value))


def read_index(value: Value) -> int:
    """Read an index of the key tree."""
    return read_number(value, MAX_INDEX, "an index")


def read_seq(value: Value) -> int:
    """Read a `seq` below the year 2100."""
    return read_number(value, SEQ_LIMIT - 1, "seq")


def read_number(value: Value, high: int, what: str) -> int:
    """Read a number from 0 to `high`."""
    if type(value) is not int or not 0 <= value <= high:
        raise malformed(f"{what} is a number from 0 to {high}")
    return value


def as_map(attributes: Mapping[str, str]) -> Map:
    """Return attributes as CBOR has them."""
    result: Map = {}
    result.update(attributes)
    return result


def read_attributes(value: Value) -> dict[str, str]:
    """Read attributes; what they say is not checked yet."""
    if type(value) is not dict:
        raise malformed("attributes are a map of texts")
    found: dict[str, str] = {}
    for name, text in value.items():
        if type(name) is not str or type(text) is not str:
            raise malformed("attributes are a map of texts")
        found[name] = text
    return found
