"""``/document/HASH``: what a document's PUT and GET are answered, and how long it is kept."""

from __future__ import annotations

import hashlib
import itertools
import time
from collections.abc import Callable

import pytest

from tests.client.records import foreign_packet, identity, record
from tests.node.local import Answer, LocalNode
from walletcli.core.document import Document
from walletcli.core.record import Record
from walletcli.node import sqlite_batch, store
from walletcli.node.store import Counts, Expire

_numbers = itertools.count()


@pytest.fixture
def name() -> str:
    """The name of an identity that no other test uses."""
    return f"documents-{next(_numbers)}"


def document_of(record: Record) -> Document:
    assert record.document is not None
    return record.document


def path_of(body: bytes) -> str:
    return f"/document/{hashlib.sha256(body).hexdigest()}"


def put_document(node: LocalNode, stored: Record) -> Answer:
    body = document_of(stored).to_bytes()
    return node.ask("PUT", path_of(body), body)


def put_packet(node: LocalNode, stored: Record, name: str) -> Answer:
    return node.ask("PUT", f"/{identity(name).z32}", stored.packet.to_relay_payload())


def counts(node: LocalNode) -> Counts:
    return node.call(node.service.pages.reading).counts


def test_stored_document_is_served_and_never_changes(shared: LocalNode, name: str) -> None:
    body = document_of(record(name)).to_bytes()
    assert shared.ask("PUT", path_of(body), body).status == 204
    answer = shared.ask("GET", path_of(body))
    assert (answer.status, answer.body) == (200, body)
    assert answer.headers["content-type"] == "application/walletcli-document"
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["etag"] == f'"{hashlib.sha256(body).hexdigest()}"'
    assert shared.ask("GET", path_of(body), if_none_match=answer.headers["etag"]).status == 304
    head = shared.ask("HEAD", path_of(body))
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(len(body)))


def test_largest_document_is_taken_and_one_byte_more_is_not(shared: LocalNode, name: str) -> None:
    sections = tuple(sorted(bytes([number]) * 15_000 for number in range(1, 5)))
    body = document_of(record(name, sections=sections)).to_bytes()
    assert len(body) == 65_536
    assert shared.ask("PUT", path_of(body), body).status == 204
    assert shared.ask("GET", path_of(body)).body == body
    answer = shared.ask("PUT", path_of(body + b"\0"), body + b"\0")
    assert (answer.status, answer.code) == (413, "document.too-long")


def test_body_under_another_hash_is_refused(shared: LocalNode, name: str) -> None:
    body = document_of(record(name)).to_bytes()
    answer = shared.ask("PUT", path_of(b"other"), body)
    assert (answer.status, answer.code) == (400, "record.hash-mismatch")
    assert shared.ask("GET", path_of(b"other")).status == 404


@pytest.mark.parametrize("body", [b"", b"hello", b"\xa0", b"\0" * 1024], ids=["empty", "text", "map", "zeros"])
def test_body_that_is_no_document_is_refused(shared: LocalNode, body: bytes) -> None:
    answer = shared.ask("PUT", path_of(body), body)
    assert answer.status == 400
    assert answer.code.startswith(("document.", "cbor."))


@pytest.mark.parametrize("text", ["", "AB" * 32, "ab" * 31, "ab" * 33, "zz" * 32, "é" * 16])
def test_hash_has_one_spelling(shared: LocalNode, text: str) -> None:
    from urllib.parse import quote

    answer = shared.ask("GET", f"/document/{quote(text)}")
    assert (answer.status, answer.code) == (400, "document.hash")


def test_same_document_again_is_fine(shared: LocalNode, name: str) -> None:
    stored = record(name)
    assert [put_document(shared, stored).status for _ in range(2)] == [204, 204]


def test_document_that_no_packet_names_goes_after_its_hour(
    local: Callable[..., LocalNode], monkeypatch: pytest.MonkeyPatch
) -> None:
    node = local()
    loose, kept = record("loose"), record("kept")
    for stored in (loose, kept):
        put_document(node, stored)
    put_packet(node, kept, "kept")
    assert counts(node).unreferenced == 1
    late = int(time.time()) + store.UNREFERENCED_S + 1
    monkeypatch.setattr("walletcli.node.batch_writer.time.time", lambda: late)
    node.run(lambda: node.service.gate.writer.write(Expire()))
    assert node.ask("GET", path_of(document_of(loose).to_bytes())).status == 404
    assert node.ask("GET", path_of(document_of(kept).to_bytes())).status == 200
    assert (counts(node).unreferenced, counts(node).unreferenced_bytes) == (0, 0)


def test_replaced_document_is_kept_for_its_hour_and_then_goes(
    local: Callable[..., LocalNode], monkeypatch: pytest.MonkeyPatch
) -> None:
    node = local()
    first, second = record("alice", 1), record("alice", 2, profile={"name": "Alice"})
    for stored in (first, second):
        assert put_document(node, stored).status == 204
        assert put_packet(node, stored, "alice").status == 204
    old = path_of(document_of(first).to_bytes())
    assert node.ask("GET", old).status == 200
    assert (counts(node).documents, counts(node).unreferenced) == (3, 1)  # the node's own is one of them
    late = int(time.time()) + store.UNREFERENCED_S + 1
    monkeypatch.setattr("walletcli.node.batch_writer.time.time", lambda: late)
    node.run(lambda: node.service.gate.writer.write(Expire()))
    assert node.ask("GET", old).status == 404
    assert node.ask("GET", path_of(document_of(second).to_bytes())).status == 200


def test_unnamed_documents_together_have_a_bound_and_the_oldest_go_first(
    local: Callable[..., LocalNode], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_batch, "MAX_UNREFERENCED_BYTES", 3 * 1024)
    node = local(limits=False)
    records = [record(f"loose-{number}") for number in range(6)]
    for stored in records:
        assert put_document(node, stored).status == 204
    found = [node.ask("GET", path_of(document_of(stored).to_bytes())).status for stored in records]
    assert found == [404, 404, 404, 200, 200, 200]
    assert counts(node).unreferenced_bytes == 3 * 1024


def test_document_of_another_identity_does_not_complete_a_packet(local: Callable[..., LocalNode]) -> None:
    from tests.client.records import key
    from walletcli.core.packet import SignedPacket
    from walletcli.core.record import packet_value

    node = local()
    body = document_of(record("bob"))
    # Alice's packet names Bob's document.
    value = packet_value(body).replace(identity("bob").z32.encode(), identity("alice").z32.encode())
    packet = SignedPacket.sign(key("alice"), 5, value)
    assert packet.document_hash == body.hash
    assert node.ask("PUT", path_of(body.to_bytes()), body.to_bytes()).status == 204
    assert node.ask("PUT", f"/{identity('alice').z32}", packet.to_relay_payload()).status == 204
    assert (counts(node).pending, counts(node).unreferenced) == (1, 1)


def test_counts_follow_what_is_stored(local: Callable[..., LocalNode]) -> None:
    node = local()
    start = counts(node)
    stored = record("alice", 1)
    put_packet(node, stored, "alice")
    node.ask("PUT", f"/{identity('x').z32}", foreign_packet("x").to_relay_payload())
    assert (counts(node).packets, counts(node).pending) == (start.packets + 2, 1)
    put_document(node, stored)
    assert (counts(node).documents, counts(node).pending) == (start.documents + 1, 0)
    put_packet(node, record("alice", 2), "alice")
    assert (counts(node).packets, counts(node).pending, counts(node).unreferenced) == (start.packets + 2, 1, 1)
