"""Makes changes to the vault of what an identity's places gave: beside what is there already, dropping nothing.

Spec: docs/spec/recovery.md, "Sealed data".
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import replace

from walletcli.wallet.access.session import Session
from walletcli.wallet.contacts import book as contact_book
from walletcli.wallet.contacts.book import ContactBook
from walletcli.wallet.providers import book as provider_book
from walletcli.wallet.providers.book import KitChoice, ProviderBook, ProviderEntry, Role
from walletcli.wallet.recovery.data import ReadData
from walletcli.wallet.recovery.report import Report
from walletcli.wallet.sealed import memory as data_memory
from walletcli.wallet.sealed.memory import DataMemory
from walletcli.wallet.sealed.reading import SeenIndex
from walletcli.wallet.sealed.settings import Settings
from walletcli.wallet.state.changes import Change, PlanPublish, PutDrawer, SetShares
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
    contacts, seen = data.contacts, data.seen
    if contacts is not None:
        yield from _put(session, index, contact_book.DRAWER, lambda before: _contacts(before, *contacts))
    if seen is not None:
        yield from _put(session, index, data_memory.DRAWER, lambda before: _memory(before, seen))
    if data.reached or data.settings is not None or data.kit is not None:
        yield from _put(session, index, provider_book.DRAWER, lambda before: _providers(before, data))
    if data.settings is not None:
        yield from _settings(identity, data.settings)


def _settings(identity: IdentityView, settings: Settings) -> Iterator[Change]:
    """Give the changes that make the wallet do what the settings say."""
    contacted = set(settings.contacted) - set(identity.contacted)
    links = set(settings.accepted_links) - set(identity.accepted_links)
    if contacted or links:
        yield PlanPublish(identity.index, tuple(sorted(contacted)), tuple(sorted(links)))
    if settings.shares and not identity.shares and identity.retired is None:
        yield SetShares(identity.index, settings.shares)


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


def _providers(before: bytes | None, data: ReadData) -> bytes:
    book = ProviderBook.from_bytes(before) if before is not None else ProviderBook()
    known = data.settings.providers if data.settings is not None else ()
    roles = {item.provider: item.role for item in known}
    for provider, address in (*data.reached, *((item.provider, item.address) for item in known)):
        if book.get(provider) is None:
            book = book.with_entry(ProviderEntry(provider, address, roles.get(provider, Role.MAIN)))
    kit = data.kit if data.kit is not None else _still_there(data.place_of_kit)
    if book.kit is None and kit is not None:
        book = replace(book, kit=KitChoice(*kit))
    return book.to_bytes()


def kits_away(session: Session, report: Report) -> Iterator[tuple[IdentityView, str]]:
    """Give the identities whose exit kit is named by a former device and is not on this machine, and its path.

    Their data stands at one place until a kit is chosen again.

    Raises:
        FormatError: ``provider-book.*`` for a vault that is damaged.
    """
    for item in report.restored:
        path = next((part.name for part in item.entry.items if part.kind == "kit"), None)
        if path is not None and provider_book.read_book(session, item.view.index).kit is None:
            yield item.view, path


def _still_there(place: tuple[str, int | None] | None) -> tuple[str, int | None] | None:
    """Return the place of the exit kit that a former device knew, if there is a directory there on this machine.

    That the owner has none, on purpose, stays so.
    """
    return place if place is not None and (not place[0] or os.path.isdir(place[0])) else None
