"""A key signs two packets with one `seq`, each shown by another node of the DHT: who asks notices, and keeps both."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from tests.client.records import identity, key, record, unsigned
from tests.client.servers import Server, Shelf
from tests.client.test_mainline import entered_by
from tests.dht.strangers import Stranger, named, stranger
from walletcli.client.freshness import FreshnessMap, Seen
from walletcli.client.mainline import DhtSource
from walletcli.client.publish import publish
from walletcli.client.resolve import resolve
from walletcli.client.scan import scan, scan_apart
from walletcli.client.splits import SplitError
from walletcli.client.spread import look_up_each
from walletcli.core import bep44
from walletcli.core.packet import SignedPacket
from walletcli.dht.messages import Item
from walletcli.dht.writer import MAX_TWICE, signed_twice
from walletcli.errors import VerificationError
from walletcli.net.addresses import NodeAddress
from walletcli.net.tcp import TcpDialer

Relay = Callable[..., tuple[Shelf, Server]]

ALICE = identity("alice")
ONE, OTHER = record("alice", 100, profile={"name": "one"}), record("alice", 100, profile={"name": "other"})
BEFORE, AFTER = record("alice", 50), record("alice", 200)


@contextmanager
def nodes_with(*packets: SignedPacket) -> Iterator[NodeAddress]:
    """A DHT of as many nodes, each of which has another packet of Alice's and shows nothing else."""
    with ExitStack() as stack:
        found: list[Stranger] = []

        def showing(packet: SignedPacket) -> Callable[[Stranger, dict[bytes, Any], tuple[str, int]], None]:
            def reply(node: Stranger, query: dict[bytes, Any], address: tuple[str, int]) -> None:
                others = named(*(other.contact for other in found if other is not node))
                if query[b"q"] == b"get" and query[b"a"].get(b"seq", -1) < packet.seq:
                    more = {"k": packet.public_key, "sig": packet.signature, "v": packet.value}
                    node.answer(query, address, nodes=others, seq=packet.seq, **more)
                else:
                    node.answer(query, address, nodes=others)

            return reply

        for number, packet in enumerate(packets):
            found.append(stack.enter_context(stranger(showing(packet), bytes([16 * number + 1]) * 20)))
        yield entered_by(*(node.address for node in found))


def proven(memory: FreshnessMap) -> list[set[bytes]]:
    """Return the values of the packets of each split that is remembered."""
    return [{side.packet.value for side in proof.sides} for proof in memory.splits(ALICE.public_key)]


BOTH = {ONE.packet.value, OTHER.packet.value}


def test_the_dht_gives_both_sides(relay: Relay) -> None:
    with nodes_with(ONE.packet, OTHER.packet) as dht:
        found = DhtSource(dht, TcpDialer()).get_packets(ALICE.public_key)
    assert {packet.value for packet in found} == BOTH


def test_a_newcomer_takes_neither_and_keeps_the_proof() -> None:
    memory = FreshnessMap()
    with nodes_with(ONE.packet, OTHER.packet) as dht, pytest.raises(SplitError) as raised:
        resolve(ALICE, [dht], dialer=TcpDialer(), memory=memory)
    assert raised.value.code == "record.equivocation"
    assert proven(memory) == [BOTH]
    assert memory.get(ALICE.public_key) is None


@pytest.mark.parametrize("how", ["resolve", "scan", "scan apart", "each"])
def test_who_knows_the_state_before_stays_there_and_keeps_the_proof(relay: Relay, how: str) -> None:
    memory, dialer = FreshnessMap(), TcpDialer()
    memory.put(ALICE.public_key, Seen.of(BEFORE))
    shelf, server = relay()
    for item in (ONE, OTHER):
        shelf.put(item)
    shelf.packets.clear()
    with nodes_with(ONE.packet, OTHER.packet) as dht:
        places = [dht, server.address]
        if how == "resolve":
            found = resolve(ALICE, places, dialer=dialer, memory=memory)
        else:
            (scanned,) = {
                "scan": lambda: scan([ALICE], places, dialer=dialer, memory=memory),
                "scan apart": lambda: scan_apart([ALICE], places, dialer=dialer, memory=memory),
                "each": lambda: look_up_each({ALICE: places}, dialer=dialer, memory=memory),
            }[how]()
            assert scanned.resolution is not None
            found = scanned.resolution
    assert found.record == BEFORE
    assert [split.seq for split in found.open_splits] == [100]
    assert proven(memory) == [BOTH]
    (proof,) = memory.splits(ALICE.public_key)
    assert all(side.document is not None for side in proof.sides), "the relay has the documents of both"


