"""Runs a migration, or gives one up, and shows what became of each item."""

from __future__ import annotations

from typing import TYPE_CHECKING

from walletcli.cli import provider_page
from walletcli.cli.invocation import Invocation
from walletcli.cli.output import pairs
from walletcli.cli.sizes import size_text

if TYPE_CHECKING:
    from walletcli.wallet.providers.abort import Aborted
    from walletcli.wallet.providers.migrate import Migrated, MigrateWish
    from walletcli.wallet.providers.move_report import ItemOutcome

MAX_NAMED = 20
"""How many items are named one by one; --json names all."""

OLD_STATES = {
    "agreed": "it handed everything over",
    "refused": "it refused",
    "dead": "it does not answer",
    "unreliable": "what it gives cannot be believed",
}
"""How the provider that was left took it, in words."""

_LOST = ("older", "lost")


def moved(invocation: Invocation, who: str, wish: MigrateWish) -> Migrated:
    """Migrate, and answer."""
    from walletcli.wallet.providers.migrate import migrate

    provider_page.warn_of_clear_text(wish.address, *wish.relays)
    with invocation.session() as session:
        result = migrate(session, who, wish, offline=invocation.offline, progress=invocation.step)
    invocation.answer(result.to_json(), moved_lines(result))
    return result


def aborted(invocation: Invocation, who: str, relays: tuple[str, ...]) -> Aborted:
    """Give a migration up, and answer."""
    from walletcli.wallet.providers.abort import abort_migration

    with invocation.session() as session:
        result = abort_migration(session, who, relays=relays, offline=invocation.offline, progress=invocation.step)
    invocation.answer(result.to_json(), aborted_lines(result))
    return result


def moved_lines(result: Migrated) -> list[str]:
    """Return where the identity is now, and what became of each item."""
    from walletcli.core.identity_id import IdentityId

    report = result.report
    rows = [("identity", result.identity.label)]
    if result.old is not None:
        rows.append(("left", IdentityId(result.old).did))
    old = OLD_STATES[report.old]
    rows.append(("old provider", f"{old}: {report.old_error.message}" if report.old_error is not None else old))
    if result.told_error is not None:
        rows.append(("not told", f"{result.told_error.message}; contacts find the new provider on your relays"))
    rows += [("moved to", IdentityId(result.new).did), ("address", result.address)]
    if result.stored is not None:
        rows += [("stored on", relay) for relay in result.stored.relays]
        rows += [("not on", f"{failure.address}: {failure.message}") for failure in result.stored.failed]
    rows.append(("blobs", f"{report.moved} moved, {report.there} already there, {report.kit} from the exit kit"))
    rows.append(("copied", size_text(report.copied_bytes)))
    if not report.indexed:
        rows.append(("items", "UNKNOWN: no list of what was kept was found, so nobody can tell what is lost"))
    rows += [_item_row(item) for item in _first(report.items)]
    if len(report.items) > MAX_NAMED:
        rows.append(("items", f"{len(report.items)} in all; --json names each"))
    for kit in result.kit_reports:
        state = "has everything" if kit.is_complete else "is not complete"
        rows.append(("exit kit", f"{kit.target}: {state}"))
    return pairs(rows)


def aborted_lines(result: Aborted) -> list[str]:
    """Return what giving up has led to."""
    rows = [("identity", result.identity.label), ("stays", "with the provider that it has")]
    rows.append(
        ("record", "a new one was signed to take the first one back" if result.signed else "nothing was signed")
    )
    if result.stored is not None:
        rows += [("stored on", relay) for relay in result.stored.relays]
    if result.signed:
        rows.append((result.address, "has deleted what it had" if result.forgotten else _kept(result)))
    return pairs(rows)


def _kept(result: Aborted) -> str:
    return f"keeps what it had: {result.error.message}" if result.error is not None else "keeps what it had"


def _first(items: tuple[ItemOutcome, ...]) -> list[ItemOutcome]:
    """Return the items to name: what is lost before all else."""
    from walletcli.wallet.providers.move_report import OUTCOMES

    return sorted(items, key=lambda item: (OUTCOMES[item.outcome] not in _LOST, not item.is_file, item.name))[
        :MAX_NAMED
    ]


def _item_row(item: ItemOutcome) -> tuple[str, str]:
    from walletcli.cli.times import date_text
    from walletcli.wallet.providers.move_report import Outcome

    stored = date_text(item.stored_s // 86_400)
    match item.outcome:
        case Outcome.LOST:
            said = f"LOST: of {stored}, at no place any more"
        case Outcome.OLDER:
            found = date_text((item.found_s or 0) // 86_400)
            said = f"LOST in its state of {stored}; the one of {found} came from the exit kit"
        case Outcome.KIT:
            said = "from the exit kit"
        case Outcome.THERE:
            said = "was there already"
        case Outcome.VAULT:
            said = "in this wallet; the next synchronization stores it again"
        case _:
            said = "moved"
    return (item.name if item.is_file else f"({item.name})", said)
