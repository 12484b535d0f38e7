"""Reads an identity's sealed data with nothing but its root: at its providers, and in its exit kits.

Spec: docs/spec/recovery.md, "Sealed data".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from walletcli.client.kit import DirectoryPlace
from walletcli.client.manifests import Writers
from walletcli.client.places import Place
from walletcli.core.identity_id import IdentityId
from walletcli.core.record import Record
from walletcli.errors import FormatError, VerificationError, WalletError
from walletcli.net.addresses import NodeAddress
from walletcli.net.dialer import Dialer
from walletcli.wallet.access.session import Session
from walletcli.wallet.contacts.book import ContactBook
from walletcli.wallet.memory import WalletMemory
from walletcli.wallet.providers.places import Places, bound_places
from walletcli.wallet.recovery.found import KitRecord
from walletcli.wallet.recovery.journal import Item, Missing
from walletcli.wallet.sealed.index import CONTACTS, SETTINGS, Kind, Piece
from walletcli.wallet.sealed.index import Item as SealedItem
from walletcli.wallet.sealed.memory import read_memory
from walletcli.wallet.sealed.owner import Unseal
from walletcli.wallet.sealed.reading import SealedItems, SeenIndex, fetch_piece, read_index
from walletcli.wallet.sealed.settings import Settings
from walletcli.wallet.sealed.settling import pinning
from walletcli.wallet.sealed.slots import Listing
from walletcli.wallet.state.view import IdentityView

_DAY_S: Final = 86_400


@dataclass(slots=True)
class PlaceLookup:
    """How one place answered for one identity.

    Attributes:
        place: address or path.
        is_kit: whether it is an exit kit.
        has_data: whether it gave an index that could be opened.
        error: code of why not, or empty.
    """

    place: str
    is_kit: bool
    has_data: bool = False
    error: str = ""


@dataclass(slots=True)
class ReadData:
    """What the places of one identity gave.

    Attributes:
        items: what came back.
        missing: what did not.
        lookups: the places that were asked.
        reached: root key (32 bytes) and address of each provider that was logged into.
        contacts: the contact book as it was read and its encoding, or None.
        settings: the settings, or None.
        kit: the exit kit that is at hand, with the day of its last refresh; or None.
        place_of_kit: path and day of the exit kit as a device of the owner's knew it, an empty path if all of them have
            none; None if nobody had decided.
        seen: the index that counts, or None where there is none.
        is_complete: nobody was out of reach who might have something newer.
    """

    items: list[Item] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)
    lookups: list[PlaceLookup] = field(default_factory=list)
    reached: list[tuple[bytes, str]] = field(default_factory=list)
    contacts: tuple[ContactBook, bytes] | None = None
    settings: Settings | None = None
    kit: tuple[str, int] | None = None
    place_of_kit: tuple[str, int | None] | None = None
    seen: SeenIndex | None = None
    is_complete: bool = True


def read_data(
    session: Session,
    identity: IdentityView,
    kits: Sequence[KitRecord],
    dialer: Dialer,
    memory: WalletMemory,
    relays: Sequence[NodeAddress],
    timeout_s: float,
) -> ReadData:
    """Read contact book and settings of an identity, and see which of its files are there.

    Nothing is raised for a place that fails: it is told.

    Args:
        session: the open wallet; it logs in with the root, and opens what is sealed to the recovery recipient.
        identity: one of the wallet's.
        kits: its exit kits.
        dialer: opens the connections, each for this identity.
        memory: what is remembered of providers.
        relays: whom to ask where a provider is that is no longer where it was.
        timeout_s: how long a call may take, in seconds.

    Raises:
        VaultError: ``vault.*``, ``agent.*``.
    """
    data = ReadData(kit=_newest_kit(kits))
    records = [kit.head.record for kit in kits]
    with bound_places(
        session, identity, dialer, by_root=True, records=records, memory=memory, relays=relays, timeout_s=timeout_s
    ) as places:
        found = [*_providers(places, data), *_directories(kits, places.writers or _writers(identity, records))]
        if not found and not places.providers:
            return data
        before = read_memory(session, identity.index).seen
        sealed = _newest(
            found, lambda blob, context: session.unseal_as_root(identity.index, blob, context), data, before
        )
        if sealed is None:
            _all_missing(data)
            return data
        data.seen = sealed.seen
        _read_own_items(sealed, data)
        _look_for_files(sealed, data)
    return data


def _newest_kit(kits: Sequence[KitRecord]) -> tuple[str, int] | None:
    newest = max(kits, key=lambda kit: kit.head.day, default=None)
    return (newest.path, newest.head.day) if newest is not None else None


def _writers(identity: IdentityView, records: Sequence[Record]) -> Writers:
    return Writers.of(identity.public_key, records)


def _providers(places: Places, data: ReadData) -> list[Place]:
    """Return the providers that were logged into; note the others."""
    found: list[Place] = []
    for provider in places.providers:
        if provider.place is not None:
            found.append(provider.place)
            data.reached.append((provider.provider, provider.name))
            data.lookups.append(PlaceLookup(provider.place.name, is_kit=False))
            continue
        assert provider.error is not None
        did, name = (IdentityId(provider.provider).did, provider.name) if provider.provider else ("", "")
        data.missing.append(Missing.of("provider", provider.error, did, name))
        data.lookups.append(PlaceLookup(name, is_kit=False, error=provider.error.code))
        data.is_complete = False
    return found


def _directories(kits: Sequence[KitRecord], writers: Writers) -> list[Place]:
    return [DirectoryPlace(kit.path, writers) for kit in kits]


def _newest(found: Sequence[Place], unseal: Unseal, data: ReadData, before: SeenIndex | None) -> SealedItems | None:
    """Read the index of every place, and take the newest; what is wrong at a place is noted.

    The index that was read before is right whoever has signed it: the records that still named that device may be gone
    by now, for this restore has replaced them.
    """
    indices: list[tuple[SeenIndex, Place]] = []
    remembered = [before] if before is not None else []
    for place in found:
        lookup = next((item for item in data.lookups if item.place == place.name), None)
        if lookup is None:
            lookup = PlaceLookup(place.name, is_kit=True)
            data.lookups.append(lookup)
        try:
            seen = read_index(place.believing(pinning(place.writers, remembered)), unseal)
        except WalletError as error:
            lookup.error = error.code
            data.missing.append(Missing.of("index", error, place=place.name))
            data.is_complete = data.is_complete and lookup.is_kit
            continue
        if seen is not None:
            lookup.has_data = True
            indices.append((seen, place))
    if not indices:
        return None
    best, first = max(indices, key=lambda item: item[0].version)
    for seen, place in indices:
        if seen.version < best.version:
            fault = VerificationError(
                "recovery.older-data",
                f"{place.name} has version {seen.version} of the index, {best.version} is known",
                "the newer one was taken",
            )
        elif seen.content_hash != best.content_hash:
            fault = VerificationError(
                "data.split",
                f"{place.name} has another index than {first.name} in the same version {best.version}",
                "one of the two places has lied, or two devices wrote at once: look at the items of both",
            )
        else:
            continue
        data.missing.append(Missing.of("index", fault, place=place.name))
    base = first.writers
    writers = best.writers(base)
    ordered = [first, *(place for _, place in indices if place is not first)]
    return SealedItems(best, [place.believing(writers) for place in ordered], unseal, base)


def _all_missing(data: ReadData) -> None:
    """Say that the wallet's own items are not to be had; whether there were files nobody can tell."""
    if data.missing:
        first = data.missing[0]
        data.missing += [Missing(kind, "", first.place, first.code, first.message) for kind in (CONTACTS, SETTINGS)]
        why = "without an index nobody can tell which files there were"
        data.missing.append(Missing("files", "", first.place, first.code, why))


