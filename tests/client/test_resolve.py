from __future__ import annotations

import hashlib
import time
from collections.abc import Callable

import pytest

from tests.client.provider import PROVIDER, device, sign_as, with_devices
from tests.client.records import foreign_packet, identity, key, record, unsigned
from tests.client.servers import Conversation, Server, Shelf
from walletcli.client.freshness import FreshnessMap, Seen
from walletcli.client.resolution import FreshnessCheck, Outcome, Resolution
from walletcli.client.resolve import resolve
from walletcli.core import dns
from walletcli.core.cbor import encode
from walletcli.core.document import Document
from walletcli.core.document_parts import Delegation, Power, Retirement
from walletcli.core.encodings import b64url_encode
from walletcli.core.equivocation import proof_of_records
from walletcli.core.grant import Grant, Terms
from walletcli.core.packet import SignedPacket
from walletcli.core.record import Record
from walletcli.core.short_record import to_short
from walletcli.errors import FormatError, NetworkError, VerificationError
from walletcli.net.offline import OfflineDialer
from walletcli.net.tcp import TcpDialer

Serve = Callable[[Callable[[Conversation], None]], Server]
Relay = Callable[..., tuple[Shelf, Server]]
ALICE = identity("alice")
KEY = ALICE.public_key
OLD, NEW = record("alice", 100), record("alice", 200, profile={"name": "Alice"})


def ask(*servers: Server, memory: FreshnessMap | None = None, seconds: float = 2.0) -> Resolution:
    return resolve(
        ALICE,
        [server.address for server in servers],
        dialer=TcpDialer(),
        memory=memory,
        timeout_s=seconds,
        now_s=20_000 * 86_400,
    )


def remembering(known: Record, *, whole: bool = True) -> FreshnessMap:
    memory = FreshnessMap()
    seen = Seen.of(known)
    memory.put(KEY, seen if whole else Seen(seen.seq, seen.document_hash))
    return memory


def outcomes(resolution: Resolution) -> list[Outcome]:
    return [source.outcome for source in resolution.sources]


def holding(relay: Relay, *records: Record, document: bool = True) -> list[Server]:
    """Return one honest relay for each record."""
    servers = []
    for one in records:
        shelf, server = relay()
        shelf.put(one, document=document)
        servers.append(server)
    return servers


# --- what is found


def test_the_state_with_the_highest_seq_is_taken(relay: Relay) -> None:
    result = ask(*holding(relay, OLD, NEW, OLD))
    assert result.record == NEW
    assert outcomes(result) == [Outcome.OLDER, Outcome.CURRENT, Outcome.OLDER]
    assert [source.seq for source in result.sources] == [100, 200, 100]
    assert result.freshness is FreshnessCheck.NOT_CHECKED


def test_what_was_verified_is_said(relay: Relay) -> None:
    device = Delegation(identity("device").public_key, bytes([9]) + bytes(31), frozenset({Power.HOST}), 19_990, 20_080)
    over = Delegation(identity("other").public_key, bytes([9]) + bytes(31), frozenset({Power.HOST}), 19_000, 19_010)
    keys = tuple(sorted((device, over), key=lambda delegation: delegation.signing_key))
    said = "\n".join(ask(*holding(relay, record("alice", delegations=keys, retirement=Retirement(19_999)))).verified)
    for word in ("signature", ALICE.did, "SHA-256", "identity", "seq", "derivation", "1 of 2 hold today", "ended"):
        assert word in said


def test_the_json_has_what_scripts_rely_on(relay: Relay) -> None:
    out = ask(*holding(relay, NEW)).to_json()
    assert list(out)[:6] == ["did", "seq", "document", "packet", "verified", "sources"]
    assert out["did"] == ALICE.did
    assert out["seq"] == 200
    assert isinstance(out["document"], dict)
    assert isinstance(out["packet"], dict)
    assert out["pending"] is None
    assert out["splits"] == []


