"""Imports contacts from a signed export or from vCards: names what does not fit, overwrites nothing silently.

Spec: docs/spec/contact.md, "Contact export" and "vCard"; docs/spec/contact-book.md, "Import".
"""

from __future__ import annotations

import contextlib
import gc
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from walletcli.core.approval import Subject, check_threshold
from walletcli.core.authority import check_authority
from walletcli.core.contact_export import ContactExport, VerifiedEntry, verify_entries, verify_export
from walletcli.core.cose import Sign1
from walletcli.core.document_parts import Power
from walletcli.core.export_file import CONTEXT, MAGIC, OpenExport, read_export_file
from walletcli.core.export_file import MAX_FILE_BYTES as MAX_EXPORT_FILE_BYTES
from walletcli.core.record import Record
from walletcli.errors import FormatError, VerificationError, WalletError
from walletcli.wallet.access.messages import MAX_SEALED_BYTES
from walletcli.wallet.access.session import Session
from walletcli.wallet.contacts.book import read_book, save_book
from walletcli.wallet.contacts.contact import Contact, HeldCard, HeldRelation
from walletcli.wallet.contacts.evidence import Inquiry
from walletcli.wallet.contacts.import_report import Dropped, Imported, Refused
from walletcli.wallet.contacts.links import contact_links, not_accepted
from walletcli.wallet.contacts.lookup import NameCheck, contact_id_text
from walletcli.wallet.contacts.sharing import share_changes
from walletcli.wallet.contacts.taking import Taker
from walletcli.wallet.contacts.vcard_entries import from_vcard
from walletcli.wallet.files import read_file
from walletcli.wallet.home import Progress, silent
from walletcli.wallet.linkability import accepted_keys
from walletcli.wallet.state.changes import PlanPublish
from walletcli.wallet.state.draft import today
from walletcli.wallet.vcards import read_vcards

STEP = 1000
"""After so many contacts progress is told."""

MAX_WARNINGS = 100
"""Most warnings about names that one import gives."""


def import_contacts(
    session: Session,
    inquiry: Inquiry,
    path: str,
    *,
    replace_known: bool = False,
    any_device: bool = False,
    accept_link: bool = False,
    progress: Progress = silent,
) -> Imported:
    """Take the contacts of a file into the book: of a contact export, or vCards of versions 3.0 and 4.0.

    Args:
        session: the open wallet.
        inquiry: on behalf of the identity whose contacts they become.
        path: of the file.
        replace_known: where book and file differ, take what the file says; otherwise the book stays as it is.
        any_device: take a list of one's own even if the device that signed it is revoked or expired since, as that of a
            backup may be.
        accept_link: go ahead where this ties identities together; remembered for this identity.
        progress: takes a line per step.

    Raises:
        InputError: ``file.*``, ``link.would-link``, ``contact-book.too-many``, ``contact-book.too-long``.
        FormatError: ``contact-export.*``, ``cose.*``, ``vcard.*``, ``cbor.*`` for the file as a whole.
        VerificationError: ``sealed.not-for-you``, ``signature.invalid``, ``authority.*``, ``contact-export.evidence``,
            ``approval.missing``.
        NetworkError: what the look-up of the exporter ends in.
    """
    progress("reading the file")
    data = read_file(path, MAX_EXPORT_FILE_BYTES)
    report = Imported()
    with _without_collection():
        if data.startswith(MAGIC):
            found = _from_export(session, inquiry, data, report, any_device, progress)
        else:
            found = _from_vcards(data, report, progress)
        _take(session, inquiry, found, report, replace_known, accept_link, progress)
    return report


