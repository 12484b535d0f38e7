"""What a restore has found so far, item by item: a drawer of the wallet, so that it goes on wherever it was stopped.

Spec: docs/spec/recovery.md, "Journal".
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from walletcli.core import cbor
from walletcli.errors import FormatError, WalletError
from walletcli.wallet.recovery.index_found import IndexFound
from walletcli.wallet.recovery.plan import Plan
from walletcli.wallet.state.changes import PutDrawer
from walletcli.wallet.state.fields import Fields
from walletcli.wallet.state.view import MAX_DRAWER_BYTES, MAX_INDEX

if TYPE_CHECKING:
    from walletcli.wallet.access.session import Session

DRAWER: Final = "recovery"
"""Name of the wallet's drawer."""

VERSION: Final = 1
"""Version of the format."""

_WHAT: Final = "recovery-journal"


@dataclass(frozen=True, slots=True)
class Item:
    """Something that came back.

    Attributes:
        kind: ``record``, ``label``, ``profile``, ``binding``, ``contacts``, ``relations``, ``settings``, ``file``.
        name: of a file or an attribute, address of a provider; empty where the kind says it all.
        place: where it came from: an address, or the path of an exit kit.
        count: how many (contacts, relations), or the length of a file in bytes; None where that means nothing.
        version: `seq` of a record, version of an index; None where there is none.
        day: how old it is by the place's own date (an exit kit's, a file's), days since 1970-01-01; None: not known.
    """

    kind: str
    name: str = ""
    place: str = ""
    count: int | None = None
    version: int | None = None
    day: int | None = None

    def to_row(self) -> list[object]:
        """Return the CBOR list that stands for the item."""
        return [self.kind, self.name, self.place, self.count, self.version, self.day]

    @classmethod
    def from_row(cls, value: object) -> Item:
        """Read the list that `to_row` wrote; raises FormatError ``recovery-journal.malformed``."""
        row = Fields.of_row(value, _WHAT)
        item = cls(
            row.text(0), row.text(1), row.text(2), row.optional_integer(3), row.optional_integer(4),
            row.optional_integer(5),
        )  # fmt: skip
        row.end()
        return item

    def to_json(self) -> dict[str, object]:
        """Return all fields."""
        return {
            "item": self.kind,
            "name": self.name or None,
            "from": self.place or None,
            "count": self.count,
            "version": self.version,
            "day": self.day,
        }


@dataclass(frozen=True, slots=True)
class Missing:
    """Something that did not come back, and why.

    Attributes:
        kind: as of an item, or ``relay``, ``provider``, ``kit`` for a place that did not give what it may have.
        name: as of an item.
        place: where it was looked for.
        code: of the error.
        message: the same for a reader.
    """

    kind: str
    name: str = ""
    place: str = ""
    code: str = ""
    message: str = ""

    @classmethod
    def of(cls, kind: str, error: WalletError, name: str = "", place: str = "") -> Missing:
        """Return what is missing because of an error."""
        return cls(kind, name, place, error.code, error.message)

    def to_row(self) -> list[object]:
        """Return the CBOR list that stands for it."""
        return [self.kind, self.name, self.place, self.code, self.message]

    @classmethod
    def from_row(cls, value: object) -> Missing:
        """Read the list that `to_row` wrote; raises FormatError ``recovery-journal.malformed``."""
        row = Fields.of_row(value, _WHAT)
        missing = cls(row.text(0), row.text(1), row.text(2), row.text(3), row.text(4))
        row.end()
        return missing

    def to_json(self) -> dict[str, object]:
        """Return all fields."""
        return {
            "item": self.kind,
            "name": self.name or None,
            "from": self.place or None,
            "code": self.code,
            "message": self.message,
        }


