from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tests.client.provider import ALICE, TODAY, Provider, blob_id, manifest, sign_as
from tests.client.records import identity, key
from tests.client.servers import Asked, Conversation, Server
from walletcli.client.copying import Missing, copy
from walletcli.client.host import HostClient
from walletcli.client.kit import DirectoryPlace
from walletcli.client.manifests import Blob, ItemFault, Listed, SignedManifest, Writers, checked_blob
from walletcli.client.places import HostPlace, Place
from walletcli.core.exit_kit import ExitKitHead
from walletcli.errors import NetworkError, StorageError, VerificationError, WalletError
from walletcli.net.tcp import TcpDialer

Serve = Callable[[Callable[[Conversation], None]], Server]
WRITERS = Writers.of(key("alice").public_key, [ALICE])


@dataclass
class Memory:
    """A place in memory; a test has it fail."""

    name: str = "memory"
    held: dict[bytes, Blob] = field(default_factory=dict)
    order: list[bytes] = field(default_factory=list)
    gives: Callable[[Blob], Blob | None] = lambda blob: blob
    takes: Callable[[bytes], None] = lambda _: None
    lists: Callable[[Iterator[Listed]], Iterator[Listed]] = lambda listed: listed
    asked: int = 0

    def add(self, number: int, content: bytes = b"content", version: int = 1) -> None:
        signed = WRITERS.verified(manifest(blob_id(number), content or None, version), self.name)
        self.held[blob_id(number)] = checked_blob(signed, content, self.name)

    def manifests(self) -> Iterator[Listed]:
        return self.lists(self.held[name].manifest for name in sorted(self.held))

    def get(self, blob_id: bytes, expected: SignedManifest | None = None) -> Blob | None:
        self.asked += 1
        return self.gives(self.held[blob_id]) if blob_id in self.held else None

    def put(self, manifest: bytes, content: bytes, replaces_version: int) -> None:
        self.takes(manifest)
        signed = WRITERS.verified(manifest, self.name)
        has = self.held[signed.blob_id].manifest.version if signed.blob_id in self.held else 0
        if has != replaces_version:
            raise NetworkError("blob.version", "another version", "again")
        self.held[signed.blob_id] = checked_blob(signed, content, self.name)
        self.order.append(signed.blob_id)


def filled(*numbers: int) -> Memory:
    place = Memory("source")
    for number in numbers:
        place.add(number)
    return place


def gone(code: str = "host.unreachable") -> WalletError:
    return NetworkError(code, "nobody there", "try again")


def failing(error: WalletError, *numbers: int) -> Callable[[Blob], Blob | None]:
    def give(blob: Blob) -> Blob | None:
        if not numbers or blob.manifest.blob_id in [blob_id(number) for number in numbers]:
            raise error
        return blob

    return give


def numbers(items: list[SignedManifest] | list[ItemFault] | list[Missing]) -> list[int]:
    return [int.from_bytes(item.blob_id or b"", "big") for item in items]


def test_everything_is_copied_and_the_index_comes_last() -> None:
    source, target = filled(0, 1, 2), Memory()
    told: list[tuple[int, int]] = []
    report = copy(source, target, progress=lambda done, total: told.append((done, total)))
    assert target.order == [blob_id(1), blob_id(2), blob_id(0)]
    assert target.held == source.held
    assert report.is_complete
    assert report.copied_bytes == 21
    assert told == [(7, 21), (14, 21), (21, 21)]


def test_the_second_run_fetches_nothing() -> None:
    source, target = filled(0, 1, 2), Memory()
    copy(source, target)
    source.asked = 0
    report = copy(source, target)
    assert (numbers(report.same), report.copied, source.asked) == ([0, 1, 2], [], 0)


def test_newer_versions_replace_older_ones_and_never_the_other_way() -> None:
    source, target = filled(1, 2), Memory()
    source.add(1, b"newer", 3)
    target.add(1, b"older", 2)
    target.add(2, b"newer", 2)
    report = copy(source, target)
    assert (numbers(report.copied), numbers(report.same)) == ([1], [2])
    assert target.held[blob_id(1)].content == b"newer"
    assert target.held[blob_id(2)].content == b"newer"


