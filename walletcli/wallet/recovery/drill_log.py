"""When the losses were rehearsed last, when that went well, and what of the wallet has changed since.

Spec: docs/spec/recovery.md, "Drill log".
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from walletcli.core import cbor
from walletcli.core.bindings import grants_of
from walletcli.core.identity_id import IdentityId
from walletcli.errors import FormatError, VaultError
from walletcli.wallet.contacts.book import DRAWER as CONTACTS_DRAWER
from walletcli.wallet.contacts.book import ContactBook
from walletcli.wallet.recovery.comparing import without_sighting
from walletcli.wallet.sealed.memory import read_memory
from walletcli.wallet.state.draft import last_document
from walletcli.wallet.state.fields import Fields
from walletcli.wallet.state.view import MAX_DRAWER_BYTES, MAX_INDEX, IdentityView

if TYPE_CHECKING:
    from walletcli.wallet.access.session import Session

DRAWER: Final = "drill"
"""Name of the wallet's own drawer."""

VERSION: Final = 1
"""Version of the format."""

MAX_ATTEMPTS: Final = 20
"""How often the log is written again because another process was quicker."""

DIGEST_BYTES: Final = 16
"""Length of a digest: SHA-256, cut."""

_WHAT = "drill-log"


@dataclass(frozen=True, slots=True)
class Mark:
    """How an identity was at a drill.

    Attributes:
        index: in the key tree.
        profile: digest of label, profile and end, 16 bytes.
        bindings: digest of its providers, 16 bytes.
        contacts: digest of the contact book as it is stored, 16 bytes.
        known: digest of the contacts without what look-ups said of them, 16 bytes.
        data_version: version of the index of its sealed data, 0 where there is none.
    """

    index: int
    profile: bytes
    bindings: bytes
    contacts: bytes
    known: bytes
    data_version: int

    def to_row(self) -> list[object]:
        """Return the CBOR list that stands for the mark."""
        return [self.index, self.profile, self.bindings, self.contacts, self.known, self.data_version]

    @classmethod
    def from_row(cls, value: object) -> Mark:
        """Read the list that `to_row` wrote; raises FormatError ``drill-log.malformed``."""
        row = Fields.of_row(value, _WHAT)
        one, two, three, four = (row.raw(key, DIGEST_BYTES) for key in range(1, 5))
        mark = cls(row.integer(0, high=MAX_INDEX), one, two, three, four, row.integer(5))
        row.end()
        return mark


