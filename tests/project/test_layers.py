"""The promises about what a process can load, checked on real processes and not only on import statements."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Run, clean_environment

MARK = "=== loaded ==="
FORBIDDEN = ("walletcli.wallet", "walletcli.vault", "walletcli.signers", "walletcli.core.bip39", "keyring", "mnemonic")
"""What a node's process never loads."""


def _loaded(statement: str) -> set[str]:
    """Return the modules that are loaded after a statement ran in a fresh interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", f"{statement}\nimport sys\nprint('{MARK}', *sys.modules, sep='\\n')"],
        env=clean_environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return set(done.stdout.partition(MARK)[2].split())


def test_a_running_node_has_no_code_that_reads_a_users_secret() -> None:
    loaded = _loaded(
        "import pkgutil, importlib, walletcli.node\n"
        "[importlib.import_module(m.name) for m in pkgutil.iter_modules(walletcli.node.__path__, 'walletcli.node.')]"
    )
    assert "walletcli.node.run" in loaded
    forbidden = (
        "walletcli.wallet",
        "walletcli.vault",
        "walletcli.signers",
        "walletcli.core.bip39",
        "keyring",
        "mnemonic",
    )
    assert {name for name in loaded if name.startswith(forbidden)} == set()


def test_the_process_of_node_run_loads_no_code_that_reads_a_users_secret(
    tmp_path: Path, cli: Callable[..., Run]
) -> None:
    directory = tmp_path / "node"
    assert cli("node", "init", str(directory)).code == 0
    command = [sys.executable, "-X", "importtime", "-m", "walletcli", "node", "run", str(directory)]
    process = subprocess.Popen(
        [*command, "--listen", "127.0.0.1:0"],
        env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert "ready" in process.stdout.readline()
    process.terminate()
    _, log = process.communicate(timeout=30)
    loaded = {line.rpartition("|")[2].strip() for line in log.splitlines() if line.startswith("import time:")}
    assert "walletcli.node.run" in loaded
    assert {name for name in loaded if name.startswith(FORBIDDEN)} == set()


def test_a_client_has_no_code_that_reads_a_secret() -> None:
    loaded = _loaded("import walletcli.client.resolve, walletcli.client.publish")
    forbidden = ("walletcli.wallet", "walletcli.vault", "walletcli.signers", "walletcli.node")
    assert {name for name in loaded if name.startswith(forbidden)} == set()


@pytest.mark.parametrize("argument", ["--version", "--help"])
def test_help_and_version_load_nothing_heavy(argument: str) -> None:
    loaded = _loaded(f"from walletcli.cli.main import main\nmain(['{argument}'])")
    heavy = (
        "nacl",
        "cryptography",
        "keyring",
        "apsw",
        "uvloop",
        "prompt_toolkit",
        "qrcode",
        "mnemonic",
        "asyncio",
        "ssl",
    )
    assert {name for name in loaded if name.split(".")[0] in heavy} == set()
