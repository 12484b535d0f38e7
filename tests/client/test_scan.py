from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.client.records import foreign_packet, identity, key, record, unsigned
from tests.client.servers import Asked, Conversation, Server, Shelf
from walletcli.client.freshness import FreshnessMap, Seen
from walletcli.client.resolution import Outcome
from walletcli.client.scan import Scanned, TogetherScan, scan, scan_apart
from walletcli.core.record import Record
from walletcli.errors import NetworkError
from walletcli.net.addresses import NodeAddress
from walletcli.net.offline import OfflineDialer
from walletcli.net.stream import SocketStream
from walletcli.net.tcp import TcpDialer

Serve = Callable[[Callable[[Conversation], None]], Server]
Relay = Callable[..., tuple[Shelf, Server]]
NAMES = [f"name {number}" for number in range(60)]
RECORDS = {name: record(name, 100 + number) for number, name in enumerate(NAMES)}
IDENTITIES = [identity(name) for name in NAMES]


def ask(*servers: Server, memory: FreshnessMap | None = None, seconds: float = 2.0) -> list[Scanned]:
    addresses = [server.address for server in servers]
    return scan(IDENTITIES, addresses, dialer=TcpDialer(), memory=memory, timeout_s=seconds, now_s=20_000 * 86_400)


def found(results: list[Scanned]) -> list[Record | None]:
    return [result.resolution.record if result.resolution is not None else None for result in results]


def expected(*there: int) -> list[Record | None]:
    return [RECORDS[name] if number in there else None for number, name in enumerate(NAMES)]


def fill(shelf: Shelf, *numbers: int) -> None:
    for number in numbers:
        shelf.put(RECORDS[NAMES[number]])


def test_all_that_is_there_is_found_over_one_connection(relay: Relay) -> None:
    shelf, server = relay()
    fill(shelf, *range(0, 60, 2))
    told: list[tuple[int, int]] = []
    results = scan(
        IDENTITIES, [server.address], dialer=TcpDialer(), progress=lambda done, total: told.append((done, total))
    )
    assert found(results) == expected(*range(0, 60, 2))
    assert [result.is_absent for result in results] == [False, True] * 30
    assert [result.identity for result in results] == IDENTITIES
    assert server.connections == 1
    assert told[-1] == (60, 60)


def test_each_relay_is_asked_and_the_newest_wins(relay: Relay) -> None:
    (old, old_server), (new, new_server) = relay(), relay()
    fill(old, 1, 2)
    fill(new, 2, 3)
    newest = record(NAMES[2], 1000)
    new.put(newest)
    results = ask(old_server, new_server)
    assert found(results)[1:4] == [RECORDS[NAMES[1]], newest, RECORDS[NAMES[3]]]
    assert [source.outcome for source in results[2].sources] == [Outcome.OLDER, Outcome.CURRENT]
    assert [source.outcome for source in results[1].sources] == [Outcome.CURRENT, Outcome.NOT_FOUND]


def test_a_document_may_come_from_another_relay(relay: Relay) -> None:
    (first, first_server), (second, second_server) = relay(), relay()
    fill(first, 5)
    first.documents.clear()
    fill(second, 5)
    second.packets.clear()
    assert found(ask(first_server, second_server)) == expected(5)


def test_a_dead_relay_is_told_and_the_other_one_is_used(relay: Relay, serve: Serve) -> None:
    shelf, server = relay()
    fill(shelf, 1)
    dead = serve(lambda conversation: conversation.hang())
    results = ask(dead, server, seconds=-14.5)
    assert found(results) == expected(1)
    assert results[1].sources[0].error_code == "relay.timeout"
    assert results[0].error is not None
    assert results[0].error.code == "resolve.unreachable"
    assert not results[0].is_absent


def test_a_relay_that_dies_on_the_way_keeps_what_it_said(serve: Serve) -> None:
    shelf = Shelf()
    fill(shelf, *range(60))

    def converse(conversation: Conversation) -> None:
        while (asked := conversation.read()) is not None:
            if len(shelf.asked) > 40:
                return
            shelf.asked.append(asked)
            conversation.answer(*shelf.decide(asked))

    results = ask(serve(converse))
    there = [result for result in results if result.resolution is not None]
    assert 10 < len(there) < 60
    assert all(result.error and result.error.code == "resolve.unreachable" for result in results[-10:])


