"""What this wallet remembers of an identity's sealed data: the last index, uploads under way, what nobody names.

It is a drawer of the vault. With the index in it the wallet knows what there should be, whoever denies it.

Spec: docs/spec/sealed-data.md, "Drawer".
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from walletcli.core import cbor
from walletcli.core.blob import ID_BYTES
from walletcli.core.manifest import MAX_VERSION
from walletcli.core.sealed import MAX_RECIPIENTS
from walletcli.errors import FormatError, VaultError
from walletcli.wallet.sealed.index import (
    MAX_INDEX_BYTES,
    MAX_LENGTH_BYTES,
    MAX_NAME_BYTES,
    SealedIndex,
    is_name,
    piece_count,
)
from walletcli.wallet.sealed.reading import SeenIndex
from walletcli.wallet.state.fields import Fields
from walletcli.wallet.state.view import MAX_DRAWER_BYTES

if TYPE_CHECKING:
    from walletcli.wallet.access.session import Session
    from walletcli.wallet.state.changes import Change

DRAWER: Final = "data"
"""Name of the drawer."""

BASE_DRAWERS: Final = {"contacts": "data-contacts", "settings": "data-settings"}
"""Drawers that hold the wallet's own items as they were last in step with the place, by name of the item."""

VERSION: Final = 1
"""Version of the format."""

MAX_PLANS: Final = 64
"""Most uploads that are remembered."""

MAX_NAMELESS: Final = 65_536
"""Most blobs that nobody names and that are remembered: as many as a place has."""

MAX_ATTEMPTS: Final = 20
"""How often a change is made again on top of what another process wrote meanwhile."""

_WHAT = "data-memory"
_HASH_BYTES = 32


@dataclass(frozen=True, slots=True)
class PlannedPiece:
    """A piece of an upload under way.

    Attributes:
        blob_id: 16 bytes.
        version: that it will have.
        digest: SHA-256 of its content, padding included.
    """

    blob_id: bytes
    version: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class Plan:
    """An upload of a file under way.

    Attributes:
        name: of the item.
        length_bytes: of the file.
        digest: SHA-256 of the file.
        made_s: Unix time in seconds.
        recipients: X25519 keys that its pieces are sealed to, ascending.
        pieces: in the order of the content.
    """

    name: str
    length_bytes: int
    digest: bytes
    made_s: int
    recipients: tuple[bytes, ...]
    pieces: tuple[PlannedPiece, ...]

    def __post_init__(self) -> None:
        if not is_name(self.name) or not 1 <= len(self.recipients) <= MAX_RECIPIENTS:
            raise _malformed("the name or the recipients of a plan")
        if len(self.pieces) != piece_count(self.length_bytes):
            raise _malformed("the number of a plan's pieces is not what its length gives")

    def to_row(self) -> list[object]:
        """Return the CBOR list that stands for the plan."""
        pieces = [[piece.blob_id, piece.version, piece.digest] for piece in self.pieces]
        return [self.name, self.length_bytes, self.digest, self.made_s, list(self.recipients), pieces]

    @classmethod
    def from_row(cls, value: object) -> Plan:
        """Read the list that `to_row` wrote; raises FormatError ``data-memory.malformed``."""
        row = Fields.of_row(value, _WHAT)
        plan = cls(
            row.text(0, MAX_NAME_BYTES),
            row.integer(1, 0, MAX_LENGTH_BYTES),
            row.raw(2, _HASH_BYTES),
            row.integer(3),
            row.raws(4, 32),
            tuple(_planned(item) for item in row.items(5)),
        )
        row.end()
        return plan


@dataclass(frozen=True, slots=True)
class Nameless:
    """A blob at the place that neither the index nor a plan names.

    Attributes:
        blob_id: 16 bytes.
        version: of the blob.
        since_s: when it was first seen, Unix time in seconds.
    """

    blob_id: bytes
    version: int
    since_s: int


