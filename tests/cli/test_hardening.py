"""A process that has held a secret leaves no core dump, and nobody else of the same user reads its memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import MNEMONIC
from tests.conftest import FAST_KDF, clean_environment

RUN_AND_TELL = """
import ctypes, resource, sys
from walletcli.cli.main import main
code = main(sys.argv[1:])
dumpable = ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)  # PR_GET_DUMPABLE
print("DUMPABLE", dumpable, resource.getrlimit(resource.RLIMIT_CORE), file=sys.stderr)
sys.exit(code)
"""


def told(*args: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", RUN_AND_TELL, *args], capture_output=True, text=True, env=clean_environment(), check=True
    )
    return done.stderr.splitlines()[-1]


@pytest.mark.parametrize("command", ["create", "restore", "open", "verify"])
def test_secrets_are_kept_from_dumps_and_debuggers(
    command: str, tmp_path: Path, wallet: Path, password: tuple[str, str]
) -> None:
    words = tmp_path / "words"
    words.touch(mode=0o600)
    words.write_text(MNEMONIC)
    new = ["--home", str(tmp_path / "new")]
    args = {
        "create": [*new, "wallet", "create", "--words-out", str(tmp_path / "out"), *password, *FAST_KDF],
        "restore": [*new, "wallet", "restore", "--mnemonic-file", str(words), *password, *FAST_KDF],
        "open": ["--home", str(wallet), "identity", "list", *password],
        "verify": ["--home", str(wallet), "wallet", "verify-backup", "--mnemonic-file", str(words), *password],
    }[command]
    assert told(*args) == "DUMPABLE 0 (0, 0)"


def test_a_process_without_secrets_pays_nothing_for_it(tmp_path: Path) -> None:
    assert told("--home", str(tmp_path / "none"), "relay", "list") == "DUMPABLE 1 (0, 0)"
