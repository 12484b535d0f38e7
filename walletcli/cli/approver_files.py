"""``walletcli identity approver``: approvals, and keys that others hold, that travel as files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from walletcli.cli.commands import Verb
from walletcli.cli.invocation import Invocation, pass_invocation
from walletcli.cli.output import note, pairs, safe
from walletcli.cli.request import ALARMS, DAYS
from walletcli.errors import UsageError, VaultError

if TYPE_CHECKING:
    from walletcli.wallet.access.session import Session
    from walletcli.wallet.airgap.review import Review
    from walletcli.wallet.approvers.deciding import ApproversView
    from walletcli.wallet.approvers.key_holder import Answered
    from walletcli.wallet.approvers.overview import Renewal, WaitingApproval

OUT = click.option("--out", "-o", metavar="FILE", required=True, help="Write it to this new file.")
DIGEST = click.option("--digest", metavar="WORDS", help="The 8 words, or the 64 digits, that the other machine shows.")
YES = click.option("--yes", is_flag=True, help="Do not ask; needs --digest.")
_SAME_OFFER = "Does the machine of the key's holder show the same words?"


@click.command(
    "ask", cls=Verb, unlocks=True, example="walletcli identity approver ask alice --for bob --out bob.request"
)
@click.argument("who", metavar="ID")
@click.option("--for", "approvers", metavar="KEY", multiple=True, help="Ask this approver only: its name or key.")
@click.option("--contacts", is_flag=True, help="Ask for the contact export that waits, not for the next record.")
@OUT
@DAYS
@click.option("--relay", "relays", metavar="URL", multiple=True, help="Ask this relay first, not your list of relays.")
@click.option("--accept-link", is_flag=True, help="Go ahead where asking relays ties identities together; remembered.")
@click.option("--on-top", is_flag=True, help="If relays have a newer record of yours, continue from that one.")
@pass_invocation
def ask(
    invocation: Invocation, who: str, approvers: tuple[str, ...], contacts: bool, out: str, days: int,
    relays: tuple[str, ...], accept_link: bool, on_top: bool,
) -> None:  # fmt: skip
    """Write a request for approvals by others, elsewhere."""
    from walletcli.cli.relay import warn_of_clear_text
    from walletcli.cli.request_page import review_lines
    from walletcli.wallet.approvers.by_file import AskWish, ask_approvers

    warn_of_clear_text(relays)
    wish = AskWish(who, approvers, contacts, days, relays, accept_link, on_top)
    with invocation.session() as session:
        asked = ask_approvers(session, wish, out, offline=invocation.offline, progress=invocation.step)
    invocation.answer(asked.to_json(), [*review_lines(asked.review), "", *pairs([("file", asked.path)])])
    if not invocation.json:
        note(f"Give {safe(asked.path)} to the approver only. There: walletcli identity approver approve FILE --out …")


@click.command("show", cls=Verb, unlocks=True, example="walletcli identity approver show bob.request")
@click.argument("file", metavar="FILE")
@pass_invocation
def show(invocation: Invocation, file: str) -> None:
    """Tell what a request asks of you; no wallet is needed."""
    from walletcli.cli.request_page import review_lines

    review = _review(invocation, file)
    invocation.answer({"request": review.to_json()}, review_lines(review))


@click.command("approve", cls=Verb, unlocks=True,
               example="walletcli identity approver approve bob.request --out bob.approval")  # fmt: skip
@click.argument("file", metavar="FILE")
@OUT
@DIGEST
@YES
@click.option("--accept", "accepted", type=click.Choice(ALARMS), multiple=True, help="With --yes: accept this alarm.")
@pass_invocation
def approve(
    invocation: Invocation, file: str, out: str, digest: str | None, yes: bool, accepted: tuple[str, ...]
) -> None:
    """Approve with your security key; no wallet is needed."""
    from walletcli.wallet.approvers.key_holder import approve_asked

    review, names = _agreed(invocation, file, digest, yes, "Approve")
    answered = approve_asked(invocation.home, review, out, names or accepted, invocation.step)
    _answer(invocation, answered, "approved by")
    if not invocation.json:
        note("Take it back to the owner. There: walletcli identity approver apply FILE")


@click.command("apply", cls=Verb, unlocks=True, example="walletcli identity approver apply bob.approval")
@click.argument("file", metavar="FILE")
@pass_invocation
def apply(invocation: Invocation, file: str) -> None:
    """Take in what an approver has approved elsewhere."""
    from walletcli.wallet.approvers.by_file import take_approvals
    from walletcli.wallet.publish import command_after

    with invocation.session() as session:
        taken = take_approvals(session, file)
        following = command_after(session, taken.waiting.label)
        is_watch = session.facts().watch
    invocation.answer(taken.to_json(), waiting_lines(taken.waiting))
    if taken.is_complete and not invocation.json:
        if taken.waiting.kind == "contacts":
            following = "the same walletcli contact export as before"
        note("Next: " + ("apply the response to the request" if is_watch else following))


@click.command("cancel", cls=Verb, unlocks=True, example="walletcli identity approver cancel alice")
@click.argument("who", metavar="ID")
@pass_invocation
def cancel(invocation: Invocation, who: str) -> None:
    """Forget what of an identity waits for approvals."""
    from walletcli.wallet.approvers.by_file import cancel_waiting

    with invocation.session() as session:
        gone = cancel_waiting(session, who)
    lines = [f"cancelled {item.request.request_id.hex()[:8]}" for item in gone]
    invocation.answer({"cancelled": [item.to_json() for item in gone]}, lines)


@click.command(
    "invite", cls=Verb, unlocks=True, example="walletcli identity approver invite alice --out alice.invitation"
)
@click.argument("who", metavar="ID")
@OUT
@DAYS
@click.option("--no-pin", is_flag=True, help="A touch is enough: do not ask for the key's PIN.")
@pass_invocation
def invite(invocation: Invocation, who: str, out: str, days: int, no_pin: bool) -> None:
    """Ask somebody by file for their key as approver."""
    from walletcli.cli.request_page import review_lines
    from walletcli.wallet.approvers.inviting import invite_approver

    with invocation.session() as session:
        invited = invite_approver(session, who, out, verify=not no_pin, days=days)
    invocation.answer(invited.to_json(), [*review_lines(invited.review), "", *pairs([("file", invited.path)])])
    if not invocation.json:
        note(f"Give {safe(invited.path)} to them. There: walletcli identity approver offer FILE --out …")


@click.command("offer", cls=Verb, unlocks=True,
               example="walletcli identity approver offer alice.invitation --out bob.offer")  # fmt: skip
@click.argument("file", metavar="FILE")
@OUT
@click.option("--key", "which", metavar="KEY", help="Path or serial number of the key, if several are there.")
@DIGEST
@YES
@pass_invocation
def offer(invocation: Invocation, file: str, out: str, which: str | None, digest: str | None, yes: bool) -> None:
    """Offer your security key as approver; touched twice."""
    from walletcli.wallet.approvers.key_holder import offer_key

    review, _ = _agreed(invocation, file, digest, yes, "Offer a key for")
    answered = offer_key(invocation.home, review, out, which)
    _answer(invocation, answered, "offers")
    if not invocation.json:
        note("Give it to the owner, and read these words out. There: walletcli identity approver add ID --offer FILE")


VERBS = (ask, show, approve, apply, cancel, invite, offer)
"""The verbs, in the order in which people need them."""


def offered(
    invocation: Invocation, session: Session, who: str, file: str, digest: str | None, name: str | None,
    threshold: int | None, delay_days: int | None,
) -> ApproversView:  # fmt: skip
    """Make a key that somebody offers an approver, once its words were compared.

    Raises:
        UsageError: ``approver.name-needed``, ``terminal.missing``, ``request.declined``.
        SignerError: ``response.digest-typed``.
    """
    from walletcli.cli.terminal import open_terminal
    from walletcli.wallet.approvers.inviting import add_offered, check_offer_digest, read_offer

    if name is None:
        raise UsageError("approver.name-needed", "a key that somebody else holds needs a name", "give --name NAME")
    view = read_offer(session, who, file)
    if digest is not None:
        check_offer_digest(view, digest)
    else:
        with open_terminal(invocation, "ask whether the words are the same", "give --digest WORDS") as terminal:
            key = view.offer.approver.public_key.hex()[:16]
            terminal.write("\n".join(pairs([("key", key), ("words", " ".join(view.words))])) + "\n")
            if not terminal.confirm(_SAME_OFFER):
                raise UsageError("request.declined", "the words differ: nothing was decided", "ask for it once more")
    return add_offered(session, who, view, name=name, threshold=threshold, delay_days=delay_days)


def waiting_lines(item: WaitingApproval) -> list[str]:
    """Return what waits for approvals, for people."""
    from walletcli.cli.times import date_text

    what = {"record": "the next record", "contacts": "a contact export"}[item.kind]
    head = f"{what} waits for approvals: {len(item.given)} of {item.needed}"
    if item.state != "waiting":
        head = f"{what}: {len(item.given)} of {item.needed} approvals, {item.state}"
    given, missing = (", ".join(safe(name) for name in names) or "-" for names in (item.given, item.missing))
    shown = [("request", item.request.request_id.hex()[:8]), ("approved by", given), ("not yet", missing)]
    return [head, *(f"  {line}" for line in pairs([*shown, ("holds before", date_text(item.request.expires_day))]))]


def approval_lines(waiting: Sequence[WaitingApproval], renewal: Renewal | None) -> list[str]:
    """Return what of an identity waits for approvals, for people, after an empty line; nothing if nothing does."""
    found = [line for item in waiting for line in waiting_lines(item)]
    if renewal is not None:
        found.append(renewal_line(renewal))
    return ["", *found] if found else []


def renewal_line(renewal: Renewal) -> str:
    """Return until when this device has a say, and what renews it."""
    from shlex import quote

    from walletcli.cli.times import date_text

    until = f"has a say until {date_text(renewal.last_day)}" if renewal.last_day is not None else "has no say yet"
    if renewal.days == 0 and renewal.last_day is not None:
        until = f"has had no say since {date_text(renewal.last_day)}"
    name = safe(quote(renewal.label))
    return (
        f"this device {until}, and is renewed only with approvals: walletcli publish {name}; "
        f"or, if the keys are elsewhere: walletcli identity approver ask {name} --out FILE"
    )


def _review(invocation: Invocation, file: str) -> Review:
    """Review a request with what an open wallet has seen; one that would have to be asked for stays closed."""
    import time

    from walletcli.wallet.approvers.key_holder import review_asked
    from walletcli.wallet.memory import WalletMemory

    session = _open_already(invocation)
    if session is None:
        return review_asked(file, time.time())
    with session:
        return review_asked(file, time.time(), WalletMemory(session.snapshot().wallet))


def _open_already(invocation: Invocation) -> Session | None:
    from walletcli.wallet.access.agent_session import open_session

    if invocation.password_file is not None:
        return invocation.session()
    try:
        return open_session(invocation.home)
    except VaultError:
        return None


def _agreed(
    invocation: Invocation, file: str, digest: str | None, yes: bool, verb: str
) -> tuple[Review, tuple[str, ...]]:
    """Return a request that whoever holds the key agrees to, and the alarms that they accept."""
    from walletcli.cli.request_consent import consent
    from walletcli.wallet.airgap.showing import check_digest

    if yes and digest is None:
        raise UsageError(
            "request.digest-needed",
            "without questions, the digest says which request is meant",
            "give --digest with the words that are shown where the request was made",
        )
    review = _review(invocation, file)
    if digest is not None:
        check_digest(review, digest)
    if yes:
        return review, ()
    return review, consent(invocation, review, (1,), compared=digest is not None, verb=verb)[1]


def _answer(invocation: Invocation, answered: Answered, verb: str) -> None:
    document = answered.to_json()
    words = document["answer_words"]
    assert isinstance(words, list)
    keys = ", ".join(key.hex()[:16] for key in answered.keys)
    invocation.answer(document, pairs([(verb, keys), ("answer", answered.path), ("words", " ".join(words))]))
