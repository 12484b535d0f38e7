"""``/KEY``: packets in and out, by pkarr's relay API.

Spec: docs/spec/node-api.md, "Packets".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, Protocol

from walletcli.core.packet import MAX_RELAY_PAYLOAD_BYTES, SignedPacket
from walletcli.errors import StorageError, WalletError
from walletcli.node.gate import Gate
from walletcli.node.http import Connection
from walletcli.node.request import BodyLimit, Request
from walletcli.node.store import Outcome, PutPacket
from walletcli.node.wire import parse_http_date

BODY: Final = BodyLimit(MAX_RELAY_PAYLOAD_BYTES, "packet.too-long")
"""A packet is no longer than this."""

MAX_WAIT_S: Final = 30.0
"""How long an answer waits for the DHT at most, in seconds."""

_REFUSALS: Final = {
    Outcome.CONFLICT: (409, "packet.conflict", "a packet with this seq or a higher one is stored"),
    Outcome.NOT_APPROVED: (403, "approval.missing", "the identity has approvers, and they have not approved this"),
    Outcome.PRECONDITION: (412, "packet.precondition", "another packet is stored than the request expects"),
}
_NO_CONDITION: Final = (None, None)
_FROM_STORE: Final = (b"policy=LocalOrRelayCacheOnly", b"policy=cache_only", b"policy=CacheOnly")
_ANEW: Final = (b"policy=DhtNetworkOnly", b"policy=network_only", b"policy=NetworkOnly")


Asked = tuple[bytes, Request, Connection]
"""A key (32 bytes), and who asks what about it."""


class AskSources(Protocol):
    """Looks for a packet at sources and in the DHT."""

    def __call__(
        self, key: bytes, stored: bytes | None, found: Callable[[bytes | None], None], *, anew: bool = False
    ) -> bool:
        """As `Sources.ask_packet`."""


class _Put(PutPacket):
    """A packet that is being written, who sent it, and who else sent the same bytes meanwhile."""

    __slots__ = ("connection", "joined", "routes", "wait_s")

    def __init__(
        self,
        routes: PacketRoutes,
        connection: Connection,
        packet: SignedPacket,
        payload: bytes,
        condition: tuple[int | None, int | None],
        wait_s: float,
    ) -> None:
        self.routes = routes
        self.wait_s = wait_s
        self.connection = connection
        self.joined: list[Connection] | None = None
        self.key = packet.public_key
        self.payload = payload
        self.seq = packet.seq
        self.document_hash = packet.document_hash
        self.cas_seq, self.unmodified_since_s = condition
        self.forward = True

    def done(self, result: Outcome | WalletError) -> None:
        """Answer everybody."""
        self.routes.written(self, result)


class PacketRoutes:
    """Answers requests for packets.

    Args:
        gate: the store, the limits and the answers.
        ask: looks for a packet at the sources and calls back with the payload to serve (or None); None without sources.
            It is given the key and what the store has, and returns False if there is no need to ask.
        are_settled: tells of keys for which `ask` would say so now; goes with `ask`.
        publish: puts a stored packet into the DHT, within seconds, and calls back with the number of nodes that it is
            on (None: not known by then); None without a DHT.
    """

    def __init__(
        self,
        gate: Gate,
        ask: AskSources | None = None,
        publish: Callable[[bytes, float, Callable[[int | None], None]], None] | None = None,
        are_settled: Callable[[Sequence[bytes]], list[bool]] | None = None,
    ) -> None:
        self._gate = gate
        self._publish = publish
        self._ask = ask
        self._are_settled = are_settled
        self._in_flight: dict[bytes, _Put] = {}

    # GET

    def get(self, asked: Sequence[Asked]) -> None:
        """Answer GET and HEAD for many keys at once; where a source is asked first, later.

        Args:
            asked: key (32 bytes), request and connection.

        Raises:
            StorageError: the store cannot be read; nobody is answered then.
        """
        keys = [key for key, _, _ in asked]
        payloads = self._gate.store.packets(keys)
        render = self._render
        if self._ask is None or self._nobody_is_asked(asked, keys):
            answers = [render(item[1], payload) for item, payload in zip(asked, payloads, strict=True)]
            for item, answer in zip(asked, answers, strict=True):
                item[2].finish(answer)
            return
        for (key, request, connection), payload in zip(asked, payloads, strict=True):
            may_ask, anew = _sources_wish(request)
            found = partial(self._found, request, connection)
            if not may_ask or not self._ask(key, payload, found, anew=anew):
                connection.finish(render(request, payload))

    def _nobody_is_asked(self, asked: Sequence[Asked], keys: Sequence[bytes]) -> bool:
        """Tell whether the store answers all of them: each was settled lately, and none is wanted anew."""
        if self._are_settled is None or not all(self._are_settled(keys)):
            return False
        return all(b"cache-control" not in item[1].headers and b"?" not in item[1].target for item in asked)

    def _found(self, request: Request, connection: Connection, payload: bytes | None) -> None:
        connection.finish(self._render(request, payload))

    def _render(self, request: Request, payload: bytes | None) -> bytes:
        answers = self._gate.answers
        if payload is None:
            return answers.error(404, "request.path", "no packet is stored for this key")
        headers = request.headers
        if b"if-none-match" in headers or b"if-modified-since" in headers:
            seq = int.from_bytes(payload[64:72], "big")
            if _is_unchanged(headers, seq):
                return answers.packet_unchanged(seq)
        return answers.packet(payload)

    # PUT

    def put(self, asked: Sequence[Asked]) -> None:
        """Check many PUTs, step by step for all of them, and submit those that pass.

        Args:
            asked: key (32 bytes), request and connection.
        """
        admitted = [item for item in asked if self._admit(*item)]
        results = SignedPacket.from_relay_payloads((key, request.body) for key, request, _ in admitted)
        for (key, request, connection), packet in zip(admitted, results, strict=True):
            if isinstance(packet, SignedPacket):
                self._submit(key, request, connection, packet)
            else:
                connection.finish(self._gate.answers.error(400, packet.code, packet.message))

    def _admit(self, key: bytes, request: Request, connection: Connection) -> bool:
        """Tell whether a PUT is worth verifying; if not, it is answered, or shares the outcome of its twin."""
        refused = self._gate.refuse_write(request.client, key)
        if refused is not None:
            connection.finish(refused)
            return False
        return not self._join(key, request, connection)

    def _join(self, key: bytes, request: Request, connection: Connection) -> bool:
        running = self._in_flight.get(key)
        if running is None or running.payload != request.body:
            return False
        if running.joined is None:
            running.joined = []
        running.joined.append(connection)
        return True

    def _submit(self, key: bytes, request: Request, connection: Connection, packet: SignedPacket) -> None:
        condition = _condition(request.headers)
        if condition is None:
            message = "If-Match or If-Unmodified-Since cannot be read"
            connection.finish(self._gate.answers.error(400, "request.precondition", message))
            return
        running = self._in_flight.get(key)
        if running is not None:
            if self._join(key, request, connection):
                return
            clash = self._clash(running, packet.seq, condition)
            if clash is not None:
                connection.finish(clash)
                return
        wait_s = _wait_s(request.headers)
        put = self._in_flight[key] = _Put(self, connection, packet, request.body, condition, wait_s)
        self._gate.writer.submit(put, put.done)

    def _clash(self, running: _Put, seq: int, condition: tuple[int | None, int | None]) -> bytes | None:
        """Return the answer to a PUT that meets another one of its key under way, or None if it may follow it."""
        answers = self._gate.answers
        if condition[0] == running.seq:
            return None
        if condition != _NO_CONDITION:
            return answers.error(*_REFUSALS[Outcome.PRECONDITION])
        if seq <= running.seq:
            return answers.error(*_REFUSALS[Outcome.CONFLICT])
        return answers.error(
            428, "packet.in-flight", "another packet of this key is being stored: say which with If-Match"
        )

    def written(self, put: _Put, result: Outcome | WalletError) -> None:
        """Answer a PUT, and those who sent the same, once it is on disk or has failed."""
        if self._in_flight.get(put.key) is put:
            del self._in_flight[put.key]
        answer = self._answer(result)
        if result is Outcome.STORED:
            self._gate.stored(put.key)
        if self._publish is not None and put.wait_s and answer is self._gate.answers.no_content:
            self._publish(put.key, put.wait_s, partial(self._published, put.connection))
        else:
            put.connection.finish(answer)
        for other in put.joined or ():
            other.finish(answer)

    def _published(self, connection: Connection, dht_nodes: int | None) -> None:
        answers = self._gate.answers
        connection.finish(answers.no_content if dht_nodes is None else answers.stored_on(dht_nodes))

    def _answer(self, result: Outcome | WalletError) -> bytes:
        if result is Outcome.STORED or result is Outcome.SAME:
            return self._gate.answers.no_content
        if isinstance(result, Outcome):
            return self._gate.answers.error(*_REFUSALS[result])
        if isinstance(result, StorageError):
            return self._gate.storage_failed(result)
        raise result


def _sources_wish(request: Request) -> tuple[bool, bool]:
    """Return whether sources may be asked for what a GET wants, and whether they are to be even if they were lately."""
    control = request.headers.get(b"cache-control", b"")
    if b"only-if-cached" in control:
        return False, False
    query = request.target.partition(b"?")[2].split(b"&")
    return not any(policy in query for policy in _FROM_STORE), b"no-cache" in control or any(
        policy in query for policy in _ANEW
    )


def _is_unchanged(headers: dict[bytes, bytes], seq: int) -> bool:
    """Evaluate GET's preconditions (RFC 9110 section 13.2.2): a tag wins over a date."""
    tags = headers.get(b"if-none-match")
    if tags is not None:
        own = b'"%d"' % seq
        return tags.strip() == b"*" or any(tag.strip().removeprefix(b"W/") == own for tag in tags.split(b","))
    since = parse_http_date(headers[b"if-modified-since"])
    return since is not None and seq // 1_000_000 <= since


def _wait_s(headers: dict[bytes, bytes]) -> float:
    """Return how many seconds a PUT prefers to wait for the DHT (RFC 7240, section 4.3); 0 for not at all."""
    prefer = headers.get(b"prefer")
    if prefer is None:
        return 0.0
    for preference in prefer.split(b","):
        name, _, value = preference.partition(b";")[0].partition(b"=")
        text = value.strip().strip(b'"')
        if name.strip().lower() == b"wait" and text.isdigit() and len(text) <= 6:
            return min(float(text), MAX_WAIT_S)
    return 0.0


def _condition(headers: dict[bytes, bytes]) -> tuple[int | None, int | None] | None:
    """Return the `seq` and the second that a PUT expects (None: any), or None if they cannot be read."""
    if b"if-match" not in headers and b"if-unmodified-since" not in headers:
        return _NO_CONDITION
    match = headers.get(b"if-match")
    if match is not None:
        text = match.strip()
        if text == b"*":
            return _NO_CONDITION
        if len(text) >= 2 and text[:1] == text[-1:] == b'"':
            text = text[1:-1]
        return (int(text), None) if text.isdigit() and len(text) <= 20 else None
    date = parse_http_date(headers[b"if-unmodified-since"])
    return None if date is None else (None, date)
