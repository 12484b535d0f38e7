"""docs/spec/record.md, "seq": a counter that is never ahead of a clock, never used twice, and ends before 2100."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.samples import entropy
from tests.core.vectors import load, name
from tests.vectors.cases_record import ENTROPY_LABEL
from walletcli.core.record import SEQ_JUMP, SEQ_LIMIT, next_seq
from walletcli.errors import InputError

DAY_US = 86_400_000_000
NOW_S = st.floats(0, 4_102_444_799, allow_nan=False)
SEEDS = st.binary(min_size=16, max_size=16)


def ones(length_bytes: int) -> bytes:
    return b"\xff" * length_bytes


def from_seed(seed: bytes) -> Any:
    return lambda length_bytes: seed[:length_bytes]


@pytest.mark.parametrize("case", load("record.json", "seq_valid"), ids=name)
def test_the_next_seq_is_its_vectors(case: dict[str, Any]) -> None:
    assert next_seq(case["last"], case["now_s"], entropy(ENTROPY_LABEL)) == case["seq"]


@pytest.mark.parametrize("case", load("record.json", "seq_invalid"), ids=name)
def test_there_is_no_seq_beyond_the_year_2100(case: dict[str, Any]) -> None:
    with pytest.raises(InputError) as raised:
        next_seq(case["last"], case["now_s"], entropy(ENTROPY_LABEL))
    assert raised.value.code == case["error"]
    assert raised.value.hint


@given(NOW_S, SEEDS)
def test_a_first_seq_is_a_microsecond_of_the_day_before(now_s: float, seed: bytes) -> None:
    seq = next_seq(None, now_s, from_seed(seed))
    today_us = int(now_s) // 86_400 * DAY_US
    assert max(0, today_us - DAY_US) <= seq < max(today_us, 1)


@given(NOW_S, SEEDS)
def test_a_first_seq_is_never_ahead_of_the_clock(now_s: float, seed: bytes) -> None:
    assert next_seq(None, now_s, from_seed(seed)) <= now_s * 1_000_000


@given(st.integers(0, SEQ_LIMIT - SEQ_JUMP - 2), NOW_S, SEEDS)
def test_the_next_seq_is_higher_and_no_higher_than_it_must_be(last: int, now_s: float, seed: bytes) -> None:
    seq = next_seq(last, now_s, from_seed(seed))
    today_us = int(now_s) // 86_400 * DAY_US
    assert last < seq < SEQ_LIMIT
    assert seq < max(today_us, last + 1 + SEQ_JUMP)


@given(st.integers(0, 2**63 - 1), st.floats(0, 1e11, allow_nan=False), SEEDS)
def test_a_seq_is_in_range_or_refused(last: int, now_s: float, seed: bytes) -> None:
    if last + 1 >= SEQ_LIMIT or now_s >= SEQ_LIMIT / 1_000_000 + 2 * 86_400:
        with pytest.raises(InputError, match="2100"):
            next_seq(last, now_s, from_seed(seed))
    elif last + 1 + SEQ_JUMP < SEQ_LIMIT and now_s < SEQ_LIMIT / 1_000_000:
        assert last < next_seq(last, now_s, from_seed(seed)) < SEQ_LIMIT


@given(st.lists(st.floats(0, 4e9, allow_nan=False), min_size=2, max_size=50), SEEDS)
def test_no_seq_is_used_twice_whatever_the_clock_does(clocks: list[float], seed: bytes) -> None:
    used: list[int] = []
    for now_s in clocks:
        used.append(next_seq(used[-1] if used else None, now_s, from_seed(seed)))
    assert sorted(set(used)) == used


@given(NOW_S, st.integers(1, 200))
def test_a_day_of_publishing_stays_behind_the_clock(now_s: float, times: int) -> None:
    if now_s < 86_400:
        return
    seq = next_seq(None, now_s, ones)
    for _ in range(times):
        seq = next_seq(seq, now_s, ones)
    assert seq <= int(now_s) // 86_400 * DAY_US + times * SEQ_JUMP


def test_the_whole_day_is_used() -> None:
    found = [next_seq(None, 1_800_000_000, entropy(f"day {n}")) for n in range(500)]
    start = 1_800_000_000 // 86_400 * DAY_US - DAY_US
    quarters = {(seq - start) * 4 // DAY_US for seq in found}
    assert quarters == {0, 1, 2, 3}
    assert len(set(found)) == 500
    assert len({seq % 1000 for seq in found}) > 300  # no trace of a coarse clock


def test_the_jump_is_random_below_its_limit() -> None:
    last = 1_900_000_000_000_000
    jumps = [next_seq(last, 1_800_000_000, entropy(f"jump {n}")) - last for n in range(200)]
    assert min(jumps) >= 1 and max(jumps) <= SEQ_JUMP
    assert len({jump * 4 // (SEQ_JUMP + 1) for jump in jumps}) == 4
