"""The contact export: a contact list with its cards and relations, signed by its owner.

Verifying one takes as many signatures as it has cards and relations, so all is decoded first and verified then:
verification takes the processor's caches for itself.

Spec: docs/spec/contact.md, "Contact export".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final

from walletcli.core import cbor, ed25519
from walletcli.core.card import MAX_CARD_BYTES, Card, check_attributes, read_attributes
from walletcli.core.cbor import Map, Value
from walletcli.core.cose import Sign1
from walletcli.core.document import text_fault
from walletcli.core.document_parts import LAST_DAY
from walletcli.core.relation import MAX_RELATION_BYTES, SignedRelation, verify_relation
from walletcli.core.statements import verify_statement
from walletcli.core.vcard import MAX_ATTRIBUTES, MAX_NOTE_BYTES
from walletcli.errors import FormatError, VerificationError, WalletError

VERSION: Final = 1
"""Version of the export's payload."""

MAX_EXPORT_BYTES: Final = 65_900_000
"""Longest export, COSE included; with a record it can still be sealed."""

MAX_ENTRIES: Final = 50_000
"""Most contacts in an export."""

MAX_NAME_BYTES: Final = 1024
"""Longest name of a contact, bytes of UTF-8."""

NONCE_BYTES: Final = 16
"""Length of the nonce."""

_KEYS: Final = frozenset({1, 2, 3, 4, 5})
_ENTRY_REQUIRED: Final = frozenset({1, 2})
_ENTRY_KNOWN: Final = frozenset({1, 2, 3, 4, 5, 6, 7})


def _wrong(detail: str) -> FormatError:
    return FormatError("contact-export.malformed", f"contact export: {detail}")


@dataclass(frozen=True, slots=True)
class Entry:
    """One contact.

    Attributes:
        key: root key, 32 bytes.
        name: what its owner calls it, 1 to 1024 bytes, one line.
        card: COSE bytes of its card, or None; not looked at yet.
        relation: COSE bytes of both sides in the order of the parties, or None; not looked at yet.
        attributes: what is known of it besides, at most 64, as in a profile.
        notes: the owner's own, 1 to 8192 bytes, or None.
        compared_day: when its owner compared safety words with the contact, days since 1970-01-01, or None.

    Raises:
        FormatError: ``contact-export.malformed``, ``card.attributes``, ``key.malformed``.
    """

    key: bytes
    name: str
    card: bytes | None = None
    relation: tuple[bytes, bytes] | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    notes: str | None = None
    compared_day: int | None = None

    def __post_init__(self) -> None:
        ed25519.check_encoding(self.key)
        fault = text_fault(self.name, MAX_NAME_BYTES)
        if fault or "\n" in self.name:
            raise _wrong(f"a name: {fault or 'more than one line'}")
        if self.card is not None and not 1 <= len(self.card) <= MAX_CARD_BYTES:
            raise _wrong(f"a card has 1 to {MAX_CARD_BYTES} bytes")
        if self.relation and not all(1 <= len(side) <= MAX_RELATION_BYTES for side in self.relation):
            raise _wrong(f"each side of a relation has 1 to {MAX_RELATION_BYTES} bytes")
        if self.attributes:
            check_attributes(self.attributes, MAX_ATTRIBUTES)
        if self.notes is not None and (fault := text_fault(self.notes, MAX_NOTE_BYTES)):
            raise _wrong(f"notes: {fault}")
        if self.compared_day is not None and not 0 <= self.compared_day <= LAST_DAY:
            raise _wrong("the day on which safety words were compared")

    def to_cbor(self) -> Map:
        """Return the map of the CDDL."""
        data: Map = {1: self.key, 2: self.name}
        if self.card is not None:
            data[3] = self.card
        if self.relation is not None:
            data[4] = list(self.relation)
        if self.attributes:
            attributes: Map = {}
            attributes.update(self.attributes)
            data[5] = attributes
        if self.notes is not None:
            data[6] = self.notes
        if self.compared_day is not None:
            data[7] = self.compared_day
        return data

    @classmethod
    def from_cbor(cls, value: Value) -> Entry:
        """Read the map of the CDDL; raises as the class does."""
        if type(value) is not dict or not _ENTRY_REQUIRED <= value.keys() <= _ENTRY_KNOWN:
            raise _wrong("a contact has a field missing or unknown")
        key, name = value[1], value[2]
        if type(key) is not bytes or type(name) is not str:
            raise _wrong("a contact needs a key and a name")
        card, notes, compared = value.get(3, b""), value.get(6, ""), value.get(7, 0)
        if type(card) is not bytes or type(notes) is not str or type(compared) is not int:
            raise _wrong("a card is a byte string, notes are a text, a day is a number")
        relation = _sides(value[4]) if 4 in value else None
        attributes = read_attributes(value[5]) if 5 in value else {}
        if 5 in value and not attributes:
            raise _wrong("a map of attributes that is empty")
        return cls(
            key,
            name,
            card if 3 in value else None,
            relation,
            attributes,
            notes if 6 in value else None,
            compared if 7 in value else None,
        )


def _sides(value: Value) -> tuple[bytes, bytes]:
    if type(value) is not list or len(value) != 2:
        raise _wrong("a relation has two sides")
    lower, higher = value
    if type(lower) is not bytes or type(higher) is not bytes:
        raise _wrong("a relation has two sides")
    return lower, higher


