from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.client.provider import (
    ALICE,
    PROVIDER,
    TERMS,
    TODAY,
    Provider,
    blob_id,
    device,
    manifest,
    sign_as,
    with_devices,
)
from tests.client.records import identity, key, record
from tests.client.servers import Asked, Conversation, Server, TlsFiles
from walletcli.client.freshness import FreshnessMap, Seen
from walletcli.client.host import HostClient
from walletcli.client.host_answers import HostState
from walletcli.client.manifests import ItemFault, SignedManifest, Writers
from walletcli.core import cbor
from walletcli.core.blob import join_blob
from walletcli.core.document_parts import Address, Power
from walletcli.core.grant import Grant, Terms
from walletcli.core.record import Record
from walletcli.core.short_record import to_short
from walletcli.errors import VerificationError, WalletError
from walletcli.net.addresses import NodeAddress
from walletcli.net.tcp import TcpDialer

Serve = Callable[[Callable[[Conversation], None]], Server]
Answer = tuple[int, bytes]
ALICE_KEY = key("alice").public_key
WRITERS = Writers.of(ALICE_KEY, [ALICE])
CONTENT = b"sealed" * 100


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.fixture
def client(serve: Serve, provider: Provider) -> Iterator[HostClient]:
    with HostClient(serve(provider.converse).address, TcpDialer(), identity("alice").did, timeout_s=2) as one:
        yield one


@pytest.fixture
def inside(client: HostClient) -> HostClient:
    client.login(sign_as("phone"))
    return client


def answering(path: str, *answers: bytes | Answer) -> Callable[[Asked, Answer], Answer]:
    """Return a lie: what is answered at `path` instead of the truth, one after the other, the last one for ever."""
    left = list(answers)

    def alter(asked: Asked, honest: Answer) -> Answer:
        if path not in asked.path:
            return honest
        answer = left.pop(0) if len(left) > 1 else left[0]
        return answer if isinstance(answer, tuple) else (200, answer)

    return alter


def fails(code: str, call: Callable[[], object]) -> WalletError:
    with pytest.raises(WalletError) as caught:
        call()
    assert caught.value.code == code, caught.value.message
    assert caught.value.hint
    return caught.value


def ask_for_grant(client: HostClient, **fields: object) -> Grant:
    return client.request_grant(sign_as("phone"), today=TODAY, **fields).grant  # type: ignore[arg-type]


def test_an_offer_says_who_it_is_and_what_it_grants(client: HostClient, provider: Provider) -> None:
    offer = client.offer()
    assert offer.record == PROVIDER
    assert offer.terms == TERMS
    assert offer.is_open
    assert offer.time_s == provider.now_s


def test_a_grant_is_asked_for_and_checked(client: HostClient, provider: Provider) -> None:
    given = client.request_grant(sign_as("phone"), today=TODAY, quota_bytes=1000)
    assert given.grant == provider.last_grant
    assert given.grant.terms == Terms(1000, 30, 1 << 21)
    assert given.provider_record == PROVIDER


def test_blobs_go_in_come_out_and_are_deleted(inside: HostClient, provider: Provider) -> None:
    first = manifest(blob_id(1), CONTENT)
    inside.put_blob(first, CONTENT, 0)
    assert [item.data for item in inside.blobs(WRITERS)] == [first]
    found = inside.get_blob(blob_id(1), WRITERS)
    assert found is not None
    assert (found.content, found.manifest.version) == (CONTENT, 1)
    gone = manifest(blob_id(1), None, 2)
    inside.put_blob(gone, b"", 1)
    found = inside.get_blob(blob_id(1), WRITERS)
    assert found is not None
    assert found.manifest.is_deletion
    assert inside.get_blob(blob_id(2), WRITERS) is None
    assert inside.status().state is HostState.BOUND
    inside.forget()
    assert not provider.blobs


def test_everything_goes_over_one_connection(serve: Serve, provider: Provider) -> None:
    server = serve(provider.converse)
    with HostClient(server.address, TcpDialer(), identity("alice").did) as client:
        client.login(sign_as("phone"))
        for number in range(1, 6):
            client.put_blob(manifest(blob_id(number), CONTENT), CONTENT, 0)
        assert len(list(client.blobs(WRITERS))) == 5
    assert server.connections == 1


