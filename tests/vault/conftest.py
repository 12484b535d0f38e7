"""Fixtures of the vault's tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.vault.parts import KeysInMemory, keyring
from walletcli.vault.file import Vault


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a vault can be made; the directory is the user's own."""
    directory = tmp_path / "home"
    directory.mkdir(mode=0o700)
    return directory / "wallet.vault"


@pytest.fixture
def keys() -> KeysInMemory:
    """A keyring in memory."""
    return KeysInMemory()


@pytest.fixture
def vault(path: Path, keys: KeysInMemory) -> Vault:
    """A vault with one slot, which the keyring in memory opens."""
    return Vault.create(path, b"first", [keyring(keys)])