@pytest.mark.parametrize("framing", ["chunked", "closing", "interim", "capitals"])
def test_answers_in_other_forms_of_http_are_read_as_well(serve: Serve, framing: str) -> None:
    shelf = Shelf()
    fill(shelf, *range(10))

    def answer(conversation: Conversation, status: int, body: bytes) -> None:
        if framing == "chunked":
            head = f"HTTP/1.1 {status} X\r\nTransfer-Encoding: chunked\r\n\r\n{len(body):x}\r\n"
            conversation.send(head.encode() + (body + b"\r\n0\r\n\r\n" if body else b"\r\n"))
        elif framing == "closing":
            conversation.answer(status, body, "Connection: close")
        elif framing == "interim":
            conversation.send(b"HTTP/1.1 103 Early\r\n\r\n")
            conversation.answer(status, body)
        else:
            conversation.send(
                f"HTTP/1.1 {status}\r\nCONTENT-LENGTH:{len(body)}  \r\nVary: a\r\nVary: b\r\n\r\n".encode()
            )
            conversation.send(body)

    def converse(conversation: Conversation) -> None:
        while (asked := conversation.read()) is not None:
            answer(conversation, *shelf.decide(asked))
            if framing == "closing":
                return

    assert found(ask(serve(converse))) == expected(*range(10))


def test_a_relay_that_wants_fewer_requests_is_waited_for(serve: Serve) -> None:
    shelf = Shelf()
    fill(shelf, *range(60))
    refused: list[Asked] = []

    def converse(conversation: Conversation) -> None:
        while (asked := conversation.read()) is not None:
            shelf.asked.append(asked)
            if 20 <= len(shelf.asked) < 30:
                refused.append(asked)
                conversation.answer(429, b"limits.requests: slowly\n", "Retry-After: 0")
            else:
                conversation.answer(*shelf.decide(asked))

    assert found(ask(serve(converse))) == expected(*range(60))
    assert len(refused) == 10


def test_a_relay_that_wants_to_be_waited_for_too_long_is_told(serve: Serve) -> None:
    def converse(conversation: Conversation) -> None:
        while conversation.read():
            conversation.answer(429, b"limits.requests: slowly\n", "Retry-After: 1000")

    results = ask(serve(converse))
    assert {result.sources[0].error_code for result in results} == {"relay.limited"}


LIES: list[tuple[str, Callable[[Shelf, Asked], tuple[int, bytes]]]] = [
    ("signature.invalid", lambda _, __: (200, unsigned(RECORDS[NAMES[0]].packet))),
    ("relay.bad-answer", lambda _, __: (200, b"junk")),
    ("relay.too-much", lambda _, __: (200, bytes(100_000))),
    ("relay.refused", lambda _, __: (500, b"")),
    ("relay.bad-answer", lambda _, __: (302, b"")),
]


@pytest.mark.parametrize(("code", "lie"), LIES)
def test_a_lie_about_one_identity_says_nothing_of_the_others(
    serve: Serve, code: str, lie: Callable[[Shelf, Asked], tuple[int, bytes]]
) -> None:
    shelf = Shelf()
    fill(shelf, *range(60))
    path = f"/{IDENTITIES[0].z32}"

    def converse(conversation: Conversation) -> None:
        while (asked := conversation.read()) is not None:
            conversation.answer(*(lie(shelf, asked) if asked.path == path else shelf.decide(asked)))

    results = ask(serve(converse))
    assert found(results) == expected(*range(1, 60))
    assert results[0].sources[0].error_code == code


def test_another_document_than_named_is_refused(serve: Serve) -> None:
    shelf = Shelf()
    fill(shelf, 0, 1)

    def converse(conversation: Conversation) -> None:
        while (asked := conversation.read()) is not None:
            status, body = shelf.decide(asked)
            conversation.answer(status, bytes(len(body)) if asked.path.startswith("/document/") else body)

    results = ask(serve(converse))
    assert results[0].sources[0].error_code == "record.hash-mismatch"
    assert results[0].resolution is not None
    assert results[0].resolution.record.is_pending


