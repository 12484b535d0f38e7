"""What is said about words while they are being typed."""

from __future__ import annotations

import pytest

from walletcli.cli.word_sheet import WordSheet


def sheet_of(text: str, language: str | None = None) -> WordSheet:
    sheet = WordSheet(language)
    for word in text.split():
        assert sheet.add(word) is None, word
    return sheet


def test_a_unique_beginning_is_enough() -> None:
    assert sheet_of("aban abou", "english").words == ["abandon", "about"]


def test_a_whole_word_wins_over_longer_ones() -> None:
    assert sheet_of("act add", "english").words == ["act", "add"]


def test_several_beginnings_are_listed() -> None:
    problem = WordSheet("english").add("ab")
    assert problem is not None
    assert problem.startswith("several words begin with 'ab': abandon, ability, able, about, above, absent …")


def test_an_unknown_word_names_the_nearest() -> None:
    problem = sheet_of("abandon", "english").add("abot")
    assert problem is not None
    assert "'abot' is not in the english list" in problem
    assert "about" in problem


def test_a_word_of_another_language_is_refused_at_once() -> None:
    sheet = sheet_of("abandon ability")
    assert sheet.add("abaco") is not None
    assert sheet.words == ["abandon", "ability"]


@pytest.mark.parametrize(
    ("words", "language"),
    [
        ("abaco abbaglio", "italian"),
        ("あいこくしん あいさつ", "japanese"),
        ("가격 가끔", "korean"),
        ("ábaco abdomen", "spanish"),
    ],
)
def test_the_language_is_recognised(words: str, language: str) -> None:
    assert sheet_of(words).languages == [language]


def test_case_and_unicode_form_do_not_matter() -> None:
    assert sheet_of("ABANDON Ability", "english").words == ["abandon", "ability"]
    assert sheet_of("a\u0301baco", "spanish").words == ["ábaco"]


def test_completions_go_with_the_words_before() -> None:
    assert "abaisser" in WordSheet().completions("aba")
    assert sheet_of("zoo").completions("aba") == ["abandon"]
    assert WordSheet().completions("") == []


def test_the_last_word_can_be_told() -> None:
    sheet = sheet_of("abandon " * 11, "english")
    assert "about" in sheet.last_words()
    assert len(sheet.last_words()) == 128
    assert sheet_of("abandon " * 10, "english").last_words() == []


def test_a_word_can_be_replaced_and_taken_back() -> None:
    sheet = sheet_of("abandon " * 12, "english")
    problem = sheet.problem()
    assert problem is not None
    assert problem.code == "mnemonic.checksum"
    assert sheet.add("about", 11) is None
    assert sheet.problem() is None
    sheet.remove_last()
    assert len(sheet.words) == 11
    assert sheet.add("abot", 0) is not None
    assert sheet.words[0] == "abandon"


def test_words_can_be_taken_back_before_there_are_any() -> None:
    sheet = WordSheet()
    sheet.remove_last()
    assert sheet.words == []
