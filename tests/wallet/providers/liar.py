"""A provider that lies: it stands in front of a real node, and a test alters what the node answers."""

from __future__ import annotations

import http.client
from collections.abc import Callable

from tests.client.servers import Asked, Conversation, Server
from tests.wallet.providers.parts import Host

Answer = tuple[int, bytes]
Alters = Callable[[Asked, Answer], Answer]


class Hang(Exception):
    """Raised by a test to have no answer come."""


class Drip(Exception):
    """Raised by a test to have the answer come, and never end."""


class Liar:
    """Passes every request on to a node, and every answer through `alters`.

    What is PUT where `swallows` is a part of the path is acknowledged, and the node never hears of it.
    """

    def __init__(self, host: Host) -> None:
        self.host = host
        self.alters: Alters = lambda asked, answer: answer
        self.swallows = ""
        self.asked: list[Asked] = []
        self._server = Server(self._converse)

    @property
    def url(self) -> str:
        """Where it serves, in clear."""
        return self._server.address.to_text()

    def _converse(self, conversation: Conversation) -> None:
        while (asked := conversation.read()) is not None:
            self.asked.append(asked)
            try:
                conversation.answer(*self.alters(asked, self._forward(asked)))
            except Hang:
                conversation.hang()
            except Drip:
                conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
                conversation.drip(b"x")

    def _forward(self, asked: Asked) -> Answer:
        if asked.method == "PUT" and self.swallows and self.swallows in asked.path:
            return 204, b""
        connection = http.client.HTTPConnection("127.0.0.1", self.host.node.port, timeout=15)
        try:
            headers = {name: value for name, value in asked.headers.items() if name != "connection"}
            connection.request(asked.method, asked.path, asked.body or None, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def close(self) -> None:
        self._server.close()


def at(path: str, lie: Callable[[Answer], Answer], method: str = "GET") -> Alters:
    """Return an alteration of what is answered where `path` is a part of the path."""

    def alter(asked: Asked, answer: Answer) -> Answer:
        return lie(answer) if path in asked.path and asked.method == method else answer

    return alter
