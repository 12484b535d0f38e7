"""``walletcli relay``: the relays that this wallet publishes to and resolves from."""

from __future__ import annotations

from collections.abc import Sequence

import click

from walletcli.cli.commands import Noun
from walletcli.cli.invocation import Invocation, pass_invocation
from walletcli.cli.output import safe, warn


@click.group(cls=Noun)
def relay() -> None:
    """Choose the relays that records are stored on."""


@relay.command("add", example="walletcli relay add https://relay.example")
@click.argument("address", metavar="URL")
@pass_invocation
def add(invocation: Invocation, address: str) -> None:
    """Add a relay, a node, or the DHT ('dht', or 'dht://HOST:PORT,…' to enter it by members of your choice)."""
    from walletcli.wallet.relays import add_relay

    relays = add_relay(invocation.home, address)
    warn_of_clear_text([address])
    _answer(invocation, relays)


@relay.command("list", example="walletcli relay list")
@pass_invocation
def list_(invocation: Invocation) -> None:
    """List the relays."""
    from walletcli.wallet.relays import list_relays

    _answer(invocation, list_relays(invocation.home))


@relay.command("remove", example="walletcli relay remove https://relay.example")
@click.argument("address", metavar="URL")
@pass_invocation
def remove(invocation: Invocation, address: str) -> None:
    """Remove a relay."""
    from walletcli.wallet.relays import remove_relay

    _answer(invocation, remove_relay(invocation.home, address))


def warn_of_clear_text(addresses: Sequence[str]) -> None:
    """Warn of each address whose traffic everybody on the way can read."""
    from walletcli.net.addresses import NodeAddress

    for address in addresses:
        notice = NodeAddress.from_relay_text(address).notice
        if notice is not None:
            warn(notice)


def _answer(invocation: Invocation, relays: list[str]) -> None:
    invocation.answer({"relays": relays}, [safe(address) for address in relays] or ["no relays"])
