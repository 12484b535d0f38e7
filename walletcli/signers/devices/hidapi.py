"""hidapi: which devices are plugged in, and packets to and from one of them. The one place that imports it.

On Linux its `hidraw` module is used: `hid` goes around the kernel's driver, reports no usage page there, and needs
write access to the USB device itself. Everywhere else `hid` is the system's own interface.

Spec: CTAP 2.1, section 11.2.8 ("HID device implementation"); docs/spec/fido2.md, "Transport".
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from walletcli.errors import MissingExtraError, SignerError
from walletcli.signers.devices.ctaphid import PACKET_BYTES, bad_answer

USAGE_PAGE: Final = 0xF1D0
"""The HID usage page of the FIDO Alliance; its usage 1 is CTAPHID."""

MAX_NAME_LETTERS: Final = 80
"""A longer name of a product is cut."""

TREZOR_HID: Final = (0x534C, 0x0001)
"""USB ids of a Trezor One whose interface that signs is HID: firmware below 1.7.0."""

TREZOR_WEBUSB: Final = (0x1209, 0x53C1)
"""USB ids of all later ones: what is HID of them is a security key, and nothing else."""

LEDGER_VENDOR: Final = 0x2C97
"""USB vendor id of all Ledgers."""

_TREZOR_USAGE_PAGE = 0xFF00
_LEDGER_USAGE_PAGE = 0xFFA0
_USAGE = 1
_NO_REPORT_NUMBER = b"\0"


@dataclass(frozen=True, slots=True)
class PluggedKey:
    """A device that is plugged in, as the system describes it; nothing was asked of it yet.

    Args:
        path: names it to the system until it is taken out.
        vendor_id: of USB, 16 bits.
        product_id: of USB, 16 bits.
        product: its name, as it says; may be empty.
        serial: its serial number, as it says; may be empty.
        is_ledger: it is a Ledger's own interface, which is no security key's.
    """

    path: str
    vendor_id: int
    product_id: int
    product: str
    serial: str
    is_ledger: bool = False

    @property
    def name(self) -> str:
        """What a person calls it."""
        return self.product or f"{self.vendor_id:04x}:{self.product_id:04x}"


def plugged_keys() -> tuple[PluggedKey, ...]:
    """Return the security keys that are plugged in, by path.

    Raises:
        MissingExtraError: ``key.no-hidapi``.
        SignerError: ``key.no-list``.
    """
    return _plugged(_is_key)


def plugged_trezors() -> tuple[PluggedKey, ...]:
    """Return the Trezors whose interface that signs is HID, by path.

    Raises:
        MissingExtraError: ``key.no-hidapi``.
        SignerError: ``key.no-list``.
    """
    return _plugged(lambda entry: _ids(entry) == TREZOR_HID and entry["usage_page"] == _TREZOR_USAGE_PAGE)


def webusb_trezors() -> tuple[PluggedKey, ...]:
    """Return the Trezors of which only the security key is HID, by path.

    Raises:
        MissingExtraError: ``key.no-hidapi``.
        SignerError: ``key.no-list``.
    """
    return _plugged(lambda entry: _ids(entry) == TREZOR_WEBUSB and _is_key(entry))


def plugged_ledgers() -> tuple[PluggedKey, ...]:
    """Return the Ledgers that are plugged in, by path; what is a security key of them is not among these.

    Raises:
        MissingExtraError: ``key.no-hidapi``.
        SignerError: ``key.no-list``.
    """
    return _plugged(_is_ledger)


def is_one_of(which: str | None, devices: Sequence[PluggedKey]) -> bool:
    """Tell whether a path or serial number is that of one of these devices; for None, whether only such are plugged in.

    A device that is a security key as well has a path of its own for that, and the same serial number.

    Args:
        which: path or serial number, or None.
        devices: that are plugged in, all of one kind, which is not security keys.

    Raises:
        MissingExtraError: ``key.no-hidapi``.
        SignerError: ``key.no-list``.
    """
    if which is None:
        return bool(devices) and not plugged_keys()
    return any(which == device.path for device in devices) or (
        any(which == device.serial for device in devices) and all(which != key.serial for key in plugged_keys())
    )


def _plugged(is_wanted: Callable[[dict[str, Any]], bool]) -> tuple[PluggedKey, ...]:
    library = _library()
    try:
        found = [_described(entry) for entry in library.enumerate() if is_wanted(entry)]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise SignerError("key.no-list", "the system does not list its USB devices", "is USB turned off?") from error
    return tuple(sorted(found, key=lambda key: (len(key.path), key.path)))


def _is_key(entry: dict[str, Any]) -> bool:
    return (entry["usage_page"], entry["usage"]) == (USAGE_PAGE, _USAGE)


def _is_ledger(entry: dict[str, Any]) -> bool:
    return (entry["vendor_id"], entry["usage_page"]) == (LEDGER_VENDOR, _LEDGER_USAGE_PAGE)


def _ids(entry: dict[str, Any]) -> tuple[int, int]:
    return int(entry["vendor_id"]), int(entry["product_id"])


def _described(entry: dict[str, Any]) -> PluggedKey:
    return PluggedKey(
        os.fsdecode(entry["path"]),
        int(entry["vendor_id"]),
        int(entry["product_id"]),
        _name(entry["product_string"]),
        _name(entry["serial_number"]),
        _is_ledger(entry),
    )


def _name(text: object) -> str:
    return str(text or "").strip()[:MAX_NAME_LETTERS]


class HidConnection:
    """Packets to and from one plugged-in device.

    Args:
        key: which.

    Raises:
        MissingExtraError: ``key.no-hidapi``.
        SignerError: ``key.no-permission``, ``key.removed``, ``key.busy``.
    """

    def __init__(self, key: PluggedKey) -> None:
        self._name = key.name
        self._device = _library().device()
        try:
            self._device.open_path(os.fsencode(key.path))
        except (OSError, ValueError) as error:
            raise _not_opened(key) from error

    def read(self, timeout_s: float) -> bytes:
        """Return the next packet, or nothing if none came in time.

        Raises:
            SignerError: ``key.removed``, ``key.bad-answer``.
        """
        try:
            # at least a millisecond: 0 means for ever
            return bytes(self._device.read(PACKET_BYTES, max(1, int(timeout_s * 1000))))
        except (OSError, ValueError) as error:
            raise self._removed() from error

    def write(self, packet: bytes) -> None:
        """Send a packet of 64 bytes.

        Raises:
            SignerError: ``key.removed``, ``key.bad-answer``.
        """
        try:
            written = self._device.write(_NO_REPORT_NUMBER + packet)
        except (OSError, ValueError) as error:
            raise self._removed() from error
        if written < 0:
            raise self._removed()
        if written < len(packet):
            raise bad_answer("a packet was taken in part only")

    def close(self) -> None:
        """Let go of the device."""
        self._device.close()

    def _removed(self) -> SignerError:
        return SignerError("key.removed", f"{self._name} is gone", "put it in again, leave it there, and try once more")


def _not_opened(key: PluggedKey) -> SignerError:
    is_file = key.path.startswith("/")
    if is_file and not os.path.exists(key.path):
        return SignerError("key.removed", f"{key.name} is gone", "put it in again and try once more")
    if is_file and not os.access(key.path, os.R_OK | os.W_OK):
        hint = "let the system give it to whoever sits at this machine: walletcli key udev-rules"
        return SignerError("key.no-permission", f"you may not use {key.name} ({key.path})", hint)
    hint = "another program may hold it: close that one, and try again"
    return SignerError("key.busy", f"{key.name} cannot be opened", hint)


def _library() -> Any:
    name = "hidraw" if sys.platform == "linux" else "hid"
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingExtraError(
            "key.no-hidapi",
            f"hidapi cannot be loaded here, so no security key can be reached (module {name})",
            "install it for this Python: pip install --force-reinstall hidapi",
        ) from error
