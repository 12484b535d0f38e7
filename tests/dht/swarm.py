"""A DHT of strangers on loopback: libtorrent nodes in this process, npm bittorrent-dht in another."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import libtorrent
from nacl.signing import SigningKey

from scripts import swarm as strangers
from walletcli.core import bep44
from walletcli.dht.contacts import Address
from walletcli.dht.mainline import Mainline
from walletcli.dht.messages import Item
from walletcli.dht.settings import Settings

PEERS = Path(__file__).parents[1] / "peers"
READY_S = 60.0
_SHUFFLE = secrets.SystemRandom()


class Swarm:
    """libtorrent nodes that know each other; they can be killed one by one."""

    def __init__(self, count: int, host: str = "127.0.0.1", **settings: Any) -> None:
        self._host = host
        self._settings = settings
        self.nodes: dict[Address, libtorrent.session] = {}
        self.add(count)

    def add(self, count: int) -> None:
        """Start more nodes, and introduce everybody to sixteen others."""
        self.nodes |= strangers.start(count, self._host, **self._settings)
        strangers.introduce(self.nodes)

    def replace(self) -> None:
        """End all, and have as many others in their place, who never knew them."""
        others = strangers.start(len(self.nodes), self._host, **self._settings)
        strangers.introduce(others)
        self.nodes = others

    @property
    def addresses(self) -> list[Address]:
        """Of all nodes that live."""
        return list(self.nodes)

    def kill(self, count: int) -> None:
        """End some, chosen at random, without a word to anybody."""
        for address in _SHUFFLE.sample(self.addresses, count):
            del self.nodes[address]

    def close(self) -> None:
        """End all."""
        self.nodes.clear()


@contextlib.contextmanager
def swarm_of(count: int, host: str = "127.0.0.1", **settings: Any) -> Iterator[Swarm]:
    """A swarm for one test."""
    swarm = Swarm(count, host, **settings)
    try:
        yield swarm
    finally:
        swarm.close()


class NpmNodes:
    """npm bittorrent-dht's nodes, in a process that talks JSON."""

    def __init__(self, count: int, members: Sequence[Address]) -> None:
        if not (PEERS / "node_modules").is_dir():
            raise FileNotFoundError("npm's peers are not installed: run `make peers`")
        names = [f"{host}:{port}" for host, port in members]
        self._process = subprocess.Popen(
            ["node", "mainline.mjs", str(count), *names],
            cwd=PEERS,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.addresses: list[Address] = [("127.0.0.1", port) for port in self._read()["ports"]]

    def _read(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def ask(self, question: dict[str, object]) -> Any:
        """Ask something, see mainline.mjs; None where nothing is found."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        answer = self._read()
        assert "error" not in answer, answer
        return answer["answer"]

    def close(self) -> None:
        """End them."""
        self._process.kill()
        self._process.communicate()


@contextlib.contextmanager
def npm_nodes(count: int, members: Sequence[Address]) -> Iterator[NpmNodes]:
    """npm's nodes for one test."""
    nodes = NpmNodes(count, members)
    try:
        yield nodes
    finally:
        nodes.close()


@contextlib.asynccontextmanager
async def joined(peers: Sequence[Address], **settings: Any) -> AsyncIterator[Mainline]:
    """Our own member, in a private DHT."""
    mainline = await Mainline.join(
        Settings((("127.0.0.1", 0),), bootstrap=(), peers=tuple(peers), private=True, **settings)
    )
    try:
        await until(lambda: mainline.session.nodes >= min(len(peers), 4))
        yield mainline
    finally:
        await mainline.close()


async def until(condition: Any) -> None:
    """Wait for something that has to happen."""
    async with asyncio.timeout(READY_S):
        while not condition():  # noqa: ASYNC110 - libtorrent tells nobody when its table fills
            await asyncio.sleep(0.02)


def new_key() -> SigningKey:
    """A key that is used once."""
    return SigningKey.generate()


def signed(key: SigningKey, value: bytes = b"a record", seq: int = 1) -> Item:
    """An item as its owner signs it."""
    return Item(bytes(key.verify_key), seq, bytes(key.sign(bep44.signable(seq, value)).signature), value)
