"""``walletcli resolve``: anybody's record, found and verified."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import click

from walletcli.cli.commands import Verb
from walletcli.cli.invocation import Invocation, pass_invocation
from walletcli.cli.output import pairs
from walletcli.errors import InputError, VaultError

if TYPE_CHECKING:
    from walletcli.wallet.resolve import Resolved
    from walletcli.wallet.session import Session


@click.command("resolve", cls=Verb, unlocks=True, example="walletcli resolve did:key:z6Mk…")
@click.argument("who", metavar="ID")
@click.option("--relay", "relays", metavar="URL", multiple=True, help="Ask this relay, not your list of relays.")
@pass_invocation
def resolve(invocation: Invocation, who: str, relays: tuple[str, ...]) -> None:
    """Find anybody's record, by any form of the id, and verify it."""
    from walletcli.wallet.resolve import resolve_identity

    with contextlib.ExitStack() as open_sessions:
        session = _session(invocation, who)
        if session is not None:
            open_sessions.enter_context(session)
        found = resolve_identity(
            who, session, relays, home=invocation.home, offline=invocation.offline, progress=invocation.step
        )
    invocation.answer(found.to_json(), _lines(found))


def _session(invocation: Invocation, who: str) -> Session | None:
    """Open the wallet if that takes no question, or if `who` is a label, which only the wallet knows."""
    from walletcli.wallet.session import open_session

    if invocation.password_file is not None or (not _is_id(who) and invocation.home.exists()):
        return invocation.session()
    try:
        return open_session(invocation.home)
    except VaultError:
        return None


def _is_id(who: str) -> bool:
    from walletcli.core.identity_id import IdentityId

    try:
        IdentityId.from_text(who)
    except InputError:
        return False
    return True


def _lines(found: Resolved) -> list[str]:
    fields = [("did", found.did), ("seq", str(found.seq))]
    if found.document is not None:
        fields += [(f"{name} (public)", value) for name, value in sorted(found.document.profile.items())]
    fields += [("verified", line) for line in found.verified]
    fields += [("from", source) for source in found.sources]
    return pairs([*fields, ("freshness", found.freshness)])
