"""What a vault keeps of splits is bounded, verified, and goes in an order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from tests.client.records import record
from walletcli.core.equivocation import EquivocationProof, proof_of_records
from walletcli.errors import FormatError, InputError, VerificationError, WalletError
from walletcli.wallet.access.session import Session
from walletcli.wallet.identities import create_identity, show_identity
from walletcli.wallet.state.change_rows import from_row, to_row
from walletcli.wallet.state.changes import HealSplits, KeepSplits
from walletcli.wallet.state.kept_splits import (
    MAX_HEALED,
    MAX_OF_ONE,
    MAX_PROOF_BYTES,
    MAX_SPLITS,
    Healing,
    KeptSplit,
    with_healing,
    with_splits,
)


def split_of(name: str, seq: int = 1, **fields: Any) -> EquivocationProof:
    return proof_of_records(record(name, seq, **fields), record(name, seq, profile={"name": "other"}))


def kept(*proofs: EquivocationProof, before: Sequence[KeptSplit] = (), own: Sequence[bytes] = ()) -> list[KeptSplit]:
    return list(with_splits(before, [proof.to_bytes() for proof in proofs], frozenset(own)))


def test_the_same_split_is_kept_once_with_the_documents_of_both() -> None:
    proof = split_of("a")
    (only,) = kept(proof.bare(), proof, proof.bare())
    assert only.opened == proof


def test_a_long_proof_is_kept_without_its_documents() -> None:
    proof = split_of("a", sections=tuple(bytes([n]) * 16_000 for n in range(1, 3)))
    (only,) = kept(proof)
    assert len(proof.to_bytes()) > MAX_PROOF_BYTES >= len(only.proof)
    assert only.opened == proof.bare()


def test_the_oldest_of_others_goes_and_ones_own_stay() -> None:
    own = split_of("own")
    found = kept(own, own=[own.public_key])
    for number in range(MAX_SPLITS + 3):
        found = kept(split_of(f"stranger {number}").bare(), before=found, own=[own.public_key])
    assert len(found) == MAX_SPLITS
    assert found[0].opened == own
    gone = {split_of(f"stranger {number}").public_key for number in range(4)}
    assert not gone & {item.identity for item in found}


def test_one_identity_cannot_drive_all_others_out() -> None:
    found = kept(split_of("bob"))
    for seq in range(1, MAX_OF_ONE + 4):
        found = kept(split_of("eve", seq).bare(), before=found)
    assert len(found) == 1 + MAX_OF_ONE
    assert found[-1].opened.seq == MAX_OF_ONE + 3


def test_what_is_no_proof_is_not_kept(session: Session) -> None:
    data = bytearray(split_of("a").bare().to_bytes())
    data[-40] ^= 1
    for bad in (b"", b"walletcli equivocation 1\n", bytes(data)):
        with pytest.raises(WalletError):
            session.apply(KeepSplits((bad,)))
    assert session.snapshot().wallet.splits == ()


def test_kept_splits_come_back_with_the_vault(session: Session) -> None:
    proof = split_of("a")
    session.apply(KeepSplits((proof.to_bytes(),)))
    assert [item.opened for item in session.snapshot().wallet.splits] == [proof]


def test_only_ones_own_split_is_healed(session: Session) -> None:
    create_identity(session, "alice")
    with pytest.raises(VerificationError) as raised:
        session.apply(HealSplits(0, (split_of("a").to_bytes(),)))
    assert raised.value.code == "heal.identity"
    assert show_identity(session, "alice").healing == ()


def test_more_splits_than_a_document_names_are_not_healed() -> None:
    proofs = [split_of("a", seq) for seq in range(1, MAX_HEALED + 2)]
    found = with_healing((), [proof.to_bytes() for proof in proofs[:-1]], proofs[0].public_key, None)
    assert len(found) == MAX_HEALED
    with pytest.raises(InputError) as raised:
        with_healing(found, [proofs[-1].to_bytes()], proofs[0].public_key, None)
    assert raised.value.code == "heal.too-many"


def test_the_healing_record_comes_after_all_that_was_seen() -> None:
    proof = split_of("a", 7)
    first = with_healing((), [proof.to_bytes()], proof.public_key, None)
    assert [item.seq for item in first] == [7]
    assert [item.seq for item in with_healing(first, [], proof.public_key, None, 20)] == [20]


@pytest.mark.parametrize("change", [KeepSplits((b"x",)), HealSplits(3, (b"x", b"y"), 9)])
def test_changes_travel(change: KeepSplits | HealSplits) -> None:
    assert from_row(to_row(change)) == change


def test_sides_out_of_order_are_malformed() -> None:
    with pytest.raises(FormatError):
        Healing.from_row([1, b"\2" * 32, b"\1" * 32], "wallet-view")
