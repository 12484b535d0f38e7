"""Holds the answers of the program to their JSON Schemas in docs/reference/schemas."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource

SCHEMAS = Path(__file__).resolve().parents[2] / "docs" / "reference" / "schemas"

_TOP_LEVEL = {"publish", "resolve", "sign", "verify", "completion", "sync"}
_NESTED = {("wallet", "index"), ("identity", "approver"), ("identity", "ssh-security-key")}
_TAKES_VALUE = {"--home"}


@cache
def registry() -> Registry[Any]:
    found = {path.name: Resource.from_contents(json.loads(path.read_text())) for path in SCHEMAS.glob("*.json")}
    return Registry().with_resources(found.items())


@cache
def validator(name: str) -> Draft202012Validator:
    schema = registry().contents(f"{name}.json")
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema, registry=registry())


def command_name(args: tuple[str, ...]) -> str:
    """Return the name of the schema for a command line: its noun and verb."""
    words: list[str] = []
    rest = iter(args)
    for word in rest:
        if word in _TAKES_VALUE:
            next(rest)
        elif word == "--version":
            return "version"
        elif not word.startswith("-"):
            words.append(word)
    depth = 3 if tuple(words[:2]) in _NESTED else 2
    return words[0] if words[0] in _TOP_LEVEL else "-".join(words[:depth])


def check_answer(args: tuple[str, ...], stdout: str, code: int) -> dict[str, Any]:
    """Check that stdout is one line of JSON that follows the schema of the command, or of errors; return it.

    A command that did what it could answers with its result, and its exit code tells that something is missing.
    """
    assert stdout.endswith("\n")
    assert stdout.count("\n") == 1, "one document on one line"
    assert stdout.isascii()
    document: dict[str, Any] = json.loads(stdout)
    validator("error" if code and "error" in document else command_name(args)).validate(document)
    return document
