"""A security key gives its secret to whoever may have it, and whatever it does otherwise ends in one of our errors."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest

from tests.hid.authenticator import Authenticator
from tests.hid.device import LIES
from tests.hid.in_process import InProcess, Owner
from walletcli.errors import InputError, SignerError, WalletError
from walletcli.signers.devices import channel, security_key
from walletcli.signers.devices.security_key import SecurityKey

SALT = bytes(range(32))
PIN = "1234"


@pytest.fixture(autouse=True)
def _short_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits of tests end sooner; that they end is what is tested."""
    monkeypatch.setattr(channel, "ANSWER_LIMIT_S", 2.0)
    monkeypatch.setattr(channel, "BUSY_LIMIT_S", 0.3)
    monkeypatch.setattr(security_key, "ANSWER_LIMIT_S", 2.0)
    monkeypatch.setattr(security_key, "TOUCH_LIMIT_S", 2.5)


def with_pin(authenticator: Authenticator, pin: str = PIN) -> None:
    authenticator.pin = hashlib.sha256(pin.encode()).digest()[:16]


def key_of(wire: InProcess, *pins: str) -> tuple[SecurityKey, Owner]:
    owner = Owner(*pins)
    return SecurityKey("Test Key", wire, owner), owner


def test_it_says_what_it_is() -> None:
    wire = InProcess()
    facts = key_of(wire)[0].facts()
    assert facts.opens_vaults
    assert facts.versions == ("FIDO_2_0", "FIDO_2_1")
    assert (facts.pin_set, facts.pin_tries) == (False, None)
    assert set(facts.algorithms) == {-7, -8}
    with_pin(wire.device.authenticator)
    facts = key_of(wire)[0].facts()
    assert (facts.pin_set, facts.pin_tries) == (True, 8)


@pytest.mark.parametrize("protocols", [(2, 1), (1, 2), (2,), (1,)])
def test_the_secret_is_the_same_each_time_and_needs_a_touch(protocols: tuple[int, ...]) -> None:
    wire = InProcess(protocols=protocols)
    with_pin(wire.device.authenticator)
    key, owner = key_of(wire, PIN, PIN, PIN)
    credential = key.enrol((), verify=True)
    first = key.secret(credential, SALT, verify=True)
    assert first == key.secret(credential, SALT, verify=True)
    assert len(first) == 32
    assert owner.touches == 3


def test_the_secret_differs_with_pin_salt_credential_and_key() -> None:
    wire, other_wire = InProcess(), InProcess()
    with_pin(wire.device.authenticator)
    key, _ = key_of(wire, *[PIN] * 6)
    one, two = key.enrol((), verify=True), key.enrol((), verify=True)
    other, _ = key_of(other_wire)
    secrets = [
        key.secret(one, SALT, verify=True),
        key.secret(one, SALT, verify=False),
        key.secret(one, bytes(32), verify=True),
        key.secret(two, SALT, verify=True),
        other.secret(other.enrol((), verify=False), SALT, verify=False),
    ]
    assert len({secret.reveal() for secret in secrets}) == len(secrets)


def test_only_the_key_that_made_a_credential_knows_it_and_is_not_touched_for_that() -> None:
    wire, other_wire = InProcess(), InProcess()
    key, owner = key_of(wire)
    other, other_owner = key_of(other_wire)
    credential = key.enrol((), verify=False)
    assert key.knows(credential)
    assert not other.knows(credential)
    assert (owner.touches, other_owner.touches) == (1, 0)
    with pytest.raises(SignerError) as refused:
        other.secret(credential, SALT, verify=False)
    assert refused.value.code == "key.not-enrolled"


def test_a_key_is_not_enrolled_twice() -> None:
    key, _ = key_of(InProcess())
    credential = key.enrol((), verify=False)
    with pytest.raises(SignerError) as refused:
        key.enrol((credential,), verify=False)
    assert refused.value.code == "key.already-enrolled"


def test_a_key_without_pin_is_not_enrolled_with_one() -> None:
    key, _ = key_of(InProcess())
    with pytest.raises(SignerError) as refused:
        key.enrol((), verify=True)
    assert refused.value.code == "key.pin-not-set"


def test_a_key_without_hmac_secret_is_refused_before_it_is_touched() -> None:
    wire = InProcess(hmac_secret=False)
    key, owner = key_of(wire)
    with pytest.raises(SignerError) as refused:
        key.enrol((), verify=False)
    assert refused.value.code == "key.unsupported"
    assert not key.knows(b"x" * 16)
    assert owner.touches == 0


def test_a_key_that_always_wants_its_pin_says_so() -> None:
    wire = InProcess(always_pin=True)
    with_pin(wire.device.authenticator)
    key, _ = key_of(wire, PIN)
    credential = key.enrol((), verify=True)
    with pytest.raises(SignerError) as refused:
        key.secret(credential, SALT, verify=False)
    assert refused.value.code == "key.pin-required"


def test_a_wrong_pin_is_asked_again_with_the_tries_that_are_left() -> None:
    wire = InProcess()
    with_pin(wire.device.authenticator)
    key, owner = key_of(wire, "0000", "wrong", PIN, PIN)
    credential = key.enrol((), verify=True)
    assert owner.tries == [8, 7, 6]
    assert len(key.secret(credential, SALT, verify=True)) == 32
    assert owner.tries == [8, 7, 6, 8]


