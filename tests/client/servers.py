"""Relays for tests: one that is honest and holds what it is told, and one that does whatever a script says."""

from __future__ import annotations

import contextlib
import hashlib
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from walletcli.core.encodings import z32_encode
from walletcli.core.packet import SignedPacket
from walletcli.core.record import Record
from walletcli.net.addresses import NodeAddress
from walletcli.net.tls import make_certificate, server_context, spki_pin_of_pem


@dataclass(frozen=True)
class Asked:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    head: bytes


class Conversation:
    """One connection, from the server's side."""

    def __init__(self, sock: socket.socket, number: int, ends: threading.Event) -> None:
        self.sock = sock
        self.number = number
        self.ends = ends
        self._buffer = b""

    def read(self) -> Asked | None:
        """Read one request; None when the client has gone."""
        while b"\r\n\r\n" not in self._buffer:
            if not self._more():
                return None
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        first, *lines = head.decode("ascii").split("\r\n")
        method, path, _ = first.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        size = int(headers.get("content-length", "0"))
        while len(self._buffer) < size:
            if not self._more():
                return None
        body, self._buffer = self._buffer[:size], self._buffer[size:]
        return Asked(method, path, headers, body, head)

    def _more(self) -> bool:
        data = self.sock.recv(65_536)
        self._buffer += data
        return bool(data)

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def answer(self, status: int, body: bytes = b"", *headers: str) -> None:
        lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *headers, "", ""]
        self.send("\r\n".join(lines).encode() + body)

    def drip(self, data: bytes, pause_s: float = 0.02) -> None:
        """Send for ever, a byte at a time."""
        while not self.ends.wait(pause_s):
            for byte in data:
                self.send(bytes([byte]))
                if self.ends.wait(pause_s):
                    return

    def flood(self, data: bytes) -> None:
        """Send for ever, as fast as it goes."""
        while not self.ends.is_set():
            self.send(data)

    def hang(self) -> None:
        """Say nothing until the test is over."""
        self.ends.wait()


class Server:
    """Listens on loopback and gives each connection to `converse`, in a thread of its own."""

    def __init__(self, converse: Callable[[Conversation], None], tls: ssl.SSLContext | None = None) -> None:
        self._converse = converse
        self._tls = tls
        self._ends = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def address(self) -> NodeAddress:
        return NodeAddress.from_text(f"http://127.0.0.1:{self.port}")

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._sockets.append(sock)
            thread = threading.Thread(target=self._serve, args=(sock, self.connections), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError):
            if self._tls is not None:
                sock = self._tls.wrap_socket(sock, server_side=True)
                self._sockets.append(sock)
            with sock:
                self._converse(Conversation(sock, number, self._ends))

    def close(self) -> None:
        self._ends.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        for thread in self._threads:
            thread.join(5)


@dataclass
class Shelf:
    """What an honest relay holds, and what it was asked."""

    packets: dict[bytes, SignedPacket] = field(default_factory=dict)
    documents: dict[bytes, bytes] = field(default_factory=dict)
    beside: dict[bytes, bytes] = field(default_factory=dict)
    keeps_documents: bool = True
    is_broken: bool = False
    asked: list[Asked] = field(default_factory=list)
    sample: bytes | None = None
    """Keys that it names when asked for some, or None if it does not know the question."""

    def put(self, record: Record, *, document: bool = True) -> None:
        self.packets[record.packet.public_key] = record.packet
        if record.document is not None and document:
            data = record.document.to_bytes()
            self.documents[hashlib.sha256(data).digest()] = data
            if record.beside is not None:
                self.beside[hashlib.sha256(data).digest()] = record.beside.to_bytes()

    def converse(self, conversation: Conversation) -> None:
        while (asked := conversation.read()) is not None:
            self.asked.append(asked)
            conversation.answer(*self.decide(asked))

    def decide(self, asked: Asked) -> tuple[int, bytes]:
        if self.is_broken:
            return 500, b""
        if asked.path.startswith("/document/"):
            return self._document(asked) if self.keeps_documents else (400, b"Invalid key")
        if asked.path == "/sample":
            return (404, b"") if self.sample is None else (200, self.sample)
        held = {z32_encode(key): key for key in self.packets}.get(asked.path[1:])
        if asked.method == "PUT":
            return self._put_packet(asked)
        return (404, b"") if held is None else (200, self.packets[held].to_relay_payload())

    def _document(self, asked: Asked) -> tuple[int, bytes]:
        path = asked.path.removeprefix("/document/")
        shelf = self.beside if path.endswith("/approvals") else self.documents
        name = bytes.fromhex(path.removesuffix("/approvals"))
        if asked.method == "PUT":
            shelf[name] = asked.body
            return 204, b""
        return (200, shelf[name]) if name in shelf else (404, b"")

    def _put_packet(self, asked: Asked) -> tuple[int, bytes]:
        from walletcli.core.encodings import z32_decode

        packet = SignedPacket.from_relay_payload(z32_decode(asked.path[1:], 32), asked.body)
        held = self.packets.get(packet.public_key)
        if held is not None and (held.seq > packet.seq or (held.seq == packet.seq and held.value != packet.value)):
            return 409, b"packet.conflict: a newer one is here\n"
        self.packets[packet.public_key] = packet
        return 204, b""


@dataclass(frozen=True)
class TlsFiles:
    """A node's TLS identity on disk."""

    certificate: Path
    key: Path
    pin: bytes

    @classmethod
    def make(cls, directory: Path, name: str = "tls") -> TlsFiles:
        key_pem, certificate_pem = make_certificate()
        key, certificate = directory / f"{name}.key", directory / f"{name}.crt"
        key.write_bytes(key_pem.reveal())
        certificate.write_bytes(certificate_pem)
        return cls(certificate, key, spki_pin_of_pem(certificate_pem))

    @property
    def context(self) -> ssl.SSLContext:
        return server_context(self.certificate, self.key)
