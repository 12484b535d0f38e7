"""What `wallet restore` and `wallet recover` share: their options, the question beforehand, and the page at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

from walletcli.cli.invocation import Invocation
from walletcli.cli.output import note, pairs, safe, table, warn
from walletcli.cli.relay import warn_of_clear_text
from walletcli.cli.times import SPREAD, date_text
from walletcli.errors import NetworkError, PartialError, UsageError

if TYPE_CHECKING:
    from walletcli.wallet.access.session import Session
    from walletcli.wallet.recovery.journal import Item, Journal, JournalFile
    from walletcli.wallet.recovery.report import Report, RestoredIdentity
    from walletcli.wallet.recovery.story import Wish

Function = TypeVar("Function", bound=Callable[..., Any])

_AGAIN = "go on with: walletcli wallet recover"
_WHOM = (
    "--relay ADDRESS for each relay that may have something, --relay dht for the DHT, --kit DIRECTORY for an exit kit"
)
_NAMES = (
    "relays", "kits", "gap", "together", "sources", "spread_s", "keep_devices", "accept_link", "scan", "beyond",
    "decoys", "gone",
)  # fmt: skip


def search_options(function: Function) -> Function:
    """Add the options that say whom to ask, how far to look, and what is agreed to."""
    options = (
        click.option("--relay", "relays", metavar="URL", multiple=True,
                     help="Ask this relay, and publish there; your list of relays if none is named."),
        click.option("--kit", "kits", metavar="DIR", multiple=True, type=click.Path(exists=True, file_okay=False),
                     help="Read this exit kit, or all that are in this directory."),
        click.option("--scan/--index", "scan", default=None,
                     help="Search without asking for the wallet index; it is asked for otherwise."),
        click.option("--beyond", type=int, metavar="N",
                     help="Beyond the index's last identity, and in its gaps, look N more up (3): they may be newer."),
        click.option("--gap", type=int, metavar="N",
                     help="Without an index, search until N identities in a row are unknown (20)."),
        click.option("--decoys", type=int, metavar="N",
                     help="Without an index, mix N keys of strangers into each step, if relays name some (20)."),
        click.option("--together/--apart", "together", default=None,
                     help="Ask each relay over one connection: quicker, and it sees that all belong together."),
        click.option("--sources", type=int, metavar="N",
                     help="Sign once N independent sources have answered (3)."),
        click.option("--spread", "spread_s", type=SPREAD,
                     help="Look up, read and publish over this time each; 0: at once (30m; over TCP 0)."),
        click.option("--keep-devices", is_flag=True, default=None,
                     help="Leave the other devices in the records; revoke them later."),
        click.option("--accept-link", is_flag=True, default=None,
                     help="Go ahead where publishing ties identities together; remembered."),
        click.option("--yes", is_flag=True, help="Do not ask before anything is looked up."),
    )  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


def wish_of(options: dict[str, Any]) -> Wish:
    """Take the options of `search_options` out of `options`, and return what they wish."""
    from walletcli.wallet.recovery.story import Wish

    wish = Wish(**{name: options.pop(name) for name in _NAMES if name in options})
    warn_of_clear_text(wish.relays)
    return wish


def require_somebody(journal: Journal) -> None:
    """Refuse to go on with a restore that has nobody to ask: it would say that it is done, and bring nothing.

    Raises:
        NetworkError: ``relay.none``.
    """
    if not journal.plan.looks_up:
        raise NetworkError("relay.none", "no relay is known, so nothing was looked up", f"name some: {_WHOM}")


def announce(invocation: Invocation, journal: Journal, *, yes: bool) -> None:
    """Say what will be looked up and what that reveals, and ask, unless that has been answered.

    Raises:
        UsageError: ``recovery.declined``, ``terminal.missing``.
    """
    from walletcli.cli.terminal import open_terminal
    from walletcli.wallet.recovery.announcement import announcement

    lines = announcement(journal, offline=invocation.offline)
    if invocation.offline or not lines or yes:
        for line in lines:
            note(line)
        return
    with open_terminal(invocation, "ask whether to look the identities up", "give --yes, or --offline") as terminal:
        for line in lines:
            terminal.say(safe(line))
        if not terminal.confirm("Go on?"):
            raise UsageError(
                "recovery.declined", "nothing was looked up", "answer y; or give --offline, which makes only the keys"
            )


def go_on(invocation: Invocation, session: Session, file: JournalFile, done: str) -> None:
    """Look up, read, and take up again; then answer.

    Args:
        invocation: the run.
        session: the open wallet.
        file: its restore.
        done: first line of the answer for people.

    Raises:
        PartialError: ``recovery.incomplete``, after the answer.
    """
    from walletcli.cli.wallet_page import status_lines
    from walletcli.wallet.recovery.keeping import kits_away
    from walletcli.wallet.recovery.story import recover
    from walletcli.wallet.status import wallet_status

    invocation.again = _AGAIN
    report = recover(session, file, offline=invocation.offline, progress=invocation.step)
    for view, path in kits_away(session, report):
        warn(
            f"the exit kit of {view.label_word} in {path} is not at hand and is not kept up to date: choose one with "
            f"`walletcli provider bind {view.label_word} ADDRESS --kit PLACE`"
        )
    status = wallet_status(invocation.home).with_facts(session.facts())
    identities = [summary.to_json() for summary in session.summaries()]
    answer = {"wallet": replace(status, restore=report).to_json(), "identities": identities, **report.to_json()}
    lines = ["", *_lines(report)] if file.journal.plan.looks_up else []
    invocation.answer(answer, [done, *status_lines(status), *lines])
    if not file.journal.plan.looks_up and not invocation.json:
        note(f"No relay was named: nothing was looked up. Next: walletcli wallet recover, with {_WHOM}")
    _raise_if_incomplete(report)


def _raise_if_incomplete(report: Report) -> None:
    """End with exit code 11 if something did not come back.

    Raises:
        PartialError: ``recovery.incomplete``.
    """
    if report.is_complete:
        return
    parts = []
    if report.not_found:
        parts.append(f"{len(report.not_found)} did not come back")
    if report.waiting:
        parts.append(f"{len(report.waiting)} wait to be signed or published")
    if not report.finished:
        parts.append("the search did not come to its end")
    raise PartialError("recovery.incomplete", f"not everything is restored: {', '.join(parts)}", _how_to_go_on(report))


def _how_to_go_on(report: Report) -> str:
    """Return the hint: the same look-up once more brings no further who waits for other sources."""
    if report.waiting and all(item.entry.waits[0] == "recovery.sources" for item in report.waiting):
        return "name more with: walletcli wallet recover --relay URL; or accept fewer sources with --sources N"
    if any(item.missing.kind in ("relay", "kit") for item in report.not_found):
        return f"{_AGAIN}; where a relay or an exit kit is gone for good, with --gone PLACE"
    lost = [item.identity for item in report.not_found if item.missing.kind == "provider"]
    if lost and lost[0] is not None:
        move = f"walletcli provider migrate {lost[0].label_word} ADDRESS"
        return (
            f"{_AGAIN}, with --kit DIRECTORY if you have an exit kit; where a provider is gone for good, then: {move}"
        )
    return _AGAIN


def _lines(report: Report) -> Iterator[str]:
    count = len(report.restored)
    yield f"{count} {'identity is' if count == 1 else 'identities are'} back; {report.looked_up} were looked up."
    yield from _index_lines(report)
    for item in report.restored:
        yield ""
        yield from pairs(_fields(item))
    if report.not_found:
        yield ""
        yield "Not back:"
        rows = [
            (
                found.identity.label if found.identity is not None else "-",
                " ".join(part for part in (found.missing.kind, found.missing.name) if part),
                found.missing.place or "-",
                found.missing.message,
            )
            for found in report.not_found
        ]
        yield from table([("LABEL", "WHAT", "WHERE", "WHY"), *rows])
    if report.lookups:
        yield ""
        yield from lookup_lines(report.lookups)


def _index_lines(report: Report) -> Iterator[str]:
    """Return what the wallet index gave."""
    index = report.index
    if index is None:
        return
    sources = "source" if len(index.answered) == 1 else "sources"
    yield f"The wallet index names {index.listed} of them; {len(index.answered)} independent {sources} answered for it."
    if index.missing:
        yield f"{len(index.missing)} of its {index.shards} shards did not come: the rest was searched for."
    for scheme in index.elsewhere:
        yield f"It names identities of another scheme as well: restore these with --scheme {scheme} in another --home."


def lookup_lines(lookups: Sequence[dict[str, object]]) -> Iterator[str]:
    """Return who was asked, and how they answered."""
    yield "Asked:"
    asked = [[str(row[name]) for name in ("where", "what", "asked", "found", "failed")] for row in lookups]
    yield from table([("WHERE", "FOR", "ASKED", "FOUND", "FAILED"), *asked])


def _fields(item: RestoredIdentity) -> list[tuple[str, str]]:
    view, entry = item.view, item.entry
    fields = [("label", view.label), ("did", item.did)]
    if view.retired is not None:
        fields.append(("state", "retired"))
    fields += [(part.kind, item_text(part)) for part in entry.items if part.kind != "label"]
    fields += [("device revoked", name) for name in item.revoked]
    if entry.waits:
        fields.append(("waits", entry.waits[1]))
    elif view.stored is not None:
        fields.append(("published on", ", ".join(view.stored.relays)))
    return fields


def item_text(item: Item) -> str:
    """Return an item in words: what, how much, from where, how old."""
    parts = [item.name] if item.name else []
    if item.count is not None:
        parts.append(f"{item.count} bytes" if item.kind == "file" else str(item.count))
    if item.kind == "record":
        parts.append(f"seq {item.version}")
    parts += [f"from {item.place}"] if item.place else []
    parts += [f"of {date_text(item.day)}"] if item.day is not None else []
    return ", ".join(parts)
