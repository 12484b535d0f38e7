"""Exports contacts: signed and sealed to oneself, sealed to somebody else, or open; or as vCards.

Spec: docs/spec/contact.md, "Contact export" and "vCard".
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from walletcli.core import cbor
from walletcli.core.approval import in_order
from walletcli.core.cbor import Value
from walletcli.core.contact_export import NONCE_BYTES, ContactExport, Entry, verify_export
from walletcli.core.export_file import OpenExport
from walletcli.core.sealed import MAX_RECIPIENTS
from walletcli.core.short_record import to_short
from walletcli.errors import FormatError, InputError, VerificationError
from walletcli.wallet.access.session import Session
from walletcli.wallet.approvers.gathering import approvals_of_export, signed_of, waiting_export
from walletcli.wallet.contacts.book import read_book
from walletcli.wallet.contacts.cards import own_record
from walletcli.wallet.contacts.contact import Contact
from walletcli.wallet.contacts.evidence import Inquiry
from walletcli.wallet.contacts.links import contact_links, not_accepted, plan_file, shared_contact_links, text_links
from walletcli.wallet.contacts.lookup import find_contact, identified, not_blocked
from walletcli.wallet.contacts.sightings import known_places, sealing_keys
from walletcli.wallet.contacts.vcard_entries import joined_notes, to_vcard
from walletcli.wallet.files import write_file
from walletcli.wallet.home import Progress, silent
from walletcli.wallet.linkability import Link
from walletcli.wallet.state.draft import own_readers, today
from walletcli.wallet.state.lookup import key_of
from walletcli.wallet.state.view import MAX_DRAWER_BYTES, IdentityView
from walletcli.wallet.state.wallet_view import WalletView
from walletcli.wallet.vcards import Version, write_vcards


class Audience(StrEnum):
    """Who can read an export."""

    SELF = "self"
    OTHER = "other"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be exported, and how.

    Attributes:
        whom: contacts, by name or id; none: all.
        reader: whose devices alone read it, a contact or any id; None: one's own, or everybody.
        is_open: everybody reads it.
        vcard: as vCards of this version, which everybody reads and nobody has signed; None: as a contact export.
        notes: whether notes go along where others read it; in what is sealed to oneself they do, and there alone it
            says with whom safety words were compared.
    """

    whom: tuple[str, ...] = ()
    reader: str | None = None
    is_open: bool = False
    vcard: Version | None = None
    notes: bool = False

    def __post_init__(self) -> None:
        if (self.reader is not None) + self.is_open + (self.vcard is not None) > 1:
            raise InputError(
                "contact-export.choice",
                "an export is sealed to somebody, open, or made of vCards: one of these",
                "give --to, --open or --vcard, not several",
            )

    @property
    def audience(self) -> Audience:
        """Who can read it."""
        if self.is_open or self.vcard is not None:
            return Audience.ALL
        return Audience.OTHER if self.reader is not None else Audience.SELF

    @property
    def with_notes(self) -> bool:
        """Whether notes go along."""
        return self.notes or self.audience is Audience.SELF


@dataclass(frozen=True, slots=True)
class Exported:
    """What was exported.

    Attributes:
        path: of the file.
        size_bytes: of the file.
        count: how many contacts are in it.
        audience: who can read it.
        blocked: how many were left out because they are blocked.
        anonymous: how many were left out because they have no identity, which a contact export needs.
    """

    path: str
    size_bytes: int
    count: int
    audience: Audience
    blocked: int
    anonymous: int

    @property
    def readers(self) -> str:
        """Who can read it, in words."""
        return {
            Audience.SELF: "you alone",
            Audience.OTHER: "the one it is sealed to",
            Audience.ALL: "everybody who has it",
        }[self.audience]

    @property
    def left_out(self) -> tuple[str, ...]:
        """What is not in it, in words."""
        said = ((self.blocked, "blocked"), (self.anonymous, "without an identity: export them as vCards"))
        return tuple(f"{count} {why}" for count, why in said if count)

    def to_json(self) -> dict[str, object]:
        """Return the fields."""
        return {
            "exported": self.path,
            "bytes": self.size_bytes,
            "contacts": self.count,
            "readers": self.audience.value,
            "left_out": {"blocked": self.blocked, "without_identity": self.anonymous},
        }


