"""PyPI cwt verifies our cards, relations and exports, and makes ones that we accept."""

from __future__ import annotations

from typing import Any

import cbor2
import cwt
import pytest

from tests.core.samples import ALICE, BOB, DAY
from walletcli.core.card import Card, verify_card
from walletcli.core.contact_export import ContactExport, Entry, verify_export
from walletcli.core.cose import Sign1
from walletcli.core.ed25519 import SigningKey
from walletcli.core.relation import Relation, verify_relation
from walletcli.errors import FormatError, VerificationError

NONCE = bytes(range(16))
CARD = Card(ALICE.public_key, {"name": "Zoë ☿"}, DAY, DAY + 365, ("https://relay.example",))
RELATION = Relation.between(ALICE.public_key, BOB.public_key, NONCE, DAY, DAY + 365)
EXPORT = ContactExport(ALICE.public_key, DAY, NONCE, (Entry(BOB.public_key, "Bob", notes="lunch"),))
STATEMENTS: tuple[Card | Relation | ContactExport, ...] = (CARD, RELATION, EXPORT)


def public(key: SigningKey) -> cwt.COSEKey:
    return cwt.COSEKey.new({1: 1, 2: key.public_key, 3: -8, -1: 6, -2: key.public_key})


def private(key: SigningKey) -> cwt.COSEKey:
    return cwt.COSEKey.new({1: 1, 2: key.public_key, 3: -8, -1: 6, -2: key.public_key, -4: key.seed.reveal()})


def made_by_cwt(key: SigningKey, typ: str, payload: bytes, **more: Any) -> bytes:
    made: bytes = cwt.COSE.new().encode_and_sign(
        payload, private(key), protected={1: -8, 4: key.public_key, 16: typ}, **more
    )
    return made


def verify(statement: Card | Relation | ContactExport, data: bytes) -> Any:
    if isinstance(statement, Card):
        return verify_card(data)[0]
    if isinstance(statement, ContactExport):
        return verify_export(data)[0]
    return verify_relation(data, None).relation


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda item: type(item).__name__)
def test_cwt_verifies_ours(statement: Card | Relation | ContactExport) -> None:
    data = Sign1.sign(ALICE, statement.TYP, statement.to_payload()).to_bytes()
    protected, unprotected, payload = cwt.COSE.new().decode_with_headers(data, public(ALICE))
    assert protected == {1: -8, 4: ALICE.public_key, 16: statement.TYP} and unprotected == {}
    assert cbor2.loads(payload)[1] == 1


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda item: type(item).__name__)
def test_cwt_refuses_ours_under_another_key_or_altered(statement: Card | Relation | ContactExport) -> None:
    data = Sign1.sign(ALICE, statement.TYP, statement.to_payload()).to_bytes()
    altered = data.replace(statement.to_payload()[-8:], bytes(8), 1)
    for bad, key in ((data, BOB), (altered, ALICE)):
        with pytest.raises((cwt.VerifyError, ValueError)):
            cwt.COSE.new().decode(bad, public(key))


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda item: type(item).__name__)
def test_we_accept_what_cwt_makes(statement: Card | Relation | ContactExport) -> None:
    payload = cbor2.dumps(cbor2.loads(statement.to_payload()), canonical=True)
    assert verify(statement, made_by_cwt(ALICE, statement.TYP, payload)) == statement


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda item: type(item).__name__)
def test_we_refuse_what_cwt_signs_with_another_key(statement: Card | Relation | ContactExport) -> None:
    made = made_by_cwt(BOB, statement.TYP, statement.to_payload())
    forged = made.replace(BOB.public_key, ALICE.public_key, 1)
    with pytest.raises(VerificationError) as raised:
        verify(statement, forged)
    assert raised.value.code == "signature.invalid"


def test_we_refuse_what_stands_in_the_unprotected_header() -> None:
    made = made_by_cwt(ALICE, Card.TYP, CARD.to_payload(), unprotected={7: b"x"})
    with pytest.raises(FormatError) as raised:
        verify_card(made)
    assert raised.value.code.startswith("cose.")


def test_both_sides_of_a_relation_can_be_cwts() -> None:
    sides = [made_by_cwt(key, Relation.TYP, RELATION.to_payload()) for key in (ALICE, BOB)]
    lower, higher = sides if RELATION.parties[0] == ALICE.public_key else sides[::-1]
    found = verify_relation(lower, higher)
    assert found.is_whole and found.relation == RELATION
    for key in (ALICE, BOB):
        found.check_side(key.public_key, None, DAY)
