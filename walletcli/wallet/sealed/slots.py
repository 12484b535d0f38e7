"""Chooses under which ids new blobs are stored, and finds what may be deleted.

Spec: docs/spec/sealed-data.md, "Writing" and "Interrupted uploads".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from walletcli.client.manifests import ItemFault, SignedManifest
from walletcli.client.places import Place
from walletcli.core.blob import ID_BYTES, INDEX_ID
from walletcli.core.manifest import MAX_VERSION
from walletcli.wallet.sealed.index import SealedIndex


@dataclass(frozen=True, slots=True)
class Slot:
    """Where a new blob goes.

    Attributes:
        blob_id: 16 bytes.
        version: of the new blob.
        replaces_version: what the place has under this id now; 0 for nothing.
    """

    blob_id: bytes
    version: int
    replaces_version: int


@dataclass(frozen=True, slots=True)
class Listing:
    """What a place lists.

    Attributes:
        manifests: by id; the index is among them.
        faults: ids whose manifest does not verify: nothing is stored there, and nothing deleted.
    """

    manifests: Mapping[bytes, SignedManifest] = field(default_factory=dict)
    faults: frozenset[bytes] = frozenset()

    @classmethod
    def of(cls, place: Place) -> Listing:
        """List a place, whoever has signed what is there: nothing of it is used for what it says.

        Raises:
            NetworkError, StorageError, FormatError, VerificationError: when it cannot be listed to the end.
        """
        found: dict[bytes, SignedManifest] = {}
        faults: set[bytes] = set()
        for item in place.believing(replace(place.writers, anyone=True)).manifests():
            if isinstance(item, ItemFault):
                faults.update({item.blob_id} if item.blob_id is not None else ())
            else:
                found[item.blob_id] = item
        return cls(found, frozenset(faults))

    def version(self, blob_id: bytes) -> int:
        """Return the version that is there; 0 for nothing."""
        found = self.manifests.get(blob_id)
        return found.version if found is not None else 0


def new_slots(
    index: SealedIndex, listing: Listing, taken: frozenset[bytes], entropy: Callable[[int], bytes]
) -> Iterator[Slot]:
    """Give places for new blobs, without end: free ids first, in random order, then new random ones.

    Args:
        index: names free ids and what is in use.
        listing: what the place has.
        taken: ids that are spoken for: of uploads under way.
        entropy: gives as many random bytes as asked.
    """
    free = [(blob_id, dead) for blob_id, dead in index.free if blob_id not in taken and blob_id not in listing.faults]
    for blob_id, dead in sorted(free, key=lambda _: entropy(8)):
        there = listing.manifests.get(blob_id)
        if there is None or there.is_deletion or there.version <= dead:
            now = listing.version(blob_id)
            if max(now, dead) > MAX_VERSION // 2:
                continue  # whoever made it so high wanted the id to be used up
            yield Slot(blob_id, max(now, dead) + 1, now)
    used = {INDEX_ID, *index.pins, *dict(index.free), *taken, *listing.manifests, *listing.faults}
    while True:
        blob_id = entropy(ID_BYTES)
        if blob_id not in used:
            used.add(blob_id)
            yield Slot(blob_id, 1, 0)


def dead_blobs(index: SealedIndex, listing: Listing) -> list[SignedManifest]:
    """Return what is live at the place and dead by the index: anybody may delete it."""
    free = dict(index.free)
    return [
        item
        for item in listing.manifests.values()
        if not item.is_deletion and item.version <= free.get(item.blob_id, 0)
    ]


def nameless_blobs(index: SealedIndex, listing: Listing, taken: frozenset[bytes]) -> list[SignedManifest]:
    """Return what is live at the place and named by neither the index nor an upload of this wallet."""
    free, pins = dict(index.free), index.pins
    return [
        item
        for item in listing.manifests.values()
        if not item.is_deletion
        and item.blob_id != INDEX_ID
        and item.blob_id not in taken
        and item.version > free.get(item.blob_id, 0)
        and item.version > (pins[item.blob_id][0] if item.blob_id in pins else 0)
    ]


def forgotten_ids(index: SealedIndex, listing: Listing) -> dict[bytes, int]:
    """Return ids that the place lists as deleted and the index does not name, with their version."""
    known = {INDEX_ID, *index.pins, *dict(index.free)}
    return {
        item.blob_id: item.version
        for item in listing.manifests.values()
        if item.is_deletion and item.blob_id not in known
    }
