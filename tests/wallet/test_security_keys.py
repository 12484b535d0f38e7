"""A vault and security keys: what opens it, what does not, a spare, a lost one, and what a rewritten header gives."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from tests.hid.in_process import InProcess, Owner, plugged
from tests.wallet.parts import CHEAP, PASSWORD, make_home, nobody, password
from walletcli.core.secret import Secret
from walletcli.errors import MissingExtraError, SignerError, UsageError, VaultError, WalletError
from walletcli.signers.devices import channel, security_key
from walletcli.signers.devices.hidapi import PluggedKey
from walletcli.vault.file import Vault
from walletcli.vault.kinds import FIDO2
from walletcli.vault.sealing import parse
from walletcli.vault.unopened import describe
from walletcli.wallet.access.by_key import fitting_slot, open_slot
from walletcli.wallet.access.opening import open_vault
from walletcli.wallet.home import Home
from walletcli.wallet.security_keys import enrol_key, key_info, list_keys, remove_key, try_key
from walletcli.wallet.slots import list_slots, remove_slot

PIN = "1234"
SECOND = Secret(b"another password")


class Shelf:
    """The keys that are plugged in, in the place of hidapi."""

    def __init__(self) -> None:
        self.keys: dict[PluggedKey, InProcess] = {}
        self.missing = False

    def plug(self, number: int = 0, pin: str | None = PIN, **options: object) -> InProcess:
        wire = InProcess(**options)
        if pin is not None:
            wire.device.authenticator.pin = hashlib.sha256(pin.encode()).digest()[:16]
        self.keys[plugged(number)] = wire
        return wire

    def unplug(self, number: int) -> None:
        del self.keys[plugged(number)]

    def all(self) -> tuple[PluggedKey, ...]:
        if self.missing:
            raise MissingExtraError("key.no-hidapi", "hidapi cannot be loaded", "install it")
        return tuple(self.keys)

    def connect(self, key: PluggedKey) -> InProcess:
        return self.keys[key]


class Prompts(Owner):
    """Types the right PIN, always."""

    password_first = False

    def pin(self, key: str, tries_left: int | None, *, again: bool) -> Secret:
        self.tries.append(tries_left)
        return Secret.from_text(PIN)


@pytest.fixture(autouse=True)
def shelf(monkeypatch: pytest.MonkeyPatch) -> Shelf:
    found = Shelf()
    monkeypatch.setattr("walletcli.signers.devices.opening.HidConnection", found.connect)
    monkeypatch.setattr("walletcli.wallet.security_keys.plugged_keys", found.all)
    monkeypatch.setitem(_factor_defaults(), "keys", found.all)
    monkeypatch.setattr(channel, "ANSWER_LIMIT_S", 3.0)
    monkeypatch.setattr(security_key, "ANSWER_LIMIT_S", 3.0)
    monkeypatch.setattr(security_key, "TOUCH_LIMIT_S", 3.0)
    return found


def _factor_defaults() -> dict[str, object]:
    from walletcli.signers.devices.unlocker import SecurityKeyFactor

    defaults = SecurityKeyFactor.__init__.__kwdefaults__
    assert defaults is not None
    return defaults


@pytest.fixture
def owner() -> Prompts:
    return Prompts()


@pytest.fixture
def home(tmp_path: Path, owner: Prompts) -> Home:
    return replace(make_home(tmp_path / "home"), keys=owner)


def kinds(home: Home) -> list[tuple[str, ...]]:
    return [slot.kinds for slot in list_slots(home)]


def test_a_key_opens_the_vault_and_nobody_asks_for_the_password(home: Home, shelf: Shelf, owner: Prompts) -> None:
    shelf.plug()
    assert enrol_key(home, password).kinds == (FIDO2,)
    touches = owner.touches
    assert open_vault(home, nobody).read()
    assert owner.touches == touches + 1


def test_without_the_key_the_password_opens_it_and_no_word_is_said(home: Home, shelf: Shelf, owner: Prompts) -> None:
    shelf.plug()
    enrol_key(home, password)
    shelf.unplug(0)
    assert open_vault(home, password).read()
    shelf.plug(1)
    assert open_vault(home, password).read()
    assert owner.reasons == []


def test_a_key_that_fails_is_told_and_the_password_asked_for(home: Home, shelf: Shelf, owner: Prompts) -> None:
    wire = shelf.plug()
    enrol_key(home, password)
    wire.device.touches = "never"
    assert open_vault(home, password).read()
    assert owner.reasons == ["the security key was not touched in time"]
    wire.device.lie = "silent"
    assert open_vault(home, password).read()
    assert len(owner.reasons) == 2


def test_a_missing_hidapi_is_told_and_the_password_asked_for(home: Home, shelf: Shelf, owner: Prompts) -> None:
    shelf.plug()
    enrol_key(home, password)
    shelf.missing = True
    assert open_vault(home, password).read()
    assert owner.reasons == ["hidapi cannot be loaded"]
    shelf.missing = False
    remove_slot(home, 1, nobody)
    shelf.missing = True
    with pytest.raises(MissingExtraError):
        open_vault(home, nobody)


def test_a_spare_key_opens_it_and_a_lost_one_does_not_after_it_was_removed(home: Home, shelf: Shelf) -> None:
    shelf.plug(0)
    enrol_key(home, password, "/dev/hidraw0")
    lost = shelf.keys[plugged(0)]
    shelf.plug(1)
    enrol_key(home, password, "/dev/hidraw1")
    remove_slot(home, 1, password)
    shelf.unplug(0)
    remove_key(home, 2, nobody)
    assert kinds(home) == [(FIDO2,)]
    assert open_vault(home, nobody).read()
    shelf.unplug(1)
    shelf.keys[plugged(0)] = lost
    with pytest.raises(SignerError) as refused:
        open_vault(home, nobody)
    assert refused.value.code == "key.not-enrolled"
    for name in ("wallet.vault", "wallet.vault.previous"):
        with pytest.raises(VaultError):
            Vault.unlock(Path(home.path) / name, [], only=2)


def test_two_keys_that_are_both_there_are_told_apart_without_a_touch(home: Home, shelf: Shelf) -> None:
    shelf.plug(0)
    other = shelf.plug(1)
    enrol_key(home, password, "0000")  # by serial number
    assert [view.slots for view in list_keys(home)] == [(2,), ()]
    before = list(other.device.requests)
    assert try_key(home, nobody).id == 2
    assert 6 not in other.device.requests[len(before) :], "no PIN goes to the other key"


def test_key_and_password_are_both_needed(home: Home, shelf: Shelf, owner: Prompts) -> None:
    shelf.plug()
    enrol_key(home, password, new_password=SECOND, kdf=CHEAP)
    touches = owner.touches
    assert open_vault(home, password).read(), "the other slot needs no key"
    assert owner.touches == touches
    assert open_vault(home, lambda: SECOND).read()
    remove_slot(home, 1, password)
    assert open_vault(home, lambda: SECOND).read()
    with pytest.raises(VaultError) as wrong:
        open_vault(home, lambda: PASSWORD)
    assert wrong.value.code == "vault.wrong-password"
    shelf.unplug(0)
    with pytest.raises(SignerError) as refused:
        open_vault(home, lambda: SECOND)
    assert refused.value.code == "key.not-enrolled"


def test_whoever_has_nobody_to_ask_uses_no_key(home: Home, shelf: Shelf, owner: Prompts) -> None:
    wire = shelf.plug()
    enrol_key(home, password)
    asked = len(wire.device.requests)
    with pytest.raises(VaultError) as locked:
        open_vault(home, None)
    assert locked.value.code == "wallet.locked"
    assert open_vault(replace(home, keys=None), password).read()
    assert len(wire.device.requests) == asked


def test_the_parameter_of_the_pin_cannot_be_rewritten(home: Home, shelf: Shelf, owner: Prompts) -> None:
    shelf.plug()
    enrol_key(home, password)
    path = Path(home.vault_path)
    data = path.read_bytes()
    header, end = parse(data)[0], len(data) - parse(data)[0].sealed_bytes
    (factor,) = header.slots[1].factors
    without_pin = replace(factor, parameters={**factor.parameters, 3: 0})
    slots = (header.slots[0], replace(header.slots[1], factors=(without_pin,)))
    path.write_bytes(replace(header, slots=slots).to_bytes() + data[end:])
    with pytest.raises(WalletError) as refused:
        try_key(home, nobody)
    assert refused.value.code == "slot.wrong-key"


def test_slots_of_one_key_share_nothing_that_the_file_shows(tmp_path: Path, shelf: Shelf, owner: Prompts) -> None:
    shelf.plug()
    seen = []
    for name in ("one", "two"):
        home = replace(make_home(tmp_path / name), keys=owner)
        enrol_key(home, password)
        slot = describe(Path(home.vault_path)).slots[1]
        seen += [value for value in slot.factors[0].parameters.values() if isinstance(value, bytes)]
    assert len(seen) == 4
    for value in seen:
        assert sum(other[:4] == value[:4] for other in seen) == 1


def test_a_full_vault_refuses_a_key_and_a_pulled_one_changes_nothing(home: Home, shelf: Shelf) -> None:
    wire = shelf.plug()
    before = Path(home.vault_path).read_bytes()
    wire.device.on_touch = lambda: setattr(wire, "is_removed", True)
    with pytest.raises(SignerError) as refused:
        enrol_key(home, password)
    assert refused.value.code == "key.removed"
    assert Path(home.vault_path).read_bytes() == before


def test_only_the_slot_that_was_chosen_is_tried(home: Home, shelf: Shelf, owner: Prompts) -> None:
    from walletcli.signers.devices.unlocker import SecurityKeyFactor

    shelf.plug()
    enrol_key(home, password)
    factor = SecurityKeyFactor(owner)
    slots = describe(Path(home.vault_path)).slots
    slot = fitting_slot(slots, factor)
    assert slot is not None
    assert slot.slot_id == 2
    assert open_slot(Path(home.vault_path), slot, factor, nobody).read()
    with pytest.raises(VaultError) as refused:
        open_slot(Path(home.vault_path), slots[0], factor, lambda: SECOND)
    assert refused.value.code == "vault.wrong-password"


def test_keys_are_described_and_those_that_fail_are_listed_with_why(home: Home, shelf: Shelf) -> None:
    shelf.plug(0)
    shelf.plug(1, pin=None)
    shelf.plug(2, hmac_secret=False)
    shelf.plug(3).device.lie = "garbage-cbor"
    assert [view.state for view in list_keys(home)] == ["ready", "no-pin", "unsupported", "bad-answer"]
    with pytest.raises(SignerError):
        key_info(home, "/dev/hidraw3")
    with pytest.raises(UsageError) as unknown:
        key_info(home, "/dev/hidraw9")
    assert unknown.value.code == "key.unknown"
