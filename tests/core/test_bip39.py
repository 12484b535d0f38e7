from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Callable
from typing import Any

import mnemonic
import pytest

from tests.core.vectors import load, name
from walletcli.core import bip39
from walletcli.core.bip39 import LANGUAGES, Mnemonic
from walletcli.core.secret import Secret
from walletcli.errors import InputError

ZERO = Mnemonic.from_entropy(Secret(bytes(16)))
LEGAL = "legal winner thank year wave sausage worth useful legal winner thank yellow"
CHINESE = ("chinese_simplified", "chinese_traditional")


def _refused(text: str, code: str, language: str | None = None) -> InputError:
    with pytest.raises(InputError) as raised:
        Mnemonic.parse(text, language)
    assert raised.value.code == code
    assert raised.value.hint
    return raised.value


def _shown(error: InputError) -> str:
    return f"{error.message} {error.hint}"


@pytest.mark.parametrize("case", load("bip39.json"), ids=name)
def test_published_vectors(case: dict[str, Any]) -> None:
    entropy = Secret(bytes.fromhex(case["entropy_hex"]))
    made = Mnemonic.from_entropy(entropy, case["language"])
    assert made.words.reveal_text() == unicodedata.normalize("NFKD", case["words"])
    assert made.entropy() == entropy
    read = Mnemonic.parse(case["words"], case["language"])
    assert read.words == made.words
    assert read.seed(Secret.from_text(case["passphrase"])).reveal().hex() == case["seed_hex"]


@pytest.mark.parametrize("case", load("bip39.json"), ids=name)
def test_the_language_is_recognised(case: dict[str, Any]) -> None:
    read = Mnemonic.parse(case["words"])
    assert case["language"] in (read.language, *read.other_languages)
    assert read.word_count == len(case["words"].split())


def test_every_list_of_the_mnemonic_package_is_known() -> None:
    assert sorted(LANGUAGES) == sorted(mnemonic.Mnemonic.list_languages())


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("length_bytes", bip39.ENTROPY_BYTES)
def test_entropy_comes_back_from_its_words(language: str, length_bytes: int) -> None:
    for fill in (0x00, 0x5A, 0xFF):
        entropy = Secret(bytes([fill]) * (length_bytes - 1) + b"\x7f")
        made = Mnemonic.from_entropy(entropy, language)
        assert made.word_count == length_bytes * 3 // 4
        read = Mnemonic.parse(made.text().reveal_text(), language)
        assert read == made
        assert read.entropy() == entropy


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_word_of_a_list_is_found_as_itself(language: str) -> None:
    words = bip39.complete("", language)
    assert len(words) == 2048
    assert len(set(words)) == 2048
    assert bip39.complete(words[0], language)[0] == words[0]
    last = bip39.last_word_candidates([words[at] for at in range(11)], language)
    assert len(last) == 128


FORMS: dict[str, Callable[[str], str]] = {
    "NFC": lambda text: unicodedata.normalize("NFC", text),
    "NFD": lambda text: unicodedata.normalize("NFD", text),
    "NFKC": lambda text: unicodedata.normalize("NFKC", text),
    "NFKD": lambda text: unicodedata.normalize("NFKD", text),
    "upper case": str.upper,
    "title case": str.title,
    "ideographic space": lambda text: "\u3000".join(text.split()),
    "one on a line": lambda text: "\n".join(text.split()) + "\n",
    "Windows lines": lambda text: "\r\n".join(text.split()) + "\r\n",
    "tabs and many spaces": lambda text: "  " + " \t ".join(text.split()) + "  ",
    "no-break spaces": lambda text: "\u00a0".join(text.split()),
    "byte order mark": lambda text: "\ufeff" + text,
    "zero width spaces": lambda text: text.replace(" ", " \u200b"),
    "full width": lambda text: "".join(chr(ord(x) + 0xFEE0) if "!" <= x <= "~" else x for x in text),
}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("form", FORMS)
def test_words_in_any_form_are_the_same_words(language: str, form: str) -> None:
    for entropy in (bytes(16), bytes(range(200, 232)), b"\x9d" * 20):
        made = Mnemonic.from_entropy(Secret(entropy), language)
        assert Mnemonic.parse(FORMS[form](made.text().reveal_text()), language).words == made.words


