"""Finding, naming, annotating, blocking and removing contacts; and nothing of them in clear on the disk."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest

from tests.core.samples import key
from tests.wallet.contacts.people import TODAY, Owner, Stranger
from tests.wallet.contacts.samples import anonymous, plain
from walletcli.core.encodings import b32_encode, base58_encode
from walletcli.core.identity_id import IdentityId
from walletcli.errors import InputError, UsageError, WalletError
from walletcli.wallet.access.session import Session
from walletcli.wallet.contacts.adding import add_contact, introduction_from
from walletcli.wallet.contacts.book import ContactBook, save_book
from walletcli.wallet.contacts.editing import (
    block_contact,
    list_contacts,
    remove_contact,
    set_of_contact,
    show_contact,
    unset_of_contact,
)
from walletcli.wallet.contacts.lookup import find_contact, own_identity_of
from walletcli.wallet.contacts.report import ContactReport
from walletcli.wallet.home import Home
from walletcli.wallet.identities import create_identity


@pytest.fixture
def known(owner: Owner) -> Owner:
    """An owner with a few contacts."""
    contacts = [plain("bob"), plain("Zoë"), anonymous("Eve")]
    save_book(owner.session, owner.identity.index, owner.book, owner.book.with_contacts(contacts))
    return owner


def code_of(action: object, *args: object, **settings: object) -> str:
    with pytest.raises(WalletError) as error:
        action(*args, **settings)  # type: ignore[operator]
    assert error.value.hint
    return error.value.code


def test_a_contact_is_found_by_name_in_any_case_and_by_every_form_of_its_id(known: Owner) -> None:
    found = IdentityId(key("bob").public_key)
    for who in ("bob", "BOB", " bob ", found.did, found.did_dht, found.pk, found.z32):
        assert known.contact(who).name == "bob"
    assert known.contact(anonymous("Eve").id.hex()).name == "Eve"


def test_who_is_not_known_is_not_found(known: Owner) -> None:
    for who in ("", "nobody", IdentityId(key("nobody").public_key).did, "0" * 32, "did:key:x"):
        assert code_of(find_contact, known.book, who) == "contact.unknown"


def test_one_name_for_two_contacts_has_to_be_told_apart(known: Owner) -> None:
    set_of_contact(known.session, known.identity, "Zoë", "name", "Bob")
    with pytest.raises(InputError) as error:
        known.contact("bob")
    assert error.value.code == "contact.ambiguous"
    assert IdentityId(key("bob").public_key).did in error.value.message


def test_contacts_are_listed_by_name(known: Owner) -> None:
    assert [contact.name for contact in list_contacts(known.session, known.identity)] == ["bob", "Eve", "Zoë"]


def test_a_note_is_replaced_and_removed(known: Owner) -> None:
    set_of_contact(known.session, known.identity, "bob", "note", "one\ntwo")
    assert known.contact("bob").notes == ("one\ntwo",)
    set_of_contact(known.session, known.identity, "bob", "note", "three")
    assert known.contact("bob").notes == ("three",)
    unset_of_contact(known.session, known.identity, "bob", "note")
    assert known.contact("bob").notes == ()
    assert code_of(unset_of_contact, known.session, known.identity, "bob", "note") == "attribute.unknown"


def test_attributes_are_set_and_removed(known: Owner) -> None:
    set_of_contact(known.session, known.identity, "bob", "city", "Turin")
    assert known.contact("bob").attributes == {"city": "Turin"}
    unset_of_contact(known.session, known.identity, "bob", "city")
    assert known.contact("bob").attributes == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("City", "x"),
        ("city", ""),
        ("city", "x\x00"),
        ("city", "x" * 1025),
        ("note", ""),
        ("note", "x" * 8193),
        ("note", "a\u202eb"),
        ("name", "a\u202eb"),
        ("name", "x" * 1025),
        ("name", "  "),
    ],
)
def test_what_cannot_be_stored_is_refused(known: Owner, name: str, value: str) -> None:
    before = known.book
    code = code_of(set_of_contact, known.session, known.identity, "bob", name, value)
    assert code == ("contact.name" if name == "name" else "contact.value")
    assert known.book == before


def test_a_contact_has_at_most_64_attributes(known: Owner) -> None:
    full = plain("bob", attributes={f"a{number}": "x" for number in range(64)})
    save_book(known.session, known.identity.index, known.book, known.book.with_contacts([full]))
    args = (known.session, known.identity, "bob", "one-more", "x")
    assert code_of(set_of_contact, *args) == "contact.too-many-attributes"
    set_of_contact(known.session, known.identity, "bob", "a1", "y")


def test_blocking_is_dated_and_undone(known: Owner) -> None:
    assert block_contact(known.session, known.identity, "bob").blocked_day == TODAY
    assert block_contact(known.session, known.identity, "bob", blocked=False).blocked_day is None


def test_a_removed_contact_is_gone(known: Owner) -> None:
    assert remove_contact(known.session, known.identity, "bob").name == "bob"
    assert code_of(known.contact, "bob") == "contact.unknown"
    assert len(known.book) == 2


def test_a_name_that_looks_like_another_is_told_whenever_the_contact_is_shown(known: Owner) -> None:
    set_of_contact(known.session, known.identity, "Zoë", "name", "ВОВ")
    _, warnings = show_contact(known.session, known.identity, "ВОВ")
    assert any("looks like that of the contact 'bob'" in text for text in warnings)


def test_whose_contacts_are_meant_has_to_be_said_when_there_are_several(owner: Owner) -> None:
    assert own_identity_of(owner.session, None).label == "alice"
    create_identity(owner.session, "work")
    with pytest.raises(UsageError) as error:
        own_identity_of(owner.session, None)
    assert error.value.code == "contact.which-identity"
    assert own_identity_of(owner.session, "work").label == "work"


def test_a_wallet_without_identities_has_no_contacts(session: Session) -> None:
    assert code_of(own_identity_of, session, None) == "identity.none"


def test_a_report_tells_an_identity_that_was_never_looked_up_from_none(known: Owner) -> None:
    states = {contact.name: ContactReport.of(contact).state for contact in known.book}
    assert states == {"bob": "not looked up", "Zoë": "not looked up", "Eve": "no identity"}
    eve = ContactReport.of(known.contact("Eve")).to_json()
    assert (eve["did"], eve["verified"], eve["id"]) == (None, False, anonymous("Eve").id.hex())


def spellings(text: str) -> set[bytes]:
    """Return how a text may stand in a file; what is so short that ciphertext holds it by chance is left out."""
    utf8 = text.encode()
    found = {
        utf8, text.encode("utf-16-le"), text.encode("utf-16-be"), utf8.hex().encode(),
        base64.b64encode(utf8)[:-4], b32_encode(utf8)[:-4].encode(), base58_encode(utf8)[2:-2].encode(),
    }  # fmt: skip
    return {spelling for spelling in found if len(spelling) >= 5}


def test_nothing_of_contacts_is_in_clear_on_the_disk(owner: Owner, bob: Stranger, wallet_home: Home) -> None:
    add_contact(owner.session, owner.inquiry(), introduction_from(bob.card_file()), "Bob the Builder")
    set_of_contact(owner.session, owner.identity, "Bob the Builder", "note", "owes me a book")
    set_of_contact(owner.session, owner.identity, "Bob the Builder", "city", "Civitavecchia")
    found = IdentityId(bob.key)
    texts = [
        "alice", "Bob the Builder", "owes me a book", "Civitavecchia", found.did, found.z32, found.did[8:],
        bob.key.hex(), *found.aliases,
    ]  # fmt: skip
    wanted = {spelling for text in texts for spelling in spellings(text)} | {bob.key}
    files = [Path(folder) / name for folder, _, names in os.walk(wallet_home.path) for name in names]
    assert any(path.name == "wallet.vault" for path in files)
    for path in files:
        data = path.read_bytes() + path.name.encode()
        assert [spelling for spelling in wanted if spelling in data] == []


def test_a_full_drawer_is_an_error_that_changes_nothing(owner: Owner) -> None:
    notes = tuple(f"{n} ".ljust(8192, "x") for n in range(10, 25))
    big = ContactBook([plain(f"contact {n}", notes=notes) for n in range(272)])
    assert len(big.to_bytes()) < 32 << 20
    save_book(owner.session, owner.identity.index, ContactBook(), big)
    before = owner.session.facts().generation
    more = big.with_contacts([plain("one more", notes=notes), plain("two more", notes=notes)])
    with pytest.raises(InputError) as error:
        save_book(owner.session, owner.identity.index, big, more)
    assert error.value.code == "contact-book.too-long"
    assert owner.session.facts().generation == before
