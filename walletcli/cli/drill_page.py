"""How a drill is shown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from walletcli.cli.output import table
from walletcli.cli.restoring import item_text, lookup_lines
from walletcli.errors import PartialError

if TYPE_CHECKING:
    from walletcli.wallet.recovery.drill import Drill, Rehearsed
    from walletcli.wallet.recovery.told import Told


def drill_lines(drill: Drill) -> list[str]:
    """Return what a drill found, for people."""
    return list(_lines(drill))


def raise_if_lossy(drill: Drill) -> None:
    """End with exit code 11 if something would be lost.

    Raises:
        PartialError: ``drill.not-passed``.
    """
    if not drill.passed:
        raise PartialError(
            "drill.not-passed",
            f"a loss would cost something: {len(drill.device_loss.missing)} with this device, "
            f"{len(drill.provider_loss.missing)} with a provider",
            "do what is said beside each, then rehearse again",
        )


def _lines(drill: Drill) -> Iterator[str]:
    words = "the words are right" if drill.words_checked else "the words were not checked: give --words"
    yield f"Loss of this device ({words}; {drill.sources} independent {_sources(drill.sources)} answered):"
    if drill.by_providers:
        yield "No relay is in your list, so the providers themselves were asked. With the words, keep where they are:"
        asked = dict.fromkeys(str(row["where"]) for row in drill.lookups if row["what"] == "records")
        yield from (f"  walletcli wallet restore --relay {address}" for address in asked)
    yield from _loss(drill.device_loss, "comes back")
    yield ""
    yield "Loss of a provider:"
    yield from _loss(drill.provider_loss, "is elsewhere too")
    if drill.lookups:
        yield ""
        yield from lookup_lines(drill.lookups)
    yield ""
    yield f"Took {drill.seconds:.1f} s. {'Passed: nothing would be lost.' if drill.passed else 'Not passed.'}"


def _sources(count: int) -> str:
    return "source" if count == 1 else "sources"


def _loss(loss: Rehearsed, kept: str) -> Iterator[str]:
    rows = [(told.identity.label, told.what.kind, _item(told)) for told in loss.back]
    if rows:
        yield from table([("LABEL", "ITEM", kept.upper()), *rows])
    lost = [(told.identity.label, told.what.kind, told.what.name or "-", _why(told)) for told in loss.missing]
    if lost:
        yield from table([("LABEL", "LOST", "NAME", "WHY"), *lost])
    if not rows and not lost:
        yield "nothing to lose"


def _item(told: Told) -> str:
    from walletcli.wallet.recovery.journal import Item

    return item_text(told.what) if isinstance(told.what, Item) else ""


def _why(told: Told) -> str:
    return f"{told.message} ({told.hint})" if told.hint else told.message
