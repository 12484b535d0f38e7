"""Puts an identity's data back where it is lost, old, or not yet: from other places, and with what is remembered.

Spec: docs/spec/sealed-data.md, "Putting back".
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from walletcli.client.copying import CopyReport, Progress, copy
from walletcli.client.manifests import ItemFault, Writers
from walletcli.client.places import Place
from walletcli.core.blob import INDEX_ID
from walletcli.errors import WalletError
from walletcli.wallet.sealed.index import Item, Kind, Piece, SealedIndex
from walletcli.wallet.sealed.memory import BASE_DRAWERS, change_memory, read_memory
from walletcli.wallet.sealed.owner import Owner, index_context
from walletcli.wallet.sealed.reading import SeenIndex, read_index
from walletcli.wallet.sealed.resigned import ResignedPlace
from walletcli.wallet.sealed.slots import Listing
from walletcli.wallet.state.changes import Change, PutDrawer

if TYPE_CHECKING:
    from walletcli.wallet.access.session import Session
    from walletcli.wallet.state.view import IdentityView


@dataclass(frozen=True, slots=True)
class LostItem:
    """An item that is not back as it was.

    Attributes:
        item: as the newest index has it.
        missing: its pieces that are nowhere.
        back: the earlier version of it that is back, or None if it is lost.
    """

    item: Item
    missing: tuple[Piece, ...]
    back: Item | None = None

    def to_json(self) -> dict[str, object]:
        """Return what is lost, and what is back in its place."""
        return {
            "name": self.item.name,
            "own": self.item.kind is Kind.SYSTEM,
            "bytes": self.item.length_bytes,
            "stored_s": self.item.stored_s,
            "pieces": len(self.item.pieces),
            "missing_pieces": len(self.missing),
            "back_of_s": self.back.stored_s if self.back is not None else None,
        }


@dataclass(frozen=True, slots=True)
class Settled:
    """What is at a place after it was settled.

    Attributes:
        seen: its index.
        whole: the items that are there as they were.
        lost: those that are not.
        wrote: whether an index had to be written.
        faults: why an index, or what a place listed, could not be used.
        copies: what became of the copies before.
    """

    seen: SeenIndex
    whole: tuple[Item, ...]
    lost: tuple[LostItem, ...]
    wrote: bool
    faults: tuple[ItemFault, ...] = ()
    copies: tuple[CopyReport, ...] = ()

    def to_json(self) -> dict[str, object]:
        """Return how much is there, each item that is not, and what went wrong."""
        return {
            "items": len(self.whole),
            "lost": [item.to_json() for item in self.lost],
            "version": self.seen.version,
            "put_back": self.wrote,
            "faults": [fault.to_json() for fault in self.faults],
            "copies": [report.to_json() for report in self.copies],
        }


def wanted_blobs(seen: SeenIndex | None) -> dict[bytes, int] | None:
    """Return id and version of every blob that there should be by an index, or None without one."""
    if seen is None or not seen.version:
        return None
    return {INDEX_ID: seen.version, **{blob_id: version for blob_id, (version, _) in seen.index.pins.items()}}


def source_of(place: Place, owner: Owner, known: SeenIndex | None) -> tuple[Place, SeenIndex | None]:
    """Return a place as one to copy from to a provider, and the index that it gives; None if that cannot be used.

    Args:
        place: it goes by who may write, without what an index says.
        owner: this device.
        known: the index that was seen last, or None.

    Raises:
        WalletError: its index cannot be used, and none is known.
    """
    remembered = [known] if known is not None else []
    try:
        seen = read_index(place.believing(pinning(place.writers, remembered)), owner.unseal, None)
    except WalletError:
        if known is None:
            raise
        seen = None
    indices = [*remembered, *([seen] if seen is not None else [])]
    return ResignedPlace(place.believing(pinning(place.writers, indices)), owner), seen


def pinning(writers: Writers, indices: Iterable[SeenIndex]) -> Writers:
    """Return writers that take what any of these indices names, the newest one's word first; nothing is too old."""
    pinned: dict[bytes, tuple[int, bytes]] = {}
    for seen in sorted(indices, key=lambda item: item.version):
        pinned.update(seen.index.pins)
        pinned[INDEX_ID] = (seen.version, seen.content_hash)
    return replace(writers, pinned=pinned, known={})


def put_back(
    session: Session,
    identity: IdentityView,
    target: Place,
    sources: Sequence[Place],
    *,
    accept_loss: bool = True,
    progress: Progress | None = None,
) -> Settled:
    """Copy what `sources` have to `target`, and settle it there; what is remembered is brought up to date.

    Args:
        session: the open wallet.
        identity: whose data.
        target: where it is to be; like the sources it goes by who may write, without what an index says.
        sources: where it may be: other providers, exit kits; those that fail are in the report.
        accept_loss: write an index without what is nowhere; otherwise none is written if a file is.
        progress: is told of every blob.

    Raises:
        InputError: ``data.full``.
        NetworkError, StorageError, FormatError, VerificationError: the target's.
    """
    owner = Owner.of(session, identity)
    known = read_memory(session, identity.index).seen
    copies: list[CopyReport] = []
    faults: list[ItemFault] = []
    indices = [known] if known is not None else []
    for place in sources:
        try:
            source, seen = source_of(place, owner, known)
        except WalletError as error:
            faults.append(ItemFault(INDEX_ID, error, place.name))
            continue
        indices += [seen] if seen is not None else []
        there = target.believing(pinning(target.writers, indices))
        copies.append(copy(source, there, wanted_blobs(known), progress))
    found = settle(owner, target, indices, accept_loss=accept_loss)
    report = replace(found, faults=(*faults, *found.faults), copies=tuple(copies))
    remember(session, identity, report)
    return report


