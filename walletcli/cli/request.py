"""``walletcli request``: offline signing, from what an online wallet asks to what the root keys answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from walletcli.cli.commands import Noun
from walletcli.cli.invocation import Invocation, pass_invocation
from walletcli.cli.output import note, safe, table
from walletcli.errors import UsageError

if TYPE_CHECKING:
    from walletcli.wallet.airgap.making import Made, Wish

ALARMS = ("history", "seq", "clock", "device", "grant", "ssh-key", "recovery", "approvers", "retire")
"""Names of alarms (`walletcli.wallet.airgap.alarms`)."""

DEFAULT_DAYS = 14
"""How long a request holds unless said otherwise."""

MAX_DAYS = 90
"""Longest life of a request, days (docs/spec/request.md)."""

DAYS = click.option(
    "--days", type=click.IntRange(1, MAX_DAYS), default=DEFAULT_DAYS, show_default=True, metavar="N",
    help="Days that the request holds.",
)  # fmt: skip
OUT = click.option("--out", "-o", metavar="FILE", required=True, help="Write the request to this new file.")


@click.group(cls=Noun)
def request() -> None:
    """Ask another machine for signatures, and answer such requests."""


@request.command("make", unlocks=True, example="walletcli request make alice --out alice.request")
@click.argument("who", metavar="[ID]...", nargs=-1)
@click.option("--new", metavar="LABEL", multiple=True, help="Ask for a new identity; LABEL is your own name for it.")
@click.option("--public", metavar="NAME=VALUE", multiple=True, help="With one --new: show this attribute to all.")
@click.option("--sealed", metavar="NAME=VALUE", multiple=True, help="With one --new: keep this attribute to yourself.")
@click.option("--card", "cards", metavar="ID", multiple=True, help="Have the root sign a contact card.")
@click.option("--attribute", "names", metavar="NAME", multiple=True, help="With --card: put this attribute in.")
@click.option("--contacts", "exports", metavar="ID", multiple=True, help="Have the root sign your contact list.")
@OUT
@DAYS
@click.option("--relay", "relays", metavar="URL", multiple=True, help="Ask this relay first, not your list of relays.")
@click.option("--accept-link", is_flag=True, help="Go ahead where that ties identities together; remembered.")
@click.option("--on-top", is_flag=True, help="If relays have a newer record of yours, continue from that one.")
@click.option(
    "--heal", metavar="FILE", multiple=True, help="Ask for the record that heals the split in this proof file."
)
@pass_invocation
def make(
    invocation: Invocation, /, out: str, relays: tuple[str, ...], accept_link: bool, on_top: bool, **wanted: Any
) -> None:
    """Write a request for all that waits to be signed, or for what is named."""
    from walletcli.cli.relay import warn_of_clear_text
    from walletcli.cli.split_page import warn_of_the_key
    from walletcli.wallet.airgap.making import make_request

    warn_of_clear_text(relays)
    with invocation.session() as session:
        wish = _wish(session, accept_link, **wanted)
        made = make_request(
            session, wish, out, relays,
            accept_link=accept_link, on_top=on_top, offline=invocation.offline, progress=invocation.step,
        )  # fmt: skip
    answer_made(invocation, made)
    if wanted["heal"]:
        warn_of_the_key()


@request.command("list", unlocks=True, example="walletcli request list")
@pass_invocation
def list_(invocation: Invocation) -> None:
    """List requests: those that wait for an answer, those that were approved here, those that have ended."""
    from walletcli.cli.times import date_text
    from walletcli.wallet.airgap.waiting import list_requests

    with invocation.session() as session:
        found = list_requests(session)
    rows = [
        (item.request_id.hex()[:8], item.state, date_text(item.day), ", ".join(item.items) or "-") for item in found
    ]
    lines = table([("REQUEST", "STATE", "SINCE", "WHAT"), *rows]) if rows else ["no requests"]
    invocation.answer({"requests": [item.to_json() for item in found]}, lines)


@request.command("show", unlocks=True, example="walletcli request show alice.request")
@click.argument("file", metavar="FILE")
@pass_invocation
def show(invocation: Invocation, file: str) -> None:
    """Tell in plain language what a request would do, and the words to compare."""
    from walletcli.cli.request_page import review_lines
    from walletcli.wallet.airgap.showing import review_file

    with invocation.session() as session:
        review = review_file(session, file)
    invocation.answer({"request": review.to_json()}, review_lines(review))


@request.command("approve", unlocks=True, example="walletcli request approve alice.request --out alice.response")
@click.argument("file", metavar="FILE")
@click.option("--out", "-o", metavar="FILE", required=True, help="Write the response to this new file.")
@click.option("--item", "items", type=click.IntRange(1, 32), metavar="N", multiple=True, help="Approve this item only.")
@click.option("--digest", metavar="WORDS", help="The 8 words, or the 64 digits, that the other machine shows.")
@click.option("--yes", is_flag=True, help="Do not ask; needs --digest.")
@click.option("--accept", "accepted", type=click.Choice(ALARMS), multiple=True, help="With --yes: accept this alarm.")
@click.option("--no-wait", is_flag=True, help="Do not wait for further security keys: the other machine has them.")
@pass_invocation
def approve(
    invocation: Invocation, file: str, out: str, items: tuple[int, ...], digest: str | None, yes: bool,
    accepted: tuple[str, ...], no_wait: bool,
) -> None:  # fmt: skip
    """Sign what a request asks for, item by item, and write the response."""
    from walletcli.cli.request_consent import consent
    from walletcli.cli.request_page import approved_lines
    from walletcli.cli.unlocking import open_wallet_here
    from walletcli.wallet.airgap.showing import approve_request, check_digest, review_file

    if yes and digest is None:
        raise UsageError(
            "request.digest-needed",
            "without questions, the digest says which request is meant",
            "give --digest with the words that are shown where the request was made",
        )
    with open_wallet_here(invocation) as session:
        review = review_file(session, file)
        if digest is not None:
            check_digest(review, digest)
        chosen = items or tuple(item.number for item in review.items)
        if not yes:
            chosen, accepted = consent(invocation, review, chosen, compared=digest is not None)
        approved = approve_request(session, review, chosen, accepted, out, is_patient=not no_wait)
    invocation.answer(approved.to_json(), approved_lines(approved))


@request.command("apply", unlocks=True, example="walletcli request apply alice.response")
@click.argument("file", metavar="RESPONSE")
@click.option("--out", metavar="DIR", help="Write signed cards and contact lists to this directory.")
@pass_invocation
def apply(invocation: Invocation, file: str, out: str | None) -> None:
    """Take over what the machine with the root keys has answered."""
    from walletcli.cli.request_page import applied_lines
    from walletcli.wallet.airgap.applying import apply_response
    from walletcli.wallet.publish import command_after

    with invocation.session() as session:
        applied = apply_response(session, file, out)
        following = [command_after(session, label) for label in applied.to_publish]
    invocation.answer(applied.to_json(), applied_lines(applied))
    if following and not invocation.json:
        note("Next: " + "; ".join(following))


@request.command("cancel", unlocks=True, example="walletcli request cancel 3f2a91c4")
@click.argument("request_id", metavar="REQUEST")
@pass_invocation
def cancel(invocation: Invocation, request_id: str) -> None:
    """Forget a request that waits; its answer is refused from then on."""
    from walletcli.wallet.airgap.review import request_json
    from walletcli.wallet.airgap.waiting import cancel_request

    with invocation.session() as session:
        cancelled = cancel_request(session, request_id)
    lines = [f"cancelled {cancelled.request.request_id.hex()[:8]}"]
    invocation.answer({"request": request_json(cancelled.request), "cancelled": True}, lines)


def answer_made(invocation: Invocation, made: Made) -> None:
    """Answer with a request that was made, and say what comes next."""
    from walletcli.cli.request_page import head_lines

    invocation.answer(made.to_json(), head_lines(made.request, ("file", made.path)))
    if not invocation.json:
        name = safe(made.path)
        note(f"Next: carry {name} to the machine with the root keys, and there: walletcli request approve FILE --out …")


def _wish(
    session: Any, accept_link: bool, *, who: tuple[str, ...], new: tuple[str, ...], public: tuple[str, ...],
    sealed: tuple[str, ...], cards: tuple[str, ...], names: tuple[str, ...], exports: tuple[str, ...], days: int,
    heal: tuple[str, ...],
) -> Wish:  # fmt: skip
    """Return what the options ask for."""
    from walletcli.wallet.airgap.making import NewIdentity, Wish
    from walletcli.wallet.airgap.wishes import card_wish, export_wish, healing_wish

    if (public or sealed) and len(new) != 1:
        raise UsageError("request.one-new", "--public and --sealed go with exactly one --new", "ask one by one")
    if names and not cards:
        raise UsageError("request.one-card", "--attribute goes with --card", "add --card, or leave it out")
    made = tuple(NewIdentity(label, _attributes(public), _attributes(sealed)) for label in new)
    statements = [card_wish(session, one, names, accept_link=accept_link) for one in cards]
    statements += [export_wish(session, one) for one in exports]
    return Wish((*who, *healing_wish(session, heal)), made, tuple(statements), days)


def _attributes(texts: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError("request.attribute", f"{text!r} is not NAME=VALUE", "write it as in name='Alice A.'")
        found[name] = value
    return found
