"""Everything that is generated from the commands: the reference page, man pages, completion scripts.

``make docs`` writes them; a test compares them with the program.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import click
from click.shell_completion import get_completion_class

from walletcli import __version__
from walletcli.cli.commands import CONTEXT_SETTINGS, Verb
from walletcli.cli.completion import SHELLS
from walletcli.cli.main import PROGRAM
from walletcli.cli.program import COMPLETE_VARIABLE, program

EXIT_CODES = (
    (0, "done"),
    (1, "a bug in walletcli"),
    (2, "usage: options or arguments that do not go together"),
    (3, "input or format: what was given is wrong"),
    (4, "verification: it must not be trusted"),
    (5, "vault: it cannot be opened, locked or written"),
    (6, "signer: it refused or failed"),
    (7, "network: nobody answered, or answered badly"),
    (8, "storage: disk full, no permission, directory in use"),
    (9, "published on fewer nodes than asked"),
    (10, "an optional part is not installed"),
    (11, "done, but not in full: the result names what is missing"),
    (130, "interrupted"),
)
"""What the exit codes mean."""

INTRODUCTION = (
    "stdout carries the result and nothing else. With --json that is exactly one JSON document, on failure "
    '{"error": {"code", "message", "hint"}}; the exit code still tells. Secrets come from the terminal, from files or '
    "from pipes, never from the command line or the environment. A file loses one line end at its end, nothing else; "
    "'-' is standard input, for one option at a time. A command that could do only a part answers with its result all "
    "the same; stderr and the exit code say what is missing. An ID is a label, did:key:…, did:dht:…, pk:… or the bare "
    "z-base-32 of the key."
)
"""What holds for every command."""


class Page(NamedTuple):
    """One command of the tree.

    Attributes:
        path: its names, the program first.
        command: the command.
        context: the context it would be called in.
    """

    path: tuple[str, ...]
    command: click.Command
    context: click.Context


def pages() -> list[Page]:
    """Return every command of the program, each group before its verbs."""
    context = click.Context(program, info_name=PROGRAM, **CONTEXT_SETTINGS)  # type: ignore[arg-type]  # a plain dict
    return list(_walk((PROGRAM,), program, context))


def _walk(path: tuple[str, ...], command: click.Command, context: click.Context) -> Iterator[Page]:
    yield Page(path, command, context)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None:
                yield from _walk((*path, name), inner, click.Context(inner, info_name=name, parent=context))


def completion_script(shell: str) -> str:
    """Return the script that makes a shell complete our commands, for bash, zsh or fish."""
    kind = get_completion_class(shell)
    if kind is None:
        raise ValueError(f"no completion for {shell}")
    made = kind(program, {}, PROGRAM, COMPLETE_VARIABLE)
    # Not `source()`: for bash that would start the shell that happens to be installed, only to warn about its age.
    return made.source_template % made.source_vars()


def markdown() -> str:
    """Return the reference page of the command line."""
    parts = [
        "# Command line reference",
        "Generated from the program by `make docs`; do not edit.",
        INTRODUCTION.replace("{", "`{").replace("}}", "}}`"),
        "With `--json`, answers follow the JSON Schemas that are named below, and failures "
        "[error.json](schemas/error.json). Keys may be added to an answer, never taken away. What codes mean is in "
        "[errors.md](errors.md).",
        "## Exit codes",
        "| code | meaning |\n| --- | --- |\n" + "\n".join(f"| {code} | {meaning} |" for code, meaning in EXIT_CODES),
        "## Global options",
        "They may stand before the noun or after the verb.",
        _option_list(pages()[0].context),
    ]
    for page in pages()[1:]:
        parts += _markdown_of(page)
    return "\n\n".join(parts) + "\n"


def _markdown_of(page: Page) -> list[str]:
    name = " ".join(page.path[1:])
    help_line = page.command.help or ""
    if not isinstance(page.command, Verb):
        return [f"## {name}", help_line]
    level = "##" if len(page.path) == 2 else "###"
    parts = [f"{level} {name}", help_line, f"```\n{_usage(page)}\n```", _option_list(page.context)]
    schema = "-".join(page.path[1:])
    parts.append(f"Example: `{page.command.example}`. With `--json`: [schemas/{schema}.json](schemas/{schema}.json).")
    return [part for part in parts if part]


def _usage(page: Page) -> str:
    return " ".join([*page.path, *page.command.collect_usage_pieces(page.context)])


def _option_list(context: click.Context) -> str:
    records = option_records(context)
    return "\n".join(f"- `{names}`: {text}" for names, text in records)


def option_records(context: click.Context) -> list[tuple[str, str]]:
    """Return the visible options of a command: their spelling and their help."""
    options = (item for item in context.command.get_params(context) if isinstance(item, click.Option))
    records = (option.get_help_record(context) for option in options)
    return [record for record in records if record is not None]


def man_pages() -> dict[str, str]:
    """Return the man pages by file name: one for the program, one for each noun."""
    found = pages()
    made = {f"{PROGRAM}.1": _man_of_program(found)}
    for page in found[1:]:
        if len(page.path) == 2:
            made[f"{PROGRAM}-{page.path[1]}.1"] = _man_of_noun(page, [p for p in found if p.path[:2] == page.path])
    return made


def _man_of_program(found: Sequence[Page]) -> str:
    nouns = [page for page in found if len(page.path) == 2]
    lines = [
        *_man_head(PROGRAM, program.help or ""),
        ".SH SYNOPSIS",
        f".B {PROGRAM}\n[\\-\\-home DIR] [\\-\\-json] [\\-\\-offline] NOUN VERB \\&...",
        ".SH DESCRIPTION",
        _roff(INTRODUCTION),
        ".SH OPTIONS",
        *_man_options(found[0].context),
        ".SH COMMANDS",
        *(f".TP\n.BR {PROGRAM}\\-{page.path[1]} (1)\n{_roff(page.command.help or '')}" for page in nouns),
        ".SH EXIT STATUS",
        *(f".TP\n.B {code}\n{_roff(meaning)}" for code, meaning in EXIT_CODES),
    ]
    return "\n".join(lines) + "\n"


def _man_of_noun(noun: Page, found: Sequence[Page]) -> str:
    lines = [*_man_head("-".join(noun.path), noun.command.help or ""), ".SH COMMANDS"]
    for page in found:
        if isinstance(page.command, Verb):
            lines += [f".SS {_roff(_usage(page))}", _roff(page.command.help or ""), *_man_options(page.context)]
            lines += [".PP", f"Example: \\fB{_roff(page.command.example)}\\fR"]
    lines += [".SH SEE ALSO", f".BR {PROGRAM} (1)"]
    return "\n".join(lines) + "\n"


def _man_head(name: str, help_line: str) -> list[str]:
    title = name.upper().replace("-", "\\-")
    purpose = _roff(help_line[:1].lower() + help_line[1:].rstrip("."))
    return [
        f'.TH {title} 1 "" "{PROGRAM} {__version__}" "User Commands"',
        ".SH NAME",
        f"{_roff(name)} \\- {purpose}",
    ]


def _man_options(context: click.Context) -> list[str]:
    return [f".TP\n.B {_roff(names)}\n{_roff(text)}" for names, text in option_records(context)]


def _roff(text: str) -> str:
    """Return text as roff takes it: nothing in it is a request or an escape."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("…", "\\&...")
    return "\\&" + escaped if escaped.startswith(".") else escaped


def generated_files() -> dict[str, str]:
    """Return every generated file: its path below docs/, and what it holds."""
    files = {"reference/cli.md": markdown()}
    files |= {f"man/{name}": text for name, text in man_pages().items()}
    files |= {f"completions/{PROGRAM}.{shell}": completion_script(shell).strip() + "\n" for shell in SHELLS}
    return files
