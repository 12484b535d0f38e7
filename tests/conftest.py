"""Fixtures that every test directory may use: a home, free ports, the real command, and a running node process."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

READY_S = 20.0
"""How long a node may take from its start to its ready line, in seconds, on a busy machine."""

STOP_S = 15.0
"""How long a node may take to stop cleanly, in seconds."""

FAST_KDF = ("--kdf-memory-mib", "8", "--kdf-passes", "1")
"""Options of `wallet create` and `wallet restore` that make opening a test's vault cheap."""

settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")  # no test measures time, and properties are tests


def pytest_configure() -> None:
    """Take SIGINT back where a shell that started the tests in the background had it ignored: children inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the long forms to `make soak`: they are deselected, not skipped, unless asked for."""
    if os.environ.get("WALLETCLI_SOAK") == "1":
        return
    kept = [item for item in items if item.get_closest_marker("soak") is None]
    dropped = [item for item in items if item.get_closest_marker("soak") is not None]
    if dropped:
        config.hook.pytest_deselected(items=dropped)
        items[:] = kept


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of the command left behind."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """Return the one JSON document on stdout."""
        return json.loads(self.stdout)


def clean_environment(**more: str) -> dict[str, str]:
    """Return an environment in which nothing of the machine's user is seen: no session bus, no display, no colours."""
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
    return {**kept, "LANG": "C.UTF-8", "PYTHONUTF8": "1", "PYTHONWARNINGS": "error", **more}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home directory for one wallet that does not exist yet."""
    return tmp_path / "home"


@pytest.fixture
def cli(tmp_path: Path) -> Callable[..., Run]:
    """Run the installed command as a process: ``cli("identity", "list", home=HOME, stdin=b"...")``."""
    user_home = tmp_path / "user"
    user_home.mkdir(exist_ok=True)
    runtime = tmp_path / "run"
    runtime.mkdir(mode=0o700, exist_ok=True)

    def run(*args: str, home: Path | None = None, stdin: bytes = b"", timeout_s: float = 60.0) -> Run:
        command = [sys.executable, "-m", "walletcli"]
        if home is not None:
            command += ["--home", str(home)]
        done = subprocess.run(
            [*command, *args],
            input=stdin,
            capture_output=True,
            timeout=timeout_s,
            check=False,
            env=clean_environment(HOME=str(user_home), XDG_RUNTIME_DIR=str(runtime)),
        )
        return Run(done.returncode, done.stdout.decode(), done.stderr.decode())

    return run


@pytest.fixture
def free_port() -> Callable[[], int]:
    """Return a function that names a TCP port of loopback that nobody listens on."""

    def find() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])

    return find


@dataclass(slots=True)
class NodeProcess:
    """A node as a process of its own.

    Args:
        directory: the node's directory.
        process: the running process.
        ready: the JSON of its ready line.
    """

    directory: Path
    process: subprocess.Popen[str]
    ready: dict[str, Any]

    @property
    def did(self) -> str:
        """Return the node's identity."""
        return str(self.ready["did"])

    @property
    def url(self) -> str:
        """Return where it serves the relay API in clear, as ``http://127.0.0.1:PORT``."""
        return next(a for a in self._addresses() if a.startswith("http://"))

    @property
    def address(self) -> str:
        """Return where it serves TLS, as ``walletcli://127.0.0.1:PORT/did:key:…``."""
        return next(a for a in self._addresses() if a.startswith("walletcli://"))

    def _addresses(self) -> list[str]:
        return [str(address) for address in self.ready["addresses"]]

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.wait(STOP_S)

    def stop(self) -> int:
        """End it as its operator would; return its exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(STOP_S)


def start_node(directory: Path, *options: str, port: int = 0, http_port: int = 0) -> NodeProcess:
    """Start `node run` on `directory`, wait for its ready line and return it; port 0 lets the system choose."""
    command = [sys.executable, "-m", "walletcli", "--json", "node", "run", str(directory)]
    command += ["--listen", f"127.0.0.1:{port}", "--http", f"127.0.0.1:{http_port}", *options]
    log = directory.parent / f"{directory.name}.log"
    with log.open("a") as stderr:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True, env=clean_environment())
    assert process.stdout is not None
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline and process.poll() is None:
        if select.select([process.stdout], [], [], 0.2)[0]:
            line = process.stdout.readline()
            if line:
                return NodeProcess(directory, process, json.loads(line))
    process.kill()
    process.wait()
    process.stdout.close()
    raise AssertionError(f"the node did not start: {log.read_text()[-2000:]}")


@pytest.fixture
def node_factory(tmp_path: Path, cli: Callable[..., Run]) -> Iterator[Callable[..., NodeProcess]]:
    """Return a function that makes a node's directory if needed and starts it; all are stopped at the end."""
    with contextlib.ExitStack() as stack:

        def start(name: str = "node", *options: str, **ports: int) -> NodeProcess:
            directory = tmp_path / name
            if not directory.exists():
                made = cli("node", "init", str(directory))
                assert made.code == 0, made.stderr
            running = start_node(directory, *options, **ports)
            stack.callback(_end, running)
            return running

        yield start


@pytest.fixture
def node(node_factory: Callable[..., NodeProcess]) -> NodeProcess:
    """A running node with its limits off that hosts anybody, on free ports of loopback."""
    return node_factory("node", "--no-limits", "--hosting", "open")


def _end(running: NodeProcess) -> None:
    if running.process.poll() is None:
        running.process.kill()
    running.process.wait(STOP_S)
    if running.process.stdout is not None:
        running.process.stdout.close()


def corpus(directory: Path, patterns: Sequence[str] = ("*",)) -> list[Path]:
    """Return the files of a corpus, sorted; none at all is an error, for a test over nothing passes."""
    found = sorted({path for pattern in patterns for path in directory.glob(pattern) if path.is_file()})
    if not found:
        raise FileNotFoundError(f"the corpus {directory} ({', '.join(patterns)}) is empty")
    return found
