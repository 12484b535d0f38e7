"""Create, restore, back up, export, import, wipe, and what opens the vault."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tests.vault.parts import KeysInMemory
from tests.wallet.parts import CHEAP, PASSWORD, SLOTS, WORDS, make_home, nobody, opened, password, restored_home
from walletcli.core.bip39 import Mnemonic
from walletcli.core.keys import KeyTree, Scheme, scheme_seed
from walletcli.core.secret import Secret
from walletcli.errors import FormatError, InputError, UsageError, VaultError, VerificationError, WalletError
from walletcli.vault import unopened
from walletcli.wallet.access.agent_session import open_session
from walletcli.wallet.create import NewSlots, create_wallet, new_mnemonic
from walletcli.wallet.home import Home
from walletcli.wallet.identities import create_identity, derive_identities
from walletcli.wallet.restore import restore_wallet, verify_backup
from walletcli.wallet.slots import add_keyring_slot, add_password_slot, change_password, list_slots, remove_slot
from walletcli.wallet.status import wallet_status
from walletcli.wallet.transfer import export_vault, import_vault, wipe


@pytest.fixture
def keyring(monkeypatch: pytest.MonkeyPatch) -> KeysInMemory:
    """A keyring in memory in the place of the operating system's."""
    keys = KeysInMemory()
    monkeypatch.setattr("walletcli.vault.os_keyring.OsKeyring", lambda: keys)
    return keys


def files(home: Home) -> set[str]:
    return set(os.listdir(home.path)) if os.path.isdir(home.path) else set()


# Create


@pytest.mark.parametrize("count", [12, 15, 18, 21, 24])
def test_words_of_every_count_are_drawn(count: int) -> None:
    made = new_mnemonic(count)
    assert made.mnemonic.word_count == count
    assert made.recipe is None
    assert made.mnemonic.text() != new_mnemonic(count).mnemonic.text()


def test_other_counts_are_refused() -> None:
    with pytest.raises(UsageError) as refused:
        new_mnemonic(13)
    assert refused.value.code == "mnemonic.word-count"


def test_dice_are_mixed_in_and_the_words_can_be_recomputed() -> None:
    import hashlib

    rolls = "123456" * 20
    made = new_mnemonic(12, "english", rolls, "dice")
    assert made.os_entropy is not None
    assert made.recipe is not None
    by_hand = hashlib.sha512(made.os_entropy.reveal() + rolls.encode()).digest()[:16]
    assert Mnemonic.from_entropy(Secret(by_hand), "english").text() == made.mnemonic.text()


def test_a_wallet_opens_with_its_password_and_no_other(wallet_home: Home) -> None:
    with opened(wallet_home) as session:
        assert session.summaries() == []
    with pytest.raises(VaultError) as refused:
        open_session(wallet_home, lambda: Secret(b"another"))
    assert refused.value.code == "vault.wrong-password"
    with pytest.raises(VaultError) as refused:
        open_session(wallet_home)
    assert refused.value.code == "wallet.locked"


def test_a_home_is_its_owners_alone(wallet_home: Home) -> None:
    assert stat.S_IMODE(os.stat(wallet_home.path).st_mode) == 0o700
    assert stat.S_IMODE(os.stat(wallet_home.vault_path).st_mode) == 0o600


def test_a_wallet_is_never_made_over_another(wallet_home: Home) -> None:
    before = Path(wallet_home.vault_path).read_bytes()
    for slots in (SLOTS, NewSlots(PASSWORD, kdf=CHEAP)):
        with pytest.raises(VaultError) as refused:
            create_wallet(wallet_home, new_mnemonic().mnemonic, slots)
        assert refused.value.code == "vault.exists"
    with pytest.raises(VaultError) as refused:
        restore_wallet(wallet_home, Secret.from_text(WORDS), SLOTS)
    assert refused.value.code == "vault.exists"
    assert Path(wallet_home.vault_path).read_bytes() == before


def test_no_wallet_says_how_to_make_one(tmp_path: Path) -> None:
    home = Home(str(tmp_path / "none"))
    with pytest.raises(VaultError) as refused:
        open_session(home, password)
    assert refused.value.code == "wallet.missing"
    assert "wallet create" in refused.value.hint
    assert not wallet_status(home).exists
    assert not os.path.exists(home.path)


def test_several_wallets_live_side_by_side(tmp_path: Path) -> None:
    homes = [make_home(tmp_path / name) for name in ("one", "two")]
    for number, home in enumerate(homes):
        with opened(home) as session:
            create_identity(session, f"in {number}")
    for number, home in enumerate(homes):
        with opened(home) as session:
            assert [summary.label for summary in session.summaries()] == [f"in {number}"]


