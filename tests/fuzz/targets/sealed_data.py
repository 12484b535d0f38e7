"""What an identity keeps sealed: the index of its data."""

from __future__ import annotations

from tests.fuzz.target import Target
from walletcli.errors import WalletError
from walletcli.wallet.sealed.index import Item, Kind, Piece, SealedIndex

IDENTITY = bytes(range(32))
KEYS = (bytes([1]) * 32, bytes([2]) * 32)


def check_index(data: bytes) -> bool:
    """One encoding per index, and no id in it twice."""
    try:
        index = SealedIndex.from_cbor(data)
    except WalletError:
        return False
    assert index.to_cbor() == data
    assert SealedIndex.from_bytes(index.to_bytes()) == index
    ids = [piece.blob_id for item in index.items for piece in item.pieces] + [blob_id for blob_id, _ in index.free]
    assert len(ids) == len(set(ids)) == len(index.floors)
    return True


def _piece(number: int) -> Piece:
    return Piece(number.to_bytes(16, "big"), number, bytes([number]) * 32)


def indices() -> list[SealedIndex]:
    """Return valid indices: of nothing, and of two items."""
    book = Item(Kind.SYSTEM, "contacts", 5, bytes(32), 1_700_000_000, KEYS, (_piece(1),))
    file = Item(Kind.FILE, "letter.txt", 2 << 20, bytes(32), 0, KEYS[:1], tuple(_piece(n) for n in (2, 3, 4)))
    full = SealedIndex(IDENTITY, (book, file), ((bytes([9]) * 16, 7),), 2, bytes(32))
    return [SealedIndex(IDENTITY), full]


TARGETS = [Target("data-index", check_index, lambda: [index.to_cbor() for index in indices()])]
