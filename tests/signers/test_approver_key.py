"""A security key approves what its owner touches it for, and whatever it does otherwise is no approval."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Any

import pytest

from tests.hid.authenticator import EDDSA, ES256
from tests.hid.device import LIES
from tests.hid.in_process import InProcess
from tests.signers.test_security_key import PIN, key_of, with_pin
from walletcli.core.approval import RELYING_PARTY, Kind, Subject, check_threshold
from walletcli.core.document_parts import Approvers
from walletcli.errors import SignerError, VerificationError
from walletcli.signers.devices import channel, security_key
from walletcli.signers.devices.new_approver import approver_of

SUBJECT = Subject.rehearsal(bytes([1]) + bytes(31), bytes(range(32)))
OTHER = replace(SUBJECT, kind=Kind.CONTACT_EXPORT)


@pytest.fixture(autouse=True)
def _short_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits of tests end sooner; that they end is what is tested."""
    monkeypatch.setattr(channel, "ANSWER_LIMIT_S", 2.0)
    monkeypatch.setattr(channel, "BUSY_LIMIT_S", 0.3)
    monkeypatch.setattr(security_key, "ANSWER_LIMIT_S", 2.0)
    monkeypatch.setattr(security_key, "TOUCH_LIMIT_S", 2.5)


@pytest.mark.parametrize("algorithm", [EDDSA, ES256])
@pytest.mark.parametrize("verify", [True, False])
def test_an_approval_is_of_what_was_asked_for_and_of_nothing_else(
    algorithm: int, verify: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(security_key, "EDDSA", algorithm)  # the first that is asked for
    wire = InProcess()
    with_pin(wire.device.authenticator)
    key, owner = key_of(wire, *[PIN] * 3)
    made = key.new_approver((), verify=verify)
    assert (made.approver.algorithm, made.approver.user_verification) == (algorithm, verify)
    approval = key.approve(made.credential_id, made.approver, SUBJECT)
    approval.check(SUBJECT, made.approver)
    assert owner.touches == 2
    with pytest.raises(VerificationError):
        approval.check(OTHER, made.approver)


def test_credentials_of_vaults_and_of_approvers_are_apart() -> None:
    key, _ = key_of(InProcess())
    vault, made = key.enrol((), verify=False), key.new_approver((), verify=False)
    assert key.knows(made.credential_id, RELYING_PARTY)
    assert not key.knows(made.credential_id)
    assert not key.knows(vault, RELYING_PARTY)
    with pytest.raises(SignerError) as refused:
        key.approve(vault, made.approver, SUBJECT)
    assert refused.value.code == "key.not-enrolled"


def test_a_key_that_opens_no_vault_can_approve() -> None:
    key, _ = key_of(InProcess(hmac_secret=False))
    made = key.new_approver((), verify=False)
    assert key.knows(made.credential_id, RELYING_PARTY)
    key.approve(made.credential_id, made.approver, SUBJECT).check(SUBJECT, made.approver)


def test_a_key_is_not_made_an_approver_twice_nor_with_a_pin_that_it_has_not() -> None:
    key, _ = key_of(InProcess())
    made = key.new_approver((), verify=False)
    for exclude, verify, code in (([made.credential_id], False, "key.already-enrolled"), ([], True, "key.pin-not-set")):
        with pytest.raises(SignerError) as refused:
            key.new_approver(exclude, verify=verify)
        assert refused.value.code == code


def test_a_touch_where_the_pin_is_needed_is_no_approval() -> None:
    wire = InProcess()
    with_pin(wire.device.authenticator)
    key, _ = key_of(wire, PIN)
    made = key.new_approver((), verify=True)
    without = approver_of({1: 1, 3: -8, -1: 6, -2: made.approver.public_key}, verify=False)
    touched = key.approve(made.credential_id, without, SUBJECT)
    with pytest.raises(VerificationError) as refused:
        touched.check(SUBJECT, made.approver)
    assert refused.value.code == "approval.not-verified"


@pytest.mark.parametrize("lie", LIES)
def test_a_lying_key_gives_no_false_approval(lie: str) -> None:
    wire = InProcess()
    with_pin(wire.device.authenticator)
    key, _ = key_of(wire, *[PIN] * 4)
    made = key.new_approver((), verify=True)
    wire.device.lie = lie
    given = []
    with contextlib.suppress(SignerError):
        given.append(key.approve(made.credential_id, made.approver, SUBJECT))
    group = Approvers(1, (made.approver,), 30)
    if given:  # a lie about something that an approval does not hold
        check_threshold(group, SUBJECT, given)
    with pytest.raises(VerificationError):
        check_threshold(group, OTHER, given)


WRONG_KEYS: list[dict[int, Any]] = [
    {},
    {1: 1, 3: -8, -1: 6},
    {1: 1, 3: -8, -1: 6, -2: bytes(31)},
    {1: 1, 3: -8, -1: 6, -2: bytes(32)},
    {1: 1, 3: -8, -1: 6, -2: 5},
    {1: 2, 3: -7, -1: 1, -2: bytes(32), -3: bytes(31)},
    {1: 2, 3: -7, -1: 1, -2: b"\xff" * 32, -3: bytes(32)},
    {1: 2, 3: -7, -1: 2, -2: bytes(32), -3: bytes(32)},
    {1: 3, 3: -257, -1: b"n", -2: b"e"},
]


@pytest.mark.parametrize("key", WRONG_KEYS)
def test_a_public_key_that_is_none_is_a_bad_answer(key: dict[int, Any]) -> None:
    with pytest.raises(SignerError) as refused:
        approver_of(key, verify=True)
    assert refused.value.code == "key.bad-answer"
