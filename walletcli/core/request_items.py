"""What a request can ask for: records, new identities, more devices, statements; approvals and keys that approve.

Spec: docs/spec/request.md, "Request file".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from walletcli.core.approver_items import ApproveItem, OfferItem
from walletcli.core.cbor import Value
from walletcli.core.document import Document, check_attribute, text_fault
from walletcli.core.document_parts import Delegation
from walletcli.core.item_parts import (
    as_map,
    check_record,
    malformed,
    read_attributes,
    read_bytes,
    read_index,
    read_key,
    read_record,
    read_seq,
    sized,
)
from walletcli.core.record import Record
from walletcli.core.short_record import to_short

MAX_LABEL_BYTES: Final = 256
"""Longest label, bytes of UTF-8."""

MAX_TYP_BYTES: Final = 128
"""Longest type of a statement, bytes."""

MAX_ATTRIBUTES: Final = 64
"""Most attributes of a kind, as in a profile."""


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
        check_record(self.identity, self.record)

    def to_row(self) -> list[Value]:
        """Return the array of the CDDL."""
        return [self.KIND, self.identity, self.index, to_short(self.record), self.document.to_bare_bytes()]

    @classmethod
    def from_row(cls, row: list[Value]) -> PublishItem:
        """Read the array of the CDDL."""
        _, identity, index, record, document = sized(row, 5)
        return cls(
            read_key(identity), read_index(index), read_record(record), Document.from_bare_bytes(read_bytes(document))
        )


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
            raise malformed(f"a label: {fault or 'more than one line'}")
        for attributes in (self.public, self.sealed):
            if len(attributes) > MAX_ATTRIBUTES:
                raise malformed(f"at most {MAX_ATTRIBUTES} attributes of a kind")
            for name, value in attributes.items():
                check_attribute(name, value)
        if self.public.keys() & self.sealed.keys():
            raise malformed("an attribute is public or sealed, not both")

    def to_row(self) -> list[Value]:
        """Return the array of the CDDL."""
        texts = [as_map(self.public), as_map(self.sealed)]
        return [self.KIND, self.label, self.device.to_cbor(), *texts, self.seq, self.least_index]

    @classmethod
    def from_row(cls, row: list[Value]) -> CreateItem:
        """Read the array of the CDDL."""
        _, label, device, public, sealed, seq, index = sized(row, 7)
        if type(label) is not str:
            raise malformed("a label is a text")
        return cls(
            label,
            Delegation.from_cbor(device),
            read_attributes(public),
            read_attributes(sealed),
            read_seq(seq),
            read_index(index),
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
        check_record(self.identity, self.record)

    def to_row(self) -> list[Value]:
        """Return the array of the CDDL."""
        return [self.KIND, self.identity, self.index, to_short(self.record), self.device.to_cbor(), self.seq]

    @classmethod
    def from_row(cls, row: list[Value]) -> EnrolItem:
        """Read the array of the CDDL."""
        _, identity, index, record, device, seq = sized(row, 6)
        known = read_index(index) if index is not None else None
        return cls(read_key(identity), known, read_record(record), Delegation.from_cbor(device), read_seq(seq))


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
            raise malformed(f"a type has 1 to {MAX_TYP_BYTES} printable ASCII characters")

    def to_row(self) -> list[Value]:
        """Return the array of the CDDL."""
        return [self.KIND, self.identity, self.index, self.typ, self.payload]

    @classmethod
    def from_row(cls, row: list[Value]) -> SignItem:
        """Read the array of the CDDL."""
        _, identity, index, typ, payload = sized(row, 5)
        if type(typ) is not str:
            raise malformed("a type is a text")
        return cls(read_key(identity), read_index(index), typ, read_bytes(payload))


Item = PublishItem | CreateItem | EnrolItem | SignItem | ApproveItem | OfferItem
"""What can be asked for."""

_READERS: Final[dict[int, Callable[[list[Value]], Item]]] = {
    PublishItem.KIND: PublishItem.from_row,
    CreateItem.KIND: CreateItem.from_row,
    EnrolItem.KIND: EnrolItem.from_row,
    SignItem.KIND: SignItem.from_row,
    ApproveItem.KIND: ApproveItem.from_row,
    OfferItem.KIND: OfferItem.from_row,
}


def read_item(row: Value) -> Item:
    """Read the array that stands for an item; raises as its class does."""
    if type(row) is not list or not row or type(row[0]) is not int:
        raise malformed("an item is a list that starts with its kind")
    read = _READERS.get(row[0])
    if read is None:
        raise malformed("an item of a kind that is not known here")
    return read(row)
