"""npm pkarr and walletcli use each other's relays over real sockets."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.client.records import identity, record, unsigned
from tests.conftest import NodeProcess
from tests.dht.swarm import swarm_of
from tests.node.local import running
from walletcli.client.freshness import FreshnessMap, Seen
from walletcli.client.publish import PublishedShortError, publish
from walletcli.client.relay import RelayClient
from walletcli.client.resolve import resolve
from walletcli.core.encodings import z32_decode
from walletcli.core.identity_id import IdentityId
from walletcli.core.keys import KeyTree, Scheme
from walletcli.core.record import Record
from walletcli.core.secret import Secret
from walletcli.core.wallet_index import Ranges, ShardContent, open_shard, seal_shard
from walletcli.errors import NetworkError, VerificationError
from walletcli.net.addresses import NodeAddress
from walletcli.net.tcp import TcpDialer

ALICE = record("alice", 1_700_000_000_000_000, profile={"name": "Alice"})
Z32 = identity("alice").z32


def at(url: str) -> NodeAddress:
    return NodeAddress.from_text(url)


# --- our client, their relay


def test_a_shard_of_a_wallet_index_is_a_packet_like_any_other_to_npm_pkarr(
    npm_relay: str, npm_pkarr: Callable[..., Any]
) -> None:
    tree = KeyTree(Secret(bytes(64)))
    content = ShardContent({Scheme.WALLETCLI: Ranges.of([0, 5])}, 1)
    packet = seal_shard(tree.index_key(0), 0, content, 1_700_000_000_000_000, os.urandom)
    stored = publish(Record(packet, None), [at(npm_relay)], dialer=TcpDialer())
    assert stored.relays == (npm_relay,)
    found = npm_pkarr("get", npm_relay, IdentityId(packet.public_key).z32)
    assert found["payload"] == packet.to_relay_payload().hex()
    assert [name for name, _ in found["texts"]] == [IdentityId(packet.public_key).z32]
    with RelayClient(at(npm_relay), TcpDialer()) as relay:
        again = relay.get_packet(packet.public_key)
    assert again is not None
    assert open_shard(tree.index_key(0), 0, again) == content


def test_our_client_stores_at_npm_pkarrs_relay_and_npm_pkarr_finds_it(
    npm_relay: str, npm_pkarr: Callable[..., Any]
) -> None:
    with RelayClient(at(npm_relay), TcpDialer()) as relay:
        relay.put_packet(ALICE.packet)
        assert relay.get_packet(ALICE.packet.public_key) == ALICE.packet
    assert npm_pkarr("get", npm_relay, Z32)["payload"] == ALICE.packet.to_relay_payload().hex()


def test_our_client_resolves_npm_pkarrs_packet_at_its_relay(npm_relay: str, npm_pkarr: Callable[..., Any]) -> None:
    made = npm_pkarr("put", npm_relay, "hello", "1700000000000000")
    assert made["status"] == 200
    found = resolve(IdentityId(z32_decode(made["z32"], 32)), [at(npm_relay)], dialer=TcpDialer())
    assert found.record.document is None
    assert found.pending is None
    assert found.record.packet.to_relay_payload().hex() == made["payload"]


def test_npm_pkarrs_relay_knows_nothing_of_documents_and_we_say_so(npm_relay: str) -> None:
    with RelayClient(at(npm_relay), TcpDialer()) as relay:
        assert relay.get_packet(ALICE.packet.public_key) is None
        assert relay.get_document(bytes(32)) is None
        with pytest.raises(NetworkError) as caught:
            relay.put_document(b"x" * 1024)
    assert caught.value.code == "relay.no-documents"
    with pytest.raises(PublishedShortError) as short:
        publish(ALICE, [at(npm_relay)], dialer=TcpDialer())
    assert "keeps no documents" in short.value.message


def test_not_found_at_npm_pkarrs_relay_is_not_found(npm_relay: str) -> None:
    with pytest.raises(NetworkError) as caught:
        resolve(identity("nobody"), [at(npm_relay)], dialer=TcpDialer())
    assert caught.value.code == "resolve.not-found"


def test_a_record_is_published_to_our_node_and_npm_pkarrs_relay_together(
    node: NodeProcess, npm_relay: str, npm_pkarr: Callable[..., Any]
) -> None:
    stored = publish(ALICE, [at(node.address), at(npm_relay)], dialer=TcpDialer())
    assert stored.relays == (node.address,)
    assert stored.packet_only == (npm_relay,)
    for url in (node.url, npm_relay):
        assert npm_pkarr("get", url, Z32)["payload"] == ALICE.packet.to_relay_payload().hex()
    found = resolve(identity("alice"), [at(npm_relay), at(node.url)], dialer=TcpDialer())
    assert found.record == ALICE


def test_what_npm_pkarrs_relay_has_tampered_with_is_refused_by_both_clients(
    npm_tampering_relay: str, npm_pkarr: Callable[..., Any]
) -> None:
    with RelayClient(at(npm_tampering_relay), TcpDialer()) as relay:
        relay.put_packet(ALICE.packet)
        with pytest.raises(VerificationError) as refused:
            relay.get_packet(ALICE.packet.public_key)
    assert refused.value.code == "signature.invalid"
    assert "error" in npm_pkarr("get", npm_tampering_relay, Z32)


def test_npm_pkarrs_relay_refuses_what_we_tampered_with_and_keeps_the_newer_of_two(npm_relay: str) -> None:
    forged = replace(ALICE.packet, signature=bytes(64))
    with RelayClient(at(npm_relay), TcpDialer()) as relay:
        with pytest.raises(NetworkError):
            relay.put_packet(forged)
        assert relay.get_packet(ALICE.packet.public_key) is None
        relay.put_packet(ALICE.packet)
        with pytest.raises(NetworkError):
            relay.put_packet(record("alice", ALICE.packet.seq - 1).packet)
        assert relay.get_packet(ALICE.packet.public_key) == ALICE.packet


def test_an_older_packet_at_npm_pkarrs_relay_is_refused_by_who_knows_a_newer_one(npm_relay: str) -> None:
    memory = FreshnessMap()
    memory.put(ALICE.packet.public_key, Seen.of(ALICE))
    with RelayClient(at(npm_relay), TcpDialer()) as relay:
        relay.put_packet(record("alice", ALICE.packet.seq - 1).packet)
    with pytest.raises(VerificationError) as refused:
        resolve(identity("alice"), [at(npm_relay)], dialer=TcpDialer(), memory=memory)
    assert refused.value.code == "record.stale"


# --- their client, our relay


def test_npm_pkarr_stores_at_our_node_and_both_find_it(node: NodeProcess, npm_pkarr: Callable[..., Any]) -> None:
    made = npm_pkarr("put", node.url, "hello", "1700000000000000")
    assert made["status"] == 204
    assert npm_pkarr("get", node.url, made["z32"]) == {k: v for k, v in made.items() if k != "status"}
    found = resolve(IdentityId(z32_decode(made["z32"], 32)), [at(node.address)], dialer=TcpDialer())
    assert found.record.packet.to_relay_payload().hex() == made["payload"]


def test_npm_pkarr_sends_our_packet_to_our_node(node: NodeProcess, npm_pkarr: Callable[..., Any]) -> None:
    assert npm_pkarr("send", node.url, Z32, ALICE.packet.to_relay_payload().hex())["status"] == 204
    with RelayClient(at(node.url), TcpDialer()) as relay:
        assert relay.get_packet(ALICE.packet.public_key) == ALICE.packet


def test_our_node_refuses_npm_pkarrs_older_packet(node: NodeProcess, npm_pkarr: Callable[..., Any]) -> None:
    with RelayClient(at(node.url), TcpDialer()) as relay:
        relay.put_packet(ALICE.packet)
    older = record("alice", 1_600_000_000_000_000).packet
    assert npm_pkarr("send", node.url, Z32, older.to_relay_payload().hex())["status"] == 409
    assert npm_pkarr("get", node.url, Z32)["seq"] == ALICE.packet.seq


def test_our_node_refuses_a_tampered_packet(node: NodeProcess) -> None:
    import http.client

    connection = http.client.HTTPConnection(node.url.removeprefix("http://"), timeout=10)
    connection.request("PUT", f"/{Z32}", unsigned(ALICE.packet))
    assert connection.getresponse().status == 400
    connection.close()


# --- their client, our relays that have joined a DHT


def test_what_npm_pkarr_stores_at_one_node_it_finds_at_another_through_the_dht(
    tmp_path: Path, npm_pkarr: Callable[..., Any]
) -> None:
    with swarm_of(12) as swarm:
        peers = ", ".join(f'"{host}:{port}"' for host, port in swarm.addresses)
        joined = (
            '[dht]\njoin = "yes"\nprivate = true\nlisten = ["127.0.0.1:0"]\nwriter_port = 0\nbootstrap = []\n'
            f"peers = [{peers}]\n"
        )
        with running(tmp_path / "one", joined) as first:
            made = npm_pkarr("put", first.url, "hello", "1700000000000000")
            assert made["status"] == 204
            again = first.ask("PUT", f"/{made['z32']}", bytes.fromhex(made["payload"]), prefer="wait=20")
            assert int(again.headers["pkarr-dht-stored-nodes"]) >= 6
        with running(tmp_path / "two", joined) as second:
            found = npm_pkarr("get", second.url, made["z32"])
            assert (found["payload"], found["texts"]) == (made["payload"], made["texts"])
            older = record("alice", 1_600_000_000_000_000).packet.to_relay_payload().hex()
            assert npm_pkarr("send", second.url, Z32, ALICE.packet.to_relay_payload().hex())["status"] == 204
            assert npm_pkarr("send", second.url, Z32, older)["status"] == 409
            assert second.ask("PUT", f"/{Z32}", unsigned(ALICE.packet)).status == 400
            assert npm_pkarr("get", second.url, Z32)["seq"] == ALICE.packet.seq