def settle(owner: Owner, target: Place, known: Sequence[SeenIndex], *, accept_loss: bool = True) -> Settled:
    """Write an index that names what the target really has of what the known indices name.

    Args:
        owner: this device.
        target: the place; it goes by who may write, without what an index says.
        known: all indices that are known, in any order.
        accept_loss: write it even if a file is nowhere.

    Raises:
        InputError: ``data.full``.
        WalletError: the target's.
    """
    faults: list[ItemFault] = []
    own: SeenIndex | None = None
    try:
        own = read_index(target.believing(pinning(target.writers, known)), owner.unseal, None)
    except WalletError as error:
        faults.append(ItemFault(INDEX_ID, error, target.name))
    indices = sorted([*known, *([own] if own is not None else [])], key=lambda item: item.version, reverse=True)
    if not indices:
        return Settled(SeenIndex.empty(owner.identity), (), (), False, tuple(faults))
    listing = Listing.of(target)
    newest = list({item.content_hash: item for item in indices if item.version == indices[0].version}.values())
    chosen, lost = _choose(newest, indices, listing)
    whole = tuple(item for item in chosen if item.key not in {entry.item.key for entry in lost})
    is_there = own is not None and own.content_hash == newest[0].content_hash and len(newest) == 1
    # the wallet's own items are stored again from the vault
    is_loss = any(entry.item.kind is Kind.FILE for entry in lost)
    if (is_there and not lost) or (is_loss and not accept_loss):
        return Settled(own if own is not None else newest[0], whole, tuple(lost), False, tuple(faults))
    seen = _write(owner, target, listing, own, indices, chosen)
    return Settled(seen, whole, tuple(lost), True, tuple(faults))


def _choose(
    newest: Sequence[SeenIndex], indices: Sequence[SeenIndex], listing: Listing
) -> tuple[list[Item], list[LostItem]]:
    """Return the items that are whole, and those that are not as the newest indices have them."""
    wanted: dict[tuple[int, str], Item] = {}
    for item in (item for seen in newest for item in seen.index.items):
        if item.key not in wanted or item.stored_s > wanted[item.key].stored_s:
            wanted[item.key] = item
    chosen, lost = [], []
    for key, item in wanted.items():
        missing = _missing(item, listing)
        back = next((old for old in _versions(key, indices) if not _missing(old, listing)), None)
        if back is not None:
            chosen.append(back)
        if missing:
            lost.append(LostItem(item, missing, back))
    return chosen, lost


def _versions(key: tuple[int, str], indices: Sequence[SeenIndex]) -> list[Item]:
    return [item for seen in indices for item in seen.index.items if item.key == key]


def _missing(item: Item, listing: Listing) -> tuple[Piece, ...]:
    return tuple(piece for piece in item.pieces if not _has(listing, piece))


def _has(listing: Listing, piece: Piece) -> bool:
    there = listing.manifests.get(piece.blob_id)
    return there is not None and (there.version, there.manifest.content_hash) == (piece.version, piece.content_hash)


def _write(
    owner: Owner,
    target: Place,
    listing: Listing,
    own: SeenIndex | None,
    indices: Sequence[SeenIndex],
    chosen: Sequence[Item],
) -> SeenIndex:
    there = listing.version(INDEX_ID)
    version = max(there, *(seen.version for seen in indices)) + 1
    index = SealedIndex(
        owner.identity,
        epoch=max(seen.index.epoch for seen in indices) + 1,
        replaces=own.content_hash if own is not None else None,
    )
    for item in chosen:
        index = index.with_item(item)
    index = index.with_free(_all_ids(listing, indices))
    sealed = owner.seal(index.to_bytes(), index_context(owner.identity))
    signed = owner.manifest(INDEX_ID, version, sealed)
    target.put(signed, sealed, there)
    return SeenIndex(index, version, hashlib.sha256(sealed).digest(), hashlib.sha256(signed).digest())


def _all_ids(listing: Listing, indices: Sequence[SeenIndex]) -> Mapping[bytes, int]:
    """Return every id that was ever named, or is listed as deleted, with the version up to which it is dead.

    What lies there in a higher version, or under another id, may be another device's upload under way.
    """
    found = {item.blob_id: item.version for item in listing.manifests.values() if item.is_deletion}
    for seen in indices:
        for blob_id, version in seen.index.floors.items():
            found[blob_id] = max(version, found.get(blob_id, 0))
    return found


def remember(session: Session, identity: IdentityView, settled: Settled) -> None:
    """Remember what is at a place now; what the wallet's own items were before is no base for merging any more."""
    changes: list[Change] = []
    for name in BASE_DRAWERS.values() if settled.wrote else ():
        before = session.drawer(identity.index, name)
        if before is not None:
            changes.append(PutDrawer(identity.index, name, None, hashlib.sha256(before).digest()))
    if settled.wrote or not settled.lost:
        change_memory(session, identity.index, lambda memory: memory.with_seen(settled.seen), *changes)
