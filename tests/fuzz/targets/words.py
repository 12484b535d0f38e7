"""What people type to make or restore a wallet: words and dice."""

from __future__ import annotations

from contextlib import AbstractContextManager
from unittest import mock

from tests.fuzz.target import Target
from walletcli.core import bip39, dice
from walletcli.core.bip39 import LANGUAGES, Mnemonic
from walletcli.core.secret import Secret
from walletcli.errors import WalletError


def _no_suggestions() -> AbstractContextManager[object]:
    """Leave out the search for the nearest words, which takes all the time; it has a target of its own."""
    return mock.patch.object(bip39, "nearest_words", return_value=[])


def check_suggestions(data: bytes) -> bool:
    """Whatever is typed for a word, the nearest ones are of the list."""
    near = bip39.nearest_words(data.decode("utf-8", "surrogateescape"), "english")
    assert all(bip39.complete(word, "english") for word in near)
    return bool(near)


def check_words(data: bytes) -> bool:
    """Words that are taken are the words of their own entropy, and are taken again as they are spelled then."""
    try:
        with _no_suggestions():
            mnemonic = Mnemonic.parse(data.decode("utf-8", "surrogateescape"))
    except WalletError:
        return False
    assert Mnemonic.from_entropy(mnemonic.entropy(), mnemonic.language).words == mnemonic.words
    assert Mnemonic.parse(mnemonic.words.reveal_text(), mnemonic.language).words == mnemonic.words
    return True


def check_rolls(data: bytes) -> bool:
    """Rolls that are taken have one form, and that form stands for itself."""
    text = data.decode("utf-8", "surrogateescape")
    taken = False
    for kind in ("dice", "coin"):
        try:
            rolls = dice.canonical_rolls(text, kind)
        except WalletError:
            continue
        assert dice.canonical_rolls(rolls, kind) == rolls
        taken = True
    return taken


def _mnemonics() -> list[bytes]:
    entropies = [bytes(16), bytes(range(32))]
    made = [Mnemonic.from_entropy(Secret(entropy), language) for language in LANGUAGES for entropy in entropies]
    return [mnemonic.words.reveal() for mnemonic in made]


TARGETS = [
    Target("words", check_words, _mnemonics, 1024),
    Target("suggestions", check_suggestions, lambda: [b"abandn", b"zo", "\u0441at".encode(), b"ABOUT"], 32),
    Target("rolls", check_rolls, lambda: [b"123456" * 17, b"1 6-3,2\n", b"HTTH", b"1001"], 256),
]
