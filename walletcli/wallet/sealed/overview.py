"""How the identities of a wallet stand: which are in step, and what failed the last time.

Spec: docs/spec/sealed-data.md, "Log".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from walletcli.wallet.contacts import book
from walletcli.wallet.sealed.index import CONTACTS
from walletcli.wallet.sealed.memory import BASE_DRAWERS
from walletcli.wallet.sealed.sync_log import SyncEntry, read_log
from walletcli.wallet.state.draft import last_document

if TYPE_CHECKING:
    from walletcli.wallet.access.session import Session
    from walletcli.wallet.state.view import IdentityView


@dataclass(frozen=True, slots=True)
class SyncState:
    """How the last synchronization of one identity went.

    Attributes:
        label: of the identity.
        did: its id.
        entry: of the log.
    """

    label: str
    did: str
    entry: SyncEntry

    def to_json(self) -> dict[str, object]:
        """Return label, did, and the entry."""
        return {"label": self.label, "did": self.did, **self.entry.to_json()}


def sync_states(session: Session) -> tuple[SyncState, ...]:
    """Return how it went for each identity that was ever brought in step, by index.

    Raises:
        FormatError: ``sync-log.*``.
    """
    log = read_log(session)
    if not log:
        return ()
    return tuple(
        SyncState(summary.label or "", summary.did, log[summary.index])
        for summary in session.summaries()
        if summary.index in log
    )


def has_contacts_only_here(session: Session, identity: IdentityView) -> bool:
    """Tell whether a bound identity's contacts, as they are now, stand on this machine alone.

    Raises:
        VaultError: ``agent.*``, ``vault.*``.
    """
    document = last_document(identity)
    if document is None or not document.bindings:
        return False
    mine = session.drawer(identity.index, book.DRAWER)
    return mine is not None and mine != session.drawer(identity.index, BASE_DRAWERS[CONTACTS])