@pytest.mark.parametrize("language", ["czech", "french", "portuguese", "russian", "spanish", "turkish", "italian"])
def test_accents_may_be_left_out(language: str) -> None:
    for word in bip39.complete("", language)[::8]:
        plain = "".join(x for x in unicodedata.normalize("NFKD", word) if not unicodedata.combining(x))
        assert bip39.complete(plain, language)[0:1] == bip39.complete(word, language)[0:1]
        assert language in bip39.detect_language([plain])


def test_kana_are_not_read_without_their_sound_marks() -> None:
    assert "japanese" in bip39.detect_language(["がいこう"])
    assert "japanese" not in bip39.detect_language(["かいこう"])


@pytest.mark.parametrize("language", CHINESE)
def test_chinese_needs_no_spaces(language: str) -> None:
    made = Mnemonic.from_entropy(Secret(bytes(range(16))), language)
    assert Mnemonic.parse(made.words.reveal_text().replace(" ", ""), language).words == made.words


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_reference_implementation_agrees(language: str) -> None:
    theirs = mnemonic.Mnemonic(language)
    for length_bytes in bip39.ENTROPY_BYTES:
        entropy = hashlib.sha512(f"{language} {length_bytes}".encode()).digest()[:length_bytes]
        words = theirs.to_mnemonic(entropy)
        read = Mnemonic.parse(words, language)
        assert read.entropy() == Secret(entropy)
        assert read.seed(Secret(b"extra")).reveal() == theirs.to_seed(words, "extra")


def test_the_passphrase_is_hashed_in_nfkd() -> None:
    seeds = {ZERO.seed(Secret.from_text(form)).reveal() for form in ("pässwörd", "pa\u0308sswo\u0308rd")}
    assert len(seeds) == 1
    assert ZERO.seed(None) == ZERO.seed(Secret(b""))
    assert ZERO.seed(Secret(b" ")) != ZERO.seed(None)


def test_a_passphrase_that_is_not_utf_8_is_refused_and_not_shown() -> None:
    with pytest.raises(InputError) as raised:
        ZERO.seed(Secret(b"hunter2\xff"))
    assert raised.value.code == "passphrase.encoding"
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__
    assert "hunter2" not in _shown(raised.value)


@pytest.mark.parametrize("length_bytes", [0, 1, 15, 17, 31, 33, 64])
def test_entropy_of_another_length_is_refused(length_bytes: int) -> None:
    with pytest.raises(InputError) as raised:
        Mnemonic.from_entropy(Secret(bytes(length_bytes)))
    assert raised.value.code == "entropy.length"


@pytest.mark.parametrize("count", [n for n in range(30) if n not in bip39.WORD_COUNTS])
def test_another_number_of_words_is_refused(count: int) -> None:
    error = _refused(" ".join(["abandon"] * count), "mnemonic.word-count")
    assert f"found {count}" in error.message
    assert ("one word is missing" in error.message) == (count + 1 in bip39.WORD_COUNTS)
    assert ("one word too many" in error.message) == (count - 1 in bip39.WORD_COUNTS)


def test_two_words_run_together_are_pointed_at_by_their_position_only() -> None:
    error = _refused("abandon " * 9 + "abandonabandon about", "mnemonic.word-count")
    assert "look at word 10" in error.hint
    assert "abandonabandon" not in _shown(error)


def test_a_text_that_is_far_too_long_is_refused_before_it_is_read() -> None:
    _refused("abandon " * 1_000_000, "mnemonic.word-count")


def test_an_unknown_word_is_named_with_its_position_and_the_nearest() -> None:
    error = _refused(LEGAL.replace("wave", "waev"), "mnemonic.unknown-word")
    assert "word 5 " in error.message
    assert "“waev”" in error.message
    assert "wave" in error.hint


def test_of_several_unknown_words_the_first_is_named_and_the_others_counted_out() -> None:
    error = _refused(LEGAL.replace("wave", "waev").replace("useful", "usefull"), "mnemonic.unknown-word")
    assert "waev" in error.message
    assert "word 8" in error.message
    assert "usefull" not in _shown(error)


def test_no_known_word_is_repeated_in_an_error() -> None:
    words = LEGAL.split()
    for text in (
        LEGAL.replace("wave", "zzzzzz"),
        " ".join(words[:-1]),
        " ".join([*words, "extra"]),
        " ".join([*words[:-1], "year"]),
        " ".join([*words[:-1], "école"]),
    ):
        with pytest.raises(InputError) as raised:
            Mnemonic.parse(text)
        shown = _shown(raised.value).replace(",", " ").split()
        assert not set(shown) & (set(words) - {"worth", "yellow"})


