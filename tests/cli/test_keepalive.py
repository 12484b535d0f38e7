"""``record keepalive`` in the terminal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Answer
from tests.conftest import NodeProcess, Run

Cli = Callable[..., Run]
Password = tuple[str, str]


@pytest.fixture
def alice(answer: Answer, wallet: Path, node: NodeProcess, password: Password) -> str:
    did = str(answer("identity", "create", "alice", *password, home=wallet)["did"])
    answer("relay", "add", node.address, home=wallet)
    answer("publish", "alice", *password, home=wallet)
    return did


def test_it_says_what_it_did(
    answer: Answer, cli: Cli, wallet: Path, alice: str, node: NodeProcess, password: Password
) -> None:
    (report,) = answer("record", "keepalive", "--few-relays", *password, home=wallet)["identities"]
    (visit,) = report["visits"]
    assert (visit["did"], visit["own"], visit["relay"], visit["outcome"]) == (alice, True, node.address, "kept")
    text = cli("record", "keepalive", "--as", "alice", "--few-relays", "--all", *password, home=wallet).stdout
    assert "identity:    alice\n" in text
    assert "kept alive:  1 looked after, 0 brought back, 0 failed\n" in text
    (later,) = answer("record", "keepalive", "--few-relays", *password, home=wallet)["identities"]
    assert later["visits"] == []


def test_a_relay_that_is_gone_ends_in_a_code_of_its_own(
    answer: Answer, wallet: Path, alice: str, node: NodeProcess, password: Password
) -> None:
    node.kill()
    done = answer("record", "keepalive", "--few-relays", *password, home=wallet, code=11)
    assert [visit["outcome"] for visit in done["identities"][0]["visits"]] == ["failed"]


def test_what_does_not_go_is_said_with_a_code(answer: Answer, wallet: Path, alice: str, password: Password) -> None:
    for args, code, slug in (
        ((), 3, "keepalive.few-relays"),
        (("--as", "nobody"), 3, "identity.unknown"),
        (("--spread", "1m", "--at-once"), 2, "keepalive.spread"),
        (("--offline",), 7, "network.offline"),
        (("--relay", "gopher://x", "--few-relays"), 3, "address.malformed"),
    ):
        done = answer("record", "keepalive", *args, *password, home=wallet, code=code)
        assert done["error"]["code"] == slug
