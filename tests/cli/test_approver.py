"""Approvers from the shell: the real program over a stand-in for hidapi, and a real node; the true HID stack is
`make test-hid`.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cbor2
import pytest

from tests.cli.conftest import MNEMONIC, Do, Keys, error_of
from tests.conftest import FAST_KDF, NodeProcess, Run

Options = tuple[str, str]


@pytest.fixture
def alice(do: Do, password: Options, node: NodeProcess) -> str:
    """Publish alice at a node, and return the node's address."""
    do("identity", "create", "alice", *password)
    do("publish", "alice", "--relay", node.url, *password)
    return node.url


@pytest.fixture
def guarded(do: Do, keys: Keys, alice: str, password: Options, pin: Options) -> str:
    """Have a key approve for alice, and return the node's address."""
    keys("blue")
    do("identity", "approver", "add", "alice", "--name", "blue", *password, *pin)
    do("publish", "alice", "--relay", alice, *password, *pin)
    return alice


def approvers(do: Do, password: Options) -> list[tuple[str, str]]:
    found = do("identity", "approver", "list", "alice", *password)["approvers"]
    return [(item["name"], item["state"]) for item in found]


def test_a_key_becomes_an_approver_with_the_next_publish(
    do: Do, keys: Keys, alice: str, password: Options, pin: Options
) -> None:
    keys("blue")
    assert do("identity", "approver", "list", "alice", *password)["approvers"] == []
    added = do("identity", "approver", "add", "alice", "--name", "blue", *password, *pin)
    assert (added["threshold"], added["delay_days"], added["waits"]) == (1, 30, True)
    assert added["approvers"][0]["algorithm"] == "EdDSA"
    assert approvers(do, password) == [("blue", "to-be-added")]
    do("publish", "alice", "--relay", alice, *password)  # the first time, nobody has to approve
    assert approvers(do, password) == [("blue", "in-force")]
    found = do("resolve", "alice", "--relay", alice, *password)
    assert found["document"]["approvers"]["threshold"] == 1
    assert any("1 of 1 must approve" in said for said in found["verified"])


def test_what_is_published_then_needs_a_touch_and_a_pin(
    do: Do, keys: Keys, guarded: str, password: Options, pin: Options, secret_file: Callable[..., str]
) -> None:
    do("identity", "set", "alice", "name", "Alice", "--public", *password)
    path = keys("blue", touches="never")
    path.rename(path.with_suffix(".away"))
    assert error_of(do("publish", "alice", "--relay", guarded, *password, *pin, code=6)) == "approver.not-here"
    keys("red")
    assert error_of(do("publish", "alice", "--relay", guarded, *password, *pin, code=6)) == "approver.not-here"
    path.with_suffix(".away").rename(path)
    keys("blue", touches="at-once")
    wrong = secret_file("wrong", "0000")
    bad = do("publish", "alice", "--relay", guarded, *password, "--pin-file", wrong, code=6)
    assert error_of(bad) == "key.pin-wrong"
    published = do("publish", "alice", "--relay", guarded, *password, *pin)
    assert published["new"]
    assert do("resolve", "alice", "--relay", guarded, *password)["document"]["profile"] == {"name": "Alice"}


def test_trouble_with_the_key_signs_nothing_and_can_be_mended(
    do: Do, keys: Keys, guarded: str, password: Options, pin: Options
) -> None:
    before = do("resolve", "alice", "--relay", guarded, *password)["seq"]
    do("identity", "set", "alice", "name", "Alice", "--public", *password)
    for behaviour, code in (({"pulled_when_touched": True}, "key.removed"), ({"tries": 0}, "key.locked-out")):
        keys("blue", **behaviour)
        assert error_of(do("publish", "alice", "--relay", guarded, *password, *pin, code=6)) == code
        keys("blue", pulled_when_touched=False, tries=8)
    assert do("resolve", "alice", "--relay", guarded, *password)["seq"] == before
    do("publish", "alice", "--relay", guarded, *password, *pin)


