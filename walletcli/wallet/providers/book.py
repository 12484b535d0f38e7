"""What the wallet remembers of an identity's providers: where each was reached, what it is for, where the exit kit is.

It is a drawer of the vault. Whether a binding holds is not here: the identity's own document says that.

Spec: docs/spec/providers.md, "Book".
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from walletcli.core import cbor
from walletcli.core.document_parts import LAST_DAY
from walletcli.errors import FormatError, InputError, VaultError
from walletcli.net.addresses import MAX_ADDRESS_CHARS
from walletcli.wallet.providers.journal import Journal, checked_address
from walletcli.wallet.providers.move_report import WHAT as _WHAT
from walletcli.wallet.providers.move_report import MoveReport
from walletcli.wallet.state.fields import Fields

if TYPE_CHECKING:
    from walletcli.wallet.access.session import Session
    from walletcli.wallet.state.changes import Change

DRAWER: Final = "providers"
"""Name of the drawer."""

VERSION: Final = 1
"""Version of the format."""

MAX_BOOK_BYTES: Final = 32 << 20
"""Longest book."""

MAX_ENTRIES: Final = 64
"""Most providers that are remembered: those of 16 bindings, and some that were left."""

MAX_PATH_BYTES: Final = 4096
"""Longest path of an exit kit, in bytes of UTF-8."""

MAX_ATTEMPTS: Final = 20
"""How often a change is made again on top of what another process wrote meanwhile."""


class Role(IntEnum):
    """What a provider is for."""

    MAIN = 1
    """holds the identity's data; the first one to be asked"""
    KIT = 2
    """holds a second copy: it is the exit kit"""


@dataclass(frozen=True, slots=True)
class ProviderEntry:
    """One provider.

    Attributes:
        provider: its root key, 32 bytes.
        address: where it was last reached, as text.
        role: what it is for.
        left_day: day on which the identity left it (days since 1970-01-01, UTC), or None while it is bound.
    """

    provider: bytes
    address: str
    role: Role = Role.MAIN
    left_day: int | None = None

    def to_row(self) -> list[object]:
        """Return the CBOR list that stands for the entry."""
        return [self.provider, self.address, int(self.role), self.left_day]

    @classmethod
    def from_row(cls, value: object) -> ProviderEntry:
        """Read the list that `to_row` wrote; raises FormatError ``provider-book.malformed``."""
        row = Fields.of_row(value, _WHAT)
        provider, address = row.raw(0, 32), row.text(1, MAX_ADDRESS_CHARS)
        role, left_day = Role(row.integer(2, Role.MAIN, Role.KIT)), row.optional_integer(3, LAST_DAY)
        row.end()
        return cls(provider, checked_address(address), role, left_day)


@dataclass(frozen=True, slots=True)
class KitChoice:
    """Where the owner wants the exit kit.

    Attributes:
        path: absolute path of a directory; empty for none, on purpose or because a second provider is the kit.
        day: when it was last brought up to date in full, or None.
    """

    path: str = ""
    day: int | None = None

    def __post_init__(self) -> None:
        if not _is_path(self.path):
            raise InputError(
                "exit-kit.path",
                f"the path of the exit kit is not UTF-8, or longer than {MAX_PATH_BYTES} bytes",
                "name another directory",
            )
        if not self.path and self.day is not None:
            raise _malformed("a day without an exit kit")


