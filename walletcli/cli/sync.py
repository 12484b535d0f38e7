"""``walletcli sync``: brings identities in step with their providers, exit kits, other devices and contacts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from walletcli.cli.approver_files import renewal_line
from walletcli.cli.commands import Verb
from walletcli.cli.invocation import Invocation, pass_invocation
from walletcli.cli.keepalive_page import kept_fields
from walletcli.cli.output import pairs, warn
from walletcli.cli.times import DURATION
from walletcli.errors import UsageError

if TYPE_CHECKING:
    from walletcli.wallet.sealed.sync import SyncReport


@click.command("sync", cls=Verb, unlocks=True, example="walletcli sync alice")
@click.argument("whom", metavar="[ID]...", nargs=-1)
@click.option("--spread", type=DURATION, help="Visit identities, and records of contacts, within this time (5m).")
@click.option("--at-once", is_flag=True, help="Visit them one right after the other, which ties them together.")
@click.option("--reseal", is_flag=True, help="Seal anew what a removed device could open.")
@click.option("--put-back", is_flag=True, help="Bring back from the exit kit what the provider has lost.")
@click.option("--accept-loss", is_flag=True, help="With --put-back: go on without what is nowhere.")
@click.option("--accept-removed", is_flag=True, help="Believe what a device stored that has been removed since.")
@click.option("--accept-link", is_flag=True, help="Go ahead where that ties identities together; remembered.")
@pass_invocation
def sync(invocation: Invocation, /, whom: tuple[str, ...], spread: int | None, at_once: bool, **wishes: bool) -> None:
    """Bring identities in step: contacts, settings, exit kit, record; all, and the index, if none is named."""
    from walletcli.wallet.pacing import DEFAULT_SPREAD_S
    from walletcli.wallet.sealed.sync import SyncWish
    from walletcli.wallet.sealed.sync_wallet import sync_wallet

    if at_once and spread is not None:
        raise UsageError("sync.spread", "--spread and --at-once do not go together", "give one of them")
    seconds = 0.0 if at_once else float(spread) if spread is not None else DEFAULT_SPREAD_S
    with invocation.session() as session:
        done = sync_wallet(
            session, whom, wish=SyncWish(**wishes), spread_s=seconds, offline=invocation.offline,
            progress=invocation.step,
        )  # fmt: skip
    for report in done.reports:
        _warn(report)
    for label in done.held:
        warn(f"{label}: restored, and not looked up far enough yet; go on with: walletcli wallet recover")
    if done.index is not None and done.index.error is not None:
        warn(f"the wallet index was not written: {done.index.error.message}")
    lines = [line for report in done.reports for line in _lines(report)]
    if done.index is not None and done.index.written is not None:
        lines += pairs([("wallet index", f"shard {done.index.written} written")])
    invocation.answer(done.to_json(), lines or ["no identity to bring in step"])
    if (shortfall := done.shortfall) is not None:
        raise shortfall


def _warn(report: SyncReport) -> None:
    for step, error in report.errors:
        warn(f"{report.identity.label}, {step}: {error.message}")
    if report.renewal is not None:
        warn(f"{report.identity.label}: {renewal_line(report.renewal)}")
    if report.followed_seq is not None:
        warn(
            f"{report.identity.label}: took over a record that another device of yours has published; "
            "if none did, somebody has your words"
        )
    for kit in report.kits:
        if not kit.complete:
            why = kit.error.message if kit.error is not None else "something is missing"
            warn(f"the exit kit {kit.place} is not up to date: {why}")


def _lines(report: SyncReport) -> list[str]:
    data = report.data
    fields = [("identity", report.identity.label)]
    if report.identity.stored is None and data is None:
        fields.append(("state", f"not published; walletcli publish {report.identity.label_word}"))
    if report.record is not None:
        fields.append(("record", "signed anew and stored" if report.record == "signed" else "stored again"))
    if report.contacts is not None:
        fields.append(("contacts", f"{report.contacts.asked} looked up, {report.contacts.changed} changed"))
        fields += [("news", f"{item.contact}: {item.text}") for item in report.contacts.news]
    if data is not None:
        fields.append(("data", f"in step with {data.provider}"))
        fields += [("stored", name) for name in (*data.sent, *data.resealed)]
        fields += [("taken over", name) for name in data.taken]
        lost = data.put_back.lost if data.put_back is not None else ()
        fields += [("lost" if item.back is None else "back in an older version", item.item.name) for item in lost]
    fields += [("exit kit", kit.place) for kit in report.kits if kit.complete]
    if report.kept is not None and report.kept.visits:
        fields += kept_fields(report.kept)
    return pairs(fields)
