"""``walletcli request`` and ``device enrol`` as processes; the cold side in a namespace without a network interface."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pexpect
import pytest

from tests.cli.conftest import Answer
from tests.cli.two_machines import Cold, Password, approve, ask, cold, cold_home, namespace, watch
from tests.conftest import FAST_KDF, NodeProcess, Run

__all__ = ["ask", "cold", "cold_home", "watch"]

CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], 9))"


def test_the_cold_side_runs_where_there_is_no_usable_interface() -> None:
    links = subprocess.run([*namespace(), "ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
    (loopback,) = links.splitlines()
    assert "lo:" in loopback
    assert "state DOWN" in loopback
    for address in ("127.0.0.1", "198.51.100.1"):
        done = subprocess.run(
            [*namespace(), sys.executable, "-c", CONNECT, address], capture_output=True, text=True, check=False
        )
        assert "unreachable" in done.stderr, "the namespace reaches something"


def test_an_identity_is_made_with_the_root_in_a_namespace_without_an_interface(
    answer: Answer, cold: Cold, ask: Callable[..., str], watch: Path, password: Password
) -> None:
    path = ask("--new", "alice", "--public", "name=Alice = A.", "--sealed", "phone=+1 555 0100")
    shown = cold("request", "show", path)["request"]
    (item,) = shown["items"]
    assert shown["by_root"] is True
    assert (item["kind"], item["index"], item["label"], item["alarms"], item["error"]) == (
        "create",
        0,
        "alice",
        [],
        None,
    )
    assert "public name = Alice = A." in item["lines"]
    assert "sealed phone" in item["lines"]
    assert not any("+1 555" in line for line in item["lines"])
    applied = answer("request", "apply", approve(cold, path), *password, home=watch)
    assert applied["to_publish"] == ["alice"]
    identity = answer("identity", "show", "alice", *password, home=watch)
    assert identity["did"] == item["did"] == applied["applied"][0]["did"]
    assert (identity["profile"], identity["sealed_profile"]) == ({"name": "Alice = A."}, {"phone": "+1 555 0100"})
    (held,) = cold("identity", "list")["identities"]
    assert (held["did"], held["label"]) == (identity["did"], "alice")


def test_the_digest_is_the_same_on_both_sides_and_in_the_list(
    answer: Answer, cold: Cold, ask: Callable[..., str], watch: Path, password: Password
) -> None:
    path = ask("--new", "alice")
    there = cold("request", "show", path)["request"]
    assert there["items"][0]["lines"]
    here = answer("request", "show", path, *password, home=watch)["request"]
    (listed,) = answer("request", "list", *password, home=watch)["requests"]
    assert there["digest"] == here["digest"] == listed["digest"]
    assert there["digest_words"] == here["digest_words"] == listed["digest_words"]
    assert (here["by_root"], listed["state"], listed["items"]) == (False, "waiting", ["create alice"])


@pytest.mark.parametrize("given", ["", "abandon " * 8, "0" * 64])
def test_without_the_right_digest_nothing_is_signed(
    cold: Cold, ask: Callable[..., str], tmp_path: Path, given: str
) -> None:
    path = ask("--new", "alice")
    out = tmp_path / "out"
    error = cold("request", "approve", path, "--out", str(out), "--yes", "--digest", given, code=6)["error"]
    assert error["code"] == "request.digest"
    error = cold("request", "approve", path, "--out", str(out), "--yes", code=2)["error"]
    assert error["code"] == "request.digest-needed"
    assert not out.exists()
    assert cold("identity", "list")["identities"] == []


def test_the_digest_may_be_given_in_digits_or_in_words_with_dashes(cold: Cold, ask: Callable[..., str]) -> None:
    path = ask("--new", "alice")
    shown = cold("request", "show", path)["request"]
    for number, given in enumerate((shown["digest"].upper(), "-".join(shown["digest_words"]))):
        out = f"{path}.{number}"
        cold("request", "approve", path, "--out", out, "--yes", "--digest", given)
        assert os.stat(out).st_mode & 0o777 == 0o600
    assert Path(f"{path}.0").read_bytes() == Path(f"{path}.1").read_bytes()


def test_without_a_terminal_nobody_is_asked(cold: Cold, ask: Callable[..., str], tmp_path: Path) -> None:
    path = ask("--new", "alice")
    error = cold("request", "approve", path, "--out", str(tmp_path / "out"), code=2)["error"]
    assert error["code"] == "terminal.missing"
    assert "--digest" in error["hint"]


def test_an_alarm_has_to_be_accepted_by_its_name(
    answer: Answer, cold: Cold, ask: Callable[..., str], watch: Path, password: Password, tmp_path: Path
) -> None:
    answer("request", "apply", approve(cold, ask("--new", "alice")), *password, home=watch)
    answer("identity", "retire", "alice", "--yes", *password, home=watch)
    path = ask("alice", name="b")
    shown = cold("request", "show", path)["request"]
    assert [alarm["name"] for alarm in shown["items"][0]["alarms"]] == ["retire"]
    digest = ("--yes", "--digest", shown["digest"])
    out = str(tmp_path / "out")
    error = cold("request", "approve", path, "--out", out, *digest, code=6)["error"]
    assert (error["code"], error["hint"]) == ("request.alarm", "if that is meant: --accept retire")
    error = cold("request", "approve", path, "--out", out, *digest, "--accept", "device", code=6)["error"]
    assert error["code"] == "request.alarm"
    cold("request", "approve", path, "--out", out, *digest, "--accept", "retire")
    answer("request", "apply", out, *password, home=watch)


def test_what_needs_the_root_ends_in_one_error_and_goes_on_after_the_trip(
    answer: Answer, cold: Cold, ask: Callable[..., str], watch: Path, password: Password, node: NodeProcess
) -> None:
    answer("request", "apply", approve(cold, ask("--new", "alice")), *password, home=watch)
    answer("publish", "alice", "--relay", node.url, *password, home=watch)
    answer("identity", "set", "alice", "name", "Alice", "--public", *password, home=watch)
    error = answer("publish", "alice", "--relay", node.url, *password, home=watch, code=6)["error"]
    assert error["code"] == "wallet.watch-only"
    assert error["hint"].startswith("walletcli request make alice --out FILE")
    answer("request", "apply", approve(cold, ask("alice", name="b")), *password, home=watch)
    published = answer("publish", "alice", "--relay", node.url, *password, home=watch)
    found = answer("resolve", published["did"], "--relay", node.url, home=watch)
    assert found["seq"] == published["seq"]
    assert found["document"]["profile"] == {"name": "Alice"}


def test_a_second_machine_is_enrolled_and_the_first_one_revoked(
    answer: Answer,
    cold: Cold,
    ask: Callable[..., str],
    watch: Path,
    password: Password,
    node: NodeProcess,
    tmp_path: Path,
) -> None:
    answer("request", "apply", approve(cold, ask("--new", "alice", "--sealed", "phone=1")), *password, home=watch)
    did = answer("publish", "alice", "--relay", node.url, *password, home=watch)["did"]
    laptop = tmp_path / "laptop"
    answer("wallet", "create", "--watch", *password, *FAST_KDF, home=laptop)
    path = str(tmp_path / "enrol.request")
    made = answer("device", "enrol", did, "--out", path, "--relay", node.url, *password, home=laptop)
    shown = cold("request", "show", path)["request"]
    assert shown["digest"] == made["request"]["digest"]
    assert (shown["items"][0]["kind"], shown["items"][0]["label"], shown["items"][0]["alarms"]) == (
        "enrol",
        "alice",
        [],
    )
    answer("request", "apply", approve(cold, path), *password, home=laptop)
    assert answer("identity", "show", "alice", *password, home=laptop)["sealed_profile"] == {"phone": "1"}
    answer("publish", "alice", "--relay", node.url, *password, home=laptop)
    devices = answer("device", "list", "alice", *password, home=laptop)["devices"]
    assert len(devices) == 2
    old = answer("identity", "show", "alice", *password, home=watch)["device"]["signing_key"]
    answer("device", "revoke", "alice", old, *password, home=laptop)
    path = ask("alice", name="revoke", home=laptop)
    (item,) = cold("request", "show", path)["request"]["items"]
    assert f"REMOVES the device {old[:16]}" in item["lines"]
    answer("request", "apply", approve(cold, path), *password, home=laptop)
    assert len(answer("device", "list", "alice", *password, home=laptop)["devices"]) == 1


def test_cards_and_contact_lists_are_signed_by_the_root(
    answer: Answer, cold: Cold, ask: Callable[..., str], watch: Path, password: Password, tmp_path: Path
) -> None:
    options = ("--new", "alice", "--public", "name=Alice", "--sealed", "phone=1")
    answer("request", "apply", approve(cold, ask(*options)), *password, home=watch)
    path = ask("--card", "alice", "--attribute", "phone", "--contacts", "alice", name="b")
    shown = cold("request", "show", path)["request"]
    assert "says phone = 1" in shown["items"][0]["lines"]
    response = approve(cold, path)
    error = answer("request", "apply", response, *password, home=watch, code=2)["error"]
    assert error["code"] == "response.out"
    out = tmp_path / "signed"
    out.mkdir()
    applied = answer("request", "apply", response, "--out", str(out), *password, home=watch)["applied"]
    assert [Path(item["statement"]).name for item in applied] == ["item-1.card", "item-2.contacts"]
    other = tmp_path / "bob"
    words = str(tmp_path / "bobs words")
    answer("wallet", "create", "--words", "12", "--words-out", words, *password, *FAST_KDF, home=other)
    answer("identity", "create", "bob", *password, home=other)
    added = answer("contact", "add", str(out / "item-1.card"), *password, "--offline", home=other)
    assert "Alice" in json.dumps(added)


@pytest.mark.parametrize(
    ("args", "code", "error"),
    [
        (("request", "make", "--out", "x", "--public", "a=b"), 2, "request.one-new"),
        (("request", "make", "--out", "x", "--new", "a", "--new", "b", "--sealed", "a=b"), 2, "request.one-new"),
        (("request", "make", "--out", "x", "--new", "a", "--public", "name"), 2, "request.attribute"),
        (("request", "make", "--out", "x", "--new", "a", "--public", "Name=x"), 3, "document.profile"),
        (("request", "make", "--out", "x", "--attribute", "phone"), 2, "request.one-card"),
        (("request", "make", "--out", "x", "--card", "nobody"), 3, "identity.unknown"),
        (("request", "make", "--out", "x"), 3, "request.nothing"),
        (("request", "make", "--out", "x", "--new", "a", "--days", "91"), 2, "usage.bad-parameter"),
        (("request", "make", "--new", "a"), 2, "usage.missing-parameter"),
        (("request", "cancel", "0000"), 3, "request.unknown"),
        (("request", "show", "/nowhere"), 3, "file.missing"),
        (("request", "apply", "/dev/null"), 3, "response.file"),
        (("request", "show", "/dev/null"), 3, "request.file"),
        (("device", "enrol", "did:key:nonsense", "--out", "x"), 3, "identity.malformed"),
        (
            ("request", "approve", "x", "--out", "y", "--yes", "--digest", "z", "--accept", "all"),
            2,
            "usage.bad-parameter",
        ),
    ],
)
def test_what_cannot_be_is_refused(
    answer: Answer, watch: Path, password: Password, args: tuple[str, ...], code: int, error: str
) -> None:
    assert answer(*args, *password, home=watch, code=code)["error"]["code"] == error


def test_a_watch_wallet_approves_nothing(
    answer: Answer, ask: Callable[..., str], watch: Path, password: Password
) -> None:
    path = ask("--new", "alice")
    digest = answer("request", "show", path, *password, home=watch)["request"]["digest"]
    options = ("--yes", "--digest", digest, "--out", f"{path}.out")
    error = answer("request", "approve", path, *options, *password, home=watch, code=6)["error"]
    assert error["code"] == "wallet.watch-only"


def test_a_request_is_cancelled_by_its_id(
    answer: Answer, cold: Cold, ask: Callable[..., str], watch: Path, password: Password
) -> None:
    path = ask("--new", "alice")
    response = approve(cold, path)
    (listed,) = answer("request", "list", *password, home=watch)["requests"]
    assert answer("request", "cancel", listed["id"][:8], *password, home=watch)["cancelled"] is True
    error = answer("request", "apply", response, *password, home=watch, code=4)["error"]
    assert error["code"] == "response.cancelled"
    (listed,) = answer("request", "list", *password, home=watch)["requests"]
    assert listed["state"] == "cancelled"
    (there,) = cold("request", "list")["requests"]
    assert there["state"] == "approved"


def test_an_unlocked_cold_wallet_still_asks_for_the_password(
    answer: Answer, cli: Callable[..., Run], cold_home: Path, ask: Callable[..., str], password: Password
) -> None:
    path = ask("--new", "alice")
    answer("wallet", "unlock", *password, home=cold_home)
    try:
        digest = answer("request", "show", path, home=cold_home)["request"]["digest"]
        options = ("--yes", "--digest", digest, "--out", f"{path}.out")
        error = answer("request", "approve", path, *options, home=cold_home, code=2)["error"]
        assert error["code"] == "terminal.missing"
        answer("request", "approve", path, *options, *password, home=cold_home)
    finally:
        cli("wallet", "lock", home=cold_home)


# at a terminal


Start = Callable[..., pexpect.spawn]


def asked(on_terminal: Start, home: Path, path: str, password: Password) -> pexpect.spawn:
    return on_terminal("--home", str(home), "request", "approve", path, "--out", f"{path}.out", *password)


def test_a_person_compares_the_words_and_then_decides(
    on_terminal: Start, cold: Cold, cold_home: Path, ask: Callable[..., str], password: Password
) -> None:
    path = ask("--new", "alice")
    words = " ".join(cold("request", "show", path)["request"]["digest_words"])
    child = asked(on_terminal, cold_home, path, password)
    child.expect_exact(words)
    child.expect_exact("create identity 0")
    child.expect_exact("show the same words? [y/N] ")
    child.send("y\n")
    child.expect_exact("Sign item 1? [y/N] ")
    child.send("y\n")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    assert Path(f"{path}.out").exists()


@pytest.mark.parametrize("answers", [["n"], ["y", "n"], ["y", ""]])
def test_whoever_does_not_say_yes_signs_nothing(
    on_terminal: Start, cold: Cold, cold_home: Path, ask: Callable[..., str], password: Password, answers: list[str]
) -> None:
    path = ask("--new", "alice")
    child = asked(on_terminal, cold_home, path, password)
    for text in answers:
        child.expect_exact("[y/N] ")
        child.send(text + "\n")
    child.expect_exact("nothing was signed")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 2
    assert not Path(f"{path}.out").exists()
    assert cold("identity", "list")["identities"] == []


def test_an_alarm_is_asked_about_by_itself(
    on_terminal: Start, answer: Answer, cold: Cold, cold_home: Path, ask: Callable[..., str], watch: Path,
    password: Password,
) -> None:  # fmt: skip
    answer("request", "apply", approve(cold, ask("--new", "alice")), *password, home=watch)
    answer("identity", "retire", "alice", "--yes", *password, home=watch)
    path = ask("alice", name="b")
    for said, code in (("n", 2), ("y", 0)):
        child = asked(on_terminal, cold_home, path, password)
        child.expect_exact("[y/N] ")
        child.send("y\n")
        child.expect_exact("ALARM retire: the identity would end for good")
        child.expect_exact("Is that meant? [y/N] ")
        child.send(f"{said}\n")
        if said == "y":
            child.expect_exact("Sign item 1? [y/N] ")
            child.send("y\n")
        child.expect(pexpect.EOF)
        child.close()
        assert child.exitstatus == code


def test_of_several_items_some_are_signed(
    on_terminal: Start, cold: Cold, cold_home: Path, ask: Callable[..., str], password: Password,
    answer: Answer, watch: Path,
) -> None:  # fmt: skip
    path = ask("--new", "alice", "--new", "bob")
    child = asked(on_terminal, cold_home, path, password)
    for text in ("y", "n", "y"):
        child.expect_exact("[y/N] ")
        child.send(text + "\n")
    child.expect(pexpect.EOF)
    child.close()
    applied = answer("request", "apply", f"{path}.out", *password, home=watch)
    assert ([item["label"] for item in applied["applied"]], applied["unanswered"]) == (["bob"], [1])
