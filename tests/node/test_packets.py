"""``/KEY``: what a packet's PUT and GET are answered (docs/spec/node-api.md, "Packets")."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from typing import Any

import pytest

from tests.client.records import foreign_packet, identity, key, record, unsigned
from tests.node.local import Answer, LocalNode, eventually
from walletcli.core.ed25519 import SigningKey
from walletcli.core.packet import SignedPacket
from walletcli.core.record import packet_value
from walletcli.node import packets
from walletcli.node.store import PutPacket

_numbers = itertools.count()
_MICRO = 1_000_000


@pytest.fixture
def name() -> str:
    """The name of an identity that no other test uses."""
    return f"packets-{next(_numbers)}"


def put(node: LocalNode, packet: SignedPacket, **headers: str) -> Answer:
    return node.ask("PUT", f"/{identity_of(packet)}", packet.to_relay_payload(), **headers)


def identity_of(packet: SignedPacket) -> str:
    from walletcli.core.identity_id import IdentityId

    return IdentityId(packet.public_key).z32


def get(node: LocalNode, name: str, **headers: str) -> Answer:
    return node.ask("GET", f"/{identity(name).z32}", **headers)


def test_stored_packet_is_served_byte_by_byte(shared: LocalNode, name: str) -> None:
    packet = foreign_packet(name, 5 * _MICRO + 17)
    assert put(shared, packet).status == 204
    answer = get(shared, name)
    assert (answer.status, answer.body) == (200, packet.to_relay_payload())
    assert answer.headers["content-type"] == "application/pkarr.org/relays#payload"
    assert answer.headers["etag"] == f'"{packet.seq}"'
    assert answer.headers["last-modified"] == "Thu, 01 Jan 1970 00:00:05 GMT"
    assert answer.headers["cache-control"] == "public, max-age=60"
    assert answer.headers["access-control-allow-origin"] == "*"


def test_largest_value_is_taken_and_one_byte_more_is_not(shared: LocalNode, name: str) -> None:
    packet = largest(key(name))
    assert len(packet.to_relay_payload()) == 1068
    assert put(shared, packet).status == 204
    answer = shared.ask("PUT", f"/{identity(name).z32}", packet.to_relay_payload() + b"\0")
    assert (answer.status, answer.code, answer.headers["connection"]) == (413, "packet.too-long", "close")


def largest(signer: SigningKey) -> SignedPacket:
    from walletcli.core import dns

    owner = b"\x01x\x34" + identity_z32(signer) + b"\0"
    parts = [dns.txt_record(owner, b"a" * 200, 60)] * 3
    missing = 996 - 12 - sum(map(len, parts)) - (len(dns.txt_record(owner, b"b", 60)) - 1)
    parts.append(dns.txt_record(owner, b"b" * missing, 60))
    return SignedPacket.sign(signer, 1, dns.response_header(4) + b"".join(parts))


def identity_z32(signer: SigningKey) -> bytes:
    from walletcli.core.encodings import z32_encode

    return z32_encode(signer.public_key).encode()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda payload: payload[:70], "packet.too-short"),
        (lambda payload: payload[:80], "dns.truncated"),
        (lambda payload: payload[:5] + bytes([payload[5] ^ 1]) + payload[6:], "signature.invalid"),
        (lambda payload: payload[:70] + bytes([payload[70] ^ 1]) + payload[71:], "signature.invalid"),
        (lambda payload: payload + b"\0", "dns.trailing"),
        (lambda payload: payload[:64] + b"\xff" * 8 + payload[72:], "packet.seq"),
        (lambda payload: b"", "packet.too-short"),
    ],
    ids=["header cut", "value cut", "signature", "seq", "longer", "seq out of range", "empty"],
)
def test_malformed_or_forged_packet_is_refused_with_its_code(
    shared: LocalNode, name: str, change: object, code: str
) -> None:
    payload = foreign_packet(name).to_relay_payload()
    answer = shared.ask("PUT", f"/{identity(name).z32}", change(payload))  # type: ignore[operator]
    assert (answer.status, answer.code) == (400, code)
    assert get(shared, name).status == 404


def test_packet_of_another_key_is_refused(shared: LocalNode, name: str) -> None:
    answer = shared.ask("PUT", f"/{identity(name).z32}", foreign_packet("somebody else").to_relay_payload())
    assert (answer.status, answer.code) == (400, "signature.invalid")


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
@pytest.mark.parametrize("change", ["last letter", "capital", "letter outside"])
def test_key_has_one_spelling(shared: LocalNode, method: str, change: str) -> None:
    z32 = identity("anybody").z32
    spelled = {"last letter": z32[:-1] + "n", "capital": z32[:-2] + "YY", "letter outside": "l" + z32[1:]}[change]
    answer = shared.ask(method, f"/{spelled}", b"x" if method == "PUT" else None)
    assert answer.status == 400
    assert method == "HEAD" or answer.code == "encoding.z32"


def test_unknown_key_is_not_found(shared: LocalNode, name: str) -> None:
    answer = get(shared, name)
    assert (answer.status, answer.code) == (404, "request.path")


def test_head_is_get_without_the_body(shared: LocalNode, name: str) -> None:
    put(shared, foreign_packet(name))
    full, head = get(shared, name), shared.ask("HEAD", f"/{identity(name).z32}")
    assert (head.status, head.body) == (200, b"")
    assert {**head.headers, "date": ""} == {**full.headers, "date": ""}
    assert shared.ask("HEAD", f"/{identity('nobody').z32}").status == 404


def test_newer_packet_replaces_and_older_one_conflicts(shared: LocalNode, name: str) -> None:
    old, new = foreign_packet(name, 10), foreign_packet(name, 11, b"new")
    assert [put(shared, packet).status for packet in (old, new)] == [204, 204]
    answer = put(shared, old)
    assert (answer.status, answer.code) == (409, "packet.conflict")
    assert get(shared, name).body == new.to_relay_payload()


def test_same_seq_with_another_value_conflicts_and_the_same_bytes_do_not(shared: LocalNode, name: str) -> None:
    first, other = foreign_packet(name, 10), foreign_packet(name, 10, b"other")
    assert put(shared, first).status == 204
    assert put(shared, other).status == 409
    assert put(shared, first).status == 204
    assert get(shared, name).body == first.to_relay_payload()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"if_match": '"10"'}, 204),
        ({"if_match": "10"}, 204),
        ({"if_match": "*"}, 204),
        ({"if_match": '"9"'}, 412),
        ({"if_match": "11"}, 412),
        ({"if_match": '"ten"'}, 400),
        ({"if_match": "-1"}, 400),
        ({"if_match": "9" * 21}, 400),
        ({"if_match": '""'}, 400),
        ({"if_unmodified_since": formatdate(0, usegmt=True)}, 204),
        ({"if_unmodified_since": "Wed, 31 Dec 1969 23:59:59 GMT"}, 412),
        ({"if_unmodified_since": "yesterday"}, 400),
        ({"if_match": '"10"', "if_unmodified_since": "Wed, 31 Dec 1969 23:59:59 GMT"}, 204),
    ],
    ids=str,
)
def test_put_with_a_precondition(shared: LocalNode, name: str, headers: dict[str, str], status: int) -> None:
    put(shared, foreign_packet(name, 10))
    answer = put(shared, foreign_packet(name, 20, b"new"), **headers)
    assert answer.status == status
    if status != 204:
        assert answer.code == {412: "packet.precondition", 400: "request.precondition"}[status]


def test_precondition_holds_where_nothing_is_stored(shared: LocalNode, name: str) -> None:
    assert put(shared, foreign_packet(name, 10), if_match='"3"').status == 204


def test_failed_precondition_is_told_before_an_old_seq(shared: LocalNode, name: str) -> None:
    put(shared, foreign_packet(name, 10))
    assert put(shared, foreign_packet(name, 9), if_match='"8"').status == 412


def test_retry_of_a_stored_packet_ignores_its_precondition(shared: LocalNode, name: str) -> None:
    put(shared, foreign_packet(name, 10))
    for _ in range(2):
        assert put(shared, foreign_packet(name, 20, b"new"), if_match='"10"').status == 204


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"if_none_match": '"3000000"'}, 304),
        ({"if_none_match": 'W/"3000000"'}, 304),
        ({"if_none_match": '"1", "3000000"'}, 304),
        ({"if_none_match": "*"}, 304),
        ({"if_none_match": '"1"'}, 200),
        ({"if_modified_since": formatdate(3, usegmt=True)}, 304),
        ({"if_modified_since": formatdate(4, usegmt=True)}, 304),
        ({"if_modified_since": formatdate(2, usegmt=True)}, 200),
        ({"if_modified_since": "not a date"}, 200),
        ({"if_none_match": '"1"', "if_modified_since": formatdate(4, usegmt=True)}, 200),
    ],
    ids=str,
)
def test_conditional_get(shared: LocalNode, name: str, headers: dict[str, str], status: int) -> None:
    put(shared, foreign_packet(name, 3 * _MICRO))
    for method in ("GET", "HEAD"):
        answer = shared.ask(method, f"/{identity(name).z32}", **headers)
        assert answer.status == status
        assert answer.headers["etag"] == '"3000000"'
        if status == 304:
            assert answer.body == b""


def test_seq_beyond_the_year_9999_has_no_date(shared: LocalNode, name: str) -> None:
    put(shared, foreign_packet(name, 2**63 - 1))
    answer = get(shared, name)
    assert answer.headers["etag"] == f'"{2**63 - 1}"'
    assert "last-modified" not in answer.headers
    assert get(shared, name, if_modified_since=formatdate(4e9, usegmt=True)).status == 200


@pytest.mark.parametrize("method", ["POST", "DELETE", "PATCH"])
def test_other_methods_are_not_allowed(shared: LocalNode, method: str) -> None:
    answer = shared.ask(method, f"/{identity('anybody').z32}")
    assert (answer.status, answer.code) == (405, "request.method")
    assert answer.headers["allow"] == "GET, HEAD, PUT, OPTIONS"


def test_preflight_allows_what_browsers_need(shared: LocalNode) -> None:
    answer = shared.ask("OPTIONS", f"/{identity('anybody').z32}", origin="https://example.org")
    assert answer.status == 204
    assert answer.headers["access-control-allow-methods"] == "GET, HEAD, PUT, OPTIONS"
    assert answer.headers["access-control-allow-headers"] == "*"


@pytest.mark.parametrize("path", ["/", "/favicon.ico", "/document", "/metrics/x", "//", "/" + "y" * 51, "/..%2f"])
def test_other_paths_are_not_found(shared: LocalNode, path: str) -> None:
    answer = shared.ask("GET", path, x_forwarded_for="192.0.2.1")
    assert (answer.status, answer.code) == (404, "request.path")


def test_query_and_absolute_form_lead_to_the_same_packet(shared: LocalNode, name: str) -> None:
    put(shared, foreign_packet(name))
    z32 = identity(name).z32
    for target in (f"/{z32}?policy=CacheFirst", f"/{z32}?policy=LocalOrRelayCacheOnly", f"http://example.org/{z32}"):
        assert shared.ask("GET", target).status == 200


def test_packet_whose_document_is_missing_is_pending_until_it_comes(shared: LocalNode, name: str) -> None:
    before = shared.call(shared.service.pages.reading).counts.pending
    stored = record(name)
    assert stored.document is not None
    assert put(shared, stored.packet).status == 204
    assert shared.call(shared.service.pages.reading).counts.pending == before + 1
    path = f"/document/{stored.document.hash.hex()}"
    assert shared.ask("PUT", path, stored.document.to_bytes()).status == 204
    assert shared.call(shared.service.pages.reading).counts.pending == before


def test_forged_packet_uses_up_nobody_elses_share(shared: LocalNode, name: str) -> None:
    for _ in range(30):
        assert shared.ask("PUT", f"/{identity(name).z32}", unsigned(foreign_packet(name))).status == 400
    assert put(shared, foreign_packet(name)).status == 204


class SlowCommit:
    """Holds the store's commit until told, so that a test can look at what happens meanwhile."""

    def __init__(self, node: LocalNode, monkeypatch: pytest.MonkeyPatch) -> None:
        store = node.service.gate.store
        self.begun, self.go_on = threading.Event(), threading.Event()
        commit = store.commit

        def slow() -> object:
            self.begun.set()
            assert self.go_on.wait(10)
            return commit()

        monkeypatch.setattr(store, "commit", slow)