def test_a_packet_of_another_tool_resolves_without_a_document(relay: Relay) -> None:
    shelf, server = relay()
    shelf.packets[KEY] = foreign_packet(seq=7)
    memory = FreshnessMap()
    result = ask(server, memory=memory)
    assert result.record.packet == foreign_packet(seq=7)
    assert result.record.document is None
    assert result.pending is None
    assert result.to_json()["document"] is None
    assert memory.get(KEY) == Seen.of(result.record)


def test_a_document_comes_from_whoever_has_it(relay: Relay) -> None:
    without, first = relay(keeps_documents=False)
    without.put(NEW)
    older, second = relay()
    older.put(OLD)
    assert NEW.document
    older.documents[NEW.document.hash] = NEW.document.to_bytes()
    result = ask(first, second)
    assert result.record == NEW
    assert outcomes(result) == [Outcome.CURRENT, Outcome.OLDER]


def test_the_same_relay_named_twice_is_asked_once(relay: Relay) -> None:
    shelf, server = relay()
    shelf.put(NEW)
    assert len(ask(server, server).sources) == 1


def test_relays_are_asked_at_once(serve: Serve, relay: Relay) -> None:
    silent = [serve(Conversation.hang) for _ in range(6)]
    start = time.monotonic()
    result = ask(*silent, *holding(relay, NEW), seconds=3.0)
    assert time.monotonic() - start < 4 * 3.0  # one after another takes six times as long
    assert result.record == NEW
    assert [source.error_code for source in result.sources[:6]] == ["relay.timeout"] * 6


def test_more_relays_than_threads_are_all_asked(relay: Relay) -> None:
    assert len(ask(*holding(relay, *[OLD] * 20)).sources) == 20


# --- nothing found


def test_no_relays_is_a_network_error_that_says_so() -> None:
    with pytest.raises(NetworkError) as caught:
        ask()
    assert caught.value.code == "relay.none"
    assert "relay add" in caught.value.hint


def test_not_found_means_that_everybody_said_so(relay: Relay) -> None:
    with pytest.raises(NetworkError) as caught:
        ask(relay()[1], relay()[1])
    assert caught.value.code == "resolve.not-found"


def test_not_found_while_somebody_failed_is_unreachable(relay: Relay, serve: Serve) -> None:
    with pytest.raises(NetworkError) as caught:
        ask(relay()[1], serve(lambda c: None))
    assert caught.value.code == "resolve.unreachable"
    assert "relay.unreachable" in caught.value.message


def test_nothing_but_a_broken_signature_is_a_verification_error(serve: Serve, relay: Relay) -> None:
    def lie(conversation: Conversation) -> None:
        conversation.read()
        conversation.answer(200, unsigned(NEW.packet))

    with pytest.raises(VerificationError) as caught:
        ask(serve(lie), relay()[1])
    assert caught.value.code == "resolve.unverified"
    assert "signature.invalid" in caught.value.message


def test_offline_is_said_as_it_is(relay: Relay) -> None:
    with pytest.raises(NetworkError) as caught:
        resolve(ALICE, [relay()[1].address], dialer=OfflineDialer())
    assert caught.value.code == "network.offline"


# --- freshness


def test_a_first_sight_is_called_one_and_remembered(relay: Relay) -> None:
    memory = FreshnessMap()
    assert ask(*holding(relay, NEW), memory=memory).freshness is FreshnessCheck.FIRST_SEEN
    assert memory.get(KEY) == Seen.of(NEW)


def test_the_remembered_state_or_a_newer_one_is_checked(relay: Relay) -> None:
    memory = remembering(OLD)
    assert ask(*holding(relay, OLD), memory=memory).freshness is FreshnessCheck.CHECKED
    assert ask(*holding(relay, NEW), memory=memory).freshness is FreshnessCheck.CHECKED
    assert memory.get(KEY) == Seen.of(NEW)


def test_nothing_but_older_states_is_stale_and_names_its_sources(relay: Relay) -> None:
    memory = remembering(NEW, whole=False)
    servers = holding(relay, OLD, record("alice", 150))
    with pytest.raises(VerificationError) as caught:
        ask(*servers, memory=memory)
    assert caught.value.code == "record.stale"
    for server in servers:
        assert server.address.to_text() in caught.value.message
    assert memory.get(KEY) == Seen(200, NEW.packet.document_hash)


