"""Adding, removing and replacing slots, and what a removed one still opens."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.vault.parts import KeysInMemory, keyring, password
from walletcli.errors import FormatError, StorageError, UsageError, VaultError
from walletcli.vault.factors import KeyringFactor
from walletcli.vault.file import Vault
from walletcli.vault.slots import SEALED_DATA_KEY_BYTES, WRAPPED_SLOT_KEY_BYTES, FactorRecord, Slot, SlotInfo

DAY_S = 86_400


def opens(path: Path, *factors: object) -> bool:
    try:
        Vault.unlock(path, factors)  # type: ignore[arg-type]  # the tests give factors
    except VaultError:
        return False
    return True


def test_a_list_of_slots_shows_kinds_and_days(path: Path, keys: KeysInMemory) -> None:
    vault = Vault.create(path, b"", [password()], clock=lambda: 20_000.5 * DAY_S)
    vault.add_slot([keyring(keys)])
    vault.add_slot([password("x"), keyring(keys)])
    assert vault.slots == (
        SlotInfo(1, ("password",), 20_000),
        SlotInfo(2, ("keyring",), 20_000),
        SlotInfo(3, ("password", "keyring"), 20_000),
    )
    assert Vault.unlock(path, [password()]).slots == vault.slots


def test_a_new_slot_opens_the_vault_and_the_state_before(vault: Vault, path: Path) -> None:
    assert vault.add_slot([password("new")]).slot_id == 2
    assert Vault.unlock(path, [password("new")]).read() == b"first"
    assert Vault.unlock(vault.previous_path, [password("new")]).read() == b"first"


def test_a_new_slot_leaves_the_data_key(vault: Vault) -> None:
    before = vault.data_key
    vault.add_slot([password()])
    assert vault.data_key == before


def test_a_removed_slot_opens_neither_the_vault_nor_the_state_before(
    vault: Vault, path: Path, keys: KeysInMemory
) -> None:
    vault.add_slot([password()])
    before = vault.data_key
    vault.remove_slot(1)
    for file in (path, vault.previous_path):
        assert not opens(file, keyring(keys))
        assert Vault.unlock(file, [password()]).read() == b"first"
        with pytest.raises(VaultError):
            Vault.open_with_key(file, before)


def test_an_old_copy_does_not_help_with_what_is_written_later(vault: Vault, path: Path, keys: KeysInMemory) -> None:
    vault.add_slot([password()])
    copy = path.with_name("copy")
    copy.write_bytes(path.read_bytes())
    vault.remove_slot(1)
    vault.write(b"later")
    old = Vault.unlock(copy, [keyring(keys)])
    assert old.read() == b"first"
    with pytest.raises(VaultError) as caught:
        Vault.open_with_key(path, old.data_key)
    assert caught.value.code == "vault.changed"


def test_the_other_slots_go_on_without_their_factors(vault: Vault, path: Path, keys: KeysInMemory) -> None:
    vault.add_slot([password("one")])
    vault.add_slot([password("two"), keyring(keys)])
    vault.add_slot([password("three")])
    vault.remove_slot(2)
    vault.write(b"later")
    assert Vault.unlock(path, [keyring(keys)]).read() == b"later"
    keys_only_for_three = [password("three")]
    assert Vault.unlock(path, keys_only_for_three).read() == b"later"
    assert not opens(path, password("one"))


def test_the_last_slot_cannot_be_removed(vault: Vault, path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(VaultError) as caught:
        vault.remove_slot(1)
    assert caught.value.code == "slot.last"
    assert path.read_bytes() == before


def test_a_slot_that_is_not_there_is_a_mistake(vault: Vault) -> None:
    for action in (vault.remove_slot, lambda slot: vault.replace_slot(slot, [password()])):
        with pytest.raises(UsageError) as caught:
            action(7)
        assert caught.value.code == "slot.unknown"
        assert caught.value.hint == "the slots are: 1"


def test_at_most_sixteen_slots(vault: Vault, path: Path, keys: KeysInMemory) -> None:
    for _ in range(15):
        vault.add_slot([keyring(keys)])
    with pytest.raises(VaultError) as caught:
        vault.add_slot([keyring(keys)])
    assert caught.value.code == "slot.too-many"
    assert len(keys.entries) == 16
    assert len(Vault.unlock(path, [keyring(keys)]).slots) == 16


def test_the_number_of_a_removed_slot_in_the_middle_is_not_used_again(vault: Vault, keys: KeysInMemory) -> None:
    vault.add_slot([keyring(keys)])
    vault.add_slot([keyring(keys)])
    vault.remove_slot(2)
    assert vault.add_slot([password()]).slot_id == 4
    assert [slot.slot_id for slot in vault.slots] == [1, 3, 4]


def test_the_keyring_forgets_what_a_removed_slot_had(vault: Vault, keys: KeysInMemory) -> None:
    vault.add_slot([password()])
    vault.remove_slot(1, [keyring(keys)])
    assert keys.entries == {}
    assert vault.notices == ()


def test_a_keyring_that_does_not_forget_is_told(vault: Vault, keys: KeysInMemory) -> None:
    vault.add_slot([password()])
    keys.failing = "keyring.locked"
    vault.remove_slot(1, [keyring(keys)])
    assert [notice.code for notice in vault.notices] == ["keyring.locked"]
    assert [slot.slot_id for slot in vault.slots] == [2]


def test_a_slot_that_comes_to_nothing_leaves_nothing_in_the_keyring(
    vault: Vault, keys: KeysInMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = dict(keys.entries)

    def refuse(*_: object, **__: object) -> None:
        raise StorageError("storage.full", "no room", "free some")

    monkeypatch.setattr("walletcli.vault.file.replace_file", refuse)
    actions: list[Callable[[], object]] = [
        lambda: vault.add_slot([keyring(keys)]),
        lambda: vault.replace_slot(1, [keyring(keys)]),
    ]
    for action in actions:
        with pytest.raises(StorageError):
            action()
        assert keys.entries == before
    with pytest.raises(StorageError):
        Vault.create(vault.path.with_name("other"), b"", [keyring(keys)])
    assert keys.entries == before


def test_a_factor_that_refuses_takes_the_others_back(vault: Vault, keys: KeysInMemory) -> None:
    other = KeysInMemory()
    other.failing = "keyring.unavailable"
    before = dict(keys.entries)

    class Late(KeyringFactor):
        kind = "late"

    with pytest.raises(VaultError):
        vault.add_slot([keyring(keys), Late(other)])
    assert keys.entries == before


def test_a_changed_password_takes_over_at_once(path: Path) -> None:
    vault = Vault.create(path, b"payload", [password("old")])
    before = vault.data_key
    assert vault.change_password(password("new")).slot_id == 1
    assert vault.data_key != before
    for file in (path, vault.previous_path):
        assert not opens(file, password("old"))
        assert Vault.unlock(file, [password("new")]).read() == b"payload"
    vault.write(b"more")
    assert Vault.unlock(path, [password("new")]).read() == b"more"


def test_a_changed_password_keeps_the_other_factor_needed(path: Path, keys: KeysInMemory) -> None:
    vault = Vault.create(path, b"payload", [password("old"), keyring(keys)])
    with pytest.raises(UsageError) as caught:
        vault.change_password(password("new"))
    assert caught.value.code == "slot.factor-needed"
    vault.change_password(password("new"), others=[keyring(keys)])
    assert vault.slots[0].kinds == ("password", "keyring")
    assert len(keys.entries) == 1
    assert not opens(path, password("new"))
    assert opens(path, password("new"), keyring(keys))


def test_a_changed_password_needs_a_slot_that_is_named_or_alone(vault: Vault, keys: KeysInMemory) -> None:
    with pytest.raises(UsageError) as caught:
        vault.change_password(password())
    assert caught.value.code == "slot.no-password"
    vault.add_slot([password("a")])
    vault.add_slot([password("b")])
    with pytest.raises(UsageError) as caught:
        vault.change_password(password("c"))
    assert caught.value.code == "slot.ambiguous"
    with pytest.raises(UsageError) as caught:
        vault.change_password(password("c"), slot_id=1)
    assert caught.value.code == "slot.no-password"
    vault.change_password(password("c"), slot_id=3)
    assert not opens(vault.path, password("b"))
    assert opens(vault.path, password("c"))
    assert opens(vault.path, password("a"))


def test_a_slot_can_be_replaced_by_another_sort(vault: Vault, path: Path, keys: KeysInMemory) -> None:
    info = vault.replace_slot(1, [password(), keyring(keys)])
    assert (info.slot_id, info.kinds) == (1, ("password", "keyring"))
    assert len(keys.entries) == 1
    assert not opens(path, keyring(keys))
    assert opens(path, keyring(keys), password())


def test_changes_of_slots_keep_what_another_process_wrote(vault: Vault, path: Path) -> None:
    other = Vault.open_with_key(path, vault.data_key)
    other.write(b"by another")
    vault.add_slot([password()])
    assert vault.read() == b"by another"


def test_a_replaced_data_key_is_noticed_by_another_process(vault: Vault, path: Path, keys: KeysInMemory) -> None:
    other = Vault.open_with_key(path, vault.data_key)
    vault.add_slot([password()])
    vault.remove_slot(2)
    assert other.is_changed()
    for action in (other.read, lambda: other.write(b"x"), lambda: other.add_slot([keyring(keys)])):
        with pytest.raises(VaultError) as caught:
            action()
        assert caught.value.code == "vault.changed"


def test_without_hard_links_the_state_before_is_a_copy(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    before = vault.path.read_bytes()
    vault.write(b"second")
    assert vault.previous_path.read_bytes() == before
    assert vault.read() == b"second"


def factor(number: int) -> FactorRecord:
    return FactorRecord("later", {1: number})


@pytest.mark.parametrize("count", [0, 5])
def test_a_slot_has_one_to_four_factors(count: int) -> None:
    """One without any would open for everybody."""
    parts = (tuple(map(factor, range(count))), bytes(WRAPPED_SLOT_KEY_BYTES), bytes(SEALED_DATA_KEY_BYTES))
    with pytest.raises(FormatError, match="factors"):
        Slot(1, 20_000, *parts)
    good = Slot(1, 20_000, (factor(1),), *parts[1:]).to_value()
    value: Any = {**good, 3: [item.to_value() for item in parts[0]]}
    with pytest.raises(FormatError) as refused:
        Slot.from_value(value)
    assert refused.value.code == "slot.malformed"


@pytest.mark.parametrize("value", [True, False, 1.5, None, [1], -1, 1 << 64])
def test_a_parameter_is_a_number_bytes_or_text(value: Any) -> None:
    with pytest.raises(FormatError) as refused:
        FactorRecord.from_value(["later", {1: value}])
    assert refused.value.code == "slot.malformed"
