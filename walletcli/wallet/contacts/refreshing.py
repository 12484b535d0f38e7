"""Keeps up with contacts: looks their records up, and says what is new.

Spec: docs/spec/contact-book.md, "Looking a contact up".
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from walletcli.client.resolution import Outcome, Resolution
from walletcli.client.scan import Scanned
from walletcli.core.authority import check_authority
from walletcli.core.cose import Sign1
from walletcli.core.document_parts import Power
from walletcli.core.identity_id import IdentityId
from walletcli.core.record import Record
from walletcli.errors import WalletError
from walletcli.net.dialer import Dialer
from walletcli.wallet.access.session import Session
from walletcli.wallet.contacts.asking_relays import look_contacts_up
from walletcli.wallet.contacts.book import ContactBook, read_book, save_book
from walletcli.wallet.contacts.contact import Contact, HeldCard, Sighting, Standing
from walletcli.wallet.contacts.evidence import Evidence, Inquiry, Source
from walletcli.wallet.contacts.lookup import contact_id_text, find_contact, identified, not_blocked, own_identity
from walletcli.wallet.contacts.placing import MIN_RELAYS
from walletcli.wallet.contacts.sharing import share_changes
from walletcli.wallet.contacts.sightings import with_evidence
from walletcli.wallet.home import Progress, silent
from walletcli.wallet.state.draft import today

STEP = 100
"""After so many contacts progress is told."""

_STANDINGS = {
    Standing.RETIRED: ("retired", "its owner has ended the identity"),
    Standing.SPLIT: ("split", "it has signed two states with one seq: its key may be in two hands"),
}


@dataclass(frozen=True, slots=True)
class News:
    """Something that a look-up told of a contact.

    Attributes:
        contact: its name.
        contact_id: its id.
        kind: ``provider``, ``shared``, ``devices``, ``retired``, ``split``, ``in use``, ``card``, ``stale``.
        text: what is new, in words.
    """

    contact: str
    contact_id: bytes
    kind: str
    text: str

    def to_json(self) -> dict[str, object]:
        """Return name, id, kind and text."""
        return {"name": self.contact, "id": contact_id_text(self.contact_id), "kind": self.kind, "text": self.text}


@dataclass(frozen=True, slots=True)
class Failure:
    """A contact of which nothing usable was found.

    Attributes:
        contact: its name.
        contact_id: its id.
        error: why.
    """

    contact: str
    contact_id: bytes
    error: WalletError

    def to_json(self) -> dict[str, object]:
        """Return name, id and error."""
        return {"name": self.contact, "id": contact_id_text(self.contact_id), "error": self.error.to_json()}


@dataclass(frozen=True, slots=True)
class RefreshReport:
    """What came of looking contacts up.

    Attributes:
        asked: how many contacts were looked up.
        changed: how many of them have a newer record than was known.
        skipped: how many were not looked up: blocked, or without an identity.
        news: what is new.
        failures: contacts of which nothing usable was found.
        to_publish: whether the next publish seals shared attributes to other devices than the last one.
        relays: among how many independent relays the contacts are spread.
        stood_in: for how many contacts further relays were asked, because theirs failed or had nothing usable.
    """

    asked: int
    changed: int
    skipped: int
    news: tuple[News, ...]
    failures: tuple[Failure, ...]
    to_publish: bool
    relays: int
    stood_in: int

    @property
    def is_spread(self) -> bool:
        """Whether there are relays enough for none of them to learn of most contacts."""
        return self.asked < MIN_RELAYS or self.relays >= MIN_RELAYS

    def to_json(self) -> dict[str, object]:
        """Return counts, news and failures."""
        return {
            "asked": self.asked,
            "changed": self.changed,
            "skipped": self.skipped,
            "news": [item.to_json() for item in self.news],
            "failures": [item.to_json() for item in self.failures],
            "to_publish": self.to_publish,
            "relays": self.relays,
            "stood_in": self.stood_in,
        }


def refresh_contacts(
    session: Session,
    who: str | None,
    *,
    whom: Sequence[str] = (),
    relays: Sequence[str] = (),
    offline: bool = False,
    dialer: Dialer | None = None,
    progress: Progress = silent,
) -> RefreshReport:
    """Look the newest record of contacts up, verify it, and bring the book up to date; never goes back.

    Asked are, for each contact, its own few of the wallet's relays and the nodes that are said to have its record;
    never a provider of the identity's own. With shared attributes whose reader has other devices now, the next publish
    seals them anew.

    Args:
        session: the open wallet.
        who: whose contacts, by label or id; None: of the only identity of the wallet.
        whom: contacts, by name or id; none: all that are not blocked.
        relays: among which contacts are spread instead.
        offline: open no connection.
        dialer: opens the connections; None: plain TCP.
        progress: takes a line per step.

    Raises:
        InputError: ``identity.*``, ``contact.unknown``, ``contact.ambiguous``, ``contact.no-identity``.
        UsageError: ``contact.which-identity``.
        NetworkError: ``contact.only-provider``, ``relay.none`` if there is nobody to ask, ``network.offline``.
        VaultError: ``vault.*``, ``agent.*``.
    """
    wallet = session.snapshot().wallet
    identity = own_identity(wallet, who)
    base = read_book(session, identity.index)
    chosen = _chosen(base, whom)
    skipped = len(base) - len(chosen) if not whom else 0
    if not chosen:
        return RefreshReport(0, 0, skipped, (), (), identity.changed, 0, 0)
    inquiry = Inquiry(session, identity, relays, offline=offline, dialer=dialer, progress=progress, wallet=wallet)
    looked = look_contacts_up(inquiry, chosen, progress)
    found = looked.found
    inquiry.save()
    if offline:
        _raise_offline(found)
    read = _Reading(session, identity.index, progress)
    contacts = read.all(chosen, found)
    save_book(
        session,
        identity.index,
        base,
        base.with_contacts(contacts),
        lambda now: share_changes(session, identity, now),
    )
    to_publish = session.snapshot().wallet.by_index(identity.index).changed
    news, failures = tuple(read.news), tuple(read.failures)
    return RefreshReport(len(chosen), read.changed, skipped, news, failures, to_publish, looked.relays, looked.stood_in)


class _Reading:
    """Reads what was found of contacts, one by one.

    Attributes:
        news: what is new.
        failures: contacts of which nothing usable was found.
        changed: how many have a newer record than was known.
    """

    def __init__(self, session: Session, index: int, progress: Progress) -> None:
        self._session = session
        self._index = index
        self._progress = progress
        self.news: list[News] = []
        self.failures: list[Failure] = []
        self.changed = 0

    def all(self, contacts: Sequence[Contact], found: Sequence[Scanned]) -> list[Contact]:
        """Return the contacts as they are known now."""
        day, known = today(time.time()), []
        for number, (contact, scanned) in enumerate(zip(contacts, found, strict=True), 1):
            after = _seen(self._session, self._index, contact, scanned, day)
            self.news += [*_news(contact, after), *_stale(contact, scanned.resolution)]
            if scanned.error is not None:
                self.failures.append(Failure(contact.name, contact.id, scanned.error))
            self.changed += _seq(after) != _seq(contact)
            known.append(after)
            if number % STEP == 0:
                self._progress(f"reading what contacts say, {number} of {len(contacts)}")
        return known


def _chosen(book: ContactBook, whom: Sequence[str]) -> list[Contact]:
    """Return the contacts that are named, or all that are not blocked and have an identity."""
    if not whom:
        return [contact for contact in book if contact.key is not None and not contact.is_blocked]
    chosen = {contact.id: contact for contact in (find_contact(book, name) for name in whom)}
    for contact in chosen.values():
        identified(not_blocked(contact))
    return list(chosen.values())


def _raise_offline(found: Sequence[Scanned]) -> None:
    for scanned in found:
        if scanned.error is not None and scanned.error.code == "network.offline":
            raise scanned.error


def _seen(session: Session, index: int, contact: Contact, scanned: Scanned, day: int) -> Contact:
    """Return the contact with what was found of it."""
    resolution = scanned.resolution
    if resolution is None:
        known = contact.sighting
        if known is not None and scanned.error is not None and scanned.error.code == "record.equivocation":
            return replace(contact, sighting=replace(known, standing=Standing.SPLIT, day=day))
        return contact
    known = contact.sighting
    if known is not None and known.seq == resolution.record.packet.seq and not _standing_changes(known, resolution):
        return _with_card_checked(replace(contact, sighting=replace(known, day=day)), resolution.record, day)
    after = with_evidence(session, index, contact, Evidence(resolution.record, Source.RELAYS, resolution), day)
    return _with_card_checked(after, resolution.record, day)


def _standing_changes(known: Sighting, resolution: Resolution) -> bool:
    return bool(resolution.open_splits) != (known.standing is Standing.SPLIT)


def _with_card_checked(contact: Contact, record: Record, day: int) -> Contact:
    """Return the contact with its card proven, if that was still open and the record proves it."""
    held = contact.card
    if held is None or held.checked_day is not None or record.document is None:
        return contact
    try:
        sign1 = Sign1.from_bytes(held.data, len(held.data))
        check_authority(sign1, contact.id, record, Power.SHARE, day, root_allowed=True)
    except WalletError:
        return contact
    return replace(contact, card=HeldCard(held.data, day))


def _news(before: Contact, after: Contact) -> Iterator[News]:
    """Say what is told by the contact as it is now, and was not before."""

    def new(kind: str, text: str) -> News:
        return News(after.name, after.id, kind, text)

    old, now = before.sighting or Sighting(0, 0), after.sighting
    if now is None:
        return
    if now.standing is not old.standing:
        kind, text = _STANDINGS.get(now.standing, ("in use", "what was wrong with the identity is healed"))
        proof = f"; the proof: walletcli record prove {contact_id_text(after.id)} --out FILE"
        yield new(kind, text + (proof if now.standing is Standing.SPLIT else ""))
    if now.providers != old.providers and before.sighting is not None:
        listed = ", ".join(IdentityId(key).did for key in now.providers) or "none"
        yield new("provider", f"its provider is now {listed}")
    if dict(now.received) != dict(old.received):
        gone = sorted(old.received.keys() - now.received.keys())
        shown = sorted(name for name in now.received if now.received[name] != old.received.get(name))
        parts = [f"it lets you read {', '.join(shown)}"] if shown else []
        parts += [f"it has withdrawn {', '.join(gone)}"] if gone else []
        yield new("shared", "; ".join(parts))
    if after.shared and now.sealing_keys != old.sealing_keys and before.sighting is not None:
        yield new("devices", "it has other devices: the next publish seals to them what you share")
    if after.card is not None and before.card is not None and after.card != before.card:
        yield new("card", "its card is signed by a device that its record names")


def _stale(contact: Contact, resolution: Resolution | None) -> Iterator[News]:
    """Name the nodes that gave something older than what is known; it was refused."""
    if resolution is None:
        return
    for source in resolution.sources:
        if source.outcome is Outcome.STALE:
            text = f"{source.address} gave an older record, seq {source.seq}, which was refused"
            yield News(contact.name, contact.id, "stale", text)


def _seq(contact: Contact) -> int | None:
    return contact.sighting.seq if contact.sighting is not None else None
