"""One UDP socket: questions with their answers, and answers to what others ask.

Spec: docs/spec/dht.md, "Messages".
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, cast

from walletcli.core.bencode import MAX_BYTES
from walletcli.dht import messages, sorting
from walletcli.dht.contacts import Address, group_of
from walletcli.dht.known_nodes import MAX_TIMEOUT_S, KnownNodes
from walletcli.dht.messages import Answer, Query, Refusal
from walletcli.errors import FormatError, NetworkError

MAX_OPEN: Final = 1024
"""Questions that wait for an answer at once."""

MAX_LATE: Final = 4096
"""Questions at once that nobody waits for any more, and whose answer is taken all the same if it comes."""

LATE_S: Final = 3.0
"""How long an answer is taken at least after its question was asked first, in seconds."""

ASK_TWICE: Final = 2
INSIST: Final = 4
"""How often a question is sent, while no answer comes."""

QUERIES_PER_SECOND: Final = 2000
QUERIES_PER_ADDRESS: Final = 200
_MAX_ADDRESSES: Final = 4096
_NAMED_V4: Final = 8
_NAMED_V6: Final = 6


class Silence(Enum):
    """What is told about a question that has no answer.

    Attributes:
        LATE: there was none in time; it was sent again.
        OVER: there was none in time to any sending.
    """

    LATE = 1
    OVER = 2


Told = Callable[[Answer | Refusal | Silence], None]
"""Told what became of a question: LATE at most once, OVER at most once, and its answer, which may come after both."""


@dataclass(slots=True)
class Traffic:
    """What went through the socket.

    Attributes:
        asked: questions.
        sent_again: how often one was repeated.
        answered: them, with an answer that was taken.
        unanswered: them, without one in time.
        dropped: datagrams that were not decoded, or matched no question, or are not KRPC.
        queries: questions of others that were answered.
        sent_bytes: in all that went out, without headers of IP and UDP.
        received_bytes: in answers that were taken.
    """

    asked: int = 0
    sent_again: int = 0
    answered: int = 0
    unanswered: int = 0
    dropped: int = 0
    queries: int = 0
    sent_bytes: int = 0
    received_bytes: int = 0


@dataclass(slots=True)
class _Question:
    address: Address
    node_id: bytes | None
    told: Told
    asked_at: float
    data: bytes
    sendings_left: int
    timer: asyncio.TimerHandle
    patience: int = 1
    is_late: bool = False
    is_over: bool = False


@dataclass(slots=True)
class _Budget:
    """How many queries are answered within this second."""

    second: int = -1
    total: int = 0
    by_group: Counter[bytes] = field(default_factory=Counter)

    def take(self, group: bytes, now: float) -> bool:
        if int(now) != self.second:
            self.second, self.total = int(now), 0
            self.by_group.clear()
        if self.total >= QUERIES_PER_SECOND or len(self.by_group) >= _MAX_ADDRESSES:
            return False
        if self.by_group[group] >= QUERIES_PER_ADDRESS:
            return False
        self.total += 1
        self.by_group[group] += 1
        return True


class Endpoint(asyncio.DatagramProtocol):
    """The writer's socket for one IP version; make it with `open`.

    Args:
        loop: the running event loop.
        ipv6: which version.
        private: whether addresses count that are not public, and one address may hold many nodes.

    Attributes:
        node_id: 20 random bytes.
        known: nodes that answered.
        traffic: what is counted.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, *, ipv6: bool, private: bool) -> None:
        self.ipv6 = ipv6
        self.private = private
        self.node_id = secrets.token_bytes(20)
        self.known = KnownNodes()
        self.traffic = Traffic()
        self._loop = loop
        self._cookie = secrets.token_bytes(sorting.COOKIE_BYTES)
        self._answers: asyncio.BaseTransport | None = None
        self._transport: asyncio.DatagramTransport | None = None
        self._open: dict[bytes, _Question] = {}
        self._late: dict[bytes, None] = {}  # transactions of those that are over, in that order
        self._waiting: list[Callable[[], None]] = []
        self._awaited: Counter[Address] = Counter()
        self._budget = _Budget()

    @classmethod
    async def open(cls, host: str, port: int, *, private: bool) -> Endpoint:
        """Bind a socket.

        Args:
            host: numeric address.
            port: 0 for any.
            private: see the class.

        Raises:
            NetworkError: ``dht.listen``.
        """
        loop = asyncio.get_running_loop()
        endpoint = cls(loop, ipv6=":" in host, private=private)
        try:
            sockets = sorting.bind(host, port, endpoint._cookie)
        except OSError as error:
            hint = "choose another dht.writer_port, or stop what uses it"
            raise NetworkError("dht.listen", f"cannot use UDP {host}:{port}: {error.strerror}", hint) from error
        await loop.create_datagram_endpoint(lambda: endpoint, sock=sockets[0])
        for sock in sockets[1:]:
            endpoint._answers, _ = await loop.create_datagram_endpoint(lambda: _Answers(endpoint), sock=sock)
        return endpoint

    @property
    def address(self) -> Address:
        """Where it is bound."""
        assert self._transport is not None
        host, port = self._transport.get_extra_info("sockname")[:2]
        return host, port

    @property
    def is_busy(self) -> bool:
        """Whether no more questions may be asked now."""
        return len(self._open) - len(self._late) >= MAX_OPEN

    def when_free(self, ask: Callable[[], None]) -> None:
        """Call `ask` once when questions may be asked again; others are called at the same time."""
        self._waiting.append(ask)

    async def room(self) -> None:
        """Return when questions may be asked."""
        while self.is_busy:
            free = asyncio.Event()
            self.when_free(free.set)
            await free.wait()

    def close(self) -> None:
        """Close the socket; open questions end unanswered."""
        for transport in (self._transport, self._answers):
            if transport is not None:
                transport.close()
        for transaction in list(self._open):
            self._give_up(transaction)

    # asyncio.DatagramProtocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        """Take a datagram, if there is a reason to."""
        address = (addr[0], addr[1])
        is_awaited = address in self._awaited
        if len(data) > MAX_BYTES or not (is_awaited or self._may_ask(address[0])):
            self.traffic.dropped += 1
            return
        try:
            message = messages.read(data, ipv6=self.ipv6, private=self.private)
        except FormatError:
            self.traffic.dropped += 1
            return
        if not isinstance(message, Query):
            self._answered(message, address, len(data))
        elif not is_awaited or self._may_ask(address[0]):
            self._reply(message, address)

    def _may_ask(self, host: str) -> bool:
        return self._budget.take(group_of(host.partition("%")[0]), self._loop.time())

    # what we ask

    def get(
        self,
        address: Address,
        node_id: bytes | None,
        target: bytes,
        newer_than: int | None,
        told: Told,
        sendings: int = ASK_TWICE,
    ) -> None:
        """Ask a node for an item, a token, and nodes near the target.

        Args:
            address: of the node.
            node_id: the id that it must answer with, or None for any.
            target: 20 bytes.
            newer_than: the `seq` that is known; None for any.
            told: see `Told`.
            sendings: how often it is sent at most.
        """
        transaction = self._new_transaction()
        data = messages.get(transaction, self.node_id, target, newer_than)
        self._ask(transaction, address, node_id, data, told, sendings)

    def put(
        self, address: Address, node_id: bytes, item: messages.Item, token: bytes, cas: int | None, told: Told
    ) -> None:
        """Give a node an item, with the token that it gave."""
        transaction = self._new_transaction()
        data = messages.put(transaction, self.node_id, item, token, cas)
        self._ask(transaction, address, node_id, data, told, INSIST)

    def _new_transaction(self) -> bytes:
        return self._cookie + secrets.token_bytes(sorting.TRANSACTION_BYTES - sorting.COOKIE_BYTES)

    def _ask(
        self, transaction: bytes, address: Address, node_id: bytes | None, data: bytes, told: Told, sendings: int
    ) -> None:
        if self._transport is None or self._transport.is_closing() or self.is_busy or transaction in self._open:
            self._loop.call_soon(told, Silence.OVER)
            return
        timer = self._loop.call_later(self.known.timeout_s(address), self._timed_out, transaction)
        self._open[transaction] = _Question(address, node_id, told, self._loop.time(), data, sendings - 1, timer)
        self._awaited[address] += 1
        self.traffic.asked += 1
        self._send(data, address)

    def _timed_out(self, transaction: bytes) -> None:
        """Send a question again, or say that there is no answer; one that still comes is taken for a while."""
        question = self._open[transaction]
        if not question.sendings_left:
            question.is_over = True
            self._late[transaction] = None
            rest_s = max(LATE_S - (self._loop.time() - question.asked_at), 0.0)
            question.timer = self._loop.call_later(rest_s, self._give_up, transaction)
            question.told(Silence.OVER)
            while len(self._late) > MAX_LATE:
                self._give_up(next(iter(self._late)))
            self._wake()
            return
        question.sendings_left -= 1
        timeout_s = min(question.patience * self.known.timeout_s(question.address), MAX_TIMEOUT_S)
        question.patience *= 2
        question.timer = self._loop.call_later(timeout_s, self._timed_out, transaction)
        self.traffic.sent_again += 1
        self._send(question.data, question.address)
        if not question.is_late:
            question.is_late = True
            question.told(Silence.LATE)

    def _give_up(self, transaction: bytes) -> None:
        question = self._close(transaction)
        self.traffic.unanswered += 1
        self.known.note_silence(question.address, self._loop.time(), question.asked_at)
        if not question.is_over:
            question.told(Silence.OVER)

    def _close(self, transaction: bytes) -> _Question:
        question = self._open.pop(transaction)
        self._late.pop(transaction, None)
        question.timer.cancel()
        self._awaited[question.address] -= 1
        if not self._awaited[question.address]:
            del self._awaited[question.address]
        self._wake()
        return question

    def _wake(self) -> None:
        if self._waiting and not self.is_busy:
            waiting, self._waiting = self._waiting, []
            for ask in waiting:
                self._loop.call_soon(ask)

    def _answered(self, message: Answer | Refusal, address: Address, size_bytes: int) -> None:
        question = self._open.get(message.transaction)
        if question is None or question.address != address:
            self.traffic.dropped += 1
            return
        self._close(message.transaction)
        now = self._loop.time()
        if isinstance(message, Answer):
            if message.node_id == self.node_id or question.node_id not in (None, message.node_id):
                self.traffic.dropped += 1
                self.known.note_lie(address, now)
                if not question.is_over:
                    question.told(Silence.OVER)
                return
            self.known.note_answer(message.node_id, address, now - question.asked_at, now)
        self.traffic.answered += 1
        self.traffic.received_bytes += size_bytes
        question.told(message)

    # what others ask

    def _reply(self, query: Query, address: Address) -> None:
        self.traffic.queries += 1
        if query.method == b"ping":
            data = messages.answer(query, self.node_id, [], ipv6=self.ipv6)
        elif query.method in (b"find_node", b"get", b"get_peers") and query.target is not None:
            count = _NAMED_V6 if self.ipv6 else _NAMED_V4
            data = messages.answer(query, self.node_id, self.known.nearest(query.target, count), ipv6=self.ipv6)
        elif query.method in (b"put", b"announce_peer"):
            data = messages.refusal(query, 203, b"no token was given")
        else:
            data = messages.refusal(query, 204, b"unknown method")
        self._send(data, address)

    def _send(self, data: bytes, address: Address) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self.traffic.sent_bytes += len(data)
            with contextlib.suppress(OSError, ValueError):  # as if it were lost on the way
                self._transport.sendto(data, address)


class _Answers(asyncio.DatagramProtocol):
    """The socket that the kernel gives answers to."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        """Hand it on."""
        self._endpoint.datagram_received(data, addr)