def export_contacts(
    session: Session,
    inquiry: Inquiry,
    wanted: Wanted,
    path: str,
    *,
    accept_link: bool = False,
    progress: Progress = silent,
) -> Exported:
    """Write contacts to a new file.

    Args:
        session: the open wallet.
        inquiry: on behalf of the identity whose contacts they are; looks up whom the file is sealed to.
        wanted: which contacts, and for whom.
        path: of the file, which must not be there.
        accept_link: go ahead where this ties identities together; remembered for this identity.
        progress: takes a line per step.

    Raises:
        InputError: ``contact.*``, ``record.none``, ``link.would-link``, ``file.exists``.
        FormatError: ``contact-export.too-long``, ``sealed.recipients``, ``vcard.value``.
        NetworkError, VerificationError: what the look-up of the reader ends in; ``contact-export.no-device``.
        SignerError: ``approver.*``, ``key.*`` if the identity's approvers have to approve the export.
        StorageError: ``storage.*``.
    """
    identity, wallet = inquiry.identity, session.snapshot().wallet
    chosen, blocked = _chosen(session, identity, wanted)
    usable = chosen if wanted.vcard is not None else [contact for contact in chosen if contact.key is not None]
    if wanted.audience is not Audience.SELF:
        links = not_accepted(_links(session, wallet, identity, usable, notes=wanted.with_notes), identity)
        plan_file(session, identity, links, accept=accept_link)
    export: bytes | None = None
    if wanted.vcard is not None:
        progress(f"writing {len(usable)} vCards")
        data = write_vcards([to_vcard(contact, notes=wanted.with_notes) for contact in usable], wanted.vcard)
    else:
        data, export = _signed(session, inquiry, wallet, wanted, usable, progress)
    write_file(path, data, replace=False)
    if export is not None:
        signed_of(session, identity.public_key, hashlib.sha256(export).digest())
    left_out = len(chosen) - len(usable)
    return Exported(os.path.abspath(path), len(data), len(usable), wanted.audience, blocked, left_out)


def _chosen(session: Session, identity: IdentityView, wanted: Wanted) -> tuple[list[Contact], int]:
    """Return the contacts that are wanted, ascending by id, and how many blocked ones were left out."""
    book = read_book(session, identity.index)
    if wanted.whom:
        named = {contact.id: not_blocked(contact) for contact in (find_contact(book, who) for who in wanted.whom)}
        return [named[contact_id] for contact_id in sorted(named)], 0
    usable = [contact for contact in book if not contact.is_blocked]
    return usable, len(book) - len(usable)


def _signed(
    session: Session,
    inquiry: Inquiry,
    wallet: WalletView,
    wanted: Wanted,
    contacts: Sequence[Contact],
    progress: Progress,
) -> tuple[bytes, bytes]:
    """Return the file, and the export in it."""
    identity = inquiry.identity
    own_record(identity)
    recipients = _recipients(inquiry, wallet, wanted)
    progress(f"signing an export of {len(contacts)} contacts")
    payload = _payload(identity, wanted, contacts)
    if len(payload) > MAX_DRAWER_BYTES:
        raise FormatError(
            "contact-export.too-long",
            f"an export of at most {MAX_DRAWER_BYTES} bytes is signed, this one has {len(payload)}",
            "export fewer contacts at once",
        )
    context = _context(payload, recipients)
    export = waiting_export(session, identity, context)
    if export is None or not _lists_the_same(export, payload):
        export = session.sign_statement(identity.index, ContactExport.TYP, payload)
    return _approved(session, identity, export, context, recipients, progress), export


def _lists_the_same(export: bytes, payload: bytes) -> bool:
    """Tell whether an export that waited, where programs of the user could write, names what is to be exported."""
    waited, wanted = verify_export(export)[0], ContactExport.from_payload(payload)
    return (waited.identity, waited.entries) == (wanted.identity, wanted.entries)


def _context(payload: bytes, recipients: Sequence[bytes]) -> bytes:
    """Return what stays the same (32 bytes) while nothing else is to be exported, nor to somebody else."""
    entries: list[Value] = [entry.to_cbor() for entry in ContactExport.from_payload(payload).entries]
    return hashlib.sha256(cbor.encode([entries, *recipients])).digest()