@dataclass(frozen=True, slots=True)
class FormerDevice:
    """A device that an identity's record had when it was found.

    Attributes:
        signing_key: 32 bytes.
        until_day: first day on which nobody believes it any more, days since 1970-01-01.
        is_a_nodes: it may grant and nothing else: the daily key of a node, which is on another machine.
    """

    signing_key: bytes
    until_day: int
    is_a_nodes: bool

    def to_row(self) -> list[object]:
        """Return the CBOR list that stands for the device."""
        return [self.signing_key, self.until_day, self.is_a_nodes]

    @classmethod
    def from_row(cls, value: object) -> FormerDevice:
        """Read the list that `to_row` wrote; raises FormatError ``recovery-journal.malformed``."""
        row = Fields.of_row(value, _WHAT)
        device = cls(row.raw(0, 32), row.integer(1), row.flag(2))
        row.end()
        return device


@dataclass(frozen=True, slots=True)
class Entry:
    """One identity that was found.

    Attributes:
        index: in the key tree.
        answered: independent sources that said what they have of it.
        blocked: code of what keeps anything from being signed on its record: a split, or a pending packet; or empty.
        devices: that its record had when it was found first.
        is_read: its sealed data has been read, or there is none.
        items: what came back.
        missing: what did not.
        waits: code and message of why its new record is not signed, or not published everywhere; or nothing.
        is_resealed: what it keeps at its places is sealed to this device as well.
    """

    index: int
    answered: tuple[str, ...] = ()
    blocked: str = ""
    devices: tuple[FormerDevice, ...] = ()
    is_read: bool = False
    items: tuple[Item, ...] = ()
    missing: tuple[Missing, ...] = ()
    waits: tuple[str, ...] = ()
    is_resealed: bool = False
    _encoded: list[cbor.Encoded] = field(default_factory=list, init=False, compare=False, repr=False)

    def encoded(self) -> cbor.Encoded:
        """Return the encoded entry; made once, for most entries stay as they are from one write to the next."""
        if not self._encoded:
            self._encoded.append(cbor.Encoded(cbor.encode(self.to_row())))
        return self._encoded[0]

    def to_row(self) -> list[object]:
        """Return the CBOR list that stands for the entry."""
        items, missing = [item.to_row() for item in self.items], [item.to_row() for item in self.missing]
        devices = [device.to_row() for device in self.devices]
        return [
            self.index, list(self.answered), self.blocked, devices, self.is_read, items, missing, list(self.waits),
            self.is_resealed,
        ]  # fmt: skip

    @classmethod
    def from_row(cls, value: object) -> Entry:
        """Read the list that `to_row` wrote; raises FormatError ``recovery-journal.malformed``."""
        row = Fields.of_row(value, _WHAT)
        entry = cls(
            row.integer(0, high=MAX_INDEX),
            row.texts(1),
            row.text(2),
            tuple(FormerDevice.from_row(item) for item in row.items(3)),
            row.flag(4),
            tuple(Item.from_row(item) for item in row.items(5)),
            tuple(Missing.from_row(item) for item in row.items(6)),
            row.texts(7),
            row.flag(8),
        )
        row.end()
        return entry


