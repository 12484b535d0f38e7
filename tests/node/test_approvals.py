"""Nodes and approvers: what a node that saw them refuses, waits for and passes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import apsw
import pytest

from tests.client.records import foreign_packet, identity, key, record
from tests.core.approving import ONE, THREE, TWO, SoftKey, approvers
from tests.core.samples import DAY, device
from tests.node.local import Answer, LocalNode, eventually
from walletcli.client.publish import publish
from walletcli.core.approvals import DocumentApprovals, Step
from walletcli.core.document import Document
from walletcli.core.packet import SignedPacket
from walletcli.core.record import Record, packet_value
from walletcli.net.addresses import NodeAddress
from walletcli.net.tcp import TcpDialer
from walletcli.node.sqlite_store import SqliteStore
from walletcli.node.store import Counts, Expire, Outcome, PutApprovals, PutDocument, PutPacket, Write

DAY_S = 86_400
Local = Callable[..., LocalNode]

LAPTOP = device("laptop")  # from day 20,000 on


def document_of(stored: Record) -> Document:
    assert stored.document is not None
    return stored.document


def approved(stored: Record, *keys: SoftKey, steps: tuple[Step, ...] = ()) -> Record:
    made = sorted((key.approve(document_of(stored)) for key in keys), key=lambda item: item.public_key)
    return stored.with_approvals(DocumentApprovals(tuple(made), steps))


FIRST = record("alice", 100, approvers=approvers(ONE))
MOVED = record("alice", 200, approvers=approvers(ONE), bindings=(b"another provider",))
LATER = record("alice", 300, approvers=approvers(ONE))
REMOVED = record("alice", 250)
TAKEN = record("alice", 260, approvers=approvers(TWO))


# in the store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    opened = SqliteStore(tmp_path / "store.db")
    yield opened
    opened.close()


def write(store: SqliteStore, *writes: Write, now_s: int = 1000) -> list[Outcome]:
    store.stage(writes, now_s)
    outcomes = store.commit()
    store.committed()
    return outcomes


def writes_of(stored: Record) -> list[Write]:
    document, packet = document_of(stored), stored.packet
    found: list[Write] = [
        PutDocument(document.hash, document.identity, document.to_bytes(), has_approvers=document.approvers is not None)
    ]
    if stored.beside is not None:
        found.append(PutApprovals(document.hash, stored.beside.to_bytes()))
    return [*found, PutPacket(packet.public_key, packet.to_relay_payload(), packet.seq, packet.document_hash)]


def put(store: SqliteStore, stored: Record, now_s: int = 1000) -> Outcome:
    return write(store, *writes_of(stored), now_s=now_s)[-1]


def seq_of(store: SqliteStore) -> int:
    payload = store.packets([identity("alice").public_key])[0]
    assert payload is not None
    return int.from_bytes(payload[64:72], "big")


def test_an_approved_document_is_followed_and_one_without_is_not(store: SqliteStore) -> None:
    assert put(store, FIRST) is Outcome.STORED
    assert put(store, MOVED) is Outcome.NOT_APPROVED
    assert put(store, approved(MOVED, TWO)) is Outcome.NOT_APPROVED
    assert seq_of(store) == 100
    assert put(store, approved(MOVED, ONE)) is Outcome.STORED
    assert put(store, LATER) is Outcome.NOT_APPROVED
    assert seq_of(store) == 200


def other_packets() -> dict[str, list[Write]]:
    """Return what a thief of the root key may try instead of an unapproved document."""
    old = document_of(FIRST)
    renamed = SignedPacket.sign(key("alice"), 500, packet_value(old))
    absent = record("alice", 600, profile={"name": "elsewhere"})
    foreign = foreign_packet("alice", 700)
    return {
        "an approved document of before under a new seq": [
            PutPacket(renamed.public_key, renamed.to_relay_payload(), 500, old.hash)
        ],
        "a packet whose document is not here": writes_of(absent)[1:],
        "a packet without a document": [PutPacket(foreign.public_key, foreign.to_relay_payload(), 700, None)],
        "approvers of their own": writes_of(approved(TAKEN, TWO)),
        "an approval of another document": writes_of(
            record("alice", 800).with_approvals(approved(MOVED, ONE).beside),
        ),
    }


@pytest.mark.parametrize("name", other_packets())
def test_nothing_else_gets_past_the_approvers(store: SqliteStore, name: str) -> None:
    put(store, FIRST)
    assert write(store, *other_packets()[name])[-1] is Outcome.NOT_APPROVED
    assert seq_of(store) == 100


def test_a_change_of_approvers_without_them_counts_after_the_delay_from_first_sight(store: SqliteStore) -> None:
    put(store, FIRST)
    assert put(store, REMOVED, now_s=1000) is Outcome.NOT_APPROVED
    assert put(store, REMOVED, now_s=1000 + 30 * DAY_S) is Outcome.NOT_APPROVED
    renewed = record("alice", 251, profile={"name": "renewed meanwhile"})
    assert put(store, renewed, now_s=1001 + 30 * DAY_S) is Outcome.STORED
    assert put(store, record("alice", 252), now_s=1002 + 30 * DAY_S) is Outcome.STORED  # nobody approves any more


def test_an_approved_document_ends_the_waiting(store: SqliteStore) -> None:
    put(store, FIRST)
    put(store, REMOVED, now_s=1000)
    assert put(store, approved(LATER, ONE), now_s=1000 + 29 * DAY_S) is Outcome.STORED
    assert put(store, record("alice", 310), now_s=1000 + 31 * DAY_S) is Outcome.NOT_APPROVED


def test_the_waiting_for_one_change_does_not_serve_another(store: SqliteStore) -> None:
    put(store, FIRST)
    put(store, REMOVED, now_s=1000)
    assert put(store, TAKEN, now_s=2000 + 30 * DAY_S) is Outcome.NOT_APPROVED
    assert put(store, record("alice", 270), now_s=3000 + 30 * DAY_S) is Outcome.NOT_APPROVED


def test_a_clock_that_stands_before_what_is_known_begins_no_waiting(store: SqliteStore) -> None:
    put(store, record("alice", 100, approvers=approvers(ONE), delegations=(LAPTOP,)))
    for now_s in (0, (DAY - 2) * DAY_S, DAY * DAY_S, (DAY + 30) * DAY_S):
        assert put(store, REMOVED, now_s=now_s) is Outcome.NOT_APPROVED
    assert put(store, REMOVED, now_s=(DAY + 31) * DAY_S) is Outcome.STORED


def test_a_document_that_keeps_the_approvers_never_gets_through_by_waiting(store: SqliteStore) -> None:
    put(store, FIRST)
    assert put(store, MOVED, now_s=1000) is Outcome.NOT_APPROVED
    assert put(store, MOVED, now_s=1000 + 1000 * DAY_S) is Outcome.NOT_APPROVED


def test_approvers_are_known_whichever_of_packet_and_document_comes_last(store: SqliteStore) -> None:
    document, packet = writes_of(FIRST)
    write(store, packet)
    assert not store.is_guarded(identity("alice").public_key)
    write(store, document)
    assert store.is_guarded(identity("alice").public_key)
    assert put(store, MOVED) is Outcome.NOT_APPROVED


def test_approvers_are_known_after_a_restart_and_after_their_document_is_gone(tmp_path: Path) -> None:
    first = SqliteStore(tmp_path / "store.db")
    put(first, FIRST)
    put(first, approved(MOVED, ONE))
    write(first, Expire(), now_s=10_000)
    assert first.document(document_of(FIRST).hash) is None
    first.close()
    second = SqliteStore(tmp_path / "store.db")
    assert put(second, LATER) is Outcome.NOT_APPROVED
    second.close()


def test_a_batch_that_is_rolled_back_leaves_the_approvers_of_before(store: SqliteStore) -> None:
    put(store, FIRST)
    store.stage(writes_of(approved(record("alice", 400), ONE)), 1000)
    store._roll_back()
    assert put(store, MOVED) is Outcome.NOT_APPROVED


def test_better_approvals_replace_worse_ones_and_never_the_other_way(store: SqliteStore) -> None:
    put(store, FIRST)
    hashed = document_of(MOVED).hash
    junk, good = approved(MOVED, TWO).beside, approved(MOVED, ONE).beside
    assert junk is not None
    assert good is not None
    write(store, writes_of(MOVED)[0])
    assert write(store, PutApprovals(hashed, junk.to_bytes())) == [Outcome.STORED]
    assert write(store, PutApprovals(hashed, good.to_bytes())) == [Outcome.STORED]
    assert write(store, PutApprovals(hashed, good.to_bytes())) == [Outcome.SAME]
    assert write(store, PutApprovals(hashed, junk.to_bytes())) == [Outcome.NOT_APPROVED]
    assert store.approvals(hashed) == good.to_bytes()


THIRD = record("alice", 210, approvers=approvers(ONE, THREE), profile={"name": "third"})
BETWEEN = document_of(record("alice", 150, approvers=approvers(ONE, THREE)))
STEP = Step(BETWEEN, (ONE.approve(BETWEEN),))


def without_a_key() -> dict[str, DocumentApprovals]:
    """Return what a stranger can make of approvals that are good, without any key."""
    good = approved(THIRD, ONE, THREE, steps=(STEP,)).beside
    assert good is not None
    broken = replace(STEP.approvals[0], signature=ONE.approve(document_of(THIRD)).signature)
    return {
        "nothing": DocumentApprovals(()),
        "no step": replace(good, steps=()),
        "a step that does not verify": replace(good, steps=(Step(BETWEEN, (broken,)),)),
        "another step in its place": replace(good, steps=(Step(document_of(record("alice", 120)), ()),)),
        "one approval of two": replace(good, approvals=good.approvals[:1]),
        "a stranger's approval": replace(good, approvals=(TWO.approve(document_of(THIRD)),)),
    }


@pytest.mark.parametrize("is_followed", [False, True])
@pytest.mark.parametrize("name", without_a_key())
def test_nobody_without_a_key_takes_anything_from_approvals_that_are_stored(
    store: SqliteStore, name: str, is_followed: bool
) -> None:
    put(store, FIRST)
    good = approved(THIRD, ONE, THREE, steps=(STEP,))
    hashed, writes = document_of(THIRD).hash, writes_of(good)
    assert write(store, *(writes if is_followed else writes[:2]))[-1] is Outcome.STORED
    assert write(store, PutApprovals(hashed, without_a_key()[name].to_bytes())) == [Outcome.NOT_APPROVED]
    assert good.beside is not None
    assert store.approvals(hashed) == good.beside.to_bytes()


def test_more_approvals_of_approvers_and_more_steps_are_taken(store: SqliteStore) -> None:
    put(store, FIRST)
    hashed = document_of(THIRD).hash
    write(store, writes_of(THIRD)[0])
    for offer in (approved(THIRD, ONE), approved(THIRD, ONE, THREE), approved(THIRD, ONE, THREE, steps=(STEP,))):
        assert offer.beside is not None
        assert write(store, PutApprovals(hashed, offer.beside.to_bytes())) == [Outcome.STORED]


def test_nothing_worthless_is_added_and_nothing_worthless_replaced_by_such(store: SqliteStore) -> None:
    put(store, FIRST)
    good, hashed = approved(MOVED, ONE), document_of(MOVED).hash
    write(store, *writes_of(good))
    padded = [
        approved(MOVED, ONE, TWO),
        MOVED.with_approvals(DocumentApprovals((ONE.approve(document_of(MOVED), counter=9),))),
    ]
    for offer in padded:
        assert offer.beside is not None
        assert write(store, PutApprovals(hashed, offer.beside.to_bytes())) == [Outcome.NOT_APPROVED]
    unknown = document_of(record("alice", 205))  # only the approvers of before can tell
    write(store, PutDocument(unknown.hash, unknown.identity, unknown.to_bytes()))
    for by, outcome in ((TWO, Outcome.STORED), (THREE, Outcome.NOT_APPROVED), (ONE, Outcome.STORED)):
        offered = DocumentApprovals((by.approve(unknown),))
        assert write(store, PutApprovals(unknown.hash, offered.to_bytes())) == [outcome]


def test_what_a_followed_change_of_approvers_was_approved_with_stays(store: SqliteStore) -> None:
    put(store, FIRST)
    step = Step(document_of(TAKEN), (ONE.approve(document_of(TAKEN)),))
    good = approved(TAKEN, ONE, steps=(step,))
    assert put(store, good) is Outcome.STORED
    between = document_of(record("alice", 255))
    padded = DocumentApprovals((), (Step(between, (ONE.approve(between),)), step))
    assert write(store, PutApprovals(document_of(TAKEN).hash, padded.to_bytes())) == [Outcome.NOT_APPROVED]


def test_approvals_count_towards_the_room_that_documents_take(store: SqliteStore) -> None:
    stored = approved(MOVED, ONE)
    assert stored.beside is not None
    length = len(document_of(stored).to_bytes()) + len(stored.beside.to_bytes())
    write(store, *writes_of(stored)[:2])
    assert store.counts() == Counts(documents=1, unreferenced=1, unreferenced_bytes=length, document_bytes=length)
    write(store, Expire(), now_s=10_000)
    assert store.counts() == Counts()


def test_a_store_of_before_gets_the_tables(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    SqliteStore(path).close()
    old = apsw.Connection(str(path))
    old.execute("DROP TABLE guard; ALTER TABLE document DROP COLUMN has_approvers")
    old.execute("ALTER TABLE document DROP COLUMN beside; PRAGMA user_version = 2")
    old.close()
    store = SqliteStore(path)
    put(store, FIRST)
    assert put(store, MOVED) is Outcome.NOT_APPROVED
    store.close()


# over HTTP


def ask(node: LocalNode, stored: Record) -> list[Answer]:
    document = document_of(stored)
    path = f"/document/{document.hash.hex()}"
    answers = [node.ask("PUT", path, document.to_bytes())]
    if stored.beside is not None:
        answers.append(node.ask("PUT", f"{path}/approvals", stored.beside.to_bytes()))
    z32 = f"/{identity('alice').z32}"
    return [*answers, node.ask("PUT", z32, stored.packet.to_relay_payload())]


def test_a_root_signed_binding_without_approval_is_refused_and_with_it_stored(local: Local) -> None:
    node = local("node")
    assert [answer.status for answer in ask(node, FIRST)] == [204, 204]
    refused = ask(node, MOVED)[-1]
    assert (refused.status, refused.code) == (403, "approval.missing")
    assert [answer.status for answer in ask(node, approved(MOVED, ONE))] == [204, 204, 204]
    beside = node.ask("GET", f"/document/{document_of(MOVED).hash.hex()}/approvals")
    kept = approved(MOVED, ONE).beside
    assert kept is not None
    assert (beside.status, beside.body) == (200, kept.to_bytes())
    assert beside.headers["content-type"] == "application/walletcli-approvals+cbor"
    assert beside.headers["cache-control"] == "no-store"


BAD: dict[str, tuple[str, bytes, int, str]] = {
    "no such document": ("0" * 64, b"\x83\x01\x80\x80", 404, "approval.no-document"),
    "no hash": ("x" * 64, b"\x83\x01\x80\x80", 400, "document.hash"),
    "no CBOR": ("0" * 64, b"\xff", 400, "cbor.unsupported"),
    "another version": ("0" * 64, b"\x83\x02\x80\x80", 400, "approval.unknown-version"),
    "too long": ("0" * 64, bytes(16_385), 413, "approval.too-long"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_approvals_get_an_answer_of_ours(shared: LocalNode, name: str) -> None:
    named, body, status, code = BAD[name]
    answer = shared.ask("PUT", f"/document/{named}/approvals", body)
    assert (answer.status, answer.code) == (status, code)


def test_nothing_beside_a_document_is_not_found(shared: LocalNode) -> None:
    assert shared.ask("GET", f"/document/{'0' * 64}/approvals").status == 404
    assert shared.ask("DELETE", f"/document/{'0' * 64}/approvals").status == 405


def get_seq(node: LocalNode) -> str:
    return node.ask("GET", f"/{identity('alice').z32}").headers.get("etag", "")


def test_sources_give_approvals_along_and_unapproved_records_of_theirs_are_not_followed(local: Local) -> None:
    first = local("first")
    ask(first, FIRST)
    second = local("second", f"sources = ['{first.url}']\n")
    assert get_seq(second) == '"100"'
    ask(first, approved(MOVED, ONE))
    again(second)
    assert get_seq(second) == '"200"'
    assert second.ask("GET", f"/document/{document_of(MOVED).hash.hex()}/approvals").status == 200
    naive = local("naive")  # saw no approvers: it takes what the root signs
    ask(naive, record("alice", 900))
    third = local("third", f"sources = ['{naive.url}', '{second.url}']\n")
    ask(third, FIRST)
    again(third)
    assert get_seq(third) == '"200"'
    ask(naive, record("alice", 950))
    again(third)
    assert get_seq(third) == '"200"'


def again(node: LocalNode) -> None:
    sources: Any = node.service._sources
    node.call(sources._not_before.clear)  # as if minutes had passed
    node.call(sources._paused.clear)


def test_sinks_are_given_the_approvals_before_the_packet(local: Local) -> None:
    sink = local("sink")
    ask(sink, FIRST)
    node = local("node", f"sinks = ['{sink.url}']\n")
    ask(node, FIRST)
    ask(node, approved(MOVED, ONE))
    eventually(lambda: get_seq(sink) == '"200"')
    assert sink.ask("GET", f"/document/{document_of(MOVED).hash.hex()}/approvals").status == 200


def test_who_puts_approvals_first_keeps_nobody_from_publishing(local: Local) -> None:
    sink, node, good = local("sink"), local("node"), approved(MOVED, ONE)
    mirror = local("mirror", f"sinks = ['{sink.url}']\n")
    assert good.beside is not None
    padded = replace(good.beside, steps=(Step(BETWEEN, (TWO.approve(BETWEEN),)),))
    for one in (sink, node):
        ask(one, FIRST)
        one.ask("PUT", f"/document/{document_of(good).hash.hex()}", document_of(good).to_bytes())
        path = f"/document/{document_of(good).hash.hex()}/approvals"
        assert one.ask("PUT", path, padded.to_bytes()).status == 204
        assert one.ask("PUT", path, good.beside.to_bytes()).status == 409
    stored = publish(good, [NodeAddress.from_text(node.url)], dialer=TcpDialer())
    assert stored.relays == (node.url,)
    ask(mirror, good)
    eventually(lambda: get_seq(sink) == '"200"')


def test_a_sink_that_will_not_follow_is_left_in_peace(local: Local) -> None:
    sink = local("sink")
    ask(sink, FIRST)
    node = local("node", f"sinks = ['{sink.url}']\n")
    ask(node, MOVED)
    eventually(lambda: node.call(node.service.pages.reading).counts.queued == 0)
    assert get_seq(sink) == '"100"'
