"""The words of a new wallet: shown once on the terminal and asked back, or written to a file of their own."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from unicodedata import normalize

from walletcli.cli.terminal import Terminal
from walletcli.core.secret import Secret
from walletcli.errors import StorageError

ASKED_BACK = 4
"""How many words are asked back, unless all are."""

COLUMNS = 4
"""Columns in which the words are shown."""


def show_and_ask_back(terminal: Terminal, words: Secret, recipe: str | None, *, ask_all: bool) -> None:
    """Show the words on a screen of their own, and return once they were given back.

    Args:
        terminal: the terminal device.
        words: the mnemonic as text, words separated by spaces.
        recipe: how the words came out of dice or coins, with the secret to recompute it, or None.
        ask_all: ask for every word, not for some.
    """
    listed = words.reveal_text().split()
    with terminal.private_screen():
        if recipe is not None:
            terminal.write(f"{recipe}\n\n")
            terminal.ask("Write that down if you want to recompute the words. Press Enter to see the words. ")
        while True:
            _show(terminal, listed)
            if _ask_back(terminal, listed, _positions(len(listed), ask_all)):
                return


def _show(terminal: Terminal, words: Sequence[str]) -> None:
    terminal.clear()
    terminal.say(f"These {len(words)} words are the wallet. Write them on paper, in this order.")
    terminal.say("Whoever has them has every identity; without them a lost device cannot be replaced.\n")
    for start in range(0, len(words), COLUMNS):
        cells = [f"{start + offset + 1:2}. {word}" for offset, word in enumerate(words[start : start + COLUMNS])]
        terminal.write("  " + "".join(cell.ljust(18) for cell in cells).rstrip() + "\n")
    terminal.ask("\nThey are shown only here. Press Enter when they are on paper. ")
    terminal.clear()


def _ask_back(terminal: Terminal, words: Sequence[str], positions: Sequence[int]) -> bool:
    """Ask for words; False when the user wants to see them again."""
    terminal.write("Now from your paper (Enter alone shows the words again).\n")
    for position in positions:
        while (typed := terminal.ask(f"Word {position + 1}: ")) != "":
            if _plain(typed) == _plain(words[position]):
                break
            terminal.write(f"That is not word {position + 1}. Look at your paper.\n")
        else:
            return False
    return True


def _positions(count: int, ask_all: bool) -> list[int]:
    """Return which words are asked for, in an order that cannot be guessed."""
    from secrets import SystemRandom

    return list(range(count)) if ask_all else SystemRandom().sample(range(count), ASKED_BACK)


def _plain(word: str) -> str:
    return normalize("NFKD", word).casefold()


@contextlib.contextmanager
def written_to(path: str, secret: Secret) -> Iterator[None]:
    """Write a secret and a line end to a new file (mode 0600); it is removed again when the block fails.

    Raises:
        StorageError: ``words-file.exists``, ``words-file.unwritable``.
    """
    _write_new(path, secret)
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(path)
        raise


def _write_new(path: str, secret: Secret) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o600)
    except FileExistsError as error:
        raise StorageError("words-file.exists", f"{path} exists", "name a new file, or move that one away") from error
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        with open(descriptor, "wb") as file:
            file.write(secret.reveal() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        _sync_directory(os.path.dirname(os.path.abspath(path)))
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(path)
        raise _unwritable(path, error) from error


def _sync_directory(path: str) -> None:
    if os.name != "posix":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unwritable(path: str, error: OSError) -> StorageError:
    return StorageError("words-file.unwritable", f"cannot write {path}: {error.strerror}", "name another file")