def test_a_stale_source_among_good_ones_is_named(relay: Relay) -> None:
    result = ask(*holding(relay, OLD, NEW), memory=remembering(NEW))
    assert outcomes(result) == [Outcome.STALE, Outcome.CURRENT]


def test_memory_never_goes_back() -> None:
    memory = remembering(NEW)
    memory.put(KEY, Seen.of(OLD))
    assert memory.get(KEY) == Seen.of(NEW)


# --- pending


def test_a_packet_whose_document_is_nowhere_leaves_the_older_state(relay: Relay) -> None:
    memory = FreshnessMap()
    result = ask(*holding(relay, NEW, document=False), *holding(relay, OLD), memory=memory)
    assert result.record == OLD
    assert result.pending == NEW.packet
    assert outcomes(result) == [Outcome.PENDING, Outcome.CURRENT]
    assert memory.get(KEY) == Seen.of(OLD)


def test_a_pending_packet_leaves_the_remembered_state(relay: Relay) -> None:
    memory = remembering(OLD)
    result = ask(*holding(relay, NEW, document=False), memory=memory)
    assert result.record == OLD
    assert result.pending == NEW.packet
    assert result.freshness is FreshnessCheck.NEWEST_KNOWN
    assert memory.get(KEY) == Seen.of(OLD)
    assert result.to_json()["pending"] == {"seq": 200}


def test_a_pending_packet_does_not_reach_below_the_remembered_state(relay: Relay) -> None:
    """Only the hash is remembered: an older full state must not be used in its place."""
    memory = remembering(record("alice", 150), whole=False)
    result = ask(*holding(relay, NEW, document=False), *holding(relay, OLD), memory=memory)
    assert result.record.document is None
    assert result.pending == NEW.packet
    assert outcomes(result) == [Outcome.PENDING, Outcome.STALE]


def test_a_pending_packet_alone_is_shown_and_not_remembered(relay: Relay) -> None:
    memory = FreshnessMap()
    result = ask(*holding(relay, NEW, document=False), memory=memory)
    assert result.record.packet == result.pending == NEW.packet
    assert result.record.document is None
    assert "document: not at hand" in result.verified
    assert memory.get(KEY) is None


def test_the_remembered_document_completes_its_packet(relay: Relay) -> None:
    result = ask(*holding(relay, NEW, document=False), memory=remembering(NEW))
    assert result.record == NEW
    assert result.pending is None
    assert result.freshness is FreshnessCheck.CHECKED


def test_a_lie_about_a_document_is_reported_and_another_relay_helps(relay: Relay) -> None:
    shelf, liar = relay()
    shelf.put(NEW)
    shelf.documents = dict.fromkeys(shelf.documents, b"something else")
    result = ask(liar, *holding(relay, NEW))
    assert result.record == NEW
    assert result.sources[0].error_code == "record.hash-mismatch"
    assert outcomes(result) == [Outcome.CURRENT, Outcome.CURRENT]


# --- what the key itself has signed wrongly


def pointing_at(document: bytes, seq: int = 300) -> SignedPacket:
    """Return a packet of Alice's key that names a document and says nothing else."""
    pointer = b"v=1;h=" + b64url_encode(hashlib.sha256(document).digest()).encode()
    value = dns.response_header(1) + dns.txt_record(b"\x02_w\x34" + ALICE.z32.encode() + b"\0", pointer, 300)
    return SignedPacket.sign(key("alice"), seq, value)


def test_a_packet_that_is_not_derived_from_its_document_is_not_used(relay: Relay) -> None:
    document = Document(KEY, 300).to_bytes()
    packet = pointing_at(document)
    assert packet.document_hash
    shelf, server = relay()
    shelf.packets[KEY] = packet
    shelf.documents[packet.document_hash] = document
    with pytest.raises(VerificationError) as caught:
        ask(server)
    assert caught.value.code == "record.not-derived"
    result = ask(server, *holding(relay, OLD))
    assert result.record == OLD
    assert result.pending == packet


