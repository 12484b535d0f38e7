"""Nodes that do what they like, as sockets on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from walletcli.core import bencode
from walletcli.dht.contacts import Address, Contact, write_contacts
from walletcli.dht.endpoint import Endpoint
from walletcli.dht.look_up import Found, LookUp

TARGET = b"t" * 20
"""What is looked for."""

Reply = Callable[["Stranger", dict[bytes, Any], Address], None]
"""Does something about a query that came from an address."""


class Stranger:
    """A node with a script.

    Args:
        reply: what it does about queries.
        node_id: 20 bytes.
        host: where it is.
    """

    def __init__(self, reply: Reply, node_id: bytes, host: str = "127.0.0.1") -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((host, 0))
        self.address: Address = self.socket.getsockname()
        self.node_id = node_id
        self.asked: list[dict[bytes, Any]] = []
        self._reply = reply
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def contact(self) -> Contact:
        """How others name it."""
        return Contact(self.node_id, self.address)

    def _serve(self) -> None:
        while True:
            data, address = self.socket.recvfrom(65_536)
            if not data:
                return
            message: Any = bencode.decode(data)
            if message[b"y"] == b"q":
                self.asked.append(message)
                self._reply(self, message, address)

    def send(self, message: dict[bytes, Any], address: Address) -> None:
        """Send a message from its own address."""
        self.socket.sendto(bencode.encode(message), address)

    def answer(self, query: dict[bytes, Any], address: Address, **more: Any) -> None:
        """Answer as a decent node does, with `more` values."""
        values = {b"id": self.node_id, b"token": b"token", b"nodes": b""}
        values.update({name.encode(): value for name, value in more.items()})
        self.send({b"t": query[b"t"], b"y": b"r", b"r": values}, address)

    def close(self) -> None:
        """End it."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", self.address)
        self._thread.join(5)
        self.socket.close()


@contextlib.contextmanager
def stranger(reply: Reply, node_id: bytes = b"s" * 20, host: str = "127.0.0.1") -> Iterator[Stranger]:
    """A stranger for one test."""
    node = Stranger(reply, node_id, host)
    try:
        yield node
    finally:
        node.close()


def named(*contacts: Contact) -> bytes:
    """Nodes in compact form."""
    return write_contacts(list(contacts), ipv6=False)


@contextlib.asynccontextmanager
async def opened() -> AsyncIterator[Endpoint]:
    """An endpoint of ours that knows nobody."""
    endpoint = await Endpoint.open("127.0.0.1", 0, private=True)
    try:
        yield endpoint
    finally:
        endpoint.close()


def look_up(*seeds: Contact) -> Found:
    """Look for the target from these nodes on."""

    async def story() -> Found:
        async with opened() as endpoint:
            return await LookUp(endpoint, TARGET).run(seeds)

    return asyncio.run(story())
