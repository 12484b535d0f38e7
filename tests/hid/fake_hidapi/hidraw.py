"""Stands in for hidapi's module in processes of the program that are tested without a kernel of their own.

The keys that are "plugged in" are the JSON files of the directory that FAKE_KEYS names; what a key must remember is
written back. A test that puts this directory on PYTHONPATH runs the real program, which does not know.
"""

from __future__ import annotations

import json
import os
import queue
from pathlib import Path
from typing import Any

from tests.hid.device import Device
from tests.hid.ledger_device import LedgerDevice
from tests.hid.trezor_device import TrezorDevice
from tests.hid.uhid import PRODUCT, VENDOR

KINDS = {
    "key": (VENDOR, PRODUCT, 0xF1D0),
    "trezor": (0x534C, 0x0001, 0xFF00),
    "trezor-webusb": (0x1209, 0x53C1, 0xF1D0),
    "trezor-u2f": (0x534C, 0x0001, 0xF1D0),
    "ledger": (0x2C97, 0x5011, 0xFFA0),
    "ledger-u2f": (0x2C97, 0x5011, 0xF1D0),
}
"""Vendor, product and usage page of what can be plugged in."""


def _files() -> list[Path]:
    return sorted(Path(os.environ["FAKE_KEYS"]).glob("*.json"))


def enumerate() -> list[dict[str, Any]]:  # noqa: A001  # the library's name
    mouse = {"path": b"/dev/null", "vendor_id": 1, "product_id": 2, "usage_page": 1, "usage": 2}
    keys = []
    for path in _files():
        vendor, product, page = KINDS[json.loads(path.read_text()).get("kind", "key")]
        entry = {"path": os.fsencode(path), "vendor_id": vendor, "product_id": product, "usage_page": page, "usage": 1}
        keys.append({**entry, "product_string": f"Key {path.stem}", "serial_number": f"serial-{path.stem}"})
    return [{**mouse, "product_string": "Mouse", "serial_number": None}, *keys]


class device:  # noqa: N801  # the library's name
    def open_path(self, path: bytes) -> None:
        self.path = Path(os.fsdecode(path))
        try:
            kept = json.loads(self.path.read_text())
        except OSError as error:
            raise OSError("open failed") from error
        self.packets: queue.Queue[bytes] = queue.Queue()
        self.gone = False
        self.is_forgetful = kept.get("kind") in ("trezor", "ledger")
        if kept.get("kind") == "ledger":
            names = ("words", "app", "version", "locked", "refuses", "never_pressed", "lie", "status")
            self.device: Any = LedgerDevice(self.packets.put, **{name: kept[name] for name in names if name in kept})
            self.device.on_button = self._button
            self.kept = kept
            return
        if self.is_forgetful:
            names = ("words", "passphrase_used", "lie", "vendor", "in_bootloader", "firmware", "max_challenge")
            options = {name: kept[name] for name in names if name in kept}
            options |= {"firmware": tuple(options["firmware"])} if "firmware" in options else {}
            self.device = TrezorDevice(self.packets.put, pin=kept.get("digits", ""), **options)
            return
        options = {name: kept[name] for name in ("hmac_secret", "always_pin", "algorithms") if name in kept}
        self.device = Device(self.packets.put, touches=kept.get("touches", "at-once"), **options)
        self.device.lie = kept.get("lie")
        if kept.get("pulled_when_touched"):
            self.device.on_touch = lambda: setattr(self, "gone", True)
        authenticator = self.device.authenticator
        authenticator.seed = bytes.fromhex(kept["seed"])
        authenticator.pin = bytes.fromhex(kept["pin"]) if kept.get("pin") else None
        authenticator.tries = kept.get("tries", 8)

    def _button(self) -> None:
        """Keep what a Ledger shows where a test can read it."""
        with self.path.with_suffix(".shown").open("a") as shown:
            shown.write(self.device.shown[-1] + "\n")
        self.gone = bool(self.kept.get("pulled_when_touched"))

    def write(self, data: bytes) -> int:
        if self.gone:
            return -1
        assert data[0] == 0
        self.device.receive(data[1:])
        return len(data)

    def read(self, length: int, timeout_ms: int) -> list[int]:
        assert timeout_ms > 0
        if self.gone:
            raise OSError("read error")
        try:
            return list(self.packets.get(timeout=timeout_ms / 1000)[:length])
        except queue.Empty:
            return []

    def close(self) -> None:
        if self.is_forgetful:
            return
        kept = json.loads(self.path.read_text())
        authenticator = self.device.authenticator
        pin = authenticator.pin.hex() if authenticator.pin else None
        self.path.write_text(json.dumps({**kept, "tries": authenticator.tries, "pin": pin}))
