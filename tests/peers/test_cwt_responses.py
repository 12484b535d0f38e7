"""PyPI cwt verifies what the machine with the root keys answers, and makes answers that we accept."""

from __future__ import annotations

from typing import Any

import cbor2
import cwt
import pytest

from tests.core.samples import ALICE, BOB
from tests.peers.test_cwt_contacts import made_by_cwt, public
from tests.vectors.cases_request import made, origin, response_fields
from walletcli.core import cbor
from walletcli.core.response import Response, verify_response
from walletcli.errors import FormatError, VerificationError
from walletcli.signers.statements import sign_statement

PAYLOADS: dict[str, dict[int, Any]] = {
    "a signature": response_fields(),
    "a record": made(),
    "a record of another scheme": made(_5=32, _8=origin(_2="morpheus")),
}
EACH = pytest.mark.parametrize("fields", PAYLOADS.values(), ids=PAYLOADS.keys())


@EACH
def test_cwt_verifies_ours(fields: dict[int, Any]) -> None:
    data = sign_statement(ALICE, Response.TYP, Response.from_payload(cbor.encode(fields)).to_payload())
    protected, unprotected, payload = cwt.COSE.new().decode_with_headers(data, public(ALICE))
    assert protected == {1: -8, 4: ALICE.public_key, 16: "application/walletcli-response+cose"} and unprotected == {}
    assert cbor2.loads(payload) == fields


@EACH
def test_cwt_refuses_ours_under_another_key_or_altered(fields: dict[int, Any]) -> None:
    data = sign_statement(ALICE, Response.TYP, cbor.encode(fields))
    for bad, key in ((data, BOB), (data.replace(fields[4], bytes(32)), ALICE)):
        with pytest.raises((cwt.VerifyError, ValueError)):
            cwt.COSE.new().decode(bad, public(key))


@EACH
def test_we_accept_what_cwt_makes(fields: dict[int, Any]) -> None:
    made_there = made_by_cwt(ALICE, Response.TYP, cbor2.dumps(fields, canonical=True))
    assert verify_response(made_there) == Response.from_payload(cbor.encode(fields))


@EACH
def test_we_refuse_what_cwt_signs_with_another_key_or_for_another_type(fields: dict[int, Any]) -> None:
    payload = cbor.encode(fields)
    with pytest.raises(VerificationError) as refused:
        verify_response(made_by_cwt(BOB, Response.TYP, payload))
    assert refused.value.code == "response.signer"
    with pytest.raises(FormatError) as other:
        verify_response(made_by_cwt(ALICE, "application/walletcli-grant+cose", payload))
    assert other.value.code == "cose.type"
