"""Keeps the exit kit up to date: record, grants and sealed data at the place that the owner chose.

Spec: docs/spec/exit-kit.md; docs/spec/providers.md, "Exit kit".
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from walletcli.client.copying import CopyReport, Missing, Progress, copy
from walletcli.client.kit import DirectoryPlace
from walletcli.client.manifests import ItemFault, SignedManifest
from walletcli.client.places import Place
from walletcli.core.blob import INDEX_ID
from walletcli.core.exit_kit import MAX_GRANTS, ExitKitHead
from walletcli.core.record import Record
from walletcli.errors import StorageError, WalletError
from walletcli.wallet.access.session import Session
from walletcli.wallet.providers.book import KitChoice, ProviderBook, Role, change_book, read_book
from walletcli.wallet.providers.places import Places
from walletcli.wallet.sealed.index import Kind
from walletcli.wallet.sealed.memory import read_memory
from walletcli.wallet.state.draft import today
from walletcli.wallet.state.view import IdentityView


@dataclass(frozen=True, slots=True)
class KitState:
    """How an exit kit is.

    Attributes:
        place: a path, or the address of a provider.
        is_provider: whether it is at a provider.
        day: when it was last brought up to date in full, days since 1970-01-01 (UTC), or None.
        complete: whether it has everything that the main provider has; None if that cannot be told now.
        missing: what it does not have, or not in the version that there is.
        error: why it cannot be used, or None.
    """

    place: str
    is_provider: bool
    day: int | None = None
    complete: bool | None = None
    missing: tuple[Missing, ...] = ()
    error: WalletError | None = None

    def to_json(self) -> dict[str, object]:
        """Return all fields."""
        return {
            "place": self.place,
            "kind": "provider" if self.is_provider else "directory",
            "day": self.day,
            "complete": self.complete,
            "missing": [item.to_json() for item in self.missing],
            "error": self.error.to_json() if self.error is not None else None,
        }


def refresh_kit(
    session: Session,
    identity: IdentityView,
    places: Places,
    *,
    wanted: Mapping[bytes, int] | None = None,
    progress: Progress | None = None,
) -> list[CopyReport]:
    """Bring every exit kit of an identity up to date from its main provider; record and grants come along.

    Args:
        session: the open wallet.
        identity: whose kit; its latest record goes there.
        places: open.
        wanted: id and version of what should be there by the wallet's memory; None: what the provider lists.
        progress: is told of every blob.

    Returns:
        A report for each kit; one that cannot be written is in its report as `stopped`.
    """
    reports = []
    chosen = read_book(session, identity.index).kit
    was_made = chosen is not None and chosen.day is not None
    main = next((item.place for item in places.usable if item.role is Role.MAIN), None)
    for place in kit_places(places):
        report = CopyReport(main.name if main is not None else "", place.name)
        try:
            if isinstance(place, DirectoryPlace):
                write_kit_head(place, identity, must_exist=was_made)
            if main is not None:
                report = copy(main, place, wanted, progress)
        except WalletError as error:
            report.stopped = error
        reports.append(report)
        if isinstance(place, DirectoryPlace) and main is not None and report.is_complete:
            _mark_fresh(session, identity.index, place.name)
    return reports


def kit_places(places: Places) -> list[Place]:
    """Return all second places of an identity that can be used: its kit's directory, and providers that are kits."""
    found: list[Place] = [places.kit] if places.kit is not None else []
    found += [item.place for item in places.usable if item.role is Role.KIT and item.place is not None]
    return found


def write_kit_head(place: DirectoryPlace, identity: IdentityView, *, must_exist: bool = False) -> None:
    """Make the kit, or bring its record and grants up to date; nothing happens before there is a record.

    Args:
        place: of the kit.
        identity: whose record and grants.
        must_exist: a kit was made there before: if there is none, its disk is not there, and no other one is made in
            its place.

    Raises:
        StorageError: ``exit-kit.missing``, other ``exit-kit.*``, ``storage.*``.
        VerificationError: ``exit-kit.identity``, ``exit-kit.newer``.
    """
    if identity.record is None:
        return
    if must_exist and place.head() is None:
        raise StorageError(
            "exit-kit.missing", f"there is no exit kit in {place.name}", "check the path, and that the disk is there"
        )
    record = Record.from_bytes(identity.record)
    grants = record.document.bindings if record.document is not None else ()
    place.write_head(ExitKitHead(record, grants[:MAX_GRANTS], today(time.time())))


