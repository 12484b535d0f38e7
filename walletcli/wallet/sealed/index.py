"""The index of an identity's sealed data: which items there are, and which blobs they are made of.

Spec: docs/spec/sealed-data.md, "Index".
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from itertools import pairwise
from typing import Final

from walletcli.core import cbor
from walletcli.core.blob import ID_BYTES, INDEX_ID
from walletcli.core.document import text_fault
from walletcli.core.manifest import MAX_VERSION
from walletcli.core.sealed import MAX_RECIPIENTS, padme
from walletcli.errors import FormatError, InputError
from walletcli.wallet.state.fields import Fields

VERSION: Final = 1
"""Version of the format."""

PIECE_BYTES: Final = (1 << 20) - 1
"""Content of a full piece; sealed, it is padded to 1 MiB exactly."""

MIN_PADDED_BYTES: Final = 4095
"""Shortest padded content: what is shorter looks alike."""

MAX_INDEX_BYTES: Final = 2_000_000
"""Longest index, unpadded; sealed, it stays below the 2 MiB that are taken from a place."""

MAX_NAME_BYTES: Final = 200
"""Longest name of an item, bytes of UTF-8."""

MAX_LENGTH_BYTES: Final = 1 << 36
"""Longest content of an item; the index's own limit comes first."""

_LENGTH_BYTES = 4
_HASH_BYTES = 32
_KEY_BYTES = 32
_WHAT = "data-index"


class Kind(IntEnum):
    """Whose item it is."""

    SYSTEM = 1
    """the wallet's own: contact book, settings"""
    FILE = 2
    """a file of the owner's"""


CONTACTS: Final = "contacts"
"""Name of the wallet's own item that holds the contact book."""

SETTINGS: Final = "settings"
"""Name of the wallet's own item that holds what stands nowhere else."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A blob that holds a part of an item.

    Attributes:
        blob_id: 16 bytes.
        version: of the blob.
        content_hash: SHA-256 of the sealed bytes.
    """

    blob_id: bytes
    version: int
    content_hash: bytes


@dataclass(frozen=True, slots=True)
class Item:
    """One item.

    Attributes:
        kind: whose.
        name: unique among those of its kind.
        length_bytes: of its content.
        digest: SHA-256 of its content.
        stored_s: when it was stored, Unix time in seconds by the clock of the device that did.
        recipients: X25519 keys that it is sealed to, 32 bytes each, ascending.
        pieces: in the order of the content.
    """

    kind: Kind
    name: str
    length_bytes: int
    digest: bytes
    stored_s: int
    recipients: tuple[bytes, ...]
    pieces: tuple[Piece, ...]

    @property
    def key(self) -> tuple[int, str]:
        """What it is found by."""
        return int(self.kind), self.name

    def is_same(self, other: Item | None) -> bool:
        """Tell whether `other` holds the same content in the same blobs."""
        return other is not None and (self.digest, self.pieces) == (other.digest, other.pieces)


