"""How a person is asked for the PIN and the touch of a security key, and to read what a device with a screen shows."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

from walletcli.cli.output import note, safe, warn
from walletcli.errors import SignerError

if TYPE_CHECKING:
    from walletcli.cli.invocation import Invocation
    from walletcli.core.secret import Secret


class TerminalPrompts:
    """Asks at the terminal, or takes the PIN from a file.

    Args:
        invocation: the run.
    """

    def __init__(self, invocation: Invocation) -> None:
        self._invocation = invocation

    @property
    def password_first(self) -> bool:
        """Whether the run was given the password in a file."""
        return self._invocation.password_file is not None

    def pin(self, key: str, tries_left: int | None, *, again: bool) -> Secret:
        """Return the PIN: from ``--pin-file``, once; or from the terminal.

        Raises:
            SignerError: ``key.pin-wrong`` if the one from the file was wrong.
            UsageError: ``terminal.missing``.
            InputError: ``secret-file.*``.
        """
        from walletcli.cli.terminal import open_terminal

        file = self._invocation.pin_file
        if file is not None and again:
            left = "" if tries_left is None else f"; {tries_left} tries are left"
            raise SignerError("key.pin-wrong", f"the PIN is wrong{left}", f"see what {file.option} names")
        if file is not None:
            return self._from_file()
        with open_terminal(self._invocation, "ask for the PIN of the security key", "give --pin-file FILE") as terminal:
            if again:
                terminal.write("That PIN is wrong.\n")
            return terminal.ask_secret(f"PIN of {safe(key)}{_left(tries_left)}: ")

    def touch(self, key: str) -> None:
        """Say on stderr that the key waits for a touch."""
        note(f"Touch {key} now.")

    def compare(self, device: str, text: str) -> None:
        """Say on stderr what the device's screen must show: each part of the text on a line of its own."""
        note(f"Compare: {safe(device)} must show this text, and nothing else. Confirm it there, or refuse it there.")
        for part in text.split(". "):
            note(f"    {safe(part)}")

    def missed(self, reason: str) -> None:
        """Warn that a key did not open the vault, and that it is opened another way."""
        warn(f"{reason}; going on with the password")

    def another(self, given: int, needed: int, names: Sequence[str], why: str) -> bool:
        """Say on stderr what is missing; somebody is there if input and stderr are a terminal."""
        if not (_is_terminal(sys.stdin) and _is_terminal(sys.stderr)):
            return False
        if why:
            warn(why)
        kept = "; Ctrl-C keeps what is there" if given else ""
        listed = ", ".join(safe(name) for name in names)
        note(f"{given} of {needed} approvals; plug in {'another' if given else 'one'} of: {listed}{kept}.")
        return True

    def approves(self, lines: Sequence[str]) -> None:
        """Say on stderr what the next touch approves."""
        note("The next touch approves:")
        for line in lines:
            note(f"  {line}")

    def _from_file(self) -> Secret:
        file = self._invocation.pin_file
        assert file is not None
        if self._invocation.file_pin is None:
            self._invocation.file_pin = file.read()
        return self._invocation.file_pin


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and stream.isatty()


def _left(tries: int | None) -> str:
    if tries is None:
        return ""
    return " (last try before it locks itself)" if tries == 1 else f" ({tries} tries left)"
