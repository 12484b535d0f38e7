"""A shell in an empty directory, in which written sessions are played again."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import STOP_S, clean_environment


class Shell:
    """Runs command lines in one directory, and ends what it started in the background.

    Args:
        directory: where commands run.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._background: list[subprocess.Popen[bytes]] = []
        home = directory / ".user"
        home.mkdir(mode=0o700)
        self._runtime = tempfile.TemporaryDirectory(prefix="run-")  # the path of a socket has to be short
        commands = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self.environment = {
            **clean_environment(HOME=str(home), XDG_RUNTIME_DIR=self._runtime.name, NO_COLOR="1", TERM="xterm"),
            "PATH": commands,
        }

    def run(self, command: str) -> tuple[int, str, str]:
        """Run a command line without a terminal; return exit code, stdout and stderr."""
        done = subprocess.run(
            ["bash", "-c", command],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=self.directory, env=self.environment,
            timeout=120, start_new_session=True,
        )  # fmt: skip
        return done.returncode, done.stdout, done.stderr

    def start(self, command: str) -> str:
        """Run a command line in the background; return its first line."""
        process = subprocess.Popen(
            ["bash", "-c", f"exec {command}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=self.directory,
            env=self.environment,
        )  # fmt: skip
        self._background.append(process)
        assert process.stdout is not None
        return process.stdout.readline().decode()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End the last command that runs in the background."""
        process = self._background.pop()
        process.send_signal(number)
        process.wait(STOP_S)
        if process.stdout is not None:
            process.stdout.close()

    def close(self) -> None:
        """Leave nothing running."""
        while self._background:
            self.stop(signal.SIGKILL)
        for home in [*self.directory.iterdir(), self.directory / ".user/.local/share/walletcli"]:
            if (home / "wallet.vault").exists():
                self.run(f"walletcli --home {home} wallet lock")
        self._runtime.cleanup()


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    """A shell in a new directory."""
    opened = Shell(tmp_path)
    with contextlib.closing(opened):
        yield opened


def unused_address() -> str:
    """Return HOST:PORT of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"
