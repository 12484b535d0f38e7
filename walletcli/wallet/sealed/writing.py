"""Stores and removes items at one place: new pieces, then the index, then the deletion of old pieces.

Spec: docs/spec/sealed-data.md, "Writing".
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from walletcli.client.manifests import SignedManifest, manifest_of
from walletcli.client.places import Place
from walletcli.core.blob import INDEX_ID
from walletcli.errors import InputError, NetworkError, StorageError, VerificationError, WalletError
from walletcli.wallet.sealed.index import PIECE_BYTES, Item, Kind, Piece, SealedIndex, check_name, padded_bytes
from walletcli.wallet.sealed.owner import Owner, index_context, piece_context
from walletcli.wallet.sealed.reading import SealedItems, SeenIndex, read_items
from walletcli.wallet.sealed.slots import Listing, Slot, dead_blobs, forgotten_ids, new_slots

MAX_ATTEMPTS: Final = 20
"""How often an index is written again on top of what another device wrote meanwhile."""

NOT_NAMED: Final = ("data.changed", "data.exists", "data.full")
"""Errors of a commit after which it is certain that no index names the new pieces."""

Edit = Callable[[SealedIndex], SealedIndex]
"""Makes the new index from the one that is there; called again if another device was faster."""


@dataclass(slots=True)
class DataWriter:
    """Writes an identity's sealed data at one place; for one thread, and for one process of a wallet at a time.

    Args:
        place: where; it goes by who may write, without what an index says.
        owner: this device.
        seen: the index that was seen last, or None.
        mirrors: places that get each piece as well, as far as they take it: what fails there is no failure here.
        taken: ids of uploads under way, which nothing else is stored under.
        listing: what the place has; None: it is listed when that is needed.
    """

    place: Place
    owner: Owner
    seen: SeenIndex | None = None
    mirrors: list[Place] = field(default_factory=list)
    taken: frozenset[bytes] = frozenset()
    listing: Listing | None = None
    _slots: Iterator[Slot] | None = field(default=None, init=False)

    def items(self) -> SealedItems:
        """Read the index, and remember it.

        Raises:
            As `read_items`.
        """
        found = read_items([self.place], self.owner.unseal, self.seen)
        self.seen = found.seen
        return found

    def listed(self) -> Listing:
        """Return what the place has, listing it the first time.

        Raises:
            NetworkError, StorageError, FormatError, VerificationError: the place's.
        """
        if self.listing is None:
            writers = self.place.writers
            known = self.seen.writers(writers) if self.seen is not None else writers
            self.listing = Listing.of(self.place.believing(known))
        return self.listing

    def next_slot(self) -> Slot:
        """Return where the next new blob goes."""
        if self._slots is None:
            index = self.seen.index if self.seen is not None else SealedIndex(self.owner.identity)
            self._slots = new_slots(index, self.listed(), self.taken, self.owner.entropy)
        return next(self._slots)

    def store_piece(self, content: bytes, slot: Slot | None = None) -> Piece:
        """Seal a piece and store it.

        Args:
            content: up to `PIECE_BYTES`, padding included.
            slot: where to; None, or one that another device has taken meanwhile: a new one.

        Raises:
            NetworkError, StorageError: the place's.
        """
        for _ in range(MAX_ATTEMPTS):
            at = slot if slot is not None else self.next_slot()
            sealed = self.owner.seal(content, piece_context(self.owner.identity, at.blob_id))
            signed = self.owner.manifest(at.blob_id, at.version, sealed)
            try:
                self.place.put(signed, sealed, at.replaces_version)
            except (NetworkError, StorageError) as error:
                if error.code != "blob.version":
                    raise
                slot = None
                continue
            self._mirror(signed, sealed, at.replaces_version)
            return Piece(at.blob_id, at.version, hashlib.sha256(sealed).digest())
        raise _too_busy()

    def _mirror(self, signed: bytes, sealed: bytes, replaces_version: int) -> None:
        for mirror in list(self.mirrors):
            try:
                mirror.put(signed, sealed, replaces_version)
            except WalletError as error:  # the refresh that follows brings it, or says why not
                if error.code != "blob.version":
                    self.mirrors.remove(mirror)

    def store(self, kind: Kind, name: str, content: bytes) -> Item:
        """Store the pieces of an item whose content is in memory; the index does not name it yet."""
        padded = content.ljust(padded_bytes(len(content)), b"\0")
        pieces = tuple(
            self.store_piece(padded[start : start + PIECE_BYTES]) for start in range(0, len(padded), PIECE_BYTES)
        )
        digest = hashlib.sha256(content).digest()
        return Item(kind, name, len(content), digest, int(time.time()), self.owner.recipients, pieces)

    def commit(self, edit: Edit) -> SeenIndex:
        """Write a new index in place of the one that is there, and then delete what it no longer names.

        Args:
            edit: makes it from the present one; what it raises ends the attempt.

        Raises:
            InputError: ``data.full``; what `edit` raises.
            VerificationError: ``data.contended``; as `read_items`.
            NetworkError, StorageError: the place's.
        """
        for _ in range(MAX_ATTEMPTS):
            before = self.items().seen
            wanted = edit(before.index)
            if wanted is before.index:
                return before
            try:
                after = self._write_index(before, wanted)
            except (NetworkError, StorageError) as error:
                if error.code != "blob.version":
                    raise
                continue
            self.seen = after
            self.delete(dead_blobs(after.index, self.listed()))
            return after
        raise _too_busy()

    def _write_index(self, before: SeenIndex, wanted: SealedIndex) -> SeenIndex:
        found = forgotten_ids(wanted, self.listed())
        index = replace(wanted.with_free(found), replaces=before.content_hash or None)
        sealed = self.owner.seal(index.to_bytes(), index_context(self.owner.identity))
        signed = self.owner.manifest(INDEX_ID, before.version + 1, sealed, before.manifest_digest)
        self.place.put(signed, sealed, before.version)
        digests = hashlib.sha256(sealed).digest(), hashlib.sha256(signed).digest()
        return SeenIndex(index, before.version + 1, *digests)

    def delete(self, blobs: Sequence[SignedManifest]) -> None:
        """Delete blobs as they were listed; what somebody has stored there since stays.

        A deletion that fails is made up for by the next one who writes: nothing hangs on it.
        """
        for item in blobs:
            signed = self.owner.manifest(item.blob_id, item.version + 1, b"")
            try:
                self.place.put(signed, b"", item.version)
            except (NetworkError, StorageError) as error:
                if error.code != "blob.version":
                    return
                continue
            self._mirror(signed, b"", item.version)
            self._note(signed)

    def discard(self, pieces: Sequence[Piece]) -> None:
        """Delete pieces that were stored a moment ago and that no index will name."""
        for piece in pieces:
            signed = self.owner.manifest(piece.blob_id, piece.version + 1, b"")
            with contextlib.suppress(NetworkError, StorageError):
                self.place.put(signed, b"", piece.version)
                self._mirror(signed, b"", piece.version)
                self._note(signed)

    def _note(self, signed: bytes) -> None:
        listing = self.listed()
        manifest = SignedManifest(manifest_of(signed), signed)
        self.listing = Listing({**listing.manifests, manifest.blob_id: manifest}, listing.faults)


def put_item(
    place: Place,
    owner: Owner,
    kind: Kind,
    name: str,
    content: bytes,
    *,
    replaces: Item | None = None,
    seen: SeenIndex | None = None,
) -> SeenIndex:
    """Store an item of which the content is in memory.

    Args:
        place: where.
        owner: this device.
        kind: of the item.
        name: of the item.
        content: up to 32 MiB or so; it is in memory twice.
        replaces: the item that it takes the place of, as it was read; None: there is none.
        seen: the index that was seen last.

    Returns:
        The index that names it.

    Raises:
        InputError: ``data.exists``, ``data.name``, ``data.full``.
        VerificationError: ``data.changed`` when another device has replaced or removed what it was to replace.
        WalletError: as `DataWriter.commit`.
    """
    writer = DataWriter(place, owner, seen)
    check_replaced(writer.items().index, kind, check_name(name), replaces)
    item = writer.store(kind, check_name(name), content)
    return writer.commit(lambda index: edit_with(index, item, replaces))


def get_item(
    places: Sequence[Place], owner: Owner, kind: Kind, name: str, seen: SeenIndex | None = None
) -> bytes | None:
    """Return an item's content, or None where there is none; from the first place that has it as it should be.

    Raises:
        As `read_items` and `SealedItems.content`.
    """
    return read_items(places, owner.unseal, seen).content(kind, name)


def remove_item(
    place: Place, owner: Owner, kind: Kind, name: str, *, replaces: Item, seen: SeenIndex | None = None
) -> SeenIndex:
    """Remove an item, as it was read.

    Returns:
        The index that no longer names it.

    Raises:
        VerificationError: ``data.changed``.
        WalletError: as `DataWriter.commit`.
    """
    writer = DataWriter(place, owner, seen)
    return writer.commit(lambda index: edit_without(index, kind, name, replaces))


def edit_with(index: SealedIndex, item: Item, replaces: Item | None) -> SealedIndex:
    """Return the index with `item`, if what is to be replaced is still there as it was.

    Raises:
        InputError: ``data.exists``.
        VerificationError: ``data.changed``.
    """
    if item.is_same(index.get(item.kind, item.name)):
        return index  # an earlier attempt had arrived
    check_replaced(index, item.kind, item.name, replaces)
    return index.with_item(item)


def edit_without(index: SealedIndex, kind: Kind, name: str, replaces: Item) -> SealedIndex:
    """Return the index without an item, if it is still there as it was; raises VerificationError ``data.changed``."""
    check_replaced(index, kind, name, replaces)
    return index.without(kind, name)


def check_replaced(index: SealedIndex, kind: Kind, name: str, replaces: Item | None) -> None:
    """Check that what stands under a name is what is to be replaced.

    Raises:
        InputError: ``data.exists`` when something is there and nothing was to be replaced.
        VerificationError: ``data.changed`` when something else is there, or nothing.
    """
    there = index.get(kind, name)
    if there is not None and replaces is None:
        raise InputError("data.exists", f"there is an item {name!r} already", "give another --name, or --replace")
    if replaces is not None and (there is None or there.digest != replaces.digest):
        raise VerificationError(
            "data.changed",
            f"another device has replaced or removed {name!r} meanwhile, and that stays",
            "look at it with: walletcli data get ID NAME, then try again",
        )


def _too_busy() -> VerificationError:
    return VerificationError("data.contended", "other devices keep writing to the identity's data", "try again")