@pytest.mark.parametrize("way", ["drip", "flood"])
def test_a_relay_that_never_ends_ends(serve: Serve, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    monkeypatch.setattr("walletcli.client.scan.PER_KEY_S", 0.001)

    def converse(conversation: Conversation) -> None:
        conversation.read()
        conversation.drip(b"HTTP/1.1 200 OK\r\n", 0.01) if way == "drip" else conversation.flood(bytes(65_536))

    results = ask(serve(converse), seconds={"drip": 0.5, "flood": 10.0}[way])
    codes = {"drip": {"relay.timeout"}, "flood": {"relay.bad-answer"}}
    assert {result.sources[0].error_code for result in results} == codes[way]


def test_what_is_remembered_is_not_gone_back_behind(relay: Relay) -> None:
    shelf, server = relay()
    fill(shelf, 0, 1)
    memory = FreshnessMap()
    memory.put(IDENTITIES[0].public_key, Seen(1_000_000, bytes(32)))
    results = ask(server, memory=memory)
    assert results[0].error is not None
    assert results[0].error.code == "record.stale"
    assert found(results)[1] == RECORDS[NAMES[1]]
    assert memory.get(IDENTITIES[1].public_key) == Seen.of(RECORDS[NAMES[1]])


def test_other_tools_packets_are_found(relay: Relay) -> None:
    shelf, server = relay()
    packet = foreign_packet(NAMES[3])
    shelf.packets[key(NAMES[3]).public_key] = packet
    result = ask(server)[3]
    assert result.resolution is not None
    assert result.resolution.record.packet == packet


def test_relays_that_keep_no_documents_give_packets(relay: Relay) -> None:
    (packets, packet_server), (shelf, server) = relay(keeps_documents=False), relay()
    fill(packets, 1)
    fill(shelf, 1)
    shelf.packets.clear()
    assert found(ask(packet_server, server)) == expected(1)


def test_nobody_to_ask_is_an_error() -> None:
    with pytest.raises(NetworkError) as caught:
        scan(IDENTITIES, [], dialer=TcpDialer())
    assert caught.value.code == "relay.none"


def test_offline_is_told_for_each(relay: Relay) -> None:
    _, server = relay()
    results = scan(IDENTITIES, [server.address], dialer=OfflineDialer())
    assert {result.error.code for result in results if result.error} == {"network.offline"}
    assert server.connections == 0


def test_apart_every_identity_has_its_own_connection(relay: Relay) -> None:
    shelf, server = relay()
    fill(shelf, 0, 2)
    heard: list[str | None] = []

    class Dialer(TcpDialer):
        def dial(self, address: NodeAddress, for_identity: str | None, deadline_s: float) -> SocketStream:
            heard.append(for_identity)
            return super().dial(address, for_identity, deadline_s)

    results = scan_apart(IDENTITIES[:5], [server.address], dialer=Dialer(), now_s=0)
    assert found(results) == expected(0, 2)[:5]
    assert sorted(str(did) for did in heard) == sorted(one.did for one in IDENTITIES[:5])
    assert server.connections == 5


def test_several_steps_go_over_one_connection(relay: Relay) -> None:
    shelf, server = relay()
    fill(shelf, *range(0, 60, 3))
    results: list[Scanned] = []
    with TogetherScan([server.address], dialer=TcpDialer(), timeout_s=2.0) as asking:
        for start in range(0, 60, 20):
            results += asking.look_up(IDENTITIES[start : start + 20])
    assert found(results) == expected(*range(0, 60, 3))
    assert server.connections == 1


def test_a_relay_that_failed_in_one_step_is_asked_in_the_next(serve: Serve) -> None:
    shelf = Shelf()
    fill(shelf, *range(60))

    def converse(conversation: Conversation) -> None:
        if conversation.number == 1:
            conversation.hang()
        shelf.converse(conversation)

    with TogetherScan([serve(converse).address], dialer=TcpDialer(), timeout_s=-4.0) as asking:
        steps = [asking.look_up(IDENTITIES[:20]), asking.look_up(IDENTITIES[20:40]), asking.look_up(IDENTITIES[:20])]
    assert {result.sources[0].error_code for result in steps[0]} == {"relay.timeout"}
    assert found(steps[1]) == expected(*range(60))[20:40]
    assert found(steps[2]) == expected(*range(60))[:20]
