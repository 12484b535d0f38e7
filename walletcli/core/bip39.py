"""BIP39: entropy as words, words as a seed, and errors that help whoever types them.

The seed depends on the words alone, not on the list they are taken from. Words are accepted in any Unicode form, in
upper or lower case, with or without accents, and are always hashed as the list spells them.

Spec: BIP39; docs/spec/keys.md, "Words"; docs/decisions/0003-mnemonic-handling.md.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from walletcli.core.edit_distance import edit_distance
from walletcli.core.secret import Secret
from walletcli.errors import InputError

LANGUAGES: Final = (
    "english",
    "chinese_simplified",
    "chinese_traditional",
    "czech",
    "french",
    "italian",
    "japanese",
    "korean",
    "portuguese",
    "russian",
    "spanish",
    "turkish",
)
"""Names of the word lists, in the order in which one of several equally good ones is chosen."""

WORD_COUNTS: Final = (12, 15, 18, 21, 24)
"""Numbers of words that a mnemonic can have (BIP39)."""

ENTROPY_BYTES: Final = (16, 20, 24, 28, 32)
"""Lengths of the entropy behind `WORD_COUNTS`, bytes."""

SEED_BYTES: Final = 64
"""Length of the seed, bytes (BIP39)."""

MAX_TEXT_LETTERS: Final = 2048
"""Longest text that is looked at; 24 words of the longest list have under 320 letters."""

PBKDF2_ROUNDS: Final = 2048
"""Rounds of PBKDF2-HMAC-SHA512 (BIP39)."""

_WORD_BITS: Final = 11
_SOUND_MARKS: Final = "\u3099\u309a"  # kana: these make another letter, unlike an accent
_SHOWN_LETTERS: Final = 24
_SHOWN_CANDIDATES: Final = 16


@dataclass(frozen=True, slots=True)
class Mnemonic:
    """Words with a right checksum. Made by `from_entropy` and `parse`, which see to that.

    Args:
        words: as the list spells them, in NFKD, one space between two: the very bytes that BIP39 hashes.
        language: the list, one of `LANGUAGES`.
        word_count: one of `WORD_COUNTS`.
        other_languages: lists in which the same words are a mnemonic, too; same words, same seed, other entropy.
    """

    words: Secret
    language: str
    word_count: int
    other_languages: tuple[str, ...] = ()

    @classmethod
    def from_entropy(cls, entropy: Secret, language: str = "english") -> Mnemonic:
        """Return the words for 16, 20, 24, 28 or 32 bytes.

        Raises:
            InputError: `entropy.length`, `mnemonic.language`.
        """
        if len(entropy) not in ENTROPY_BYTES:
            raise InputError(
                "entropy.length", f"a mnemonic holds 16, 20, 24, 28 or 32 bytes of entropy, found {len(entropy)}"
            )
        words = _word_list(language).words
        checksum_bits = len(entropy) // 4
        word_count = 3 * checksum_bits
        bits = int.from_bytes(entropy.reveal(), "big") << checksum_bits | _checksum(entropy.reveal(), checksum_bits)
        text = " ".join(words[bits >> shift & 2047] for shift in range(_WORD_BITS * (word_count - 1), -1, -_WORD_BITS))
        return cls(Secret.from_text(text), language, word_count)

    @classmethod
    def parse(cls, text: str, language: str | None = None) -> Mnemonic:
        """Read words that somebody typed.

        Args:
            text: the words in any Unicode form and case, any white space between them; Chinese needs none.
            language: the list, or None to recognise it.

        Raises:
            InputError: `mnemonic.language`, `mnemonic.word-count`, `mnemonic.unknown-word`, `mnemonic.mixed-languages`,
                `mnemonic.checksum`, `mnemonic.ambiguous-language` (the checksum is right in several lists that spell a
                word differently, so that the seeds differ). At most the one unknown word is repeated in a message.
        """
        typed = _split(text)
        names = LANGUAGES if language is None else (language,)
        readings = {name: [_word_list(name).find(word) for word in typed] for name in names}
        _check_count(readings)
        complete = {name: indices for name, found in readings.items() if (indices := _all_found(found)) is not None}
        if not complete:
            raise _unknown_word(typed, readings)
        right = [name for name, indices in complete.items() if _entropy(indices) is not None]
        if not right:
            name, indices = next(iter(complete.items()))
            raise _wrong_checksum(name, indices)
        spellings = {" ".join(_word_list(name).words[index] for index in complete[name]) for name in right}
        if len(spellings) > 1:
            raise InputError(
                "mnemonic.ambiguous-language",
                f"these words are right in several lists, and give different seeds: {_listed(right)}",
                "type every accent, or name the language",
            )
        return cls(Secret.from_text(spellings.pop()), right[0], len(typed), tuple(right[1:]))

    def text(self) -> Secret:
        """Return the words for showing: NFC, joined as the language joins them (Japanese: an ideographic space)."""
        space = "\u3000" if self.language == "japanese" else " "
        return Secret.from_text(unicodedata.normalize("NFC", self.words.reveal_text()).replace(" ", space))

    def entropy(self) -> Secret:
        """Return the 16 to 32 bytes behind the words, as the list of `language` numbers them."""
        indices = _all_found([_word_list(self.language).find(word) for word in self.words.reveal_text().split(" ")])
        entropy = None if indices is None else _entropy(indices)
        if entropy is None:
            raise InputError("mnemonic.checksum", "these words are not a mnemonic of their language")
        return Secret(entropy)

    def seed(self, passphrase: Secret | None = None) -> Secret:
        """Return the 64-byte seed.

        Args:
            passphrase: BIP39's extra input as UTF-8, in any Unicode form; None is the same as empty.

        Raises:
            InputError: `passphrase.encoding`: not UTF-8.
        """
        try:
            extra = "" if passphrase is None else passphrase.reveal_text()
        except UnicodeDecodeError:
            raise InputError(
                "passphrase.encoding", "the passphrase is not UTF-8 text", "save the file as UTF-8"
            ) from None  # the cause holds the passphrase
        salt = "mnemonic" + unicodedata.normalize("NFKD", extra)
        return Secret(hashlib.pbkdf2_hmac("sha512", self.words.reveal(), salt.encode("utf-8"), PBKDF2_ROUNDS))


def detect_language(words: Sequence[str]) -> list[str]:
    """Return the languages whose list holds all of these words, in the order of `LANGUAGES`."""
    return [name for name in LANGUAGES if all(_word_list(name).find(word) is not None for word in words)]


def complete(prefix: str, language: str) -> list[str]:
    """Return the words that begin with `prefix` (any Unicode form, case and accents aside), in the order of the list.

    Raises:
        InputError: `mnemonic.language`.
    """
    word_list = _word_list(language)
    folded = _fold(prefix)
    return [_shown(word_list.words[index]) for key, index in word_list.index.items() if key.startswith(folded)]


def nearest_words(word: str, language: str, limit: int = 3) -> list[str]:
    """Return up to `limit` words of the list that are nearest to `word`, best first; none if no word is alike.

    Distance counts letters added, left out, changed and swapped, accents and case aside; a word that `word` is the
    beginning of counts as near.

    Raises:
        InputError: `mnemonic.language`.
    """
    word_list = _word_list(language)
    typed = _fold(word[: 2 * _SHOWN_LETTERS])
    ranked = []
    for key, index in word_list.index.items():
        if abs(len(key) - len(typed)) < max(len(key), len(typed)) // 2 + 1:
            distance = edit_distance(typed, key)
            if len(typed) > 2 and key.startswith(typed):
                distance = min(distance, 1)
            if distance < max(len(typed), len(key)) / 2 + 0.5 and distance < len(key):
                ranked.append((distance, key[:1] != typed[:1], index))
    best = min(ranked, default=(0,))[0]
    return [_shown(word_list.words[at]) for distance, _, at in sorted(ranked)[:limit] if distance <= best + 1]


def last_word_candidates(first_words: Sequence[str], language: str) -> list[str]:
    """Return every word that completes all words but the last to a right checksum, in the order of the list.

    Args:
        first_words: 11, 14, 17, 20 or 23 words.
        language: their list.

    Raises:
        InputError: `mnemonic.word-count`, `mnemonic.unknown-word`, `mnemonic.language`.
    """
    word_list = _word_list(language)
    if len(first_words) + 1 not in WORD_COUNTS:
        raise InputError(
            "mnemonic.word-count", f"all words but the last are 11, 14, 17, 20 or 23, found {len(first_words)}"
        )
    found = [word_list.find(word) for word in first_words]
    indices = _all_found(found)
    if indices is None:
        raise _unknown_word(first_words, {language: found})
    return [_shown(word_list.words[index]) for index in _last_indices(indices)]


def words_at(indices: Sequence[int], language: str) -> tuple[str, ...]:
    """Return the words with these numbers (0 to 2047) in the list; they need not be a mnemonic.

    Raises:
        InputError: `mnemonic.language`.
    """
    words = _word_list(language).words
    return tuple(_shown(words[index]) for index in indices)


@dataclass(frozen=True, slots=True)
class _WordList:
    """The 2048 words of a language in NFKD, and where each folded form is."""

    words: tuple[str, ...]
    index: dict[str, int]

    def find(self, word: str) -> int | None:
        return self.index.get(_fold(word))


@lru_cache(maxsize=len(LANGUAGES))
def _word_list(language: str) -> _WordList:
    if language not in LANGUAGES:
        raise InputError("mnemonic.language", "there is no such word list", f"choose one of {', '.join(LANGUAGES)}")
    from mnemonic import Mnemonic as Source  # late: only the commands that see words pay for it

    words = tuple(unicodedata.normalize("NFKD", word) for word in Source(language).wordlist)
    return _WordList(words, {_fold(word): index for index, word in enumerate(words)})


def _fold(word: str) -> str:
    """Return what is left of a word without case, accents and Unicode form; different for any two words of a list."""
    if word.isascii():
        return word.upper()
    letters = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", word).upper())
    return "".join(letter for letter in letters if not unicodedata.combining(letter) or letter in _SOUND_MARKS)


def _shown(word: str) -> str:
    return unicodedata.normalize("NFC", word)


def _split(text: str) -> list[str]:
    """Return the typed words: compatible forms unified, invisible characters dropped, Chinese cut into letters."""
    if len(text) > MAX_TEXT_LETTERS:
        raise InputError("mnemonic.word-count", "the text is far too long for a mnemonic", "give 12 to 24 words")
    visible = "".join(letter for letter in text if unicodedata.category(letter) != "Cf")
    words: list[str] = []
    for word in unicodedata.normalize("NFKD", visible).split():
        words.extend(word if all("\u4e00" <= letter <= "\u9fff" for letter in word) else (word,))
    return words


def _all_found(found: Sequence[int | None]) -> list[int] | None:
    indices = [index for index in found if index is not None]
    return indices if len(indices) == len(found) else None


def _checksum(entropy: bytes, checksum_bits: int) -> int:
    return hashlib.sha256(entropy).digest()[0] >> (8 - checksum_bits)


def _entropy(indices: Sequence[int]) -> bytes | None:
    """Return the entropy behind the words, or None if the checksum is wrong."""
    bits = 0
    for index in indices:
        bits = bits << _WORD_BITS | index
    checksum_bits = len(indices) // 3
    entropy = (bits >> checksum_bits).to_bytes(4 * checksum_bits, "big")
    return entropy if _checksum(entropy, checksum_bits) == bits & ((1 << checksum_bits) - 1) else None


def _last_indices(first: Sequence[int]) -> list[int]:
    return [index for index in range(1 << _WORD_BITS) if _entropy([*first, index]) is not None]


def _check_count(readings: dict[str, list[int | None]]) -> None:
    best = _best(readings)
    count = len(readings[best])
    if count in WORD_COUNTS:
        return
    message = f"a mnemonic has 12, 15, 18, 21 or 24 words, found {count}"
    hint = "check that every word is there, once, with a space between two"
    if count + 1 in WORD_COUNTS:
        message = f"one word is missing: found {count}, {count + 1} needed"
    elif count - 1 in WORD_COUNTS:
        message = f"one word too many: found {count}, {count - 1} needed"
    unknown = _positions(readings[best])
    if 0 < len(unknown) < count:
        hint = f"look at word {_listed(unknown)} first: not in the {best} list"
    raise InputError("mnemonic.word-count", message, hint)


def _unknown_word(typed: Sequence[str], readings: dict[str, list[int | None]]) -> InputError:
    """Return the error for words that no single list holds."""
    best = _best(readings)
    positions = _positions(readings[best])
    word = typed[positions[0] - 1]
    near = nearest_words(word, best)
    hint = f"did you mean {_listed(near, 'or')}?" if near else f"compare it with the {best} list"
    if len(positions) == len(typed):  # perhaps not a mnemonic at all, so nothing of it is repeated
        where = "any list" if len(readings) > 1 else f"the {best} list"
        return InputError(
            "mnemonic.unknown-word",
            f"none of the words is in {where}",
            "check that these are the words, and their language",
        )
    if all(any(found[at] is not None for found in readings.values()) for at in range(len(typed))):
        message = f"the words are from several lists: most are {best}, but not word {_listed(positions)}"
        return InputError("mnemonic.mixed-languages", message, hint)
    others = f" (nor is word {_listed(positions[1:])})" if len(positions) > 1 else ""
    message = f"word {positions[0]} is not in the {best} list: {_quoted(word)}{others}"
    return InputError("mnemonic.unknown-word", message, hint)


def _wrong_checksum(language: str, indices: Sequence[int]) -> InputError:
    """Return the error for words that are all known, with what the last word could be.

    All candidates together say no more than the checksum; where they are many, only those with the typed first letter
    are named.
    """
    words = _word_list(language).words
    candidates = [_shown(words[index]) for index in _last_indices(indices[:-1])]
    if len(candidates) > _SHOWN_CANDIDATES:
        initial = _shown(words[indices[-1]])[0]
        named = [word for word in candidates if word[0] == initial][:_SHOWN_CANDIDATES]
    else:
        named = candidates
    last = f"{_listed(named, 'or')}" if named else "another one"
    more = f" ({len(candidates)} words fit in all)" if len(named) < len(candidates) else ""
    return InputError(
        "mnemonic.checksum",
        f"all {len(indices)} words are in the {language} list, but the checksum is wrong: a word is not the right one",
        f"compare each word with your backup; if only the last is in doubt, it could be {last}{more}",
    )


def _best(readings: dict[str, list[int | None]]) -> str:
    """Return the language that knows most of the words."""
    return max(readings, key=lambda name: sum(index is not None for index in readings[name]))


def _positions(found: Sequence[int | None]) -> list[int]:
    """Return where the unknown words are, counted from 1."""
    return [at for at, index in enumerate(found, start=1) if index is None]


def _quoted(word: str) -> str:
    """Return a word for a message: short and printable."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in _shown(word))
    return f"“{shown[:_SHOWN_LETTERS]}…”" if len(shown) > _SHOWN_LETTERS else f"“{shown}”"


def _listed(items: Sequence[object], last: str = "and") -> str:
    texts = [str(item) for item in items]
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} {last} {texts[-1]}"
