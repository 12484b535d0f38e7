"""``walletcli node``: a node that stores and serves records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from walletcli.cli.commands import Noun
from walletcli.cli.invocation import Invocation, pass_invocation
from walletcli.cli.output import pairs, warn
from walletcli.cli.times import date_text

_directory = click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
_identities = click.argument("identities", metavar="IDENTITY", nargs=-1, required=True)
_file = click.argument("file", metavar="FILE", type=click.Path(path_type=Path))


@click.group(cls=Noun)
def node() -> None:
    """Run a node that stores and serves records."""


@node.command("init", example="walletcli node init my-node --address node.example:7411")
@_directory
@click.option("--address", "addresses", metavar="HOST:PORT", multiple=True,
              help="Where the world reaches it; the address of --listen if not given.")  # fmt: skip
@pass_invocation
def init(invocation: Invocation, directory: Path, addresses: tuple[str, ...]) -> None:
    """Make a node: its keys, its own record and its configuration."""
    from walletcli.node.setup import init as make

    made = make(directory, addresses)
    lines = pairs([("node", str(made.directory)), ("did", made.did), ("root key", str(made.root_key))])
    invocation.answer(made.to_json(), lines)


@node.command("run", example="walletcli node run my-node --listen 0.0.0.0:7411")
@_directory
@click.option("--listen", metavar="HOST:PORT", required=True, help="Serve TLS here; port 0 takes a free one.")
@click.option("--http", metavar="HOST:PORT", help="Serve the relay API in clear here, for other people's clients.")
@click.option("--no-limits", is_flag=True, help="Without limits for clients: load tests on loopback only.")
@click.option("--source", "sources", metavar="URL", multiple=True, help="Ask this node or relay for what is missing.")
@click.option("--sink", "sinks", metavar="URL", multiple=True, help="Send what is new to this node or relay.")
@click.option("--hosting", type=click.Choice(["open", "closed", "off"]),
              help="Whom to host, in place of what node.toml says: anybody, those invited, nobody.")  # fmt: skip
@pass_invocation
def run(
    invocation: Invocation, directory: Path, listen: str, http: str | None, no_limits: bool,
    sources: tuple[str, ...], sinks: tuple[str, ...], hosting: str | None,
) -> None:  # fmt: skip
    """Serve until told to stop (Ctrl-C or SIGTERM); prints one line when ready."""
    from walletcli.node.run import run as serve

    def tell(ready: dict[str, str | None]) -> None:
        addresses = [address for address in (ready["listen"], ready["http"]) if address is not None]
        invocation.answer({"addresses": addresses, "did": ready["did"]}, [f"ready: {' '.join(addresses)}"])

    if invocation.progress is not None:
        invocation.progress.pause()
    serve(directory, listen, http, not no_limits, tell, sources=sources, sinks=sinks, hosting=hosting)


@node.command("status", example="walletcli node status my-node")
@_directory
@pass_invocation
def status(invocation: Invocation, directory: Path) -> None:
    """Show what a node is and holds, running or not."""
    from walletcli.node.status import status as read

    found = read(directory)
    fields = [(name.replace("_", " "), _shown(value)) for name, value in found.items() if value not in (None, [])]
    invocation.answer(found, pairs(fields))


@node.command("backup", example="walletcli node backup my-node my-node.backup")
@_directory
@_file
@click.option("--without-keys", is_flag=True, help="Leave the node's keys out; it cannot be restored without them.")
@pass_invocation
def backup(invocation: Invocation, directory: Path, file: Path, without_keys: bool) -> None:
    """Write a running or stopped node to one file."""
    from walletcli.node.backup import backup as write

    invocation.step("copying the store")
    write(directory, file, keys=not without_keys)
    invocation.answer({"backup": str(file), "keys": not without_keys}, pairs([("backup", str(file))]))


@node.command("restore", example="walletcli node restore my-node.backup new-node")
@_file
@_directory
@pass_invocation
def restore(invocation: Invocation, file: Path, directory: Path) -> None:
    """Make a node from a backup."""
    from walletcli.node.backup import restore as make

    invocation.step("copying the store")
    keys = make(file, directory)
    invocation.answer({"directory": str(directory), "keys": keys}, pairs([("node", str(directory))]))
    if not keys:
        warn("the backup was made without keys: put root.key, device.key and tls.key there before the node runs")


@node.command("invite", example="walletcli node invite my-node --uses 5")
@_directory
@click.option("--uses", default=1, show_default=True, help="How many identities it is good for.")
@click.option("--days", default=14, show_default=True, help="For how long.")
@pass_invocation
def invite(invocation: Invocation, directory: Path, uses: int, days: int) -> None:
    """Make an invitation to be hosted; the token is shown once and kept nowhere."""
    from walletcli.node.hosting.access import invite as make

    token, made = make(directory, uses, days)
    lines = pairs(
        [("token", token), ("name", made.name), ("uses", str(uses)), ("ends", date_text(made.expires_s // 86_400))]
    )
    invocation.answer({"token": token, **made.to_json()}, lines)


@node.command("allow", example="walletcli node allow my-node did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp")
@_directory
@_identities
@pass_invocation
def allow(invocation: Invocation, directory: Path, identities: tuple[str, ...]) -> None:
    """Let identities be hosted without an invitation."""
    from walletcli.node.hosting.access import allow as let

    invocation.answer({"allowed": (found := let(directory, identities))}, found)


@node.command("block", example="walletcli node block my-node did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp")
@_directory
@_identities
@pass_invocation
def block(invocation: Invocation, directory: Path, identities: tuple[str, ...]) -> None:
    """Host identities no more; what is kept of them can be read until their time is over."""
    from walletcli.node.hosting.access import block as stop

    invocation.answer({"blocked": (found := stop(directory, identities))}, found)


@node.command("list", example="walletcli node list my-node")
@_directory
@pass_invocation
def list_(invocation: Invocation, directory: Path) -> None:
    """List invitations, and who is allowed or blocked."""
    from walletcli.node.hosting.access import listing

    found = listing(directory)
    invocation.answer(found, _access_lines(found))


@node.command("remove", example="walletcli node remove my-node 3f7c09a1b2d4")
@_directory
@click.argument("names", metavar="NAME", nargs=-1, required=True)
@pass_invocation
def remove(invocation: Invocation, directory: Path, names: tuple[str, ...]) -> None:
    """Take back invitations by name, or what was said of identities."""
    from walletcli.node.hosting.access import remove as take_back

    invocation.answer({"removed": (found := take_back(directory, names))}, found)


def _access_lines(found: dict[str, Any]) -> list[str]:
    lines = pairs([("policy", str(found["policy"]))])
    for item in found["invitations"]:
        ends = date_text(item["expires_s"] // 86_400)
        lines.append(f"invitation {item['name']}: {item['used']} of {item['uses']} used, until {ends}")
    return lines + [f"{name} {did}" for name in ("allowed", "blocked") for did in found[name]]


def _shown(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(str(item) for item in value)
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
