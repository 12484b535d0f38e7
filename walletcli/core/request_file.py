"""The request: what an online wallet asks the machine with the root keys to sign, as a file.

It proves nothing: whoever makes one can ask for anything. What it asks for is shown to the owner of the root keys.

Spec: docs/spec/request.md, "Request file".
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final

from walletcli.core import bip39, cbor, ed25519
from walletcli.core.cbor import Map, Value
from walletcli.core.document import Document, check_attribute, text_fault
from walletcli.core.document_parts import LAST_DAY, Delegation
from walletcli.core.record import SEQ_LIMIT, Record
from walletcli.core.short_record import from_short, to_short
from walletcli.errors import FormatError, InputError, VerificationError

MAGIC: Final = b"walletcli request 1\n"
"""First bytes of a request file."""

MAX_FILE_BYTES: Final = 16 << 20
"""Longest request file."""

MAX_ITEMS: Final = 32
"""Most items in a request."""

MAX_DAYS: Final = 90
"""Longest life of a request, days."""

CLOCK_DAYS: Final = 1
"""How many days ahead of the reader's own a request's day may be: clocks differ, and so do time zones."""

ID_BYTES: Final = 16
"""Length of a request's id."""

MAX_LABEL_BYTES: Final = 256
"""Longest label, bytes of UTF-8."""

MAX_TYP_BYTES: Final = 128
"""Longest type of a statement, bytes."""

MAX_INDEX: Final = 2**31 - 2
"""Largest identity index (docs/spec/keys.md)."""

MAX_ATTRIBUTES: Final = 64
"""Most attributes of a kind, as in a profile."""

WORDS: Final = 8
"""Number of words that a digest is shown as; 11 bits each."""

_WORD_BITS: Final = 11
_DIGEST_BITS: Final = 256


def _wrong(detail: str) -> FormatError:
    return FormatError("request.malformed", f"request: {detail}")


def _file(detail: str) -> FormatError:
    return FormatError("request.file", f"not a request of a known version: {detail}")


@dataclass(frozen=True, slots=True)
class PublishItem:
    """Asks for the next record of an identity.

    Attributes:
        identity: root key, 32 bytes.
        index: where the identity is in the key tree.
        record: the newest record that the asking wallet has, verified.
        document: the new document.

    Raises:
        VerificationError: ``request.record``: the record is another identity's.
    """

    KIND: ClassVar[int] = 1

    identity: bytes
    index: int
    record: Record
    document: Document

    def __post_init__(self) -> None:
        _check_record(self.identity, self.record)

    def to_row(self) -> list[Value]:
        """Return the array of the CDDL."""
        return [self.KIND, self.identity, self.index, to_short(self.record), self.document.to_bare_bytes()]

    @classmethod
    def from_row(cls, row: list[Value]) -> PublishItem:
        """Read the array of the CDDL."""
        _, identity, index, record, document = _sized(row, 5)
        return cls(_key(identity), _index(index), _record(record), Document.from_bare_bytes(_bytes(document)))


@dataclass(frozen=True, slots=True)
class CreateItem:
    """Asks for a new identity whose first record delegates to the asking device.

    Attributes:
        label: the owner's name for it, 1 to 256 bytes, one line.
        device: the asking device's keys, powers and days.
        public: attributes that are published in clear, at most 64.
        sealed: attributes that only the owner reads, at most 64, none of them public.
        seq: of the first record, below the year 2100 in microseconds.
        least_index: the lowest index that the asking wallet knows to be free.

    Raises:
        FormatError: ``request.malformed``, ``document.profile``.
    """

    KIND: ClassVar[int] = 2

    label: str
    device: Delegation
    public: Mapping[str, str]
    sealed: Mapping[str, str]
    seq: int
    least_index: int = 0

    def __post_init__(self) -> None:
        fault = text_fault(self.label, MAX_LABEL_BYTES)
        if fault or "\n" in self.label:
            raise _wrong(f"a label: {fault or 'more than one line'}")
        for attributes in (self.public, self.sealed):
            if len(attributes) > MAX_ATTRIBUTES:
                raise _wrong(f"at most {MAX_ATTRIBUTES} attributes of a kind")
            for name, value in attributes.items():
                check_attribute(name, value)
        if self.public.keys() & self.sealed.keys():
            raise _wrong("an attribute is public or sealed, not both")

    def to_row(self) -> list[Value]:
        """Return the array of the CDDL."""
        texts = [_as_map(self.public), _as_map(self.sealed)]
        return [self.KIND, self.label, self.device.to_cbor(), *texts, self.seq, self.least_index]

    @classmethod
    def from_row(cls, row: list[Value]) -> CreateItem:
        """Read the array of the CDDL."""
        _, label, device, public, sealed, seq, index = _sized(row, 7)
        if type(label) is not str:
            raise _wrong("a label is a text")
        return cls(
            label, Delegation.from_cbor(device), _attributes(public), _attributes(sealed), _seq(seq), _index(index)
        )


