"""The emulator of Ledger's maker answers our framing: packets go over a bare cable to the code of a Nano X.

The one application that is published for it knows no Ed25519, so that is where it ends: docs/reference/hardware.md.
"""

from __future__ import annotations

import contextlib
import select
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from walletcli.errors import SignerError
from walletcli.signers.devices import ledger as ledger_module
from walletcli.signers.devices.ledger import Ledger, approver_path
from walletcli.signers.devices.ledger_frames import PACKET_BYTES

PLACE = Path(__file__).resolve().parents[2] / ".work" / "speculos"
WAIT_S = 120.0
ACCOUNT = bytes.fromhex("05 8000002c 80000001 80000000 00000000 00000000")
"""m/44'/1'/0'/0/0, which that application may use."""


class Cable:
    """Packets to and from the emulated device."""

    def __init__(self, wire: socket.socket) -> None:
        self._wire = wire

    def read(self, timeout_s: float) -> bytes:
        if not select.select([self._wire], [], [], timeout_s)[0]:
            return b""
        head = self._exactly(4)
        assert head == (PACKET_BYTES - 2).to_bytes(4, "big")
        return self._exactly(PACKET_BYTES)

    def write(self, packet: bytes) -> None:
        self._wire.sendall(len(packet).to_bytes(4, "big") + packet)

    def close(self) -> None:
        self._wire.close()

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            part = self._wire.recv(count - len(data))
            assert part
            data += part
        return data


@pytest.fixture(scope="module")
def cable() -> Iterator[Cable]:
    """A cable to a Nano X, with its application open."""
    if not (PLACE / "boil.elf").exists():
        raise FileNotFoundError("the emulator is not there: run scripts/setup-speculos.sh")
    with socket.create_server(("127.0.0.1", 0)) as there:
        port = there.getsockname()[1]
    command = [PLACE / "venv/bin/python", Path(__file__).with_name("speculos_wire.py"), PLACE / "boil.elf", str(port)]
    with (PLACE / "log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    try:
        with contextlib.closing(connected(process, port)) as wire:
            yield Cable(wire)
    finally:
        process.terminate()
        process.wait()


def connected(process: subprocess.Popen[bytes], port: int) -> socket.socket:
    """Wait until it takes connections."""
    end_s = time.monotonic() + WAIT_S
    while time.monotonic() < end_s and process.poll() is None:
        with contextlib.suppress(OSError):
            return socket.create_connection(("127.0.0.1", port), timeout=WAIT_S)
        time.sleep(0.05)
    raise TimeoutError(f"the emulator did not start: see {PLACE / 'log'}")


@pytest.fixture
def nano(cable: Cable, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    monkeypatch.setattr(ledger_module, "ANSWER_LIMIT_S", WAIT_S)
    return Ledger("Nano X", cable)


def test_it_says_which_application_is_open_and_that_is_not_the_one_that_approves(nano: Ledger) -> None:
    assert (nano.app.name, nano.app.version) == ("Boilerplate", "2.3.1")
    with pytest.raises(SignerError) as refused:
        nano.public_key(approver_path(1_234_567))
    assert refused.value.code == "ledger.wrong-app"


def key_of(nano: Ledger, length: int = 0) -> bytes:
    """Ask for a key, in a request that is filled up: the application does not look at what is behind the path."""
    data = ACCOUNT.ljust(length, b"\0")
    return nano._call(bytes.fromhex("e0050000") + bytes([len(data)]) + data)


def test_answers_of_several_packets_are_put_together(nano: Ledger) -> None:
    answer = key_of(nano)
    assert len(answer) == 1 + 65 + 1 + 32
    assert (answer[0], answer[66]) == (65, 32), "a key of secp256k1, and a chain code"


@pytest.mark.parametrize("length", [52, 53, 111, 112, 255])
def test_requests_of_several_packets_are_put_together(nano: Ledger, length: int) -> None:
    assert key_of(nano, length) == key_of(nano)


def test_what_it_does_not_know_ends_in_the_errors_of_the_page(nano: Ledger) -> None:
    codes = {}
    for request in ("e0ff000000", "8005000000", "b0ff000000"):
        with pytest.raises(SignerError) as refused:
            nano._call(bytes.fromhex(request))
        codes[request] = refused.value.code
    assert codes["e0ff000000"] == "ledger.old" and codes["8005000000"] == "ledger.wrong-app"
    assert codes["b0ff000000"].startswith("ledger.")
