"""What became of each item and each blob of a move; kept in the vault until it has been told.

Spec: docs/spec/migration.md, "Report".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Final

from walletcli.client.copying import Missing
from walletcli.core.manifest import MAX_VERSION
from walletcli.errors import FormatError
from walletcli.wallet.state.fields import Fields

WHAT: Final = "provider-book"
"""First part of the error codes: a report stands in the book."""

MAX_ROWS: Final = 65_536
"""Most items, and most blobs of a kind, that a report names."""

MAX_MESSAGE_BYTES: Final = 400
"""Longest reason that is kept, in bytes of UTF-8."""


OLD_STATES: Final = frozenset({"agreed", "refused", "dead", "unreliable"})
"""How a provider that is left took it."""


class Outcome(IntEnum):
    """What became of an item."""

    MOVED = 1
    """came from the provider that was left"""
    THERE = 2
    """was at the new provider when this run began"""
    KIT = 3
    """came, or a part of it, from an exit kit, or another place of the identity's"""
    OLDER = 4
    """is lost in its newest state; an older one came from an exit kit"""
    LOST = 5
    """is at no place"""
    VAULT = 6
    """is the wallet's own: the vault has it, and the next synchronization stores it again"""


OUTCOMES: Final = {
    Outcome.MOVED: "moved",
    Outcome.THERE: "there",
    Outcome.KIT: "kit",
    Outcome.OLDER: "older",
    Outcome.LOST: "lost",
    Outcome.VAULT: "vault",
}
"""Names for programs."""


@dataclass(frozen=True, slots=True)
class ItemOutcome:
    """One item.

    Attributes:
        is_file: a file of the owner's; otherwise the wallet's own.
        name: of the item.
        length_bytes: of its content.
        stored_s: when its newest state was stored, Unix time in seconds.
        outcome: what became of it.
        found_s: when the older state was stored that came back, Unix time in seconds, or None.
    """

    is_file: bool
    name: str
    length_bytes: int
    stored_s: int
    outcome: Outcome
    found_s: int | None = None

    @property
    def key(self) -> tuple[bool, str]:
        """What it is found by."""
        return self.is_file, self.name

    def is_same(self, other: ItemOutcome) -> bool:
        """Tell whether `other` is about the same state of the same item, and this one says that it is there."""
        return (self.key, self.stored_s) == (other.key, other.stored_s) and not self.is_lost

    @property
    def is_lost(self) -> bool:
        """Whether it is not back in its newest state, nor in the vault."""
        return self.outcome in (Outcome.OLDER, Outcome.LOST)

    def to_row(self) -> list[object]:
        """Return the CBOR list that stands for it."""
        return [self.is_file, self.name, self.length_bytes, self.stored_s, int(self.outcome), self.found_s]

    @classmethod
    def from_row(cls, value: object) -> ItemOutcome:
        """Read the list that `to_row` wrote; raises FormatError ``provider-book.malformed``."""
        row = Fields.of_row(value, WHAT)
        found = cls(
            row.flag(0),
            row.text(1, 256),
            row.integer(2),
            row.integer(3),
            Outcome(row.integer(4, Outcome.MOVED, Outcome.VAULT)),
            row.optional_integer(5),
        )
        row.end()
        return found

    def to_json(self) -> dict[str, object]:
        """Return name, length, times and outcome."""
        return {
            "kind": "file" if self.is_file else "system",
            "name": self.name,
            "bytes": self.length_bytes,
            "stored_s": self.stored_s,
            "outcome": OUTCOMES[self.outcome],
            "found_s": self.found_s,
        }


@dataclass(frozen=True, slots=True)
class Unusable:
    """A blob that a place gave, or should have given, and that could not be used.

    Attributes:
        blob_id: 16 bytes, or None where not even that could be told.
        place: which place.
        code: of the error.
        message: of the error.
    """

    blob_id: bytes | None
    place: str
    code: str
    message: str

    def to_row(self) -> list[object]:
        """Return the CBOR list that stands for it."""
        return [self.blob_id, _cut(self.place), self.code, _cut(self.message)]

    @classmethod
    def from_row(cls, value: object) -> Unusable:
        """Read the list that `to_row` wrote; raises FormatError ``provider-book.malformed``."""
        row = Fields.of_row(value, WHAT)
        found = cls(
            row.optional_raw(0, 16), row.text(1, MAX_MESSAGE_BYTES), row.text(2, 64), row.text(3, MAX_MESSAGE_BYTES)
        )
        row.end()
        return found

    def to_json(self) -> dict[str, object]:
        """Return blob (hex or null), place and error."""
        return {
            "blob": self.blob_id.hex() if self.blob_id is not None else None,
            "place": self.place,
            "error": {"code": self.code, "message": self.message},
        }


