"""Runs the emulator of Ledger's maker with its USB cable laid bare: ``python speculos_wire.py APP PORT``.

It runs under the emulator's own interpreter. Usually the emulator cuts requests into packets itself; here the packets
that come over TCP (127.0.0.1) go to the emulated device as they are, and so do the device's to whoever asked: the code
that reads and makes them on that side is the device's own.
"""

from __future__ import annotations

import sys
from typing import Any

from speculos import main
from speculos.mcu import apdu, transport
from speculos.mcu.transport import usb


class BareCable(usb.HID):
    """The cable."""

    def send(self, data: bytes) -> None:
        head = {"endpoint": self.endpoint_out, "tag": usb.SephUSBTag.XFER_OUT, "length": len(data)}
        self._send_xfer(usb.usb_header.build(head) + data)

    def _prepare(self, data: bytes) -> bytes:
        super()._prepare(data)
        return data


class Loopback(apdu.ApduServer):
    """Listens here, and nowhere else."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__("127.0.0.1", port)


if __name__ == "__main__":
    modules: Any = (transport, apdu)
    modules[0].HID, modules[1].ApduServer = BareCable, Loopback
    app, port = sys.argv[1:]
    arguments = ["--display", "headless", "--model", "nanox", "--api-port", "0", "--apdu-port", port, app]
    sys.argv[1:] = arguments
    main.main(prog="speculos")
