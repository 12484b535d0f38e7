"""Completion scripts for shells."""

from __future__ import annotations

import click

from walletcli.cli.commands import Verb
from walletcli.cli.invocation import Invocation, pass_invocation

SHELLS = ("bash", "zsh", "fish")
"""The shells that scripts are made for."""


@click.command(
    "completion", cls=Verb, example="walletcli completion bash > ~/.local/share/bash-completion/completions/walletcli"
)
@click.argument("shell", type=click.Choice(SHELLS))
@pass_invocation
def completion(invocation: Invocation, shell: str) -> None:
    """Print a completion script for your shell."""
    from walletcli.cli.reference import completion_script

    script = completion_script(shell)
    invocation.answer({"shell": shell, "script": script}, [script.rstrip("\n")])