@dataclass(frozen=True, slots=True)
class DrillLog:
    """What is remembered of drills.

    Attributes:
        tried_s: when the last one was, Unix time in seconds.
        missing: how much would have been lost then.
        passed_s: when nothing would have been lost the last time, or None if that never was so.
        marks: how the identities were then.
    """

    tried_s: int
    missing: int
    passed_s: int | None = None
    marks: tuple[Mark, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether the last one passed."""
        return not self.missing

    def to_bytes(self) -> bytes:
        """Encode the log."""
        rows = [mark.to_row() for mark in self.marks]
        return cbor.encode({1: VERSION, 2: self.tried_s, 3: self.missing, 4: self.passed_s, 5: rows})

    @classmethod
    def from_bytes(cls, data: bytes) -> DrillLog:
        """Decode a log.

        Raises:
            FormatError: ``drill-log.malformed``, ``drill-log.unknown-version``, ``cbor.*``.
        """
        fields = Fields(cbor.decode(data, MAX_DRAWER_BYTES), _WHAT)
        if fields.integer(1) != VERSION:
            raise FormatError(
                "drill-log.unknown-version", "the log was written by a newer version of walletcli", "update walletcli"
            )
        marks = tuple(Mark.from_row(item) for item in fields.items(5))
        log = cls(fields.integer(2), fields.integer(3), fields.optional_integer(4), marks)
        fields.end()
        if any(one.index >= other.index for one, other in pairwise(marks)) or (marks and log.passed_s is None):
            raise FormatError("drill-log.malformed", "malformed drill-log: marks are repeated or out of order")
        return log


@dataclass(frozen=True, slots=True)
class Changed:
    """What of an identity is not as it was when a drill passed.

    Attributes:
        identity: which.
        what: of ``new``, ``profile``, ``bindings``, ``contacts``, ``data``.
    """

    identity: IdentityView
    what: tuple[str, ...]

    def to_json(self) -> dict[str, object]:
        """Return did, label and what."""
        return {
            "did": IdentityId(self.identity.public_key).did, "label": self.identity.label, "what": list(self.what)
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class DrillState:
    """How a wallet stands to its last drill.

    Attributes:
        log: of the drills.
        changed: what has changed since the last that passed; empty if none did.
    """

    log: DrillLog
    changed: tuple[Changed, ...] = field(default=())

    def to_json(self) -> dict[str, object]:
        """Return when it was tried and passed, how much would have been lost, and what has changed."""
        return {
            "tried_s": self.log.tried_s,
            "passed": self.log.passed,
            "missing": self.log.missing,
            "passed_s": self.log.passed_s,
            "changed": [item.to_json() for item in self.changed],
        }


def marks_of(session: Session) -> tuple[Mark, ...]:
    """Return how the identities of the open wallet are now.

    Raises:
        FormatError: for a drawer that is damaged.
    """
    return tuple(_mark(session, view, None) for view in session.snapshot().wallet.identities)


def drill_state(session: Session) -> DrillState | None:
    """Say how the open wallet stands to its last drill; None if there never was one.

    Raises:
        FormatError: ``drill-log.*``, or for a drawer that is damaged.
    """
    data = session.drawer(None, DRAWER)
    if data is None:
        return None
    log = DrillLog.from_bytes(data)
    if log.passed_s is None:
        return DrillState(log)
    before = {mark.index: mark for mark in log.marks}
    views = session.snapshot().wallet.identities
    changes = ((view, tuple(_changes(session, view, before.get(view.index)))) for view in views)
    return DrillState(log, tuple(Changed(view, what) for view, what in changes if what))


def _changes(session: Session, view: IdentityView, before: Mark | None) -> Iterable[str]:
    if before is None:
        yield "new"
        return
    now = _mark(session, view, before)
    if now.profile != before.profile:
        yield "profile"
    if now.bindings != before.bindings:
        yield "bindings"
    if now.known != before.known:
        yield "contacts"
    if now.data_version != before.data_version:
        yield "data"


def remember(session: Session, tried_s: int, missing: int, marks: Sequence[Mark]) -> DrillLog:
    """Write down how a drill went.

    Args:
        session: the open wallet.
        tried_s: when it was, Unix time in seconds.
        missing: how much would have been lost.
        marks: how the identities were when it began.

    Raises:
        VaultError: ``vault.*``, ``agent.*``.
    """
    for _ in range(MAX_ATTEMPTS):
        data = session.drawer(None, DRAWER)
        before = DrillLog.from_bytes(data) if data is not None else None
        if not missing:
            log = DrillLog(tried_s, 0, tried_s, tuple(marks))
        elif before is not None:
            log = DrillLog(tried_s, missing, before.passed_s, before.marks)
        else:
            log = DrillLog(tried_s, missing)
        if _put(session, data, log):
            return log
    raise VaultError("vault.busy", "other processes keep changing the wallet", "try again")


def _put(session: Session, before: bytes | None, log: DrillLog) -> bool:
    """Put the log in place of the one that was read; tell whether it was still there."""
    from walletcli.wallet.state.changes import PutDrawer

    digest = hashlib.sha256(before).digest() if before is not None else None
    try:
        session.put_drawers(PutDrawer(None, DRAWER, log.to_bytes(), digest))
    except VaultError as error:
        if error.code != "drawer.changed":
            raise
        return False
    return True


def _mark(session: Session, view: IdentityView, before: Mark | None) -> Mark:
    """Return how an identity is; contacts are decoded only if their book is not the one of `before`."""
    stored = session.drawer(view.index, CONTACTS_DRAWER) or b""
    contacts = _digest(stored)
    if before is not None and before.contacts == contacts:
        known = before.known
    else:
        book = ContactBook.from_bytes(stored, own=True) if stored else ContactBook()
        known = _digest(cbor.encode([[item.id, item.name, without_sighting(item).to_bytes()] for item in book]))
    document = last_document(view)
    providers = sorted({grant.provider for grant in grants_of(document)}) if document is not None else []
    seen = read_memory(session, view.index).seen
    said = [view.label, dict(view.profile), dict(view.sealed_profile), view.retired is not None]
    version = seen.version if seen is not None else 0
    return Mark(view.index, _digest(cbor.encode(said)), _digest(cbor.encode(providers)), contacts, known, version)


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()[:DIGEST_BYTES]
