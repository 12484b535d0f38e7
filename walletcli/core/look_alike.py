"""Names that people would take for each other: a warning, never a proof.

A name in a contact card is whatever its maker wrote. What cannot be seen is refused where names are read; here is what
helps a person with the rest: letters of one script that look like those of another, and words that mix scripts.

Spec: docs/spec/contact.md, "Names".
"""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import Final

MAX_NAME_LETTERS: Final = 1024
"""How much of a name is looked at, characters."""

_SCRIPTS: Final = frozenset({"LATIN", "CYRILLIC", "GREEK", "COPTIC", "ARMENIAN", "CHEROKEE", "GEORGIAN", "LISU"})
"""Alphabets whose letters are taken for one another; the other scripts mix as a matter of course."""

_CAPITALS: Final = {
    "A": "АΑ", "B": "ВΒ", "C": "СϹ", "E": "ЕΕ", "G": "Ԍ", "H": "НΗ", "J": "ЈͿ", "K": "КΚ", "M": "МΜ", "N": "Ν",
    "O": "ОΟՕ", "P": "РΡ", "Q": "Ԛ", "S": "ЅՏ", "T": "ТΤ", "U": "Ս", "W": "Ԝ", "X": "ХΧ", "Y": "УΥҮ", "Z": "Ζ",
    "I": "ІΙӀ",
}  # fmt: skip
"""Latin capital -> other scripts' capitals that are drawn like it."""

_SMALL: Final = {
    "a": "аαɑ@", "b": "ьƅßβ", "c": "сϲⅽ", "d": "ԁժđ", "e": "еҽɛ€", "f": "ſ", "g": "ɡց", "h": "һհħ", "j": "јϳյ",
    "k": "кκ", "m": "мｍ", "n": "пոη", "o": "оοօøσס0", "p": "рρþ", "q": "ԛգ", "r": "гᴦ", "s": "ѕ$5", "t": "тτŧ",
    "u": "υսцʋ", "v": "νѵ", "w": "ԝωшա", "x": "хχ", "y": "уүγ", "z": "ʐ2",
    "l": "iіιıɩłlӏ1|!ǀ",
}  # fmt: skip
"""What all that is drawn alike becomes -> the small letters, digits and signs that do."""

_TO_CAPITAL: Final = {ord(letter): latin for latin, letters in _CAPITALS.items() for letter in letters}
_TO_SMALL: Final = {ord(letter): latin for latin, letters in _SMALL.items() for letter in letters}
_PAIRS: Final = (("rn", "m"), ("vv", "w"))


def looks_alike(one: str, other: str) -> bool:
    """Tell whether two names would be taken for each other; equal ones are, and an empty one never is."""
    drawn = drawn_form(one)
    return bool(drawn) and drawn == drawn_form(other)


def drawn_form(name: str) -> str:
    """Return what is left of a name without case, accents, spaces and signs, and with look-alikes unified.

    Names that look alike have the same one, so that many can be compared at once. Not for showing.
    """
    if name.isascii():
        return _with_pairs(name[:MAX_NAME_LETTERS].translate(_ascii_drawn()))
    text = unicodedata.normalize("NFKD", name[:MAX_NAME_LETTERS]).translate(_TO_CAPITAL)
    text = unicodedata.normalize("NFKD", text.casefold()).translate(_TO_SMALL)
    return _with_pairs(_letters(text))


def _letters(text: str) -> str:
    return "".join(letter for letter in text if unicodedata.category(letter)[0] in "LNS")


def _with_pairs(letters: str) -> str:
    for pair, letter in _PAIRS:
        letters = letters.replace(pair, letter)
    return letters


@cache
def _ascii_drawn() -> dict[int, str]:
    """Return what each ASCII letter becomes: one table in place of four steps, for lists of thousands of names."""
    return {code: _letters(chr(code).casefold().translate(_TO_SMALL)) for code in range(128)}


def mixes_scripts(name: str) -> bool:
    """Tell whether a word of the name takes letters from more than one alphabet, as nobody's name does."""
    return not name.isascii() and any(len(_scripts(word)) > 1 for word in name[:MAX_NAME_LETTERS].split())


def _scripts(word: str) -> set[str]:
    scripts = {unicodedata.name(letter, "").split(" ")[0] for letter in word if letter.isalpha()}
    return scripts & _SCRIPTS
