"""Tells at which places each item of an identity's sealed data stands: what is at one only is lost with that one.

Spec: docs/spec/recovery.md, "Drill".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from walletcli.client.places import Place
from walletcli.errors import VerificationError, WalletError
from walletcli.net.dialer import Dialer
from walletcli.wallet.access.session import Session
from walletcli.wallet.home import Progress
from walletcli.wallet.memory import WalletMemory
from walletcli.wallet.providers.exit_kits import kit_places
from walletcli.wallet.providers.places import bound_places
from walletcli.wallet.recovery.data import Check
from walletcli.wallet.recovery.journal import Missing
from walletcli.wallet.recovery.told import Told
from walletcli.wallet.sealed.index import Item as SealedItem
from walletcli.wallet.sealed.index import Kind
from walletcli.wallet.sealed.memory import read_memory
from walletcli.wallet.sealed.owner import Unseal
from walletcli.wallet.sealed.reading import SeenIndex, read_index
from walletcli.wallet.state.view import IdentityView


@dataclass(slots=True)
class ItemCopies:
    """Where one item stands.

    Attributes:
        item: as the newest index names it.
        places: that have all of it, in that state.
    """

    item: SealedItem
    places: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Copies:
    """Where everything that an identity keeps stands.

    Attributes:
        identity: whose.
        version: of the newest index.
        providers: places that are providers.
        index_at: places that have the newest index itself.
        items: what that names.
        faults: places that could not be read, and why.
    """

    identity: IdentityView
    version: int = 0
    providers: list[str] = field(default_factory=list)
    index_at: list[str] = field(default_factory=list)
    items: list[ItemCopies] = field(default_factory=list)
    faults: list[Missing] = field(default_factory=list)


def copies_of(session: Session, dialer: Dialer, timeout_s: float, progress: Progress) -> Iterator[Copies]:
    """Look at every place of every identity that has a provider; nothing is written anywhere.

    Args:
        session: the open wallet; it logs in as this device.
        dialer: opens the connections, each for its identity.
        timeout_s: how long a call may take, in seconds.
        progress: takes a line per identity.

    Raises:
        VaultError: ``vault.*``, ``agent.*``.
    """
    wallet = session.snapshot().wallet
    memory = WalletMemory(wallet)
    for identity in wallet.identities:
        if identity.record is None or identity.unseen:
            continue
        progress(f"comparing the places of {identity.label}")
        with bound_places(session, identity, dialer, memory=memory, timeout_s=timeout_s) as places:
            if not places.providers:
                continue
            found = Copies(identity)
            for provider in places.providers:
                if provider.error is not None:
                    found.faults.append(Missing.of("provider", provider.error, place=provider.name))
            usable: list[Place] = [item.place for item in places.usable if item.place is not None]
            found.providers = [place.name for place in usable]
            kits = [place for place in kit_places(places) if place.name not in found.providers]
            _look(found, [*usable, *kits], _unseal(session, identity), read_memory(session, identity.index).seen)
            yield found


def _unseal(session: Session, identity: IdentityView) -> Unseal:
    return lambda blob, context: session.unseal(identity.index, blob, context)


def _look(found: Copies, places: Sequence[Place], unseal: Unseal, known: SeenIndex | None) -> None:
    """Find the newest index of all places and of memory, and which place has what of it."""
    indices: list[tuple[SeenIndex, Place]] = []
    for place in places:
        try:
            seen = read_index(place, unseal)
        except WalletError as error:
            found.faults.append(Missing.of("index", error, place=place.name))
            continue
        if seen is not None:
            indices.append((seen, place))
    best = max([*(seen for seen, _ in indices), *([known] if known is not None else [])], key=_version, default=None)
    if best is None:
        return
    found.version = best.version
    found.index_at = [place.name for seen, place in indices if seen.content_hash == best.content_hash]
    found.items = [ItemCopies(item) for item in best.index.items]
    for place in places:
        check = Check(place.believing(best.writers(place.writers)))
        for copy in found.items:
            if check.fault(copy.item) is None:
                copy.places.append(place.name)


def _version(seen: SeenIndex) -> int:
    return seen.version


def lost_with_a_provider(found: Copies) -> Iterator[Told]:
    """Give what would be gone with one of an identity's providers, or is gone already."""
    identity = found.identity
    if not found.items:
        yield from (Told(identity, fault, f"walletcli provider status {identity.label}") for fault in found.faults)
        return
    if not _survives(found.index_at, found.providers):
        yield _one_place(identity, "index", "", "the index", found.index_at)
    for copy in found.items:
        if not _survives(copy.places, found.providers):
            kind, name = kind_of(copy.item)
            yield _one_place(identity, kind, name, repr(copy.item.name), copy.places)


def kind_of(item: SealedItem) -> tuple[str, str]:
    """Return kind and name of a sealed item as reports call it."""
    return ("file", item.name) if item.kind is Kind.FILE else (item.name, "")


def _survives(places: Sequence[str], providers: Sequence[str]) -> bool:
    """Tell whether something is left, whichever of the providers goes."""
    return any(place not in providers for place in places) or len(places) > 1


def _one_place(identity: IdentityView, kind: str, name: str, what: str, places: Sequence[str]) -> Told:
    error: WalletError
    if places:
        error = VerificationError(
            "drill.one-place",
            f"{what} is at {places[0]} only, in this state",
            f"walletcli sync {identity.label}; or bind it with an exit kit",
        )
    else:
        error = VerificationError(
            "drill.nowhere",
            f"{what} is at none of the places that answer, in this state",
            f"walletcli sync {identity.label} --put-back",
        )
    return Told.lost(identity, kind, error, name, ", ".join(places))
