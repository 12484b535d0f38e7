"""Adds a contact: from a card (file or link) or from an id; verifies all that can be verified.

Spec: docs/spec/contact.md, "Card"; docs/spec/contact-book.md, "What counts as what".
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from walletcli.client.independence import WANTED_SOURCES
from walletcli.client.resolution import latest_day
from walletcli.core.authority import check_authority
from walletcli.core.bindings import bindings_of
from walletcli.core.card import (
    LINK_PREFIX,
    MAGIC,
    MAX_FILE_BYTES,
    MAX_LINK_CARD_BYTES,
    Card,
    CardFile,
    from_link,
    verify_card,
)
from walletcli.core.cose import Sign1
from walletcli.core.document_parts import Power
from walletcli.core.identity_id import IdentityId
from walletcli.errors import FormatError, InputError, VerificationError
from walletcli.wallet.access.session import Session
from walletcli.wallet.contacts.book import read_book, save_book
from walletcli.wallet.contacts.contact import MAX_PLACES, Contact, HeldCard
from walletcli.wallet.contacts.evidence import Evidence, Inquiry
from walletcli.wallet.contacts.links import contact_links, not_accepted
from walletcli.wallet.contacts.lookup import as_name, name_warnings, not_blocked
from walletcli.wallet.contacts.merging import later_card
from walletcli.wallet.contacts.sharing import share_changes
from walletcli.wallet.contacts.sightings import known_places, with_evidence
from walletcli.wallet.files import read_file
from walletcli.wallet.linkability import accepted_keys
from walletcli.wallet.state.changes import PlanPublish
from walletcli.wallet.state.draft import today
from walletcli.wallet.state.view import IdentityView
from walletcli.wallet.state.wallet_view import WalletView

MAX_TEXT_BYTES = len(LINK_PREFIX) + 2 * MAX_LINK_CARD_BYTES
"""Longest link or id that is read."""


@dataclass(frozen=True, slots=True)
class Introduction:
    """What somebody gave to be added: a card, or an id alone.

    Attributes:
        key: root key that it names, 32 bytes.
        card: what the card says, or None.
        sign1: the card's signature, checked, or None.
        data: the card's COSE bytes, or None.
        short_record: record that came with it, not looked at yet, or None.
    """

    key: bytes
    card: Card | None = None
    sign1: Sign1 | None = None
    data: bytes | None = None
    short_record: bytes | None = None

    @classmethod
    def of_card(cls, data: bytes, short_record: bytes | None = None) -> Introduction:
        """Check a card's form, signature and days; not yet who may sign it.

        Raises:
            FormatError: ``cose.*``, ``card.*``, ``key.malformed``, ``cbor.*``.
            VerificationError: ``signature.invalid``, ``card.expired``, ``card.not-yet``.
        """
        card, sign1 = verify_card(data)
        card.check_day(today(time.time()))
        return cls(card.identity, card, sign1, data, short_record)


@dataclass(frozen=True, slots=True)
class Added:
    """A contact that was added, or brought up to date.

    Attributes:
        contact: as it stands in the book.
        is_new: whether it was not there before.
        why: what was verified, and how.
        warnings: what should make one look twice.
        asked: nodes that were asked, as text.
        independent: how many independent sources have answered.
        latest_day: latest date in its record that is not in the future, days since 1970-01-01; None without any.
    """

    contact: Contact
    is_new: bool
    why: tuple[str, ...]
    warnings: tuple[str, ...]
    asked: tuple[str, ...] = ()
    independent: int = 0
    latest_day: int | None = None


def read_introduction(source: str) -> Introduction:
    """Read what names a contact: a link, a card file, or an id in any form.

    Args:
        source: the link or id itself, or the path of a card file.

    Raises:
        InputError: ``file.*``, or ``contact.source`` for what is none of these.
        FormatError, VerificationError: as `Introduction.of_card`; ``card.file``, ``card.link``.
    """
    text = source.strip()
    if text[: len(LINK_PREFIX)].lower() == LINK_PREFIX:
        return _of_link(text)
    try:
        return Introduction(IdentityId.from_text(text).public_key)
    except InputError as error:
        if text.startswith(("did:", "pk:")):
            raise
        try:
            return introduction_from(read_file(source, MAX_FILE_BYTES))
        except InputError as no_file:
            if no_file.code != "file.missing":
                raise
            raise InputError(
                "contact.source",
                f"{source!r} is no file, no link of a contact card and no identity id",
                "give a card file, walletcli:card:…, did:key:…, did:dht:… or pk:…",
            ) from error


def _of_link(text: str) -> Introduction:
    card = from_link(text)
    try:
        return Introduction.of_card(card)
    except FormatError as error:
        if not error.code.startswith(("cbor.", "cose.")):
            raise
        raise FormatError(
            "card.link",
            "the link holds no contact card: it was cut off, or changed on the way",
            "copy the whole link, or scan the code anew",
        ) from error


def introduction_from(data: bytes) -> Introduction:
    """Read what names a contact from bytes: the content of a card file, or a link or id as text.

    Raises:
        InputError, FormatError, VerificationError: as `read_introduction`.
    """
    if not data.startswith(MAGIC) and len(data) <= MAX_TEXT_BYTES and data.strip().isascii():
        text = data.decode("ascii").strip()
        if text[: len(LINK_PREFIX)].lower() == LINK_PREFIX:
            return _of_link(text)
        if text.startswith(("did:", "pk:")):
            return Introduction(IdentityId.from_text(text).public_key)
    file = CardFile.from_bytes(data)
    return Introduction.of_card(file.card, file.short_record)


def add_contact(
    session: Session,
    inquiry: Inquiry,
    introduction: Introduction,
    name: str | None = None,
    *,
    accept_link: bool = False,
) -> Added:
    """Verify an introduction and put the contact into the book, or bring it up to date there.

    Args:
        session: the open wallet.
        inquiry: on behalf of the identity whose contact it becomes.
        introduction: what was given.
        name: what to call the contact; None: as it is called already, or as its card or public profile says.
        accept_link: go ahead where this ties identities together; remembered for this identity.

    Raises:
        InputError: ``contact.self``, ``contact.blocked``, ``contact.name``, ``link.would-link``.
        FormatError: ``short-record.*``, ``contact-book.*``, and what the record ends in.
        VerificationError: ``card.evidence`` if no record is known that names the device that signed the card;
            ``authority.*``, ``record.*``, ``signature.invalid``.
        NetworkError: what relays end in, where the contact cannot be verified without them.
    """
    identity, wallet = inquiry.identity, session.snapshot().wallet
    if introduction.key == identity.public_key:
        raise InputError("contact.self", "this is the identity itself", "name somebody else")
    _check_links(session, wallet, identity, introduction.key, accept_link)
    base = read_book(session, identity.index)
    before = base.get(introduction.key)
    if before is not None:
        not_blocked(before)
    hints = introduction.card.hints if introduction.card is not None else ()
    places = known_places(before) if before is not None else ()
    evidence = inquiry.newest(introduction.key, introduction.short_record, places, hints, anew=True)
    inquiry.save()
    day = today(time.time())
    card = _checked_card(introduction, evidence, day)
    contact = _contact(introduction, before, _name(introduction, before, evidence, name), day, evidence.found_at)
    contact = with_evidence(session, identity.index, replace(contact, card=_newer(before, card)), evidence, day)
    book = save_book(
        session, identity.index, base, base.with_contacts([contact]), lambda now: share_changes(session, identity, now)
    )
    said = _statements(introduction, evidence)
    warnings = [*name_warnings(contact.name, contact.id, book, wallet), *_evidence_warnings(evidence)]
    asked = tuple(s.address for s in evidence.resolution.sources) if evidence.resolution is not None else ()
    added, document = book.get(contact.id) or contact, evidence.record.document if evidence.record is not None else None
    dated = latest_day(document, bindings_of(document, day) if document is not None else (), day)
    return Added(added, before is None, tuple(said), tuple(warnings), asked, evidence.independent, dated)


def _check_links(session: Session, wallet: WalletView, identity: IdentityView, key: bytes, accept: bool) -> None:
    """Stop before an identity of one's own is looked up, and kept, on behalf of another."""
    links = not_accepted(contact_links(wallet, identity, [key], "this contact is"), identity)
    accepted = accepted_keys(links, accept=accept)
    if accepted:
        session.apply(PlanPublish(identity.index, (), accepted))