def test_deletions_are_copied() -> None:
    source, target = filled(1), Memory()
    target.add(1)
    source.add(1, b"", 2)
    assert copy(source, target).is_complete
    assert target.held[blob_id(1)].manifest.is_deletion


def test_what_does_not_verify_is_reported_and_the_rest_is_copied() -> None:
    source, target = filled(1, 2, 3), Memory()
    source.gives = failing(VerificationError("blob.mismatch", "no"), 2)
    report = copy(source, target)
    assert (numbers(report.copied), numbers(report.failed)) == ([1, 3], [2])
    assert report.stopped is None
    assert not report.is_complete


def test_what_is_listed_and_not_given_is_reported() -> None:
    source, target = filled(1, 2), Memory()
    source.gives = lambda _: None
    report = copy(source, target)
    assert [fault.error.code for fault in report.failed] == ["blob.withheld"] * 2


def test_faults_of_the_listing_are_reported() -> None:
    source, target = filled(1, 2), Memory()
    fault = ItemFault(blob_id(9), VerificationError("blob.writer", "no"))
    source.lists = lambda listed: iter([*listed, fault])
    report = copy(source, target, {blob_id(9): 1})
    assert (numbers(report.copied), report.failed, report.missing) == ([1, 2], [fault], [])


def test_what_is_wanted_and_nowhere_is_missing() -> None:
    source, target = filled(1, 2), Memory()
    target.add(3)
    report = copy(source, target, {blob_id(number): version for number, version in ((1, 1), (2, 5), (3, 1), (4, 2))})
    assert report.missing == [Missing(blob_id(2), 5, 1), Missing(blob_id(4), 2, 0)]


def test_a_source_that_dies_is_not_asked_for_the_rest() -> None:
    source, target = filled(*range(1, 50)), Memory()
    source.gives = failing(gone(), *range(5, 50))
    report = copy(source, target)
    assert numbers(report.copied) == [1, 2, 3, 4]
    assert numbers(report.failed) == list(range(5, 50))
    assert source.asked == 6
    assert report.stopped is not None


def test_one_failure_of_a_source_stops_nothing() -> None:
    source, target = filled(1, 2, 3, 4), Memory()
    source.gives = failing(gone("host.timeout"), 1, 3)
    assert numbers(copy(source, target).copied) == [2, 4]


def test_a_source_that_cannot_be_listed_is_told() -> None:
    source, target = filled(1), Memory()

    def lists(listed: Iterator[Listed]) -> Iterator[Listed]:
        yield from listed
        raise gone()

    source.lists = lists
    report = copy(source, target, {blob_id(1): 1, blob_id(2): 1})
    assert numbers(report.copied) == [1]
    assert numbers(report.missing) == [2]
    assert report.stopped is not None


def test_a_target_that_cannot_be_listed_is_told_and_nothing_is_tried() -> None:
    source, target = filled(1, 2), Memory()

    def lists(listed: Iterator[Listed]) -> Iterator[Listed]:
        raise gone()

    target.lists = lists
    report = copy(source, target)
    assert (numbers(report.failed), source.asked) == ([1, 2], 0)
    assert report.stopped is not None


@pytest.mark.parametrize("error", [StorageError("storage.full", "full"), gone("blob.quota"), gone("host.full")])
def test_a_target_that_is_full_stops_the_copy(error: WalletError) -> None:
    source, target = filled(*range(1, 20)), Memory()

    def takes(data: bytes) -> None:
        if len(target.order) == 3:
            raise error

    target.takes = takes
    report = copy(source, target)
    assert (numbers(report.copied), numbers(report.failed)) == ([1, 2, 3], list(range(4, 20)))
    assert report.stopped is error
    assert len(report.to_json()["failed"]) == 16  # type: ignore[arg-type]


def test_a_blob_that_is_too_long_for_the_target_stops_nothing() -> None:
    source, target = filled(1, 2, 3), Memory()
    errors = [gone("blob.too-long")]

    def takes(data: bytes) -> None:
        if errors:
            raise errors.pop()

    target.takes = takes
    report = copy(source, target)
    assert (numbers(report.copied), numbers(report.failed)) == ([2, 3], [1])


