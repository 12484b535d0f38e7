"""FIDO2's reference implementation in Python: it takes our approvals, and what is in its form is an approval."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from fido2.cose import CoseKey
from fido2.webauthn import AuthenticatorData

from tests.core.approving import ONE, TWO, SoftKey
from tests.core.samples import ALICE, SEQ
from walletcli.core.approval import RELYING_PARTY, Approval, Subject
from walletcli.core.document import Document

DOCUMENT = Document(ALICE.public_key, SEQ, profile={"name": "Alice"})
SUBJECT = Subject.of_document(DOCUMENT)


def cose_key(key: SoftKey) -> CoseKey:
    if key.algorithm == -8:
        return CoseKey.parse({1: 1, 3: -8, -1: 6, -2: key.public_key})
    numbers = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), key.public_key).public_numbers()
    x, y = (number.to_bytes(32, "big") for number in (numbers.x, numbers.y))
    return CoseKey.parse({1: 2, 3: -7, -1: 1, -2: x, -3: y})


@pytest.mark.parametrize("key", [ONE, TWO])
def test_its_verifier_takes_our_approvals_and_refuses_each_flipped_bit(key: SoftKey) -> None:
    approval = key.approve(DOCUMENT)
    data = AuthenticatorData(approval.authenticator_data)
    assert data.rp_id_hash == hashlib.sha256(RELYING_PARTY.encode()).digest()
    assert data.is_user_present()
    assert data.is_user_verified()
    message = bytes(data) + SUBJECT.client_data_hash
    theirs: Any = cose_key(key)
    theirs.verify(message, approval.signature)
    for place in range(8 * len(message)):
        changed = bytearray(message)
        changed[place // 8] ^= 1 << place % 8
        with pytest.raises(InvalidSignature):
            theirs.verify(bytes(changed), approval.signature)


@pytest.mark.parametrize("key", [ONE, TWO])
def test_an_assertion_in_its_form_is_an_approval(key: SoftKey) -> None:
    data = AuthenticatorData.create(
        hashlib.sha256(RELYING_PARTY.encode()).digest(), AuthenticatorData.FLAG.UP | AuthenticatorData.FLAG.UV, 3
    )
    signature = key.sign(bytes(data) + SUBJECT.client_data_hash)
    Approval(key.algorithm, key.public_key, bytes(data), signature).check(SUBJECT, key.approver)