def test_what_is_no_mnemonic_at_all_is_not_repeated() -> None:
    error = _refused(
        "correct horse battery staple xkcd hunter2 s3cret pa55 foo bar baz qux".upper(), "mnemonic.unknown-word"
    )
    for text in ("hunter2", "s3cret", "HUNTER2"):
        assert text not in _shown(error)
    error = _refused("hunter2 " * 12, "mnemonic.unknown-word")
    assert "hunter2" not in _shown(error)


def test_an_unknown_word_is_cut_and_cleaned_for_the_message() -> None:
    error = _refused(LEGAL.replace("wave", "\x1b[31m" + "x" * 300), "mnemonic.unknown-word")
    assert "\x1b" not in _shown(error)
    assert len(error.message) < 120


def test_words_of_two_lists_are_mixed_not_unknown() -> None:
    error = _refused(LEGAL.replace("wave", "académie").replace("worth", "ábaco"), "mnemonic.mixed-languages")
    assert "english" in error.message
    assert "5 and 7" in error.message
    assert "académie" not in _shown(error)


def test_a_wrong_checksum_names_what_the_last_word_could_be() -> None:
    error = _refused("abandon " * 11 + "abandon", "mnemonic.checksum")
    assert "about" in error.hint
    assert "128 words" in error.hint
    error = _refused("zoo " * 23 + "zoo", "mnemonic.checksum")
    assert set(error.hint.replace(",", "").split()) >= set(bip39.last_word_candidates(["zoo"] * 23, "english"))


@pytest.mark.parametrize("at", range(12))
def test_one_exchanged_word_is_mostly_caught(at: int) -> None:
    words = LEGAL.split()
    caught = 0
    for other in bip39.complete("ab", "english"):
        try:
            Mnemonic.parse(" ".join([*words[:at], other, *words[at + 1 :]]), "english")
        except InputError:
            caught += 1
    assert caught > len(bip39.complete("ab", "english")) // 2