def test_password_and_keyring_make_two_slots(tmp_path: Path, keyring: KeysInMemory) -> None:
    home = Home(str(tmp_path / "both"))
    status = create_wallet(home, new_mnemonic().mnemonic, NewSlots(PASSWORD, True, CHEAP))
    assert sorted(slot.kind for slot in status.slots) == ["keyring", "password"]
    assert not [name for name in files(home) if "making" in name]
    with open_session(home, nobody) as session:
        assert session.summaries() == []
    keyring.failing = "keyring.locked"
    with open_session(home, password) as session:
        assert session.summaries() == []
    with pytest.raises(VaultError) as refused:
        open_session(home)
    assert refused.value.code == "wallet.locked"


def test_a_keyring_that_refuses_leaves_no_wallet(tmp_path: Path, keyring: KeysInMemory) -> None:
    home = Home(str(tmp_path / "both"))
    keyring.failing = "keyring.unavailable"
    with pytest.raises(VaultError) as refused:
        create_wallet(home, new_mnemonic().mnemonic, NewSlots(PASSWORD, True, CHEAP))
    assert refused.value.code == "keyring.unavailable"
    assert not home.exists()
    create_wallet(home, new_mnemonic().mnemonic, SLOTS)


def test_slots_that_nothing_opens_are_refused() -> None:
    with pytest.raises(UsageError) as refused:
        NewSlots(None)
    assert refused.value.code == "slot.none"


# Restore and backup


@pytest.mark.parametrize("scheme", ["walletcli", "mercury", "morpheus", "slip13"])
def test_words_bring_back_the_same_identities(tmp_path: Path, scheme: str) -> None:
    tree = KeyTree(scheme_seed(Scheme(scheme), Mnemonic.parse(WORDS), None), Scheme(scheme))
    with opened(restored_home(tmp_path / "back", WORDS, scheme)) as session:
        found = derive_identities(session, 3)
        view = create_identity(session, "first")
    from walletcli.core.identity_id import IdentityId

    assert [summary.did for summary in found] == [IdentityId(key).did for key in tree.root_public_keys(0, 3)]
    assert view.path == found[0].path
    elsewhere = {"morpheus": "m/128164'/0'/0'", "slip13": "m/13'/1910320649'/563940476'/1786048902'/160977934'"}
    assert view.path == elsewhere.get(scheme, "m/9791'/0'")


def test_restore_takes_any_language_and_any_unicode_form(tmp_path: Path) -> None:
    import unicodedata

    made = new_mnemonic(12, "french")
    words = unicodedata.normalize("NFD", made.mnemonic.text().reveal_text()).upper()
    home = Home(str(tmp_path / "back"))
    status = restore_wallet(home, Secret.from_text(words), SLOTS)
    assert status.facts is not None
    assert (status.facts.language, status.facts.word_count, status.facts.restored) == ("french", 12, True)


def test_what_cannot_be_restored_leaves_nothing(tmp_path: Path) -> None:
    home = Home(str(tmp_path / "back"))
    attempts: list[tuple[str, str, Secret | None, str]] = [
        ("legal winner", "walletcli", None, "mnemonic.word-count"),
        (WORDS.replace("legal", "legall"), "walletcli", None, "mnemonic.unknown-word"),
        (WORDS.replace("yellow", "zoo"), "walletcli", None, "mnemonic.checksum"),
        (WORDS, "bitcoin", None, "scheme.unknown"),
        (WORDS, "mercury", Secret(b"x"), "scheme.passphrase"),
    ]
    for words, scheme, passphrase, code in attempts:
        with pytest.raises(WalletError) as refused:
            restore_wallet(home, Secret.from_text(words), SLOTS, scheme, None, passphrase)
        assert refused.value.code == code
    assert not os.path.exists(home.path)


def test_a_backup_is_verified_word_for_word(tmp_path: Path) -> None:
    home = Home(str(tmp_path / "home"))
    create_wallet(home, Mnemonic.parse(WORDS), SLOTS, Secret(b"extra"))
    with opened(home) as session:
        verify_backup(session, Secret.from_text(WORDS.upper()), Secret(b"extra"))
        other = new_mnemonic(12).mnemonic.text()
        for words, passphrase in ((other, Secret(b"extra")), (Secret.from_text(WORDS), None)):
            with pytest.raises(VerificationError) as refused:
                verify_backup(session, words, passphrase)
            assert refused.value.code == "backup.mismatch"
        with pytest.raises(InputError) as wrong:
            verify_backup(session, Secret.from_text(WORDS.replace("yellow", "zoo")), Secret(b"extra"))
        assert wrong.value.code == "mnemonic.checksum"


def test_the_vault_holds_no_words(wallet_home: Home) -> None:
    from walletcli.wallet.access.opening import open_vault

    payload = open_vault(make_home(Path(wallet_home.path).parent / "fixed", WORDS), password).read()
    for word in ("legal", "winner", "sausage"):
        assert word.encode() not in payload
    assert Mnemonic.parse(WORDS).entropy().reveal() not in payload


# Export, import, wipe


