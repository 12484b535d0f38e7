"""How the wallet as a whole is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from walletcli.cli.output import pairs
from walletcli.cli.times import for_people

if TYPE_CHECKING:
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
    return pairs([*fields, ("relays", str(status.relays))])
