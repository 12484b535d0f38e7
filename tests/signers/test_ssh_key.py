"""A security key signs for SSH what its owner touches it for, and whatever it does otherwise is no signature."""

from __future__ import annotations

from typing import Any

import pytest

from tests.hid.authenticator import EDDSA, ES256
from tests.hid.device import FORGERIES, LIES
from tests.hid.in_process import InProcess, Owner
from tests.signers.test_security_key import PIN, key_of, with_pin
from walletcli.core.approval import RELYING_PARTY as APPROVING_PARTY
from walletcli.core.ssh.security_keys import APPLICATION, KINDS, SkKey
from walletcli.errors import SignerError, VerificationError
from walletcli.signers.devices import channel, security_key
from walletcli.signers.devices.security_key import SecurityKey
from walletcli.signers.devices.ssh_signer import new_ssh_key, sign_ssh

MESSAGE = b"SSHSIG, or a login"


@pytest.fixture(autouse=True)
def _short_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits of tests end sooner; that they end is what is tested."""
    monkeypatch.setattr(channel, "ANSWER_LIMIT_S", 2.0)
    monkeypatch.setattr(channel, "BUSY_LIMIT_S", 0.3)
    monkeypatch.setattr(security_key, "ANSWER_LIMIT_S", 2.0)
    monkeypatch.setattr(security_key, "TOUCH_LIMIT_S", 2.5)


def made(
    *pins: str, verify: bool = False, algorithm: int = EDDSA
) -> tuple[InProcess, SecurityKey, Owner, SkKey, bytes]:
    """Return a security key with an SSH key on it."""
    wire = InProcess(algorithms=(algorithm,))
    if pins:
        with_pin(wire.device.authenticator)
    device, owner = key_of(wire, *pins)
    key, credential_id = new_ssh_key(device, (), verify=verify)
    return wire, device, owner, key, credential_id


@pytest.mark.parametrize("algorithm", [EDDSA, ES256])
@pytest.mark.parametrize("verify", [True, False])
def test_a_signature_is_of_what_was_asked_for_and_of_nothing_else(algorithm: int, verify: bool) -> None:
    _, device, owner, key, credential_id = made(PIN, PIN, verify=verify, algorithm=algorithm)
    assert (key.algorithm, key.application) == (algorithm, "ssh:")
    signature = sign_ssh(device, key, credential_id, MESSAGE, verify=verify)
    assert (signature.is_verified, owner.touches) == (verify, 2)
    assert signature.to_blob()[4 : 4 + len(KINDS[algorithm])].decode() == KINDS[algorithm]
    signature.check(key, MESSAGE)
    with pytest.raises(VerificationError):
        signature.check(key, MESSAGE + b"\0")
    with pytest.raises(VerificationError):
        signature.check(SkKey(key.algorithm, key.public_key, "ssh:other"), MESSAGE)


def test_credentials_of_vaults_approvers_and_ssh_are_apart() -> None:
    _, device, _, key, credential_id = made()
    vault, approver = device.enrol((), verify=False), device.new_approver((), verify=False)
    assert device.knows(credential_id, APPLICATION)
    assert not device.knows(credential_id)
    assert not device.knows(credential_id, APPROVING_PARTY)
    for other in (vault, approver.credential_id):
        assert not device.knows(other, APPLICATION)
        with pytest.raises(SignerError) as refused:
            sign_ssh(device, key, other, MESSAGE, verify=False)
        assert refused.value.code == "key.not-enrolled"


def test_one_security_key_holds_one_ssh_key_of_an_identity() -> None:
    _, device, _, _, credential_id = made()
    with pytest.raises(SignerError) as refused:
        new_ssh_key(device, [credential_id], verify=False)
    assert refused.value.code == "key.already-enrolled"


CODES = {
    "silent": "key.timeout",
    "endless-keepalive": "key.timeout",
    "wrong-channel": "key.timeout",
    "always-busy": "key.busy",
    "short-secret": None,
    "bad-agreement": None,
    "other-credential": None,
}
"""What lies end in that are not ``key.bad-answer``; None: they change nothing that this reads."""


@pytest.mark.parametrize("lie", [*LIES, *FORGERIES])
@pytest.mark.parametrize("algorithm", [EDDSA, ES256])
def test_a_key_that_lies_gives_no_signature(lie: str, algorithm: int) -> None:
    wire, device, _, key, credential_id = made(algorithm=algorithm)
    wire.device.lie = lie
    code = CODES.get(lie, "key.bad-answer")
    if code is None:
        sign_ssh(device, key, credential_id, MESSAGE, verify=False).check(key, MESSAGE)
        return
    with pytest.raises(SignerError) as refused:
        sign_ssh(device, key, credential_id, MESSAGE, verify=False)
    assert refused.value.code == code


def test_a_signature_of_another_key_on_the_same_device_is_none() -> None:
    _, device, _, key, _ = made()
    _, other_id = new_ssh_key(device, (), verify=False)
    with pytest.raises(SignerError) as refused:
        sign_ssh(device, key, other_id, MESSAGE, verify=False)
    assert refused.value.code == "key.bad-answer"


def test_a_key_that_forgets_the_pin_gives_no_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says less than was asked of it: a verifier that wants the PIN would refuse that signature."""
    _, device, _, key, credential_id = made()
    signed = SecurityKey.signed

    def without(self: SecurityKey, *asked: Any, verify: bool) -> tuple[bytes, bytes]:
        return signed(self, *asked, verify=False)

    monkeypatch.setattr(SecurityKey, "signed", without)
    with pytest.raises(SignerError) as refused:
        sign_ssh(device, key, credential_id, MESSAGE, verify=True)
    assert refused.value.code == "key.bad-answer"


def test_whoever_does_not_wait_any_more_leaves_no_key_blinking() -> None:
    wire, device, _, key, credential_id = made()
    wire.device.touches = "never"
    device.give_up_when(lambda: True)
    with pytest.raises(SignerError) as refused:
        sign_ssh(device, key, credential_id, MESSAGE, verify=False)
    assert refused.value.code == "key.given-up"
    assert wire.sent[-1][4] == 0x80 | 0x11, "it was told to stop"
