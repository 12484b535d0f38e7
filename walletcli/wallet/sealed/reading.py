"""Reads an identity's sealed data from one or several places: index first, then what it names and nothing else.

Spec: docs/spec/sealed-data.md, "Which index is believed".
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from walletcli.client.manifests import Blob, ItemFault, Writers
from walletcli.client.places import Place
from walletcli.core.blob import INDEX_ID
from walletcli.errors import FormatError, NetworkError, VerificationError, WalletError
from walletcli.wallet.sealed.index import PIECE_BYTES, Item, Kind, Piece, SealedIndex, padded_bytes
from walletcli.wallet.sealed.owner import Unseal, index_context, piece_context

MAX_SYSTEM_BYTES: Final = 32 << 20
"""Longest of the wallet's own items: as much as a drawer holds."""

MAX_RESTARTS: Final = 5
"""How often an item is read again because another device replaced it meanwhile."""


@dataclass(frozen=True, slots=True)
class SeenIndex:
    """An index that was verified, and opened.

    Attributes:
        index: what it says.
        version: of its blob; 0 where there is none yet.
        content_hash: SHA-256 of its sealed bytes.
        manifest_digest: SHA-256 of the signed manifest at the place that it was read from, or None.
    """

    index: SealedIndex
    version: int
    content_hash: bytes
    manifest_digest: bytes | None = None

    @classmethod
    def empty(cls, identity: bytes) -> SeenIndex:
        """Return what stands for the index of an identity that has none yet."""
        return cls(SealedIndex(identity), 0, b"")

    def writers(self, writers: Writers) -> Writers:
        """Return `writers` with what this index says: it pins pieces and itself, and nothing older comes in."""
        if not self.version:
            return writers
        known = {**writers.known, **self.index.floors, INDEX_ID: self.version}
        pinned = {**self.index.pins, INDEX_ID: (self.version, self.content_hash)}
        return replace(writers, known=known, pinned=pinned)


def read_index(place: Place, unseal: Unseal, known: SeenIndex | None = None) -> SeenIndex | None:
    """Read a place's index.

    Args:
        place: where; it goes by its own writers.
        unseal: opens it.
        known: the one that was seen last, or None.

    Returns:
        The index, or None where the place has none and none was ever seen.

    Raises:
        VerificationError: ``data.withheld``, ``data.split``, ``blob.*``, ``sealed.*``, ``signature.invalid``.
        FormatError: ``data-index.*``, ``blob.*``, ``cbor.*``, ``manifest.*``, ``cose.*``.
        NetworkError, StorageError: the place's.
    """
    writers = place.writers
    blob = place.believing(known.writers(writers) if known is not None else writers).get(INDEX_ID)
    if blob is None or blob.manifest.is_deletion:
        if known is not None and known.version:
            raise VerificationError(
                "data.withheld",
                f"{place.name} has no index of the sealed data, though there is one",
                f"if {place.name} has lost it, or is new: walletcli sync --put-back brings back what is kept elsewhere",
            )
        return None
    content = unseal(blob.content, index_context(writers.identity))
    index = SealedIndex.from_bytes(content)
    if index.identity != writers.identity:
        raise FormatError("data-index.malformed", "malformed data-index: it is another identity's")
    seen = SeenIndex(index, blob.manifest.version, hashlib.sha256(blob.content).digest(), blob.manifest.digest)
    if known is not None and known.version:
        _check_follows(seen, known, place.name)
    return seen


def _check_follows(seen: SeenIndex, known: SeenIndex, name: str) -> None:
    if seen.index.epoch > known.index.epoch:
        return  # another device has put the data back from copies
    same = seen.version == known.version and seen.content_hash != known.content_hash
    beside = seen.version == known.version + 1 and seen.index.replaces != known.content_hash
    if same or beside or seen.index.epoch < known.index.epoch:
        raise VerificationError(
            "data.split",
            f"{name} has an index (version {seen.version}) that does not follow the one that was seen before",
            f"do not rely on {name}: what is kept elsewhere is brought back by: walletcli sync --put-back",
        )


class _Moved(Exception):
    """A piece is not there as the index has it: another device may have replaced the item."""

    def __init__(self, error: WalletError) -> None:
        super().__init__(error.message)
        self.error = error


