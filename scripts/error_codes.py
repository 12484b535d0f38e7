"""Finds every error code in the source and writes docs/reference/errors.md: code, exit code, message and hint."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from walletcli import errors
from walletcli.cli.reference import EXIT_CODES

SOURCE = Path(__file__).resolve().parent.parent / "walletcli"

SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9]+(-[a-z0-9]+)*)+")

GAP = "…"
"""Stands for a value that a message names."""

MADE_BY_HELPERS = {
    "interrupted": ("InterruptedByUser", "interrupted", ""),
    "usage.invalid": ("UsageError", "the command line does not follow its grammar", f"see: {GAP} --help"),
    "usage.no-such-option": ("UsageError", f"no such option: {GAP}", f"see: {GAP} --help"),
    "usage.missing-parameter": ("UsageError", f"missing argument or option {GAP}", f"see: {GAP} --help"),
    "usage.bad-parameter": ("UsageError", f"invalid value for {GAP}", f"see: {GAP} --help"),
    "password.mismatch": ("InputError", "no password was given twice alike", "run the command again"),
    "passphrase.mismatch": ("InputError", "no passphrase was given twice alike", "run the command again"),
    "storage.full": ("StorageError", f"cannot write {GAP}: no space left", "free some space"),
    "storage.failed": ("StorageError", f"cannot write or read {GAP}", "see the disk's space and permissions"),
    "vault.malformed": ("FormatError", f"the vault is malformed: {GAP}", "the state before is in the .previous file"),
    "slot.malformed": ("FormatError", f"a slot of the vault is malformed: {GAP}", "as for vault.malformed"),
    "slot.duplicate": ("FormatError", "a slot id stands there twice", "as for vault.malformed"),
}
"""Codes whose message is put together elsewhere: class, message, hint."""

NOT_ERRORS = re.compile(
    r"""
    [0-9.]+                                        # versions and addresses
    | walletcli\..*                                # modules
    | (adr|name|org)\.[a-z]+                       # attributes of contacts
    | (node|run|tls|root|device|store|wallet|data)\.(toml|json|crt|key|db|record|vault|lock)   # files
    | (node|sink|source|store|limits)\..*          # events in the node's log, answers of its HTTP interface
    | dht\.(bug|failed|joined|not-kept|not-put|round-failed|round-late|state|state-not-saved)   # events, a file
    | (dht|router)\.[a-z]+\.(com|org)               # the public DHT's first nodes
    | (bitcoin)?trezor\.(com|io)                   # what a device says that made it
    | (request|packet|document)\.(method|path|body|timeout|malformed|bug|too-large|precondition|conflict|in-flight|hash)
    | (request|host)\.(length|query|token|challenge|device|audience|blocked|no-delegation|read-only)
    | blob\.(id|precondition)
    | approval\.(conflict|no-document)
    | vault\.(directory-writable-by-others|foreign-owner|readable-by-others)         # notices, not errors
    """,
    re.VERBOSE,
)
"""Strings that look like codes and are none."""


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """One error code.

    Attributes:
        code: the slug.
        kind: name of the class that carries it.
        message: what it says, values left out.
        hint: what the user can do.
    """

    code: str
    kind: str
    message: str
    hint: str

    @property
    def exit_code(self) -> int:
        """Exit code of the command that ends in it."""
        kind = getattr(errors, self.kind, None)
        elsewhere = {"InterruptedByUser": 130, "PublishedShortError": 9, "SplitError": 4, "NotApprovedError": 4}
        return kind.exit_code if kind is not None else elsewhere[self.kind]


def found_codes() -> list[ErrorCode]:
    """Return all error codes, sorted."""
    found: dict[str, ErrorCode] = {}
    trees = [ast.parse(path.read_text()) for path in sorted(SOURCE.rglob("*.py"))]
    shared = {name: text for tree in trees for name, text in _hints(tree) if not name.startswith("_")}
    for tree in trees:
        for code in _codes_of(tree, shared | dict(_hints(tree))):
            found.setdefault(code.code, code)
    for slug, (kind, message, hint) in MADE_BY_HELPERS.items():
        found.setdefault(slug, ErrorCode(slug, kind, message, hint))
    return [found[code] for code in sorted(found)]


def slugs_in_source() -> set[str]:
    """Return every string in the source that looks like an error code and is not known to be something else."""
    constants = (
        node.value
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    return {text for text in constants if SLUG.fullmatch(text) and not NOT_ERRORS.fullmatch(text)}


def _hints(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield the hints that have a name of their own: those of several errors."""
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Constant):
            name = ast.unparse(node.targets[0] if isinstance(node, ast.Assign) else node.target)
            if name.endswith("_HINT"):
                yield name, str(node.value.value)


def _codes_of(tree: ast.Module, hints: Mapping[str, str]) -> Iterator[ErrorCode]:
    prefix = _constant_named(tree, "_WHAT")
    if prefix is not None:
        yield ErrorCode(f"{prefix}.malformed", "FormatError", f"malformed {prefix}: {GAP}", "")
    for kind, call in _error_calls(tree):
        texts = [_template(argument, prefix, hints) for argument in call.args[:3]]
        code = f"document.{texts[0]}" if kind == "wrong" else texts[0]
        if code is not None and SLUG.fullmatch(code):
            message, hint = (*(text or GAP for text in texts[1:]), "", "")[:2]
            yield ErrorCode(code, "FormatError" if kind == "wrong" else kind, message, hint)


def _error_calls(tree: ast.Module) -> Iterator[tuple[str, ast.Call]]:
    """Yield calls of our classes, of `wrong`, and of `super().__init__` inside of them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and node.name.endswith("Error"):
            for inner in ast.walk(node):
                if isinstance(inner, ast.Call) and ast.unparse(inner.func) == "super().__init__":
                    yield node.name, inner
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args:
            name = node.func.id
            if name == "wrong" or (name.endswith("Error") and hasattr(errors, name)):
                yield name, node


def _constant_named(tree: ast.Module, name: str) -> str | None:
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if ast.unparse(target) == name:
                return str(ast.literal_eval(node.value))
    return None


def _template(node: ast.expr, prefix: str | None, hints: Mapping[str, str]) -> str | None:
    if isinstance(node, ast.Name):
        return hints.get(node.id)
    if isinstance(node, ast.IfExp):
        texts = [_template(part, prefix, hints) for part in (node.orelse, node.body)]
        return "; or: ".join(text or GAP for text in texts)
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(
            str(part.value) if isinstance(part, ast.Constant) else prefix if _is_prefix(part) and prefix else GAP
            for part in node.values
        )
    return None


def _is_prefix(part: ast.expr) -> bool:
    return isinstance(part, ast.FormattedValue) and ast.unparse(part.value) == "_WHAT"


def markdown() -> str:
    """Return the page of error codes."""
    codes = found_codes()
    parts = [
        "# Error codes",
        "Generated from the source by `make docs`; do not edit.",
        "Every failure has one of these codes, in `error.code` with `--json`. Codes are stable; messages may change. "
        f"{GAP} stands for a value. Messages never hold secrets.",
    ]
    for exit_code, meaning in EXIT_CODES:
        members = [code for code in codes if code.exit_code == exit_code]
        if members:
            parts.append(f"## Exit code {exit_code}: {meaning}")
            rows = [f"| `{code.code}` | {_cell(code.message)} | {_cell(code.hint)} |" for code in members]
            parts.append("\n".join(["| code | what it says | what to do |", "| --- | --- | --- |", *rows]))
    return "\n\n".join(parts) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")
