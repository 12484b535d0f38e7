"""The stories with the root on a machine without a network: binding, moving, contacts, data, on real nodes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Answer
from tests.cli.twin import write_twin
from tests.cli.two_machines import Ask, Cold, Password, approve, ask, cold, cold_home, watch
from tests.conftest import FAST_KDF, NodeProcess, Run

__all__ = ["ask", "cold", "cold_home", "watch"]

Trip = Callable[..., None]


@pytest.fixture
def trip(answer: Answer, cold: Cold, ask: Ask, watch: Path, password: Password) -> Trip:
    """Have what waits signed: one way to the cold machine and one way back."""
    numbers = iter(range(99))

    def go(*args: str, accept: tuple[str, ...] = (), home: Path | None = None) -> None:
        path = ask(*args, name=f"trip-{next(numbers)}", home=home)
        options = [option for name in accept for option in ("--accept", name)]
        answer("request", "apply", approve(cold, path, *options), *password, home=home or watch)

    return go


@pytest.fixture
def alice(answer: Answer, trip: Trip, watch: Path, password: Password) -> str:
    """An identity of the watch wallet; its did."""
    trip("--new", "alice", "--public", "name=Alice")
    return str(answer("identity", "show", "alice", *password, home=watch)["did"])


def test_an_identity_is_bound_in_one_trip_and_the_owner_sees_to_whom(
    answer: Answer, cold: Cold, ask: Ask, alice: str, watch: Path, password: Password, node: NodeProcess, tmp_path: Path
) -> None:
    bind = ("provider", "bind", "alice", node.address, "--kit", str(tmp_path / "kit"), *password)
    error = answer(*bind, home=watch, code=6)["error"]
    assert error["code"] == "wallet.watch-only"
    path = ask("alice", name="bind")
    (item,) = cold("request", "show", path)["request"]["items"]
    assert item["alarms"] == []
    assert f"ADDS the binding with provider {node.did}" in item["lines"]
    assert "  the provider's grant verifies today" in item["lines"]
    answer("request", "apply", approve(cold, path), *password, home=watch)
    bound = answer(*bind, home=watch)
    assert [(view["provider"], view["state"]) for view in bound["providers"]] == [(node.did, "valid")]
    assert bound["providers"][0]["host"]["state"] == "bound"
    assert [kit["complete"] for kit in bound["kits"]] == [True]
    found = answer("resolve", alice, "--relay", node.address, home=watch)
    assert [item["state"] for item in found["bindings"]] == ["valid"]


def test_data_is_kept_and_synced_without_the_root(
    answer: Answer, trip: Trip, alice: str, watch: Path, password: Password, node: NodeProcess, tmp_path: Path
) -> None:
    bind = ("provider", "bind", "alice", node.address, "--no-kit", *password)
    answer(*bind, home=watch, code=6)
    trip("alice")
    answer(*bind, home=watch)
    source = tmp_path / "letter"
    source.write_bytes(b"dear all")
    answer("data", "put", "alice", str(source), *password, home=watch)
    answer("data", "get", "alice", "letter", "--out", str(tmp_path / "back"), *password, home=watch)
    assert (tmp_path / "back").read_bytes() == b"dear all"


def test_a_second_device_reads_the_data_that_the_first_one_keeps(
    answer: Answer,
    cold: Cold,
    trip: Trip,
    alice: str,
    watch: Path,
    password: Password,
    node: NodeProcess,
    tmp_path: Path,
) -> None:
    bind = ("provider", "bind", "alice", node.address, "--no-kit", *password)
    answer(*bind, home=watch, code=6)
    trip("alice")
    answer(*bind, home=watch)
    source = tmp_path / "letter"
    source.write_bytes(b"dear all")
    answer("data", "put", "alice", str(source), *password, home=watch)
    laptop = tmp_path / "laptop"
    answer("wallet", "create", "--watch", *password, *FAST_KDF, home=laptop)
    path = str(tmp_path / "enrol.request")
    answer("device", "enrol", alice, "--out", path, "--relay", node.address, *password, home=laptop)
    answer("request", "apply", approve(cold, path), *password, home=laptop)
    answer("publish", "alice", "--relay", node.address, *password, home=laptop)
    answer("sync", "alice", *password, home=watch)
    answer("sync", "alice", *password, home=laptop)
    answer("data", "get", "alice", "letter", "--out", str(tmp_path / "back"), *password, home=laptop)
    assert (tmp_path / "back").read_bytes() == b"dear all"


def test_an_identity_moves_in_one_trip(
    answer: Answer, cli: Callable[..., Run], trip: Trip, ask: Ask, cold: Cold, alice: str, watch: Path,
    password: Password, node_factory: Callable[..., NodeProcess], tmp_path: Path,
) -> None:  # fmt: skip
    old, new = (node_factory(name, "--no-limits", "--hosting", "open") for name in ("old", "new"))
    bind = ("provider", "bind", "alice", old.address, "--no-kit", *password)
    answer(*bind, home=watch, code=6)
    trip("alice")
    answer(*bind, home=watch)
    source = tmp_path / "letter"
    source.write_bytes(b"dear all")
    answer("data", "put", "alice", str(source), *password, home=watch)
    move = ("provider", "migrate", "alice", new.address, *password)
    error = answer(*move, home=watch, code=6)["error"]
    assert error["code"] == "wallet.watch-only"
    response = approve(cold, ask("alice", name="move"))
    applied = cli("request", "apply", response, *password, home=watch)
    assert applied.stderr.splitlines()[-1] == "Next: walletcli provider migrate alice"
    answer(*move, home=watch)
    found = answer("resolve", alice, "--relay", new.address, home=watch)
    assert [item["provider"] for item in found["bindings"]] == [new.did]
    answer("data", "get", "alice", "letter", "--out", str(tmp_path / "back"), *password, home=watch)
    assert (tmp_path / "back").read_bytes() == b"dear all"


def test_a_share_reaches_a_contact_after_one_trip(
    answer: Answer, trip: Trip, alice: str, watch: Path, password: Password, node: NodeProcess, tmp_path: Path
) -> None:
    answer("publish", "alice", "--relay", node.url, *password, home=watch)
    bobs = tmp_path / "bob"
    words = str(tmp_path / "bobs-words")
    answer("wallet", "create", "--words", "12", "--words-out", words, *password, *FAST_KDF, home=bobs)
    bob = answer("identity", "create", "bob", *password, home=bobs)["did"]
    answer("publish", "bob", "--relay", node.url, *password, home=bobs)
    answer("contact", "add", bob, "--name", "Bob", "--relay", node.url, *password, home=watch)
    answer("contact", "add", alice, "--name", "Alice", "--relay", node.url, *password, home=bobs)
    answer("identity", "set", "alice", "phone", "+1 555 0100", *password, home=watch)
    answer("contact", "share", "Bob", "phone", *password, home=watch)
    trip("alice")
    answer("publish", "alice", "--relay", node.url, *password, home=watch)
    answer("contact", "refresh", "--relay", node.url, *password, home=bobs)
    shown = answer("contact", "show", "Alice", *password, home=bobs)
    assert "+1 555 0100" in str(shown)


def test_a_split_is_healed_in_one_trip(
    answer: Answer, trip: Trip, alice: str, watch: Path, password: Password, tmp_path: Path
) -> None:
    own, other, proof = (str(tmp_path / name) for name in ("own.record", "other.record", "alice.proof"))
    answer("record", "export", "alice", own, *password, home=watch)
    write_twin(Path(own), Path(other), (tmp_path / "words").read_text())
    answer("record", "prove", "--record", own, "--record", other, "--out", proof)
    trip("--heal", proof, accept=("history",))
    healed = str(tmp_path / "healed.record")
    answer("record", "export", "alice", healed, *password, home=watch)
    document = answer("record", "show", healed)["document"]
    assert len(document["healed"]) == 1
    assert document["did"] == alice
