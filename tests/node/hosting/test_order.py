"""Nothing is acknowledged before it is on disk, answers keep their order, and a bad blob among good ones is alone."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.node.hosting.people import Person, blob_id, device, sealed
from tests.node.local import LocalNode, eventually, exchange, read_to_end
from walletcli.core.blob import join_blob, split_blob
from walletcli.errors import StorageError
from walletcli.node.store import Outcome

SIZE = 65_536


def put_request(
    person: Person, token: str, number: int, body: bytes, if_match: str = '"0"', extra: str = "", length: int = 0
) -> bytes:
    """Return a PUT of a blob as it goes over the wire."""
    lines = [
        f"PUT {person.path}/blob/{blob_id(number).hex()} HTTP/1.1",
        "Host: x",
        f"Authorization: {token}",
        f"If-Match: {if_match}",
        f"Content-Length: {length or len(body)}",
        *([extra] if extra else []),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def frame(person: Person, number: int) -> bytes:
    content = sealed(SIZE)
    return join_blob(person.manifest(number, content), content)


def stored(node: LocalNode, person: Person, number: int) -> bytes | None:
    """Return a blob's content as the node gives it out, or None."""
    answer = person.ask(node, "GET", f"/blob/{blob_id(number).hex()}")
    return split_blob(answer.body)[1] if answer.status == 200 else None


@contextmanager
def held_commits(node: LocalNode, patch: pytest.MonkeyPatch) -> Iterator[tuple[threading.Event, threading.Event]]:
    """Hold every commit of a node until the second event is set; the first tells that one is held."""
    entered, may_go = threading.Event(), threading.Event()
    real: Callable[[], list[Outcome]] = node.service._store.commit  # type: ignore[assignment]

    def commit() -> list[Outcome]:
        entered.set()
        assert may_go.wait(30)
        return real()

    patch.setattr(node.service._store, "commit", commit)
    try:
        yield entered, may_go
    finally:
        may_go.set()


def test_good_and_bad_blobs_in_a_row_are_answered_in_their_order(host: LocalNode, bound: Person) -> None:
    token = bound.token(host)["authorization"]
    frames = [frame(bound, number) for number in range(5)]
    broken = frames[1][:-1] + bytes((frames[1][-1] ^ 1,))  # found when all of it is there
    stream = b"".join(
        (
            put_request(bound, token, 0, frames[0]),
            put_request(bound, token, 1, broken),
            put_request(bound, token, 2, frames[2], '"7"'),
            put_request(bound, token, 3, frames[3]),
            put_request(bound, token, 0, frames[0]),
            put_request(bound, token, 4, frames[4], extra="Connection: close"),
        )
    )
    answer = exchange(host.port, stream)
    codes = re.findall(rb"HTTP/1\.1 (\d{3}) .*?\r\n\r\n([a-z.-]*)", answer, re.DOTALL)
    assert codes == [
        (b"204", b""),
        (b"400", b"blob.mismatch"),
        (b"400", b"blob.old-version"),
        (b"204", b""),
        (b"204", b""),
        (b"204", b""),
    ]
    kept = [stored(host, bound, number) for number in range(5)]
    assert kept == [split_blob(frames[n])[1] if n in (0, 3, 4) else None for n in range(5)]
    assert host.service._budget.taken_bytes == 0


def test_blob_that_is_not_what_its_manifest_names_leaves_the_one_before(host: LocalNode, bound: Person) -> None:
    first, second = sealed(SIZE), sealed(SIZE)
    assert bound.put(host, 1, first).status == 204
    manifest = bound.manifest(1, second, 2)
    for body in (first, second[:-1], second + b"\0"):
        token = bound.token(host)["authorization"]
        answer = exchange(
            host.port, put_request(bound, token, 1, join_blob(manifest, body), '"1"', extra="Connection: close")
        )
        assert (answer[9:12], b"blob.mismatch" in answer) == (b"400", True)
        assert stored(host, bound, 1) == first


