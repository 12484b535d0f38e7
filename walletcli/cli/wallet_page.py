"""How the wallet as a whole is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from walletcli.cli.output import pairs
from walletcli.cli.times import for_people, instant_text

if TYPE_CHECKING:
    from walletcli.wallet.sealed.overview import SyncState
    from walletcli.wallet.status import WalletStatus


def status_lines(status: WalletStatus) -> list[str]:
    """Return the state of a wallet for people."""
    fields = [("home", status.home)]
    if not status.exists:
        return pairs([*fields, ("wallet", "none")])
    state = f"unlocked, for {for_people(status.expires_in_s or 0)}" if status.unlocked else "locked"
    fields += [("wallet", state), ("opens with", ", ".join(slot.kind for slot in status.slots))]
    if status.facts is not None:
        facts = status.facts
        words = "on another machine" if facts.watch else f"{facts.word_count}, {facts.language}"
        fields += [
            ("words", words),
            ("scheme", facts.scheme),
            ("check value", facts.check.hex() or "not known yet"),
            ("identities", str(facts.identity_count)),
        ]
    return pairs([*fields, ("relays", str(status.relays)), *(_sync_field(state) for state in status.sync)])


def _sync_field(state: SyncState) -> tuple[str, str]:
    """Return how the last synchronization of an identity went."""
    entry = state.entry
    parts = [f"{state.label}, {instant_text(entry.done_s) if entry.done_s is not None else 'never in full'}"]
    parts += [f"{instant_text(entry.tried_s)} failed at {fault.step}: {fault.message}" for fault in entry.faults]
    if entry.followed_s is not None:
        parts.append(f"{instant_text(entry.followed_s)} followed a record of another device of yours")
    return "in step", "; ".join(parts)
