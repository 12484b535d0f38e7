"""Items at a place: what was put comes back, nothing else is believed, and two devices do not lose each other's."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.wallet.sealed.parts import (
    DEVICES,
    IDENTITY,
    RECOVERY,
    WRITERS,
    Through,
    kit,
    names,
    owner,
    record_of,
    unseal_as,
)
from walletcli.client.kit import DirectoryPlace
from walletcli.client.manifests import Blob, Listed, SignedManifest, Writers
from walletcli.core.blob import INDEX_ID
from walletcli.errors import NetworkError, StorageError, WalletError
from walletcli.wallet.sealed.index import PIECE_BYTES, Item, Kind
from walletcli.wallet.sealed.reading import SeenIndex, read_items
from walletcli.wallet.sealed.writing import DataWriter, get_item, put_item, remove_item

LARGE = hashlib.shake_128(b"large").digest(2_500_000)


@pytest.fixture
def place(tmp_path: Path) -> DirectoryPlace:
    return kit(tmp_path / "provider")


def fails(code: str, call: Callable[[], object]) -> WalletError:
    with pytest.raises(WalletError) as caught:
        call()
    assert caught.value.code == code, (caught.value.code, caught.value.message)
    assert caught.value.hint
    return caught.value


def put(place: DirectoryPlace | Through, name: str, content: bytes, **more: object) -> SeenIndex:
    return put_item(place, owner(), Kind.FILE, name, content, **more)  # type: ignore[arg-type]


def item(place: DirectoryPlace, name: str) -> Item:
    found = read_items([place], owner().unseal).index.get(Kind.FILE, name)
    assert found is not None
    return found


# What was put comes back


@pytest.mark.parametrize("content", [b"", b"x", b"\0" * 5000, b"\x80", LARGE[:PIECE_BYTES], LARGE])
def test_what_was_put_comes_back(place: DirectoryPlace, content: bytes) -> None:
    put(place, "file", content)
    assert get_item([place], owner("laptop"), Kind.FILE, "file") == content


def test_a_place_without_an_index_holds_nothing(place: DirectoryPlace) -> None:
    items = read_items([place], owner().unseal)
    assert items.index.items == ()
    assert get_item([place], owner(), Kind.FILE, "file") is None


def test_the_words_alone_read_everything(place: DirectoryPlace) -> None:
    put(place, "file", LARGE)
    items = read_items([place], unseal_as(RECOVERY))
    assert items.content(Kind.FILE, "file") == LARGE


def test_kinds_do_not_share_names(place: DirectoryPlace) -> None:
    put_item(place, owner(), Kind.SYSTEM, "contacts", b"the wallet's")
    put(place, "contacts", b"the owner's")
    assert get_item([place], owner(), Kind.SYSTEM, "contacts") == b"the wallet's"
    assert get_item([place], owner(), Kind.FILE, "contacts") == b"the owner's"


def test_a_replaced_item_leaves_no_piece_behind(place: DirectoryPlace) -> None:
    put(place, "file", LARGE)
    put(place, "file", b"small", replaces=item(place, "file"))
    assert get_item([place], owner(), Kind.FILE, "file") == b"small"
    assert len(names(place)) == 2


def test_a_removed_item_is_gone_and_its_ids_are_used_again(place: DirectoryPlace) -> None:
    put(place, "file", LARGE)
    before = {entry.blob_id for entry in place.manifests() if entry.blob_id is not None}
    remove_item(place, owner(), Kind.FILE, "file", replaces=item(place, "file"))
    assert names(place) == {INDEX_ID.hex()}
    for number in range(3):
        put(place, f"file {number}", b"x")
    assert {entry.blob_id for entry in place.manifests()} == before


def test_hundred_changes_leave_no_more_ids_than_were_in_use_at_once(place: DirectoryPlace) -> None:
    put(place, "file", b"0")
    for number in range(100):
        put(place, "file", b"%d" % number, replaces=item(place, "file"))
    assert len(list(place.manifests())) <= 3


# Names, and who replaces what


def test_a_name_that_exists_is_not_replaced_unasked(place: DirectoryPlace) -> None:
    put(place, "file", b"first")
    fails("data.exists", lambda: put(place, "file", b"second"))
    assert get_item([place], owner(), Kind.FILE, "file") == b"first"


def test_what_was_replaced_meanwhile_is_not_replaced(place: DirectoryPlace) -> None:
    put(place, "file", b"first")
    before = item(place, "file")
    put_item(place, owner("laptop"), Kind.FILE, "file", b"laptop's", replaces=before)
    fails("data.changed", lambda: put(place, "file", b"phone's", replaces=before))
    fails("data.changed", lambda: remove_item(place, owner(), Kind.FILE, "file", replaces=before))
    assert get_item([place], owner(), Kind.FILE, "file") == b"laptop's"


def test_what_was_removed_meanwhile_is_not_replaced(place: DirectoryPlace) -> None:
    put(place, "file", b"first")
    before = item(place, "file")
    remove_item(place, owner("laptop"), Kind.FILE, "file", replaces=before)
    fails("data.changed", lambda: put(place, "file", b"phone's", replaces=before))


class Between(Through):
    """Has another device write before this one's index arrives."""

    def __init__(self, place: DirectoryPlace, act: Callable[[], object]) -> None:
        super().__init__(place)
        self.acts = [act]

    def put(self, manifest: bytes, content: bytes, replaces_version: int) -> None:
        said = self.place.writers.verified(manifest, "test")
        if said.blob_id == INDEX_ID and self.acts:
            self.acts.pop()()
        self.place.put(manifest, content, replaces_version)


