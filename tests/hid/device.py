"""The device's side of CTAPHID before an `Authenticator`, and the lies that a bad device tells.

It knows nothing of how packets travel: `receive` takes one, and `send` is called with each that goes back. While it
waits for a touch it goes on sending keep-alives, as the standard asks.
"""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Callable
from typing import Any

from tests.hid.authenticator import Authenticator

PACKET = 64
BROADCAST = 0xFFFFFFFF
INIT, CBOR, CANCEL, KEEPALIVE, ERROR, PING = 0x06, 0x10, 0x11, 0x3B, 0x3F, 0x01
KEEPALIVE_S = 0.1
TOUCH_S = 120.0
"""How long it waits for a touch before it gives up."""

LIES = (
    "silent",
    "endless-keepalive",
    "wrong-channel",
    "wrong-command",
    "wrong-sequence",
    "short-packet",
    "long-length",
    "zero-length",
    "truncated-cbor",
    "garbage-cbor",
    "nested-cbor",
    "foreign-party",
    "not-touched",
    "other-credential",
    "short-secret",
    "always-busy",
    "bad-agreement",
)
"""What a device can be told to do wrong; most begin after the channel is open."""

FORGERIES = ("other-flags", "other-counter", "more-data")
"""What it can change in the data that it signs, after it has signed them."""


class Device:
    """One plugged-in key.

    Args:
        send: called with each packet that goes to the host.
        touches: how it is touched: "at-once" or "never".
        options: of the `Authenticator`.
    """

    def __init__(self, send: Callable[[bytes], None], touches: str = "at-once", **options: Any) -> None:
        self.authenticator = Authenticator(self._touched, **options)
        self.send = send
        self.touches = touches
        self.lie: str | None = None
        self.requests: list[int] = []
        self.on_touch: Callable[[], None] | None = None
        self._is_gone = False
        self._channels = 0x1000
        self._partial: dict[int, tuple[int, int, bytes]] = {}
        self._asking = BROADCAST
        self._cancelled = threading.Event()
        self._touched_now = threading.Event()
        self._busy = threading.Lock()

    def receive(self, packet: bytes) -> None:
        """Take a packet from the host."""
        channel, kind = struct.unpack_from(">IB", packet)
        if kind & 0x80:
            length = struct.unpack_from(">H", packet, 5)[0]
            self._partial[channel] = (kind & 0x7F, length, packet[7:])
        elif channel in self._partial:
            command, length, data = self._partial[channel]
            self._partial[channel] = (command, length, data + packet[5:])
        else:
            return
        command, length, data = self._partial[channel]
        if len(data) >= length:
            del self._partial[channel]
            self._take(channel, command, data[:length])

    def _take(self, channel: int, command: int, data: bytes) -> None:
        if command == CANCEL:
            self._cancelled.set()
        elif command == INIT:
            self._channels += 1
            self._reply(channel, INIT, data + struct.pack(">IBBBBB", self._channels, 2, 1, 0, 0, 0x04 | 0x08))
        elif command == PING:
            self._reply(channel, PING, data)
        elif command == CBOR:
            threading.Thread(target=self._answer, args=(channel, data), daemon=True).start()
        else:
            self._reply(channel, ERROR, b"\x01")

    def leave(self) -> None:
        """Stop waiting for anything: it was pulled out."""
        self._is_gone = True
        self._cancelled.set()

    def touch(self) -> None:
        """Touch it once."""
        self._touched_now.set()

    def _answer(self, channel: int, data: bytes) -> None:
        if not self._busy.acquire(blocking=False):
            self._reply(channel, ERROR, b"\x06")
            return
        try:
            answer = self._answer_to(channel, data)
        finally:
            self._busy.release()  # before the answer: whoever has read it may ask the next thing at once
        if answer is not None:
            self._lie_after(channel, answer) if self.lie is not None else self._reply(channel, CBOR, answer)

    def _answer_to(self, channel: int, data: bytes) -> bytes | None:
        self._asking = channel
        if not self._is_gone:
            self._cancelled.clear()
        self.requests.append(data[0] if data else 0)
        if self.lie is not None and self._lie_before(channel, self.lie):
            return None
        answer = self.authenticator.call(data)
        return answer if self.lie is None else changed(self.lie, data, answer)

    def _touched(self) -> bool:
        end = time.monotonic() + TOUCH_S
        if self.on_touch is not None:
            self.on_touch()
        while time.monotonic() < end and not self._cancelled.is_set():
            self._reply(self._asking, KEEPALIVE, b"\x02")
            if self.touches == "at-once" or self._touched_now.wait(KEEPALIVE_S):
                self._touched_now.clear()
                return True
        return False

    def _reply(self, channel: int, command: int, data: bytes) -> None:
        for packet in packets(channel, command, data):
            if not self._is_gone:
                self.send(packet)

    # Lies

    def _lie_before(self, channel: int, lie: str) -> bool:
        if lie == "silent":
            return True
        if lie == "always-busy":
            self._reply(channel, ERROR, b"\x06")
            return True
        if lie == "endless-keepalive":
            end = time.monotonic() + 90
            while time.monotonic() < end and not self._cancelled.wait(KEEPALIVE_S):
                self._reply(channel, KEEPALIVE, b"\x01")
            return True
        if lie == "wrong-channel":
            self._reply(channel ^ 1, CBOR, b"\0\xa0")
            return True
        if lie == "wrong-command":
            self._reply(channel, PING, b"\0\xa0")
            return True
        return False

    def _lie_after(self, channel: int, answer: bytes) -> None:
        sent = packets(channel, CBOR, answer.ljust(70, b"\0") if self.lie == "wrong-sequence" else answer)
        if self.lie == "wrong-sequence":
            sent[1] = sent[1][:4] + b"\x05" + sent[1][5:]
        elif self.lie == "short-packet":
            sent[0] = sent[0][:20]
        elif self.lie == "long-length":
            sent[0] = sent[0][:5] + b"\xff\xff" + sent[0][7:]
        elif self.lie == "zero-length":
            sent = packets(channel, CBOR, b"")
        for packet in sent:
            if not self._is_gone:
                self.send(packet)


