"""Says how a wallet is, as far as that can be told without opening it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from walletcli.wallet.access.session import live_agent
from walletcli.wallet.home import Home, PasswordSource
from walletcli.wallet.state.wallet_view import WalletFacts

if TYPE_CHECKING:
    from walletcli.vault.slots import SlotInfo
    from walletcli.wallet.access.session import Session
    from walletcli.wallet.sealed.overview import SyncState


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
    """

    home: str
    exists: bool
    unlocked: bool
    expires_in_s: int | None
    facts: WalletFacts | None
    slots: tuple[SlotView, ...]
    relays: int
    sync: tuple[SyncState, ...] = ()

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
            expires_in_s = agent.status().expires_in_s
            return WalletStatus(home.path, True, True, expires_in_s, agent.facts(), slots, relay_count, _sync(agent))
    facts: WalletFacts | None = None
    sync: tuple[SyncState, ...] = ()
    if password is not None:
        from walletcli.wallet.access.opening import open_here

        with open_here(home, password) as session:
            facts, sync = session.facts(), _sync(session)
    return WalletStatus(home.path, True, False, None, facts, slots, relay_count, sync)


def _sync(session: Session) -> tuple[SyncState, ...]:
    from walletcli.wallet.sealed.overview import sync_states

    return sync_states(session)


def _slots(home: Home) -> tuple[SlotView, ...]:
    from pathlib import Path

    from walletcli.vault.unopened import describe

    return tuple(SlotView.of(slot) for slot in describe(Path(home.vault_path)).slots)