def test_wrong_pins_pause_the_key_and_then_lock_it() -> None:
    wire = InProcess()
    with_pin(wire.device.authenticator)
    codes = []
    for _ in range(4):
        key, _ = key_of(wire, *["0000"] * 3)
        with pytest.raises(SignerError) as refused:
            key.enrol((), verify=True)
        codes.append(refused.value.code)
        wire.device.authenticator.plug_in()
    assert codes == ["key.pin-paused", "key.pin-paused", "key.locked-out", "key.locked-out"]
    key, _owner = key_of(wire, PIN)
    with pytest.raises(SignerError) as refused:
        key.enrol((), verify=True)
    assert refused.value.code == "key.locked-out"
    assert "reset" in refused.value.hint


@pytest.mark.parametrize(
    ("pin", "code"), [("123", "key.pin-length"), ("x" * 64, "key.pin-length"), ("", "key.pin-length")]
)
def test_what_can_be_no_pin_costs_no_try(pin: str, code: str) -> None:
    wire = InProcess()
    with_pin(wire.device.authenticator)
    key, _ = key_of(wire, pin)
    with pytest.raises(InputError) as refused:
        key.enrol((), verify=True)
    assert refused.value.code == code
    assert wire.device.authenticator.tries == 8


def test_pins_are_compared_in_normal_form() -> None:
    wire = InProcess()
    with_pin(wire.device.authenticator, "caf\u00e9")
    key, _ = key_of(wire, "cafe\u0301")
    assert key.enrol((), verify=True)


def test_nobody_touches_it() -> None:
    wire = InProcess(touches="never")
    key, owner = key_of(wire)
    with pytest.raises(SignerError) as refused:
        key.enrol((), verify=False)
    assert refused.value.code == "key.not-touched"
    assert owner.touches == 1, "told once, not with every keep-alive"
    assert wire.sent[-1][4] == 0x80 | 0x11, "it is told to stop blinking"


def test_ctrl_c_lets_the_key_stop_waiting() -> None:
    wire = InProcess(touches="never")
    key, owner = key_of(wire)

    def interrupt(_key: str) -> None:
        raise KeyboardInterrupt

    owner.touch = interrupt  # type: ignore[method-assign]  # the test's own owner
    with pytest.raises(KeyboardInterrupt):
        key.enrol((), verify=False)
    assert wire.sent[-1][4] == 0x80 | 0x11


def test_a_key_that_is_pulled_out_says_so_at_each_step() -> None:
    steps: list[Callable[[SecurityKey], object]] = [
        lambda key: key.enrol((), verify=False),
        lambda key: key.secret(b"x" * 60, SALT, verify=False),
        lambda key: key.knows(b"x" * 60),
    ]
    for step in steps:
        wire = InProcess(touches="never")
        key, _owner = key_of(wire)
        wire.device.on_touch = lambda wire=wire: setattr(wire, "is_removed", True)
        if step is steps[2]:
            wire.is_removed = True
        with pytest.raises(SignerError) as refused:
            step(key)
        assert refused.value.code == "key.removed"


EXPECTED = {
    "silent": "key.timeout",
    "endless-keepalive": "key.timeout",
    "wrong-channel": "key.timeout",
    "always-busy": "key.busy",
}
"""What a lie ends in; all others in ``key.bad-answer``."""


@pytest.mark.parametrize("lie", LIES)
def test_a_lying_key_opens_nothing(lie: str) -> None:
    wire = InProcess()
    with_pin(wire.device.authenticator)
    key, _ = key_of(wire, *[PIN] * 4)
    credential = key.enrol((), verify=True)
    wire.device.lie = lie
    with pytest.raises(SignerError) as refused:
        key.secret(credential, SALT, verify=True)
    assert refused.value.code == EXPECTED.get(lie, "key.bad-answer")
    assert refused.value.hint


@pytest.mark.parametrize(
    "lie", sorted(set(LIES) - {"foreign-party", "not-touched", "other-credential", "short-secret", "bad-agreement"})
)
def test_a_key_that_lies_from_the_beginning_is_told_as_one(lie: str) -> None:
    wire = InProcess()
    wire.device.lie = lie
    with pytest.raises(SignerError) as refused:
        key_of(wire)
    assert refused.value.code == EXPECTED.get(lie, "key.bad-answer")


@pytest.mark.parametrize("lie", ["foreign-party", "not-touched", "truncated-cbor", "nested-cbor", "bad-agreement"])
def test_a_lying_key_is_not_enrolled(lie: str) -> None:
    wire = InProcess()
    with_pin(wire.device.authenticator)
    key, _ = key_of(wire, PIN)
    wire.device.lie = lie
    with pytest.raises(WalletError) as refused:
        key.enrol((), verify=True)
    assert refused.value.code == "key.bad-answer"


def test_a_key_that_knows_u2f_only_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    wire = InProcess()
    reply = wire.device._reply
    monkeypatch.setattr(
        wire.device, "_reply", lambda at, command, data: reply(at, command, data[:-1] + b"\0" if command == 6 else data)
    )
    with pytest.raises(SignerError) as refused:
        key_of(wire)
    assert refused.value.code == "key.unsupported"
