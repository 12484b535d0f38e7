from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.client.provider import ALICE, TODAY, blob_id, device, manifest, with_devices
from tests.client.records import key, record
from walletcli.client.kit import DirectoryPlace, read_head
from walletcli.client.manifests import ItemFault, SignedManifest, Writers
from walletcli.core.document_parts import Power
from walletcli.core.exit_kit import ExitKitHead, blob_file
from walletcli.errors import WalletError

WRITERS = Writers.of(key("alice").public_key, [ALICE])
HEAD = ExitKitHead(ALICE, (b"a grant",), TODAY)
CONTENT = b"sealed" * 100


@pytest.fixture
def place(tmp_path: Path) -> DirectoryPlace:
    kit = DirectoryPlace(str(tmp_path / "kit"), WRITERS)
    kit.write_head(HEAD)
    return kit


@pytest.fixture
def blobs(place: DirectoryPlace) -> Path:
    return Path(place.name, "blobs")


def fails(code: str, call: Callable[[], object]) -> None:
    with pytest.raises(WalletError) as caught:
        call()
    assert caught.value.code == code, caught.value.message
    assert caught.value.hint


def codes(place: DirectoryPlace) -> list[str]:
    return [item.error.code for item in place.manifests() if isinstance(item, ItemFault)]


def test_a_head_comes_back_as_it_was_written(place: DirectoryPlace) -> None:
    assert place.head() == HEAD
    assert read_head(place.name) == HEAD


def test_there_is_no_head_where_there_is_no_kit(tmp_path: Path) -> None:
    assert read_head(str(tmp_path)) is None
    assert read_head(str(tmp_path / "nowhere")) is None


def test_blobs_come_back_as_they_were_put(place: DirectoryPlace) -> None:
    for number in (2, 1, 0):
        place.put(manifest(blob_id(number), CONTENT), CONTENT, 0)
    assert [item.blob_id for item in place.manifests()] == [blob_id(number) for number in (0, 1, 2)]
    found = place.get(blob_id(1))
    assert found is not None
    assert found.content == CONTENT
    assert place.get(blob_id(9)) is None


def test_what_is_pinned_is_taken_whoever_signed_it_and_nothing_else_of_theirs(place: DirectoryPlace) -> None:
    laptop = manifest(blob_id(1), CONTENT, signer="laptop")
    place.put(laptop, CONTENT, 0)
    fails("blob.writer", lambda: place.get(blob_id(1)))
    digest = hashlib.sha256(CONTENT).digest()
    for pins, taken in (
        ({blob_id(1): (1, digest)}, True),
        ({blob_id(1): (2, digest)}, False),
        ({blob_id(1): (1, bytes(32))}, False),
        ({blob_id(2): (1, digest)}, False),
    ):
        pinning = place.believing(replace(WRITERS, pinned=pins))
        if taken:
            assert pinning.get(blob_id(1)) is not None
        else:
            fails("blob.writer", lambda there=pinning: there.get(blob_id(1)))  # type: ignore[misc]


def test_a_version_replaces_the_one_before_and_nothing_else(place: DirectoryPlace) -> None:
    place.put(manifest(blob_id(1), b"one"), b"one", 0)
    place.put(manifest(blob_id(1), b"two", 2), b"two", 1)
    fails("blob.version", lambda: place.put(manifest(blob_id(1), b"2", 2), b"2", 1))
    fails("blob.version", lambda: place.put(manifest(blob_id(1), b"1"), b"1", 0))
    fails("blob.version", lambda: place.put(manifest(blob_id(7), b"1", 3), b"1", 2))
    place.put(manifest(blob_id(1), b"two", 2), b"two", 1)
    place.put(manifest(blob_id(1), None, 3), b"", 2)
    found = place.get(blob_id(1))
    assert found is not None
    assert found.manifest.is_deletion