def test_a_stolen_laptop_with_an_open_vault_moves_nothing(
    do: Do, run: Callable[..., Run], keys: Keys, guarded: str, wallet: Path, tmp_path: Path,
    password: Options, pin: Options, answer: Callable[..., dict[str, Any]], secret_file: Callable[..., str],
) -> None:  # fmt: skip
    """The thief has the vault open, so the root signs what they like; the key is on its owner's key ring."""
    friend = tmp_path / "friend"
    did = do("identity", "show", "alice", *password)["did"]
    words = secret_file("friends", "zoo " * 11 + "wrong")
    answer("wallet", "restore", "--mnemonic-file", words, *password, *FAST_KDF, home=friend)
    seen = answer("resolve", did, "--relay", guarded, *password, home=friend)
    keys("blue").unlink()
    do("identity", "set", "alice", "name", "Thief", "--public", *password)
    assert error_of(do("publish", "alice", "--relay", guarded, *password, *pin, code=6)) == "approver.not-here"
    gone = do("identity", "approver", "remove", "alice", "blue", "--lost", *password)
    assert (gone["lost"], gone["threshold"]) == (True, 0)
    refused = do("publish", "alice", "--relay", guarded, *password, code=9)
    assert error_of(refused) == "publish.short"
    assert "approval.missing" in refused["error"]["message"]
    again = answer("resolve", did, "--relay", guarded, *password, home=friend)
    assert again["seq"] == seen["seq"]
    dumb = tmp_path / "stolen.record"
    do("record", "export", "alice", str(dumb), *password)
    assert answer("record", "verify", str(dumb))["seq"] > seen["seq"]


def test_a_naive_relay_that_takes_the_thiefs_record_does_not_move_a_friend(
    do: Do, keys: Keys, guarded: str, tmp_path: Path, password: Options, pin: Options,
    answer: Callable[..., dict[str, Any]], secret_file: Callable[..., str],
    node_factory: Callable[..., NodeProcess],
) -> None:  # fmt: skip
    friend, naive = tmp_path / "friend", node_factory("naive", "--no-limits").url
    did = do("identity", "show", "alice", *password)["did"]
    answer("wallet", "restore", "--mnemonic-file", secret_file("friends", "zoo " * 11 + "wrong"), *password, *FAST_KDF,
           home=friend)  # fmt: skip
    seen = answer("resolve", did, "--relay", guarded, *password, home=friend)
    keys("blue").rename(tmp_path / "blue.away")
    do("identity", "approver", "remove", "alice", "blue", "--lost", *password)
    do("publish", "alice", "--relay", naive, *password)
    found = answer("resolve", did, "--relay", naive, *password, home=friend)
    assert (found["seq"], found["freshness"]) == (seen["seq"], "newest-known")
    assert found["refused"]["last_day"] is not None
    assert found["sources"][0]["outcome"] == "unapproved"


def test_a_second_key_is_added_with_the_first_ones_approval_and_then_approves_alone(
    do: Do, keys: Keys, guarded: str, password: Options, pin: Options
) -> None:
    keys("red")
    do("identity", "approver", "add", "alice", "--name", "red", "--key", "serial-red", *password, *pin)
    red = keys("red")
    red.rename(red.with_suffix(".away"))
    do("publish", "alice", "--relay", guarded, *password, *pin)
    red.with_suffix(".away").rename(red)
    keys("blue").unlink()
    do("identity", "set", "alice", "name", "Alice", "--public", *password)
    do("publish", "alice", "--relay", guarded, *password, *pin)
    do("identity", "approver", "remove", "alice", "blue", *password)
    do("publish", "alice", "--relay", guarded, *password, *pin)
    assert approvers(do, password) == [("red", "in-force")]


def test_two_of_two_must_both_approve(do: Do, keys: Keys, guarded: str, password: Options, pin: Options) -> None:
    keys("red")
    do("identity", "approver", "add", "alice", "--key", "serial-red", "--threshold", "2", *password, *pin)
    do("publish", "alice", "--relay", guarded, *password, *pin)
    do("identity", "set", "alice", "name", "Alice", "--public", *password)
    red = keys("red")
    red.rename(red.with_suffix(".away"))
    assert error_of(do("publish", "alice", "--relay", guarded, *password, *pin, code=6)) == "approver.not-here"
    red.with_suffix(".away").rename(red)
    do("publish", "alice", "--relay", guarded, *password, *pin)


def test_one_key_for_two_identities_is_asked_about(
    do: Do, keys: Keys, guarded: str, password: Options, pin: Options
) -> None:
    do("identity", "create", "work", *password)
    refused = do("identity", "approver", "add", "work", *password, *pin, code=3)
    assert error_of(refused) == "link.would-link"
    assert "'alice'" in refused["error"]["message"]
    do("identity", "approver", "add", "work", "--accept-link", *password, *pin)
    keys("red")
    do("identity", "create", "third", *password)
    do("identity", "approver", "add", "third", "--key", "serial-red", *password, *pin)


