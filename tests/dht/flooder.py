"""Sends garbage of all kinds to a UDP port of loopback until it is killed, from fifty addresses."""

from __future__ import annotations

import os
import socket
import sys

PING = b"d1:ad2:id20:qqqqqqqqqqqqqqqqqqqqe1:q4:ping1:t2:aa1:y1:qe"
KINDS = [
    os.urandom(900),
    b"l" * 1400,
    b"d1:a" * 300,
    b"d1:rd2:id20:" + b"s" * 20 + b"e1:t4:abcd1:y1:re",
    b"x" * 9000,
    PING,
]


def main(port: int) -> None:
    """Send, and never read."""
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(50)]
    for number, sock in enumerate(sockets):
        sock.bind((f"127.7.{number}.1", 0))
    print("sending", flush=True)
    while True:
        for sock in sockets:
            for data in KINDS:
                sock.sendto(data, ("127.0.0.1", port))


if __name__ == "__main__":
    main(int(sys.argv[1]))
