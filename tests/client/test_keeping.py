"""One visit: what a relay lacks is brought back as it was signed, what is newer is taken, lies are refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.client.records import foreign_packet, identity, record, unsigned
from tests.client.servers import Conversation, Server, Shelf
from tests.core.approving import ONE, TWO, SoftKey, approvers
from walletcli.client.freshness import FreshnessMap, Seen
from walletcli.client.keeping import Outcome, Visit, keep_alive
from walletcli.core.approvals import DocumentApprovals
from walletcli.core.record import Record
from walletcli.net.tcp import TcpDialer

ALICE = identity("alice").public_key
KNOWN = record(seq=100, profile={"name": "Alice"})


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[[Conversation], None]], Server]]:
    started: list[Server] = []

    def start(converse: Callable[[Conversation], None]) -> Server:
        started.append(Server(converse))
        return started[-1]

    yield start
    for server in started:
        server.close()


@pytest.fixture
def memory() -> FreshnessMap:
    found = FreshnessMap()
    found.put(ALICE, Seen.of(KNOWN))
    return found


Serve = Callable[[Callable[[Conversation], None]], Server]


def visit(server: Server, memory: FreshnessMap, known: Record = KNOWN) -> Visit:
    return keep_alive(known, server.address, dialer=TcpDialer(), for_identity=None, memory=memory, timeout_s=3)


def puts(shelf: Shelf) -> list[str]:
    return [asked.path.split("/")[1] for asked in shelf.asked if asked.method == "PUT"]


def test_what_is_there_is_left_as_it_is(shelf: Shelf, serve: Serve, memory: FreshnessMap) -> None:
    shelf.put(KNOWN)
    assert visit(serve(shelf.converse), memory) == Visit(Outcome.KEPT, 100)
    assert puts(shelf) == []


def test_what_is_missing_is_put_document_first(shelf: Shelf, serve: Serve, memory: FreshnessMap) -> None:
    assert visit(serve(shelf.converse), memory).outcome is Outcome.RESTORED
    assert shelf.packets[ALICE] == KNOWN.packet
    assert KNOWN.document is not None
    assert shelf.documents[KNOWN.document.hash] == KNOWN.document.to_bytes()
    assert puts(shelf)[0] == "document"


def test_an_older_one_is_replaced(shelf: Shelf, serve: Serve, memory: FreshnessMap) -> None:
    shelf.put(record(seq=50))
    assert visit(serve(shelf.converse), memory).outcome is Outcome.RESTORED
    assert shelf.packets[ALICE].seq == 100


def test_a_document_that_is_missing_is_put_alone(shelf: Shelf, serve: Serve, memory: FreshnessMap) -> None:
    shelf.put(KNOWN, document=False)
    assert visit(serve(shelf.converse), memory).outcome is Outcome.RESTORED
    assert puts(shelf) == ["document"]


def test_approvals_that_are_missing_are_put_beside_the_document(
    shelf: Shelf, serve: Serve, memory: FreshnessMap
) -> None:
    guarded = record(seq=100, approvers=approvers(ONE))
    known = approved(guarded, ONE)
    shelf.put(guarded)
    assert visit(serve(shelf.converse), memory, known).outcome is Outcome.RESTORED
    assert [asked.path for asked in shelf.asked if asked.method == "PUT"] == [_approvals_path(known)]


def test_a_newer_one_of_an_identity_with_approvers_is_taken_with_their_approval_only(
    shelf: Shelf, serve: Serve
) -> None:
    known, memory = record(seq=100, approvers=approvers(ONE)), FreshnessMap()
    memory.put(ALICE, Seen.of(known))
    newer, server = record(seq=300, approvers=approvers(ONE)), serve(shelf.converse)
    for offered in (newer, approved(newer, TWO)):
        shelf.put(offered)
        assert visit(server, memory, known).outcome is Outcome.REFUSED
    shelf.put(approved(newer, ONE))
    assert visit(server, memory, known).outcome is Outcome.NEWER


def approved(found: Record, key: SoftKey) -> Record:
    assert found.document is not None
    return found.with_approvals(DocumentApprovals((key.approve(found.document),)))


def _approvals_path(known: Record) -> str:
    assert known.document is not None
    return f"/document/{known.document.hash.hex()}/approvals"


def test_a_relay_without_documents_gets_the_packet(shelf: Shelf, serve: Serve, memory: FreshnessMap) -> None:
    shelf.keeps_documents = False
    server = serve(shelf.converse)
    assert visit(server, memory).outcome is Outcome.RESTORED
    assert shelf.packets[ALICE] == KNOWN.packet
    assert visit(server, memory).outcome is Outcome.KEPT


def test_somebody_elses_kind_of_packet_is_kept_as_well(shelf: Shelf, serve: Serve, memory: FreshnessMap) -> None:
    known = Record.verified(foreign_packet(seq=200), None)
    assert visit(serve(shelf.converse), memory, known).outcome is Outcome.RESTORED
    assert shelf.packets[ALICE] == known.packet


def test_a_newer_one_is_verified_and_remembered(shelf: Shelf, serve: Serve, memory: FreshnessMap) -> None:
    newer = record(seq=300)
    shelf.put(newer)
    assert visit(serve(shelf.converse), memory) == Visit(Outcome.NEWER, 300)
    assert memory.get(ALICE) == Seen.of(newer)
    assert puts(shelf) == []


def test_a_newer_one_without_its_document_is_not_followed(shelf: Shelf, serve: Serve, memory: FreshnessMap) -> None:
    shelf.put(record(seq=300), document=False)
    assert visit(serve(shelf.converse), memory).outcome is Outcome.REFUSED
    assert memory.get(ALICE) == Seen.of(KNOWN)


def test_another_state_with_the_same_seq_is_a_split_and_its_proof_is_kept(
    shelf: Shelf, serve: Serve, memory: FreshnessMap
) -> None:
    shelf.put(record(seq=100, profile={"name": "Eve"}))
    assert visit(serve(shelf.converse), memory).outcome is Outcome.SPLIT
    (proof,) = memory.splits(ALICE)
    assert proof.seq == 100
    assert puts(shelf) == []


def test_what_the_key_has_not_signed_is_a_failure(serve: Serve, memory: FreshnessMap) -> None:
    found = visit(serve(lambda c: _always(c, 200, unsigned(KNOWN.packet))), memory)
    assert (found.outcome, found.error and found.error.code) == (Outcome.FAILED, "signature.invalid")
    assert memory.get(ALICE) == Seen.of(KNOWN)


def test_a_relay_that_wants_fewer_requests_is_left_alone(serve: Serve, memory: FreshnessMap) -> None:
    assert visit(serve(lambda c: _always(c, 429, b"", "Retry-After: 60")), memory).outcome is Outcome.LIMITED


def test_a_relay_that_limits_writes_is_left_alone(shelf: Shelf, serve: Serve, memory: FreshnessMap) -> None:
    def converse(conversation: Conversation) -> None:
        while (asked := conversation.read()) is not None:
            if asked.method == "PUT":
                conversation.answer(429, b"", "Retry-After: 60")
            else:
                conversation.answer(404)

    assert visit(serve(converse), memory).outcome is Outcome.LIMITED


def test_a_relay_that_takes_it_and_does_not_have_it_has_failed(serve: Serve, memory: FreshnessMap) -> None:
    def converse(conversation: Conversation) -> None:
        while (asked := conversation.read()) is not None:
            conversation.answer(204 if asked.method == "PUT" else 404)

    found = visit(serve(converse), memory)
    assert (found.outcome, found.error and found.error.code) == (Outcome.FAILED, "publish.short")


def test_nobody_there_is_a_failure_and_no_traceback(serve: Serve, memory: FreshnessMap) -> None:
    server = serve(Conversation.hang)
    server.close()
    assert visit(server, memory).outcome is Outcome.FAILED


def _always(conversation: Conversation, status: int, body: bytes, *headers: str) -> None:
    while conversation.read() is not None:
        conversation.answer(status, body, *headers)
