"""Brings the wallet's own items, contact book and settings, in step with what other devices have stored.

Spec: docs/spec/sealed-data.md, "Synchronization", "Settings"; docs/spec/contact-book.md, "Merge".
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from walletcli.wallet.contacts import book as contact_book
from walletcli.wallet.contacts.book import ContactBook, save_book
from walletcli.wallet.sealed.index import CONTACTS, SETTINGS, Item, Kind
from walletcli.wallet.sealed.memory import BASE_DRAWERS
from walletcli.wallet.sealed.reading import SealedItems
from walletcli.wallet.sealed.settings import Settings, merge_settings, own_settings, take_over
from walletcli.wallet.state.changes import Change, PutDrawer

if TYPE_CHECKING:
    from walletcli.wallet.access.session import Session
    from walletcli.wallet.sealed.owner import Owner
    from walletcli.wallet.state.view import IdentityView


@dataclass(frozen=True, slots=True)
class MergedItem:
    """One of the wallet's own items, as it is to be at the place.

    Attributes:
        name: of the item.
        content: what it is to hold; None if there is nothing to be kept.
        there: what the place has, or None.
        taken: whether the wallet has taken something over from it.
    """

    name: str
    content: bytes | None
    there: Item | None
    taken: bool

    @property
    def differs(self) -> bool:
        """Whether the place has something else."""
        if self.content is None:
            return False
        return self.there is None or hashlib.sha256(self.content).digest() != self.there.digest


def merge_contacts(session: Session, identity: IdentityView, items: SealedItems, *, has_base: bool) -> MergedItem:
    """Merge the contact book with the one at the place, three ways; what came from there is in the vault afterwards.

    Args:
        session: the open wallet.
        identity: whose.
        items: at the place.
        has_base: whether what was last in step is the base of what is there; otherwise both sides are kept whole.

    Raises:
        FormatError: ``contact-book.*``; as `SealedItems.content`.
        InputError: ``contact-book.*``.
    """
    there = items.index.get(Kind.SYSTEM, CONTACTS)
    mine_data = session.drawer(identity.index, contact_book.DRAWER)
    if there is None:
        return MergedItem(CONTACTS, mine_data, None, taken=False)
    base_data = _base(session, identity, CONTACTS) if has_base else None
    theirs_data = _theirs(items, there, (mine_data, base_data))
    if theirs_data in (mine_data, base_data):
        return MergedItem(CONTACTS, mine_data, there, taken=False)
    base = ContactBook.from_bytes(base_data, own=True) if base_data is not None else ContactBook()
    mine = ContactBook.from_bytes(mine_data, own=True) if mine_data is not None else ContactBook()
    merged = contact_book.merge(base, mine, ContactBook.from_bytes(theirs_data))
    changes = base_changes(session, identity, {CONTACTS: theirs_data})
    book = save_book(session, identity.index, mine, merged, lambda _: changes)
    return MergedItem(CONTACTS, book.to_bytes(), there, taken=book != mine)


def merge_own_settings(
    session: Session, identity: IdentityView, owner: Owner, items: SealedItems, *, has_base: bool
) -> MergedItem:
    """Merge the settings with those at the place; what came from there is in the vault afterwards.

    Raises:
        FormatError: ``data-settings.*``; as `SealedItems.content`.
        InputError: ``data-settings.too-long``, ``share.*``.
    """
    there = items.index.get(Kind.SYSTEM, SETTINGS)
    mine = own_settings(session, identity)
    if there is None:
        return MergedItem(SETTINGS, mine.to_bytes(), None, taken=False)
    base_data = _base(session, identity, SETTINGS) if has_base else None
    theirs = Settings.from_bytes(_theirs(items, there, (base_data,)))
    base = Settings.from_bytes(base_data) if base_data is not None else Settings()
    merged = merge_settings(base, mine, theirs, owner.devices)
    generation = session.snapshot().generation
    take_over(session, identity, merged)
    taken = session.snapshot().generation != generation
    return MergedItem(SETTINGS, merged.to_bytes(), there, taken=taken)


def _base(session: Session, identity: IdentityView, name: str) -> bytes | None:
    return session.drawer(identity.index, BASE_DRAWERS[name])


def _theirs(items: SealedItems, there: Item, known: tuple[bytes | None, ...]) -> bytes:
    """Return the content of an item, from the wallet if it has the same."""
    for data in known:
        if data is not None and hashlib.sha256(data).digest() == there.digest:
            return data
    content = items.content(there.kind, there.name)
    assert content is not None
    return content


def base_changes(session: Session, identity: IdentityView, contents: dict[str, bytes]) -> tuple[Change, ...]:
    """Return the changes that remember these contents as what was last in step, by name of the item."""
    changes: list[Change] = []
    for name, content in contents.items():
        before = _base(session, identity, name)
        if before != content:
            digest = hashlib.sha256(before).digest() if before is not None else None
            changes.append(PutDrawer(identity.index, BASE_DRAWERS[name], content, digest))
    return tuple(changes)
