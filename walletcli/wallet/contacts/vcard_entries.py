"""Contacts as vCards tell them, and back.

Spec: docs/spec/contact.md, "vCard"; docs/spec/contact-book.md, "vCards".
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from walletcli.core.card import Card
from walletcli.core.cose import Sign1
from walletcli.core.vcard import MAX_ATTRIBUTES, MAX_NOTE_BYTES, VCard
from walletcli.errors import FormatError
from walletcli.wallet.contacts.contact import ANONYMOUS_BYTES, Contact, anonymous_id

NAME = "name"
"""The attribute that is a vCard's name."""

_UID_PREFIX = "urn:walletcli:contact:"
_OWN_UID = re.compile(re.escape(_UID_PREFIX) + f"([0-9a-f]{{{2 * ANONYMOUS_BYTES}}})")


def to_vcard(contact: Contact, *, notes: bool) -> VCard:
    """Return the vCard of a contact: what the owner calls it, what is known of it, and what its card says.

    Args:
        contact: of the book.
        notes: whether the owner's notes go along.
    """
    said = {name: value for name, value in _said_by_card(contact).items() if name not in contact.attributes}
    attributes = {**contact.attributes, **said}
    attributes.pop(NAME, None)
    own = contact.uid or (None if contact.key is not None else _UID_PREFIX + contact.id.hex())
    note = joined_notes(contact) if notes else None
    return VCard(contact.name, own, contact.key, note, dict(list(attributes.items())[:MAX_ATTRIBUTES]))


def from_vcard(card: VCard, day: int) -> Contact:
    """Return the contact that a vCard tells of; that it has an identity is a claim of whoever wrote the card."""
    own = _OWN_UID.fullmatch(card.uid) if card.uid is not None else None
    if card.identity is not None:
        contact_id = card.identity
    elif own is not None:
        contact_id = bytes.fromhex(own[1])
    else:
        contact_id = anonymous_id(card.name, card.attributes, card.note, card.uid)
    uid = card.uid if own is None else None
    notes = (card.note,) if card.note is not None else ()
    return Contact(contact_id, card.name, day, notes=notes, attributes=dict(card.attributes), uid=uid)


def joined_notes(contact: Contact) -> str | None:
    """Return the notes as one text of at most 8192 bytes, or None if there are none."""
    text = "\n\n".join(contact.notes)
    return text.encode()[:MAX_NOTE_BYTES].decode(errors="ignore") or None


def _said_by_card(contact: Contact) -> Mapping[str, str]:
    if contact.card is None or contact.card.checked_day is None:  # anybody could have written it
        return {}
    try:
        return Card.from_payload(Sign1.from_bytes(contact.card.data, len(contact.card.data)).payload).attributes
    except FormatError:
        return {}
