"""What the pages say is so: commands exist, links lead somewhere, locks hold, nothing names one machine."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from tests.conftest import corpus
from walletcli.cli.program import program

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
PAGES += [path for path in corpus(ROOT / "docs", ["**/*.md"]) if path.name != "cli.md"]
MAX_README_LINES = 150
FIRST_COMMAND_LINE = 15

_FENCE = re.compile(r"^```[a-z]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`(walletcli [^`]+)`")
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def _by_name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def command_lines(page: Path) -> Iterator[str]:
    """Yield the command lines of walletcli on a page: in fenced blocks, and in inline code."""
    text = page.read_text()
    for block in _FENCE.findall(text):
        joined = block.replace("\\\n", " ")
        for line in joined.splitlines():
            if line.startswith(("$ walletcli ", "walletcli ")):
                yield line.removeprefix("$ ")
    if page.parent.name != "spec":  # there, `walletcli …` in a line of text is a label in a derivation
        yield from _INLINE.findall(_FENCE.sub("", text))


def _check(line: str) -> None:
    """Walk a command line through the program; raise if a noun, verb or option is not there."""
    words = [word for word in shlex.split(line, comments=True)[1:] if word not in ("&", "…", "...")]
    command: click.Command = program
    context = click.Context(program)
    while words:
        word = words.pop(0)
        if word in ("|", ">", "<", ";", "&&"):
            return
        if word.startswith("-") and word != "-":
            name, _, value = word.partition("=")
            options = [
                p for p in command.params if isinstance(p, click.Option) and name in (*p.opts, *p.secondary_opts)
            ]
            assert options or name in ("--help", "-h"), f"no option {name} in: {line}"
            if options and not options[0].is_flag and not value and words:
                words.pop(0)
        elif isinstance(command, click.Group):
            if word.isupper():
                return  # NOUN VERB and the like stand for any
            found = command.get_command(context, word)
            assert found is not None, f"no command {word} in: {line}"
            command = found


@pytest.mark.parametrize("page", PAGES, ids=_by_name)
def test_every_command_on_a_page_exists(page: Path) -> None:
    for line in command_lines(page):
        _check(line)


def test_the_readme_shows_commands() -> None:
    assert len(list(command_lines(ROOT / "README.md"))) > 5


@pytest.mark.parametrize(
    "line", ["walletcli wallet frobnicate", "walletcli publish alice --nowhere", "walletcli nonsense list"]
)
def test_a_command_that_does_not_exist_is_noticed(line: str) -> None:
    with pytest.raises((AssertionError, click.UsageError)):
        _check(line)


@pytest.mark.parametrize("page", PAGES, ids=_by_name)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    for target in _LINK.findall(page.read_text()):
        if not re.match(r"[a-z]+:", target):
            assert (page.parent / target).exists(), f"{_by_name(page)} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=_by_name)
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    for name in re.findall(
        r"(?<![\w/.])((?:core|client|node|net|vault|wallet|signers|cli|tests|docs|bench)/[\w/-]+\.(?:py|md|json))",
        page.read_text(),
    ):
        assert any((base / name).exists() for base in (ROOT, ROOT / "walletcli")), f"{_by_name(page)} names {name}"


def test_the_readme_is_short_and_starts_with_a_command() -> None:
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) < MAX_README_LINES
    assert any(line.startswith("$ ") for line in lines[:FIRST_COMMAND_LINE])


def test_every_make_target_on_a_page_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        for target in re.findall(r"`make ([a-z-]+)`|^\$? ?make ([a-z-]+)", page.read_text(), re.MULTILINE):
            assert next(filter(None, target)) in targets, f"{_by_name(page)}: make {target}"


def test_lock_files_hold_a_hash_for_everything_and_name_no_index() -> None:
    for path in corpus(ROOT / "requirements", ["*.txt"]):
        text = path.read_text()
        pinned = re.findall(r"^([a-z0-9._-]+(?:\[[a-z,]+\])?)==\S+.*\\$", text, re.MULTILINE)
        assert pinned
        assert text.count("\n    --hash=sha256:") >= len(pinned)
        assert not re.search(r"://|--(extra-)?index-url|--find-links", text)


def test_npm_lock_files_name_no_registry() -> None:
    for path in corpus(ROOT, ["tests/peers/package-lock.json", "bench/package-lock.json"]):
        assert '"integrity"' in path.read_text()
        assert '"resolved": "http' not in path.read_text()


def test_no_tracked_file_names_the_machine_it_was_written_on() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        return  # an unpacked source archive has no history to ask
    own_path = str(ROOT).encode()
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if path.is_file() and len(own_path) > 5:
            assert own_path + b"/" not in path.read_bytes(), name