def test_another_device_that_writes_meanwhile_wins_if_it_is_newer() -> None:
    source, target = filled(1, 2), Memory()
    source.add(2, b"third", 3)
    newer = [4, 2]

    def takes(data: bytes) -> None:
        if newer:
            number = len(target.order) + 1 if len(newer) == 2 else 2
            target.add(number, b"other", newer.pop(0))

    target.takes = takes
    report = copy(source, target)
    assert (numbers(report.same), numbers(report.copied)) == ([1], [2])
    assert target.held[blob_id(1)].content == b"other"
    assert target.held[blob_id(2)].content == b"third"


@dataclass
class Left(Memory):
    """A provider of before: a device that has been removed since has stored there."""

    writers: Writers = WRITERS

    def believing(self, writers: Writers) -> Left:
        return replace(self, writers=writers)

    def leave(self, number: int, version: int) -> None:
        anyone = replace(WRITERS, anyone=True)
        signed = anyone.verified(manifest(blob_id(number), b"left", version, signer="mallory"), self.name)
        self.held[blob_id(number)] = checked_blob(signed, b"left", self.name)

    def manifests(self) -> Iterator[Listed]:
        for name in sorted(self.held):
            try:
                yield self.writers.verified(self.held[name].manifest.data, self.name)
            except VerificationError as error:
                yield ItemFault(name, error, self.name)

    def get(self, blob_id: bytes, expected: SignedManifest | None = None) -> Blob | None:
        if blob_id in self.held:
            self.writers.verified(self.held[blob_id].manifest.data, self.name)
        return self.held.get(blob_id)


def test_what_a_removed_device_has_left_at_the_target_is_replaced() -> None:
    source, target = filled(1, 2), Left()
    source.add(1, b"newer", 5)
    target.leave(1, 4)
    target.leave(3, 1)  # nobody asks for it
    report = copy(source, target)
    assert (numbers(report.copied), report.failed, report.stopped) == ([1, 2], [], None)
    assert target.held[blob_id(1)].content == b"newer"
    assert target.held[blob_id(3)].content == b"left"


def test_an_interrupt_ends_it_at_once_and_the_next_run_goes_on() -> None:
    source, target = filled(*range(1, 10)), Memory()

    def interrupt(done: int, total: int) -> None:
        if done >= 21:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copy(source, target, progress=interrupt)
    assert len(target.order) == 3
    assert numbers(copy(source, target).copied) == list(range(4, 10))


def test_what_breaks_in_the_fetching_thread_is_raised_here() -> None:
    source = filled(1, 2)

    def give(blob: Blob) -> Blob | None:
        raise ZeroDivisionError

    source.gives = give
    with pytest.raises(ZeroDivisionError):
        copy(source, Memory())


@pytest.fixture
def host(serve: Serve) -> Iterator[Callable[[Provider], Place]]:
    """Return a function that gives a provider as a place, over a socket."""
    clients: list[HostClient] = []

    def start(provider: Provider) -> Place:
        clients.append(HostClient(serve(provider.converse).address, TcpDialer(), identity("alice").did))
        clients[-1].login(sign_as("phone"))
        return HostPlace(clients[-1], WRITERS)

    yield start
    for client in clients:
        client.close()


def test_from_one_provider_to_a_kit_and_to_another_provider(host: Callable[[Provider], Place], tmp_path: Path) -> None:
    old, new = Provider(), Provider()
    for number in range(5):
        old.put(number, b"x" * (number + 1), version=number + 1)
    kit = DirectoryPlace(str(tmp_path / "kit"), WRITERS)
    kit.write_head(ExitKitHead(ALICE, (), TODAY))
    assert copy(host(old), kit).is_complete
    assert copy(kit, host(new)).is_complete
    assert new.blobs == old.blobs


def test_memory_stays_small_however_much_there_is(host: Callable[[Provider], Place], tmp_path: Path) -> None:
    provider = Provider()
    content = bytes(1 << 20)
    for number in range(40):
        provider.put(number, content)
    kit = DirectoryPlace(str(tmp_path / "kit"), WRITERS)
    kit.write_head(ExitKitHead(ALICE, (), TODAY))
    provider.alters = lambda asked, answer: (drop(provider, asked), answer)[1]
    source = host(provider)
    tracemalloc.start()
    try:
        assert copy(source, kit).is_complete
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20 << 20


def drop(provider: Provider, asked: Asked) -> None:
    """Forget what was asked, so that the server's own memory is not measured."""
    provider.asked.clear()
