"""When each contact's record is looked after next, and at which relay: a drawer of the identity.

Spec: docs/spec/keepalive.md, "Log".
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from walletcli.core import cbor
from walletcli.errors import FormatError, VaultError
from walletcli.wallet.state.changes import PutDrawer
from walletcli.wallet.state.fields import Fields

if TYPE_CHECKING:
    from walletcli.wallet.access.session import Session

DRAWER: Final = "keepalive"
"""Name of the drawer of an identity."""

VERSION: Final = 1
"""Version of the format."""

MAX_ENTRIES: Final = 50_001
"""Most entries: a contact book's, and the identity itself."""

MAX_LOG_BYTES: Final = 4 << 20
"""Longest log."""

MOVE_AFTER: Final = 3
"""After so many failures in a row a contact moves to the next relay."""

MAX_MOVED: Final = 255
"""Highest count of relays that were given up on."""

_MAX_ATTEMPTS: Final = 20
_WHAT = "keepalive-log"


@dataclass(frozen=True, slots=True)
class Entry:
    """One record that is kept alive.

    Attributes:
        due_s: not before this instant, Unix time in seconds.
        moved: how many relays were given up on.
        failures: how often in a row the relay of now has failed, while others did not.
    """

    due_s: int
    moved: int = 0
    failures: int = 0

    def kept(self, due_s: int) -> Entry:
        """Return the entry after a visit that went well."""
        return Entry(due_s, self.moved)

    def failed(self, due_s: int, *, alone: bool) -> Entry:
        """Return the entry after a visit that failed.

        Args:
            due_s: when to try again.
            alone: whether other relays answered: otherwise it says nothing of this one.
        """
        if not alone:
            return replace(self, due_s=due_s)
        if self.failures + 1 < MOVE_AFTER:
            return replace(self, due_s=due_s, failures=self.failures + 1)
        return Entry(due_s, (self.moved + 1) % (MAX_MOVED + 1))


@dataclass(frozen=True, slots=True)
class KeepLog:
    """The log of an identity.

    Attributes:
        entries: by root key (32 bytes).
    """

    entries: Mapping[bytes, Entry] = field(default_factory=dict)

    def only(self, keys: Iterable[bytes]) -> KeepLog:
        """Return the log without those that are not among `keys`."""
        return KeepLog({key: self.entries[key] for key in keys if key in self.entries})

    def with_entry(self, key: bytes, entry: Entry) -> KeepLog:
        """Return the log with an entry in place of the one before."""
        return KeepLog({**self.entries, key: entry})

    def to_bytes(self) -> bytes:
        """Encode the log."""
        rows = [[key, item.due_s, item.moved, item.failures] for key, item in sorted(self.entries.items())]
        return cbor.encode({1: VERSION, 2: rows})

    @classmethod
    def from_bytes(cls, data: bytes) -> KeepLog:
        """Decode a log.

        Raises:
            FormatError: ``keepalive-log.unknown-version``, ``keepalive-log.malformed``, ``cbor.*``.
        """
        fields = Fields(cbor.decode(data, MAX_LOG_BYTES), _WHAT)
        if fields.integer(1) != VERSION:
            raise FormatError(
                "keepalive-log.unknown-version", "the log was written by a newer version", "update walletcli"
            )
        entries = fields.keyed_rows(2, _row)
        fields.end()
        if len(entries) > MAX_ENTRIES:
            raise FormatError("keepalive-log.malformed", f"malformed {_WHAT}: more than {MAX_ENTRIES} entries")
        return cls(entries)


def _row(value: object) -> tuple[bytes, Entry]:
    row = Fields.of_row(value, _WHAT)
    key = row.raw(0, 32)
    entry = Entry(row.integer(1), row.integer(2, 0, MAX_MOVED), row.integer(3, 0, MOVE_AFTER - 1))
    row.end()
    return key, entry


def read_log(session: Session, index: int) -> KeepLog:
    """Return the log of the identity with this index; an empty one if it has none.

    Raises:
        FormatError: ``keepalive-log.*``, ``cbor.*``.
        VaultError: ``agent.*``, ``vault.*``.
    """
    data = session.drawer(index, DRAWER)
    return KeepLog.from_bytes(data) if data is not None else KeepLog()


def change_log(session: Session, index: int, change: Callable[[KeepLog], KeepLog]) -> None:
    """Write what a log becomes; if another process has written one meanwhile, that one is changed.

    Raises:
        FormatError: ``keepalive-log.*``, ``cbor.*``.
        VaultError: ``vault.*``, ``agent.*``; ``vault.busy`` if others keep writing.
    """
    for _ in range(_MAX_ATTEMPTS):
        before = session.drawer(index, DRAWER)
        log = change(KeepLog.from_bytes(before) if before is not None else KeepLog())
        digest = hashlib.sha256(before).digest() if before is not None else None
        try:
            return session.put_drawers(PutDrawer(index, DRAWER, log.to_bytes(), digest))
        except VaultError as error:
            if error.code != "drawer.changed":
                raise
    raise VaultError("vault.busy", "other processes keep changing the log of what is kept alive", "try again")
