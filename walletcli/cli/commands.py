"""The shapes of commands: groups that load late, nouns, and verbs that take the global options."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import click

from walletcli.cli.invocation import Invocation

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

CONTEXT_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
"""Settings of every command."""


class Late(NamedTuple):
    """A command that is imported when it is called.

    Attributes:
        module: name of the module.
        attribute: name of the command in it.
        help: its help line, so that ``--help`` needs no import.
    """

    module: str
    attribute: str
    help: str


class LateGroup(click.Group):
    """A group whose commands live in modules that are not imported before one of them is called."""

    late: dict[str, Late]

    def __init__(self, *, late: dict[str, Late], **settings: Any) -> None:
        super().__init__(**settings)
        self.late = late

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the order in which people meet them."""
        return list(self.late)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        entry = self.late.get(cmd_name)
        return cast(click.Command, getattr(import_module(entry.module), entry.attribute)) if entry else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command, or name the nearest ones."""
        if args[0] not in self.late and not args[0].startswith("-"):
            raise click.UsageError(_unknown(args[0], list(self.late)), ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands from the table, importing none."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in self.late.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete names from the table, importing none."""
        from click.shell_completion import CompletionItem

        found = [
            CompletionItem(name, help=entry.help) for name, entry in self.late.items() if name.startswith(incomplete)
        ]
        return found + click.Command.shell_complete(self, ctx, incomplete)


def _unknown(name: str, known: Sequence[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, known, n=2)
    return f"no such command '{name}'" + (f", did you mean {' or '.join(near)}?" if near else "")


class Verb(click.Command):
    """A command: one help line, one example, and the global options in this place as well.

    Args:
        example: one command line that works, without the prompt.
        unlocks: the command may need the vault's password, so it takes ``--password-file``.
        resumes: run again, it goes on where it was interrupted.
    """

    def __init__(self, *, example: str, unlocks: bool = False, resumes: bool = False, **settings: Any) -> None:
        settings["params"] = [*settings.get("params", []), *(_password_options() if unlocks else []), *global_options()]
        settings["context_settings"] = {**CONTEXT_SETTINGS, **settings.get("context_settings", {})}
        super().__init__(**settings)
        self.example = example
        self.unlocks = unlocks
        self.resumes = resumes

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        ctx.ensure_object(Invocation).resumes = self.resumes
        return super().invoke(ctx)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the example."""
        with formatter.section("Example"):
            formatter.write_text(self.example)


class Noun(click.Group):
    """A group of verbs about one thing."""

    command_class = Verb

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"context_settings": CONTEXT_SETTINGS, **settings})

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a verb, or name the nearest ones."""
        if args[0] not in self.commands and not args[0].startswith("-"):
            raise click.UsageError(_unknown(args[0], self.list_commands(ctx)), ctx)
        return super().resolve_command(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the verbs in the order in which they were written."""
        return list(self.commands)


def global_options(*, hidden: bool = True) -> list[click.Parameter]:
    """Return the options that may stand before the noun and after the verb."""
    return [
        _setting("home_path", ["--home"], "Use the wallet in this directory.", hidden, metavar="DIR"),
        _setting("json", ["--json"], "Answer with one JSON document on stdout.", hidden, is_flag=True),
        _setting("offline", ["--offline"], "Never touch the network.", hidden, is_flag=True),
        _setting("debug", ["--debug"], "Show where a bug was met (never values).", hidden, is_flag=True),
    ]


def _setting(attribute: str, names: list[str], help_line: str, hidden: bool, **settings: Any) -> click.Option:
    declared = [*names, f"_{attribute}"]
    return click.Option(
        declared, help=help_line, hidden=hidden, expose_value=False, callback=_set(attribute), **settings
    )


def _set(attribute: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def callback(ctx: click.Context, _parameter: click.Parameter, value: Any) -> None:
        if value not in (None, False) and not ctx.resilient_parsing:
            setattr(ctx.ensure_object(Invocation), attribute, value)

    return callback


def _password_options() -> list[click.Parameter]:
    from walletcli.cli.secret_files import SECRET_FILE

    line = "Read the vault's password from this file ('-': standard input)."
    pin_line = "Read the PIN of a security key from this file ('-': standard input)."
    return [
        _setting("password_file", ["--password-file"], line, False, type=SECRET_FILE),
        _setting("pin_file", ["--pin-file"], pin_line, False, type=SECRET_FILE),
    ]
