"""Asks the owner of the root keys about a request: the words first, then each alarm, then each item."""

from __future__ import annotations

from typing import TYPE_CHECKING

from walletcli.cli.invocation import Invocation
from walletcli.cli.request_page import item_lines, review_lines
from walletcli.cli.terminal import Terminal, open_terminal
from walletcli.errors import UsageError

if TYPE_CHECKING:
    from walletcli.wallet.airgap.review import ItemReview, Review

_SAME = "Does the machine that made the request show the same words?"


def consent(
    invocation: Invocation, review: Review, wanted: tuple[int, ...], *, compared: bool, verb: str = "Sign"
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Ask about each item of a request.

    Args:
        invocation: the run.
        review: what the request would do.
        wanted: numbers of the items to ask about.
        compared: the digest was given, and is the request's.
        verb: what is done with an item, for the question.

    Returns:
        Numbers of the approved items, and names of the accepted alarms.

    Raises:
        UsageError: ``terminal.missing``; ``request.declined`` if the words differ or nothing was approved.
    """
    usable = [item for item in review.items if item.number in wanted and item.error is None]
    if not review.by_root or review.expired or not usable:
        return wanted, ()  # whoever holds the vault says why that cannot be
    with open_terminal(invocation, "ask what may be signed", "give --yes and --digest WORDS") as terminal:
        terminal.write("\n".join(review_lines(review)) + "\n\n")
        if not compared and not terminal.confirm(_SAME):
            raise _declined()
        approved = {item.number: item for item in usable if _approved(terminal, item, verb, len(usable) > 1)}
    if not approved:
        raise _declined()
    names = {found.name for item in approved.values() for found in item.alarms}
    return tuple(approved), tuple(sorted(names))


def _approved(terminal: Terminal, item: ItemReview, verb: str, several: bool) -> bool:
    if several:
        terminal.write("\n".join(item_lines(item)) + "\n")
    for found in item.alarms:
        if not terminal.confirm(f"ALARM {found.name}: {found.text}. Is that meant?"):
            return False
    return terminal.confirm(f"{verb} item {item.number}?")


def _declined() -> UsageError:
    return UsageError("request.declined", "no item was approved: nothing was signed", "approve at least one")
