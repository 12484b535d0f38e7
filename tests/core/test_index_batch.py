"""Shards that were signed ahead: one encoding, every packet verified, and none but such as look like a shard."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from tests.client.records import foreign_packet
from walletcli.core import cbor
from walletcli.core.index_batch import MAGIC, MAX_FILE_BYTES, MAX_WRITES, IndexBatch
from walletcli.core.keys import KeyTree, Scheme
from walletcli.core.packet import SignedPacket
from walletcli.core.secret import Secret
from walletcli.core.wallet_index import Ranges, ShardContent, seal_shard
from walletcli.errors import WalletError

TREE = KeyTree(Secret(bytes(range(64))))


def packet(number: int = 0, seq: int = 1, shards: int = 1) -> SignedPacket:
    content = ShardContent({Scheme.WALLETCLI: Ranges.of([0])}, shards if number == 0 else None)
    return seal_shard(TREE.index_key(number), number, content, seq, os.urandom)


def batch(shards: int = 1, first: int = 1, writes: int = 3) -> IndexBatch:
    rows = (tuple(packet(n, seq, shards) for seq in range(first, first + writes)) for n in range(shards))
    return IndexBatch(tuple(rows))


def rows(*shards: tuple[SignedPacket, ...]) -> list[Any]:
    return [[packets[0].public_key, [item.to_relay_payload() for item in packets]] for packets in shards]


def code_of(data: bytes) -> str:
    with pytest.raises(WalletError) as raised:
        IndexBatch.from_bytes(data)
    return raised.value.code


def file_of(value: Any) -> bytes:
    return MAGIC + cbor.encode(value)


def test_a_batch_comes_back_in_one_encoding() -> None:
    for found in (batch(), batch(2), batch(4, writes=1)):
        data = found.to_bytes()
        assert IndexBatch.from_bytes(data) == found
        assert IndexBatch.from_bytes(data).to_bytes() == data


def test_the_largest_batch_is_as_long_as_a_file_may_be() -> None:
    row = MAX_WRITES * (3 + 1068) + 40
    assert len(MAGIC) + 64 * row <= MAX_FILE_BYTES
    assert len(batch(writes=MAX_WRITES).to_bytes()) < len(MAGIC) + row + 16


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ({1: 1}, "index-batch.malformed"),
        ([], "index-batch.malformed"),
        ({1: 1, 2: [], 3: 0}, "index-batch.malformed"),
        ({1: 2, 2: rows((packet(),))}, "index-batch.unknown-version"),
        ({1: 1, 2: []}, "index-batch.malformed"),
        ({1: 1, 2: rows(*((packet(n, 1, 4),) for n in range(3)))}, "index-batch.malformed"),
        ({1: 1, 2: [[bytes(32), []]]}, "index-batch.malformed"),
        ({1: 1, 2: [[bytes(31), [b""]]]}, "index-batch.malformed"),
        ({1: 1, 2: [[bytes(32), [b""], 1]]}, "index-batch.malformed"),
        ({1: 1, 2: [[bytes(32), [1]]]}, "index-batch.malformed"),
        ({1: 1, 2: [[bytes(32), [bytes(1069)]]]}, "index-batch.malformed"),
        ({1: 1, 2: [[bytes(32), b""]]}, "index-batch.malformed"),
        ({1: 1, 2: rows((packet(0, 2), packet(0, 1)))}, "index-batch.malformed"),
        ({1: 1, 2: rows((packet(0, 2), packet(0, 2)))}, "index-batch.malformed"),
        ({1: 1, 2: rows((packet(0, 1, 2),), (packet(0, 2, 2),))}, "index-batch.malformed"),
        ({1: 1, 2: rows(tuple(packet(0, n) for n in range(MAX_WRITES + 1)))}, "index-batch.malformed"),
        ({1: 1, 2: rows((foreign_packet(),))}, "wallet-index.malformed"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_another_form_is_refused(value: Any, code: str) -> None:
    assert code_of(file_of(value)) == code


@pytest.mark.parametrize(
    "change",
    [
        lambda data: b"",
        lambda data: data[1:],
        lambda data: data.replace(b"batch 1", b"batch 2", 1),
        lambda data: MAGIC + bytes(MAX_FILE_BYTES),
    ],
)
def test_another_file_is_refused(change: Callable[[bytes], bytes]) -> None:
    assert code_of(change(batch().to_bytes())) == "index-batch.file"


def test_a_packet_of_another_key_or_with_another_bit_is_refused() -> None:
    good = packet().to_relay_payload()
    assert code_of(file_of({1: 1, 2: [[packet(1).public_key, [good]]]})) == "signature.invalid"
    for at in (0, 64, 72, len(good) - 1):
        bad = bytes([*good[:at], good[at] ^ 1, *good[at + 1 :]])
        with pytest.raises(WalletError):
            IndexBatch.from_bytes(file_of({1: 1, 2: [[packet().public_key, [bad]]]}))


def test_trailing_bytes_are_refused() -> None:
    assert code_of(batch().to_bytes() + b"\0") == "cbor.trailing"


def test_what_is_written_next_is_the_first_above_what_is_known() -> None:
    found = batch(writes=3)
    assert [item.seq if (item := found.next_of(0, above)) else None for above in (-1, 1, 2, 3)] == [1, 2, 3, None]
    assert [found.left_of(0, above) for above in (-1, 1, 3)] == [3, 2, 0]


def test_a_batch_follows_one_of_the_same_keys_that_was_signed_before_it() -> None:
    assert batch(first=4).follows(batch(first=1))
    assert batch(2, first=4).follows(batch(first=1))
    assert not batch(first=3).follows(batch(first=1))
    assert not batch(first=4).follows(batch(2, first=1))
    other = seal_shard(KeyTree(Secret(bytes(64))).index_key(0), 0, ShardContent({}, 1), 9, os.urandom)
    assert not IndexBatch(((other,),)).follows(batch())
