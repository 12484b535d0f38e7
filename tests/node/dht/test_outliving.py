"""A record outlives its provider, and all nodes of the DHT that it was on, while most relays lie."""

from __future__ import annotations

import contextlib
from pathlib import Path

from tests.client.records import foreign_packet, identity, record
from tests.client.servers import Server
from tests.dht.swarm import Swarm
from tests.faults.test_lying_relays import LIES
from tests.node.dht.test_node_in_dht import copies, path_of, rounds_until, settings
from tests.node.local import LocalNode, eventually, running
from walletcli.client.publish import publish
from walletcli.client.resolve import resolve
from walletcli.net.addresses import NodeAddress
from walletcli.net.tcp import TcpDialer

DEADLINE_S = 30.0
LIARS = ["an older state", "a broken signature", "another identity's packet", "nothing"]


def replace_all(swarm: Swarm, keeper: LocalNode) -> None:
    """Replace each node of the swarm; the keeper meets the new ones, as nodes do that stay for a while."""
    swarm.replace()
    dht = keeper.service._dht
    assert dht is not None
    for address in swarm.addresses:
        keeper.call(lambda address=address: dht.member.mainline.session.add(*address))  # type: ignore[misc]
    eventually(lambda: keeper.call(lambda: dht.member.mainline.session.nodes) >= 8, "new members")


def test_a_record_is_resolved_with_its_provider_dead_all_dht_nodes_replaced_and_two_thirds_of_relays_lying(
    swarm: Swarm, tmp_path: Path
) -> None:
    alice = record("alice", 300, profile={"name": "Alice"})
    assert alice.document is not None
    path = f"/{identity('alice').z32}"
    with running(tmp_path / "mirror") as mirror:
        body = alice.document.to_bytes()
        assert mirror.ask("PUT", f"/document/{alice.document.hash.hex()}", body).status == 204
        with running(tmp_path / "stranger", settings(swarm)) as keeper:  # it has seen the record once
            with running(tmp_path / "provider", settings(swarm)) as provider:
                stored = publish(alice, [NodeAddress.from_text(provider.url)], dialer=TcpDialer())
                assert stored.dht_nodes == 8
                assert keeper.ask("GET", path).status == 200
            replace_all(swarm, keeper)
            rounds_until(keeper, lambda: copies(swarm, alice.packet) >= 6)
        with (
            running(tmp_path / "newcomer", settings(swarm, f'sources = ["{mirror.url}"]')) as newcomer,
            contextlib.ExitStack() as stack,
        ):
            liars = [Server(LIES[name]) for name in LIARS]
            for liar in liars:
                stack.callback(liar.close)
            relays = [liar.address for liar in liars] + [NodeAddress.from_text(newcomer.url)]
            found = resolve(identity("alice"), relays, dialer=TcpDialer(), timeout_s=DEADLINE_S)
            assert found.record == alice


def test_a_pin_that_the_node_never_had_is_fetched_with_its_document_and_kept(swarm: Swarm, tmp_path: Path) -> None:
    alice = record("alice", 300)
    assert alice.document is not None
    with running(tmp_path / "provider", settings(swarm)) as provider:
        publish(alice, [NodeAddress.from_text(provider.url)], dialer=TcpDialer())
        pins = f'pins = ["{identity("alice").did}"]\nsample = 0'
        with running(tmp_path / "a", settings(swarm, f'sources = ["{provider.url}"]', pins)) as node:
            dht = node.service._dht
            assert dht is not None
            node.run(lambda: dht.keeper.round(0.0))
            eventually(
                lambda: node.ask("GET", f"/{identity('alice').z32}", cache_control="only-if-cached").status == 200,
                "the packet",
            )
            document = node.ask("GET", f"/document/{alice.document.hash.hex()}", cache_control="only-if-cached")
            assert document.body == alice.document.to_bytes()
            puts = node.service.metrics.dht.puts
            node.run(lambda: dht.keeper.round(0.0))
            assert node.service.metrics.dht.puts >= puts + 2  # and the node's own record


def test_a_pin_that_nobody_has_costs_a_look_up_and_nothing_else(swarm: Swarm, tmp_path: Path) -> None:
    pins = f'pins = ["{identity("nobody").did}"]'
    with running(tmp_path / "a", settings(swarm, more=pins)) as node:
        dht = node.service._dht
        assert dht is not None
        node.run(lambda: dht.keeper.round(0.0))
        assert node.service.metrics.dht.kept == 2
        assert node.ask("GET", path_of(foreign_packet("nobody")), cache_control="only-if-cached").status == 404
