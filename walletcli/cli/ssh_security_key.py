"""``walletcli identity ssh-security-key``: SSH keys of an identity that live in security keys."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import click

from walletcli.cli.commands import Noun
from walletcli.cli.invocation import Invocation, pass_invocation
from walletcli.cli.output import note, safe, table

if TYPE_CHECKING:
    from walletcli.wallet.ssh.on_security_keys import SshSecurityKeyPage


@click.group("ssh-security-key", cls=Noun)
def ssh_security_key() -> None:
    """Have SSH keys of an identity live in security keys."""


@ssh_security_key.command("list", unlocks=True, example="walletcli identity ssh-security-key list alice")
@click.argument("who", metavar="ID")
@pass_invocation
def list_(invocation: Invocation, who: str) -> None:
    """List an identity's SSH keys on security keys."""
    from walletcli.wallet.ssh.on_security_keys import list_security_keys

    with invocation.session() as session:
        pages = list_security_keys(session, who)
    rows = [(_name(page), page.fingerprint, _needs(page), "yes" if page.is_in_record else "no") for page in pages]
    lines = table([("NAME", "KEY", "NEEDS", "IN RECORD"), *rows]) if rows else ["no SSH key on a security key"]
    invocation.answer({"keys": [page.to_json() for page in pages]}, lines)


@ssh_security_key.command("add", unlocks=True, example="walletcli identity ssh-security-key add alice --name blue")
@click.argument("who", metavar="ID")
@click.option("--key", "which", metavar="KEY", help="Path or serial number of the key, if several are there.")
@click.option("--name", metavar="NAME", help="Your own name for it; never published.")
@click.option("--no-pin", is_flag=True, help="A touch is enough: do not ask for the key's PIN.")
@click.option("--in-record", "named", is_flag=True, help="The next records name it, so that all can verify.")
@click.option("--accept-link", is_flag=True, help="Go ahead though the key serves another identity of yours.")
@pass_invocation
def add(
    invocation: Invocation, who: str, which: str | None, name: str | None, no_pin: bool, named: bool, accept_link: bool
) -> None:
    """Make one, and show its line for authorized_keys."""
    from walletcli.cli.unlocking import open_wallet_here
    from walletcli.wallet.ssh.on_security_keys import add_security_key

    with open_wallet_here(invocation) as session:
        page = add_security_key(
            session, who, which=which, name=name, verify=not no_pin, named=named, accept_link=accept_link
        )
    invocation.answer({"key": page.to_json()}, [page.line()])
    _say_next(invocation, page, "So that your words bring it back")


@ssh_security_key.command("show", unlocks=True, example="walletcli identity ssh-security-key show alice --in-record")
@click.argument("who", metavar="ID")
@click.argument("key", metavar="KEY", required=False)
@click.option("--in-record/--not-in-record", "named", default=None,
              help="Whether the next records name it, so that all can verify what it signs.")  # fmt: skip
@click.option("--comment", metavar="TEXT", default="", help="Put this behind the key; nothing if not given.")
@click.option("--allowed-signers", is_flag=True, help="Print a line for git's and ssh-keygen's lists of signers.")
@click.option("--principal", metavar="NAME", help="Your name in that list; the id if not given.")
@pass_invocation
def show(
    invocation: Invocation, who: str, key: str | None, named: bool | None,
    comment: str, allowed_signers: bool, principal: str | None,
) -> None:  # fmt: skip
    """Show the line of one, by name or fingerprint."""
    from walletcli.cli.unlocking import open_wallet_here
    from walletcli.wallet.ssh.key import check_line
    from walletcli.wallet.ssh.on_security_keys import show_security_key

    check_line(comment, "comment")
    if principal is not None:
        check_line(principal, "principal")
    with contextlib.ExitStack() as stack:
        session = stack.enter_context(invocation.session() if named is None else open_wallet_here(invocation))
        page = show_security_key(session, who, key, named)
    listed = page.signer_line(principal)
    line = listed if allowed_signers or principal is not None else page.line(comment)
    invocation.answer({"key": {**page.to_json(), "allowed_signers": listed}}, [line])
    if named is not None and page.is_in_record != named:
        _say_next(invocation, page, "It holds once it is published")


@ssh_security_key.command("remove", unlocks=True, example="walletcli identity ssh-security-key remove alice blue")
@click.argument("who", metavar="ID")
@click.argument("key", metavar="KEY")
@pass_invocation
def remove(invocation: Invocation, who: str, key: str) -> None:
    """Forget one, by name or fingerprint; a lost one too."""
    from walletcli.cli.unlocking import open_wallet_here
    from walletcli.wallet.ssh.on_security_keys import remove_security_key

    with open_wallet_here(invocation) as session:
        page = remove_security_key(session, who, key)
    invocation.answer(
        {"removed": page.to_json()}, [f"{_name(page)} holds no SSH key of {page.identity.label} any more"]
    )
    if not invocation.json:
        note(f"Take it out of authorized_keys wherever it logs in: {page.fingerprint}")
    if page.identity.record is not None:
        _say_next(invocation, page, "The record still says how it is asked, and perhaps names it")


def _name(page: SshSecurityKeyPage) -> str:
    if not page.credential.can_be_asked:
        return "(this wallet cannot ask it)"
    return safe(page.credential.name)


def _needs(page: SshSecurityKeyPage) -> str:
    return "PIN and touch" if page.credential.verify else "touch"


def _say_next(invocation: Invocation, page: SshSecurityKeyPage, why: str) -> None:
    if not invocation.json:
        note(f"{why}: walletcli publish {page.identity.label_word}")
