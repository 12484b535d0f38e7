"""``walletcli identity``: the identities of a wallet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from walletcli.cli import ssh_key
from walletcli.cli.approver import approver
from walletcli.cli.commands import Noun
from walletcli.cli.invocation import Invocation, pass_invocation
from walletcli.cli.output import note, table
from walletcli.cli.secret_files import SECRET_FILE, SecretFile
from walletcli.cli.ssh_security_key import ssh_security_key
from walletcli.errors import UsageError

if TYPE_CHECKING:
    from walletcli.wallet.state.summary import IdentitySummary
    from walletcli.wallet.state.view import IdentityView

MAX_DERIVED = 100_000
"""Most identities that one command derives."""

REASONS = ("none given", "no longer used", "key compromised", "replaced")
"""Reasons for which an identity may be retired."""


@click.group(cls=Noun)
def identity() -> None:
    """Create, show and edit identities."""


@identity.command("create", unlocks=True, example="walletcli identity create alice")
@click.argument("label")
@click.option("--index", type=click.IntRange(min=0), help="Place in the key tree; the next free one if not given.")
@pass_invocation
def create(invocation: Invocation, label: str, index: int | None) -> None:
    """Create an identity; LABEL is your own name for it and stays in the vault."""
    from walletcli.wallet.identities import create_identity

    with invocation.session() as session:
        view = create_identity(session, label, index)
    _answer(invocation, view)


@identity.command("list", unlocks=True, example="walletcli identity list --derive 5")
@click.option("--derive", "count", type=click.IntRange(1, MAX_DERIVED), metavar="N",
              help="List the first N that the seed gives, stored or not.")  # fmt: skip
@pass_invocation
def list_(invocation: Invocation, count: int | None) -> None:
    """List the identities."""
    from walletcli.wallet.identities import derive_identities, list_identities

    with invocation.session() as session:
        found = list_identities(session) if count is None else derive_identities(session, count)
    rows = [(summary.label or "-", summary.did, _state(summary)) for summary in found]
    lines = table([("LABEL", "ID", "STATE"), *rows]) if rows else ["no identities"]
    invocation.answer({"identities": [summary.to_json() for summary in found]}, lines)


@identity.command("show", unlocks=True, example="walletcli identity show alice --qr")
@click.argument("who", metavar="ID")
@click.option("--qr", is_flag=True, help="Show the id as a QR code as well.")
@pass_invocation
def show(invocation: Invocation, who: str, qr: bool) -> None:
    """Show an identity, by its label or any form of its id."""
    from walletcli.cli.approver_files import approval_lines
    from walletcli.cli.identity_page import document, lines
    from walletcli.wallet.airgap.waiting import read_book
    from walletcli.wallet.approvers.overview import renewal_of, waiting_of
    from walletcli.wallet.identities import show_identity

    with invocation.session() as session:
        view = show_identity(session, who)
        waiting = waiting_of(view, read_book(session))
    renewal = renewal_of(view)
    more = {
        "approvals": [item.to_json() for item in waiting],
        "renewal": renewal.to_json() if renewal is not None else None,
    }
    invocation.answer({**document(view), **more}, [*lines(view, qr=qr), *approval_lines(waiting, renewal)])


@identity.command("rename", unlocks=True, example="walletcli identity rename alice work")
@click.argument("who", metavar="ID")
@click.argument("label")
@pass_invocation
def rename(invocation: Invocation, who: str, label: str) -> None:
    """Give an identity another label."""
    from walletcli.wallet.identities import rename_identity

    with invocation.session() as session:
        view = rename_identity(session, who, label)
    _answer(invocation, view)


@identity.command("set", unlocks=True, example="walletcli identity set alice name 'Alice A.' --public")
@click.argument("who", metavar="ID")
@click.argument("name")
@click.argument("value", required=False)
@click.option("--value-file", type=SECRET_FILE, help="Read the value from this file ('-': standard input).")
@click.option("--public/--sealed", "public", default=False, help="Readable by all, or by you alone (the default).")
@pass_invocation
def set_(
    invocation: Invocation, who: str, name: str, value: str | None, value_file: SecretFile | None, public: bool
) -> None:
    """Set an attribute of the profile; it goes out with the next publish."""
    from walletcli.wallet.identities import set_attribute

    if (value is None) == (value_file is None):
        raise UsageError(
            "usage.one-value", "give the value, or --value-file, and not both", "see: walletcli identity set --help"
        )
    text = value if value is not None or value_file is None else value_file.read_text().reveal_text()
    with invocation.session() as session:
        view = set_attribute(session, who, name, text or "", sealed=not public)
    _answer(invocation, view)


@identity.command("unset", unlocks=True, example="walletcli identity unset alice name")
@click.argument("who", metavar="ID")
@click.argument("name")
@pass_invocation
def unset(invocation: Invocation, who: str, name: str) -> None:
    """Remove an attribute from the profile."""
    from walletcli.wallet.identities import unset_attribute

    with invocation.session() as session:
        view = unset_attribute(session, who, name)
    _answer(invocation, view)


@identity.command("retire", unlocks=True, example="walletcli identity retire alice --reason 'no longer used'")
@click.argument("who", metavar="ID")
@click.option("--reason", type=click.Choice(REASONS), default=REASONS[0], help="Why; it is published.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_invocation
def retire(invocation: Invocation, who: str, reason: str, yes: bool) -> None:
    """End an identity for good; the next publish tells everybody."""
    from walletcli.wallet.identities import retire_identity, show_identity

    with invocation.session() as session:
        found = show_identity(session, who)
        if not yes and not _confirmed(invocation, f"Retire {found.label}? Once published, that cannot be undone."):
            raise UsageError("retire.declined", "nothing was changed", "answer y, or give --yes")
        view = retire_identity(session, who, reason)
    _answer(invocation, view)
    if not invocation.json:
        note(f"Next: walletcli publish {view.label_word}")


for verb in ssh_key.VERBS:
    identity.add_command(verb)
identity.add_command(approver)
identity.add_command(ssh_security_key)


def _confirmed(invocation: Invocation, question: str) -> bool:
    from walletcli.cli.terminal import open_terminal

    with open_terminal(invocation, "ask whether you are sure", "give --yes") as terminal:
        return terminal.confirm(question)


def _state(summary: IdentitySummary) -> str:
    if summary.label is None:
        return "not in this wallet"
    return "retired" if summary.retired else "published" if summary.published else "not published"


def _answer(invocation: Invocation, view: IdentityView) -> None:
    from walletcli.cli.identity_page import document, lines

    invocation.answer(document(view), lines(view))
