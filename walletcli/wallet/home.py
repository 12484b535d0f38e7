"""Where a wallet lives on disk: the home directory and the files in it.

Spec: docs/spec/wallet-state.md, "Home".
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from walletcli.core.secret import Secret
from walletcli.errors import StorageError, VaultError

if TYPE_CHECKING:
    from walletcli.signers.devices.prompts import KeyPrompts

IS_LINUX = sys.platform == "linux"
"""Whether the shortcuts for this platform are to be taken."""

PasswordSource = Callable[[], Secret]
"""Asks the user for the password; called only when nothing else opens the vault."""

Progress = Callable[[str], None]
"""Takes one line of text per step of a story, for a person to read."""

VAULT_NAME = "wallet.vault"
"""File name of the sealed vault."""

RELAYS_NAME = "relays"
"""File name of the list of relays, in clear."""

DATA_LOCK_NAME = "data.lock"
"""File name of the lock for writing sealed data."""

DIRECTORY_MODE = 0o700
"""Mode of the home directory: nobody but the owner looks in."""


def silent(_line: str) -> None:
    """Drop a line of progress."""


@dataclass(frozen=True, slots=True)
class Home:
    """One wallet's directory.

    Attributes:
        path: absolute path; the directory need not exist.
        keys: asks its owner for PIN and touch of security keys; None: they are not used.
    """

    path: str
    keys: KeyPrompts | None = field(default=None, compare=False, repr=False)

    @classmethod
    def at(cls, path: str | None, keys: KeyPrompts | None = None) -> Home:
        """Return the home at `path`, or the platform's default for None."""
        return cls(os.path.abspath(path) if path else default_path(), keys)

    @property
    def vault_path(self) -> str:
        """Path of the vault file."""
        return os.path.join(self.path, VAULT_NAME)

    @property
    def relays_path(self) -> str:
        """Path of the list of relays."""
        return os.path.join(self.path, RELAYS_NAME)

    @property
    def data_lock_path(self) -> str:
        """Path of the empty file by which processes take turns at writing sealed data."""
        return os.path.join(self.path, DATA_LOCK_NAME)

    def exists(self) -> bool:
        """Tell whether a wallet is here."""
        return os.path.exists(self.vault_path)

    def require(self) -> None:
        """Check that a wallet is here.

        Raises:
            VaultError: ``wallet.missing``.
        """
        if not self.exists():
            raise VaultError(
                "wallet.missing", f"there is no wallet in {self.path}", "make one with: walletcli wallet create"
            )

    def make(self) -> None:
        """Make the directory, for its owner alone.

        Raises:
            StorageError: ``home.unusable``.
        """
        try:
            os.makedirs(self.path, mode=DIRECTORY_MODE, exist_ok=True)
        except OSError as error:
            raise StorageError(
                "home.unusable", f"cannot make the directory {self.path}: {error.strerror}", "name another with --home"
            ) from error


def default_path() -> str:
    """Return the platform's directory for walletcli's data."""
    if IS_LINUX:  # what platformdirs says, without its import: this is on the way of every command
        data = os.environ.get("XDG_DATA_HOME", "").strip() or os.path.expanduser("~/.local/share")
        return os.path.join(data, "walletcli")
    import platformdirs

    return platformdirs.user_data_dir("walletcli", appauthor=False)