BAD: list[tuple[tuple[str, ...], int, str]] = [
    (("remove", "alice", "green"), 3, "approver.unknown"),
    (("remove", "nobody", "blue"), 3, "identity.unknown"),
    (("add", "nobody"), 3, "identity.unknown"),
    (("add", "alice", "--key", "serial-none"), 2, "key.unknown"),
    (("add", "alice", "--name", " "), 3, "approver.name"),
    (("add", "alice", "--delay", "400"), 2, "usage.bad-parameter"),
    (("add", "alice", "--threshold", "0"), 2, "usage.bad-parameter"),
]


def test_bad_input_gets_an_error_of_ours(do: Do, guarded: str, password: Options, pin: Options) -> None:
    for arguments, status, code in BAD:
        assert error_of(do("identity", "approver", *arguments, *password, *pin, code=status)) == code
    again = do("identity", "approver", "add", "alice", *password, *pin, code=6)
    assert error_of(again) == "key.already-enrolled"


def test_a_key_without_a_pin_is_an_approver_only_if_that_is_said(
    do: Do, keys: Keys, alice: str, password: Options
) -> None:
    keys("bare", pin=None)
    assert error_of(do("identity", "approver", "add", "alice", *password, code=6)) == "key.pin-not-set"
    added = do("identity", "approver", "add", "alice", "--no-pin", *password)
    assert added["approvers"][0]["pin"] is False


def test_the_words_alone_bring_back_how_the_key_is_asked(
    do: Do, keys: Keys, guarded: str, wallet: Path, tmp_path: Path, password: Options, pin: Options,
    secret_file: Callable[..., str],
) -> None:  # fmt: skip
    shutil.rmtree(wallet)
    do("wallet", "restore", "--mnemonic-file", secret_file("words", MNEMONIC), *password, *FAST_KDF)
    blue = keys("blue")
    blue.rename(blue.with_suffix(".away"))
    waiting = do("wallet", "recover", "--relay", guarded, "--sources", "1", "--yes", *password, *pin, code=11)
    assert "approver.not-here" in json.dumps(waiting)  # the new device is enrolled only with the key
    blue.with_suffix(".away").rename(blue)
    do("wallet", "recover", "--yes", *password, *pin)
    assert approvers(do, password) == [("blue", "in-force")]
    do("publish", "alice", "--relay", guarded, *password, *pin)


def test_the_agent_does_not_change_approvers(do: Do, keys: Keys, alice: str, password: Options, pin: Options) -> None:
    """Any program of the user may ask the agent; approvers are changed by whoever opens the vault."""
    keys("blue")
    do("wallet", "unlock", *password)
    refused = do("identity", "approver", "add", "alice", *pin, code=2)
    assert error_of(refused) == "terminal.missing"
    do("identity", "approver", "add", "alice", *password, *pin)
    do("publish", "alice", "--relay", alice, *pin)
    do("identity", "set", "alice", "name", "Alice", "--public")
    do("publish", "alice", "--relay", alice, *pin)
    do("wallet", "lock")


def test_a_contact_export_counts_only_with_the_approval_for_who_knows_the_approvers(
    do: Do, keys: Keys, guarded: str, tmp_path: Path, password: Options, pin: Options,
    answer: Callable[..., dict[str, Any]], secret_file: Callable[..., str],
) -> None:  # fmt: skip
    friend, file = tmp_path / "friend", tmp_path / "contacts"
    did = do("identity", "show", "alice", *password)["did"]
    answer("wallet", "restore", "--mnemonic-file", secret_file("friends", "zoo " * 11 + "wrong"), *password, *FAST_KDF,
           home=friend)  # fmt: skip
    answer("identity", "create", "friend", *password, home=friend)
    answer("resolve", did, "--relay", guarded, *password, home=friend)
    blue = keys("blue")
    blue.rename(blue.with_suffix(".away"))
    export = ("contact", "export", str(file), "--open", *password, *pin)
    assert error_of(do(*export, code=6)) == "approver.not-here"
    assert not file.exists()
    blue.with_suffix(".away").rename(blue)
    do(*export)
    take = ("contact", "import", "--relay", guarded, *password)
    answer(*take, str(file), home=friend)
    magic, body = file.read_bytes()[:27], cbor2.loads(file.read_bytes()[27:])
    (approval,) = body[3]
    for number, wrong in enumerate(([], [[*approval[:5], bytes(64)]])):
        forged = tmp_path / f"forged-{number}"
        forged.write_bytes(magic + cbor2.dumps([*body[:3], *([wrong] if wrong else [])], canonical=True))
        assert error_of(answer(*take, str(forged), home=friend, code=4)) == "approval.missing"
