"""A split is healed where the root is cold: asked for with the proof in hand, told and accepted by itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.wallet.airgap.parts import Machines, document_of, forged_record, here, refusal, with_item
from walletcli.core.equivocation import EquivocationProof, proof_of_records
from walletcli.core.record import Record
from walletcli.core.request_items import PublishItem
from walletcli.wallet.airgap.making import Wish
from walletcli.wallet.airgap.wishes import healing_wish
from walletcli.wallet.identities import set_attribute
from walletcli.wallet.splits.own import own_splits
from walletcli.wallet.state.changes import KeepSplits


@pytest.fixture
def proof(alice: Machines) -> EquivocationProof:
    """Another copy of the words has signed with the seq of the last record."""
    own = Record.from_bytes(alice.view("alice").record or b"")
    return proof_of_records(own, forged_record(replace(document_of(own.to_bytes()), profile={"name": "Eve"})))


def wish(alice: Machines, proof: EquivocationProof) -> Wish:
    path = Path(alice.path())
    path.write_bytes(proof.to_bytes())
    with here(alice.online) as session:
        return Wish(healing_wish(session, [str(path)]))


def test_a_request_with_the_proof_heals_in_one_trip(alice: Machines, proof: EquivocationProof) -> None:
    alice.trip(wish(alice, proof), accept=("history",))
    healed = document_of(alice.view("alice").record)
    assert healed.healed == (proof.pair,)
    assert proof.is_healed_by(healed)
    assert alice.view("alice").healing == ()
    with here(alice.online) as session:
        assert own_splits(session.snapshot().wallet) == ()


def test_the_cold_side_tells_of_it_and_wants_it_accepted(alice: Machines, proof: EquivocationProof) -> None:
    made = alice.ask(wish(alice, proof))
    (item,) = alice.review(made.path).items
    assert any(line.startswith("HEALS the split between") for line in item.lines)
    assert [found.name for found in item.alarms] == ["history"]
    assert refusal(lambda: alice.approve(made.path)).code == "request.alarm"


def test_the_cold_side_heals_a_split_of_its_own_record(alice: Machines, proof: EquivocationProof) -> None:
    made = alice.ask(wish(alice, proof))
    own = document_of(alice.view("alice").record).hash
    other = next(side for side in proof.sides if side.content != own)
    twin = Record.verified(other.packet, other.document)

    def on_top_of_twin(item: PublishItem) -> PublishItem:
        return replace(item, record=twin, document=replace(item.document, previous=other.content))

    path = alice.tampered(made.path, with_item(on_top_of_twin))
    (item,) = alice.review(path).items
    assert item.error is None
    assert [found.name for found in item.alarms] == ["history", "history"]


def test_nothing_is_asked_for_that_leaves_a_split_open(alice: Machines, proof: EquivocationProof) -> None:
    with here(alice.online) as session:
        session.apply(KeepSplits((proof.to_bytes(),)))
        set_attribute(session, "alice", "name", "Alice")
    assert refusal(lambda: alice.ask(Wish(("alice",)))).code == "publish.split"
