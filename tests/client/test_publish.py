from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.client.records import foreign_packet, identity, record
from tests.client.servers import Asked, Conversation, Server, Shelf
from walletcli.client.publish import PublishedShortError, Stored, publish
from walletcli.core.record import Record
from walletcli.errors import InputError, NetworkError, ShortPublishError, VerificationError
from walletcli.net.offline import OfflineDialer
from walletcli.net.tcp import TcpDialer

Serve = Callable[[Callable[[Conversation], None]], Server]
Relay = Callable[..., tuple[Shelf, Server]]
ALICE = record("alice", 200)
KEY = ALICE.packet.public_key
HASH = ALICE.packet.document_hash or b""


def put(*servers: Server, what: Record = ALICE, copies: int | None = None, seconds: float = 2.0) -> Stored:
    return publish(what, [s.address for s in servers], dialer=TcpDialer(), copies=copies, timeout_s=seconds)


def kinds(shelf: Shelf) -> list[str]:
    return [
        f"{asked.method} {'document' if asked.path.startswith('/document/') else 'packet'}" for asked in shelf.asked
    ]


def test_the_document_goes_before_the_packet_and_both_are_asked_for_again(relay: Relay) -> None:
    shelf, server = relay()
    stored = put(server)
    assert stored == Stored((server.address.to_text(),))
    assert kinds(shelf) == ["PUT document", "PUT packet", "GET packet", "GET document"]
    assert shelf.asked[2].headers["cache-control"] == "only-if-cached"
    assert server.connections == 1


def test_the_document_is_everywhere_before_the_packet_is_anywhere(relay: Relay) -> None:
    order: list[str] = []
    servers = []
    for _ in range(3):
        shelf, server = relay()
        decide = shelf.decide

        def note(asked: Asked, decide: Callable[[Asked], tuple[int, bytes]] = decide) -> tuple[int, bytes]:
            order.append("document" if asked.path.startswith("/document/") else "packet")
            return decide(asked)

        shelf.decide = note  # type: ignore[method-assign] # an honest relay that is watched
        servers.append(server)
    put(*servers)
    assert order[:3] == ["document"] * 3


def test_the_json_says_where_and_how_many(relay: Relay) -> None:
    _, server = relay()
    assert put(server).to_json() == {
        "relays": [server.address.to_text()],
        "packet_only": [],
        "dht_nodes": 0,
        "failed": [],
    }


def test_publishing_again_is_the_same(relay: Relay) -> None:
    _, server = relay()
    assert put(server) == put(server)


def test_one_failure_is_an_error_that_says_which_and_why(relay: Relay, serve: Serve) -> None:
    _, good = relay()
    silent = serve(Conversation.hang)
    with pytest.raises(ShortPublishError) as caught:
        put(good, silent, seconds=3.0)
    error = caught.value
    assert error.code == "publish.short"
    assert error.exit_code == 9
    assert silent.address.to_text() in error.message
    assert "relay.timeout" in error.message
    assert isinstance(error, PublishedShortError)
    assert error.stored.relays == (good.address.to_text(),)


def test_as_many_as_asked_for_are_enough(relay: Relay, serve: Serve) -> None:
    _, good = relay()
    stored = put(good, serve(lambda c: None), copies=1)
    assert stored.relays == (good.address.to_text(),)
    assert [failure.code for failure in stored.failed] == ["relay.unreachable"]


def test_where_all_relays_close_the_connection_the_address_may_be_the_wrong_kind(relay: Relay, serve: Serve) -> None:
    closing = serve(lambda conversation: conversation.read() and None)
    with pytest.raises(PublishedShortError) as caught:
        put(closing, closing)
    assert "walletcli://HOST:PORT/did:key:…" in caught.value.hint
    _, good = relay()
    with pytest.raises(PublishedShortError) as caught:
        put(good, closing)
    assert "what was stored stays stored" in caught.value.hint


def test_a_relay_without_documents_counts_beside_one_with(relay: Relay) -> None:
    _, full = relay()
    bare_shelf, bare = relay(keeps_documents=False)
    stored = put(full, bare)
    assert stored.relays == (full.address.to_text(),)
    assert stored.packet_only == (bare.address.to_text(),)
    assert stored.copies == 2
    assert bare_shelf.packets[KEY] == ALICE.packet


def test_where_nobody_takes_the_document_no_packet_is_put(relay: Relay) -> None:
    """Readers would otherwise be left with a packet whose document is nowhere, in place of the state before."""
    shelf, bare = relay(keeps_documents=False)
    with pytest.raises(PublishedShortError) as caught:
        put(bare)
    assert caught.value.stored.copies == 0
    assert "keeps no documents" in caught.value.message
    assert shelf.packets == {}


def test_a_relay_that_failed_to_take_the_document_is_not_given_the_packet(relay: Relay) -> None:
    _, good = relay()
    full_disk, server = relay()
    decide = full_disk.decide
    full_disk.decide = lambda a: (507, b"storage.full: no\n") if "document" in a.path else decide(a)  # type: ignore[method-assign] # a full disk
    with pytest.raises(PublishedShortError) as caught:
        put(good, server)
    assert full_disk.packets == {}
    assert "storage.full" in caught.value.message


