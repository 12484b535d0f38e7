"""What strangers send: garbage, lies, answers to questions that were not asked of them, and no end of it."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from tests.dht.strangers import TARGET, Stranger, look_up, named, opened, stranger
from tests.dht.swarm import Swarm, new_key, signed, until
from walletcli.core import bencode
from walletcli.dht.contacts import Contact, fits_address, is_usable
from walletcli.dht.endpoint import QUERIES_PER_ADDRESS, QUERIES_PER_SECOND, Endpoint
from walletcli.dht.known_nodes import MAX_DEAD, MAX_KNOWN, KnownNodes
from walletcli.dht.look_up import MAX_QUESTIONS, LookUp
from walletcli.dht.writer import Writer


def test_a_decent_answer_is_taken() -> None:
    with stranger(Stranger.answer) as node:
        found = look_up(Contact(None, node.address))
    assert [holder.node_id for holder in found.nearest] == [node.node_id]


def from_elsewhere(node: Stranger, query: dict[bytes, Any], address: Any) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        other.sendto(bencode.encode({b"t": query[b"t"], b"y": b"r", b"r": {b"id": node.node_id}}), address)


def wrong_transaction(node: Stranger, query: dict[bytes, Any], address: Any) -> None:
    for transaction in (query[b"t"][:-1], query[b"t"] + b"\0", bytes(4), query[b"t"][::-1] + b"x"):
        node.answer({b"t": transaction}, address)


def raw(data: bytes) -> Callable[..., None]:
    def reply(node: Stranger, query: dict[bytes, Any], address: Any) -> None:
        node.socket.sendto(data.replace(b"TTTT", bencode.encode(query[b"t"])), address)

    return reply


def own_id_of_who_asks(node: Stranger, query: dict[bytes, Any], address: Any) -> None:
    node.answer(query, address, id=query[b"a"][b"id"])


@pytest.mark.parametrize(
    "reply",
    [
        from_elsewhere,
        wrong_transaction,
        own_id_of_who_asks,
        raw(b""),
        raw(b"garbage"),
        raw(b"d1:rd2:id20:sssssssssssssssssssse1:tTTTT1:y1:rex"),
        raw(b"d1:rd2:id20:ssssssssssssssssssss5:nodes25:nnnnnnnnnnnnnnnnnnnnnnnnne1:tTTTT1:y1:re"),
        raw(b"d1:rd2:id19:ssssssssssssssssssse1:tTTTT1:y1:re"),
        raw(b"d1:rd2:id20:ssssssssssssssssssss5:token0:e1:tTTTT1:y1:re"),
        raw(b"d1:rd2:id20:ssssssssssssssssssss3:seqi-1ee1:tTTTT1:y1:re"),
        raw(b"d1:tTTTT1:rd2:id20:sssssssssssssssssssse1:y1:re"),
        raw(b"d1:rle1:tTTTT1:y1:re"),
        raw(b"d1:ele1:tTTTT1:y1:ee"),
        raw(b"d1:tTTTT1:y1:ze"),
        raw(b"l" * 2000),
        raw(b"d1:rd2:id20:" + b"s" * 20 + b"1:v5000:" + b"v" * 5000 + b"e1:tTTTT1:y1:re"),
    ],
    ids=lambda reply: getattr(reply, "__name__", ""),
)
def test_an_answer_that_is_wrong_in_any_way_counts_as_none(reply: Callable[..., None]) -> None:
    with stranger(reply) as node, stranger(Stranger.answer, b"d" * 20) as decent:
        found = look_up(node.contact, decent.contact)
    assert [holder.node_id for holder in found.nearest] == [decent.node_id]


def test_a_node_that_answers_under_another_id_than_it_was_named_under_is_not_believed() -> None:
    with stranger(lambda node, query, address: node.answer(query, address, id=TARGET)) as liar:
        assert look_up(liar.contact).nearest == []
        assert len(liar.asked) == 1


def test_nodes_at_impossible_addresses_are_not_asked() -> None:
    nowhere = [Contact(b"n" * 20, (host, 1)) for host in ("0.0.0.0", "224.0.0.1", "255.255.255.255")]
    nowhere.append(Contact(b"n" * 20, ("127.0.0.1", 0)))
    with stranger(lambda node, query, address: node.answer(query, address, nodes=named(*nowhere))) as node:
        found = look_up(node.contact)
    assert found.questions == 1


@pytest.mark.parametrize("host", ["10.0.0.1", "127.0.0.1", "192.168.1.1", "169.254.1.1", "fe80::1", "fd00::1", "::1"])
def test_in_the_public_dht_addresses_that_are_not_public_are_not_asked(host: str) -> None:
    assert not is_usable(host, private=False)


def test_a_peer_without_end_ends() -> None:
    def reply(node: Stranger, query: dict[bytes, Any], address: Any) -> None:
        more = [Contact(TARGET[:18] + secrets.token_bytes(2), (f"127.0.{n}.{n}", node.address[1])) for n in range(32)]
        node.answer(query, address, nodes=named(*more), id=node.node_id)

    with ExitStack() as stack:
        nodes = [stack.enter_context(stranger(reply, TARGET[:10] + bytes([n]) * 10)) for n in range(8)]
        found = look_up(*(node.contact for node in nodes))
    assert found.questions <= MAX_QUESTIONS
    assert {holder.node_id for holder in found.nearest} == {node.node_id for node in nodes}


def test_a_forged_newer_item_neither_stops_a_put_nor_is_read(swarm: Swarm) -> None:
    item = signed(new_key(), b"true", 5)
    forged = replace(item, seq=9, value=b"false")

    def lie(node: Stranger, query: dict[bytes, Any], address: Any) -> None:
        node.answer(query, address, k=forged.key, seq=forged.seq, sig=forged.signature, v=forged.value)

    with stranger(lie, item.target) as liar:

        async def story() -> None:
            endpoint = await Endpoint.open("127.0.0.1", 0, private=True)
            seeds = [liar.contact, *(Contact(None, address) for address in swarm.addresses)]
            with contextlib.closing(Writer(endpoint, seeds=lambda: seeds)) as writer:
                kept = await writer.put(item, counted=True)
                assert kept.newer is None
                assert kept.stored >= 7  # the liar took one place among the nearest, and is not counted
                assert (await writer.get(item.key))[0] == item

        asyncio.run(story())
    assert {query[b"q"] for query in liar.asked} == {b"get", b"put"}


def test_a_node_that_says_stored_and_keeps_nothing_is_not_counted() -> None:
    with stranger(Stranger.answer) as liar:

        async def story() -> None:
            endpoint = await Endpoint.open("127.0.0.1", 0, private=True)
            with contextlib.closing(Writer(endpoint, seeds=lambda: [liar.contact])) as writer:
                assert (await writer.put(signed(new_key()), counted=True)).stored == 0

        asyncio.run(story())


def test_a_wrong_token_is_a_refusal(swarm: Swarm) -> None:
    address = swarm.addresses[0]

    async def story() -> None:
        async with opened() as endpoint:
            future = asyncio.get_running_loop().create_future()
            found = await LookUp(endpoint, TARGET).run([Contact(None, address)])
            holder = next(holder for holder in found.nearest if holder.address == address)
            endpoint.put(address, holder.node_id, signed(new_key()), b"wrong", None, future.set_result)
            assert (await future).code in (203, 206)

    asyncio.run(story())


# more questions than may be open


def silent(node: Stranger, query: dict[bytes, Any], address: Any) -> None:
    """Answer nothing."""


def test_look_ups_wait_where_too_many_questions_are_open(swarm: Swarm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("walletcli.dht.endpoint.MAX_OPEN", 2)
    items = [signed(new_key()) for _ in range(8)]

    async def story() -> None:
        endpoint = await Endpoint.open("127.0.0.1", 0, private=True)
        seeds = [Contact(None, address) for address in swarm.addresses]
        with contextlib.closing(Writer(endpoint, seeds=lambda: seeds)) as writer:
            for item in items:
                assert (await writer.put(item, counted=True)).stored == 8
            read = await asyncio.gather(*(writer.get(item.key) for item in items))
            assert [reading.item for reading in read] == items
            assert all(reading.answered >= 8 for reading in read)

    asyncio.run(story())


def test_questions_whose_time_is_over_keep_nobody_from_asking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their late answers are waited for, three seconds at least: in a network where half has died that is most."""
    monkeypatch.setattr("walletcli.dht.endpoint.MAX_OPEN", 4)
    monkeypatch.setattr("walletcli.dht.endpoint.LATE_S", 60.0)
    monkeypatch.setattr("walletcli.dht.endpoint.MAX_LATE", 6)

    async def story() -> None:
        async with opened() as endpoint:
            found = await LookUp(endpoint, TARGET).run([node.contact for node in dead])
            assert (found.nearest, found.silent) == ([], len(dead))
            assert not endpoint.is_busy
            assert len(endpoint._open) == 6  # the oldest are not waited for
            found = await LookUp(endpoint, TARGET).run([alive.contact])
            assert [holder.node_id for holder in found.nearest] == [alive.node_id]

    with ExitStack() as stack:
        dead = [stack.enter_context(stranger(silent, bytes([n]) * 20)) for n in range(1, 13)]
        alive = stack.enter_context(stranger(Stranger.answer))
        asyncio.run(story())