def test_a_document_of_a_later_version_asks_for_an_update(relay: Relay) -> None:
    document = encode({1: 2, 2: b"from the future"})
    packet = pointing_at(document)
    assert packet.document_hash
    shelf, server = relay()
    shelf.packets[KEY] = packet
    shelf.documents[packet.document_hash] = document
    with pytest.raises(FormatError) as caught:
        ask(server)
    assert caught.value.code == "document.unknown-version"
    assert "update" in caught.value.hint


# --- splits

LEFT, RIGHT = record("alice", 300, profile={"name": "left"}), record("alice", 300, profile={"name": "right"})


def healing(seq: int, *sides: Record) -> Record:
    hashes = sorted(side.packet.document_hash or b"" for side in sides)
    return record("alice", seq, healed=((hashes[0], hashes[1]),))


def test_a_split_is_refused_by_whoever_remembers_nothing(relay: Relay) -> None:
    servers = holding(relay, LEFT, RIGHT)
    memory = FreshnessMap()
    with pytest.raises(VerificationError) as caught:
        ask(*servers, memory=memory)
    assert caught.value.code == "record.equivocation"
    for server in servers:
        assert server.address.to_text() in caught.value.message
    assert memory.get(KEY) is None


def test_a_split_is_not_avoided_by_an_older_state_that_nobody_remembers(relay: Relay) -> None:
    with pytest.raises(VerificationError) as caught:
        ask(*holding(relay, LEFT, RIGHT, OLD), memory=FreshnessMap())
    assert caught.value.code == "record.equivocation"


@pytest.mark.parametrize("whole", [True, False])
def test_a_split_leaves_whoever_remembers_at_the_state_before(relay: Relay, whole: bool) -> None:
    memory = remembering(OLD, whole=whole)
    result = ask(*holding(relay, LEFT, RIGHT, OLD), memory=memory)
    assert result.record == OLD
    assert result.freshness is FreshnessCheck.NEWEST_KNOWN
    assert outcomes(result) == [Outcome.SPLIT, Outcome.SPLIT, Outcome.CURRENT]
    (split,) = result.splits
    assert split.seq == 300
    assert set(split.packets) == {LEFT.packet, RIGHT.packet}
    seen = memory.get(KEY)
    assert seen is not None
    assert seen.seq == 100


@pytest.mark.parametrize("whole", [True, False])
def test_the_other_side_of_the_remembered_state_is_a_split(relay: Relay, whole: bool) -> None:
    memory = remembering(LEFT, whole=whole)
    if not whole:
        with pytest.raises(VerificationError) as caught:
            ask(*holding(relay, RIGHT), memory=memory)
        assert caught.value.code == "record.equivocation"
        return
    result = ask(*holding(relay, RIGHT), memory=memory)
    assert result.record == LEFT
    assert result.splits[0].documents == (RIGHT.packet.document_hash, LEFT.packet.document_hash)


def test_both_sides_are_reported_to_whoever_remembers_one(relay: Relay) -> None:
    result = ask(*holding(relay, LEFT, RIGHT), memory=remembering(LEFT, whole=False))
    assert result.record == LEFT
    assert outcomes(result) == [Outcome.SPLIT, Outcome.SPLIT]


def test_a_later_state_does_not_heal_a_split_by_being_later(relay: Relay) -> None:
    later = record("alice", 400)
    with pytest.raises(VerificationError):
        ask(*holding(relay, LEFT, RIGHT, later))
    result = ask(*holding(relay, LEFT, RIGHT, later), memory=remembering(OLD))
    assert result.record == OLD
    assert outcomes(result)[2] is Outcome.SPLIT


def test_a_later_state_that_names_both_sides_heals_it(relay: Relay) -> None:
    memory = remembering(LEFT)
    healed = healing(400, LEFT, RIGHT)
    result = ask(*holding(relay, LEFT, RIGHT, healed), memory=memory)
    assert result.record == healed
    assert outcomes(result) == [Outcome.SPLIT, Outcome.SPLIT, Outcome.CURRENT]
    assert memory.get(KEY) == Seen.of(healed)


