"""``wallet create --watch``: an online wallet without words."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Answer
from tests.conftest import FAST_KDF

Password = tuple[str, str]


@pytest.fixture
def watch(answer: Answer, home: Path, password: Password) -> Path:
    """A home that holds a watch wallet."""
    made = answer("wallet", "create", "--watch", *password, *FAST_KDF, home=home)
    assert made["wallet"]["watch"] is True
    assert (made["wallet"]["word_count"], made["wallet"]["check"]) == (None, None)
    return home


@pytest.mark.parametrize(
    "options",
    [
        ("--language", "french"),
        ("--words-out", "words"),
        ("--passphrase",),
        ("--dice",),
        ("--coins-file", "/dev/null"),
        ("--passphrase-file", "/dev/null"),
    ],
)
def test_a_watch_wallet_has_nothing_to_do_with_words(
    answer: Answer, home: Path, password: Password, options: tuple[str, ...]
) -> None:
    error = answer("wallet", "create", "--watch", *options, *password, *FAST_KDF, home=home, code=2)["error"]
    assert error["code"] == "watch.words"
    assert not home.exists()


@pytest.mark.parametrize(
    "command",
    [
        ("identity", "create", "alice"),
        ("identity", "list", "--derive", "3"),
        ("wallet", "verify-backup", "--mnemonic-file", "/dev/null"),
    ],
)
def test_what_needs_the_root_is_refused_with_a_hint(
    answer: Answer, watch: Path, password: Password, command: tuple[str, ...]
) -> None:
    error = answer(*command, *password, home=watch, code=6)["error"]
    assert error["code"] == "wallet.watch-only"
    assert error["hint"]


def test_status_tells_that_the_wallet_watches(answer: Answer, watch: Path, password: Password) -> None:
    assert answer("wallet", "status", *password, home=watch)["wallet"]["watch"] is True
