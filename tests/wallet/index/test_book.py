"""What a wallet knows of its index: where identities stand, and the slots."""

from __future__ import annotations

from dataclasses import replace

import pytest

from walletcli.core import cbor
from walletcli.core.keys import Scheme
from walletcli.core.wallet_index import Ranges, ShardContent
from walletcli.errors import FormatError, NetworkError
from walletcli.wallet.access.session import Session
from walletcli.wallet.index.book import EVERY, FIRST, IndexBook, Shard, change_book, read_book

NOW_S = 1_700_000_000.0
DAY_S = 86_400
OURS = Scheme.WALLETCLI
NEW = IndexBook().planned(NOW_S)
ROW: list[object] = [{0: [0, 1]}, {}, 5, None, None, [], [], []]


def crowded(count: int) -> IndexBook:
    """Return a book whose identities lie so far apart that a shard has room for about 120."""
    return NEW.with_listed(OURS, range(0, count * 70_000, 70_000), NOW_S)


def test_a_book_comes_back_as_it_was() -> None:
    shard = replace(NEW.shards[0], seq=7, written_s=5, relays=("https://a.example",), fault=("code", "text"))
    book = replace(NEW.put(0, shard), is_on=False)
    assert IndexBook.from_bytes(book.to_bytes()) == book


@pytest.mark.parametrize(
    "fields",
    [
        {1: 1, 2: True, 3: 1, 4: []},
        {1: 1, 2: True, 3: 1, 4: [ROW, ROW, ROW]},
        {1: 1, 2: True, 3: 2, 4: [ROW]},
        {1: 1, 2: True, 3: 3, 4: [ROW] * 4},
        {1: 1, 2: 1, 3: 1, 4: [ROW]},
        {1: 1, 2: True, 3: 1, 4: [[*ROW, 1]]},
        {1: 1, 2: True, 3: 1, 4: [ROW[:-1]]},
        {1: 1, 2: True, 3: 1, 4: [[{4: [0, 1]}, *ROW[1:]]]},
        {1: 1, 2: True, 3: 1, 4: [[{0: []}, *ROW[1:]]]},
        {1: 1, 2: True, 3: 1, 4: [[*ROW[:-1], ["code"]]]},
        {1: 1, 2: True, 3: 1, 4: [[*ROW[:5], ["x" * 401], [], []]]},
        {1: 1, 2: True, 3: 1, 4: [ROW], 5: 1},
    ],
)
def test_what_is_no_book_is_refused(fields: dict[int, object]) -> None:
    with pytest.raises(FormatError) as error:
        IndexBook.from_bytes(cbor.encode(fields))
    assert error.value.code in ("index-book.malformed", "wallet-index.malformed")


def test_a_book_of_a_newer_version_says_so() -> None:
    with pytest.raises(FormatError) as error:
        IndexBook.from_bytes(cbor.encode({1: 2}))
    assert error.value.code == "index-book.unknown-version"


def test_first_slots_and_later_ones_are_random_within_days() -> None:
    first = [IndexBook().planned(NOW_S).shards[0].next_s - NOW_S for _ in range(50)]
    assert all(FIRST.min_s - 1 <= wait <= FIRST.max_s for wait in first)
    assert len(set(first)) > 45
    later = [EVERY.draw() for _ in range(50)]
    assert all(3 * DAY_S <= wait <= 5 * DAY_S for wait in later)


def test_a_slot_is_kept_and_one_of_a_wrong_clock_is_drawn_anew() -> None:
    assert NEW.planned(NOW_S + DAY_S) == NEW
    years_behind = NEW.planned(NOW_S - 1000 * DAY_S)
    assert NOW_S - 997 * DAY_S <= years_behind.shards[0].next_s <= NOW_S - 995 * DAY_S


def test_what_is_due_is_the_shard_whose_slot_has_passed_longest() -> None:
    book = NEW.with_shards(2, NOW_S)
    book = book.put(0, Shard(ShardContent(), 50)).put(1, Shard(ShardContent(), 40))
    assert book.due(39) is None
    assert book.due(45) == 1
    assert book.due(60) == 1
    assert book.next_s == 40
    assert replace(book, is_on=False).due(60) is None
    assert replace(book, is_on=False).next_s is None


def test_a_thousand_identities_in_a_row_need_one_shard() -> None:
    book = NEW.with_listed(OURS, range(1000), NOW_S)
    assert len(book.shards) == 1
    assert list(book.of(OURS)) == list(range(1000))


def test_what_is_listed_stays_in_its_shard_when_there_are_more() -> None:
    one = crowded(100)
    assert len(one.shards) == 1
    two = one.with_listed(OURS, range(7, 200 * 70_000, 70_000), NOW_S)
    assert len(two.shards) == 2
    assert set(one.shards[0].content.of(OURS)) <= set(two.shards[0].content.of(OURS))
    assert set(two.of(OURS)) == {*range(0, 7_000_000, 70_000), *range(7, 14_000_000, 70_000)}
    assert all(shard.content.fits for shard in two.shards)


def test_shard_0_tells_of_others_when_all_of_them_are_written() -> None:
    book = crowded(300)
    assert len(book.shards) == 4
    assert book.count == 1
    for number, count in ((0, 1), (3, 1), (1, 2), (2, 4)):
        book = book.put(number, replace(book.shards[number], seq=5))
        assert book.count == count


def test_a_number_of_shards_that_was_read_is_believed_and_never_goes_back() -> None:
    book = NEW.told(ShardContent({}, 4), NOW_S)
    assert (book.count, len(book.shards)) == (4, 4)
    assert book.told(ShardContent({}, 1), NOW_S) == book


def test_other_schemes_are_lists_of_their_own() -> None:
    book = NEW.with_listed(OURS, [0], NOW_S).with_listed(Scheme.MORPHEUS, [0, 1], NOW_S)
    assert book.of(Scheme.MORPHEUS) == Ranges.of([0, 1])
    assert book.of(OURS) == Ranges.of([0])


def test_a_long_message_of_a_fault_is_cut(session: Session) -> None:
    shard = NEW.shards[0].failed(NetworkError("relay.bad-answer", "é" * 3000))
    change_book(session, lambda book: book.planned(NOW_S).put(0, shard))
    book = read_book(session)
    assert book is not None
    assert len(book.shards[0].fault[1].encode()) <= 1024
