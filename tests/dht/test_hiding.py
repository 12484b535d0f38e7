"""Somebody wants to keep a key from being found: nodes near it that lie or are silent, and tables full of nobody."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest

from tests.dht.strangers import Reply, Stranger, named, stranger
from tests.dht.swarm import Swarm, joined, new_key, signed, swarm_of
from walletcli.dht import look_up
from walletcli.dht.contacts import Contact
from walletcli.dht.endpoint import Endpoint
from walletcli.dht.messages import Item
from walletcli.dht.writer import Writer

SYBILS = 12
"""More than any look-up needs to be satisfied."""


def silent(node: Stranger, query: dict[bytes, Any], address: Any) -> None:
    """Lie in the way, and never answer."""


def forgetful(others: list[Contact]) -> Reply:
    """Answer as a decent node that has nothing, names others of one's kind, and says that it stores."""
    return lambda node, query, address: node.answer(query, address, nodes=named(*others[:8]))


def lying(item: Item, others: list[Contact]) -> Reply:
    """The same, and give a newer item that nobody signed."""
    forged = replace(item, seq=item.seq + 5, value=b"a lie")

    def reply(node: Stranger, query: dict[bytes, Any], address: Any) -> None:
        values = {"k": forged.key, "seq": forged.seq, "sig": forged.signature, "v": forged.value}
        node.answer(query, address, nodes=named(*others[:8]), **values)

    return reply


def stale(item: Item, others: list[Contact]) -> Reply:
    """The same, and give an older item of the owner's."""

    def reply(node: Stranger, query: dict[bytes, Any], address: Any) -> None:
        values = {"k": item.key, "seq": item.seq, "sig": item.signature, "v": item.value}
        node.answer(query, address, nodes=named(*others[:8]), **values)

    return reply


@contextlib.contextmanager
def besieged(swarm: Swarm, target: bytes, reply: Callable[[list[Contact]], Reply]) -> Iterator[list[Stranger]]:
    """Nodes whose ids were chosen to be nearest to the target, and which the whole swarm was told about."""
    others: list[Contact] = []
    with ExitStack() as stack:
        sybils = [
            stack.enter_context(stranger(reply(others), target[:18] + bytes([target[18] ^ 1, number])))
            for number in range(SYBILS)
        ]
        others += [sybil.contact for sybil in sybils]
        for node in swarm.nodes.values():
            for sybil in sybils:
                node.add_dht_node(sybil.address)
        yield sybils


@pytest.fixture
def swarm() -> Iterator[Swarm]:
    """Twenty libtorrent nodes for one test: what they are told about others stays with them."""
    with swarm_of(20) as found:
        yield found


@pytest.fixture
def chosen_ids(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], None]:
    """Have ids near a target count as chosen, as they do on addresses that are public."""

    def set_target(target: bytes) -> None:
        monkeypatch.setattr(look_up, "fits_address", lambda node_id, host: node_id[:18] != target[:18])

    return set_target


@pytest.mark.parametrize("kind", ["silent", "forgetful", "lying", "stale"])
def test_a_key_is_found_though_all_nodes_next_to_it_are_somebodys(
    swarm: Swarm, kind: str, chosen_ids: Callable[[bytes], None]
) -> None:
    key = new_key()
    old, item = signed(key, b"old", 5), signed(key, b"true", 7)
    chosen_ids(item.target)
    replies: dict[str, Callable[[list[Contact]], Reply]] = {
        "silent": lambda others: silent,
        "forgetful": forgetful,
        "lying": lambda others: lying(item, others),
        "stale": lambda others: stale(old, others),
    }

    async def story() -> None:
        with besieged(swarm, item.target, replies[kind]) as sybils:
            everybody = [Contact(None, address) for address in swarm.addresses] + [sybil.contact for sybil in sybils]
            endpoint = await Endpoint.open("127.0.0.1", 0, private=True)
            with contextlib.closing(Writer(endpoint, seeds=lambda: everybody)) as writer:
                assert (await writer.put(item, counted=True)).stored >= 7
                assert (await writer.get(item.key))[0] == item
                async with joined([*swarm.addresses, *(sybil.address for sybil in sybils)]) as reader:
                    found = await reader.get(item.key)
                    assert found == item or (kind == "stale" and found == old)  # libtorrent's, if it met nobody else
                assert all(sybil.asked for sybil in sybils)

    asyncio.run(story())


def test_where_ids_cannot_be_told_apart_a_siege_is_seen_in_the_count(swarm: Swarm) -> None:
    item = signed(new_key())

    async def story() -> None:
        with besieged(swarm, item.target, forgetful) as sybils:
            endpoint = await Endpoint.open("127.0.0.1", 0, private=True)
            seeds = [sybil.contact for sybil in sybils]
            with contextlib.closing(Writer(endpoint, seeds=lambda: seeds)) as writer:
                assert (await writer.put(item, counted=False)).stored == 8  # they all say so
                assert (await writer.put(item, counted=True)).stored == 0

    asyncio.run(story())


def test_a_table_full_of_nodes_that_do_not_exist_hides_nothing(swarm: Swarm) -> None:
    """Those that name them are many, and what they name lies nearer to the target than anybody."""
    item = signed(new_key())
    far = bytes([item.target[0] ^ 0xFF])

    def poison(node: Stranger, query: dict[bytes, Any], address: Any) -> None:
        made_up = [
            Contact(item.target[:12] + node.node_id[:7] + bytes([number]), (f"127.9.{node.node_id[1]}.{number + 1}", 9))
            for number in range(8)
        ]
        node.answer(query, address, nodes=named(*made_up))

    async def story() -> None:
        with ExitStack() as stack:
            liars = [stack.enter_context(stranger(poison, far + bytes([number]) * 19)) for number in range(1, 7)]
            seeds = [Contact(None, address) for address in (*(liar.address for liar in liars), *swarm.addresses[:4])]
            endpoint = await Endpoint.open("127.0.0.1", 0, private=True)
            with contextlib.closing(Writer(endpoint, seeds=lambda: seeds)) as writer:
                assert (await writer.put(item, counted=True)).stored >= 7
                assert (await writer.get(item.key))[0] == item
            assert all(liar.asked for liar in liars)

    asyncio.run(story())


def test_beyond_capacity_all_say_that_they_store_and_the_count_says_that_they_do_not() -> None:
    capacity, items_put = 5, 40
    with swarm_of(10, dht_max_dht_items=capacity) as full:

        async def story() -> None:
            async with joined(full.addresses) as ours:
                items = [signed(new_key(), b"%d" % number) for number in range(items_put)]
                claimed = [(await ours.keep(item)).stored for item in items]
                assert min(claimed) >= 7
                held = [await ours.count(item) for item in items]
                assert sum(held) <= (capacity + 1) * len(full.nodes)  # and one in the making
                again = [await ours.keep(item) for item in items]
                missing = sum(kept.nearest - kept.had for kept in again)
                assert missing > items_put  # what the rounds adapt to

        asyncio.run(story())