def _approved(
    session: Session,
    identity: IdentityView,
    export: bytes,
    context: bytes,
    recipients: Sequence[bytes],
    progress: Progress = silent,
) -> bytes:
    """Return the file of an export (COSE bytes) once its owner's approvers have approved it."""
    approvals = in_order(approvals_of_export(session, identity, export, context, progress))
    opened = OpenExport(export, to_short(own_record(identity)), approvals)
    return opened.seal(recipients, os.urandom).to_bytes() if recipients else opened.to_bytes()


def _payload(identity: IdentityView, wanted: Wanted, contacts: Sequence[Contact]) -> bytes:
    own = wanted.audience is Audience.SELF
    entries = tuple(to_entry(contact, notes=wanted.with_notes, compared=own) for contact in contacts)
    return ContactExport(identity.public_key, today(time.time()), os.urandom(NONCE_BYTES), entries).to_payload()


def draft_export(session: Session, identity: IdentityView) -> bytes:
    """Return the payload of an export of all contacts to oneself, before anybody signs it.

    Raises:
        FormatError: ``contact-export.too-long``.
    """
    wanted = Wanted()
    chosen, _ = _chosen(session, identity, wanted)
    return _payload(identity, wanted, [contact for contact in chosen if contact.key is not None])


def seal_own_export(session: Session, identity: IdentityView, export: bytes) -> bytes:
    """Return the file of an export (COSE bytes) that its owner alone reads.

    Raises:
        InputError: ``record.none``.
        SignerError: ``approver.*``, ``key.*``.
    """
    context = hashlib.sha256(export).digest()
    return _approved(session, identity, export, context, _own_readers(identity))


def to_entry(contact: Contact, *, notes: bool, compared: bool) -> Entry:
    """Return a contact (with an identity) as an export has it; with or without what is nobody else's business."""
    return Entry(
        contact.id,
        contact.name,
        contact.card.data if contact.card is not None else None,
        contact.relation.sides if contact.relation is not None else None,
        contact.attributes,
        joined_notes(contact) if notes else None,
        contact.compared_day if compared else None,
    )


def _recipients(inquiry: Inquiry, wallet: WalletView, wanted: Wanted) -> Sequence[bytes]:
    """Return the sealing keys of whoever can read it; none for everybody."""
    identity = inquiry.identity
    if wanted.audience is Audience.ALL:
        return ()
    if wanted.audience is Audience.SELF:
        return _own_readers(identity)
    assert wanted.reader is not None
    key, places = _reader(inquiry, wallet, wanted.reader)
    evidence = inquiry.newest(key, None, places)
    inquiry.save()
    if evidence.record is None and evidence.failure is not None:
        raise evidence.failure
    document = evidence.record.document if evidence.record is not None else None
    found = sealing_keys(document, today(time.time())) if document is not None else ()
    if not found:
        raise VerificationError(
            "contact-export.no-device",
            "no device of the reader is known that could open it",
            "ask the reader to publish first",
        )
    return found[:MAX_RECIPIENTS]


def _own_readers(identity: IdentityView) -> Sequence[bytes]:
    document = own_record(identity).document
    delegations = document.delegations if document is not None else ()
    return own_readers(delegations, identity.recovery_key, identity.device_sealing_key)


def _reader(inquiry: Inquiry, wallet: WalletView, who: str) -> tuple[bytes, tuple[str, ...]]:
    """Return root key and known places of the reader: a contact, or an id in any form; blocked ones are refused."""
    book = read_book(inquiry.session, inquiry.identity.index)
    try:
        contact = find_contact(book, who)
    except InputError as error:
        if error.code != "contact.unknown":
            raise
        return key_of(who, wallet), ()
    return identified(not_blocked(contact)), known_places(contact)


def _links(
    session: Session, wallet: WalletView, identity: IdentityView, contacts: Sequence[Contact], *, notes: bool
) -> Iterable[Link]:
    keys = [contact.id for contact in contacts]
    yield from contact_links(wallet, identity, keys, "the export names")
    yield from shared_contact_links(session, wallet, identity, keys)
    texts = [
        (name, value)
        for contact in contacts
        for name, value in (*contact.attributes.items(), *(("note", note) for note in contact.notes if notes))
    ]
    yield from text_links(wallet, identity, texts, "export", repeats=False)
