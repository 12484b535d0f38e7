"""docs/spec/record.md, "Encoding": one encoding per value, and nothing else."""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Any

import cbor2
import pytest

from tests.core.vectors import load, name
from tests.vectors.cases_cbor import MAX_BYTES, plain
from walletcli.core import cbor
from walletcli.core.secret import Secret
from walletcli.errors import FormatError


def refused(data: bytes, max_bytes: int = MAX_BYTES) -> str:
    with pytest.raises(FormatError) as raised:
        cbor.decode(data, max_bytes)
    return raised.value.code


@pytest.mark.parametrize("case", load("cbor.json"), ids=name)
def test_a_value_has_the_encoding_of_its_vector(case: dict[str, Any]) -> None:
    value = cbor.decode(bytes.fromhex(case["hex"]), MAX_BYTES)
    assert plain(value) == case["value"]
    assert cbor.encode(value).hex() == case["hex"]


@pytest.mark.parametrize("case", load("cbor.json", "invalid"), ids=name)
def test_what_must_be_refused_is_refused(case: dict[str, Any]) -> None:
    assert refused(bytes.fromhex(case["hex"])) == case["error"]


@pytest.mark.parametrize("case", load("cbor.json"), ids=name)
def test_every_beginning_of_a_value_is_truncated(case: dict[str, Any]) -> None:
    data = bytes.fromhex(case["hex"])
    assert {refused(data[:length]) for length in range(len(data))} == {"cbor.truncated"}


@pytest.mark.parametrize("case", load("cbor.json"), ids=name)
def test_a_byte_after_a_value_is_trailing(case: dict[str, Any]) -> None:
    assert refused(bytes.fromhex(case["hex"]) + b"\0") == "cbor.trailing"


def test_one_byte_decides_whether_it_is_too_long() -> None:
    data = cbor.encode(bytes(100))
    assert cbor.decode(data, len(data)) == bytes(100)
    assert refused(data, len(data) - 1) == "cbor.too-long"


@pytest.mark.parametrize("head", range(256))
def test_every_first_byte_ends_in_a_value_or_in_our_error(head: int) -> None:
    for rest in (b"", b"\0", b"\xff" * 8, bytes(8), b"\x18" * 40):
        data = bytes([head]) + rest
        try:
            value = cbor.decode(data, MAX_BYTES)
        except FormatError:
            continue
        assert cbor.encode(value) == data


def test_a_codec_that_is_not_ours_reads_what_we_refuse_as_a_second_encoding() -> None:
    for data in ("1817", "5f4161ff", "a20100" + "0000"):
        cbor2.loads(bytes.fromhex(data))
        assert refused(bytes.fromhex(data)) == "cbor.not-canonical"


@pytest.mark.parametrize("depth", [15, 16])
def test_what_is_deep_enough_comes_back(depth: int) -> None:
    value: Any = []
    for _ in range(depth - 1):
        value = {0: value}
    assert cbor.decode(cbor.encode(value), MAX_BYTES) == value


def test_nothing_is_encoded_that_is_too_deep_to_be_decoded() -> None:
    value: Any = []
    for _ in range(16):
        value = [value]
    with pytest.raises(FormatError) as raised:
        cbor.encode(value)
    assert raised.value.code == "cbor.too-deep"


def test_a_value_inside_itself_is_too_deep() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(FormatError) as raised:
        cbor.encode(value)
    assert raised.value.code == "cbor.too-deep"


@pytest.mark.parametrize(
    "value",
    [
        1.5,
        float("nan"),
        2**64,
        -(2**64) - 1,
        bytearray(b"x"),
        memoryview(b"x"),
        {1, 2},
        object(),
        Secret(b"x"),
        {b"bytes": 1},
        {True: 1},
        {None: 1},
        {(1,): 1},
        {1.0: 1},
        {2**64: 1},
        cbor.Tagged(17, []),
        [0, [1.5]],
        {0: {0: 1.5}},
    ],
    ids=lambda value: repr(value).split(" at 0x")[0],  # the same in every process
)
def test_what_is_outside_the_subset_is_not_encoded(value: object) -> None:
    with pytest.raises(FormatError) as raised:
        cbor.encode(value)
    assert raised.value.code == "cbor.unsupported"


@pytest.mark.parametrize("value", ["\ud800", ["a\udfff"], {"\udc80": 0}])
def test_text_that_is_not_unicode_is_not_encoded(value: object) -> None:
    with pytest.raises(FormatError) as raised:
        cbor.encode(value)
    assert raised.value.code == "cbor.text"


def test_the_order_in_a_dict_does_not_matter() -> None:
    keys: list[int | str] = [0, 23, 24, 255, 256, 2**32, -1, -25, "", "a", "b", "aa"]
    forward = cbor.encode(dict.fromkeys(keys, 0))
    assert forward == cbor.encode(dict.fromkeys(reversed(keys), 0))
    decoded: Any = cbor.decode(forward, MAX_BYTES)
    assert list(decoded) == keys


def test_enumerations_are_encoded_as_what_they_are() -> None:
    class Number(IntEnum):
        ONE = 1

    class Word(StrEnum):
        ONE = "one"

    assert cbor.encode({Number.ONE: Word.ONE, Word.ONE: Number.ONE}) == cbor.encode({1: "one", "one": 1})


def test_integers_and_booleans_stay_apart() -> None:
    assert cbor.encode([0, 1, False, True]).hex() == "840001f4f5"
    decoded: Any = cbor.decode(bytes.fromhex("840001f4f5"), MAX_BYTES)
    assert [type(item) for item in decoded] == [int, int, bool, bool]


def test_a_claimed_length_costs_nothing() -> None:
    for head in ("9b", "bb", "5b", "7b"):
        assert refused(bytes.fromhex(head + "7fffffffffffffff") + bytes(50)) == "cbor.truncated"


def outcome(data: bytes) -> object:
    try:
        return cbor.decode(data, MAX_BYTES)
    except FormatError as error:
        return error.code


@pytest.mark.parametrize("head", range(256))
def test_a_value_means_the_same_alone_in_a_list_and_in_a_map(head: int) -> None:
    rests = (b"", b"\0", b"\x17" + bytes(23), b"\x18" + bytes(24), b"\xff" * 30, bytes(30), b"a" * 22, b"a" * 40)
    for rest in rests:
        alone = outcome(bytes([head]) + rest)
        in_list, in_map = outcome(b"\x81" + bytes([head]) + rest), outcome(b"\xa1\1" + bytes([head]) + rest)
        if isinstance(alone, str) and "." in alone:
            assert (in_list, in_map) == (alone, alone)
        else:
            assert (in_list, in_map) == ([alone], {1: alone})
