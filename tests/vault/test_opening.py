"""Which factors open a vault, in which order, and what is said when none does."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest

from tests.vault.parts import CHEAP, KeysInMemory, keyring, password
from walletcli.core.secret import Secret
from walletcli.errors import FormatError, InputError, UsageError, VaultError
from walletcli.vault import factors as factors_module
from walletcli.vault.factors import Factor, PasswordFactor
from walletcli.vault.file import Vault
from walletcli.vault.kdf import KdfParameters, argon2id


def code_of(path: Path, *factors: Factor) -> str:
    with pytest.raises(VaultError) as caught:
        Vault.unlock(path, factors)
    assert caught.value.hint
    return caught.value.code


def test_a_password_opens_the_vault_that_was_made_with_it(path: Path) -> None:
    Vault.create(path, b"payload", [password("a")])
    assert Vault.unlock(path, [password("a")]).read() == b"payload"


def test_another_password_does_not(path: Path) -> None:
    Vault.create(path, b"payload", [password("a")])
    assert code_of(path, password("b")) == "vault.wrong-password"
    assert code_of(path, password("a ")) == "vault.wrong-password"


def test_a_password_may_come_in_any_unicode_form(path: Path) -> None:
    Vault.create(path, b"payload", [password(unicodedata.normalize("NFD", "Zürich é"))])
    assert Vault.unlock(path, [password(unicodedata.normalize("NFC", "Zürich é"))]).read() == b"payload"


def test_the_cost_of_an_old_slot_is_its_own(path: Path) -> None:
    Vault.create(path, b"payload", [PasswordFactor(Secret(b"a"), KdfParameters(9, 2))])
    assert Vault.unlock(path, [PasswordFactor(Secret(b"a"), CHEAP)]).read() == b"payload"


@pytest.mark.parametrize(
    ("given", "code"),
    [(b"", "password.empty"), (b"a" * 1025, "password.too-long"), (b"\xff\xfe", "password.not-text")],
)
def test_passwords_that_cannot_be_are_refused(given: bytes, code: str) -> None:
    with pytest.raises(InputError) as caught:
        PasswordFactor(Secret(given))
    assert caught.value.code == code
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_the_longest_password_opens(path: Path) -> None:
    Vault.create(path, b"payload", [password("a" * 1024)])
    assert Vault.unlock(path, [password("a" * 1024)]).read() == b"payload"
    assert code_of(path, password("a" * 1023)) == "vault.wrong-password"


@pytest.mark.parametrize(("memory", "passes"), [(7, 1), (2049, 1), (8, 0), (8, 17), (True, 1), (8, True)])
def test_a_cost_outside_of_the_bounds_is_refused(memory: int, passes: int) -> None:
    with pytest.raises(FormatError) as caught:
        KdfParameters(memory, passes)
    assert caught.value.code == "kdf.out-of-range"


def test_the_default_cost_is_that_of_the_specification() -> None:
    assert KdfParameters() == KdfParameters(memory_mib=256, passes=3)


def test_memory_that_the_system_does_not_give_is_an_error_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> bytes:
        raise MemoryError

    monkeypatch.setattr("walletcli.vault.kdf.crypto_pwhash_alg", refuse)
    with pytest.raises(VaultError) as caught:
        argon2id(Secret(b"a"), bytes(16), CHEAP)
    assert caught.value.code == "kdf.memory"


def test_the_keyring_opens_its_slot(vault: Vault, path: Path, keys: KeysInMemory) -> None:
    assert Vault.unlock(path, [keyring(keys)]).read() == b"first"


def test_a_keyring_without_the_entry_says_so(vault: Vault, path: Path, keys: KeysInMemory) -> None:
    keys.entries.clear()
    assert code_of(path, keyring(keys)) == "keyring.missing"


@pytest.mark.parametrize("stored", [b"", b"zz", b"00" * 31, b"00" * 33, "é".encode()])
def test_a_keyring_with_something_else_in_the_entry_says_so(
    vault: Vault, path: Path, keys: KeysInMemory, stored: bytes
) -> None:
    keys.entries = dict.fromkeys(keys.entries, stored)
    assert code_of(path, keyring(keys)) == "keyring.missing"


def test_a_keyring_with_another_key_is_told_from_a_wrong_password(vault: Vault, path: Path, keys: KeysInMemory) -> None:
    keys.entries = dict.fromkeys(keys.entries, b"00" * 32)
    assert code_of(path, keyring(keys)) == "slot.wrong-key"


def test_a_keyring_that_refuses_is_told_by_its_own_error(vault: Vault, path: Path, keys: KeysInMemory) -> None:
    keys.failing = "keyring.locked"
    assert code_of(path, keyring(keys)) == "keyring.locked"


def test_a_password_opens_where_the_keyring_refuses(vault: Vault, path: Path, keys: KeysInMemory) -> None:
    vault.add_slot([password()])
    keys.failing = "keyring.unavailable"
    assert Vault.unlock(path, [keyring(keys), password()]).read() == b"first"
    assert code_of(path, keyring(keys), password("wrong")) == "vault.wrong-password"


def test_the_keyring_is_asked_before_the_password_is_computed(
    vault: Vault, path: Path, keys: KeysInMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault.add_slot([password()])

    def refuse(*_: object) -> Secret:
        raise AssertionError("computed")

    monkeypatch.setattr(factors_module, "argon2id", refuse)
    assert Vault.unlock(path, [password(), keyring(keys)]).read() == b"first"


def test_a_slot_with_two_factors_needs_both(path: Path, keys: KeysInMemory) -> None:
    Vault.create(path, b"payload", [password(), keyring(keys)])
    assert Vault.unlock(path, [keyring(keys), password()]).read() == b"payload"
    assert code_of(path, password()) == "slot.no-match"
    assert code_of(path, keyring(keys)) == "slot.no-match"
    assert code_of(path, keyring(keys), password("wrong")) == "vault.wrong-password"
    keys.entries = dict.fromkeys(keys.entries, b"00" * 32)
    assert code_of(path, keyring(keys), password()) == "vault.wrong-password"


def test_what_would_open_it_is_in_the_hint(path: Path, keys: KeysInMemory) -> None:
    Vault.create(path, b"payload", [password(), keyring(keys)]).add_slot([password("spare")])
    with pytest.raises(VaultError) as caught:
        Vault.unlock(path, [keyring(keys)])
    assert caught.value.hint == "it opens with: password; password and keyring"


def test_nothing_at_hand_opens_nothing(vault: Vault, path: Path) -> None:
    assert code_of(path) == "slot.no-match"


def test_two_factors_of_one_kind_are_a_mistake(path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        Vault.create(path, b"", [password("a"), password("b")])
    assert caught.value.code == "slot.factor-twice"
    with pytest.raises(UsageError) as caught:
        Vault.create(path, b"", [])
    assert caught.value.code == "slot.no-factor"
    assert not path.exists()


def test_the_data_key_opens_it_without_a_slot(vault: Vault, path: Path) -> None:
    assert Vault.open_with_key(path, vault.data_key).read() == b"first"


def test_another_data_key_is_told_as_a_change(vault: Vault, path: Path) -> None:
    with pytest.raises(VaultError) as caught:
        Vault.open_with_key(path, Secret(os.urandom(32)))
    assert caught.value.code == "vault.changed"


def test_no_vault_is_told_as_such(path: Path) -> None:
    assert code_of(path, password()) == "vault.missing"
    assert code_of(path.parent / "no" / "such" / "directory", password()) == "vault.missing"
    assert code_of(Path("/dev/null/vault"), password()) == "vault.missing"


def test_nothing_secret_is_in_the_text_of_a_vault_or_its_factors(path: Path, keys: KeysInMemory) -> None:
    vault = Vault.create(path, b"the payload", [password("my password"), keyring(keys)])
    state, _ = vault._load()
    for text in (repr(vault), repr(state), repr(vault.slots), repr(password("my password")), str(vault)):
        for secret in ("my password", "the payload", vault.data_key.reveal().hex(), repr(vault.data_key.reveal())):
            assert secret not in text
