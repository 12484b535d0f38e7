"""What a command about the owner's files at the provider has done or found.

Spec: docs/spec/sealed-data.md.
"""

from __future__ import annotations

from dataclasses import dataclass

from walletcli.client.manifests import ItemFault
from walletcli.core.identity_id import IdentityId
from walletcli.wallet.sealed.access import KitRefresh
from walletcli.wallet.sealed.index import Item, Kind
from walletcli.wallet.sealed.memory import Plan
from walletcli.wallet.sealed.reading import SeenIndex
from walletcli.wallet.state.view import IdentityView


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that is at the provider.

    Attributes:
        identity: whose.
        item: as the index names it.
        provider: name of the place that holds it.
        new: whether anything was stored; otherwise it was there already.
        replaced: whether another one stood under the name before.
        resumed: how many of its pieces an earlier attempt had stored.
        kits: what became of the exit kits.
    """

    identity: IdentityView
    item: Item
    provider: str
    new: bool
    replaced: bool
    resumed: int
    kits: tuple[KitRefresh, ...]

    def to_json(self) -> dict[str, object]:
        """Return did, the item, and where it is."""
        return {
            "did": IdentityId(self.identity.public_key).did,
            "item": item_json(self.item),
            "provider": self.provider,
            "new": self.new,
            "replaced": self.replaced,
            "resumed_pieces": self.resumed,
            "kits": [kit.to_json() for kit in self.kits],
        }


@dataclass(frozen=True, slots=True)
class ItemList:
    """What an identity keeps.

    Attributes:
        identity: whose.
        seen: the index.
        source: name of the place that gave it, or None if it is what was remembered.
        unfinished: uploads that were interrupted.
        faults: what was wrong at places on the way.
    """

    identity: IdentityView
    seen: SeenIndex
    source: str | None
    unfinished: tuple[Plan, ...]
    faults: tuple[ItemFault, ...]

    def to_json(self) -> dict[str, object]:
        """Return did, files, the wallet's own items, unfinished uploads, and what was wrong."""
        index = self.seen.index
        return {
            "did": IdentityId(self.identity.public_key).did,
            "source": self.source,
            "version": self.seen.version,
            "items": [item_json(item) for item in index.of_kind(Kind.FILE)],
            "own_items": [item_json(item) for item in index.of_kind(Kind.SYSTEM)],
            "unfinished": [
                {"name": plan.name, "bytes": plan.length_bytes, "pieces": len(plan.pieces)} for plan in self.unfinished
            ],
            "faults": [fault.to_json() for fault in self.faults],
        }


@dataclass(frozen=True, slots=True)
class ReadFile:
    """A file that was read.

    Attributes:
        identity: whose.
        item: as the index names it.
        source: name of the place that its index came from.
        faults: what was wrong at places on the way.
    """

    identity: IdentityView
    item: Item
    source: str
    faults: tuple[ItemFault, ...]

    def to_json(self) -> dict[str, object]:
        """Return did, the item, where it came from, and what was wrong."""
        return {
            "did": IdentityId(self.identity.public_key).did,
            "item": item_json(self.item),
            "source": self.source,
            "faults": [fault.to_json() for fault in self.faults],
        }


@dataclass(frozen=True, slots=True)
class RemovedFile:
    """A file that is no longer kept.

    Attributes:
        identity: whose.
        name: of the file.
        item: whether there was one.
        unfinished: whether there was an upload of it under way.
        kits: what became of the exit kits.
    """

    identity: IdentityView
    name: str
    item: bool
    unfinished: bool
    kits: tuple[KitRefresh, ...]

    def to_json(self) -> dict[str, object]:
        """Return did, name, and what there was."""
        return {
            "did": IdentityId(self.identity.public_key).did,
            "name": self.name,
            "removed_item": self.item,
            "removed_unfinished": self.unfinished,
            "kits": [kit.to_json() for kit in self.kits],
        }


def item_json(item: Item) -> dict[str, object]:
    """Return what there is to say of an item."""
    return {
        "name": item.name,
        "bytes": item.length_bytes,
        "sha256": item.digest.hex(),
        "stored_s": item.stored_s,
        "pieces": len(item.pieces),
        "devices": len(item.recipients) - 1,
    }
