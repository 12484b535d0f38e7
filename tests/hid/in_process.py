"""A security key without HID: packets go to a `Device` in this process. For tests that need no kernel."""

from __future__ import annotations

import queue
from typing import Any

from tests.hid.device import Device
from walletcli.core.secret import Secret
from walletcli.errors import SignerError
from walletcli.signers.devices.hidapi import PluggedKey


class InProcess:
    """The connection to one device.

    Args:
        options: of the `Device`.
    """

    def __init__(self, **options: Any) -> None:
        self.arrived: queue.Queue[bytes] = queue.Queue()
        self.device = Device(self.arrived.put, **options)
        self.is_removed = False
        self.is_closed = False
        self.sent: list[bytes] = []

    def read(self, timeout_s: float) -> bytes:
        if self.is_removed:
            raise _gone()
        try:
            return self.arrived.get(timeout=timeout_s)
        except queue.Empty:
            return b""

    def write(self, packet: bytes) -> None:
        if self.is_removed:
            raise _gone()
        assert len(packet) == 64
        self.sent.append(packet)
        self.device.receive(packet)

    def close(self) -> None:
        self.is_closed = True


def _gone() -> SignerError:
    return SignerError("key.removed", "the key is gone", "put it in again")


class Owner:
    """Answers prompts.

    Args:
        pins: typed one after the other.
    """

    password_first = False

    def __init__(self, *pins: str) -> None:
        self.pins = list(pins)
        self.tries: list[int | None] = []
        self.touches = 0
        self.reasons: list[str] = []

    def pin(self, key: str, tries_left: int | None, *, again: bool) -> Secret:
        self.tries.append(tries_left)
        if not self.pins:
            raise SignerError("key.pin-wrong", "there is nobody to ask", "")
        return Secret.from_text(self.pins.pop(0))

    def touch(self, key: str) -> None:
        self.touches += 1

    def missed(self, reason: str) -> None:
        self.reasons.append(reason)


def plugged(number: int = 0, name: str = "Test Key") -> PluggedKey:
    return PluggedKey(f"/dev/hidraw{number}", 0x1209, 0xF1D0, name, f"000{number}")
