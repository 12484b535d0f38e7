"""The node's own connection handling with one constant for an answer: ``bench/constant.py PORT BYTES``.

What is left out is what a node does for an answer: routing, limits, the store, and the head.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from walletcli.node.http import Clock, Connection
from walletcli.node.request import Client, Request
from walletcli.node.wire import Answers


class Constant:
    """Gives the same answer to everything.

    Args:
        length_bytes: length of the body.
    """

    def __init__(self, length_bytes: int) -> None:
        self.answers = Answers()
        self.clock = Clock(0.0)
        payload = bytes(71) + b"\1" + bytes(length_bytes - 72)
        self._answer = self.answers.packet(payload) + payload

    def body_limit(self, method: bytes, target: bytes) -> tuple[int, str]:
        """Take no body."""
        return 0, "packet.too-long"

    def handle(self, request: Request, connection: Connection) -> bytes:
        """Answer."""
        return self._answer

    def answered(self, method: bytes, status: bytes) -> None:
        """Count nothing."""

    def closed(self, connection: Connection) -> None:
        """Remember nothing."""


async def serve(port: int, length_bytes: int) -> None:
    """Serve until the process is ended."""
    handler = Constant(length_bytes)
    client = Client(b"\x7f\0\0\1", False)
    server = await asyncio.get_running_loop().create_server(lambda: Connection(handler, client), "127.0.0.1", port)
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), int(sys.argv[2])))
