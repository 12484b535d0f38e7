"""HTTP/1.1 on one connection: parse, bound, hand over, write back in order.

httptools (llhttp) parses. Everything that a client can make large or slow is bounded here: target, head, number of
fields, body, time for each of them, and how far requests are read ahead of their answers.

Spec: docs/spec/node-api.md, "Limits"; RFC 9112.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from typing import Final, Protocol, cast

import httptools

from walletcli.errors import WalletError
from walletcli.node import log
from walletcli.node.clock import Clock
from walletcli.node.request import BodyLimit, Client, Refusal, Request, Room
from walletcli.node.wire import Answers, closing, head_only

MAX_TARGET_BYTES: Final = 1024
MAX_HEAD_BYTES: Final = 8192
SLICE_BYTES: Final = 4096
"""How much is parsed at once. Nothing more is parsed while an answer is outstanding or the client does not read, so
that this also bounds how many pipelined requests can wait."""

HEAD_S: Final = 10.0
BODY_S: Final = 20.0
IDLE_S: Final = 60.0
WRITE_S: Final = 20.0
LINGER_S: Final = 2.0
"""Deadlines in seconds; LINGER_S is how long a refused client is given to read its answer."""

MIN_BYTES_PER_S: Final = 32_768
"""Slowest client whose body is waited for: a body may take this much longer, by its length."""

NEVER: Final = float("inf")

_ENDLESS: Final = 1 << 62
"""Stands for a length that nobody needs to read."""

_KEPT: Final = frozenset(
    (
        b"host",
        b"authorization",
        b"connection",
        b"content-length",
        b"transfer-encoding",
        b"expect",
        b"if-match",
        b"if-none-match",
        b"if-modified-since",
        b"if-unmodified-since",
        b"cache-control",
        b"prefer",
        b"forwarded",
        b"x-forwarded-for",
    )
)
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class Handler(Protocol):
    """What a connection hands its requests to."""

    answers: Answers
    clock: Clock

    def body_limit(
        self, method: bytes, target: bytes, headers: dict[bytes, bytes], client: Client, length_bytes: int | None
    ) -> BodyLimit | Refusal:
        """Return what the body may be, or why none is taken; its length is None if it was not said."""

    def submit(self, request: Request, connection: Connection) -> None:
        """Take a request, and call `Connection.finish` with its answer, but not before returning."""

    def answered(self, method: bytes, status: bytes) -> None:
        """Count an answer by the request's method (empty if it was not read) and the status, three digits."""

    def closed(self, connection: Connection) -> None:
        """Forget the connection."""


class _Refused(Exception):
    """Leaves the parser; the answer is in the connection."""


