"""How requests and responses are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from walletcli.cli.output import pairs, safe
from walletcli.cli.times import date_text

if TYPE_CHECKING:
    from walletcli.core.request_file import RequestFile
    from walletcli.wallet.airgap.applying import Applied
    from walletcli.wallet.airgap.review import ItemReview, Review
    from walletcli.wallet.airgap.showing import Approved


def head_lines(request: RequestFile, *more: tuple[str, str]) -> list[str]:
    """Return id, days, and the words and digits that both machines show; then what else is to be said."""
    from walletcli.core.request_file import digest_words

    digest = request.digest.hex()
    return pairs(
        [
            ("request", request.request_id.hex()),
            ("made", date_text(request.made_day)),
            ("holds before", date_text(request.expires_day)),
            ("words", " ".join(digest_words(request.digest))),
            ("digest", digest),
            *more,
        ]
    )


def review_lines(review: Review) -> list[str]:
    """Return a request for people: what each item would do, alarms, and why one cannot be approved."""
    lines = head_lines(review.request)
    if review.expired:
        lines.append("THIS REQUEST HAS EXPIRED")
    for item in review.items:
        lines += ["", *item_lines(item)]
    return lines


def item_lines(item: ItemReview) -> list[str]:
    """Return one item for people."""
    label = f", {item.label}" if item.label is not None else ""
    lines = [f"item {item.number}: {item.kind}{label}", *(f"  {line}" for line in item.lines)]
    lines += [f"  ALARM {found.name}: {found.text}" for found in item.alarms]
    if item.error is not None:
        lines += [f"  CANNOT BE APPROVED: {item.error[1]}", f"  hint: {item.error[2]}"]
    return [safe(line) for line in lines]


def approved_lines(approved: Approved) -> list[str]:
    """Return what was approved, for people."""
    numbers = ", ".join(str(number) for number in approved.items)
    return pairs([("approved", f"item {numbers}"), ("response", approved.path)])


def applied_lines(applied: Applied) -> list[str]:
    """Return what was taken over, for people."""
    fields = []
    for item in applied.items:
        what = f"record with seq {item.seq}" if item.seq is not None else item.statement or "signed"
        fields.append((f"{item.kind} {item.label}", what))
    fields += [("not answered", f"item {number}") for number in applied.unanswered]
    return pairs(fields)
