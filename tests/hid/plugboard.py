"""Plugs keys in and out for tests that are not root: a process of root's, asked over a socket.

One line of JSON is asked, one is answered. A key keeps its secrets by its name, so that it can be plugged in again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import socket
import socketserver
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from tests.hid.uhid import GadgetKey, UhidKey, UhidLedger, UhidTrezor, wait_for

SOCKET = "/run/plugboard"

_keys: dict[str, Any] = {}
_kept: dict[str, dict[str, Any]] = {}
_lock = threading.RLock()


def plug(name: str, way: str, mode: int | None = 0o666, pin: str | None = None, **options: Any) -> str:
    """Plug a key in; return the path of its hidraw device. `mode` None leaves its permissions to the system."""
    if pin is not None:
        options["pin"] = hashlib.sha256(pin.encode()).digest()[:16]
    made = {"uhid": UhidKey, "gadget": GadgetKey}[way](f"Test Key {name}", f"serial-{name}", **options)
    authenticator = made.device.authenticator
    for field, value in _kept.get(name, {}).items():
        setattr(authenticator, field, value)
    if mode is not None:
        os.chmod(made.node, mode)
    _keys[name] = made
    return str(made.node)


def plug_trezor(name: str, mode: int | None = 0o666, **options: Any) -> str:
    """Plug a Trezor in; return the path of its hidraw device. It forgets everything when it is pulled out."""
    if "firmware" in options:
        options["firmware"] = tuple(options["firmware"])
    made = UhidTrezor(f"Trezor {name}", f"serial-{name}", **options)
    if mode is not None:
        os.chmod(made.node, mode)
    _keys[name] = made
    return str(made.node)


def plug_ledger(name: str, mode: int | None = 0o666, **options: Any) -> str:
    """Plug a Ledger in; return the path of its hidraw device. Its words are the same whenever nothing else is said."""
    made = UhidLedger(f"Ledger {name}", f"serial-{name}", **options)
    if mode is not None:
        os.chmod(made.node, mode)
    _keys[name] = made
    return str(made.node)


def shown(name: str) -> list[str]:
    """Return the texts that a Ledger has shown."""
    return list(_keys[name].device.shown)


def unplug(name: str) -> None:
    """Pull a device out."""
    with _lock:  # a key may be pulled out by itself, while it waits for a touch
        key = _keys.pop(name, None)
        if isinstance(key, UhidTrezor | UhidLedger):
            key.unplug()
        elif key is not None:
            authenticator = key.device.authenticator
            _kept[name] = {field: getattr(authenticator, field) for field in ("seed", "pin", "tries")}
            key.unplug()


def forget() -> None:
    """Pull all keys out and forget them."""
    for name in list(_keys):
        unplug(name)
    _kept.clear()


def tell(name: str, **settings: Any) -> None:
    """Change how a device behaves: `touches`, `lie`, `never_pressed`."""
    for setting, value in settings.items():
        setattr(_keys[name].device, setting, value)


def pull_when_touched(name: str) -> None:
    """Pull a device out when it begins to wait for a touch or its button."""
    device = _keys[name].device
    if isinstance(_keys[name], UhidTrezor | UhidLedger):  # it answers in the thread that takes its packets
        device.on_button = lambda: threading.Thread(target=unplug, args=(name,), daemon=True).start()
    else:
        device.on_touch = lambda: unplug(name)


def touch(name: str) -> None:
    """Touch a key once."""
    _keys[name].device.touch()


def use_udev_rules(rules: str) -> None:
    """Start udev with these rules alone."""
    for directory in ("/lib/udev/rules.d", "/etc/udev/rules.d", "/run/udev/rules.d"):
        shutil.rmtree(directory, ignore_errors=True)  # of the guest's own layer, which is thrown away
    directory = Path("/run/udev/rules.d")
    directory.mkdir(parents=True)
    (directory / "70-rules-under-test.rules").write_text(rules)
    subprocess.run(["/lib/systemd/systemd-udevd", "--daemon"], check=True, stdin=subprocess.DEVNULL, timeout=300)


def settle_udev(node: str) -> None:
    """Wait until udev has done what there was to do, and with a device what the rules under test are for."""
    subprocess.run(["udevadm", "settle", "--timeout=300"], check=True, stdin=subprocess.DEVNULL, timeout=330)
    wait_for(lambda: os.stat(node).st_gid != 0)


def settle() -> None:
    """Wait until a key that is being pulled out is gone: it holds the lock that this one was given."""


COMMANDS = {
    function.__name__: function
    for function in (
        plug,
        plug_trezor,
        plug_ledger,
        shown,
        unplug,
        forget,
        tell,
        pull_when_touched,
        touch,
        use_udev_rules,
        settle_udev,
        settle,
    )
}


class Asked(socketserver.StreamRequestHandler):
    """One question."""

    def handle(self) -> None:
        asked = json.loads(self.rfile.readline())
        try:
            with _lock:
                answer = {"ok": COMMANDS[asked.pop("do")](**asked)}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        self.wfile.write(json.dumps(answer).encode() + b"\n")


def ask(do: str, **arguments: Any) -> Any:
    """Ask the plugboard, from a test."""
    with socket.socket(socket.AF_UNIX) as wire:
        wire.settimeout(600)
        wire.connect(SOCKET)
        wire.sendall(json.dumps({"do": do, **arguments}).encode() + b"\n")
        answer = json.loads(wire.makefile().readline())
    assert "error" not in answer, answer["error"]
    return answer["ok"]


def main() -> None:
    """Serve until the end."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(SOCKET)
    server = socketserver.ThreadingUnixStreamServer(SOCKET, Asked)
    os.chmod(SOCKET, 0o666)
    print("plugboard ready", file=sys.stderr, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
