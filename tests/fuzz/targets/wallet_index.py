"""The wallet index: what a shard says, and what a wallet remembers of its own."""

from __future__ import annotations

from tests.fuzz.target import Target
from walletcli.core.keys import Scheme
from walletcli.core.wallet_index import CONTENT_BYTES, SCHEMES, Ranges, ShardContent
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


TARGETS = [
    Target("wallet-index", check_wallet_index, contents, CONTENT_BYTES),
    Target("index-book", check_index_book, books, 1024),
]
"""Fuzz targets of this file."""
