"""A flood: what still works, what the kernel keeps away from us, and what is done about datagrams that get lost."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.dht.strangers import Stranger, look_up, opened, stranger
from tests.dht.swarm import Swarm, joined, new_key, signed, until
from walletcli.dht import sorting
from walletcli.dht.endpoint import Endpoint
from walletcli.dht.mainline import Mainline
from walletcli.dht.messages import Item
from walletcli.dht.writer import Writer
from walletcli.errors import NetworkError
from walletcli.node.run import new_loop


@contextlib.contextmanager
def flood(*ports: int) -> Iterator[None]:
    """Have another process send garbage of all kinds, as fast as it can, from many addresses."""
    command = [sys.executable, str(Path(__file__).with_name("flooder.py")), *map(str, ports)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "sending\n"
            yield
        finally:
            process.kill()


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


FEW = 4
"""How many items the swarm is to store."""

TRIES = 5
"""How often something that the network is asked for may be asked again before it counts as failed."""


async def work_under_flood(swarm: Swarm, items: int, seconds: float = 0.0) -> None:
    """Put and read while both ports of a member are flooded, and see that it costs no memory.

    The same few keys are put with higher and higher `seq`: what the swarm stores lies in this process as well.
    """
    keys = [new_key() for _ in range(FEW)]
    async with joined(swarm.addresses) as ours:
        endpoint = ours._writers[0].endpoint
        await ours.put(signed(new_key()))
        with flood(endpoint.address[1], ours.session.addresses[0][1]):
            end = time.monotonic() + seconds
            before = 0
            done = 0
            while done < items or time.monotonic() < end:
                item = signed(keys[done % FEW], b"%d" % done, seq=done + 1)
                assert await within_tries(lambda item=item: kept_on_most(ours, item))
                assert await within_tries(lambda item=item: is_read(ours, item))
                done += 1
                if done == FEW:
                    before = resident_bytes()
            await until(lambda: endpoint.traffic.dropped > 1000)
            assert resident_bytes() - before < 16 << 20


async def within_tries(attempt: Callable[[], Awaitable[bool]]) -> bool:
    for _ in range(TRIES):
        if await attempt():
            return True
    return False


async def kept_on_most(ours: Mainline, item: Item) -> bool:
    """Put as the rounds do, and see what the nodes then have."""
    await ours.keep(item)
    return await ours.count(item) >= 6


async def is_read(ours: Mainline, item: Item) -> bool:
    return await ours.get(item.key) == item


def test_look_ups_go_on_and_memory_stays_flat_under_a_flood(swarm: Swarm) -> None:
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(work_under_flood(swarm, 12))


@pytest.mark.soak
@pytest.mark.timeout(4000)
@pytest.mark.parametrize("seconds", [120.0, 3600.0])
def test_two_minutes_and_an_hour_of_flood(swarm: Swarm, seconds: float) -> None:
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(work_under_flood(swarm, 12, seconds))


# what the kernel does for us

COOKIE = b"\x01COO"
ANSWER = b"d1:rd2:id20:" + b"s" * 20 + b"e1:t8:" + COOKIE + b"KIEs%b1:y1:re"
QUERY = b"d1:ad2:id20:qqqqqqqqqqqqqqqqqqqqe1:q4:ping1:t2:aa1:y1:qe"


@contextlib.contextmanager
def sorted_sockets(host: str = "127.0.0.1") -> Iterator[list[socket.socket]]:
    sockets = sorting.bind(host, 0, COOKIE)
    for sock in sockets:
        sock.settimeout(30)
    with contextlib.ExitStack() as stack:
        for sock in sockets:
            stack.enter_context(sock)
        yield sockets


def send(sockets: list[socket.socket], *datagrams: bytes) -> None:
    with socket.socket(sockets[0].family, socket.SOCK_DGRAM) as sender:
        for data in datagrams:
            sender.sendto(data, sockets[0].getsockname())


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("answer", [ANSWER % b"", ANSWER % b"1:v4:LT\x02\x01"])
def test_an_answer_gets_through_while_the_queue_is_full_of_what_others_send(host: str, answer: bytes) -> None:
    with sorted_sockets(host) as (others, answers):
        send([others], *[QUERY] * 20_000, answer)
        assert answers.recv(4096) == answer
        assert others.recv(4096) == QUERY


@pytest.mark.parametrize(
    "data",
    [
        QUERY,
        (ANSWER % b"").replace(COOKIE, b"cook"),
        ANSWER % b"1:v5:other",
        (ANSWER % b"")[:-1] + b" e",
        b"de",
        b"d" + COOKIE + b"e",
        (ANSWER % b"")[-15:].replace(COOKIE, b"dOOK"),
    ],
)
def test_what_does_not_look_like_an_answer_waits_with_the_rest(data: bytes) -> None:
    with sorted_sockets() as (others, answers):
        send([others], data, ANSWER % b"")
        assert others.recv(4096) == data
        assert answers.recv(4096) == ANSWER % b""


@pytest.mark.parametrize(
    "data", [b"", b"d", b"e", b"x" * 100, b"l" * 50 + b"e", b"d" * 50, b"d" + b"x" * 4095 + b"e", ANSWER % b"" + b"\0"]
)
def test_what_cannot_be_a_message_takes_no_room(data: bytes) -> None:
    with sorted_sockets() as (others, _):
        send([others], data, QUERY)
        assert others.recv(65_536) == QUERY


def test_the_longest_message_is_taken() -> None:
    with sorted_sockets() as (others, _):
        send([others], b"d" + b"x" * 4094 + b"e")
        assert len(others.recv(65_536)) == 4096


def test_an_address_in_use_is_not_shared_with_who_has_it() -> None:
    async def story() -> None:
        async with opened() as endpoint:
            with pytest.raises(NetworkError) as refused:
                await Endpoint.open("127.0.0.1", endpoint.address[1], private=True)
            assert refused.value.code == "dht.listen"

    asyncio.run(story())


def test_without_a_kernel_that_sorts_one_socket_does_it_all(swarm: Swarm, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no such option")

    monkeypatch.setattr(sorting, "_attach", refuse)

    async def story() -> None:
        async with joined(swarm.addresses) as ours:
            assert ours._writers[0].endpoint._answers is None
            assert (await ours.put(signed(new_key()))).stored == 8

    asyncio.run(story())


# datagrams that get lost


def deaf(times: int) -> Callable[..., None]:
    """A decent node that misses each question so many times."""
    missed: Counter[bytes] = Counter()

    def reply(node: Stranger, query: dict[bytes, Any], address: Any) -> None:
        missed[query[b"t"]] += 1
        if missed[query[b"t"]] > times:
            node.answer(query, address)

    return reply


def test_a_look_up_asks_a_node_twice() -> None:
    with stranger(deaf(1)) as node, stranger(Stranger.answer, b"d" * 20) as decent:
        found = look_up(node.contact, decent.contact)
    assert {holder.node_id for holder in found.nearest} == {node.node_id, decent.node_id}
    assert len(node.asked) == 2
    assert found.questions == 2


def test_a_look_up_does_not_ask_a_third_time() -> None:
    with stranger(deaf(9)) as node, stranger(Stranger.answer, b"d" * 20) as decent:
        found = look_up(node.contact, decent.contact)
    assert [holder.node_id for holder in found.nearest] == [decent.node_id]
    assert len(node.asked) == 2


def test_a_put_is_sent_up_to_four_times() -> None:
    missed: Counter[bytes] = Counter()

    def reply(node: Stranger, query: dict[bytes, Any], address: Any) -> None:
        missed[query[b"q"]] += 1
        if query[b"q"] == b"get" or missed[b"put"] > 3:
            node.answer(query, address)

    with stranger(reply) as node:

        async def story() -> None:
            endpoint = await Endpoint.open("127.0.0.1", 0, private=True)
            with contextlib.closing(Writer(endpoint, seeds=lambda: [node.contact])) as writer:
                assert (await writer.put(signed(new_key()), counted=False)).stored == 1

        asyncio.run(story())
    assert missed[b"put"] == 4
