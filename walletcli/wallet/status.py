"""Says how a wallet is, as far as that can be told without opening it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from walletcli.wallet.access.agent_session import live_agent
from walletcli.wallet.home import Home, PasswordSource
from walletcli.wallet.state.wallet_view import WalletFacts

if TYPE_CHECKING:
    from walletcli.vault.slots import SlotInfo
    from walletcli.wallet.access.session import Session
    from walletcli.wallet.approvers.overview import Renewal, WaitingApproval
    from walletcli.wallet.index.book import IndexBook
    from walletcli.wallet.recovery.drill_log import DrillState
    from walletcli.wallet.recovery.report import Report
    from walletcli.wallet.sealed.overview import SyncState
    from walletcli.wallet.splits.own import OwnSplit


@dataclass(frozen=True, slots=True)
class SlotView:
    """One way to open the vault.

    Attributes:
        id: the number that names it.
        kinds: all of these are needed.
        created_day: days since 1970-01-01 UTC.
    """

    id: int
    kinds: tuple[str, ...]
    created_day: int

    @classmethod
    def of(cls, slot: SlotInfo) -> SlotView:
        """Describe a slot of a vault."""
        return cls(slot.slot_id, slot.kinds, slot.created_day)

    @property
    def kind(self) -> str:
        """What is needed, as a person reads it."""
        return " and ".join(self.kinds)

    def to_json(self) -> dict[str, object]:
        """Return id, kind, kinds and day."""
        return {"id": self.id, "kind": self.kind, "kinds": list(self.kinds), "created_day": self.created_day}


@dataclass(frozen=True, slots=True)
class WalletStatus:
    """How a wallet is.

    Attributes:
        home: its directory.
        exists: whether there is one.
        unlocked: whether an agent holds it open.
        expires_in_s: seconds until that agent forgets it, or None.
        facts: the wallet in one line, or None while it is locked.
        slots: what opens it.
        relays: how many relays it knows.
        sync: how the last synchronization of each identity went; empty while it is locked.
        restore: what the restore that made it has brought so far; None if it was made otherwise, or is locked.
        drill: when a loss was rehearsed, and what has changed since; None if it never was, or while it is locked.
        index: how the wallet index stands; None if it was not begun, or while it is locked.
        splits: identities of its own that are split; empty while it is locked.
        approvals: what waits for approvals; empty while it is locked.
        renewals: devices that are to be renewed with approvals soon; empty while it is locked.
    """

    home: str
    exists: bool
    unlocked: bool
    expires_in_s: int | None
    facts: WalletFacts | None
    slots: tuple[SlotView, ...]
    relays: int
    sync: tuple[SyncState, ...] = ()
    restore: Report | None = None
    drill: DrillState | None = None
    index: IndexBook | None = None
    splits: tuple[OwnSplit, ...] = ()
    approvals: tuple[WaitingApproval, ...] = ()
    renewals: tuple[Renewal, ...] = ()

    def with_facts(self, facts: WalletFacts) -> WalletStatus:
        """Return the same with what the open wallet says."""
        return replace(self, facts=facts)

    def to_json(self) -> dict[str, object]:
        """Return the fields; those of the facts beside them, while it is open."""
        return {
            "home": self.home,
            "exists": self.exists,
            "unlocked": self.unlocked,
            "expires_in_s": self.expires_in_s,
            "slots": [slot.to_json() for slot in self.slots],
            "relays": self.relays,
            "sync": [state.to_json() for state in self.sync],
            "restore": self.restore.summary() if self.restore is not None else None,
            "drill": self.drill.to_json() if self.drill is not None else None,
            "index": self.index.summary() if self.index is not None else None,
            "splits": [split.to_json() for split in self.splits],
            "approvals": [item.to_json() for item in self.approvals],
            "renewals": [item.to_json() for item in self.renewals],
            **(self.facts.to_json() if self.facts is not None else {}),
        }


def wallet_status(home: Home, password: PasswordSource | None = None) -> WalletStatus:
    """Say how the wallet is.

    Args:
        home: whose.
        password: opens it for the facts; None: they are told only if an agent has it open.

    Raises:
        FormatError: ``vault.*`` for a vault that is none; ``relays.malformed``.
        VaultError: as `open_session`, if a password is given.
    """
    from walletcli.wallet.relays import list_relays

    relay_count = len(list_relays(home))
    if not home.exists():
        return WalletStatus(home.path, False, False, None, None, (), relay_count)
    slots = _slots(home)
    agent = live_agent(home)
    if agent is not None:
        with agent:
            found = WalletStatus(home.path, True, True, agent.status().expires_in_s, None, slots, relay_count)
            return _with_what_is_inside(found, agent)
    found = WalletStatus(home.path, True, False, None, None, slots, relay_count)
    if password is None:
        return found
    from walletcli.wallet.access.opening import open_here

    with open_here(home, password) as session:
        return _with_what_is_inside(found, session)


def _with_what_is_inside(status: WalletStatus, session: Session) -> WalletStatus:
    from walletcli.wallet.approvers.overview import all_waiting, renewals
    from walletcli.wallet.index.book import read_book
    from walletcli.wallet.recovery.drill_log import drill_state
    from walletcli.wallet.recovery.story import last_report
    from walletcli.wallet.sealed.overview import sync_states
    from walletcli.wallet.splits.own import own_splits

    facts = session.facts()
    restore = last_report(session) if facts.restored else None
    return replace(
        status,
        facts=facts,
        sync=sync_states(session),
        restore=restore,
        drill=drill_state(session),
        splits=own_splits(session.snapshot().wallet),
        approvals=all_waiting(session),
        renewals=renewals(session),
        index=read_book(session),
    )


def _slots(home: Home) -> tuple[SlotView, ...]:
    from pathlib import Path

    from walletcli.vault.unopened import describe

    return tuple(SlotView.of(slot) for slot in describe(Path(home.vault_path)).slots)
