"""Which later states end a split, and which do not."""

from __future__ import annotations

from typing import Any

import pytest

from tests.client.records import foreign_packet, identity, record
from tests.core.approving import ONE, TWO, SoftKey, approvers
from walletcli.client.answers import Answer
from walletcli.client.choice import choose
from walletcli.client.freshness import FreshnessMap, Seen
from walletcli.client.splits import SplitError, refuse_split
from walletcli.core.approvals import DocumentApprovals, Step
from walletcli.core.equivocation import Side, content_hash, proofs_among
from walletcli.core.record import Record
from walletcli.errors import VerificationError

ALICE = identity("alice")
LEFT, RIGHT = record(seq=100, profile={"name": "left"}), record(seq=100, profile={"name": "right"})
OLD = record(seq=50)
PAIR = tuple(sorted((content_hash(LEFT.packet), content_hash(RIGHT.packet))))


def healing(seq: int = 200, pairs: Any = (PAIR,), **fields: Any) -> Record:
    return record(seq=seq, healed=pairs, **fields)


def answer(found: Record) -> Answer:
    return Answer(
        "https://one.example",
        found.packet,
        found.document.to_bytes() if found.document else None,
        None,
        beside_of(found),
    )


def beside_of(found: Record) -> tuple[DocumentApprovals, ...]:
    return (found.beside,) if found.beside is not None else ()


def chosen(memory: FreshnessMap, *records: Record) -> Record:
    choice = choose(ALICE, [answer(item) for item in records], memory, 20_000)
    if choice.kept is None:
        memory.put(ALICE.public_key, Seen.of(choice.record))
    return choice.record


def knowing(*records: Record) -> FreshnessMap:
    """Return a memory that has met the split, after these records."""
    memory = FreshnessMap()
    for item in records:
        memory.put(ALICE.public_key, Seen.of(item))
    for proof in proofs_among([Side(LEFT.packet), Side(RIGHT.packet)]):
        memory.keep_split(proof)
    return memory


def test_a_split_that_was_met_holds_though_one_side_alone_is_shown() -> None:
    with pytest.raises(SplitError):
        chosen(knowing(), LEFT)
    assert chosen(knowing(OLD), LEFT) == OLD
    assert chosen(knowing(LEFT), LEFT, record(seq=101)) == LEFT


def test_only_what_names_both_sides_is_followed() -> None:
    memory = knowing(OLD)
    low, high = PAIR
    for pairs in ((), ((bytes(32), low),), ((bytes(32), high),), ((b"\1" * 32, b"\2" * 32),)):
        assert chosen(memory, healing(pairs=tuple(sorted(pairs)))) == OLD
    healed = healing(pairs=((bytes(32), low), (b"\1" * 32, high)))
    assert chosen(memory, healed) == healed  # named, though in two pairs


def test_a_healing_document_with_the_seq_of_the_split_is_one_more_side() -> None:
    assert chosen(knowing(OLD), healing(100)) == OLD


def test_a_document_from_before_the_split_that_names_it_heals_nothing() -> None:
    """Whoever splits an identity can sign such a one as well: `seq` alone says what comes later."""
    assert chosen(knowing(OLD), healing(99)) == OLD
    assert chosen(knowing(OLD), healing(99), LEFT, RIGHT) == OLD


def test_a_split_below_what_is_remembered_is_over() -> None:
    memory = knowing(healing())
    later = record(seq=300)
    assert chosen(memory, later) == later


@pytest.mark.parametrize("where", ["the remembered state", "both sides"])
def test_where_there_are_approvers_a_healing_document_needs_their_approval(where: str) -> None:
    guarded = {"approvers": approvers(ONE)}
    old = record(seq=50, **(guarded if where == "the remembered state" else {}))
    sides = [record(seq=100, profile={"name": name}, **guarded) for name in ("left", "right")]
    pair = tuple(sorted(content_hash(side.packet) for side in sides))
    healed = healing(pairs=(pair,))
    memory = FreshnessMap()
    memory.put(ALICE.public_key, Seen.of(old))
    assert chosen(memory, *sides) == old
    assert chosen(memory, healed) == old
    assert chosen(memory, approved(healed, TWO)) == old
    assert chosen(memory, approved(healed, ONE)) == healed


def test_approvers_whom_a_thief_names_on_one_side_cannot_keep_the_owner_from_healing() -> None:
    stolen = record(seq=100, approvers=approvers(TWO))
    healed = healing(pairs=(tuple(sorted((content_hash(LEFT.packet), content_hash(stolen.packet)))),))
    memory = FreshnessMap()
    memory.put(ALICE.public_key, Seen.of(OLD))
    assert chosen(memory, LEFT, stolen) == OLD
    assert chosen(memory, healed) == healed


def approved(found: Record, key: SoftKey) -> Record:
    assert found.document is not None
    return found.with_approvals(DocumentApprovals((key.approve(found.document),)))


GUARDED = record(seq=100, approvers=approvers(ONE))
LATER = record(seq=200, approvers=approvers(ONE), profile={"name": "the stolen device is out"})
THIEFS = {
    "beside what is remembered": [record(seq=100, approvers=approvers(ONE), profile={"name": "thief"})],
    "beside it, with other approvers": [record(seq=100, approvers=approvers(TWO))],
    "two of the thief's own": [record(seq=150, profile={"name": name}) for name in ("one", "other")],
    "after what the owner approved": [record(seq=300, profile={"name": name}) for name in ("one", "other")],
}


