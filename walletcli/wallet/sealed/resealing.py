"""Seals items anew when the identity's devices have changed, and clears what nobody will name any more.

Spec: docs/spec/sealed-data.md, "When devices change", "Interrupted uploads".
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import Final

from walletcli.client.manifests import SignedManifest
from walletcli.core.blob import INDEX_ID
from walletcli.errors import InputError, VerificationError
from walletcli.wallet.home import Progress
from walletcli.wallet.sealed.index import PIECE_BYTES, Item, Kind, Piece, SealedIndex, padded_bytes
from walletcli.wallet.sealed.memory import DataMemory, Nameless, Plan
from walletcli.wallet.sealed.reading import SealedItems
from walletcli.wallet.sealed.slots import dead_blobs, nameless_blobs
from walletcli.wallet.sealed.upload import abandon
from walletcli.wallet.sealed.writing import NOT_NAMED, DataWriter, edit_with

PATIENCE_S: Final = 86_400
"""How long something that nobody names is left alone, in seconds."""

PLAN_S: Final = 7 * 86_400
"""How long an interrupted upload can go on, in seconds."""


def is_stale(writer: DataWriter, item: Item, *, strict: bool) -> bool:
    """Tell whether an item has to be sealed anew.

    Args:
        writer: its place has been listed.
        item: of the index.
        strict: also if only devices of the past could read it besides.
    """
    today, sealed_to = set(writer.owner.recipients), set(item.recipients)
    if (today != sealed_to) if strict else not today <= sealed_to:
        return True
    manifests = writer.listed().manifests
    signers = {manifests[piece.blob_id].signer for piece in item.pieces if piece.blob_id in manifests}
    return not signers <= writer.owner.devices


@dataclass(slots=True)
class _Pieces:
    """Takes content in parts of any length, and stores it in pieces."""

    writer: DataWriter
    length_bytes: int
    pieces: list[Piece] = field(default_factory=list)
    _held: bytearray = field(default_factory=bytearray)

    def write(self, part: bytes) -> None:
        self._held += part
        while len(self._held) >= PIECE_BYTES:
            self.pieces.append(self.writer.store_piece(bytes(self._held[:PIECE_BYTES])))
            del self._held[:PIECE_BYTES]

    def restart(self) -> None:
        self.writer.discard(self.pieces)
        self.pieces.clear()
        self._held.clear()

    def finish(self) -> tuple[Piece, ...]:
        left = padded_bytes(self.length_bytes) - len(self.pieces) * PIECE_BYTES
        padded = bytes(self._held).ljust(left, b"\0")
        for start in range(0, left, PIECE_BYTES):
            self.pieces.append(self.writer.store_piece(padded[start : start + PIECE_BYTES]))
        return tuple(self.pieces)


def reseal(writer: DataWriter, items: SealedItems, item: Item, progress: Progress) -> Item:
    """Seal an item anew to the devices of today; a piece or two are in memory at a time.

    Returns:
        The item that is in its place.

    Raises:
        VerificationError: ``data.changed`` if another device has replaced it meanwhile; as `SealedItems.copy_out`.
        NetworkError, StorageError: the place's.
    """
    progress(f"sealing {item.name} anew")
    into = _Pieces(writer, item.length_bytes)
    found = items.copy_out(item.kind, item.name, into.write, into.restart)
    if found.length_bytes != item.length_bytes:
        into.length_bytes = found.length_bytes
    sealed = replace(found, recipients=writer.owner.recipients, pieces=into.finish())
    try:
        writer.commit(lambda index: edit_with(index, sealed, found))
    except (InputError, VerificationError) as error:
        if error.code in NOT_NAMED:
            writer.discard(into.pieces)
        raise
    return sealed


def stale_files(writer: DataWriter, *, strict: bool) -> list[Item]:
    """Return the owner's files that have to be sealed anew."""
    index = writer.items().index
    return [item for item in index.of_kind(Kind.FILE) if is_stale(writer, item, strict=strict)]


def ended_plans(memory: DataMemory, now_s: float) -> list[Plan]:
    """Return interrupted uploads that have waited for too long."""
    return [plan for plan in memory.plans if not 0 <= now_s - plan.made_s < PLAN_S]


@dataclass(frozen=True, slots=True)
class Cleared:
    """What was cleared.

    Attributes:
        deleted: how many blobs.
        ended: names of interrupted uploads that were given up.
        nameless: what nobody names and is left alone for now.
    """

    deleted: int
    ended: tuple[str, ...]
    nameless: tuple[Nameless, ...]


def clear(writer: DataWriter, memory: DataMemory, *, is_newest: bool) -> Cleared:
    """Delete what is dead, what belongs to uploads that are over, and what nobody will name.

    Args:
        writer: nothing of this wallet is under way at its place but the plans of `memory`.
        memory: of the wallet.
        is_newest: whether the identity's record here is known to be the newest: only then is a signer who is not in it
            no device of the owner's.

    Raises:
        NetworkError, StorageError, FormatError, VerificationError: the place's.
    """
    now_s = int(time.time())
    index = writer.items().index
    ended = ended_plans(memory, now_s)
    for plan in ended:
        abandon(writer, plan)
    dead = dead_blobs(index, writer.listed())
    writer.delete([*dead, *_foreign_deletions(writer, is_newest=is_newest)])
    over, left = _nameless(writer, index, memory, now_s, is_newest=is_newest)
    writer.delete(over)
    return Cleared(len(dead) + len(over), tuple(plan.name for plan in ended), left)


def _foreign_deletions(writer: DataWriter, *, is_newest: bool) -> list[SignedManifest]:
    """Return deletions that a device has signed that is one no longer: another provider would not take them."""
    if not is_newest:
        return []
    found = writer.listed().manifests.values()
    return [item for item in found if item.is_deletion and item.signer not in writer.owner.devices]


def _nameless(
    writer: DataWriter, index: SealedIndex, memory: DataMemory, now_s: int, *, is_newest: bool
) -> tuple[list[SignedManifest], tuple[Nameless, ...]]:
    """Divide what nobody names into what may be deleted, and what has to wait, with the time since when."""
    plans = [plan for plan in memory.plans if plan not in ended_plans(memory, now_s)]
    taken = frozenset(piece.blob_id for plan in plans for piece in plan.pieces)
    known = {item.blob_id: item for item in memory.nameless}
    over, left = [], []
    for item in sorted(nameless_blobs(index, writer.listed(), taken), key=lambda found: found.blob_id):
        before = known.get(item.blob_id)
        same = before is not None and before.version == item.version and before.since_s <= now_s
        since_s = before.since_s if same and before is not None else now_s
        is_own = item.signer == writer.owner.device
        is_nobodys = is_newest and item.signer not in writer.owner.devices
        if (is_own or is_nobodys) and now_s - since_s >= PATIENCE_S:
            over.append(item)
        elif item.blob_id != INDEX_ID:
            left.append(Nameless(item.blob_id, item.version, since_s))
    return over, tuple(left)