def _read_own_items(sealed: SealedItems, data: ReadData) -> None:
    """Read contact book and settings, each from the first place that has it whole."""
    for name in (CONTACTS, SETTINGS):
        item = sealed.index.get(Kind.SYSTEM, name)
        if item is None:
            continue  # the identity never had one
        content, place = _content(sealed, item, data)
        if content is None:
            continue
        day = item.stored_s // _DAY_S
        if name == SETTINGS:
            _take_settings(content, place, Item(SETTINGS, "", place, None, sealed.seen.version, day), data)
            continue
        try:
            book = ContactBook.from_bytes(content)
        except FormatError as error:
            data.missing.append(Missing.of(CONTACTS, error, place=place))
            continue
        data.contacts = book, content
        relations = sum(contact.relation is not None for contact in book)
        data.items.append(Item(CONTACTS, "", place, len(book), sealed.seen.version, day))
        data.items.append(Item("relations", "", place, relations, sealed.seen.version, day))


def _take_settings(content: bytes, place: str, item: Item, data: ReadData) -> None:
    try:
        data.settings = Settings.from_bytes(content)
    except FormatError as error:
        data.missing.append(Missing.of(SETTINGS, error, place=place))
        return
    data.items.append(item)
    known = [(device.kit_path, device.kit_day) for device in data.settings.devices if device.kit_path is not None]
    if known:
        data.place_of_kit = max(known, key=lambda kit: (bool(kit[0]), kit[1] or 0))
        path, refreshed = data.place_of_kit
        if path:
            data.items.append(Item("kit", path, place, None, None, refreshed))


