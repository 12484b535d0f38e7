"""``walletcli device``: the devices that act for an identity."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from walletcli.cli.commands import Noun
from walletcli.cli.invocation import Invocation, pass_invocation
from walletcli.cli.output import note, pairs, table
from walletcli.cli.request import DAYS, OUT, answer_made
from walletcli.cli.times import date_text

if TYPE_CHECKING:
    from walletcli.wallet.recovery.devices import Device


@click.group(cls=Noun)
def device() -> None:
    """See, enrol and revoke the devices that act for an identity."""


@device.command("list", unlocks=True, example="walletcli device list alice")
@click.argument("who", metavar="ID")
@pass_invocation
def list_(invocation: Invocation, who: str) -> None:
    """List the devices that the last record of an identity names."""
    from walletcli.wallet.recovery.devices import list_devices

    with invocation.session() as session:
        found = list_devices(session, who)
    rows = [(item.name, ", ".join(sorted(item.delegation.powers)), _days(item), _state(item)) for item in found.devices]
    lines = table([("DEVICE", "POWERS", "HOLDS", "STATE"), *rows]) if rows else ["nothing has been signed yet"]
    invocation.answer(found.to_json(), lines)


@device.command("enrol", unlocks=True, example="walletcli device enrol did:key:z6Mk… --out enrol.request")
@click.argument("who", metavar="ID")
@OUT
@DAYS
@click.option("--record", metavar="FILE", help="The identity's newest record; no relay is asked then.")
@click.option("--index", type=click.IntRange(min=0), help="Place of the identity in the key tree, if you know it.")
@click.option("--relay", "relays", metavar="URL", multiple=True, help="Ask this relay, not your list of relays.")
@pass_invocation
def enrol(
    invocation: Invocation, who: str, out: str, days: int, record: str | None, index: int | None,
    relays: tuple[str, ...],
) -> None:  # fmt: skip
    """Ask the root of an identity to make this watch wallet one of its devices."""
    from walletcli.cli.relay import warn_of_clear_text
    from walletcli.wallet.airgap.making import ask_to_enrol
    from walletcli.wallet.records import verify_record

    warn_of_clear_text(relays)
    known = verify_record(record).record if record is not None else None
    with invocation.session() as session:
        made = ask_to_enrol(
            session, who, out, relays,
            index=index, record=known, days=days, offline=invocation.offline, progress=invocation.step,
        )  # fmt: skip
    answer_made(invocation, made)


@device.command("revoke", unlocks=True, example="walletcli device revoke alice 9f86d081 --publish")
@click.argument("who", metavar="ID")
@click.argument("name", metavar="DEVICE")
@click.option("--publish", is_flag=True, help="Publish the record that leaves it out at once.")
@click.option("--relay", "relays", metavar="URL", multiple=True, help="With --publish: here, not on your list.")
@click.option("--accept-link", is_flag=True, help="With --publish: go ahead where that ties identities together.")
@pass_invocation
def revoke(
    invocation: Invocation, who: str, name: str, publish: bool, relays: tuple[str, ...], accept_link: bool
) -> None:
    """Leave a lost device out of the next record; DEVICE is its key, or the digits that begin it."""
    from walletcli.wallet.publish import publish_identity
    from walletcli.wallet.recovery.devices import revoke_device

    published = None
    with invocation.session() as session:
        revoked = revoke_device(session, who, name)
        if publish:
            published = publish_identity(
                session, who, relays, accept_link, offline=invocation.offline, progress=invocation.step
            )
    until = date_text(revoked.believed_until_day)
    fields = [("revoked", revoked.device.name), ("believed until", f"{until}, by whoever sees no newer record")]
    fields += [("published on", relay) for relay in published.relays] if published is not None else []
    answer = {**revoked.to_json(), "published": published.to_json() if published is not None else None}
    invocation.answer(answer, pairs(fields))
    if published is None and not invocation.json:
        note(f"Next: walletcli publish {revoked.identity.label_word}")


def _days(device: Device) -> str:
    delegation = device.delegation
    return f"{date_text(delegation.not_before_day)} to {date_text(delegation.not_after_day)}"


def _state(device: Device) -> str:
    return f"{device.state}, this device" if device.is_this else device.state
