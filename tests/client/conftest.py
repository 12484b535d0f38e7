"""Servers that live as long as a test."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.client.servers import Conversation, Server, Shelf


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[[Conversation], None]], Server]]:
    """Return a function that starts a server which runs a script for each connection."""
    servers: list[Server] = []

    def start(converse: Callable[[Conversation], None]) -> Server:
        servers.append(Server(converse))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def relay(serve: Callable[[Callable[[Conversation], None]], Server]) -> Callable[..., tuple[Shelf, Server]]:
    """Return a function that starts an honest relay and returns its shelf and its server."""

    def start(*, keeps_documents: bool = True) -> tuple[Shelf, Server]:
        shelf = Shelf(keeps_documents=keeps_documents)
        return shelf, serve(shelf.converse)

    return start
