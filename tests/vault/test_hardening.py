"""A process that is hardened leaves no memory behind."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import resource
from walletcli.vault.hardening import harden_process
done = harden_process()
import ctypes
dumpable = ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)
print(done.no_core_dumps, done.not_dumpable, resource.getrlimit(resource.RLIMIT_CORE), dumpable)
"""

LIGHT = """
import sys
import walletcli.vault.file, walletcli.vault.factors, walletcli.vault.unopened
import walletcli.vault.os_keyring, walletcli.vault.hardening
heavy = ("keyring", "platformdirs", "importlib.metadata", "asyncio", "click", "cryptography")
print([name for name in heavy if name in sys.modules])
"""


def run(script: str) -> str:
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.strip()


def test_a_hardened_process_dumps_no_core_and_is_not_dumpable() -> None:
    assert run(SCRIPT) == "True True (0, 0) 0"


def test_the_vault_loads_nothing_heavy() -> None:
    assert run(LIGHT) == "[]"
