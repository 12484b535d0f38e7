"""Fixtures of the command line's tests: answers that are held to their schemas, wallets, and programs on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest

from tests.cli.answers import check_answer
from tests.conftest import FAST_KDF, Run, clean_environment

PASSWORD = "correct horse battery"

MNEMONIC = "abandon " * 11 + "about"
"""BIP39's first vector: entropy of zeros."""

Answer = Callable[..., dict[str, Any]]


@pytest.fixture
def secret_file(tmp_path: Path) -> Callable[[str, str | bytes], str]:
    """Return a function that writes a file which only its owner reads, and gives its path."""

    def write(name: str, content: str | bytes) -> str:
        path = tmp_path / name
        path.touch(mode=0o600)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    return write


@pytest.fixture
def password(secret_file: Callable[[str, str | bytes], str]) -> tuple[str, str]:
    """The options that give the password of the test wallets."""
    return "--password-file", secret_file("password", PASSWORD + "\n")


@pytest.fixture
def answer(cli: Callable[..., Run]) -> Answer:
    """Run a command with --json, check its exit code, and hold its answer to its schema."""

    def run(*args: str, code: int = 0, **settings: Any) -> dict[str, Any]:
        done = cli("--json", *args, **settings)
        assert done.code == code, (done.code, done.stdout, done.stderr)
        return check_answer(args, done.stdout, done.code)

    return run


@pytest.fixture
def wallet(answer: Answer, home: Path, password: tuple[str, str], secret_file: Callable[..., str]) -> Path:
    """A home that holds a wallet made from `MNEMONIC`."""
    words = secret_file("mnemonic", MNEMONIC)
    answer("wallet", "restore", "--mnemonic-file", words, *password, *FAST_KDF, home=home)
    return home


@pytest.fixture
def on_terminal(tmp_path: Path) -> Iterator[Callable[..., pexpect.spawn]]:
    """Return a function that starts the command on a terminal of its own, 100 columns wide."""
    started: list[pexpect.spawn] = []
    (tmp_path / "user").mkdir(exist_ok=True)
    (tmp_path / "run").mkdir(mode=0o700, exist_ok=True)

    def start(*args: str, term: str = "xterm", **more: str) -> pexpect.spawn:
        environment = clean_environment(
            HOME=str(tmp_path / "user"), XDG_RUNTIME_DIR=str(tmp_path / "run"), NO_COLOR="1", TERM=term, **more
        )
        child = pexpect.spawn(
            sys.executable,
            ["-m", "walletcli", *args],
            env=environment,
            encoding="utf-8",
            timeout=30,
            dimensions=(30, 100),
            cwd=str(tmp_path),
        )
        child.delaybeforesend = 0.05
        started.append(child)
        return child

    yield start
    for child in started:
        child.close(force=True)
