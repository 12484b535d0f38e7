"""Dice rolls and coin flips: from a file, or typed at the terminal."""

from __future__ import annotations

from walletcli.cli.invocation import Invocation
from walletcli.cli.secret_files import SecretFile
from walletcli.cli.terminal import open_terminal
from walletcli.core import dice
from walletcli.core.secret import Secret
from walletcli.errors import InputError, UsageError

NAMES: dict[str, str] = {"dice": "dice rolls (1 to 6)", "coin": "coin flips (0 or 1)"}
"""What is asked for, by kind."""


def read_rolls(
    invocation: Invocation, typed: dict[str, bool], files: dict[str, SecretFile | None], length_bytes: int
) -> tuple[str, Secret] | None:
    """Return the kind and the rolls that the options ask for, or None when they ask for none.

    Args:
        invocation: the run.
        typed: by kind, whether rolls are to be typed.
        files: by kind, the file with rolls.
        length_bytes: entropy of the mnemonic in bytes, which says how many rolls are enough.

    Raises:
        UsageError: ``dice.twice`` for more than one source.
    """
    wanted: list[str] = [kind for kind, flag in typed.items() if flag]
    named = [(kind, file) for kind, file in files.items() if file is not None]
    if len(wanted) + len(named) > 1:
        raise UsageError("dice.twice", "dice and coins come from one source only", "give one of these options")
    if named:
        kind, file = named[0]
        return kind, file.read_text()
    return (wanted[0], _type_rolls(invocation, wanted[0], length_bytes)) if wanted else None


def _type_rolls(invocation: Invocation, kind: str, length_bytes: int) -> Secret:
    needed = dice.needed(kind, length_bytes)
    rolls = ""
    instead = f"give --{'dice' if kind == 'dice' else 'coins'}-file FILE"
    with open_terminal(invocation, "type the rolls", instead) as terminal, terminal.private_screen():
        terminal.write(f"Type {NAMES[kind]} in the order in which they fall; at least {needed} are needed.\n")
        while len(rolls) < needed:
            typed = terminal.ask(f"{len(rolls)} of {needed}: ")
            try:
                rolls += dice.canonical_rolls(typed, kind)
            except InputError as error:
                terminal.write(f"{error.message}: {error.hint}; nothing of that line was taken\n")
    return Secret.from_text(rolls)
