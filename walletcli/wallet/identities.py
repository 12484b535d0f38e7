"""The identities of a wallet: create, list, show, rename, profile, retire."""

from __future__ import annotations

import shlex
import time
from typing import TYPE_CHECKING

from walletcli.errors import FormatError, InputError
from walletcli.wallet.access.session import Session
from walletcli.wallet.access.wire import MAX_KEYS

if TYPE_CHECKING:
    from walletcli.wallet.state.summary import IdentitySummary
    from walletcli.wallet.state.view import IdentityView

MAX_INDEX = 2**31 - 2
"""Largest identity index (`walletcli.wallet.state.view`)."""

RETIRE_REASONS = ("none given", "no longer used", "key compromised", "replaced")
"""Why an identity is retired, by number (docs/spec/record.md)."""

RETIRE_SPREAD_DAYS = 7
"""A retirement is dated up to this many days less one back, so that identities retired together do not share a date."""

_DAY_S = 86_400


def create_identity(session: Session, label: str, index: int | None = None) -> IdentityView:
    """Hold one more identity, with new device keys; it is published later.

    Args:
        session: the open wallet.
        label: local name; nobody else ever sees it.
        index: which identity of the seed, or None for the one after the last.

    Raises:
        InputError: ``label.malformed``, ``label.exists``, ``identity.exists``, ``identity.index``.
    """
    from walletcli.wallet.state.changes import AddIdentity

    if index is not None and not 0 <= index <= MAX_INDEX:
        raise InputError("identity.index", f"the index of an identity is 0 to {MAX_INDEX}, found {index}")
    return session.change(AddIdentity(label, index, _today()))


def list_identities(session: Session) -> list[IdentitySummary]:
    """Return the identities that the wallet holds, by index."""
    return session.summaries()


def derive_identities(session: Session, count: int, start: int = 0) -> list[IdentitySummary]:
    """Return the `count` identities that the seed gives from `start` on, whether the wallet holds them or not.

    Raises:
        InputError: ``identity.index`` or ``identity.count``.
    """
    if count < 1 or start < 0 or start + count - 1 > MAX_INDEX:
        raise InputError("identity.count", f"the seed has identities 0 to {MAX_INDEX}", "ask for at least one of those")
    found: list[IdentitySummary] = []
    while len(found) < count:
        found += session.derived(start + len(found), min(count - len(found), MAX_KEYS))
    return found


def show_identity(session: Session, who: str) -> IdentityView:
    """Return what the wallet knows of one of its identities.

    Raises:
        InputError: ``identity.unknown``.
    """
    from walletcli.wallet.state.lookup import find

    return find(session.snapshot().wallet, who)


def rename_identity(session: Session, who: str, label: str) -> IdentityView:
    """Give an identity another label.

    Raises:
        InputError: ``identity.unknown``, ``label.malformed``, ``label.exists``.
    """
    from walletcli.wallet.state.changes import Rename

    return session.change(Rename(show_identity(session, who).index, label))


def set_attribute(session: Session, who: str, name: str, value: str, sealed: bool = False) -> IdentityView:
    """Set an attribute of the profile; it goes out with the next publish.

    Args:
        session: the open wallet.
        who: label or id.
        name: 1 to 32 of ``a-z 0-9 . _ -``, beginning with a letter or digit.
        value: up to 1024 bytes of UTF-8.
        sealed: readable by the owner alone; otherwise by everybody.

    Raises:
        InputError: ``identity.unknown``, ``identity.retired``, ``attribute.too-many``.
        FormatError: ``document.profile``.
    """
    import unicodedata

    from walletcli.core.document import attribute_fault
    from walletcli.wallet.state.changes import SetAttribute

    value = unicodedata.normalize("NFC", value)
    if fault := attribute_fault(name, value):
        hint = f"give it another way; to take an attribute away: walletcli identity unset {shlex.quote(who)} NAME"
        raise FormatError("document.profile", f"profile: {fault}", hint)
    return session.change(SetAttribute(show_identity(session, who).index, name, value, sealed))


def unset_attribute(session: Session, who: str, name: str) -> IdentityView:
    """Remove an attribute of the profile, public or sealed.

    Raises:
        InputError: ``identity.unknown``, ``identity.retired``, ``attribute.unknown``.
    """
    from walletcli.wallet.state.changes import UnsetAttribute

    return session.change(UnsetAttribute(show_identity(session, who).index, name))


def retire_identity(session: Session, who: str, reason: str = "") -> IdentityView:
    """Decide that an identity ends. The next publish says so to everybody, and nothing can follow it.

    Args:
        session: the open wallet.
        who: label or id.
        reason: one of `RETIRE_REASONS`; empty: none given.

    Raises:
        InputError: ``identity.unknown``, ``identity.retired``, ``identity.retire-reason``.
    """
    import secrets

    from walletcli.wallet.state.changes import Retire

    reason = reason or RETIRE_REASONS[0]
    if reason not in RETIRE_REASONS:
        raise InputError("identity.retire-reason", f"{reason!r} is no reason", "one of: " + ", ".join(RETIRE_REASONS))
    day = _today() - secrets.randbelow(RETIRE_SPREAD_DAYS)
    return session.change(Retire(show_identity(session, who).index, day, RETIRE_REASONS.index(reason)))


def _today() -> int:
    return int(time.time()) // _DAY_S
