"""From a request to its answer: which path belongs to what.

Spec: docs/spec/node-api.md, "Paths".
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from walletcli.core.encodings import z32_key
from walletcli.errors import FormatError, StorageError
from walletcli.node import documents, log, packets
from walletcli.node.documents import DocumentRoutes
from walletcli.node.gate import Gate
from walletcli.node.hosting.routes import PREFIX as _HOST
from walletcli.node.hosting.routes import HostRoutes
from walletcli.node.http import Connection
from walletcli.node.metrics import Metrics
from walletcli.node.operator_pages import OperatorPages
from walletcli.node.packets import Asked, PacketRoutes
from walletcli.node.request import BodyLimit, Client, Refusal, Request

_KEY_TARGET_CHARS: Final = 53
_READ: Final = b"GET, HEAD, OPTIONS"
_READ_WRITE: Final = b"GET, HEAD, PUT, OPTIONS"
_SLASH: Final = 0x2F
_NO_BODY: Final = BodyLimit(0, "request.body")

MAX_TURN: Final = 64
"""How many requests are served before the event loop does something else."""

MAX_LONG: Final = 4
"""How many of them may have a long body: each costs as much as some packets, and the writer should not have nothing to
do meanwhile."""


class Routes:
    """The handler of every connection.

    Args:
        gate: store, limits and answers.
        packet_routes: for ``/KEY``.
        document_routes: for ``/document/HASH``.
        pages: for ``/``, ``/metrics``, ``/healthz`` and ``/identity``.
        metrics: counts answers.
        host_routes: for ``/host``.
        closed: told about connections that end.
        loop: the running event loop.
    """

    def __init__(
        self,
        gate: Gate,
        packet_routes: PacketRoutes,
        document_routes: DocumentRoutes,
        pages: OperatorPages,
        metrics: Metrics,
        host_routes: HostRoutes,
        closed: Callable[[Connection], None],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.answers = gate.answers
        self.clock = gate.clock
        self.closed = closed
        self.answered = metrics.answered
        self._gate = gate
        self._packets = packet_routes
        self._documents = document_routes
        self._pages = pages
        self._hosting = host_routes
        self._loop = loop
        self._turn: list[tuple[Request, Connection]] = []
        self._has_long = False

    def body_limit(
        self, method: bytes, target: bytes, headers: dict[bytes, bytes], client: Client, length_bytes: int | None
    ) -> BodyLimit | Refusal:
        """Return what the body may be, or why none is taken."""
        if target.startswith(_HOST):
            try:
                return self._hosting.body_limit(method, target.partition(b"?")[0], headers, client, length_bytes)
            except StorageError as error:
                log.error("store.read-failed", code=error.code, message=error.message)
                return Refusal(503, "storage.failed", "this node cannot answer now", b"Retry-After: 10\r\n")
        if method != b"PUT":
            return _NO_BODY
        if not target.startswith(documents.PREFIX):
            return packets.BODY
        return documents.BESIDE_BODY if target.endswith(documents.BESIDE) else documents.BODY

    def submit(self, request: Request, connection: Connection) -> None:
        """Take a request; it is answered when all that arrived in this turn of the event loop have been read.

        Doing the same step for many requests in a row keeps its code in the processor's caches: that halves the time
        that a GET takes (docs/decisions/0005-node.md).
        """
        if not self._turn:
            self._loop.call_soon(self._serve)
        self._turn.append((request, connection))
        if request.room is not None:
            self._has_long = True

    def _serve(self) -> None:
        turn = self._take_turn()
        if self._turn:
            self._loop.call_soon(self._serve)
        reads: list[Asked] = []
        writes: list[Asked] = []
        for request, connection in turn:
            answer = self._route(request, connection, reads, writes)
            if answer is not None:
                connection.finish(answer)
        for asked, serve in ((reads, self._packets.get), (writes, self._packets.put)):
            if asked:
                self._serve_packets(asked, serve)
        if not self._turn:
            self._gate.writer.hasten()

    def _take_turn(self) -> list[tuple[Request, Connection]]:
        """Return the requests that are served now, in the order in which they came."""
        size = MAX_TURN
        if self._has_long:
            size = long = 0
            while size < min(MAX_TURN, len(self._turn)) and long < MAX_LONG:
                long += self._turn[size][0].room is not None
                size += 1
        turn = self._turn[:size]
        del self._turn[:size]
        self._has_long = self._has_long and bool(self._turn)
        return turn

    def _serve_packets(self, asked: list[Asked], serve: Callable[[Sequence[Asked]], None]) -> None:
        try:
            serve(asked)
        except StorageError as error:  # nobody was answered
            for _, request, connection in asked:
                connection.finish(self._failed(request, error))
        except Exception as error:  # noqa: BLE001 - see _failed; who was answered already is not known
            log.bug("request.bug", error)
            for _, _, connection in asked:
                connection.drop()

    def _route(self, request: Request, connection: Connection, reads: list[Asked], writes: list[Asked]) -> bytes | None:
        """Return the answer if there is one at once; what is about packets goes to `reads` and `writes`."""
        try:
            refused = self._gate.refuse_request(request.client)
            if refused is not None:
                return refused
            target = request.target
            if len(target) == _KEY_TARGET_CHARS and target[0] == _SLASH:
                try:
                    key = z32_key(target[1:])
                except FormatError:
                    return self._other(request, connection, reads, writes)
                return self._packet(request, connection, key, reads, writes)
            return self._other(request, connection, reads, writes)
        except Exception as error:  # noqa: BLE001 - see _failed
            return self._failed(request, error)

    def _failed(self, request: Request, error: Exception) -> bytes:
        """Return the answer for an error: a bug costs one answer, not the connection, and never shows a traceback."""
        if isinstance(error, StorageError):
            log.error("store.read-failed", code=error.code, message=error.message)
            return self._gate.storage_failed(error)
        log.bug("request.bug", error, method=request.method.decode("ascii", "replace"))
        return self.answers.error(500, "node.bug", "something is wrong with this node")

    def _packet(
        self, request: Request, connection: Connection, key: bytes, reads: list[Asked], writes: list[Asked]
    ) -> bytes | None:
        method = request.method
        if method == b"GET" or method == b"HEAD":
            reads.append((key, request, connection))
            return None
        if method == b"PUT":
            writes.append((key, request, connection))
            return None
        return self._no_method(method, _READ_WRITE)

    def _other(self, request: Request, connection: Connection, reads: list[Asked], writes: list[Asked]) -> bytes | None:
        target = request.target
        if target[:1] != b"/":
            target = _without_authority(target)
        path, _, query = target.partition(b"?")
        if len(path) == _KEY_TARGET_CHARS and path.count(b"/") == 1:
            try:
                key = z32_key(path[1:])
            except FormatError as error:
                return self.answers.error(400, error.code, error.message)
            return self._packet(request, connection, key, reads, writes)
        if path.startswith(documents.PREFIX):
            return self._document(request, connection, path[len(documents.PREFIX) :])
        if path.startswith(_HOST) and path[len(_HOST) : len(_HOST) + 1] in (b"", b"/"):
            return self._hosting.answer(request, connection, path, query)
        page = self._pages.find(path, request)
        if page is None:
            return self.answers.error(404, "request.path", "there is nothing here")
        if request.method in (b"GET", b"HEAD"):
            return page()
        return self._no_method(request.method, _READ)

    def _document(self, request: Request, connection: Connection, name: bytes) -> bytes | None:
        is_beside = name.endswith(documents.BESIDE)
        document_hash = documents.hash_of(name.removesuffix(documents.BESIDE))
        if document_hash is None:
            return self.answers.error(400, "document.hash", "a hash is 64 lower-case hexadecimal digits")
        if request.method in (b"GET", b"HEAD"):
            if is_beside:
                return self._documents.get_beside(document_hash)
            return self._documents.get(request, connection, document_hash)
        if request.method == b"PUT":
            put = self._documents.put_beside if is_beside else self._documents.put
            return put(request, connection, document_hash)
        return self._no_method(request.method, _READ_WRITE)

    def _no_method(self, method: bytes, allowed: bytes) -> bytes:
        if method == b"OPTIONS":
            return self.answers.options(allowed)
        return self.answers.error(405, "request.method", "this method is not allowed here", b"Allow: %b\r\n" % allowed)


def _without_authority(target: bytes) -> bytes:
    """Return the path of a target in absolute form (RFC 9112 section 3.2.2), or one that leads nowhere."""
    for scheme in (b"http://", b"https://"):
        if target[: len(scheme)].lower() == scheme:
            return b"/" + target[len(scheme) :].partition(b"/")[2]
    return b"/*"
