"""What comes from other people: cards, relations, exports, their files and links, and vCards."""

from __future__ import annotations

import json

from tests.fuzz.target import Target
from tests.fuzz.targets.formats import DAY, KEY, RECIPIENT
from walletcli.core import x25519
from walletcli.core.card import Card, CardFile, from_link, to_link
from walletcli.core.contact_export import ContactExport, Entry, verify_entries
from walletcli.core.cose import Sign1
from walletcli.core.ed25519 import SigningKey
from walletcli.core.export_file import OpenExport, SealedExport, read_export_file
from walletcli.core.look_alike import looks_alike, mixes_scripts
from walletcli.core.relation import Relation, RelationFile, verify_relation
from walletcli.core.relation import from_link as relation_from_link
from walletcli.core.relation import to_link as relation_to_link
from walletcli.core.secret import Secret
from walletcli.core.vcard import VCard
from walletcli.errors import WalletError
from walletcli.wallet.contacts.book import ContactBook, merge
from walletcli.wallet.contacts.contact import Contact, HeldCard, HeldRelation, Sighting, Standing
from walletcli.wallet.vcards import Version, read_vcards, write_vcards

OTHER = SigningKey(Secret(bytes(range(64, 96))))


def check_card(data: bytes) -> bool:
    """One encoding per card, its payload signed by us or not."""
    try:
        card = Card.from_payload(data)
    except WalletError:
        return False
    assert card.to_payload() == data
    return True


def check_card_file(data: bytes) -> bool:
    """One encoding per card file."""
    try:
        file = CardFile.from_bytes(data)
    except WalletError:
        return False
    assert file.to_bytes() == data
    return True


def check_card_link(data: bytes) -> bool:
    """A link is what its card gives, but for case and white space."""
    text = data.decode("utf-8", "surrogateescape")
    try:
        card = from_link(text)
    except WalletError:
        return False
    assert to_link(card).lower() == text.strip().lower()
    return True


def check_relation(data: bytes) -> bool:
    """A relation that anybody could have signed verifies when we sign it."""
    try:
        relation = Relation.from_payload(data)
    except WalletError:
        return False
    assert relation.to_payload() == data
    signed = Sign1.sign(KEY, Relation.TYP, data).to_bytes()
    assert verify_relation(signed, None).relation == relation
    return True


def check_relation_file(data: bytes) -> bool:
    """One encoding per relation file."""
    try:
        file = RelationFile.from_bytes(data)
    except WalletError:
        return False
    assert file.to_bytes() == data
    try:
        verify_relation(*file.signed)
    except WalletError:
        return False
    return True


def check_export(data: bytes) -> bool:
    """One encoding per export; whatever stands in its entries is verified or gives an error of ours."""
    try:
        export = ContactExport.from_payload(data)
    except WalletError:
        return False
    assert export.to_payload() == data
    assert len(list(verify_entries(export))) == len(export.entries)
    return True


def check_export_file(data: bytes) -> bool:
    """One encoding per export file, open or sealed."""
    try:
        file = read_export_file(data)
        assert file.to_bytes() == data
        if isinstance(file, SealedExport):
            file.open(RECIPIENT)
    except WalletError:
        return False
    return True


def check_vcards(data: bytes) -> bool:
    """What is taken of a file of vCards is written and read again as the same, in both versions."""
    try:
        found = read_vcards(data)
    except WalletError:
        return False
    cards = [item.card for item in found.cards]
    for version in Version if cards else ():
        again = read_vcards(write_vcards(cards, version))
        assert [item.card for item in again.cards] == cards and not again.refused
    json.dumps([bad.error.to_json() for bad in found.refused])
    return bool(cards)


def check_names(data: bytes) -> bool:
    """Any two texts can be compared, in either order."""
    one, _, other = data.decode("utf-8", "replace").partition("\n")
    mixes_scripts(one)
    assert looks_alike(one, other) == looks_alike(other, one)
    return looks_alike(one, other)


def _cards() -> list[Card]:
    return [
        Card(KEY.public_key, {"name": "Ada"}, DAY, DAY + 30),
        Card(KEY.public_key, {"name": "Zoë ☿", "url": "https://x", "0": "\n"}, 0, 1, ("a", "https://relay.example")),
    ]


