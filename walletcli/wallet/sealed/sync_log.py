"""What became of the last synchronization of each identity: in the vault, so that `wallet status` can tell.

Spec: docs/spec/sealed-data.md, "Log".
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from walletcli.core import cbor
from walletcli.errors import FormatError, VaultError, WalletError
from walletcli.wallet.state.fields import Fields
from walletcli.wallet.state.view import MAX_DRAWER_BYTES, MAX_INDEX

if TYPE_CHECKING:
    from walletcli.wallet.access.session import Session

DRAWER: Final = "sync"
"""Name of the wallet's own drawer."""

VERSION: Final = 1
"""Version of the format."""

MAX_ATTEMPTS: Final = 20
"""How often an entry is written again because another process was quicker."""

MAX_MESSAGE_BYTES: Final = 2048
"""Longest message that is kept, bytes of UTF-8."""

_WHAT = "sync-log"


@dataclass(frozen=True, slots=True)
class SyncFault:
    """A step that failed.

    Attributes:
        step: its name.
        code: of the error.
        message: what it said.
    """

    step: str
    code: str
    message: str

    @classmethod
    def of(cls, step: str, error: WalletError) -> SyncFault:
        """Return the fault that an error is."""
        return cls(step, error.code, error.message.encode()[:MAX_MESSAGE_BYTES].decode("utf-8", "ignore"))

    def to_json(self) -> dict[str, object]:
        """Return step, code and message."""
        return {"step": self.step, "code": self.code, "message": self.message}


@dataclass(frozen=True, slots=True)
class SyncEntry:
    """How the last synchronization of one identity went.

    Attributes:
        index: of the identity.
        tried_s: when it was tried last, Unix time in seconds.
        done_s: when it last went through in full, or None.
        followed_s: when a record that another device had published was last taken over, or None.
        faults: what failed the last time.
    """

    index: int
    tried_s: int
    done_s: int | None = None
    followed_s: int | None = None
    faults: tuple[SyncFault, ...] = ()

    def to_json(self) -> dict[str, object]:
        """Return the times and the faults."""
        return {
            "tried_s": self.tried_s,
            "done_s": self.done_s,
            "followed_s": self.followed_s,
            "faults": [fault.to_json() for fault in self.faults],
        }


def to_bytes(entries: Sequence[SyncEntry]) -> bytes:
    """Encode a log, its entries ascending by index."""
    rows = [
        [
            entry.index,
            entry.tried_s,
            entry.done_s,
            entry.followed_s,
            [[fault.step, fault.code, fault.message] for fault in entry.faults],
        ]
        for entry in sorted(entries, key=lambda entry: entry.index)
    ]
    return cbor.encode({1: VERSION, 2: rows})


def from_bytes(data: bytes) -> dict[int, SyncEntry]:
    """Decode a log; returns its entries by index.

    Raises:
        FormatError: ``sync-log.malformed``, ``sync-log.unknown-version``, ``cbor.*``.
    """
    fields = Fields(cbor.decode(data, MAX_DRAWER_BYTES), _WHAT)
    if fields.integer(1) != VERSION:
        raise FormatError(
            "sync-log.unknown-version", "the log was written by a newer version of walletcli", "update walletcli"
        )
    entries = [_entry(value) for value in fields.items(2)]
    fields.end()
    found = {entry.index: entry for entry in entries}
    if [entry.index for entry in entries] != sorted(found):
        raise FormatError("sync-log.malformed", "malformed sync-log: entries are repeated or out of order")
    return found


def _entry(value: object) -> SyncEntry:
    row = Fields.of_row(value, _WHAT)
    entry = SyncEntry(
        row.integer(0, high=MAX_INDEX),
        row.integer(1),
        row.optional_integer(2),
        row.optional_integer(3),
        tuple(_fault(item) for item in row.items(4)),
    )
    row.end()
    return entry


def _fault(value: object) -> SyncFault:
    row = Fields.of_row(value, _WHAT)
    fault = SyncFault(row.text(0, 64), row.text(1, 128), row.text(2, MAX_MESSAGE_BYTES))
    row.end()
    return fault


def read_log(session: Session) -> dict[int, SyncEntry]:
    """Return the log of the open wallet, by index of the identity.

    Raises:
        FormatError: ``sync-log.*``, ``cbor.*``.
    """
    data = session.drawer(None, DRAWER)
    return from_bytes(data) if data is not None else {}


def change_log(session: Session, index: int, change: Callable[[SyncEntry | None], SyncEntry]) -> SyncEntry:
    """Write the entry of an identity; `change` makes it from the one before.

    Raises:
        VaultError: ``vault.busy``, ``vault.*``.
    """
    from walletcli.wallet.state.changes import PutDrawer

    for _ in range(MAX_ATTEMPTS):
        before = session.drawer(None, DRAWER)
        entries = from_bytes(before) if before is not None else {}
        entry = change(entries.get(index))
        entries[index] = entry
        digest = hashlib.sha256(before).digest() if before is not None else None
        try:
            session.put_drawers(PutDrawer(None, DRAWER, to_bytes(list(entries.values())), digest))
        except VaultError as error:
            if error.code != "drawer.changed":
                raise
        else:
            return entry
    raise VaultError("vault.busy", "other processes keep changing the wallet", "try again")
