"""What a contact's record says, as the book keeps it; and what the contact shares in it.

Spec: docs/spec/contact-book.md, "Encoding"; docs/spec/wallet-state.md, "Shared sections".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from walletcli.core.bindings import Binding, bindings_of
from walletcli.core.document import Document
from walletcli.core.record import Record
from walletcli.errors import FormatError, VerificationError
from walletcli.wallet.access.session import Session
from walletcli.wallet.contacts.contact import MAX_ATTRIBUTES, MAX_PLACES, Contact, Sighting, Standing
from walletcli.wallet.contacts.evidence import Evidence
from walletcli.wallet.providers.addresses import evidence_of, known_addresses
from walletcli.wallet.state.sections import SharedSection, shared_context

MAX_SECTIONS = 64
"""Most sealed sections of a document (docs/spec/record.md)."""


def sight(session: Session, index: int, record: Record, day: int, *, split: bool = False) -> Sighting:
    """Return what a contact's record says.

    Args:
        session: the open wallet; it opens what is sealed to this device.
        index: of the identity whose contact it is.
        record: verified, with its document.
        day: today, days since 1970-01-01.
        split: whether two states with one `seq` were seen.

    Raises:
        VaultError: ``agent.*``, ``vault.*``.
    """
    document = record.document
    assert document is not None
    bindings = [binding for binding in bindings_of(document, day) if binding.is_valid]
    standing = Standing.RETIRED if document.retirement is not None else Standing.IN_USE
    return Sighting(
        record.packet.seq,
        day,
        Standing.SPLIT if split else standing,
        tuple(sorted({binding.grant.provider for binding in bindings if binding.grant is not None})),
        places_of(bindings),
        sealing_keys(document, day),
        received(session, index, document),
    )


def with_evidence(session: Session, index: int, contact: Contact, evidence: Evidence, day: int) -> Contact:
    """Return a contact with what its newest record says; one older than the known one says nothing.

    A split stays open until a record heals it, whatever one relay alone may show meanwhile: it is remembered as such.
    """
    record, known = evidence.record, contact.sighting
    if record is None or record.document is None or (known is not None and known.seq > record.packet.seq):
        return contact
    is_same = known is not None and known.seq == record.packet.seq and evidence.resolution is None
    was_split = is_same and known is not None and known.standing is Standing.SPLIT
    seen = sight(session, index, record, day, split=evidence.is_split or was_split)
    return replace(contact, sighting=seen)


def known_places(contact: Contact) -> tuple[str, ...]:
    """Return the addresses of nodes where a contact's record is, as far as is known; its providers' first."""
    seen = contact.sighting.places if contact.sighting is not None else ()
    return tuple(dict.fromkeys((*seen, *contact.places)))


def places_of(bindings: Iterable[Binding]) -> tuple[str, ...]:
    """Return the addresses that the providers of valid bindings state, at most 8."""
    found: dict[str, None] = {}
    for binding in bindings:
        if binding.grant is None:
            continue
        records = (evidence_of(binding.grant), binding.provider_record)
        found.update((address.to_text(), None) for address in known_addresses(binding.grant.provider, None, records))
    return tuple(found)[:MAX_PLACES]


def sealing_keys(document: Document, day: int) -> tuple[bytes, ...]:
    """Return the sealing keys of the devices that an identity has on a day, ascending."""
    return tuple(sorted({device.sealing_key for device in document.delegations if device.holds_on(day)}))


def received(session: Session, index: int, document: Document) -> dict[str, str]:
    """Return the attributes that the owner of a document shares with this device; a damaged section is left out."""
    found: dict[str, str] = {}
    for section in document.sections[:MAX_SECTIONS]:
        try:
            content = session.unseal(index, section, shared_context(document.identity))
            found.update(SharedSection.from_bytes(content).attributes)
        except (FormatError, VerificationError):
            continue
    return dict(sorted(found.items())[:MAX_ATTRIBUTES])
