"""The options of commands that make a vault, and the slots that they ask for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from walletcli.cli.invocation import Invocation
from walletcli.cli.output import warn
from walletcli.cli.unlocking import read_new_password
from walletcli.errors import UsageError, VaultError

if TYPE_CHECKING:
    from walletcli.vault.kdf import KdfParameters
    from walletcli.wallet.create import NewSlots

Function = TypeVar("Function", bound=Callable[..., Any])
Result = TypeVar("Result")

_MEMORY = "Memory that each guess of the password costs, in MiB."
_PASSES = "Passes that Argon2id makes over that memory."


def kdf_options(function: Function) -> Function:
    """Add the options that set how costly a guess of the password is."""
    memory = click.option(
        "--kdf-memory-mib", type=click.IntRange(8, 2048), default=256, show_default=True, help=_MEMORY
    )
    passes = click.option("--kdf-passes", type=click.IntRange(1, 16), default=3, show_default=True, help=_PASSES)
    return memory(passes(function))


def slot_options(function: Function) -> Function:
    """Add the options that say what opens the new vault."""
    keyring = click.option("--keyring", is_flag=True, help="Let the OS keyring open the wallet as well.")
    alone = click.option("--no-password", is_flag=True, help="With --keyring: no password opens the wallet.")
    return keyring(alone(kdf_options(function)))


def kdf_parameters(kdf_memory_mib: int, kdf_passes: int) -> KdfParameters:
    """Return the parameters that the options ask for."""
    from walletcli.vault.kdf import KdfParameters

    return KdfParameters(memory_mib=kdf_memory_mib, passes=kdf_passes)


def make_with_slots(
    invocation: Invocation,
    make: Callable[[NewSlots], Result],
    *,
    keyring: bool,
    no_password: bool,
    kdf_memory_mib: int,
    kdf_passes: int,
) -> Result:
    """Make a vault that opens with what the options ask for; without a usable keyring, with the password alone.

    Raises:
        UsageError: ``slot.none`` when neither password nor keyring would open it.
    """
    from walletcli.vault.hardening import harden_process
    from walletcli.wallet.create import NewSlots

    harden_process()
    if no_password and not keyring:
        raise UsageError("slot.none", "--no-password leaves nothing that opens the wallet", "add --keyring")
    password = None if no_password else read_new_password(invocation, invocation.password_file)
    kdf = kdf_parameters(kdf_memory_mib, kdf_passes)
    invocation.step("sealing the vault")
    try:
        return make(NewSlots(password, keyring, kdf))
    except VaultError as error:
        if not keyring or password is None or not error.code.startswith("keyring."):
            raise
        warn(f"{error.message}; the wallet opens with the password alone")
        return make(NewSlots(password, False, kdf))
