"""``walletcli record``: record files, a packet and its document in one."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import click

from walletcli.cli.commands import Noun
from walletcli.cli.invocation import Invocation, pass_invocation
from walletcli.cli.output import json_lines, note, pairs, warn
from walletcli.cli.times import DURATION
from walletcli.errors import UsageError

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


@record.command("prove", unlocks=True, example="walletcli record prove did:key:z6Mk… --out alice.proof")
@click.argument("who", metavar="[ID]", required=False)
@click.option("--record", "records", metavar="FILE", multiple=True, help="Compare two record files (give it twice).")
@click.option("--out", "-o", metavar="FILE", help="Write the proof to this new file.")
@click.option("--relay", "relays", metavar="URL", multiple=True, help="Ask this relay, not your list of relays.")
@pass_invocation
def prove(
    invocation: Invocation, who: str | None, records: tuple[str, ...], out: str | None, relays: tuple[str, ...]
) -> None:
    """Prove that an identity has signed two states with one seq, if it has."""
    from walletcli.cli.relay import warn_of_clear_text
    from walletcli.cli.resolve import session_for
    from walletcli.cli.split_page import split_fields
    from walletcli.wallet.splits.proving import prove_from_files, prove_split

    if (who is None) == (not records) or len(records) not in (0, 2):
        raise UsageError("record.prove", "give an ID, or two files with --record", "see: walletcli record prove --help")
    warn_of_clear_text(relays)
    if who is None:
        proven = prove_from_files(records, out)
    else:
        with contextlib.ExitStack() as open_sessions:
            session = session_for(invocation, who)
            if session is not None:
                open_sessions.enter_context(session)
            proven = prove_split(
                who, session, relays,
                home=invocation.home, out=out, offline=invocation.offline, progress=invocation.step,
            )  # fmt: skip
    for line in proven.unreachable:
        warn(line)
    fields = [("did", proven.did), *(field for proof in proven.proofs for field in split_fields(proof))]
    fields += [("written to", file) for file in proven.files]
    invocation.answer(proven.to_json(), pairs(fields))
    if not proven.files and not invocation.json:
        note("Next: the same with --out FILE writes the proof to a file that anybody can verify")


@record.command("verify-proof", example="walletcli record verify-proof alice.proof")
@click.argument("file", metavar="FILE")
@pass_invocation
def verify_proof(invocation: Invocation, file: str) -> None:
    """Verify a proof that an identity has signed two states with one seq; asks nobody."""
    from walletcli.cli.split_page import proof_fields
    from walletcli.wallet.splits.proving import verify_split_proof

    checked = verify_split_proof(file)
    invocation.answer(checked.to_json(), pairs(proof_fields(checked)))


@record.command("keepalive", unlocks=True, example="walletcli record keepalive")
@click.option(
    "--as", "whose", metavar="ID", multiple=True, help="Whose contacts, by label or id; all identities if left out."
)
@click.option("--relay", "relays", metavar="URL", multiple=True, help="Spread them among these relays, not your list.")
@click.option("--few-relays", is_flag=True, help="Go on with fewer than 3 relays, each of which learns a larger part.")
@click.option("--all", "everything", is_flag=True, help="Look also after what is not due yet.")
@click.option("--spread", type=DURATION, help="Make the visits within this time, at random (5m).")
@click.option("--at-once", is_flag=True, help="Make them one right after the other.")
@pass_invocation
def keepalive(
    invocation: Invocation, /, whose: tuple[str, ...], spread: int | None, at_once: bool, **wishes: Any
) -> None:
    """Keep the records of your contacts, and your own, alive at relays."""
    from walletcli.cli.keepalive_page import kept_fields
    from walletcli.wallet.keepalive.run import KeepWish, keep_wallet_alive
    from walletcli.wallet.pacing import DEFAULT_SPREAD_S

    if at_once and spread is not None:
        raise UsageError("keepalive.spread", "--spread and --at-once do not go together", "give one of them")
    seconds = 0.0 if at_once else float(spread) if spread is not None else DEFAULT_SPREAD_S
    with invocation.session() as session:
        kept = keep_wallet_alive(
            session, whose, KeepWish(**wishes, spread_s=seconds), offline=invocation.offline, progress=invocation.step
        )
    lines = [
        line for report in kept.reports for line in pairs([("identity", report.identity.label), *kept_fields(report)])
    ]
    invocation.answer(kept.to_json(), lines or ["no identity is published"])
    if (shortfall := kept.shortfall) is not None:
        raise shortfall


def _answer(invocation: Invocation, check: RecordCheck, done: str) -> None:
    fields = [("record", done), ("did", check.did), ("seq", str(check.seq))]
    fields += [("verified", statement) for statement in check.verified]
    invocation.answer({**check.to_json(), "valid": True}, pairs(fields))
