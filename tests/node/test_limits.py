"""Bounds on clients: rates, connections, memory."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable

import pytest

from tests.client.records import foreign_packet, identity, record, unsigned
from tests.node.local import WAIT_S, LocalNode, eventually, read_to_end
from walletcli.node import limits
from walletcli.node.limits import ConnectionLimits, Rate, bucket_of


def test_rate_lets_a_burst_through_and_then_its_pace() -> None:
    rate = Rate(per_second=10, burst=5)
    assert [rate.take(b"a", 100.0) for _ in range(5)] == [0.0] * 5
    assert rate.take(b"a", 100.0) == pytest.approx(0.1)
    assert rate.take(b"a", 100.11) == 0.0
    assert rate.take(b"a", 100.11) > 0.0
    assert rate.take(b"b", 100.11) == 0.0
    assert [rate.take(b"a", 200.0) for _ in range(5)] == [0.0] * 5


def test_refused_use_costs_nothing() -> None:
    rate = Rate(per_second=1, burst=1)
    assert rate.take(b"a", 0.0) == 0.0
    for _ in range(100):
        assert rate.take(b"a", 0.5) > 0.0
    assert rate.take(b"a", 1.0) == 0.0


def test_units_are_counted_together() -> None:
    rate = Rate(per_second=1000, burst=5000)
    assert rate.take(b"a", 0.0, 4000) == 0.0
    assert rate.take(b"a", 0.0, 2000) == pytest.approx(1.0)
    assert rate.take(b"a", 0.0, 1000) == 0.0


def test_memory_of_a_rate_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_NAMES", 100)
    rate = Rate(per_second=0.001, burst=1)
    for number in range(10_000):
        rate.take(number.to_bytes(4, "big"), float(number) / 1000)
        assert len(rate._names) <= 100
    assert rate.take((9_999).to_bytes(4, "big"), 10.0) > 0.0


def test_what_has_passed_is_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_NAMES", 4)
    rate = Rate(per_second=1, burst=1)
    rate.take(b"busy", 100.0)
    for name in (b"a", b"b", b"c"):
        rate.take(name, 50.0)
    rate.take(b"new", 100.1)
    assert set(rate._names) == {b"busy", b"new"}


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("fe80::1%eth0", "fe80::2", True),
    ],
)
def test_addresses_are_counted_by_who_has_them(first: str, second: str, same: bool) -> None:
    assert (bucket_of(first) == bucket_of(second)) is same


def test_connections_are_counted_per_address_and_in_all() -> None:
    counted = ConnectionLimits(3, 2)
    assert [counted.open(b"a"), counted.open(b"a"), counted.open(b"a")] == [True, True, False]
    assert [counted.open(b"b"), counted.open(b"c")] == [True, False]
    counted.close(b"a")
    assert counted.open(b"c")
    for bucket in (b"a", b"b", b"c"):
        counted.close(bucket)
    assert (counted.total, len(counted._open)) == (0, 0)


def test_too_many_requests_are_told_when_to_come_back(local: Callable[..., LocalNode]) -> None:
    node = local("node", "[limits]\nrequests_per_second = 0.1\nrequests_burst = 5\n")
    answers = [node.ask("GET", "/healthz") for _ in range(6)]
    assert [answer.status for answer in answers] == [200] * 5 + [429]
    assert answers[-1].code == "limits.requests"
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 11


def test_too_many_writes_of_an_address_are_refused(local: Callable[..., LocalNode]) -> None:
    node = local("node", "[limits]\nwrites_per_second = 0.1\nwrites_burst = 3\n")
    answers = [
        node.ask("PUT", f"/{identity(name).z32}", foreign_packet(name).to_relay_payload()).status
        for name in ("a", "b", "c", "d")
    ]
    assert answers == [204, 204, 204, 429]
    assert node.ask("GET", f"/{identity('a').z32}").status == 200


def test_too_many_packets_of_a_key_are_refused_and_forgeries_do_not_count(local: Callable[..., LocalNode]) -> None:
    node = local("node", "[limits]\nwrites_per_key_per_second = 0.1\nwrites_per_key_burst = 2\n")
    path = f"/{identity('alice').z32}"
    assert [node.ask("PUT", path, unsigned(foreign_packet("alice"))).status for _ in range(5)] == [400] * 5
    packets = [foreign_packet("alice", seq) for seq in (1, 2, 3)]
    answers = [node.ask("PUT", path, packet.to_relay_payload()).status for packet in packets]
    assert answers == [204, 204, 429]
    assert node.ask("PUT", f"/{identity('bob').z32}", foreign_packet("bob").to_relay_payload()).status == 204


def test_replayed_packet_does_not_use_up_its_owners_share(local: Callable[..., LocalNode]) -> None:
    node = local("node", "[limits]\nwrites_per_key_per_second = 0.1\nwrites_per_key_burst = 2\n")
    path = f"/{identity('alice').z32}"
    first = foreign_packet("alice", 1).to_relay_payload()
    assert [node.ask("PUT", path, first).status for _ in range(10)] == [204] * 10
    assert node.ask("PUT", path, foreign_packet("alice", 2).to_relay_payload()).status == 204


def test_too_many_document_bytes_are_refused(local: Callable[..., LocalNode]) -> None:
    node = local("node", "[limits]\ndocument_bytes_per_second = 1\ndocument_bytes_burst = 2048\n")
    answers = []
    for name in ("a", "b", "c"):
        document = record(name).document
        assert document is not None
        answers.append(node.ask("PUT", f"/document/{document.hash.hex()}", document.to_bytes()))
    assert [answer.status for answer in answers] == [204, 204, 429]
    assert answers[-1].code == "limits.bytes"


def test_connections_beyond_the_limit_are_refused_at_once(local: Callable[..., LocalNode]) -> None:
    node = local("node", "[limits]\nconnections_per_address = 3\n")
    held = [socket.create_connection(("127.0.0.1", node.port), timeout=WAIT_S) for _ in range(3)]
    eventually(lambda: node.call(lambda: node.service.server.open_connections) == 3, "three connections")
    with socket.create_connection(("127.0.0.1", node.port), timeout=WAIT_S) as sock:
        received = read_to_end(sock)
    assert received.startswith(b"HTTP/1.1 503 ")
    assert b"limits.connections: " in received
    for sock in held:
        sock.close()
    eventually(lambda: node.call(lambda: node.service.server.open_connections) == 0, "their end")
    assert node.ask("GET", "/healthz").status == 200
    assert node.service.metrics.refused_connections == 1


def test_handshakes_count_as_connections(local: Callable[..., LocalNode]) -> None:
    node = local("node", "[limits]\nconnections_per_address = 2\n")
    held = [socket.create_connection(("127.0.0.1", node.tls_port), timeout=WAIT_S) for _ in range(2)]
    eventually(lambda: node.call(lambda: node.service.server.open_connections) == 2, "two handshakes")
    with socket.create_connection(("127.0.0.1", node.tls_port), timeout=WAIT_S) as sock:
        assert read_to_end(sock) == b""
    for sock in held:
        sock.close()


def test_no_limits_means_none(shared: LocalNode) -> None:
    path = f"/{identity('unlimited').z32}"
    statuses = {
        shared.ask("PUT", path, foreign_packet("unlimited", seq).to_relay_payload()).status for seq in range(1, 150)
    }
    assert statuses == {204}


@pytest.mark.parametrize(
    ("networks", "host", "is_operator"),
    [
        ([], "127.0.0.1", True),
        ([], "127.8.8.8", True),
        ([], "::1", True),
        ([], "::ffff:127.0.0.1", True),
        ([], "192.0.2.7", False),
        (["192.0.2.0/24"], "192.0.2.7", True),
        (["192.0.2.0/24"], "::ffff:192.0.2.7", True),
        (["192.0.2.0/24"], "192.0.3.7", False),
        (["2001:db8::1"], "2001:db8::1", True),
    ],
)
def test_operator_is_this_machine_and_who_is_listed(
    shared: LocalNode, networks: list[str], host: str, is_operator: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = shared.service.server
    monkeypatch.setattr(server, "_operator_networks", [ipaddress.ip_network(text) for text in networks])
    assert server._client(host).is_operator is is_operator


def test_clients_behind_a_proxy_are_counted_by_what_it_says_of_them(local: Callable[..., LocalNode]) -> None:
    bounds = "[limits]\nrequests_per_second = 0.1\nrequests_burst = 2\nconnections_per_address = 1\n"
    node = local("node", bounds + "[operator]\nproxies = ['127.0.0.1']\n")

    def ask(forwarded_for: str) -> int:
        return node.ask("GET", "/identity", x_forwarded_for=forwarded_for).status

    assert [ask("192.0.2.1"), ask("192.0.2.1"), ask("192.0.2.1")] == [200, 200, 429]
    assert ask("192.0.2.2") == 200
    assert ask("192.0.2.77, 192.0.2.1") == 429  # only the last was written by the proxy
    assert ask("192.0.2.1, 2001:db8::1") == 200
    assert [ask("unknown"), ask("x" * 100), ask("")] == [200, 200, 429]  # the proxy itself
    held = [socket.create_connection(("127.0.0.1", node.port), timeout=WAIT_S) for _ in range(3)]
    assert ask("192.0.2.3") == 200
    for sock in held:
        sock.close()


def test_nobody_else_is_believed_to_speak_for_others(local: Callable[..., LocalNode]) -> None:
    node = local("node", "[limits]\nrequests_per_second = 0.1\nrequests_burst = 2\n")
    statuses = [node.ask("GET", "/identity", x_forwarded_for=f"192.0.2.{number}").status for number in range(3)]
    assert statuses == [200, 200, 429]
