"""Rules of the choice that hold whatever relays answer and whatever is remembered."""

from __future__ import annotations

from functools import cache

from hypothesis import given
from hypothesis import strategies as st

from tests.client.records import foreign_packet, identity, record
from walletcli.client.answers import Answer
from walletcli.client.choice import Choice
from walletcli.client.freshness import Seen
from walletcli.core.record import Record
from walletcli.errors import NetworkError, VerificationError, WalletError

ALICE = identity("alice")
ERRORS = {"resolve.not-found", "resolve.unreachable", "resolve.unverified", "record.stale", "record.equivocation"}


@cache
def state(seq: int, variant: int) -> Record:
    """Something that Alice's key has signed: 0 and 1 are two sides, 2 heals those a step below, 3 is another tool's."""
    if variant == 3:
        return Record.verified(foreign_packet("alice", seq), None)
    if variant == 2:
        sides = sorted(state(seq - 1, side).packet.document_hash or b"" for side in (0, 1))
        return record("alice", seq, healed=((sides[0], sides[1]),))
    return record("alice", seq, profile={"side": str(variant)})


_STATES = st.builds(state, st.integers(1, 4), st.integers(0, 3))


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    kind = draw(st.sampled_from(["whole", "whole", "whole", "pending", "nothing", "failed", "lied"]))
    if kind == "nothing":
        return Answer("relay")
    if kind == "failed":
        return Answer("relay", error=NetworkError("relay.timeout", "too late"))
    if kind == "lied":
        return Answer("relay", error=VerificationError("signature.invalid", "a lie"))
    one = draw(_STATES)
    whole = kind == "whole" and one.document is not None
    return Answer("relay", one.packet, one.document.to_bytes() if whole and one.document else None)


@st.composite
def memories(draw: st.DrawFn) -> Seen | None:
    if draw(st.booleans()):
        return None
    seen = Seen.of(draw(_STATES))
    return seen if draw(st.booleans()) else Seen(seen.seq, seen.document_hash)


def choose(given_answers: list[Answer], seen: Seen | None) -> Choice | str:
    try:
        return Choice(ALICE, given_answers, seen)
    except WalletError as error:
        code = error.code
    assert code in ERRORS
    return code


@given(st.lists(answers(), min_size=1, max_size=8), memories())
def test_the_choice_is_never_below_what_is_remembered(given_answers: list[Answer], seen: Seen | None) -> None:
    choice = choose(given_answers, seen)
    if isinstance(choice, Choice) and seen is not None:
        chosen = choice.record.packet
        assert chosen.seq >= seen.seq
        if chosen.seq == seen.seq and seen.document_hash is not None:
            assert chosen.document_hash == seen.document_hash


@given(st.lists(answers(), min_size=1, max_size=8), memories())
def test_the_choice_is_something_that_was_offered_in_full_or_remembered(
    given_answers: list[Answer], seen: Seen | None
) -> None:
    choice = choose(given_answers, seen)
    if not isinstance(choice, Choice):
        return
    offered = [a.packet for a in given_answers if a.packet and (a.document or a.packet.document_hash is None)]
    if choice.kept is not None:
        assert seen is not None
        assert choice.kept.packet.seq == seen.seq
    elif choice.is_bare_pending:
        assert choice.record.document is None
    else:
        assert choice.record.packet in offered or (seen is not None and choice.record == seen.record)


@given(st.lists(answers(), min_size=1, max_size=6), memories(), st.randoms(use_true_random=False))
def test_the_order_of_the_answers_decides_nothing(
    given_answers: list[Answer], seen: Seen | None, random: object
) -> None:
    shuffled = sorted(given_answers, key=lambda _: random.random())  # type: ignore[attr-defined] # hypothesis's Random
    first, second = choose(given_answers, seen), choose(shuffled, seen)
    if isinstance(first, Choice) and isinstance(second, Choice):
        assert first.record == second.record
        assert first.freshness == second.freshness
        assert {split.seq for split in first.splits} == {split.seq for split in second.splits}
    else:
        assert first == second


@given(st.lists(answers(), min_size=1, max_size=8), memories())
def test_nothing_new_is_chosen_while_a_split_is_open(given_answers: list[Answer], seen: Seen | None) -> None:
    choice = choose(given_answers, seen)
    if not isinstance(choice, Choice) or not choice.splits:
        return
    newest = max(choice.splits, key=lambda split: split.seq)
    if choice.record.packet.seq > newest.seq and choice.kept is None:
        document = choice.record.document
        assert document is not None
        healed = {half for pair in document.healed for half in pair}
        assert healed.issuperset(newest.documents)
    else:
        assert choice.kept is not None


@given(st.lists(answers(), min_size=1, max_size=8), st.lists(answers(), min_size=1, max_size=8), memories())
def test_more_answers_never_lead_further_back(one: list[Answer], more: list[Answer], seen: Seen | None) -> None:
    """Asking more relays finds the same or newer, or shows a split."""
    few, many = choose(one, seen), choose(one + more, seen)
    if isinstance(few, Choice) and isinstance(many, Choice) and not many.splits and not few.is_bare_pending:
        assert many.record.packet.seq >= few.record.packet.seq


@given(st.lists(answers(), min_size=1, max_size=8), memories())
def test_every_source_is_reported(given_answers: list[Answer], seen: Seen | None) -> None:
    choice = choose(given_answers, seen)
    if isinstance(choice, Choice):
        for answer in given_answers:
            report = choice.report(answer)
            assert report.seq == (answer.packet.seq if answer.packet else None)
            assert report.error_code == (answer.error.code if answer.error else None)