@dataclass(frozen=True, slots=True)
class SealedIndex:
    """All items of an identity.

    Attributes:
        identity: root key, 32 bytes.
        items: ascending by kind and name.
        free: ids that hold nothing any more, with the version up to which their content is dead.
        epoch: how often the data was put back from copies; what was there before is no base for merging then.
        replaces: SHA-256 of the sealed bytes of the index before, or None for a first one.

    Raises:
        FormatError: ``data-index.malformed``.
    """

    identity: bytes
    items: tuple[Item, ...] = ()
    free: tuple[tuple[bytes, int], ...] = ()
    epoch: int = 0
    replaces: bytes | None = None

    def __post_init__(self) -> None:
        if any(one.key >= other.key for one, other in pairwise(self.items)):
            raise _malformed("items are repeated or out of order")
        used = [piece.blob_id for item in self.items for piece in item.pieces]
        ids = [*used, *(blob_id for blob_id, _ in self.free)]
        if len(set(ids)) < len(ids) or INDEX_ID in ids:
            raise _malformed("an id stands twice, or is the index's own")
        if any(one[0] >= other[0] for one, other in pairwise(self.free)):
            raise _malformed("free ids are out of order")
        for item in self.items:
            _check_item(item)

    def get(self, kind: Kind, name: str) -> Item | None:
        """Return an item, or None if there is none of this name."""
        return next((item for item in self.items if item.key == (kind, name)), None)

    def of_kind(self, kind: Kind) -> tuple[Item, ...]:
        """Return the items of a kind, by name."""
        return tuple(item for item in self.items if item.kind is kind)

    def with_item(self, item: Item) -> SealedIndex:
        """Return the index with `item` in place of the one of its name, whose other pieces become free."""
        return self._changed(item.key, (item,))

    def without(self, kind: Kind, name: str) -> SealedIndex:
        """Return the index without an item; its pieces become free."""
        return self._changed((int(kind), name), ())

    def _changed(self, key: tuple[int, str], new: tuple[Item, ...]) -> SealedIndex:
        before = [item for item in self.items if item.key == key]
        used = {piece.blob_id for item in new for piece in item.pieces}
        free = dict(self.free)
        free.update({piece.blob_id: piece.version for item in before for piece in item.pieces})
        others = [item for item in self.items if item.key != key]
        items = tuple(sorted((*others, *new), key=lambda item: item.key))
        kept = tuple(sorted((blob_id, version) for blob_id, version in free.items() if blob_id not in used))
        return replace(self, items=items, free=kept)

    def with_free(self, found: Mapping[bytes, int]) -> SealedIndex:
        """Return the index with more free ids (16 bytes) and the versions that are dead there."""
        known = dict(self.free)
        used = self.pins.keys()
        for blob_id, version in found.items():
            if blob_id not in used and blob_id != INDEX_ID:
                known[blob_id] = max(version, known.get(blob_id, 0))
        return replace(self, free=tuple(sorted(known.items())))

    @property
    def pins(self) -> dict[bytes, tuple[int, bytes]]:
        """Version and hash of each piece that is in use, by id."""
        return {piece.blob_id: (piece.version, piece.content_hash) for item in self.items for piece in item.pieces}

    @property
    def floors(self) -> dict[bytes, int]:
        """The version below which nothing may come, by id; the index itself left out."""
        return {**{blob_id: version for blob_id, (version, _) in self.pins.items()}, **dict(self.free)}

    def to_cbor(self) -> bytes:
        """Encode without padding.

        Raises:
            InputError: ``data.full`` over `MAX_INDEX_BYTES`.
        """
        sets = sorted({item.recipients for item in self.items})
        fields: dict[int, object] = {
            1: VERSION,
            2: self.identity,
            3: [list(recipients) for recipients in sets],
            4: [_to_row(item, sets.index(item.recipients)) for item in self.items],
            5: [[blob_id, version] for blob_id, version in self.free],
            6: self.epoch,
        }
        if self.replaces is not None:
            fields[7] = self.replaces
        data = cbor.encode(fields)
        if len(data) > MAX_INDEX_BYTES:
            raise InputError(
                "data.full",
                f"the index of the sealed data has at most {MAX_INDEX_BYTES} bytes, some 37,000 pieces of 1 MiB",
                "remove items first",
            )
        return data

    @classmethod
    def from_cbor(cls, data: bytes) -> SealedIndex:
        """Decode what `to_cbor` gave.

        Raises:
            FormatError: ``data-index.malformed``, ``data-index.unknown-version``, ``cbor.*``.
        """
        fields = Fields(cbor.decode(data, MAX_INDEX_BYTES), _WHAT)
        if fields.integer(1) != VERSION:
            raise FormatError(
                "data-index.unknown-version",
                "the index of the sealed data was written by a newer version of walletcli",
                "update walletcli",
            )
        identity = fields.raw(2, _KEY_BYTES)
        sets = [_recipients(value) for value in fields.items(3)]
        items = tuple(_from_row(value, sets) for value in fields.items(4))
        free = tuple(_free(value) for value in fields.items(5))
        epoch = fields.integer(6, 0, MAX_VERSION)
        replaces = fields.raw(7, _HASH_BYTES) if fields.has(7) else None
        fields.end()
        if sets != sorted({item.recipients for item in items}):
            raise _malformed("sets of recipients are repeated, out of order, or named by no item")
        return cls(identity, items, free, epoch, replaces)

    def to_bytes(self) -> bytes:
        """Encode with padding, as it is sealed; raises InputError ``data.full``."""
        data = self.to_cbor()
        return (len(data).to_bytes(_LENGTH_BYTES, "big") + data).ljust(MIN_PADDED_BYTES, b"\0")

    @classmethod
    def from_bytes(cls, data: bytes) -> SealedIndex:
        """Decode what `to_bytes` gave.

        Raises:
            FormatError: ``data-index.malformed``, ``data-index.unknown-version``, ``cbor.*``.
        """
        length = int.from_bytes(data[:_LENGTH_BYTES], "big")
        content, padding = data[_LENGTH_BYTES : _LENGTH_BYTES + length], data[_LENGTH_BYTES + length :]
        if length > MAX_INDEX_BYTES or len(content) < length or padding.strip(b"\0"):
            raise _malformed("its length or its padding is wrong")
        if len(data) != max(MIN_PADDED_BYTES, _LENGTH_BYTES + length):
            raise _malformed("its padding is wrong")
        return cls.from_cbor(content)