def test_healing_another_split_is_not_enough(relay: Relay) -> None:
    other = record("alice", 300, profile={"name": "third"})
    with pytest.raises(VerificationError):
        ask(*holding(relay, LEFT, RIGHT, healing(400, LEFT, other)))


def test_packets_without_documents_can_be_split_as_well(relay: Relay) -> None:
    servers = []
    for text in (b"one", b"two"):
        shelf, server = relay()
        shelf.packets[KEY] = foreign_packet(seq=5, text=text)
        servers.append(server)
    with pytest.raises(VerificationError) as caught:
        ask(*servers)
    assert caught.value.code == "record.equivocation"


def test_a_split_below_the_remembered_state_is_history(relay: Relay) -> None:
    later = record("alice", 400)
    result = ask(*holding(relay, LEFT, RIGHT, later), memory=remembering(later))
    assert result.record == later
    assert result.splits == ()


# --- routes


def test_every_connection_is_opened_for_the_asking_identity(relay: Relay) -> None:
    heard: list[str | None] = []

    class Listening(TcpDialer):
        def dial(self, address, for_identity, deadline_s):  # type: ignore[no-untyped-def] # as its parent
            heard.append(for_identity)
            return super().dial(address, for_identity, deadline_s)

    servers = holding(relay, NEW, OLD)
    resolve(ALICE, [server.address for server in servers], dialer=Listening(), for_identity="did:key:bob")
    assert heard == ["did:key:bob"] * 2


def bound(today: int = 20_000, granter: str = "daily", until: int = 20_100) -> Record:
    """Return alice's record with a grant of `provider` in it."""
    grant = Grant(
        PROVIDER.packet.public_key, KEY, Terms(1000, 30, 1 << 20), bytes(16), today - 1, until, to_short(PROVIDER)
    )
    return record("alice", 300, bindings=(sign_as(granter)(Grant.TYP, grant.to_payload()),))


def test_bindings_are_verified_and_said(relay: Relay) -> None:
    found = ask(*holding(relay, bound()))
    assert [binding.state for binding in found.bindings] == ["valid"]
    assert "bindings: 1 of 1 hold today" in found.verified
    said = found.to_json()["bindings"]
    assert isinstance(said, list)
    assert said[0]["provider"] == identity("provider").did
    assert said[0]["signers"] == {"provider_key": key("daily").public_key.hex(), "identity": ALICE.did}


@pytest.mark.parametrize(
    ("code", "record"),
    [
        ("grant.expired", bound(until=20_000)),
        ("grant.not-yet", bound(today=20_002)),
        ("grant.key-rotated", bound(granter="stranger")),
        ("cbor.truncated", record("alice", 300, bindings=(b"\xd2\x84",))),
    ],
)
def test_a_binding_that_does_not_verify_disables_itself_alone(relay: Relay, code: str, record: Record) -> None:
    found = ask(*holding(relay, record))
    assert [binding.state for binding in found.bindings] == [code]
    assert found.record == record


def test_a_binding_is_checked_with_the_newest_known_record_of_its_provider(relay: Relay) -> None:
    memory = FreshnessMap()
    rotated = with_devices("provider", device("new daily", frozenset({Power.GRANT})), seq=101)
    memory.put(PROVIDER.packet.public_key, Seen.of(rotated))
    found = ask(*holding(relay, bound()), memory=memory)
    assert [binding.state for binding in found.bindings] == ["grant.key-rotated"]


def test_a_binding_that_rests_on_a_side_of_a_providers_split_is_disabled(relay: Relay) -> None:
    memory, who = FreshnessMap(), PROVIDER.packet.public_key
    twin = with_devices("provider", device("another", frozenset({Power.GRANT})), seq=PROVIDER.packet.seq)
    memory.keep_split(proof_of_records(PROVIDER, twin))
    found = ask(*holding(relay, bound()), memory=memory)
    assert [binding.state for binding in found.bindings] == ["record.equivocation"]
    memory.put(who, Seen.of(PROVIDER))
    found = ask(*holding(relay, bound()), memory=memory)
    assert [binding.state for binding in found.bindings] == ["valid"]  # one stays at what one has followed