@pytest.mark.parametrize("count", [11, 14, 17, 20, 23])
def test_last_words_are_exactly_those_that_fit(count: int) -> None:
    first = ["zebra", *["abandon"] * (count - 1)]
    candidates = bip39.last_word_candidates(first, "english")
    assert len(candidates) == 2 ** (11 - (count + 1) // 3)
    for word in bip39.complete("a", "english"):
        fits = word in candidates
        try:
            Mnemonic.parse(" ".join([*first, word]), "english")
        except InputError:
            assert not fits
        else:
            assert fits


@pytest.mark.parametrize("count", [0, 1, 10, 12, 13, 24])
def test_last_words_need_all_the_others(count: int) -> None:
    with pytest.raises(InputError) as raised:
        bip39.last_word_candidates(["abandon"] * count, "english")
    assert raised.value.code == "mnemonic.word-count"


def test_last_words_need_known_words() -> None:
    with pytest.raises(InputError) as raised:
        bip39.last_word_candidates(["abandon"] * 10 + ["abandn"], "english")
    assert raised.value.code == "mnemonic.unknown-word"


def test_words_that_two_lists_share_give_one_seed_and_a_stated_choice() -> None:
    """The Chinese lists share 1275 words at the same places, so everything about such a mnemonic is the same."""
    simplified, traditional = (bip39.complete("", language) for language in CHINESE)
    shared = [word for word in simplified if word in set(traditional)]
    text = " ".join(
        [*shared[:11], next(word for word in bip39.last_word_candidates(shared[:11], CHINESE[0]) if word in shared)]
    )
    read = Mnemonic.parse(text)
    assert (read.language, read.other_languages) == (CHINESE[0], (CHINESE[1],))
    assert Mnemonic.parse(text, CHINESE[1]).seed() == read.seed()


def _shared_by_english_and_french() -> tuple[list[str], set[str], set[str]]:
    """Return 11 words that both lists spell alike, and the last words that fit in each, of those that they share."""
    french = set(bip39.complete("", "french"))
    shared = [word for word in bip39.complete("", "english") if word in french]
    for word in shared:
        first = [*shared[:10], word]
        fits = [set(bip39.last_word_candidates(first, language)) & set(shared) for language in ("english", "french")]
        if fits[0] & fits[1] and fits[1] - fits[0]:
            return first, fits[0], fits[1]
    raise AssertionError("no such words")


def test_two_lists_that_number_the_same_words_differently_give_one_seed_and_two_entropies() -> None:
    first, english, french = _shared_by_english_and_french()
    text = " ".join([*first, min(english & french)])
    read = Mnemonic.parse(text)
    assert (read.language, read.other_languages) == ("english", ("french",))
    other = Mnemonic.parse(text, "french")
    assert other.seed() == read.seed()
    assert other.entropy() != read.entropy()


def test_the_checksum_decides_between_lists_that_share_the_words() -> None:
    first, english, french = _shared_by_english_and_french()
    read = Mnemonic.parse(" ".join([*first, min(french - english)]))
    assert (read.language, read.other_languages) == ("french", ())


def _ambiguous_text() -> str:
    """Words that English spells without, and French with, an accent, and whose checksum is right in both lists."""
    plain = [word for word in bip39.complete("", "english") if "french" in bip39.detect_language([word])]
    accented = [word for word in plain if bip39.complete(word, "french")[0] != word]
    first = [*accented[:1], *plain[:10]]
    for swap in plain:
        first[-1] = swap
        fits = set(bip39.last_word_candidates(first, "english")) & set(plain)
        french = {_plain(word) for word in bip39.last_word_candidates(first, "french")}
        if fits & french:
            return " ".join([*first, min(fits & french)])
    raise AssertionError("no such words")


def _plain(word: str) -> str:
    return "".join(x for x in unicodedata.normalize("NFKD", word) if not unicodedata.combining(x))


def test_words_that_give_two_seeds_are_ambiguous_until_the_language_is_named() -> None:
    text = _ambiguous_text()
    error = _refused(text, "mnemonic.ambiguous-language")
    assert "english" in error.message
    assert "french" in error.message
    seeds = {Mnemonic.parse(text, language).seed().reveal() for language in ("english", "french")}
    assert len(seeds) == 2


def test_a_language_that_does_not_exist_is_refused() -> None:
    for call in (
        lambda: Mnemonic.parse(LEGAL, "klingon"),
        lambda: Mnemonic.from_entropy(Secret(bytes(16)), "../english"),
        lambda: bip39.complete("a", ""),
    ):
        with pytest.raises(InputError) as raised:
            call()
        assert raised.value.code == "mnemonic.language"


def test_words_of_another_language_than_the_named_one_are_refused() -> None:
    _refused(LEGAL, "mnemonic.unknown-word", "japanese")


def test_completion_works_from_any_form_of_a_beginning() -> None:
    assert bip39.complete("aban", "english") == ["abandon"]
    assert bip39.complete("ABAN", "english") == ["abandon"]
    assert bip39.complete("écl", "french") == bip39.complete("ecl", "french")
    assert "éclair" not in bip39.complete("zzz", "french")
    assert bip39.complete("がいこ", "japanese") == ["がいこう"]


@pytest.mark.parametrize(
    ("typed", "language", "expected"),
    [
        ("abandn", "english", "abandon"),
        ("abnadon", "english", "abandon"),
        ("aban", "english", "abandon"),
        ("Abandoned", "english", "abandon"),
        ("zooo", "english", "zoo"),
        ("academei", "french", "académie"),
        ("акецнт", "russian", "акцент"),
        ("abaco", "spanish", "ábaco"),
        ("がいこ", "japanese", "がいこう"),
    ],
)
def test_the_nearest_word_comes_first_or_close_to_it(typed: str, language: str, expected: str) -> None:
    near = bip39.nearest_words(typed, language)
    assert unicodedata.normalize("NFC", expected) in near
    assert len(near) <= 3


def test_nothing_near_is_nothing_said() -> None:
    assert bip39.nearest_words("qqqqqqqqqqqqqqqq", "english") == []
    assert bip39.nearest_words("x", "chinese_simplified") == []
    assert bip39.nearest_words("x" * 100_000, "english") == []
    assert bip39.nearest_words("", "english") == []


def test_words_for_showing_are_composed_and_joined_as_the_language_does() -> None:
    japanese = Mnemonic.from_entropy(Secret(bytes(range(16))), "japanese")
    text = japanese.text().reveal_text()
    assert text == unicodedata.normalize("NFC", text)
    assert text.count("\u3000") == 11
    assert " " not in text
    assert Mnemonic.parse(text) == japanese


def test_a_mnemonic_does_not_show_its_words() -> None:
    assert "abandon" not in repr(ZERO)
