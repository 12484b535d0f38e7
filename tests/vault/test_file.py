"""Reading, writing, generations, permissions, and tricks with links."""

from __future__ import annotations

import os
import stat
import threading
import time
from pathlib import Path

import pytest

from tests.vault.parts import KeysInMemory, keyring, password
from walletcli.errors import FormatError, StorageError, VaultError
from walletcli.vault.file import Vault
from walletcli.vault.locking import exclusive
from walletcli.vault.padding import LARGEST_STEP_BYTES, SMALLEST_STEP_BYTES
from walletcli.vault.sealing import MAX_FILE_BYTES, MAX_PAYLOAD_BYTES
from walletcli.vault.storage import FileNames


def codes(vault: Vault) -> list[str]:
    return [notice.code for notice in vault.notices]


def test_what_was_written_is_read(vault: Vault, path: Path, keys: KeysInMemory) -> None:
    vault.write(b"second")
    assert vault.read() == b"second"
    assert Vault.unlock(path, [keyring(keys)]).read() == b"second"


def test_an_empty_payload_is_a_payload(vault: Vault) -> None:
    vault.write(b"")
    assert vault.read() == b""


def test_every_write_is_one_generation_more(vault: Vault) -> None:
    seen = [vault.generation]
    vault.write(b"a")
    seen.append(vault.generation)
    vault.add_slot([password()])
    seen.append(vault.generation)
    vault.remove_slot(2)
    seen.append(vault.generation)
    assert seen == [1, 2, 3, 4]


def test_every_write_has_another_nonce(vault: Vault, path: Path) -> None:
    vault.write(b"same")
    first = path.read_bytes()
    vault.write(b"same")
    assert first[-1000:] != path.read_bytes()[-1000:]


def test_the_state_before_is_kept(vault: Vault, keys: KeysInMemory) -> None:
    before = vault.path.read_bytes()
    vault.write(b"second")
    assert vault.previous_path.read_bytes() == before
    vault.write(b"third")
    assert Vault.unlock(vault.previous_path, [keyring(keys)]).read() == b"second"


def test_the_state_before_can_be_put_back(vault: Vault, path: Path, keys: KeysInMemory) -> None:
    vault.write(b"second")
    os.replace(vault.previous_path, path)
    again = Vault.unlock(path, [keyring(keys)])
    assert again.read() == b"first"
    again.write(b"third")
    assert again.read() == b"third"


def test_an_older_state_is_noticed_by_who_saw_the_newer(vault: Vault, path: Path) -> None:
    vault.write(b"second")
    os.replace(vault.previous_path, path)
    assert vault.is_changed()
    for action in (vault.read, lambda: vault.write(b"third"), lambda: vault.add_slot([password()])):
        with pytest.raises(VaultError) as caught:
            action()
        assert caught.value.code == "vault.changed"


def test_another_vault_in_its_place_is_noticed(vault: Vault, path: Path) -> None:
    path.unlink()
    Vault.create(path, b"other", [password()])
    with pytest.raises(VaultError) as caught:
        vault.read()
    assert caught.value.code == "vault.changed"
    assert vault.is_changed()


def test_who_writes_on_an_old_state_is_stopped(vault: Vault, path: Path) -> None:
    other = Vault.open_with_key(path, vault.data_key)
    assert not other.is_changed()
    vault.write(b"second")
    assert other.is_changed()
    with pytest.raises(VaultError) as caught:
        other.write(b"lost")
    assert caught.value.code == "vault.changed"
    assert other.read() == b"second"
    assert not other.is_changed()
    other.write(b"third")
    assert vault.read() == b"third"


def test_the_expected_generation_can_be_given(vault: Vault) -> None:
    with pytest.raises(VaultError) as caught:
        vault.write(b"second", expected_generation=2)
    assert caught.value.code == "vault.changed"
    vault.write(b"second", expected_generation=1)
    assert vault.generation == 2


