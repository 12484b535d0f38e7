"""The exception tree: everything that walletcli raises on purpose.

::

    WalletError                 exit code   what happened
    ├── UsageError              2           options that do not go together
    ├── InputError              3           what the user gave is wrong (words, labels, paths, ids)
    ├── FormatError             3           bytes do not follow a format
    ├── VerificationError       4           bytes follow the format and must not be trusted
    ├── VaultError              5           the vault cannot be opened, locked or written
    ├── SignerError             6           a signer refused or failed
    ├── NetworkError            7           nobody answered, or answered badly
    │   └── ShortPublishError   9           published on fewer nodes than asked
    ├── StorageError            8           disk full, directory in use, permissions
    ├── MissingExtraError       10          an optional part is not installed
    └── PartialError            11          done, but not in full: the result says what is missing

Every error carries a stable ``code`` (a dotted slug such as ``mnemonic.checksum``), a message in lower case without a
full stop that never holds a secret, and a ``hint``: what the user can do. Codes are listed in docs/reference/errors.md.
"""

from __future__ import annotations

from typing import ClassVar


class WalletError(Exception):
    """Base of all errors that walletcli raises on purpose.

    Args:
        code: stable dotted slug, lower case ASCII, such as ``packet.too-long``.
        message: what was found and what was needed; never a secret.
        hint: an action that the user can take; empty: the one of the family, if it has one.
    """

    exit_code: ClassVar[int] = 1
    default_hint: ClassVar[str] = ""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint or self.default_hint

    def to_json(self) -> dict[str, str]:
        """Return the error as ``{"code", "message", "hint"}``."""
        return {"code": self.code, "message": self.message, "hint": self.hint}


class UsageError(WalletError):
    """Options or arguments that do not go together."""

    exit_code = 2


class InputError(WalletError):
    """What the user gave is wrong: words, labels, ids, files."""

    exit_code = 3


class FormatError(WalletError):
    """Bytes that do not follow their format, or follow it in a second way."""

    exit_code = 3
    default_hint = "it is damaged, or made for another version: get it again from where it came"


class VerificationError(WalletError):
    """Well-formed bytes that must not be trusted."""

    exit_code = 4
    default_hint = "do not use it: get it again from its owner, or from another source"


class VaultError(WalletError):
    """The vault cannot be opened, locked or written."""

    exit_code = 5


class SignerError(WalletError):
    """A signer refused, failed, or gave a signature that does not verify."""

    exit_code = 6


class NetworkError(WalletError):
    """Nobody answered, or the answer was unusable."""

    exit_code = 7


class ShortPublishError(NetworkError):
    """Stored, but on fewer nodes than asked for."""

    exit_code = 9


class StorageError(WalletError):
    """Disk full, no permission, or another process holds the directory."""

    exit_code = 8


class MissingExtraError(WalletError):
    """An optional part of walletcli is not installed."""

    exit_code = 10


class PartialError(WalletError):
    """The work is done as far as it can be; what was answered before names what is missing."""

    exit_code = 11
