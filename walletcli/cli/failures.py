"""Errors that are not ours, told as ours: usage, interruption, the operating system, and bugs."""

from __future__ import annotations

import errno
from typing import ClassVar

import click

from walletcli.errors import StorageError, UsageError, WalletError

_DISK_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.EMFILE})
"""Errors of the operating system that any file access may meet, wherever it happens."""


class InterruptedByUser(WalletError):
    """The user pressed Ctrl-C, or ended the input.

    Args:
        hint: how what was begun is brought to its end, or empty.
    """

    exit_code: ClassVar[int] = 130

    def __init__(self, hint: str = "") -> None:
        super().__init__("interrupted", "interrupted", hint)


def from_click(error: click.ClickException) -> UsageError:
    """Return the usage error for what click refused."""
    kinds: dict[type[click.ClickException], str] = {
        click.NoSuchOption: "usage.no-such-option",
        click.MissingParameter: "usage.missing-parameter",
        click.BadParameter: "usage.bad-parameter",
    }
    code = next((code for kind, code in kinds.items() if isinstance(error, kind)), "usage.invalid")
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "walletcli"
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return UsageError("usage.no-verb", f"{path} needs a verb", f"see: {path} --help")
    message = " ".join(error.format_message().split()).rstrip(".")
    return UsageError(code, message[:1].lower() + message[1:], f"see: {path} --help")


def from_os_error(error: Exception) -> StorageError | None:
    """Return our error for a disk that is full, read-only or closed to us; None for anything else."""
    if not isinstance(error, OSError) or error.errno not in _DISK_ERRORS:
        return None
    where = f"{error.filename}: " if isinstance(error.filename, str) else ""
    return StorageError("storage.failed", f"{where}{error.strerror}", "see the disk's space and the file's permissions")


def bug(error: Exception) -> WalletError:
    """Return the error for a bug: where it was met and of what kind, never with which values."""
    import traceback

    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {_short(frames[-1].filename)}:{frames[-1].lineno}" if frames else ""
    return WalletError(
        "internal.bug",
        f"walletcli met a bug: {type(error).__name__}{where}",
        "run it again with --debug and report what it shows: that names places in the program, never values",
    )


def describe_bug(error: Exception) -> str:
    """Return the traceback of a bug without values: no locals, and no messages, which may quote data."""
    import traceback

    chain: list[str] = []
    current: BaseException | None = error
    while current is not None:
        chain.append("".join(traceback.format_tb(current.__traceback__)) + type(current).__name__)
        current = current.__cause__ or current.__context__
    return "\ncaused by\n".join(chain)


def _short(path: str) -> str:
    marker = "walletcli/"
    return marker + path.rsplit(f"/{marker}", 1)[1] if f"/{marker}" in path else path.rsplit("/", 1)[-1]
