"""HTTP on a connection: framing, bounds, slow and hostile clients (docs/spec/node-api.md). Real sockets."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.client.records import foreign_packet, identity
from tests.node.local import WAIT_S, LocalNode, eventually, exchange, read_to_end, running
from walletcli.core.packet import SignedPacket
from walletcli.node import http, incoming, server
from walletcli.node.run import new_loop

HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@pytest.fixture(scope="module", params=[new_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalNode]:
    """A node without limits, on either event loop."""
    directory = tmp_path_factory.mktemp("http") / "node"
    with running(directory, limits=False, loop_factory=request.param) as node:
        yield node


def put_bytes(name: str, packet: SignedPacket | None = None, fields: bytes = b"") -> bytes:
    body = (packet or foreign_packet(name)).to_relay_payload()
    head = f"PUT /{identity(name).z32} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n".encode()
    return head + fields + b"\r\n" + body


def statuses(received: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", received)]


def still_works(node: LocalNode) -> bool:
    return node.ask("GET", "/healthz").status == 200


def test_connection_is_kept_between_requests(shared: LocalNode) -> None:
    with socket.create_connection(("127.0.0.1", shared.port), timeout=WAIT_S) as sock:
        for _ in range(3):
            sock.sendall(HEALTH)
            assert sock.recv(4096).startswith(b"HTTP/1.1 200 OK\r\n")
        sock.sendall(LAST)
        assert b"Connection: close\r\n" in read_to_end(sock)


def test_pipelined_requests_are_answered_in_order(shared: LocalNode) -> None:
    names = [f"pipe-{number}" for number in range(40)]
    reads = [f"GET /{identity(name).z32} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for name in names]
    stream = b"".join(put_bytes(name) + read for name, read in zip(names, reads, strict=True))
    received = exchange(shared.port, stream + LAST)
    assert statuses(received) == [204, 200] * 40 + [200]
    positions = [received.index(foreign_packet(name).to_relay_payload()) for name in names]
    assert positions == sorted(positions)


def test_requests_may_come_in_any_pieces(shared: LocalNode) -> None:
    stream = put_bytes("pieces") + HEALTH + LAST
    for step in (1, 7, 100):
        pieces = [stream[at : at + step] for at in range(0, len(stream), step)]
        assert statuses(exchange(shared.port, *pieces)) == [204, 200, 200]


def test_half_closed_connection_is_answered(shared: LocalNode) -> None:
    assert statuses(exchange(shared.port, put_bytes("half") + HEALTH, half_close=True)) == [204, 200]


def test_chunked_body_is_taken(shared: LocalNode) -> None:
    body = foreign_packet("chunked").to_relay_payload()
    head = f"PUT /{identity('chunked').z32} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (body[:10], body[10:]))
    assert statuses(exchange(shared.port, head + chunks + b"0\r\n\r\n" + LAST)) == [204, 200]


def test_endless_chunked_body_is_refused(shared: LocalNode) -> None:
    head = f"PUT /{identity('endless').z32} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    received = exchange(shared.port, head, *[b"400\r\n" + bytes(1024) + b"\r\n"] * 50)
    assert statuses(received) in ([413], [])  # the answer is lost if the client's own sending breaks first
    assert still_works(shared)


def test_declared_length_is_refused_before_the_body(shared: LocalNode) -> None:
    for length in ("1069", "99999999", "9" * 9, "9" * 30):
        head = f"PUT /{identity('long').z32} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n"
        received = exchange(shared.port, head.encode())
        assert statuses(received)[0] in (400, 413)
        assert b"Connection: close\r\n" in received


def test_client_that_asks_first_is_told_to_go_on(shared: LocalNode) -> None:
    request = put_bytes("expect", fields=b"Expect: 100-continue\r\n")
    head, body = request[: request.index(b"\r\n\r\n") + 4], request[request.index(b"\r\n\r\n") + 4 :]
    with socket.create_connection(("127.0.0.1", shared.port), timeout=WAIT_S) as sock:
        sock.sendall(head)
        assert sock.recv(4096) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(body)
        assert sock.recv(4096).startswith(b"HTTP/1.1 204")


def test_http_1_0_is_answered_and_closed(shared: LocalNode) -> None:
    for fields in (b"", b"Connection: keep-alive\r\n"):
        received = exchange(shared.port, b"GET /healthz HTTP/1.0\r\n" + fields + b"\r\n")
        assert statuses(received) == [200]
        assert b"Connection: close\r\n" in received


def test_wish_for_another_protocol_is_not_followed(shared: LocalNode) -> None:
    upgrade = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    assert statuses(exchange(shared.port, upgrade + b"\x81\x05hello")) == [200]
    assert statuses(exchange(shared.port, b"CONNECT example.org:443 HTTP/1.1\r\nHost: x\r\n\r\n")) == [404]


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"hello\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nBad Header: y\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n",
        b"PUT /x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"PUT /x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        b"PUT /x HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"PUT /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        bytes(range(256)) * 20,
    ],
    ids=lambda value: repr(value[:40]),
)
def test_what_is_not_http_is_refused_and_closed(shared: LocalNode, request_bytes: bytes) -> None:
    received = exchange(shared.port, request_bytes)
    assert statuses(received) == [400]
    assert b"\r\n\r\nrequest.malformed: " in received
    assert still_works(shared)


def test_garbage_of_all_kinds_leaves_the_node_standing(shared: LocalNode) -> None:
    for _ in range(200):
        exchange(shared.port, os.urandom(600), half_close=True)
    for _ in range(50):
        request = bytearray(put_bytes("garbage"))
        for position in os.urandom(6):
            request[position % len(request)] = os.urandom(1)[0]
        exchange(shared.port, bytes(request), half_close=True)
    assert still_works(shared)
    assert eventually(lambda: shared.call(lambda: shared.service.server.open_connections) == 0, "closing")


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /" + b"a" * 1024 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 8192 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X-Y: z\r\n" * 1200 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 100_000, 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"a" * 100_000, 431),
        (b"GET /" + b"a" * 100_000, 414),
    ],
    ids=["target", "one field", "many fields", "endless value", "endless name", "endless target"],
)
def test_oversized_heads_are_refused(shared: LocalNode, request_bytes: bytes, status: int) -> None:
    received = exchange(shared.port, request_bytes)
    assert statuses(received) in ([status], [])
    assert still_works(shared)


def test_error_after_an_open_request_comes_after_its_answer(shared: LocalNode) -> None:
    received = exchange(shared.port, put_bytes("ordered") + b"garbage\r\n\r\n")
    assert statuses(received) == [204, 400]


def test_body_where_none_belongs_is_refused(shared: LocalNode) -> None:
    received = exchange(shared.port, b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")
    assert statuses(received) == [413]
    assert b"request.body: " in received


def test_answers_that_nobody_reads_do_not_pile_up(shared: LocalNode) -> None:
    """A client that only sends fills the socket's buffers, and then the node stops reading."""
    name = "unread"
    shared.ask("PUT", f"/{identity(name).z32}", foreign_packet(name).to_relay_payload())
    request = f"GET /{identity(name).z32} HTTP/1.1\r\nHost: x\r\n\r\n".encode() * 1000
    with socket.create_connection(("127.0.0.1", shared.port), timeout=2) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sent = 0
        with pytest.raises(TimeoutError):
            while sent < 64 << 20:
                sent += sock.send(request)
        buffered = shared.call(lambda: max(c._transport.get_write_buffer_size() for c in connections(shared)))
        assert buffered < 200_000
    assert still_works(shared)


