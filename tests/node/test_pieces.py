"""Requests with long bodies, cut anywhere and sent in any company: what is handed over is what was sent, in order."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from typing import cast

import pytest

from walletcli.node.clock import Clock
from walletcli.node.http import NEVER, Connection
from walletcli.node.incoming import RAW_BYTES
from walletcli.node.request import BodyLimit, Client, Refusal, Request, Room
from walletcli.node.wire import Answers

MOST_BYTES = 400_000
SIZES = (0, 1, 500, 4000, 4096, RAW_BYTES - 1, RAW_BYTES, RAW_BYTES + 1, 65_900, 70_000, 262_144, 300_001)


class Transport(asyncio.Transport):
    """Remembers what is written, and whether it is being read."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_paused = self.is_closed = False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def can_write_eof(self) -> bool:
        return False

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False

    def close(self) -> None:
        self.is_closed = True

    def abort(self) -> None:
        self.is_closed = True


class Handler:
    """Takes requests and answers them when it is told to.

    Args:
        keeps_views: whether long bodies have room set aside, and so may be taken as they came.
    """

    def __init__(self, keeps_views: bool) -> None:
        self.answers = Answers()
        self.clock = Clock(0.0)
        self.requests: list[Request] = []
        self.held = 0
        self._keeps_views = keeps_views

    def body_limit(
        self, method: bytes, target: bytes, headers: dict[bytes, bytes], client: Client, length_bytes: int | None
    ) -> BodyLimit | Refusal:
        if self._keeps_views and (length_bytes or 0) > RAW_BYTES:
            self.held += 1
            return BodyLimit(MOST_BYTES, "x.too-long", Room(self._give_back))
        return BodyLimit(MOST_BYTES, "x.too-long")

    def _give_back(self) -> None:
        self.held -= 1

    def submit(self, request: Request, connection: Connection) -> None:
        self.requests.append(request)

    def answered(self, method: bytes, status: bytes) -> None:
        pass

    def closed(self, connection: Connection) -> None:
        pass


def body_of(number: int, size: int) -> bytes:
    return random.Random(number).randbytes(size)


def whole(request: Request) -> bytes:
    assert request.view is None or request.body == b""
    return request.body if request.view is None else bytes(request.view)


def stream_of(sizes: list[int]) -> bytes:
    return b"".join(
        b"PUT /%d HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (number, size, body_of(number, size))
        for number, size in enumerate(sizes)
    )


def pieces_of(stream: bytes, chance: random.Random) -> Iterator[bytes]:
    longest = chance.choice((100, 5000, 70_000, 262_144))
    at = 0
    while at < len(stream):
        size = chance.randint(1, longest)
        yield stream[at : at + size]
        at += size


@pytest.mark.parametrize("keeps_views", [True, False])
@pytest.mark.parametrize("seed", range(40))
def test_bodies_cut_anywhere_are_whole_and_in_order(seed: int, keeps_views: bool) -> None:
    chance = random.Random(seed)
    sizes = [chance.choice(SIZES) for _ in range(chance.randint(1, 6))]
    handler = Handler(keeps_views)
    connection, transport = Connection(handler, Client(b"", False)), Transport()
    connection.connection_made(transport)
    waiting = list(pieces_of(stream_of(sizes), chance))
    done = 0
    while waiting or done < len(handler.requests):
        if waiting and not transport.is_paused and (done == len(handler.requests) or chance.random() < 0.5):
            connection.data_received(waiting.pop(0))
            continue
        assert len(handler.requests) == done + 1  # the next one is handed over when this one is answered
        done += 1
        connection.finish(b"HTTP/1.1 204 number %d\r\n\r\n" % done)
    assert [whole(request) for request in handler.requests] == [body_of(n, size) for n, size in enumerate(sizes)]
    assert [request.target for request in handler.requests] == [b"/%d" % number for number in range(len(sizes))]
    numbers = [int(line.split()[3]) for line in transport.written.decode().splitlines() if line]
    assert numbers == list(range(1, len(sizes) + 1))
    assert handler.held == 0
    assert not transport.is_closed


def test_long_body_that_came_in_one_piece_is_not_copied() -> None:
    handler = Handler(keeps_views=True)
    connection = Connection(handler, Client(b"", False))
    connection.connection_made(Transport())
    stream = stream_of([70_000])
    connection.data_received(stream)
    (request,) = handler.requests
    assert request.view is not None
    assert request.view.obj is stream


def test_body_that_is_a_small_part_of_what_came_keeps_only_itself() -> None:
    handler = Handler(keeps_views=True)
    connection = Connection(handler, Client(b"", False))
    connection.connection_made(Transport())
    connection.data_received(stream_of([20_000, 100_000, 100_000]))
    (request,) = handler.requests
    assert request.view is not None
    assert len(cast("bytes", request.view.obj)) == 20_000


@pytest.mark.parametrize("missing", [1, 1000, 50_000])
def test_body_that_stops_is_not_handed_over_and_gives_its_room_back(missing: int) -> None:
    handler = Handler(keeps_views=True)
    connection, transport = Connection(handler, Client(b"", False)), Transport()
    connection.connection_made(transport)
    connection.data_received(stream_of([70_000])[:-missing])
    assert connection.deadline != NEVER
    assert handler.held == 1
    connection.expire()
    assert transport.written.startswith(b"HTTP/1.1 408 ")
    connection.data_received(stream_of([70_000])[-missing:])  # too late
    connection.connection_lost(None)
    assert handler.requests == []
    assert handler.held == 0


def test_what_is_longer_than_was_said_is_the_next_request_and_refused() -> None:
    handler = Handler(keeps_views=True)
    connection, transport = Connection(handler, Client(b"", False)), Transport()
    connection.connection_made(transport)
    connection.data_received(stream_of([70_000]) + b"\0more")
    (request,) = handler.requests
    assert whole(request) == body_of(0, 70_000)
    connection.finish(b"HTTP/1.1 204 yes\r\n\r\n")
    assert transport.written.startswith(b"HTTP/1.1 204 yes\r\n\r\nHTTP/1.1 400 ")
    assert b"Connection: close" in transport.written


@pytest.mark.parametrize(
    ("fields", "keeps"),
    [(b"", True), (b"Connection: close\r\n", False), (b"Connection: keep-alive\r\n", True)],
)
def test_connection_goes_on_after_a_long_body_as_its_head_says(fields: bytes, keeps: bool) -> None:
    handler = Handler(keeps_views=True)
    connection, transport = Connection(handler, Client(b"", False)), Transport()
    connection.connection_made(transport)
    connection.data_received(stream_of([70_000]).replace(b"Host: x\r\n", b"Host: x\r\n" + fields, 1))
    assert handler.requests[0].keep_alive is keeps
    connection.finish(b"HTTP/1.1 204 yes\r\n\r\n")
    assert transport.is_closed is not keeps


def test_long_body_of_a_wish_for_another_protocol_ends_what_is_looked_at() -> None:
    handler = Handler(keeps_views=True)
    connection = Connection(handler, Client(b"", False))
    connection.connection_made(Transport())
    wish = b"Host: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    connection.data_received(stream_of([70_000]).replace(b"Host: x\r\n", wish, 1) + stream_of([1]))
    (request,) = handler.requests
    assert request.view is None
    assert not request.keep_alive
