"""Many identities on a swarm: each on eight nodes, found, and found again when most of the nodes have died."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import pytest

from tests.dht.swarm import joined, new_key, signed, swarm_of
from walletcli.dht.messages import Item
from walletcli.node.run import new_loop

AT_ONCE = 8
_S = TypeVar("_S")
_T = TypeVar("_T")


async def each(of: Sequence[_S], do: Callable[[_S], Awaitable[_T]]) -> list[_T]:
    """Do something with each, some at once."""
    limit = asyncio.Semaphore(AT_ONCE)

    async def one(item: _S) -> _T:
        async with limit:
            return await do(item)

    return await asyncio.gather(*(one(item) for item in of))


async def published_found_and_found_after_churn(nodes: int, identities: int) -> None:
    """Publish, find, kill half, put again what was found, without a key, kill a quarter of the rest, find again."""
    items = [signed(new_key(), b"record %d" % number * 20) for number in range(identities)]
    with swarm_of(nodes) as swarm:
        async with joined(swarm.addresses) as publisher:
            copies = Counter(kept.stored for kept in await each(items, publisher.put))
            assert copies == {8: identities}, f"on so many nodes (so many identities): {dict(copies)}"
        async with joined(swarm.addresses) as keeper:
            found = await each(items, lambda item: keeper.get(item.key))
            assert found == items
            swarm.kill(nodes // 2)
            kept = await each([item for item in found if item is not None], keeper.keep)
            had = sum(result.had for result in kept) / identities
            assert 2 < had < 6, "about half of the copies were left"
            assert min(result.stored for result in kept) >= 7
        swarm.kill(nodes // 8)
        async with joined(swarm.addresses) as newcomer:
            assert await each(items, lambda item: find(newcomer.get, item)) == items


async def find(get: Callable[[bytes], Awaitable[Item | None]], item: Item) -> Item | None:
    """Look for an item, and once more if it is not found: nodes that have just died cost time."""
    return await get(item.key) or await get(item.key)


def play(nodes: int, identities: int) -> None:
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(published_found_and_found_after_churn(nodes, identities))


def test_a_hundred_identities_on_forty_nodes_are_each_on_eight_and_outlive_most_of_them() -> None:
    play(40, 100)


@pytest.mark.soak
def test_a_thousand_identities_on_a_hundred_nodes_are_each_on_eight_and_outlive_most_of_them() -> None:
    play(100, 1000)


def test_an_item_kept_alive_costs_eight_questions_eight_puts_and_little_more() -> None:
    """What docs/scaling.md reckons with."""
    items = [signed(new_key(), b"v" * 400) for _ in range(40)]

    async def story() -> None:
        async with joined(swarm.addresses) as ours:
            await each(items, ours.keep)  # it has met everybody now
            traffic = ours.traffic[0]
            before = replace(traffic)
            await each(items, ours.keep)
            sent = traffic.asked + traffic.sent_again - before.asked - before.sent_again
            assert 16 <= sent / len(items) <= 24
            bytes_both_ways = traffic.sent_bytes + traffic.received_bytes - before.sent_bytes - before.received_bytes
            assert 8 * 400 < bytes_both_ways / len(items) < 14_000

    with swarm_of(30) as swarm:
        asyncio.run(story())
