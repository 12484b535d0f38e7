"""One run of the program: what its global options ask for, and the one answer that it gives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import click

from walletcli.cli.output import to_json_line, write_line
from walletcli.errors import UsageError

if TYPE_CHECKING:
    from walletcli.cli.progress import Progress
    from walletcli.cli.secret_files import SecretFile
    from walletcli.core.secret import Secret
    from walletcli.wallet.access.session import Session
    from walletcli.wallet.home import Home, PasswordSource


class Invocation:
    """The global options, and the state of one run.

    Attributes:
        home_path: directory of the wallet, or None for the platform's own place.
        json: answer with one JSON document.
        offline: never touch the network.
        debug: show where a bug was met.
        password_file: where the vault's password is read from, or None to ask.
        pin_file: where the PIN of a security key is read from, or None to ask.
        stdin_reader: name of the option that takes standard input, once one does.
        answered: whether the result has been written.
        exit_code: what the answer ended with (141 when the reader has gone away).
        file_password: the password, once it was read from the file (a pipe can be read once).
        file_pin: the PIN, likewise.
        progress: the line that says what is being done, or None outside of a run.
        resumes: whether the command, run again, goes on where it was interrupted.
        agent_advice: what is said behind "give --password-file FILE" where nobody can be asked for the password.
        again: what to do after an interruption now, or empty while nothing was begun.
    """

    def __init__(self, *, json: bool = False) -> None:
        self.home_path: str | None = None
        self.json = json
        self.offline = False
        self.debug = False
        self.password_file: SecretFile | None = None
        self.pin_file: SecretFile | None = None
        self.stdin_reader: str | None = None
        self.answered = False
        self.exit_code = 0
        self.file_password: Secret | None = None
        self.file_pin: Secret | None = None
        self.progress: Progress | None = None
        self.resumes = False
        self.agent_advice = ""
        self.again = ""

    @property
    def home(self) -> Home:
        """The wallet's home."""
        from walletcli.cli.key_prompts import TerminalPrompts
        from walletcli.wallet.home import Home

        if self.home_path == "":  # an unset variable of a script must not lead to another wallet
            raise UsageError("home.empty", "--home names no directory", "name one, or leave --home out")
        return Home.at(self.home_path, TerminalPrompts(self))

    @property
    def password(self) -> PasswordSource:
        """Where the password comes from, should one be needed: a file, or the terminal."""
        return self._read_password

    def session(self) -> Session:
        """Open the wallet: by the agent, by the keyring, or by a password (asked again when it is wrong)."""
        from walletcli.cli.unlocking import open_wallet

        session = open_wallet(self)
        if self.resumes:
            self.again = "run the same command again: it goes on where it was interrupted"
        return session

    def answer(self, document: Mapping[str, object], lines: Iterable[str]) -> None:
        """Write the result: the document with ``--json``, else the lines for a person.

        Args:
            document: the result for programs.
            lines: the same for people, already safe to show.
        """
        if self.answered:
            raise RuntimeError("a run has one answer")
        text = to_json_line(document) if self.json else "\n".join(lines)
        self.exit_code = write_line(text) if text else 0
        self.answered = True

    def step(self, text: str) -> None:
        """Say what is being done now, for whoever waits at a terminal."""
        if self.progress is not None:
            self.progress.step(text)

    def claim_stdin(self, option: str) -> None:
        """Take standard input for one option.

        Raises:
            UsageError: ``stdin.taken`` when another option has it.
        """
        if self.stdin_reader not in (None, option):
            raise UsageError(
                "stdin.taken",
                f"{self.stdin_reader} and {option} cannot both be read from standard input",
                "put one of them in a file, or in a pipe such as <(command)",
            )
        self.stdin_reader = option

    def _read_password(self) -> Secret:
        from walletcli.cli.unlocking import read_password

        return read_password(self)


pass_invocation = click.make_pass_decorator(Invocation)
"""Gives a command its `Invocation` as first argument."""
