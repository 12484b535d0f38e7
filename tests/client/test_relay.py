from __future__ import annotations

import hashlib
import time
from collections.abc import Callable

import pytest

from tests.client.records import foreign_packet, key, record, unsigned
from tests.client.servers import Conversation, Server, Shelf
from walletcli.client.relay import RelayClient
from walletcli.errors import NetworkError, VerificationError, WalletError
from walletcli.net.offline import OfflineDialer
from walletcli.net.stream import SocketStream
from walletcli.net.tcp import TcpDialer

Serve = Callable[[Callable[[Conversation], None]], Server]
Relay = Callable[..., tuple[Shelf, Server]]
ALICE = record("alice")
KEY = ALICE.packet.public_key
DOCUMENT = ALICE.document.to_bytes() if ALICE.document else b""
HASH = hashlib.sha256(DOCUMENT).digest()


def client(server: Server, seconds: float = 2.0) -> RelayClient:
    return RelayClient(server.address, TcpDialer(), "did:key:x", timeout_s=seconds)


def answering(status: int, body: bytes = b"") -> Callable[[Conversation], None]:
    def converse(conversation: Conversation) -> None:
        while conversation.read():
            conversation.answer(status, body)

    return converse


def test_a_packet_and_a_document_go_in_and_come_out(relay: Relay) -> None:
    shelf, server = relay()
    with client(server) as one:
        assert one.get_packet(KEY) is None
        assert one.get_document(HASH) is None
        one.put_document(DOCUMENT)
        one.put_packet(ALICE.packet)
        assert one.get_packet(KEY) == ALICE.packet
        assert one.get_document(HASH) == DOCUMENT
    assert server.connections == 1
    assert shelf.packets == {KEY: ALICE.packet}


def test_two_clients_share_no_connection(relay: Relay) -> None:
    _, server = relay()
    with client(server) as one, client(server) as other:
        for _ in range(2):
            one.get_packet(KEY)
            other.get_packet(KEY)
    assert server.connections == 2


def test_the_dialer_hears_for_whom_every_connection_is(relay: Relay) -> None:
    heard: list[str | None] = []

    class Listening(TcpDialer):
        def dial(self, address: object, for_identity: str | None, deadline_s: float) -> SocketStream:
            heard.append(for_identity)
            return super().dial(server.address, for_identity, deadline_s)

    _, server = relay()
    with RelayClient(server.address, Listening(), "did:key:alice") as one:
        one.get_packet(KEY)
        one.get_packet(KEY)
        one.close()
        one.get_packet(KEY)
    assert heard == ["did:key:alice", "did:key:alice"]


def test_a_kept_connection_that_has_gone_is_opened_anew(serve: Serve) -> None:
    def once(conversation: Conversation) -> None:
        conversation.read()
        conversation.answer(404)

    server = serve(once)
    with client(server) as one:
        for _ in range(3):
            assert one.get_packet(KEY) is None
            time.sleep(0.02)
    assert server.connections == 3


def test_a_relay_that_hangs_up_for_ever_is_asked_twice_at_most(serve: Serve) -> None:
    def rude(conversation: Conversation) -> None:
        conversation.read()
        if conversation.number == 1:
            conversation.answer(404)
            conversation.read()

    server = serve(rude)
    with client(server) as one:
        one.get_packet(KEY)
        with pytest.raises(NetworkError) as caught:
            one.get_packet(KEY)
    assert caught.value.code == "relay.unreachable"
    assert server.connections == 2


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (200, "relay.bad-answer"),
        (204, "relay.bad-answer"),
        (206, "relay.bad-answer"),
        (301, "relay.bad-answer"),
        (302, "relay.bad-answer"),
        (304, "relay.bad-answer"),
        (400, "relay.refused"),
        (401, "relay.refused"),
        (409, "relay.conflict"),
        (412, "relay.precondition"),
        (428, "relay.precondition"),
        (429, "relay.limited"),
        (500, "relay.refused"),
        (503, "relay.refused"),
        (599, "relay.refused"),
    ],
)
def test_each_status_that_gives_no_packet_is_one_of_our_errors(serve: Serve, status: int, code: str) -> None:
    with client(serve(answering(status))) as one, pytest.raises(NetworkError) as caught:
        one.get_packet(KEY)
    assert caught.value.code == code
    assert caught.value.hint


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (302, "relay.bad-answer"),
        (400, "relay.refused"),
        (404, "relay.refused"),
        (409, "relay.conflict"),
        (412, "relay.precondition"),
        (413, "relay.refused"),
        (428, "relay.precondition"),
        (429, "relay.limited"),
        (507, "relay.refused"),
    ],
)
def test_each_status_that_takes_no_packet_is_one_of_our_errors(serve: Serve, status: int, code: str) -> None:
    with client(serve(answering(status))) as one, pytest.raises(NetworkError) as caught:
        one.put_packet(ALICE.packet)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (400, b"Invalid key", "relay.no-documents"),
        (404, b"", "relay.no-documents"),
        (405, b"", "relay.no-documents"),
        (400, b"document.form: needs a map\n", "relay.refused"),
        (413, b"", "relay.refused"),
        (429, b"", "relay.limited"),
        (507, b"storage.full: no room\n", "relay.refused"),
    ],
)
def test_a_relay_that_takes_no_document_says_why(serve: Serve, status: int, body: bytes, code: str) -> None:
    with client(serve(answering(status, body))) as one, pytest.raises(NetworkError) as caught:
        one.put_document(DOCUMENT)
    assert caught.value.code == code


