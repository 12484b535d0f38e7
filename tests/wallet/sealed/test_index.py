"""The index: one encoding, no id twice, names that are safe, and what becomes of replaced pieces."""

from __future__ import annotations

from dataclasses import replace

import pytest

from walletcli.core import cbor
from walletcli.core.blob import INDEX_ID
from walletcli.errors import FormatError, InputError, WalletError
from walletcli.wallet.sealed.index import (
    MAX_INDEX_BYTES,
    MIN_PADDED_BYTES,
    PIECE_BYTES,
    Item,
    Kind,
    Piece,
    SealedIndex,
    check_name,
    padded_bytes,
    piece_count,
)

IDENTITY = bytes(range(32))
KEYS = (bytes([1]) * 32, bytes([2]) * 32)


def blob_id(number: int) -> bytes:
    return number.to_bytes(16, "big")


def piece(number: int, version: int = 1) -> Piece:
    return Piece(blob_id(number), version, bytes([number]) * 32)


def item(name: str, *pieces: Piece, kind: Kind = Kind.FILE, length: int = 10) -> Item:
    return Item(kind, name, length, bytes(32), 1_700_000_000, KEYS, pieces)


INDEX = (
    SealedIndex(IDENTITY, free=((blob_id(9), 3),), replaces=bytes(32))
    .with_item(item("letter", piece(1)))
    .with_item(item("contacts", piece(2), kind=Kind.SYSTEM))
)


def test_an_index_comes_back_as_it_was() -> None:
    assert SealedIndex.from_bytes(INDEX.to_bytes()) == INDEX
    empty = SealedIndex(IDENTITY)
    assert SealedIndex.from_bytes(empty.to_bytes()) == empty


def test_small_indices_are_equally_long() -> None:
    assert len(INDEX.to_bytes()) == len(SealedIndex(IDENTITY).to_bytes()) == MIN_PADDED_BYTES


def test_items_stand_by_kind_and_name() -> None:
    assert [found.name for found in INDEX.items] == ["contacts", "letter"]
    assert INDEX.get(Kind.FILE, "contacts") is None
    assert [found.name for found in INDEX.of_kind(Kind.FILE)] == ["letter"]


def test_pieces_of_a_replaced_item_become_free_with_their_version() -> None:
    after = INDEX.with_item(item("letter", piece(5)))
    assert dict(after.free) == {blob_id(9): 3, blob_id(1): 1}
    assert blob_id(1) not in after.pins


def test_an_id_that_is_used_again_is_no_longer_free() -> None:
    after = INDEX.with_item(item("letter", piece(9, 4)))
    assert dict(after.free) == {blob_id(1): 1}
    assert after.pins[blob_id(9)] == (4, bytes([9]) * 32)


def test_pieces_of_a_removed_item_become_free() -> None:
    after = INDEX.without(Kind.FILE, "letter")
    assert dict(after.free) == {blob_id(1): 1, blob_id(9): 3}
    assert after.get(Kind.FILE, "letter") is None


def test_ids_found_deleted_are_taken_up_unless_they_are_in_use() -> None:
    after = INDEX.with_free({blob_id(1): 7, blob_id(9): 2, blob_id(4): 6, INDEX_ID: 5})
    assert dict(after.free) == {blob_id(4): 6, blob_id(9): 3}


def test_floors_hold_every_id() -> None:
    assert INDEX.floors == {blob_id(1): 1, blob_id(2): 1, blob_id(9): 3}


