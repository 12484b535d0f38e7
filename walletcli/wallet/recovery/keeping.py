"""Makes changes to the vault of what an identity's places gave: beside what is there already, dropping nothing.

Spec: docs/spec/recovery.md, "Sealed data".
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator

from walletcli.wallet.access.session import Session
from walletcli.wallet.contacts import book as contact_book
from walletcli.wallet.contacts.book import ContactBook
from walletcli.wallet.providers import book as provider_book
from walletcli.wallet.providers.book import ProviderBook, ProviderEntry
from walletcli.wallet.recovery.data import ReadData
from walletcli.wallet.sealed import memory as data_memory
from walletcli.wallet.sealed.memory import DataMemory
from walletcli.wallet.sealed.reading import SeenIndex
from walletcli.wallet.state.changes import Change, PutDrawer
from walletcli.wallet.state.view import IdentityView


def changes_of(session: Session, identity: IdentityView, data: ReadData) -> Iterator[Change]:
    """Give the changes that keep what was read of an identity.

    Args:
        session: the open wallet.
        identity: one of its.
        data: what its places gave.

    Raises:
        FormatError: ``contact-book.*``, ``provider-book.*``, ``data-memory.*`` for a vault that is damaged.
    """
    index = identity.index
    contacts, seen, reached = data.contacts, data.seen, data.reached
    if contacts is not None:
        yield from _put(session, index, contact_book.DRAWER, lambda before: _contacts(before, *contacts))
    if seen is not None:
        yield from _put(session, index, data_memory.DRAWER, lambda before: _memory(before, seen))
    if reached:
        yield from _put(session, index, provider_book.DRAWER, lambda before: _providers(before, reached))


def _put(session: Session, index: int, name: str, change: Callable[[bytes | None], bytes]) -> Iterator[PutDrawer]:
    """Give the change of a drawer, if it is one."""
    before = session.drawer(index, name)
    after = change(before)
    if after != before:
        yield PutDrawer(index, name, after, hashlib.sha256(before).digest() if before is not None else None)


def _contacts(before: bytes | None, book: ContactBook, encoded: bytes) -> bytes:
    if before is None:
        return encoded
    return contact_book.merge(ContactBook(), ContactBook.from_bytes(before, own=True), book).to_bytes()


def _memory(before: bytes | None, seen: SeenIndex) -> bytes:
    memory = DataMemory.from_bytes(before) if before is not None else DataMemory()
    if memory.seen is not None and memory.seen.version >= seen.version:
        return memory.to_bytes()
    return memory.with_seen(seen).to_bytes()


def _providers(before: bytes | None, reached: Iterable[tuple[bytes, str]]) -> bytes:
    book = ProviderBook.from_bytes(before) if before is not None else ProviderBook()
    for provider, address in reached:
        if book.get(provider) is None:
            book = book.with_entry(ProviderEntry(provider, address))
    return book.to_bytes()
