"""Lets contacts read attributes of the profile, and withdraws them.

The book says who may read what. The sealed sections of the next document follow from it: contacts that may read the
same share sections, as many devices in each as fit.

Spec: docs/spec/wallet-state.md, "Shared sections"; docs/spec/contact-book.md.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from walletcli.errors import InputError, VerificationError
from walletcli.wallet.access.session import Session
from walletcli.wallet.contacts.book import ContactBook, read_book, save_book
from walletcli.wallet.contacts.contact import Contact
from walletcli.wallet.contacts.evidence import Inquiry
from walletcli.wallet.contacts.lookup import find_contact, identified, not_blocked
from walletcli.wallet.contacts.sightings import known_places, with_evidence
from walletcli.wallet.state.changes import Change, SetShares
from walletcli.wallet.state.draft import today
from walletcli.wallet.state.view import MAX_RECIPIENTS, IdentityView, Share


@dataclass(frozen=True, slots=True)
class Shared:
    """What became of sharing with a contact.

    Attributes:
        contact: as it stands in the book.
        public: names that everybody reads anyway.
        devices: how many of the contact's devices will read it.
        to_publish: whether the next publish carries something new.
    """

    contact: Contact
    public: tuple[str, ...]
    devices: int
    to_publish: bool


def share_with(session: Session, inquiry: Inquiry, who: str, names: Sequence[str]) -> Shared:
    """Let a contact read attributes of the profile from the next publish on.

    Args:
        session: the open wallet.
        inquiry: on behalf of the identity; the contact's newest record tells its devices.
        who: the contact.
        names: of attributes of the identity's profile, public or sealed.

    Raises:
        InputError: ``contact.*``, ``attribute.unknown``, ``share.too-many``, ``share.no-device``, ``identity.retired``.
        NetworkError, VerificationError: what the look-up ends in, if nothing is known of the contact.
    """
    identity = inquiry.identity
    known = {**identity.profile, **identity.sealed_profile}
    for name in names:
        if name not in known:
            raise InputError(
                "attribute.unknown",
                f"the identity has no attribute {name!r}",
                f"see: walletcli identity show {identity.label_word}",
            )
    base = read_book(session, identity.index)
    contact = _refreshed(session, inquiry, not_blocked(find_contact(base, who)))
    contact = replace(contact, shared=tuple(sorted({*contact.shared, *names})))
    return _saved(session, identity, base, contact)


def unshare(session: Session, identity: IdentityView, who: str, names: Sequence[str] = ()) -> Shared:
    """Withdraw attributes from a contact from the next publish on; what it has read it has read.

    Args:
        session: the open wallet.
        identity: whose attributes.
        who: the contact.
        names: of attributes; none: all that it may read.

    Raises:
        InputError: ``contact.unknown``, ``contact.ambiguous``, ``share.unknown``.
    """
    base = read_book(session, identity.index)
    contact = find_contact(base, who)
    for name in names:
        if name not in contact.shared:
            raise InputError(
                "share.unknown", f"{contact.name!r} may not read {name!r}", "see: walletcli contact show WHO"
            )
    left = tuple(name for name in contact.shared if name not in names) if names else ()
    return _saved(session, identity, base, replace(contact, shared=left))


def _refreshed(session: Session, inquiry: Inquiry, contact: Contact) -> Contact:
    """Return the contact with the devices of its newest record."""
    key = identified(contact)
    evidence = inquiry.newest(key, None, known_places(contact))
    inquiry.save()
    contact = with_evidence(session, inquiry.identity.index, contact, evidence, today(time.time()))
    if contact.sighting is None and evidence.failure is not None:
        raise evidence.failure
    if contact.sighting is None or not contact.sighting.sealing_keys:
        raise VerificationError(
            "share.no-device",
            f"no device of {contact.name!r} is known that could read it",
            "ask the contact to publish, then: walletcli contact refresh",
        )
    return contact


def _saved(session: Session, identity: IdentityView, base: ContactBook, contact: Contact) -> Shared:
    book = save_book(
        session, identity.index, base, base.with_contacts([contact]), lambda now: share_changes(session, identity, now)
    )
    stored = book.get(contact.id) or contact
    after = session.snapshot().wallet.by_index(identity.index)
    public = tuple(name for name in stored.shared if name in after.profile)
    devices = len(stored.sighting.sealing_keys) if stored.sighting is not None else 0
    return Shared(stored, public, devices, after.changed)


def share_changes(session: Session, identity: IdentityView, book: ContactBook) -> Sequence[Change]:
    """Return what has to be decided anew so that the next document shares what the book says; nothing if it does."""
    now = session.snapshot().wallet.by_index(identity.index)
    shares = shares_of(book)
    if shares == now.shares or now.retired is not None:
        return ()
    return (SetShares(identity.index, shares),)


def decide_shares(session: Session, identity: IdentityView) -> None:
    """Decide what the next document shares by what the book says, after the book came from elsewhere.

    Raises:
        InputError: ``share.too-many``.
        FormatError: ``contact-book.*``, ``cbor.*``.
    """
    for change in share_changes(session, identity, read_book(session, identity.index)):
        session.apply(change)


def shares_of(contacts: Iterable[Contact]) -> tuple[Share, ...]:
    """Return the shares that these contacts give: those that may read the same together, up to 14 devices in each."""
    groups: dict[tuple[str, ...], set[bytes]] = {}
    for contact in contacts:
        if contact.shared and not contact.is_blocked and contact.sighting is not None:
            groups.setdefault(contact.shared, set()).update(contact.sighting.sealing_keys)
    shares = []
    for names, keys in sorted(groups.items()):
        ordered = sorted(keys)
        for start in range(0, len(ordered), MAX_RECIPIENTS):
            shares.append(Share(names, tuple(ordered[start : start + MAX_RECIPIENTS])))
    return tuple(shares)
