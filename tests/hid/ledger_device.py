"""A Ledger in software, its wire side: a peer to test against, not part of the program.

It follows what its maker publishes of the application Solana: framing, requests in several parts, which messages it
takes and what it answers, SLIP-0010 below 44'/501'. Nothing of the code under test is used. It can be told to lie.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from mnemonic import Mnemonic

WORDS = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about"
DOMAIN = b"\xffsolana offchain"
SEED_NAME = b"ed25519 seed"

LIES = (
    "silent",
    "short-packet",
    "other-channel",
    "other-tag",
    "out-of-order",
    "long-length",
    "no-length",
    "no-status",
    "early-answer",
    "no-signature",
    "short-signature",
    "flipped-signature",
    "other-text",
    "other-key",
    "no-header",
    "key-again",
)
"""What it can be told to do wrong when it signs."""


class RefusedError(Exception):
    """A status other than success."""


@dataclass
class LedgerDevice:
    """One device.

    Args:
        send: called with each packet that goes to the host.
        words: its mnemonic.
        app: which application is open.
        version: of it.
        locked: it wants its PIN.
        refuses: its owner refuses what it shows.
        never_pressed: nobody looks at it.
        lie: one of `LIES`.
        status: what every request is answered with instead of an answer, 0 to 65535.
        max_message: longest message that its application takes, bytes.
    """

    send: Callable[[bytes], None]
    words: str = WORDS
    app: str = "Solana"
    version: str = "1.9.2"
    locked: bool = False
    refuses: bool = False
    never_pressed: bool = False
    lie: str | None = None
    status: int | None = None
    max_message: int = 1232
    shown: list[str] = field(default_factory=list)
    requests: list[bytes] = field(default_factory=list)
    on_button: Callable[[], None] | None = None

    def __post_init__(self) -> None:
        self._partial = b""
        self._length = 0
        self._number = 0
        self._path: list[int] | None = None
        self._message = b""

    def leave(self) -> None:
        """Do nothing: it waits for nobody by itself."""

    def receive(self, packet: bytes) -> None:
        """Take a packet from the host."""
        channel, tag, number = struct.unpack(">HBH", packet[:5])
        assert (channel, tag) == (0x0101, 0x05) and len(packet) == 64
        if number == 0:
            self._length, self._partial, self._number = struct.unpack(">H", packet[5:7])[0], packet[7:], 0
        else:
            self._number += 1
            assert number == self._number
            self._partial += packet[5:]
        if len(self._partial) >= self._length:
            self._take(self._partial[: self._length])

    def _take(self, request: bytes) -> None:
        self.requests.append(request)
        head, data = request[:4], request[5:]
        assert len(data) == request[4]
        try:
            answer = self._answer(head, data)
        except RefusedError as error:
            self._reply(b"", int(str(error)))
            return
        if answer is not None:
            self._reply(answer, 0x9000)

    def _answer(self, head: bytes, data: bytes) -> bytes | None:
        if self.status is not None:
            raise RefusedError(self.status)
        if self.locked:
            raise RefusedError(0x5515)
        if head[:2] == b"\xb0\x01":
            fields = (self.app.encode(), self.version.encode(), b"\x02")
            return b"\x01" + b"".join(bytes([len(item)]) + item for item in fields)
        if self.app != "Solana" or head[0] != 0xE0:
            raise RefusedError(0x6E00)
        if head[1] == 0x04:
            return bytes([0, 0, *map(int, self.version.split("."))])
        if head[1] == 0x05:
            path, rest = _path(data)
            assert not rest
            if self.lie == "no-key":
                return bytes(32)
            return public(self._derived(path))[: 31 if self.lie == "short-key" else 32]
        if head[1] == 0x07 and tuple(map(int, self.version.split("."))) >= (1, 3, 0):
            return self._sign(head, data)
        raise RefusedError(0x6D00)

    def _sign(self, head: bytes, data: bytes) -> bytes | None:
        if head[3] & 1:
            if self._path is None:
                raise RefusedError(0x6A80)
            self._message += data
        else:
            if data[0] != 1:
                raise RefusedError(0x6A80)
            self._path, self._message = _path(data[1:])
        if len(self._message) > self.max_message:
            raise RefusedError(0x6A83)
        if head[3] & 2:
            return b"more" if self.lie == "early-answer" else b""
        path, message = self._path, self._message
        self._path, self._message = None, b""
        if head[2] != 1:
            raise RefusedError(0x6808)
        key = self._derived(path)
        text = self._text(message, public(key))
        self.shown.append(text)
        if self.on_button is not None:
            self.on_button()
        if self.never_pressed or self.lie == "silent":
            return None
        if self.refuses:
            raise RefusedError(0x6985)
        return self._signature(path, message)

    def _text(self, message: bytes, signer: bytes) -> str:
        """Read a message as the application does, and return the text that it shows."""
        if self.lie == "no-header" or message[:17] != DOMAIN + b"\0" or len(message) < 85:
            raise RefusedError(0x6A81)
        count = message[50]
        signers = [message[51 + 32 * n : 83 + 32 * n] for n in range(count)]
        length, text = message[51 + 32 * count : 53 + 32 * count], message[53 + 32 * count :]
        if message[49] > 1 or not count or len(text) != int.from_bytes(length, "little") or not text:
            raise RefusedError(0x6A81)
        if signer not in signers:
            raise RefusedError(0x6A81)
        if any(not 0x20 <= letter <= 0x7E for letter in text):
            raise RefusedError(0x6A82 if message[49] == 0 else 0x6808)
        return text.decode("ascii")

    def _signature(self, path: list[int], message: bytes) -> bytes:
        key = self._derived(path if self.lie != "other-key" else [*path[:-1], path[-1] ^ 1])
        signed = message[:-1] + bytes([message[-1] ^ 1]) if self.lie == "other-text" else message
        signature = Ed25519PrivateKey.from_private_bytes(key).sign(signed)
        return {
            "no-signature": b"",
            "short-signature": signature[:-1],
            "flipped-signature": signature[:9] + bytes([signature[9] ^ 4]) + signature[10:],
            "key-again": public(key),
        }.get(self.lie or "", signature)

    def _derived(self, path: list[int]) -> bytes:
        if path[:2] != [0x8000002C, 0x800001F5]:
            raise RefusedError(0x6A84)
        digest = hmac.new(SEED_NAME, Mnemonic.to_seed(self.words), hashlib.sha512).digest()
        for step in path:
            digest = hmac.new(digest[32:], b"\0" + digest[:32] + struct.pack(">I", step), hashlib.sha512).digest()
        return digest[:32]

    def _reply(self, answer: bytes, status: int) -> None:
        message = answer + struct.pack(">H", status)
        is_signature = bool(self.shown) and len(answer) > 32
        lie = self.lie if is_signature else None
        sent = packets(message[:1] if lie == "no-status" else message)
        if lie == "short-packet":
            sent[0] = sent[0][:40]
        if lie == "other-channel":
            sent[0] = b"\x01\x02" + sent[0][2:]
        if lie == "other-tag":
            sent[0] = sent[0][:2] + b"\x02" + sent[0][3:]
        if lie == "out-of-order":
            sent.reverse()
        if lie in ("long-length", "no-length"):
            sent[0] = sent[0][:5] + (b"\xff\xff" if lie == "long-length" else b"\0\0") + sent[0][7:]
        for packet in sent:
            self.send(packet)


def packets(message: bytes) -> list[bytes]:
    """Cut a message into packets."""
    stream = struct.pack(">H", len(message)) + message
    parts = [stream[at : at + 59] for at in range(0, len(stream), 59)]
    return [(struct.pack(">HBH", 0x0101, 5, number) + part).ljust(64, b"\0") for number, part in enumerate(parts)]


def public(key: bytes) -> bytes:
    """Return the public key of 32 bytes of an Ed25519 seed."""
    return Ed25519PrivateKey.from_private_bytes(key).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def _path(data: bytes) -> tuple[list[int], bytes]:
    end = 1 + 4 * data[0]
    return [int(step) for step in struct.unpack(f">{data[0]}I", data[1:end])], data[end:]
