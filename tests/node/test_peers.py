"""Sources and sinks: nodes that ask each other and pass on what is new."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.client.records import foreign_packet, identity, record, unsigned
from tests.conftest import NodeProcess
from tests.node.local import WAIT_S, Answer, LocalNode, ask, eventually
from walletcli.core.record import Record
from walletcli.node import peers as peers_module
from walletcli.node import sinks as sinks_module
from walletcli.node import sources as sources_module
from walletcli.node.sinks import retry_s

Local = Callable[..., LocalNode]


def put_record(node: LocalNode, stored: Record, name: str) -> None:
    assert stored.document is not None
    body = stored.document.to_bytes()
    assert node.ask("PUT", f"/document/{hashlib.sha256(body).hexdigest()}", body).status == 204
    assert node.ask("PUT", f"/{identity(name).z32}", stored.packet.to_relay_payload()).status == 204


def get(node: LocalNode, name: str, **headers: str) -> Answer:
    return node.ask("GET", f"/{identity(name).z32}", **headers)


def put(node: LocalNode, name: str, seq: int = 100) -> None:
    path = f"/{identity(name).z32}"
    assert node.ask("PUT", path, foreign_packet(name, seq).to_relay_payload()).status == 204


def queued(node: LocalNode) -> int:
    return node.call(node.service.pages.reading).counts.queued


def dead_address() -> str:
    """An address of this machine where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


# sources


@pytest.mark.parametrize("how", ["header", "policy=NetworkOnly", "policy=DhtNetworkOnly", "x=1&policy=network_only"])
def test_who_wants_it_anew_gets_it_from_a_source_that_was_asked_lately(local: Local, how: str) -> None:
    first = local("first")
    second = local("second", f"sources = ['{first.url}']\n")
    path = f"/{identity('alice').z32}"
    put(first, "alice", 100)
    assert get(second, "alice").headers["etag"] == '"100"'
    put(first, "alice", 200)
    assert get(second, "alice").headers["etag"] == '"100"', "asked lately"
    assert second.ask("GET", path + "?policy=CacheOnly").headers["etag"] == '"100"'
    if how == "header":
        assert get(second, "alice", cache_control="no-cache").headers["etag"] == '"200"'
    else:
        assert second.ask("GET", f"{path}?{how}").headers["etag"] == '"200"'


@pytest.mark.parametrize("how", ["policy=CacheFirst", "policy=networkonly", "policy=NetworkOnlyX", "a=NetworkOnly"])
def test_any_other_policy_changes_nothing(local: Local, how: str) -> None:
    first = local("first")
    second = local("second", f"sources = ['{first.url}']\n")
    assert get(second, "alice").status == 404
    put(first, "alice", 100)
    assert second.ask("GET", f"/{identity('alice').z32}?{how}").status == 404, "asked lately"


@pytest.mark.parametrize("by", ["url", "address"])
def test_what_is_missing_is_asked_for_verified_stored_and_served(local: Local, by: str) -> None:
    first = local("first")
    stored = record("alice", 5)
    put_record(first, stored, "alice")
    second = local("second", f"sources = ['{getattr(first, by)}']\n")
    assert get(second, "alice").body == stored.packet.to_relay_payload()
    assert stored.document is not None
    document = second.ask("GET", f"/document/{stored.document.hash.hex()}", cache_control="only-if-cached")
    assert document.body == stored.document.to_bytes()
    assert second.call(second.service.pages.reading).counts.pending == 0
    first.stop()
    assert get(second, "alice").status == 200


@pytest.mark.parametrize("target", ["", "?policy=LocalOrRelayCacheOnly"])
def test_question_that_is_about_the_store_only_asks_nobody(local: Local, target: str) -> None:
    first = local("first")
    put(first, "alice")
    second = local("second", f"sources = ['{first.url}']\n")
    headers = {} if target else {"cache_control": "only-if-cached"}
    answer = second.ask("GET", f"/{identity('alice').z32}{target}", **headers)
    assert answer.status == 404
    assert get(second, "alice").status == 200


def test_what_no_source_has_is_not_asked_for_again_at_once(local: Local) -> None:
    first = local("first")
    second = local("second", f"sources = ['{first.url}']\n")
    assert [get(second, "nobody").status for _ in range(5)] == [404] * 5
    assert second.service.metrics.peering.asked == 1