@contextlib.contextmanager
def _without_collection() -> Iterator[None]:
    """Make no passes for cycles of garbage: a long list is a million small objects without any, walked in vain."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _from_export(
    session: Session, inquiry: Inquiry, data: bytes, report: Imported, any_device: bool, progress: Progress
) -> Sequence[Contact]:
    """Verify an export and what it holds, and return its contacts with those cards and relations that are good."""
    opened = _opened(session, inquiry, data)
    progress("verifying the export")
    export, sign1 = verify_export(opened.export)
    own = export.identity == inquiry.identity.public_key
    day = today(time.time())
    may_sign = _may_sign(inquiry, export, sign1, opened, day, any_device=own and any_device)
    if not (own and any_device):
        _check_approved(inquiry, export, opened)
    report.signer, report.is_own = export.identity, own
    if own and not may_sign and any(entry.compared_day is not None for entry in export.entries):
        report.warnings.append(
            "the device that signed the list is none of yours any more: whom you had verified is not taken from it"
        )
    contacts = []
    for number, entry in enumerate(verify_entries(export), 1):
        contact = _of_entry(inquiry, entry, export, own, day, report)
        compared_day = entry.entry.compared_day if own and may_sign else None
        contacts.append(replace(contact, compared_day=compared_day) if compared_day is not None else contact)
        if number % STEP == 0:
            progress(f"verifying contacts, {number} of {len(export.entries)}")
    return contacts


def _opened(session: Session, inquiry: Inquiry, data: bytes) -> OpenExport:
    file = read_export_file(data)
    if isinstance(file, OpenExport):
        return file
    if len(file.blob) > MAX_SEALED_BYTES:
        raise FormatError(
            "contact-export.too-long",
            f"a sealed export of at most {MAX_SEALED_BYTES} bytes is opened, this one has {len(file.blob)}",
            "export fewer contacts at once",
        )
    try:
        return file.opened(session.unseal(inquiry.identity.index, file.blob, CONTEXT))
    except VerificationError as error:
        if error.code != "sealed.not-for-you":
            raise
        raise VerificationError(
            error.code,
            "the export is sealed to somebody else",
            "import it with the identity it is for: --as LABEL",
        ) from error


def _may_sign(
    inquiry: Inquiry, export: ContactExport, sign1: Sign1, opened: OpenExport, day: int, *, any_device: bool
) -> bool:
    """Tell whether whoever signed an export may do so today; raises as `_check_signer` unless `any_device` will do."""
    if sign1.signer == export.identity:
        return True
    try:
        _check_signer(inquiry, export, sign1, opened, day)
    except WalletError:
        if not any_device:
            raise
        return False
    return True


def _check_approved(inquiry: Inquiry, export: ContactExport, opened: OpenExport) -> None:
    """Check that the approvers of whoever made an export, as far as they are known, have approved it.

    Raises:
        VerificationError: ``approval.missing``.
    """
    identity, seen = inquiry.identity, inquiry.memory.get(export.identity)
    own = export.identity == identity.public_key and identity.record is not None
    record = Record.from_bytes(identity.record or b"") if own else seen.record if seen is not None else None
    document = record.document if record is not None else None
    if document is not None and document.approvers is not None:
        subject = Subject.of_export(export.identity, opened.export, len(export.entries))
        check_threshold(document.approvers, subject, opened.approvals)


def _check_signer(inquiry: Inquiry, export: ContactExport, sign1: Sign1, opened: OpenExport, day: int) -> None:
    """Check that a device that signed an export may do so by the newest record of its identity.

    Raises:
        VerificationError: ``authority.*``, ``contact-export.evidence``.
    """
    record = _exporter_record(inquiry, export, opened)
    try:
        check_authority(sign1, export.identity, record, Power.SHARE, day, root_allowed=True)
    except VerificationError as error:
        if export.identity != inquiry.identity.public_key:
            raise
        raise VerificationError(
            error.code,
            f"your own list, and not signed by a device that you have now: {error.message}",
            "if it is a backup that you made on a device you have replaced: --any-device",
        ) from error


def _exporter_record(inquiry: Inquiry, export: ContactExport, opened: OpenExport) -> Record:
    """Return the newest record of whoever signed the export."""
    identity = inquiry.identity
    if export.identity == identity.public_key and identity.record is not None:
        return Record.from_bytes(identity.record)
    evidence = inquiry.newest(export.identity, opened.short_record)
    inquiry.save()
    if evidence.record is None:
        if evidence.failure is not None:
            raise evidence.failure
        raise VerificationError(
            "contact-export.evidence",
            "a device signed the export, and the record that names it is not known",
            "import it while online",
        )
    return evidence.record


def _of_entry(
    inquiry: Inquiry, verified: VerifiedEntry, export: ContactExport, own: bool, day: int, report: Imported
) -> Contact:
    entry = verified.entry
    errors = list(verified.errors)
    name = entry.name.strip() or contact_id_text(entry.key)
    card = relation = None
    if verified.card is not None and entry.card is not None:
        try:
            verified.card.check_day(day)
            card = HeldCard(entry.card, _checked_day(inquiry, entry.key, entry.card, verified.card_signer, day))
        except VerificationError as error:
            errors.append(error)
    if verified.relation is not None and own and entry.relation is not None:
        try:
            verified.relation.relation.check_day(day)
            relation = HeldRelation(entry.relation, min(export.day, day))
        except VerificationError as error:
            errors.append(error)
    for problem in errors:
        report.dropped.append(Dropped(name, entry.key, problem))
    notes = (entry.notes,) if entry.notes is not None else ()
    trusted = card is not None and (own or card.checked_day is not None)
    places = verified.card.hints if trusted and verified.card is not None else ()
    return Contact(
        entry.key, name, day, card, relation=relation, notes=notes, attributes=entry.attributes, places=places
    )


def _checked_day(inquiry: Inquiry, key: bytes, data: bytes, signer: bytes | None, day: int) -> int | None:
    """Return `day` if the card's signer may sign for its identity, or None if no record is known that tells.

    Raises:
        VerificationError: ``authority.*``.
    """
    if signer == key:
        return day
    seen = inquiry.memory.get(key)
    if seen is None or seen.record is None or seen.record.document is None:
        return None
    check_authority(Sign1.from_bytes(data, len(data)), key, seen.record, Power.SHARE, day, root_allowed=True)
    return day


def _from_vcards(data: bytes, report: Imported, progress: Progress) -> Sequence[Contact]:
    day = today(time.time())

    def tell(number: int) -> None:
        if number % STEP == 0:
            progress(f"reading vCards, {number} so far")

    file = read_vcards(data, tell)
    report.refused += [Refused(bad.number, bad.error) for bad in file.refused]
    contacts = []
    for item in file.cards:
        for name in item.left_out:
            report.left_out[name] = report.left_out.get(name, 0) + 1
        contacts.append(from_vcard(item.card, day))
    return contacts


def _take(
    session: Session,
    inquiry: Inquiry,
    found: Iterable[Contact],
    report: Imported,
    replace_known: bool,
    accept_link: bool,
    progress: Progress,
) -> None:
    """Put contacts into the book, and save it."""
    identity, wallet = inquiry.identity, session.snapshot().wallet
    contacts = list(found)
    keys = [contact.id for contact in contacts]
    links = not_accepted(contact_links(wallet, identity, keys, "the file names"), identity)
    accepted = accepted_keys(links, accept=accept_link)
    if accepted:
        session.apply(PlanPublish(identity.index, (), accepted))
    base = read_book(session, identity.index)
    taker = Taker(base, identity.public_key, report, replace_known)
    for number, contact in enumerate(contacts, 1):
        taker.take(contact)
        if number % STEP == 0:
            progress(f"taking contacts in, {number} of {len(contacts)}")
    progress("writing the contact book")
    mine = base.with_contacts(taker.changed.values())
    report.warnings += _name_warnings(NameCheck(mine, wallet), taker.new)
    save_book(session, identity.index, base, mine, lambda now: share_changes(session, identity, now))


def _name_warnings(check: NameCheck, contacts: Iterable[Contact]) -> Iterator[str]:
    said = 0
    for contact in contacts:
        for warning in check.warnings(contact.name, contact.id):
            if said == MAX_WARNINGS:
                yield "more names look alike; see: walletcli contact list"
                return
            said += 1
            yield warning