def test_a_listing_goes_over_pages(inside: HostClient, provider: Provider) -> None:
    for number in range(1200):
        provider.put(number, b"x")
    assert [item.blob_id for item in inside.blobs(WRITERS)] == [blob_id(number) for number in range(1200)]
    assert sum("/blobs" in asked.path for asked in provider.asked) == 3


def test_the_root_can_log_in_to_read(client: HostClient, provider: Provider) -> None:
    provider.put(1, CONTENT)
    client.login(sign_as("alice"), by_root=True)
    assert client.get_blob(blob_id(1), WRITERS) is not None


def test_a_token_that_is_no_longer_taken_is_renewed_once(inside: HostClient, provider: Provider) -> None:
    provider.tokens.clear()
    inside.put_blob(manifest(blob_id(1), CONTENT), CONTENT, 0)
    assert sum(asked.path == "/host/login" for asked in provider.asked) == 2


def test_a_provider_that_lets_nobody_in_is_not_asked_for_ever(inside: HostClient, provider: Provider) -> None:
    provider.alters = answering("/blobs", (401, b"login.expired: again\n"))
    fails("host.login", lambda: list(inside.blobs(WRITERS)))
    assert sum("/blobs" in asked.path for asked in provider.asked) == 2


def test_a_login_of_a_stranger_is_refused(client: HostClient) -> None:
    fails("host.login", lambda: client.login(sign_as("stranger")))


def test_a_blob_that_arrived_unheard_is_not_refused_the_second_time(inside: HostClient) -> None:
    signed = manifest(blob_id(1), CONTENT)
    inside.put_blob(signed, CONTENT, 0)
    inside.put_blob(signed, CONTENT, 0)


def test_a_blob_whose_answer_was_lost_counts_as_stored(serve: Serve, provider: Provider) -> None:
    lost: list[Asked] = []

    def converse(conversation: Conversation) -> None:
        while (asked := conversation.read()) is not None:
            answer = provider.decide(asked)
            if asked.method == "PUT" and not lost:
                lost.append(asked)
                return
            conversation.answer(*answer)

    with HostClient(serve(converse).address, TcpDialer(), identity("alice").did, timeout_s=2) as client:
        client.login(sign_as("phone"))
        client.put_blob(manifest(blob_id(1), CONTENT), CONTENT, 0)
    assert lost
    assert provider.blobs[blob_id(1)][2] == CONTENT


def test_two_devices_do_not_overwrite_each_other(inside: HostClient, provider: Provider) -> None:
    inside.put_blob(manifest(blob_id(1), b"mine"), b"mine", 0)
    fails("blob.version", lambda: inside.put_blob(manifest(blob_id(1), b"yours"), b"yours", 0))
    assert provider.blobs[blob_id(1)][2] == b"mine"


def test_it_waits_as_long_as_the_provider_asks_for(serve: Serve, provider: Provider) -> None:
    def converse(conversation: Conversation) -> None:
        first = conversation.read()
        assert first is not None
        conversation.answer(429, b"limits.requests: slowly\n", "Retry-After: 0")
        second = conversation.read()
        assert second is not None
        conversation.answer(200, provider.offer())

    with HostClient(serve(converse).address, TcpDialer()) as client:
        assert client.offer().provider == PROVIDER.packet.public_key


def test_it_does_not_wait_beyond_its_deadline(serve: Serve) -> None:
    def converse(conversation: Conversation) -> None:
        while conversation.read():
            conversation.answer(429, b"limits.requests: slowly\n", "Retry-After: 100000")

    with HostClient(serve(converse).address, TcpDialer()) as client:
        fails("host.limited", client.offer)


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (403, b"host.invitation: only with one\n", "host.invitation"),
        (403, b"host.unknown-identity: who\n", "host.unknown-identity"),
        (403, b"", "host.refused"),
        (404, b"request.path: none\n", "host.not-offered"),
        (500, b"", "host.failed"),
        (301, b"", "host.bad-answer"),
        (200, b"", "host.bad-answer"),
        (200, b"\xa0", "host.bad-answer"),
        (200, b"x" * 5000, "host.too-much"),
    ],
)
def test_what_a_grant_request_can_end_in(
    client: HostClient, provider: Provider, status: int, body: bytes, code: str
) -> None:
    provider.alters = answering("/host/grant", (status, body))
    error = fails(code, lambda: ask_for_grant(client))
    assert client.name in error.message + error.hint


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (403, b"host.not-bound: no\n", "host.not-bound"),
        (413, b"blob.too-long: no\n", "blob.too-long"),
        (507, b"blob.quota: no\n", "blob.quota"),
        (507, b"storage.full: no\n", "host.full"),
        (503, b"storage.failed: no\n", "host.failed"),
    ],
)
def test_what_storing_a_blob_can_end_in(
    inside: HostClient, provider: Provider, status: int, body: bytes, code: str
) -> None:
    provider.alters = answering("/blob/", (status, body))
    error = fails(code, lambda: inside.put_blob(manifest(blob_id(1), CONTENT), CONTENT, 0))
    assert inside.name in error.hint


