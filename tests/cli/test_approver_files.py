"""Approvals that travel as files, from the shell: the owner's machine, and those of people who hold keys."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Do, Keys, error_of
from tests.cli.test_key import ended, on_terminal
from tests.conftest import NodeProcess

Options = tuple[str, str]


class Desk:
    """Keys that are put into a machine by name, and files between people.

    Args:
        keys: plugs a device in.
        directory: for files.
    """

    def __init__(self, keys: Keys, directory: Path) -> None:
        self.keys, self.directory = keys, directory
        self.away = directory / "away"
        self.away.mkdir()

    def put(self, *names: str) -> None:
        """Plug exactly these keys in."""
        for path in (self.directory / "keys").glob("*.json"):
            path.rename(self.away / path.name)
        for name in names:
            kept = self.away / f"{name}.json"
            if kept.exists():
                shutil.move(kept, self.directory / "keys" / kept.name)
            else:
                self.keys(name)

    def file(self, name: str) -> str:
        return str(self.directory / name)


@pytest.fixture
def desk(keys: Keys, tmp_path: Path) -> Desk:
    return Desk(keys, tmp_path)


@pytest.fixture
def friend(tmp_path: Path) -> Path:
    """Somebody without a wallet."""
    return tmp_path / "nobody"


def words_of(document: dict[str, Any]) -> str:
    return " ".join(document["request"]["digest_words"])


def test_an_editor_approves_at_their_own_desk_and_a_friend_lends_a_key(
    do: Do, desk: Desk, friend: Path, node: NodeProcess, password: Options, pin: Options
) -> None:
    there = ("--home", str(friend))
    do("identity", "create", "alice", *password)
    do("publish", "alice", "--relay", node.url, *password)
    desk.put("ada")
    do("identity", "approver", "add", "alice", "--name", "ada", *password, *pin)

    # bob's key becomes an approver, and never comes to this machine
    invited = do("identity", "approver", "invite", "alice", "--out", desk.file("for-bob"), *password)
    desk.put("bob")
    offer = ("identity", "approver", "offer", desk.file("for-bob"), "--out", desk.file("offer"), *pin)
    assert error_of(do(*offer, "--yes", *there, code=2)) == "request.digest-needed"
    assert error_of(do(*offer, "--yes", "--digest", "one two", *there, code=6)) == "request.digest"
    offered = do(*offer, "--yes", "--digest", words_of(invited), *there)
    add = ("identity", "approver", "add", "alice", "--offer", desk.file("offer"), "--threshold", "2", *password)
    assert error_of(do(*add, code=2)) == "approver.name-needed"
    assert error_of(do(*add, "--name", "bob", code=2)) == "terminal.missing"
    assert error_of(do(*add, "--name", "bob", "--digest", "one two", code=6)) == "response.digest-typed"
    added = do(*add, "--name", "bob", "--digest", " ".join(offered["answer_words"]))
    assert [item["name"] for item in added["approvers"]] == sorted(
        ["ada", "bob"], key=lambda name: next(i["key"] for i in added["approvers"] if i["name"] == name)
    )
    do("publish", "alice", "--relay", node.url, *password, *pin)

    # the owner touches one key, bob another
    do("identity", "set", "alice", "name", "Alice", "--public", *password)
    desk.put("ada")
    publish = ("publish", "alice", "--relay", node.url, *password, *pin)
    stopped = do(*publish, code=6)
    assert "1 of 2 are kept" in stopped["error"]["hint"]
    (waiting,) = do("identity", "show", "alice", *password)["approvals"]
    assert (waiting["given"], waiting["missing"], waiting["state"]) == (["ada"], ["bob"], "waiting")
    asked = do("identity", "approver", "ask", "alice", "--for", "bob", "--out", desk.file("request"), *password)
    assert do("wallet", "status", *password)["wallet"]["approvals"][-1]["given"] == ["ada"]
    assert len(do("identity", "approver", "list", "alice", *password)["waiting"]) == 2
    assert {item["state"] for item in do("request", "list", *password)["requests"]} == {"waiting", "applied"}
    shown = do("identity", "approver", "show", desk.file("request"), *there)
    assert "public name = Alice (new)" in shown["request"]["items"][0]["lines"]
    desk.put("bob")
    approve = ("identity", "approver", "approve", desk.file("request"), "--out", desk.file("approval"), *pin)
    do(*approve, "--yes", "--digest", words_of(asked), *there)
    assert not friend.exists()
    desk.put()
    applied = do("identity", "approver", "apply", desk.file("approval"), *password)
    assert (applied["taken"], applied["complete"]) == (["bob"], True)
    assert do(*publish)["new"]
    assert error_of(do("identity", "approver", "apply", desk.file("approval"), *password, code=4)) == "response.applied"
    assert do("resolve", "alice", "--relay", node.url, *password)["document"]["profile"] == {"name": "Alice"}

    # what is cancelled is over
    do("identity", "set", "alice", "name", "Alicia", "--public", *password)
    do("identity", "approver", "ask", "alice", "--out", desk.file("late"), *password)
    assert len(do("identity", "approver", "cancel", "alice", *password)["cancelled"]) == 1
    assert error_of(do("identity", "approver", "cancel", "alice", *password, code=3)) == "approver.nothing-waits"


def test_an_export_waits_for_the_key_that_is_elsewhere(
    do: Do, desk: Desk, friend: Path, node: NodeProcess, password: Options, pin: Options
) -> None:
    there = ("--home", str(friend))
    do("identity", "create", "alice", *password)
    do("publish", "alice", "--relay", node.url, *password)
    desk.put("ada")
    do("identity", "approver", "add", "alice", "--name", "ada", *password, *pin)
    do("publish", "alice", "--relay", node.url, *password)
    desk.put()
    export = ("contact", "export", desk.file("contacts"), "--open", *password, *pin)
    assert error_of(do(*export, code=6)) == "approver.not-here"
    asked = do("identity", "approver", "ask", "alice", "--contacts", "--out", desk.file("request"), *password)
    assert asked["waiting"]["kind"] == "contacts"
    desk.put("ada")
    approve = ("identity", "approver", "approve", desk.file("request"), "--out", desk.file("approval"), *pin)
    do(*approve, "--yes", "--digest", words_of(asked), *there)
    desk.put()
    assert do("identity", "approver", "apply", desk.file("approval"), *password)["complete"]
    do(*export)
    assert Path(desk.file("contacts")).exists()
    assert do("identity", "show", "alice", *password)["approvals"] == []


BAD = [
    (("apply", "nothing"), 3, "file.missing"),
    (("show", "nothing"), 3, "file.missing"),
    (("ask", "nobody", "--out", "x"), 3, "identity.unknown"),
    (("ask", "alice", "--out", "x"), 3, "approver.none"),
    (("invite", "nobody", "--out", "x"), 3, "identity.unknown"),
    (("invite", "alice", "--out", "x", "--days", "91"), 2, "usage.bad-parameter"),
    (("cancel", "alice"), 3, "approver.nothing-waits"),
]


def test_bad_input_gets_an_error_of_ours(do: Do, password: Options) -> None:
    do("identity", "create", "alice", *password)
    for arguments, status, code in BAD:
        assert error_of(do("identity", "approver", *arguments, *password, code=status)) == code


def test_at_a_terminal_the_next_key_is_asked_for_and_leaving_loses_nothing(
    do: Do, desk: Desk, wallet: Path, environment: dict[str, str], friend: Path, node: NodeProcess,
    password: Options, pin: Options,
) -> None:  # fmt: skip
    do("identity", "create", "alice", *password)
    do("publish", "alice", "--relay", node.url, *password)
    for number, name in enumerate(("ada", "bob"), 1):
        desk.put(name)
        threshold = ("--threshold", str(number))
        do("identity", "approver", "add", "alice", "--name", name, *threshold, *password, *pin)
    do("publish", "alice", "--relay", node.url, *password)
    do("identity", "set", "alice", "name", "Alice", "--public", *password)
    desk.put("ada")
    publish = ("publish", "alice", "--relay", node.url, *password, *pin)
    child = on_terminal(wallet, environment, *publish)
    child.expect_exact("1 of 2 approvals; plug in another of: bob; Ctrl-C keeps what is there.")
    child.sendintr()
    assert ended(child) == 130
    desk.put()
    child = on_terminal(wallet, environment, *publish)
    child.expect_exact("The next touch approves:")
    child.expect_exact("public name = Alice (new)")
    child.expect_exact("1 of 2 approvals; plug in another of: bob; Ctrl-C keeps what is there.")
    desk.put("bob")
    child.expect_exact("Touch Key bob now.")
    assert ended(child) == 0
    assert do("resolve", "alice", "--relay", node.url, *password)["document"]["profile"] == {"name": "Alice"}

    do("identity", "set", "alice", "name", "Alicia", "--public", *password)
    asked = do("identity", "approver", "ask", "alice", "--for", "bob", "--out", desk.file("request"), *password)
    approve = ("identity", "approver", "approve", desk.file("request"), "--out", desk.file("approval"), *pin)
    child = on_terminal(friend, environment, *approve)
    child.expect_exact(" ".join(asked["request"]["digest_words"]))
    child.expect_exact("public name = Alicia (changed)")
    child.expect_exact("Does the machine that made the request show the same words?")
    child.sendline("y")
    child.expect_exact("Approve item 1?")
    child.sendline("n")
    assert ended(child) == 2
    assert not Path(desk.file("approval")).exists()
