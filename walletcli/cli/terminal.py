"""The terminal device: questions, passwords without echo, and words that must not stay on the screen.

Questions go to the device itself, never to stdout or stderr, which may lead into a file; answers come from it, never
from standard input, which may be a pipe.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn, TextIO

from walletcli.cli.failures import InterruptedByUser
from walletcli.cli.invocation import Invocation
from walletcli.cli.output import safe
from walletcli.core.secret import Secret
from walletcli.errors import UsageError

MAX_LINE_BYTES = 4096
"""Longest line that is taken from the terminal (what its line discipline holds)."""

_ENTER_ALTERNATE, _LEAVE_ALTERNATE, _CLEAR = "\x1b[?1049h", "\x1b[?1049l", "\x1b[2J\x1b[H"


class Terminal:
    """An open terminal device.

    Args:
        descriptor: file descriptor that is read and written.
        can_clear: the terminal has a screen that can be cleared.
    """

    def __init__(self, descriptor: int, *, can_clear: bool) -> None:
        self.descriptor = descriptor
        self.can_clear = can_clear

    def write(self, text: str) -> None:
        """Write text as it is; text from outside goes through `safe` first."""
        data = text.encode("utf-8", "backslashreplace")
        while data:
            data = data[os.write(self.descriptor, data) :]

    def say(self, text: str) -> None:
        """Write sentences, broken between words where the terminal ends; lines keep their indentation."""
        import textwrap

        columns = self._columns()
        for line in text.split("\n"):
            indent = line[: len(line) - len(line.lstrip(" "))]
            broken = textwrap.wrap(
                line.strip(), columns, initial_indent=indent, subsequent_indent=indent,
                break_long_words=False, break_on_hyphens=False,
            )  # fmt: skip
            self.write("\n".join(broken) + "\n")

    def _columns(self) -> int:
        """Return how wide the terminal is, or 80 where it does not say."""
        try:
            return os.get_terminal_size(self.descriptor).columns or 80
        except OSError:
            return 80

    def ask(self, prompt: str) -> str:
        """Ask for a line, which the terminal echoes.

        Raises:
            InterruptedByUser: at the end of the input (Ctrl-D).
        """
        self.write(prompt)
        return self._read_line().decode("utf-8", "replace").strip()

    def ask_secret(self, prompt: str) -> Secret:
        """Ask for a line without echo; it may be empty.

        Raises:
            InterruptedByUser: at the end of the input (Ctrl-D).
        """
        with self._without_echo():
            self.write(prompt)
            try:
                return Secret(self._read_line())
            finally:
                self.write("\n")

    def confirm(self, question: str) -> bool:
        """Ask a question; only a typed yes is a yes."""
        return self.ask(f"{safe(question)} [y/N] ").lower() in ("y", "yes")

    @contextlib.contextmanager
    def private_screen(self) -> Iterator[None]:
        """Use a screen of its own, that is cleared and gone afterwards, however the block ends."""
        if not self.can_clear:
            self.write("This terminal cannot clear its screen: clear it and its history yourself afterwards.\n")
            yield
            return
        with _leaving_orderly():
            self.write(_ENTER_ALTERNATE + _CLEAR)
            try:
                yield
            finally:
                self.write(_CLEAR + _LEAVE_ALTERNATE)

    def clear(self) -> None:
        """Clear the screen."""
        if self.can_clear:
            self.write(_CLEAR)

    def _read_line(self) -> bytes:
        data = os.read(self.descriptor, MAX_LINE_BYTES)
        if not data:
            raise InterruptedByUser
        return data.removesuffix(b"\n").removesuffix(b"\r")

    @contextlib.contextmanager
    def _without_echo(self) -> Iterator[None]:
        import termios

        before = termios.tcgetattr(self.descriptor)
        silent = list(before)
        silent[3] &= ~termios.ECHO
        with _leaving_orderly():
            termios.tcsetattr(self.descriptor, termios.TCSAFLUSH, silent)
            try:
                yield
            finally:
                termios.tcsetattr(self.descriptor, termios.TCSAFLUSH, before)


@contextlib.contextmanager
def open_terminal(invocation: Invocation, purpose: str, instead: str) -> Iterator[Terminal]:
    """Open the terminal device that controls this process.

    Args:
        invocation: the run; its progress keeps silent meanwhile.
        purpose: what the terminal is needed for, such as "ask for the password".
        instead: what the user can do without one.

    Raises:
        UsageError: ``terminal.missing``.
    """
    descriptor = _open_device(purpose, instead)
    progress = invocation.progress
    if progress is not None:
        progress.pause()
    try:
        yield Terminal(descriptor, can_clear=os.environ.get("TERM", "dumb") not in ("", "dumb"))
    finally:
        if progress is not None:
            progress.resume()
        os.close(descriptor)


def _open_device(purpose: str, instead: str) -> int:
    try:
        if sys.platform == "win32":
            raise OSError("no terminal device that this version can use")
        return os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        raise UsageError("terminal.missing", f"there is no terminal to {purpose}", instead) from error


@contextlib.contextmanager
def _leaving_orderly() -> Iterator[None]:
    """Let the end by a signal pass through ``finally``, so that echo and screen are restored; no stopping meanwhile.

    Signals go to the main thread alone; another one has none to handle, and is waited for by whoever started it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int, _frame: FrameType | None) -> NoReturn:
        raise SystemExit(128 + number)

    handlers = {
        signal.SIGTERM: signal.signal(signal.SIGTERM, leave),
        signal.SIGHUP: signal.signal(signal.SIGHUP, leave),
        signal.SIGTSTP: signal.signal(signal.SIGTSTP, signal.SIG_IGN),
    }
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def text_device(terminal: Terminal) -> TextIO:
    """Return a text stream on the terminal, for libraries that draw on one; closing it leaves the terminal open."""
    return open(terminal.descriptor, "w", encoding="utf-8", errors="backslashreplace", closefd=False)
