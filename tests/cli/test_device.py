"""``walletcli device``: what it shows, and what a revocation says about those who have not heard of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.cli.conftest import MNEMONIC
from tests.conftest import FAST_KDF, NodeProcess, Run

Cli = Callable[..., Run]
Answer = Callable[..., dict[str, Any]]


def test_a_lost_machine_is_listed_and_left_out_of_the_next_record(
    answer: Answer, cli: Cli, wallet: Path, tmp_path: Path, password: tuple[str, str], node: NodeProcess,
    secret_file: Callable[[str, str], str],
) -> None:  # fmt: skip
    relay = ("--relay", node.url)
    answer("identity", "create", "alice", *password, home=wallet)
    assert answer("device", "list", "alice", *password, home=wallet)["devices"] == []
    assert cli("device", "list", "alice", *password, home=wallet).stdout == "nothing has been signed yet\n"
    answer("publish", "alice", *relay, *password, home=wallet)
    lost = answer("device", "list", "alice", *password, home=wallet)["devices"][0]
    assert lost["this_device"] and lost["state"] == "valid"

    new = tmp_path / "new"
    words = secret_file("words", MNEMONIC)
    answer("wallet", "restore", "--offline", "--mnemonic-file", words, *password, *FAST_KDF, home=new)
    answer("identity", "create", "alice", *password, home=new)
    answer("publish", "alice", *relay, *password, home=new)
    both = answer("device", "list", "alice", *password, home=new)["devices"]
    assert sorted(device["this_device"] for device in both) == [False, True]

    decided = cli("device", "revoke", "alice", lost["signing_key"][:12], *password, home=new)
    assert "believed until:" in decided.stdout
    assert "Next: walletcli publish alice" in decided.stderr
    done = answer("device", "revoke", "alice", lost["signing_key"], "--publish", *relay, *password, home=new)
    assert done["device"]["state"] == "revoked"
    assert done["believed_until_day"] == lost["not_after_day"]
    assert done["published"]["stored"]["relays"] == [node.url]
    own = answer("device", "list", "alice", *password, home=new)["devices"]
    assert [device["this_device"] for device in own] == [True]
    record = answer("resolve", "alice", *relay, *password, home=new)["document"]
    assert [item["signing_key"] for item in record["delegations"]] == [own[0]["signing_key"]]


def test_what_is_no_device_of_the_identity_is_refused(
    answer: Answer, wallet: Path, password: tuple[str, str], node: NodeProcess
) -> None:
    answer("identity", "create", "alice", *password, home=wallet)
    answer("publish", "alice", "--relay", node.url, *password, home=wallet)
    own = answer("device", "list", "alice", *password, home=wallet)["devices"][0]["signing_key"]
    for name, code in ((own, "device.own"), ("0" * 64, "device.unknown"), ("laptop", "device.malformed")):
        failed = answer("device", "revoke", "alice", name, *password, home=wallet, code=3)
        assert failed["error"]["code"] == code
