"""Answers as bytes: status lines, headers that every answer has, and the heads that are hot.

Spec: docs/spec/node-api.md; RFC 9110 sections 5.6.7 (dates), 8.8 (validators).
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Final

from walletcli.core.packet import MAX_RELAY_PAYLOAD_BYTES

MAX_AGE_S = 60
"""How long a packet may be kept by caches on the way, in seconds."""

PACKET_TYPE: Final = b"application/pkarr.org/relays#payload"
DOCUMENT_TYPE: Final = b"application/walletcli-document"
TEXT_TYPE: Final = b"text/plain; charset=utf-8"

_REASONS: Final = {
    200: b"OK",
    204: b"No Content",
    304: b"Not Modified",
    400: b"Bad Request",
    401: b"Unauthorized",
    403: b"Forbidden",
    404: b"Not Found",
    405: b"Method Not Allowed",
    408: b"Request Timeout",
    409: b"Conflict",
    411: b"Length Required",
    412: b"Precondition Failed",
    413: b"Content Too Large",
    414: b"URI Too Long",
    428: b"Precondition Required",
    429: b"Too Many Requests",
    431: b"Request Header Fields Too Large",
    500: b"Internal Server Error",
    503: b"Service Unavailable",
    507: b"Insufficient Storage",
}

_COMMON: Final = b"Access-Control-Allow-Origin: *\r\n"
_EXPOSED: Final = b"Access-Control-Expose-Headers: ETag\r\n"
_LAST_DATE_S = 253_402_300_799
"""9999-12-31T23:59:59Z, the last second that an HTTP date can say."""


# The rest of a packet's head, ready made: putting it together from its numbers takes twice as long.
_MINUTES: Final = tuple(b"%02d:" % minute for minute in range(60))
_SECONDS: Final = tuple(b"%02d GMT\r\n" % second for second in range(60))
_LENGTHS: Final = tuple(b"Content-Length: %d\r\n\r\n" % length for length in range(MAX_RELAY_PAYLOAD_BYTES + 1))


def _status_line(status: int) -> bytes:
    return b"HTTP/1.1 %d %b\r\n" % (status, _REASONS[status])


@lru_cache(maxsize=4096)
def _day_text(day: int) -> bytes:
    return datetime.fromtimestamp(day * 86_400, UTC).strftime("%a, %d %b %Y ").encode("ascii")


@lru_cache(maxsize=8192)
def _hour_text(hour: int) -> bytes:
    return b"%b%02d:" % (_day_text(hour // 24), hour % 24)


def http_date(second: int) -> bytes:
    """Return `second` (Unix time, 0 to the year 9999) as an HTTP date."""
    day, rest = divmod(second, 86_400)
    minutes, seconds = divmod(rest, 60)
    return b"%b%02d:%02d:%02d GMT" % (_day_text(day), minutes // 60, minutes % 60, seconds)


def parse_http_date(text: bytes) -> int | None:
    """Return the Unix second that an HTTP date names, or None if it cannot be read."""
    try:
        moment = parsedate_to_datetime(text.decode("ascii"))
        return int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp())
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


class Answers:
    """Renders answers; what repeats within a second is rendered once a second, by `tick`.

    Attributes:
        no_content: the answer to a PUT that was stored.
    """

    def __init__(self) -> None:
        self.no_content = b""
        self._date = b""
        self._packet_head = b""
        self._packet_unchanged = b""
        self._document_head = b""
        self.tick(time.time())

    def tick(self, now_s: float) -> None:
        """Set the date of the answers from here on, in Unix seconds."""
        self._date = b"Date: " + http_date(int(now_s)) + b"\r\n"
        always = self._date + _COMMON
        self.no_content = _status_line(204) + always + b"\r\n"
        fresh = b"%bCache-Control: public, max-age=%d\r\n" % (_EXPOSED, MAX_AGE_S)
        self._packet_head = _status_line(200) + always + fresh + b"Content-Type: " + PACKET_TYPE + b"\r\n"
        self._packet_unchanged = _status_line(304) + always + fresh
        self._document_head = _status_line(200) + always + _EXPOSED + b"Content-Type: " + DOCUMENT_TYPE + b"\r\n"

    def packet(self, payload: bytes) -> bytes:
        """Render a packet's answer, its body included.

        Args:
            payload: the relay payload.
        """
        seq = int.from_bytes(payload[64:72], "big")
        second = seq // 1_000_000
        if second > _LAST_DATE_S:
            return b'%bETag: "%d"\r\nContent-Length: %d\r\n\r\n%b' % (self._packet_head, seq, len(payload), payload)
        minute = second // 60
        return b"".join(
            (
                self._packet_head,
                b'ETag: "%d"\r\nLast-Modified: ' % seq,
                _hour_text(minute // 60),
                _MINUTES[minute % 60],
                _SECONDS[second % 60],
                _LENGTHS[len(payload)],
                payload,
            )
        )

    def stored_on(self, dht_nodes: int) -> bytes:
        """Render the answer to a PUT that waited for the DHT: on how many of its nodes the packet is."""
        return (
            b"%b%b%bAccess-Control-Expose-Headers: Pkarr-Dht-Stored-Nodes\r\n"
            b"Preference-Applied: wait\r\nPkarr-Dht-Stored-Nodes: %d\r\n\r\n"
        ) % (_status_line(204), self._date, _COMMON, dht_nodes)

    def packet_unchanged(self, seq: int) -> bytes:
        """Render the 304 for a packet."""
        return b'%bETag: "%d"\r\n\r\n' % (self._packet_unchanged, seq)

    def document(self, document_hash_hex: bytes, length_bytes: int) -> bytes:
        """Render a document's head; the body is not included."""
        return b'%bETag: "%b"\r\nCache-Control: public, max-age=31536000, immutable\r\nContent-Length: %d\r\n\r\n' % (
            self._document_head,
            document_hash_hex,
            length_bytes,
        )

    def document_unchanged(self, document_hash_hex: bytes) -> bytes:
        """Render the 304 for a document."""
        return b'%b%b%b%bETag: "%b"\r\nCache-Control: public, max-age=31536000, immutable\r\n\r\n' % (
            _status_line(304),
            self._date,
            _COMMON,
            _EXPOSED,
            document_hash_hex,
        )

    def text(
        self, status: int, body: bytes, content_type: bytes = TEXT_TYPE, extra: bytes = b"", *, is_public: bool = True
    ) -> bytes:
        """Render an answer with a body.

        Args:
            status: HTTP status.
            body: the body, any length.
            content_type: media type.
            extra: further header lines, each ended by CR LF.
            is_public: web pages of other sites may read it.
        """
        return b"%b%b%b%bCache-Control: no-store\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n%b" % (
            _status_line(status),
            self._date,
            _COMMON if is_public else b"",
            extra,
            content_type,
            len(body),
            body,
        )

    def long(self, content_type: bytes, length_bytes: int, extra: bytes = b"") -> bytes:
        """Render the head of a 200 whose body follows; arguments as for `text`."""
        return b"%b%b%b%bCache-Control: no-store\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n" % (
            _status_line(200),
            self._date,
            _COMMON,
            extra,
            content_type,
            length_bytes,
        )

    def error(self, status: int, code: str, message: str, extra: bytes = b"") -> bytes:
        """Render an error: its code and a sentence. Nothing of the request may be in `message`."""
        return self.text(status, f"{code}: {message}\n".encode(), TEXT_TYPE, extra)

    def options(self, methods: bytes) -> bytes:
        """Render the answer to a preflight request."""
        return b"%b%b%bAllow: %b\r\nAccess-Control-Allow-Methods: %b\r\n%b\r\n" % (
            _status_line(204),
            self._date,
            _COMMON,
            methods,
            methods,
            b"Access-Control-Allow-Headers: *\r\nAccess-Control-Max-Age: 86400\r\n",
        )


def head_only(answer: bytes) -> bytes:
    """Return the head of an answer, for HEAD."""
    end = answer.index(b"\r\n\r\n") + 4
    return answer[:end]


def closing(answer: bytes) -> bytes:
    """Return the answer with a header that says that the connection ends after it."""
    return answer.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