def test_an_export_is_sealed_and_opens_elsewhere(wallet_home: Home, tmp_path: Path) -> None:
    with opened(wallet_home) as session:
        view = create_identity(session, "alice")
    path = export_vault(wallet_home, str(tmp_path / "copy.vault"))
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert b"alice" not in Path(path).read_bytes()
    elsewhere = Home(str(tmp_path / "elsewhere"))
    assert import_vault(elsewhere, path).exists
    with opened(elsewhere) as session:
        assert session.snapshot().wallet.by_index(0) == view


def test_nothing_is_written_over_by_export_or_import(wallet_home: Home, tmp_path: Path) -> None:
    path = export_vault(wallet_home, str(tmp_path / "copy.vault"))
    with pytest.raises(InputError) as refused:
        export_vault(wallet_home, path)
    assert refused.value.code == "file.exists"
    export_vault(wallet_home, path, force=True)
    with pytest.raises(VaultError) as exists:
        import_vault(wallet_home, path)
    assert exists.value.code == "vault.exists"


@pytest.mark.parametrize("content", [b"", b"not a vault", b"walletcli vault 1\n" + bytes(50)])
def test_what_is_no_vault_is_not_imported(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    home = Home(str(tmp_path / "home"))
    with pytest.raises(FormatError):
        import_vault(home, str(tmp_path / "file"))
    assert not home.exists()


def test_wipe_leaves_nothing(wallet_home: Home, keyring: KeysInMemory) -> None:
    from walletcli.wallet.relays import add_relay

    with opened(wallet_home) as session:
        create_identity(session, "alice")
    add_keyring_slot(wallet_home, password)
    add_relay(wallet_home, "https://relay.example")
    assert keyring.entries
    gone = wipe(wallet_home)
    assert wallet_home.vault_path in gone
    assert wallet_home.vault_path + ".previous" in gone
    assert not os.path.exists(wallet_home.path)
    assert keyring.entries == {}
    with pytest.raises(VaultError) as refused:
        wipe(wallet_home)
    assert refused.value.code == "wallet.missing"


def test_wipe_leaves_other_peoples_files(wallet_home: Home) -> None:
    (Path(wallet_home.path) / "notes.txt").write_text("mine")
    wipe(wallet_home)
    assert files(wallet_home) == {"notes.txt"}


def test_wipe_takes_a_damaged_wallet_too(wallet_home: Home) -> None:
    Path(wallet_home.vault_path).write_bytes(b"broken")
    wipe(wallet_home)
    assert not os.path.exists(wallet_home.path)


# Slots


def test_slots_are_listed_without_a_password(wallet_home: Home) -> None:
    (slot,) = list_slots(wallet_home)
    assert slot.to_json() == {"id": 1, "kind": "password", "kinds": ["password"], "created_day": slot.created_day}
    assert unopened.describe(Path(wallet_home.vault_path)).slots[0].slot_id == 1


def test_a_second_password_opens_and_can_go_again(wallet_home: Home) -> None:
    added = add_password_slot(wallet_home, password, Secret(b"second"), CHEAP)
    with open_session(wallet_home, lambda: Secret(b"second")) as session:
        create_identity(session, "alice")
    remove_slot(wallet_home, added.id, password)
    with pytest.raises(VaultError):
        open_session(wallet_home, lambda: Secret(b"second"))
    with opened(wallet_home) as session:
        assert len(session.summaries()) == 1


def test_the_last_slot_stays(wallet_home: Home) -> None:
    with pytest.raises(VaultError) as refused:
        remove_slot(wallet_home, 1, password)
    assert refused.value.code == "slot.last"
    with pytest.raises(UsageError) as unknown:
        remove_slot(wallet_home, 9, password)
    assert unknown.value.code == "slot.unknown"


def test_a_keyring_slot_opens_without_a_question_and_leaves_no_entry(wallet_home: Home, keyring: KeysInMemory) -> None:
    added = add_keyring_slot(wallet_home, password)
    with open_session(wallet_home, nobody) as session:
        assert session.summaries() == []
    remove_slot(wallet_home, added.id, nobody)
    assert keyring.entries == {}
    with opened(wallet_home) as session:
        assert session.summaries() == []


def test_a_changed_password_replaces_the_old_one(wallet_home: Home) -> None:
    change_password(wallet_home, password, Secret(b"new"), kdf=CHEAP)
    with pytest.raises(VaultError):
        opened(wallet_home)
    with open_session(wallet_home, lambda: Secret(b"new")) as session:
        assert session.summaries() == []


def test_an_unlocked_agent_is_no_leave_to_change_slots(agent_home: Home) -> None:
    with pytest.raises(VaultError) as refused:
        add_password_slot(agent_home, lambda: Secret(b"wrong"), Secret(b"mine"))
    assert refused.value.code == "vault.wrong-password"


def test_status_counts_and_tells_no_label(wallet_home: Home) -> None:
    with opened(wallet_home) as session:
        create_identity(session, "alice")
    locked = wallet_status(wallet_home)
    assert (locked.exists, locked.unlocked, locked.facts) == (True, False, None)
    told = wallet_status(wallet_home, password).to_json()
    assert told["identities"] == 1
    assert told["word_count"] == 12
    assert "alice" not in str(told)
