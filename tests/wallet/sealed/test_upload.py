"""Uploads by plan: what an earlier attempt stored is used, and nothing that somebody else has stored in its place."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.wallet.sealed.parts import kit, owner
from walletcli.client.kit import DirectoryPlace
from walletcli.wallet.home import silent
from walletcli.wallet.sealed.index import Kind
from walletcli.wallet.sealed.memory import Plan
from walletcli.wallet.sealed.reading import read_items
from walletcli.wallet.sealed.upload import SourceFile, Uploaded, abandon, is_of, new_plan, stored_pieces, upload
from walletcli.wallet.sealed.writing import DataWriter, edit_with, get_item, put_item, remove_item

LARGE = hashlib.shake_128(b"large").digest(2_500_000)


@pytest.fixture
def place(tmp_path: Path) -> DirectoryPlace:
    """A place with free ids."""
    found = kit(tmp_path / "provider")
    put_item(found, owner(), Kind.FILE, "gone", LARGE)
    item = read_items([found], owner().unseal).index.get(Kind.FILE, "gone")
    assert item is not None
    remove_item(found, owner(), Kind.FILE, "gone", replaces=item)
    return found


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "film"
    path.write_bytes(LARGE)
    return str(path)


def writer(place: DirectoryPlace, name: str = "phone") -> DataWriter:
    found = DataWriter(place, owner(name))
    found.items()
    return found


def planned(place: DirectoryPlace, file: str) -> Plan:
    with SourceFile(file) as source:
        return new_plan(writer(place), "film", source.scan())


def uploaded(place: DirectoryPlace, plan: Plan, file: str) -> Uploaded:
    at = writer(place)
    with SourceFile(file) as source:
        done = upload(at, plan, source, silent)
    at.commit(lambda index: edit_with(index, done.item, None))
    return done


def store_some(place: DirectoryPlace, plan: Plan, file: str, count: int) -> None:
    """Store the first pieces of a plan, as an attempt does that is interrupted."""
    at = writer(place)

    def stop(_: str) -> None:
        nonlocal count
        count -= 1
        if count == 0:
            raise KeyboardInterrupt

    with SourceFile(file) as source, pytest.raises(KeyboardInterrupt):
        upload(at, plan, source, stop)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_what_is_stored_is_not_stored_again(place: DirectoryPlace, file: str, count: int) -> None:
    plan = planned(place, file)
    store_some(place, plan, file, count)
    assert stored_pieces(writer(place), plan) == count
    assert uploaded(place, plan, file).resumed == count
    assert get_item([place], owner(), Kind.FILE, "film") == LARGE


def test_what_another_device_has_stored_in_the_same_place_is_not_taken_for_ones_own(
    place: DirectoryPlace, file: str
) -> None:
    plan = planned(place, file)
    put_item(place, owner("laptop"), Kind.FILE, "laptop's", LARGE[::-1])
    there = read_items([place], owner().unseal).index
    assert {piece.blob_id for piece in plan.pieces} & set(there.pins), "both chose the same free ids"
    assert uploaded(place, plan, file).resumed == 0
    assert get_item([place], owner(), Kind.FILE, "film") == LARGE
    assert get_item([place], owner(), Kind.FILE, "laptop's") == LARGE[::-1]


def test_what_this_device_has_stored_there_for_something_else_is_not_taken_for_it(
    place: DirectoryPlace, file: str
) -> None:
    plan = planned(place, file)
    put_item(place, owner(), Kind.FILE, "other", LARGE[::-1])
    item = read_items([place], owner().unseal).index.get(Kind.FILE, "other")
    assert item is not None
    put_item(place, owner(), Kind.FILE, "other", LARGE[:2_000_000], replaces=item)
    item = read_items([place], owner().unseal).index.get(Kind.FILE, "other")
    assert item is not None
    remove_item(place, owner(), Kind.FILE, "other", replaces=item)
    assert uploaded(place, plan, file).resumed == 0
    assert get_item([place], owner(), Kind.FILE, "film") == LARGE


def test_an_abandoned_upload_leaves_nothing(place: DirectoryPlace, file: str) -> None:
    plan = planned(place, file)
    store_some(place, plan, file, 2)
    abandon(writer(place), plan)
    assert stored_pieces(writer(place), plan) == 0


def test_what_the_index_names_is_not_abandoned(place: DirectoryPlace, file: str) -> None:
    plan = planned(place, file)
    uploaded(place, plan, file)
    abandon(writer(place), plan)
    assert get_item([place], owner(), Kind.FILE, "film") == LARGE


def _append(path: str) -> None:
    with open(path, "ab") as file:
        file.write(b"!")


def _turn(path: str) -> None:
    Path(path).write_bytes(LARGE[::-1])


@pytest.mark.parametrize("change", [_append, _turn])
def test_a_plan_is_for_one_file(place: DirectoryPlace, file: str, change: Callable[[str], None]) -> None:
    plan = planned(place, file)
    with SourceFile(file) as source:
        assert is_of(plan, source.scan(), owner().recipients)
        assert not is_of(plan, source.scan(), owner("phone", ("phone",)).recipients)
    change(file)
    with SourceFile(file) as source:
        assert not is_of(plan, source.scan(), owner().recipients)
