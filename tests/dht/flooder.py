"""Sends garbage of all kinds to UDP ports of loopback until it is killed, from fifty addresses."""

from __future__ import annotations

import os
import socket
import sys

PING = b"d1:ad2:id20:qqqqqqqqqqqqqqqqqqqqe1:q4:ping1:t2:aa1:y1:qe"
KINDS = [
    os.urandom(900),
    b"l" * 1400,
    b"d1:a" * 300,
    b"d1:rd2:id20:" + b"s" * 20 + b"e1:t8:abcdefgh1:y1:re",
    b"d1:ad2:id20:" + b"s" * 20 + b"6:target20:" + b"t" * 20 + b"e1:q3:get1:t2:aa1:y1:qe",
    b"x" * 9000,
    PING,
]


def main(ports: list[int]) -> None:
    """Send, and never read."""
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(50)]
    for number, sock in enumerate(sockets):
        sock.bind((f"127.7.{number}.1", 0))
    print("sending", flush=True)
    while True:
        for sock in sockets:
            for data in KINDS:
                for port in ports:
                    sock.sendto(data, ("127.0.0.1", port))


if __name__ == "__main__":
    main([int(port) for port in sys.argv[1:]])
