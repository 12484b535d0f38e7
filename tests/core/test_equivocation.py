"""docs/spec/equivocation.md: two states of one key with one seq, in a file that anybody verifies."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.core.samples import ALICE, BOB, SEQ, documents, payload, payload_of
from tests.core.vectors import load, name
from tests.vectors.cases_equivocation import proof_file, side_of
from walletcli.core.document import Document
from walletcli.core.equivocation import (
    EquivocationProof,
    Side,
    content_hash,
    named_in,
    open_proofs,
    proof_of_records,
    proofs_among,
)
from walletcli.core.packet import SignedPacket
from walletcli.core.record import Record, packet_value
from walletcli.errors import InputError, VerificationError, WalletError

LEFT = documents()["two devices and a profile"]
RIGHT = replace(LEFT, profile={"name": "Eve"})
THIRD = replace(LEFT, profile={"name": "Mallory"})


def packet_of(document: Document) -> SignedPacket:
    return SignedPacket.from_relay_payload(document.identity, payload_of(document))


def record_of(document: Document) -> Record:
    return Record.verified(packet_of(document), document.to_bytes())


def side(document: Document, *, whole: bool = True) -> Side:
    return Side(packet_of(document), document.to_bytes() if whole else None)


def proof() -> EquivocationProof:
    return EquivocationProof.of(side(LEFT), side(RIGHT))


def data_of(case: dict[str, Any]) -> bytes:
    return bytes.fromhex(case["hex"]).ljust(case["length"], b"\0")


def refused(data: bytes) -> str:
    with pytest.raises(WalletError) as raised:
        EquivocationProof.from_bytes(data)
    return raised.value.code


@pytest.mark.parametrize("case", load("equivocation.json"), ids=name)
def test_a_proof_file_reads_as_its_vector_says(case: dict[str, Any]) -> None:
    found = EquivocationProof.from_bytes(data_of(case))
    assert (found.seq, found.public_key.hex()) == (case["seq"], case["key"])
    assert found.to_bytes() == data_of(case)


@pytest.mark.parametrize("case", load("equivocation.json", "invalid"), ids=name)
def test_what_must_be_refused_is_refused(case: dict[str, Any]) -> None:
    assert refused(data_of(case)) == case["error"]


def test_every_bit_of_a_proof_counts() -> None:
    data = EquivocationProof.of(side(LEFT, whole=False), side(RIGHT, whole=False)).to_bytes()
    for at in range(len(data) * 8):
        changed = bytearray(data)
        changed[at // 8] ^= 1 << at % 8
        refused(bytes(changed))


def test_every_byte_of_a_document_in_a_proof_counts() -> None:
    data = proof().to_bytes()
    for at in range(0, len(data), 5):
        refused(data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :])


def test_one_split_has_one_file_whoever_writes_it() -> None:
    assert EquivocationProof.of(side(RIGHT), side(LEFT)).to_bytes() == proof().to_bytes()
    assert proofs_among([side(RIGHT), side(LEFT)]) == proofs_among([side(LEFT), side(RIGHT)]) == (proof(),)


def test_one_state_twice_is_no_split() -> None:
    with pytest.raises(VerificationError) as raised:
        EquivocationProof.of(side(LEFT), side(LEFT, whole=False))
    assert raised.value.code == "equivocation.same"
    assert proofs_among([side(LEFT), side(LEFT)]) == ()
    with pytest.raises(InputError) as none:
        proof_of_records(record_of(LEFT), record_of(LEFT))
    assert none.value.code == "equivocation.none"


def test_two_states_with_different_seq_are_no_split() -> None:
    later = replace(RIGHT, seq=SEQ + 1)
    assert proofs_among([side(LEFT), side(later)]) == ()
    with pytest.raises(InputError) as raised:
        proof_of_records(record_of(LEFT), record_of(later))
    assert raised.value.code == "equivocation.none"


def test_packets_of_two_keys_are_no_split_of_either() -> None:
    bobs = Document(BOB.public_key, SEQ)
    theirs = SignedPacket.from_relay_payload(BOB.public_key, payload(BOB, SEQ, packet_value(bobs)))
    with pytest.raises(VerificationError) as raised:
        EquivocationProof.of(side(LEFT), Side(theirs))
    assert raised.value.code == "equivocation.identity"


def test_a_proof_of_one_key_cannot_be_turned_against_another() -> None:
    first, second = sorted((LEFT, RIGHT), key=lambda item: item.hash)
    assert refused(proof_file(side_of(first), side_of(second), key=BOB.public_key)) == "signature.invalid"


def test_the_documents_may_be_left_out_and_come_back_from_another_proof() -> None:
    bare = proof().bare()
    assert bare.pair == proof().pair
    assert all(one.document is None for one in bare.sides)
    assert EquivocationProof.from_bytes(bare.to_bytes()) == bare
    assert bare.joined(proof()) == proof()
    assert proof().joined(bare) == proof()


def test_a_document_that_is_no_good_is_a_side_all_the_same_and_is_not_shown() -> None:
    twisted = packet_value(RIGHT).replace(b"v=0;vm=k0", b"v=0;vm=k1")
    odd = SignedPacket.from_relay_payload(ALICE.public_key, payload(ALICE, SEQ, twisted))
    found = EquivocationProof.of(side(LEFT), Side(odd, RIGHT.to_bytes()))
    other = next(one for one in found.sides if one.packet == odd)
    assert other.readable is None
    assert other.to_json()["document"] is None
    assert other.to_json()["document_at_hand"] is True


def test_of_three_sides_the_lowest_stands_against_each_other_one() -> None:
    found = proofs_among([side(LEFT), side(RIGHT), side(THIRD)])
    lowest = min(content_hash(packet_of(item)) for item in (LEFT, RIGHT, THIRD))
    assert len(found) == 2
    assert {proof.pair[0] for proof in found} == {lowest}
    assert {half for proof in found for half in proof.pair} == {item.hash for item in (LEFT, RIGHT, THIRD)}


def test_the_newest_split_comes_first() -> None:
    later = [replace(item, seq=SEQ + 5) for item in (LEFT, RIGHT)]
    found = proofs_among([side(item) for item in (LEFT, later[0], RIGHT, later[1])])
    assert [item.seq for item in found] == [SEQ + 5, SEQ]


def test_only_a_later_document_that_names_both_sides_heals() -> None:
    split = proof()
    healing = Document(ALICE.public_key, SEQ + 1, healed=(split.pair,))
    assert split.is_healed_by(healing)
    assert not split.is_healed_by(None)
    assert not split.is_healed_by(replace(healing, seq=SEQ))
    assert not split.is_healed_by(replace(healing, identity=BOB.public_key))
    assert not split.is_healed_by(Document(ALICE.public_key, SEQ + 1))
    low, high = sorted((split.pair[0], THIRD.hash))
    assert not split.is_healed_by(replace(healing, healed=((low, high),)))


def test_a_third_side_opens_a_healed_split_again() -> None:
    healing = Document(ALICE.public_key, SEQ + 1, healed=(proof().pair,))
    found = proofs_among([side(LEFT), side(RIGHT), side(THIRD)])
    assert open_proofs([proof()], named_in(healing)) == ()
    assert len(open_proofs(found, named_in(healing))) >= 1
