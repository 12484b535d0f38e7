"""Makes a relation with a contact: one side offers, the other accepts, the first one takes the answer.

Spec: docs/spec/contact.md, "Relation"; docs/spec/contact-book.md.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace

from walletcli.core.authority import check_authority
from walletcli.core.cose import Sign1
from walletcli.core.document_parts import Power
from walletcli.core.relation import (
    LINK_PREFIX,
    MAX_LINK_CHARS,
    MAX_RELATION_BYTES,
    NONCE_BYTES,
    Relation,
    RelationFile,
    SignedRelation,
    from_link,
    to_link,
    verify_relation,
)
from walletcli.core.short_record import to_short
from walletcli.errors import FormatError, VerificationError
from walletcli.wallet.access.session import Session
from walletcli.wallet.contacts.book import ContactBook, read_book, save_book
from walletcli.wallet.contacts.cards import own_record
from walletcli.wallet.contacts.contact import Contact, HeldRelation
from walletcli.wallet.contacts.evidence import Inquiry
from walletcli.wallet.contacts.lookup import find_contact, identified, not_blocked
from walletcli.wallet.contacts.merging import later_relation
from walletcli.wallet.contacts.sharing import share_changes
from walletcli.wallet.contacts.sightings import known_places, with_evidence
from walletcli.wallet.state.draft import today
from walletcli.wallet.state.view import IdentityView

DEFAULT_DAYS = 365
"""How long a relation holds unless who offers it says otherwise."""


@dataclass(frozen=True, slots=True)
class Related:
    """A step towards a relation.

    Attributes:
        contact: as it stands in the book.
        relation: what is signed.
        file: for the other side, or None if there is nothing to send.
    """

    contact: Contact
    relation: SignedRelation
    file: RelationFile | None

    @property
    def link(self) -> str | None:
        """What is for the other side as a link, without the record; None if there is nothing to send."""
        return to_link(self.file.signed) if self.file is not None else None


def read_relation(data: bytes) -> RelationFile:
    """Read a relation from bytes: the content of its file, or a link as text.

    Raises:
        FormatError: ``relation.file``, ``relation.link``, ``cbor.*``.
    """
    if len(data) <= MAX_LINK_CHARS + 2 and data[: len(LINK_PREFIX)].lower() == LINK_PREFIX.encode():
        return from_link(data.decode("ascii", "replace"))
    return RelationFile.from_bytes(data)


def offer_relation(session: Session, identity: IdentityView, who: str, days: int = DEFAULT_DAYS) -> Related:
    """Sign one's own side of a new relation with a contact, and remember that it was offered.

    Args:
        session: the open wallet.
        identity: who offers.
        who: the contact.
        days: how long the relation is to hold, 1 to 3,653.

    Raises:
        InputError: ``contact.*``, ``record.none``.
        FormatError: ``relation.dates``.
        VerificationError: ``authority.*`` if this device may not sign for the identity now.
    """
    record = own_record(identity)
    base = read_book(session, identity.index)
    contact = not_blocked(find_contact(base, who))
    day = today(time.time())
    relation = Relation.between(identity.public_key, identified(contact), os.urandom(NONCE_BYTES), day, day + days)
    signed = _sign(session, identity, relation, day)
    offered = _with_side(None, relation, identity.public_key, signed)
    book = _save(session, identity, base, replace(contact, offer=signed))
    records = _records(relation, identity.public_key, to_short(record))
    return Related(book.get(contact.id) or contact, offered, RelationFile(offered.signed, records))


def accept_relation(session: Session, inquiry: Inquiry, who: str, file: RelationFile) -> Related:
    """Check a contact's offer, sign the other side, and keep the relation.

    Accepting the same offer again gives the same answer.

    Raises:
        InputError: ``contact.*``, ``record.none``.
        FormatError: what the file's parts end in.
        VerificationError: ``relation.*`` (for somebody else, expired, older than the held one), ``authority.*``,
            ``signature.invalid``, ``record.*``.
        NetworkError: what the look-up of the contact's record ends in, unless offline on purpose.
    """
    identity = inquiry.identity
    base = read_book(session, identity.index)
    contact = not_blocked(find_contact(base, who))
    record = own_record(identity)
    offered = _checked(file, identity, contact)
    relation, day = offered.relation, today(time.time())
    records = _records(relation, identity.public_key, to_short(record))
    held = _held(contact)
    if held is not None and held.relation == relation:
        return Related(contact, held, RelationFile(held.signed, records))
    if held is not None and held.relation.day > relation.day:
        raise VerificationError(
            "relation.older", "the offer is older than the relation that you hold", "ask for a new offer"
        )
    contact = _checked_side(session, inquiry, contact, offered, file, day)
    whole = _with_side(offered, relation, identity.public_key, _sign(session, identity, relation, day))
    book = _save(session, identity, base, _with_relation(contact, whole, day))
    return Related(book.get(contact.id) or contact, whole, RelationFile(whole.signed, records))


def complete_relation(session: Session, inquiry: Inquiry, who: str, file: RelationFile) -> Related:
    """Check a contact's answer to one's own offer, and keep the relation.

    Raises:
        InputError: ``contact.*``.
        FormatError: what the file's parts end in.
        VerificationError: ``relation.not-offered`` for an answer to something that is not waiting for one, and as
            `accept_relation`.
        NetworkError: as `accept_relation`.
    """
    identity = inquiry.identity
    base = read_book(session, identity.index)
    contact = not_blocked(find_contact(base, who))
    answered = _checked(file, identity, contact)
    relation, day = answered.relation, today(time.time())
    held = _held(contact)
    if held is not None and held.relation == relation:
        return Related(contact, held, None)
    own = contact.offer
    if own is None or _payload(own) != relation.to_payload():
        raise VerificationError(
            "relation.not-offered",
            "this is the answer to an offer that you have not made, or that another one has replaced",
            "offer again, or accept the contact's own offer with --accept",
        )
    whole = _with_side(answered, relation, identity.public_key, own)
    contact = _checked_side(session, inquiry, contact, whole, file, day)
    book = _save(session, identity, base, replace(_with_relation(contact, whole, day), offer=None))
    return Related(book.get(contact.id) or contact, whole, None)


def _checked(file: RelationFile, identity: IdentityView, contact: Contact) -> SignedRelation:
    """Check signatures, parties and days."""
    found = verify_relation(*file.signed)
    if found.relation.other_side(identity.public_key) != identified(contact):
        raise VerificationError(
            "relation.parties", "the relation is with somebody else than this contact", "name the contact it is with"
        )
    found.relation.check_day(today(time.time()))
    return found


def _checked_side(
    session: Session, inquiry: Inquiry, contact: Contact, found: SignedRelation, file: RelationFile, day: int
) -> Contact:
    """Check that the contact has signed, with a key that may by its newest record; return the contact as seen now."""
    key = identified(contact)
    short_record = file.short_records[found.relation.side_of(key)]
    evidence = inquiry.newest(key, short_record, known_places(contact), may_fail=False)
    inquiry.save()
    found.check_side(key, evidence.record, day)
    return with_evidence(session, inquiry.identity.index, contact, evidence, day)


def _sign(session: Session, identity: IdentityView, relation: Relation, day: int) -> bytes:
    signed = session.sign_statement(identity.index, Relation.TYP, relation.to_payload())
    sign1 = Sign1.from_bytes(signed, MAX_RELATION_BYTES)
    try:
        check_authority(sign1, identity.public_key, own_record(identity), Power.SHARE, day, root_allowed=True)
    except VerificationError as error:
        raise VerificationError(
            error.code, f"this device may not sign for the identity now: {error.message}", "publish the identity first"
        ) from error
    return signed


def _with_side(found: SignedRelation | None, relation: Relation, side: bytes, signed: bytes) -> SignedRelation:
    if found is not None:
        return found.with_answer(side, signed)
    at = relation.side_of(side)
    return verify_relation(signed if at == 0 else None, signed if at == 1 else None)


def _records(relation: Relation, side: bytes, short: bytes) -> tuple[bytes | None, bytes | None]:
    return (short, None) if relation.side_of(side) == 0 else (None, short)


def _held(contact: Contact) -> SignedRelation | None:
    if contact.relation is None:
        return None
    try:
        return verify_relation(*contact.relation.sides)
    except (FormatError, VerificationError):
        return None


def _payload(signed: bytes) -> bytes:
    return Sign1.from_bytes(signed, MAX_RELATION_BYTES).payload


def _with_relation(contact: Contact, whole: SignedRelation, day: int) -> Contact:
    lower, higher = whole.signed
    assert lower is not None
    assert higher is not None
    new = HeldRelation((lower, higher), day)
    return replace(contact, relation=later_relation(contact.relation, new) if contact.relation is not None else new)


def _save(session: Session, identity: IdentityView, base: ContactBook, contact: Contact) -> ContactBook:
    return save_book(
        session, identity.index, base, base.with_contacts([contact]), lambda now: share_changes(session, identity, now)
    )
