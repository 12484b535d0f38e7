"""The program: its nouns, its global options, and how each way of ending is told."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence

import click

from walletcli import __version__
from walletcli.cli.commands import CONTEXT_SETTINGS, Late, LateGroup, global_options
from walletcli.cli.failures import InterruptedByUser, bug, describe_bug, from_click, from_os_error
from walletcli.cli.invocation import Invocation
from walletcli.cli.main import PROGRAM
from walletcli.cli.output import BROKEN_PIPE_EXIT_CODE, silence, to_json_line, write_error, write_line, write_raw_error
from walletcli.errors import WalletError

COMPLETE_VARIABLE = "_WALLETCLI_COMPLETE"
"""Environment variable by which the completion scripts call the program."""

COMMANDS = {
    "wallet": Late("walletcli.cli.wallet", "wallet", "Create, restore, lock and keep a wallet."),
    "slot": Late("walletcli.cli.slot", "slot", "Choose what opens the wallet: password, OS keyring."),
    "key": Late("walletcli.cli.key", "key", "Let security keys (FIDO2) open the wallet."),
    "identity": Late("walletcli.cli.identity", "identity", "Create, show and edit identities."),
    "device": Late("walletcli.cli.device", "device", "See, enrol and revoke the devices that act for an identity."),
    "publish": Late("walletcli.cli.publish", "publish", "Sign an identity's record and store it on relays."),
    "resolve": Late("walletcli.cli.resolve", "resolve", "Find and verify anybody's record."),
    "provider": Late("walletcli.cli.provider", "provider", "Choose who keeps an identity's data, and move."),
    "contact": Late("walletcli.cli.contact", "contact", "Know other identities: cards, safety words, shares."),
    "request": Late("walletcli.cli.request", "request", "Have another machine sign, and sign for one."),
    "sign": Late("walletcli.cli.signature", "sign", "Sign a file in an identity's name, as OpenSSH does."),
    "verify": Late("walletcli.cli.signature", "verify", "Verify a file's signature, and say who has signed."),
    "relay": Late("walletcli.cli.relay", "relay", "Choose the relays that records are stored on."),
    "data": Late("walletcli.cli.data", "data", "Keep files sealed at an identity's provider."),
    "sync": Late("walletcli.cli.sync", "sync", "Bring identities in step with providers, kits and devices."),
    "record": Late("walletcli.cli.record", "record", "Read, verify and export record files."),
    "node": Late("walletcli.cli.node", "node", "Run a node that stores and serves records."),
    "completion": Late("walletcli.cli.completion", "completion", "Print a completion script for your shell."),
}
"""The nouns, in the order of the help page."""


def _print_version(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        invocation = ctx.ensure_object(Invocation)
        invocation.answer({"version": __version__}, [f"{PROGRAM} {__version__}"])
        ctx.exit(invocation.exit_code)


program = LateGroup(
    name=PROGRAM,
    late=COMMANDS,
    help="A cold wallet for identities: many unlinked identities from one seed, and records that anybody can verify.",
    subcommand_metavar="NOUN VERB …",
    epilog="Global options may also follow the verb. Start with: walletcli wallet create",
    context_settings=CONTEXT_SETTINGS,
    params=[
        *global_options(hidden=False),
        click.Option(
            ["--version"], is_flag=True, expose_value=False, callback=_print_version, help="Show the version and exit."
        ),
    ],
)
"""The click command that everything hangs on."""


def run(arguments: Sequence[str]) -> int:
    """Run one command line, answer, and return the exit code.

    Args:
        arguments: what follows the program's name.
    """
    if COMPLETE_VARIABLE in os.environ:
        program.main(list(arguments), PROGRAM, complete_var=COMPLETE_VARIABLE)
    # Known before parsing: a command line that cannot be parsed is answered in JSON as well.
    wants_json = "--json" in arguments[: arguments.index("--") if "--" in arguments else None]
    invocation = Invocation(json=wants_json)
    try:
        return _invoke(arguments, invocation)
    except BrokenPipeError:
        silence(sys.stdout)
        return BROKEN_PIPE_EXIT_CODE
    except WalletError as error:
        return fail(invocation, error)


def _invoke(arguments: Sequence[str], invocation: Invocation) -> int:
    """Run the command; every way of failing leaves as one of our errors."""
    try:
        with (
            program.make_context(PROGRAM, list(arguments), obj=invocation) as context,
            _showing_progress(invocation),
        ):
            program.invoke(context)
        return invocation.exit_code
    except click.exceptions.Exit as leaving:
        return leaving.exit_code
    except click.ClickException as error:
        raise from_click(error) from error
    except (KeyboardInterrupt, click.Abort, EOFError) as error:
        raise InterruptedByUser(invocation.again) from error
    except (WalletError, BrokenPipeError):
        raise
    except Exception as error:  # the last line: whatever is left is a bug, and must not spill values
        known = from_os_error(error)
        if known is None and invocation.debug:
            write_raw_error(describe_bug(error))
        raise known or bug(error) from error


@contextlib.contextmanager
def _showing_progress(invocation: Invocation) -> Iterator[None]:
    """Show what takes long, where somebody watches."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield
        return
    from walletcli.cli.progress import Progress

    with Progress() as invocation.progress:
        yield


def fail(invocation: Invocation, error: WalletError) -> int:
    """Tell an error, on stdout as well when JSON is wanted and nothing was answered yet.

    Returns:
        the error's exit code.
    """
    write_error(error)
    if invocation.json and not invocation.answered:
        invocation.answered = True
        with contextlib.suppress(WalletError):  # when stdout itself is what failed, stderr has told
            write_line(to_json_line({"error": error.to_json()}))
    return error.exit_code
