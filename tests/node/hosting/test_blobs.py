"""Blobs: what is stored, what is refused, and that nobody overwrites anybody."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.client.records import identity
from tests.node.hosting.people import Person, blob_id, device, sealed, sign_as
from tests.node.local import Answer, LocalNode
from walletcli.client.host_answers import HostStatus, read_page
from walletcli.core import cbor
from walletcli.core.blob import join_blob, split_blob
from walletcli.core.document_parts import Power
from walletcli.core.login import Login
from walletcli.errors import NetworkError
from walletcli.node.hosting import batch
from walletcli.node.hosting.kept import PART_BYTES

MIB = 1 << 20


def refused(answer: Answer, status: int, code: str) -> None:
    assert (answer.status, answer.code) == (status, code)


def status(node: LocalNode, person: Person) -> HostStatus:
    return HostStatus.from_bytes(person.ask(node, "GET").body)


def content_of(node: LocalNode, person: Person, number: int) -> bytes:
    answer = person.ask(node, "GET", f"/blob/{blob_id(number).hex()}")
    assert answer.status == 200
    return split_blob(answer.body)[1]


@pytest.mark.parametrize(
    "size", [1, 65_000, 65_536, 65_537, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 3 * PART_BYTES, MIB]
)
def test_blob_of_any_size_comes_back_as_it_was(host: LocalNode, bound: Person, size: int) -> None:
    content = sealed(size)
    assert bound.put(host, 1, content).status == 204
    answer = bound.ask(host, "GET", f"/blob/{blob_id(1).hex()}")
    assert answer.body == join_blob(bound.manifest(1, content), content)
    assert answer.headers["etag"] == '"1"'
    assert answer.headers["cache-control"] == "no-store"
    assert status(host, bound).used_bytes == size


def test_versions_replace_each_other_and_only_the_newest_takes_room(host: LocalNode, bound: Person) -> None:
    previous = None
    for version in range(1, 6):
        content = sealed(100_000 * version % 350_000 + 1)
        signed = bound.manifest(1, content, version, previous=previous)
        previous = hashlib.sha256(signed).digest()
        answer = bound.put(host, 1, content, replaces=version - 1, frame=join_blob(signed, content))
        assert answer.status == 204
        assert content_of(host, bound, 1) == content
        assert (status(host, bound).used_bytes, status(host, bound).blobs) == (len(content), 1)


def test_versions_may_leave_gaps(host: LocalNode, bound: Person) -> None:
    assert bound.put(host, 1, sealed(), 7).status == 204
    assert bound.put(host, 1, sealed(), 1 << 53, 7).status == 204


@pytest.mark.parametrize(("stored", "expected"), [(0, 1), (3, 0), (3, 2), (3, 4)])
def test_other_version_than_expected_is_refused(host: LocalNode, bound: Person, stored: int, expected: int) -> None:
    if stored:
        assert bound.put(host, 1, sealed(), stored).status == 204
    before = status(host, bound)
    refused(bound.put(host, 1, sealed(), 9, expected), 412, "blob.version")
    assert status(host, bound) == before


def test_version_that_does_not_rise_is_refused(host: LocalNode, bound: Person) -> None:
    assert bound.put(host, 1, sealed(), 3).status == 204
    for version in (1, 2, 3):
        refused(bound.put(host, 1, sealed(), version, 3), 400, "blob.old-version")


def test_manifest_that_replaces_another_one_than_is_stored_is_refused(host: LocalNode, bound: Person) -> None:
    assert bound.put(host, 1, sealed(), 3).status == 204
    refused(bound.put(host, 1, sealed(), 4, 3, previous=bytes(32)), 412, "blob.version")
    # after a gap the one that it names was never here
    assert bound.put(host, 1, sealed(), 5, 3, previous=bytes(32)).status == 204


def test_same_blob_again_is_fine_and_changes_nothing(host: LocalNode, bound: Person) -> None:
    content = sealed()
    frame = join_blob(bound.manifest(1, content), content)
    for _ in range(3):
        assert bound.put(host, 1, content, frame=frame).status == 204
    assert (status(host, bound).used_bytes, status(host, bound).blobs) == (1000, 1)


@pytest.mark.parametrize("size", [1000, 100_000])
def test_of_many_writers_at_once_exactly_one_wins(host: LocalNode, bound: Person, size: int) -> None:
    bound.devices.append(device(f"{bound.name} tablet"))
    bound.publish(host.address)
    tokens = {name: bound.token(host, signer=name) for name in (bound.phone, f"{bound.name} tablet")}
    for version in range(1, 6):
        contents = [sealed(size) for _ in range(8)]

        def write(number: int, version: int = version, contents: list[bytes] = contents) -> Answer:
            name = (bound.phone, f"{bound.name} tablet")[number % 2]
            return bound.put(host, 1, contents[number], version, version - 1, signer=name, **tokens[name])

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(write, range(8)))
        assert sorted(answer.status for answer in answers) == [204] + [412] * 7
        winner = next(number for number, answer in enumerate(answers) if answer.status == 204)
        assert content_of(host, bound, 1) == contents[winner]
        assert (status(host, bound).used_bytes, status(host, bound).blobs) == (size, 1)


def test_client_is_told_which_version_is_there_when_another_device_wrote(host: LocalNode, bound: Person) -> None:
    with bound.client(host.address) as one, bound.client(host.address) as two:
        for client in (one, two):
            client.login(sign_as(bound.phone))
        mine, theirs = sealed(), sealed()
        two.put_blob(bound.manifest(1, theirs), theirs, 0)
        with pytest.raises(NetworkError) as caught:
            one.put_blob(bound.manifest(1, mine), mine, 0)
        assert caught.value.code == "blob.version"
        found = one.get_blob(blob_id(1), bound.writers)
        assert found is not None
        one.put_blob(bound.manifest(1, mine, 2, previous=found.manifest.digest), mine, found.manifest.version)


def test_deletion_frees_room_stays_listed_and_its_version_counts(host: LocalNode, bound: Person) -> None:
    assert bound.put(host, 1, sealed(500_000)).status == 204
    assert bound.put(host, 1, None, 2, 1).status == 204
    now = status(host, bound)
    assert (now.used_bytes, now.blobs) == (0, 1)
    assert read_page(bound.ask(host, "GET", "/blobs").body) == [bound.manifest(1, None, 2)]
    assert content_of(host, bound, 1) == b""
    refused(bound.put(host, 1, sealed(), 3, 0), 412, "blob.version")
    assert bound.put(host, 1, sealed(), 3, 2).status == 204


# what is refused


def without(**changed: Any) -> Callable[[Person], bytes]:
    """Return a frame whose manifest is not what it should be."""

    def make(person: Person) -> bytes:
        fields = {"number": 1, "content": b"sealed", **changed}
        return join_blob(person.manifest(**fields), b"sealed")

    return make


@pytest.mark.parametrize(
    ("frame", "status_", "code"),
    [
        (lambda _: b"", 400, "blob.malformed"),
        (lambda _: b"\0", 400, "blob.malformed"),
        (lambda _: b"\0\0", 400, "blob.malformed"),
        (lambda _: b"\x02\x01" + bytes(600), 400, "blob.malformed"),
        (lambda _: b"\0\x05abc", 400, "blob.malformed"),
        (lambda _: b"\0\x03abc", 400, "cbor.trailing"),
        (lambda _: join_blob(cbor.encode([1]), b"x"), 400, "cose.malformed"),
        (lambda one: join_blob(one.manifest(1, b"sealed")[:-1] + b"\0", b"sealed"), 400, "signature.invalid"),
        (
            lambda one: join_blob(
                sign_as(one.phone)(Login.TYP, Login(one.key, bytes(31) + b"\x02", bytes(40), 1).to_payload()), b"x"
            ),
            400,
            "cose.type",
        ),
        (lambda one: join_blob(Person("mallory").manifest(1, b"sealed"), b"sealed"), 400, "blob.identity"),
        (without(number=2), 400, "blob.other"),
        (without(signer="mallory"), 403, "blob.writer"),
        (without(content=b"other!"), 400, "blob.mismatch"),
        (without(content=b"sealed", length=7), 400, "blob.mismatch"),
        (without(content=None), 400, "blob.mismatch"),
        (lambda one: join_blob(one.manifest(1, b"sealed"), b""), 400, "blob.mismatch"),
        (lambda one: join_blob(one.manifest(1, b"sealed"), b"sealed and more"), 400, "blob.mismatch"),
    ],
)
def test_what_does_not_verify_is_refused_and_nothing_is_stored(
    host: LocalNode, bound: Person, frame: Callable[[Person], bytes], status_: int, code: str
) -> None:
    token = bound.token(host)
    answer = host.ask("PUT", f"{bound.path}/blob/{blob_id(1).hex()}", frame(bound), if_match='"0"', **token)
    refused(answer, status_, code)
    assert status(host, bound).blobs == 0


@pytest.mark.parametrize("powers", [None, frozenset({Power.MESSAGE, Power.SHARE, Power.GRANT})])
def test_manifest_of_a_device_that_may_not_host_is_refused(
    host: LocalNode, bound: Person, powers: frozenset[Power] | None
) -> None:
    other = f"{bound.name} other"
    if powers is not None:
        bound.devices.append(device(other, powers))
        bound.publish(host.address)
    refused(bound.put(host, 1, sealed(), signer=other), 403, "blob.writer")


def test_manifest_of_another_device_whose_days_are_over_is_taken_while_the_record_names_it(
    host: LocalNode, bound: Person
) -> None:
    bound.devices.append(device(f"{bound.name} old", start=-80, end=-1))
    bound.publish(host.address)
    assert bound.put(host, 1, sealed(), signer=f"{bound.name} old").status == 204


def test_manifest_of_the_root_is_taken_from_a_device(host: LocalNode, bound: Person) -> None:
    assert bound.put(host, 1, sealed(), signer=bound.name).status == 204


@pytest.mark.parametrize("value", ["1", '"', '""', '"x"', "*", '"-1"', '"1", "2"', 'W/"0"', f'"{10**16}9"'])
def test_expected_version_that_cannot_be_read_is_refused(host: LocalNode, bound: Person, value: str) -> None:
    refused(bound.put(host, 1, sealed(), if_match=value), 400, "blob.precondition")


def test_put_without_an_expected_version_is_refused(host: LocalNode, bound: Person) -> None:
    content = sealed()
    frame = join_blob(bound.manifest(1, content), content)
    refused(bound.ask(host, "PUT", f"/blob/{blob_id(1).hex()}", frame), 428, "blob.precondition")


# room


def test_quota_is_counted_to_the_byte(host: LocalNode, bound: Person) -> None:
    assert bound.put(host, 1, sealed(MIB - 1000)).status == 204
    refused(bound.put(host, 2, sealed(1001)), 507, "blob.quota")
    assert bound.put(host, 2, sealed(1000)).status == 204
    assert status(host, bound).used_bytes == MIB
    refused(bound.put(host, 3, sealed(1)), 507, "blob.quota")
    refused(bound.put(host, 2, sealed(1001), 2, 1), 507, "blob.quota")
    assert bound.put(host, 2, sealed(1000), 2, 1).status == 204
    assert bound.put(host, 2, sealed(999), 3, 2).status == 204
    assert bound.put(host, 3, sealed(1)).status == 204
    assert bound.put(host, 1, None, 2, 1).status == 204
    assert status(host, bound).used_bytes == 1000


def test_quota_holds_when_many_write_at_once(host: LocalNode, bound: Person) -> None:
    token = bound.token(host)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: bound.put(host, number, sealed(100_000), **token), range(1, 17)))
    assert sorted(answer.status for answer in answers) == [204] * 10 + [507] * 6
    assert status(host, bound).used_bytes == 1_000_000


def test_who_has_more_than_a_new_grant_gives_can_shrink_but_not_grow(host: LocalNode, bound: Person) -> None:
    for number in (1, 2):
        assert bound.put(host, number, sealed(400_000)).status == 204
    bound.bindings = ()
    bound.bind(host.address, quota_bytes=500_000)
    assert (status(host, bound).terms, status(host, bound).used_bytes) == (
        status(host, bound).terms,
        800_000,
    )
    refused(bound.put(host, 1, sealed(400_001), 2, 1), 507, "blob.quota")
    assert bound.put(host, 1, sealed(300_000), 2, 1).status == 204
    assert bound.put(host, 2, None, 2, 1).status == 204
    assert bound.put(host, 3, sealed(200_000)).status == 204
    refused(bound.put(host, 4, sealed(1)), 507, "blob.quota")


def test_number_of_blobs_is_bounded(host: LocalNode, bound: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "MAX_BLOBS", 3)
    for number in (1, 2):
        assert bound.put(host, number, sealed(10)).status == 204
    assert bound.put(host, 3, None).status == 204  # a deletion is one as well
    refused(bound.put(host, 4, sealed(10)), 507, "blob.quota")
    assert bound.put(host, 3, sealed(10), 2, 1).status == 204


def test_blob_is_no_longer_than_the_grant_allows(local: Callable[..., LocalNode], alice: Person) -> None:
    node = local("node", '[hosting]\npolicy = "open"\nmax_blob_kib = 100\n')
    alice.bind(node.address)
    assert alice.put(node, 1, sealed(100 << 10)).status == 204
    refused(alice.put(node, 2, sealed((100 << 10) + 600)), 413, "blob.too-long")
    small = local("small", '[hosting]\npolicy = "open"\nmax_blob_kib = 1\n')
    alice.bindings = ()
    alice.bind(small.address)
    assert alice.put(small, 1, sealed(1024)).status == 204
    refused(alice.put(small, 2, sealed(2048)), 413, "blob.too-long")
    refused(alice.put(small, 2, sealed(70_000)), 413, "blob.too-long")


def test_content_a_little_over_the_largest_blob_is_refused_too(local: Callable[..., LocalNode], alice: Person) -> None:
    node = local("node", '[hosting]\npolicy = "open"\nmax_blob_kib = 100\n')
    alice.bind(node.address)
    refused(alice.put(node, 1, sealed((100 << 10) + 1)), 413, "blob.too-long")


def test_share_of_all_blobs_is_bounded(local: Callable[..., LocalNode], person: Callable[[], Person]) -> None:
    node = local("node", '[hosting]\npolicy = "open"\nmax_mib = 1\n')
    alice, bob = person(), person()
    for one in (alice, bob):
        one.bind(node.address)
    assert alice.put(node, 1, sealed(700_000)).status == 204
    refused(bob.put(node, 1, sealed(400_000)), 507, "storage.full")
    assert bob.put(node, 1, sealed(300_000)).status == 204
    assert alice.put(node, 1, None, 2, 1).status == 204
    assert bob.put(node, 2, sealed(700_000)).status == 204


# listing, deleting


def test_listing_goes_page_by_page_in_order(host: LocalNode, bound: Person) -> None:
    token = bound.token(host)
    numbers = [0, 5, 1, 1 << 127, 300, 7]
    for number in numbers:
        assert bound.put(host, number, sealed(10), **token).status == 204
    wanted = sorted(numbers)
    seen: list[bytes] = []
    after = ""
    while True:
        page = read_page(bound.ask(host, "GET", f"/blobs?limit=4{after}", **token).body)
        seen += page
        if len(page) < 4:
            break
        after = f"&after={blob_id(wanted[len(seen) - 1]).hex()}"
    with bound.client(host.address) as client:
        client.login(sign_as(bound.phone))
        listed = list(client.blobs(bound.writers))
    assert [item.data for item in listed] == seen
    assert [item.blob_id for item in listed] == [blob_id(number) for number in wanted]


def test_full_page_has_500_manifests(host: LocalNode, bound: Person) -> None:
    token = bound.token(host)
    for number in range(501):
        assert bound.put(host, number, b"x", **token).status == 204
    assert len(read_page(bound.ask(host, "GET", "/blobs", **token).body)) == 500
    with bound.client(host.address) as client:
        client.login(sign_as(bound.phone))
        assert len(list(client.blobs(bound.writers))) == 501


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=501", "limit=", "limit=x", "limit=-1", "after=", "after=00", "after=" + "G" * 32, "x=1", "&"],
)
def test_query_that_is_not_known_is_refused(host: LocalNode, bound: Person, query: str) -> None:
    refused(bound.ask(host, "GET", f"/blobs?{query}"), 400, "request.query")


def test_deleting_everything_is_done_when_it_is_answered(host: LocalNode, bound: Person) -> None:
    for number in range(5):
        assert bound.put(host, number, sealed(100_000)).status == 204
    assert bound.ask(host, "DELETE").status == 204
    now = status(host, bound)
    assert (now.used_bytes, now.blobs) == (0, 0)
    assert bound.ask(host, "GET", f"/blob/{blob_id(1).hex()}").status == 404
    assert bound.ask(host, "GET", "/blobs").body == b"\x80"
    assert bound.put(host, 1, sealed()).status == 204
    assert bound.ask(host, "DELETE").status == 204
    assert bound.ask(host, "DELETE").status == 204


def test_not_bound_identity_stores_nothing(host: LocalNode, alice: Person) -> None:
    alice.publish(host.address)
    for size in (10, 100_000):
        refused(alice.put(host, 1, sealed(size)), 403, "host.not-bound")
    assert alice.ask(host, "DELETE").status == 204


def test_grant_that_is_not_published_stores_nothing(host: LocalNode, alice: Person) -> None:
    alice.publish(host.address)
    assert host.ask("POST", "/host/grant", alice.grant_request(host)).status == 200
    refused(alice.put(host, 1, sealed()), 403, "host.not-bound")


def test_grant_of_another_identity_binds_nobody(host: LocalNode, bound: Person, person: Callable[[], Person]) -> None:
    thief = person()
    thief.bindings = bound.bindings
    thief.publish(host.address)
    refused(thief.put(host, 1, sealed()), 403, "host.not-bound")


def test_grant_of_another_provider_binds_nobody(
    host: LocalNode, local: Callable[..., LocalNode], alice: Person
) -> None:
    other = local("other", '[hosting]\npolicy = "open"')
    alice.bind(other.address)
    alice.publish(host.address)
    refused(alice.put(host, 1, sealed()), 403, "host.not-bound")
    assert alice.put(other, 1, sealed()).status == 204


def test_packet_of_the_identity_is_still_anybodys_to_read(host: LocalNode, bound: Person) -> None:
    assert host.ask("GET", f"/{identity(bound.name).z32}").status == 200