def check_relation_link(data: bytes) -> bool:
    """A link is what its sides give, but for case and white space."""
    text = data.decode("utf-8", "surrogateescape")
    try:
        file = relation_from_link(text)
    except WalletError:
        return False
    assert relation_to_link(file.signed).lower() == text.strip().lower()
    return True


def check_contact_book(data: bytes) -> bool:
    """One encoding per book; merging with itself and with nothing keeps it."""
    try:
        book = ContactBook.from_bytes(data)
    except WalletError:
        return False
    assert book.to_bytes() == data
    assert ContactBook(book).to_bytes() == data
    assert merge(ContactBook(), book, ContactBook()) == book
    return True


def _books() -> list[bytes]:
    sighting = Sighting(9, DAY, Standing.RETIRED, (bytes(32),), ("https://a.example",), (bytes(32),), {"tel": "1"})
    full = Contact(
        KEY.public_key, "Ada", DAY, HeldCard(b"card", DAY), DAY, HeldRelation((b"one", b"other"), DAY), b"offer", DAY,
        ("a", "note\nof two lines"), {"email": "a@example.org"}, "uid", ("https://b.example",), ("tel",), sighting,
    )  # fmt: skip
    return [ContactBook().to_bytes(), ContactBook([full, Contact(bytes(16), "Eve", DAY)]).to_bytes()]


def _relation() -> Relation:
    return Relation.between(KEY.public_key, OTHER.public_key, bytes(16), DAY, DAY + 30)


def _sides() -> tuple[bytes, bytes]:
    lower, higher = sorted((KEY, OTHER), key=lambda item: item.public_key)
    payload = _relation().to_payload()
    return (
        Sign1.sign(lower, Relation.TYP, payload).to_bytes(),
        Sign1.sign(higher, Relation.TYP, payload).to_bytes(),
    )


def _export() -> ContactExport:
    card = Sign1.sign(OTHER, Card.TYP, Card(OTHER.public_key, {}, DAY, DAY + 1).to_payload()).to_bytes()
    entry = Entry(OTHER.public_key, "Bob", card, _sides(), {"email": "b@example.org"}, "notes\nof two lines")
    return ContactExport(KEY.public_key, DAY, bytes(16), (entry,))


def _export_files() -> list[bytes]:
    opened = OpenExport(Sign1.sign(KEY, ContactExport.TYP, _export().to_payload()).to_bytes(), b"record")
    sealed = opened.seal([x25519.public_key(RECIPIENT)], lambda count: bytes(range(count % 256)).ljust(count, b"x"))
    return [opened.to_bytes(), sealed.to_bytes()]


def _vcards() -> list[bytes]:
    attributes = {
        "email.work": "a@example.org",
        "tel.cell.2": "1",
        "org": "x;y",
        "adr.street": "a\nb",
        "bday": "--01-02",
    }
    cards = [VCard("Ada"), VCard("Zoë, Ω;", "uid", KEY.public_key, "note\nof two lines", attributes)]
    made = [write_vcards(cards, version) for version in Version]
    named = "BEGIN:VCARD\nVERSION:3.0\nN;CHARSET=latin1:Müller;J\nitem1.TEL;HOME;type=pref:1\nNOTE:a\n b\nEND:VCARD\n"
    return [*made, named.encode("latin-1"), made[1].decode().encode("utf-16")]


TARGETS = [
    Target("card", check_card, lambda: [card.to_payload() for card in _cards()]),
    Target(
        "card-file",
        check_card_file,
        lambda: [CardFile(b"card").to_bytes(), CardFile(b"card", b"record").to_bytes()],
    ),
    Target("card-link", check_card_link, lambda: [to_link(b"\0").encode(), to_link(bytes(range(99))).upper().encode()]),
    Target("relation", check_relation, lambda: [_relation().to_payload()], 512),
    Target(
        "relation-file",
        check_relation_file,
        lambda: [RelationFile(_sides()).to_bytes(), RelationFile((_sides()[0], None), (b"record", None)).to_bytes()],
    ),
    Target("contact-export", check_export, lambda: [_export().to_payload()]),
    Target("export-file", check_export_file, _export_files),
    Target(
        "relation-link",
        check_relation_link,
        lambda: [relation_to_link(_sides()).encode(), relation_to_link((None, b"x" * 99)).upper().encode()],
    ),
    Target("contact-book", check_contact_book, _books),
    Target("vcards", check_vcards, _vcards),
    Target("names", check_names, lambda: ["Alice\nАlісе".encode(), b"a\nA"], 200),
]
