"""What the verbs of ``walletcli contact`` share: whose contacts, whom to ask, what is read from outside."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from walletcli.cli.invocation import Invocation
from walletcli.errors import InputError, UsageError

if TYPE_CHECKING:
    from walletcli.wallet.access.session import Session
    from walletcli.wallet.contacts.evidence import Inquiry

STDIN = "-"
"""Name that stands for standard input."""

_OWNER = "walletcli.contact.owner"
"""Where the noun's own --as waits for the verb, in click's context."""


def _owner_of_noun(ctx: click.Context, _parameter: click.Parameter, value: str | None) -> None:
    ctx.meta[_OWNER] = value


def _owner_of_verb(ctx: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    found: str | None = value if value is not None else ctx.meta.get(_OWNER)
    return found


_AS_HELP = "Whose contacts; not needed if the wallet has one identity."
AS = click.option("--as", "owner", metavar="ID", help=_AS_HELP, callback=_owner_of_verb)
NOUN_AS = click.option("--as", metavar="ID", help=_AS_HELP, expose_value=False, callback=_owner_of_noun)
RELAYS = click.option(
    "--relay", "relays", metavar="URL", multiple=True, help="Ask this relay, not your list of relays."
)
ACCEPT_LINK = click.option(
    "--accept-link", is_flag=True, help="Go ahead where that ties identities together; remembered."
)
WHO = click.argument("who", metavar="CONTACT")

Decorated = Callable[..., Any]


def inquiry_of(invocation: Invocation, session: Session, owner: str | None, relays: tuple[str, ...] = ()) -> Inquiry:
    """Return what looks records up on behalf of the identity that is meant."""
    from walletcli.cli.relay import warn_of_clear_text
    from walletcli.wallet.contacts.evidence import Inquiry
    from walletcli.wallet.contacts.lookup import own_identity

    warn_of_clear_text(relays)
    wallet = session.snapshot().wallet
    identity = own_identity(wallet, owner)
    return Inquiry(session, identity, relays, offline=invocation.offline, progress=invocation.step, wallet=wallet)


def read_stdin(invocation: Invocation, argument: str, max_bytes: int) -> bytes:
    """Read standard input for one argument.

    Raises:
        UsageError: ``stdin.taken``, or ``stdin.terminal`` if it is a terminal.
        InputError: ``file.too-long`` over `max_bytes`.
    """
    invocation.claim_stdin(argument)
    if sys.stdin is None or sys.stdin.isatty():
        raise UsageError("stdin.terminal", f"{argument} - reads a pipe or a file", "give it as an argument")
    data = sys.stdin.buffer.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise InputError("file.too-long", f"standard input is longer than {max_bytes} bytes", "is it the right one?")
    return data


def read_input(invocation: Invocation, argument: str, name: str, max_bytes: int, link_prefix: str) -> bytes:
    """Read a file, standard input for ``-``, or a link that is given as it is.

    Raises:
        UsageError: ``stdin.*``.
        InputError: ``file.*``.
    """
    from walletcli.wallet.files import read_file

    if name == STDIN:
        return read_stdin(invocation, argument, max_bytes)
    if name.strip()[: len(link_prefix)].lower() == link_prefix:
        return name.strip().encode()[: max_bytes + 1]
    return read_file(name, max_bytes)