def test_two_devices_that_put_two_names_at_once_both_succeed(place: DirectoryPlace) -> None:
    put(place, "old", b"old")
    between = Between(place, lambda: put_item(place, owner("laptop"), Kind.FILE, "laptop's", b"laptop"))
    put(between, "phone's", b"phone")
    for name, content in (("old", b"old"), ("laptop's", b"laptop"), ("phone's", b"phone")):
        assert get_item([place], owner(), Kind.FILE, name) == content


def test_of_two_devices_that_put_one_name_at_once_one_is_told(place: DirectoryPlace) -> None:
    between = Between(place, lambda: put_item(place, owner("laptop"), Kind.FILE, "file", b"laptop"))
    fails("data.exists", lambda: put(between, "file", b"phone"))
    assert get_item([place], owner(), Kind.FILE, "file") == b"laptop"


def test_two_devices_do_not_take_one_free_id(place: DirectoryPlace) -> None:
    put(place, "file", b"x")
    remove_item(place, owner(), Kind.FILE, "file", replaces=item(place, "file"))
    phone, laptop = DataWriter(place, owner()), DataWriter(place, owner("laptop"))
    for writer in (phone, laptop):
        writer.items()
        writer.listed()
    one = phone.store(Kind.FILE, "phone's", b"phone")
    other = laptop.store(Kind.FILE, "laptop's", b"laptop")
    assert {piece.blob_id for piece in one.pieces}.isdisjoint(piece.blob_id for piece in other.pieces)
    phone.commit(lambda index: index.with_item(one))
    laptop.commit(lambda index: index.with_item(other))
    assert get_item([place], owner(), Kind.FILE, "phone's") == b"phone"
    assert get_item([place], owner(), Kind.FILE, "laptop's") == b"laptop"


def test_an_upload_under_way_is_not_written_over(place: DirectoryPlace) -> None:
    put(place, "file", b"x")
    remove_item(place, owner(), Kind.FILE, "file", replaces=item(place, "file"))
    under_way = DataWriter(place, owner("laptop"))
    under_way.items()
    late = under_way.store(Kind.FILE, "late", b"under way")
    for number in range(3):
        put(place, f"file {number}", b"y")
    under_way.commit(lambda index: index.with_item(late))
    assert get_item([place], owner(), Kind.FILE, "late") == b"under way"


def test_a_reader_whose_item_is_replaced_meanwhile_gets_the_new_one_whole(place: DirectoryPlace) -> None:
    put(place, "file", LARGE)
    before = item(place, "file")
    items = read_items([place], owner().unseal)
    parts: list[bytes] = []

    def write(part: bytes) -> None:
        parts.append(part)
        if len(parts) == 1 and items.seen.version == 1:
            put_item(place, owner("laptop"), Kind.FILE, "file", LARGE[::-1], replaces=before)

    items.copy_out(Kind.FILE, "file", write, parts.clear)
    assert b"".join(parts) == LARGE[::-1]


# What a place cannot do


class Old(Through):
    """Shows what it had before."""

    def __init__(self, place: DirectoryPlace, was: dict[bytes, Blob]) -> None:
        super().__init__(place)
        self.was = was

    def get(self, blob_id: bytes, expected: SignedManifest | None = None) -> Blob | None:
        old = self.was.get(blob_id)
        if old is None:
            return self.place.get(blob_id, expected)
        self.writers.verified(old.manifest.data, self.name, blob_id)
        return old


