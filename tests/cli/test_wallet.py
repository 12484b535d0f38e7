"""The wallet, unattended: every step from files and pipes."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import MNEMONIC, PASSWORD, Answer
from tests.conftest import FAST_KDF, Run

Cli = Callable[..., Run]
Write = Callable[[str, str | bytes], str]
Password = tuple[str, str]


def derived(answer: Answer, home: Path, password: Password, count: int = 2) -> list[str]:
    found = answer("identity", "list", "--derive", str(count), *password, home=home)["identities"]
    return [identity["did"] for identity in found]


@pytest.mark.parametrize("words", ["12", "15", "18", "21", "24"])
def test_words_go_to_a_private_file_and_restore_the_wallet(
    answer: Answer, home: Path, tmp_path: Path, password: Password, words: str
) -> None:
    kept = tmp_path / "words"
    made = answer("wallet", "create", "--words", words, "--words-out", str(kept), *password, *FAST_KDF, home=home)
    assert made["identities"] == []
    assert made["wallet"]["word_count"] == int(words)
    assert made["wallet"]["unlocked"] is False
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    text = kept.read_text()
    assert text.endswith("\n")
    assert len(text.split()) == int(words)
    other = tmp_path / "other"
    again = answer("wallet", "restore", "--mnemonic-file", str(kept), *password, *FAST_KDF, home=other)
    assert again["wallet"]["check"] == made["wallet"]["check"]
    assert derived(answer, home, password) == derived(answer, other, password)
    assert answer("wallet", "verify-backup", "--mnemonic-file", str(kept), *password, home=home) == {"verified": True}


@pytest.mark.parametrize("language", ["english", "japanese", "chinese_traditional", "turkish"])
def test_words_come_in_a_language(
    answer: Answer, home: Path, tmp_path: Path, password: Password, language: str
) -> None:
    kept = tmp_path / "words"
    options = ["--language", language, "--words-out", str(kept)]
    made = answer("wallet", "create", *options, *password, *FAST_KDF, home=home)
    assert made["wallet"]["language"] == language
    answer("wallet", "verify-backup", "--mnemonic-file", str(kept), *password, home=home)


def test_the_words_file_is_never_overwritten(
    answer: Answer, home: Path, secret_file: Write, password: Password
) -> None:
    kept = secret_file("words", "older words")
    error = answer("wallet", "create", "--words-out", kept, *password, *FAST_KDF, home=home, code=8)["error"]
    assert error["code"] == "words-file.exists"
    assert Path(kept).read_text() == "older words"
    assert not (home / "wallet.vault").exists()


def test_the_words_file_is_not_written_through_a_link(
    answer: Answer, home: Path, tmp_path: Path, password: Password
) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    answer("wallet", "create", "--words-out", str(tmp_path / "link"), *password, *FAST_KDF, home=home, code=8)
    assert not (tmp_path / "target").exists()


def test_the_words_file_goes_when_the_wallet_cannot_be_made(answer: Answer, tmp_path: Path, password: Password) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file, not a directory")
    kept = tmp_path / "words"
    answer("wallet", "create", "--words-out", str(kept), *password, *FAST_KDF, home=blocked / "home", code=8)
    assert not kept.exists()


def test_an_existing_wallet_is_kept(answer: Answer, wallet: Path, tmp_path: Path, password: Password) -> None:
    before = (wallet / "wallet.vault").read_bytes()
    kept = tmp_path / "words"
    for args in (["create", "--words-out", str(kept)], ["restore", "--mnemonic-file", "/dev/null"]):
        error = answer("wallet", *args, *password, *FAST_KDF, home=wallet, code=5)["error"]
        assert error["code"] == "vault.exists"
    assert (wallet / "wallet.vault").read_bytes() == before
    assert not kept.exists()


def test_dice_and_the_recipe_give_the_words(
    answer: Answer, home: Path, tmp_path: Path, secret_file: Write, password: Password
) -> None:
    dice = secret_file("dice", "123456" * 9)
    kept, recipe = tmp_path / "words", tmp_path / "recipe"
    options = ["--words", "12", "--dice-file", dice, "--words-out", str(kept), "--recipe-out", str(recipe)]
    answer("wallet", "create", *options, *password, *FAST_KDF, home=home)
    assert stat.S_IMODE(recipe.stat().st_mode) == 0o600
    text = recipe.read_text()
    share = text.rsplit("os='", 1)[1].split("'")[0]
    script = text.split("\n\nos=")[0].replace("os='...'", f"os='{share}'")
    script = script.replace("rolls='...'", f"rolls='{'123456' * 9}'")
    from mnemonic import Mnemonic

    (tmp_path / "english.txt").write_text("\n".join(Mnemonic("english").wordlist) + "\n")
    done = subprocess.run(["bash"], input=script, capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stdout.split()[-12:] == kept.read_text().split()


@pytest.mark.parametrize(
    ("rolls", "kind", "code", "error_code"),
    [
        ("123456", "--dice-file", 3, "dice.too-few"),
        ("1234567" * 20, "--dice-file", 3, "dice.malformed"),
        ("01" * 64, "--coins-file", 0, None),
        ("012" * 64, "--coins-file", 3, "dice.malformed"),
    ],
)
def test_bad_rolls_are_told(
    answer: Answer, home: Path, tmp_path: Path, secret_file: Write, password: Password,
    rolls: str, kind: str, code: int, error_code: str | None,
) -> None:  # fmt: skip
    kept = tmp_path / "words"
    options = ["--words", "12", kind, secret_file("rolls", rolls), "--words-out", str(kept)]
    done = answer("wallet", "create", *options, *password, *FAST_KDF, home=home, code=code)
    assert (done["error"]["code"] if code else None) == error_code
    assert kept.exists() is (code == 0)


@pytest.mark.parametrize(
    "options",
    [
        ["--dice", "--coins"],
        ["--recipe-out", "recipe"],
        ["--no-password"],
        ["--kdf-memory-mib", "4"],
        ["--kdf-passes", "0"],
    ],
)
def test_options_that_do_not_go_together_are_usage_errors(
    answer: Answer, home: Path, tmp_path: Path, password: Password, options: list[str]
) -> None:
    answer("wallet", "create", "--words-out", str(tmp_path / "w"), *password, *options, home=home, code=2)
    assert not home.exists()
    assert not (tmp_path / "w").exists()


def test_new_words_can_be_made_for_a_hardware_wallet(
    answer: Answer, home: Path, tmp_path: Path, password: Password
) -> None:
    kept = tmp_path / "words"
    made = answer("wallet", "create", "--scheme", "slip13", "--words-out", str(kept), *password, *FAST_KDF, home=home)
    assert made["wallet"]["scheme"] == "slip13"
    options = ["--scheme", "slip13", "--mnemonic-file", str(kept), *password, *FAST_KDF]
    answer("wallet", "restore", *options, home=tmp_path / "again")
    assert derived(answer, home, password) == derived(answer, tmp_path / "again", password)


def test_a_watch_wallet_has_no_scheme_of_its_own(answer: Answer, home: Path, password: Password) -> None:
    error = answer("wallet", "create", "--watch", "--scheme", "slip13", *password, *FAST_KDF, home=home, code=2)
    assert error["error"]["code"] == "watch.words"


def test_each_scheme_gives_its_own_identities(
    answer: Answer, tmp_path: Path, secret_file: Write, password: Password
) -> None:
    words = secret_file("words", MNEMONIC)
    firsts = set()
    for scheme in ("walletcli", "mercury", "morpheus", "slip13"):
        home = tmp_path / scheme
        options = ["--scheme", scheme, "--mnemonic-file", words, *password, *FAST_KDF]
        made = answer("wallet", "restore", *options, home=home)
        assert made["wallet"]["scheme"] == scheme
        firsts.add(derived(answer, home, password, 1)[0])
    assert len(firsts) == 4


def test_the_mercury_scheme_takes_no_passphrase(
    answer: Answer, home: Path, secret_file: Write, password: Password
) -> None:
    options = ["--mnemonic-file", secret_file("words", MNEMONIC), "--passphrase-file", secret_file("extra", "x")]
    error = answer("wallet", "restore", "--scheme", "mercury", *options, *password, *FAST_KDF, home=home, code=2)
    assert error["error"]["code"] == "scheme.passphrase"
    assert not (home / "wallet.vault").exists()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("abandon " * 12, "mnemonic.checksum"),
        ("abandon " * 11, "mnemonic.word-count"),
        ("abandon " * 11 + "abuot", "mnemonic.unknown-word"),
        ("abandon " * 11 + "abaco", "mnemonic.mixed-languages"),
        ("", "secret-file.empty"),
        (b"\xff\xfe", "secret-file.not-text"),
        ("x" * 5000, "secret-file.too-long"),
    ],
)
def test_wrong_words_are_explained(
    answer: Answer, home: Path, secret_file: Write, password: Password, words: str | bytes, code: str
) -> None:
    options = ["--mnemonic-file", secret_file("words", words), *password, *FAST_KDF]
    error = answer("wallet", "restore", *options, home=home, code=3)["error"]
    assert error["code"] == code
    assert error["hint"]
    assert not home.exists()


def test_words_of_another_wallet_do_not_verify(
    answer: Answer, wallet: Path, secret_file: Write, password: Password
) -> None:
    other = secret_file("other", "legal winner thank year wave sausage worth useful legal winner thank yellow")
    error = answer("wallet", "verify-backup", "--mnemonic-file", other, *password, home=wallet, code=4)["error"]
    assert error["code"] == "backup.mismatch"
    assert "winner" not in json.dumps(error)


def test_an_unlocked_wallet_needs_no_password(answer: Answer, wallet: Path, password: Password) -> None:
    try:
        agent = answer("wallet", "unlock", "--timeout", "90s", *password, home=wallet)["agent"]
        assert 80 <= agent["expires_in_s"] <= 90
        assert answer("wallet", "status", home=wallet)["wallet"]["unlocked"] is True
        assert answer("identity", "create", "alice", home=wallet)["label"] == "alice"
    finally:
        assert answer("wallet", "lock", home=wallet) == {"was_unlocked": True}
    assert answer("wallet", "lock", home=wallet) == {"was_unlocked": False}
    assert answer("wallet", "status", home=wallet)["wallet"]["unlocked"] is False


@pytest.mark.parametrize("timeout", ["0", "-1", "1w", "31d", "x", "", "1e3", "٣"])
def test_times_are_checked(answer: Answer, home: Path, timeout: str) -> None:
    answer("wallet", "unlock", f"--timeout={timeout}", home=home, code=2)


def test_status_tells_more_with_the_password(answer: Answer, wallet: Path, password: Password) -> None:
    assert "check" not in answer("wallet", "status", home=wallet)["wallet"]
    assert len(answer("wallet", "status", *password, home=wallet)["wallet"]["check"]) == 32


def test_the_sealed_vault_travels(answer: Answer, wallet: Path, tmp_path: Path, password: Password) -> None:
    copy, other = tmp_path / "copy.vault", tmp_path / "other"
    assert answer("wallet", "export", str(copy), home=wallet) == {"exported": str(copy)}
    answer("wallet", "export", str(copy), home=wallet, code=3)
    assert answer("wallet", "import", str(copy), home=other)["wallet"]["exists"] is True
    assert derived(answer, other, password) == derived(answer, wallet, password)
    answer("wallet", "import", str(copy), home=other, code=5)


def test_wipe_removes_every_file(answer: Answer, wallet: Path, password: Password) -> None:
    answer("identity", "create", "alice", *password, home=wallet)
    removed = answer("wallet", "wipe", "--yes", home=wallet)["removed"]
    assert str(wallet / "wallet.vault") in removed
    assert not any(path.suffix != ".lock" for path in wallet.glob("*")) or not wallet.exists()
    answer("wallet", "wipe", "--yes", home=wallet, code=5)


def test_slots_come_and_go(answer: Answer, wallet: Path, secret_file: Write, password: Password) -> None:
    new = secret_file("new", "another password")
    added = answer("slot", "add", "password", "--new-password-file", new, *FAST_KDF, *password, home=wallet)["slot"]
    assert [slot["kind"] for slot in answer("slot", "list", home=wallet)["slots"]] == ["password", "password"]
    assert answer("identity", "list", "--password-file", new, home=wallet) == {"identities": []}
    assert answer("slot", "remove", str(added["id"]), *password, home=wallet) == {"removed": added["id"]}
    answer("identity", "list", "--password-file", new, home=wallet, code=5)
    error = answer("slot", "remove", "1", *password, home=wallet, code=5)["error"]
    assert error["code"] == "slot.last"


def test_the_password_changes(answer: Answer, wallet: Path, secret_file: Write, password: Password) -> None:
    new = secret_file("new", "another password")
    done = answer("slot", "password", "--new-password-file", new, *FAST_KDF, *password, home=wallet)
    assert done == {"changed": True}
    assert answer("identity", "list", *password, home=wallet, code=5)["error"]["code"] == "vault.wrong-password"
    assert answer("identity", "list", "--password-file", new, home=wallet) == {"identities": []}


def test_without_a_keyring_the_wallet_says_so_and_uses_the_password(
    cli: Cli, home: Path, tmp_path: Path, password: Password
) -> None:
    options = ["--words-out", str(tmp_path / "words"), "--keyring", *password, *FAST_KDF]
    done = cli("--json", "wallet", "create", *options, home=home)
    assert done.code == 0, done.stderr
    assert "the wallet opens with the password alone" in done.stderr
    assert [slot["kind"] for slot in done.json["wallet"]["slots"]] == ["password"]


def test_without_a_keyring_nor_password_there_is_no_wallet(answer: Answer, home: Path, tmp_path: Path) -> None:
    options = ["--words-out", str(tmp_path / "words"), "--keyring", "--no-password"]
    error = answer("wallet", "create", *options, home=home, code=5)["error"]
    assert error["code"].startswith("keyring.")
    assert not (home / "wallet.vault").exists()
    assert not (tmp_path / "words").exists()


def test_no_secret_is_in_any_output(cli: Cli, home: Path, secret_file: Write, password: Password) -> None:
    words = secret_file("words", MNEMONIC)
    for args in (
        ["wallet", "restore", "--mnemonic-file", words, *password, *FAST_KDF],
        ["wallet", "status", *password],
        ["identity", "create", "alice", *password],
        ["identity", "list", "--derive", "3", *password],
        ["wallet", "verify-backup", "--mnemonic-file", words, *password],
        ["--debug", "identity", "list", "--password-file", words],
    ):
        done = cli(*args, home=home)
        for secret in ("abandon", "about", PASSWORD):
            assert secret not in done.stdout + done.stderr


def test_no_secret_is_in_the_arguments_or_environment_of_the_agent(
    answer: Answer, wallet: Path, password: Password
) -> None:
    pid = answer("wallet", "unlock", *password, home=wallet)["agent"]["pid"]
    try:
        for name in ("cmdline", "environ"):
            content = Path(f"/proc/{pid}/{name}").read_bytes() if os.access(f"/proc/{pid}/{name}", os.R_OK) else b""
            assert PASSWORD.encode() not in content
            assert b"abandon" not in content
    finally:
        answer("wallet", "lock", home=wallet)
