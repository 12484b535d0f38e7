"""``walletcli identity approver``: security keys and Ledgers that must agree to what moves an identity."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from walletcli.cli.approver_files import VERBS, offered, waiting_lines
from walletcli.cli.commands import Noun
from walletcli.cli.invocation import Invocation, pass_invocation
from walletcli.cli.output import note, safe, table, warn

if TYPE_CHECKING:
    from walletcli.wallet.approvers.deciding import ApproversView, ApproverView

STATES = {
    "in-force": "in force",
    "to-be-added": "added by the next publish",
    "to-be-removed": "removed by the next publish",
}
"""The states of an approver, in words."""

_THRESHOLD = click.option("--threshold", type=click.IntRange(1, 8), metavar="N", help="How many of them must approve.")


@click.group("approver", cls=Noun)
def approver() -> None:
    """Have security keys, or Ledgers, agree to what moves an identity."""


@approver.command("list", unlocks=True, example="walletcli identity approver list alice")
@click.argument("who", metavar="ID")
@pass_invocation
def list_(invocation: Invocation, who: str) -> None:
    """List an identity's approvers, and what is decided for the next publish."""
    from walletcli.wallet.approvers.deciding import list_approvers

    with invocation.session() as session:
        found = list_approvers(session, who)
    invocation.answer(found.to_json(), _lines(found))


@approver.command("add", unlocks=True, example="walletcli identity approver add alice --name 'blue key'")
@click.argument("who", metavar="ID")
@click.option("--key", "which", metavar="KEY", help="Path or serial number of the device, if several are there.")
@click.option("--name", metavar="NAME", help="Your own name for it; never published.")
@click.option("--no-pin", is_flag=True, help="A touch is enough: do not ask for the key's PIN.")
@_THRESHOLD
@click.option("--delay", "delay_days", type=click.IntRange(1, 365), metavar="DAYS",
              help="How long a removal without the approvers takes (30).")  # fmt: skip
@click.option("--accept-link", is_flag=True, help="Go ahead though the key approves for another identity of yours.")
@click.option("--offer", metavar="FILE", help="Take the key that somebody else offers, who holds it; needs --name.")
@click.option("--digest", metavar="WORDS", help="With --offer: the 8 words that the holder's machine shows.")
@pass_invocation
def add(
    invocation: Invocation, who: str, which: str | None, name: str | None, no_pin: bool,
    threshold: int | None, delay_days: int | None, accept_link: bool, offer: str | None, digest: str | None,
) -> None:  # fmt: skip
    """Make a security key (touched twice) or a Ledger (its text confirmed) an approver of an identity."""
    from walletcli.cli.unlocking import open_wallet_here
    from walletcli.wallet.approvers.deciding import add_approver

    with open_wallet_here(invocation) as session:
        if offer is not None:
            found = offered(invocation, session, who, offer, digest, name, threshold, delay_days)
        else:
            found = add_approver(
                session, who, which=which, name=name, verify=not no_pin,
                threshold=threshold, delay_days=delay_days, accept_link=accept_link,
            )  # fmt: skip
    invocation.answer(found.to_json(), _lines(found))
    if len(found.approvers) == 1:
        warn("with one approver, losing that key means waiting: add a second one and keep it elsewhere")
    _say_next(invocation, found)


@approver.command("remove", unlocks=True, example="walletcli identity approver remove alice 'blue key'")
@click.argument("who", metavar="ID")
@click.argument("key", metavar="KEY")
@_THRESHOLD
@click.option("--lost", is_flag=True, help="The approvers cannot approve any more: everybody follows after the delay.")
@pass_invocation
def remove(invocation: Invocation, who: str, key: str, threshold: int | None, lost: bool) -> None:
    """Take an approver away; KEY is its name, or the beginning of its key."""
    from walletcli.cli.unlocking import open_wallet_here
    from walletcli.wallet.approvers.deciding import remove_approver

    with open_wallet_here(invocation) as session:
        found = remove_approver(session, who, key, threshold=threshold, lost=lost)
    invocation.answer(found.to_json(), _lines(found))
    if found.lost:
        warn(
            "without approvals, each node and contact waits for the delay from the day on which it first sees this; "
            "publish now, and again when it has passed"
        )
    _say_next(invocation, found)


def _lines(found: ApproversView) -> list[str]:
    if not found.approvers:
        return ["no approvers: the root key alone moves this identity"]
    rows = [
        (
            safe(item.name) or "(this wallet cannot ask it)",
            item.approver.public_key.hex()[:16],
            _needs(item),
            STATES[item.state],
        )
        for item in found.approvers
    ]
    lines = table([("NAME", "KEY", "NEEDS", "STATE"), *rows])
    if found.threshold:
        lines.append(f"{found.threshold} must approve; without them a change takes {found.delay_days} days")
    return [*lines, *(line for item in found.waiting for line in waiting_lines(item))]


def _needs(item: ApproverView) -> str:
    if item.approver.form:
        return "text confirmed on its screen"
    return "PIN and touch" if item.approver.user_verification else "touch"


def _say_next(invocation: Invocation, found: ApproversView) -> None:
    if found.waits and not invocation.json:
        from shlex import quote

        note(f"It holds once it is published: walletcli publish {quote(found.label)}")


for verb in VERBS:
    approver.add_command(verb)
