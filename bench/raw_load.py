"""Sends prepared requests over some connections, each the next one when its last is answered.

``bench/raw_load.py HOST PORT CONNECTIONS FILE``. FILE holds requests, each behind its length (4 bytes, big-endian).
Prints one line of JSON: how many were answered, in how many seconds, and how many of them not with 2xx.
"""

from __future__ import annotations

import json
import mmap
import selectors
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path


def requests_of(path: Path) -> Iterator[memoryview]:
    """Yield the requests of a file."""
    with path.open("rb") as file:
        data = memoryview(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ))
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        yield data[at + 4 : at + 4 + size]
        at += 4 + size


class Sender:
    """One connection.

    Args:
        sock: connected.
        requests: where the next request comes from.
    """

    def __init__(self, sock: socket.socket, requests: Iterator[memoryview]) -> None:
        self.sock = sock
        self._requests = requests
        self._left = memoryview(b"")
        self._received = b""
        self._size = 0
        self.refused = 0

    def next(self) -> bool:
        """Begin the next request; False if there is none."""
        request = next(self._requests, None)
        if request is None:
            return False
        self._left, self._received, self._size = request, b"", 0
        self.send()
        return True

    def send(self) -> bool:
        """Send what the socket takes; True if something is left."""
        try:
            while self._left:
                self._left = self._left[self.sock.send(self._left) :]
        except BlockingIOError:
            return True
        return False

    @property
    def is_sending(self) -> bool:
        """Whether something of the request is left."""
        return bool(self._left)

    def receive(self) -> bool:
        """Take what came; True if the answer is whole."""
        piece = self.sock.recv(262_144)
        if not piece:
            raise RuntimeError(f"the connection ended: {self._received[:200]!r}")
        if self._size:
            self._size -= len(piece)
            return self._size == 0
        self._received += piece
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end:
            return False
        self.refused += head[9:10] != b"2"
        length = head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]
        self._size = int(length or b"0") - len(body)
        return self._size == 0


def main() -> None:
    host, port, connections, path = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
    requests, selector, answered = requests_of(path), selectors.DefaultSelector(), 0
    senders = []
    for _ in range(connections):
        sock = socket.create_connection((host, port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setblocking(False)
        senders.append(Sender(sock, requests))
    started = time.monotonic()
    running = 0
    for sender in senders:
        if sender.next():
            running += 1
            selector.register(sender.sock, selectors.EVENT_READ | selectors.EVENT_WRITE, sender)
    while running:
        for ready, events in selector.select():
            sender = ready.data
            if events & selectors.EVENT_WRITE:
                if not sender.send():
                    selector.modify(sender.sock, selectors.EVENT_READ, sender)
                continue
            if not sender.receive():
                continue
            answered += 1
            if not sender.next():
                selector.unregister(sender.sock)
                running -= 1
            elif sender.is_sending:
                selector.modify(sender.sock, selectors.EVENT_READ | selectors.EVENT_WRITE, sender)
    seconds = time.monotonic() - started
    print(json.dumps({"answered": answered, "seconds": seconds, "refused": sum(item.refused for item in senders)}))


if __name__ == "__main__":
    main()
