"""Shards of the wallet index: one size, one encoding, opened by the words alone; what they list only grows."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from walletcli.core.keys import MAX_INDEX, KeyTree, Scheme
from walletcli.core.packet import SignedPacket
from walletcli.core.secret import Secret
from walletcli.core.wallet_index import (
    CONTENT_BYTES,
    MAX_SHARDS,
    VALUE_BYTES,
    Ranges,
    ShardContent,
    open_shard,
    seal_shard,
    step_for,
)
from walletcli.errors import FormatError, InputError, VerificationError, WalletError

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[1] / "vectors" / "wallet-index.json").read_text())
TREE = KeyTree(Secret(bytes.fromhex(VECTORS["seed_hex"])))
SEQ = VECTORS["seq"]
OURS = Scheme.WALLETCLI


def named(group: str) -> list[Any]:
    return [pytest.param(case, id=case["name"]) for case in VECTORS[group]]


def sealed(content: ShardContent, number: int = 0, seq: int = SEQ) -> SignedPacket:
    return seal_shard(TREE.index_key(number), number, content, seq, os.urandom)


@pytest.mark.parametrize("case", named("valid"))
def test_a_shard_says_what_was_sealed(case: dict[str, Any]) -> None:
    key, payload = TREE.index_key(case["shard"]), bytes.fromhex(case["packet_hex"])
    packet = SignedPacket.from_relay_payload(key.public_key, payload)
    content = open_shard(key, case["shard"], packet)
    assert packet.seq == SEQ
    assert content.shards == case["shards"]
    assert {scheme.value: ranges.to_row() for scheme, ranges in content.listed.items()} == case["identities"]


@pytest.mark.parametrize("case", named("invalid"))
def test_what_is_no_shard_is_refused(case: dict[str, Any]) -> None:
    key = TREE.index_key(case["shard"])
    with pytest.raises(WalletError) as error:
        packet = SignedPacket.from_relay_payload(key.public_key, bytes.fromhex(case["packet_hex"]))
        open_shard(key, case["shard"], packet)
    assert error.value.code == case["error"]


def test_one_identity_and_a_thousand_look_alike() -> None:
    packets = [
        sealed(ShardContent({OURS: Ranges.of(indices)}, 1)) for indices in ([], [0], range(1000), range(0, 800, 2))
    ]
    assert {len(packet.value) for packet in packets} == {VALUE_BYTES}
    heads = {packet.value[:77] for packet in packets}
    assert len(heads) == 1
    assert all(packet.document_hash is None and not packet.is_of_unknown_version for packet in packets)


def test_the_same_content_is_sealed_to_other_bytes_each_time() -> None:
    one, other = (sealed(ShardContent({OURS: Ranges.of([0])}, 1)).value[77:] for _ in range(2))
    assert sum(a == b for a, b in zip(one, other, strict=True)) < 60


def test_a_shard_does_not_open_under_another_number_or_with_other_words() -> None:
    packet = sealed(ShardContent({OURS: Ranges.of([0])}, 1))
    for key in (TREE.index_key(1), KeyTree(Secret(bytes(32))).index_key(0)):
        with pytest.raises((FormatError, VerificationError)):
            open_shard(key, 0, packet)


def test_shard_0_and_no_other_says_how_many_there_are() -> None:
    with pytest.raises(FormatError):
        sealed(ShardContent({}, None), 0)
    with pytest.raises(FormatError):
        sealed(ShardContent({}, 1), 1)


def test_what_is_joined_lists_what_either_lists() -> None:
    one = ShardContent({OURS: Ranges.of([0, 1, 5])}, 1)
    other = ShardContent({OURS: Ranges.of([2, 9]), Scheme.MERCURY: Ranges.of([0])}, 4)
    both = one | other
    assert list(both.of(OURS)) == [0, 1, 2, 5, 9]
    assert list(both.of(Scheme.MERCURY)) == [0]
    assert both.shards == 4
    assert both == other | one == both | one


def test_ranges_join_where_they_touch_and_know_what_is_in_them() -> None:
    ranges = Ranges.of([4, 0, 1, 2, 3, 8, MAX_INDEX])
    assert ranges.spans == ((0, 5), (8, 9), (MAX_INDEX, MAX_INDEX + 1))
    assert len(ranges) == 7
    assert ranges.highest == MAX_INDEX
    assert 3 in ranges
    assert 5 not in ranges
    assert -1 not in ranges
    assert Ranges.from_row(ranges.to_row()) == ranges
    assert Ranges().highest == -1


@pytest.mark.parametrize(
    ("indices", "count", "missing"),
    [
        ((), 3, ()),
        ((0, 1, 2), 3, ()),
        ((2, 3, 9), 3, (0, 1, 4)),
        ((0, 40), 2, (1, 2)),
        ((1, 3, 5), 9, (0, 2, 4)),
        ((MAX_INDEX,), 2, (0, 1)),
        ((9,), 0, ()),
    ],
)
def test_the_lowest_that_are_not_listed(indices: tuple[int, ...], count: int, missing: tuple[int, ...]) -> None:
    assert Ranges.of(indices).lowest_missing(count) == missing


def test_a_content_that_is_too_long_is_refused_and_known_not_to_fit() -> None:
    content = ShardContent({OURS: Ranges.of(range(0, 2_000_000, 2000))}, 1)
    assert not content.fits
    with pytest.raises(InputError) as error:
        sealed(content)
    assert error.value.code == "wallet-index.full"


def test_what_fits_can_be_sealed_whatever_number_of_shards_it_names() -> None:
    content = ShardContent()
    while (grown := content.with_index(OURS, content.of(OURS).highest + 70_000)).fits:
        content = grown
    assert len(content.of(OURS)) > 120
    for shards in (1, 64):
        both = content | ShardContent({}, shards)
        assert len(both.to_bytes()) == CONTENT_BYTES
        assert ShardContent.from_bytes(both.to_bytes(), 0) == both


@pytest.mark.parametrize(("needed", "step"), [(0, 1), (1, 1), (2, 2), (3, 4), (33, 64), (64, 64)])
def test_the_number_of_shards_grows_in_steps(needed: int, step: int) -> None:
    assert step_for(needed) == step


def test_there_is_a_largest_number_of_shards() -> None:
    with pytest.raises(InputError) as error:
        step_for(MAX_SHARDS + 1)
    assert error.value.code == "wallet-index.full"
