"""What is said of a contact to people and programs: verified or not, and why.

Spec: docs/spec/contact-book.md, "What counts as what".
"""

from __future__ import annotations

import datetime
import time
from dataclasses import dataclass

from walletcli.core.card import Card
from walletcli.core.cose import Sign1
from walletcli.core.identity_id import IdentityId
from walletcli.core.relation import MAX_RELATION_BYTES, Relation
from walletcli.errors import FormatError, VerificationError
from walletcli.wallet.contacts.contact import Contact, HeldCard, HeldRelation, Standing
from walletcli.wallet.contacts.lookup import contact_id_text
from walletcli.wallet.state.draft import today

STATES = {Standing.IN_USE: "in use", Standing.RETIRED: "retired", Standing.SPLIT: "split"}
"""What a contact's identity is, in words."""


def day_text(day: int) -> str:
    """Return a day (since 1970-01-01, UTC) as ``2026-11-23``."""
    return (datetime.date(1970, 1, 1) + datetime.timedelta(days=day)).isoformat()


@dataclass(frozen=True, slots=True)
class ContactReport:
    """A contact as it is told of.

    Attributes:
        contact: as it stands in the book.
        today: days since 1970-01-01.
    """

    contact: Contact
    today: int

    @classmethod
    def of(cls, contact: Contact) -> ContactReport:
        """Tell of a contact today."""
        return cls(contact, today(time.time()))

    @property
    def is_verified(self) -> bool:
        """Whether safety words were compared with the person."""
        return self.contact.compared_day is not None

    @property
    def state(self) -> str:
        """What is known of the identity: ``in use``, ``retired``, ``split``, ``not looked up``, ``no identity``."""
        if self.contact.key is None:
            return "no identity"
        sighting = self.contact.sighting
        return STATES[sighting.standing] if sighting is not None else "not looked up"

    @property
    def reason(self) -> str:
        """Why it counts as verified, or not, in a few words."""
        contact = self.contact
        if contact.key is None:
            return "it came with a vCard and has no identity that could be verified"
        if contact.compared_day is None:
            return "nobody has compared safety words"
        return f"safety words were compared on {day_text(contact.compared_day)}"

    @property
    def why(self) -> str:
        """Why it counts as verified, or not, and what is known where it does not."""
        contact, said = self.contact, [self.reason]
        if self.is_verified or contact.key is None:
            return self.reason
        if contact.relation is not None:
            said.append(
                "a relation is signed by both sides, which shows that the key's owner knows you, not who that is"
            )
        if contact.card is not None:
            said.append(f"the card is {self.card_why(contact.card)}")
        return "; ".join(said)

    def card_why(self, card: HeldCard) -> str:
        """Return what was checked of the card."""
        sign1 = _sign1(card.data, len(card.data))
        if sign1 is None:
            return "such that it cannot be read"
        if sign1.signer == self.contact.id:
            return "signed by the identity's root key"
        if card.checked_day is None:
            return "signed by a device that no known record names"
        return f"signed by a device that the identity's record named on {day_text(card.checked_day)}"

    def to_json(self) -> dict[str, object]:
        """Return everything; ids as text, days as numbers."""
        contact, sighting = self.contact, self.contact.sighting
        return {
            "id": contact_id_text(contact.id),
            "did": IdentityId(contact.key).did if contact.key is not None else None,
            "name": contact.name,
            "verified": self.is_verified,
            "why": self.why,
            "state": self.state,
            "blocked": contact.is_blocked,
            "added_day": contact.added_day,
            "compared_day": contact.compared_day,
            "card": self._card(),
            "relation": self._relation(),
            "offered": contact.offer is not None,
            "notes": list(contact.notes),
            "attributes": dict(contact.attributes),
            "uid": contact.uid,
            "shared": list(contact.shared),
            "received": dict(sighting.received) if sighting is not None else {},
            "seq": sighting.seq if sighting is not None else None,
            "seen_day": sighting.day if sighting is not None else None,
            "providers": [IdentityId(key).did for key in sighting.providers] if sighting is not None else [],
            "places": list(dict.fromkeys((*contact.places, *(sighting.places if sighting is not None else ())))),
        }

    def _card(self) -> dict[str, object] | None:
        held = self.contact.card
        sign1 = _sign1(held.data, len(held.data)) if held is not None else None
        card = card_of(held) if held is not None else None
        if held is None or sign1 is None or card is None:
            return None
        expired = self.today >= card.not_after_day
        return {
            "attributes": dict(card.attributes),
            "day": card.day,
            "not_after_day": card.not_after_day,
            "signer": sign1.signer.hex(),
            "verified": held.checked_day is not None or sign1.signer == self.contact.id,
            "expired": expired,
            "why": self.card_why(held),
        }

    def _relation(self) -> dict[str, object] | None:
        held = self.contact.relation
        relation = relation_of(held) if held is not None else None
        if held is None or relation is None:
            return None
        return {
            "day": relation.day,
            "not_after_day": relation.not_after_day,
            "stored_day": held.day,
            "expired": self.today >= relation.not_after_day,
            "nonce": relation.nonce.hex(),
        }


def card_of(held: HeldCard) -> Card | None:
    """Return what a card says, or None if it cannot be read."""
    sign1 = _sign1(held.data, len(held.data))
    try:
        return Card.from_payload(sign1.payload) if sign1 is not None else None
    except FormatError:
        return None


def relation_of(held: HeldRelation) -> Relation | None:
    """Return what both sides of a relation have signed, or None if it cannot be read."""
    sign1 = _sign1(held.sides[0], MAX_RELATION_BYTES)
    try:
        return Relation.from_payload(sign1.payload) if sign1 is not None else None
    except FormatError:
        return None


def _sign1(data: bytes, max_bytes: int) -> Sign1 | None:
    try:
        return Sign1.from_bytes(data, max_bytes)
    except (FormatError, VerificationError):
        return None
