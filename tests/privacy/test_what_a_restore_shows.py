"""Plays the observer of a restore: relays that log everything, together or alone, and a node of the DHT.

What each learns is written down in docs/security/threat-model.md, "What a restore shows"; here it is measured.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.client.servers import Conversation, Server, Shelf
from tests.dht.strangers import Stranger, stranger
from tests.node.local import LocalNode, running
from tests.wallet.parts import WORDS
from tests.wallet.recovery.parts import Lost, published, tree_of
from walletcli.client.publish import publish
from walletcli.core.encodings import z32_decode
from walletcli.core.keys import Scheme
from walletcli.core.packet import SignedPacket
from walletcli.core.record import Record
from walletcli.core.wallet_index import Ranges, ShardContent, seal_shard
from walletcli.dht.contacts import Address
from walletcli.net.addresses import NodeAddress
from walletcli.net.tcp import TcpDialer
from walletcli.wallet.recovery.report import Report
from walletcli.wallet.recovery.story import journal_of, recover

TREE = tree_of(WORDS)
STRANGERS = tree_of("zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo wrong")
OWN = (2, 3, 9, 14)
"""Identities of the owner."""

SPREAD_S = 3600


@dataclass(frozen=True)
class Seen:
    """A request in an observer's log.

    Attributes:
        at_s: when, by the clock of the test.
        connection: number of the connection that it came over.
        method: of the request.
        path: the same.
    """

    at_s: float
    connection: int
    method: str
    path: str

    @property
    def key(self) -> bytes | None:
        """The key that was asked for, or None if it was a document or a sample."""
        return z32_decode(self.path[1:], 32) if len(self.path) == 53 else None


@dataclass
class Clock:
    """Time that passes only where a restore waits."""

    now_s: float = 0.0

    def pause(self, wait_s: float) -> None:
        self.now_s += wait_s


@dataclass
class Observer:
    """A relay that logs everything and does as it should.

    Args:
        clock: what its log goes by.
    """

    clock: Clock
    shelf: Shelf = field(default_factory=Shelf)
    log: list[Seen] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.server = Server(self._converse)
        self.url = self.server.address.to_text()

    def _converse(self, conversation: Conversation) -> None:
        while (asked := conversation.read()) is not None:
            self.log.append(Seen(self.clock.now_s, conversation.number, asked.method, asked.path))
            conversation.answer(*self.shelf.decide(asked))

    @property
    def looked_up(self) -> list[Seen]:
        """The first request for each key, in order, before anything is published."""
        first: dict[bytes, Seen] = {}
        for seen in self.log:
            if seen.method == "PUT":
                break
            if seen.key is not None:
                first.setdefault(seen.key, seen)
        return list(first.values())

    @property
    def keys(self) -> list[bytes]:
        return [seen.key for seen in self.looked_up if seen.key is not None]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def observers(clock: Clock) -> Iterator[list[Observer]]:
    """Three relays that hold the owner's records and a stranger's dozen, and name four strangers each."""
    found = [Observer(clock) for _ in range(3)]
    records = [published(TREE, index, f"name {index}") for index in OWN]
    records += [published(STRANGERS, index) for index in range(12)]
    for number, observer in enumerate(found):
        for record in records:
            observer.shelf.put(record)
        named = range(number * 4, number * 4 + 4)
        observer.shelf.sample = b"".join(STRANGERS.root(index).public_key for index in named)
    yield found
    for observer in found:
        observer.server.close()


def shard() -> SignedPacket:
    content = ShardContent({Scheme.WALLETCLI: Ranges.of(OWN)}, 1)
    return seal_shard(TREE.index_key(0), 0, content, 7, os.urandom)


def own(*indices: int) -> set[bytes]:
    return {TREE.root(index).public_key for index in indices}


def strangers(indices: range) -> set[bytes]:
    return {STRANGERS.root(index).public_key for index in indices}


def restored(directory: Path, clock: Clock, urls: list[str], name: str = "new", **wish: Any) -> Report:
    """Restore from the words alone, and go on until the records would be published."""
    lost = Lost(directory)
    with lost.begin(*urls, name=name, **wish) as session:
        return recover(session, journal_of(session), pause=clock.pause, timeout_s=5.0)


def with_index(observers: list[Observer]) -> None:
    for observer in observers:
        observer.shelf.packets[TREE.index_key(0).public_key] = shard()


def test_with_an_index_all_relays_together_see_keys_in_use_and_those_just_beyond(
    tmp_path: Path, clock: Clock, observers: list[Observer]
) -> None:
    with_index(observers)
    report = restored(tmp_path, clock, [observer.url for observer in observers], spread_s=SPREAD_S)
    assert report.is_complete, report.to_json()
    for observer in observers:
        assert observer.keys[0] == TREE.index_key(0).public_key, "the index, alone and first"
        assert set(observer.keys[1:]) == own(*OWN, 15, 16, 17, 0, 1, 4)


def test_with_an_index_and_nothing_beyond_no_key_of_tomorrow_is_shown(
    tmp_path: Path, clock: Clock, observers: list[Observer]
) -> None:
    with_index(observers)
    restored(tmp_path, clock, [observer.url for observer in observers], spread_s=SPREAD_S, beyond=0)
    for observer in observers:
        assert set(observer.keys[1:]) == own(*OWN)


def test_each_identity_has_a_connection_and_an_instant_of_its_own(
    tmp_path: Path, clock: Clock, observers: list[Observer]
) -> None:
    with_index(observers)
    restored(tmp_path, clock, [observer.url for observer in observers], spread_s=SPREAD_S)
    for observer in observers:
        by_connection: dict[int, set[bytes]] = {}
        for seen in observer.log:
            if seen.key is not None:
                by_connection.setdefault(seen.connection, set()).add(seen.key)
        assert {len(keys) for keys in by_connection.values()} == {1}, "no connection is for two"
        instants = [seen.at_s for seen in observer.looked_up]
        assert len(set(instants)) == len(instants) == 1 + 4 + 3 + 3
        assert instants == sorted(instants)
        assert max(instants) <= SPREAD_S
        buckets = Counter(int(at_s // 60) for at_s in instants)
        assert len(buckets) > 3, "10 of 60 minutes"


def test_the_order_says_nothing_about_places_in_the_key_tree(
    tmp_path: Path, clock: Clock, observers: list[Observer]
) -> None:
    with_index(observers)
    orders = set()
    for number in range(8):
        observers[0].log.clear()
        restored(tmp_path, clock, [observers[0].url], f"home {number}", spread_s=60, beyond=0, sources=3)
        orders.add(tuple(observers[0].keys[1:]))
        assert set(observers[0].keys[1:]) == own(*OWN)
    assert len(orders) > 2, "of 24 orders"


def test_a_search_shows_twenty_keys_of_tomorrow_and_relays_that_compare_find_out_which_are_the_owners(
    tmp_path: Path, clock: Clock, observers: list[Observer]
) -> None:
    restored(tmp_path, clock, [observer.url for observer in observers], scan=True, spread_s=SPREAD_S)
    asked, tomorrow = own(*range(35)), own(*range(15, 35))
    named: set[bytes] = set()
    for number, observer in enumerate(observers):
        decoys = strangers(range(12)) - strangers(range(number * 4, number * 4 + 4))
        assert tomorrow <= set(observer.keys), "what is not in use yet cannot be hidden among what is"
        alive = {key for key in observer.keys if key in observer.shelf.packets}
        assert alive == own(*OWN) | decoys, "alone, a relay sees four that are the owner's among eight that are not"
        named |= strangers(range(number * 4, number * 4 + 4))
    together = {key for observer in observers for key in observer.keys} - named
    assert together == asked, "together they take the decoys out"


def test_decoys_stand_where_the_owners_keys_stand(tmp_path: Path, clock: Clock, observers: list[Observer]) -> None:
    restored(tmp_path, clock, [observer.url for observer in observers], scan=True, spread_s=0)
    for observer in observers:
        marks = [key in strangers(range(12)) for key in observer.keys[:28]]
        assert 8 == sum(marks) == sum(key in strangers(range(12)) for key in observer.keys)
        assert marks not in (sorted(marks), sorted(marks, reverse=True)), "not before the others, nor behind them"
        connections = Counter(seen.connection for seen in observer.looked_up)
        assert set(connections.values()) == {1}


def test_together_each_relay_sees_that_all_belong_together(
    tmp_path: Path, clock: Clock, observers: list[Observer]
) -> None:
    with_index(observers)
    restored(tmp_path, clock, [observer.url for observer in observers], together=True, beyond=0)
    for observer in observers:
        connections = {seen.connection for seen in observer.looked_up if seen.key in own(*OWN)}
        assert len(connections) == 1


def log_targets(node: Stranger, query: dict[bytes, Any], address: Address) -> None:
    """Answer as a node does that has nothing; its log is what counts."""
    node.answer(query, address)


def targets(node: Stranger) -> set[bytes]:
    return {query[b"a"][b"target"] for query in node.asked if query[b"q"] == b"get"}


def target_of(key: bytes) -> bytes:
    return hashlib.sha1(key, usedforsecurity=False).digest()


@pytest.fixture
def dht_observer() -> Iterator[Stranger]:
    with stranger(log_targets) as node:
        yield node


@pytest.fixture
def relay_in_dht(tmp_path: Path, dht_observer: Stranger) -> Iterator[LocalNode]:
    """A real node, joined to a DHT whose one other member logs what it is asked for; it holds the owner's records."""
    host, port = dht_observer.address[:2]
    settings = (
        '\n[dht]\njoin = "yes"\nprivate = true\nlisten = ["127.0.0.1:0"]\nwriter_port = 0\nbootstrap = []\n'
        f'peers = ["{host}:{port}"]\n'
    )
    with running(tmp_path / "node", settings) as node:
        relay = NodeAddress.from_text(node.url)
        for record in [*(published(TREE, index) for index in OWN), Record(shard(), None)]:
            publish(record, [relay], dialer=TcpDialer(), copies=1)
        yield node


