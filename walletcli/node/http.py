"""HTTP/1.1 on one connection: parse, bound, hand over, write back in order.

httptools (llhttp) parses. Everything that a client can make large or slow is bounded, here and in
`walletcli.node.incoming`: target, head, number of fields, body, time for each of them, and how far requests are read
ahead of their answers.

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
from walletcli.node.incoming import HEAD_TOO_LONG, MALFORMED, MAX_HEAD_BYTES, Incoming, Refused
from walletcli.node.request import BodyLimit, Client, Refusal, Request
from walletcli.node.wire import Answers, closing, head_only

SLICE_BYTES: Final = 4096
"""How much is parsed at once. Nothing more is parsed while an answer is outstanding or the client does not read, so
that this also bounds how many pipelined requests can wait."""

HEAD_S: Final = 10.0
IDLE_S: Final = 60.0
WRITE_S: Final = 20.0
LINGER_S: Final = 2.0
"""Deadlines in seconds; LINGER_S is how long a refused client is given to read its answer."""

NEVER: Final = float("inf")

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_LATE: Final = Refusal(408, "request.timeout", "the request did not come in time")


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
        "_deaf",
        "_eof",
        "_handler",
        "_head_bytes",
        "_incoming",
        "_parts",
        "_queue",
        "_reading",
        "_refusal",
        "_stopping",
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
        self._incoming = Incoming(self)
        self._head_bytes = 0
        self._queue: deque[Request] = deque()
        self._backlog = b""
        self._waiting: Request | None = None
        self._parts: Iterator[bytes] | None = None
        self._refusal: bytes | None = None
        self._write_blocked = False
        self._reading = True
        self._deaf = False  # what still comes is not looked at
        self._eof = False
        self._stopping = False

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
        self._incoming.forget()

    def data_received(self, data: bytes) -> None:
        """Parse what came, as far as answers keep up."""
        if self._deaf:
            return
        if self._backlog or self._waiting is not None or self._write_blocked:
            self._backlog += data
            self._pause()
        elif not self._incoming.is_raw and len(data) <= max(SLICE_BYTES, self._incoming.body_left_bytes):
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
        begun = self._incoming.in_head or self._incoming.in_body
        if begun and not (self._deaf or self._write_blocked or self._waiting):
            self._refuse(_LATE)
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
        reading = self._incoming
        allowed = HEAD_S if reading.in_head else reading.body_s if reading.in_body else IDLE_S
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
        backlog, at, reading = memoryview(self._backlog), 0, self._incoming
        while at < len(backlog) and self._waiting is None and not self._write_blocked and not self._deaf:
            if reading.is_raw:
                at, self._head_bytes = reading.take(backlog, at), 0
                continue
            size = max(SLICE_BYTES, reading.body_left_bytes)
            self._feed(backlog[at : at + size])
            at += size
        self._backlog = b"" if self._deaf or at >= len(backlog) else bytes(backlog[at:])
        if self._backlog:
            self._pause()
        elif self._eof and self._waiting is None and self._transport is not None:
            self._transport.close()
        else:
            self._resume()

    def _feed(self, data: bytes | memoryview) -> None:
        body_bytes = self._incoming.body_bytes
        try:
            self._incoming.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._deaf = True  # the request is answered like any other; what follows it is another protocol
            for request in (*self._queue, self._waiting):
                if request is not None:
                    request.keep_alive = False
        except httptools.HttpParserCallbackError as error:
            if not isinstance(error.__context__, Refused):
                raise
            self._refuse(error.__context__.refusal)
        except httptools.HttpParserError:
            self._refuse(MALFORMED)
        reading = self._incoming
        if reading.in_body and reading.body_bytes > body_bytes:
            self._head_bytes = 0
        elif (reading.in_head or reading.in_body) and not self._deaf:  # what frames a body, and comes behind it, too
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES + SLICE_BYTES:
                self._refuse(HEAD_TOO_LONG)

    def _refuse(self, refusal: Refusal) -> None:
        """Answer after everything that came before, then close."""
        if self._deaf:
            return
        self._deaf = True
        self._backlog = b""
        self._incoming.forget()
        answer = self._handler.answers.error(refusal.status, refusal.code, refusal.message, refusal.extra)
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

    # the side of the request that is read

    def begins(self) -> None:
        """A request begins: its head is due."""
        self._head_bytes = 0
        if self._waiting is None:
            self.deadline = self._handler.clock.now + HEAD_S

    def admit(
        self, method: bytes, target: bytes, headers: dict[bytes, bytes], client: Client, length_bytes: int | None
    ) -> BodyLimit | Refusal:
        """Return what the body may be, or why none is taken."""
        return self._handler.body_limit(method, target, headers, client, length_bytes)

    def body_begins(self, within_s: float, is_asked: bool) -> None:
        """A body is due within so many seconds; a client that asked whether to send it is told to."""
        if self._waiting is None and self._transport is not None:
            self.deadline = self._handler.clock.now + within_s
            if is_asked:
                self._transport.write(_CONTINUE)

    def completes(self, request: Request) -> None:
        """Hand the request over, or keep it until the one before is answered."""
        if self._deaf:
            request.release()
        elif self._waiting is not None:
            self._queue.append(request)
        else:
            self._dispatch(request)

    # answers

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
