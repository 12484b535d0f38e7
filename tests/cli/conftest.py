"""Fixtures of the command line's tests: answers that are held to their schemas, wallets, and programs on a terminal."""

from __future__ import annotations

import hashlib
import json
import subprocess
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

ROOT = Path(__file__).resolve().parents[2]
FAKE = ROOT / "tests" / "hid" / "fake_hidapi"

PIN = "4711"
"""Of the security keys that the fixtures plug in."""

Answer = Callable[..., dict[str, Any]]
Keys = Callable[..., Path]
Do = Callable[..., dict[str, Any]]


def error_of(answer: dict[str, Any]) -> str:
    """Return the code of the error that a program was told."""
    return str(answer["error"]["code"])


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
    """Return a function that starts the command on a terminal of its own, 100 columns wide and 30 rows tall."""
    started: list[pexpect.spawn] = []
    (tmp_path / "user").mkdir(exist_ok=True)
    (tmp_path / "run").mkdir(mode=0o700, exist_ok=True)

    def start(*args: str, term: str = "xterm", rows: int = 30, **more: str) -> pexpect.spawn:
        environment = clean_environment(
            HOME=str(tmp_path / "user"), XDG_RUNTIME_DIR=str(tmp_path / "run"), NO_COLOR="1", TERM=term, **more
        )
        child = pexpect.spawn(
            sys.executable,
            ["-m", "walletcli", *args],
            env=environment,
            encoding="utf-8",
            timeout=30,
            dimensions=(rows, 100),
            cwd=str(tmp_path),
        )
        child.delaybeforesend = 0.05
        started.append(child)
        return child

    yield start
    for child in started:
        child.close(force=True)


# Devices behind a stand-in for hidapi


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    """Return a function that plugs a device in (its file), or changes how it behaves."""
    directory = tmp_path / "keys"
    directory.mkdir()

    def plug(name: str, pin: str | None = PIN, **settings: Any) -> Path:
        path = directory / f"{name}.json"
        kept = json.loads(path.read_text()) if path.exists() else {"seed": hashlib.sha256(name.encode()).hexdigest()}
        hashed = hashlib.sha256(pin.encode()).digest()[:16].hex() if pin else None
        path.write_text(json.dumps({**kept, "pin": hashed, **settings}))
        return path

    return plug


@pytest.fixture
def environment(tmp_path: Path, keys: Keys) -> dict[str, str]:
    """The environment in which the program finds those keys."""
    (tmp_path / "user").mkdir(exist_ok=True)
    (tmp_path / "run").mkdir(mode=0o700, exist_ok=True)
    return clean_environment(
        HOME=str(tmp_path / "user"), XDG_RUNTIME_DIR=str(tmp_path / "run"), NO_COLOR="1", TERM="xterm",
        PYTHONPATH=f"{FAKE}:{ROOT}", FAKE_KEYS=str(tmp_path / "keys"),
    )  # fmt: skip


@pytest.fixture
def run(wallet: Path, environment: dict[str, str]) -> Callable[..., Run]:
    """Run the command on the test wallet, without a terminal."""

    def execute(*args: str) -> Run:
        command = [sys.executable, "-m", "walletcli", "--home", str(wallet), *args]
        done = subprocess.run(
            command, capture_output=True, stdin=subprocess.DEVNULL, timeout=120, check=False, env=environment,
            start_new_session=True,
        )  # fmt: skip
        return Run(done.returncode, done.stdout.decode(), done.stderr.decode())

    return execute


@pytest.fixture
def do(run: Callable[..., Run]) -> Do:
    """Run a command with --json, check its exit code and hold its answer to its schema."""

    def execute(*args: str, code: int = 0) -> dict[str, Any]:
        done = run("--json", *args)
        assert done.code == code, (done.code, done.stdout, done.stderr)
        return check_answer(args, done.stdout, done.code)

    return execute


@pytest.fixture
def pin(secret_file: Callable[[str, str | bytes], str]) -> tuple[str, str]:
    """The options that give the PIN."""
    return "--pin-file", secret_file("pin", PIN + "\n")
