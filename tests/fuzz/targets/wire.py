"""HTTP from strangers: requests at the node's connection, answers at the client's."""

from __future__ import annotations

import asyncio
import time
from typing import Any, cast

from tests.fuzz.target import Target
from walletcli.client.http import HttpConnection, Request
from walletcli.errors import NetworkError, WalletError
from walletcli.node import request as node_request
from walletcli.node.clock import Clock
from walletcli.node.http import Connection
from walletcli.node.wire import Answers

KEY = b"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"


class _Transport:
    """Keeps what is written."""

    def __init__(self) -> None:
        self.written = bytearray()
        self.is_closed = False

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self.is_closed = True

    abort = close

    def can_write_eof(self) -> bool:
        return False

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: None


class _Handler:
    """Keeps what was asked, and answers when told to."""

    def __init__(self) -> None:
        self.answers = Answers()
        self.clock = Clock(0.0)
        self.seen: list[tuple[bytes, bytes, bytes, dict[bytes, bytes]]] = []
        self._open: list[Connection] = []

    def body_limit(
        self,
        method: bytes,
        target: bytes,
        headers: dict[bytes, bytes],
        client: node_request.Client,
        length_bytes: int | None,
    ) -> node_request.BodyLimit:
        if method == b"PUT":
            return node_request.BodyLimit(1068, "packet.too-long")
        return node_request.BodyLimit(0, "request.too-large")

    def submit(self, request: node_request.Request, connection: Connection) -> None:
        self.seen.append((request.method, request.target, request.body, dict(request.headers)))
        assert len(request.body) <= 1068
        self._open.append(connection)

    def serve(self) -> None:
        while self._open:
            self._open.pop().finish(self.answers.no_content)

    def answered(self, method: bytes, status: bytes) -> None:
        assert len(status) == 3
        assert status.isdigit()

    def closed(self, connection: Connection) -> None:
        pass


def _serve(pieces: list[bytes]) -> tuple[_Handler, _Transport]:
    handler, transport = _Handler(), _Transport()
    connection = Connection(handler, node_request.Client(b"\x7f\0\0\1", False))
    connection.connection_made(cast("asyncio.BaseTransport", transport))
    for piece in pieces:
        if transport.is_closed:
            break
        connection.data_received(piece)
        handler.serve()
    connection.connection_lost(None)
    return handler, transport


def check_node_request(data: bytes) -> bool:
    """What a request means does not depend on how its bytes were cut into segments."""
    whole, _ = _serve([data])
    cut, _ = _serve([data[at : at + 7] for at in range(0, len(data), 7)])
    assert whole.seen == cut.seen
    return bool(whole.seen)


class _Stream:
    """Gives an answer in two pieces, then its end."""

    peer_pin = None

    def __init__(self, data: bytes) -> None:
        self._pieces = [data[: len(data) // 2], data[len(data) // 2 :]]

    def send(self, data: bytes, deadline_s: float) -> None:
        pass

    def recv(self, deadline_s: float) -> bytes:
        while self._pieces:
            piece = self._pieces.pop(0)
            if piece:
                return piece
        return b""

    def is_quiet(self) -> bool:
        return True

    def close(self) -> None:
        pass


def check_client_answer(data: bytes) -> bool:
    """An answer is whole and within its limit, or a network error."""
    connection = HttpConnection(_Stream(data), "relay.example", "https://relay.example")
    try:
        answer = connection.exchange(Request("GET", "/" + KEY.decode()), 1100, time.monotonic() + 60)
    except NetworkError:
        return False
    except WalletError as error:
        raise AssertionError(f"{error.code} is no network error") from error
    assert 200 <= answer.status <= 599
    assert len(answer.body) <= 1100
    return True


def _requests() -> list[bytes]:
    get = b"GET /" + KEY + b" HTTP/1.1\r\nHost: a\r\n"
    put = b"PUT /" + KEY + b" HTTP/1.1\r\nHost: a\r\n"
    return [
        get + b'If-None-Match: "5"\r\n\r\n',
        get + b"Cache-Control: only-if-cached\r\nConnection: close\r\n\r\n",
        put + b'Content-Length: 4\r\nIf-Match: "5"\r\n\r\nbody' + get + b"\r\n",
        put + b"Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
    ]


def _answers() -> list[bytes]:
    return [
        b'HTTP/1.1 200 OK\r\nContent-Length: 4\r\nETag: "5"\r\n\r\nbody',
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nbody",
    ]


TARGETS = [
    Target("node-request", check_node_request, _requests, 2048),
    Target("client-answer", check_client_answer, _answers, 2048),
]
