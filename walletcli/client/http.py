"""One HTTP/1.1 exchange at a time over a dialed stream, with a deadline for the whole and a limit for every part.

Plain answers are read in one step, all others by h11; nothing else of HTTP exists here: no redirects, no cookies, no
compression, no caching, no proxies. Every request of every identity carries the same headers in the same order, without
a version of ours.

Spec: RFC 9110, RFC 9112; docs/spec/resolution.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import h11

from walletcli.client.plain import MAX_HEAD_BYTES, PlainHead, read_head
from walletcli.errors import NetworkError
from walletcli.net.stream import READ_BYTES, Stream, broken

MAX_INTERIM_ANSWERS: Final = 4
"""How many 1xx answers may come before the real one."""

REQUEST_HEADERS: Final = (
    ("User-Agent", "Mozilla/5.0"),
    ("Accept", "*/*"),
    ("Accept-Encoding", "identity"),
)
"""What every request of every identity has after Host, in this order."""

_LONG_BYTES: Final = 65_536
_HEAD_END: Final = b"\r\n\r\n"
_VISIBLE: Final = re.compile(r"[ -~]+")
_WITH_BODY: Final = frozenset({"PUT", "POST"})
_BODY_TYPE: Final = ("Content-Type", "application/octet-stream")


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked.

    Args:
        method: ``GET``, ``HEAD``, ``PUT``, ``POST`` or ``DELETE``.
        path: begins with a slash; visible ASCII.
        body: sent with ``PUT`` and ``POST`` only.
        headers: beside the ones that every request has.
    """

    method: str
    path: str
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Response:
    """What was answered: a final status (200 to 599), headers with lower-case names, the whole body."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class HttpConnection:
    """Exchanges requests over one stream, one after the other.

    Args:
        stream: connected; owned by the connection from now on.
        host: the Host header, ``host[:port]``.
        name: the address, for messages.
    """

    def __init__(self, stream: Stream, host: str, name: str) -> None:
        self.stream = stream
        self.host = host
        self._name = name
        self._always = _lines((("Host", host), *REQUEST_HEADERS))
        self._is_idle = True

    @property
    def is_reusable(self) -> bool:
        """Whether another request may follow: the last answer is over and the other side says nothing unasked."""
        return self._is_idle and self.stream.is_quiet()

    def close(self) -> None:
        """Close the stream."""
        self._is_idle = False
        self.stream.close()

    def exchange(self, request: Request, max_body_bytes: int, deadline_s: float) -> Response:
        """Send `request` and read its whole answer.

        Args:
            request: what to ask.
            max_body_bytes: longest body to take.
            deadline_s: the instant of ``time.monotonic()``, in seconds, by which everything is read.

        Raises:
            NetworkError: ``relay.timeout``, ``relay.too-much``, ``relay.bad-answer``, ``relay.unreachable``.
        """
        self._is_idle = False
        try:
            return self._exchange(request, max_body_bytes, deadline_s)
        except h11.RemoteProtocolError as error:
            self.close()
            raise bad_answer(self._name, f"its answer is not HTTP/1.1 or not whole ({error})") from error
        except BaseException:
            self.close()
            raise

    def _exchange(self, request: Request, max_body_bytes: int, deadline_s: float) -> Response:
        unsent = self._send(request, deadline_s)
        try:
            received, head = self._read_head(deadline_s)
        except NetworkError as error:
            # a request that could not be sent and has no answer failed in the sending
            raise unsent if unsent is not None and error.code == "relay.unreachable" else error from None
        if head is None or request.method == "HEAD":
            return self._read_unusual(request, bytes(received), max_body_bytes, deadline_s)
        if head.length_bytes > max_body_bytes:
            raise too_much(self._name, max_body_bytes)
        size = received.find(_HEAD_END) + len(_HEAD_END) + head.length_bytes
        while len(received) < size:
            data = self.stream.recv(deadline_s)
            if not data:
                raise bad_answer(self._name, "its answer is not HTTP/1.1 or not whole (the connection ended)")
            received += data
        if len(received) > size:
            self.close()  # what comes unasked belongs to no request
        self._is_idle = len(received) == size
        return Response(head.status, head.headers, bytes(memoryview(received)[size - head.length_bytes : size]))

    def _send(self, request: Request, deadline_s: float) -> NetworkError | None:
        """Send the request; a connection that breaks meanwhile may still hold an early answer (413, 429)."""
        start = _checked(f"{request.method} {request.path} HTTP/1.1")
        head = f"{start}\r\n{self._always}{_lines(self._own_headers(request))}\r\n".encode("ascii")
        try:
            if len(request.body) > _LONG_BYTES:  # a copy would cost more than a second packet
                self.stream.send(head, deadline_s)
                self.stream.send(request.body, deadline_s)
            else:
                self.stream.send(head + request.body, deadline_s)
        except NetworkError as error:
            if error.code != "relay.unreachable":
                raise
            return error
        return None

    def _headers(self, request: Request) -> list[tuple[str, str]]:
        return [("Host", self.host), *REQUEST_HEADERS, *self._own_headers(request)]

    def _own_headers(self, request: Request) -> tuple[tuple[str, str], ...]:
        """Return what this request has beside the headers of every one."""
        if request.method not in _WITH_BODY:
            return request.headers
        return (*request.headers, _BODY_TYPE, ("Content-Length", str(len(request.body))))

    def _read_head(self, deadline_s: float) -> tuple[bytearray, PlainHead | None]:
        """Read until the head is whole; None: it is not plain, or will not be."""
        received = bytearray()
        while (end := received.find(_HEAD_END)) < 0:
            data = self.stream.recv(deadline_s)
            if not data and not received:
                raise broken(self._name, "closed without an answer", may_be_misnamed=True)
            received += data
            if not data or len(received) > MAX_HEAD_BYTES:
                return received, None
        return received, read_head(bytes(received[: end + 2]))

    def _read_unusual(self, request: Request, received: bytes, max_body_bytes: int, deadline_s: float) -> Response:
        """Let h11 read an answer from its beginning, of which `received` has come already."""
        protocol = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES)
        protocol.send(h11.Request(method=request.method, target=request.path, headers=self._headers(request)))
        if request.body:
            protocol.send(h11.Data(data=request.body))
        protocol.send(h11.EndOfMessage())
        reader = _Reader(protocol, self.stream, self._name, MAX_HEAD_BYTES + READ_BYTES, deadline_s)
        reader.take(received)
        head = self._final_head(reader)
        headers = self._check_head(head)
        reader.allow(2 * max_body_bytes + MAX_HEAD_BYTES)  # chunking costs something, but not any amount
        body = bytearray()
        while isinstance(event := reader.next_event(), h11.Data):
            body += event.data
            if len(body) > max_body_bytes:
                raise too_much(self._name, max_body_bytes)
        done = protocol.our_state is h11.DONE and protocol.their_state is h11.DONE
        if not done or protocol.trailing_data[0]:
            self.close()
        self._is_idle = done and not protocol.trailing_data[0]
        return Response(head.status_code, headers, bytes(body))

    def _final_head(self, reader: _Reader) -> h11.Response:
        for _ in range(MAX_INTERIM_ANSWERS + 1):
            event = reader.next_event()
            if isinstance(event, h11.Response):
                return event
            if not isinstance(event, h11.InformationalResponse):
                raise bad_answer(self._name, "it ends before it begins")
        raise bad_answer(self._name, f"more than {MAX_INTERIM_ANSWERS} interim answers")

    def _check_head(self, head: h11.Response) -> dict[str, str]:
        if head.http_version != b"1.1":
            raise bad_answer(self._name, "it does not speak HTTP/1.1")
        if not 200 <= head.status_code <= 599:
            raise bad_answer(self._name, f"status {head.status_code}")
        headers = {name.decode("ascii"): value.decode("latin-1") for name, value in head.headers}
        encoding = headers.get("content-encoding", "identity").strip().lower()
        if encoding != "identity":
            raise bad_answer(self._name, "a compressed answer, which was not asked for")
        return headers


class _Reader:
    """Feeds a protocol from a stream and counts what it costs."""

    def __init__(
        self, protocol: h11.Connection, stream: Stream, name: str, budget_bytes: int, deadline_s: float
    ) -> None:
        self._protocol = protocol
        self._stream = stream
        self._name = name
        self._budget_bytes = budget_bytes
        self._deadline_s = deadline_s

    def allow(self, more_bytes: int) -> None:
        """Raise the budget."""
        self._budget_bytes += more_bytes

    def next_event(self) -> h11.Event | None:
        """Return the next event, reading as far as needed; None when nothing more can come.

        Raises:
            NetworkError: ``relay.timeout``, ``relay.unreachable``, ``relay.too-much`` past the budget.
            h11.RemoteProtocolError: what came is not HTTP.
        """
        while (event := self._protocol.next_event()) is h11.NEED_DATA:
            self.take(self._stream.recv(self._deadline_s))
        return event if isinstance(event, h11.Event) else None

    def take(self, data: bytes) -> None:
        """Feed the protocol; nothing means the end.

        Raises:
            NetworkError: ``relay.too-much`` past the budget.
        """
        self._budget_bytes -= len(data)
        if self._budget_bytes < 0:
            raise too_much(self._name, None)
        self._protocol.receive_data(data)


def _lines(headers: Iterable[tuple[str, str]]) -> str:
    """Return headers as lines, each with its CRLF; raises ValueError for what HTTP does not carry."""
    return "".join([f"{_checked(f'{name}: {value}')}\r\n" for name, value in headers])


def _checked(line: str) -> str:
    if not _VISIBLE.fullmatch(line):
        raise ValueError("a request line or header has characters that HTTP does not carry")
    return line


def too_much(name: str, limit_bytes: int | None) -> NetworkError:
    """Return the error for an answer that goes on for too long."""
    limit = "than any answer needs" if limit_bytes is None else f"than {limit_bytes} bytes"
    return NetworkError("relay.too-much", f"{name} sent more {limit}", "name another relay")


def bad_answer(name: str, why: str) -> NetworkError:
    """Return the error for an answer that makes no sense."""
    return NetworkError("relay.bad-answer", f"{name} answered badly: {why}", "name another relay")


def retry_after_s(response: Response) -> float | None:
    """Return the seconds that an answer asks to wait, at least a tenth, or None where it names none to be read."""
    text = response.headers.get("retry-after", "").strip()
    if not text.isascii() or not text.isdigit() or len(text) > 6:
        return None
    return max(float(text), 0.1)
