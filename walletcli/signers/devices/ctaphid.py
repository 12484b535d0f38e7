"""CTAPHID framing: messages cut into packets of 64 bytes, and packets put together again.

Pure: nothing is read, written or waited for. Whatever a device sends ends in a message, in nothing, or in one of our
errors.

Spec: CTAP 2.1, section 11.2.4 ("CTAPHID protocol structure"); docs/spec/fido2.md, "Transport".
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from walletcli.errors import SignerError

PACKET_BYTES: Final = 64
"""Length of a packet in either direction."""

BROADCAST: Final = 0xFFFFFFFF
"""The channel on which a channel is asked for."""

MAX_MESSAGE_BYTES: Final = 57 + 128 * 59
"""Longest message: one initial packet and 128 that continue it."""

_FIRST_DATA_BYTES = PACKET_BYTES - 7
_NEXT_DATA_BYTES = PACKET_BYTES - 5
_INITIAL = 0x80


class Command(IntEnum):
    """What a message is about."""

    INIT = 0x06
    CBOR = 0x10
    CANCEL = 0x11
    KEEPALIVE = 0x3B
    ERROR = 0x3F


@dataclass(frozen=True, slots=True)
class Message:
    """A whole message.

    Args:
        command: 0 to 127.
        data: at most 7609 bytes.
    """

    command: int
    data: bytes


def to_packets(channel: int, message: Message) -> list[bytes]:
    """Cut a message into packets.

    Args:
        channel: 32 bits.
        message: what is sent.

    Raises:
        SignerError: ``key.message-too-long``.
    """
    if len(message.data) > MAX_MESSAGE_BYTES:
        raise SignerError(
            "key.message-too-long",
            f"a message of {len(message.data)} bytes is more than a security key takes, {MAX_MESSAGE_BYTES}",
            "use another security key",
        )
    head = channel.to_bytes(4, "big")
    first = head + bytes([_INITIAL | message.command]) + len(message.data).to_bytes(2, "big")
    made = [first + message.data[:_FIRST_DATA_BYTES]]
    for number, start in enumerate(range(_FIRST_DATA_BYTES, len(message.data), _NEXT_DATA_BYTES)):
        made.append(head + bytes([number]) + message.data[start : start + _NEXT_DATA_BYTES])
    return [packet.ljust(PACKET_BYTES, b"\0") for packet in made]


class Reassembly:
    """Puts the packets of one channel together; those of other channels belong to other programs and are passed over.

    Args:
        channel: 32 bits.
    """

    def __init__(self, channel: int) -> None:
        self._head = channel.to_bytes(4, "big")
        self._command = 0
        self._length_bytes = 0
        self._data = b""
        self._next = -1  # number of the packet that must follow; -1: a message must begin

    def feed(self, packet: bytes) -> Message | None:
        """Take one packet; return the message that it ends, or None.

        Raises:
            SignerError: ``key.bad-answer`` for a packet that no key sends.
        """
        if len(packet) != PACKET_BYTES:
            raise bad_answer(f"a packet of {len(packet)} bytes")
        if packet[:4] != self._head:
            return None
        if packet[4] & _INITIAL:
            self._begin(packet)
        else:
            self._continue(packet)
        if len(self._data) < self._length_bytes:
            return None
        self._next = -1
        return Message(self._command, self._data[: self._length_bytes])

    def _begin(self, packet: bytes) -> None:
        if self._next >= 0:
            raise bad_answer("a message inside of a message")
        self._command = packet[4] & ~_INITIAL
        self._length_bytes = int.from_bytes(packet[5:7], "big")
        if self._length_bytes > MAX_MESSAGE_BYTES:
            raise bad_answer(f"a message of {self._length_bytes} bytes")
        self._data = packet[7:]
        self._next = 0

    def _continue(self, packet: bytes) -> None:
        if packet[4] != self._next:
            raise bad_answer("a packet out of order")
        self._data += packet[5:]
        self._next += 1


def bad_answer(what: str) -> SignerError:
    """Return the error for a device that does not follow the protocol."""
    return SignerError(
        "key.bad-answer",
        f"the security key gave an answer that it should not: {what}",
        "take it out, put it in again and try once more; use another one if that does not help",
    )
