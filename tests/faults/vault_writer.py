"""Changes a vault once, or for as long as it lives: the process that the fault tests kill.

``python -m tests.faults.vault_writer ACTION PATH`` with the data key, as hexadecimal digits, on standard input.
``endless`` prints the generation of every change that was acknowledged; the others end with ``done`` or the code of an
error.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from tests.vault.parts import KeysInMemory, keyring, password
from walletcli.core.secret import Secret
from walletcli.errors import WalletError
from walletcli.vault.file import Vault


def write(vault: Vault) -> None:
    """Write another payload."""
    vault.write(b"new")


def replace_slot(vault: Vault) -> None:
    """Change the password."""
    vault.change_password(password("new"))


def create(vault: Vault) -> None:
    """Make a second vault next to the first."""
    Vault.create(vault.path.with_name("second.vault"), b"new", [password()])


def endless(vault: Vault) -> None:
    """Write one payload after another, each naming its generation."""
    while True:
        vault.write(str(vault.generation + 1).encode())
        print(vault.generation, flush=True)


def count(vault: Vault) -> None:
    """Add one to the number in the payload, thirty times, next to others that do the same."""
    done = 0
    while done < 30:
        try:
            vault.write(str(int(vault.read()) + 1).encode())
        except WalletError as error:
            if error.code not in ("vault.changed", "vault.busy"):
                raise
        else:
            done += 1


def add_slots(vault: Vault) -> None:
    """Add three slots, next to others that do the same."""
    for _ in range(3):
        vault.add_slot([keyring(KeysInMemory())])


ACTIONS: dict[str, Callable[[Vault], None]] = {
    action.__name__: action for action in (write, replace_slot, create, endless, count, add_slots)
}


def main() -> int:
    """Do what the command line says."""
    action, path = sys.argv[1:]
    data_key = Secret(bytes.fromhex(sys.stdin.readline().strip()))
    try:
        ACTIONS[action](Vault.open_with_key(Path(path), data_key))
    except WalletError as error:
        print(f"{type(error).__name__} {error.code}", flush=True)
        return error.exit_code
    print("done", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
