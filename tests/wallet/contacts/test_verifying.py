"""Safety words: alike on both sides, compared strictly, remembered and taken back."""

from __future__ import annotations

import pytest

from tests.core.samples import key
from tests.wallet.contacts.people import TODAY, Owner, Stranger
from tests.wallet.contacts.samples import anonymous, plain
from walletcli.core.safety import safety_picture, safety_words
from walletcli.errors import InputError, VerificationError, WalletError
from walletcli.wallet.contacts.book import save_book
from walletcli.wallet.contacts.editing import remove_contact
from walletcli.wallet.contacts.report import ContactReport
from walletcli.wallet.contacts.verifying import Safety, check_typed, mark_compared, safety_of


@pytest.fixture
def safety(owner: Owner, bob: Stranger) -> Safety:
    save_book(owner.session, owner.identity.index, owner.book, owner.book.with_contacts([plain("bob")]))
    return safety_of(owner.session, owner.identity, "bob")


def code_of(safety: Safety, typed: str) -> str:
    with pytest.raises(WalletError) as error:
        check_typed(safety, typed)
    assert error.value.hint
    return error.value.code


def test_both_sides_see_the_same_words_and_picture(owner: Owner, bob: Stranger, safety: Safety) -> None:
    assert safety.words == safety_words(bob.key, owner.key)
    assert safety.picture == safety_picture(bob.key, owner.key)
    assert len(safety.words) == 12


@pytest.mark.parametrize(
    "write",
    [
        " ".join,
        "\n".join,
        ", ".join,
        lambda words: " ".join(words).upper(),
        lambda words: " ".join(f"{n}. {word}" for n, word in enumerate(words, 1)),
        lambda words: "".join(f"{n:2}) {word}\r\n" for n, word in enumerate(words, 1)),
    ],
)
def test_words_are_compared_however_they_are_written(safety: Safety, write: object) -> None:
    check_typed(safety, write(safety.words))  # type: ignore[operator]


def test_other_words_are_a_warning_that_cannot_be_missed(safety: Safety) -> None:
    other = safety_words(key("mallory").public_key, key("bob").public_key)
    assert code_of(safety, " ".join(other)) == "safety.differs"


def test_one_word_in_another_place_is_a_difference(safety: Safety) -> None:
    swapped = [safety.words[1], safety.words[0], *safety.words[2:]]
    assert code_of(safety, " ".join(swapped)) == "safety.differs"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda words: words[:11],
        lambda words: [*words, "abandon"],
        lambda words: [*words[:11], "notaword"],
        lambda words: [],
        lambda words: [word[:4] for word in words],
        lambda words: ["x" * 5000],
    ],
)
def test_what_is_not_twelve_words_of_the_list_is_a_slip(safety: Safety, spoil: object) -> None:
    typed = " ".join(spoil(list(safety.words)))  # type: ignore[operator]
    assert code_of(safety, typed) in ("safety.words", "safety.differs")
    if "notaword" in typed or len(typed.split()) != 12:
        assert code_of(safety, typed) == "safety.words"


def test_the_day_is_remembered_and_the_contact_counts_as_verified(owner: Owner, safety: Safety) -> None:
    assert not ContactReport.of(owner.contact("bob")).is_verified
    mark_compared(owner.session, owner.identity, safety.contact)
    found = ContactReport.of(owner.contact("bob"))
    assert found.contact.compared_day == TODAY
    assert found.is_verified
    assert found.why.startswith("safety words were compared on ")


def test_it_can_be_taken_back(owner: Owner, safety: Safety) -> None:
    mark_compared(owner.session, owner.identity, safety.contact)
    mark_compared(owner.session, owner.identity, safety.contact, compared=False)
    assert owner.contact("bob").compared_day is None


def test_a_contact_that_was_removed_meanwhile_is_not_marked(owner: Owner, safety: Safety) -> None:
    remove_contact(owner.session, owner.identity, "bob")
    with pytest.raises(InputError) as error:
        mark_compared(owner.session, owner.identity, safety.contact)
    assert error.value.code == "contact.unknown"


def test_somebody_without_an_identity_has_no_safety_words(owner: Owner) -> None:
    save_book(owner.session, owner.identity.index, owner.book, owner.book.with_contacts([anonymous("Eve")]))
    with pytest.raises(InputError) as error:
        safety_of(owner.session, owner.identity, "Eve")
    assert error.value.code == "contact.no-identity"


def test_a_relation_alone_does_not_make_a_contact_verified(owner: Owner) -> None:
    from tests.wallet.contacts.samples import full

    contact = full("bob")
    assert not ContactReport.of(type(contact)(contact.id, "bob", 1, relation=contact.relation)).is_verified


def test_a_difference_is_an_error_of_verification(safety: Safety) -> None:
    with pytest.raises(VerificationError):
        check_typed(safety, " ".join(reversed(safety.words)))
