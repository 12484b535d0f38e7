"""Connections of an agent's socket: a client that does not read its answers gets no more of them, and loses none."""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from walletcli.wallet.access.clients import Client, Clients

ANSWER = bytes(1 << 20)  # does not fit into what the kernel keeps for a socket


class Server:
    def __init__(self, listener: socket.socket) -> None:
        self.selector = selectors.DefaultSelector()
        self.taken = 0
        self.clients = Clients(listener, self.selector, 2, time.monotonic, Client, self._take)

    def _take(self, client: Client) -> None:
        while client.incoming:
            del client.incoming[:1]
            self.taken += 1
            client.outgoing += ANSWER

    def turn(self) -> None:
        """Do all that can be done now."""
        while events := self.selector.select(timeout=0):
            for key, mask in events:
                self.clients.handle(key, mask)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Server, socket.socket]]:
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as asking:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        server = Server(listener)
        asking.connect(str(tmp_path / "s"))
        yield server, asking
        for client in server.clients:
            server.clients.close(client)
        server.selector.close()


def test_who_reads_no_answer_is_asked_for_no_further_request(served: tuple[Server, socket.socket]) -> None:
    server, asking = served
    for _ in range(3):
        asking.sendall(b"?")
        server.turn()
    assert server.taken == 1
    (client,) = server.clients
    assert len(client.outgoing) < len(ANSWER)


def test_answers_that_had_to_wait_arrive_in_full(served: tuple[Server, socket.socket]) -> None:
    server, asking = served
    for _ in range(3):
        asking.sendall(b"?")
        server.turn()
    asking.setblocking(False)
    came = 0
    while came < 3 * len(ANSWER):
        try:
            came += len(asking.recv(1 << 16))
        except BlockingIOError:
            pytest.fail(f"nothing more is sent after {came} bytes")
        server.turn()
    assert server.taken == 3


def test_a_client_that_leaves_with_an_answer_under_way_is_forgotten(served: tuple[Server, socket.socket]) -> None:
    server, asking = served
    asking.sendall(b"?")
    server.turn()
    asking.close()
    server.turn()
    assert list(server.clients) == []
