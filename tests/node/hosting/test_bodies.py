"""Long bodies: decided by the head, bounded in memory and time, and given out as they are read."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.node.hosting.people import Person, blob_id, sealed, sign_as
from tests.node.local import LocalNode, eventually, exchange, read_to_end, running
from walletcli.core.blob import join_blob, split_blob
from walletcli.node import http, incoming
from walletcli.node.clock import Clock
from walletcli.node.config import Limits
from walletcli.node.hosting import budget
from walletcli.node.hosting.budget import Budget
from walletcli.node.request import Client, Refusal, Room

Local = Callable[..., LocalNode]
OPEN = '[hosting]\npolicy = "open"\n'
LONG = 200_000


def head(person: Person, node: LocalNode, length: int, number: int = 1, token: bool = True, extra: str = "") -> bytes:
    """Return the head of a PUT of a blob."""
    lines = [f"PUT {person.path}/blob/{blob_id(number).hex()} HTTP/1.1", "Host: x", 'If-Match: "0"']
    if length >= 0:
        lines.append(f"Content-Length: {length}")
    if token:
        lines.append(f"Authorization: {person.token(node)['authorization']}")
    return ("\r\n".join([*lines, *filter(None, [extra])]) + "\r\n\r\n").encode()


def status_of(answer: bytes) -> tuple[int, str]:
    body = answer.partition(b"\r\n\r\n")[2]
    return int(answer[9:12]), body.decode().partition(":")[0]


def frame(person: Person, size: int = LONG, number: int = 1) -> bytes:
    content = sealed(size)
    return join_blob(person.manifest(number, content), content)


def test_long_body_without_a_token_is_refused_before_it_is_sent(host: LocalNode, bound: Person) -> None:
    answer = exchange(host.port, head(bound, host, LONG, token=False))
    assert status_of(answer) == (401, "host.token")
    assert b"Connection: close" in answer
    assert b"WWW-Authenticate: Bearer" in answer


@pytest.mark.parametrize(
    ("path", "method"),
    [("/host/grant", "POST"), ("/host/login", "POST"), ("/host", "PUT"), ("/host/x/blobs", "PUT"), ("/host", "DELETE")],
)
def test_long_body_elsewhere_is_refused_before_it_is_sent(host: LocalNode, path: str, method: str) -> None:
    answer = exchange(host.port, f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {LONG}\r\n\r\n".encode())
    assert status_of(answer)[0] in (404, 413)


def test_long_body_of_an_identity_that_is_not_bound_is_refused_before_it_is_sent(
    host: LocalNode, alice: Person
) -> None:
    alice.publish(host.address)
    assert status_of(exchange(host.port, head(alice, host, LONG))) == (403, "host.not-bound")


@pytest.mark.parametrize("length", [(2 << 20) + 515, 999_999_999, 10**12])
def test_body_over_the_largest_blob_is_refused_before_it_is_sent(host: LocalNode, bound: Person, length: int) -> None:
    assert status_of(exchange(host.port, head(bound, host, length))) == (413, "blob.too-long")
    assert host.service._budget.taken_bytes == 0


def test_long_body_needs_its_length_said(host: LocalNode, bound: Person) -> None:
    answer = exchange(host.port, head(bound, host, -1, extra="Transfer-Encoding: chunked"))
    assert status_of(answer) == (411, "request.length")


def test_body_that_comes_in_small_pieces_is_taken(host: LocalNode, bound: Person) -> None:
    body = frame(bound)
    pieces = [body[at : at + 7001] for at in range(0, len(body), 7001)]
    answer = exchange(host.port, head(bound, host, len(body), extra="Connection: close"), *pieces)
    assert status_of(answer)[0] == 204
    assert bound.ask(host, "GET", f"/blob/{blob_id(1).hex()}").body == body
    assert host.service._budget.taken_bytes == 0


def test_requests_follow_a_long_body_on_the_same_connection(host: LocalNode, bound: Person) -> None:
    one, two = frame(bound), frame(bound, number=2)
    after = b"GET /identity HTTP/1.1\r\nHost: x\r\n\r\n"
    last = b"GET /identity HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    first, second = head(bound, host, len(one)), head(bound, host, len(two), 2)
    answer = exchange(host.port, first + one + after + second + two + last)
    assert [line[9:12] for line in answer.split(b"HTTP/1.1 ")[0:0]] == []
    assert [part[:3] for part in answer.split(b"HTTP/1.1 ")[1:]] == [b"204", b"200", b"204", b"200"]
    assert host.service._budget.taken_bytes == 0


def test_client_that_asks_first_is_told_to_go_on(host: LocalNode, bound: Person) -> None:
    body = frame(bound)
    with socket.create_connection(("127.0.0.1", host.port), timeout=15) as sock:
        sock.sendall(head(bound, host, len(body), extra="Expect: 100-continue\r\nConnection: close"))
        assert sock.recv(100).startswith(b"HTTP/1.1 100 Continue")
        sock.sendall(body)
        assert status_of(read_to_end(sock))[0] == 204


def test_body_that_stops_coming_is_given_up_and_its_room_is_free_again(
    host: LocalNode, bound: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incoming, "BODY_S", 0.2)
    monkeypatch.setattr(incoming, "MIN_BYTES_PER_S", 1 << 30)
    with socket.create_connection(("127.0.0.1", host.port), timeout=15) as sock:
        sock.sendall(head(bound, host, LONG) + bytes(1000))
        eventually(lambda: host.service._budget.taken_bytes == LONG, "the room")
        assert status_of(read_to_end(sock)) == (408, "request.timeout")
    assert host.service._budget.taken_bytes == 0


def test_longer_body_has_more_time(host: LocalNode, bound: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incoming, "BODY_S", 0.2)
    monkeypatch.setattr(incoming, "MIN_BYTES_PER_S", 1)
    with socket.create_connection(("127.0.0.1", host.port), timeout=15) as sock:
        sock.sendall(head(bound, host, LONG))
        eventually(lambda: host.service._budget.taken_bytes == LONG, "the room")
        (connection,) = [item for item in host.service.server._connections if item._incoming.in_body]
        assert connection.deadline - host.service._clock.now > LONG / 2
    eventually(lambda: host.service._budget.taken_bytes == 0, "the room's return")


def test_connection_that_breaks_gives_its_room_back(host: LocalNode, bound: Person) -> None:
    sockets = []
    for _ in range(3):
        sock = socket.create_connection(("127.0.0.1", host.port), timeout=15)
        sock.sendall(head(bound, host, LONG) + bytes(LONG // 2))
        sockets.append(sock)
    eventually(lambda: host.service._budget.taken_bytes == 3 * LONG, "the room")
    for sock in sockets:
        sock.close()
    eventually(lambda: host.service._budget.taken_bytes == 0, "the room's return")


def test_refused_blob_gives_its_room_back(host: LocalNode, bound: Person) -> None:
    token = bound.token(host)
    whole = frame(bound)
    for body in (bytes(LONG), whole[:-1] + bytes((whole[-1] ^ 1,))):
        answer = host.ask("PUT", f"{bound.path}/blob/{blob_id(1).hex()}", body, if_match='"0"', **token)
        assert answer.status == 400
    assert host.service._budget.taken_bytes == 0


def test_bodies_at_once_are_bounded_and_the_client_is_told_when_to_come_back(
    host: LocalNode, bound: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget, "ROOM_BYTES", 0)
    most = 514 + (2 << 20)
    with socket.create_connection(("127.0.0.1", host.port), timeout=15) as sock:
        sock.sendall(head(bound, host, most))
        eventually(lambda: host.service._budget.taken_bytes == most, "the room")
        answer = exchange(host.port, head(bound, host, LONG, 2))
        assert status_of(answer) == (503, "limits.bytes")
        assert b"Retry-After: 1\r\n" in answer
    eventually(lambda: host.service._budget.taken_bytes == 0, "the room's return")
    assert bound.put(host, 2, sealed(LONG)).status == 204


# what goes out


def test_reader_that_is_slow_gets_everything(host: LocalNode, alice: Person) -> None:
    alice.bind(host.address)
    content = sealed(2 << 20)
    assert alice.put(host, 1, content).status == 204
    request = f"GET {alice.path}/blob/{blob_id(1).hex()} HTTP/1.1\r\nHost: x\r\n"
    request += f"Authorization: {alice.token(host)['authorization']}\r\nConnection: close\r\n\r\n"
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect(("127.0.0.1", host.port))
        sock.sendall(request.encode())
        received = bytearray()
        while piece := sock.recv(5000):
            received += piece
    front, _, body = bytes(received).partition(b"\r\n\r\n")
    assert b"Connection: close" in front
    assert hashlib.sha256(split_blob(body)[1]).digest() == hashlib.sha256(content).digest()


def test_reader_that_does_not_read_is_dropped(host: LocalNode, alice: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    alice.bind(host.address)
    for number in range(8):
        assert alice.put(host, number, sealed(1 << 19)).status == 204
    monkeypatch.setattr(http, "WRITE_S", 0.3)
    token = alice.token(host)["authorization"]
    request = f"GET {alice.path}/blob/{blob_id(1).hex()} HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n\r\n"
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect(("127.0.0.1", host.port))
        before = host.service.server.open_connections
        sock.sendall(request.encode() * 16)
        eventually(lambda: host.service.server.open_connections < max(1, before), "the end of the connection")


def test_answers_in_parts_keep_their_order_on_one_connection(host: LocalNode, bound: Person) -> None:
    one, two = frame(bound, 300_000), frame(bound, 400_000, 2)
    for number, body in ((1, one), (2, two)):
        content = split_blob(body)[1]
        assert bound.put(host, number, content, frame=body).status == 204
    token = bound.token(host)["authorization"]

    def get(number: int, extra: str = "") -> bytes:
        path = f"{bound.path}/blob/{blob_id(number).hex()}"
        return f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n{extra}\r\n".encode()

    answer = exchange(host.port, get(1) + get(2) + get(1) + get(2, "Connection: close\r\n"))
    bodies = []
    while answer:
        front, _, rest = answer.partition(b"\r\n\r\n")
        length = int(front.partition(b"Content-Length: ")[2].split(b"\r\n")[0])
        bodies.append(rest[:length])
        answer = rest[length:]
    assert bodies == [one, two, one, two]


def test_blob_that_is_replaced_while_it_is_read_ends_the_connection_and_not_the_node(
    host: LocalNode, bound: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bound.put(host, 1, sealed(1_000_000)).status == 204
    store = host.service._store
    real = store.blob_part
    monkeypatch.setattr(store, "blob_part", lambda content, number: real(content, number) if number == 0 else None)
    token = bound.token(host)["authorization"]
    request = f"GET {bound.path}/blob/{blob_id(1).hex()} HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n\r\n"
    answer = exchange(host.port, request.encode())
    assert len(answer) < 1_000_000
    assert host.ask("GET", "/identity").status == 200


def test_reading_and_replacing_at_once_gives_one_whole_version_or_none(host: LocalNode, bound: Person) -> None:
    token = bound.token(host)
    contents = {version: sealed(600_000) for version in range(1, 30)}
    assert bound.put(host, 1, contents[1], **token).status == 204
    done = threading.Event()

    def replace() -> None:
        for version in range(2, 30):
            assert bound.put(host, 1, contents[version], version, version - 1, **token).status == 204
        done.set()

    writer = threading.Thread(target=replace)
    writer.start()
    whole = 0
    while not done.is_set() or not whole:
        try:
            answer = bound.ask(host, "GET", f"/blob/{blob_id(1).hex()}", **token)
        except Exception:  # broken off in the middle
            continue
        version = int(answer.headers["etag"].strip('"'))
        assert split_blob(answer.body)[1] == contents[version]
        whole += 1
    writer.join()


def test_memory_stays_flat_while_a_hundred_megabytes_come_and_go(local: Local, alice: Person) -> None:
    node = local("node", OPEN, limits=False)
    alice.bind(node.address)
    token = alice.token(node)
    content = os.urandom(1 << 20)
    body = {}

    def resident() -> int:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * 4096

    for number in range(20):  # caches fill
        assert alice.put(node, number, content, **token).status == 204
        assert alice.ask(node, "GET", f"/blob/{blob_id(number).hex()}", **token).status == 200
    before = resident()
    for number in range(20, 120):
        assert alice.put(node, number, content, **token).status == 204
        body = alice.ask(node, "GET", f"/blob/{blob_id(number).hex()}", **token).body
    assert split_blob(body)[1] == content
    assert resident() - before < 32 << 20


# rates


def client(number: int) -> Client:
    return Client(bytes((127, 0, 0, number)), False)


def test_bytes_are_counted_against_address_and_identity() -> None:
    clock = Clock(1000.0)
    limits = Limits(blob_bytes_per_second=100.0, blob_bytes_burst=1000.0, blobs_burst=100.0)
    counted = Budget(clock, limits)
    assert counted.refuse_blob(client(1), b"a" * 32, 900) is None
    for who, key in ((client(1), b"b" * 32), (client(2), b"a" * 32)):
        refusal = counted.refuse_blob(who, key, 200)
        assert isinstance(refusal, Refusal)
        assert (refusal.status, refusal.code, refusal.extra) == (429, "limits.bytes", b"Retry-After: 2\r\n")
    assert counted.refuse_blob(client(2), b"b" * 32, 200) is None
    clock.now += 1.0
    assert counted.refuse_blob(client(1), b"a" * 32, 200) is None


def test_blob_longer_than_the_whole_burst_waits_and_passes() -> None:
    clock = Clock(1000.0)
    counted = Budget(clock, Limits(blob_bytes_per_second=100.0, blob_bytes_burst=1000.0))
    assert counted.refuse_blob(client(1), b"a" * 32, 1 << 26) is None
    assert counted.refuse_blob(client(1), b"a" * 32, 1) is not None


def test_logins_and_number_of_blobs_are_counted() -> None:
    clock = Clock(1000.0)
    counted = Budget(clock, Limits(logins_burst=2.0, blobs_burst=3.0))
    logins = [counted.refuse_login(client(1)) for _ in range(3)]
    assert [item is None for item in logins] == [True, True, False]
    assert counted.refuse_login(client(2)) is None
    blobs = [counted.refuse_blob(client(1), bytes((number,)) * 32, 1) for number in range(4)]
    assert [item is None for item in blobs] == [True, True, True, False]


def test_room_is_bounded_in_all_and_per_address() -> None:
    counted = Budget(Clock(0.0), None)
    rooms = [counted.room(client(1), 8 << 20, 9 << 20) for _ in range(3)]
    assert [isinstance(item, Room) for item in rooms] == [True, True, False]
    others = [counted.room(client(number), 16 << 20, 9 << 20) for number in range(2, 6)]
    assert [isinstance(item, Room) for item in others] == [True, True, True, False]
    for item in (*rooms, *others):
        if isinstance(item, Room):
            item.release()
            item.release()
    assert counted.taken_bytes == 0
    assert isinstance(counted.room(client(1), 16 << 20, 9 << 20), Room)


def test_node_with_limits_says_when_to_come_back(local: Local, alice: Person) -> None:
    node = local("node", OPEN + "[limits]\nblob_bytes_per_second = 1000\nblob_bytes_burst = 100000\n")
    alice.bind(node.address)
    token = alice.token(node)
    assert alice.put(node, 1, sealed(90_000), **token).status == 204
    answer = alice.put(node, 2, sealed(90_000), **token)
    assert (answer.status, answer.code) == (429, "limits.bytes")
    assert 60 <= int(answer.headers["retry-after"]) <= 100
    answer = alice.ask(node, "GET", f"/blob/{blob_id(1).hex()}", **token)
    assert (answer.status, answer.code) == (429, "limits.bytes")


def test_loop_of_the_standard_library_does_the_same(tmp_path: Path, alice: Person) -> None:
    with running(tmp_path / "node", OPEN, limits=False, loop_factory=asyncio.new_event_loop) as node:
        alice.bind(node.address)
        content = sealed(2 << 20)
        with alice.client(node.address) as client:
            client.login(sign_as(alice.phone))
            client.put_blob(alice.manifest(1, content), content, 0)
            found = client.get_blob(blob_id(1), alice.writers)
        assert found is not None
        assert found.content == content
        assert node.service._budget.taken_bytes == 0