@pytest.fixture
def slow_commit(shared: LocalNode, monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowCommit]:
    slow = SlowCommit(shared, monkeypatch)
    yield slow
    slow.go_on.set()


def test_puts_that_meet_one_of_their_key_under_way(shared: LocalNode, name: str, slow_commit: SlowCommit) -> None:
    first = foreign_packet(name, 10)
    with ThreadPoolExecutor(8) as pool:
        running = pool.submit(put, shared, first)
        assert slow_commit.begun.wait(10)
        twin = pool.submit(put, shared, first)
        eventually(lambda: in_flight(shared, first).joined, "the twin's arrival")
        follower = pool.submit(put, shared, foreign_packet(name, 12, b"next"), if_match='"10"')
        assert put(shared, unsigned_as(first)).status == 400
        assert put(shared, foreign_packet(name, 9)).status == 409
        assert put(shared, foreign_packet(name, 10, b"split")).status in (409, 428)
        eventually(lambda: shared.service.gate.writer._next, "the follower's arrival")
        answer = put(shared, foreign_packet(name, 30, b"unaware"))
        assert (answer.status, answer.code) == (428, "packet.in-flight")
        assert put(shared, foreign_packet(name, 30, b"wrong"), if_match='"7"').status == 412
        assert not running.done() and not twin.done()
        slow_commit.go_on.set()
        assert [running.result().status, twin.result().status, follower.result().status] == [204, 204, 204]
    assert get(shared, name).headers["etag"] == '"12"'


