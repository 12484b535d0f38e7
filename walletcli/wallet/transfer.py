"""Carries the sealed vault out and in as it is, and wipes a wallet."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from walletcli.errors import StorageError
from walletcli.vault import unopened
from walletcli.vault.sealing import MAX_FILE_BYTES
from walletcli.wallet.access.opening import has_keyring_slot, keyring_factor
from walletcli.wallet.access.unlock import lock
from walletcli.wallet.create import MAKING_SUFFIX
from walletcli.wallet.files import read_file, write_file
from walletcli.wallet.home import Home
from walletcli.wallet.status import WalletStatus, wallet_status


def export_vault(home: Home, target: str, force: bool = False) -> str:
    """Copy the vault, sealed as it is, to a file. It opens with the passwords of now, on any machine.

    Args:
        home: whose wallet.
        target: path of the new file.
        force: replace a file that is there.

    Returns:
        The absolute path of the file.

    Raises:
        VaultError: ``wallet.missing``.
        InputError: ``file.exists``.
        StorageError: ``storage.*``.
    """
    home.require()
    path = os.path.abspath(target)
    write_file(path, unopened.export_sealed(Path(home.vault_path)), replace=force)
    return path


def import_vault(home: Home, source: str) -> WalletStatus:
    """Put an exported vault into a home that has none.

    Two copies of a vault that both sign are two wallets with one key: use one of them only.

    Raises:
        InputError: ``file.*``.
        FormatError: ``vault.*`` if the file is no vault.
        VaultError: ``vault.exists``.
        StorageError: ``storage.*``, ``home.unusable``.
    """
    data = read_file(source, MAX_FILE_BYTES)
    home.make()
    unopened.import_sealed(Path(home.vault_path), data)
    return wallet_status(home)


def wipe(home: Home) -> list[str]:
    """Delete the wallet: lock it, overwrite what opens the vault, delete the files and the keyring's entries.

    What the disk keeps of old blocks is beyond a program's reach; without the headers it cannot be opened.

    Returns:
        The files that are gone.

    Raises:
        VaultError: ``wallet.missing``, ``vault.busy``.
        StorageError: the system refused.
    """
    path = Path(home.vault_path)
    previous = path.with_name(path.name + ".previous")
    if not previous.exists():
        home.require()
    lock(home)
    found = [name for name in _files(home) if os.path.lexists(name)]
    unopened.wipe(path, [keyring_factor()] if _uses_keyring(path, previous) else [])
    making = path.with_name(path.name + MAKING_SUFFIX)
    if making.exists():
        unopened.wipe(making)
    for name in found:
        try:
            os.unlink(name)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise StorageError(
                "storage.failed", f"cannot delete {name}: {error.strerror}", "delete it yourself"
            ) from error
    with contextlib.suppress(OSError):
        os.rmdir(home.path)
    return found


def _uses_keyring(*paths: Path) -> bool:
    """Tell whether any of these vaults has a keyring slot; of one that cannot be read nobody knows, so yes."""
    for path in paths:
        if path.exists():
            try:
                if has_keyring_slot(unopened.describe(path).slots):
                    return True
            except Exception:  # noqa: BLE001, S112 - a damaged vault is wiped as well
                continue
    return False


def _files(home: Home) -> list[str]:
    """Return the names of all files that a wallet makes in its home."""
    vaults = [home.vault_path, home.vault_path + MAKING_SUFFIX]
    endings = ("", ".previous", ".new", ".previous.new", ".lock")
    return [vault + ending for vault in vaults for ending in endings] + _others(home)


def _others(home: Home) -> list[str]:
    return [home.relays_path, home.relays_path + ".lock", home.data_lock_path]