@dataclass(frozen=True, slots=True)
class DataMemory:
    """All that is remembered.

    Attributes:
        seen: the index last seen or written, or None.
        plans: uploads under way, ascending by name.
        nameless: ascending by id.
    """

    seen: SeenIndex | None = None
    plans: tuple[Plan, ...] = ()
    nameless: tuple[Nameless, ...] = ()

    def __post_init__(self) -> None:
        names = [plan.name for plan in self.plans]
        ids = [item.blob_id for item in self.nameless]
        if names != sorted(set(names)) or len(names) > MAX_PLANS:
            raise _malformed("plans are repeated, out of order, or too many")
        if any(one >= other for one, other in pairwise(ids)) or len(ids) > MAX_NAMELESS:
            raise _malformed("blobs are repeated, out of order, or too many")

    def plan(self, name: str) -> Plan | None:
        """Return the upload under way of this name, or None."""
        return next((plan for plan in self.plans if plan.name == name), None)

    def with_plan(self, plan: Plan) -> DataMemory:
        """Return the memory with `plan` in place of the one of its name; the oldest goes if there are too many."""
        others = [item for item in self.plans if item.name != plan.name]
        while len(others) >= MAX_PLANS:
            others.remove(min(others, key=lambda item: item.made_s))
        return replace(self, plans=tuple(sorted((*others, plan), key=lambda item: item.name)))

    def without_plan(self, name: str) -> DataMemory:
        """Return the memory without the upload of this name."""
        return replace(self, plans=tuple(plan for plan in self.plans if plan.name != name))

    def with_seen(self, seen: SeenIndex) -> DataMemory:
        """Return the memory with an index that was seen, unless a newer one is remembered."""
        known = self.seen.version if self.seen is not None else 0
        return replace(self, seen=seen) if seen.version > known else self

    @property
    def taken(self) -> frozenset[bytes]:
        """Ids of all uploads under way, 16 bytes each."""
        return frozenset(piece.blob_id for plan in self.plans for piece in plan.pieces)

    def to_bytes(self) -> bytes:
        """Encode the memory."""
        fields: dict[int, object] = {
            1: VERSION,
            3: [plan.to_row() for plan in self.plans],
            4: [[item.blob_id, item.version, item.since_s] for item in self.nameless],
        }
        if self.seen is not None:
            fields[2] = [self.seen.version, self.seen.content_hash, self.seen.index.to_cbor()]
        return cbor.encode(fields)

    @classmethod
    def from_bytes(cls, data: bytes) -> DataMemory:
        """Decode a memory.

        Raises:
            FormatError: ``data-memory.malformed``, ``data-memory.unknown-version``, ``data-index.*``, ``cbor.*``.
        """
        fields = Fields(cbor.decode(data, MAX_DRAWER_BYTES), _WHAT)
        if fields.integer(1) != VERSION:
            raise FormatError(
                "data-memory.unknown-version",
                "what the wallet remembers of the sealed data was written by a newer version of walletcli",
                "update walletcli",
            )
        seen = _seen(fields.items(2)) if fields.has(2) else None
        plans = tuple(Plan.from_row(item) for item in fields.items(3))
        nameless = tuple(_nameless(item) for item in fields.items(4))
        fields.end()
        return cls(seen, plans, nameless)


def _seen(value: list[object]) -> SeenIndex:
    row = Fields.of_row(value, _WHAT)
    version, digest = row.integer(0, 1, MAX_VERSION), row.raw(1, _HASH_BYTES)
    index = SealedIndex.from_cbor(row.raw(2, max_bytes=MAX_INDEX_BYTES))
    row.end()
    return SeenIndex(index, version, digest)


def _planned(value: object) -> PlannedPiece:
    row = Fields.of_row(value, _WHAT)
    piece = PlannedPiece(row.raw(0, ID_BYTES), row.integer(1, 1, MAX_VERSION), row.raw(2, _HASH_BYTES))
    row.end()
    return piece


def _nameless(value: object) -> Nameless:
    row = Fields.of_row(value, _WHAT)
    found = Nameless(row.raw(0, ID_BYTES), row.integer(1, 1, MAX_VERSION), row.integer(2))
    row.end()
    return found


def read_memory(session: Session, index: int) -> DataMemory:
    """Return what the wallet remembers of the data of the identity with this index.

    Raises:
        FormatError: ``data-memory.*``, ``data-index.*``, ``cbor.*``.
    """
    data = session.drawer(index, DRAWER)
    return DataMemory.from_bytes(data) if data is not None else DataMemory()


def change_memory(
    session: Session, index: int, change: Callable[[DataMemory], DataMemory], *alongside: Change
) -> DataMemory:
    """Change what is remembered, from what is there at that instant; on disk when this returns.

    Args:
        session: the open wallet.
        index: of the identity.
        change: gives the new memory for the present one; called again if another process was quicker.
        alongside: changes that are made in the same write, before it, or not at all.

    Raises:
        VaultError: ``vault.busy``, ``vault.*``; ``drawer.changed`` for a drawer alongside.
    """
    from walletcli.wallet.state.changes import PutDrawer, Several

    for _ in range(MAX_ATTEMPTS):
        before = session.drawer(index, DRAWER)
        memory = change(DataMemory.from_bytes(before) if before is not None else DataMemory())
        data = memory.to_bytes()
        if data == before and not alongside:
            return memory
        digest = hashlib.sha256(before).digest() if before is not None else None
        try:
            session.apply(Several((*alongside, PutDrawer(index, DRAWER, data, digest))))
        except VaultError as error:
            if error.code != "drawer.changed" or session.drawer(index, DRAWER) == before:
                raise
        else:
            return memory
    raise VaultError("vault.busy", "other processes keep changing the wallet", "try again")


def _malformed(why: str) -> FormatError:
    return FormatError("data-memory.malformed", f"malformed data-memory: {why}")
