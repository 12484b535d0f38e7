"""Compares what a rehearsal brought back with what an open wallet holds: what is only here would be lost.

Spec: docs/spec/recovery.md, "Drill".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from walletcli.core.identity_id import IdentityId
from walletcli.core.wallet_index import NOTHING
from walletcli.errors import VerificationError, WalletError
from walletcli.wallet.access.session import Session
from walletcli.wallet.contacts.book import ContactBook, read_book
from walletcli.wallet.contacts.contact import Contact
from walletcli.wallet.providers.places import current_bindings
from walletcli.wallet.recovery.index_search import IndexRead
from walletcli.wallet.recovery.journal import Entry, Missing
from walletcli.wallet.recovery.plan import DEFAULT_BEYOND
from walletcli.wallet.recovery.told import Told
from walletcli.wallet.sealed.index import Kind
from walletcli.wallet.sealed.memory import read_memory
from walletcli.wallet.state.draft import last_record
from walletcli.wallet.state.view import IdentityView

MAX_NAMED: Final = 1000
"""Most contacts of an identity that are named one by one."""

_OWN_ITEMS: Final = frozenset({"contacts", "settings"})
_PLACES: Final = frozenset({"provider", "index"})


def reached(found: Iterable[int], gap: int, index: IndexRead | None = None) -> Callable[[int], bool]:
    """Return what tells whether a restore would ask for an identity.

    Args:
        found: identities that are to be found.
        gap: unknown ones in a row that end a search without an index.
        index: what relays gave of the wallet index.
    """
    whole = index is not None and index.found is not None and index.found.is_whole
    listed = index.listed if index is not None and whole else NOTHING
    first, gap = (listed.highest + 1, DEFAULT_BEYOND) if whole else (0, gap)
    end = first + gap
    for number in sorted(number for number in found if number >= first):
        if number >= end:
            break
        end = number + 1 + gap
    asked = {*listed, *(listed.lowest_missing(gap) if whole else ())}
    return lambda number: number in asked or first <= number < end


def compare(
    session: Session,
    rehearsed: Session,
    found: Mapping[int, Entry],
    told: Sequence[Missing],
    reach: Callable[[int], bool],
) -> Iterator[Told]:
    """Give what an open wallet holds and a rehearsal did not bring back.

    Args:
        session: the open wallet.
        rehearsed: the wallet in memory that was restored.
        found: what that found, by index.
        told: what it says did not come back, of no identity that was found.
        reach: of `reached`.
    """
    back = {view.index: view for view in rehearsed.snapshot().wallet.identities}
    for view in session.snapshot().wallet.identities:
        entry, copy = found.get(view.index), back.get(view.index)
        if entry is None or copy is None:
            yield Told.lost(view, "record", _not_found(view, told, reach))
            entry = copy = None
        else:
            yield from _of_record(view, copy)
        yield from _of_data(session, rehearsed, view, entry, copy)


def _not_found(view: IdentityView, told: Sequence[Missing], reach: Callable[[int], bool]) -> WalletError:
    if view.record is None:
        return VerificationError(
            "drill.unpublished",
            f"{view.label!r} has never been published: nobody but this vault knows of it",
            f"walletcli publish {view.label}",
        )
    if not reach(view.index):
        return VerificationError(
            "drill.beyond-gap",
            f"a restore would not ask for it: {view.label!r} is identity {view.index}, and no wallet index names it",
            f"write the index: walletcli wallet index publish; or note to restore with --scan --gap {view.index + 1}",
        )
    did = IdentityId(view.public_key).did
    reason = next((item for item in told if item.kind == "record" and item.name == did), None)
    if reason is not None:
        return VerificationError(reason.code, reason.message, f"walletcli publish {view.label}")
    return VerificationError(
        "drill.not-found",
        f"no relay that was asked has the record of {view.label!r}",
        f"walletcli publish {view.label}",
    )


def _of_record(view: IdentityView, found: IdentityView) -> Iterator[Told]:
    """Compare what a record brings: its own number, label, profile."""
    mine, theirs = last_record(view), last_record(found)
    assert theirs is not None
    if mine is not None and theirs.packet.seq < mine.packet.seq:
        error = VerificationError(
            "drill.older-record",
            f"relays and kits have seq {theirs.packet.seq}, this wallet has signed {mine.packet.seq}",
            f"walletcli publish {view.label}",
        )
        yield Told.lost(view, "record", error)
    if found.label != view.label:
        yield Told.lost(view, "label", _only_here(view, f"the label {view.label!r}"), view.label)
    for mine_part, theirs_part in ((view.profile, found.profile), (view.sealed_profile, found.sealed_profile)):
        for name, value in sorted(mine_part.items()):
            if theirs_part.get(name) != value:
                yield Told.lost(view, "profile", _only_here(view, f"the attribute {name!r}"), name)


def _of_data(
    session: Session, rehearsed: Session, view: IdentityView, entry: Entry | None, found: IdentityView | None
) -> Iterator[Told]:
    """Compare contact book, files and what the settings keep."""
    why = _why(view, entry)
    theirs = read_book(rehearsed, view.index) if found is not None else ContactBook()
    yield from _contacts(view, read_book(session, view.index), theirs, why)
    files = {item.name for item in entry.items if item.kind == "file"} if entry is not None else set()
    memory = read_memory(session, view.index)
    kept = memory.seen.index.of_kind(Kind.FILE) if memory.seen is not None else ()
    for item in kept:
        if item.name not in files:
            yield _missing_file(view, entry, item.name, why)
    for plan in memory.plans:
        error = VerificationError(
            "drill.unfinished-upload", f"the upload of {plan.name!r} is not finished", "put the file again"
        )
        yield Told.lost(view, "file", error, plan.name)
    if view.shares and (found is None or found.shares != view.shares):
        yield Told.lost(view, "settings", why)


def _why(view: IdentityView, entry: Entry | None) -> WalletError:
    """Return why data of an identity would not come back."""
    items, told = (entry.items, entry.missing) if entry is not None else ((), ())
    reasons = [missing for kinds in (_OWN_ITEMS, _PLACES) for missing in told if missing.kind in kinds]
    if any(item.kind in _OWN_ITEMS for item in items) and not any(item.kind in _OWN_ITEMS for item in reasons):
        return _only_here(view, "it")
    if reasons:
        return _as_error(view, reasons[0])
    if not current_bindings(view):
        return VerificationError(
            "drill.no-provider",
            f"{view.label!r} is bound to no provider: its data is on this device alone",
            f"walletcli provider bind {view.label} ADDRESS",
        )
    return _only_here(view, "it")


def without_sighting(contact: Contact) -> Contact:
    """Return a contact as its owner knows it, without what the last look-up of its record said."""
    return replace(contact, sighting=None) if contact.sighting is not None else contact


def _contacts(view: IdentityView, mine: ContactBook, theirs: ContactBook, why: WalletError) -> Iterator[Told]:
    if mine == theirs:
        return
    lost = []
    for contact in mine:
        other = theirs.get(contact.id)
        if other is None or without_sighting(other) != without_sighting(contact):
            lost.append(contact)
    for contact in lost[:MAX_NAMED]:
        yield Told.lost(view, "contacts", why, contact.name)
    if len(lost) > MAX_NAMED:
        yield Told.lost(view, "contacts", why, f"{len(lost) - MAX_NAMED} more")


def _missing_file(view: IdentityView, entry: Entry | None, name: str, why: WalletError) -> Told:
    for item in entry.missing if entry is not None else ():
        if item.kind == "file" and item.name == name:
            return Told(view, item, f"walletcli sync {view.label} --put-back")
    return Told.lost(view, "file", why, name)


def _only_here(view: IdentityView, what: str) -> WalletError:
    return VerificationError(
        "drill.only-here", f"{what} is on this device only, in this state", f"walletcli sync {view.label}"
    )


def _as_error(view: IdentityView, missing: Missing) -> WalletError:
    """Return why something is missing as an error, with what helps."""
    return VerificationError(missing.code, missing.message, f"walletcli provider status {view.label}")