@pytest.mark.parametrize("length", [0, 1, MIN_PADDED_BYTES, PIECE_BYTES, PIECE_BYTES + 1, 3 << 20, 100_000_000])
def test_the_number_of_pieces_is_that_of_padme(length: int) -> None:
    assert piece_count(length) == -(-padded_bytes(length) // PIECE_BYTES)
    assert padded_bytes(length) >= max(length, MIN_PADDED_BYTES)
    assert padded_bytes(length) <= max(MIN_PADDED_BYTES, length * 1.12)


@pytest.mark.parametrize(
    "name", ["", "a" * 201, "a/b", "a\\b", ".hidden", "..", "line\nbreak", "nul\0", "\u202egnp.exe", "\u200b", "\ud800"]
)
def test_a_name_that_could_harm_is_refused(name: str) -> None:
    with pytest.raises(InputError) as error:
        check_name(name)
    assert error.value.code == "data.name"


@pytest.mark.parametrize("name", ["passport.pdf", "-rf", "Zürich 2026.jpg", "地図", "a" * 200])
def test_ordinary_names_are_taken(name: str) -> None:
    assert check_name(name) == name


def test_a_name_is_brought_into_one_form() -> None:
    assert check_name("Zu\u0308rich") == "Zürich"


def fields() -> dict[int, object]:
    decoded = cbor.decode(INDEX.to_cbor(), MAX_INDEX_BYTES)
    assert isinstance(decoded, dict)
    return {int(key): value for key, value in decoded.items()}


def with_fields(**changed: object) -> bytes:
    return cbor.encode({**fields(), **{int(key[1:]): value for key, value in changed.items()}})


ROW: list[object] = [2, "letter", 10, bytes(32), 5, 0, [[blob_id(1), 1, bytes(32)]]]


def with_row(position: int, value: object) -> list[object]:
    return [*ROW[:position], value, *ROW[position + 1 :]]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xa0",
        with_fields(f2=bytes(31)),
        with_fields(f3=[]),
        with_fields(f3=[[*KEYS], [*KEYS]]),
        with_fields(f3=[[*KEYS], [bytes(32)]]),
        with_fields(f3=[list(reversed(KEYS))]),
        with_fields(f3=[[bytes([number]) * 32 for number in range(17)]]),
        with_fields(f5=[[blob_id(9), 0]]),
        with_fields(f5=[[blob_id(9), 3], [blob_id(9), 4]]),
        with_fields(f5=[[blob_id(9), 3], [blob_id(8), 4]]),
        with_fields(f5=[[INDEX_ID, 4]]),
        with_fields(f5=[[blob_id(1), 4]]),
        with_fields(f6=-1),
        with_fields(f7=bytes(31)),
        with_fields(f8=1),
        *(with_fields(f4=[ROW, with_row(1, name)]) for name in ("letter", "aaa")),
        *(with_fields(f4=[with_row(0, kind)]) for kind in (0, 3, None)),
        *(with_fields(f4=[with_row(1, name)]) for name in ("", "a/b", ".x", "\u202e", "a" * 201)),
        *(with_fields(f4=[with_row(2, length)]) for length in (-1, PIECE_BYTES + 1, 1 << 40)),
        with_fields(f4=[with_row(3, bytes(31))]),
        with_fields(f4=[with_row(5, 1)]),
        with_fields(f4=[with_row(6, [])]),
        with_fields(f4=[with_row(6, [[blob_id(1), 1, bytes(32)]] * 2)]),
        with_fields(f4=[with_row(6, [[INDEX_ID, 1, bytes(32)]])]),
        with_fields(f4=[with_row(6, [[blob_id(1), 0, bytes(32)]])]),
        with_fields(f4=[[*ROW, 1]]),
    ],
)
def test_what_is_no_index_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        SealedIndex.from_cbor(data)


def test_an_index_of_a_newer_version_says_so() -> None:
    with pytest.raises(FormatError) as error:
        SealedIndex.from_cbor(with_fields(f1=2))
    assert error.value.code == "data-index.unknown-version"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(4),
        bytes(MIN_PADDED_BYTES),
        INDEX.to_bytes() + b"\0",
        INDEX.to_bytes()[:-1],
        INDEX.to_bytes()[:-1] + b"\1",
        b"\xff" * 5000,
    ],
)
def test_a_wrong_padding_is_refused(data: bytes) -> None:
    with pytest.raises(WalletError):
        SealedIndex.from_bytes(data)


def test_an_index_that_is_full_says_so() -> None:
    free = tuple((blob_id(number), 1) for number in range(1, 120_000))
    with pytest.raises(InputError) as error:
        replace(INDEX, items=(), free=free).to_bytes()
    assert error.value.code == "data.full"
