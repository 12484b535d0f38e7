"""Lists, shows, renames, annotates, blocks and removes contacts.

Spec: docs/spec/contact-book.md.
"""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Callable
from dataclasses import replace

from walletcli.core.document import attribute_fault, text_fault
from walletcli.errors import InputError
from walletcli.wallet.access.session import Session
from walletcli.wallet.contacts.book import read_book, save_book
from walletcli.wallet.contacts.contact import MAX_ATTRIBUTES, MAX_NOTE_BYTES, Contact
from walletcli.wallet.contacts.lookup import as_name, find_contact, name_warnings
from walletcli.wallet.contacts.sharing import share_changes
from walletcli.wallet.state.draft import today
from walletcli.wallet.state.view import IdentityView

NAME, NOTE = "name", "note"
"""What is set of a contact beside attributes: what the owner calls it, and the owner's notes."""


def list_contacts(session: Session, identity: IdentityView) -> list[Contact]:
    """Return the contacts of an identity, by name."""
    return sorted(read_book(session, identity.index), key=lambda item: (item.name.casefold(), item.id))


def show_contact(session: Session, identity: IdentityView, who: str) -> tuple[Contact, list[str]]:
    """Return a contact, and what should make one look twice at its name.

    Raises:
        InputError: ``contact.unknown``, ``contact.ambiguous``.
    """
    book = read_book(session, identity.index)
    contact = find_contact(book, who)
    return contact, name_warnings(contact.name, contact.id, book, session.snapshot().wallet)


def set_of_contact(session: Session, identity: IdentityView, who: str, name: str, value: str) -> Contact:
    """Set what the owner knows of a contact; nobody else ever sees it.

    Args:
        session: the open wallet.
        identity: whose contact.
        who: the contact.
        name: ``name``, ``note``, or the name of an attribute.
        value: the new name, the whole of the notes, or the attribute's value.

    Raises:
        InputError: ``contact.unknown``, ``contact.ambiguous``, ``contact.name``, ``contact.too-many-attributes``;
            ``contact.value`` for what cannot be stored.
    """
    value = unicodedata.normalize("NFC", value)
    if name != NAME:
        fault = text_fault(value, MAX_NOTE_BYTES) if name == NOTE else attribute_fault(name, value)
        if fault:
            raise InputError(
                "contact.value", f"cannot keep {name!r} of a contact: {fault}", "shorten it, or spell it otherwise"
            )

    def change(contact: Contact) -> Contact:
        if name == NAME:
            return replace(contact, name=as_name(value))
        if name == NOTE:
            return replace(contact, notes=(value,))
        if name not in contact.attributes and len(contact.attributes) >= MAX_ATTRIBUTES:
            raise InputError(
                "contact.too-many-attributes", f"a contact has at most {MAX_ATTRIBUTES} attributes", "unset one first"
            )
        return replace(contact, attributes={**contact.attributes, name: value})

    return _edit(session, identity, who, change)


def unset_of_contact(session: Session, identity: IdentityView, who: str, name: str) -> Contact:
    """Remove the notes, or an attribute, of a contact.

    Raises:
        InputError: ``contact.unknown``, ``contact.ambiguous``, ``attribute.unknown``.
    """

    def change(contact: Contact) -> Contact:
        if name == NOTE and contact.notes:
            return replace(contact, notes=())
        if name not in contact.attributes:
            raise InputError(
                "attribute.unknown",
                f"nothing called {name!r} is known of the contact",
                "see: walletcli contact show WHO",
            )
        return replace(contact, attributes={key: text for key, text in contact.attributes.items() if key != name})

    return _edit(session, identity, who, change)


def block_contact(session: Session, identity: IdentityView, who: str, *, blocked: bool = True) -> Contact:
    """Block a contact, or end that: it is left out of shares, look-ups, exports and relations.

    Raises:
        InputError: ``contact.unknown``, ``contact.ambiguous``.
    """
    day = today(time.time())

    def change(contact: Contact) -> Contact:
        since = contact.blocked_day if contact.blocked_day is not None else day
        return replace(contact, blocked_day=since if blocked else None)

    return _edit(session, identity, who, change)


def remove_contact(session: Session, identity: IdentityView, who: str) -> Contact:
    """Remove a contact with all that is known of it; return what it was.

    Raises:
        InputError: ``contact.unknown``, ``contact.ambiguous``.
    """
    base = read_book(session, identity.index)
    contact = find_contact(base, who)
    save_book(
        session, identity.index, base, base.without([contact.id]), lambda now: share_changes(session, identity, now)
    )
    return contact


def _edit(session: Session, identity: IdentityView, who: str, change: Callable[[Contact], Contact]) -> Contact:
    base = read_book(session, identity.index)
    contact = find_contact(base, who)
    mine = base.with_contacts([change(contact)])
    book = save_book(session, identity.index, base, mine, lambda now: share_changes(session, identity, now))
    return book.get(contact.id) or contact
