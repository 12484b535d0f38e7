"""One conversation with a security key: a channel of our own, and every wait with an end.

The `fido2` package has a channel too. Ours is taken instead because that one waits without a limit for a device that
keeps saying that it is busy or working, and ends on packets that are meant for other programs.

Spec: CTAP 2.1, section 11.2; docs/spec/fido2.md, "Transport".
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from threading import Event
from typing import Final, Protocol

from walletcli.errors import SignerError
from walletcli.signers.devices.ctaphid import BROADCAST, Command, Message, Reassembly, bad_answer, to_packets

ANSWER_LIMIT_S: Final = 10.0
"""How long a key may take for what needs nobody's touch."""

TOUCH_LIMIT_S: Final = 60.0
"""How long a key may take for what waits for a touch; most give up after 30 s by themselves."""

BUSY_LIMIT_S: Final = 5.0
"""How long to try again while the key serves another program."""

_SLICE_S = 0.25
_BUSY_PAUSE_S = 0.1
_NONCE_BYTES = 8
_INIT_ANSWER_BYTES = 17
_CHANNEL_BUSY = 0x06
_TOUCH_NEEDED = 2


class Connection(Protocol):
    """Packets to and from one device."""

    def read(self, timeout_s: float) -> bytes:
        """Return the next packet, or nothing if none came in time.

        Raises:
            SignerError: ``key.removed``.
        """
        ...

    def write(self, packet: bytes) -> None:
        """Send a packet of 64 bytes.

        Raises:
            SignerError: ``key.removed``.
        """
        ...

    def close(self) -> None:
        """Let go of the device."""
        ...


class HidChannel:
    """A channel on a security key, in the form in which the `fido2` package talks to devices.

    Args:
        connection: to the device; closed with the channel.
        clock: seconds that only go forward.
        pause: waits for so many seconds.

    Raises:
        SignerError: ``key.timeout``, ``key.busy``, ``key.removed``, ``key.bad-answer``.
    """

    def __init__(
        self,
        connection: Connection,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._connection = connection
        self._clock = clock
        self._pause = pause
        self._channel = BROADCAST
        self.limit_s = ANSWER_LIMIT_S
        """How long the next calls may take."""
        self.given_up: Callable[[], bool] = lambda: False
        """Tells that nobody waits for the answer any more; asked several times a second."""
        nonce = os.urandom(_NONCE_BYTES)
        answer = self._call(Message(Command.INIT, nonce), lambda message: _is_answer(message, nonce), None)
        if len(answer) < _INIT_ANSWER_BYTES:
            raise bad_answer("the channel is missing")
        self._channel = int.from_bytes(answer[8:12], "big")
        if self._channel in (0, BROADCAST):
            raise bad_answer("a channel that is none")
        self.device_version = (answer[13], answer[14], answer[15])
        """Major, minor and build number, as the device says."""
        self.capabilities = answer[16]
        """Bits: 0x04 speaks CBOR, 0x08 does not speak U2F."""

    def call(
        self,
        cmd: int,
        data: bytes = b"",
        event: Event | None = None,
        on_keepalive: Callable[[int], None] | None = None,
    ) -> bytes:
        """Send a message and return the data of the answer to it.

        Args:
            cmd: the command.
            data: at most 7609 bytes.
            event: not used: a call ends at its limit.
            on_keepalive: told 1 when the key works and 2 when it waits for a touch, once for each change.

        Raises:
            SignerError: ``key.timeout``, ``key.not-touched``, ``key.busy``, ``key.removed``, ``key.bad-answer``,
                ``key.failed``.
        """
        return self._call(Message(cmd, data), lambda message: message.command == cmd, on_keepalive)

    def close(self) -> None:
        """Let go of the device."""
        self._connection.close()

    def _call(
        self, request: Message, expected: Callable[[Message], bool], on_keepalive: Callable[[int], None] | None
    ) -> bytes:
        end_s = self._clock() + self.limit_s
        busy_end_s = self._clock() + BUSY_LIMIT_S
        while True:
            answer = self._exchange(request, expected, on_keepalive, end_s)
            if answer.command != Command.ERROR:
                return answer.data
            if answer.data[:1] != bytes([_CHANNEL_BUSY]):
                raise failed(answer.data[0] if answer.data else 0)
            if self._clock() >= min(busy_end_s, end_s):
                raise _busy()
            self._pause(_BUSY_PAUSE_S)

    def _exchange(
        self,
        request: Message,
        expected: Callable[[Message], bool],
        on_keepalive: Callable[[int], None] | None,
        end_s: float,
    ) -> Message:
        for packet in to_packets(self._channel, request):
            self._connection.write(packet)
        try:
            return self._await(expected, on_keepalive, end_s)
        except BaseException:  # whoever pressed Ctrl-C must not leave a key blinking
            self._cancel()
            raise

    def _await(
        self, expected: Callable[[Message], bool], on_keepalive: Callable[[int], None] | None, end_s: float
    ) -> Message:
        reassembly = Reassembly(self._channel)
        status = 0
        while True:
            left_s = end_s - self._clock()
            if left_s <= 0:
                raise _not_touched() if status == _TOUCH_NEEDED else _timeout()
            if self.given_up():
                raise SignerError("key.given-up", "whoever asked does not wait any more", "ask again")
            packet = self._connection.read(min(left_s, _SLICE_S))
            message = reassembly.feed(packet) if packet else None
            if message is None:
                continue
            if message.command == Command.KEEPALIVE:
                before, status = status, message.data[0] if message.data else 0
                if status != before and on_keepalive is not None:
                    on_keepalive(status)
            elif message.command == Command.ERROR or expected(message):
                return message
            elif self._channel != BROADCAST:  # there, answers to other programs are heard as well
                raise bad_answer(f"the answer to another command, {message.command:#04x}")

    def _cancel(self) -> None:
        if self._channel == BROADCAST:
            return
        with contextlib.suppress(SignerError):
            for packet in to_packets(self._channel, Message(Command.CANCEL, b"")):
                self._connection.write(packet)


def _is_answer(message: Message, nonce: bytes) -> bool:
    return message.command == Command.INIT and message.data[:_NONCE_BYTES] == nonce


def failed(status: int) -> SignerError:
    """Return the error for a status that has no error of its own.

    Args:
        status: as CTAP numbers them, 0 to 255.
    """
    hint = "try again; walletcli key info shows what the key can do"
    return SignerError("key.failed", f"the security key refused (CTAP status {status:#04x})", hint)


def _timeout() -> SignerError:
    hint = "take it out, put it in again and try once more"
    return SignerError("key.timeout", "the security key gave no answer in time", hint)


def _not_touched() -> SignerError:
    return SignerError("key.not-touched", "the security key was not touched in time", "try again, and touch it")


def _busy() -> SignerError:
    hint = "another program is using it: a browser, perhaps; try again when it is done"
    return SignerError("key.busy", "the security key is busy", hint)