def kit_state(places: Places, book: ProviderBook, wanted: Mapping[bytes, int] | None = None) -> list[KitState]:
    """Say of each exit kit where it is, how old, and what it lacks of what the main provider has.

    Args:
        places: open.
        book: of the identity.
        wanted: id and version of what there should be by the wallet's memory; None: what the provider lists.
    """
    there = _newest(places, wanted)
    states = []
    if places.kit is not None:
        day = book.kit.day if book.kit is not None else None
        states.append(_compared(KitState(places.kit.name, False, day), places.kit, there))
    for item in places.providers:
        if item.role is not Role.KIT:
            continue
        if item.place is None:
            states.append(KitState(item.name, True, error=item.error))
        else:
            states.append(_compared(KitState(item.name, True), item.place, there))
    return states


def listed_versions(place: Place) -> dict[bytes, int]:
    """Return id and version of every blob at a place, deleted ones included; what does not verify is left out.

    Raises:
        WalletError: the place cannot be gone through.
    """
    return {item.blob_id: item.version for item in place.manifests() if isinstance(item, SignedManifest)}


def live_versions(place: Place) -> dict[bytes, int]:
    """Return id and version of every blob at a place that has not been deleted.

    Raises:
        WalletError: the place cannot be gone through.
    """
    return {
        item.blob_id: item.version
        for item in place.manifests()
        if isinstance(item, SignedManifest) and not item.is_deletion
    }


def remembered_versions(session: Session, index: int) -> dict[bytes, int] | None:
    """Return id and version of every blob that the index names which this wallet saw last; None if it saw none.

    Args:
        session: the open wallet.
        index: of the identity.
    """
    seen = read_memory(session, index).seen
    if seen is None:
        return None
    return {INDEX_ID: seen.version, **{blob_id: version for blob_id, (version, _) in seen.index.pins.items()}}


def blobs_in_vault(session: Session, index: int) -> dict[bytes, int]:
    """Return id and version of blobs that are no loss: the index, and the wallet's own items, which the vault has.

    Args:
        session: the open wallet.
        index: of the identity.
    """
    seen = read_memory(session, index).seen
    if seen is None:
        return {}
    own = {piece.blob_id: piece.version for item in seen.index.of_kind(Kind.SYSTEM) for piece in item.pieces}
    return {INDEX_ID: seen.version, **own}


def _newest(places: Places, wanted: Mapping[bytes, int] | None) -> dict[bytes, int] | None:
    """Return what there should be: at the main provider, and by memory; None if neither is known."""
    main = next((item.place for item in places.usable if item.role is Role.MAIN), None)
    found: dict[bytes, int] | None = dict(wanted) if wanted is not None else None
    if main is None:
        return found
    try:
        listed = live_versions(main)
    except WalletError:
        return found
    found = found or {}
    for blob_id, version in listed.items():
        found[blob_id] = max(version, found.get(blob_id, 0))
    return found


def _compared(state: KitState, place: Place, there: Mapping[bytes, int] | None) -> KitState:
    try:
        if isinstance(place, DirectoryPlace) and place.head() is None:
            return replace(state, complete=False if there is not None else None)
        has = {}
        for item in place.manifests():
            if not isinstance(item, ItemFault):
                has[item.blob_id] = item.version
    except WalletError as error:
        return replace(state, error=error)
    if there is None:
        return state
    missing = tuple(
        Missing(blob_id, version, has.get(blob_id, 0))
        for blob_id, version in sorted(there.items())
        if has.get(blob_id, 0) < version
    )
    return replace(state, complete=not missing, missing=missing)


def _mark_fresh(session: Session, index: int, path: str) -> None:
    """Remember that the kit was brought up to date today, unless the owner has chosen another place meanwhile."""
    day = today(time.time())

    def fresh(book: ProviderBook) -> ProviderBook:
        if book.kit is None or book.kit.path != path or book.kit.day == day:
            return book
        return replace(book, kit=KitChoice(path, day))

    if read_book(session, index) != fresh(read_book(session, index)):
        change_book(session, index, fresh)