@dataclass(slots=True)
class SealedItems:
    """What an identity keeps, as its index says, and the places that may have it.

    Attributes:
        seen: the index that counts.
        places: where pieces are looked for, in this order; they go by that index.
        faults: what was wrong at places on the way here.
        base: who may write, without what the index says.
        unseal: opens pieces.
    """

    seen: SeenIndex
    places: list[Place]
    unseal: Unseal
    base: Writers
    faults: list[ItemFault] = field(default_factory=list)

    @property
    def index(self) -> SealedIndex:
        """What there is."""
        return self.seen.index

    def content(self, kind: Kind, name: str) -> bytes | None:
        """Return the whole content of an item of at most 32 MiB, or None where there is none of this name.

        Raises:
            As `copy_out`; FormatError: ``data.too-long``.
        """
        item = self.index.get(kind, name)
        if item is None:
            return None
        if item.length_bytes > MAX_SYSTEM_BYTES:
            raise FormatError(
                "data.too-long", f"{name!r} has {item.length_bytes} bytes, too many for what it is", "see: data list"
            )
        parts: list[bytes] = []
        self.copy_out(kind, name, parts.append, parts.clear)
        return b"".join(parts)

    def copy_out(self, kind: Kind, name: str, write: Callable[[bytes], object], restart: Callable[[], object]) -> Item:
        """Give an item's content to `write`, part by part, checked before it is given.

        Args:
            kind: of the item.
            name: of the item.
            write: takes up to 1 MiB.
            restart: is called when what was written does not count, because another device replaced the item.

        Returns:
            The item that was written in the end.

        Raises:
            VerificationError: ``data.damaged`` when pieces are not to be had as the index has them, ``data.missing`` if
                the item is gone, ``sealed.*``.
            NetworkError, StorageError, FormatError: the places'.
        """
        for _ in range(MAX_RESTARTS):
            item = self.index.get(kind, name)
            if item is None:
                raise VerificationError(
                    "data.missing", f"there is no item {name!r} any more", "see: walletcli data list ID"
                )
            try:
                for part in self._parts(item):
                    write(part)
            except _Moved as moved:
                if not self._look_again():
                    raise _damaged(item, moved.error) from moved.error
                restart()
            else:
                return item
        raise VerificationError("data.contended", f"other devices keep replacing {name!r}", "try again")

    def _parts(self, item: Item) -> Iterator[bytes]:
        """Give the content in parts; the last one only after the hash of the whole has been checked."""
        left = item.length_bytes
        padded = padded_bytes(item.length_bytes)
        digest = hashlib.sha256()
        held = b""
        for number, piece in enumerate(item.pieces):
            content = self._open(piece, min(PIECE_BYTES, padded - number * PIECE_BYTES))
            part, padding = content[:left], content[left:]
            if padding.strip(b"\0"):
                raise _Moved(VerificationError("data.damaged", "the padding of a piece is wrong"))
            left -= len(part)
            digest.update(part)
            if held:
                yield held
            held = part
        if digest.digest() != item.digest:
            raise _Moved(VerificationError("data.damaged", "the content is not what the index names"))
        if held:
            yield held

    def _open(self, piece: Piece, length_bytes: int) -> bytes:
        blob = self._fetch(piece)
        content = self.unseal(blob.content, piece_context(self.base.identity, piece.blob_id))
        if len(content) != length_bytes:
            raise _Moved(VerificationError("data.damaged", "a piece has another length than the index gives"))
        return content

    def _fetch(self, piece: Piece) -> Blob:
        """Return the blob of a piece from the first place that has it; what is wrong elsewhere is noted."""
        first: WalletError | None = None
        for place in list(self.places):
            try:
                return fetch_piece(place, piece)
            except WalletError as error:
                self.faults.append(ItemFault(piece.blob_id, error, place.name))
                first = first or error
                if isinstance(error, NetworkError) and len(self.places) > 1:
                    self.places.remove(place)  # it would be waited for with every piece
        raise _Moved(first or VerificationError("data.damaged", "there is no place to read from"))

    def _look_again(self) -> bool:
        """Read the index again; tell whether there is a newer one."""
        for place in self.places:
            try:
                found = read_index(place.believing(self.base), self.unseal, self.seen)
            except WalletError:
                continue
            if found is not None and found.version > self.seen.version:
                self.seen = found
                writers = found.writers(self.base)
                self.places = [item.believing(writers) for item in self.places]
                return True
        return False


def fetch_piece(place: Place, piece: Piece) -> Blob:
    """Return the blob of a piece, in the version and with the bytes that the index names.

    Raises:
        VerificationError: ``data.damaged``, ``blob.*``.
        NetworkError, StorageError, FormatError: the place's.
    """
    blob = place.get(piece.blob_id)
    named = blob.manifest.manifest if blob is not None else None
    if blob is None or named is None or (named.version, named.content_hash) != (piece.version, piece.content_hash):
        found = f"version {named.version}" if named is not None else "nothing"
        raise VerificationError(
            "data.damaged",
            f"{place.name} has {found} of blob {piece.blob_id.hex()}, the index names version {piece.version}",
            f"do not rely on {place.name}: the exit kit may have it",
        )
    return blob


def _damaged(item: Item, error: WalletError) -> WalletError:
    if not isinstance(error, FormatError | VerificationError):
        return error
    return VerificationError(
        "data.damaged",
        f"{item.name!r} cannot be read: {error.message}",
        error.hint or "see whether the exit kit has it",
    )


def read_items(
    places: Sequence[Place], unseal: Unseal, known: SeenIndex | None = None, *, ask_all: bool = False
) -> SealedItems:
    """Find the index that counts, and what is needed to read what it names.

    Args:
        places: in the order in which they are to be asked; each goes by its own writers, of the same identity.
        unseal: opens index and pieces, as a device or as the recovery recipient.
        known: the index that was seen last, or None after a loss.
        ask_all: take the newest index of all places, instead of the first that passes.

    Returns:
        The items; of none, with an empty index, where no place has an index and none was ever seen.

    Raises:
        WalletError: the first place's, if none gives an index that passes.
    """
    found: list[tuple[SeenIndex | None, Place]] = []
    faults: list[ItemFault] = []
    for place in places:
        try:
            found.append((read_index(place, unseal, known), place))
        except WalletError as error:
            faults.append(ItemFault(INDEX_ID, error, place.name))
            continue
        if not ask_all:
            break
    if not found and faults:
        raise faults[0].error
    base = places[0].writers
    seen, first = max(found, key=lambda item: item[0].version if item[0] is not None else 0)
    if seen is None:
        return SealedItems(SeenIndex.empty(base.identity), list(places), unseal, base, faults)
    ordered = [first, *(place for place in places if place is not first)]
    writers = seen.writers(base)
    return SealedItems(seen, [place.believing(writers) for place in ordered], unseal, base, faults)
