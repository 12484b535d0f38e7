"""What ties an identity to its providers, and through them or an exit kit to other identities of this wallet.

Spec: docs/security/threat-model.md, "Unlinked"; docs/spec/providers.md, "Finding a provider" and "Binding".
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from walletcli.core.cose import Sign1
from walletcli.core.document import MAX_GRANT_BYTES
from walletcli.core.grant import Grant
from walletcli.core.identity_id import IdentityId
from walletcli.errors import FormatError, StorageError
from walletcli.wallet.access.session import Session
from walletcli.wallet.linkability import Link, named
from walletcli.wallet.providers.addresses import evidence_of, known_addresses
from walletcli.wallet.providers.book import ProviderBook, ProviderEntry, Role, read_book
from walletcli.wallet.state.draft import last_document
from walletcli.wallet.state.view import IdentityView

KIT_LINK = "kit:disk"
"""Accepted link: the exit kit lies on a disk on which another identity's kit lies."""


def provider_link(session: Session, identity: IdentityView, provider: bytes) -> Iterator[Link]:
    """Find other identities of this wallet that this provider hosts, or has hosted.

    Args:
        session: the open wallet.
        identity: what is about to be bound.
        provider: root key, 32 bytes.
    """
    same = [
        other
        for other in session.snapshot().wallet.identities
        if other.index != identity.index and provider in providers_of(other, read_book(session, other.index))
    ]
    if same:
        did = IdentityId(provider).did
        yield Link(
            f"provider:{did}", f"the provider {did} sees when each of them is used, and it hosts {named(same)}, too"
        )


def kit_link(session: Session, identity: IdentityView, path: str) -> Iterator[Link]:
    """Find other identities whose exit kit lies on the same disk as `path`.

    Raises:
        StorageError: ``exit-kit.taken`` if it is the very same directory.
    """
    same = []
    for other in session.snapshot().wallet.identities:
        kit = read_book(session, other.index).kit
        if other.index == identity.index or kit is None or not kit.path:
            continue
        if os.path.realpath(kit.path) == os.path.realpath(path):
            raise StorageError(
                "exit-kit.taken",
                f"{path} is for the exit kit of {other.label!r}",
                "name a directory of its own for each identity",
            )
        if _disk_of(kit.path) == _disk_of(path):
            same.append(other)
    if same:
        yield Link(KIT_LINK, f"whoever finds the disk of this exit kit finds that of {named(same)}, too")


def providers_of(identity: IdentityView, book: ProviderBook) -> set[bytes]:
    """Return the root keys of all providers that an identity is bound to, will be, or was."""
    document = last_document(identity)
    grants: Sequence[bytes] = (
        *(document.bindings if document is not None else ()),
        *(identity.bindings if identity.bindings is not None else ()),
    )
    found = {entry.provider for entry in book.entries}
    for data in grants:
        grant = read_grant(data)
        if grant is not None:
            found.add(grant.provider)
    return found


def decided_grants(identity: IdentityView) -> tuple[bytes, ...]:
    """Return the grants that the next document will have."""
    if identity.bindings is not None:
        return identity.bindings
    document = last_document(identity)
    return document.bindings if document is not None else ()


def is_decided(identity: IdentityView, provider: bytes) -> bool:
    """Tell whether the next document of an identity holds a grant of a provider."""
    return any(
        grant.provider == provider for data in decided_grants(identity) if (grant := read_grant(data)) is not None
    )


def roles_of(providers: Sequence[bytes], book: ProviderBook) -> list[Role]:
    """Return what each bound provider is for.

    That is what the book says. Where it says nothing (after a restore, or because another device has bound it) the
    first one is the main one, if no other is: whoever makes a document puts that first.

    Args:
        providers: root keys in the order of the document; empty for a binding that cannot be read.
        book: of the identity.
    """
    known = [
        entry.role if (entry := book.get(key)) is not None and entry.left_day is None else None for key in providers
    ]
    if Role.MAIN not in known and known:
        known[0] = Role.MAIN
    return [role if role is not None else Role.KIT for role in known]


def bound_entries(identity: IdentityView, book: ProviderBook) -> list[ProviderEntry]:
    """Return the providers that the next document of an identity binds it to, as far as an address is known.

    The book alone does not tell: another device may have bound others, or left some.
    """
    grants = [grant for data in decided_grants(identity) if (grant := read_grant(data)) is not None]
    roles = roles_of([grant.provider for grant in grants], book)
    found: dict[bytes, ProviderEntry] = {}
    for grant, role in zip(grants, roles, strict=True):
        entry = book.get(grant.provider)
        named = entry.address if entry is not None else None
        addresses = known_addresses(grant.provider, named, [evidence_of(grant)])
        if addresses:
            found.setdefault(grant.provider, ProviderEntry(grant.provider, addresses[0].to_text(), role))
    return sorted(found.values(), key=lambda entry: entry.role)


def read_grant(data: bytes) -> Grant | None:
    """Return what a grant says, or None if it cannot be read; it is not verified."""
    try:
        return Grant.from_payload(Sign1.from_bytes(data, MAX_GRANT_BYTES).payload)
    except FormatError:
        return None


def _disk_of(path: str) -> int | None:
    """Return the number of the file system that a path is or would be on; None if that cannot be told."""
    path = os.path.abspath(path)
    while True:
        try:
            return os.stat(path).st_dev
        except OSError:
            parent = os.path.dirname(path)
            if parent == path:
                return None
            path = parent
