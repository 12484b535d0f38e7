"""The request that a connection is reading: its parts as the parser gives them, each bounded.

Spec: docs/spec/node-api.md, "Limits"; RFC 9112.
"""

from __future__ import annotations

from typing import Final, Protocol

import httptools

from walletcli.node.request import BodyLimit, Client, Refusal, Request

MAX_TARGET_BYTES: Final = 1024
MAX_HEAD_BYTES: Final = 8192

BODY_S: Final = 20.0
"""How long a body may take, in seconds, and as long again as `MIN_BYTES_PER_S` makes it."""

MIN_BYTES_PER_S: Final = 32_768
"""Slowest client whose body is waited for."""

MALFORMED: Final = Refusal(400, "request.malformed", "this is not a request of HTTP/1.1")
HEAD_TOO_LONG: Final = Refusal(431, "request.too-large", "the head is too long")
_TARGET_TOO_LONG: Final = Refusal(414, "request.too-large", "the target is too long")

RAW_BYTES: Final = 16_384
"""A body that is longer, and whose length was said, does not go through the parser: that would copy it."""

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
        b"x-real-ip",
        b"via",
    )
)


class Refused(Exception):
    """Leaves the parser.

    Args:
        refusal: how the request is answered.
    """

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.code)
        self.refusal = refusal


class Reader(Protocol):
    """The connection, as the request that it reads sees it."""

    client: Client

    def begins(self) -> None:
        """A request begins."""

    def admit(
        self, method: bytes, target: bytes, headers: dict[bytes, bytes], client: Client, length_bytes: int | None
    ) -> BodyLimit | Refusal:
        """Return what the body may be, or why none is taken."""

    def body_begins(self, within_s: float, is_asked: bool) -> None:
        """A body that is taken begins; it is due, and the client may have asked whether to send it."""

    def completes(self, request: Request) -> None:
        """A request is whole."""


class Incoming:
    """Collects one request after the other; the parser calls it.

    Args:
        reader: the connection.

    Attributes:
        parser: of the connection's bytes.
        in_head: whether a head has begun and is not whole.
        in_body: whether a body has begun and is not whole.
        body_bytes: how much of it has come.
        body_left_bytes: how much of it must still come, where that is known; 0 otherwise.
        body_s: how long it may take, in seconds.
        is_raw: whether what comes next is to be given to `take`, and not to the parser.
    """

    __slots__ = (
        "_body",
        "_field_bytes",
        "_headers",
        "_limit",
        "_method",
        "_reader",
        "_target",
        "body_bytes",
        "body_left_bytes",
        "body_s",
        "in_body",
        "in_head",
        "is_raw",
        "parser",
    )

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.parser = httptools.HttpRequestParser(self)
        self._limit: BodyLimit | None = None
        self._method = b""
        self._reset()
        self.in_head = False

    def _reset(self) -> None:
        self.in_head = True
        self.in_body = False
        self.body_left_bytes = 0
        self.body_s = BODY_S
        self.is_raw = False
        self._target = b""
        self._headers: dict[bytes, bytes] = {}
        self._body: list[bytes | memoryview] = []
        self.body_bytes = 0
        self._field_bytes = 0

    def forget(self) -> None:
        """Drop the body that is being read, and give back the room that it takes."""
        self._body = []
        if self._limit is not None and self._limit.room is not None:
            self._limit.room.release()
        self._limit = None

    # the parser's side

    def on_message_begin(self) -> None:
        """A request begins."""
        self._reset()
        self._reader.begins()

    def on_url(self, url: bytes) -> None:
        """Take the target, or a piece of it."""
        self._target += url
        if len(self._target) > MAX_TARGET_BYTES:
            raise Refused(_TARGET_TOO_LONG)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field; of most, and of all behind a chunked body, only the size counts."""
        self._field_bytes += len(name) + len(value) + 4
        if self._field_bytes > MAX_HEAD_BYTES:
            raise Refused(HEAD_TOO_LONG)
        if not self.in_head:
            return
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
        self.in_head = False
        headers = self._headers
        self._method = self.parser.get_method()
        if not headers.get(b"host") and self.parser.get_http_version() != "1.0":
            raise Refused(MALFORMED)
        length = headers.get(b"content-length")
        if length is None and b"transfer-encoding" not in headers:
            return
        size = None if length is None else int(length) if len(length) < 10 else _ENDLESS
        limit = self._reader.admit(self._method, self._target, headers, self._who_asks(), size)
        if isinstance(limit, Refusal):
            raise Refused(limit)
        self._limit = limit
        if size is not None:
            if size > limit.most_bytes:
                raise _too_long(limit)
            self.body_left_bytes = size
            self.body_s = BODY_S + size / MIN_BYTES_PER_S
            self.is_raw = size > RAW_BYTES and not self.parser.should_upgrade()
        self.in_body = True
        self._reader.body_begins(self.body_s, b"expect" in headers)

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._body.append(body)
        self.body_bytes += len(body)
        self.body_left_bytes = max(0, self.body_left_bytes - len(body))
        limit = self._limit
        if limit is not None and self.body_bytes > limit.most_bytes:
            raise _too_long(limit)

    def on_message_complete(self) -> None:
        """Hand the request over."""
        self._complete(self.parser)

    def _complete(self, parser: httptools.HttpRequestParser) -> None:
        self.in_body = False
        keep_alive = parser.should_keep_alive()
        if keep_alive and b"connection" in self._headers:
            keep_alive = parser.get_http_version() == "1.1"  # 1.0 would want to be told
        room = self._limit.room if self._limit is not None else None
        body, view = self._take_body() if self._limit is not None else (b"", None)
        self._reader.completes(
            Request(self._method, self._target, self._headers, body, self._who_asks(), keep_alive, room, view)
        )

    # beside the parser

    def take(self, data: memoryview, at: int) -> int:
        """Take what there is of a raw body; with its last byte the request is handed over.

        What came in one piece is not copied, unless it would keep much more than itself in memory.

        Args:
            data: what came, requests before and behind this one included.
            at: where in it to go on.

        Returns:
            Where the body, or `data`, ends.
        """
        end = min(len(data), at + self.body_left_bytes)
        begin = at - self.body_bytes
        if begin >= 0 and end - at == self.body_left_bytes:  # all of it is here: what the parser has copied, too
            self._body = []
        else:
            begin = at
        view = data[begin:end]
        self._body.append(view if 2 * len(view) >= len(data) else memoryview(bytes(view)))
        self.body_bytes += end - at
        self.body_left_bytes -= end - at
        if not self.body_left_bytes:
            self.is_raw = False
            read, self.parser = self.parser, httptools.HttpRequestParser(self)  # the one before waits for the body
            self._complete(read)
        return end

    def _who_asks(self) -> Client:
        """Return the client, or whom a proxy speaks for."""
        client = self._reader.client
        forwarded_for = self._headers.get(b"x-forwarded-for")
        return client.behind(forwarded_for) if client.is_proxy and forwarded_for is not None else client

    def _take_body(self) -> tuple[bytes, memoryview | None]:
        """Return the whole body: a view of what came where it is long and nothing had to be copied."""
        pieces, limit = self._body, self._limit
        self._body, self._limit = [], None
        only = pieces[0] if len(pieces) == 1 else None
        if isinstance(only, bytes):
            return only, None
        if only is not None and limit is not None and limit.room is not None:
            return b"", only
        return b"".join(pieces), None


def _too_long(limit: BodyLimit) -> Refused:
    return Refused(Refusal(413, limit.code, f"at most {limit.most_bytes} bytes are taken here"))
