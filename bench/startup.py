"""How long the command takes to start, against importing click."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.measure import Row, at_most, in_turn

COMMAND = str(Path(sys.executable).with_name("walletcli"))
ROUNDS = 25
PASSWORD = b"a password for measuring\n"


def _runs(command: list[str], env: dict[str, str]) -> Callable[[], object]:
    def run() -> None:
        subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)

    return run


def startup() -> list[Row]:
    """`walletcli --version`, and `identity list` with an unlocked session."""
    with tempfile.TemporaryDirectory() as scratch:
        env = {**os.environ, "XDG_RUNTIME_DIR": scratch, "HOME": scratch}
        floor = _runs([sys.executable, "-c", "import click"], env)
        version_s, click_s = in_turn(_runs([COMMAND, "--version"], env), floor, ROUNDS, time.perf_counter)
        home = Path(scratch) / "home"
        here = [COMMAND, "--home", str(home)]
        make = ["wallet", "create", "--words-out", str(Path(scratch) / "words"), "--password-file", "-"]
        subprocess.run(
            [*here, *make, "--kdf-memory-mib", "8", "--kdf-passes", "1"],
            input=PASSWORD,
            env=env,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        try:
            unlocked = [*here, "wallet", "unlock", "--password-file", "-"]
            subprocess.run(unlocked, input=PASSWORD, env=env, check=True, stdout=subprocess.DEVNULL)
            for number in range(5):
                subprocess.run(
                    [*here, "identity", "create", f"identity {number}"], env=env, check=True, stdout=subprocess.DEVNULL
                )
            listing = _runs([*here, "identity", "list"], env)
            list_s, click_again_s = in_turn(listing, floor, ROUNDS, time.perf_counter)
        finally:
            subprocess.run([*here, "wallet", "lock"], env=env, check=False, stdout=subprocess.DEVNULL)
    floor_text = "`python -c 'import click'`"
    return [
        at_most(
            f"`walletcli --version` against {floor_text}",
            version_s / click_s,
            1.5,
            f"{version_s * 1000:.0f} ms against {click_s * 1000:.0f} ms",
        ),
        at_most(
            f"`walletcli identity list`, unlocked session, five identities, against {floor_text}",
            list_s / click_again_s,
            2.0,
            f"{list_s * 1000:.0f} ms against {click_again_s * 1000:.0f} ms",
        ),
    ]
