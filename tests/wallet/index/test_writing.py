"""A shard is read, joined, signed, stored at a few unrelated relays: on its own schedule and whatever others wrote."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from tests.client.servers import Asked
from tests.wallet.index.conftest import Clock
from tests.wallet.parts import WORDS, HonestRelay, make_home, opened
from tests.wallet.recovery.parts import Net, tree_of
from walletcli.core import cbor
from walletcli.core.encodings import z32_encode
from walletcli.core.keys import KeyTree, Scheme
from walletcli.core.packet import SignedPacket
from walletcli.core.record import SEQ_LIMIT
from walletcli.core.wallet_index import CONTENT_BYTES, Ranges, ShardContent, open_shard, seal_shard
from walletcli.errors import FormatError, InputError, NetworkError, SignerError, UsageError, VerificationError
from walletcli.wallet.access.session import Session
from walletcli.wallet.create import create_watch_wallet
from walletcli.wallet.home import Home
from walletcli.wallet.identities import create_identity
from walletcli.wallet.index.book import DRAWER, change_book, read_book
from walletcli.wallet.index.overview import publish_index, set_policy, show_index
from walletcli.wallet.index.places import choose
from walletcli.wallet.index.signing import open_with, shard_key, sign_with
from walletcli.wallet.index.writing import keep_index, write_shard
from walletcli.wallet.publish import publish_identity
from walletcli.wallet.relays import list_relays, remove_relay
from walletcli.wallet.sealed.sync_wallet import sync_wallet
from walletcli.wallet.state.changes import PutDrawer

OURS = Scheme.WALLETCLI
TREE = tree_of(WORDS)


@pytest.fixture
def wallet_home(tmp_path: object) -> Home:
    """A wallet whose words the tests know."""
    from pathlib import Path

    assert isinstance(tmp_path, Path)
    return make_home(tmp_path / "home", WORDS)


def held(relay: HonestRelay, number: int = 0, tree: KeyTree = TREE) -> SignedPacket | None:
    return relay.shelf.packets.get(tree.index_key(number).public_key)


def told(net: Net, number: int = 0) -> list[ShardContent]:
    """Return what each relay that has the shard has."""
    packets = [held(relay, number) for relay in net.relays]
    return [open_shard(TREE.index_key(number), number, packet) for packet in packets if packet is not None]


def asked_for(relay: HonestRelay, number: int = 0) -> list[Asked]:
    path = "/" + z32_encode(TREE.index_key(number).public_key)
    return [asked for asked in relay.shelf.asked if asked.path == path]


def hold(net: Net, content: ShardContent, number: int = 0, seq: int = 5) -> None:
    """Have all relays hold a shard that somebody with the words wrote."""
    packet = seal_shard(TREE.index_key(number), number, content, seq, os.urandom)
    for relay in net.relays:
        relay.shelf.packets[packet.public_key] = packet


def test_nothing_is_written_before_the_slot_and_what_changes_waits_for_it(
    owner: Session, net: Net, clock: Clock
) -> None:
    assert keep_index(owner).written is None
    create_identity(owner, "bob")
    publish_identity(owner, "bob", net.urls[1:2], accept_link=True)
    assert keep_index(owner).written is None
    assert told(net) == []
    assert show_index(owner).waiting == ("alice", "bob")
    clock.forward(days=3.1)
    assert keep_index(owner).written == 0
    assert [list(content.of(OURS)) for content in told(net)] == [[0, 1]] * 3
    assert show_index(owner).waiting == ()
    assert keep_index(owner).written is None


def test_a_shard_is_written_again_though_nothing_changed(owner: Session, net: Net, clock: Clock) -> None:
    keep_index(owner)
    seqs = []
    for _ in range(3):
        clock.forward(days=5.1)
        assert keep_index(owner).written == 0
        seqs.append(max(packet.seq for relay in net.relays if (packet := held(relay)) is not None))
    assert seqs == sorted(set(seqs))
    found = [held(relay) for relay in net.relays]
    assert {len(packet.value) for packet in found if packet is not None} == {996}


def test_a_wallet_without_identities_writes_a_shard_as_well(session: Session, net: Net, clock: Clock) -> None:
    from walletcli.wallet.relays import add_relay

    for url in net.urls:
        add_relay(session.home, url)
    keep_index(session)
    clock.forward(days=4)
    assert keep_index(session).written == 0
    assert [content.listed for content in told(net)] == [{}] * 3


def test_three_relays_hold_it_and_the_one_that_knows_the_identity_comes_last(
    owner: Session, net: Net, clock: Clock
) -> None:
    publish_index(owner)
    assert [held(relay) is not None for relay in net.relays] == [False, True, True, True]
    before = show_index(owner).shards[0].relays
    clock.forward(days=6)
    keep_index(owner)
    assert show_index(owner).shards[0].relays == before
    remove_relay(owner.home, net.urls[2])
    clock.forward(days=6)
    keep_index(owner)
    assert set(show_index(owner).shards[0].relays) == {net.urls[0], net.urls[1], net.urls[3]}


def test_each_shard_is_asked_for_over_connections_of_its_own(owner: Session, net: Net) -> None:
    before = [relay._server.connections for relay in net.relays]
    publish_index(owner)
    after = [relay._server.connections for relay in net.relays]
    assert [b - a for a, b in zip(before, after, strict=True)][1:] == [2, 2, 2], "one to read and one to write"
    for relay in net.relays[1:]:
        assert {asked.path for asked in relay.shelf.asked} == {"/" + z32_encode(TREE.index_key(0).public_key)}


def test_relays_are_chosen_anew_for_each_shard() -> None:
    allowed = [f"https://relay-{number}.example" for number in range(9)]
    chosen = {choose(allowed, (), allowed[:5], os.urandom) for _ in range(200)}
    assert len(chosen) > 10
    assert all(set(found) <= set(allowed[5:]) for found in chosen)
    assert set(choose(allowed[:2], (), allowed, os.urandom)) == set(allowed[:2])
    with pytest.raises(NetworkError) as error:
        choose([], allowed, (), os.urandom)
    assert error.value.code == "wallet-index.no-relay"


def test_what_another_wallet_of_these_words_listed_is_kept(owner: Session, net: Net) -> None:
    hold(net, ShardContent({OURS: Ranges.of([7, 8]), Scheme.MORPHEUS: Ranges.of([1])}, 1), seq=5)
    publish_index(owner)
    for content in told(net)[:3]:
        assert content in (ShardContent({OURS: Ranges.of([0, 7, 8]), Scheme.MORPHEUS: Ranges.of([1])}, 1),) or (
            content.of(OURS) == Ranges.of([7, 8])
        )
    assert sum(content.of(OURS) == Ranges.of([0, 7, 8]) for content in told(net)) == 3


def test_two_versions_that_differ_are_joined_and_the_next_seq_lies_above_both(owner: Session, net: Net) -> None:
    high = 4_000_000_000_000_000
    hold(net, ShardContent({OURS: Ranges.of([3])}, 1), seq=high)
    older = seal_shard(TREE.index_key(0), 0, ShardContent({OURS: Ranges.of([4])}, 2), 5, os.urandom)
    net.relays[2].shelf.packets[older.public_key] = older
    publish_index(owner)
    newest = max((packet for relay in net.relays if (packet := held(relay)) is not None), key=lambda p: p.seq)
    assert high < newest.seq < high + 2**21
    content = open_shard(TREE.index_key(0), 0, newest)
    assert list(content.of(OURS)) == [0, 3, 4]
    assert content.shards == 2
    assert len(show_index(owner).shards) == 2


def test_what_cannot_be_a_shard_is_written_over(owner: Session, net: Net) -> None:
    key = TREE.index_key(0)
    foreign = SignedPacket.sign(key, 9, seal_shard(TREE.index_key(1), 1, ShardContent(), 9, os.urandom).value)
    for relay in net.relays:
        relay.shelf.packets[key.public_key] = foreign
    publish_index(owner)
    assert sum(content.of(OURS) == Ranges.of([0]) for content in map(_opened, net.relays) if content) == 3


def _opened(relay: HonestRelay) -> ShardContent | None:
    packet = held(relay)
    try:
        return open_shard(TREE.index_key(0), 0, packet) if packet is not None else None
    except (FormatError, VerificationError):
        return None


def test_a_version_of_a_newer_program_is_not_written_over(owner: Session, net: Net, monkeypatch: object) -> None:
    from tests.vectors.cases_wallet_index import encoded, written
    from walletcli.core import wallet_index

    assert isinstance(monkeypatch, pytest.MonkeyPatch)
    with monkeypatch.context() as patched:
        patched.setattr("tests.vectors.cases_wallet_index.key", TREE.index_key)
        payload = bytes.fromhex(written(encoded({1: 2, 2: 1, 3: {}, 9: 1}), seq=9, sealed_seq=9))
    assert wallet_index.CONTENT_BYTES == CONTENT_BYTES
    packet = SignedPacket.from_relay_payload(TREE.index_key(0).public_key, payload)
    for relay in net.relays:
        relay.shelf.packets[packet.public_key] = packet
    with pytest.raises(FormatError) as error:
        publish_index(owner)
    assert error.value.code == "wallet-index.unknown-version"
    assert {held(relay) for relay in net.relays} == {packet}


def test_where_no_relay_answers_the_slot_stays_and_the_fault_is_told(owner: Session, net: Net, clock: Clock) -> None:
    keep_index(owner)
    for relay in net.relays:
        relay.close()
    clock.forward(days=4)
    visit = keep_index(owner, timeout_s=2.0)
    assert visit.written is None
    assert visit.error is not None
    assert visit.error.code == "wallet-index.unreachable"
    view = show_index(owner).shards[0]
    assert view.fault[0] == "wallet-index.unreachable"
    assert view.next_s <= clock.now_s
    assert view.written_s is None


def test_one_shard_is_written_at_a_time(owner: Session, net: Net, clock: Clock) -> None:
    keep_index(owner)
    change_book(owner, lambda book: book.with_shards(4, clock.now_s))
    clock.forward(days=30)
    change_book(owner, lambda book: replace(book, shards=tuple(replace(s, next_s=0) for s in book.shards)))
    written = []
    while (visit := keep_index(owner)).written is not None:
        written.append(visit.written)
    assert sorted(written) == [0, 1, 2, 3]


def test_shard_0_tells_of_others_only_once_they_are_there(owner: Session, net: Net) -> None:
    change_book(owner, lambda book: book.with_shards(2, 0))
    write_shard(owner, 0)
    assert {content.shards for content in told(net)} == {1}
    publish_index(owner)
    assert {content.shards for content in told(net)} == {2}
    assert len(told(net, 1)) == 3


def test_a_full_shard_gives_way_to_another_one(owner: Session, net: Net, clock: Clock) -> None:
    crowd = ShardContent({}, 1)
    while (grown := crowd.with_index(OURS, crowd.of(OURS).highest + 3)).fits:
        crowd = grown
    hold(net, crowd)
    publish_index(owner)
    both = [index for number in (0, 1) for content in told(net, number) for index in content.of(OURS)]
    assert 0 not in crowd.of(OURS)
    assert set(both) == {0, *crowd.of(OURS)}
    assert max(content.shards or 0 for content in told(net)) == 2


def test_a_seq_is_not_used_twice_though_the_packet_never_left(owner: Session) -> None:
    keep_index(owner)
    content = ShardContent({OURS: Ranges.of([0])}, 1)
    seqs = [sign_with(owner, 0, content, -1).seq for _ in range(5)]
    assert seqs == sorted(set(seqs))
    book = read_book(owner)
    assert book is not None
    assert book.shards[0].seq == seqs[-1]


def test_a_shard_that_is_not_planned_is_not_signed(owner: Session) -> None:
    keep_index(owner)
    with pytest.raises(InputError) as error:
        sign_with(owner, 5, ShardContent(), -1)
    assert error.value.code == "wallet-index.no-shard"
    with pytest.raises(InputError) as exhausted:
        sign_with(owner, 0, ShardContent({}, 1), SEQ_LIMIT)
    assert exhausted.value.code == "seq.exhausted"


def test_only_packets_of_the_shard_are_opened(owner: Session) -> None:
    packet = seal_shard(TREE.index_key(1), 1, ShardContent(), 5, os.urandom)
    assert open_with(owner, 1, packet) == ShardContent()
    with pytest.raises(VerificationError):
        open_with(owner, 2, packet)
    assert shard_key(owner, 63) == TREE.index_key(63).public_key


def test_what_is_off_is_not_written(owner: Session, net: Net, clock: Clock) -> None:
    keep_index(owner)
    assert set_policy(owner, is_on=False).next_s is None
    clock.forward(days=40)
    assert keep_index(owner).written is None
    with pytest.raises(UsageError) as error:
        publish_index(owner)
    assert error.value.code == "wallet-index.off"
    assert told(net) == []
    set_policy(owner, is_on=True)
    assert keep_index(owner).written == 0


def test_a_book_that_cannot_be_read_keeps_no_identity_from_its_synchronization(owner: Session) -> None:
    owner.put_drawers(PutDrawer(None, DRAWER, cbor.encode({1: 9}), None))
    done = sync_wallet(owner, spread_s=0)
    assert len(done.reports) == 1
    assert done.shortfall is None
    assert done.index is not None
    assert done.index.error is not None
    assert done.index.error.code == "index-book.unknown-version"
    with pytest.raises(FormatError):
        show_index(owner)


def test_a_watch_wallet_has_no_keys_of_the_index(tmp_path: object) -> None:
    from pathlib import Path

    from tests.wallet.parts import SLOTS

    assert isinstance(tmp_path, Path)
    home = Home(str(tmp_path / "watch"))
    create_watch_wallet(home, SLOTS)
    with opened(home) as session:
        for attempt in (lambda: show_index(session), lambda: shard_key(session, 0)):
            with pytest.raises(SignerError) as error:
                attempt()
            assert error.value.code == "wallet.watch-only"


def test_named_relays_take_its_place_and_stay(owner: Session, net: Net) -> None:
    publish_index(owner, net.urls[:1])
    assert show_index(owner).shards[0].relays == (net.urls[0],)
    assert held(net.relays[0]) is not None
    assert held(net.relays[1]) is None
    assert "saw this machine's address" in show_index(owner).links[0]
    assert list_relays(owner.home) == net.urls