def test_nothing_is_written_over_a_damaged_vault(vault: Vault, path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(VaultError) as caught:
        vault.write(b"second")
    assert caught.value.code == "vault.damaged"
    assert path.read_bytes() == data


def test_a_vault_is_not_made_over_another_file(vault: Vault, path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(VaultError) as caught:
        Vault.create(path, b"", [password()])
    assert caught.value.code == "vault.exists"
    assert path.read_bytes() == before


def test_a_vault_needs_its_directory(path: Path) -> None:
    with pytest.raises(StorageError) as caught:
        Vault.create(path.parent / "missing" / "vault", b"", [password()])
    assert caught.value.code == "storage.missing"


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_only_the_owner_can_read_what_is_written(path: Path, keys: KeysInMemory, umask: int) -> None:
    before = os.umask(umask)
    try:
        vault = Vault.create(path, b"", [keyring(keys)])
        vault.write(b"second")
    finally:
        os.umask(before)
    for file in (path, vault.previous_path):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert FileNames(path).lock.stat().st_mode & 0o077 == 0


def test_nothing_else_is_left_in_the_directory(vault: Vault, path: Path) -> None:
    vault.write(b"second")
    vault.add_slot([password()])
    names = {file.name for file in path.parent.iterdir()}
    assert names == {"wallet.vault", "wallet.vault.previous", "wallet.vault.lock"}


def test_leftovers_of_a_crash_are_no_obstacle(vault: Vault, path: Path, tmp_path: Path) -> None:
    names = FileNames(path)
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    names.new.write_bytes(b"half")
    names.previous_new.symlink_to(victim)
    vault.write(b"second")
    assert vault.read() == b"second"
    assert victim.read_bytes() == b"mine"
    assert not names.new.exists()
    assert not names.previous_new.is_symlink()


def test_a_symbolic_link_is_not_followed(vault: Vault, path: Path, keys: KeysInMemory) -> None:
    real = path.with_name("real")
    os.replace(path, real)
    path.symlink_to(real)
    before = real.read_bytes()
    actions = (
        lambda: Vault.unlock(path, [keyring(keys)]),
        lambda: Vault.create(path, b"", [password()]),
        lambda: vault.write(b"second"),
        vault.is_changed,
    )
    for action in actions:
        with pytest.raises(VaultError) as caught:
            action()
        assert caught.value.code == "vault.symlink"
    assert real.read_bytes() == before


def test_a_link_to_nowhere_is_not_written_through(path: Path) -> None:
    path.symlink_to(path.with_name("nowhere"))
    with pytest.raises(VaultError) as caught:
        Vault.create(path, b"", [password()])
    assert caught.value.code == "vault.symlink"
    assert not path.with_name("nowhere").exists()


def test_a_lock_that_is_a_link_is_not_followed(vault: Vault, path: Path) -> None:
    lock = FileNames(path).lock
    lock.unlink()
    lock.symlink_to(path.with_name("nowhere"))
    with pytest.raises(VaultError) as caught:
        vault.write(b"second")
    assert caught.value.code == "vault.symlink"
    assert not path.with_name("nowhere").exists()


def test_a_linked_directory_is_fine(vault: Vault, path: Path, tmp_path: Path, keys: KeysInMemory) -> None:
    linked = tmp_path / "linked"
    linked.symlink_to(path.parent)
    assert Vault.unlock(linked / path.name, [keyring(keys)]).read() == b"first"


def test_what_is_no_file_is_not_read(path: Path) -> None:
    os.mkfifo(path)
    with pytest.raises(VaultError) as caught:
        Vault.unlock(path, [password()])
    assert caught.value.code == "vault.not-a-file"
    with pytest.raises(VaultError) as caught:
        Vault.unlock(path.parent, [password()])
    assert caught.value.code == "vault.not-a-file"
    with pytest.raises(VaultError) as caught:
        Vault.unlock(Path("/dev/zero"), [password()])
    assert caught.value.code == "vault.not-a-file"


def test_a_file_that_is_too_long_is_not_read(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(FormatError) as caught:
        Vault.unlock(path, [password()])
    assert caught.value.code == "vault.too-long"


def test_a_vault_that_others_can_read_is_told(vault: Vault, path: Path, keys: KeysInMemory) -> None:
    assert codes(Vault.unlock(path, [keyring(keys)])) == []
    path.chmod(0o640)
    assert codes(Vault.unlock(path, [keyring(keys)])) == ["vault.readable-by-others"]
    path.chmod(0o604)
    assert codes(Vault.open_with_key(path, vault.data_key)) == ["vault.readable-by-others"]


def test_the_next_write_takes_others_out(vault: Vault, path: Path) -> None:
    path.chmod(0o666)
    vault.write(b"second")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_directory_that_others_can_write_is_told(vault: Vault, path: Path, keys: KeysInMemory) -> None:
    path.parent.chmod(0o770)
    assert codes(Vault.unlock(path, [keyring(keys)])) == ["vault.directory-writable-by-others"]
    path.parent.chmod(0o1777)
    assert codes(Vault.unlock(path, [keyring(keys)])) == []


def test_a_second_writer_waits_and_then_gives_up(vault: Vault, path: Path) -> None:
    with exclusive(FileNames(path).lock):
        started = time.monotonic()
        with pytest.raises(VaultError) as caught:
            vault.write(b"second")
        assert time.monotonic() - started >= 1.5
    assert caught.value.code == "vault.busy"
    assert vault.read() == b"first"


def test_a_second_writer_gets_its_turn(vault: Vault, path: Path) -> None:
    entered, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with exclusive(FileNames(path).lock):
            entered.set()
            leave.wait(5)

    holder = threading.Thread(target=hold)
    holder.start()
    entered.wait(5)
    threading.Timer(0.2, leave.set).start()
    vault.write(b"second")
    holder.join()
    assert vault.read() == b"second"


def test_reading_needs_no_lock(vault: Vault, path: Path, keys: KeysInMemory) -> None:
    with exclusive(FileNames(path).lock):
        assert Vault.unlock(path, [keyring(keys)]).read() == b"first"


def test_a_payload_over_the_limit_is_refused(vault: Vault) -> None:
    with pytest.raises(StorageError) as caught:
        vault.write(bytes(MAX_PAYLOAD_BYTES + 1))
    assert caught.value.code == "vault.payload-too-long"
    assert vault.read() == b"first"


def test_the_longest_payload_fits(vault: Vault, path: Path) -> None:
    vault.write(bytes(MAX_PAYLOAD_BYTES))
    assert path.stat().st_size > LARGEST_STEP_BYTES
    assert vault.read() == bytes(MAX_PAYLOAD_BYTES)


def test_the_size_tells_a_step_only(vault: Vault, path: Path) -> None:
    sizes = set()
    for length in (0, 1, 1000, 30_000, SMALLEST_STEP_BYTES - 36):
        vault.write(bytes(length))
        sizes.add(path.stat().st_size)
    assert len(sizes) <= 2  # the generation takes one more byte at 24
    small = max(sizes)
    vault.write(bytes(SMALLEST_STEP_BYTES - 35))
    assert path.stat().st_size == small + SMALLEST_STEP_BYTES