def test_a_nodes_error_code_is_repeated_and_nothing_else_of_its_words(serve: Serve) -> None:
    with client(serve(answering(507, b"storage.full: \x1b[2Jhaha\n"))) as one, pytest.raises(NetworkError) as caught:
        one.put_packet(ALICE.packet)
    assert "storage.full" in caught.value.message
    assert "haha" not in caught.value.message
    assert "\x1b" not in caught.value.message


@pytest.mark.parametrize(
    ("name", "payload", "error", "code"),
    [
        ("empty", b"", NetworkError, "relay.bad-answer"),
        ("too short", ALICE.packet.to_relay_payload()[:71], NetworkError, "relay.bad-answer"),
        ("truncated", ALICE.packet.to_relay_payload()[:-1], NetworkError, "relay.bad-answer"),
        ("one byte more", ALICE.packet.to_relay_payload() + b"x", NetworkError, "relay.bad-answer"),
        ("too long", bytes(1069), NetworkError, "relay.too-much"),
        ("HTML", b"<html>" * 100, NetworkError, "relay.bad-answer"),
        ("bad signature", unsigned(ALICE.packet), VerificationError, "signature.invalid"),
        ("another's packet", record("mallory").packet.to_relay_payload(), VerificationError, "signature.invalid"),
    ],
)
def test_what_is_not_the_keys_packet_is_refused(
    serve: Serve, name: str, payload: bytes, error: type[WalletError], code: str
) -> None:
    with client(serve(answering(200, payload))) as one, pytest.raises(error) as caught:
        one.get_packet(KEY)
    assert caught.value.code == code, name


def test_seq_is_under_the_signature(serve: Serve) -> None:
    payload = bytearray(ALICE.packet.to_relay_payload())
    payload[71] += 1
    with client(serve(answering(200, bytes(payload)))) as one, pytest.raises(VerificationError) as caught:
        one.get_packet(KEY)
    assert caught.value.code == "signature.invalid"


def test_a_packet_below_the_wanted_seq_is_stale(relay: Relay) -> None:
    shelf, server = relay()
    shelf.put(ALICE)
    with client(server) as one:
        assert one.get_packet(KEY, min_seq=100) is not None
        with pytest.raises(VerificationError) as caught:
            one.get_packet(KEY, min_seq=101)
    assert caught.value.code == "record.stale"


def test_a_packet_of_another_tool_is_taken(relay: Relay) -> None:
    shelf, server = relay()
    packet = foreign_packet()
    shelf.packets[KEY] = packet
    with client(server) as one:
        assert one.get_packet(KEY) == packet


@pytest.mark.parametrize("body", [b"", DOCUMENT[:-1], DOCUMENT + b"\0", b"x" * 1024])
def test_another_document_than_asked_for_is_refused(serve: Serve, body: bytes) -> None:
    with client(serve(answering(200, body))) as one, pytest.raises(VerificationError) as caught:
        one.get_document(HASH)
    assert caught.value.code == "record.hash-mismatch"


def test_a_document_beyond_its_limit_is_too_much(serve: Serve) -> None:
    with client(serve(answering(200, bytes(65_537)))) as one, pytest.raises(NetworkError) as caught:
        one.get_document(HASH)
    assert caught.value.code == "relay.too-much"


def test_compare_and_swap_names_the_replaced_seq(relay: Relay) -> None:
    shelf, server = relay()
    with client(server) as one:
        one.put_packet(ALICE.packet, cas_seq=99)
        one.put_packet(ALICE.packet)
    assert [asked.headers.get("if-match") for asked in shelf.asked] == ["99", None]


def test_asking_for_what_a_relay_holds_itself_says_so(relay: Relay, serve: Serve) -> None:
    shelf, server = relay()
    with client(server) as one:
        one.get_packet(KEY, from_store=True)
        one.get_packet(KEY)
    assert [asked.headers.get("cache-control") for asked in shelf.asked] == ["only-if-cached", None]
    with client(serve(answering(504))) as one:
        assert one.get_packet(KEY, from_store=True) is None


def test_offline_is_an_error_of_its_own(relay: Relay) -> None:
    _, server = relay()
    with RelayClient(server.address, OfflineDialer()) as one, pytest.raises(NetworkError) as caught:
        one.get_packet(KEY)
    assert caught.value.code == "network.offline"


def test_a_silent_relay_costs_the_timeout_and_no_more(serve: Serve) -> None:
    start = time.monotonic()
    with client(serve(Conversation.hang), 0.3) as one, pytest.raises(NetworkError) as caught:
        one.get_packet(key("alice").public_key)
    assert caught.value.code == "relay.timeout"
    assert time.monotonic() - start < 3


def test_a_relay_that_wants_a_pause_gets_it(serve: Serve) -> None:
    shelf = Shelf()
    shelf.put(ALICE)
    refusals = iter([True, True, False])

    def converse(conversation: Conversation) -> None:
        while (asked := conversation.read()) is not None:
            if next(refusals, False):
                conversation.answer(429, b"limits.requests: slowly\n", "Retry-After: 0")
            else:
                conversation.answer(*shelf.decide(asked))

    with client(serve(converse)) as one:
        assert one.get_packet(KEY) == ALICE.packet


def test_a_pause_that_is_longer_than_the_call_is_not_made(serve: Serve) -> None:
    def converse(conversation: Conversation) -> None:
        while conversation.read():
            conversation.answer(429, b"limits.requests: slowly\n", "Retry-After: 100")

    with client(serve(converse)) as one, pytest.raises(NetworkError) as refused:
        one.get_packet(KEY)
    assert refused.value.code == "relay.limited"
