"""The contact book: one encoding, limits, lazy reading, and writes that lose nothing."""

from __future__ import annotations

import multiprocessing
from dataclasses import replace

import pytest

from tests.core.samples import DAY
from tests.wallet.contacts.samples import anonymous, full, key, plain
from tests.wallet.parts import opened
from walletcli.core import cbor
from walletcli.errors import FormatError, InputError
from walletcli.wallet.access.session import Session
from walletcli.wallet.contacts import book as books
from walletcli.wallet.contacts.book import ContactBook, read_book, save_book
from walletcli.wallet.contacts.contact import Contact, HeldCard, Sighting, anonymous_id
from walletcli.wallet.home import Home
from walletcli.wallet.identities import create_identity
from walletcli.wallet.state.changes import Rename


def row_of(contact: Contact) -> list[object]:
    return [contact.id, contact.name, contact.to_bytes()]


def book_of(*rows: object) -> bytes:
    return cbor.encode({1: 1, 2: list(rows)})


def code_of(data: bytes) -> str:
    with pytest.raises(FormatError) as error:
        ContactBook.from_bytes(data)
    return error.value.code


def test_a_book_reads_back_as_it_was_written() -> None:
    contacts = [full("bob"), full("carol"), plain("dave"), anonymous("Eve from the fair")]
    data = ContactBook(contacts).to_bytes()
    book = ContactBook.from_bytes(data)
    assert sorted(book, key=lambda item: item.id) == sorted(contacts, key=lambda item: item.id)
    assert book.to_bytes() == data


def test_contacts_come_in_the_order_of_their_ids() -> None:
    ids = [contact.id for contact in ContactBook([full("bob"), full("carol"), anonymous("x")])]
    assert ids == sorted(ids)


@pytest.mark.parametrize(
    "data",
    [
        cbor.encode([]),
        cbor.encode({1: 1}),
        cbor.encode({1: 1, 2: {}}),
        cbor.encode({1: 1, 2: [], 3: 1}),
        book_of([bytes(32), "a"]),
        book_of([bytes(31), "a", b"\xa1\x01\x00"]),
        book_of([bytes(32), "", b"\xa1\x01\x00"]),
        book_of([bytes(32), "two\nlines", b"\xa1\x01\x00"]),
        book_of([bytes(32), " a", b"\xa1\x01\x00"]),
        book_of([bytes(32), "a\u202eb", b"\xa1\x01\x00"]),
        book_of([bytes(32), "a" * 1025, b"\xa1\x01\x00"]),
        book_of([bytes(32), "a", b""]),
        book_of([bytes(32), "a", cbor.encode({})]),
        book_of([bytes(32), "a", cbor.encode({1: 0, 13: 0})]),
        book_of([bytes(32), "a", cbor.encode({1: 0, 2: [b"", None]})]),
        book_of([bytes(32), "a", cbor.encode({1: 0, 2: [bytes(4097), None]})]),
        book_of([bytes(32), "a", cbor.encode({1: 0, 4: [b"x", b"y"]})]),
        book_of([bytes(32), "a", cbor.encode({1: 0, 4: [b"x", bytes(513), 0]})]),
        book_of([bytes(32), "a", cbor.encode({1: 0, 5: bytes(513)})]),
        book_of([bytes(32), "a", cbor.encode({1: 0, 7: []})]),
        book_of([bytes(32), "a", cbor.encode({1: 0, 7: ["b", "a"]})]),
        book_of([bytes(32), "a", cbor.encode({1: 0, 7: ["a", "a"]})]),
        book_of([bytes(32), "a", cbor.encode({1: 0, 7: ["a" * 8193]})]),
        book_of([bytes(32), "a", cbor.encode({1: 0, 8: {}})]),
        book_of([bytes(32), "a", cbor.encode({1: 0, 8: {"Upper": "x"}})]),
        book_of([bytes(32), "a", cbor.encode({1: 0, 8: {"a": "\x07"}})]),
        book_of([bytes(32), "a", cbor.encode({1: 0, 8: {f"a{n}": "x" for n in range(65)}})]),
        book_of([bytes(32), "a", cbor.encode({1: 0, 9: ""})]),
        book_of([bytes(32), "a", cbor.encode({1: 0, 10: ["http://a b"]})]),
        book_of([bytes(32), "a", cbor.encode({1: 0, 10: ["a", "a"]})]),
        book_of([bytes(32), "a", cbor.encode({1: 0, 10: [f"https://{n}" for n in range(9)]})]),
        book_of([bytes(32), "a", cbor.encode({1: 0, 11: ["Upper"]})]),
        book_of([bytes(32), "a", cbor.encode({1: 0, 12: {1: 0, 2: 0, 3: 3}})]),
        book_of([bytes(32), "a", cbor.encode({1: 0, 12: {1: 0, 2: 0, 3: 0, 4: [bytes(31)]}})]),
        book_of([bytes(32), "a", cbor.encode({1: 0, 12: {1: 0, 2: 0, 3: 0, 6: [bytes(32), bytes(32)]}})]),
        book_of([bytes(32), "a", cbor.encode({1: 0, 12: {1: 0, 2: 0, 3: 0, 7: {}}})]),
        book_of([bytes(16), "a", cbor.encode({1: 0, 2: [b"card", None]})]),
        book_of([bytes(16), "a", cbor.encode({1: 0, 3: 0})]),
        book_of([bytes(16), "a", cbor.encode({1: 0, 12: {1: 0, 2: 0, 3: 0}})]),
        book_of(row_of(plain("bob")), row_of(plain("bob"))),
        book_of(*sorted((row_of(plain("bob")), row_of(plain("carol"))), reverse=True)),
    ],
)
def test_what_is_not_as_specified_is_malformed(data: bytes) -> None:
    if data == cbor.encode([]):
        assert code_of(data) == "contact-book.unknown-version"
    else:
        assert code_of(data) == "contact-book.malformed"


