"""``walletcli wallet index``: the sealed items from which the words alone find the identities again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from walletcli.cli.commands import Noun
from walletcli.cli.invocation import Invocation, pass_invocation
from walletcli.cli.output import note, pairs, warn
from walletcli.cli.relay import warn_of_clear_text
from walletcli.cli.times import instant_text

if TYPE_CHECKING:
    from walletcli.wallet.index.overview import IndexView, ShardView


@click.group(cls=Noun)
def index() -> None:
    """See the wallet index, and decide when it is written."""


@index.command("show", unlocks=True, example="walletcli wallet index show")
@pass_invocation
def show(invocation: Invocation) -> None:
    """Show what the index says, where it lies, and when it is written next."""
    from walletcli.wallet.index.overview import show_index

    with invocation.session() as session:
        _answer(invocation, show_index(session))


@index.command("publish", unlocks=True, example="walletcli wallet index publish")
@click.option("--relay", "relays", metavar="URL", multiple=True,
              help="Keep it here from now on, not at relays of your list.")  # fmt: skip
@pass_invocation
def publish(invocation: Invocation, relays: tuple[str, ...]) -> None:
    """Write the index now, instead of waiting for its slot."""
    from walletcli.wallet.index.overview import publish_index

    warn_of_clear_text(relays)
    warn(
        "written now, and not at a random instant: whoever watches its relays can tie it, and its shards to each "
        "other, to whatever else you do at this time"
    )
    with invocation.session() as session:
        found = publish_index(session, relays, offline=invocation.offline, progress=invocation.step)
    _answer(invocation, found)


@index.command("sign", unlocks=True, example="walletcli wallet index sign --out index.batch")
@click.option("--out", "-o", metavar="FILE", required=True, help="Write the signed shards to this new file.")
@click.option("--writes", metavar="N", type=int, help="How often each can be written, 1 to 64; 30 is some four months.")
@pass_invocation
def sign(invocation: Invocation, out: str, writes: int | None) -> None:
    """Sign the index ahead, for a wallet without words to keep it alive."""
    from walletcli.wallet.index.ahead import WRITES, sign_ahead

    with invocation.session() as session:
        signed = sign_ahead(session, out, WRITES if writes is None else writes)
    fields = [("key", text) for text in signed.pks]
    fields += [
        ("lists", _counted(signed.identities, "identity", "identities")),
        ("writes", str(signed.writes)),
        ("file", signed.path),
    ]
    invocation.answer(signed.to_json(), pairs(fields))
    if not invocation.json:
        note(f"Next: carry {signed.path} to the machine that is online, and there: walletcli wallet index apply FILE")


@index.command("apply", unlocks=True, example="walletcli wallet index apply index.batch")
@click.argument("file", metavar="FILE")
@pass_invocation
def apply(invocation: Invocation, file: str) -> None:
    """Take over an index that was signed where the words are; sync and the agent write it on its schedule."""
    from walletcli.wallet.index.ahead import apply_batch

    with invocation.session() as session:
        _answer(invocation, apply_batch(session, file))


@index.command("on", unlocks=True, example="walletcli wallet index on")
@pass_invocation
def on(invocation: Invocation) -> None:
    """Have the index written every 3 to 5 days, by sync and by the agent."""
    _decide(invocation, is_on=True)


@index.command("off", unlocks=True, example="walletcli wallet index off")
@pass_invocation
def off(invocation: Invocation) -> None:
    """Write the index no more; a restore has to search then, once the network has forgotten it."""
    _decide(invocation, is_on=False)


def _decide(invocation: Invocation, *, is_on: bool) -> None:
    from walletcli.wallet.index.overview import set_policy

    with invocation.session() as session:
        _answer(invocation, set_policy(session, is_on=is_on))


def _answer(invocation: Invocation, view: IndexView) -> None:
    """Answer with the index as it stands."""
    lines = pairs([("index", "on" if view.is_on else "off")])
    for shard in view.shards:
        lines += ["", *pairs(_fields(shard, is_on=view.is_on))]
    invocation.answer(view.to_json(), lines)
    if invocation.json:
        return
    if view.waiting and view.is_on:
        names = ", ".join(view.waiting[:5]) + (" and more" if len(view.waiting) > 5 else "")
        note(
            f"Not in it yet: {names}. Each comes in with the next slot of its shard, so that no time tells whose it is."
        )
    for line in view.links:
        note(line[0].upper() + line[1:] + ".")


def _fields(shard: ShardView, *, is_on: bool) -> list[tuple[str, str]]:
    fields = [("shard", str(shard.number))]
    if shard.left is not None:
        fields += [
            ("key", shard.pk),
            ("lists", "what only the words can read"),
            ("left", _counted(shard.left, "write")),
        ]
    else:
        fields.append(("lists", _counted(shard.identities or 0, "identity", "identities")))
    fields += [("lies at", text if text in shard.stored else f"{text} (not there)") for text in shard.relays]
    fields.append(("written", instant_text(shard.written_s) if shard.written_s is not None else "never"))
    if is_on:
        fields.append(("next slot", instant_text(shard.next_s)))
    if shard.fault:
        fields.append(("last try", shard.fault[1]))
    return fields


def _counted(number: int, one: str, many: str | None = None) -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
