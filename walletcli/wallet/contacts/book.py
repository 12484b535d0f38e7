"""The contact book of an identity: its encoding, how two of them merge, how it is read and written.

Spec: docs/spec/contact-book.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from walletcli.core import cbor
from walletcli.errors import FormatError, InputError, VaultError
from walletcli.wallet.contacts.contact import (
    ANONYMOUS_BYTES,
    KEY_BYTES,
    MAX_CONTACT_BYTES,
    Contact,
    check_name,
    malformed,
)
from walletcli.wallet.contacts.merging import merge_contact
from walletcli.wallet.state.changes import Change, PutDrawer, Several

if TYPE_CHECKING:
    from walletcli.wallet.access.session import Session

VERSION: Final = 1
"""Version of the format."""

DRAWER: Final = "contacts"
"""Name of the drawer of an identity that holds its book."""

MAX_CONTACTS: Final = 50_000
"""Most contacts of an identity."""

MAX_BOOK_BYTES: Final = 32 << 20
"""Longest book."""

MAX_ATTEMPTS: Final = 20
"""How often a book is merged and put again because another process was quicker."""

_Row = tuple[str, bytes]


class ContactBook:
    """The contacts of an identity, by id; never changed once made.

    Contacts are decoded when they are asked for: a book of 50,000 is opened for the sake of one.

    Args:
        contacts: any number of contacts, no two with one id.

    Raises:
        FormatError: ``contact-book.malformed``.
    """

    __slots__ = ("_known", "_rows")

    def __init__(self, contacts: Iterable[Contact] = ()) -> None:
        self._known: dict[bytes, Contact] = {}
        self._rows: dict[bytes, _Row] = {}
        for contact in contacts:
            if contact.id in self._rows:
                raise malformed("one contact twice")
            self._put(contact)

    def _put(self, contact: Contact) -> None:
        self._known[contact.id] = contact
        self._rows[contact.id] = contact.name, contact.to_bytes()

    def _copy(self) -> ContactBook:
        book = ContactBook()
        book._known, book._rows = dict(self._known), dict(self._rows)
        return book

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Contact]:
        """Yield the contacts, ascending by id."""
        for contact_id in sorted(self._rows):
            found = self.get(contact_id)
            if found is not None:
                yield found

    def __contains__(self, contact_id: bytes) -> bool:
        return contact_id in self._rows

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ContactBook) and self._rows == other._rows

    __hash__ = None  # type: ignore[assignment]  # compared by content, and never a key

    def get(self, contact_id: bytes) -> Contact | None:
        """Return the contact with this id (32 or 16 bytes), or None.

        Raises:
            FormatError: ``contact-book.malformed``, ``cbor.*`` for one that is damaged.
        """
        row = self._rows.get(contact_id)
        if row is None:
            return None
        contact = self._known.get(contact_id)
        if contact is None:
            contact = self._known[contact_id] = Contact.from_bytes(contact_id, *row)
        return contact

    def names(self) -> Mapping[bytes, str]:
        """Return the names by id; decodes no contact."""
        return {contact_id: row[0] for contact_id, row in self._rows.items()}

    def with_contacts(self, contacts: Iterable[Contact]) -> ContactBook:
        """Return the book with these contacts added, each in place of the one with its id."""
        book = self._copy()
        for contact in contacts:
            book._put(contact)
        return book

    def without(self, contact_ids: Iterable[bytes]) -> ContactBook:
        """Return the book without the contacts that have these ids."""
        book = self._copy()
        for contact_id in contact_ids:
            book._rows.pop(contact_id, None)
            book._known.pop(contact_id, None)
        return book

    def to_bytes(self) -> bytes:
        """Encode the book.

        Raises:
            InputError: ``contact-book.too-many`` over 50,000 contacts, ``contact-book.too-long`` over 32 MiB.
        """
        if len(self._rows) > MAX_CONTACTS:
            raise InputError(
                "contact-book.too-many",
                f"an identity has at most {MAX_CONTACTS} contacts, these are {len(self._rows)}",
                "export and remove some",
            )
        data = cbor.encode({1: VERSION, 2: [[key, *row] for key, row in sorted(self._rows.items())]})
        if len(data) > MAX_BOOK_BYTES:
            raise InputError(
                "contact-book.too-long",
                f"the contact book would have {len(data)} bytes, at most {MAX_BOOK_BYTES} fit",
                "export and remove contacts, or shorten notes",
            )
        return data

    @classmethod
    def from_bytes(cls, data: bytes, *, own: bool = False) -> ContactBook:
        """Decode a book.

        Args:
            data: the encoded book.
            own: it comes from this wallet's vault: contacts are looked at only when they are asked for.

        Raises:
            FormatError: ``contact-book.unknown-version``, ``contact-book.malformed``, ``cbor.*``.
        """
        fields = cbor.decode(data, MAX_BOOK_BYTES)
        if type(fields) is not dict or fields.get(1) != VERSION or type(fields[1]) is not int:
            raise FormatError(
                "contact-book.unknown-version", "the contact book is of a version not known here", "update walletcli"
            )
        if fields.keys() != {1, 2}:
            raise malformed("a field is missing or unknown")
        items = fields[2]
        if type(items) is not list or len(items) > MAX_CONTACTS:
            raise malformed(f"a list of at most {MAX_CONTACTS} contacts is needed")
        book = cls()
        rows = [_row(item) for item in items]
        if any(one[0] >= other[0] for one, other in pairwise(rows)):
            raise malformed("contacts are repeated or out of order")
        book._rows = dict(rows)
        for contact_id, (name, _) in book._rows.items():
            if own:
                check_name(name)
            else:
                book.get(contact_id)
        return book


def _row(item: object) -> tuple[bytes, _Row]:
    if type(item) is not list or len(item) != 3:
        raise malformed("a contact has an id, a name and what is known of it")
    contact_id, name, data = item
    if type(contact_id) is not bytes or len(contact_id) not in (KEY_BYTES, ANONYMOUS_BYTES):
        raise malformed("an id has 32 bytes, or 16")
    if type(name) is not str or type(data) is not bytes or not 1 <= len(data) <= MAX_CONTACT_BYTES:
        raise malformed("a name, or what is known of a contact")
    return contact_id, (name, data)


def merge(base: ContactBook, mine: ContactBook, theirs: ContactBook) -> ContactBook:
    """Return the book with both sides' changes; the same whichever side is called mine. Nothing is lost.

    Args:
        base: what both started from; an empty book if that is not known.
        mine: one side.
        theirs: the other side.

    Raises:
        FormatError: ``contact-book.malformed``, ``cbor.*`` for contacts that are damaged.
    """
    if mine == theirs or theirs == base:
        return mine
    if mine == base:
        return theirs
    merged = ContactBook()
    for contact_id in mine._rows.keys() | theirs._rows.keys():
        side = _merged_row(base, mine, theirs, contact_id)
        if isinstance(side, Contact):
            merged._put(side)
        elif side is not None:
            merged._rows[contact_id] = side._rows[contact_id]
    return merged


def _merged_row(
    base: ContactBook, mine: ContactBook, theirs: ContactBook, contact_id: bytes
) -> ContactBook | Contact | None:
    """Return whose row of a contact stays, or the contact made of both, or None if it is gone."""
    before, one, other = (book._rows.get(contact_id) for book in (base, mine, theirs))
    if one == other:
        return mine
    if one == before:
        return theirs if other is not None else None
    if other == before:
        return mine if one is not None else None
    if one is None or other is None:
        return mine if other is None else theirs
    own, foreign = mine.get(contact_id), theirs.get(contact_id)
    assert own is not None
    assert foreign is not None
    return merge_contact(base.get(contact_id), own, foreign)


def read_book(session: Session, index: int) -> ContactBook:
    """Return the contact book of the identity with this index; an empty one if it has none.

    Raises:
        FormatError: ``contact-book.*``, ``cbor.*``.
        VaultError: ``agent.*``, ``vault.*``.
    """
    data = session.drawer(index, DRAWER)
    return ContactBook.from_bytes(data, own=True) if data is not None else ContactBook()


def save_book(
    session: Session,
    index: int,
    base: ContactBook,
    mine: ContactBook,
    also: Callable[[ContactBook], Sequence[Change]] = lambda _book: (),
) -> ContactBook:
    """Write a book; if another process has written one since `base` was read, both are merged.

    Args:
        session: the open wallet.
        index: of the identity.
        base: what was read.
        mine: what it became.
        also: gives changes that are made together with the book, or not at all; given what is about to be written.

    Returns:
        The book that is on disk now.

    Raises:
        InputError: ``contact-book.too-many``, ``contact-book.too-long``.
        VaultError: ``vault.*``, ``agent.*``; ``vault.busy`` if others keep writing.
    """
    for _ in range(MAX_ATTEMPTS):
        before = session.drawer(index, DRAWER)
        there = ContactBook.from_bytes(before, own=True) if before is not None else ContactBook()
        book = merge(base, mine, there)
        more = tuple(also(book))
        if book == there and not more:
            return book
        digest = hashlib.sha256(before).digest() if before is not None else None
        try:
            session.apply(Several((PutDrawer(index, DRAWER, book.to_bytes(), digest), *more)))
        except VaultError as error:
            if error.code != "drawer.changed":
                raise
        else:
            return book
    raise VaultError("vault.busy", "other processes keep changing the contact book", "try again")
