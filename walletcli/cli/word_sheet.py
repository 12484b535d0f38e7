"""The words that a person has typed so far, and what can be said about each at once."""

from __future__ import annotations

from collections.abc import Sequence

from walletcli.core import bip39
from walletcli.core.secret import Secret
from walletcli.errors import WalletError

MAX_WORDS = max(bip39.WORD_COUNTS)
"""Most words of a mnemonic."""


class WordSheet:
    """Words of a mnemonic while they are being typed.

    A word is taken only if it is in a word list that also holds all words before it, so a slip is told at once. An
    unfinished word is taken when only one word begins like that.

    Args:
        language: the word list, or None to recognise it.
    """

    def __init__(self, language: str | None = None) -> None:
        self.words: list[str] = []
        self._language = language

    @property
    def languages(self) -> Sequence[str]:
        """The languages whose lists hold every word so far."""
        if self._language is not None:
            return [self._language]
        return bip39.detect_language(self.words) if self.words else bip39.LANGUAGES

    @property
    def is_countable(self) -> bool:
        """Whether a mnemonic may have as many words as there are."""
        return len(self.words) in bip39.WORD_COUNTS

    def completions(self, prefix: str) -> list[str]:
        """Return the words that begin like this and go with the words before."""
        found = (word for language in self.languages for word in bip39.complete(prefix, language))
        return list(dict.fromkeys(found)) if prefix else []

    def add(self, typed: str, position: int | None = None) -> str | None:
        """Take a word.

        Args:
            typed: the word, or its beginning.
            position: index of the word to replace; None adds one at the end.

        Returns:
            what is wrong with it, or None if it was taken.
        """
        before = list(self.words)
        others = [word for index, word in enumerate(before) if index != position]
        self.words = others
        found = self.completions(typed)
        exact = [word for word in found if _same(word, typed)]
        word = exact[0] if exact else found[0] if len(found) == 1 else None
        problem = None if word is not None else self._problem(typed, found)
        self.words = before
        if word is not None:
            self._put(word, position)
        return problem

    def remove_last(self) -> None:
        """Take the last word back."""
        del self.words[-1:]

    def last_words(self) -> list[str]:
        """Return the words that would end the mnemonic with a right checksum after those that are there."""
        if len(self.words) + 1 not in bip39.WORD_COUNTS:
            return []
        found = (word for language in self.languages for word in bip39.last_word_candidates(self.words, language))
        return list(dict.fromkeys(found))

    def problem(self) -> WalletError | None:
        """Return what is wrong with the words as a whole, or None."""
        try:
            bip39.Mnemonic.parse(" ".join(self.words), self._language)
        except WalletError as error:
            return error
        return None

    def secret(self) -> Secret:
        """Return the words as text."""
        return Secret.from_text(" ".join(self.words))

    def _put(self, word: str, position: int | None) -> None:
        if position is None:
            self.words.append(word)
        else:
            self.words[position] = word

    def _problem(self, typed: str, found: Sequence[str]) -> str:
        if found:
            return f"several words begin with '{typed}': {', '.join(found[:6])}{' …' if len(found) > 6 else ''}"
        languages = self.languages
        named = f"the {languages[0]} list" if len(languages) == 1 else "any word list that holds the words before it"
        near = dict.fromkeys(word for language in languages[:3] for word in bip39.nearest_words(typed, language))
        return f"'{typed}' is not in {named}" + (f"; near it: {', '.join(list(near)[:5])}" if near else "")


def _same(word: str, typed: str) -> bool:
    from unicodedata import normalize

    return normalize("NFKD", word) == normalize("NFKD", typed).lower()