@dataclass(frozen=True, slots=True)
class ContactExport:
    """A contact list.

    Attributes:
        identity: root key of whose list it is, 32 bytes.
        day: when it was made, days since 1970-01-01.
        nonce: 16 random bytes.
        entries: at most 50,000, ascending by key.

    Raises:
        FormatError: ``contact-export.malformed``, ``key.malformed``.
    """

    TYP: ClassVar[str] = "application/walletcli-contact-export+cose"

    identity: bytes
    day: int
    nonce: bytes
    entries: tuple[Entry, ...]

    def __post_init__(self) -> None:
        ed25519.check_encoding(self.identity)
        if not 0 <= self.day <= LAST_DAY or len(self.nonce) != NONCE_BYTES:
            raise _wrong(f"needs a day and a nonce of {NONCE_BYTES} bytes")
        _check_order([entry.key for entry in self.entries])

    def to_payload(self) -> bytes:
        """Encode what is signed.

        Raises:
            FormatError: ``contact-export.too-long``.
        """
        entries: list[Value] = [entry.to_cbor() for entry in self.entries]
        data = cbor.encode({1: VERSION, 2: self.identity, 3: self.day, 4: self.nonce, 5: entries})
        if len(data) > MAX_EXPORT_BYTES - 256:
            raise FormatError(
                "contact-export.too-long", f"an export has at most {MAX_EXPORT_BYTES} bytes", "export fewer contacts"
            )
        return data

    @classmethod
    def from_payload(cls, data: bytes) -> ContactExport:
        """Decode what is signed; exactly one encoding is accepted.

        Raises:
            FormatError: ``contact-export.unknown-version``, ``contact-export.malformed``, ``card.attributes``,
                ``key.malformed``, ``cbor.*``.
        """
        fields = cbor.decode(data, MAX_EXPORT_BYTES)
        if type(fields) is not dict or fields.get(1) != VERSION or type(fields[1]) is not int:
            raise FormatError(
                "contact-export.unknown-version", "the export is of a version not known here", "update walletcli"
            )
        if fields.keys() != _KEYS:
            raise _wrong("a field is missing or unknown")
        _, identity, day, nonce, entries = fields.values()  # in the order of the keys
        if type(identity) is not bytes or type(day) is not int or type(nonce) is not bytes or type(entries) is not list:
            raise _wrong("needs a key, a day, a nonce and a list")
        if len(entries) > MAX_ENTRIES:
            raise _wrong(f"at most {MAX_ENTRIES} contacts")
        return cls(identity, day, nonce, tuple(map(Entry.from_cbor, entries)))


def _check_order(keys: list[bytes]) -> None:
    if len(keys) > MAX_ENTRIES:
        raise _wrong(f"at most {MAX_ENTRIES} contacts")
    if any(map(bytes.__ge__, keys, keys[1:])):
        raise _wrong("contacts are repeated or out of order")


def verify_export(data: bytes) -> tuple[ContactExport, Sign1]:
    """Decode an export and check its signature, but not yet whether its signer may sign it, nor what it holds.

    Raises:
        FormatError: ``cose.*``, ``contact-export.*``, ``card.attributes``, ``key.malformed``, ``cbor.*``.
        VerificationError: ``signature.invalid``.
    """
    return verify_statement(data, ContactExport, MAX_EXPORT_BYTES)


@dataclass(frozen=True, slots=True)
class VerifiedEntry:
    """A contact whose card and relation were looked at; a bad one disables itself and nothing else.

    Attributes:
        entry: as it stands in the export.
        card: its card, or None.
        card_signer: who signed the card, or None.
        relation: its relation, both signatures checked, or None.
        errors: what is wrong with card and relation.
    """

    entry: Entry
    card: Card | None = None
    card_signer: bytes | None = None
    relation: SignedRelation | None = None
    errors: tuple[WalletError, ...] = ()


def verify_entries(export: ContactExport) -> Iterator[VerifiedEntry]:
    """Check the cards and relations of an export: form, signatures, and that they are of the contacts they stand at.

    Whether a card's or a relation's signer may sign, and whether it holds today, is for who knows the contacts'
    records: `Card.check_day`, `SignedRelation.check_side`, `walletcli.core.authority`.
    """
    decoded = [_decoded(entry) for entry in export.entries]
    for entry, card in zip(export.entries, decoded, strict=True):
        yield _verified(export.identity, entry, card)


def _decoded(entry: Entry) -> tuple[Card, Sign1] | WalletError | None:
    if entry.card is None:
        return None
    try:
        sign1 = Sign1.from_bytes(entry.card, MAX_CARD_BYTES)
        if sign1.typ != Card.TYP:
            raise FormatError("cose.type", "what stands in the place of a card is something else")
        card = Card.from_payload(sign1.payload)
    except FormatError as error:
        return error
    if card.identity != entry.key:
        return VerificationError("contact-export.card", "a contact's card is somebody else's")
    return card, sign1


def _verified(owner: bytes, entry: Entry, decoded: tuple[Card, Sign1] | WalletError | None) -> VerifiedEntry:
    errors: list[WalletError] = []
    card = signer = relation = None
    if isinstance(decoded, WalletError):
        errors.append(decoded)
    elif decoded is not None:
        try:
            decoded[1].verify()
            card, signer = decoded[0], decoded[1].signer
        except VerificationError as error:
            errors.append(error)
    if entry.relation is not None:
        try:
            relation = _relation(owner, entry.key, entry.relation)
        except (FormatError, VerificationError) as error:
            errors.append(error)
    return VerifiedEntry(entry, card, signer, relation, tuple(errors))


def _relation(owner: bytes, contact: bytes, sides: tuple[bytes, bytes]) -> SignedRelation:
    found = verify_relation(*sides)
    if found.relation.parties != (min(owner, contact), max(owner, contact)):
        raise VerificationError("relation.parties", "the relation is between other identities")
    return found
