"""Providers from the shell, on real nodes: bind, status, list, export, unbind, and what they answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Answer
from tests.conftest import NodeProcess, Run

Cli = Callable[..., Run]
Password = tuple[str, str]
Nodes = Callable[..., NodeProcess]


@pytest.fixture
def alice(answer: Answer, wallet: Path, password: Password) -> str:
    """An identity `alice` in the test wallet; its did."""
    return str(answer("identity", "create", "alice", *password, home=wallet)["did"])


def test_bind_tells_the_binding_with_both_signers_and_the_kit(
    answer: Answer, cli: Cli, wallet: Path, alice: str, node: NodeProcess, password: Password, tmp_path: Path
) -> None:
    bound = answer(
        "provider",
        "bind",
        "alice",
        node.address,
        "--kit",
        str(tmp_path / "kit"),
        "--quota",
        "1M",
        *password,
        home=wallet,
    )
    (view,) = bound["providers"]
    assert (bound["did"], bound["new"], view["provider"], view["state"]) == (alice, True, node.did, "valid")
    assert view["binding"]["signers"]["identity"] == alice
    assert len(view["binding"]["signers"]["provider_key"]) == 64
    assert view["binding"]["terms"]["quota_bytes"] == view["host"]["terms"]["quota_bytes"] == 1 << 20
    assert view["host"]["state"] == "bound"
    assert [(kit["place"], kit["kind"], kit["complete"]) for kit in bound["kits"]] == [
        (str(tmp_path / "kit"), "directory", True)
    ]
    found = answer("resolve", "alice", "--relay", node.address, *password, home=wallet)
    assert [item["state"] for item in found["bindings"]] == ["valid"]
    assert not answer("provider", "bind", "alice", node.address, *password, home=wallet)["new"]
    text = cli("provider", "status", "alice", *password, home=wallet).stdout
    assert f"provider:   {node.did}\n" in text
    assert "has everything" in text


def test_publishing_past_a_provider_says_that_it_goes_by_the_record_before(
    answer: Answer, cli: Cli, wallet: Path, alice: str, node: NodeProcess, node_factory: Nodes, password: Password
) -> None:
    provider, other = node, node_factory("other")
    answer("provider", "bind", "alice", provider.address, "--no-kit", *password, home=wallet)
    past = ["publish", "alice", "--relay", other.address, *password]
    assert answer(*past, home=wallet)["not_told"] == []  # the same record is at the provider
    answer("identity", "set", "alice", "name", "Alice", "--public", *password, home=wallet)
    said = cli(*past, home=wallet)
    assert f"{provider.address}, a provider of this identity, was not named" in said.stderr
    answer("identity", "set", "alice", "name", "Alicia", "--public", *password, home=wallet)
    assert answer(*past, home=wallet)["not_told"] == [provider.address]
    assert answer("publish", "alice", *password, home=wallet)["not_told"] == []
    found = answer("resolve", "alice", "--relay", provider.url, *password, home=wallet)
    assert found["document"]["profile"] == {"name": "Alicia"}


def test_status_and_list(
    answer: Answer, cli: Cli, wallet: Path, alice: str, node: NodeProcess, password: Password
) -> None:
    assert answer("provider", "list", *password, home=wallet) == {"identities": []}
    assert cli("provider", "list", *password, home=wallet).stdout == "no providers\n"
    none = answer("provider", "status", "alice", *password, home=wallet)
    assert (none["providers"], none["kits"], none["kit_decided"]) == ([], [], False)
    answer("provider", "bind", "alice", node.address, "--no-kit", *password, home=wallet)
    (listed,) = answer("provider", "list", *password, home=wallet)["identities"]
    assert listed["providers"][0]["provider"] == node.did
    assert listed["providers"][0]["host"] is None
    node.stop()
    dead = answer("provider", "status", "alice", *password, home=wallet)["providers"][0]
    assert (dead["state"], dead["host"], dead["error"]["code"]) == ("valid", None, "host.unreachable")
    assert "not asked:" in cli("provider", "status", "alice", *password, home=wallet).stdout


def test_offline_asks_nobody(answer: Answer, wallet: Path, alice: str, node: NodeProcess, password: Password) -> None:
    error = answer("--offline", "provider", "bind", "alice", node.address, "--no-kit", *password, home=wallet, code=7)
    assert error["error"]["code"] == "network.offline"
    answer("provider", "bind", "alice", node.address, "--no-kit", *password, home=wallet)
    found = answer("--offline", "provider", "status", "alice", *password, home=wallet)
    assert found["providers"][0]["error"]["code"] == "network.offline"


def test_a_kit_or_none_must_be_chosen(
    answer: Answer, wallet: Path, alice: str, node: NodeProcess, password: Password
) -> None:
    error = answer("provider", "bind", "alice", node.address, *password, home=wallet, code=2)["error"]
    assert error["code"] == "provider.kit-choice"
    assert "--no-kit" in error["hint"]


@pytest.mark.parametrize("quota", ["-1", "1X", "lots", "", "1.5M"])
def test_a_quota_is_a_number_of_bytes(
    answer: Answer, wallet: Path, alice: str, node: NodeProcess, password: Password, quota: str
) -> None:
    answer("provider", "bind", "alice", node.address, "--no-kit", "--quota", quota, *password, home=wallet, code=2)


def test_a_closed_provider_takes_an_invitation_from_a_file(
    answer: Answer, cli: Cli, wallet: Path, alice: str, node_factory: Nodes, password: Password,
    secret_file: Callable[[str, str], str],
) -> None:  # fmt: skip
    node = node_factory("closed", "--no-limits", "--hosting", "closed")
    bind = ("provider", "bind", "alice", node.address, "--no-kit", *password)
    assert answer(*bind, home=wallet, code=7)["error"]["code"] == "host.invitation"
    token = cli("--json", "node", "invite", str(node.directory)).json["token"]
    file = secret_file("invitation", token + "\n")
    assert answer(*bind, "--invitation-file", file, home=wallet)["providers"][0]["state"] == "valid"


def test_the_invitation_comes_from_one_place(
    answer: Answer, wallet: Path, alice: str, node: NodeProcess, password: Password, secret_file: Callable[..., str]
) -> None:
    error = answer(
        "provider", "bind", "alice", node.address, "--no-kit", "--invitation-file", secret_file("invitation", "x"),
        "--invitation-prompt", *password, home=wallet, code=2,
    )["error"]  # fmt: skip
    assert error["code"] == "invitation.twice"


def test_the_invitation_is_asked_for_on_a_terminal(
    cli: Cli, answer: Answer, wallet: Path, alice: str, node_factory: Nodes, password: Password,
    on_terminal: Callable[..., object],
) -> None:  # fmt: skip
    node = node_factory("closed", "--no-limits", "--hosting", "closed")
    token = cli("--json", "node", "invite", str(node.directory)).json["token"]
    child = on_terminal(
        "--home", str(wallet), "provider", "bind", "alice", node.address, "--no-kit", "--invitation-prompt", *password
    )
    child.expect("Invitation: ")  # type: ignore[attr-defined]
    child.sendline(token)  # type: ignore[attr-defined]
    child.expect("valid before")  # type: ignore[attr-defined]
    assert token not in child.before  # type: ignore[attr-defined]
    child.wait()  # type: ignore[attr-defined]


def test_two_identities_at_one_provider_are_refused_without_the_owners_word(
    answer: Answer, wallet: Path, alice: str, node: NodeProcess, password: Password
) -> None:
    answer("identity", "create", "bob", *password, home=wallet)
    answer("provider", "bind", "alice", node.address, "--no-kit", *password, home=wallet)
    bind = ("provider", "bind", "bob", node.address, "--no-kit", *password)
    error = answer(*bind, home=wallet, code=3)["error"]
    assert error["code"] == "link.would-link"
    assert node.did in error["message"]
    assert answer("provider", "list", "bob", *password, home=wallet)["identities"][0]["providers"] == []
    answer(*bind, "--accept-link", home=wallet)
    answer(*bind, home=wallet)


def test_what_could_be_done_only_in_part_answers_and_exits_with_the_codes_of_what_is_missing(
    answer: Answer,
    cli: Cli,
    wallet: Path,
    alice: str,
    node: NodeProcess,
    password: Password,
    free_port: Callable[[], int],
) -> None:
    answer("publish", "alice", "--relay", node.address, *password, home=wallet)
    answer("relay", "add", f"http://127.0.0.1:{free_port()}", home=wallet)
    bound = answer("provider", "bind", "alice", node.address, "--no-kit", *password, home=wallet, code=9)
    assert [view["state"] for view in bound["providers"]] == ["valid"]
    assert len(bound["stored"]["failed"]) == 1
    done = cli("--json", "provider", "bind", "alice", node.address, *password, home=wallet)
    assert done.code == 9
    assert "error: " in done.stderr


def test_unbind_and_export(
    answer: Answer, cli: Cli, wallet: Path, alice: str, node: NodeProcess, password: Password, tmp_path: Path
) -> None:
    answer("provider", "bind", "alice", node.address, "--no-kit", *password, home=wallet)
    exported = answer("provider", "export", "alice", str(tmp_path / "out"), *password, home=wallet)
    assert (exported["did"], exported["provider"]) == (alice, node.did)
    assert [item["blob"] == "0" * 32 for item in exported["items"]] == [True, False], "the index, and the settings"
    error = answer("provider", "unbind", "alice", "http://127.0.0.1:1", *password, home=wallet, code=3)["error"]
    assert error["code"] == "provider.unknown"
    left = answer("provider", "unbind", "alice", node.did, "--forget", *password, home=wallet)
    assert (left["provider"], left["forgotten"], left["host"]["state"]) == (node.did, True, "leaving")
    assert "left on" in cli("provider", "list", "alice", *password, home=wallet).stdout
    assert (
        "it has deleted everything"
        in cli("provider", "unbind", "alice", node.did, "--forget", *password, home=wallet).stdout
    )
