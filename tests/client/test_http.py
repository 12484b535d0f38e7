from __future__ import annotations

import gzip
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.client.servers import Asked, Conversation, Server
from walletcli.client.http import HttpConnection, Request, Response
from walletcli.errors import NetworkError
from walletcli.net.tcp import TcpDialer

Serve = Callable[[Callable[[Conversation], None]], Server]
DEADLINE_S = 0.6
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def exchange(
    server: Server, request: Request | None = None, limit: int = 1000, seconds: float = DEADLINE_S
) -> Response:
    deadline_s = time.monotonic() + seconds
    connection = HttpConnection(TcpDialer().dial(server.address, None, deadline_s), server.address.authority, "relay")
    try:
        return connection.exchange(request or Request("GET", "/x"), limit, deadline_s)
    finally:
        connection.close()


def after_request(data: bytes) -> Callable[[Conversation], None]:
    def converse(conversation: Conversation) -> None:
        if conversation.read():
            conversation.send(data)

    return converse


def test_a_body_comes_whole(serve: Serve) -> None:
    answer = exchange(serve(after_request(OK)))
    assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"ok", "2")


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nok\r\n0\r\nX: y\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nok",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n" + OK,
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Encoding: identity\r\n\r\nok",
    ],
)
def test_every_honest_framing_is_understood(serve: Serve, data: bytes) -> None:
    assert exchange(serve(after_request(data))).body == b"ok"


@pytest.mark.parametrize(
    "request_",
    [
        Request("GET", "/x HTTP/1.1\r\nX: y"),
        Request("GET", "/x\n"),
        Request("GET", "/\u00fc"),
        Request("GET", "/x", headers=(("X", "y\r\nZ: 1"),)),
        Request("GET", "/x", headers=(("X\r\nZ", "1"),)),
        Request("PUT\0", "/x", b"body"),
    ],
)
def test_nothing_slips_a_line_into_a_request(serve: Serve, request_: Request) -> None:
    with pytest.raises(ValueError, match="HTTP does not carry"):
        exchange(serve(after_request(OK)), request_)


