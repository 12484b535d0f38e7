"""tests/vectors/gathering.json: what approvers are asked and give back."""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.approving import ONE, TWO
from tests.core.samples import ALICE, key
from tests.core.vectors import load, name
from walletcli.core.approval_file import ApprovalFile, offer_subject
from walletcli.core.request_file import RequestFile
from walletcli.errors import WalletError


def read(case: dict[str, Any]) -> RequestFile | ApprovalFile:
    data = bytes.fromhex(case["hex"])
    found = RequestFile.from_bytes(data) if case["kind"] == "request" else ApprovalFile.from_bytes(data)
    assert found.to_bytes() == data
    return found


@pytest.mark.parametrize("case", load("gathering.json"), ids=name)
def test_valid_ones_are_read_and_written_the_same(case: dict[str, Any]) -> None:
    found = read(case)
    if isinstance(found, ApprovalFile) and found.offer is not None:
        offer = found.offer
        offer.proof.check(offer_subject(ALICE.public_key, found.digest, offer.approver), offer.approver)


@pytest.mark.parametrize("case", load("gathering.json", "invalid"), ids=name)
def test_invalid_ones_end_in_their_error(case: dict[str, Any]) -> None:
    with pytest.raises(WalletError) as raised:
        read(case)
    assert raised.value.code == case["error"]


def test_what_an_offered_key_approves_is_of_that_key_and_that_request_alone() -> None:
    subjects = [
        offer_subject(ALICE.public_key, bytes(32), ONE.approver),
        offer_subject(ALICE.public_key, bytes(32), TWO.approver),
        offer_subject(ALICE.public_key, b"\1" * 32, ONE.approver),
        offer_subject(key("stranger").public_key, bytes(32), ONE.approver),
    ]
    assert len({subject.client_data_hash for subject in subjects}) == 4
