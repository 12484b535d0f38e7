"""As little of a provider as can be: ``bench/bare_provider.py PORT FILE CHECKPOINT_PAGES``.

One connection, one thread, one request at a time: receive a blob, verify its manifest's signature and its content's
hash, write it into one table of SQLite, sync, answer. No routes, no tokens, no limits, no other client, and the log is
copied back while the client waits for nothing. What such a program reaches is what one client can get from Python on
this machine.
"""

from __future__ import annotations

import contextlib
import hashlib
import socket
import sys
from pathlib import Path

import apsw
from nacl import bindings

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.raw_sqlite import open_table
from walletcli.core.cose import Sign1, sig_structure
from walletcli.core.manifest import Manifest

_ANSWER = b"HTTP/1.1 204 No Content\r\nConnection: keep-alive\r\n\r\n"  # wrk counts no answer without a field
_LONGEST_BYTES = 1 << 20


def serve(sock: socket.socket, path: str, checkpoint_pages: int) -> None:
    """Answer one connection until it ends."""
    connection, log = open_table(path)
    cursor = connection.cursor()
    buffer = memoryview(bytearray(_LONGEST_BYTES))
    while True:
        have, head = 0, b""
        while b"\r\n\r\n" not in head:
            received = sock.recv_into(buffer[have:])
            if not received:
                return
            have += received
            head = bytes(buffer[: min(have, 1024)])
        end = head.index(b"\r\n\r\n") + 4
        at = head.find(b"Content-Length: ") + 16
        whole = end + int(head[at : head.find(b"\r\n", at)])
        while have < whole:
            have += sock.recv_into(buffer[have:whole])
        start = end + 2 + int.from_bytes(buffer[end : end + 2], "big")
        said, content = Sign1.from_bytes(bytes(buffer[end + 2 : start]), 512), buffer[start:whole]
        bindings.crypto_sign_open(said.signature + sig_structure(said.typ, said.signer, said.payload), said.signer)
        if hashlib.sha256(content).digest() != Manifest.from_payload(said.payload).content_hash:
            return
        cursor.execute("BEGIN IMMEDIATE")
        cursor.execute("INSERT INTO blob(data) VALUES(?)", (content,))
        cursor.execute("COMMIT")
        sock.sendall(_ANSWER)
        if log[0] >= checkpoint_pages:
            connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)


def main() -> None:
    """Wait for connections, one after the other."""
    port, path, checkpoint_pages = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    with socket.create_server(("127.0.0.1", port)) as listener:
        print("ready", flush=True)
        number = 0
        while True:
            sock, _ = listener.accept()
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            number += 1
            with sock, contextlib.suppress(ConnectionError):
                serve(sock, f"{path}{number}", checkpoint_pages)


if __name__ == "__main__":
    main()