def test_files_are_for_their_owner_alone(place: DirectoryPlace, blobs: Path) -> None:
    place.put(manifest(blob_id(1), CONTENT), CONTENT, 0)
    for path in (blobs / blob_id(1).hex(), Path(place.name, "exit-kit")):
        assert path.stat().st_mode & 0o777 == 0o600
    for directory in (blobs, Path(place.name)):
        assert directory.stat().st_mode & 0o777 == 0o700


def test_a_kit_is_not_made_among_other_files(tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("dear")
    fails("exit-kit.not-empty", lambda: DirectoryPlace(str(tmp_path), WRITERS).write_head(HEAD))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["letters.txt"]


def test_a_kit_is_of_one_identity(place: DirectoryPlace) -> None:
    bob = Writers.of(key("bob").public_key, [])
    fails("exit-kit.identity", DirectoryPlace(place.name, bob).head)
    fails(
        "exit-kit.identity", lambda: DirectoryPlace(place.name, bob).write_head(ExitKitHead(record("bob"), (), TODAY))
    )


def test_an_older_record_does_not_take_the_place_of_a_newer_one(place: DirectoryPlace) -> None:
    older = with_devices("alice", device("phone", frozenset({Power.HOST})), seq=99)
    fails("exit-kit.newer", lambda: place.write_head(ExitKitHead(older, (), TODAY)))
    assert place.head() == HEAD


def test_what_a_crash_left_behind_is_not_looked_at(place: DirectoryPlace, blobs: Path) -> None:
    (blobs / ".new").write_bytes(b"half a bl")
    Path(place.name, ".new").write_bytes(b"half a head")
    assert list(place.manifests()) == []
    place.put(manifest(blob_id(1), CONTENT), CONTENT, 0)
    place.write_head(HEAD)
    assert sorted(os.listdir(blobs)) == [blob_id(1).hex()]
    assert sorted(os.listdir(place.name)) == ["blobs", "exit-kit"]


@pytest.mark.parametrize(
    ("code", "data"),
    [
        ("blob.malformed", b""),
        ("blob.malformed", b"walletcli blob 2\n"),
        ("blob.malformed", b"walletcli blob 1\n"),
        ("blob.malformed", b"walletcli blob 1\n\0\0"),
        ("cbor.unsupported", b"walletcli blob 1\n\0\1\xff"),
        ("blob.mismatch", blob_file(manifest(blob_id(1), CONTENT), CONTENT)[:-1]),
        ("blob.mismatch", blob_file(manifest(blob_id(1), CONTENT), CONTENT) + b"x"),
        ("blob.mismatch", blob_file(manifest(blob_id(1), CONTENT), CONTENT[:-1] + b"!")),
        ("blob.other", blob_file(manifest(blob_id(2), CONTENT), CONTENT)),
        ("blob.writer", blob_file(manifest(blob_id(1), CONTENT, signer="stranger"), CONTENT)),
        ("blob.identity", blob_file(manifest(blob_id(1), CONTENT, owner="bob"), CONTENT)),
    ],
)
def test_a_file_that_is_not_what_it_says_is_refused(place: DirectoryPlace, blobs: Path, code: str, data: bytes) -> None:
    place.put(manifest(blob_id(5), CONTENT), CONTENT, 0)
    (blobs / blob_id(1).hex()).write_bytes(data)
    fails(code, lambda: place.get(blob_id(1)))
    assert codes(place) in ([code], [])
    assert blob_id(5) in [item.blob_id for item in place.manifests() if isinstance(item, SignedManifest)]


def test_a_damaged_file_is_written_over(place: DirectoryPlace, blobs: Path) -> None:
    (blobs / blob_id(1).hex()).write_bytes(b"junk")
    place.put(manifest(blob_id(1), CONTENT, 7), CONTENT, 6)
    assert codes(place) == []


def test_an_older_version_than_known_is_refused(place: DirectoryPlace) -> None:
    place.put(manifest(blob_id(1), CONTENT), CONTENT, 0)
    knows = DirectoryPlace(place.name, Writers.of(key("alice").public_key, [ALICE], {blob_id(1): 2}))
    assert codes(knows) == ["blob.old-version"]
    fails("blob.old-version", lambda: knows.get(blob_id(1)))


def test_links_pipes_and_directories_are_refused(place: DirectoryPlace, blobs: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(blob_file(manifest(blob_id(1), CONTENT), CONTENT))
    (blobs / blob_id(1).hex()).symlink_to(secret)
    os.mkfifo(blobs / blob_id(2).hex())
    (blobs / blob_id(3).hex()).mkdir()
    assert codes(place) == ["exit-kit.foreign"] * 3
    for number in (1, 2, 3):
        fails("exit-kit.foreign", lambda number=number: place.get(blob_id(number)))


def test_other_files_are_named_and_the_rest_is_used(place: DirectoryPlace, blobs: Path) -> None:
    place.put(manifest(blob_id(1), CONTENT), CONTENT, 0)
    for name in ("README", "a" * 32 + ".bak", "A" * 32, "\udcff"):
        (blobs / name).write_bytes(b"hello")
    assert codes(place) == ["exit-kit.foreign"] * 4
    assert len([item for item in place.manifests() if isinstance(item, SignedManifest)]) == 1


def test_a_directory_of_blobs_that_is_a_link_is_refused(place: DirectoryPlace, blobs: Path, tmp_path: Path) -> None:
    blobs.rename(tmp_path / "elsewhere")
    blobs.symlink_to(tmp_path / "elsewhere")
    fails("exit-kit.foreign", lambda: list(place.manifests()))
    fails("exit-kit.foreign", lambda: place.put(manifest(blob_id(1), CONTENT), CONTENT, 0))
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_file_too_long_to_be_a_blob_is_refused(place: DirectoryPlace, blobs: Path) -> None:
    with open(blobs / blob_id(1).hex(), "wb") as file:
        file.truncate(1 << 40)
    assert codes(place) == ["exit-kit.foreign"]
    fails("exit-kit.foreign", lambda: place.get(blob_id(1)))


@pytest.mark.parametrize(
    ("code", "data"),
    [
        ("exit-kit.malformed", b""),
        ("exit-kit.malformed", b"walletcli exit kit 2\n\xa0"),
        ("exit-kit.unknown-version", b"walletcli exit kit 1\n\xa0"),
        ("cbor.truncated", HEAD.to_bytes()[:-1]),
        ("cbor.trailing", HEAD.to_bytes() + b"\0"),
        ("exit-kit.malformed", HEAD.to_bytes() + bytes(200_000)),
    ],
)
def test_a_head_that_is_none_is_refused(place: DirectoryPlace, code: str, data: bytes) -> None:
    Path(place.name, "exit-kit").write_bytes(data)
    fails("exit-kit.foreign" if len(data) > 200_000 else code, place.head)


def test_a_full_disk_is_told_and_leaves_the_old_file(
    place: DirectoryPlace, blobs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.put(manifest(blob_id(1), b"one"), b"one", 0)

    def write(handle: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", write)
    fails("storage.full", lambda: place.put(manifest(blob_id(1), b"two", 2), b"two", 1))
    monkeypatch.undo()
    found = place.get(blob_id(1))
    assert found is not None
    assert found.content == b"one"
    place.put(manifest(blob_id(1), b"two", 2), b"two", 1)


def test_a_kit_that_is_gone_is_told(place: DirectoryPlace, tmp_path: Path) -> None:
    Path(place.name).rename(tmp_path / "unplugged")
    fails("exit-kit.missing", lambda: list(place.manifests()))
    fails("exit-kit.missing", lambda: place.put(manifest(blob_id(1), CONTENT), CONTENT, 0))


def test_a_second_writer_waits_and_then_says_so(place: DirectoryPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    from walletcli.client.kit_files import KitFiles

    monkeypatch.setattr("walletcli.client.kit_files.LOCK_S", 0.05)
    with KitFiles(place.name).lock():
        fails("exit-kit.busy", lambda: place.put(manifest(blob_id(1), CONTENT), CONTENT, 0))
    place.put(manifest(blob_id(1), CONTENT), CONTENT, 0)
