"""The demonstration plays, and the README shows what it really prints."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.demo.__main__ import main
from scripts.demo.stage import Stage
from tests.conftest import clean_environment

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 150

_VARYING = [
    (re.compile(r"z6Mk[1-9A-HJ-NP-Za-km-z]+"), "z6Mk"),
    (re.compile(r"\b\d{16}\b"), "SEQ"),
    (re.compile(r"127\.0\.0\.1:\d+"), "127.0.0.1:PORT"),
]


def _same(text: str) -> str:
    """Replace what differs from run to run."""
    for pattern, word in _VARYING:
        text = pattern.sub(word, text)
    return text


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Play the demonstration as `make demo` does."""
    scratch = tmp_path_factory.mktemp("demo")
    environment = {**clean_environment(TMPDIR=str(scratch)), "PYTHONWARNINGS": "default"}
    done = subprocess.run(
        [sys.executable, "-m", "scripts.demo"],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert list(scratch.iterdir()) == [], "the demonstration left something behind"
    return done.stdout


def test_the_demonstration_plays_to_its_end(printed: str) -> None:
    assert "Everything above was real" in printed


def test_the_readme_shows_what_the_demonstration_prints(printed: str) -> None:
    block = re.search(r"```console\n\$ make demo\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert block is not None
    real = iter(_same(printed).splitlines())
    for line in _same(block[1]).splitlines():
        if line != "…":
            assert any(line == other for other in real), f"not printed, or not in this order: {line}"


def test_a_step_that_fails_ends_the_demonstration_with_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    def fails(stage: Stage) -> None:
        stage.run("walletcli --offline record verify there-is-no-such-file")

    def never(stage: Stage) -> None:
        raise AssertionError("nothing is played after a step that failed")

    assert main((fails, never)) == 1
    assert "✗ the demonstration failed: exit code 3, expected 0" in capsys.readouterr().out


def test_what_does_not_hold_ends_the_demonstration_with_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main((lambda stage: stage.check("the moon is cheese", False),)) == 1
    assert "not so: the moon is cheese" in capsys.readouterr().out