@pytest.mark.parametrize(
    ("wish", "shown"),
    [({"beyond": 0}, ()), ({}, (0, 1, 4, 15, 16, 17)), ({"scan": True}, tuple(i for i in range(35) if i not in OWN))],
)
def test_a_node_of_the_dht_sees_what_the_relay_lacks(
    tmp_path: Path,
    clock: Clock,
    relay_in_dht: LocalNode,
    dht_observer: Stranger,
    wish: dict[str, Any],
    shown: tuple[int, ...],
) -> None:
    before = targets(dht_observer)
    restored(tmp_path, clock, [relay_in_dht.url], sources=3, **wish)
    every = {target_of(key): index for index, key in enumerate(TREE.root_public_keys(0, 50))}
    seen = {every[target] for target in targets(dht_observer) - before if target in every}
    assert seen == set(shown)


def test_disks_of_all_relays_do_not_tell_whose_a_shard_is() -> None:
    """An observer with every packet finds no byte of an identity in a shard, nor a difference between wallets."""
    shards = [
        seal_shard(
            TREE.index_key(number),
            number,
            ShardContent({Scheme.WALLETCLI: Ranges.of(range(count))} if count else {}, 1 if number == 0 else None),
            1_700_000_000_000_000 + number,
            os.urandom,
        )
        for number, count in ((0, 0), (0, 1), (0, 1000), (1, 1000))
    ]
    assert {len(packet.value) for packet in shards} == {996}
    forms = {packet.value[:12] + packet.value[65:77] for packet in shards}
    assert len(forms) == 1, "header, type, class, time to live and lengths are the same for all"
    for packet in shards:
        sealed = packet.value[77:]
        assert not any(TREE.root(index).public_key[:6] in sealed for index in range(100))
        assert max(Counter(sealed).values()) < 25, "no byte stands out"
