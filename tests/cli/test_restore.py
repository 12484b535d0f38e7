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


def test_who_has_a_dead_provider_is_told_how_to_leave_it_and_that_nobody_knows_what_it_had(
    answer: Answer, cli: Cli, wallet: Path, lost: tuple[Path, Options], node: NodeProcess,
    node_factory: Callable[..., NodeProcess], password: Options,
) -> None:  # fmt: skip
    """The look-up alone would say the same for ever."""
    home, options = lost
    relay = node_factory("relay", "--no-limits", "--hosting", "open")
    answer("publish", "alice", "--relay", relay.address, *password, home=wallet)
    node.kill()
    done = cli("wallet", "restore", *options, "--relay", relay.address, "--sources", "1", home=home)
    assert done.code == 11
    assert "walletcli provider migrate alice ADDRESS" in done.stderr.splitlines()[-1]
    moved = cli("provider", "migrate", "alice", relay.address, *password, home=home)
    assert moved.code == 11, moved.stderr
    assert "UNKNOWN" in moved.stdout


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


@pytest.mark.parametrize("is_plugged_in", [True, False])
def test_a_kit_that_is_not_at_hand_after_a_restore_is_named_and_one_that_is_not(
    answer: Answer, cli: Cli, wallet: Path, node: NodeProcess, password: Options, secret_file: Callable[..., str],
    tmp_path: Path, is_plugged_in: bool,
) -> None:  # fmt: skip
    stick = tmp_path / "stick"
    answer("identity", "create", "alice", *password, home=wallet)
    answer("provider", "bind", "alice", node.address, "--kit", str(stick), *password, home=wallet)
    answer("sync", "alice", *password, home=wallet)
    if not is_plugged_in:
        stick.rename(tmp_path / "in a drawer")
    words = ("--mnemonic-file", secret_file("paper", MNEMONIC), *password, *FAST_KDF, "--yes")
    done = cli("wallet", "restore", *words, "--relay", node.address, "--sources", "1", home=tmp_path / "new")
    assert done.code == 0, done.stderr
    said = f"the exit kit of alice in {stick} is not at hand"
    assert (said in done.stderr) is not is_plugged_in


def test_a_hint_names_an_identity_so_that_the_shell_takes_it_as_one_word(
    answer: Answer, wallet: Path, password: Options
) -> None:
    answer("identity", "create", "my work", *password, home=wallet)
    error = answer("data", "list", "my work", *password, home=wallet, code=3)["error"]
    assert error["hint"].endswith("walletcli provider bind 'my work' ADDRESS")