def _checked_card(introduction: Introduction, evidence: Evidence, day: int) -> HeldCard | None:
    """Return the card if its signer may sign for the identity, or None if there is no card.

    Raises:
        VerificationError: ``card.evidence``, ``authority.*``.
        NetworkError: why the record could not be looked up.
    """
    sign1, data = introduction.sign1, introduction.data
    if sign1 is None or data is None:
        return None
    if sign1.signer != introduction.key:
        if evidence.record is None:
            if evidence.failure is not None:
                raise evidence.failure
            raise VerificationError(
                "card.evidence",
                "a device signed the card, and the record that names it is not known",
                "add it while online, or ask for the card as a file, which holds the record",
            )
        check_authority(sign1, introduction.key, evidence.record, Power.SHARE, day, root_allowed=True)
    return HeldCard(data, day)


def _newer(before: Contact | None, card: HeldCard | None) -> HeldCard | None:
    held = before.card if before is not None else None
    return later_card(held, card) if held is not None and card is not None else card or held


def _name(introduction: Introduction, before: Contact | None, evidence: Evidence, name: str | None) -> str:
    if name is not None:
        return as_name(name)
    if before is not None:
        return before.name
    said = introduction.card.name if introduction.card is not None else None
    if said is None and evidence.record is not None and evidence.record.document is not None:
        said = evidence.record.document.profile.get("name")
    return as_name(said or "")


