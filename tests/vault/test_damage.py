"""Every bit of a vault counts: what is flipped, cut or added ends in one of our errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.vault.parts import KeysInMemory, keyring, password
from walletcli.errors import FormatError, VaultError
from walletcli.vault.file import Vault
from walletcli.vault.header import Header

FLIPS = {
    "vault.damaged", "vault.malformed", "vault.not-a-vault", "vault.version", "vault.truncated", "vault.trailing",
    "slot.malformed", "slot.duplicate", "slot.no-match", "slot.wrong-key", "kdf.out-of-range", "keyring.missing",
    "vault.wrong-password",
}  # fmt: skip


@pytest.fixture
def whole(vault: Vault, path: Path, keys: KeysInMemory) -> bytes:
    """The bytes of a vault with three slots."""
    vault.add_slot([password()])
    vault.add_slot([password("both"), keyring(keys)])
    return path.read_bytes()


def code_of(path: Path, data: bytes, *factors: object) -> str:
    path.write_bytes(data)
    with pytest.raises((VaultError, FormatError)) as caught:
        Vault.unlock(path, factors)  # type: ignore[arg-type]  # the tests give factors
    assert caught.value.hint
    return caught.value.code


def flipped(data: bytes, at: int, bit: int) -> bytes:
    return data[:at] + bytes([data[at] ^ (1 << bit)]) + data[at + 1 :]


def test_every_flipped_bit_of_the_header_is_noticed(whole: bytes, path: Path, keys: KeysInMemory) -> None:
    end = Header.from_bytes(whole)[1]
    found = {code_of(path, flipped(whole, at, bit), keyring(keys)) for at in range(end) for bit in range(8)}
    assert found <= FLIPS
    assert {"vault.damaged", "vault.malformed", "slot.malformed", "kdf.out-of-range"} <= found


def test_every_flipped_byte_of_the_header_is_noticed_by_a_password(whole: bytes, path: Path) -> None:
    end = Header.from_bytes(whole)[1]
    found = {code_of(path, flipped(whole, at, at % 8), password()) for at in range(end)}
    assert found <= FLIPS
    assert "vault.wrong-password" in found


def test_every_flipped_byte_of_the_header_is_noticed_by_a_data_key(whole: bytes, path: Path, vault: Vault) -> None:
    end = Header.from_bytes(whole)[1]
    for at in range(end):
        path.write_bytes(flipped(whole, at, at % 8))
        with pytest.raises((VaultError, FormatError)):
            vault.read()


def test_a_flipped_bit_of_the_payload_is_noticed(whole: bytes, path: Path, keys: KeysInMemory) -> None:
    end = Header.from_bytes(whole)[1]
    places = [*range(end, end + 64), *range(end + 64, len(whole) - 64, 4099), *range(len(whole) - 64, len(whole))]
    assert {code_of(path, flipped(whole, at, at % 8), keyring(keys)) for at in places} == {"vault.damaged"}


def test_a_vault_cut_anywhere_is_told_as_truncated(whole: bytes, path: Path, keys: KeysInMemory) -> None:
    end = Header.from_bytes(whole)[1]
    places = [*range(end + 64), *range(end + 64, len(whole) - 64, 4099), *range(len(whole) - 64, len(whole))]
    assert {code_of(path, whole[:at], keyring(keys)) for at in places} == {"vault.truncated"}


def test_bytes_after_the_end_are_told(whole: bytes, path: Path, keys: KeysInMemory) -> None:
    assert code_of(path, whole + b"\0", keyring(keys)) == "vault.trailing"
    assert code_of(path, whole + whole, keyring(keys)) == "vault.trailing"


def test_slots_cannot_be_moved_between_vaults(whole: bytes, path: Path, keys: KeysInMemory) -> None:
    other_path = path.with_name("other")
    other = Vault.create(other_path, b"other", [password()])
    header, end = Header.from_bytes(whole)
    foreign, _ = Header.from_bytes(other_path.read_bytes())
    moved = Header(header.vault_id, header.generation, header.key_id, header.nonce, header.sealed_bytes, foreign.slots)
    assert code_of(path, moved.to_bytes() + whole[end:], password()) == "vault.wrong-password"
    renamed = Header(other.vault_id, header.generation, header.key_id, header.nonce, header.sealed_bytes, foreign.slots)
    assert code_of(path, renamed.to_bytes() + whole[end:], password()) == "vault.damaged"


def test_a_slot_cannot_be_taken_out_by_hand(whole: bytes, path: Path, keys: KeysInMemory) -> None:
    header, end = Header.from_bytes(whole)
    fewer = Header(
        header.vault_id, header.generation, header.key_id, header.nonce, header.sealed_bytes, header.slots[:1]
    )
    assert code_of(path, fewer.to_bytes() + whole[end:], keyring(keys)) == "vault.damaged"


def test_an_old_header_does_not_go_with_a_new_payload(vault: Vault, path: Path, keys: KeysInMemory) -> None:
    old = path.read_bytes()
    vault.write(b"second")
    new = path.read_bytes()
    mixed = old[: Header.from_bytes(old)[1]] + new[Header.from_bytes(new)[1] :]
    assert code_of(path, mixed, keyring(keys)) == "vault.damaged"