def test_who_has_followed_neither_side_of_a_provider_believes_no_grant_of_one(relay: Relay) -> None:
    memory = FreshnessMap()
    before = with_devices("provider", device("daily", frozenset({Power.GRANT})), seq=PROVIDER.packet.seq - 1)
    memory.put(PROVIDER.packet.public_key, Seen.of(before))
    twin = with_devices("provider", device("another", frozenset({Power.GRANT})), seq=PROVIDER.packet.seq)
    memory.keep_split(proof_of_records(PROVIDER, twin))
    found = ask(*holding(relay, bound()), memory=memory)
    assert [binding.state for binding in found.bindings] == ["record.equivocation"]


# --- documents from further nodes, and from files


def test_a_document_that_no_relay_has_comes_from_a_further_node_by_its_hash(relay: Relay) -> None:
    (lacking,) = holding(relay, NEW, document=False)
    shelf, keeper = relay()
    shelf.put(NEW)
    shelf.packets.clear()
    found = resolve(ALICE, [lacking.address], spare=[keeper.address], dialer=TcpDialer())
    assert found.record == NEW
    assert [source.address for source in found.sources] == [lacking.address.to_text()]
    assert [asked.path for asked in shelf.asked] == [f"/document/{NEW.packet.document_hash.hex()}"]  # type: ignore[union-attr]


def test_a_further_node_is_not_asked_where_nothing_is_missing(relay: Relay) -> None:
    shelf, keeper = relay()
    found = resolve(ALICE, [holding(relay, NEW)[0].address], spare=[keeper.address], dialer=TcpDialer())
    assert found.record == NEW
    assert shelf.asked == []


def test_another_document_from_a_further_node_is_none(relay: Relay, serve: Serve) -> None:
    def lie(conversation: Conversation) -> None:
        while conversation.read():
            conversation.answer(200, OLD.document.to_bytes())  # type: ignore[union-attr]

    (lacking,) = holding(relay, NEW, document=False)
    found = resolve(ALICE, [lacking.address], spare=[serve(lie).address], dialer=TcpDialer())
    assert found.pending == NEW.packet


def test_a_record_from_a_file_gives_the_document_or_all_of_it_and_is_no_source(relay: Relay) -> None:
    (lacking,) = holding(relay, NEW, document=False)
    found = resolve(ALICE, [lacking.address], at_hand=NEW, dialer=TcpDialer())
    assert found.record == NEW
    assert outcomes(found) == [Outcome.CURRENT, Outcome.CURRENT]
    assert (found.sources[1].address, found.independent) == ("file", (lacking.address.to_text(),))
    alone = resolve(ALICE, [], at_hand=OLD, dialer=OfflineDialer())
    assert (alone.record, alone.independent, alone.may_start_trust) == (OLD, (), False)


def test_a_record_from_a_file_leads_nobody_back(relay: Relay) -> None:
    with pytest.raises(VerificationError) as refused:
        resolve(ALICE, [], at_hand=OLD, memory=remembering(NEW), dialer=OfflineDialer())
    assert refused.value.code == "record.stale"
    found = resolve(ALICE, [holding(relay, NEW)[0].address], at_hand=OLD, dialer=TcpDialer())
    assert (found.record, outcomes(found)) == (NEW, [Outcome.CURRENT, Outcome.OLDER])


def test_a_record_from_a_file_may_be_a_side_of_a_split(relay: Relay) -> None:
    other = record("alice", 200, profile={"name": "Another"})
    with pytest.raises(VerificationError) as refused:
        resolve(ALICE, [holding(relay, NEW)[0].address], at_hand=other, dialer=TcpDialer())
    assert refused.value.code == "record.equivocation"
    assert "file" in refused.value.message
