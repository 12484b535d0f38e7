"""``walletcli publish``: an identity's record, signed and stored on relays."""

from __future__ import annotations

import shlex

import click

from walletcli.cli.commands import Verb
from walletcli.cli.invocation import Invocation, pass_invocation
from walletcli.cli.output import note, pairs, warn
from walletcli.cli.relay import warn_of_clear_text
from walletcli.cli.split_page import warn_of_the_key
from walletcli.cli.times import instant_text
from walletcli.errors import UsageError


@click.command("publish", cls=Verb, unlocks=True, example="walletcli publish alice --relay https://relay.example")
@click.argument("who", metavar="ID")
@click.option("--relay", "relays", metavar="URL", multiple=True, help="Store it here, not on your list of relays.")
@click.option("--copies", type=click.IntRange(min=1), metavar="N", help="Fail unless N relays hold it (all of them).")
@click.option("--accept-link", is_flag=True, help="Go ahead where that ties identities together; remembered.")
@click.option("--on-top", is_flag=True, help="If relays have a newer record of yours, continue from that one.")
@click.option("--heal", metavar="FILE", multiple=True, help="Heal the split that this proof file shows.")
@click.option("--side", metavar="HASH", help="With --heal, after a restore: go on from this side of the split.")
@pass_invocation
def publish(
    invocation: Invocation, who: str, relays: tuple[str, ...], copies: int | None, accept_link: bool, on_top: bool,
    heal: tuple[str, ...], side: str | None,
) -> None:  # fmt: skip
    """Sign an identity's record and store it on relays."""
    from walletcli.wallet.index.overview import slot_of
    from walletcli.wallet.publish import publish_identity

    if side is not None and not heal:
        raise UsageError("publish.side", "--side goes with --heal", "give the proof file with --heal")
    warn_of_clear_text(relays)
    with invocation.session() as session:
        published = publish_identity(
            session, who, relays, accept_link, copies,
            on_top=on_top, heal=heal, side=side, partly=True, offline=invocation.offline, progress=invocation.step,
        )  # fmt: skip
        slot_s = slot_of(session, published.record.packet.public_key)
    for failure in published.failed if published.shortfall is None else ():
        warn(f"{failure.address} did not store it: {failure.message}")
    for address in published.not_told:
        warn(
            f"{address}, a provider of this identity, was not named and goes by the record before; send it this one "
            f"with: walletcli publish {shlex.quote(who)}"
        )
    record = "new, signed now" if published.new else "unchanged, stored again"
    stored = [("stored on", relay) for relay in published.relays]
    stored += [("packet only on", relay) for relay in published.stored.packet_only]
    if published.stored.dht_nodes:
        stored.append(("on the DHT", f"{published.stored.dht_nodes} nodes"))
    fields = [("did", published.did), ("seq", str(published.seq)), ("record", record), *stored]
    invocation.answer(published.to_json(), pairs(fields))
    if slot_s is not None and not invocation.json:
        note(f"The wallet index names it from {instant_text(slot_s)} on: no sooner, so that no time ties it to yours.")
    if heal:
        warn_of_the_key()
    if published.shortfall is not None:
        raise published.shortfall