GRANT_LIES: list[tuple[str, dict[str, object]]] = [
    ("host.provider", {"provider": key("other").public_key}),
    ("host.identity", {"identity": key("bob").public_key}),
    ("host.terms", {"terms": Terms((1 << 30) - 1, 30, 1 << 21)}),
    ("host.terms", {"terms": Terms(1 << 30, 29, 1 << 21)}),
    ("host.terms", {"terms": Terms(1 << 30, 30, 1 << 20)}),
    ("host.dates", {"not_before_day": TODAY + 2, "not_after_day": TODAY + 20}),
    ("host.dates", {"not_before_day": TODAY - 20, "not_after_day": TODAY}),
    ("host.nonce", {"nonce": b"seen before .. ."}),
    ("host.unverified", {"evidence": to_short(record("other"))}),
    ("host.unverified", {"evidence": b"\xa0"}),
]


@pytest.mark.parametrize(("code", "fields"), GRANT_LIES)
def test_a_grant_other_than_asked_for_is_refused(
    client: HostClient, provider: Provider, code: str, fields: dict[str, object]
) -> None:
    provider.make_grant = lambda honest: dataclasses.replace(honest, **fields)  # type: ignore[arg-type,method-assign]
    error = fails(code, lambda: ask_for_grant(client, nonces=[b"seen before .. ."]))
    assert isinstance(error, VerificationError)
    assert client.name in error.hint


def test_more_than_asked_for_is_taken(client: HostClient, provider: Provider) -> None:
    provider.make_grant = lambda honest: dataclasses.replace(  # type: ignore[method-assign]
        honest, terms=Terms(2000, 60, 1 << 22)
    )
    assert ask_for_grant(client, quota_bytes=1000).terms.quota_bytes == 2000


def test_less_offered_than_wanted_ends_before_the_request(client: HostClient, provider: Provider) -> None:
    fails("host.quota", lambda: ask_for_grant(client, quota_bytes=(1 << 30) + 1))
    assert not any(asked.path == "/host/grant" for asked in provider.asked)


def test_a_grant_of_a_provider_whose_day_has_begun_already_is_taken(client: HostClient, provider: Provider) -> None:
    provider.make_grant = lambda honest: dataclasses.replace(  # type: ignore[method-assign]
        honest, not_before_day=TODAY + 1
    )
    assert ask_for_grant(client).not_before_day == TODAY + 1


@pytest.mark.parametrize("granter", ["stranger", "provider"])
def test_a_grant_signed_by_no_device_of_the_provider_is_refused(
    client: HostClient, provider: Provider, granter: str
) -> None:
    provider.granter = granter
    fails("host.unverified", lambda: ask_for_grant(client))


def test_a_grant_by_a_key_that_the_newer_known_record_no_longer_names_is_refused(
    serve: Serve, provider: Provider
) -> None:
    memory = FreshnessMap()
    rotated = with_devices("provider", device("new daily", frozenset({Power.GRANT})), seq=200)
    provider.record = rotated
    with HostClient(serve(provider.converse).address, TcpDialer(), identity("alice").did, memory=memory) as client:
        provider.make_grant = lambda honest: dataclasses.replace(  # type: ignore[method-assign]
            honest, evidence=to_short(PROVIDER)
        )
        fails("host.unverified", lambda: ask_for_grant(client))


