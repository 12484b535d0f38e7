"""Putting data back: what stands at two places is back, what does not is named, and nobody loses an upload by it."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from tests.wallet.sealed.parts import IDENTITY, RECORD, Through, kit, names, owner, record_of
from walletcli.client.copying import copy
from walletcli.client.kit import DirectoryPlace
from walletcli.client.manifests import Blob, SignedManifest, Writers
from walletcli.errors import NetworkError, VerificationError
from walletcli.wallet.sealed.index import Kind
from walletcli.wallet.sealed.reading import SeenIndex, read_items
from walletcli.wallet.sealed.resigned import ResignedPlace
from walletcli.wallet.sealed.settling import settle, source_of, wanted_blobs
from walletcli.wallet.sealed.writing import DataWriter, get_item, put_item, remove_item

LARGE = hashlib.shake_128(b"large").digest(2_200_000)


@pytest.fixture
def old(tmp_path: Path) -> DirectoryPlace:
    """A place with three items."""
    place = kit(tmp_path / "old")
    for name in ("one", "two"):
        put_item(place, owner(), Kind.FILE, name, name.encode())
    put_item(place, owner(), Kind.FILE, "large", LARGE)
    return place


@pytest.fixture
def new(tmp_path: Path) -> DirectoryPlace:
    return kit(tmp_path / "new")


def seen_at(place: DirectoryPlace) -> SeenIndex:
    return read_items([place], owner().unseal).seen


def content(place: DirectoryPlace, name: str) -> bytes | None:
    return get_item([place], owner(), Kind.FILE, name)


def forget_piece(place: DirectoryPlace, name: str, number: int = 0) -> None:
    item = seen_at(place).index.get(Kind.FILE, name)
    assert item is not None
    Path(place.name, "blobs", item.pieces[number].blob_id.hex()).unlink()


def test_what_was_copied_whole_needs_no_new_index(old: DirectoryPlace, new: DirectoryPlace) -> None:
    copy(old, new)
    settled = settle(owner(), new, [seen_at(old)])
    assert not settled.wrote
    assert settled.lost == ()
    assert len(settled.whole) == 3


def test_what_is_nowhere_is_named_and_the_rest_is_whole(old: DirectoryPlace, new: DirectoryPlace) -> None:
    seen = seen_at(old)
    forget_piece(old, "large", 1)
    copy(old, new)
    settled = settle(owner(), new, [seen])
    assert settled.wrote
    assert [(item.item.name, len(item.missing), item.back) for item in settled.lost] == [("large", 1, None)]
    assert settled.seen.version == seen.version + 1
    assert settled.seen.index.epoch == 1
    assert content(new, "one") == b"one"
    assert content(new, "large") is None
    assert read_items([new], owner("laptop").unseal, seen).seen.version == settled.seen.version


def test_a_higher_epoch_is_followed_though_it_follows_nothing_that_was_seen(
    old: DirectoryPlace, new: DirectoryPlace
) -> None:
    seen = seen_at(old)
    settled = settle(owner(), new, [seen])
    assert settled.seen.version == seen.version + 1
    assert settled.seen.index.replaces is None
    assert read_items([new], owner("laptop").unseal, seen).seen.version == settled.seen.version


def test_without_leave_to_lose_nothing_is_written(old: DirectoryPlace, new: DirectoryPlace) -> None:
    seen = seen_at(old)
    forget_piece(old, "large", 1)
    copy(old, new)
    before = names(new)
    settled = settle(owner(), new, [seen], accept_loss=False)
    assert not settled.wrote
    assert [item.item.name for item in settled.lost] == ["large"]
    assert names(new) == before


def test_of_what_is_lost_an_earlier_version_comes_back(
    tmp_path: Path, old: DirectoryPlace, new: DirectoryPlace
) -> None:
    backup = kit(tmp_path / "backup")
    copy(old, backup)
    before = seen_at(backup).index.get(Kind.FILE, "one")
    put_item(old, owner(), Kind.FILE, "one", b"newer", replaces=before)
    settled = settle(owner(), backup, [seen_at(old), seen_at(backup)])
    assert [(item.item.name, item.back) for item in settled.lost] == [("one", before)]
    assert content(backup, "one") == b"one"


def test_what_was_removed_does_not_come_back(tmp_path: Path, old: DirectoryPlace) -> None:
    backup = kit(tmp_path / "backup")
    copy(old, backup)
    item = seen_at(old).index.get(Kind.FILE, "one")
    assert item is not None
    remove_item(old, owner(), Kind.FILE, "one", replaces=item)
    settled = settle(owner(), backup, [seen_at(old)])
    assert content(backup, "one") is None
    assert settled.lost == ()
    assert [item.name for item in settled.whole] == ["large", "two"]


def test_of_two_states_of_one_version_the_items_of_both_are_there(tmp_path: Path) -> None:
    one, other = kit(tmp_path / "one"), kit(tmp_path / "other")
    put_item(one, owner(), Kind.FILE, "phone's", b"p")
    put_item(other, owner("laptop"), Kind.FILE, "laptop's", b"l")
    indices = [seen_at(one), seen_at(other)]
    copy(other, one)
    settled = settle(owner(), one, indices)
    assert settled.wrote
    assert content(one, "phone's") == b"p"
    assert content(one, "laptop's") == b"l"


def test_after_it_nothing_is_left_behind_but_what_is_named(old: DirectoryPlace, new: DirectoryPlace) -> None:
    seen = seen_at(old)
    forget_piece(old, "large", 1)
    copy(old, new)
    settle(owner(), new, [seen])
    put_item(new, owner(), Kind.FILE, "more", b"more")
    assert names(new) == {blob_id.hex() for blob_id in seen_at(new).index.pins} | {bytes(16).hex()}


def test_another_devices_upload_under_way_survives_it(old: DirectoryPlace, new: DirectoryPlace) -> None:
    copy(old, new)
    under_way = DataWriter(new, owner("laptop"))
    under_way.items()
    late = under_way.store(Kind.FILE, "late", b"under way")
    forget_piece(new, "large", 1)
    settle(owner(), new, [seen_at(old)])
    put_item(new, owner(), Kind.FILE, "more", b"more")
    under_way.commit(lambda index: index.with_item(late))
    assert content(new, "late") == b"under way"


def test_a_place_that_never_had_anything_is_left_alone(new: DirectoryPlace) -> None:
    settled = settle(owner(), new, [])
    assert not settled.wrote
    assert names(new) == set()


def test_a_lower_epoch_is_not_followed(old: DirectoryPlace, new: DirectoryPlace) -> None:
    seen = seen_at(old)
    forget_piece(old, "large", 1)
    copy(old, new)
    settled = settle(owner(), new, [seen])
    for number in range(3):
        put_item(old, owner(), Kind.FILE, f"more {number}", b"x")
    with pytest.raises(VerificationError) as error:
        read_items([old], owner().unseal, settled.seen)
    assert error.value.code == "data.split"


# What a device has signed that is one no longer


AFTER = Writers.of(IDENTITY, [record_of("phone")])


class Strict(Through):
    """A provider that takes only what a device of today has signed."""

    def put(self, manifest: bytes, content: bytes, replaces_version: int) -> None:
        AFTER.verified(manifest, self.name)
        self.place.put(manifest, content, replaces_version)


def test_what_a_removed_device_has_signed_is_signed_anew_on_the_way(tmp_path: Path, new: DirectoryPlace) -> None:
    old = kit(tmp_path / "laptop's")
    put_item(old, owner("laptop"), Kind.FILE, "file", LARGE)
    put_item(old, owner("laptop"), Kind.FILE, "gone", b"x")
    item = seen_at(old).index.get(Kind.FILE, "gone")
    assert item is not None
    seen = remove_item(old, owner("laptop"), Kind.FILE, "gone", replaces=item)
    me = owner("phone", ("phone",))
    assert not copy(old.believing(AFTER), Strict(new.believing(AFTER))).is_complete
    source, found = source_of(old.believing(AFTER), me, seen)
    assert found is not None
    report = copy(source, Strict(new.believing(AFTER)), wanted_blobs(seen))
    assert report.is_complete, report.to_json()
    assert get_item([new.believing(AFTER)], me, Kind.FILE, "file", seen) == LARGE
    assert not settle(me, new.believing(AFTER), [seen]).wrote


def test_what_nobody_vouches_for_is_not_signed_anew(old: DirectoryPlace, new: DirectoryPlace) -> None:
    stranger = owner("stranger")
    forged = stranger.manifest(bytes(15) + b"\7", 1, b"forged")
    old.put(forged, b"forged", 0)
    source, _ = source_of(old, owner(), None)
    report = copy(source, new)
    assert report.is_complete
    assert (bytes(15) + b"\7").hex() not in names(new)


class Swaps(Through):
    """Lists what is right, and gives what a stranger has signed."""

    def get(self, blob_id: bytes, expected: SignedManifest | None = None) -> Blob | None:
        blob = self.place.get(blob_id, expected)
        if blob is None or not blob.content:
            return blob
        forged = owner("stranger").manifest(blob_id, blob.manifest.version + 1, b"forged")
        return Blob(self.writers.verified(forged, self.name), b"forged")


def test_what_a_liar_gives_in_place_of_what_it_lists_is_not_signed_anew(
    old: DirectoryPlace, new: DirectoryPlace
) -> None:
    seen = seen_at(old)
    writers = replace(RECORD_WRITERS, pinned=seen.index.pins)
    report = copy(ResignedPlace(Swaps(old.believing(writers)), owner()), new)
    assert not report.is_complete
    assert {fault.error.code for fault in report.failed} == {"blob.writer"}
    assert names(new) == set()


RECORD_WRITERS = Writers.of(IDENTITY, [RECORD])


class Down(Through):
    def get(self, blob_id: bytes, expected: SignedManifest | None = None) -> Blob | None:
        raise NetworkError("host.timeout", "no answer", "try again")


def test_a_source_that_fails_is_no_source_unless_something_is_known(old: DirectoryPlace) -> None:
    with pytest.raises(NetworkError):
        source_of(Down(old), owner(), None)
    place, seen = source_of(Down(old), owner(), seen_at(old))
    assert seen is None
    assert place.name == old.name