@pytest.mark.parametrize("version", [0, 2, "1", True])
def test_another_version_is_refused(version: object) -> None:
    assert code_of(cbor.encode({1: version, 2: []})) == "contact-book.unknown-version"


def test_a_book_with_something_behind_it_is_refused() -> None:
    assert code_of(ContactBook([plain("bob")]).to_bytes() + b"\0") == "cbor.trailing"


def test_a_damaged_contact_is_found_at_once_in_a_foreign_book_and_when_it_is_asked_for_in_ones_own() -> None:
    data = book_of([key("bob").public_key, "bob", b"\xff"])
    assert code_of(data).startswith("cbor.")
    own = ContactBook.from_bytes(data, own=True)
    assert own.names() == {key("bob").public_key: "bob"}
    with pytest.raises(FormatError):
        own.get(key("bob").public_key)


def test_more_contacts_than_a_book_holds_are_refused_before_they_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(books, "MAX_CONTACTS", 2)
    with pytest.raises(InputError) as error:
        ContactBook([plain("a"), plain("b"), plain("c")]).to_bytes()
    assert error.value.code == "contact-book.too-many"
    assert "export" in error.value.hint


def test_a_book_over_32_mib_is_refused_with_a_way_out() -> None:
    notes = tuple(f"{n} ".ljust(8192, "x") for n in range(10, 25))
    with pytest.raises(InputError) as error:
        ContactBook([plain(f"contact {n}", notes=notes) for n in range(300)]).to_bytes()
    assert error.value.code == "contact-book.too-long"
    assert "shorten notes" in error.value.hint


def test_a_contact_that_is_too_long_is_refused() -> None:
    notes = tuple(f"{n} ".ljust(8192, "x") for n in range(10, 27))
    with pytest.raises(FormatError) as error:
        ContactBook([plain("bob", notes=notes)])
    assert error.value.code == "contact-book.malformed"


