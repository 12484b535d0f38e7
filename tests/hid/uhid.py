"""Two ways to make a kernel believe that a security key was plugged in: `/dev/uhid`, and a true USB gadget.

Both carry packets between a `Device` and the kernel's HID stack. Root is needed.

Spec: Documentation/hid/uhid.rst, Documentation/usb/gadget_hid.rst and gadget_configfs.rst of Linux 6.1.
"""

from __future__ import annotations

import contextlib
import os
import select
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.hid.device import Device
from tests.hid.ledger_device import LedgerDevice
from tests.hid.trezor_device import TrezorDevice

VENDOR, PRODUCT = 0x1209, 0xF1D0
REPORT_DESCRIPTOR = bytes.fromhex(
    "06d0f1"  # usage page: FIDO Alliance
    "0901a101"  # usage: CTAPHID; collection
    "0920150026ff00750895408102"  # 64 bytes in
    "0921150026ff00750895409102"  # 64 bytes out
    "c0"
)
TREZOR_IDS = (0x534C, 0x0001)
TREZOR_DESCRIPTOR = bytes.fromhex(
    "0600ff"  # usage page: the vendor's own
    "0901a101"  # usage 1; collection
    "0920150026ff00750895408102"  # 64 bytes in
    "0921150026ff00750895409102"  # 64 bytes out
    "c0"
)
LEDGER_IDS = (0x2C97, 0x5011)
LEDGER_DESCRIPTOR = bytes.fromhex("06a0ff") + TREZOR_DESCRIPTOR[3:]
"""The same, on the maker's usage page."""

WAIT_S = 300.0
"""Longest wait for the kernel, which a busy machine may hold up."""

_DESTROY, _OUTPUT, _GET_REPORT, _GET_REPORT_REPLY = 1, 6, 9, 10
_CREATE2, _INPUT2, _SET_REPORT, _SET_REPORT_REPLY = 11, 12, 13, 14
_BUS_USB = 3
_EVENT_BYTES = 4380


class UhidKey:
    """A key on `/dev/uhid`."""

    IDS, DESCRIPTOR = (VENDOR, PRODUCT), REPORT_DESCRIPTOR
    MAKE: Callable[..., Any] = Device

    def __init__(self, name: str, serial: str, **options: Any) -> None:
        before = nodes()
        self.device = type(self).MAKE(self._send, **options)
        self._open = threading.Lock()
        self.descriptor = os.open("/dev/uhid", os.O_RDWR | os.O_CLOEXEC)
        head = struct.pack("<I128s64s64s", _CREATE2, name.encode(), b"tests/hid", serial.encode())
        head += struct.pack("<HHIIII", len(self.DESCRIPTOR), _BUS_USB, *self.IDS, 0x100, 0)
        os.write(self.descriptor, head + self.DESCRIPTOR.ljust(4096, b"\0"))
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self.node = new_node(before)

    def unplug(self) -> None:
        self._ending.set()
        self.device.leave()
        with contextlib.suppress(OSError):
            os.write(self.descriptor, struct.pack("<I", _DESTROY))
        self._thread.join(WAIT_S)
        with self._open:  # a thread that still answers must not write to a number that is another file's by then
            os.close(self.descriptor)
        wait_for(lambda: is_gone(self.node))

    def _send(self, packet: bytes) -> None:
        with self._open, contextlib.suppress(OSError):
            if not self._ending.is_set():
                os.write(self.descriptor, struct.pack("<IH", _INPUT2, len(packet)) + packet)

    def _run(self) -> None:
        while not self._ending.is_set():
            if not select.select([self.descriptor], [], [], 0.2)[0]:
                continue
            try:
                event = os.read(self.descriptor, _EVENT_BYTES)
            except OSError:
                return
            kind, number = struct.unpack_from("<II", event.ljust(8, b"\0"))
            if kind == _OUTPUT:
                size = struct.unpack_from("<H", event, 4 + 4096)[0]
                data = event[4 : 4 + size]
                self.device.receive(data[1:] if size == 65 else data)
            elif kind == _GET_REPORT:
                os.write(self.descriptor, struct.pack("<IIHH", _GET_REPORT_REPLY, number, 5, 0))
            elif kind == _SET_REPORT:
                os.write(self.descriptor, struct.pack("<IIH", _SET_REPORT_REPLY, number, 5))


