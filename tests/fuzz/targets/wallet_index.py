"""The wallet index: what a shard says, and what a wallet remembers of its own."""

from __future__ import annotations

from dataclasses import replace

from tests.fuzz.target import Target, fixed_entropy
from walletcli.core.index_batch import IndexBatch
from walletcli.core.keys import KeyTree, Scheme
from walletcli.core.packet import SignedPacket
from walletcli.core.secret import Secret
from walletcli.core.wallet_index import CONTENT_BYTES, SCHEMES, Ranges, ShardContent, seal_shard
from walletcli.errors import WalletError
from walletcli.wallet.index.book import IndexBook, Shard


def _padded(data: bytes) -> bytes:
    return data if len(data) >= CONTENT_BYTES else (data + b"\x80").ljust(CONTENT_BYTES, b"\0")


def check_wallet_index(data: bytes) -> bool:
    """One encoding for what a shard says; it is padded here, so that short inputs are read."""
    taken = False
    for number in (0, 1):
        try:
            content = ShardContent.from_bytes(_padded(data), number)
        except WalletError:
            continue
        assert content.to_bytes() == _padded(data)
        assert content | content == content
        taken = True
    return taken


def check_index_book(data: bytes) -> bool:
    """One encoding per book."""
    try:
        book = IndexBook.from_bytes(data)
    except WalletError:
        return False
    assert book.to_bytes() == data
    return True


def contents() -> list[bytes]:
    """Return what shards say that list nothing, one range, ranges of all schemes; without their padding."""
    listed = {scheme: Ranges.of([number, 7, 8, 40]) for number, scheme in enumerate(SCHEMES)}
    found = [ShardContent({}, 1), ShardContent({Scheme.WALLETCLI: Ranges.of(range(3))}, 2), ShardContent(listed)]
    return [content.to_bytes().rstrip(b"\0")[:-1] for content in found]


def books() -> list[bytes]:
    """Return the book of a wallet that begins, and of one with two shards of which one failed."""
    listed = ShardContent({Scheme.WALLETCLI: Ranges.of([0, 1, 4])})
    relays = ("https://a.example", "https://b.example")
    written = Shard(listed, 1_700_300_000, listed, 7, 1_700_000_000, relays, relays[:1])
    failed = Shard(ShardContent(), 1_700_100_000, fault=("wallet-index.unreachable", "no answer"))
    return [
        IndexBook().with_shards(1, 0).put(0, Shard(ShardContent(), 1_700_000_000)).to_bytes(),
        IndexBook(False, 1, (written, failed)).to_bytes(),
    ]


def check_index_batch(data: bytes) -> bool:
    """One encoding per file of shards that were signed ahead."""
    try:
        batch = IndexBatch.from_bytes(data)
    except WalletError:
        return False
    assert batch.to_bytes() == data
    assert batch.next_of(0, -1) == batch.shards[0][0]
    return True


def batches() -> list[bytes]:
    """Return files of one shard that was signed once and twice, and of two shards."""
    tree = KeyTree(Secret(bytes(range(64))))
    content = ShardContent({Scheme.WALLETCLI: Ranges.of(range(3))})

    def signed(number: int, *seqs: int, shards: int = 1) -> tuple[SignedPacket, ...]:
        said = replace(content, shards=shards if number == 0 else None)
        return tuple(seal_shard(tree.index_key(number), number, said, seq, fixed_entropy("batch")) for seq in seqs)

    found = [(signed(0, 1),), (signed(0, 1, 9),), (signed(0, 5, shards=2), signed(1, 5))]
    return [IndexBatch(shards).to_bytes() for shards in found]


TARGETS = [
    Target("index-batch", check_index_batch, batches, 4096),
    Target("wallet-index", check_wallet_index, contents, CONTENT_BYTES),
    Target("index-book", check_index_book, books, 1024),
]
"""Fuzz targets of this file."""
