"""The framing of a Ledger: messages cut into packets of 64 bytes, and packets put together again.

Pure: nothing is read, written or waited for. Whatever a device sends ends in a message, in nothing, or in one of our
errors.

Spec: docs/spec/ledger.md, "Framing".
"""

from __future__ import annotations

from typing import Final

from walletcli.errors import SignerError

PACKET_BYTES: Final = 64
"""Length of a packet in either direction."""

MAX_MESSAGE_BYTES: Final = 260
"""Longest message: a request of 5 bytes and 255 of data; an answer has 2 bytes of status behind its data."""

_HEAD: Final = b"\x01\x01\x05"
_FIRST_DATA_BYTES: Final = PACKET_BYTES - 7
_NEXT_DATA_BYTES: Final = PACKET_BYTES - 5


def to_packets(message: bytes) -> list[bytes]:
    """Cut a message of 1 to 260 bytes into packets of 64 bytes."""
    assert 1 <= len(message) <= MAX_MESSAGE_BYTES
    parts = [len(message).to_bytes(2, "big") + message[:_FIRST_DATA_BYTES]]
    for start in range(_FIRST_DATA_BYTES, len(message), _NEXT_DATA_BYTES):
        parts.append(message[start : start + _NEXT_DATA_BYTES])
    framed = (_HEAD + number.to_bytes(2, "big") + part for number, part in enumerate(parts))
    return [packet.ljust(PACKET_BYTES, b"\0") for packet in framed]


class PacketReassembly:
    """Puts the packets of one message together."""

    def __init__(self) -> None:
        self._number = 0
        self._length_bytes = 0
        self._data = b""

    def feed(self, packet: bytes) -> bytes | None:
        """Take one packet; return the message that it ends, or None.

        Raises:
            SignerError: ``ledger.bad-answer`` for a packet that no device sends.
        """
        if len(packet) != PACKET_BYTES:
            raise bad_answer(f"a packet of {len(packet)} bytes")
        if packet[:3] != _HEAD:
            raise bad_answer("a packet of another channel or kind")
        if packet[3:5] != self._number.to_bytes(2, "big"):
            raise bad_answer("a packet out of order")
        if self._number == 0:
            self._length_bytes = int.from_bytes(packet[5:7], "big")
            if not 1 <= self._length_bytes <= MAX_MESSAGE_BYTES:
                raise bad_answer(f"a message of {self._length_bytes} bytes")
            self._data = packet[7:]
        else:
            self._data += packet[5:]
        self._number += 1
        if len(self._data) < self._length_bytes:
            return None
        message = self._data[: self._length_bytes]
        self._number, self._data = 0, b""
        return message


def bad_answer(what: str) -> SignerError:
    """Return the error for a device that does not follow the protocol."""
    return SignerError(
        "ledger.bad-answer",
        f"the device gave an answer that it should not: {what}",
        "close other programs that use it, take it out, put it in again and try once more",
    )