def test_a_packet_alone_is_published_as_it_is(relay: Relay) -> None:
    shelf, server = relay(keeps_documents=False)
    packet = foreign_packet()
    stored = put(server, what=Record.verified(packet, None))
    assert stored.relays == (server.address.to_text(),)
    assert kinds(shelf) == ["PUT packet", "GET packet"]


def test_a_relay_that_forgets_the_packet_does_not_count(serve: Serve) -> None:
    def forget(conversation: Conversation) -> None:
        while asked := conversation.read():
            conversation.answer(204 if asked.method == "PUT" else 404)

    with pytest.raises(PublishedShortError) as caught:
        put(serve(forget))
    assert [failure.code for failure in caught.value.stored.failed] == ["relay.lost"]


def test_a_relay_that_forgets_the_document_does_not_count(relay: Relay) -> None:
    shelf, server = relay()
    decide = shelf.decide
    shelf.decide = lambda a: (404, b"") if (a.method, "document" in a.path) == ("GET", True) else decide(a)  # type: ignore[method-assign] # forgetful
    with pytest.raises(PublishedShortError) as caught:
        put(server)
    assert [failure.code for failure in caught.value.stored.failed] == ["relay.lost"]


def test_a_relay_that_keeps_the_older_packet_does_not_count(relay: Relay) -> None:
    shelf, server = relay()
    older = record("alice", 100)
    decide = shelf.decide

    def stuck(asked: Asked) -> tuple[int, bytes]:
        if asked.path.startswith("/document/"):
            return decide(asked)
        return (204, b"") if asked.method == "PUT" else (200, older.packet.to_relay_payload())

    shelf.decide = stuck  # type: ignore[method-assign] # a relay that is stuck in the past
    with pytest.raises(PublishedShortError) as caught:
        put(server)
    assert [failure.code for failure in caught.value.stored.failed] == ["relay.lost"]


def test_a_newer_packet_that_is_already_there_is_an_alarm(relay: Relay) -> None:
    shelf, server = relay()
    _, other = relay()
    shelf.put(record("alice", 300))
    with pytest.raises(VerificationError) as caught:
        put(other, server)
    assert caught.value.code == "publish.newer-exists"
    assert "300" in caught.value.message
    assert "root key" in caught.value.hint


def test_another_packet_with_the_same_seq_is_an_alarm(relay: Relay) -> None:
    shelf, server = relay()
    shelf.put(record("alice", 200, profile={"name": "Mallory"}))
    with pytest.raises(VerificationError) as caught:
        put(server)
    assert caught.value.code == "record.equivocation"


def test_a_newer_packet_that_appears_after_the_put_is_an_alarm(relay: Relay) -> None:
    shelf, server = relay()
    decide = shelf.decide

    def overtaken(asked: Asked) -> tuple[int, bytes]:
        answer = decide(asked)
        if asked.method == "PUT" and "document" not in asked.path:
            shelf.put(record("alice", 300))
        return answer

    shelf.decide = overtaken  # type: ignore[method-assign] # another device publishes meanwhile
    with pytest.raises(VerificationError) as caught:
        put(server)
    assert caught.value.code == "publish.newer-exists"


@pytest.mark.parametrize("status", [409, 412, 428])
def test_a_conflict_without_proof_is_a_failure_of_that_relay(relay: Relay, status: int) -> None:
    _, good = relay()
    shelf, server = relay()
    decide = shelf.decide
    shelf.decide = lambda a: (status, b"") if a.method == "PUT" and "document" not in a.path else decide(a)  # type: ignore[method-assign] # a relay that lies
    stored = put(good, server, copies=1)
    assert stored.relays == (good.address.to_text(),)
    assert [failure.code for failure in stored.failed] in (["relay.conflict"], ["relay.precondition"])


def test_a_conflict_with_our_own_packet_counts_as_stored(relay: Relay) -> None:
    """Another relay had passed it on already."""
    shelf, server = relay()
    shelf.put(ALICE)
    decide = shelf.decide
    shelf.decide = lambda a: (409, b"") if a.method == "PUT" and "document" not in a.path else decide(a)  # type: ignore[method-assign] # a strict relay
    assert put(server).relays == (server.address.to_text(),)


def test_no_relays_is_a_network_error_that_says_so() -> None:
    with pytest.raises(NetworkError) as caught:
        put()
    assert caught.value.code == "relay.none"


def test_offline_is_said_as_it_is(relay: Relay) -> None:
    with pytest.raises(NetworkError) as caught:
        publish(ALICE, [relay()[1].address], dialer=OfflineDialer())
    assert caught.value.code == "network.offline"


@pytest.mark.parametrize("copies", [0, 3, -1])
def test_more_copies_than_relays_cannot_be_had(relay: Relay, copies: int) -> None:
    with pytest.raises(InputError) as caught:
        put(relay()[1], relay()[1], copies=copies)
    assert caught.value.code == "publish.copies"


def test_the_connections_are_opened_for_the_published_identity(relay: Relay) -> None:
    heard: list[str | None] = []

    class Listening(TcpDialer):
        def dial(self, address, for_identity, deadline_s):  # type: ignore[no-untyped-def] # as its parent
            heard.append(for_identity)
            return super().dial(address, for_identity, deadline_s)

    publish(ALICE, [relay()[1].address], dialer=Listening())
    assert heard == [identity("alice").did]
