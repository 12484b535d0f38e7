"""Merges what two devices made of one contact.

Spec: docs/spec/contact-book.md, "Merge".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from walletcli.core import cbor
from walletcli.core.card import Card
from walletcli.core.cose import Sign1
from walletcli.core.relation import Relation
from walletcli.errors import FormatError
from walletcli.wallet.contacts.contact import (
    MAX_ATTRIBUTES,
    MAX_CARD_BYTES,
    MAX_NOTE_BYTES,
    MAX_NOTES,
    MAX_PLACES,
    MAX_RELATION_BYTES,
    Contact,
    HeldCard,
    HeldRelation,
    Sighting,
)

Value = TypeVar("Value")


def merge_contact(base: Contact | None, mine: Contact, theirs: Contact) -> Contact:
    """Return the contact with both sides' changes; the same whichever side is called mine.

    Args:
        base: what both started from, or None if both have added it.
        mine: one side.
        theirs: the other side; the same id.
    """
    name, other_name = _names(base, mine, theirs)
    notes = _union(base.notes if base is not None else (), mine.notes, theirs.notes)
    if other_name is not None:
        notes |= {_also_named(other_name)}
    before = base if base is not None else Contact(mine.id, mine.name, mine.added_day)
    return replace(
        mine,
        name=name,
        added_day=min(mine.added_day, theirs.added_day),
        card=_pick(before.card, mine.card, theirs.card, _higher(_card_order)),
        compared_day=_pick(before.compared_day, mine.compared_day, theirs.compared_day, _compared),
        relation=_pick(before.relation, mine.relation, theirs.relation, _higher(_relation_order)),
        offer=_pick(before.offer, mine.offer, theirs.offer, _higher(_offer_order)),
        blocked_day=_pick(before.blocked_day, mine.blocked_day, theirs.blocked_day, _higher(_earlier)),
        notes=_first(notes, MAX_NOTES),
        attributes=_attributes(before.attributes, mine.attributes, theirs.attributes),
        uid=_pick(before.uid, mine.uid, theirs.uid, _lower_text),
        places=_first(_union(before.places, mine.places, theirs.places), MAX_PLACES),
        shared=_first(_union(before.shared, mine.shared, theirs.shared), MAX_ATTRIBUTES),
        sighting=_pick(before.sighting, mine.sighting, theirs.sighting, _higher(_sighting_order)),
    )


def _pick(before: Value, one: Value, other: Value, both_changed: Callable[[Value, Value], Value]) -> Value:
    if one in (other, before):
        return other
    return one if other == before else both_changed(one, other)


def _names(base: Contact | None, mine: Contact, theirs: Contact) -> tuple[str, str | None]:
    """Return the name that stays, and the one that would be lost, if there is one."""
    if mine.name == theirs.name or (base is not None and theirs.name == base.name):
        return mine.name, None
    if base is not None and mine.name == base.name:
        return theirs.name, None
    kept, other = sorted((mine.name, theirs.name), key=str.encode)
    return kept, other


def _also_named(name: str) -> str:
    return f"also named: {name}".encode()[:MAX_NOTE_BYTES].decode(errors="ignore")


def _higher(order: Callable[[Value], Any]) -> Callable[[Value | None, Value | None], Value | None]:
    """Return a choice between two values: something is more than nothing, and of two the higher in `order`."""

    def choose(one: Value | None, other: Value | None) -> Value | None:
        if one is None or other is None:
            return one if other is None else other
        return max(one, other, key=order)

    return choose


def _earlier(day: int) -> int:
    return -day


def _compared(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else min(one, other)


def _lower_text(one: str | None, other: str | None) -> str | None:
    return min((text for text in (one, other) if text is not None), key=str.encode, default=None)


def _card_order(card: HeldCard) -> tuple[bool, int, int, bytes, int]:
    """Order cards; one whose signer was never checked may be anybody's, and never takes the place of one that was."""
    is_checked, since = card.checked_day is not None, -(card.checked_day or 0)
    try:
        said = Card.from_payload(Sign1.from_bytes(card.data, MAX_CARD_BYTES).payload)
    except FormatError:
        return is_checked, -1, -1, card.data, since
    return is_checked, said.day, said.not_after_day, card.data, since


def _offer_order(signed: bytes) -> tuple[int, bytes]:
    try:
        return Relation.from_payload(Sign1.from_bytes(signed, MAX_RELATION_BYTES).payload).day, signed
    except FormatError:
        return -1, signed


def _relation_order(relation: HeldRelation) -> tuple[int, tuple[bytes, bytes], int]:
    return _offer_order(relation.sides[0])[0], relation.sides, -relation.day


def later_card(one: HeldCard, other: HeldCard) -> HeldCard:
    """Return the card whose signer was checked, or else the one that was made later."""
    return max(one, other, key=_card_order)


def later_relation(one: HeldRelation, other: HeldRelation) -> HeldRelation:
    """Return the one that was offered later; both sides of two relations come to the same one."""
    return max(one, other, key=_relation_order)


def _sighting_order(sighting: Sighting) -> tuple[int, int, int, bytes]:
    return sighting.seq, sighting.day, int(sighting.standing), cbor.encode(sighting.to_cbor())


def _union(base: Iterable[str] | None, mine: Iterable[str], theirs: Iterable[str]) -> set[str]:
    """Return what both have, and what either has added; what either has removed is gone."""
    before, one, other = set(base or ()), set(mine), set(theirs)
    return (one & other) | (one - before) | (other - before)


def _first(values: Iterable[str], most: int) -> tuple[str, ...]:
    return tuple(sorted(values, key=str.encode)[:most])


def _attributes(base: Mapping[str, str], mine: Mapping[str, str], theirs: Mapping[str, str]) -> dict[str, str]:
    merged = {}
    for name in _first({*mine, *theirs}, len(mine) + len(theirs)):
        before, one, other = base.get(name), mine.get(name), theirs.get(name)
        if one == before or other == before:
            value = other if one == before else one
        else:
            value = max((text for text in (one, other) if text is not None), key=str.encode)
        if value is not None:
            merged[name] = value
    return dict(list(merged.items())[:MAX_ATTRIBUTES])