def test_a_look_up_that_waits_ends_when_its_socket_closes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("walletcli.dht.endpoint.MAX_OPEN", 1)

    async def story() -> None:
        async with opened() as endpoint, asyncio.timeout(10):
            look_ups = [asyncio.create_task(LookUp(endpoint, TARGET).run([dead.contact])) for _ in range(3)]
            await until(lambda: len(endpoint._waiting) == 2)
            endpoint.close()
            assert [(await look_up).nearest for look_up in look_ups] == [[]] * 3

    with stranger(silent) as dead:
        asyncio.run(story())


# what others ask of us


def ask(endpoint: Endpoint, data: bytes) -> bytes | None:
    """Send a datagram from a socket of its own, and a ping after it; return what comes back before its answer."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(30)
        sock.sendto(data, endpoint.address)
        sock.sendto(LAST_PING, endpoint.address)
        answer = sock.recv(65_536)
        return None if bencode.decode(answer)[b"t"] == b"last" else answer  # type: ignore[index,call-overload]


def query(method: bytes, **arguments: bytes) -> bytes:
    values = {name.encode(): value for name, value in arguments.items()}
    return bencode.encode({b"a": {b"id": b"q" * 20, **values}, b"q": method, b"t": b"aa", b"y": b"q"})


LAST_PING = query(b"ping").replace(b"2:aa", b"4:last")


def asked(*questions: bytes) -> list[Any]:
    """Return what an endpoint that knows a decent node answers to each question."""

    async def story() -> list[Any]:
        with stranger(Stranger.answer, b"d" * 20) as decent:
            async with opened() as endpoint:
                await LookUp(endpoint, TARGET).run([decent.contact])
                answers = [await asyncio.to_thread(ask, endpoint, data) for data in questions]
        return [answer and bencode.decode(answer) for answer in answers]

    return asyncio.run(story())


def test_queries_are_answered_without_token_or_value() -> None:
    wanted = [query(b"ping"), query(b"find_node", target=TARGET), query(b"get", target=TARGET)]
    wanted.append(query(b"get_peers", info_hash=TARGET))
    for number, (answer, data) in enumerate(zip(asked(*wanted), wanted, strict=True)):
        assert answer[b"y"] == b"r"
        assert answer[b"t"] == b"aa"
        assert set(answer[b"r"]) == ({b"id"} if number == 0 else {b"id", b"nodes"})
        assert len(bencode.encode(answer)) <= 3 * len(data) + 60
        assert number == 0 or answer[b"r"][b"nodes"][:20] == b"d" * 20


def test_nobody_stores_anything_on_us() -> None:
    item = signed(new_key())
    put = bencode.encode(
        {
            b"a": {b"id": b"q" * 20, b"k": item.key, b"seq": 1, b"sig": item.signature, b"token": b"x", b"v": b"v"},
            b"q": b"put",
            b"t": b"aa",
            b"y": b"q",
        }
    )
    answers = asked(put, query(b"announce_peer", info_hash=TARGET), query(b"sample_infohashes", target=TARGET))
    assert [answer[b"e"][0] for answer in answers] == [203, 203, 204]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"d",
        query(b"ping")[:-1],
        query(b"ping") + b"e",
        query(b"get", target=b"short"),
        query(b"x" * 33),
        bencode.encode({b"a": {b"id": b"q" * 19}, b"q": b"ping", b"t": b"aa", b"y": b"q"}),
        bencode.encode({b"a": {b"id": b"q" * 20}, b"q": b"ping", b"t": b"", b"y": b"q"}),
        bencode.encode({b"a": {b"id": b"q" * 20}, b"q": b"ping", b"t": b"t" * 33, b"y": b"q"}),
        bencode.encode({b"a": [], b"q": b"ping", b"t": b"aa", b"y": b"q"}),
        bencode.encode({b"q": b"ping", b"t": b"aa", b"y": b"q"}),
        b"d" * 60_000,
    ],
)
def test_a_query_that_is_malformed_is_not_answered(data: bytes) -> None:
    assert asked(data) == [None]


def test_one_address_gets_so_many_answers_and_all_together_so_many_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        async with opened() as endpoint:
            now = 5.0
            monkeypatch.setattr(endpoint, "_loop", SimpleNamespace(time=lambda: now))
            for _ in range(QUERIES_PER_ADDRESS + 50):
                endpoint.datagram_received(query(b"ping"), ("127.0.0.1", 9))
            assert (endpoint.traffic.queries, endpoint.traffic.dropped) == (QUERIES_PER_ADDRESS, 50)
            for number in range(QUERIES_PER_SECOND):
                endpoint.datagram_received(query(b"ping"), (f"127.0.1.{number % 100}", 9))
            assert endpoint.traffic.queries == QUERIES_PER_SECOND
            now = 6.0
            endpoint.datagram_received(query(b"ping"), ("127.0.0.1", 9))
            assert endpoint.traffic.queries == QUERIES_PER_SECOND + 1

    asyncio.run(story())


# memory of nodes


def test_known_and_dead_nodes_are_bounded() -> None:
    known = KnownNodes()
    for number in range(MAX_KNOWN + 500):
        address = (f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 1)
        known.note_answer(secrets.token_bytes(20), address, 0.01, 0.0)
        for _ in range(2):
            known.note_silence((address[0], 2), 0.0, 0.0)
            known.note_silence((address[0], 3 + number), 0.0, 0.0)
    assert len(known) <= MAX_KNOWN
    assert len(known._numbers) == len(known._by_number) == len(known)
    assert max(len(known._dead), len(known._failures)) <= MAX_DEAD


def test_a_node_that_is_silent_twice_is_left_alone_until_its_time_is_over() -> None:
    known, address = KnownNodes(), ("10.0.0.1", 1)
    known.note_answer(b"n" * 20, address, 0.01, 0.0)
    known.note_silence(address, 0.0, 0.0)
    assert not known.is_dead(address, 0.0)
    known.note_answer(b"n" * 20, address, 0.01, 0.0)
    known.note_silence(address, 0.0, 0.0)
    assert known.nearest(TARGET, 8)
    known.note_silence(address, 0.0, 0.0)
    assert known.is_dead(address, 599.0)
    assert known.nearest(TARGET, 8) == []
    assert not known.is_dead(address, 601.0)


def test_silence_of_everybody_is_held_against_nobody() -> None:
    known, address = KnownNodes(), ("10.0.0.1", 1)
    known.note_answer(b"n" * 20, address, 0.01, now=1.0)
    for asked_at in (2.0, 3.0, 4.0):
        known.note_silence(address, 9.0, asked_at)
    assert known.nearest(TARGET, 8)
    known.note_answer(b"m" * 20, ("10.0.0.2", 1), 0.01, now=3.5)
    known.note_silence(address, 9.0, 4.0)
    assert len(known) == 2
    known.note_silence(address, 9.0, 3.0)
    known.note_silence(address, 9.0, 3.0)
    assert known.is_dead(address, 9.0)


def test_a_node_that_takes_another_id_or_address_has_one_place() -> None:
    known = KnownNodes()
    known.note_answer(b"a" * 20, ("10.0.0.1", 1), 0.01, 0.0)
    known.note_answer(b"b" * 20, ("10.0.0.1", 1), 0.01, 0.0)
    known.note_answer(b"b" * 20, ("10.0.0.2", 1), 0.01, 0.0)
    assert known.nearest(TARGET, 8) == [Contact(b"b" * 20, ("10.0.0.2", 1))]


def test_the_timeout_follows_the_round_trips() -> None:
    known, address = KnownNodes(), ("10.0.0.1", 1)
    assert known.timeout_s(address) == 1.0
    for _ in range(20):
        known.note_answer(b"n" * 20, address, 0.4, 0.0)
    assert 0.4 < known.timeout_s(address) < 0.6
    assert 0.4 < known.timeout_s(("10.0.0.2", 1)) < 0.6  # of others, as far as is known
    for _ in range(20):
        known.note_answer(b"n" * 20, address, 0.001, 0.0)
    assert known.timeout_s(address) == 0.25


@pytest.mark.parametrize(
    ("host", "node_id"),
    [
        ("124.31.75.21", "5fbfbff10c5d6a4ec8a88e4c6ab4c28b95eee401"),
        ("21.75.31.124", "5a3ce9c14e7a08645677bbd1cfe7d8f956d53256"),
        ("65.23.51.170", "a5d43220bc8f112a3d426c84764f8c2a1150e616"),
        ("84.124.73.14", "1b0321dd1bb1fe518101ceef99462b947a01ff41"),
        ("43.213.53.83", "e56f6cbf5b7c4be0237986d5243b87aa6d51305a"),
    ],
)
def test_ids_fit_addresses_as_published(host: str, node_id: str) -> None:
    value = bytes.fromhex(node_id)
    assert fits_address(value, host)
    assert not fits_address(bytes([value[0] ^ 1]) + value[1:], host)
    assert not fits_address(value[:19] + bytes([value[19] ^ 1]), host)
    assert not fits_address(value, "8.8.8.8")
    assert fits_address(value, "127.0.0.1")


def test_items_are_put_over_ipv6_as_well() -> None:
    def reply(sock: socket.socket, data: bytes, address: Any, stored: dict[str, Any]) -> None:
        message: Any = bencode.decode(data)
        values: dict[bytes, Any] = {b"id": b"6" * 20, b"token": b"token", b"nodes6": b""}
        if message[b"q"] == b"put":
            stored.update(message[b"a"] and {"item": message[b"a"]})
        elif "item" in stored:
            values |= {name: stored["item"][name] for name in (b"k", b"seq", b"sig", b"v")}
        sock.sendto(bencode.encode({b"t": message[b"t"], b"y": b"r", b"r": values}), address)

    async def story() -> None:
        loop = asyncio.get_running_loop()
        stored: dict[str, Any] = {}

        class Six(asyncio.DatagramProtocol):
            def datagram_received(self, data: bytes, addr: Any) -> None:
                reply(transport, data, addr, stored)  # type: ignore[arg-type]

        transport, _ = await loop.create_datagram_endpoint(Six, local_addr=("::1", 0))
        seed = Contact(None, transport.get_extra_info("sockname")[:2])
        endpoint = await Endpoint.open("::1", 0, private=True)
        with contextlib.closing(transport), contextlib.closing(Writer(endpoint, seeds=lambda: [seed])) as writer:
            item = signed(new_key())
            assert (await writer.put(item, counted=True)).stored == 1
            assert (await writer.get(item.key))[0] == item

    asyncio.run(story())
