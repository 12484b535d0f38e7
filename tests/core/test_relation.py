"""Relations: who may sign for a side, on which day, and what a replay is."""

from __future__ import annotations

import pytest

from tests.core.samples import ALICE, BOB, DAY, device, devices, key, payload_of
from walletcli.core.cose import Sign1
from walletcli.core.document import Document
from walletcli.core.document_parts import Delegation, Power
from walletcli.core.ed25519 import SigningKey
from walletcli.core.record import Record
from walletcli.core.relation import MAX_FILE_BYTES, Relation, RelationFile, SignedRelation, verify_relation
from walletcli.errors import FormatError, VerificationError

LOW, HIGH = sorted((ALICE, BOB), key=lambda item: item.public_key)
CAROL = key("carol")
RELATION = Relation.between(ALICE.public_key, BOB.public_key, bytes(16), DAY, DAY + 30)
SHARING = key("device 0")


def signed(signer: SigningKey, relation: Relation = RELATION) -> bytes:
    return Sign1.sign(signer, Relation.TYP, relation.to_payload()).to_bytes()


def record(identity: SigningKey, *delegations: Delegation) -> Record:
    document = Document(identity.public_key, 1, delegations=delegations)
    return Record.from_payload(identity.public_key, payload_of(document, identity), document.to_bytes())


def code_of(found: SignedRelation, identity: bytes, known: Record | None, day: int = DAY) -> str | None:
    try:
        found.check_side(identity, known, day)
    except VerificationError as error:
        return error.code if error.hint else "an error without a hint"
    return None


def test_roots_may_sign_and_need_no_record() -> None:
    found = verify_relation(signed(LOW), signed(HIGH))
    assert found.is_whole
    assert code_of(found, LOW.public_key, None) is None and code_of(found, HIGH.public_key, None) is None


@pytest.mark.parametrize(
    ("known", "day", "code"),
    [
        (record(HIGH, *devices(1)), DAY, None),
        (record(HIGH, *devices(1)), DAY + 89, None),
        (record(HIGH, *devices(1)), DAY + 90, "authority.expired"),
        (record(HIGH, *devices(1)), DAY - 1, "authority.expired"),
        (record(HIGH, device("device 0", Power.HOST, Power.MESSAGE)), DAY, "authority.power"),
        (record(HIGH, device("another", Power.SHARE)), DAY, "authority.not-delegated"),
        (record(HIGH), DAY, "authority.not-delegated"),
        (record(LOW, *devices(1)), DAY, "authority.identity"),
        (None, DAY, "relation.evidence"),
    ],
    ids=lambda value: str(value) if not isinstance(value, Record) else "record",
)
def test_a_device_may_sign_if_its_record_says_so_today(known: Record | None, day: int, code: str | None) -> None:
    found = verify_relation(signed(LOW), signed(SHARING))
    assert code_of(found, HIGH.public_key, known, day) == code


def test_a_root_cannot_sign_for_the_other_side() -> None:
    found = verify_relation(signed(HIGH), None)
    assert code_of(found, LOW.public_key, record(LOW, *devices(1))) == "authority.not-delegated"
    assert code_of(found, HIGH.public_key, None) == "relation.unsigned"


def test_a_relation_of_others_is_not_ours() -> None:
    found = verify_relation(signed(LOW), signed(HIGH))
    assert code_of(found, CAROL.public_key, None) == "relation.parties"
    with pytest.raises(VerificationError) as raised:
        found.relation.other_side(CAROL.public_key)
    assert raised.value.code == "relation.parties"
    assert found.relation.other_side(LOW.public_key) == HIGH.public_key
    assert found.relation.other_side(HIGH.public_key) == LOW.public_key


def test_an_answer_to_another_offer_is_refused() -> None:
    older = Relation.between(ALICE.public_key, BOB.public_key, b"\1" * 16, DAY, DAY + 30)
    offer = verify_relation(signed(LOW), None)
    with pytest.raises(VerificationError) as raised:
        offer.with_answer(HIGH.public_key, signed(HIGH, older))
    assert raised.value.code == "relation.differs"
    whole = offer.with_answer(HIGH.public_key, signed(HIGH))
    assert whole.is_whole and whole == verify_relation(signed(LOW), signed(HIGH))


@pytest.mark.parametrize(
    ("today", "code"),
    [(DAY - 2, "relation.not-yet"), (DAY - 1, None), (DAY + 29, None), (DAY + 30, "relation.expired")],
)
def test_a_relation_holds_until_the_day_before_its_end(today: int, code: str | None) -> None:
    if code is None:
        RELATION.check_day(today)
        return
    with pytest.raises(VerificationError) as raised:
        RELATION.check_day(today)
    assert raised.value.code == code


def test_nobody_can_have_a_relation_with_themselves() -> None:
    with pytest.raises(FormatError) as raised:
        Relation.between(ALICE.public_key, ALICE.public_key, bytes(16), DAY, DAY + 1)
    assert raised.value.code == "relation.malformed"


def test_a_file_that_is_far_too_long_is_refused_before_it_is_read() -> None:
    data = RelationFile((signed(LOW), None)).to_bytes()
    with pytest.raises(FormatError) as raised:
        RelationFile.from_bytes(data.ljust(MAX_FILE_BYTES + 1, b"\0"))
    assert raised.value.code == "relation.file"