def blobs_of(place: DirectoryPlace) -> dict[bytes, Blob]:
    found = [place.get(entry.blob_id) for entry in place.manifests() if entry.blob_id is not None]
    return {blob.manifest.blob_id: blob for blob in found if blob is not None}


def test_an_old_index_is_refused_and_named(place: DirectoryPlace) -> None:
    put(place, "file", b"first")
    was = blobs_of(place)
    seen = put(place, "more", b"second")
    error = fails("blob.old-version", lambda: read_items([Old(place, was)], owner().unseal, seen))
    assert place.name in error.message


def test_an_old_index_is_made_up_for_by_the_next_place(tmp_path: Path, place: DirectoryPlace) -> None:
    put(place, "file", b"first")
    was = blobs_of(place)
    seen = put(place, "more", b"second")
    items = read_items([Old(place, was), place], owner().unseal, seen)
    assert items.content(Kind.FILE, "more") == b"second"
    assert [fault.error.code for fault in items.faults] == ["blob.old-version"]


def test_an_old_piece_is_refused_and_taken_from_the_next_place(place: DirectoryPlace) -> None:
    put(place, "file", b"first")
    was = blobs_of(place)
    remove_item(place, owner(), Kind.FILE, "file", replaces=item(place, "file"))
    put(place, "file", b"second")
    del was[INDEX_ID]
    fails("data.damaged", lambda: get_item([Old(place, was)], owner(), Kind.FILE, "file"))
    assert get_item([Old(place, was), place], owner(), Kind.FILE, "file") == b"second"


def test_an_index_that_is_gone_is_named(tmp_path: Path, place: DirectoryPlace) -> None:
    seen = put(place, "file", b"x")
    error = fails("data.withheld", lambda: read_items([kit(tmp_path / "empty")], owner().unseal, seen))
    assert "empty" in error.message


def test_a_piece_that_is_gone_is_named(place: DirectoryPlace) -> None:
    put(place, "file", b"x")
    piece = item(place, "file").pieces[0]
    Path(place.name, "blobs", piece.blob_id.hex()).unlink()
    error = fails("data.damaged", lambda: get_item([place], owner(), Kind.FILE, "file"))
    assert piece.blob_id.hex() in error.message


def test_two_indices_of_one_version_are_a_split(tmp_path: Path, place: DirectoryPlace) -> None:
    other = kit(tmp_path / "other")
    seen = put(place, "file", b"x")
    put_item(other, owner("laptop"), Kind.FILE, "file", b"y")
    fails("data.split", lambda: read_items([other], owner().unseal, seen))


def test_an_index_that_follows_another_one_is_a_split(tmp_path: Path, place: DirectoryPlace) -> None:
    other = kit(tmp_path / "other")
    seen = put(place, "file", b"x")
    for number in range(2):
        put_item(other, owner("laptop"), Kind.FILE, f"file {number}", b"y")
    fails("data.split", lambda: read_items([other], owner().unseal, seen))


def test_the_newest_of_all_places_counts_after_a_loss(tmp_path: Path, place: DirectoryPlace) -> None:
    newer = kit(tmp_path / "newer")
    for target in (place, newer):
        put(target, "file", b"x")
    put(newer, "more", b"y")
    assert read_items([place, newer], owner().unseal, ask_all=True).content(Kind.FILE, "more") == b"y"
    assert read_items([place, newer], owner().unseal).content(Kind.FILE, "more") is None


class Down(Through):
    """Answers nothing."""

    asked = 0

    def get(self, blob_id: bytes, expected: SignedManifest | None = None) -> Blob | None:
        type(self).asked += 1
        raise NetworkError("host.timeout", f"{self.name} did not answer", "try again")


def test_a_place_that_does_not_answer_is_asked_once_and_not_for_each_piece(place: DirectoryPlace) -> None:
    put(place, "file", LARGE)
    Down.asked = 0
    items = read_items([Down(place), place], owner().unseal)
    assert items.content(Kind.FILE, "file") == LARGE
    assert Down.asked <= 2


def test_if_no_place_answers_the_first_failure_is_told(place: DirectoryPlace) -> None:
    fails("host.timeout", lambda: read_items([Down(place), Down(place)], owner().unseal))