@dataclass(slots=True)
class Journal:
    """A restore, as far as it has come.

    Attributes:
        plan: what it was asked to do.
        next_index: first index that has not been asked for.
        last_found: highest index that exists, or -1.
        open: indices of which nothing was taken although somebody did not answer, or showed something.
        found: identities that were found, by index.
        missing: what did not come back and belongs to no identity that was found: relays, exit kits.
        finished: whether the search has come to its end.
        index: the wallet index, if it was found.
    """

    plan: Plan = field(default_factory=Plan)
    next_index: int = 0
    last_found: int = -1
    open: set[int] = field(default_factory=set)
    found: dict[int, Entry] = field(default_factory=dict)
    missing: list[Missing] = field(default_factory=list)
    finished: bool = False
    index: IndexFound | None = None

    @property
    def gap(self) -> int:
        """How many unknown identities in a row end the search: fewer behind an index that was read as a whole."""
        return self.plan.beyond if self.index is not None and self.index.is_whole else self.plan.gap

    @property
    def looked_up(self) -> int:
        """How many identities were looked for: those that the index names, and those of the search."""
        if self.index is None or not self.index.is_whole:
            return self.next_index
        return self.index.listed + len(self.index.near) + self.next_index - (self.index.highest + 1)

    @property
    def entries(self) -> list[Entry]:
        """The identities that were found, ascending by index."""
        return [self.found[index] for index in sorted(self.found)]

    def put(self, entry: Entry) -> None:
        """Have an entry in place of the one with its index."""
        self.found[entry.index] = entry

    def to_bytes(self) -> bytes:
        """Encode the journal."""
        return cbor.encode(
            {
                1: VERSION,
                2: self.plan.to_row(),
                3: [self.next_index, self.last_found + 1, self.finished],
                4: sorted(self.open),
                5: [entry.encoded() for entry in self.entries],
                6: [item.to_row() for item in self.missing],
                **({7: self.index.to_row()} if self.index is not None else {}),
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Journal:
        """Decode a journal.

        Raises:
            FormatError: ``recovery-journal.malformed``, ``recovery-journal.unknown-version``, ``cbor.*``.
        """
        fields = Fields(cbor.decode(data, MAX_DRAWER_BYTES), _WHAT)
        if fields.integer(1) != VERSION:
            raise FormatError(
                "recovery-journal.unknown-version",
                "the restore was begun by a newer version of walletcli",
                "update walletcli",
            )
        plan = Plan.from_row(fields.items(2), _WHAT)
        row = Fields.of_row(fields.items(3), _WHAT)
        at = row.integer(0, high=MAX_INDEX + 1), row.integer(1, high=MAX_INDEX + 1) - 1, row.flag(2)
        row.end()
        opened = _ascending(list(Fields.of_row(fields.items(4), _WHAT).integers(MAX_INDEX)))
        entries = [Entry.from_row(item) for item in fields.items(5)]
        _ascending([entry.index for entry in entries])
        missing = [Missing.from_row(item) for item in fields.items(6)]
        index = IndexFound.from_row(fields.items(7)) if fields.has(7) else None
        fields.end()
        return cls(plan, at[0], at[1], set(opened), {entry.index: entry for entry in entries}, missing, at[2], index)


def _ascending(indices: list[int]) -> list[int]:
    if any(one >= other for one, other in pairwise(indices)):
        raise FormatError(f"{_WHAT}.malformed", f"malformed {_WHAT}: something is repeated or out of order")
    return indices


def is_done(journal: Journal) -> bool:
    """Tell whether nothing is left that another run could bring."""
    left = journal.open or journal.missing or not (journal.finished or not journal.plan.looks_up)
    return not left and not any(entry.waits or entry.missing or not entry.is_read for entry in journal.entries)


@dataclass(slots=True)
class JournalFile:
    """The journal in the vault: what is written next goes in place of what was read or written last.

    Attributes:
        journal: as it is now.
    """

    journal: Journal
    _digest: bytes | None = None
    _written: bytes | None = None

    @classmethod
    def read(cls, session: Session) -> JournalFile | None:
        """Read the journal of a wallet, or return None if nothing was ever restored into it.

        Raises:
            FormatError: ``recovery-journal.*``, ``cbor.*``.
        """
        data = session.drawer(None, DRAWER)
        if data is None:
            return None
        return cls(Journal.from_bytes(data), hashlib.sha256(data).digest(), data)

    def change(self) -> PutDrawer | None:
        """Return the change that writes the journal as it is now, or None where it is written already.

        Once it was applied, `done` has to be called.
        """
        data = self.journal.to_bytes()
        return PutDrawer(None, DRAWER, data, self._digest) if data != self._written else None

    def done(self, change: PutDrawer | None) -> None:
        """Take note that `change` is on disk."""
        if change is not None and change.data is not None:
            self._digest, self._written = hashlib.sha256(change.data).digest(), change.data