@dataclass(frozen=True, slots=True)
class EnrolItem:
    """Asks for one more device of an identity.

    Attributes:
        identity: root key, 32 bytes.
        index: where the identity is in the key tree, or None if the asking wallet does not know.
        record: its newest record, verified.
        device: the new device's keys, powers and days.
        seq: of the new record, below the year 2100 in microseconds.

    Raises:
        VerificationError: ``request.record``: the record is another identity's.
    """

    KIND: ClassVar[int] = 3

    identity: bytes
    index: int | None
    record: Record
    device: Delegation
    seq: int

    def __post_init__(self) -> None:
        _check_record(self.identity, self.record)

    def to_row(self) -> list[Value]:
        """Return the array of the CDDL."""
        return [self.KIND, self.identity, self.index, to_short(self.record), self.device.to_cbor(), self.seq]

    @classmethod
    def from_row(cls, row: list[Value]) -> EnrolItem:
        """Read the array of the CDDL."""
        _, identity, index, record, device, seq = _sized(row, 6)
        known = _index(index) if index is not None else None
        return cls(_key(identity), known, _record(record), Delegation.from_cbor(device), _seq(seq))


@dataclass(frozen=True, slots=True)
class SignItem:
    """Asks for a statement to be signed by the root.

    Attributes:
        identity: root key, 32 bytes.
        index: where the identity is in the key tree.
        typ: type of the statement, 1 to 128 ASCII characters.
        payload: its content; not looked at yet.

    Raises:
        FormatError: ``request.malformed``.
    """

    KIND: ClassVar[int] = 4

    identity: bytes
    index: int
    typ: str
    payload: bytes

    def __post_init__(self) -> None:
        if not 1 <= len(self.typ) <= MAX_TYP_BYTES or not self.typ.isascii() or not self.typ.isprintable():
            raise _wrong(f"a type has 1 to {MAX_TYP_BYTES} printable ASCII characters")

    def to_row(self) -> list[Value]:
        """Return the array of the CDDL."""
        return [self.KIND, self.identity, self.index, self.typ, self.payload]

    @classmethod
    def from_row(cls, row: list[Value]) -> SignItem:
        """Read the array of the CDDL."""
        _, identity, index, typ, payload = _sized(row, 5)
        if type(typ) is not str:
            raise _wrong("a type is a text")
        return cls(_key(identity), _index(index), typ, _bytes(payload))


Item = PublishItem | CreateItem | EnrolItem | SignItem
"""What can be asked for."""

_READERS: Final[dict[int, Callable[[list[Value]], Item]]] = {
    PublishItem.KIND: PublishItem.from_row,
    CreateItem.KIND: CreateItem.from_row,
    EnrolItem.KIND: EnrolItem.from_row,
    SignItem.KIND: SignItem.from_row,
}