@dataclass(frozen=True, slots=True)
class MoveReport:
    """What became of an identity's data.

    Attributes:
        items: every item that the newest index names.
        moved: blobs that came from the provider that was left.
        there: blobs that were at the new one when this run began.
        kit: blobs that came from an exit kit.
        copied_bytes: sealed bytes of `moved` and `kit`.
        lost: blobs that the index names and no place has.
        unusable: blobs that a place should have given, and that are not at the new one.
        indexed: whether an index was found that tells what there should be; without one nobody knows what is lost.
        old: how the provider that was left took it: ``agreed``, ``refused``, ``dead`` or ``unreliable``.
        old_error: why it could not be used in full, as `Unusable` without a blob, or None.
    """

    items: tuple[ItemOutcome, ...] = ()
    moved: int = 0
    there: int = 0
    kit: int = 0
    copied_bytes: int = 0
    lost: tuple[Missing, ...] = ()
    unusable: tuple[Unusable, ...] = ()
    indexed: bool = True
    old: str = "agreed"
    old_error: Unusable | None = None

    def __post_init__(self) -> None:
        if self.old not in OLD_STATES:
            raise FormatError(f"{WHAT}.malformed", f"malformed {WHAT}: an unknown state of a provider")

    @property
    def is_complete(self) -> bool:
        """Whether everything that there should be is at the new provider, in its newest state."""
        if not self.indexed:
            return self.old == "agreed" and not self.unusable
        return not self.lost_files

    @property
    def lost_files(self) -> int:
        """How many items of the owner's are not back in their newest state."""
        return sum(1 for item in self.items if item.is_lost)

    def continuing(self, earlier: MoveReport | None) -> MoveReport:
        """Return the report of a run that goes on from one that was cut off after it had written its own down.

        What that one had brought is there now, and what it had found lost is no longer named by any index.
        """
        if earlier is None:
            return self
        items = {item.key: item for item in self.items}
        for item in earlier.items:
            now = items.get(item.key)
            if now is None or now.stored_s < item.stored_s or (now.outcome is Outcome.THERE and item.is_same(now)):
                items[item.key] = item
        is_lost = any(item.is_lost or item.outcome is Outcome.VAULT for item in items.values())
        lost = {(item.blob_id, item.version): item for item in (*earlier.lost, *self.lost)} if is_lost else {}
        return replace(
            self,
            items=tuple(sorted(items.values(), key=lambda item: item.key)),
            moved=earlier.moved + self.moved,
            there=earlier.there,
            kit=earlier.kit + self.kit,
            copied_bytes=earlier.copied_bytes + self.copied_bytes,
            lost=tuple(lost.values()),
            unusable=self.unusable or earlier.unusable,
            indexed=self.indexed or earlier.indexed,
        )

    def to_row(self) -> list[object]:
        """Return the CBOR list that stands for the report."""
        return [
            [item.to_row() for item in self.items[:MAX_ROWS]],
            self.moved,
            self.there,
            self.kit,
            self.copied_bytes,
            [[item.blob_id, item.version, item.found_version] for item in self.lost[:MAX_ROWS]],
            [item.to_row() for item in self.unusable[:MAX_ROWS]],
            self.indexed,
            self.old,
            self.old_error.to_row() if self.old_error is not None else None,
        ]

    @classmethod
    def from_row(cls, value: object) -> MoveReport:
        """Read the list that `to_row` wrote; raises FormatError ``provider-book.malformed``."""
        row = Fields.of_row(value, WHAT)
        found = cls(
            tuple(ItemOutcome.from_row(item) for item in row.items(0)),
            row.integer(1),
            row.integer(2),
            row.integer(3),
            row.integer(4),
            tuple(_missing(item) for item in row.items(5)),
            tuple(Unusable.from_row(item) for item in row.items(6)),
            row.flag(7),
            row.text(8, 16),
            _optional(row, 9),
        )
        row.end()
        return found

    def to_json(self) -> dict[str, object]:
        """Return items, counts, and each blob that is lost or could not be used."""
        return {
            "complete": self.is_complete,
            "indexed": self.indexed,
            "items": [item.to_json() for item in self.items],
            "blobs": {
                "moved": self.moved,
                "there": self.there,
                "kit": self.kit,
                "copied_bytes": self.copied_bytes,
                "lost": [item.to_json() for item in self.lost],
                "unusable": [item.to_json() for item in self.unusable],
            },
        }


def _optional(row: Fields, key: int) -> Unusable | None:
    if row.has(key):
        return Unusable.from_row(row.items(key))
    row.optional_raw(key)
    return None


def _missing(value: object) -> Missing:
    row = Fields.of_row(value, WHAT)
    found = Missing(row.raw(0, 16), row.integer(1, 0, MAX_VERSION), row.integer(2, 0, MAX_VERSION))
    row.end()
    return found


def _cut(text: str) -> str:
    """Return as much of a text as is kept."""
    return text.encode()[:MAX_MESSAGE_BYTES].decode(errors="ignore")
