"""``walletcli record``: record files, a packet and its document in one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from walletcli.cli.commands import Noun
from walletcli.cli.invocation import Invocation, pass_invocation
from walletcli.cli.output import json_lines, pairs

if TYPE_CHECKING:
    from walletcli.wallet.records import RecordCheck


@click.group(cls=Noun)
def record() -> None:
    """Read, verify and export record files."""


@record.command("show", example="walletcli record show alice.record")
@click.argument("file", metavar="FILE")
@click.option("--did-document", is_flag=True, help="Show only the W3C DID document that did:dht resolvers see.")
@pass_invocation
def show(invocation: Invocation, file: str, did_document: bool) -> None:
    """Show what a record file says, once it is verified."""
    from walletcli.wallet.records import show_record

    shown = show_record(file)
    invocation.answer(shown, json_lines(shown["did_document"] if did_document else shown))


@record.command("verify", example="walletcli record verify alice.record")
@click.argument("file", metavar="FILE")
@pass_invocation
def verify(invocation: Invocation, file: str) -> None:
    """Verify a record file, and say what was verified."""
    from walletcli.wallet.records import verify_record

    _answer(invocation, verify_record(file), "verified")


@record.command("export", unlocks=True, example="walletcli record export alice alice.record")
@click.argument("who", metavar="ID")
@click.argument("file", metavar="FILE")
@click.option("--accept-link", is_flag=True, help="Go ahead where that ties identities together; remembered.")
@pass_invocation
def export(invocation: Invocation, who: str, file: str, accept_link: bool) -> None:
    """Write an identity's latest record to a file."""
    from walletcli.wallet.records import export_record

    with invocation.session() as session:
        check = export_record(session, who, file, accept_link)
    _answer(invocation, check, f"exported to {file}")


def _answer(invocation: Invocation, check: RecordCheck, done: str) -> None:
    fields = [("record", done), ("did", check.did), ("seq", str(check.seq))]
    fields += [("verified", statement) for statement in check.verified]
    invocation.answer({**check.to_json(), "valid": True}, pairs(fields))
