"""Names that are drawn alike are noticed, and names that are not are left alone."""

from __future__ import annotations

import pytest

from walletcli.core.look_alike import drawn_form, looks_alike, mixes_scripts

ALIKE = [
    ("Alice", "Alice"),
    ("Alice", "ALICE"),
    ("Alice", "А lісе"),  # Cyrillic A, i, c, e
    ("Alice", "Αlice"),  # Greek capital Alpha
    ("Alice", "A1ice"),
    ("Alice", "A|ice"),
    ("Alice", "Аӏісе"),
    ("Alice", "Álícè"),
    ("Alice", "Ａｌｉｃｅ"),  # full width
    ("Alice", "𝐀𝐥𝐢𝐜𝐞"),  # mathematical
    ("Alice", "Al.ice "),
    ("Alice", "Al\u200dice"),
    ("Bob", "B0b"),
    ("Bob", "Вob"),
    ("HELEN", "ΗΕLΕΝ"),
    ("Marc", "rnarc"),
    ("Walter", "VValter"),
    ("Sam", "5am"),
    ("Sam", "$am"),
    ("Petrov", "Реtrоv"),
    ("水銀", "水銀"),
]

DIFFERENT = [
    ("Alice", "Alicia"),
    ("Alice", "Bob"),
    ("Ada", "Eda"),
    ("Борис", "Boris"),
    ("水", "火"),
    ("", ""),
    ("", "Alice"),
    ("...", "---"),
    ("Maria", "Mario"),
    ("Иван", "Ivan"),
]


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_names_that_are_drawn_alike(one: str, other: str) -> None:
    assert looks_alike(one, other) and looks_alike(other, one)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_names_that_are_not(one: str, other: str) -> None:
    assert not looks_alike(one, other) and not looks_alike(other, one)


@pytest.mark.parametrize("name", ["Аlice", "Pаypal", "Αda", "x Вob", "Αлиса"])
def test_a_word_of_two_alphabets_is_noticed(name: str) -> None:
    assert mixes_scripts(name)


@pytest.mark.parametrize(
    "name", ["Alice", "Иван Smith", "水銀 Mercury", "Ada ☿ 42", "東京タワーです", "Zoë", "", "Ελένη"]
)
def test_names_that_people_have_are_not(name: str) -> None:
    assert not mixes_scripts(name)


def test_a_name_of_any_length_is_looked_at_in_a_moment() -> None:
    assert looks_alike("a" * 1_000_000, "а" * 1024)


@pytest.mark.parametrize("code", range(128))
def test_an_ascii_letter_is_drawn_alike_by_itself_and_beside_one_of_another_alphabet(code: int) -> None:
    alone, beside = drawn_form(chr(code)), drawn_form(chr(code) + "é")
    assert beside == alone + "e"
