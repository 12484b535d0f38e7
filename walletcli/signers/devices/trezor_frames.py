"""The framing of a Trezor: messages cut into reports of 64 bytes, and reports put together again.

Pure: nothing is read, written or waited for. Whatever a device sends ends in a message, in nothing, or in one of our
errors.

Spec: docs/spec/trezor.md, "Framing".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from walletcli.errors import SignerError

REPORT_BYTES: Final = 64
"""Length of a report in either direction."""

MAX_MESSAGE_BYTES: Final = 4096
"""Longest message that is taken from a device."""

_FIRST = b"?##"
_NEXT = b"?"
_FIRST_DATA_BYTES = REPORT_BYTES - 9
_NEXT_DATA_BYTES = REPORT_BYTES - 1


@dataclass(frozen=True, slots=True)
class TrezorMessage:
    """A whole message.

    Args:
        kind: its type, 0 to 65535.
        body: protocol buffer, at most 4096 bytes.
    """

    kind: int
    body: bytes = b""


def to_reports(message: TrezorMessage) -> list[bytes]:
    """Cut a message into reports of 64 bytes."""
    head = _FIRST + message.kind.to_bytes(2, "big") + len(message.body).to_bytes(4, "big")
    made = [head + message.body[:_FIRST_DATA_BYTES]]
    for start in range(_FIRST_DATA_BYTES, len(message.body), _NEXT_DATA_BYTES):
        made.append(_NEXT + message.body[start : start + _NEXT_DATA_BYTES])
    return [report.ljust(REPORT_BYTES, b"\0") for report in made]


class ReportReassembly:
    """Puts reports together."""

    def __init__(self) -> None:
        self._kind = 0
        self._length_bytes = -1  # -1: a message must begin
        self._body = b""

    def feed(self, report: bytes) -> TrezorMessage | None:
        """Take one report; return the message that it ends, or None.

        Raises:
            SignerError: ``trezor.bad-answer`` for a report that no device sends.
        """
        if len(report) != REPORT_BYTES:
            raise bad_answer(f"a report of {len(report)} bytes")
        if self._length_bytes < 0:
            self._begin(report)
        elif report.startswith(_NEXT):
            self._body += report[1:]
        else:
            raise bad_answer("a report that belongs to no message")
        if len(self._body) < self._length_bytes:
            return None
        message = TrezorMessage(self._kind, self._body[: self._length_bytes])
        self._length_bytes = -1
        return message

    def _begin(self, report: bytes) -> None:
        if not report.startswith(_FIRST):
            raise bad_answer("a report that begins no message")
        self._kind = int.from_bytes(report[3:5], "big")
        self._length_bytes = int.from_bytes(report[5:9], "big")
        if self._length_bytes > MAX_MESSAGE_BYTES:
            raise bad_answer(f"a message of {self._length_bytes} bytes")
        self._body = report[9:]


def bad_answer(what: str) -> SignerError:
    """Return the error for a device that does not follow the protocol."""
    return SignerError(
        "trezor.bad-answer",
        f"the device gave an answer that it should not: {what}",
        "close other programs that use it, take it out, put it in again and try once more",
    )