def check_name(text: str) -> str:
    """Return `text` as the name of an item, in form NFC.

    Raises:
        InputError: ``data.name``.
    """
    try:
        name = unicodedata.normalize("NFC", text)
        fault = _name_fault(name)
    except UnicodeError:
        fault = "is not valid Unicode"
    if fault is not None:
        raise InputError("data.name", f"the name of an item {fault}", "give another one with --name")
    return name


def is_name(name: str) -> bool:
    """Tell whether `name` can be the name of an item."""
    try:
        return _name_fault(name) is None
    except UnicodeError:
        return False


def _name_fault(name: str) -> str | None:
    """Return what is wrong with a name, in words, or None; the rule does not depend on a version of Unicode."""
    size = len(name.encode())
    if not 1 <= size <= MAX_NAME_BYTES:
        return f"has 1 to {MAX_NAME_BYTES} bytes of UTF-8, not {size}"
    if text_fault(name, MAX_NAME_BYTES) is not None or "\n" in name:
        return "holds control, private or invisible characters"
    if "/" in name or "\\" in name or name.startswith("."):
        return "has no '/' and no '\\', and does not begin with '.'"
    return None


def padded_bytes(length_bytes: int) -> int:
    """Return the length of an item's padded content."""
    return max(MIN_PADDED_BYTES, padme(length_bytes + 1) - 1)  # sealing adds a byte, and pads to Padmé of that


def piece_count(length_bytes: int) -> int:
    """Return the number of pieces of an item with this length."""
    return -(-padded_bytes(length_bytes) // PIECE_BYTES)


def _check_item(item: Item) -> None:
    if not 0 <= item.length_bytes <= MAX_LENGTH_BYTES or len(item.pieces) != piece_count(item.length_bytes):
        raise _malformed("the number of an item's pieces is not what its length gives")
    if _name_fault(item.name) is not None:
        raise _malformed("the name of an item")
    if not 1 <= len(item.recipients) <= MAX_RECIPIENTS or any(a >= b for a, b in pairwise(item.recipients)):
        raise _malformed("recipients are repeated, out of order, or too many")


def _to_row(item: Item, number: int) -> list[object]:
    pieces = [[piece.blob_id, piece.version, piece.content_hash] for piece in item.pieces]
    return [int(item.kind), item.name, item.length_bytes, item.digest, item.stored_s, number, pieces]


def _from_row(value: object, sets: list[tuple[bytes, ...]]) -> Item:
    row = Fields.of_row(value, _WHAT)
    kind = Kind(row.integer(0, Kind.SYSTEM, Kind.FILE))
    name = row.text(1, MAX_NAME_BYTES)
    length_bytes = row.integer(2, 0, MAX_LENGTH_BYTES)
    digest, stored_s = row.raw(3, _HASH_BYTES), row.integer(4)
    number = row.integer(5)
    pieces = tuple(_piece(item) for item in row.items(6))
    row.end()
    if number >= len(sets):
        raise _malformed("an item names a set of recipients that is not there")
    return Item(kind, name, length_bytes, digest, stored_s, sets[number], pieces)


def _piece(value: object) -> Piece:
    row = Fields.of_row(value, _WHAT)
    piece = Piece(row.raw(0, ID_BYTES), row.integer(1, 1, MAX_VERSION), row.raw(2, _HASH_BYTES))
    row.end()
    return piece


def _free(value: object) -> tuple[bytes, int]:
    row = Fields.of_row(value, _WHAT)
    free = row.raw(0, ID_BYTES), row.integer(1, 1, MAX_VERSION)
    row.end()
    return free


def _recipients(value: object) -> tuple[bytes, ...]:
    return Fields({0: value}, _WHAT).raws(0, _KEY_BYTES)


def ids_of(items: Iterable[Item]) -> set[bytes]:
    """Return the ids (16 bytes) of all pieces of `items`."""
    return {piece.blob_id for item in items for piece in item.pieces}


def _malformed(why: str) -> FormatError:
    return FormatError("data-index.malformed", f"malformed data-index: {why}")
