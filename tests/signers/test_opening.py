"""Which of the devices that are plugged in is meant, and which is asked."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from tests.hid.in_process import InProcess, Owner
from walletcli.core.secret import Secret
from walletcli.errors import SignerError
from walletcli.signers.devices import hidapi, opening
from walletcli.signers.devices.hidapi import PluggedKey, is_one_of
from walletcli.signers.devices.opening import on_key_that_knows
from walletcli.signers.devices.security_key import RELYING_PARTY, SecurityKey

LEDGER = PluggedKey("/dev/hidraw0", 0x2C97, 0x5011, "Nano", "0001", is_ledger=True)
KEY = PluggedKey("/dev/hidraw1", 0x1050, 0x0407, "Key", "0002")


def plugged_in(monkeypatch: pytest.MonkeyPatch, *keys: PluggedKey) -> None:
    monkeypatch.setattr(hidapi, "plugged_keys", lambda: keys)


@pytest.mark.parametrize(
    ("which", "keys", "is_it"),
    [
        (None, (), True),
        (None, (KEY,), False),
        ("/dev/hidraw0", (KEY,), True),
        ("/dev/hidraw1", (KEY,), False),
        ("0001", (KEY,), True),
        ("0002", (KEY,), False),
        ("0001", (replace(KEY, serial="0001"),), False),
        ("/dev/hidraw0", (replace(KEY, serial="0001"),), True),
    ],
)
def test_a_serial_number_that_a_security_key_has_as_well_means_that_one(
    monkeypatch: pytest.MonkeyPatch, which: str | None, keys: tuple[PluggedKey, ...], is_it: bool
) -> None:
    plugged_in(monkeypatch, *keys)
    assert is_one_of(which, (LEDGER,)) is is_it


def test_nothing_is_one_of_none(monkeypatch: pytest.MonkeyPatch) -> None:
    plugged_in(monkeypatch)
    assert not is_one_of(None, ())
    assert not is_one_of("0001", ())


def test_when_the_key_that_fits_refuses_no_other_one_is_bothered(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = InProcess(), InProcess()
    for wire in (first, second):
        wire.device.authenticator.pin = hashlib.sha256(b"4711").digest()[:16]
    other = replace(KEY, path="/dev/hidraw2")
    wires = {KEY: first, other: second}
    monkeypatch.setattr(opening, "HidConnection", wires.__getitem__)
    credential = SecurityKey("Key", first, Owner("4711")).enrol((), verify=True)
    asked = len(second.sent)

    def declines(key: SecurityKey) -> Secret:
        raise SignerError("key.not-touched", "the security key was not touched in time", "")

    with pytest.raises(SignerError) as refused:
        on_key_that_knows((KEY, other), Owner(), credential, RELYING_PARTY, declines)
    assert refused.value.code == "key.not-touched"
    assert len(second.sent) == asked
