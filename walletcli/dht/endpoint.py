"""One UDP socket: questions with their answers, and answers to what others ask.

Spec: docs/spec/dht.md, "Messages".
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, cast

from walletcli.core.bencode import MAX_BYTES
from walletcli.dht import messages
from walletcli.dht.contacts import Address, group_of
from walletcli.dht.known_nodes import KnownNodes
from walletcli.dht.messages import Answer, Query, Refusal
from walletcli.errors import FormatError, NetworkError

MAX_OPEN: Final = 1024
"""Questions that wait for an answer at once."""

LATE_S: Final = 3.0
"""How long an answer is taken after its question was asked, in seconds."""

QUERIES_PER_SECOND: Final = 2000
QUERIES_PER_ADDRESS: Final = 200
_RECEIVE_BUFFER_BYTES: Final = 1 << 20
_MAX_ADDRESSES: Final = 4096
_NAMED_V4: Final = 8
_NAMED_V6: Final = 6
_TRANSACTION_BYTES: Final = 4

Told = Callable[[Answer | Refusal | None], None]
"""Told what became of a question: once with None when its time is over, once (also after that) with its answer."""


@dataclass(slots=True)
class Traffic:
    """What went through the socket.

    Attributes:
        asked: questions sent.
        answered: them, with an answer that was taken.
        unanswered: them, without one in time.
        dropped: datagrams that were not decoded, or matched no question, or are not KRPC.
        queries: questions of others that were answered.
    """

    asked: int = 0
    answered: int = 0
    unanswered: int = 0
    dropped: int = 0
    queries: int = 0


@dataclass(slots=True)
class _Question:
    address: Address
    node_id: bytes | None
    told: Told
    asked_at: float
    timer: asyncio.TimerHandle
    is_late: bool = False


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
        self._transport: asyncio.DatagramTransport | None = None
        self._open: dict[bytes, _Question] = {}
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
        ipv6 = ":" in host
        sock = socket.socket(socket.AF_INET6 if ipv6 else socket.AF_INET, socket.SOCK_DGRAM)
        try:
            if ipv6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
            sock.setblocking(False)
            sock.bind((host, port))
        except OSError as error:
            sock.close()
            hint = "choose another dht.writer_port, or stop what uses it"
            raise NetworkError("dht.listen", f"cannot use UDP {host}:{port}: {error.strerror}", hint) from error
        endpoint = cls(loop, ipv6=ipv6, private=private)
        await loop.create_datagram_endpoint(lambda: endpoint, sock=sock)
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
        return len(self._open) >= MAX_OPEN

    def close(self) -> None:
        """Close the socket; open questions end unanswered."""
        if self._transport is not None:
            self._transport.close()
        for transaction in list(self._open):
            self._late(transaction)

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
            self._answered(message, address)
        elif not is_awaited or self._may_ask(address[0]):
            self._reply(message, address)

    def _may_ask(self, host: str) -> bool:
        return self._budget.take(group_of(host.partition("%")[0]), self._loop.time())

    # what we ask

    def get(self, address: Address, node_id: bytes | None, target: bytes, newer_than: int | None, told: Told) -> None:
        """Ask a node for an item, a token, and nodes near the target.

        Args:
            address: of the node.
            node_id: the id that it must answer with, or None for any.
            target: 20 bytes.
            newer_than: the `seq` that is known; None for any.
            told: see `Told`.
        """
        transaction = secrets.token_bytes(_TRANSACTION_BYTES)
        self._ask(transaction, address, node_id, messages.get(transaction, self.node_id, target, newer_than), told)

    def put(
        self, address: Address, node_id: bytes, item: messages.Item, token: bytes, cas: int | None, told: Told
    ) -> None:
        """Give a node an item, with the token that it gave."""
        transaction = secrets.token_bytes(_TRANSACTION_BYTES)
        self._ask(transaction, address, node_id, messages.put(transaction, self.node_id, item, token, cas), told)

    def _ask(self, transaction: bytes, address: Address, node_id: bytes | None, data: bytes, told: Told) -> None:
        if self._transport is None or self._transport.is_closing() or self.is_busy or transaction in self._open:
            self._loop.call_soon(told, None)
            return
        timer = self._loop.call_later(self.known.timeout_s(address), self._timed_out, transaction)
        self._open[transaction] = _Question(address, node_id, told, self._loop.time(), timer)
        self._awaited[address] += 1
        self.traffic.asked += 1
        with contextlib.suppress(OSError, ValueError):  # as if it were lost on the way
            self._transport.sendto(data, address)

    def _timed_out(self, transaction: bytes) -> None:
        """Say that there is no answer in time; one that still comes is taken for a while."""
        question = self._open[transaction]
        question.is_late = True
        rest_s = max(LATE_S - (self._loop.time() - question.asked_at), 0.0)
        question.timer = self._loop.call_later(rest_s, self._late, transaction)
        question.told(None)

    def _late(self, transaction: bytes) -> None:
        question = self._close(transaction)
        self.traffic.unanswered += 1
        self.known.note_silence(question.address, self._loop.time())
        if not question.is_late:
            question.told(None)

    def _close(self, transaction: bytes) -> _Question:
        question = self._open.pop(transaction)
        question.timer.cancel()
        self._awaited[question.address] -= 1
        if not self._awaited[question.address]:
            del self._awaited[question.address]
        return question

    def _answered(self, message: Answer | Refusal, address: Address) -> None:
        question = self._open.get(message.transaction)
        if question is None or question.address != address:
            self.traffic.dropped += 1
            return
        self._close(message.transaction)
        now = self._loop.time()
        if isinstance(message, Answer):
            if message.node_id == self.node_id or question.node_id not in (None, message.node_id):
                self.traffic.dropped += 1
                self.known.note_silence(address, now)
                question.told(None)
                return
            self.known.note_answer(message.node_id, address, now - question.asked_at)
        self.traffic.answered += 1
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
        if self._transport is not None and not self._transport.is_closing():
            with contextlib.suppress(OSError, ValueError):
                self._transport.sendto(data, address)
