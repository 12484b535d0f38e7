"""The book of providers: one encoding, strict reading, and changes that do not overwrite another process's."""

from __future__ import annotations

import pytest

from walletcli.core import cbor
from walletcli.errors import InputError, WalletError
from walletcli.wallet.access.session import Session
from walletcli.wallet.identities import create_identity
from walletcli.wallet.providers.book import (
    DRAWER,
    MAX_ENTRIES,
    KitChoice,
    ProviderBook,
    ProviderEntry,
    Role,
    change_book,
    read_book,
)
from walletcli.wallet.state.changes import PutDrawer, Rename

ONE = ProviderEntry(b"\1" * 32, "http://127.0.0.1:7411")
OTHER = ProviderEntry(b"\2" * 32, "https://node.example", Role.KIT)
BOOK = ProviderBook((ONE, OTHER), KitChoice("/media/stick/kit", 20_000))
ROWS = [[b"\1" * 32, "http://127.0.0.1:7411", 1, None]]


@pytest.mark.parametrize("book", [ProviderBook(), ProviderBook((ONE,)), ProviderBook((), KitChoice()), BOOK])
def test_a_book_comes_back_as_it_was(book: ProviderBook) -> None:
    assert ProviderBook.from_bytes(book.to_bytes()) == book


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({1: 2, 2: []}, "provider-book.unknown-version"),
        ({1: 1}, "provider-book.malformed"),
        ({1: 1, 2: [], 9: 1}, "provider-book.malformed"),
        ({1: 1, 2: [*ROWS, *ROWS]}, "provider-book.malformed"),
        ({1: 1, 2: [[b"\2" * 32, "http://a.example", 1, None], *ROWS]}, "provider-book.malformed"),
        ({1: 1, 2: [[b"\1" * 31, "http://a.example", 1, None]]}, "provider-book.malformed"),
        ({1: 1, 2: [[b"\1" * 32, "http://a.example/", 1, None]]}, "provider-book.malformed"),
        ({1: 1, 2: [[b"\1" * 32, "gopher://a.example", 1, None]]}, "provider-book.malformed"),
        ({1: 1, 2: [[b"\1" * 32, "http://a.example", 3, None]]}, "provider-book.malformed"),
        ({1: 1, 2: [[b"\1" * 32, "http://a.example", 1]]}, "provider-book.malformed"),
        ({1: 1, 2: [[b"\1" * 32, "http://a.example", 1, -1]]}, "provider-book.malformed"),
        ({1: 1, 2: [], 3: ["", 5]}, "provider-book.malformed"),
        ({1: 1, 2: [], 3: ["/a"]}, "provider-book.malformed"),
        ({1: 1, 2: [], 3: ["/" + "a" * 4096, None]}, "provider-book.malformed"),
        ({1: 1, 2: [[bytes([n]) * 32, "http://a.example", 1, None] for n in range(65)]}, "provider-book.malformed"),
    ],
)
def test_what_is_no_book_is_refused(fields: dict[int, object], code: str) -> None:
    with pytest.raises(WalletError) as caught:
        ProviderBook.from_bytes(cbor.encode(fields))
    assert caught.value.code == code


def test_when_there_are_too_many_those_left_longest_ago_are_forgotten() -> None:
    book = ProviderBook()
    for number in range(MAX_ENTRIES):
        day = 20_000 - number if number % 2 else None
        book = book.with_entry(ProviderEntry(bytes([number]) * 32, "http://a.example", left_day=day))
    book = book.with_entry(ProviderEntry(b"\xff" * 32, "http://a.example"))
    assert len(book.entries) == MAX_ENTRIES
    assert book.get(bytes([63]) * 32) is None
    assert book.get(bytes([61]) * 32) is not None


def test_bound_providers_are_never_forgotten() -> None:
    book = ProviderBook(tuple(ProviderEntry(bytes([n]) * 32, "http://a.example") for n in range(MAX_ENTRIES)))
    with pytest.raises(InputError) as caught:
        book.with_entry(ProviderEntry(b"\xff" * 32, "http://a.example"))
    assert caught.value.code == "provider.too-many"
    assert book.with_entry(ProviderEntry(b"\0" * 32, "http://b.example")).get(b"\0" * 32) is not None


@pytest.mark.parametrize("path", ["/" + "a" * 4096, "/a\0b", "/a\udcff"])
def test_a_path_that_cannot_be_kept_is_refused(path: str) -> None:
    with pytest.raises(InputError) as caught:
        KitChoice(path)
    assert caught.value.code == "exit-kit.path"


def test_a_change_is_made_to_what_is_there_and_with_what_goes_along(either_session: Session) -> None:
    index = create_identity(either_session, "alice").index
    assert read_book(either_session, index) == ProviderBook()
    change_book(either_session, index, lambda book: book.with_entry(ONE))
    change_book(either_session, index, lambda book: book.with_entry(OTHER), lambda: [Rename(index, "bob")])
    assert read_book(either_session, index).entries == (ONE, OTHER)
    assert [summary.label for summary in either_session.summaries()] == ["bob"]


def test_a_change_is_made_again_when_another_process_was_quicker(session: Session) -> None:
    index = create_identity(session, "alice").index
    tries = []

    def change(book: ProviderBook) -> ProviderBook:
        tries.append(book)
        if len(tries) == 1:
            session.put_drawers(PutDrawer(index, DRAWER, ProviderBook((OTHER,)).to_bytes(), None))
        return book.with_entry(ONE)

    change_book(session, index, change)
    assert read_book(session, index).entries == (ONE, OTHER)
    assert len(tries) == 2