@pytest.mark.parametrize(
    "offer",
    [
        b"",
        b"\xff" * 50,
        cbor.encode({1: 1}),
        cbor.encode(
            {1: 1, 2: key("other").public_key, 3: to_short(PROVIDER), 4: TERMS.to_cbor(), 5: "open", 6: 0},
        ),
        cbor.encode(
            {1: 2, 2: key("provider").public_key, 3: to_short(PROVIDER), 4: TERMS.to_cbor(), 5: "open", 6: 0},
        ),
        cbor.encode(
            {1: 1, 2: key("provider").public_key, 3: to_short(PROVIDER), 4: {1: 1, 2: 1}, 5: "open", 6: 0},
        ),
    ],
)
def test_an_offer_that_is_none_is_refused(client: HostClient, provider: Provider, offer: bytes) -> None:
    provider.alters = answering("/host", offer)
    fails("host.bad-answer", client.offer)


def test_an_offer_with_a_forged_record_is_refused(client: HostClient, provider: Provider) -> None:
    forged = bytearray(to_short(PROVIDER))
    forged[10] ^= 1
    fields = {1: 1, 2: key("provider").public_key, 3: bytes(forged), 4: TERMS.to_cbor(), 5: "open", 6: 0}
    provider.alters = answering("/host", cbor.encode(fields))
    assert isinstance(fails("host.unverified", client.offer), VerificationError)


def test_a_provider_that_goes_back_behind_its_known_record_is_refused(serve: Serve, provider: Provider) -> None:
    memory = FreshnessMap()
    memory.put(PROVIDER.packet.public_key, Seen(101, bytes(32)))
    with HostClient(serve(provider.converse).address, TcpDialer(), memory=memory) as client:
        fails("record.stale", client.offer)


def test_a_provider_that_offers_with_another_state_of_one_seq_is_refused_and_proven(
    serve: Serve, provider: Provider
) -> None:
    memory = FreshnessMap()
    twin = with_devices("provider", device("another", frozenset({Power.GRANT})), seq=PROVIDER.packet.seq)
    memory.put(PROVIDER.packet.public_key, Seen.of(twin))
    with HostClient(serve(provider.converse).address, TcpDialer(), memory=memory) as client:
        fails("record.equivocation", client.offer)
        fails("record.equivocation", client.offer)
    assert len(memory.splits(PROVIDER.packet.public_key)) == 1
    assert memory.get(PROVIDER.packet.public_key) == Seen.of(twin)


def test_another_provider_than_expected_is_refused(serve: Serve, provider: Provider) -> None:
    expected = key("the one").public_key
    with HostClient(serve(provider.converse).address, TcpDialer(), provider=expected) as client:
        fails("host.provider", client.offer)


def test_a_pinned_address_names_the_only_provider(tmp_path: Path, provider: Provider) -> None:
    tls = TlsFiles.make(tmp_path)
    node = record("node", 5, addresses=(Address("tcp", "127.0.0.1:1", tls.pin),))

    def converse(conversation: Conversation) -> None:
        def alter(asked: Asked, honest: Answer) -> Answer:
            if asked.path == f"/{identity('node').z32}":
                return 200, node.packet.to_relay_payload()
            return (200, node.document.to_bytes()) if asked.path.startswith("/document/") else honest  # type: ignore[union-attr]

        provider.alters = alter
        provider.converse(conversation)

    server = Server(converse, tls.context)
    address = NodeAddress.from_text(f"walletcli://127.0.0.1:{server.port}/{identity('node').did}")
    with HostClient(address, TcpDialer()) as client:
        fails("host.provider", client.offer)
    server.close()


def test_a_pinned_provider_proves_itself_and_needs_no_offer_to_log_in(tmp_path: Path, provider: Provider) -> None:
    tls = TlsFiles.make(tmp_path)
    provider.record = with_devices(
        "provider", device("daily", frozenset({Power.GRANT})), addresses=(Address("tcp", "127.0.0.1:1", tls.pin),)
    )
    document = provider.record.document
    assert document is not None

    def alter(asked: Asked, honest: Answer) -> Answer:
        if asked.path == f"/{identity('provider').z32}":
            return 200, provider.record.packet.to_relay_payload()
        return (200, document.to_bytes()) if asked.path.startswith("/document/") else honest

    provider.alters = alter
    server = Server(provider.converse, tls.context)
    address = NodeAddress.from_text(f"walletcli://127.0.0.1:{server.port}/{identity('provider').did}")
    with HostClient(address, TcpDialer(), identity("alice").did) as client:
        client.login(sign_as("phone"))
        client.put_blob(manifest(blob_id(1), CONTENT), CONTENT, 0)
        assert not any(asked.path == "/host" for asked in provider.asked)
        assert client.offer().record == provider.record
    assert server.connections == 1
    server.close()


