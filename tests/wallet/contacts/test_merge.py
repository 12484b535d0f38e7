"""Merging: two devices change one book at once, and nothing of either is lost."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.samples import DAY, sealing_key
from tests.wallet.contacts.samples import card_of, full, plain, sides
from walletcli.wallet.contacts.book import ContactBook, merge
from walletcli.wallet.contacts.contact import Contact, HeldCard, HeldRelation, Sighting, Standing

NAMES = ("bob", "carol", "dave")


def merged(base: Contact | None, mine: Contact | None, theirs: Contact | None) -> Contact | None:
    """Merge books of one contact, both ways round."""
    books = [ContactBook([contact] if contact is not None else []) for contact in (base, mine, theirs)]
    one, other = merge(books[0], books[1], books[2]), merge(books[0], books[2], books[1])
    assert one == other
    assert ContactBook.from_bytes(one.to_bytes()) == one
    found = list(one)
    return found[0] if found else None


def test_contacts_that_either_side_has_added_are_all_there() -> None:
    book = merge(ContactBook(), ContactBook([plain("bob")]), ContactBook([plain("carol")]))
    assert {contact.name for contact in book} == {"bob", "carol"}


def test_a_contact_that_one_side_removed_and_the_other_left_alone_is_gone() -> None:
    assert merged(plain("bob"), None, plain("bob")) is None


def test_a_contact_that_one_side_removed_and_the_other_changed_stays_with_the_change() -> None:
    changed = replace(plain("bob"), notes=("new",))
    assert merged(plain("bob"), None, changed) == changed


def test_changes_of_different_fields_are_all_there() -> None:
    mine = replace(plain("bob"), notes=("new",))
    theirs = replace(plain("bob"), compared_day=DAY + 5)
    assert merged(plain("bob"), mine, theirs) == replace(plain("bob"), notes=("new",), compared_day=DAY + 5)


def test_of_two_new_names_none_is_lost() -> None:
    found = merged(plain("bob"), replace(plain("bob"), name="Robert"), replace(plain("bob"), name="Bobby"))
    assert found == replace(plain("bob"), name="Bobby", notes=("also named: Robert",))


def test_both_notes_are_kept_when_both_sides_wrote_one() -> None:
    base = replace(plain("bob"), notes=("old",))
    found = merged(base, replace(base, notes=("mine",)), replace(base, notes=("theirs",)))
    assert found is not None
    assert found.notes == ("mine", "theirs")


def test_a_note_that_one_side_removed_is_gone() -> None:
    base = replace(plain("bob"), notes=("old",))
    found = merged(base, replace(base, notes=()), replace(base, compared_day=DAY))
    assert found == replace(plain("bob"), compared_day=DAY)


def test_a_block_wins_over_its_end() -> None:
    base = replace(plain("bob"), blocked_day=DAY)
    found = merged(base, replace(base, blocked_day=None), replace(base, blocked_day=DAY + 3))
    assert found is not None
    assert found.blocked_day == DAY + 3


def test_the_end_of_a_block_stays_when_the_other_side_changed_something_else() -> None:
    base = replace(plain("bob"), blocked_day=DAY)
    found = merged(base, replace(base, blocked_day=None), replace(base, notes=("x",)))
    assert found == replace(plain("bob"), notes=("x",))


def test_of_two_blocks_the_earlier_day_stays() -> None:
    found = merged(plain("bob"), plain("bob", blocked_day=DAY + 1), plain("bob", blocked_day=DAY))
    assert found == plain("bob", blocked_day=DAY)


def test_words_that_one_side_took_back_do_not_count_as_compared() -> None:
    base = plain("bob", compared_day=DAY)
    found = merged(base, plain("bob"), plain("bob", compared_day=DAY + 1))
    assert found == plain("bob")


def test_words_that_were_compared_on_a_device_of_unknown_history_count() -> None:
    assert merged(None, plain("bob", notes=("x",)), plain("bob", compared_day=DAY)) == plain(
        "bob", notes=("x",), compared_day=DAY
    )


def test_the_newer_card_stays() -> None:
    older, newer = HeldCard(card_of("bob"), DAY), HeldCard(card_of("bob", DAY + 1), DAY)
    assert merged(None, plain("bob", card=older), plain("bob", card=newer)) == plain("bob", card=newer)


def test_a_card_whose_signer_nobody_checked_never_takes_the_place_of_one_that_was_checked() -> None:
    proven, newer = HeldCard(card_of("bob"), DAY), HeldCard(card_of("bob", DAY + 1), None)
    assert merged(None, plain("bob", card=proven), plain("bob", card=newer)) == plain("bob", card=proven)


def test_of_one_card_the_one_whose_signer_was_checked_stays() -> None:
    unchecked, checked = HeldCard(card_of("bob"), None), HeldCard(card_of("bob"), DAY)
    assert merged(None, plain("bob", card=unchecked), plain("bob", card=checked)) == plain("bob", card=checked)


def test_a_card_that_cannot_be_read_yields_to_one_that_can() -> None:
    bad, good = HeldCard(b"\xff" * 20, None), HeldCard(card_of("bob"), None)
    assert merged(None, plain("bob", card=bad), plain("bob", card=good)) == plain("bob", card=good)


def test_the_relation_that_was_offered_later_stays_and_one_is_more_than_none() -> None:
    older, newer = HeldRelation(sides("bob"), DAY), HeldRelation(sides("bob", DAY + 1), DAY + 1)
    assert merged(None, plain("bob", relation=older), plain("bob", relation=newer)) == plain("bob", relation=newer)
    base = plain("bob", relation=older)
    assert merged(base, plain("bob"), plain("bob", relation=newer)) == plain("bob", relation=newer)


def test_a_relation_is_known_since_the_earlier_day() -> None:
    found = merged(
        None, plain("bob", relation=HeldRelation(sides("bob"), 3)), plain("bob", relation=HeldRelation(sides("bob"), 2))
    )
    assert found == plain("bob", relation=HeldRelation(sides("bob"), 2))


def test_attributes_merge_by_name() -> None:
    base = plain("bob", attributes={"a": "1", "b": "1", "c": "1", "d": "1"})
    mine = plain("bob", attributes={"a": "2", "b": "1", "d": "2", "e": "5"})
    theirs = plain("bob", attributes={"a": "3", "c": "1", "d": "1"})
    found = merged(base, mine, theirs)
    assert found is not None
    assert found.attributes == {"a": "3", "d": "2", "e": "5"}


def test_the_sighting_with_the_higher_seq_stays_and_a_split_is_not_forgotten() -> None:
    low, high = Sighting(1, DAY + 9), Sighting(2, DAY)
    assert merged(None, plain("bob", sighting=low), plain("bob", sighting=high)) == plain("bob", sighting=high)
    split = replace(high, standing=Standing.SPLIT)
    assert merged(None, plain("bob", sighting=high), plain("bob", sighting=split)) == plain("bob", sighting=split)


def test_what_is_shared_is_withdrawn_by_either_side() -> None:
    base = plain("bob", shared=("email", "phone"))
    found = merged(base, plain("bob", shared=("email",)), plain("bob", shared=("birthday", "email", "phone")))
    assert found == plain("bob", shared=("birthday", "email"))


def test_a_merge_never_has_more_of_a_kind_than_a_contact_holds() -> None:
    mine = plain("bob", notes=tuple(f"mine {n:02}" for n in range(64)), attributes={f"m{n}": "x" for n in range(64)})
    theirs = plain(
        "bob", notes=tuple(f"theirs {n:02}" for n in range(64)), attributes={f"t{n}": "x" for n in range(64)}
    )
    found = merged(None, mine, theirs)
    assert found is not None
    assert (len(found.notes), len(found.attributes)) == (64, 64)


def _contacts(name: str) -> st.SearchStrategy[Contact | None]:
    days = st.none() | st.integers(DAY, DAY + 2)
    notes = st.sets(st.sampled_from(["a", "b", "ä"]), max_size=2).map(lambda found: tuple(sorted(found)))
    return st.none() | st.builds(
        lambda label, compared, blocked, texts, email, uid, seq, relation, card: replace(
            plain(name),
            name=label,
            compared_day=compared,
            blocked_day=blocked,
            notes=texts,
            attributes={"email": email} if email else {},
            uid=uid,
            sighting=Sighting(seq, DAY, sealing_keys=(sealing_key(str(seq)),)) if seq is not None else None,
            relation=HeldRelation(sides(name, relation), DAY) if relation is not None else None,
            card=HeldCard(card_of(name, card), None) if card is not None else None,
        ),
        st.sampled_from([name, "Übername", "x"]), days, days, notes, st.sampled_from(["", "a@b", "c@d"]),
        st.none() | st.sampled_from(["u", "v"]), st.none() | st.integers(0, 2), days, days,
    )  # fmt: skip


BOOKS = st.tuples(*map(_contacts, NAMES)).map(
    lambda found: ContactBook([contact for contact in found if contact is not None])
)


@settings(max_examples=150)
@given(BOOKS, BOOKS, BOOKS)
def test_the_result_does_not_depend_on_which_side_is_called_mine(
    base: ContactBook, mine: ContactBook, theirs: ContactBook
) -> None:
    found = merge(base, mine, theirs)
    assert found == merge(base, theirs, mine)
    assert found.to_bytes() == ContactBook.from_bytes(found.to_bytes()).to_bytes()


@settings(max_examples=50)
@given(BOOKS, BOOKS)
def test_what_only_one_side_changed_is_what_it_made_of_it(base: ContactBook, mine: ContactBook) -> None:
    assert merge(base, mine, base) == mine
    assert merge(base, base, mine) == mine
    assert merge(base, mine, mine) == mine


@settings(max_examples=50)
@given(BOOKS, BOOKS, BOOKS)
def test_merging_again_from_where_both_ended_changes_nothing(
    base: ContactBook, mine: ContactBook, theirs: ContactBook
) -> None:
    found = merge(base, mine, theirs)
    assert merge(mine, mine, found) == found
    assert merge(base, found, found) == found


@pytest.mark.parametrize("name", NAMES)
def test_a_contact_with_everything_merges_with_itself_into_itself(name: str) -> None:
    assert merged(None, full(name), full(name)) == full(name)
