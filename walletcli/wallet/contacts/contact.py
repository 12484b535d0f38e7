"""One contact of a contact book, and its encoding.

Spec: docs/spec/contact-book.md, "Encoding".
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import pairwise
from typing import Any, Final, TypeVar

from walletcli.core import cbor
from walletcli.core.document import attribute_fault, text_fault
from walletcli.errors import FormatError
from walletcli.wallet.state.fields import MAX_UINT, Fields

KEY_BYTES: Final = 32
"""Length of a root key: the id of a contact with an identity."""

ANONYMOUS_BYTES: Final = 16
"""Length of the id of a contact without an identity."""

MAX_NAME_BYTES: Final = 1024
"""Longest name or UID, bytes of UTF-8."""

MAX_NOTE_BYTES: Final = 8192
"""Longest note, bytes of UTF-8."""

MAX_NOTES: Final = 64
"""Most notes of a contact."""

MAX_ATTRIBUTES: Final = 64
"""Most attributes of a contact, of a kind."""

MAX_PLACES: Final = 8
"""Most addresses of nodes of a kind."""

MAX_CONTACT_BYTES: Final = 131_072
"""Longest encoded contact."""

MAX_CARD_BYTES: Final = 4096
"""Longest card (docs/spec/contact.md)."""

MAX_RELATION_BYTES: Final = 512
"""Longest side of a relation (docs/spec/contact.md)."""

_WHAT: Final = "contact-book"
_PLACE: Final = re.compile(r"[!-~]{1,400}")
_ANONYMOUS_LABEL: Final = b"walletcli contact without identity 1"
_Container = TypeVar("_Container", tuple[bytes, ...], tuple[str, ...], dict[str, str])


class Standing(IntEnum):
    """What the newest record says of an identity as a whole."""

    IN_USE = 0
    RETIRED = 1
    SPLIT = 2


@dataclass(frozen=True, slots=True)
class HeldCard:
    """A contact's card.

    Attributes:
        data: its COSE bytes, 1 to 4096; their signature was checked.
        checked_day: when a record showed that its signer may sign it, days since 1970-01-01; None: not yet.
    """

    data: bytes
    checked_day: int | None


@dataclass(frozen=True, slots=True)
class HeldRelation:
    """A relation that both sides have signed.

    Attributes:
        sides: COSE bytes of 1 to 512 bytes in the order of the parties.
        day: when it was first stored.
    """

    sides: tuple[bytes, bytes]
    day: int


@dataclass(frozen=True, slots=True)
class Sighting:
    """What the newest verified record of a contact said.

    Attributes:
        seq: of its packet.
        day: of the look-up.
        standing: of the identity.
        providers: root keys of its providers, ascending.
        places: addresses of those.
        sealing_keys: X25519 keys of its devices, ascending.
        received: attributes that it shares with the owner of the book.
    """

    seq: int
    day: int
    standing: Standing = Standing.IN_USE
    providers: tuple[bytes, ...] = ()
    places: tuple[str, ...] = ()
    sealing_keys: tuple[bytes, ...] = ()
    received: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_ascending(self.providers, 16)
        _check_ascending(self.sealing_keys, 32)
        _check_places(self.places)
        if self.received:
            _check_attributes(self.received)

    def to_cbor(self) -> dict[int, object]:
        """Return the map of the CDDL."""
        data: dict[int, object] = {1: self.seq, 2: self.day, 3: int(self.standing)}
        parts = {4: list(self.providers), 5: list(self.places), 6: list(self.sealing_keys), 7: dict(self.received)}
        data.update((key, value) for key, value in parts.items() if value)
        return data

    @classmethod
    def from_cbor(cls, fields: Fields) -> Sighting:
        """Read the map of the CDDL; raises FormatError ``contact-book.malformed``."""
        found = cls(
            fields.integer(1),
            fields.integer(2),
            Standing(fields.integer(3, 0, 2)),
            _filled(fields.raws(4, KEY_BYTES)) if fields.has(4) else (),
            _filled(fields.texts(5)) if fields.has(5) else (),
            _filled(fields.raws(6, KEY_BYTES)) if fields.has(6) else (),
            _filled(fields.text_map(7)) if fields.has(7) else {},
        )
        fields.end()
        return found


@dataclass(frozen=True, slots=True)
class Contact:
    """What an identity knows of somebody.

    Attributes:
        id: root key of 32 bytes; 16 bytes for somebody without an identity.
        name: what the owner calls the contact, 1 to 1024 bytes, one line.
        added_day: when it was first stored, days since 1970-01-01.
        card: its card, or None.
        compared_day: when safety words were compared, or None.
        relation: signed by both, or None.
        offer: the owner's side of a relation that the contact has not answered (COSE), or None.
        blocked_day: since when it is blocked, or None.
        notes: the owner's own, ascending.
        attributes: what is known besides.
        uid: of the vCard that it came with, or None.
        places: addresses of nodes that are said to have its record.
        shared: names of attributes of the owner's profile that it may read, ascending.
        sighting: what its newest record said, or None.

    Raises:
        FormatError: ``contact-book.malformed``.
    """

    id: bytes
    name: str
    added_day: int
    card: HeldCard | None = None
    compared_day: int | None = None
    relation: HeldRelation | None = None
    offer: bytes | None = None
    blocked_day: int | None = None
    notes: tuple[str, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)
    uid: str | None = None
    places: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    sighting: Sighting | None = None

    def __post_init__(self) -> None:
        check_name(self.name)
        if len(self.id) != KEY_BYTES:
            self._check_anonymous()
        if self.notes:
            _check_notes(self.notes)
        if self.attributes:
            _check_attributes(self.attributes)
        if self.uid is not None:
            check_name(self.uid)
        if self.places:
            _check_places(self.places)
        if self.shared:
            _check_ascending(self.shared, MAX_ATTRIBUTES)
            if any(attribute_fault(name, "-") for name in self.shared):
                raise malformed("a name of an attribute")

    def _check_anonymous(self) -> None:
        if len(self.id) != ANONYMOUS_BYTES:
            raise malformed("an id has 32 bytes, or 16")
        if self.card or self.relation or self.offer or self.shared or self.sighting or self.compared_day is not None:
            raise malformed("a contact without an identity has none of its statements")

    @property
    def key(self) -> bytes | None:
        """Root key of its identity (32 bytes), or None if it has none."""
        return self.id if len(self.id) == KEY_BYTES else None

    @property
    def is_blocked(self) -> bool:
        """Whether the owner has blocked it."""
        return self.blocked_day is not None

    def to_bytes(self) -> bytes:
        """Encode all but id and name.

        Raises:
            FormatError: ``contact-book.malformed`` over 131,072 bytes.
        """
        data: dict[int, object] = {1: self.added_day}
        if self.card is not None:
            data[2] = [self.card.data, self.card.checked_day]
        if self.compared_day is not None:
            data[3] = self.compared_day
        if self.relation is not None:
            data[4] = [*self.relation.sides, self.relation.day]
        if self.offer is not None:
            data[5] = self.offer
        if self.blocked_day is not None:
            data[6] = self.blocked_day
        parts = {7: list(self.notes), 8: dict(self.attributes), 10: list(self.places), 11: list(self.shared)}
        data.update((key, value) for key, value in parts.items() if value)
        if self.uid is not None:
            data[9] = self.uid
        if self.sighting is not None:
            data[12] = self.sighting.to_cbor()
        encoded = cbor.encode(data)
        if len(encoded) > MAX_CONTACT_BYTES:
            raise malformed(f"a contact has at most {MAX_CONTACT_BYTES} bytes")
        return encoded

    @classmethod
    def from_bytes(cls, contact_id: bytes, name: str, data: bytes) -> Contact:
        """Decode what `to_bytes` wrote.

        Raises:
            FormatError: ``contact-book.malformed``, ``cbor.*``.
        """
        decoded = cbor.decode(data, MAX_CONTACT_BYTES)
        if isinstance(decoded, dict) and decoded.keys() == _CARD_ONLY:
            return cls(contact_id, name, _day(decoded[1]), _card(decoded[2]))
        fields = Fields(decoded, _WHAT)
        there = decoded if isinstance(decoded, dict) else {}
        added_day = fields.integer(1)
        parts = {part: read(fields) for key, (part, read) in _PARTS.items() if key in there}
        fields.end()
        return cls(contact_id, name, added_day, **parts)


def anonymous_id(name: str, attributes: Mapping[str, str], note: str | None, uid: str | None) -> bytes:
    """Return the id (16 bytes) of somebody without an identity: by the UID, or else by all that is known."""
    if uid is not None:
        said = b"\0" + uid.encode()
    else:
        said = b"\1" + cbor.encode([name, dict(attributes), note])
    return hashlib.sha256(_ANONYMOUS_LABEL + said).digest()[:ANONYMOUS_BYTES]


def check_name(name: str) -> None:
    """Check a name: one line of 1 to 1024 bytes, nothing that cannot be seen, no spaces at its ends.

    Raises:
        FormatError: ``contact-book.malformed``.
    """
    fault = text_fault(name, MAX_NAME_BYTES)
    if fault or "\n" in name or name != name.strip():
        raise malformed(f"a name: {fault or 'it is one line, without spaces at its ends'}")


def malformed(detail: str) -> FormatError:
    """Return ``contact-book.malformed``."""
    return FormatError("contact-book.malformed", f"contact book: {detail}")


def _day(value: object) -> int:
    if type(value) is not int or not 0 <= value <= MAX_UINT:
        raise malformed("a day is a number")
    return value


def _card(row: object) -> HeldCard:
    if type(row) is not list or len(row) != 2 or type(row[0]) is not bytes:
        raise malformed("a card and the day of its check are needed")
    return HeldCard(_statement(row[0], MAX_CARD_BYTES), _day(row[1]) if row[1] is not None else None)


def _relation(row: Fields) -> HeldRelation:
    sides = _statement(row.raw(0), MAX_RELATION_BYTES), _statement(row.raw(1), MAX_RELATION_BYTES)
    relation = HeldRelation(sides, row.integer(2))
    row.end()
    return relation


def _statement(data: bytes, max_bytes: int) -> bytes:
    if not 1 <= len(data) <= max_bytes:
        raise malformed(f"a statement has 1 to {max_bytes} bytes")
    return data


def _filled(value: _Container) -> _Container:
    if not value:
        raise malformed("a list or map that is empty")
    return value


_CARD_ONLY: Final = frozenset({1, 2})
"""The parts of nearly every contact: when it was stored, and its card."""

_PARTS: Final[dict[int, tuple[str, Callable[[Fields], Any]]]] = {
    2: ("card", lambda fields: _card(fields.items(2))),
    3: ("compared_day", lambda fields: fields.integer(3)),
    4: ("relation", lambda fields: _relation(Fields.of_row(fields.items(4), _WHAT))),
    5: ("offer", lambda fields: _statement(fields.raw(5), MAX_RELATION_BYTES)),
    6: ("blocked_day", lambda fields: fields.integer(6)),
    7: ("notes", lambda fields: _filled(fields.texts(7))),
    8: ("attributes", lambda fields: _filled(fields.text_map(8))),
    9: ("uid", lambda fields: fields.text(9)),
    10: ("places", lambda fields: _filled(fields.texts(10))),
    11: ("shared", lambda fields: _filled(fields.texts(11))),
    12: ("sighting", lambda fields: Sighting.from_cbor(fields.fields(12))),
}
"""What may be known of a contact: by key, the name of the part and what reads it."""


def _check_ascending(values: Sequence[bytes] | Sequence[str], most: int) -> None:
    encoded = [value.encode() if isinstance(value, str) else value for value in values]
    if len(encoded) > most or any(one >= other for one, other in pairwise(encoded)):
        raise malformed(f"at most {most} of a kind, ascending")


def _check_notes(notes: Sequence[str]) -> None:
    _check_ascending(notes, MAX_NOTES)
    for note in notes:
        fault = text_fault(note, MAX_NOTE_BYTES)
        if fault:
            raise malformed(f"a note: {fault}")


def _check_attributes(attributes: Mapping[str, str]) -> None:
    if len(attributes) > MAX_ATTRIBUTES:
        raise malformed(f"at most {MAX_ATTRIBUTES} attributes")
    for name, value in attributes.items():
        fault = attribute_fault(name, value)
        if fault:
            raise malformed(fault)


def _check_places(places: Sequence[str]) -> None:
    if len(places) > MAX_PLACES or len(set(places)) < len(places) or not all(map(_PLACE.fullmatch, places)):
        raise malformed(f"at most {MAX_PLACES} addresses of printable ASCII, no two alike")