def test_a_split_below_the_newest_packet_is_one_too() -> None:
    memory = FreshnessMap()
    with nodes_with(ONE.packet, AFTER.packet, OTHER.packet) as dht, pytest.raises(SplitError):
        resolve(ALICE, [dht], dialer=TcpDialer(), memory=memory)
    assert proven(memory) == [BOTH]


def test_who_publishes_one_side_is_told_of_the_other(relay: Relay) -> None:
    memory = FreshnessMap()
    _, server = relay()
    with nodes_with(ONE.packet, OTHER.packet) as dht, pytest.raises(VerificationError) as raised:
        publish(ONE, [dht, server.address], dialer=TcpDialer(), memory=memory)
    assert raised.value.code == "record.equivocation"
    assert proven(memory) == [BOTH]


def test_one_packet_at_many_nodes_and_older_ones_are_no_split() -> None:
    memory = FreshnessMap()
    with nodes_with(ONE.packet, BEFORE.packet, ONE.packet) as dht:
        found = DhtSource(dht, TcpDialer()).get_packets(ALICE.public_key)
        resolve(ALICE, [dht], dialer=TcpDialer(), memory=memory)
    assert found == (ONE.packet,)
    assert proven(memory) == []


# --- what is signed twice


def item(value: bytes, seq: int = 1, name: str = "alice", signature: bytes | None = None) -> Item:
    signed = signature or key(name).sign(bep44.signable(seq, value))
    return Item(key(name).public_key, seq, signed, value)


@pytest.mark.parametrize(
    "others",
    [
        [],
        [item(b"b", seq=2)],
        [item(b"b", signature=bytes(64))],
        [item(b"b", name="mallory")],
        [Item(key("alice").public_key, 1, item(b"b", name="mallory").signature, b"b")],
        [item(b"a", signature=bytes(64)), item(b"b", signature=bytes(64)), item(b"c", signature=bytes(64))],
    ],
)
def test_only_two_values_that_the_key_has_signed_are_two(others: list[Item]) -> None:
    assert signed_twice(ALICE.public_key, [item(b"a"), *others]) == ()


def test_forged_copies_hide_no_side() -> None:
    forged = [item(value, signature=bytes([number]) * 64) for value in (b"a", b"b") for number in range(1, 9)]
    assert signed_twice(ALICE.public_key, [*forged, item(b"b"), item(b"a")]) == (item(b"a"), item(b"b"))


def test_of_many_the_highest_are_told() -> None:
    items = [item(value, seq) for seq in range(1, 6) for value in (b"a", b"b", b"c")]
    assert [found.seq for found in signed_twice(ALICE.public_key, items)] == [5, 5, 4, 4][: 2 * MAX_TWICE]


@pytest.mark.parametrize(
    "twice",
    [
        "null", "3", '"00"', "[3]", '["zz"]', '["00"]', f'["{unsigned(OTHER.packet).hex()}"]',
        f'["{record("mallory", 100).packet.to_relay_payload().hex()}"]',
        f'["{ONE.packet.to_relay_payload().hex()}"]', "[" + ",".join(['"00"'] * 40) + "]",
    ],
)  # fmt: skip
def test_what_the_process_says_of_splits_is_verified(twice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    said = f'{{"id": 1, "answered": 1, "payload": "{ONE.packet.to_relay_payload().hex()}", "twice": {twice}}}'
    program = f"import sys\nsys.stdin.readline()\nprint({said!r}, flush=True)\nsys.stdin.read()\n"
    start = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda _, **how: start([sys.executable, "-c", program], **how))
    dht = NodeAddress.from_relay_text("dht://127.0.0.1:9")
    assert DhtSource(dht, TcpDialer()).get_packets(ALICE.public_key) == (ONE.packet,)
