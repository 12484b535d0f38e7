"""A record on the DHT, from the command line: published through one node, resolved through another when it is dead."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Answer
from tests.conftest import NodeProcess, Run
from tests.dht.swarm import Swarm, swarm_of
from walletcli.client.relay import RelayClient
from walletcli.core.identity_id import IdentityId
from walletcli.net.addresses import NodeAddress
from walletcli.net.tcp import TcpDialer

Password = tuple[str, str]


@pytest.fixture
def swarm() -> Iterator[Swarm]:
    """Twelve libtorrent nodes."""
    with swarm_of(12) as found:
        yield found


def join(directory: Path, swarm: Swarm, cli: Callable[..., Run]) -> None:
    """Make a node that joins the swarm, and nothing else."""
    assert cli("node", "init", str(directory)).code == 0
    peers = ", ".join(f'"{host}:{port}"' for host, port in swarm.addresses)
    (directory / "node.toml").write_text(
        '[dht]\njoin = "yes"\nprivate = true\nlisten = ["127.0.0.1:0"]\nwriter_port = 0\nbootstrap = []\n'
        f"peers = [{peers}]\n"
    )


def test_a_record_is_found_through_the_dht_when_its_node_was_killed(
    answer: Answer,
    cli: Callable[..., Run],
    wallet: Path,
    password: Password,
    swarm: Swarm,
    node_factory: Callable[..., NodeProcess],
    tmp_path: Path,
) -> None:
    for name in ("first", "second"):
        join(tmp_path / name, swarm, cli)
    key = IdentityId.from_text(answer("identity", "create", "alice", *password, home=wallet)["did"])
    first, mirror = node_factory("first"), node_factory("mirror")
    published = answer("publish", "alice", "--relay", first.url, *password, home=wallet)
    assert published["stored"]["dht_nodes"] == 8
    assert "8 nodes" in cli("publish", "alice", "--relay", first.url, *password, home=wallet).stdout
    with RelayClient(NodeAddress.from_text(first.url), TcpDialer()) as client:
        packet = client.get_packet(key.public_key)
        assert packet is not None
        assert packet.document_hash is not None
        document = client.get_document(packet.document_hash)
        assert document is not None
    with RelayClient(NodeAddress.from_text(mirror.url), TcpDialer()) as client:
        client.put_document(document)
    first.kill()
    second = node_factory("second", "--source", mirror.url)
    found = answer("resolve", key.did, "--relay", second.url, home=tmp_path / "nobody")
    assert (found["did"], found["seq"]) == (key.did, published["seq"])
    assert found["pending"] is None


def test_a_wallet_asks_the_dht_itself_once_it_stands_in_its_list(
    answer: Answer,
    cli: Callable[..., Run],
    wallet: Path,
    password: Password,
    swarm: Swarm,
    node: NodeProcess,
    tmp_path: Path,
) -> None:
    did = answer("identity", "create", "alice", *password, home=wallet)["did"]
    dht = "dht://" + ",".join(f"{host}:{port}" for host, port in swarm.addresses[:3])
    answer("relay", "add", node.url, home=wallet)
    assert answer("relay", "add", dht, home=wallet) == {"relays": [node.url, dht]}
    assert answer("relay", "add", "dht", home=wallet, code=3)["error"]["code"] == "relay.one-dht"
    stored = answer("publish", "alice", *password, home=wallet)["stored"]
    assert (stored["relays"], stored["packet_only"]) == ([node.url], [dht])
    assert stored["dht_nodes"] >= 6
    nobody = tmp_path / "nobody"
    found = answer("resolve", did, "--relay", dht, "--relay", node.url, home=nobody)
    assert [(item["outcome"], item["counts"]) for item in found["sources"]] == [("current", True)] * 2
    assert found["independent"] == 2
    alone = answer("resolve", did, "--relay", dht, home=nobody)
    assert (alone["document"], alone["pending"]) == (None, {"seq": found["seq"]})
    known = answer("resolve", "alice", "--relay", dht, *password, home=wallet)
    assert known["document"] is not None, "the wallet has its own document"
    refused = answer("resolve", did, "--relay", dht, "--offline", home=nobody, code=7)
    assert refused["error"]["code"] == "network.offline"
    assert answer("provider", "bind", "alice", dht, "--no-kit", *password, home=wallet, code=3)["error"]["code"] == (
        "address.no-node"
    )
    assert answer("relay", "remove", "dht", home=wallet) == {"relays": [node.url]}
