"""Secrets from files and pipes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import MNEMONIC, PASSWORD, Answer
from tests.conftest import FAST_KDF, Run
from walletcli.cli.secret_files import MAX_SECRET_BYTES, SecretFile
from walletcli.errors import InputError

Cli = Callable[..., Run]
Write = Callable[[str, str | bytes], str]


@pytest.mark.parametrize(
    ("content", "secret"),
    [
        (b"x", b"x"),
        (b"x\n", b"x"),
        (b"x\r\n", b"x"),
        (b"x\n\n", b"x\n"),
        (b"x\r\n\r\n", b"x\r\n"),
        (b"x\r", b"x\r"),
        (b"x\n\r", b"x\n\r"),
        (b" x \t\n", b" x \t"),
        (b"\xff\x00\n", b"\xff\x00"),
        (b"\n\n", b"\n"),
    ],
)
def test_one_line_end_is_removed_and_nothing_else(secret_file: Write, content: bytes, secret: bytes) -> None:
    assert SecretFile(secret_file("secret", content), "--password-file").read().reveal() == secret


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "secret-file.empty"),
        (b"\n", "secret-file.empty"),
        (b"\r\n", "secret-file.empty"),
        (b"x" * (MAX_SECRET_BYTES + 1), "secret-file.too-long"),
    ],
)
def test_empty_and_endless_files_are_refused(secret_file: Write, content: bytes, code: str) -> None:
    with pytest.raises(InputError) as caught:
        SecretFile(secret_file("secret", content), "--password-file").read()
    assert caught.value.code == code


def test_an_endless_file_is_not_read_to_its_end() -> None:
    with pytest.raises(InputError) as caught:
        SecretFile("/dev/zero", "--password-file").read()
    assert caught.value.code == "secret-file.too-long"


def test_text_that_is_not_utf_8_is_refused_without_showing_it(secret_file: Write) -> None:
    with pytest.raises(InputError) as caught:
        SecretFile(secret_file("secret", b"abandon \xff"), "--mnemonic-file").read_text()
    assert caught.value.code == "secret-file.not-text"
    assert caught.value.__cause__ is None
    assert "abandon" not in str(caught.value)


@pytest.mark.parametrize("path", ["missing", ".", "a\0b"])
def test_files_that_cannot_be_read_are_named(tmp_path: Path, path: str) -> None:
    with pytest.raises(InputError) as caught:
        SecretFile(str(tmp_path / path), "--password-file").read()
    assert caught.value.code == "secret-file.unreadable"
    assert caught.value.hint == "see what --password-file names"


def test_a_file_that_others_can_read_is_warned_of(cli: Cli, secret_file: Write, home: Path) -> None:
    path = secret_file("open", PASSWORD)
    os.chmod(path, 0o644)
    words = secret_file("words", MNEMONIC)
    done = cli("wallet", "restore", "--mnemonic-file", words, "--password-file", path, *FAST_KDF, home=home)
    assert done.code == 0
    assert f"warning: {path} can be read by others (mode 0644)" in done.stderr
    assert words not in done.stderr


def test_a_secret_comes_through_standard_input(answer: Answer, secret_file: Write, home: Path) -> None:
    password = secret_file("password", PASSWORD)
    made = answer(
        "wallet", "restore", "--mnemonic-file", "-", "--password-file", password, *FAST_KDF,
        home=home, stdin=f"{MNEMONIC}\n".encode(),
    )  # fmt: skip
    assert made["wallet"]["word_count"] == 12


def test_a_secret_comes_through_a_named_pipe(answer: Answer, wallet: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    if os.fork() == 0:
        pipe.write_text(PASSWORD + "\n")
        os._exit(0)
    assert answer("identity", "list", "--password-file", str(pipe), home=wallet) == {"identities": []}
    os.wait()


def test_only_one_secret_may_be_standard_input(answer: Answer, home: Path) -> None:
    error = answer("wallet", "restore", "--mnemonic-file", "-", "--password-file", "-", home=home, code=2)["error"]
    assert error["code"] == "stdin.taken"
    assert not home.exists()


def test_options_without_a_verb_that_needs_them_are_refused(answer: Answer, password: tuple[str, str]) -> None:
    assert answer("relay", "list", *password, code=2)["error"]["code"] == "usage.no-such-option"
