"""Many GETs over one connection, asked ahead of their answers: what a restore of many identities needs.

Only plain answers are read here. At anything else the pipeline ends, and its user goes on with `walletcli.client.http`,
which knows the rest of HTTP; a GET asked twice means the same.

Spec: RFC 9112 section 9.3.2; docs/spec/resolution.md, "Many at once".
"""

from __future__ import annotations

from collections import deque
from typing import Final

from walletcli.client.http import REQUEST_HEADERS, HttpConnection, Response, bad_answer
from walletcli.client.plain import MAX_HEAD_BYTES, read_head

AHEAD: Final = 24
"""How many requests are sent ahead of their answers; together they fit a node's reading step of 4 KiB."""


class UnusualAnswerError(Exception):
    """An answer that may be good HTTP and is not plain; the pipeline has ended before it."""


class Pipeline:
    """Sends GETs ahead and reads their answers in order; owns the connection's stream meanwhile.

    Args:
        connection: free for a request.
        name: the address, for messages.
    """

    def __init__(self, connection: HttpConnection, name: str) -> None:
        self._stream = connection.stream
        self._name = name
        fields = (("Host", connection.host), *REQUEST_HEADERS)
        self._fields = "".join(f"{field}: {value}\r\n" for field, value in fields)
        self._limits: deque[int] = deque()
        self._unsent: list[str] = []
        self._received = bytearray()

    @property
    def room(self) -> int:
        """How many more requests may be asked ahead; half the window or nothing, so that few writes are made."""
        room = AHEAD - len(self._limits)
        return room if 2 * room >= AHEAD else 0

    @property
    def is_clean(self) -> bool:
        """Whether every request is answered and nothing came after."""
        return not self._limits and not self._received

    def ask(self, path: str, max_body_bytes: int, headers: str = "") -> None:
        """Put a GET in line; `flush` sends it.

        Args:
            path: begins with a slash; visible ASCII.
            max_body_bytes: longest body to take.
            headers: beside those that every request has, each with its CRLF.
        """
        self._limits.append(max_body_bytes)
        self._unsent.append(f"GET {path} HTTP/1.1\r\n{self._fields}{headers}\r\n")

    def flush(self, deadline_s: float) -> None:
        """Send what is in line.

        Raises:
            NetworkError: ``relay.timeout``, ``relay.unreachable``.
        """
        if self._unsent:
            data = "".join(self._unsent).encode("ascii")
            self._unsent.clear()
            self._stream.send(data, deadline_s)

    def read(self, deadline_s: float) -> Response:
        """Return the answer to the oldest request that has none.

        Args:
            deadline_s: the instant of ``time.monotonic()``, in seconds, by which it must be whole.

        Raises:
            UnusualAnswerError: it is not plain; nothing more can be read here.
            NetworkError: ``relay.timeout``, ``relay.unreachable``, ``relay.bad-answer``.
        """
        received = self._received
        while (end := received.find(b"\r\n\r\n")) < 0:
            if len(received) > MAX_HEAD_BYTES:
                raise bad_answer(self._name, "a head without end")
            self._more(deadline_s)
        head = read_head(bytes(received[: end + 2]))
        if head is None or head.length_bytes > self._limits[0]:
            raise UnusualAnswerError
        size = end + 4 + head.length_bytes
        while len(received) < size:
            self._more(deadline_s)
        body = bytes(received[end + 4 : size])
        del received[:size]
        self._limits.popleft()
        return Response(head.status, head.headers, body)

    def _more(self, deadline_s: float) -> None:
        data = self._stream.recv(deadline_s)
        if not data:
            raise UnusualAnswerError
        self._received += data
