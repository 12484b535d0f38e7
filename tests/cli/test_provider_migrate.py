"""Migration from the shell, on real nodes, one of which is killed."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Answer
from tests.conftest import NodeProcess, Run, clean_environment

Cli = Callable[..., Run]
Password = tuple[str, str]
Nodes = Callable[..., NodeProcess]
HOSTS = ("--no-limits", "--hosting", "open")


@pytest.fixture
def old(node_factory: Nodes) -> NodeProcess:
    return node_factory("old", *HOSTS)


@pytest.fixture
def new(node_factory: Nodes) -> NodeProcess:
    return node_factory("new", *HOSTS)


@pytest.fixture
def alice(answer: Answer, wallet: Path, old: NodeProcess, password: Password, tmp_path: Path) -> str:
    """An identity that is bound, with an exit kit and a letter; its did."""
    did = str(answer("identity", "create", "alice", *password, home=wallet)["did"])
    answer("provider", "bind", "alice", old.address, "--kit", str(tmp_path / "kit"), *password, home=wallet)
    (tmp_path / "letter").write_text("dear")
    answer("data", "put", "alice", str(tmp_path / "letter"), *password, home=wallet)
    return did


def files_of(moved: dict[str, Any]) -> dict[str, str]:
    """Return the outcome of each file of a migration."""
    return {item["name"]: item["outcome"] for item in moved["report"]["items"] if item["kind"] == "file"}


def test_migrate_moves_everything_and_contacts_find_the_new_provider(
    answer: Answer, cli: Cli, wallet: Path, alice: str, old: NodeProcess, new: NodeProcess, password: Password,
    tmp_path: Path,
) -> None:  # fmt: skip
    moved = answer("provider", "migrate", "alice", new.address, *password, home=wallet)
    assert (moved["did"], moved["stage"]) == (alice, "done")
    assert (moved["from"]["provider"], moved["from"]["state"], moved["from"]["told"]) == (old.did, "agreed", True)
    assert moved["to"] == {"provider": new.did, "address": new.address}
    assert files_of(moved) == {"letter": "moved"}
    for node in (old, new):
        found = answer("resolve", alice, "--relay", node.address, home=tmp_path / "nobody")
        assert [binding["provider"] for binding in found["bindings"]] == [new.did]
    text = cli("provider", "migrate", "alice", new.address, *password, home=wallet)
    assert text.code == 0
    assert "letter:" in text.stdout


def test_what_only_a_dead_provider_had_is_named_and_the_exit_code_tells(
    answer: Answer, cli: Cli, wallet: Path, alice: str, old: NodeProcess, new: NodeProcess, password: Password,
    tmp_path: Path,
) -> None:  # fmt: skip
    (tmp_path / "kit").rename(tmp_path / "away")
    (tmp_path / "song").write_text("la la")
    cli("data", "put", "alice", str(tmp_path / "song"), *password, home=wallet)
    (tmp_path / "away").rename(tmp_path / "kit")
    old.kill()
    moved = answer("provider", "migrate", "alice", new.address, *password, home=wallet, code=11)
    assert moved["from"]["state"] == "dead"
    assert not moved["report"]["complete"]
    assert files_of(moved) == {"letter": "kit", "song": "lost"}
    assert len(moved["report"]["blobs"]["lost"]) == 1
    again = cli("provider", "migrate", "alice", new.address, *password, home=wallet)
    assert again.code == 11
    assert "LOST" in again.stdout
    assert "1 of 3 items are not back" in again.stderr


def test_a_migration_can_be_given_up(
    answer: Answer, cli: Cli, wallet: Path, alice: str, old: NodeProcess, node_factory: Nodes, password: Password,
    tmp_path: Path,
) -> None:  # fmt: skip
    small = node_factory("small")
    small.stop()
    (small.directory / "node.toml").write_text('[hosting]\npolicy = "open"\nquota_mib = 0\n')
    small = node_factory("small", "--no-limits")
    migrate = ("provider", "migrate", "alice")
    error = answer(*migrate, small.address, *password, home=wallet, code=7)["error"]
    assert error["code"] == "blob.quota"
    assert answer("publish", "alice", *password, home=wallet, code=3)["error"]["code"] == "migration.under-way"
    aborted = answer(*migrate, "--abort", *password, home=wallet)
    assert (aborted["stage"], aborted["signed"], aborted["forgotten"]) == ("aborted", True, True)
    assert answer(*migrate, "--abort", *password, home=wallet, code=3)["error"]["code"] == "migration.none"
    assert answer(*migrate, *password, home=wallet, code=3)["error"]["code"] == "migration.none"
    (view, *_) = answer("provider", "status", "alice", *password, home=wallet)["providers"]
    assert (view["provider"], view["host"]["state"]) == (old.did, "bound")


def test_what_is_given_up_goes_nowhere(
    answer: Answer, wallet: Path, alice: str, new: NodeProcess, password: Password
) -> None:
    error = answer("provider", "migrate", "alice", new.address, "--abort", *password, home=wallet, code=2)["error"]
    assert error["code"] == "migration.abort-address"


def test_whoever_interrupts_a_move_is_told_that_it_goes_on_when_run_again(
    wallet: Path, alice: str, password: Password
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        address = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        program = (sys.executable, "-m", "walletcli", "--home", str(wallet))
        process = subprocess.Popen(
            [*program, "provider", "migrate", alice, address, *password],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean_environment(),
        )  # fmt: skip
        deaf.settimeout(60)
        connection, _ = deaf.accept()  # it is under way, and waits for an answer
        with connection:
            process.send_signal(signal.SIGINT)
            _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "error: interrupted\nhint: run the same command again: it goes on where it was interrupted\n" in stderr