@pytest.mark.parametrize(
    "parts",
    [
        {"card": HeldCard(b"x", None)},
        {"compared_day": DAY},
        {"offer": b"x"},
        {"shared": ("phone",)},
        {"sighting": Sighting(1, DAY)},
    ],
)
def test_somebody_without_an_identity_has_no_statements_of_one(parts: dict[str, object]) -> None:
    with pytest.raises(FormatError):
        Contact(bytes(16), "Eve", DAY, **parts)  # type: ignore[arg-type]


def test_the_same_vcard_is_the_same_contact_and_a_uid_outlives_a_new_name() -> None:
    assert anonymous_id("Eve", {"tel": "1"}, None, None) == anonymous_id("Eve", {"tel": "1"}, None, None)
    assert anonymous_id("Eve", {"tel": "1"}, None, None) != anonymous_id("Eve", {"tel": "2"}, None, None)
    assert anonymous_id("Eve", {}, None, "u") == anonymous_id("Eva", {"tel": "1"}, "x", "u")
    assert anonymous_id("u", {}, None, None) != anonymous_id("x", {}, None, "u")


def test_an_identity_without_contacts_has_an_empty_book(either_session: Session) -> None:
    index = create_identity(either_session, "alice").index
    assert len(read_book(either_session, index)) == 0


def test_what_was_saved_is_read_again(either_session: Session) -> None:
    index = create_identity(either_session, "alice").index
    book = save_book(either_session, index, ContactBook(), ContactBook([full("bob")]))
    assert read_book(either_session, index) == book
    assert list(read_book(either_session, index)) == [full("bob")]


def test_each_identity_has_its_own_book(session: Session) -> None:
    alice, work = create_identity(session, "alice").index, create_identity(session, "work").index
    save_book(session, alice, ContactBook(), ContactBook([full("bob")]))
    assert len(read_book(session, work)) == 0


def test_what_another_process_wrote_meanwhile_is_merged_and_not_overwritten(session: Session) -> None:
    index = create_identity(session, "alice").index
    base = save_book(session, index, ContactBook(), ContactBook([plain("bob")]))
    save_book(session, index, base, base.with_contacts([plain("carol")]))
    renamed = base.with_contacts([replace(plain("bob"), name="Bob B.")])
    merged = save_book(session, index, base, renamed)
    assert sorted(contact.name for contact in merged) == ["Bob B.", "carol"]
    assert read_book(session, index) == merged


def test_what_goes_along_with_a_book_happens_with_it_or_not_at_all(session: Session) -> None:
    index = create_identity(session, "alice").index
    create_identity(session, "work")
    with pytest.raises(InputError):
        save_book(session, index, ContactBook(), ContactBook([plain("bob")]), lambda _: [Rename(index, "work")])
    assert len(read_book(session, index)) == 0
    save_book(session, index, ContactBook(), ContactBook([plain("bob")]), lambda _: [Rename(index, "alice 2")])
    assert len(read_book(session, index)) == 1


def test_nothing_is_written_when_nothing_changed(session: Session) -> None:
    index = create_identity(session, "alice").index
    book = save_book(session, index, ContactBook(), ContactBook([plain("bob")]))
    before = session.facts().generation
    save_book(session, index, book, book)
    assert session.facts().generation == before


def _add_many(path: str, index: int, prefix: str) -> None:
    with opened(Home(path)) as own:
        for number in range(5):
            book = read_book(own, index)
            save_book(own, index, book, book.with_contacts([plain(f"{prefix} {number}")]))


def test_two_processes_that_add_contacts_at_once_lose_none(wallet_home: Home) -> None:
    with opened(wallet_home) as own:
        index = create_identity(own, "alice").index
    context = multiprocessing.get_context("spawn")
    adders = [context.Process(target=_add_many, args=(wallet_home.path, index, name)) for name in ("one", "two")]
    for adder in adders:
        adder.start()
    for adder in adders:
        adder.join()
    assert [adder.exitcode for adder in adders] == [0, 0]
    with opened(wallet_home) as own:
        names = {contact.name for contact in read_book(own, index)}
    assert names == {f"{name} {number}" for name in ("one", "two") for number in range(5)}
