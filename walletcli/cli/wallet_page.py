"""How the wallet as a whole is shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from walletcli.cli.approver_files import renewal_line
from walletcli.cli.output import pairs
from walletcli.cli.times import for_people, instant_text

if TYPE_CHECKING:
    from walletcli.wallet.approvers.overview import WaitingApproval
    from walletcli.wallet.recovery.drill_log import DrillState
    from walletcli.wallet.recovery.report import Report
    from walletcli.wallet.sealed.overview import SyncState
    from walletcli.wallet.splits.own import OwnSplit
    from walletcli.wallet.state.wallet_view import WalletFacts
    from walletcli.wallet.status import WalletStatus

MAX_NAMED = 5
"""Most identities that are named in a line."""


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
    fields += [("relays", str(status.relays)), *(_sync_field(state) for state in status.sync)]
    fields += [("split", _split(split)) for split in status.splits]
    fields += [("approvals", _approvals(item)) for item in status.approvals]
    fields += [("renewal", f"{item.label}: {renewal_line(item)}") for item in status.renewals]
    if status.index is not None:
        fields.append(("index", _index(status.index.summary())))
    if status.restore is not None and not status.restore.is_complete:
        fields.append(("restore", _restore(status.restore)))
    if status.drill is not None or (status.facts is not None and _has_what_to_lose(status.facts)):
        fields.append(("drill", _drill(status.drill)))
    return pairs(fields)


def _approvals(item: WaitingApproval) -> str:
    """Say how far what waits has come."""
    what = {"record": "its next record", "contacts": "a contact export"}[item.kind]
    return f"{item.label}: {what} has {len(item.given)} of {item.needed} ({item.state})"


def _split(split: OwnSplit) -> str:
    """Say which identity is split, and what comes next."""
    word = split.identity.label_word
    done = "healed by the next record" if split.is_decided else "look at it: walletcli record prove"
    return f"{split.identity.label}: two states are signed with seq {split.proof.seq}; {done}" + (
        f": walletcli publish {word}" if split.is_decided else f" {word} --out FILE"
    )


def _has_what_to_lose(facts: WalletFacts) -> bool:
    return not facts.watch and facts.identity_count > 0


def _index(summary: Mapping[str, object]) -> str:
    """Return when the wallet index was written, and when it will be again."""
    if not summary["on"]:
        return "off; a restore has to search"
    written_s, next_s, fault = summary["written_s"], summary["next_s"], summary["fault"]
    parts = [f"written {instant_text(written_s)}" if isinstance(written_s, int) else "not written yet"]
    if isinstance(next_s, int):
        waiting = f", which takes in {summary['waiting']} more" if summary["waiting"] else ""
        parts.append(f"next slot {instant_text(next_s)}{waiting}")
    if isinstance(fault, dict):
        parts.append(f"the last try failed: {fault['message']}")
    return "; ".join(parts)


def _restore(report: Report) -> str:
    """Return what is left of a restore."""
    left = [f"{len(report.not_found)} did not come back"] if report.not_found else []
    left += [f"{len(report.waiting)} wait"] if report.waiting else []
    return f"not complete{': ' if left else ''}{', '.join(left)}; go on with: walletcli wallet recover"


def _drill(state: DrillState | None) -> str:
    """Return when the losses were rehearsed, and what has changed since."""
    if state is None:
        return "never; rehearse a loss with: walletcli wallet drill"
    log = state.log
    parts = [f"passed {instant_text(log.passed_s)}" if log.passed_s is not None else "never passed"]
    if not log.passed:
        parts.append(f"{instant_text(log.tried_s)} it found {log.missing} that would be lost")
    changed = [f"{item.identity.label} ({', '.join(item.what)})" for item in state.changed]
    if changed:
        more = f" and {len(changed) - MAX_NAMED} more" if len(changed) > MAX_NAMED else ""
        parts.append(f"changed since: {', '.join(changed[:MAX_NAMED])}{more}")
    return "; ".join(parts)


def _sync_field(state: SyncState) -> tuple[str, str]:
    """Return how the last synchronization of an identity went."""
    entry = state.entry
    parts = [f"{state.label}, {instant_text(entry.done_s) if entry.done_s is not None else 'never in full'}"]
    parts += [f"{instant_text(entry.tried_s)} failed at {fault.step}: {fault.message}" for fault in entry.faults]
    if entry.followed_s is not None:
        parts.append(f"{instant_text(entry.followed_s)} followed a record of another device of yours")
    return "in step", "; ".join(parts)
