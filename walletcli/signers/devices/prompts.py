"""How the owner of a device is asked for what only they can give: its PIN, a touch, a look at its screen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from walletcli.core.secret import Secret


class KeyPrompts(Protocol):
    """Stands between a security key and its owner."""

    @property
    def password_first(self) -> bool:
        """Whether a password was given beforehand, so that a key is asked for only where no password is enough."""
        ...

    def pin(self, key: str, tries_left: int | None, *, again: bool) -> Secret:
        """Return the PIN, as UTF-8.

        Args:
            key: what the key is called.
            tries_left: how many wrong PINs the key takes until it locks itself, or None if it does not say.
            again: the one before was wrong.

        Raises:
            SignerError: ``key.pin-wrong`` if there is nobody to ask once more.
            UsageError: ``terminal.missing``.
        """
        ...

    def touch(self, key: str) -> None:
        """Say that the key waits for a touch, now.

        Args:
            key: what the key is called.
        """
        ...

    def compare(self, device: str, text: str) -> None:
        """Say that a device with a screen shows a text and waits for its owner, and what the text must be.

        Args:
            device: what it is called.
            text: printable ASCII.
        """
        ...

    def missed(self, reason: str) -> None:
        """Say that a key was tried, why it did not open the vault, and that it is opened another way.

        Args:
            reason: in a few words.
        """
        ...

    def another(self, given: int, needed: int, names: Sequence[str], why: str) -> bool:
        """Say that another key has to approve, and return whether somebody is there to plug it in.

        Args:
            given: how many have approved.
            needed: how many must.
            names: its owner's names of the others that may.
            why: why a key that is plugged in gave nothing, or empty.
        """
        ...

    def approves(self, lines: Sequence[str]) -> None:
        """Say what the next touch approves.

        Args:
            lines: in plain language, printable ASCII.
        """
        ...