class Connection(asyncio.Protocol):
    """One client's connection.

    Args:
        handler: takes the requests.
        client: the other side.

    Attributes:
        deadline: when the connection is dropped, in the handler's clock; a sweep looks at it.
    """

    __slots__ = (
        "_backlog",
        "_body",
        "_body_bytes",
        "_body_left",
        "_body_limit",
        "_body_s",
        "_deaf",
        "_eof",
        "_field_bytes",
        "_handler",
        "_head_bytes",
        "_headers",
        "_in_body",
        "_in_head",
        "_method",
        "_parser",
        "_parts",
        "_queue",
        "_reading",
        "_refusal",
        "_stopping",
        "_target",
        "_transport",
        "_waiting",
        "_write_blocked",
        "client",
        "deadline",
    )

    def __init__(self, handler: Handler, client: Client) -> None:
        self._handler = handler
        self.client = client
        self.deadline = handler.clock.now + HEAD_S
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._queue: deque[Request] = deque()
        self._backlog = b""
        self._waiting: Request | None = None
        self._parts: Iterator[bytes] | None = None
        self._refusal: bytes | None = None
        self._body_limit: BodyLimit | None = None
        self._write_blocked = False
        self._reading = True
        self._deaf = False  # what still comes is not looked at
        self._eof = False
        self._stopping = False
        self._reset()
        self._in_head = False

    def _reset(self) -> None:
        self._in_head = True
        self._in_body = False
        self._target = b""
        self._headers: dict[bytes, bytes] = {}
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._body_left = 0
        self._body_s = BODY_S
        self._field_bytes = 0
        self._head_bytes = 0

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport; the head of the first request is due from now on."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(65_536, 16_384)
        self.deadline = self._handler.clock.now + HEAD_S

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget everything; an answer that comes later goes nowhere."""
        self._transport = None
        self._deaf = True
        self._parts = None
        self._forget_requests()
        self._handler.closed(self)

    def _forget_requests(self) -> None:
        """Drop what was read ahead, and the room that it took."""
        for request in self._queue:
            request.release()
        self._queue.clear()
        self._backlog = b""
        self._release_body()

    def _release_body(self) -> None:
        """Give back the room of the body that is being read."""
        self._body = []
        if self._body_limit is not None and self._body_limit.room is not None:
            self._body_limit.room.release()
        self._body_limit = None

    def data_received(self, data: bytes) -> None:
        """Parse what came, as far as answers keep up."""
        if self._deaf:
            return
        if self._backlog or self._waiting is not None or self._write_blocked:
            self._backlog += data
            self._pause()
        elif len(data) <= SLICE_BYTES or len(data) <= self._body_left:
            self._feed(data)
        else:
            self._backlog = data
            self._drain()

    def eof_received(self) -> bool:
        """Keep a half-closed connection until what it asked for is answered."""
        self._eof = True
        return self._waiting is not None or bool(self._backlog)

    def pause_writing(self) -> None:
        """Stop parsing: the client does not read its answers."""
        self._write_blocked = True
        self.deadline = self._handler.clock.now + WRITE_S

    def resume_writing(self) -> None:
        """Go on: the client has read."""
        self._write_blocked = False
        if self._parts is not None:
            self.deadline = self._handler.clock.now + WRITE_S
            self._pump()
            return
        if self._waiting is None:
            self.deadline = self._handler.clock.now + IDLE_S
        self._drain()

    # the server's side

    def expire(self) -> None:
        """Drop the connection: its deadline is over. Whoever has sent half a request is told so."""
        if self._transport is None:
            return
        begun = self._in_head or self._in_body
        if begun and not (self._deaf or self._write_blocked or self._waiting):
            self._refuse(408, "request.timeout", "the request did not come in time")
        else:
            self._transport.abort()

    def drop(self) -> None:
        """End the connection without an answer."""
        if self._transport is not None:
            self._transport.abort()

    def stop(self) -> None:
        """Close when the answer that is outstanding is out; at once if there is none."""
        self._stopping = True
        if self._waiting is None and self._transport is not None:
            self._transport.close()

    def finish(self, answer: bytes) -> None:
        """Write the answer to the request that `Handler.submit` took, and go on with the next."""
        request = self._waiting
        if request is None:
            return
        self._waiting = None
        request.release()
        if self._transport is None:
            return
        self._write(request, answer)
        self._go_on()

    def stream(self, head: bytes, parts: Iterator[bytes]) -> None:
        """Answer as `finish` does, with a body that comes in parts: the next one when the client has read the last.

        Args:
            head: the answer's head, with the length of the whole body.
            parts: the body; an error in it ends the connection, for the head is out by then.
        """
        request = self._waiting
        if request is None or self._transport is None:
            return
        self._handler.answered(request.method, head[9:12])
        if not request.keep_alive or self._stopping:
            request.keep_alive = False
            head = closing(head)
        self._parts = parts
        self.deadline = self._handler.clock.now + WRITE_S
        self._transport.write(head)
        self._pump()

    def _pump(self) -> None:
        """Write the next part, and come back in the loop's next turn unless the client has to read first."""
        transport, parts = self._transport, self._parts
        if transport is None or parts is None or self._write_blocked:
            return
        try:
            part = next(parts, None)
        except WalletError as error:
            log.error("node.answer-broken", code=error.code)
            transport.abort()
            return
        if part is not None:
            self.deadline = self._handler.clock.now + WRITE_S
            transport.write(part)
            asyncio.get_running_loop().call_soon(self._pump)
            return
        request, self._waiting, self._parts = self._waiting, None, None
        if self._stopping or (request is not None and not request.keep_alive):
            self._end(transport)
        self._go_on()

    def _go_on(self) -> None:
        """Turn to the next request, now that an answer is out."""
        if self._queue:
            self._dispatch(self._queue.popleft())
            return
        allowed = HEAD_S if self._in_head else self._body_s if self._in_body else IDLE_S
        self.deadline = self._handler.clock.now + allowed
        if self._refusal is not None:
            self._close_refused(self._refusal)
        elif self._backlog or self._eof or not self._reading:
            self._drain()

    # reading

    def _pause(self) -> None:
        if self._reading and self._transport is not None:
            self._reading = False
            self._transport.pause_reading()

    def _resume(self) -> None:
        if not self._reading and self._transport is not None:
            self._reading = True
            self._transport.resume_reading()

    def _drain(self) -> None:
        """Parse the backlog slice by slice until something is outstanding."""
        while self._backlog and self._waiting is None and not self._write_blocked and not self._deaf:
            size = max(SLICE_BYTES, self._body_left)
            piece, self._backlog = self._backlog[:size], self._backlog[size:]
            self._feed(piece)
        if self._backlog:
            self._pause()
        elif self._eof and self._waiting is None and self._transport is not None:
            self._transport.close()
        else:
            self._resume()

    def _feed(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._deaf = True  # the request is answered like any other; what follows it is another protocol
            for request in (*self._queue, self._waiting):
                if request is not None:
                    request.keep_alive = False
        except httptools.HttpParserCallbackError as error:
            if not isinstance(error.__context__, _Refused):
                raise
        except httptools.HttpParserError:
            self._malformed()
        if self._in_head and not self._deaf:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES + SLICE_BYTES:
                self._refuse(431, "request.too-large", "the head is too long")

    def _malformed(self) -> None:
        self._refuse(400, "request.malformed", "this is not a request of HTTP/1.1")

    def _refuse(self, status: int, code: str, message: str, extra: bytes = b"") -> None:
        """Answer after everything that came before, then close."""
        if self._deaf:
            return
        self._deaf = True
        self._backlog = b""
        self._release_body()
        answer = self._handler.answers.error(status, code, message, extra)
        self._handler.answered(b"", answer[9:12])
        if self._waiting is not None:
            self._refusal = answer
        else:
            self._close_refused(answer)

    def _close_refused(self, answer: bytes) -> None:
        """Write the last answer, and give the client LINGER_S to read it: closing with input unread would reset."""
        transport = self._transport
        if transport is None:
            return
        self.deadline = self._handler.clock.now + LINGER_S
        transport.write(closing(answer))
        if transport.can_write_eof():
            transport.write_eof()
        self._resume()

    # the parser's side

    def on_message_begin(self) -> None:
        """A request begins."""
        self._reset()
        if self._waiting is None:
            self.deadline = self._handler.clock.now + HEAD_S

    def on_url(self, url: bytes) -> None:
        """Take the target, or a piece of it."""
        self._target += url
        if len(self._target) > MAX_TARGET_BYTES:
            self._refuse(414, "request.too-large", "the target is too long")
            raise _Refused

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field; of most only the size counts."""
        self._field_bytes += len(name) + len(value) + 4
        if self._field_bytes > MAX_HEAD_BYTES:
            self._refuse(431, "request.too-large", "the head is too long")
            raise _Refused
        kept = name.lower()
        if kept in _KEPT:
            if kept not in self._headers:
                self._headers[kept] = value
            elif kept == b"host":
                self._headers[kept] = b""  # repeated: as bad as missing
            else:
                self._headers[kept] += b", " + value

    def on_headers_complete(self) -> None:
        """Check, when the head is there, what can be checked before a body is read."""
        self._in_head = False
        headers = self._headers
        self._method = self._parser.get_method()
        if not headers.get(b"host") and self._parser.get_http_version() != "1.0":
            self._malformed()
            raise _Refused
        length = headers.get(b"content-length")
        if length is None and b"transfer-encoding" not in headers:
            return
        size = None if length is None else int(length) if len(length) < 10 else _ENDLESS
        limit = self._handler.body_limit(self._method, self._target, headers, self._who_asks(), size)
        if isinstance(limit, Refusal):
            self._refuse(limit.status, limit.code, limit.message, limit.extra)
            raise _Refused
        self._body_limit = limit
        if size is not None:
            if size > limit.most_bytes:
                self._too_long(limit)
            self._body_left = size
            self._body_s = BODY_S + size / MIN_BYTES_PER_S
        self._in_body = True
        if self._waiting is None and self._transport is not None:
            self.deadline = self._handler.clock.now + self._body_s
            if b"expect" in headers:
                self._transport.write(_CONTINUE)

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._body.append(body)
        self._body_bytes += len(body)
        self._body_left = max(0, self._body_left - len(body))
        limit = self._body_limit
        if limit is not None and self._body_bytes > limit.most_bytes:
            self._too_long(limit)

    def _too_long(self, limit: BodyLimit) -> None:
        self._refuse(413, limit.code, f"at most {limit.most_bytes} bytes are taken here")
        raise _Refused

    def _who_asks(self) -> Client:
        """Return the client, or whom a proxy speaks for."""
        forwarded_for = self._headers.get(b"x-forwarded-for")
        if self.client.is_proxy and forwarded_for is not None:
            return self.client.behind(forwarded_for)
        return self.client

    def _take_body(self) -> tuple[bytes, Room | None]:
        """Return the whole body and the room that it takes."""
        pieces, limit = self._body, self._body_limit
        self._body, self._body_limit = [], None
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        return body, limit.room if limit is not None else None

    def on_message_complete(self) -> None:
        """Hand the request over, or keep it until the one before is answered."""
        self._in_body = False
        if self._deaf:
            return
        keep_alive = self._parser.should_keep_alive()
        if keep_alive and b"connection" in self._headers:
            keep_alive = self._parser.get_http_version() == "1.1"  # 1.0 would want to be told
        body, room = self._take_body()
        request = Request(self._method, self._target, self._headers, body, self._who_asks(), keep_alive, room)
        if self._waiting is not None:
            self._queue.append(request)
        else:
            self._dispatch(request)

    def _dispatch(self, request: Request) -> None:
        self._waiting = request
        self.deadline = NEVER
        self._handler.submit(request, self)

    def _write(self, request: Request, answer: bytes) -> None:
        transport = self._transport
        if transport is None:
            return
        self._handler.answered(request.method, answer[9:12])
        if request.method == b"HEAD":
            answer = head_only(answer)
        if request.keep_alive and not self._stopping:
            transport.write(answer)
            return
        transport.write(closing(answer))
        self._end(transport)

    def _end(self, transport: asyncio.Transport) -> None:
        """Close once what was written is out; nothing more is read."""
        self._deaf = True
        self._forget_requests()
        transport.close()
