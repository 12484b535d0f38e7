"""Devices without HID: packets go to a device of the tests in this process. For tests that need no kernel."""

from __future__ import annotations

import queue
from collections.abc import Sequence
from typing import Any

from tests.hid.device import Device
from tests.hid.ledger_device import LedgerDevice
from tests.hid.trezor_device import TrezorDevice, places_of
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
        self.device = self._plugged(**options)
        self.is_removed = False
        self.is_closed = False
        self.sent: list[bytes] = []

    def _plugged(self, **options: Any) -> Any:
        return Device(self.arrived.put, **options)

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


class InProcessTrezor(InProcess):
    """The connection to a Trezor.

    Args:
        options: of the `TrezorDevice`.
    """

    def _plugged(self, **options: Any) -> Any:
        return TrezorDevice(self.arrived.put, **options)


class InProcessLedger(InProcess):
    """The connection to a Ledger.

    Args:
        options: of the `LedgerDevice`.
    """

    def _plugged(self, **options: Any) -> Any:
        return LedgerDevice(self.arrived.put, **options)


class TrezorOwner:
    """Answers the prompts of a Trezor.

    Args:
        pin: what they believe the PIN to be.
        passphrase: likewise.
        consents: to being shown nothing at the device.
    """

    def __init__(self, pin: str = "", passphrase: str = "", *, consents: bool = True) -> None:
        self.typed = places_of(pin)
        self.extra = passphrase
        self.consents = consents
        self.presses = 0
        self.told: list[list[str]] = []

    def places(self, device: str) -> Secret:
        return Secret.from_text(self.typed)

    def passphrase(self, device: str) -> Secret:
        return Secret.from_text(self.extra)

    def press(self, device: str) -> None:
        self.presses += 1

    def blind(self, device: str, lines: list[str]) -> bool:
        self.told.append(lines)
        return self.consents


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
        self.texts: list[str] = []
        self.reasons: list[str] = []
        self.shown: list[tuple[str, ...]] = []
        self.asked_for: list[tuple[int, int, tuple[str, ...], str]] = []

    def pin(self, key: str, tries_left: int | None, *, again: bool) -> Secret:
        self.tries.append(tries_left)
        if not self.pins:
            raise SignerError("key.pin-wrong", "there is nobody to ask", "")
        return Secret.from_text(self.pins.pop(0))

    def touch(self, key: str) -> None:
        self.touches += 1

    def compare(self, device: str, text: str) -> None:
        self.texts.append(text)

    def missed(self, reason: str) -> None:
        self.reasons.append(reason)

    def approves(self, lines: Sequence[str]) -> None:
        self.shown.append(tuple(lines))

    def another(self, given: int, needed: int, names: Sequence[str], why: str) -> bool:
        """Nobody is there, unless a test says so."""
        self.asked_for.append((given, needed, tuple(names), why))
        return False


def plugged(number: int = 0, name: str = "Test Key") -> PluggedKey:
    return PluggedKey(f"/dev/hidraw{number}", 0x1209, 0xF1D0, name, f"000{number}")
