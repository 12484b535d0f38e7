"""Two machines: an online wallet that watches, and one with the root keys where there is no network interface."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.answers import check_answer
from tests.cli.conftest import Answer
from tests.conftest import FAST_KDF, clean_environment

Password = tuple[str, str]
Cold = Callable[..., dict[str, Any]]
Ask = Callable[..., str]


def namespace() -> list[str]:
    """Return the command that runs another one without any network."""
    found = shutil.which("unshare")
    assert found, "install util-linux"
    return [found, "--map-root-user", "--net", "--"]


@pytest.fixture
def cold_home(tmp_path: Path, answer: Answer, password: Password) -> Path:
    home = tmp_path / "cold"
    words = str(tmp_path / "words")
    answer("wallet", "create", "--words", "12", "--words-out", words, *password, *FAST_KDF, home=home)
    return home


@pytest.fixture
def watch(tmp_path: Path, answer: Answer, password: Password) -> Path:
    home = tmp_path / "watch"
    answer("wallet", "create", "--watch", *password, *FAST_KDF, home=home)
    return home


@pytest.fixture
def cold(tmp_path: Path, cold_home: Path, password: Password) -> Cold:
    """Run a command of the cold wallet with --json where there is no network, and hold its answer to its schema."""

    def run(*args: str, code: int = 0, home: Path | None = None) -> dict[str, Any]:
        command = [sys.executable, "-m", "walletcli", "--json", "--home", str(home or cold_home), *args, *password]
        done = subprocess.run(
            [*namespace(), *command],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
            env=clean_environment(HOME=str(tmp_path / "user"), XDG_RUNTIME_DIR=str(tmp_path / "run")),
        )  # fmt: skip
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        return check_answer(args, done.stdout, done.returncode)

    return run


@pytest.fixture
def ask(answer: Answer, watch: Path, password: Password, tmp_path: Path) -> Callable[..., str]:
    """Make a request; return the path of its file."""

    def make(*args: str, name: str = "a", home: Path | None = None) -> str:
        path = str(tmp_path / f"{name}.request")
        made = answer("request", "make", *args, "--out", path, "--offline", *password, home=home or watch)
        assert made["file"] == path
        return path

    return make


def approve(cold: Cold, path: str, *options: str) -> str:
    """Compare the digest as somebody would who reads both screens, and approve."""
    shown = cold("request", "show", path)["request"]
    out = path.replace(".request", ".response")
    cold("request", "approve", path, "--out", out, "--yes", "--digest", " ".join(shown["digest_words"]), *options)
    return out