@pytest.mark.parametrize("sent", [300, 5000, 60_000])
def test_client_that_goes_in_the_middle_of_a_body_stores_nothing(host: LocalNode, bound: Person, sent: int) -> None:
    body = frame(bound, 1)
    token = bound.token(host)["authorization"]
    request = put_request(bound, token, 1, body[:sent], length=len(body))
    assert exchange(host.port, request, half_close=True) == b""
    eventually(lambda: host.service._budget.taken_bytes == 0, "the room's return")
    assert stored(host, bound, 1) is None


def test_nothing_is_acknowledged_before_it_is_committed(
    host: LocalNode, bound: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = bound.token(host)["authorization"]
    frames = [frame(bound, number) for number in range(3)]
    connections = [socket.create_connection(("127.0.0.1", host.port), timeout=15) for _ in frames]
    with held_commits(host, monkeypatch) as (entered, may_go):
        for number, (sock, body) in enumerate(zip(connections, frames, strict=True)):
            sock.sendall(put_request(bound, token, number, body, extra="Connection: close"))
            assert entered.wait(15)
        eventually(lambda: host.service._budget.taken_bytes == sum(map(len, frames)), "the bodies")
        assert stored(host, bound, 0) is None
        for sock in connections:
            sock.setblocking(False)
            with pytest.raises(BlockingIOError):
                sock.recv(1)
            sock.settimeout(15)
        may_go.set()
        assert [read_to_end(sock)[9:12] for sock in connections] == [b"204"] * 3
    assert [stored(host, bound, number) for number in range(3)] == [split_blob(body)[1] for body in frames]
    for sock in connections:
        sock.close()


def test_client_that_goes_before_the_commit_leaves_a_whole_blob_and_no_room_taken(
    host: LocalNode, bound: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = bound.token(host)["authorization"]
    body = frame(bound, 1)
    with held_commits(host, monkeypatch) as (entered, may_go):
        with socket.create_connection(("127.0.0.1", host.port), timeout=15) as sock:
            sock.sendall(put_request(bound, token, 1, body))
            assert entered.wait(15)
        may_go.set()
    eventually(lambda: stored(host, bound, 1) == split_blob(body)[1], "the blob")
    eventually(lambda: host.service._budget.taken_bytes == 0, "the room's return")
    assert bound.put(host, 2, sealed(SIZE)).status == 204


def test_batch_that_fails_is_refused_while_the_next_is_stored(
    host: LocalNode, bound: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = bound.token(host)["authorization"]
    real = host.service._store.commit
    entered, may_go = threading.Event(), threading.Event()
    fails = [True]

    def commit() -> list[Outcome]:
        entered.set()
        assert may_go.wait(30)
        if fails and fails.pop():
            host.service._store._roll_back()  # type: ignore[attr-defined]
            raise StorageError("storage.full", "the disk is full")
        return real()

    monkeypatch.setattr(host.service._store, "commit", commit)
    frames = [frame(bound, number) for number in range(2)]
    connections = [socket.create_connection(("127.0.0.1", host.port), timeout=15) for _ in frames]
    for number, (sock, body) in enumerate(zip(connections, frames, strict=True)):
        sock.sendall(put_request(bound, token, number, body, extra="Connection: close"))
        assert entered.wait(15)
    eventually(lambda: host.service._budget.taken_bytes == sum(map(len, frames)), "the bodies")
    may_go.set()
    assert [read_to_end(sock)[9:12] for sock in connections] == [b"507", b"204"]
    assert [stored(host, bound, number) is None for number in range(2)] == [True, False]
    for sock in connections:
        sock.close()


def test_device_that_was_just_removed_writes_nothing_more(host: LocalNode, bound: Person) -> None:
    token = bound.token(host)
    content = sealed(SIZE)
    path = f"{bound.path}/blob/"
    for number in (1, 2):
        body = join_blob(bound.manifest(number, content), content)
        assert host.ask("PUT", path + blob_id(number).hex(), body, if_match='"0"', **token).status == 204
    manifest = bound.manifest(3, content)
    bound.devices = [device(f"{bound.name} tablet")]
    bound.publish(host.address)
    answer = host.ask("PUT", path + blob_id(3).hex(), join_blob(manifest, content), if_match='"0"', **token)
    assert (answer.status, answer.code) == (401, "host.token")
