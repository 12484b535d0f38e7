"""Secrets from files and pipes: ``--mnemonic-file``, ``--passphrase-file`` and ``--password-file``.

A secret never comes from the command line or the environment, where other programs can read it.
"""

from __future__ import annotations

import os
import stat
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from walletcli.cli.invocation import Invocation
from walletcli.cli.output import warn
from walletcli.errors import InputError, UsageError

if TYPE_CHECKING:
    from walletcli.core.secret import Secret

MAX_SECRET_BYTES = 4096
"""Longest secret that is read from a file, in bytes; 24 words take at most 250."""

STDIN = "-"
"""Name that stands for standard input."""


class SecretFile(NamedTuple):
    """A file that holds one secret.

    Attributes:
        path: path of the file, or ``-`` for standard input.
        option: the option that named it.
    """

    path: str
    option: str

    def read(self) -> Secret:
        r"""Read the secret: all bytes of the file less one line end (``\n`` or ``\r\n``) at its end.

        Raises:
            InputError: ``secret-file.unreadable``, ``secret-file.too-long``, ``secret-file.empty``.
            UsageError: ``secret-file.terminal`` when standard input is a terminal, which would show the secret.
        """
        from walletcli.core.secret import Secret

        data = self._bytes()
        if len(data) > MAX_SECRET_BYTES:
            raise InputError(
                "secret-file.too-long",
                f"{self._name} holds more than {MAX_SECRET_BYTES} bytes",
                "name a file that holds the secret and nothing else",
            )
        data = data.removesuffix(b"\n").removesuffix(b"\r") if data.endswith(b"\n") else data
        if not data:
            raise InputError("secret-file.empty", f"{self._name} is empty", f"put the secret for {self.option} in it")
        return Secret(data)

    def read_text(self) -> Secret:
        """Read the secret and check that it is UTF-8 text.

        Raises:
            InputError: as `read`, and ``secret-file.not-text``.
        """
        secret = self.read()
        try:
            secret.reveal().decode("utf-8")
        except UnicodeDecodeError:  # not chained: the exception holds the bytes
            raise InputError("secret-file.not-text", f"{self._name} is not UTF-8 text", "save it as UTF-8") from None
        return secret

    @property
    def _name(self) -> str:
        return "standard input" if self.path == STDIN else self.path

    def _bytes(self) -> bytes:
        try:
            if self.path == STDIN:
                return self._stdin_bytes()
            with open(self.path, "rb") as file:
                self._warn_if_readable_by_others(os.fstat(file.fileno()))
                return file.read(MAX_SECRET_BYTES + 1)
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path
            reason = getattr(error, "strerror", None) or "not a usable path"
            raise InputError(
                "secret-file.unreadable", f"cannot read {self._name}: {reason}", f"see what {self.option} names"
            ) from error

    def _stdin_bytes(self) -> bytes:
        if sys.stdin is None:
            raise OSError(9, "standard input is closed")
        if sys.stdin.isatty():
            raise UsageError(
                "secret-file.terminal",
                f"{self.option} - reads a pipe or a file, and standard input is a terminal that would show the secret",
                f"leave {self.option} out to be asked for it",
            )
        return sys.stdin.buffer.read(MAX_SECRET_BYTES + 1)

    def _warn_if_readable_by_others(self, status: os.stat_result) -> None:
        mode = stat.S_IMODE(status.st_mode)
        if os.name == "posix" and stat.S_ISREG(status.st_mode) and mode & 0o077:
            warn(f"{self.path} can be read by others (mode {mode:04o}); close it with: chmod 600 {self.path}")


class SecretFileType(click.ParamType[SecretFile]):
    """Takes the name of a file with a secret, and keeps standard input for one option only."""

    name = "file"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """Return what help shows for the value."""
        return "FILE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> SecretFile:
        """Return the file; the secret itself is read when it is needed."""
        if isinstance(value, SecretFile):
            return value
        option = param.opts[0] if param else "the option"
        if value == STDIN and ctx is not None:
            ctx.ensure_object(Invocation).claim_stdin(option)
        return SecretFile(value, option)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
        """Let the shell complete file names."""
        from click.shell_completion import CompletionItem

        return [CompletionItem(incomplete, type="file")]


SECRET_FILE = SecretFileType()
"""Type of the options that name a file with a secret."""