@pytest.mark.parametrize("day", [20_000, 20_400])
@pytest.mark.parametrize("name", THIEFS)
def test_a_thief_of_the_root_keeps_nobody_who_knows_the_approvers_from_what_they_approve(name: str, day: int) -> None:
    """Without that, a relay that shows one contact a split has them keep the device that was revoked."""
    memory = FreshnessMap()
    memory.put(ALICE.public_key, Seen.of(GUARDED))
    for _ in range(2):
        choice = choose(ALICE, [answer(item) for item in (GUARDED, *THIEFS[name])], memory, 20_000)
        assert choice.record == GUARDED
    assert choose(ALICE, [answer(LATER), *map(answer, THIEFS[name])], memory, 20_000).record == GUARDED
    if name == "after what the owner approved" and day > 20_000:
        return  # these change the approvers, and the delay is over: they may be followed, were it not for the split
    good = approved(LATER, ONE)
    assert choose(ALICE, [answer(good), *map(answer, THIEFS[name])], memory, day).record == good
    refuse_split(good, memory, "the node")


def test_where_approvers_have_let_go_a_split_holds_as_for_everybody() -> None:
    memory = FreshnessMap()
    memory.put(ALICE.public_key, Seen.of(GUARDED))
    lifted = record(seq=150).document
    assert lifted is not None
    steps = DocumentApprovals((), (Step(lifted, (ONE.approve(lifted),)),))
    sides = [record(seq=200, profile={"name": name}).with_approvals(steps) for name in ("left", "right")]
    later = record(seq=300).with_approvals(steps)
    assert choose(ALICE, [answer(item) for item in (later, *sides)], memory, 20_000).record == GUARDED
    assert choose(ALICE, [answer(later)], memory, 20_000).record == GUARDED  # nothing heals it
    unaware = FreshnessMap()
    unaware.put(ALICE.public_key, Seen.of(GUARDED))
    assert choose(ALICE, [answer(later)], unaware, 20_000).record == later


def test_two_states_with_one_seq_that_the_approvers_have_approved_are_a_split_all_the_same() -> None:
    memory = FreshnessMap()
    memory.put(ALICE.public_key, Seen.of(GUARDED))
    sides = [record(seq=150, approvers=approvers(ONE), profile={"name": name}) for name in ("left", "right")]
    assert choose(ALICE, [answer(approved(side, ONE)) for side in sides], memory, 20_000).record == GUARDED


def test_a_second_state_with_the_remembered_seq_is_a_split_though_the_approvers_approved_it() -> None:
    memory = FreshnessMap()
    memory.put(ALICE.public_key, Seen.of(GUARDED))
    second = approved(record(seq=100, approvers=approvers(ONE), profile={"name": "second"}), ONE)
    assert choose(ALICE, [answer(second)], memory, 20_000).record == GUARDED
    with pytest.raises(SplitError):
        refuse_split(second, memory, "the node")


def test_a_packet_without_a_document_is_a_side_that_can_be_healed() -> None:
    packet = foreign_packet(seq=100)
    memory = FreshnessMap()
    with pytest.raises(SplitError) as raised:
        choose(ALICE, [answer(LEFT), Answer("https://two.example", packet)], memory, 20_000)
    (proof,) = raised.value.proofs
    healed = healing(pairs=(proof.pair,))
    assert chosen(memory, healed) == healed


def test_a_remembered_hash_without_its_packet_is_a_split_without_a_proof() -> None:
    memory = FreshnessMap()
    memory.put(ALICE.public_key, Seen(100, LEFT.packet.document_hash))
    with pytest.raises(SplitError) as raised:
        chosen(memory, RIGHT)
    assert raised.value.proofs == ()


def test_documents_that_come_later_are_added_to_a_kept_proof() -> None:
    memory = knowing()
    with pytest.raises(SplitError):
        chosen(memory, LEFT, RIGHT)
    (proof,) = memory.splits(ALICE.public_key)
    assert all(side.document is not None for side in proof.sides)


def test_a_record_by_itself_is_refused_where_a_split_is_open() -> None:
    for found in (LEFT, RIGHT, record(seq=150)):
        with pytest.raises(VerificationError) as raised:
            refuse_split(found, knowing(), "somebody")
        assert raised.value.code == "record.equivocation"
    refuse_split(LEFT, knowing(LEFT), "somebody")  # one stays at what one has
    refuse_split(healing(), knowing(LEFT), "somebody")
    refuse_split(LEFT, None, "somebody")


def test_a_record_by_itself_that_splits_what_is_known_leaves_the_proof() -> None:
    memory = FreshnessMap()
    memory.put(ALICE.public_key, Seen.of(LEFT))
    with pytest.raises(SplitError):
        refuse_split(RIGHT, memory, "somebody")
    (proof,) = memory.splits(ALICE.public_key)
    assert proof.pair == PAIR


def test_what_is_remembered_is_never_changed_for_another_state_of_its_seq() -> None:
    memory = FreshnessMap()
    for found in (LEFT, RIGHT, OLD):
        memory.put(ALICE.public_key, Seen.of(found))
        assert memory.get(ALICE.public_key) == Seen.of(LEFT)


def test_splits_of_others_are_nobody_elses() -> None:
    memory = knowing()
    bob = record("bob", 100)
    assert choose(identity("bob"), [answer(bob)], memory, 20_000).record == bob
