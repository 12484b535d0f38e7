"""Verbs of ``walletcli identity`` about its SSH key: show it, and serve it to ssh and git."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import click

from walletcli.cli.commands import Verb
from walletcli.cli.invocation import Invocation, pass_invocation
from walletcli.cli.output import note, warn
from walletcli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from walletcli.errors import WalletError
    from walletcli.wallet.access.session import Session
    from walletcli.wallet.ssh.conversation import Policy
    from walletcli.wallet.ssh.running import Told
    from walletcli.wallet.state.view import IdentityView

SILENT_CODES = frozenset({"ssh-agent.unknown"})
"""What programs ask every agent for; that this one does not have it is no news."""

_WHO = click.argument("who", metavar="ID")


@click.command("ssh-key", cls=Verb, unlocks=True, example="walletcli identity ssh-key alice --in-record")
@_WHO
@click.option("--in-record/--not-in-record", "named", default=None,
              help="Whether the next records name the key, so that all can verify what it signs.")  # fmt: skip
@click.option("--comment", metavar="TEXT", default="", help="Put this behind the key; nothing if not given.")
@click.option("--allowed-signers", is_flag=True, help="Print a line for git's and ssh-keygen's lists of signers.")
@click.option("--principal", metavar="NAME", help="Your name in that list; the id if not given.")
@pass_invocation
def ssh_key(
    invocation: Invocation, who: str, named: bool | None, comment: str, allowed_signers: bool, principal: str | None
) -> None:
    """Show the SSH key that an identity has on this device, as a line for authorized_keys."""
    from walletcli.wallet.ssh.key import check_line
    from walletcli.wallet.ssh.key import ssh_key as find

    check_line(comment, "comment")
    if principal is not None:
        check_line(principal, "principal")
    with invocation.session() as session:
        page = find(session, who, named)
    listed = page.signer_line(principal)
    line = listed if allowed_signers or principal is not None else page.line(comment)
    invocation.answer({**page.to_json(), "allowed_signers": listed}, [line])
    if named is not None and not invocation.json and page.is_in_record != named:
        note(f"Next: walletcli publish {page.identity.label_word}")


@click.command("ssh-agent", cls=Verb, unlocks=True, example="walletcli identity ssh-agent alice -- git push")
@_WHO
@click.argument("command", metavar="[-- COMMAND…]", nargs=-1, type=click.UNPROCESSED)
@click.option("--allow-unbound", is_flag=True, help="Serve programs that do not say which server they log in to.")
@pass_invocation
def ssh_agent(invocation: Invocation, who: str, command: tuple[str, ...], allow_unbound: bool) -> None:
    """Serve an identity's SSH keys to ssh and git: to COMMAND, or until told to stop (Ctrl-C)."""
    from walletcli.wallet.ssh.conversation import Policy
    from walletcli.wallet.ssh.key import with_some_key

    if command and invocation.json:
        raise UsageError("ssh-agent.stdout", "with a command, standard output is that command's", "leave --json out")
    with invocation.session() as session:
        identity = with_some_key(session, who)
        if invocation.progress is not None:
            invocation.progress.pause()
        if command:
            _run(invocation, session, identity, Policy(allow_unbound), command)
        else:
            _serve(invocation, session, identity, Policy(allow_unbound))


def _serve(invocation: Invocation, session: Session, identity: IdentityView, policy: Policy) -> None:
    from walletcli.core.ssh.keys import blob_line
    from walletcli.wallet.ssh.running import ENVIRONMENT, serve

    def tell(path: str, keys: Sequence[bytes]) -> None:
        document = {"socket": path, "did": identity.summary().did, "public_keys": [blob_line(key) for key in keys]}
        invocation.answer(document, [f"{ENVIRONMENT}={shlex.quote(path)}; export {ENVIRONMENT};"])

    serve(session, identity, policy, _told(), tell)


def _run(
    invocation: Invocation, session: Session, identity: IdentityView, policy: Policy, command: tuple[str, ...]
) -> None:
    from walletcli.cli.main import users_umask
    from walletcli.wallet.ssh.running import run_command

    invocation.exit_code = run_command(session, identity, policy, _told(), command, users_umask())


def _told() -> Told:
    from walletcli.wallet.ssh.running import Told

    return Told(_refused, note)


def _refused(error: WalletError) -> None:
    if error.code not in SILENT_CODES:
        warn(f"refused: {error.message}" + (f" ({error.hint})" if error.hint else ""))


VERBS = (ssh_key, ssh_agent)
"""The verbs of this module."""
