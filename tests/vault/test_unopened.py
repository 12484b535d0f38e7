"""What can be done with a locked vault."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.vault.parts import KeysInMemory, keyring, password
from walletcli.errors import FormatError, VaultError
from walletcli.vault.file import Vault
from walletcli.vault.storage import FileNames
from walletcli.vault.unopened import describe, export_sealed, import_sealed, wipe


def test_a_locked_vault_tells_its_slots_and_no_more(vault: Vault, path: Path) -> None:
    vault.add_slot([password()])
    path.chmod(0o644)
    told = describe(path)
    assert (told.vault_id, told.generation, told.slots) == (vault.vault_id, 2, vault.slots)
    assert [notice.code for notice in told.notices] == ["vault.readable-by-others"]


def test_a_copy_opens_elsewhere(vault: Vault, path: Path, tmp_path: Path, keys: KeysInMemory) -> None:
    vault.add_slot([password()])
    elsewhere = tmp_path / "elsewhere.vault"
    assert import_sealed(elsewhere, export_sealed(path)).generation == 2
    assert elsewhere.read_bytes() == path.read_bytes()
    copy = Vault.unlock(elsewhere, [password()])
    copy.write(b"second")
    assert (copy.read(), vault.read()) == (b"second", b"first")


def test_a_damaged_copy_is_not_taken(vault: Vault, path: Path, tmp_path: Path) -> None:
    data = export_sealed(path)
    for bad in (data[:-1], data + b"\0", b"", b"something else"):
        with pytest.raises(FormatError):
            import_sealed(tmp_path / "elsewhere.vault", bad)
    path.write_bytes(data[:-1])
    with pytest.raises(FormatError):
        export_sealed(path)
    assert not (tmp_path / "elsewhere.vault").exists()


def test_a_copy_is_not_put_over_a_vault(vault: Vault, path: Path) -> None:
    with pytest.raises(VaultError) as caught:
        import_sealed(path, export_sealed(path))
    assert caught.value.code == "vault.exists"


def test_wiping_leaves_nothing(vault: Vault, path: Path, keys: KeysInMemory) -> None:
    vault.add_slot([keyring(keys)])
    vault.write(b"second")
    FileNames(path).new.write_bytes(b"half")
    assert wipe(path, [keyring(keys)]) == ()
    assert list(path.parent.iterdir()) == []
    assert keys.entries == {}


def test_wiping_overwrites_the_slots_first(vault: Vault, path: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    os.link(path, kept)
    wipe(path)
    assert kept.read_bytes()[:4096].strip(b"\0") == b""


def test_a_damaged_vault_can_be_wiped(vault: Vault, path: Path) -> None:
    path.write_bytes(b"damaged")
    wipe(path)
    assert not path.exists()


def test_wiping_removes_links_and_not_what_they_lead_to(vault: Vault, path: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    vault.previous_path.symlink_to(victim)
    wipe(path)
    assert victim.read_bytes() == b"mine"
    assert list(path.parent.iterdir()) == []


def test_nothing_cannot_be_wiped(path: Path) -> None:
    with pytest.raises(VaultError) as caught:
        wipe(path)
    assert caught.value.code == "vault.missing"


def test_a_keyring_that_refuses_is_told_and_the_vault_is_gone(vault: Vault, path: Path, keys: KeysInMemory) -> None:
    keys.failing = "keyring.locked"
    assert [notice.code for notice in wipe(path, [keyring(keys)])] == ["keyring.locked"]
    assert not path.exists()