def test_every_request_has_the_same_bland_headers_and_no_version_of_ours(serve: Serve) -> None:
    asked: list[Asked] = []

    def converse(conversation: Conversation) -> None:
        while one := conversation.read():
            asked.append(one)
            conversation.answer(204)

    server = serve(converse)
    exchange(server, Request("GET", "/one"))
    exchange(server, Request("PUT", "/two", b"body"))
    names = [[line.split(":")[0] for line in one.head.decode().split("\r\n")[1:]] for one in asked]
    assert names[0] == ["Host", "User-Agent", "Accept", "Accept-Encoding"]
    assert names[1] == [*names[0], "Content-Type", "Content-Length"]
    assert b"wallet" not in b"".join(one.head.lower() for one in asked)
    assert b"h11" not in b"".join(one.head.lower() for one in asked)
    assert asked[0].headers["accept-encoding"] == "identity"
    assert asked[0].headers["host"] == server.address.authority
    assert asked[1].body == b"body"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("not HTTP at all", b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
        ("HTTP/1.0", b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        ("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        ("cut off in the body", b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok"),
        ("cut off in a chunk", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nok"),
        ("cut off between chunks", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n"),
        ("cut off in the head", b"HTTP/1.1 200 OK\r\nContent-Le"),
        ("negative length", b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok"),
        ("two lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 1\r\n\r\nok"),
        ("length in words", b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nok"),
        ("chunk size in words", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nok\r\n0\r\n\r\n"),
        ("chunk size of a million digits", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * 30_000),
        ("unknown transfer coding", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
        ("header without colon", b"HTTP/1.1 200 OK\r\nnonsense\r\n\r\nok"),
        ("header with a null", b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 2\r\n\r\nok"),
        ("status of two digits", b"HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok"),
        ("status 999", b"HTTP/1.1 999 OK\r\nContent-Length: 2\r\n\r\nok"),
        ("switching protocols", b"HTTP/1.1 101 Up\r\nUpgrade: h2c\r\n\r\n" + OK),
        ("five interim answers", b"HTTP/1.1 100 Continue\r\n\r\n" * 5 + OK),
        ("compressed", b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nok"),
        (
            "a gzip bomb",
            b"HTTP/1.1 200 OK\r\nContent-Encoding: GZIP\r\nContent-Length: 1000\r\n\r\n"
            + gzip.compress(bytes(1_000_000))[:1000],
        ),
    ],
)
def test_a_bad_answer_is_called_one(serve: Serve, name: str, data: bytes) -> None:
    with pytest.raises(NetworkError) as caught:
        exchange(serve(after_request(data)))
    assert caught.value.code == "relay.bad-answer", name
    assert caught.value.hint


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a length beyond the limit", b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n" + bytes(2000)),
        ("no length and too long", b"HTTP/1.1 200 OK\r\n\r\n" + bytes(2000)),
        (
            "chunks beyond the limit",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"64\r\n" * 0 + b"7d0\r\n" + bytes(2000),
        ),
    ],
)
def test_a_body_beyond_its_limit_is_too_much(serve: Serve, name: str, data: bytes) -> None:
    with pytest.raises(NetworkError) as caught:
        exchange(serve(after_request(data)))
    assert caught.value.code == "relay.too-much", name


@pytest.mark.parametrize(
    ("name", "head", "endless"),
    [
        ("body without length", b"HTTP/1.1 200 OK\r\n\r\n", bytes(1000)),
        ("headers", b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 100),
        ("one header", b"HTTP/1.1 200 OK\r\nX: ", b"y" * 1000),
        ("a status line", b"HTTP/1.1 200 ", b"y" * 1000),
        ("chunks of one byte", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 100),
        ("a chunk extension", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"x" * 1000),
        ("trailers", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n" * 100),
        ("interim answers", b"", b"HTTP/1.1 102 Processing\r\n\r\n"),
    ],
)
def test_an_endless_answer_ends_early(serve: Serve, name: str, head: bytes, endless: bytes) -> None:
    def converse(conversation: Conversation) -> None:
        if conversation.read():
            conversation.send(head)
            conversation.flood(endless)

    start = time.monotonic()
    with pytest.raises(NetworkError) as caught:
        exchange(serve(converse), seconds=20)
    assert caught.value.code in ("relay.too-much", "relay.bad-answer"), name
    assert time.monotonic() - start < 10, name


@pytest.mark.parametrize(
    ("name", "head", "drip"),
    [
        ("nothing", b"", b""),
        ("head", b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
        ("body", b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n", b"x"),
        ("chunks", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    ],
)
def test_a_drip_does_not_prolong_the_deadline(serve: Serve, name: str, head: bytes, drip: bytes) -> None:
    def converse(conversation: Conversation) -> None:
        if conversation.read():
            conversation.send(head)
            conversation.drip(drip) if drip else conversation.hang()

    start = time.monotonic()
    with pytest.raises(NetworkError) as caught:
        exchange(serve(converse))
    assert caught.value.code == "relay.timeout", name
    assert time.monotonic() - start < DEADLINE_S + 3, name


def test_a_server_that_never_reads_does_not_prolong_the_deadline(serve: Serve) -> None:
    with pytest.raises(NetworkError) as caught:
        exchange(serve(Conversation.hang), Request("PUT", "/x", bytes(30_000_000)))
    assert caught.value.code == "relay.timeout"


def test_a_connection_closed_without_a_word_is_unreachable(serve: Serve) -> None:
    def converse(conversation: Conversation) -> None:
        conversation.read()

    with pytest.raises(NetworkError) as caught:
        exchange(serve(converse))
    assert caught.value.code == "relay.unreachable"


def test_an_early_refusal_is_heard_while_the_body_is_still_being_sent(serve: Serve) -> None:
    def converse(conversation: Conversation) -> None:
        conversation.sock.recv(1000)
        conversation.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        while conversation.sock.recv(65_536):
            pass

    assert exchange(serve(converse), Request("PUT", "/x", bytes(65_536))).status == 413


def test_a_connection_is_reused_only_when_the_answer_is_over_and_nothing_follows(serve: Serve) -> None:
    def twice(conversation: Conversation) -> None:
        while conversation.read():
            conversation.send(OK + (b"HTTP/1.1 200 OK\r\n" if conversation.number == 2 else b""))

    server = serve(twice)
    for number, reusable in ((1, True), (2, False)):
        deadline_s = time.monotonic() + 2
        connection = HttpConnection(TcpDialer().dial(server.address, None, deadline_s), "h", "relay")
        connection.exchange(Request("GET", "/"), 10, deadline_s)
        assert connection.is_reusable is reusable, number
        if reusable:
            assert connection.exchange(Request("GET", "/"), 10, deadline_s).body == b"ok"
        connection.close()


@pytest.mark.parametrize("header", ["Connection: close", "Connection: Close"])
def test_a_connection_that_the_server_gives_up_is_not_reused(serve: Serve, header: str) -> None:
    def converse(conversation: Conversation) -> None:
        conversation.read()
        conversation.answer(200, b"ok", header)
        conversation.hang()

    deadline_s = time.monotonic() + 2
    connection = HttpConnection(TcpDialer().dial(serve(converse).address, None, deadline_s), "h", "relay")
    assert connection.exchange(Request("GET", "/"), 10, deadline_s).body == b"ok"
    assert not connection.is_reusable
    connection.close()


class Canned:
    """A stream that gives fixed bytes, in pieces, and then ends."""

    peer_pin = None

    def __init__(self, data: bytes, piece: int) -> None:
        self._data, self._piece = data, piece

    def send(self, data: bytes, deadline_s: float) -> None:
        pass

    def recv(self, deadline_s: float) -> bytes:
        piece, self._data = self._data[: self._piece], self._data[self._piece :]
        return piece

    def is_quiet(self) -> bool:
        return True

    def close(self) -> None:
        pass


_PARTS = [
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 100 C\r\n",
    b"HTTP/1.0 404 N\r\n",
    b"Content-Length: 5\r\n",
    b"Content-Length: 99999999999999999999\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"\r\n",
    b"5\r\nhello\r\n",
    b"0\r\n\r\n",
    b"ffffffffffffffff\r\n",
    b"Connection: close\r\n",
    b"Content-Encoding: br\r\n",
    b"\0",
    b"\xff\xfe",
    b" : \r\n",
]


@given(st.lists(st.sampled_from(_PARTS) | st.binary(max_size=8), max_size=12), st.integers(1, 64))
@settings(max_examples=400)
def test_any_bytes_are_an_answer_or_our_error(parts: list[bytes], piece: int) -> None:
    connection = HttpConnection(Canned(b"".join(parts), piece), "h", "relay")
    try:
        answer = connection.exchange(Request("GET", "/"), 64, 1e12)
    except NetworkError:
        return
    assert 200 <= answer.status <= 599
    assert len(answer.body) <= 64
