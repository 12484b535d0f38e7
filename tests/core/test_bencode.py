"""One encoding per value, bounded, and our errors only."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from walletcli.core import bencode
from walletcli.errors import FormatError

VALUES = st.recursive(
    st.integers(-(2**63), 2**63 - 1) | st.binary(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.binary(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def decoded(data: bytes) -> Any:
    """Return the value, or the code of the error."""
    try:
        return bencode.decode(data)
    except FormatError as error:
        return error.code


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"i0e", 0),
        (b"i-42e", -42),
        (b"i9223372036854775807e", 2**63 - 1),
        (b"i-9223372036854775808e", -(2**63)),
        (b"0:", b""),
        (b"4:spam", b"spam"),
        (b"le", []),
        (b"l4:spami3ee", [b"spam", 3]),
        (b"de", {}),
        (b"d1:ai1e1:bl1:cee", {b"a": 1, b"b": [b"c"]}),
        (b"d0:i1e1:ai2ee", {b"": 1, b"a": 2}),
    ],
)
def test_a_value_has_its_published_form(data: bytes, value: bencode.Value) -> None:
    assert bencode.decode(data) == value
    assert bencode.encode(value) == data


@given(VALUES)
def test_what_is_encoded_decodes_to_the_same(value: bencode.Value) -> None:
    assert decoded(bencode.encode(value)) in (value, "bencode.nested")


@given(st.binary(max_size=60))
def test_whatever_decodes_has_no_second_form(data: bytes) -> None:
    value = decoded(data)
    assert value == "bencode.malformed" or bencode.encode(value) == data


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x",
        b"e",
        b"i",
        b"ie",
        b"i-0e",
        b"i01e",
        b"i-01e",
        b"i+1e",
        b"i 1e",
        b"i1",
        b"i1.5e",
        b"i9223372036854775808e",
        b"i-9223372036854775809e",
        b"i99999999999999999999999e",
        b"1:",
        b"01:a",
        b"-1:a",
        b"5:spam",
        b"999999999999:a",
        b":",
        b"l",
        b"li1e",
        b"d",
        b"d1:a",
        b"d1:ae",
        b"di1ei2ee",
        b"d1:bi1e1:ai2ee",
        b"d1:ai1e1:ai2ee",
        b"i1ei2e",
        b"4:spam ",
        "i١e".encode(),
    ],
)
def test_any_other_form_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError) as refused:
        bencode.decode(data)
    assert refused.value.code == "bencode.malformed"


def test_nesting_has_a_bound() -> None:
    deep = b"l" * bencode.MAX_DEPTH + b"e" * bencode.MAX_DEPTH
    bencode.decode(deep)
    for data in (b"l" + deep + b"e", b"l" * 4000, b"d0:" * 1000):
        with pytest.raises(FormatError) as refused:
            bencode.decode(data)
        assert refused.value.code == "bencode.nested"


def test_size_is_looked_at_first() -> None:
    with pytest.raises(FormatError) as refused:
        bencode.decode(b"x" * (bencode.MAX_BYTES + 1))
    assert refused.value.code == "bencode.too-long"