def faults(listed: Iterator[SignedManifest | ItemFault]) -> list[str]:
    return [item.error.code for item in listed if isinstance(item, ItemFault)]


@pytest.mark.parametrize(
    ("code", "signed"),
    [
        ("blob.writer", manifest(blob_id(2), CONTENT, signer="stranger")),
        ("blob.identity", manifest(blob_id(2), CONTENT, owner="bob")),
        ("signature.invalid", manifest(blob_id(2), CONTENT)[:-1] + b"\0"),
    ],
)
def test_a_manifest_that_does_not_verify_is_a_fault_and_the_rest_is_used(
    inside: HostClient, provider: Provider, code: str, signed: bytes
) -> None:
    good = [provider.put(number, CONTENT) for number in (1, 3)]
    provider.alters = answering("/blobs", cbor.encode([good[0], signed, good[1]]))
    assert faults(inside.listed(WRITERS)) == [code]
    assert len([item for item in inside.listed(WRITERS) if isinstance(item, SignedManifest)]) == 2
    fails(code, lambda: list(inside.blobs(WRITERS)))


def test_a_manifest_of_the_root_is_taken(inside: HostClient, provider: Provider) -> None:
    provider.alters = answering("/blobs", cbor.encode([manifest(blob_id(2), CONTENT, signer="alice")]))
    assert len(list(inside.blobs(WRITERS))) == 1


@pytest.mark.parametrize(
    "page",
    [
        [blob_id(2), blob_id(1)],
        [blob_id(1), blob_id(1)],
    ],
)
def test_a_list_out_of_order_is_refused(inside: HostClient, provider: Provider, page: list[bytes]) -> None:
    provider.alters = answering("/blobs", cbor.encode([manifest(name, CONTENT) for name in page]))
    fails("host.bad-answer", lambda: list(inside.blobs(WRITERS)))


@pytest.mark.parametrize(
    "page",
    [b"", b"\xa0", cbor.encode([1]), cbor.encode([b"x" * 513]), cbor.encode([b"x"] * 501), cbor.encode([b"junk"])],
)
def test_a_list_that_is_none_is_refused(inside: HostClient, provider: Provider, page: bytes) -> None:
    provider.alters = answering("/blobs", page)
    fails("host.bad-answer", lambda: list(inside.blobs(WRITERS)))


def test_a_list_that_does_not_end_is_refused(inside: HostClient, provider: Provider) -> None:
    page = cbor.encode([manifest(blob_id(number), CONTENT) for number in range(500)])
    provider.alters = answering("/blobs", page)
    fails("host.bad-answer", lambda: list(inside.blobs(WRITERS)))


