"""Properties of the format: round trip, one encoding only, no foreign exception."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.vault.golden import golden_vault
from walletcli.core import cbor
from walletcli.core.secret import Secret
from walletcli.errors import WalletError
from walletcli.vault.factors import Enrolment
from walletcli.vault.header import MAGIC, Header
from walletcli.vault.padding import is_step, step_for
from walletcli.vault.sealing import MAX_PAYLOAD_BYTES, VaultState, parse
from walletcli.vault.slots import FactorRecord

GOLDEN, GOLDEN_STATE, _ = golden_vault()
HEADER_END = Header.from_bytes(GOLDEN)[1]

quick = settings(max_examples=150)

kinds = st.from_regex(r"x[a-z0-9-]{0,31}", fullmatch=True)
values = st.integers(0, 2**64 - 1) | st.binary(max_size=64) | st.text(max_size=64)
records = st.builds(FactorRecord, kinds, st.dictionaries(st.integers(1, 64), values, max_size=8))
enrolments = st.builds(lambda record: Enrolment(record, Secret(os.urandom(32))), records)
slots = st.lists(enrolments, min_size=1, max_size=4, unique_by=lambda e: cbor.encode(e.record.to_value()))

plain = st.recursive(
    st.integers(-(2**63), 2**64 - 1) | st.binary(max_size=80) | st.text(max_size=20) | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.integers(0, 8), inner, max_size=6),
    max_leaves=12,
)


@quick
@given(payload=st.binary(max_size=2000), several=st.lists(slots, min_size=1, max_size=16), day=st.integers(0, 65_535))
def test_what_was_sealed_opens_to_the_same(payload: bytes, several: list[list[Enrolment]], day: int) -> None:
    state = VaultState.new(payload, os.urandom)
    for slot in several:
        state = state.with_slot(slot, day, os.urandom)
    data = state.to_bytes(os.urandom)
    opened = VaultState.from_bytes(data, state.data_key)
    assert opened == state
    header, end = parse(data)
    assert header.to_bytes() == data[:end]


@quick
@given(data=st.binary(max_size=300))
def test_any_bytes_end_in_an_error_of_ours(data: bytes) -> None:
    for given_bytes in (data, MAGIC + data, MAGIC + len(data).to_bytes(4, "big") + data):
        with pytest.raises(WalletError):
            parse(given_bytes)


@quick
@given(value=plain)
def test_any_value_as_header_ends_in_an_error_of_ours(value: Any) -> None:
    body = cbor.encode(value)
    with pytest.raises(WalletError):
        Header.from_bytes(MAGIC + len(body).to_bytes(4, "big") + body)


@quick
@given(field=st.integers(1, 6), slot_field=st.integers(0, 5), value=plain)
def test_any_value_in_a_field_is_refused_or_encodes_to_itself(field: int, slot_field: int, value: Any) -> None:
    header = cbor.decode(GOLDEN[len(MAGIC) + 4 : HEADER_END], 65_536)
    assert isinstance(header, dict)
    fields: dict[Any, Any] = dict(header)
    if slot_field:
        fields[6][0][slot_field] = value
    else:
        fields[field] = value
    body = cbor.encode(fields)
    data = MAGIC + len(body).to_bytes(4, "big") + body
    try:
        accepted, end = Header.from_bytes(data)
    except WalletError:
        return
    assert accepted.to_bytes() == data[:end]


@quick
@given(at=st.integers(0, len(GOLDEN) - 1), new=st.binary(min_size=1, max_size=8))
def test_a_changed_vault_never_opens(at: int, new: bytes) -> None:
    changed = GOLDEN[:at] + new + GOLDEN[at + len(new) :]
    try:
        state = VaultState.from_bytes(changed, GOLDEN_STATE.data_key)
    except WalletError:
        return
    assert changed == GOLDEN
    assert state.payload == GOLDEN_STATE.payload


@quick
@given(length=st.integers(0, MAX_PAYLOAD_BYTES))
def test_a_step_is_less_than_twice_what_it_holds(length: int) -> None:
    step = step_for(length)
    assert is_step(step)
    assert length <= step < max(2 * length, 65_537)
