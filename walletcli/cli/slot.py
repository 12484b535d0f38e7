"""``walletcli slot``: what opens the vault."""

from __future__ import annotations

import click

from walletcli.cli.commands import Noun
from walletcli.cli.invocation import Invocation, pass_invocation
from walletcli.cli.new_vault import kdf_options, kdf_parameters
from walletcli.cli.output import table
from walletcli.cli.secret_files import SECRET_FILE, SecretFile
from walletcli.cli.unlocking import read_new_password, with_password
from walletcli.errors import UsageError

_NEW_PASSWORD = click.option(
    "--new-password-file", type=SECRET_FILE, help="Read the new password from this file ('-': standard input)."
)


@click.group(cls=Noun)
def slot() -> None:
    """Choose what opens the wallet: password, OS keyring."""


@slot.command("list", example="walletcli slot list")
@pass_invocation
def list_(invocation: Invocation) -> None:
    """List what opens the wallet."""
    from walletcli.wallet.slots import list_slots

    slots = list_slots(invocation.home)
    rows = [(str(view.id), view.kind) for view in slots]
    invocation.answer({"slots": [view.to_json() for view in slots]}, table([("SLOT", "KIND"), *rows]))


@slot.command("add", unlocks=True, example="walletcli slot add keyring")
@click.argument("kind", type=click.Choice(["password", "keyring"]))
@_NEW_PASSWORD
@kdf_options
@pass_invocation
def add(
    invocation: Invocation, kind: str, new_password_file: SecretFile | None, kdf_memory_mib: int, kdf_passes: int
) -> None:
    """Add a password, or the OS keyring."""
    from walletcli.wallet.slots import add_keyring_slot, add_password_slot

    home = invocation.home
    home.require()
    if kind == "keyring":
        if new_password_file is not None:
            raise UsageError("slot.no-password", "a keyring slot has no password", "leave --new-password-file out")
        added = with_password(invocation, lambda password: add_keyring_slot(home, password))
    else:
        new = read_new_password(invocation, new_password_file, "--new-password-file")
        kdf = kdf_parameters(kdf_memory_mib, kdf_passes)
        added = with_password(invocation, lambda password: add_password_slot(home, password, new, kdf))
    invocation.answer({"slot": added.to_json()}, [f"slot {added.id} added ({added.kind})"])


@slot.command("remove", unlocks=True, example="walletcli slot remove 2")
@click.argument("number", metavar="SLOT", type=click.IntRange(min=1))
@pass_invocation
def remove(invocation: Invocation, number: int) -> None:
    """Remove a slot; the last one stays."""
    from walletcli.wallet.slots import remove_slot

    with_password(invocation, lambda password: remove_slot(invocation.home, number, password))
    invocation.answer({"removed": number}, [f"slot {number} removed"])


@slot.command("password", unlocks=True, example="walletcli slot password")
@click.option("--slot", "number", type=click.IntRange(min=1), help="Which slot, if several have a password.")
@_NEW_PASSWORD
@kdf_options
@pass_invocation
def password(
    invocation: Invocation, number: int | None, new_password_file: SecretFile | None,
    kdf_memory_mib: int, kdf_passes: int,
) -> None:  # fmt: skip
    """Change a password."""
    from walletcli.wallet.slots import change_password

    home = invocation.home
    home.require()
    first = invocation.password()
    new = read_new_password(invocation, new_password_file, "--new-password-file")
    kdf = kdf_parameters(kdf_memory_mib, kdf_passes)
    with_password(invocation, lambda old: change_password(home, old, new, number, kdf), first)
    invocation.answer({"changed": True}, ["password changed"])