def _content(sealed: SealedItems, item: SealedItem, data: ReadData) -> tuple[bytes | None, str]:
    """Return an item's content and the place that gave it; None, and a note, where no place has it whole."""
    first: Missing | None = None
    for place in sealed.places:
        try:
            content = replace(sealed, places=[place], faults=[]).content(item.kind, item.name)
        except WalletError as error:
            first = first or Missing.of(item.name, error, place=place.name)
            continue
        if content is not None:
            return content, place.name
    if first is not None:
        data.missing.append(first)
    return None, ""


def _look_for_files(sealed: SealedItems, data: ReadData) -> None:
    """See for each file which place has all of it, in the version and with the hash that the index names."""
    files = sealed.index.of_kind(Kind.FILE)
    if not files:
        return
    left = list(files)
    reasons: dict[str, Missing] = {}
    for place in sealed.places:
        check = Check(place)
        for file in list(left):
            fault = check.fault(file)
            if fault is None:
                left.remove(file)
                day = file.stored_s // _DAY_S
                data.items.append(Item("file", file.name, place.name, file.length_bytes, sealed.seen.version, day))
            else:
                reasons.setdefault(file.name, Missing.of("file", fault, file.name, place.name))
    data.missing += [reasons[file.name] for file in left]


class Check:
    """Tells whether a place has a file: of a provider by its signed manifests, of a directory by reading it.

    Args:
        place: which.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._listing: Listing | None = None
        self._error: WalletError | None = None
        if not isinstance(place, DirectoryPlace):
            try:
                self._listing = Listing.of(place)
            except WalletError as error:
                self._error = error

    def fault(self, file: SealedItem) -> WalletError | None:
        """Return why the place does not have the file; None if it has."""
        if self._error is not None:
            return self._error
        try:
            for piece in file.pieces:
                if self._listing is None:
                    fetch_piece(self._place, piece)
                else:
                    _check_listed(self._listing, piece)
        except WalletError as error:
            return error
        return None


def _check_listed(listing: Listing, piece: Piece) -> None:
    there = listing.manifests.get(piece.blob_id)
    named = there.manifest if there is not None else None
    if named is None or (named.version, named.content_hash) != (piece.version, piece.content_hash):
        found = f"version {named.version}" if named is not None else "nothing"
        raise VerificationError(
            "data.damaged", f"there is {found} of blob {piece.blob_id.hex()}, the index names version {piece.version}"
        )
