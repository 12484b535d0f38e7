"""What is generated from the program is what the program says, and everything that it may answer is described."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from scripts.error_codes import found_codes, slugs_in_source
from scripts.make_docs import generated_files
from tests.cli.answers import SCHEMAS, validator
from tests.cli.conftest import Answer
from tests.conftest import Run, clean_environment
from walletcli.cli import reference
from walletcli.cli.commands import Verb

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
SHARED = {"definitions", "error", "version"}
"""Schemas that belong to no single command."""

VERBS = [page for page in reference.pages() if isinstance(page.command, Verb)]

Cli = Callable[..., Run]


@pytest.mark.parametrize("name", sorted(generated_files()))
def test_generated_pages_are_up_to_date(name: str) -> None:
    assert (DOCS / name).read_text() == generated_files()[name], "run: make docs"


def test_no_generated_page_is_left_over() -> None:
    kept = {f"{folder}/{path.name}" for folder in ("man", "completions") for path in (DOCS / folder).iterdir()}
    assert kept == {name for name in generated_files() if name.split("/")[0] in ("man", "completions")}


def test_commands_that_hints_name_are_given_with_all_that_they_need() -> None:
    verbs = {page.path[1:]: page.command for page in VERBS}
    hints = [
        line.rsplit("| ", 2)[1]
        for line in (DOCS / "reference" / "errors.md").read_text().splitlines()
        if line[:3] == "| `"
    ]
    nouns = {path[0] for path in verbs} - {"node"}  # "a walletcli node" is none of them
    wrong = []
    for hint in hints:
        for text in re.findall(r"(?<!')walletcli ((?:[a-z-]+ ?)+[^,;:`()|]*)", hint):
            words = text.split()
            path = next((tuple(words[:count]) for count in (3, 2, 1) if tuple(words[:count]) in verbs), None)
            if path is not None:
                needed = sum(part.required for part in verbs[path].params)
                wrong += [hint] if len(words) - len(path) < needed else []
            elif words[0] in nouns:
                wrong.append(hint)
    assert len(hints) > 300
    assert wrong == []


def test_every_verb_has_a_schema_and_every_schema_a_verb() -> None:
    verbs = {"-".join(page.path[1:]) for page in VERBS}
    assert {path.stem for path in SCHEMAS.glob("*.json")} == verbs | SHARED


@pytest.mark.parametrize("path", sorted(SCHEMAS.glob("*.json")), ids=lambda path: path.stem)
def test_every_schema_is_one(path: Path) -> None:
    document = json.loads(path.read_text())
    Draft202012Validator.check_schema(document)
    assert document["$id"] == path.name
    assert document["title"]


def test_schemas_refuse_what_they_should() -> None:
    assert not validator("error").is_valid({"error": {"code": "Bad Code", "message": "x", "hint": ""}})
    assert not validator("error").is_valid({"error": {"code": "a.b", "message": "x", "hint": ""}, "more": 1})
    assert not validator("identity-list").is_valid({"identities": [{"did": "did:key:z6Mkx"}]})
    assert not validator("wallet-create").is_valid({"identities": []})


@pytest.mark.parametrize("page", VERBS, ids=lambda page: " ".join(page.path[1:]))
def test_every_verb_has_one_help_line_and_one_example(page: reference.Page) -> None:
    help_line = page.command.help or ""
    assert "\n" not in help_line
    assert help_line.endswith(".")
    assert re.match(r"[A-Z][a-z]+ ", help_line)
    assert isinstance(page.command, Verb)
    words = page.command.example.split()
    assert words[0] == "walletcli"
    assert [word for word in words if word in page.path][: len(page.path)] == list(page.path)


@pytest.mark.parametrize("page", VERBS, ids=lambda page: " ".join(page.path[1:]))
def test_every_option_is_explained(page: reference.Page) -> None:
    assert all(text for _, text in reference.option_records(page.context))


def test_man_pages_are_valid_for_groff() -> None:
    groff = shutil.which("groff") or shutil.which("mandoc")
    assert groff, "install groff"
    options = ["-man", "-Tutf8", "-ww"] if groff.endswith("groff") else ["-Tlint", "-Werror"]
    for path in sorted((DOCS / "man").glob("*.1")):
        done = subprocess.run([groff, *options, str(path)], capture_output=True, text=True, check=True)
        assert done.stderr == ""
        assert "EXAMPLE" not in done.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_printed(answer: Answer, cli: Cli, shell: str) -> None:
    script = answer("completion", shell)["script"]
    assert cli("completion", shell).stdout.strip() == script.strip()
    assert "_WALLETCLI_COMPLETE" in script
    assert (DOCS / "completions" / f"walletcli.{shell}").read_text().strip() == script.strip()


def test_completion_works_in_bash() -> None:
    bash = f"""
        source {DOCS}/completions/walletcli.bash
        try() {{
            COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
            _walletcli_completion walletcli; echo "${{COMPREPLY[*]}}"
        }}
        try walletcli ide
        try walletcli identity re
        try walletcli wallet restore --sch
        try walletcli wallet restore --scheme m
    """
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**clean_environment(), "PATH": path}
    done = subprocess.run(["bash", "-c", bash], capture_output=True, text=True, env=environment)
    assert done.stdout.splitlines() == ["identity", "rename retire", "--scheme", "mercury morpheus"]


def test_scripts_of_other_shells_parse() -> None:
    for shell in ("zsh", "fish"):
        program = shutil.which(shell)
        assert program, f"install {shell}"
        subprocess.run([program, "-n", str(DOCS / "completions" / f"walletcli.{shell}")], check=True)


def test_every_error_code_in_the_source_is_listed() -> None:
    listed = set(re.findall(r"^\| `([a-z0-9.-]+)` \|", (DOCS / "reference" / "errors.md").read_text(), re.MULTILINE))
    assert len(listed) > 200
    assert listed == {code.code for code in found_codes()}
    assert slugs_in_source() - listed == set(), "raise it with a literal code, or name it in scripts/error_codes.py"


def test_every_error_says_something_in_our_style() -> None:
    for code in found_codes():
        assert code.message, code.code
        assert not code.message.endswith("."), code.code
        assert not code.message[0].isupper() or code.message.split()[0].isupper(), code.code