@dataclass(frozen=True, slots=True)
class RequestFile:
    """A request.

    Attributes:
        request_id: 16 random bytes.
        made_day: days since 1970-01-01.
        expires_day: first day it no longer holds, 1 to 90 days later.
        items: 1 to 32, numbered from 1.

    Raises:
        FormatError: ``request.malformed``, ``request.repeated``.
    """

    request_id: bytes
    made_day: int
    expires_day: int
    items: tuple[Item, ...]
    _data: bytes = field(default=b"", init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        if len(self.request_id) != ID_BYTES:
            raise _wrong(f"an id has {ID_BYTES} bytes")
        if not 0 <= self.made_day < self.expires_day <= min(LAST_DAY, self.made_day + MAX_DAYS):
            raise _wrong(f"a request lasts 1 to {MAX_DAYS} days")
        if not 1 <= len(self.items) <= MAX_ITEMS:
            raise _wrong(f"1 to {MAX_ITEMS} items")
        _check_repeated(self.items)
        data = MAGIC + cbor.encode(
            {1: self.request_id, 2: self.made_day, 3: self.expires_day, 4: [item.to_row() for item in self.items]}
        )
        if len(data) > MAX_FILE_BYTES:
            raise _wrong(f"a request has at most {MAX_FILE_BYTES} bytes")
        object.__setattr__(self, "_data", data)

    @property
    def digest(self) -> bytes:
        """SHA-256 of the file, 32 bytes."""
        return hashlib.sha256(self._data).digest()

    def to_bytes(self) -> bytes:
        """Return the file."""
        return self._data

    @classmethod
    def from_bytes(cls, data: bytes) -> RequestFile:
        """Decode a file; exactly one encoding is accepted. Records in it are verified.

        Raises:
            FormatError: ``request.file``, ``request.malformed``, ``request.repeated``, ``cbor.*``, ``document.*``,
                ``key.malformed``, ``short-record.*``.
            VerificationError: ``signature.invalid``, ``request.record``.
        """
        if len(data) > MAX_FILE_BYTES or not data.startswith(MAGIC):
            raise _file("it starts with 'walletcli request 1'")
        fields = cbor.decode(data[len(MAGIC) :], MAX_FILE_BYTES)
        if type(fields) is not dict or fields.keys() != {1, 2, 3, 4}:
            raise _file("needs an id, two days and items")
        request_id, made, expires, rows = fields.values()  # in the order of the keys
        if type(request_id) is not bytes or type(made) is not int or type(expires) is not int:
            raise _wrong("needs an id and two days")
        if type(rows) is not list or not 1 <= len(rows) <= MAX_ITEMS:
            raise _wrong(f"1 to {MAX_ITEMS} items")
        request = cls(request_id, made, expires, tuple(map(_item, rows)))
        if request.to_bytes() != data:  # the digest that people compare is that of the file
            raise _file("it is not written in the one way there is")
        return request

    def item(self, number: int) -> Item:
        """Return the item with this number, counted from 1.

        Raises:
            InputError: ``request.item``.
        """
        if not 1 <= number <= len(self.items):
            raise InputError("request.item", f"the request has items 1 to {len(self.items)}, not {number}")
        return self.items[number - 1]

    def has_expired(self, today: int) -> bool:
        """Tell whether the request no longer holds on `today`, days since 1970-01-01."""
        return today >= self.expires_day


def digest_words(digest: bytes) -> tuple[str, ...]:
    """Return the 8 words that people compare for a digest (32 bytes)."""
    bits = int.from_bytes(digest, "big") >> (_DIGEST_BITS - WORDS * _WORD_BITS)
    return bip39.words_at(
        tuple(bits >> shift & 2047 for shift in range(_WORD_BITS * (WORDS - 1), -1, -_WORD_BITS)), "english"
    )


def _check_repeated(items: tuple[Item, ...]) -> None:
    """Refuse two items of which the second would not follow the first."""
    identities = [item.identity for item in items if isinstance(item, PublishItem | EnrolItem)]
    labels = [item.label.casefold() for item in items if isinstance(item, CreateItem)]
    if len(set(identities)) < len(identities) or len(set(labels)) < len(labels):
        raise FormatError("request.repeated", "two items of the request are about one identity, or have one label")


def _check_record(identity: bytes, record: Record) -> None:
    if record.packet.public_key != identity:
        raise VerificationError("request.record", "the record in the request is another identity's")


def _item(row: Value) -> Item:
    if type(row) is not list or not row or type(row[0]) is not int:
        raise _wrong("an item is a list that starts with its kind")
    read = _READERS.get(row[0])
    if read is None:
        raise _wrong("an item of a kind that is not known here")
    return read(row)


def _sized(row: list[Value], length: int) -> list[Value]:
    if len(row) != length:
        raise _wrong("an item has too many or too few parts")
    return row


def _key(value: Value) -> bytes:
    if type(value) is not bytes or len(value) != 32:
        raise _wrong("an identity is a key of 32 bytes")
    ed25519.check_encoding(value)
    return value


def _bytes(value: Value) -> bytes:
    if type(value) is not bytes:
        raise _wrong("a document or payload is a byte string")
    return value


def _record(value: Value) -> Record:
    return from_short(_bytes(value))


def _index(value: Value) -> int:
    return _number(value, MAX_INDEX, "an index")


def _seq(value: Value) -> int:
    return _number(value, SEQ_LIMIT - 1, "seq")


def _number(value: Value, high: int, what: str) -> int:
    if type(value) is not int or not 0 <= value <= high:
        raise _wrong(f"{what} is a number from 0 to {high}")
    return value


def _as_map(attributes: Mapping[str, str]) -> Map:
    result: Map = {}
    result.update(attributes)
    return result


def _attributes(value: Value) -> dict[str, str]:
    if type(value) is not dict:
        raise _wrong("attributes are a map of texts")
    found: dict[str, str] = {}
    for name, text in value.items():
        if type(name) is not str or type(text) is not str:
            raise _wrong("attributes are a map of texts")
        found[name] = text
    return found
