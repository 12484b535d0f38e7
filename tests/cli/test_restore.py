"""A restore from the shell that cannot come to its end: each hint leads on, and nothing that was mistyped stays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import MNEMONIC, Answer
from tests.conftest import FAST_KDF, NodeProcess, Run

Cli = Callable[..., Run]
Options = tuple[str, ...]


@pytest.fixture
def lost(
    answer: Answer, wallet: Path, node: NodeProcess, password: Options, secret_file: Callable[..., str], tmp_path: Path
) -> tuple[Path, Options]:
    """The home that is to come, and the options of its restore: `alice` was published on one node."""
    answer("identity", "create", "alice", *password, home=wallet)
    answer("provider", "bind", "alice", node.address, "--no-kit", *password, home=wallet)
    words = secret_file("paper", MNEMONIC)
    return tmp_path / "new", ("--mnemonic-file", words, *password, *FAST_KDF, "--yes")


def test_one_who_knows_too_few_relays_is_told_what_brings_the_restore_on(
    answer: Answer, cli: Cli, lost: tuple[Path, Options], node: NodeProcess, password: Options
) -> None:
    home, options = lost
    done = cli("wallet", "restore", *options, "--relay", node.address, home=home)
    assert done.code == 11
    assert "--sources N" in done.stderr.splitlines()[-1]
    error = answer("publish", "alice", "--relay", node.address, *password, home=home, code=6)["error"]
    assert error["code"] == "identity.unseen"
    assert "walletcli wallet recover" in error["hint"]
    synced = cli("sync", *password, home=home)
    assert (synced.code, synced.stdout) == (0, "no identity to bring in step\n")
    assert "alice: restored, and not looked up far enough yet" in synced.stderr
    answer("wallet", "recover", *password, "--yes", "--sources", "1", home=home)
    answer("publish", "alice", *password, home=home)
    assert "restored" not in cli("sync", *password, home=home).stderr


def test_a_kit_directory_that_is_not_there_is_refused_before_it_is_remembered(
    answer: Answer, lost: tuple[Path, Options], node: NodeProcess, password: Options, tmp_path: Path
) -> None:
    home, options = lost
    where = ("--relay", node.address, "--sources", "1")
    answer("wallet", "restore", *options, *where, "--kit", str(tmp_path / "stikc"), home=home, code=2)
    assert not home.exists()
    answer("wallet", "restore", *options, *where, home=home)
    answer("wallet", "recover", *password, "--yes", "--kit", str(tmp_path / "stikc"), home=home, code=2)
    answer("wallet", "recover", *password, "--yes", home=home)


def test_a_hint_names_an_identity_so_that_the_shell_takes_it_as_one_word(
    answer: Answer, wallet: Path, password: Options
) -> None:
    answer("identity", "create", "my work", *password, home=wallet)
    error = answer("data", "list", "my work", *password, home=wallet, code=3)["error"]
    assert error["hint"].endswith("walletcli provider bind 'my work' ADDRESS")