def in_flight(node: LocalNode, packet: SignedPacket) -> Any:
    return node.service.routes._packets._in_flight[packet.public_key]


def unsigned_as(packet: SignedPacket) -> SignedPacket:
    payload = unsigned(packet)
    return SignedPacket(packet.public_key, payload[:64], packet.seq, packet.value, None)


def test_packet_is_not_served_before_it_is_on_disk(shared: LocalNode, name: str, slow_commit: SlowCommit) -> None:
    with ThreadPoolExecutor(2) as pool:
        running = pool.submit(put, shared, foreign_packet(name))
        assert slow_commit.begun.wait(10)
        assert get(shared, name).status == 404
        slow_commit.go_on.set()
        assert running.result().status == 204
    assert get(shared, name).status == 200


def test_every_packet_of_a_crowd_is_stored_and_answered(shared: LocalNode, name: str) -> None:
    packets = [foreign_packet(f"{name}-{number}") for number in range(60)]
    with ThreadPoolExecutor(20) as pool:
        assert {answer.status for answer in pool.map(lambda packet: put(shared, packet), packets)} == {204}
    for number, packet in enumerate(packets):
        assert get(shared, f"{name}-{number}").body == packet.to_relay_payload()


def test_record_of_our_own_is_accepted(shared: LocalNode, name: str) -> None:
    stored = record(name, 7)
    assert stored.document is not None
    assert packet_value(stored.document) == stored.packet.value
    assert shared.ask("PUT", f"/document/{stored.document.hash.hex()}", stored.document.to_bytes()).status == 204
    assert put(shared, stored.packet).status == 204


def test_write_that_is_no_packet_changes_nothing(shared: LocalNode, name: str) -> None:
    packet = foreign_packet(name, 5)
    put(shared, packet)
    older = foreign_packet(name, 4)
    outcome = shared.run(
        lambda: shared.service.gate.writer.write(PutPacket(packet.public_key, older.to_relay_payload(), 4, None))
    )
    assert outcome.value == "conflict"
    assert get(shared, name).body == packet.to_relay_payload()


def test_nobody_makes_the_node_wait_longer_than_it_ever_does() -> None:
    assert packets._wait_s({b"prefer": b"wait=999999"}) == packets.MAX_WAIT_S
    assert packets._wait_s({b"prefer": b"respond-async, wait=2"}) == 2.0