def test_stored_packet_is_looked_after_when_it_is_old(local: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    first = local("first")
    put(first, "alice", 1)
    second = local("second", f"sources = ['{first.url}']\n")
    assert get(second, "alice").headers["etag"] == '"1"'
    put(first, "alice", 2)
    assert get(second, "alice").headers["etag"] == '"1"'
    second.call(second.service._sources._not_before.clear)  # type: ignore[union-attr]  # as if minutes had passed
    assert get(second, "alice").headers["etag"] == '"2"'


def test_older_packet_of_a_source_changes_nothing(local: Local) -> None:
    first = local("first")
    put(first, "alice", 1)
    second = local("second", f"sources = ['{first.url}']\n")
    put(second, "alice", 2)
    second.call(second.service._sources._not_before.clear)  # type: ignore[union-attr]
    assert get(second, "alice").headers["etag"] == '"2"'


def test_dead_source_is_left_alone_for_a_while(local: Local) -> None:
    second = local("second", f"sources = ['{dead_address()}']\n")
    for name in ("a", "b", "c"):
        assert get(second, name).status == 404
    peering = second.service.metrics.peering
    assert (peering.asked, peering.source_errors) == (1, 1)


def test_living_source_is_asked_beside_a_dead_one(local: Local) -> None:
    first = local("first")
    put(first, "alice")
    second = local("second", f"sources = ['{dead_address()}', '{first.url}']\n")
    assert get(second, "alice").status == 200


def test_silent_source_does_not_keep_a_client_waiting_for_what_is_stored(
    local: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources_module, "REFRESH_WAIT_S", 0.3)
    monkeypatch.setattr(peers_module, "TIMEOUT_S", 10 * WAIT_S)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        second = local("second", f"sources = ['http://127.0.0.1:{silent.getsockname()[1]}']\n")
        put(second, "alice")
        second.call(second.service._sources._not_before.clear)  # type: ignore[union-attr]
        assert get(second, "alice").status == 200  # while the source is still being waited for
        peering = second.service.metrics.peering
        assert (peering.asked, peering.source_errors) == (1, 0)


def test_source_that_lies_is_not_believed(local: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    from walletcli.node.packets import PacketRoutes

    first = local("first")
    put(first, "alice")
    forged = unsigned(foreign_packet("alice"))
    monkeypatch.setattr(PacketRoutes, "_render", lambda self, request, payload: _as_answer(forged))
    try:
        second = local("second", f"sources = ['{first.url}']\n")
        second.run(lambda: second.service._sources._fetch_packet(identity("alice").public_key, None))  # type: ignore[union-attr]
    finally:
        monkeypatch.undo()
    assert second.service.metrics.peering.source_errors == 1
    assert get(second, "alice", cache_control="only-if-cached").status == 404


def _as_answer(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def test_many_clients_share_one_question(local: Local) -> None:
    first = local("first", limits=False)
    put(first, "alice")
    second = local("second", f"sources = ['{first.url}']\n", limits=False)
    with ThreadPoolExecutor(20) as pool:
        statuses = {answer.status for answer in pool.map(lambda _: get(second, "alice"), range(20))}
    assert statuses == {200}
    assert second.service.metrics.peering.asked == 1


def test_document_is_asked_for_by_its_hash(local: Local) -> None:
    first = local("first")
    stored = record("alice", 5)
    put_record(first, stored, "alice")
    assert stored.document is not None
    second = local("second", f"sources = ['{first.url}']\n")
    path = f"/document/{stored.document.hash.hex()}"
    assert second.ask("GET", path, cache_control="only-if-cached").status == 404
    assert second.ask("GET", path).body == stored.document.to_bytes()


def test_nodes_that_are_each_others_source_do_not_go_in_circles(local: Local) -> None:
    first = local("first")
    second = local("second", f"sources = ['{first.url}']\n")
    port, tls_port, directory = first.port, first.tls_port, first.directory
    first.stop()
    (directory / "node.toml").write_text(f"sources = ['{second.url}']\n")
    first = LocalNode(directory, port=port, tls_port=tls_port).start()
    try:
        assert get(first, "nobody").status == 404
        assert first.ask("GET", "/document/" + "ab" * 32).status == 404
        assert [node.service.metrics.peering.asked for node in (first, second)] == [2, 0]
        put(second, "alice")
        assert get(first, "alice").status == 200
    finally:
        first.stop()


# sinks


@pytest.mark.parametrize("by", ["url", "address"])
def test_new_packet_and_its_document_reach_the_sink(local: Local, by: str) -> None:
    sink = local("sink")
    node = local("node", f"sinks = ['{getattr(sink, by)}']\n")
    stored = record("alice", 5)
    put_record(node, stored, "alice")
    eventually(lambda: get(sink, "alice").status == 200, "the packet's arrival")
    assert sink.call(sink.service.pages.reading).counts.pending == 0
    eventually(lambda: queued(node) == 0, "an empty queue")


def test_sink_hears_of_the_node_itself(local: Local) -> None:
    sink = local("sink")
    node = local("node", f"sinks = ['{sink.url}']\n")
    eventually(lambda: sink.call(sink.service.pages.reading).counts.packets == 2, "the node's own record")
    assert node.service.metrics.peering.sent == 1


def test_refused_and_repeated_packets_are_not_forwarded(local: Local) -> None:
    sink = local("sink")
    node = local("node", f"sinks = ['{sink.url}']\n")
    put(node, "alice", 5)
    eventually(lambda: get(sink, "alice").status == 200 and queued(node) == 0, "the packet's arrival")
    sent = node.service.metrics.peering.sent
    put(node, "alice", 5)
    assert node.ask("PUT", f"/{identity('alice').z32}", foreign_packet("alice", 4).to_relay_payload()).status == 409
    put(node, "bob")
    eventually(lambda: get(sink, "bob").status == 200 and queued(node) == 0, "the next packet's arrival")
    assert node.service.metrics.peering.sent == sent + 1


def test_three_nodes_in_a_ring_all_hear_and_then_are_silent(local: Local) -> None:
    first = local("first")
    third = local("third", f"sinks = ['{first.url}']\n")
    second = local("second", f"sinks = ['{third.url}']\n")
    port, tls_port, directory = first.port, first.tls_port, first.directory
    first.stop()
    (directory / "node.toml").write_text(f"sinks = ['{second.url}']\n")
    first = LocalNode(directory, port=port, tls_port=tls_port).start()
    nodes = [first, second, third]
    try:
        for number, node in enumerate(nodes):
            put(node, f"ring-{number}")
        for number in range(3):
            for node in nodes:
                eventually(lambda node=node, number=number: get(node, f"ring-{number}").status == 200, "an arrival")  # type: ignore[misc]
        eventually(lambda: all(queued(node) == 0 for node in nodes), "empty queues")
        sent = [node.service.metrics.peering.sent for node in nodes]
        put(first, "ring-last")
        for node in nodes:
            eventually(lambda node=node: get(node, "ring-last").status == 200, "an arrival")  # type: ignore[misc]
        eventually(lambda: all(queued(node) == 0 for node in nodes), "empty queues")
        now = [node.service.metrics.peering.sent for node in nodes]
        assert all(after - before <= 1 for before, after in zip(sent, now, strict=True))
    finally:
        first.stop()


def test_queue_outlives_the_node_and_a_dead_sink(local: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sinks_module, "FIRST_RETRY_S", 1)
    monkeypatch.setattr(sinks_module, "LAST_RETRY_S", 1)
    sink = local("sink")
    port, tls_port, directory = sink.port, sink.tls_port, sink.directory
    sink.stop()
    node = local("node", f"sinks = ['http://127.0.0.1:{port}']\n")
    put(node, "alice", 1)
    put(node, "alice", 2)
    put(node, "bob")
    eventually(lambda: node.service.metrics.peering.sink_errors > 0, "a failure")
    assert queued(node) == 3  # alice once, bob, and the node's own
    node.stop()
    sink = LocalNode(directory, port=port, tls_port=tls_port).start()
    node = LocalNode(node.directory).start()
    try:
        eventually(lambda: get(sink, "alice").status == get(sink, "bob").status == 200, "both packets")
        assert get(sink, "alice").headers["etag"] == '"2"'
        eventually(lambda: queued(node) == 0, "an empty queue")
    finally:
        node.stop()
        sink.stop()


def test_sink_that_has_something_newer_settles_it(local: Local) -> None:
    sink = local("sink")
    put(sink, "alice", 9)
    node = local("node", f"sinks = ['{sink.url}']\n")
    put(node, "alice", 3)
    eventually(lambda: queued(node) == 0, "an empty queue")
    assert get(sink, "alice").headers["etag"] == '"9"'


def test_sink_is_given_up_after_two_days(local: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sinks_module, "GIVE_UP_S", -1)
    node = local("node", f"sinks = ['{dead_address()}']\n")
    put(node, "alice")
    eventually(lambda: queued(node) == 0, "giving up")
    assert node.service.metrics.peering.given_up == 2


def test_fetched_packet_is_not_forwarded(local: Local) -> None:
    source, sink = local("source"), local("sink")
    put(source, "alice")
    node = local("node", f"sources = ['{source.url}']\nsinks = ['{sink.url}']\n")
    assert get(node, "alice").status == 200
    put(node, "bob")
    eventually(lambda: get(sink, "bob").status == 200, "the next packet's arrival")
    assert get(sink, "alice").status == 404


def test_retries_are_spread_and_bounded() -> None:
    for attempts in range(60):
        waits = [retry_s(attempts) for _ in range(50)]
        most = min(2 << min(attempts, 20), 3600)
        assert all(most / 2 <= wait <= most for wait in waits)
    assert len({retry_s(12) for _ in range(50)}) > 10


def test_peers_can_be_named_on_the_command_line(node_factory: Callable[..., NodeProcess]) -> None:
    source, sink = node_factory("source"), node_factory("sink")
    node = node_factory("node", "--source", source.address, "--sink", sink.url)
    port = {name: int(url.rpartition(":")[2]) for name, url in (("s", source.url), ("k", sink.url), ("n", node.url))}
    packet, other = foreign_packet("alice"), foreign_packet("bob")
    ask(port["s"], "PUT", f"/{identity('alice').z32}", packet.to_relay_payload())
    assert ask(port["n"], "GET", f"/{identity('alice').z32}").status == 200
    ask(port["n"], "PUT", f"/{identity('bob').z32}", other.to_relay_payload())
    eventually(lambda: ask(port["k"], "GET", f"/{identity('bob').z32}").status == 200, "the packet's arrival")
    for running in (node, sink, source):
        assert running.stop() == 0
