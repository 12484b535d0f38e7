"""What a restore says at its end: what came back, from where and how old, what did not, and who was asked.

Spec: docs/spec/recovery.md, "Report".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from walletcli.core.identity_id import IdentityId
from walletcli.core.record import Record
from walletcli.wallet.recovery.asking import RelayLookups
from walletcli.wallet.recovery.data import PlaceLookup
from walletcli.wallet.recovery.index_found import IndexFound
from walletcli.wallet.recovery.journal import Entry, Journal, Missing
from walletcli.wallet.state.draft import last_record
from walletcli.wallet.state.view import IdentityView
from walletcli.wallet.state.wallet_view import WalletView


@dataclass(frozen=True, slots=True)
class RestoredIdentity:
    """An identity that is held again.

    Attributes:
        view: its public half, as it is now.
        entry: what came back with it.
    """

    view: IdentityView
    entry: Entry

    @property
    def did(self) -> str:
        """The identity, as did:key."""
        return IdentityId(self.view.public_key).did

    @property
    def revoked(self) -> tuple[str, ...]:
        """Signing keys (hexadecimal) of devices that its newest record no longer has."""
        there = _delegated(self._record)
        return tuple(item.signing_key.hex() for item in self.entry.devices if item.signing_key not in there)

    @property
    def _record(self) -> Record | None:
        return last_record(self.view)

    def to_json(self) -> dict[str, object]:
        """Return the identity, its items, its devices and its new record."""
        entry, view, record, revoked = self.entry, self.view, self._record, self.revoked
        devices: dict[str, list[object]] = {"revoked": [], "kept": []}
        for device in entry.devices:
            key = device.signing_key.hex()
            row = {"signing_key": key, "believed_until_day": device.until_day}
            devices["revoked" if key in revoked else "kept"].append(row)
        return {
            "did": self.did,
            "label": view.label,
            "index": view.index,
            "retired": view.retired is not None,
            "sources": list(entry.answered),
            "items": [item.to_json() for item in entry.items],
            "devices": devices,
            "record": {
                "seq": record.packet.seq if record is not None else None,
                "published": list(view.stored.relays) if view.stored is not None else [],
                "waits": {"code": entry.waits[0], "message": entry.waits[1]} if entry.waits else None,
            },
        }


@dataclass(frozen=True, slots=True)
class NotFound:
    """Something that did not come back.

    Attributes:
        missing: what, and why.
        identity: whose, or None for what belongs to no identity that is held.
    """

    missing: Missing
    identity: IdentityView | None

    def to_json(self) -> dict[str, object]:
        """Return the item with did and label."""
        view = self.identity
        did = IdentityId(view.public_key).did if view is not None else None
        return {"did": did, "label": view.label if view is not None else None, **self.missing.to_json()}


@dataclass(frozen=True, slots=True)
class Report:
    """What a restore says at its end.

    Attributes:
        restored: the identities that are held again, by index.
        not_found: what did not come back.
        lookups: who was asked in this run.
        looked_up: how many identities of the seed were looked for.
        finished: whether it came to its end.
        index: the wallet index, if it was found.
    """

    restored: tuple[RestoredIdentity, ...]
    not_found: tuple[NotFound, ...]
    lookups: tuple[dict[str, object], ...]
    looked_up: int
    finished: bool
    index: IndexFound | None = None

    @property
    def waiting(self) -> tuple[RestoredIdentity, ...]:
        """Identities whose new record is not signed, or not everywhere."""
        return tuple(item for item in self.restored if item.entry.waits)

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left that another run could bring."""
        return self.finished and not self.not_found and not self.waiting

    def summary(self) -> dict[str, object]:
        """Return whether it is complete, and how much is there, is not, and waits."""
        return {
            "complete": self.is_complete,
            "restored": len(self.restored),
            "not_found": len(self.not_found),
            "waiting": len(self.waiting),
        }

    def to_json(self) -> dict[str, object]:
        """Return restored, not_found, lookups, and how far the search went."""
        return {
            "restored": [item.to_json() for item in self.restored],
            "not_found": [item.to_json() for item in self.not_found],
            "lookups": list(self.lookups),
            "looked_up": self.looked_up,
            "index": self.index.to_json() if self.index is not None else None,
            "complete": self.is_complete,
        }


def report_of(
    journal: Journal,
    wallet: WalletView,
    relays: Iterable[RelayLookups] = (),
    places: Sequence[PlaceLookup] = (),
    *,
    offline: bool = False,
) -> Report:
    """Say what a restore has brought so far.

    Args:
        journal: of the restore.
        wallet: as it is now.
        relays: what each was asked in this run.
        places: how providers and kits answered in this run.
        offline: nobody was to be asked.
    """
    views = {view.index: view for view in wallet.identities}
    held = [(views[entry.index], entry) for entry in journal.entries if entry.index in views]
    restored = tuple(RestoredIdentity(view, entry) for view, entry in held)
    missing = [NotFound(item, None) for item in journal.missing]
    missing += [NotFound(item, view) for view, entry in held for item in entry.missing]
    lookups = [_relay(relay) for relay in relays if relay.asked] + _places(places)
    finished = journal.finished or offline or not journal.plan.relays
    return Report(restored, tuple(missing), tuple(lookups), journal.looked_up, finished, journal.index)


def _delegated(record: Record | None) -> set[bytes]:
    document = record.document if record is not None else None
    return {item.signing_key for item in document.delegations} if document is not None else set()


def _relay(relay: RelayLookups) -> dict[str, object]:
    return {
        "where": relay.address,
        "what": relay.what,
        "asked": relay.asked,
        "found": relay.found,
        "absent": relay.absent,
        "failed": relay.failed,
        "errors": list(relay.errors),
        "decoys": relay.decoys,
    }


def _places(places: Sequence[PlaceLookup]) -> list[dict[str, object]]:
    """Return a row for each place: for how many identities it was asked, and of how many it has data."""
    names = dict.fromkeys((place.place, place.is_kit) for place in places if place.place)
    rows: list[dict[str, object]] = []
    for name, is_kit in names:
        of_it = [place for place in places if place.place == name]
        found, failed = sum(place.has_data for place in of_it), sum(bool(place.error) for place in of_it)
        rows.append(
            {
                "where": name,
                "what": "exit kit" if is_kit else "sealed data",
                "asked": len(of_it),
                "found": found,
                "absent": len(of_it) - found - failed,
                "failed": failed,
                "errors": sorted({place.error for place in of_it if place.error}),
                "decoys": 0,
            }
        )
    return rows
