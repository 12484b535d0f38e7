"""`wallet restore`, `wallet recover` and `wallet drill` as they are typed: questions, answers, exit codes."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest

from tests.cli.conftest import MNEMONIC, PASSWORD, Answer
from tests.conftest import FAST_KDF, Run
from tests.wallet.recovery.parts import Net, published, tree_of
from walletcli.core.keys import KeyTree, Scheme
from walletcli.core.wallet_index import Ranges, ShardContent, seal_shard

Restore = Callable[..., dict[str, Any]]


@pytest.fixture
def net() -> Iterator[Net]:
    """Three honest relays."""
    with Net.of(3) as found:
        yield found


@pytest.fixture
def tree() -> KeyTree:
    return tree_of(MNEMONIC.strip())


@pytest.fixture
def words(secret_file: Callable[..., str]) -> tuple[str, str]:
    return "--mnemonic-file", secret_file("words", MNEMONIC)


@pytest.fixture
def restore(answer: Answer, home: Path, words: tuple[str, str], password: tuple[str, str]) -> Restore:
    """Restore the wallet of `MNEMONIC` into a new home."""

    def run(*args: str, code: int = 0) -> dict[str, Any]:
        return answer("wallet", "restore", *words, *password, *FAST_KDF, *args, home=home, code=code)

    return run


def ask(net: Net) -> list[str]:
    return [part for url in net.urls for part in ("--relay", url)]


def test_restore_says_what_came_back_and_who_was_asked(restore: Restore, net: Net, tree: KeyTree) -> None:
    net.hold(published(tree, 0, "Alice"), published(tree, 3, "Bob"))
    found = restore(*ask(net), "--yes")
    assert [item["label"] for item in found["restored"]] == ["Alice", "Bob"]
    assert [item["label"] for item in found["identities"]] == ["Alice", "Bob"]
    assert (found["not_found"], found["complete"], found["looked_up"]) == ([], True, 24)
    assert [(row["what"], row["where"], row["asked"], row["found"]) for row in found["lookups"]] == [
        *(("index", url, 1, 0) for url in net.urls),
        *(("records", url, 24, 2) for url in net.urls),
    ]
    assert found["index"] is None
    assert found["wallet"]["restore"] == {"complete": True, "restored": 2, "not_found": 0, "waiting": 0}
    assert all(len(item["devices"]["revoked"]) == 1 for item in found["restored"])


def test_the_index_names_what_is_looked_up(
    restore: Restore, cli: Callable[..., Run], home: Path, password: tuple[str, str], net: Net, tree: KeyTree
) -> None:
    net.hold(published(tree, 1, "Alice"), published(tree, 40, "Bob"))
    content = ShardContent({Scheme.WALLETCLI: Ranges.of([1, 40]), Scheme.MERCURY: Ranges.of([0])}, 1)
    packet = seal_shard(tree.index_key(0), 0, content, 7, os.urandom)
    for relay in net.relays:
        relay.shelf.packets[packet.public_key] = packet
    found = restore(*ask(net), "--yes", "--beyond", "0", "--spread", "0")
    assert [item["label"] for item in found["restored"]] == ["Alice", "Bob"]
    assert (found["looked_up"], found["index"]["identities"], len(found["index"]["sources"])) == (2, 2, 3)
    again = cli("wallet", "recover", "--scan", "--gap", "50", "--yes", *password, home=home)
    assert again.code == 0, again.stderr
    assert "The wallet index names 2 of them; 3 independent sources answered for it." in again.stdout
    assert "--scheme mercury" in again.stdout


@pytest.mark.parametrize(
    ("option", "code"),
    [("--beyond=-1", "recovery.beyond"), ("--decoys=257", "recovery.decoys"), ("--spread=31d", "usage")],
)
def test_plans_that_make_no_sense_are_refused(restore: Restore, net: Net, option: str, code: str) -> None:
    assert restore(*ask(net), "--yes", option, code=2)["error"]["code"].startswith(code)


def test_too_few_sources_end_in_exit_code_11_after_the_answer(restore: Restore, net: Net, tree: KeyTree) -> None:
    net.hold(published(tree, 0, "Alice"))
    found = restore("--relay", net.urls[0], "--yes", code=11)
    [alice] = found["restored"]
    assert alice["record"]["waits"]["code"] == "recovery.sources"
    assert not found["complete"]


def test_the_error_of_an_incomplete_restore_goes_to_stderr(
    cli: Callable[..., Run], home: Path, words: tuple[str, str], password: tuple[str, str], net: Net, tree: KeyTree
) -> None:
    net.hold(published(tree, 0, "Alice"))
    command = ("wallet", "restore", *words, *password, *FAST_KDF, "--relay", net.urls[0], "--yes")
    done = cli(*command, home=home)
    assert done.code == 11
    assert "not everything is restored: 1 wait" in done.stderr
    assert "walletcli wallet recover" in done.stderr
    assert "Alice" in done.stdout


def test_recover_goes_on_and_is_done_once_everything_is_there(
    restore: Restore, answer: Answer, home: Path, password: tuple[str, str], net: Net, tree: KeyTree
) -> None:
    net.hold(published(tree, 0, "Alice"))
    restore("--relay", net.urls[0], "--yes", code=11)
    status = answer("wallet", "status", *password, home=home)["wallet"]["restore"]
    assert status == {"complete": False, "restored": 1, "not_found": 0, "waiting": 1}
    more = [part for url in net.urls[1:] for part in ("--relay", url)]
    found = answer("wallet", "recover", *password, *more, "--yes", home=home)
    assert found["complete"]
    again = answer("wallet", "recover", *password, home=home)
    assert (again["complete"], again["lookups"]) == (True, [])


def test_a_kit_or_relay_that_is_gone_for_good_is_taken_off_the_list(
    restore: Restore, answer: Answer, cli: Callable[..., Run], home: Path, password: tuple[str, str], net: Net,
    tree: KeyTree, tmp_path: Path,
) -> None:  # fmt: skip
    net.hold(published(tree, 0, "Alice"))
    kit = tmp_path / "stick"
    kit.mkdir()
    dead = "http://127.0.0.1:9"
    found = restore(*ask(net), "--relay", dead, "--kit", str(kit), "--yes", code=11)
    assert {(item["item"], item["from"]) for item in found["not_found"]} == {("kit", str(kit)), ("relay", dead)}
    kit.rmdir()
    page = cli("wallet", "recover", *password, "--yes", home=home)
    assert (page.code, "gone for good, with --gone PLACE" in page.stderr) == (11, True)

    def recover(*places: str, code: int) -> dict[str, Any]:
        gone = [part for place in places for part in ("--gone", place)]
        return answer("wallet", "recover", *password, *gone, "--yes", home=home, code=code)

    assert [item["item"] for item in recover(dead, code=11)["not_found"]] == ["kit"]
    assert recover(str(tmp_path / "other"), code=2)["error"]["code"] == "recovery.place"
    assert recover("https://never.example", code=2)["error"]["code"] == "recovery.place"
    assert recover(str(kit), code=0)["complete"]
    assert recover(code=0)["complete"]


def test_without_a_terminal_nobody_is_asked_before_the_owner_has_agreed(
    restore: Restore, net: Net, tree: KeyTree, home: Path
) -> None:
    net.hold(published(tree, 0, "Alice"))
    refused = restore(*ask(net), code=2)
    assert refused["error"]["code"] == "terminal.missing"
    assert "--yes" in refused["error"]["hint"]
    assert [relay.shelf.asked for relay in net.relays] == [[], [], []]
    assert not home.exists()


def test_offline_only_keys_are_made(restore: Restore, net: Net, tree: KeyTree) -> None:
    net.hold(published(tree, 0, "Alice"))
    found = restore("--offline", *ask(net))
    assert (found["restored"], found["lookups"], found["complete"]) == ([], [], True)
    assert [relay.shelf.asked for relay in net.relays] == [[], [], []]


def test_without_a_relay_nothing_is_looked_up_and_nothing_asked(restore: Restore) -> None:
    found = restore()
    assert (found["restored"], found["lookups"], found["complete"]) == ([], [], True)


def test_who_knows_no_relay_is_not_told_that_everything_is_recovered(
    restore: Restore, answer: Answer, home: Path, password: tuple[str, str]
) -> None:
    restore()
    error = answer("wallet", "recover", *password, "--yes", home=home, code=7)["error"]
    assert error["code"] == "relay.none"
    for way in ("--relay ADDRESS", "--relay dht", "--kit DIRECTORY"):
        assert way in error["hint"]


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("--gap", "0"), "recovery.gap"),
        (("--gap", "10001"), "recovery.gap"),
        (("--sources", "0"), "recovery.source-count"),
        (("--sources", "17"), "recovery.source-count"),
        (("--spread", "31d"), "usage.bad-parameter"),
    ],
)
def test_options_out_of_range_are_refused_before_the_words_are_read(
    answer: Answer, home: Path, password: tuple[str, str], args: tuple[str, ...], code: str
) -> None:
    missing = ("--mnemonic-file", str(home.parent / "nothing"))
    refused = answer("wallet", "restore", *missing, *password, *FAST_KDF, *args, home=home, code=2)
    assert refused["error"]["code"] == code


def test_an_address_that_is_none_is_refused(restore: Restore) -> None:
    assert restore("--relay", "relay", code=3)["error"]["code"] == "address.malformed"


def test_a_kit_that_is_none_is_named(restore: Restore, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    found = restore("--kit", str(tmp_path / "none"), "--yes", code=11)
    assert [(row["item"], row["code"]) for row in found["not_found"]] == [("kit", "exit-kit.missing")]


def test_a_new_wallet_has_nothing_to_recover(
    answer: Answer, home: Path, password: tuple[str, str], tmp_path: Path
) -> None:
    out = str(tmp_path / "words.txt")
    answer("wallet", "create", "--words-out", out, *password, *FAST_KDF, home=home)
    assert answer("wallet", "recover", *password, home=home, code=3)["error"]["code"] == "recovery.nothing"


def typed(
    on_terminal: Callable[..., pexpect.spawn[str]], home: Path, words: tuple[str, str], net: Net
) -> pexpect.spawn[str]:
    args = ("--home", str(home), "wallet", "restore", *words, *FAST_KDF, *ask(net))
    return on_terminal(*args)


def test_the_owner_reads_what_is_revealed_and_agrees(
    on_terminal: Callable[..., pexpect.spawn[str]], home: Path, words: tuple[str, str], net: Net, tree: KeyTree
) -> None:
    net.hold(published(tree, 0, "Alice"))
    child = typed(on_terminal, home, words, net)
    child.expect("First the wallet index is asked for at 3 relays, alone")
    child.expect("Without one: identities 0 to 19")
    child.expect(r"one address, this machine's, asks for all\s+of\s+them")
    child.expect(r"Go on\? \[y/N\]")
    assert [relay.shelf.asked for relay in net.relays] == [[], [], []]
    child.sendline("y")
    for _ in range(2):
        child.expect("assword")
        child.sendline(PASSWORD)
    child.expect("1 identity is back")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


def test_who_does_not_agree_has_told_nobody_anything(
    on_terminal: Callable[..., pexpect.spawn[str]], home: Path, words: tuple[str, str], net: Net
) -> None:
    child = typed(on_terminal, home, words, net)
    child.expect(r"Go on\? \[y/N\]")
    child.sendline("")
    child.expect("nothing was looked up")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 2
    assert [relay.shelf.asked for relay in net.relays] == [[], [], []]
    assert not home.exists()


@pytest.fixture
def in_use(answer: Answer, wallet: Path, password: tuple[str, str], net: Net) -> Path:
    """A wallet with one identity that three relays have."""
    for url in net.urls:
        answer("relay", "add", url, home=wallet)
    answer("identity", "create", "alice", *password, home=wallet)
    answer("publish", "alice", *password, home=wallet)
    return wallet


def test_a_drill_passes_and_status_says_when(
    answer: Answer, in_use: Path, password: tuple[str, str], words: tuple[str, str]
) -> None:
    assert answer("wallet", "status", *password, home=in_use)["wallet"]["drill"] is None
    found = answer("wallet", "drill", *words, *password, home=in_use)
    assert found["passed"]
    assert found["device_loss"]["words_checked"]
    assert found["device_loss"]["sources"] == 3
    assert found["provider_loss"] == {"passed": True, "back": [], "missing": []}
    drill = answer("wallet", "status", *password, home=in_use)["wallet"]["drill"]
    assert (drill["passed"], drill["missing"], drill["changed"]) == (True, 0, [])
    assert drill["passed_s"] == drill["tried_s"]


def test_a_drill_that_finds_a_loss_answers_and_ends_in_exit_code_11(
    answer: Answer, cli: Callable[..., Run], in_use: Path, password: tuple[str, str]
) -> None:
    answer("wallet", "drill", *password, home=in_use)
    answer("identity", "create", "bob", *password, home=in_use)
    found = answer("wallet", "drill", *password, home=in_use, code=11)
    [lost] = found["device_loss"]["missing"]
    assert (lost["label"], lost["item"], lost["code"]) == ("bob", "record", "drill.unpublished")
    assert lost["hint"] == "walletcli publish bob"
    assert not found["device_loss"]["words_checked"]
    drill = answer("wallet", "status", *password, home=in_use)["wallet"]["drill"]
    assert (drill["passed"], drill["missing"]) == (False, 1)
    assert [(row["label"], row["what"]) for row in drill["changed"]] == [("bob", ["new"])]
    page = cli("wallet", "drill", *password, home=in_use)
    assert page.code == 11
    assert "a loss would cost something: 1 with this device" in page.stderr
    assert "walletcli publish bob" in page.stdout
    status = cli("wallet", "status", *password, home=in_use).stdout
    assert "it found 1 that would be lost" in status
    assert "changed since: bob (new)" in status


def test_a_drill_with_other_words_is_refused(
    answer: Answer, in_use: Path, password: tuple[str, str], secret_file: Callable[..., str]
) -> None:
    other = secret_file("other", "zoo " * 11 + "wrong")
    refused = answer("wallet", "drill", "--mnemonic-file", other, *password, home=in_use, code=4)
    assert refused["error"]["code"] == "backup.mismatch"
    assert answer("wallet", "status", *password, home=in_use)["wallet"]["drill"] is None


def test_a_drill_asks_for_the_words_at_the_terminal(
    on_terminal: Callable[..., pexpect.spawn[str]], in_use: Path, password: tuple[str, str]
) -> None:
    child = on_terminal("--home", str(in_use), "wallet", "drill", "--words", *password)
    child.expect("Type the words")
    child.send(MNEMONIC.strip())
    child.sendline("")
    child.sendline("")
    child.expect("the words are right; 3 independent sources answered")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


def test_no_word_is_in_any_answer(cli: Callable[..., Run], in_use: Path, password: tuple[str, str]) -> None:
    done = cli("--json", "wallet", "drill", *password, home=in_use)
    assert "abandon" not in done.stdout + done.stderr
    json.loads(done.stdout)
