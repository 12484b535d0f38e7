"""A node puts what it accepts into the DHT, looks there for what it lacks, and keeps it there without keys."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.client.records import foreign_packet, identity, record
from tests.conftest import Run
from tests.dht.swarm import Swarm, joined, new_key, signed
from tests.node.local import LocalNode, eventually, running
from walletcli.client.publish import publish
from walletcli.client.resolve import resolve
from walletcli.core.encodings import z32_encode
from walletcli.core.packet import SignedPacket
from walletcli.dht.messages import Item
from walletcli.dht.settings import Settings
from walletcli.net.addresses import NodeAddress
from walletcli.net.tcp import TcpDialer
from walletcli.node import setup
from walletcli.node.dht.counters import DhtCounters
from walletcli.node.dht.member import MAX_REST_S, REST, DhtMember


def settings(swarm: Swarm, top: str = "", more: str = "") -> str:
    """Configuration of a node that joins the swarm, and nothing else."""
    peers = ", ".join(f'"{host}:{port}"' for host, port in swarm.addresses)
    return (
        f'{top}\n[dht]\njoin = "yes"\nprivate = true\nlisten = ["127.0.0.1:0"]\nwriter_port = 0\nbootstrap = []\n'
        f"peers = [{peers}]\n{more}\n"
    )


def item_of(packet: SignedPacket) -> Item:
    return Item(packet.public_key, packet.seq, packet.signature, packet.value)


def path_of(packet: SignedPacket) -> str:
    return "/" + z32_encode(packet.public_key)


def is_put(node: LocalNode) -> None:
    """Wait until nothing waits to be put, and something was."""
    counters = node.service.metrics.dht
    eventually(lambda: counters.puts >= 2 and not counters.waiting, "the put")


def copies(swarm: Swarm, packet: SignedPacket) -> int:
    async def story() -> int:
        async with joined(swarm.addresses) as member:
            return await member.count(item_of(packet))

    return asyncio.run(story())


def rounds_until(node: LocalNode, condition: Callable[[], bool]) -> int:
    """Have a node keep everything alive until something holds, within a few rounds; return how many it took."""
    dht = node.service._dht
    assert dht is not None
    for number in range(1, 6):
        node.run(lambda: dht.keeper.round(0.0))
        if condition():
            return number
    raise AssertionError("five rounds were not enough")


def test_what_a_node_accepts_is_on_the_dht(swarm: Swarm, tmp_path: Path) -> None:
    packet = foreign_packet()
    with running(tmp_path / "a", settings(swarm)) as node:
        assert node.ask("PUT", path_of(packet), packet.to_relay_payload()).status == 204
        eventually(lambda: copies(swarm, packet) >= 6, "eight copies")


def test_the_answer_says_on_how_many_nodes_when_it_is_asked_to_wait(swarm: Swarm, tmp_path: Path) -> None:
    packet = foreign_packet()
    with running(tmp_path / "a", settings(swarm)) as node:
        answer = node.ask("PUT", path_of(packet), packet.to_relay_payload(), prefer="wait=20")
        assert (answer.status, answer.headers["pkarr-dht-stored-nodes"]) == (204, "8")
        assert answer.headers["access-control-expose-headers"] == "Pkarr-Dht-Stored-Nodes"
        again = node.ask("PUT", path_of(packet), packet.to_relay_payload(), prefer="respond-async, Wait = 20")
        assert again.headers["pkarr-dht-stored-nodes"] == "8"
        plain = node.ask("PUT", path_of(packet), packet.to_relay_payload())
        assert "pkarr-dht-stored-nodes" not in plain.headers


@pytest.mark.parametrize("prefer", ["wait", "wait=", "wait=-1", "wait=x", "wait=9999999", "weight=10"])
def test_a_preference_that_cannot_be_read_is_none(swarm: Swarm, tmp_path: Path, prefer: str) -> None:
    packet = foreign_packet()
    with running(tmp_path / "a", settings(swarm)) as node:
        answer = node.ask("PUT", path_of(packet), packet.to_relay_payload(), prefer=prefer)
        assert answer.status == 204
        assert "pkarr-dht-stored-nodes" not in answer.headers


def test_a_node_without_a_dht_does_not_wait_for_one(tmp_path: Path) -> None:
    packet = foreign_packet()
    with running(tmp_path / "a") as node:
        answer = node.ask("PUT", path_of(packet), packet.to_relay_payload(), prefer="wait=20")
        assert answer.status == 204
        assert "pkarr-dht-stored-nodes" not in answer.headers


def test_a_refused_packet_does_not_reach_the_dht(swarm: Swarm, tmp_path: Path) -> None:
    good = foreign_packet()
    bad = replace(good, signature=bytes(64))
    with running(tmp_path / "a", settings(swarm)) as node:
        assert node.ask("PUT", path_of(bad), bad.to_relay_payload(), prefer="wait=20").status == 400
        assert node.ask("GET", path_of(bad)).status == 404
        assert node.service.metrics.dht.puts <= 1  # the node's own record


def test_a_record_outlives_the_node_that_took_it(swarm: Swarm, tmp_path: Path) -> None:
    alice = record("alice", 7, profile={"name": "Alice"})
    assert alice.document is not None
    with running(tmp_path / "documents") as mirror:
        document = alice.document
        assert mirror.ask("PUT", f"/document/{document.hash.hex()}", document.to_bytes()).status == 204
        with running(tmp_path / "a", settings(swarm)) as first:
            stored = publish(alice, [NodeAddress.from_text(first.url)], dialer=TcpDialer())
            assert stored.dht_nodes == 8
        with running(tmp_path / "b", settings(swarm, f'sources = ["{mirror.url}"]')) as second:
            found = resolve(identity("alice"), [NodeAddress.from_text(second.url)], dialer=TcpDialer())
            assert found.record.document == document
            assert second.service.metrics.dht.found == 1


def test_what_nobody_has_is_404_and_is_not_looked_for_again_at_once(swarm: Swarm, tmp_path: Path) -> None:
    packet = foreign_packet("nobody")
    with running(tmp_path / "a", settings(swarm)) as node:
        assert node.ask("GET", path_of(packet)).status == 404
        assert node.ask("GET", path_of(packet)).status == 404
        assert node.service.metrics.dht.asked == 1


def test_only_if_cached_does_not_look_in_the_dht(swarm: Swarm, tmp_path: Path) -> None:
    packet = foreign_packet("nobody")
    with running(tmp_path / "a", settings(swarm)) as node:
        assert node.ask("GET", path_of(packet), cache_control="only-if-cached").status == 404
        assert node.service.metrics.dht.asked == 0


def test_an_item_that_is_no_packet_is_not_served(swarm: Swarm, tmp_path: Path) -> None:
    item = signed(new_key(), b"no DNS message")

    async def put() -> None:
        async with joined(swarm.addresses) as member:
            assert (await member.put(item)).stored == 8

    asyncio.run(put())
    with running(tmp_path / "a", settings(swarm)) as node:
        assert node.ask("GET", "/" + z32_encode(item.key)).status == 404


def test_a_round_keeps_a_record_alive_when_its_nodes_die(swarm: Swarm, tmp_path: Path) -> None:
    packet = foreign_packet()
    with running(tmp_path / "a", settings(swarm)) as node:
        assert node.ask("PUT", path_of(packet), packet.to_relay_payload(), prefer="wait=20").status == 204
        swarm.replace()
        dht = node.service._dht
        assert dht is not None
        for address in swarm.addresses:
            node.call(lambda address=address: dht.member.mainline.session.add(*address))  # type: ignore[misc]
        eventually(lambda: node.call(lambda: dht.member.mainline.session.nodes) >= 8, "new members")
        rounds = rounds_until(node, lambda: copies(swarm, packet) >= 6)
        counters = node.service.metrics.dht
        assert counters.kept == 2 * rounds  # and the node's own record
        assert counters.copies_missing > 0
    with running(tmp_path / "b", settings(swarm)) as other:
        answer = other.ask("GET", path_of(packet))
        assert answer.body == packet.to_relay_payload()


def test_a_round_takes_what_is_newer_in_the_dht_and_does_not_put_what_is_older(swarm: Swarm, tmp_path: Path) -> None:
    old, new = foreign_packet(seq=5), foreign_packet(seq=6, text=b"newer")
    with running(tmp_path / "a", settings(swarm)) as node:
        assert node.ask("PUT", path_of(old), old.to_relay_payload(), prefer="wait=20").status == 204

        async def put() -> None:
            async with joined(swarm.addresses) as member:
                assert (await member.put(item_of(new))).stored >= 7

        asyncio.run(put())
        dht = node.service._dht
        assert dht is not None
        node.run(lambda: dht.keeper.round(0.0))
        answer = node.ask("GET", path_of(old), cache_control="only-if-cached")
        assert answer.body == new.to_relay_payload()
        assert node.service.metrics.dht.overtaken == 1


def test_own_record_pins_and_a_sample_are_kept_and_nothing_twice(swarm: Swarm, tmp_path: Path) -> None:
    pin = identity("pinned")
    with running(tmp_path / "a", settings(swarm, more=f'pins = ["{pin.did}"]\nsample = 5')) as node:
        for number in range(20):
            packet = foreign_packet(f"someone {number}")
            assert node.ask("PUT", path_of(packet), packet.to_relay_payload()).status == 204
        dht = node.service._dht
        assert dht is not None
        keys = node.call(dht.keeper.keys)
        assert len(keys) == len(set(keys))
        assert {pin.public_key, node.service._identity.record.packet.public_key} <= set(keys)
        assert 3 <= len(keys) <= 7
        drawn = {item for _ in range(40) for item in node.call(dht.keeper.keys)}
        assert len(drawn) > 15


def test_the_operator_sees_the_dht(swarm: Swarm, tmp_path: Path) -> None:
    packet = foreign_packet()
    with running(tmp_path / "a", settings(swarm)) as node:
        node.ask("PUT", path_of(packet), packet.to_relay_payload(), prefer="wait=20")
        metrics = node.ask("GET", "/metrics").body.decode()
        assert "walletcli_node_dht_joined 1.0" in metrics
        assert "walletcli_node_dht_puts_total" in metrics
        page = node.ask("GET", "/").body.decode()
        assert "<h2>DHT</h2>" in page
        assert "known to the writer" in page
    with running(tmp_path / "b") as alone:
        assert "walletcli_node_dht_joined 0.0" in alone.ask("GET", "/metrics").body.decode()


def test_a_node_saves_whom_it_knows_and_comes_back_with_them(swarm: Swarm, tmp_path: Path) -> None:
    packet = foreign_packet()
    with running(tmp_path / "a", settings(swarm)) as node:
        node.ask("PUT", path_of(packet), packet.to_relay_payload(), prefer="wait=20")
    assert (tmp_path / "a" / "dht.state").stat().st_mode & 0o777 == 0o600
    nobody = settings(swarm).partition("peers")[0]
    with running(tmp_path / "a", nobody) as node:
        dht = node.service._dht
        assert dht is not None
        eventually(lambda: node.call(lambda: dht.member.mainline.session.nodes) >= 4, "old acquaintances")


def test_a_node_whose_dht_port_is_taken_does_not_start(swarm: Swarm, tmp_path: Path, cli: Callable[..., Run]) -> None:
    host, port = swarm.addresses[0]
    directory = tmp_path / "a"
    setup.init(directory)
    (directory / "node.toml").write_text(settings(swarm).replace("127.0.0.1:0", f"{host}:{port}"))
    refused = cli("--json", "node", "run", str(directory), "--listen", "127.0.0.1:0")
    assert (refused.code, refused.json["error"]["code"]) == (7, "dht.listen")
    assert not (directory / "run.json").exists()


def test_puts_rest_while_clients_keep_the_node_busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rests: list[float] = []
    real = asyncio.sleep

    async def sleep(delay_s: float) -> None:
        rests.append(delay_s)
        await real(0)

    async def story() -> None:
        member = DhtMember(Settings(()), tmp_path / "state", None, DhtCounters(), None)  # type: ignore[arg-type]
        monkeypatch.setattr(asyncio, "sleep", sleep)
        asyncio.get_running_loop().call_soon(time.sleep, 0.002)  # what a client costs
        await member._let_clients_go_first()
        asyncio.get_running_loop().call_soon(time.sleep, 0.05)
        await member._let_clients_go_first()

    asyncio.run(story())
    assert [rests[0], rests[2]] == [0, 0]
    assert REST * 0.002 <= rests[1] <= MAX_REST_S
    assert rests[3] == MAX_REST_S
