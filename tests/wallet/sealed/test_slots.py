"""Where new blobs go, and what may be deleted: never what somebody else may be about to name."""

from __future__ import annotations

from itertools import islice

import pytest

from tests.client.provider import blob_id, manifest
from tests.fuzz.target import fixed_entropy
from tests.wallet.sealed.parts import IDENTITY, WRITERS
from walletcli.client.manifests import SignedManifest
from walletcli.core.blob import INDEX_ID
from walletcli.core.manifest import MAX_VERSION
from walletcli.wallet.sealed.index import Item, Kind, Piece, SealedIndex
from walletcli.wallet.sealed.slots import Listing, Slot, dead_blobs, forgotten_ids, nameless_blobs, new_slots

NOBODY: frozenset[bytes] = frozenset()


def listed(**blobs: tuple[int, bytes | None]) -> Listing:
    """Return a list of blobs: ``n7=(2, b"x")`` is id 7 in version 2, None a deletion."""
    found: dict[bytes, SignedManifest] = {}
    for name, (version, content) in blobs.items():
        number = blob_id(int(name[1:]))
        found[number] = WRITERS.verified(manifest(number, content, version), "test")
    return Listing(found)


def index(*free: tuple[int, int], used: tuple[int, int] | None = None) -> SealedIndex:
    """Return an index with free ids (number and version up to which they are dead) and at most one in use."""
    found = SealedIndex(IDENTITY, free=tuple((blob_id(number), version) for number, version in free))
    if used is not None:
        piece = Piece(blob_id(used[0]), used[1], bytes(32))
        found = found.with_item(Item(Kind.FILE, "file", 1, bytes(32), 0, (bytes([1]) * 32,), (piece,)))
    return found


def slots(found: SealedIndex, there: Listing, count: int = 1, taken: frozenset[bytes] = NOBODY) -> list[Slot]:
    return list(islice(new_slots(found, there, taken, fixed_entropy("slots")), count))


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        (listed(), Slot(blob_id(7), 4, 0)),
        (listed(n7=(4, None)), Slot(blob_id(7), 5, 4)),
        (listed(n7=(9, None)), Slot(blob_id(7), 10, 9)),
        (listed(n7=(2, None)), Slot(blob_id(7), 4, 2)),
        (listed(n7=(3, b"dead")), Slot(blob_id(7), 4, 3)),
        (listed(n7=(1, b"dead")), Slot(blob_id(7), 4, 1)),
    ],
)
def test_a_free_id_is_used_again_in_a_version_above_all(there: Listing, expected: Slot) -> None:
    assert slots(index((7, 3)), there) == [expected]


@pytest.mark.parametrize(
    ("there", "taken"),
    [
        (listed(n7=(4, b"under way")), NOBODY),
        (listed(), frozenset({blob_id(7)})),
        (Listing({}, frozenset({blob_id(7)})), NOBODY),
        (listed(n7=(MAX_VERSION // 2 + 1, None)), NOBODY),
    ],
)
def test_an_id_that_is_not_free_for_sure_is_left_alone(there: Listing, taken: frozenset[bytes]) -> None:
    (slot,) = slots(index((7, 3)), there, taken=taken)
    assert slot.blob_id != blob_id(7)
    assert (slot.version, slot.replaces_version) == (1, 0)


def test_no_slot_is_given_twice() -> None:
    found = slots(index((7, 3), (8, 1)), listed(), 50)
    assert len({slot.blob_id for slot in found}) == 50
    assert INDEX_ID not in {slot.blob_id for slot in found}


def ids(found: list[SignedManifest]) -> list[int]:
    return [int.from_bytes(item.blob_id, "big") for item in found]


def test_dead_is_what_lies_under_a_free_id_in_a_version_that_is_dead() -> None:
    there = listed(n6=(1, b"named"), n7=(3, b"dead"), n8=(4, b"under way"), n9=(3, None))
    assert ids(dead_blobs(index((7, 3), (8, 3), (9, 2), used=(6, 1)), there)) == [7]


def test_nameless_is_what_neither_index_nor_plan_names() -> None:
    there = listed(
        n0=(5, b"index"), n5=(2, b"newer than named"), n6=(1, b"nobody's"), n7=(3, b"dead"), n8=(4, b"under way"),
        n9=(3, None), n10=(1, b"planned"),
    )  # fmt: skip
    found = nameless_blobs(index((7, 3), (8, 3), used=(5, 1)), there, frozenset({blob_id(10)}))
    assert sorted(ids(found)) == [5, 6, 8]


def test_forgotten_are_deletions_that_the_index_does_not_know() -> None:
    there = listed(n0=(5, b"index"), n6=(1, b"nobody's"), n7=(4, None), n9=(3, None))
    assert forgotten_ids(index((7, 3)), there) == {blob_id(9): 3}