class Full(Through):
    def put(self, manifest: bytes, content: bytes, replaces_version: int) -> None:
        if len(content) > 100_000:
            raise StorageError("storage.full", "no room", "make some")
        self.place.put(manifest, content, replaces_version)


def test_an_upload_that_fails_leaves_the_old_state(place: DirectoryPlace) -> None:
    put(place, "file", b"first")
    before = item(place, "file")
    fails("storage.full", lambda: put(Full(place), "file", LARGE, replaces=before))
    assert get_item([place], owner(), Kind.FILE, "file") == b"first"


def test_a_mirror_that_fails_is_no_failure_and_is_left_alone(tmp_path: Path, place: DirectoryPlace) -> None:
    mirror = Full(kit(tmp_path / "mirror"))
    writer = DataWriter(place, owner(), mirrors=[mirror])
    made = writer.store(Kind.FILE, "file", LARGE)
    writer.commit(lambda index: index.with_item(made))
    assert writer.mirrors == []
    assert get_item([place], owner(), Kind.FILE, "file") == LARGE


# Devices that come and go


def test_what_a_removed_device_had_stored_stays_readable(place: DirectoryPlace) -> None:
    put_item(place, owner("laptop"), Kind.FILE, "file", LARGE)
    seen = read_items([place], owner().unseal).seen
    after = DirectoryPlace(place.name, Writers.of(IDENTITY, [record_of("phone")]))
    fails("blob.writer", lambda: read_items([after], owner().unseal))
    assert get_item([after], owner(), Kind.FILE, "file", seen) == LARGE


def test_a_removed_device_cannot_read_what_is_written_afterwards(place: DirectoryPlace) -> None:
    put(place, "before", b"x")
    put_item(place, owner("phone", ("phone",)), Kind.FILE, "after", b"y")
    fails("sealed.not-for-you", lambda: read_items([place], owner("laptop").unseal))


def test_a_removed_device_cannot_make_others_believe_a_new_index(place: DirectoryPlace) -> None:
    seen = put(place, "file", b"x")
    put_item(place, owner("laptop"), Kind.FILE, "forged", b"y")
    after = DirectoryPlace(place.name, Writers.of(IDENTITY, [record_of("phone")]))
    fails("blob.writer", lambda: read_items([after], owner().unseal, seen))


def test_a_piece_by_somebody_else_is_not_believed_because_the_index_names_its_id(place: DirectoryPlace) -> None:
    put(place, "file", b"x")
    piece = item(place, "file").pieces[0]
    stranger = owner("stranger")
    forged = stranger.manifest(piece.blob_id, 2, b"forged")
    place.put(forged, b"forged", 1)
    fails("data.damaged", lambda: get_item([place], owner(), Kind.FILE, "file"))


# What can be seen from outside


def test_places_see_neither_names_nor_content(place: DirectoryPlace) -> None:
    put(place, "passport.pdf", b"a very secret text" * 10)
    for path in Path(place.name, "blobs").iterdir():
        data = path.read_bytes()
        for text in (b"passport", b"secret", owner().recipients[0]):
            assert text not in data


def test_short_items_are_equally_long_outside(place: DirectoryPlace) -> None:
    for number, length in enumerate((0, 1, 63, 64, 1000, 4095)):
        put(place, f"file {number}", b"x" * length)
    pieces = [path for path in Path(place.name, "blobs").iterdir() if path.name != INDEX_ID.hex()]
    assert len({path.stat().st_size for path in pieces}) == 1


def test_a_full_piece_is_padded_to_a_mebibyte_and_no_more(place: DirectoryPlace) -> None:
    put(place, "file", LARGE)
    sizes = [path.stat().st_size for path in Path(place.name, "blobs").iterdir()]
    assert max(sizes) < (1 << 20) + 1000


def test_recipients_of_all_devices_and_the_words(place: DirectoryPlace) -> None:
    put(place, "file", b"x")
    for unseal in (owner("phone").unseal, owner("laptop").unseal, unseal_as(RECOVERY)):
        assert read_items([place], unseal).content(Kind.FILE, "file") == b"x"
    assert len(item(place, "file").recipients) == len(DEVICES) + 1


class Listless(Through):
    def manifests(self) -> Iterator[Listed]:
        raise NetworkError("host.timeout", "no list", "try again")


def test_nothing_is_stored_where_the_list_cannot_be_had(place: DirectoryPlace) -> None:
    fails("host.timeout", lambda: put(Listless(place), "file", b"x"))
    assert names(place) == set()
    assert place.writers == WRITERS