@dataclass(frozen=True, slots=True)
class ProviderBook:
    """All that is remembered.

    Attributes:
        entries: ascending by provider, each once.
        kit: where the exit kit is; None: nobody has decided yet.
        journal: of the migration under way, or None.
        last: what became of the data in the last migration, and on which day it was done; or None.
    """

    entries: tuple[ProviderEntry, ...] = ()
    kit: KitChoice | None = None
    journal: Journal | None = None
    last: tuple[int, MoveReport] | None = None

    def __post_init__(self) -> None:
        keys = [entry.provider for entry in self.entries]
        if keys != sorted(set(keys)) or len(keys) > MAX_ENTRIES:
            raise _malformed("providers are repeated, out of order, or too many")

    def get(self, provider: bytes) -> ProviderEntry | None:
        """Return what is remembered of the provider with this root key (32 bytes), or None."""
        return next((entry for entry in self.entries if entry.provider == provider), None)

    def with_entry(self, entry: ProviderEntry) -> ProviderBook:
        """Return the book with `entry` in place of what it says of that provider.

        Of those that were left the oldest are forgotten when there are too many.
        """
        others = [item for item in self.entries if item.provider != entry.provider]
        while len(others) >= MAX_ENTRIES:
            left = [item for item in others if item.left_day is not None]
            if not left:
                raise InputError("provider.too-many", f"at most {MAX_ENTRIES} providers", "unbind one first")
            others.remove(min(left, key=lambda item: item.left_day or 0))
        return replace(self, entries=tuple(sorted((*others, entry), key=lambda item: item.provider)))

    def without(self, provider: bytes) -> ProviderBook:
        """Return the book without a provider."""
        return replace(self, entries=tuple(entry for entry in self.entries if entry.provider != provider))

    def to_bytes(self) -> bytes:
        """Encode the book."""
        fields: dict[int, object] = {1: VERSION, 2: [entry.to_row() for entry in self.entries]}
        if self.kit is not None:
            fields[3] = [self.kit.path, self.kit.day]
        if self.journal is not None:
            fields[4] = self.journal.to_row()
        if self.last is not None:
            fields[5] = [self.last[0], self.last[1].to_row()]
        return cbor.encode(fields)

    @classmethod
    def from_bytes(cls, data: bytes) -> ProviderBook:
        """Decode a book.

        Raises:
            FormatError: ``provider-book.malformed``, ``provider-book.unknown-version``, ``cbor.*``.
        """
        fields = Fields(cbor.decode(data, MAX_BOOK_BYTES), _WHAT)
        if fields.integer(1) != VERSION:
            raise FormatError(
                "provider-book.unknown-version",
                "what the wallet remembers of providers was written by a newer version of walletcli",
                "update walletcli",
            )
        entries = tuple(ProviderEntry.from_row(item) for item in fields.items(2))
        kit = _kit(fields.items(3)) if fields.has(3) else None
        journal = Journal.from_row(fields.items(4)) if fields.has(4) else None
        last = _last(fields.items(5)) if fields.has(5) else None
        fields.end()
        return cls(entries, kit, journal, last)


def _kit(value: list[object]) -> KitChoice:
    row = Fields.of_row(value, _WHAT)
    path, day = row.text(0, MAX_PATH_BYTES), row.optional_integer(1, LAST_DAY)
    row.end()
    return KitChoice(path, day)


def _last(value: list[object]) -> tuple[int, MoveReport]:
    row = Fields.of_row(value, _WHAT)
    found = row.integer(0, 0, LAST_DAY), MoveReport.from_row(row.items(1))
    row.end()
    return found


def read_book(session: Session, index: int) -> ProviderBook:
    """Return what the wallet remembers of an identity's providers.

    Args:
        session: the open wallet.
        index: of the identity.

    Raises:
        FormatError: ``provider-book.*``, ``cbor.*``.
    """
    data = session.drawer(index, DRAWER)
    return ProviderBook.from_bytes(data) if data is not None else ProviderBook()


def change_book(
    session: Session,
    index: int,
    change: Callable[[ProviderBook], ProviderBook],
    alongside: Callable[[], Sequence[Change]] = tuple,
) -> ProviderBook:
    """Change what is remembered, from what is there at that instant; on disk when this returns.

    Args:
        session: the open wallet.
        index: of the identity.
        change: gives the new book for the present one; called again if another process was quicker.
        alongside: gives changes that are made in the same write or not at all; called after the book was read, so
            that what it looks at cannot be of before another process's change to the book.

    Raises:
        VaultError: ``vault.busy``, ``vault.*``.
        WalletError: what `change` or the other changes end in.
    """
    from walletcli.wallet.state.changes import PutDrawer, Several

    for _ in range(MAX_ATTEMPTS):
        before = session.drawer(index, DRAWER)
        book = change(ProviderBook.from_bytes(before) if before is not None else ProviderBook())
        data, more = book.to_bytes(), alongside()
        if data == before and not more:
            return book
        digest = hashlib.sha256(before).digest() if before is not None else None
        try:
            session.apply(Several((*more, PutDrawer(index, DRAWER, data, digest))))
        except VaultError as error:
            if error.code != "drawer.changed":
                raise
        else:
            return book
    raise VaultError("vault.busy", "other processes keep changing the wallet", "try again")


def _is_path(path: str) -> bool:
    try:
        return "\0" not in path and len(path.encode()) <= MAX_PATH_BYTES
    except UnicodeEncodeError:
        return False


def _malformed(why: str) -> FormatError:
    return FormatError("provider-book.malformed", f"malformed provider-book: {why}")
