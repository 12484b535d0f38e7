"""Relays that lie, stall, flood and forget: what comes of it is the truth, or one of our errors."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.client.records import identity, record, unsigned
from tests.client.servers import Asked, Conversation, Server, Shelf
from tests.conftest import Run
from walletcli.client.freshness import FreshnessMap, Seen
from walletcli.client.publish import PublishedShortError, publish
from walletcli.client.resolution import Outcome, Resolution
from walletcli.client.resolve import resolve
from walletcli.errors import WalletError
from walletcli.net.tcp import TcpDialer

TRUE, OLD, FUTURE = record("alice", 200, profile={"name": "Alice"}), record("alice", 100), record("mallory", 900)
ALICE = identity("alice")
DEADLINE_S = 0.5
"""For relays that never end."""

HONEST_S = 15.0
"""For relays of which each answers."""

Script = Callable[[Conversation], None]


def always(status: int, body: bytes, *headers: str) -> Script:
    def converse(conversation: Conversation) -> None:
        while conversation.read():
            conversation.answer(status, body, *headers)

    return converse


def raw(data: bytes) -> Script:
    def converse(conversation: Conversation) -> None:
        if conversation.read():
            conversation.send(data)

    return converse


def after(head: bytes, then: Callable[[Conversation], None]) -> Script:
    def converse(conversation: Conversation) -> None:
        if conversation.read():
            conversation.send(head)
            then(conversation)

    return converse


def shelf_of(*records: Any, lie: Callable[[Asked, tuple[int, bytes]], tuple[int, bytes]] | None = None) -> Script:
    """An honest relay that holds `records`, whose answers `lie` may change."""
    shelf = Shelf()
    for one in records:
        shelf.put(one)
    honest = shelf.decide
    if lie is not None:
        shelf.decide = lambda asked: lie(asked, honest(asked))  # type: ignore[method-assign] # a liar
    return shelf.converse


def about_documents(body: Callable[[bytes], bytes]) -> Callable[[Asked, tuple[int, bytes]], tuple[int, bytes]]:
    def lie(asked: Asked, answer: tuple[int, bytes]) -> tuple[int, bytes]:
        is_document = asked.method == "GET" and asked.path.startswith("/document/")
        return (200, body(answer[1])) if is_document and answer[1] else answer

    return lie


PAYLOAD = TRUE.packet.to_relay_payload()
OK = b"HTTP/1.1 200 OK\r\n"

FAST_LIES: dict[str, Script] = {
    "an older state": shelf_of(OLD),
    "nothing": always(404, b""),
    "gone": always(410, b""),
    "a broken signature": always(200, unsigned(TRUE.packet)),
    "another identity's packet": always(200, FUTURE.packet.to_relay_payload()),
    "a higher seq under the old signature": always(200, PAYLOAD[:64] + (2**40).to_bytes(8, "big") + PAYLOAD[72:]),
    "a negative seq": always(200, PAYLOAD[:64] + b"\xff" * 8 + PAYLOAD[72:]),
    "a truncated packet": always(200, PAYLOAD[:100]),
    "an empty packet": always(200, b""),
    "a packet that is too long": always(200, PAYLOAD + bytes(2000)),
    "a page": always(200, b"<html><body>It works!</body></html>"),
    "a document that is another's": shelf_of(TRUE, lie=about_documents(lambda _: FUTURE.document.to_bytes())),
    "a document with one byte turned": shelf_of(TRUE, lie=about_documents(lambda d: bytes([d[0] ^ 1]) + d[1:])),
    "a truncated document": shelf_of(TRUE, lie=about_documents(lambda d: d[:-1])),
    "no document": shelf_of(TRUE, lie=about_documents(lambda d: b"")),
    "a document of a megabyte": shelf_of(TRUE, lie=about_documents(lambda d: bytes(1 << 20))),
    "a redirect": always(302, b"", "Location: http://127.0.0.1:1/"),
    "a compressed answer": always(200, PAYLOAD, "Content-Encoding: gzip"),
    "a partial answer": always(206, PAYLOAD),
    "too many requests": always(429, b"", "Retry-After: 100000"),
    "an error": always(500, b"Traceback (most recent call last):\n  \x1b[31mboom\x1b[0m"),
    "a cookie and another origin": always(404, b"", "Set-Cookie: id=alice; Max-Age=99999999", "Alt-Svc: h2=\":1\""),
    "not HTTP": raw(b"\x16\x03\x01" + bytes(100)),
    "HTTP/1.0": raw(b"HTTP/1.0 200 OK\r\n\r\n" + PAYLOAD),
    "a short length": raw(OK + b"Content-Length: 10\r\n\r\n" + PAYLOAD),
    "a long length": raw(OK + b"Content-Length: 5000\r\n\r\n" + PAYLOAD),
    "two answers": raw((OK + b"Content-Length: %d\r\n\r\n" % len(PAYLOAD) + unsigned(TRUE.packet)) * 2),
    "a hang-up": lambda conversation: None,
    "an endless head": after(OK, lambda c: c.flood(b"X-Y: z\r\n" * 500)),
    "an endless body": after(OK + b"\r\n", lambda c: c.flood(bytes(65_536))),
    "endless chunks": after(OK + b"Transfer-Encoding: chunked\r\n\r\n", lambda c: c.flood(b"4\r\nabcd\r\n" * 500)),
    "endless interim answers": after(b"", lambda c: c.flood(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)),
}  # fmt: skip

SLOW_LIES: dict[str, Script] = {
    "silence before the request": Conversation.hang,
    "silence after the request": after(b"", Conversation.hang),
    "silence in the head": after(OK, Conversation.hang),
    "silence in the body": after(OK + b"Content-Length: 900\r\n\r\n" + PAYLOAD[:50], Conversation.hang),
    "a head in drips": after(OK, lambda c: c.drip(b"X: y\r\n")),
    "a body in drips": after(OK + b"Content-Length: 900\r\n\r\n", lambda c: c.drip(PAYLOAD)),
    "chunks in drips": after(OK + b"Transfer-Encoding: chunked\r\n\r\n", lambda c: c.drip(b"1\r\nx\r\n")),
}

LIES = FAST_LIES | SLOW_LIES

TRUE_PACKET_LIES = {name for name in LIES if "document" in name}
"""The packet is true and its document is not to be had: it is shown, and nothing new is trusted."""


def ask(*servers: Server, memory: FreshnessMap | None = None, seconds: float = DEADLINE_S) -> Resolution:
    addresses = [server.address for server in servers]
    return resolve(ALICE, addresses, dialer=TcpDialer(), memory=memory, timeout_s=seconds)


@pytest.fixture
def serve() -> Iterator[Callable[[Script], Server]]:
    servers: list[Server] = []

    def start(converse: Script) -> Server:
        servers.append(Server(converse))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.mark.parametrize("name", LIES)
def test_a_lie_does_not_hide_the_truth_of_another_relay(serve: Callable[[Script], Server], name: str) -> None:
    result = ask(serve(LIES[name]), serve(shelf_of(TRUE)), seconds=HONEST_S if name in FAST_LIES else 4 * DEADLINE_S)
    assert result.record == TRUE
    assert result.sources[1].outcome is Outcome.CURRENT


@pytest.mark.parametrize("name", LIES)
def test_a_lie_alone_is_never_taken_for_the_truth(serve: Callable[[Script], Server], name: str) -> None:
    memory = FreshnessMap()
    memory.put(ALICE.public_key, Seen(150, bytes(32)))
    if name in TRUE_PACKET_LIES:
        result = ask(serve(LIES[name]), memory=memory)
        assert result.record.document is None
        assert result.pending == TRUE.packet
    else:
        with pytest.raises(WalletError) as caught:
            ask(serve(LIES[name]), memory=memory)
        assert caught.value.hint
        assert "\x1b" not in caught.value.message
    assert memory.get(ALICE.public_key) == Seen(150, bytes(32))


def test_two_thirds_of_the_relays_lie_and_the_truth_is_found(serve: Callable[[Script], Server]) -> None:
    liars = [serve(script) for script in LIES.values()]
    honest = [serve(shelf_of(TRUE)) for _ in range(len(liars) // 2)]
    memory = FreshnessMap()
    memory.put(ALICE.public_key, Seen.of(OLD))
    result = ask(*liars, *honest, memory=memory, seconds=3)
    assert result.record == TRUE
    assert [source.outcome for source in result.sources[len(liars) :]] == [Outcome.CURRENT] * len(honest)
    assert memory.get(ALICE.public_key) == Seen.of(TRUE)


@pytest.mark.parametrize("name", [name for name in LIES if name != "an older state"])
def test_a_lie_is_never_counted_as_a_copy(serve: Callable[[Script], Server], name: str) -> None:
    addresses = [serve(LIES[name]).address]
    with pytest.raises(WalletError) as caught:
        publish(TRUE, addresses, dialer=TcpDialer(), timeout_s=DEADLINE_S)
    assert caught.value.hint
    if isinstance(caught.value, PublishedShortError):
        assert caught.value.stored.copies == 0


def test_a_relay_that_says_yes_to_everything_holds_nothing(serve: Callable[[Script], Server]) -> None:
    with pytest.raises(PublishedShortError) as caught:
        publish(TRUE, [serve(always(200, b"")).address], dialer=TcpDialer(), timeout_s=DEADLINE_S)
    assert caught.value.stored.copies == 0


def test_nothing_of_one_relays_answer_is_told_to_another(serve: Callable[[Script], Server]) -> None:
    """No cookie, no address, no header that a relay set comes back to it or to anybody else."""
    heard: list[bytes] = []

    def note(conversation: Conversation) -> None:
        while asked := conversation.read():
            heard.append(asked.head.lower())
            conversation.answer(
                404, b"", "Set-Cookie: id=alice", 'ETag: "tracker"', "Last-Modified: Thu, 01 Jan 1970 00:00:01 GMT"
            )

    servers = [serve(note), serve(note)]
    for _ in range(2):
        with pytest.raises(WalletError):
            ask(*servers)
    assert len(heard) == 4
    ports = {str(server.port).encode() for server in servers}
    for head in heard:
        assert not any(word in head for word in (b"cookie", b"if-none", b"if-mod", b"referer", b"origin", b"tracker"))
        assert sum(port in head for port in ports) == 1


def test_floods_do_not_grow_the_client(serve: Callable[[Script], Server]) -> None:
    floods = [serve(script) for name, script in FAST_LIES.items() if name.startswith("an endless") or "endless" in name]
    ask(*floods, serve(shelf_of(TRUE)), seconds=3)
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(10):
        assert ask(*floods, serve(shelf_of(TRUE)), seconds=3).record == TRUE
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib
    assert grown_kib < 16 * 1024


@pytest.mark.parametrize("name", FAST_LIES)
def test_the_command_ends_in_one_json_error_or_in_what_is_true(
    serve: Callable[[Script], Server], cli: Callable[..., Run], name: str
) -> None:
    run = cli("--json", "resolve", ALICE.did, "--relay", serve(FAST_LIES[name]).address.to_text())
    assert "Traceback" not in run.stderr
    if run.code == 0:
        assert run.json["seq"] in (TRUE.packet.seq, OLD.packet.seq)
        assert run.json["document"] is None or run.json["seq"] == OLD.packet.seq
        return
    assert run.code in (3, 4, 7)
    assert set(run.json) == {"error"}
    assert run.json["error"]["code"]
    assert run.json["error"]["hint"]