def _contact(introduction: Introduction, before: Contact | None, name: str, day: int, found_at: str | None) -> Contact:
    """Return the contact; a relay that alone has its record is a place of it from now on."""
    contact = before if before is not None else Contact(introduction.key, name, day)
    hints: Sequence[str] = introduction.card.hints if introduction.card is not None else ()
    found = (found_at,) if found_at is not None else ()
    return replace(contact, name=name, places=tuple(dict.fromkeys((*found, *hints, *contact.places)))[:MAX_PLACES])


def _statements(introduction: Introduction, evidence: Evidence) -> list[str]:
    said = []
    where = {"relays": "found on the network", "file": "in the file", "memory": "known from before"}.get(
        evidence.source.value
    )
    if introduction.sign1 is not None:
        if introduction.sign1.signer == introduction.key:
            said.append("card: signed by the root key of the identity")
        elif evidence.record is not None:
            said.append(f"card: signed by a device that the record with seq {evidence.record.packet.seq} names")
    if evidence.record is not None:
        said.append(f"record: seq {evidence.record.packet.seq}, signed by the identity, {where}")
    else:
        said.append("record: none was looked up, so nothing is known of the identity but its key")
    said.append("person: nobody has compared safety words yet")
    return said


def _evidence_warnings(evidence: Evidence) -> list[str]:
    said = []
    if evidence.failure is not None:
        said.append(f"no newer record could be looked up: {evidence.failure.message}")
    if evidence.is_split:
        said.append("the identity has signed two states with one seq: its key may be in two hands")
    if evidence.record is not None and not evidence.may_start_trust:
        sources = "source has" if evidence.independent == 1 else "sources have"
        said.append(
            f"{evidence.independent} independent {sources} answered, and {WANTED_SOURCES} are wanted before new trust "
            "starts: a newer record may be held back; name more with --relay, or relay add"
        )
    document = evidence.record.document if evidence.record is not None else None
    if document is not None and document.retirement is not None:
        said.append("the identity has been retired by its owner")
    return said
