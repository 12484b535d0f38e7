"""Clients and approvers: who remembers them follows nothing that they have not approved, whoever serves it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.client.records import foreign_packet, identity, record
from tests.client.servers import Server, Shelf, TlsFiles
from tests.core.approving import ONE, TWO, SoftKey, approvers
from tests.core.samples import device
from walletcli.client.approved import check_remembered
from walletcli.client.freshness import FreshnessMap, Seen
from walletcli.client.publish import PublishedShortError, publish
from walletcli.client.relay import RelayClient
from walletcli.client.resolution import FreshnessCheck, Outcome, Resolution
from walletcli.client.resolve import resolve
from walletcli.client.scan import scan, scan_apart
from walletcli.client.spread import look_up_each
from walletcli.core.approvals import DocumentApprovals, Step
from walletcli.core.document import Document
from walletcli.core.document_parts import Address, Transport
from walletcli.core.record import Record
from walletcli.errors import VerificationError
from walletcli.net.addresses import NodeAddress
from walletcli.net.tcp import TcpDialer

Relay = Callable[..., tuple[Shelf, Server]]
ALICE = identity("alice")
KEY = ALICE.public_key
DAY = 20_000

LAPTOP = device("laptop")  # from day 20,000 on


def document_of(stored: Record) -> Document:
    assert stored.document is not None
    return stored.document


def approved(stored: Record, *keys: SoftKey, steps: tuple[Step, ...] = ()) -> Record:
    made = sorted((key.approve(document_of(stored)) for key in keys), key=lambda item: item.public_key)
    return stored.with_approvals(DocumentApprovals(tuple(made), steps))


FIRST = record("alice", 100, approvers=approvers(ONE))
MOVED = record("alice", 200, approvers=approvers(ONE), profile={"name": "moved"})
REMOVED = record("alice", 300)


def ask(*servers: Server, memory: FreshnessMap | None, day: int = DAY) -> Resolution:
    return resolve(
        ALICE,
        [server.address for server in servers],
        dialer=TcpDialer(),
        memory=memory,
        timeout_s=3,
        now_s=day * 86_400,
    )


def remembering(known: Record) -> FreshnessMap:
    memory = FreshnessMap()
    memory.put(KEY, Seen.of(known))
    return memory


def holding(relay: Relay, *records: Record) -> list[Server]:
    servers = []
    for one in records:
        shelf, server = relay()
        shelf.put(one)
        servers.append(server)
    return servers


def test_who_remembers_approvers_stays_where_they_are_though_all_relays_have_something_newer(relay: Relay) -> None:
    memory = remembering(FIRST)
    found = ask(*holding(relay, MOVED, approved(MOVED, TWO)), memory=memory)
    assert (found.record, found.freshness) == (FIRST, FreshnessCheck.NEWEST_KNOWN)
    assert [source.outcome for source in found.sources] == [Outcome.UNAPPROVED] * 2
    assert found.refused is not None
    assert (found.refused.code, found.refused.last_day) == ("approval.missing", None)
    assert found.to_json()["refused"] == {"message": found.refused.message, "last_day": None}
    seen = memory.get(KEY)
    assert seen is not None
    assert seen.seq == 100


def test_an_approved_state_is_followed_and_its_approvals_are_remembered(relay: Relay) -> None:
    memory = remembering(FIRST)
    found = ask(*holding(relay, approved(MOVED, ONE)), memory=memory)
    assert found.record == MOVED
    assert found.refused is None
    assert any("have approved this" in said for said in found.verified)
    seen = memory.get(KEY)
    assert seen is not None
    assert seen.record is not None
    assert seen.record.beside == approved(MOVED, ONE).beside


def test_one_relay_with_the_approvals_is_enough(relay: Relay) -> None:
    memory = remembering(FIRST)
    found = ask(*holding(relay, MOVED, approved(MOVED, TWO), approved(MOVED, ONE)), memory=memory)
    assert found.record == MOVED


def test_an_approved_state_below_one_that_is_not_is_followed(relay: Relay) -> None:
    found = ask(*holding(relay, approved(MOVED, ONE), REMOVED), memory=remembering(FIRST))
    assert found.record == MOVED
    assert [source.outcome for source in found.sources] == [Outcome.CURRENT, Outcome.UNAPPROVED]


def test_approvals_that_cannot_be_read_are_as_good_as_none(relay: Relay) -> None:
    shelf, server = relay()
    shelf.put(MOVED)
    shelf.beside[document_of(MOVED).hash] = b"\xff"
    assert ask(server, memory=remembering(FIRST)).record == FIRST


def test_a_packet_without_a_document_is_not_followed(relay: Relay) -> None:
    shelf, server = relay()
    shelf.packets[KEY] = foreign_packet("alice", 400)
    found = ask(server, memory=remembering(FIRST))
    assert (found.record, found.sources[0].outcome) == (FIRST, Outcome.UNAPPROVED)


def test_a_newcomer_follows_the_root_alone_and_is_told(relay: Relay) -> None:
    found = ask(*holding(relay, MOVED), memory=FreshnessMap())
    assert found.record == MOVED
    assert any("not seen before, so this state rests on the root" in said for said in found.verified)


def test_a_newcomer_keeps_the_approvals_to_pass_them_on(relay: Relay) -> None:
    found = ask(*holding(relay, approved(MOVED, ONE)), memory=FreshnessMap())
    assert found.record.beside == approved(MOVED, ONE).beside
    assert Record.from_bytes(found.record.to_bytes()).beside == found.record.beside


def test_nobody_is_asked_for_approvals_where_there_are_no_approvers(relay: Relay) -> None:
    shelf, server = relay()
    shelf.put(REMOVED)
    ask(server, memory=FreshnessMap())
    assert not any(asked.path.endswith("/approvals") for asked in shelf.asked)


# the delay


def test_a_removal_without_approvals_counts_after_the_delay_from_the_own_first_sight(relay: Relay) -> None:
    memory = remembering(FIRST)
    servers = holding(relay, REMOVED)
    first = ask(*servers, memory=memory)
    assert first.record == FIRST
    assert first.refused is not None
    assert first.refused.last_day == DAY + 30
    assert ask(*servers, memory=memory, day=DAY + 30).record == FIRST
    assert ask(*servers, memory=memory, day=DAY + 31).record == REMOVED


def test_the_waiting_for_one_change_does_not_serve_another(relay: Relay) -> None:
    memory = remembering(FIRST)
    shelf, server = relay()
    shelf.put(REMOVED)
    ask(server, memory=memory)
    shelf.put(record("alice", 310, approvers=approvers(TWO)))
    assert ask(server, memory=memory, day=DAY + 31).record == FIRST
    assert ask(server, memory=memory, day=DAY + 61).record == FIRST
    assert ask(server, memory=memory, day=DAY + 62).record.packet.seq == 310


def test_what_comes_another_way_than_by_asking_begins_the_waiting_as_well() -> None:
    memory = remembering(FIRST)
    for day in (DAY, DAY + 30):
        with pytest.raises(VerificationError, match=r"0 of the 1 approvals"):
            check_remembered(memory, REMOVED, day)
    check_remembered(memory, REMOVED, DAY + 31)


def test_a_clock_that_stands_before_what_is_known_begins_no_waiting(relay: Relay) -> None:
    memory = remembering(record("alice", 100, approvers=approvers(ONE), delegations=(LAPTOP,)))
    servers = holding(relay, REMOVED)
    for day in (0, DAY - 2, DAY, DAY + 30):
        assert ask(*servers, memory=memory, day=day).record.packet.seq == 100
    assert ask(*servers, memory=memory, day=DAY + 31).record == REMOVED


def test_first_sight_is_the_verifiers_own_whatever_the_document_says(relay: Relay) -> None:
    servers = holding(relay, record("alice", 1))
    old = record("alice", 300, extensions={"dated": DAY - 1000})
    shelf, server = relay()
    shelf.put(old)
    assert ask(server, *servers, memory=remembering(FIRST), day=DAY + 500).record == FIRST


def test_waiting_goes_on_while_an_old_relay_serves_the_state_of_before(relay: Relay) -> None:
    memory = remembering(FIRST)
    servers = holding(relay, REMOVED, FIRST)
    ask(*servers, memory=memory)
    ask(servers[1], memory=memory, day=DAY + 10)
    assert ask(*servers, memory=memory, day=DAY + 31).record == REMOVED


def test_an_approved_state_ends_the_waiting(relay: Relay) -> None:
    memory = remembering(FIRST)
    shelf, server = relay()
    shelf.put(REMOVED)
    ask(server, memory=memory)
    shelf.put(approved(record("alice", 400, approvers=approvers(ONE)), ONE))
    ask(server, memory=memory, day=DAY + 20)
    again = record("alice", 500)
    shelf.put(again)
    assert ask(server, memory=memory, day=DAY + 40).record.packet.seq == 400
    assert ask(server, memory=memory, day=DAY + 71).record == again


def test_a_state_that_keeps_the_approvers_is_never_followed_by_waiting(relay: Relay) -> None:
    memory = remembering(FIRST)
    servers = holding(relay, MOVED)
    for day in (DAY, DAY + 31, DAY + 4000):
        assert ask(*servers, memory=memory, day=day).record == FIRST


def test_who_missed_a_change_of_approvers_follows_over_the_step(relay: Relay) -> None:
    handed = record("alice", 150, approvers=approvers(TWO))
    later = record("alice", 160, approvers=approvers(TWO))
    step = Step(document_of(handed), (ONE.approve(document_of(handed)),))
    found = ask(*holding(relay, approved(later, TWO, steps=(step,))), memory=remembering(FIRST))
    assert found.record == later


# wherever else something is followed


def addresses(*servers: Server) -> list[NodeAddress]:
    return [server.address for server in servers]


@pytest.mark.parametrize("way", ["together", "apart", "each"])
def test_many_at_once_are_held_to_their_approvers(relay: Relay, way: str) -> None:
    shelf, server = relay()
    shelf.put(MOVED)
    shelf.put(record("bob", 5))
    wanted, memory = [ALICE, identity("bob")], remembering(FIRST)

    def look() -> list[Record | None]:
        if way == "together":
            found = scan(wanted, addresses(server), dialer=TcpDialer(), memory=memory)
        elif way == "apart":
            found = scan_apart(wanted, addresses(server), dialer=TcpDialer(), memory=memory)
        else:
            found = look_up_each({who: addresses(server) for who in wanted}, dialer=TcpDialer(), memory=memory)
        return [item.resolution.record if item.resolution is not None else None for item in found]

    assert look() == [FIRST, record("bob", 5)]
    shelf.put(approved(MOVED, ONE))
    assert look() == [MOVED, record("bob", 5)]


def test_a_pinned_nodes_own_record_is_held_to_its_approvers(tmp_path: Path) -> None:
    files = TlsFiles.make(tmp_path)
    fields = {"addresses": (Address(Transport.TCP, "192.0.2.1:7411", files.pin),), "approvers": approvers(ONE)}
    first, second = record("node", 10, **fields), record("node", 20, **fields)
    shelf = Shelf()
    shelf.put(first)
    shelf.put(FIRST)
    server = Server(shelf.converse, files.context)
    memory = FreshnessMap()
    address = NodeAddress.from_text(f"walletcli://127.0.0.1:{server.port}/{identity('node').did}")

    def connect() -> None:
        with RelayClient(address, TcpDialer(), None, timeout_s=3, memory=memory) as client:
            client.get_packet(KEY)

    try:
        connect()
        shelf.put(second)
        with pytest.raises(VerificationError) as refused:
            connect()
        assert refused.value.code == "approval.missing"
        shelf.put(approved(second, ONE))
        connect()
    finally:
        server.close()


# publishing


def test_approvals_are_put_after_the_document_and_before_the_packet(relay: Relay) -> None:
    shelf, server = relay()
    publish(approved(MOVED, ONE), addresses(server), dialer=TcpDialer())
    puts = [asked.path for asked in shelf.asked if asked.method == "PUT"]
    path = f"/document/{document_of(MOVED).hash.hex()}"
    assert puts == [path, f"{path}/approvals", f"/{ALICE.z32}"]


def test_a_node_that_refuses_is_named_with_why(serve: Callable[..., Server]) -> None:
    class Refusing(Shelf):
        def _put_packet(self, asked: object) -> tuple[int, bytes]:
            return 403, b"approval.missing: they have not\n"

    server = serve(Refusing().converse)
    with pytest.raises(PublishedShortError) as short:
        publish(MOVED, addresses(server), dialer=TcpDialer())
    assert [failure.code for failure in short.value.stored.failed] == ["approval.missing"]


def test_a_record_that_was_kept_without_approvals_does_not_replace_one_with() -> None:
    memory = remembering(approved(MOVED, ONE))
    memory.put(KEY, Seen.of(MOVED))
    seen = memory.get(KEY)
    assert seen is not None
    assert seen.record is not None
    assert seen.record.beside is not None
    memory.put(KEY, replace(Seen.of(record("alice", 300)), waiting=None))
    assert memory.get(KEY) == Seen.of(record("alice", 300))


BETWEEN = document_of(record("alice", 50, approvers=approvers(ONE)))
STEP = Step(BETWEEN, (ONE.approve(BETWEEN),))


@pytest.mark.parametrize("served", [DocumentApprovals(()), approved(MOVED, TWO).beside, approved(MOVED, ONE).beside])
def test_a_relay_takes_nothing_from_the_approvals_that_are_remembered(
    relay: Relay, served: DocumentApprovals | None
) -> None:
    good = approved(MOVED, ONE, steps=(STEP,))
    memory = remembering(good)
    found = ask(*holding(relay, MOVED.with_approvals(served)), memory=memory)
    memory.put(KEY, Seen.of(MOVED.with_approvals(served)))  # what a provider or a file says goes this way
    for record_ in (found.record, (memory.get(KEY) or Seen(0, None)).record):
        assert record_ is not None
        assert record_.beside == good.beside


def test_of_several_relays_the_one_with_more_beside_the_document_is_believed(relay: Relay) -> None:
    good, bare = approved(MOVED, ONE, steps=(STEP,)), approved(MOVED, ONE)
    for memory in (remembering(FIRST), FreshnessMap()):
        found = ask(*holding(relay, bare, good, bare), memory=memory)
        assert found.record.beside == good.beside
