"""The vectors of docs/spec/vault.md: what was written once stays readable, and what must be refused is refused."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from tests.vault import golden
from tests.vault.parts import CHEAP, KeysInMemory, keyring
from walletcli.core.secret import Secret
from walletcli.errors import FormatError, VaultError
from walletcli.vault.factors import PasswordFactor
from walletcli.vault.file import Vault
from walletcli.vault.header import Header
from walletcli.vault.sealing import VaultState, parse

VECTORS: dict[str, Any] = json.loads(golden.VECTORS.read_text(encoding="utf-8"))
GOOD = VECTORS["opens"][0]


@pytest.fixture
def golden_path(path: Path) -> Path:
    path.write_bytes(base64.b64decode(GOOD["file_b64"]))
    return path


@pytest.fixture
def golden_keys() -> KeysInMemory:
    keys = KeysInMemory()
    keys.entries = {name: text.encode() for name, text in GOOD["keyring"].items()}
    return keys


def word(text: str = GOOD["password"]) -> PasswordFactor:
    return PasswordFactor(Secret.from_text(text), CHEAP)


def test_the_golden_vault_opens_with_its_password(golden_path: Path) -> None:
    vault = Vault.unlock(golden_path, [word()])
    assert vault.read().hex() == GOOD["payload_hex"]
    assert vault.generation == GOOD["generation"]
    assert vault.vault_id.hex() == GOOD["vault_id_hex"]
    assert [[s.slot_id, list(s.kinds), s.created_day] for s in vault.slots] == GOOD["slots"]


def test_the_golden_vault_opens_with_its_keyring(golden_path: Path, golden_keys: KeysInMemory) -> None:
    assert Vault.unlock(golden_path, [keyring(golden_keys)]).data_key.reveal().hex() == GOOD["data_key_hex"]


def test_the_golden_vault_opens_with_both_where_the_entry_of_the_keyring_slot_is_gone(
    golden_path: Path, golden_keys: KeysInMemory
) -> None:
    del golden_keys.entries[next(iter(golden_keys.entries))]
    with pytest.raises(VaultError) as caught:
        Vault.unlock(golden_path, [keyring(golden_keys)])
    assert caught.value.code == "keyring.missing"
    assert Vault.unlock(golden_path, [word(), keyring(golden_keys)]).read().hex() == GOOD["payload_hex"]


def test_the_golden_vault_opens_with_its_data_key() -> None:
    state = VaultState.from_bytes(base64.b64decode(GOOD["file_b64"]), Secret(bytes.fromhex(GOOD["data_key_hex"])))
    assert state.payload.hex() == GOOD["payload_hex"]


def test_the_slot_of_a_kind_that_is_not_known_survives_changes(golden_path: Path) -> None:
    before = Vault.unlock(golden_path, [word()])._state.slot(4)
    vault = Vault.unlock(golden_path, [word()])
    vault.write(b"changed")
    vault.remove_slot(2)
    after = vault._state.slot(4)
    assert (after.factors, after.wrapped_key) == (before.factors, before.wrapped_key)
    assert after.sealed_data_key != before.sealed_data_key


def test_the_same_entropy_makes_the_same_bytes() -> None:
    assert golden.golden_vault()[0] == base64.b64decode(GOOD["file_b64"])


def test_the_vectors_are_what_the_generator_makes() -> None:
    assert golden.make() == VECTORS


def test_a_header_has_one_encoding() -> None:
    data = base64.b64decode(GOOD["file_b64"])
    header, end = Header.from_bytes(data)
    assert header.to_bytes() == data[:end]


@pytest.mark.parametrize("case", VECTORS["refused"], ids=lambda case: str(case["name"]))
def test_malformed_vaults_are_refused(case: dict[str, str]) -> None:
    with pytest.raises(FormatError) as caught:
        parse(bytes.fromhex(case["file_hex"]))
    assert caught.value.code == case["error"]
    assert caught.value.hint