def connections(node: LocalNode) -> list[http.Connection]:
    return [connection for connection in node.service.server._connections if connection._transport is not None]


@pytest.fixture
def impatient(local: Callable[..., LocalNode], monkeypatch: pytest.MonkeyPatch) -> LocalNode:
    """A node whose deadlines are all half a second."""
    for name in ("HEAD_S", "IDLE_S", "WRITE_S", "LINGER_S"):
        monkeypatch.setattr(http, name, 0.5)
    monkeypatch.setattr(incoming, "BODY_S", 0.5)
    monkeypatch.setattr(server, "HANDSHAKE_S", 0.5)
    return local()


def test_head_that_trickles_is_timed_out(impatient: LocalNode) -> None:
    with socket.create_connection(("127.0.0.1", impatient.port), timeout=WAIT_S) as sock:
        stop = threading.Event()
        trickle = threading.Thread(target=_trickle, args=(sock, stop))
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
        trickle.start()
        received = read_to_end(sock)
        stop.set()
        trickle.join()
    assert statuses(received) == [408]


def _trickle(sock: socket.socket, stop: threading.Event) -> None:
    while not stop.wait(0.05):
        try:
            sock.send(b"x")
        except OSError:
            return


def test_body_that_trickles_is_timed_out(impatient: LocalNode) -> None:
    assert statuses(exchange(impatient.port, put_bytes("trickle")[:-5])) == [408]