def test_a_list_of_too_many_that_do_not_verify_is_given_up(
    inside: HostClient, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("walletcli.client.host.MAX_FAULTS", 10)
    page = cbor.encode([manifest(blob_id(number), CONTENT, signer="stranger") for number in range(20)])
    provider.alters = answering("/blobs", page)
    fails("host.too-much", lambda: list(inside.listed(WRITERS)))


def test_an_older_version_than_known_is_refused(inside: HostClient, provider: Provider) -> None:
    provider.put(1, CONTENT, 4)
    knows = Writers.of(ALICE_KEY, [ALICE], {blob_id(1): 5})
    assert faults(inside.listed(knows)) == ["blob.old-version"]
    fails("blob.old-version", lambda: inside.get_blob(blob_id(1), knows))


@pytest.mark.parametrize(
    ("code", "body"),
    [
        ("blob.mismatch", join_blob(manifest(blob_id(1), CONTENT), CONTENT[:-1])),
        ("blob.mismatch", join_blob(manifest(blob_id(1), CONTENT), b"y" * len(CONTENT))),
        ("blob.mismatch", join_blob(manifest(blob_id(1), None), CONTENT)),
        ("blob.mismatch", join_blob(manifest(blob_id(1), CONTENT), b"")),
        ("blob.other", join_blob(manifest(blob_id(2), CONTENT), CONTENT)),
        ("blob.writer", join_blob(manifest(blob_id(1), CONTENT, signer="stranger"), CONTENT)),
        ("blob.identity", join_blob(manifest(blob_id(1), CONTENT, owner="bob"), CONTENT)),
        ("blob.malformed", b""),
        ("blob.malformed", b"\0\0"),
        ("blob.malformed", b"\xff\xff" + CONTENT),
    ],
)
def test_a_blob_that_does_not_verify_is_refused(inside: HostClient, provider: Provider, code: str, body: bytes) -> None:
    provider.alters = answering("/blob/", body)
    fails(code, lambda: inside.get_blob(blob_id(1), WRITERS))


def test_a_blob_in_another_state_than_listed_is_refused(inside: HostClient, provider: Provider) -> None:
    provider.put(1, CONTENT, 2)
    listed = next(inside.blobs(WRITERS))
    provider.put(1, b"another", 2)
    fails("blob.other", lambda: inside.get_blob(blob_id(1), WRITERS, listed))
    provider.put(1, CONTENT, 1)
    fails("blob.other", lambda: inside.get_blob(blob_id(1), WRITERS, listed))
    provider.put(1, b"newer", 3)
    found = inside.get_blob(blob_id(1), WRITERS, listed)
    assert found is not None
    assert found.content == b"newer"


def test_a_blob_longer_than_is_taken_ends_early(inside: HostClient, provider: Provider) -> None:
    provider.put(1, bytes(3 << 20))
    fails("host.too-much", lambda: inside.get_blob(blob_id(1), WRITERS))


@pytest.mark.parametrize("way", ["drip", "flood", "hang", "close"])
def test_a_provider_that_never_ends_ends(serve: Serve, way: str) -> None:
    def converse(conversation: Conversation) -> None:
        conversation.read()
        if way == "drip":
            conversation.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            conversation.drip(b"1\r\nx\r\n", 0.01)
        elif way == "flood":
            conversation.send(b"HTTP/1.1 200 OK\r\n\r\n")
            conversation.flood(bytes(65_536))
        elif way == "hang":
            conversation.hang()

    codes = {"drip": "host.timeout", "flood": "host.too-much", "hang": "host.timeout", "close": "host.unreachable"}
    with HostClient(serve(converse).address, TcpDialer(), timeout_s=0.5) as client:
        error = fails(codes[way], client.offer)
    assert client.name in error.hint


@pytest.mark.parametrize(
    "status",
    [
        b"",
        cbor.encode({1: 4, 3: 0, 4: 0}),
        cbor.encode({1: 0, 3: 0, 4: 0}),
        cbor.encode({1: 1, 3: -1, 4: 0}),
        cbor.encode({1: 1, 3: 0}),
        cbor.encode({1: 1, 3: 0, 4: 0, 6: b"short"}),
        cbor.encode({1: 1, 3: 0, 4: 0, 9: 0}),
    ],
)
def test_a_state_that_is_none_is_refused(inside: HostClient, provider: Provider, status: bytes) -> None:
    def alter(asked: Asked, honest: Answer) -> Answer:
        return (200, status) if asked.path == f"/host/{identity('alice').z32}" else honest

    provider.alters = alter
    fails("host.bad-answer", inside.status)


@pytest.mark.parametrize(
    "token", [b"", cbor.encode([b"short", 1]), cbor.encode([bytes(32), -1]), cbor.encode(bytes(32))]
)
def test_a_token_that_is_none_is_refused(client: HostClient, provider: Provider, token: bytes) -> None:
    provider.alters = answering("/host/login", token)
    fails("host.bad-answer", lambda: client.login(sign_as("phone")))


@pytest.mark.parametrize("challenge", [b"", b"x" * 15, b"x" * 65])
def test_a_challenge_that_is_none_is_refused(client: HostClient, provider: Provider, challenge: bytes) -> None:
    provider.alters = answering("/host/challenge", challenge)
    fails("host.bad-answer", lambda: client.login(sign_as("phone")))


def test_writers_are_the_root_and_the_devices_that_may_host(provider: Provider) -> None:
    mixed = with_devices(
        "alice", device("phone", frozenset({Power.HOST, Power.SHARE})), device("laptop", frozenset({Power.SHARE}))
    )
    pending = Record(ALICE.packet, None)
    writers = Writers.of(ALICE_KEY, [mixed, pending, with_devices("bob", device("his", frozenset({Power.HOST})))])
    assert writers.keys == {ALICE_KEY, key("phone").public_key}


def test_a_client_without_a_login_says_so(client: HostClient) -> None:
    fails("host.login", client.status)