class UhidTrezor(UhidKey):
    """A Trezor One of the days when it was a HID device, on `/dev/uhid`."""

    IDS, DESCRIPTOR = TREZOR_IDS, TREZOR_DESCRIPTOR
    MAKE = TrezorDevice


class UhidLedger(UhidKey):
    """A Ledger on `/dev/uhid`: a Nano S Plus by its ids, with an application open."""

    IDS, DESCRIPTOR = LEDGER_IDS, LEDGER_DESCRIPTOR
    MAKE = LedgerDevice


class GadgetKey:
    """A key on the other end of a USB cable that the kernel only imagines (dummy_hcd)."""

    ROOT = Path("/sys/kernel/config/usb_gadget/key")

    def __init__(self, name: str, serial: str, **options: Any) -> None:
        before = nodes()
        self.device = Device(self._send, **options)
        self._open = threading.Lock()
        root = self.ROOT
        for part in ("strings/0x409", "configs/c.1", "functions/hid.usb0"):
            (root / part).mkdir(parents=True, exist_ok=True)
        for part, value in {
            "idVendor": hex(VENDOR),
            "idProduct": hex(PRODUCT),
            "strings/0x409/manufacturer": "tests",
            "strings/0x409/product": name,
            "strings/0x409/serialnumber": serial,
            "functions/hid.usb0/report_length": "64",
            "functions/hid.usb0/protocol": "0",
            "functions/hid.usb0/subclass": "0",
        }.items():
            (root / part).write_text(value)
        (root / "functions/hid.usb0/report_desc").write_bytes(REPORT_DESCRIPTOR)
        link = root / "configs/c.1/hid.usb0"
        if not link.is_symlink():
            link.symlink_to(root / "functions/hid.usb0")
        (root / "UDC").write_text(os.listdir("/sys/class/udc")[0])
        wait_for(lambda: os.path.exists("/dev/hidg0"))
        self.descriptor = os.open("/dev/hidg0", os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self.node = new_node(before)

    def unplug(self) -> None:
        """Pull the cable."""
        self._ending.set()
        self.device.leave()
        with contextlib.suppress(OSError):
            (self.ROOT / "UDC").write_text("\n")
        self._thread.join(WAIT_S)
        with self._open:
            os.close(self.descriptor)
        wait_for(lambda: is_gone(self.node))
        root = self.ROOT
        with contextlib.suppress(OSError):
            (root / "configs/c.1/hid.usb0").unlink()
        for part in ("configs/c.1", "functions/hid.usb0", "strings/0x409", "."):
            with contextlib.suppress(OSError):
                (root / part).rmdir()

    def _send(self, packet: bytes) -> None:
        end = time.monotonic() + WAIT_S
        while time.monotonic() < end:
            with self._open:
                if self._ending.is_set():
                    return
                try:
                    os.write(self.descriptor, packet)
                    return
                except BlockingIOError:
                    select.select([], [self.descriptor], [], 0.01)
                except OSError:
                    return

    def _run(self) -> None:
        while not self._ending.is_set():
            if not select.select([self.descriptor], [], [], 0.2)[0]:
                continue
            try:
                packet = os.read(self.descriptor, 64)
            except BlockingIOError:
                continue
            except OSError:
                return
            if packet:
                self.device.receive(packet)


def nodes() -> set[str]:
    """Return the names of the hidraw devices that there are."""
    return {name for name in os.listdir("/dev") if name.startswith("hidraw")}


def is_gone(node: str) -> bool:
    """Tell whether the kernel has taken a hidraw device away: its node first, then what hidapi lists devices by."""
    return not os.path.exists(node) and not os.path.exists(f"/sys/class/hidraw/{os.path.basename(node)}")


def new_node(before: set[str]) -> str:
    """Wait for a hidraw device that was not there before; return its path."""
    wait_for(lambda: bool(nodes() - before))
    (name,) = nodes() - before
    return f"/dev/{name}"


def wait_for(is_so: Any) -> None:
    """Look until something is so; fail after a while."""
    end = time.monotonic() + WAIT_S
    while not is_so():
        if time.monotonic() > end:
            raise TimeoutError("the kernel did not do it")
        time.sleep(0.01)