def test_idle_and_silent_connections_are_closed(impatient: LocalNode) -> None:
    assert exchange(impatient.port) == b""
    assert statuses(exchange(impatient.port, HEALTH)) == [200]


def test_client_that_does_not_read_is_dropped(impatient: LocalNode) -> None:
    request = HEALTH * 1000
    with socket.create_connection(("127.0.0.1", impatient.port), timeout=2) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with pytest.raises(OSError):
            for _ in range(1000):
                sock.sendall(request)
    eventually(lambda: impatient.call(lambda: impatient.service.server.open_connections) == 0, "the drop")


def test_hundreds_of_slow_clients_do_not_keep_others_waiting(local: Callable[..., LocalNode]) -> None:
    node = local(limits=False)
    slow = [socket.create_connection(("127.0.0.1", node.port), timeout=WAIT_S) for _ in range(300)]
    try:
        for sock in slow:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: ")
        assert still_works(node)
    finally:
        for sock in slow:
            sock.close()


def test_tls_is_1_3_only_and_serves_the_same(shared: LocalNode) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", shared.tls_port), timeout=WAIT_S) as raw,
        context.wrap_socket(raw) as sock,
    ):
        assert sock.version() == "TLSv1.3"
        sock.sendall(put_bytes("over tls") + LAST)
        assert statuses(read_to_end(sock)) == [204, 200]
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with (
        socket.create_connection(("127.0.0.1", shared.tls_port), timeout=WAIT_S) as raw,
        pytest.raises(ssl.SSLError),
    ):
        context.wrap_socket(raw)


def test_handshake_that_does_not_come_is_timed_out(impatient: LocalNode) -> None:
    assert exchange(impatient.tls_port) == b""
    eventually(lambda: impatient.call(lambda: impatient.service.server.open_connections) == 0, "the drop")


def test_clear_text_on_the_tls_port_is_closed(shared: LocalNode) -> None:
    assert statuses(exchange(shared.tls_port, HEALTH)) == []
    assert still_works(shared)


def chunked_put(name: str, trailer: bytes, seq: int = 2) -> bytes:
    body = foreign_packet(name, seq).to_relay_payload()
    head = f"PUT /{identity(name).z32} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    return head.encode() + b"%x\r\n" % len(body) + body + b"\r\n0\r\n" + trailer


def test_fields_behind_a_chunked_body_are_no_fields_of_the_request(shared: LocalNode) -> None:
    trailer = b'If-Match: "5"\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n'
    assert statuses(exchange(shared.port, chunked_put("trailer", b"\r\n", seq=1))) == [204]
    assert statuses(exchange(shared.port, chunked_put("trailer", trailer))) == [204]


@pytest.mark.parametrize("trailer", [b"A: ", b"A", b"A: b\r\n" * 200], ids=["value", "name", "many"])
def test_endless_fields_behind_a_chunked_body_are_refused(shared: LocalNode, trailer: bytes) -> None:
    received = exchange(shared.port, chunked_put("endless", trailer), *[trailer * 1000] * 20)
    assert statuses(received) == [431]
    assert still_works(shared)


def test_an_endless_extension_of_a_chunk_is_refused(shared: LocalNode) -> None:
    head = f"PUT /{identity('ext').z32} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;".encode()
    assert statuses(exchange(shared.port, head, *[b"x" * 4000] * 20)) == [431]