def packets(channel: int, command: int, data: bytes) -> list[bytes]:
    """Cut a message into packets."""
    made = [struct.pack(">IBH", channel, 0x80 | command, len(data)) + data[:57]]
    made += [
        struct.pack(">IB", channel, number) + data[start : start + 59]
        for number, start in enumerate(range(57, len(data), 59))
    ]
    return [packet.ljust(PACKET, b"\0") for packet in made]


def changed(lie: str, request: bytes, answer: bytes) -> bytes:
    """Return what a lying device gives in the place of `answer`."""
    import cbor2

    if answer[:1] != b"\0":
        return answer
    if lie == "truncated-cbor":
        return answer[:-3]
    if lie == "garbage-cbor":
        return b"\0" + bytes(range(0x60, 0x90))
    if lie == "nested-cbor":
        return b"\0" + b"\x81" * 3000
    body = cbor2.loads(answer[1:]) if len(answer) > 1 else {}
    command = request[0]
    if lie == "bad-agreement" and command == 6 and 1 in body:
        body[1][-2] = bytes(32)
    if command in (1, 2):
        data = body[2]
        if lie == "foreign-party":
            body[2] = bytes(32) + data[32:]
        if lie == "not-touched":
            body[2] = data[:32] + bytes([data[32] & ~1]) + data[33:]
        if command == 2 and lie in FORGERIES:
            flags, counter = data[32] ^ (0x08 if lie == "other-flags" else 0), data[33:37]
            counter = bytes(4) if lie == "other-counter" else counter
            more = cbor2.dumps({"credProtect": 1}) if lie == "more-data" else b""
            body[2] = data[:32] + bytes([flags | (0x80 if more else 0)]) + counter + more
        if lie == "other-credential" and command == 2:
            body[1]["id"] = bytes(len(body[1]["id"]))
        if lie == "short-secret" and command == 2 and data[32] & 0x80:
            extensions = cbor2.loads(data[37:])
            extensions["hmac-secret"] = extensions["hmac-secret"][:-16]
            body[2] = data[:37] + cbor2.dumps(extensions, canonical=True)
    return b"\0" + (cbor2.dumps(body, canonical=True) if body else b"")
