"""The node's own connection handling with one constant for an answer: ``bench/constant.py PORT BYTES``.

What is left out is what a node does for an answer: routing, limits, the store, and the head.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from walletcli.node.clock import Clock
from walletcli.node.http import Connection
from walletcli.node.request import BodyLimit, Client, Request
from walletcli.node.wire import Answers


class Constant:
    """Gives the same answer to everything, turn by turn of the event loop as the node does.

    Args:
        length_bytes: length of the body.
        loop: the event loop.
    """

    def __init__(self, length_bytes: int, loop: asyncio.AbstractEventLoop) -> None:
        self.answers = Answers()
        self.clock = Clock(0.0)
        payload = bytes(71) + b"\1" + bytes(length_bytes - 72)
        self._answer = self.answers.packet(payload)
        self._loop = loop
        self._turn: list[Connection] = []

    def body_limit(
        self, method: bytes, target: bytes, headers: dict[bytes, bytes], client: Client, length_bytes: int | None
    ) -> BodyLimit:
        """Take no body."""
        return BodyLimit(0, "packet.too-long")

    def submit(self, request: Request, connection: Connection) -> None:
        """Take a request; it is answered at the end of this turn."""
        if not self._turn:
            self._loop.call_soon(self._serve)
        self._turn.append(connection)

    def _serve(self) -> None:
        turn, self._turn = self._turn, []
        for connection in turn:
            connection.finish(self._answer)

    def answered(self, method: bytes, status: bytes) -> None:
        """Count nothing."""

    def closed(self, connection: Connection) -> None:
        """Remember nothing."""


async def serve(port: int, length_bytes: int) -> None:
    """Serve until the process is ended."""
    loop = asyncio.get_running_loop()
    handler = Constant(length_bytes, loop)
    client = Client(b"\x7f\0\0\1", False)
    server = await loop.create_server(lambda: Connection(handler, client), "127.0.0.1", port)
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), int(sys.argv[2])))
