"""Exports: a bad card or relation spoils itself and nothing else; sizes; sealing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.core.samples import ALICE, BOB, DAY, entropy, key, scalar, sealing_key
from tests.vectors.cases_contact import bobs_entry
from walletcli.core import sealed
from walletcli.core.card import Card
from walletcli.core.contact_export import (
    MAX_ENTRIES,
    MAX_EXPORT_BYTES,
    ContactExport,
    Entry,
    VerifiedEntry,
    verify_entries,
    verify_export,
)
from walletcli.core.cose import Sign1
from walletcli.core.export_file import MAX_FILE_BYTES, OpenExport, SealedExport, read_export_file
from walletcli.core.relation import Relation
from walletcli.core.short_record import MAX_SHORT_BYTES
from walletcli.errors import FormatError, VerificationError

CAROL = key("carol")
BOBS = bobs_entry()


def export_of(*entries: Entry) -> ContactExport:
    return ContactExport(ALICE.public_key, DAY, bytes(16), tuple(sorted(entries, key=lambda item: item.key)))


def signed(export: ContactExport) -> bytes:
    return Sign1.sign(ALICE, ContactExport.TYP, export.to_payload()).to_bytes()


def only(entry: Entry) -> VerifiedEntry:
    export, _ = verify_export(signed(export_of(entry)))
    (found,) = verify_entries(export)
    assert found.entry == entry
    return found


def test_a_contact_with_everything_comes_back() -> None:
    found = only(BOBS)
    assert found.errors == () and found.card is not None and found.relation is not None
    assert found.card.name == "Bob" and found.card_signer == BOB.public_key
    assert found.relation.is_whole
    found.relation.check_side(ALICE.public_key, None, DAY)


def carols_card() -> bytes:
    return Sign1.sign(CAROL, Card.TYP, Card(CAROL.public_key, {"name": "Bob"}, DAY, DAY + 1).to_payload()).to_bytes()


def carols_relation() -> tuple[bytes, bytes]:
    payload = Relation.between(CAROL.public_key, BOB.public_key, bytes(16), DAY, DAY + 1).to_payload()
    low, high = sorted((CAROL, BOB), key=lambda item: item.public_key)
    return (
        Sign1.sign(low, Relation.TYP, payload).to_bytes(),
        Sign1.sign(high, Relation.TYP, payload).to_bytes(),
    )


assert BOBS.card is not None and BOBS.relation is not None
ALTERED_CARD = BOBS.card[:-1] + bytes([BOBS.card[-1] ^ 1])
BAD_PARTS = {
    "somebody else's card": (replace(BOBS, card=carols_card()), "contact-export.card"),
    "an altered card": (replace(BOBS, card=ALTERED_CARD), "signature.invalid"),
    "no card at all": (replace(BOBS, card=b"x"), "cbor.truncated"),
    "a relation for a card": (replace(BOBS, card=BOBS.relation[0]), "cose.type"),
    "somebody else's relation": (replace(BOBS, relation=carols_relation()), "relation.parties"),
    "one side twice": (replace(BOBS, relation=(BOBS.relation[0], BOBS.relation[0])), "relation.same-signer"),
    "a card for a relation": (replace(BOBS, relation=(BOBS.relation[0], BOBS.card)), "cose.type"),
}


@pytest.mark.parametrize("name", BAD_PARTS)
def test_a_bad_part_spoils_itself_only(name: str) -> None:
    entry, code = BAD_PARTS[name]
    found = only(entry)
    assert [error.code for error in found.errors] == ([code] if code else [])
    if entry.card != BOBS.card:
        assert found.card is None and found.relation is not None
    if entry.relation != BOBS.relation:
        assert found.relation is None and found.card is not None


def test_what_is_good_stays_good_beside_what_is_bad() -> None:
    export = export_of(replace(BOBS, card=ALTERED_CARD), Entry(CAROL.public_key, "Carol", carols_card()))
    found = {item.entry.name: item for item in verify_entries(export)}
    assert found["Carol"].card is not None and not found["Carol"].errors
    assert found["Bob at work"].card is None


def test_an_export_is_opened_by_its_recipients_only() -> None:
    file = OpenExport(signed(export_of(BOBS)), b"record")
    data = file.seal([sealing_key("alice"), sealing_key("device")], entropy("sealing")).to_bytes()
    assert b"Bob" not in data
    found = read_export_file(data)
    assert isinstance(found, SealedExport)
    assert found.open(scalar("alice")) == found.open(scalar("device")) == file
    with pytest.raises(VerificationError) as raised:
        found.open(scalar("mallory"))
    assert raised.value.code == "sealed.not-for-you"


def test_sealed_bytes_of_another_place_do_not_open() -> None:
    blob = sealed.seal(b"\x82\x41x\xf6", [sealing_key("alice")], entropy("x"), b"another place")
    with pytest.raises(VerificationError) as raised:
        SealedExport(blob).open(scalar("alice"))
    assert raised.value.code == "sealed.not-for-you"


def test_sealed_bytes_that_hold_no_export_are_refused() -> None:
    blob = sealed.seal(b"\x83\x00\x41x\xf6", [sealing_key("alice")], entropy("x"), b"walletcli contact export 1")
    with pytest.raises(FormatError) as raised:
        SealedExport(blob).open(scalar("alice"))
    assert raised.value.code == "contact-export.file"


def test_the_longest_export_can_be_sealed_with_the_longest_record() -> None:
    plaintext = OpenExport(bytes(MAX_EXPORT_BYTES), bytes(MAX_SHORT_BYTES)).seal([sealing_key("a")], entropy("x"))
    assert len(plaintext.to_bytes()) <= MAX_FILE_BYTES


def test_what_would_be_too_long_is_not_signed() -> None:
    many = tuple(
        Entry(who, "x", attributes={f"a{n}": "x" * 1024 for n in range(64)})
        for who in (n.to_bytes(32, "big") for n in range(300, 1400) if n % 256 != 128)
    )
    with pytest.raises(FormatError) as raised:
        ContactExport(ALICE.public_key, DAY, bytes(16), many).to_payload()
    assert raised.value.code == "contact-export.too-long"


def test_too_many_contacts_are_refused() -> None:
    entry = Entry(BOB.public_key, "x")
    with pytest.raises(FormatError) as raised:
        ContactExport(ALICE.public_key, DAY, bytes(16), (entry,) * (MAX_ENTRIES + 1))
    assert raised.value.code == "contact-export.malformed"


@pytest.mark.parametrize("data", [b"", b"walletcli contact export 2\n", bytes(MAX_FILE_BYTES + 1)])
def test_what_is_no_export_file_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError) as raised:
        read_export_file(data)
    assert raised.value.code == "contact-export.file"
