"""Synchronization from the shell, on real nodes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Answer
from tests.conftest import NodeProcess, Run

Cli = Callable[..., Run]
Password = tuple[str, str]


@pytest.fixture
def bound(answer: Answer, wallet: Path, node: NodeProcess, password: Password, tmp_path: Path) -> Path:
    """A home whose identity `alice` is bound, with an exit kit in a directory."""
    answer("identity", "create", "alice", *password, home=wallet)
    answer("provider", "bind", "alice", node.address, "--kit", str(tmp_path / "kit"), *password, home=wallet)
    return wallet


def test_an_identity_is_brought_in_step(
    answer: Answer, cli: Cli, bound: Path, node: NodeProcess, password: Password, tmp_path: Path
) -> None:
    (report,) = answer("sync", "alice", *password, home=bound)["identities"]
    assert (report["label"], report["errors"], report["data"]["provider"]) == ("alice", [], node.address)
    assert report["data"]["sent"] == ["settings"]
    assert [(kit["place"], kit["complete"]) for kit in report["kits"]] == [(str(tmp_path / "kit"), True)]
    done = cli("sync", *password, home=bound)
    assert done.code == 0
    assert "in step with walletcli://" in done.stdout


def test_contacts_that_no_provider_has_yet_are_named_as_such(
    cli: Cli, bound: Path, password: Password, tmp_path: Path
) -> None:
    cards = tmp_path / "cards.vcf"
    cards.write_text("BEGIN:VCARD\r\nVERSION:4.0\r\nFN:Bob\r\nEND:VCARD\r\n")
    taken = ("contact", "import", str(cards), *password)
    assert "On this machine alone, until: walletcli sync alice" in cli(*taken, home=bound).stderr
    assert cli("sync", "alice", *password, home=bound).code == 0
    assert "On this machine alone" not in cli(*taken, home=bound).stderr


def test_without_a_published_identity_there_is_nothing_to_do(
    answer: Answer, cli: Cli, wallet: Path, password: Password
) -> None:
    answer("identity", "create", "alice", *password, home=wallet)
    assert answer("sync", *password, home=wallet)["identities"] == []
    assert cli("sync", *password, home=wallet).stdout == "no identity to bring in step\n"


def test_who_names_an_identity_that_was_never_published_is_told_so(
    answer: Answer, cli: Cli, wallet: Path, password: Password
) -> None:
    answer("identity", "create", "my cat", *password, home=wallet)
    assert "not published; walletcli publish 'my cat'" in cli("sync", "my cat", *password, home=wallet).stdout


def test_what_fails_is_in_the_answer_and_the_exit_code(
    answer: Answer, cli: Cli, bound: Path, node: NodeProcess, password: Password
) -> None:
    node.kill()
    done = cli("--json", "sync", "alice", *password, home=bound)
    assert done.code == 11
    (report,) = done.json["identities"]
    assert ("data", "host.unreachable") in [(item["step"], item["error"]["code"]) for item in report["errors"]]
    assert "alice" in done.stderr


def test_several_identities_are_visited_each_for_itself(
    answer: Answer, bound: Path, node: NodeProcess, password: Password
) -> None:
    answer("identity", "create", "bob", *password, home=bound)
    answer("provider", "bind", "bob", node.address, "--no-kit", "--accept-link", *password, home=bound)
    visited = answer("sync", "--at-once", *password, home=bound)["identities"]
    assert {report["label"] for report in visited} == {"alice", "bob"}
    assert [report["errors"] for report in visited] == [[], []]
    assert len(answer("sync", "--spread", "1s", *password, home=bound)["identities"]) == 2


@pytest.mark.parametrize(
    ("arguments", "code", "exit_code"),
    [
        (("sync", "nobody"), "identity.unknown", 3),
        (("sync", "alice", "--spread", "1m", "--at-once"), "sync.spread", 2),
        (("sync", "--offline", "alice"), "network.offline", 7),
    ],
)
def test_what_cannot_be_done_says_why(
    answer: Answer, bound: Path, password: Password, arguments: tuple[str, ...], code: str, exit_code: int
) -> None:
    assert answer(*arguments, *password, home=bound, code=exit_code)["error"]["code"] == code


def test_how_it_went_is_part_of_the_status(
    answer: Answer, cli: Cli, bound: Path, node: NodeProcess, password: Password
) -> None:
    assert answer("wallet", "status", *password, home=bound)["wallet"]["sync"] == []
    answer("sync", "alice", *password, home=bound)
    (state,) = answer("wallet", "status", *password, home=bound)["wallet"]["sync"]
    assert (state["label"], state["faults"]) == ("alice", [])
    node.kill()
    cli("sync", "alice", *password, home=bound)
    (after,) = answer("wallet", "status", *password, home=bound)["wallet"]["sync"]
    assert after["done_s"] == state["done_s"]
    assert "data" in {fault["step"] for fault in after["faults"]}
    assert "failed at data:" in cli("wallet", "status", *password, home=bound).stdout


def test_an_agent_is_told_how_often_or_not_at_all(answer: Answer, bound: Path, password: Password) -> None:
    error = answer("wallet", "unlock", "--sync-between", "6h", "2h", *password, home=bound, code=3)
    assert error["error"]["code"] == "agent.interval"
    for option in (("--sync-between", "1h", "2h"), ("--no-sync",)):
        assert not answer("wallet", "unlock", *option, *password, home=bound)["agent"]["already"]
        answer("wallet", "lock", home=bound)


def test_options_that_come_too_late_are_not_passed_over_in_silence(cli: Cli, bound: Path, password: Password) -> None:
    cli("wallet", "unlock", "--no-sync", *password, home=bound)
    late = cli("wallet", "unlock", "--timeout", "5m", home=bound)
    assert (late.code, late.stdout) == (0, "Unlocked for 15 minutes.\n")
    assert "walletcli wallet lock" in late.stderr
    cli("wallet", "lock", home=bound)
