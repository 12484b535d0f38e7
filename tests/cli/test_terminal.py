"""What people see and type: passwords, words, questions."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import stat
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pexpect
import pytest

from tests.cli.conftest import MNEMONIC, PASSWORD, Answer
from tests.conftest import FAST_KDF, clean_environment
from walletcli.cli.terminal import Terminal

Write = Callable[[str, str | bytes], str]
Spawn = Callable[..., pexpect.spawn]

SCREEN, SCREEN_END = "\x1b[?1049h", "\x1b[?1049l"
"""What switches a terminal to its alternate screen, and back."""

WORD = re.compile(r" ?(\d+)\. ([a-z]+)")

PLAIN_WORD = re.compile(r"\b[a-z]+\b")


def shown_words(child: pexpect.spawn) -> dict[int, str]:
    """Read the words off the screen and press Enter."""
    child.expect("Press Enter when they are on paper. ")
    words = {int(number): word for number, word in WORD.findall(child.before)}
    child.sendline()
    return words


def give_back(child: pexpect.spawn, words: dict[int, str], count: int) -> None:
    for _ in range(count):
        child.expect(r"Word (\d+): ")
        child.sendline(words[int(child.match.group(1))])


def new_password(child: pexpect.spawn, password: str = PASSWORD) -> None:
    child.expect("New password: ")
    child.sendline(password)
    child.expect("The same password again: ")
    child.sendline(password)


def ended(child: pexpect.spawn) -> int:
    child.expect(pexpect.EOF)
    child.wait()
    assert child.signalstatus is None
    return int(child.exitstatus)


def test_words_are_shown_asked_back_and_gone(
    on_terminal: Spawn, answer: Answer, home: Path, secret_file: Write
) -> None:
    child = on_terminal("--home", str(home), "wallet", "create", "--words", "12", *FAST_KDF)
    child.expect_exact(SCREEN)
    words = shown_words(child)
    assert sorted(words) == list(range(1, 13))
    child.expect_exact("\x1b[2J")
    assert not home.exists(), "nothing is made before the words are on paper"
    give_back(child, words, 4)
    child.expect_exact("\x1b[2J\x1b[H" + SCREEN_END)
    new_password(child)
    child.expect("Wallet created.")
    assert ended(child) == 0
    other = subprocess.run(
        [sys.executable, "-m", "walletcli", "--home", str(home.with_name("other")), "wallet", "create",
         "--words-out", str(home.with_name("others-words")), "--password-file", secret_file("p", PASSWORD), *FAST_KDF],
        env=clean_environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    said_of_every_wallet = set(
        PLAIN_WORD.findall(other.stdout + other.stderr)
    )  # "wallet" and "value" are on the list too
    said_of_this_one = set(PLAIN_WORD.findall(child.before)) - said_of_every_wallet
    assert not said_of_this_one & set(words.values())
    mnemonic = secret_file("words", " ".join(words[number] for number in sorted(words)))
    file = secret_file("password", PASSWORD)
    done = answer("wallet", "verify-backup", "--mnemonic-file", mnemonic, "--password-file", file, home=home)
    assert done == {"verified": True}


def test_all_words_can_be_asked_back(on_terminal: Spawn, home: Path) -> None:
    child = on_terminal("--home", str(home), "wallet", "create", "--words", "15", "--ask-back", "all", *FAST_KDF)
    words = shown_words(child)
    give_back(child, words, 15)
    new_password(child)
    assert ended(child) == 0


def test_a_wrong_word_is_asked_again_and_enter_shows_them_all(on_terminal: Spawn, home: Path) -> None:
    child = on_terminal("--home", str(home), "wallet", "create", "--words", "12", *FAST_KDF)
    words = shown_words(child)
    child.expect(r"Word (\d+): ")
    child.sendline("wrong-word")
    child.expect(r"That is not word \d+\. Look at your paper\.")
    child.expect(r"Word (\d+): ")
    child.sendline("")
    assert shown_words(child) == words
    give_back(child, words, 4)
    new_password(child)
    assert ended(child) == 0


@pytest.mark.parametrize("step", ["shown", "asked back", "password"])
def test_interrupted_creation_leaves_nothing(on_terminal: Spawn, home: Path, step: str) -> None:
    child = on_terminal("--home", str(home), "wallet", "create", "--words", "12", *FAST_KDF)
    if step == "shown":
        child.expect("Press Enter when they are on paper. ")
    else:
        words = shown_words(child)
        if step == "password":
            give_back(child, words, 4)
            child.expect("New password: ")
        else:
            child.expect(r"Word (\d+): ")
    child.sendintr()
    child.expect("error: interrupted")
    if step != "password":
        assert SCREEN_END in child.before
    assert ended(child) == 130
    assert not home.exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_clears_the_words_from_the_screen(on_terminal: Spawn, home: Path, number: signal.Signals) -> None:
    child = on_terminal("--home", str(home), "wallet", "create", *FAST_KDF)
    child.expect("Press Enter when they are on paper. ")
    child.kill(number)
    child.expect_exact("\x1b[2J\x1b[H" + SCREEN_END)
    assert ended(child) == 128 + number
    assert not home.exists()


def test_sentences_are_broken_between_words_and_addresses_stay_whole() -> None:
    master, slave = os.openpty()
    try:
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 40, 0, 0))
        address = "walletcli://relay.example:7411/did:key:" + "z" * 48
        Terminal(slave, can_clear=False).say(f"  {'some words ' * 10}\n\n  {address}")
        written = b""
        while not written.endswith(b"z\r\n"):
            written += os.read(master, 4096)
        lines = written.decode().replace("\r", "").split("\n")
    finally:
        os.close(slave)
        os.close(master)
    assert [line for line in lines if len(line) > 40] == [f"  {address}"]
    assert " ".join(" ".join(lines).split()) == "some words " * 10 + address
    assert all(line.startswith("  ") for line in lines if line)


def test_a_terminal_without_screen_is_warned_of(on_terminal: Spawn, home: Path) -> None:
    child = on_terminal("--home", str(home), "wallet", "create", "--words", "12", *FAST_KDF, term="dumb")
    child.expect("This terminal cannot clear its screen")
    give_back(child, shown_words(child), 4)
    new_password(child)
    assert ended(child) == 0
    assert "\x1b[" not in child.before


def test_the_password_is_not_echoed_and_must_be_given_twice_alike(on_terminal: Spawn, home: Path) -> None:
    child = on_terminal("--home", str(home), "wallet", "create", "--words", "12", *FAST_KDF)
    give_back(child, shown_words(child), 4)
    child.expect("New password: ")
    child.sendline("")
    child.expect("An empty password protects nothing.")
    child.expect("New password: ")
    child.sendline("one-secret")
    child.expect("again: ")
    child.sendline("other-secret")
    child.expect("The two differ; try again.")
    assert "secret" not in child.before
    new_password(child, "one-secret")
    child.expect("Wallet created.")
    assert "secret" not in child.before
    assert ended(child) == 0


def test_a_wrong_password_is_asked_again_three_times(on_terminal: Spawn, wallet: Path) -> None:
    child = on_terminal("--home", str(wallet), "identity", "list")
    for _ in range(2):
        child.expect("Password: ")
        child.sendline("wrong")
        child.expect("That password does not open the wallet; try again.")
    child.expect("Password: ")
    child.sendline(PASSWORD)
    child.expect("no identities")
    assert ended(child) == 0

    child = on_terminal("--home", str(wallet), "identity", "list")
    for _ in range(3):
        child.expect("Password: ")
        child.sendline("wrong")
    child.expect("error: ")
    assert ended(child) == 5


def test_a_wrong_password_from_a_file_is_not_tried_again(answer: Answer, wallet: Path, secret_file: Write) -> None:
    wrong = secret_file("wrong", "wrong")
    error = answer("identity", "list", "--password-file", wrong, home=wallet, code=5)["error"]
    assert error["code"] == "vault.wrong-password"


def test_end_of_input_at_a_question_is_an_interruption(on_terminal: Spawn, wallet: Path) -> None:
    child = on_terminal("--home", str(wallet), "identity", "list")
    child.expect("Password: ")
    child.sendeof()
    child.expect("error: interrupted")
    assert ended(child) == 130


def test_echo_comes_back_after_an_interruption(tmp_path: Path, wallet: Path) -> None:
    environment = clean_environment(PS1="$ ", TERM="xterm")
    shell = pexpect.spawn("bash", ["--norc"], encoding="utf-8", timeout=30, env=environment)
    shell.sendline(f"{sys.executable} -m walletcli --home {wallet} identity list")
    shell.expect("Password: ")
    shell.sendintr()
    shell.expect("interrupted")
    shell.sendline("stty -a")
    shell.expect(r"[ -]echo ")
    assert shell.match.group(0) == " echo "
    shell.close(force=True)


@pytest.mark.parametrize(
    ("args", "hint"),
    [
        (["wallet", "create"], "--words-out"),
        (["wallet", "restore"], "--mnemonic-file"),
        (["identity", "list"], "--password-file"),
        (["wallet", "wipe"], "--yes"),
    ],
)
def test_without_a_terminal_each_question_names_its_option(
    args: list[str], hint: str, tmp_path: Path, wallet: Path
) -> None:
    home = wallet if args[1] in ("list", "wipe") else tmp_path / "new"
    done = subprocess.run(
        [sys.executable, "-m", "walletcli", "--home", str(home), *args],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, env=clean_environment(), start_new_session=True,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("error: there is no terminal to ")
    assert hint in done.stderr.splitlines()[1]
    assert home == wallet or not home.exists()


def test_unlocking_is_advised_only_where_it_spares_the_password(answer: Answer, wallet: Path, tmp_path: Path) -> None:
    def hint(*args: str) -> str:
        return str(answer(*args, home=wallet, code=2)["error"]["hint"])

    assert "wallet unlock" in hint("identity", "list")
    assert "also while the wallet is unlocked" in hint("request", "approve", "a.request", "--out", str(tmp_path / "b"))
    for args in (("wallet", "unlock"), ("slot", "remove", "1")):
        assert hint(*args) == "give --password-file FILE"


def test_questions_go_to_the_terminal_and_never_to_stdout(on_terminal: Spawn, wallet: Path, tmp_path: Path) -> None:
    out, err = tmp_path / "out", tmp_path / "err"
    line = f"{sys.executable} -m walletcli --home {wallet} --json identity list < /dev/null > {out} 2> {err}"
    child = pexpect.spawn("bash", ["-c", line], encoding="utf-8", timeout=30, env=clean_environment(TERM="xterm"))
    child.expect("Password: ")
    child.sendline(PASSWORD)
    assert ended(child) == 0
    assert out.read_text() == '{"identities": []}\n'
    assert err.read_text() == ""


def test_wipe_asks_and_only_yes_is_yes(on_terminal: Spawn, wallet: Path) -> None:
    child = on_terminal("--home", str(wallet), "wallet", "wipe")
    child.expect(r"bring it back\. \[y/N\] ")
    child.sendline("")
    child.expect("error: nothing was removed")
    assert ended(child) == 2
    assert (wallet / "wallet.vault").exists()
    child = on_terminal("--home", str(wallet), "wallet", "wipe")
    child.expect(r"\[y/N\] ")
    child.sendline("y")
    child.expect("removed ")
    assert ended(child) == 0
    assert not (wallet / "wallet.vault").exists()


def test_secret_on_a_terminal_as_standard_input_is_refused(on_terminal: Spawn, wallet: Path) -> None:
    child = on_terminal("--home", str(wallet), "identity", "list", "--password-file", "-")
    child.expect("leave --password-file out to be asked for it")
    assert ended(child) == 2


# --- restore ---------------------------------------------------------------------------------------------------------


def restore(on_terminal: Spawn, home: Path, *options: str, **settings: str) -> pexpect.spawn:
    child = on_terminal("--home", str(home), "wallet", "restore", *options, *FAST_KDF, **settings)
    child.expect("word 1:")
    return child


def restored_check(answer: Answer, home: Path, secret_file: Write) -> None:
    words, password = secret_file("check-words", MNEMONIC), secret_file("check-password", PASSWORD)
    answer("wallet", "verify-backup", "--mnemonic-file", words, "--password-file", password, home=home)


def test_words_are_typed_one_by_one(on_terminal: Spawn, answer: Answer, home: Path, secret_file: Write) -> None:
    child = restore(on_terminal, home)
    for number, word in enumerate(MNEMONIC.split()[:-1], start=2):
        child.send(word[:4] + "\r")
        child.expect(f"word {number}")
    child.send("abot\r")
    child.expect("'abot' is not in ")
    child.send("about\r")
    child.expect("word 13")
    child.send("\r")
    child.expect_exact(SCREEN_END)
    new_password(child)
    child.expect("Wallet restored.")
    assert ended(child) == 0
    restored_check(answer, home, secret_file)


@pytest.mark.parametrize(
    "paste",
    [
        MNEMONIC + "\r",
        "\x1b[200~" + MNEMONIC + "\x1b[201~\r",
        "\x1b[200~" + MNEMONIC.replace(" ", "\n") + "\n\x1b[201~\r",
    ],
    ids=["typed", "one line", "lines"],
)
def test_the_whole_phrase_can_be_pasted(
    on_terminal: Spawn, answer: Answer, home: Path, secret_file: Write, paste: str
) -> None:
    child = restore(on_terminal, home)
    child.send(paste)
    child.expect("word 13")
    child.send("\r")
    new_password(child)
    child.expect("Wallet restored.")
    assert ended(child) == 0
    restored_check(answer, home, secret_file)


def test_a_wrong_checksum_is_explained_and_one_word_corrected(
    on_terminal: Spawn, answer: Answer, home: Path, secret_file: Write
) -> None:
    child = restore(on_terminal, home)
    child.send("abandon " * 12 + "\r")
    child.expect("the checksum is wrong")
    child.send("12\r")
    child.expect("word 12 is 'abandon'; what is it really")
    child.send("about\r")
    child.expect("word 13")
    child.send("\r")
    new_password(child)
    assert ended(child) == 0
    restored_check(answer, home, secret_file)


def test_the_last_word_can_be_asked_for(on_terminal: Spawn, home: Path) -> None:
    child = restore(on_terminal, home)
    child.send("abandon " * 11)
    child.expect("word 12:")
    child.send("?\r")
    child.expect(r"The last word is one of \d+: .*about")
    child.send("\x7f")
    child.expect("word 11:")
    child.sendintr()
    child.expect("error: interrupted")
    assert SCREEN_END in child.before
    assert ended(child) == 130
    assert not home.exists()


def test_too_few_words_are_told(on_terminal: Spawn, home: Path) -> None:
    child = restore(on_terminal, home)
    child.send("abandon ability \r")
    child.expect("a mnemonic has 12, 15, 18, 21 or 24 words, found 2")
    child.sendintr()
    assert ended(child) == 130


def test_words_are_completed(on_terminal: Spawn, home: Path) -> None:
    child = restore(on_terminal, home, "--language", "english")
    child.send("aban\t")
    child.expect("abandon")
    child.send("\r")
    child.expect("word 2:")
    child.sendintr()
    assert ended(child) == 130


def test_restore_works_on_a_terminal_that_cannot_draw(on_terminal: Spawn, home: Path) -> None:
    child = restore(on_terminal, home, term="dumb")
    child.sendline(MNEMONIC)
    child.expect("word 13")
    child.sendline("")
    new_password(child)
    child.expect("Wallet restored.")
    assert ended(child) == 0


def test_the_passphrase_is_asked_twice(on_terminal: Spawn, answer: Answer, home: Path, secret_file: Write) -> None:
    child = restore(on_terminal, home, "--passphrase")
    child.send(MNEMONIC + "\r")
    child.expect("word 13")
    child.send("\r")
    child.expect("Passphrase: ")
    child.sendline("TREZOR")
    child.expect("The same passphrase again: ")
    child.sendline("TREZOR")
    new_password(child)
    assert ended(child) == 0
    words, password = secret_file("w", MNEMONIC), ("--password-file", secret_file("p", PASSWORD))
    extra = ("--passphrase-file", secret_file("extra", "TREZOR\n"))
    answer("wallet", "verify-backup", "--mnemonic-file", words, *extra, *password, home=home)
    error = answer("wallet", "verify-backup", "--mnemonic-file", words, *password, home=home, code=4)["error"]
    assert error["code"] == "backup.mismatch"


# --- dice, progress --------------------------------------------------------------------------------------------------


def test_dice_are_typed_and_the_recipe_shown(on_terminal: Spawn, home: Path) -> None:
    child = on_terminal("--home", str(home), "wallet", "create", "--words", "12", "--dice", *FAST_KDF)
    child.expect("at least 50 are needed")
    child.expect("0 of 50: ")
    child.sendline("1234567")
    child.expect("a die gives 1 to 6; nothing of that line was taken")
    child.sendline("123456 " * 4)
    child.expect("24 of 50: ")
    child.sendline("654321" * 5)
    child.expect("os='[0-9a-f]{128}'")
    child.expect("Press Enter to see the words. ")
    child.sendline()
    give_back(child, shown_words(child), 4)
    new_password(child)
    assert ended(child) == 0


def test_long_work_shows_progress_on_a_terminal_only(on_terminal: Spawn, wallet: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "slow"
    os.mkfifo(pipe, stat.S_IRUSR | stat.S_IWUSR)
    child = on_terminal("--home", str(wallet), "identity", "list", "--password-file", str(pipe))
    child.expect("working … 1 s")
    pipe.write_text(PASSWORD)
    child.expect_exact("\r\x1b[K")
    child.expect("no identities")
    assert ended(child) == 0
    reader = subprocess.Popen(
        [sys.executable, "-m", "walletcli", "--home", str(wallet), "identity", "list", "--password-file", str(pipe)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean_environment(),
    )  # fmt: skip
    time.sleep(1.6)
    pipe.write_text(PASSWORD)
    assert reader.communicate(timeout=20) == ("no identities\n", "")
