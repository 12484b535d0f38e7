"""Files kept at a provider from the shell, on a real node."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Answer
from tests.conftest import NodeProcess, Run, clean_environment

Cli = Callable[..., Run]
Password = tuple[str, str]


@pytest.fixture
def bound(answer: Answer, wallet: Path, node: NodeProcess, password: Password, tmp_path: Path) -> Path:
    """A home whose identity `alice` is bound, with an exit kit in a directory."""
    answer("identity", "create", "alice", *password, home=wallet)
    answer("provider", "bind", "alice", node.address, "--kit", str(tmp_path / "kit"), *password, home=wallet)
    return wallet


@pytest.fixture
def letter(tmp_path: Path) -> str:
    path = tmp_path / "letter.txt"
    path.write_bytes(b"dear all\n")
    return str(path)


def test_put_list_get_remove(
    answer: Answer, cli: Cli, bound: Path, letter: str, node: NodeProcess, password: Password, tmp_path: Path
) -> None:
    stored = answer("data", "put", "alice", letter, *password, home=bound)
    assert (stored["item"]["name"], stored["item"]["bytes"], stored["new"]) == ("letter.txt", 9, True)
    assert stored["provider"] == node.address
    assert [(kit["place"], kit["complete"]) for kit in stored["kits"]] == [(str(tmp_path / "kit"), True)]
    listed = answer("data", "list", "alice", *password, home=bound)
    assert [item["name"] for item in listed["items"]] == ["letter.txt"]
    assert (listed["source"], listed["unfinished"], listed["faults"]) == (node.address, [], [])
    out = str(tmp_path / "copy")
    fetched = answer("data", "get", "alice", "letter.txt", "--out", out, *password, home=bound)
    assert (fetched["file"], Path(out).read_bytes()) == (out, b"dear all\n")
    assert Path(out).stat().st_mode & 0o777 == 0o600
    text = cli("data", "list", "alice", *password, home=bound).stdout
    assert text.splitlines()[1].startswith("letter.txt  9 bytes  20")
    assert answer("data", "remove", "alice", "letter.txt", *password, home=bound)["removed_item"]
    assert cli("data", "list", "alice", *password, home=bound).stdout.splitlines()[0] == "no files"


def test_what_is_there_is_not_written_over_unasked(
    answer: Answer, bound: Path, letter: str, password: Password, tmp_path: Path
) -> None:
    answer("data", "put", "alice", letter, *password, home=bound)
    out = tmp_path / "out"
    out.write_text("mine")
    error = answer("data", "get", "alice", "letter.txt", "--out", str(out), *password, home=bound, code=3)
    assert error["error"]["code"] == "file.exists"
    assert out.read_text() == "mine"
    answer("data", "get", "alice", "letter.txt", "--out", str(out), "--replace", *password, home=bound)
    assert out.read_text() == "dear all\n"
    Path(letter).write_text("other")
    error = answer("data", "put", "alice", letter, *password, home=bound, code=3)
    assert error["error"]["code"] == "data.exists"
    assert answer("data", "put", "alice", letter, "--replace", *password, home=bound)["replaced"]


def test_a_file_goes_to_a_pipe_only_when_asked(
    answer: Answer, cli: Cli, bound: Path, letter: str, password: Password
) -> None:
    answer("data", "put", "alice", letter, *password, home=bound)
    assert cli("data", "get", "alice", "letter.txt", "--out", "-", *password, home=bound).stdout == "dear all\n"
    error = answer("data", "get", "alice", "letter.txt", "--out", "-", *password, home=bound, code=2)
    assert error["error"]["code"] == "data.output-taken"


def test_a_file_is_not_written_to_a_terminal(
    answer: Answer, bound: Path, letter: str, password: Password, on_terminal: Callable[..., object]
) -> None:
    answer("data", "put", "alice", letter, *password, home=bound)
    child = on_terminal("--home", str(bound), "data", "get", "alice", "letter.txt", "--out", "-", *password)
    child.expect("not written to a terminal")  # type: ignore[attr-defined]


def test_without_out_the_file_lands_under_its_name_here(
    answer: Answer, bound: Path, letter: str, password: Password, tmp_path: Path
) -> None:
    answer("data", "put", "alice", letter, "--name", "Brief", *password, home=bound)
    here = tmp_path / "here"
    here.mkdir()
    environment = clean_environment(HOME=str(tmp_path / "user"), XDG_RUNTIME_DIR=str(tmp_path / "run"))
    command = [sys.executable, "-m", "walletcli", "--home", str(bound), "data", "get", "alice", "Brief", *password]
    subprocess.run(command, cwd=here, env=environment, check=True, capture_output=True)
    assert os.listdir(here) == ["Brief"]


@pytest.mark.parametrize(
    ("arguments", "code", "exit_code"),
    [
        (("get", "alice", "nothing"), "data.unknown", 3),
        (("get", "alice", "../../x"), "data.name", 3),
        (("remove", "alice", "nothing"), "data.unknown", 3),
        (("put", "alice", "/nowhere/file"), "file.missing", 3),
        (("put", "alice", "/"), "data.name", 3),
        (("list", "nobody"), "identity.unknown", 3),
    ],
)
def test_what_cannot_be_done_says_why(
    answer: Answer, bound: Path, password: Password, arguments: tuple[str, ...], code: str, exit_code: int
) -> None:
    error = answer("data", *arguments, *password, home=bound, code=exit_code)
    assert error["error"]["code"] == code
    assert error["error"]["hint"]


def test_offline_lists_what_was_seen_and_stores_nothing(
    answer: Answer, cli: Cli, bound: Path, letter: str, password: Password
) -> None:
    answer("data", "put", "alice", letter, *password, home=bound)
    listed = answer("--offline", "data", "list", "alice", *password, home=bound)
    assert (listed["source"], [item["name"] for item in listed["items"]]) == (None, ["letter.txt"])
    error = answer("--offline", "data", "put", "alice", letter, "--name", "b", *password, home=bound, code=7)
    assert error["error"]["code"] == "network.offline"
    assert cli("--offline", "data", "get", "alice", "letter.txt", "--out", "-", *password, home=bound).code == 0


def test_a_dead_provider_is_told_and_the_exit_kit_is_read(
    answer: Answer, cli: Cli, bound: Path, letter: str, node: NodeProcess, password: Password, tmp_path: Path
) -> None:
    answer("data", "put", "alice", letter, *password, home=bound)
    node.kill()
    fetched = answer("data", "get", "alice", "letter.txt", "--out", str(tmp_path / "c"), *password, home=bound)
    assert fetched["source"] == str(tmp_path / "kit")
    error = answer("data", "put", "alice", letter, "--name", "more", *password, home=bound, code=7)
    assert error["error"]["code"] == "host.unreachable"
