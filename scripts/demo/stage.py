"""The stage of the demonstration: a temporary directory, node processes, and command lines that are run as printed."""

from __future__ import annotations

import json
import os
import select
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
COMMAND = Path(sys.executable).with_name("walletcli")
WIDTH = 100
READY_S = 20
"""How long a node may take to start, in seconds."""


class StepFailedError(Exception):
    """A step did not do what the demonstration says it does."""


class Stage:
    """A directory in which commands are run and shown, and nodes run as processes of their own.

    Args:
        directory: temporary, ours alone.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        (directory / "run").mkdir(mode=0o700)
        self._env = {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "HOME": str(directory),
            "XDG_RUNTIME_DIR": str(directory / "run"),
            "LANG": "C.UTF-8",
            "NO_COLOR": "1",
        }
        self._nodes: dict[str, subprocess.Popen[str]] = {}
        self._strangers: subprocess.Popen[str] | None = None
        self._members = ""
        self.addresses: dict[str, str] = {}
        """Where each node is reached, by the name of its directory."""

    def say(self, title: str, text: str) -> None:
        """Open a chapter."""
        print(f"\n── {title} {'─' * (WIDTH - len(title) - 4)}\n{text}", flush=True)

    def run(self, line: str, *, fails_with: int = 0, show: bool = True, wordless: bool = False) -> str:
        """Run a command line of walletcli, show it and its output, and check its exit code; return its stdout.

        Args:
            line: as it is printed.
            fails_with: the exit code that it must have.
            show: whether its output is printed.
            wordless: whether not even the line is printed.
        """
        done = subprocess.run(
            [str(COMMAND), *shlex.split(line)[1:]], cwd=self._directory, env=self._env, capture_output=True, text=True,
            check=False, stdin=subprocess.DEVNULL, timeout=60,
        )  # fmt: skip
        if not wordless:
            print(f"\n$ {line}")
        for text in (done.stdout, done.stderr):
            if show and not wordless and text.strip():
                print(text.rstrip())
        if done.returncode != fails_with:
            detail = "" if show and not wordless else f"\n{done.stdout}{done.stderr}"
            raise StepFailedError(f"exit code {done.returncode}, expected {fails_with}: {line}{detail}")
        if fails_with:
            print(f"(exit code {done.returncode}, as it should)")
        sys.stdout.flush()
        return done.stdout

    def ask(self, line: str, *, fails_with: int = 0) -> Any:
        """Run a command line that only checks, without showing it, and return its JSON document."""
        return json.loads(
            self.run(line.replace("walletcli ", "walletcli --json ", 1), fails_with=fails_with, wordless=True)
        )

    def check(self, what: str, holds: bool) -> None:
        """Say what was checked, or fail."""
        if not holds:
            raise StepFailedError(f"not so: {what}")
        print(f"✓ {what}", flush=True)

    def write(self, name: str, content: str) -> None:
        """Write a file that only its owner reads."""
        path = self.path(name)
        path.touch(mode=0o600)
        path.write_text(content)

    def path(self, name: str) -> Path:
        """Return a path in the directory."""
        return self._directory / name

    def make_wallet(self, home: str, *options: str) -> None:
        """Make a wallet whose password is in a file, and unlock it; its words go to a file as well."""
        self.write(f"{home}.password", f"the long password of {home}\n")
        words = "" if "--watch" in options else f" --words-out {home}.words"
        more = "".join(f" {option}" for option in options)
        self.run(f"walletcli --home {home} wallet create{more}{words} --password-file {home}.password", show=False)
        self.unlock(home)

    def unlock(self, home: str) -> None:
        """Unlock a wallet with the password in its file."""
        self.run(f"walletcli --home {home} wallet unlock --password-file {home}.password", wordless=True)

    def start_strangers(self, count: int) -> None:
        """Start a DHT of `count` nodes that nobody here wrote, on this machine alone."""
        self._strangers = subprocess.Popen(
            [sys.executable, str(ROOT / "scripts" / "swarm.py"), str(count)], cwd=ROOT, stdout=subprocess.PIPE,
            stdin=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert self._strangers.stdout is not None
        if not select.select([self._strangers.stdout], [], [], READY_S)[0]:
            raise StepFailedError("the DHT of strangers did not come together")
        members = json.loads(self._strangers.stdout.readline())
        self._members = ", ".join(f'"{host}:{port}"' for host, port in members)

    def join_dht(self, name: str) -> None:
        """Have the node in the directory `name` take part in the strangers' DHT, and in no other, when it starts."""
        self.write(
            f"{name}/node.toml",
            '[dht]\njoin = "yes"\nprivate = true\nlisten = ["127.0.0.1:0"]\nwriter_port = 0\nbootstrap = []\n'
            f"peers = [{self._members}]\n",
        )

    def start_node(self, name: str, listen: str = "127.0.0.1:0") -> None:
        """Start a node as a process of its own, in the directory of its name."""
        line = f"walletcli --json node run {name} --listen {listen}"
        print(f"\n$ {line} &", flush=True)
        with self.path(f"{name}.log").open("a") as log:
            node = subprocess.Popen(
                [str(COMMAND), *shlex.split(line)[1:]], cwd=self._directory, env=self._env, stdout=subprocess.PIPE,
                stderr=log, stdin=subprocess.DEVNULL, text=True,
            )  # fmt: skip
        self._nodes[name] = node
        assert node.stdout is not None
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline and node.poll() is None:
            if select.select([node.stdout], [], [], 0.2)[0] and (ready := node.stdout.readline()):
                addresses = json.loads(ready)["addresses"]
                self.addresses[name] = next(item for item in addresses if item.startswith("walletcli://"))
                print(f"ready: {self.addresses[name]}", flush=True)
                return
        raise StepFailedError(f"the node did not start:\n{self.path(f'{name}.log').read_text()}")

    def restart_node(self, name: str, directory: str) -> None:
        """Start a node again where it was reached before, from `directory`."""
        host_port = self.addresses[name].split("/")[2]
        self.start_node(directory, host_port)

    def end_node(self, name: str, how: signal.Signals) -> int:
        """Send a node a signal and wait for its end; return its exit code."""
        node = self._nodes.pop(name)
        node.send_signal(how)
        code = node.wait(20)
        if node.stdout is not None:
            node.stdout.close()
        return code

    def close(self) -> None:
        """Leave nothing running."""
        for name in list(self._nodes):
            self.end_node(name, signal.SIGKILL)
        if self._strangers is not None:
            self._strangers.kill()
            self._strangers.communicate()
        for vault in self._directory.glob("*/wallet.vault"):
            subprocess.run(
                [str(COMMAND), "--home", vault.parent.name, "wallet", "lock"],
                cwd=self._directory, env=self._env, capture_output=True, check=False, timeout=20,
            )  # fmt: skip
