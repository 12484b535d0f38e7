"""Pre-signed items in a DHT of strangers: put, counted, found, refused."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.client.records import foreign_packet, identity
from tests.dht.swarm import NpmNodes, Swarm, joined, new_key, npm_nodes, signed, swarm_of, until
from walletcli.core.encodings import z32_decode, z32_encode
from walletcli.core.packet import SignedPacket
from walletcli.dht.contacts import Contact
from walletcli.dht.endpoint import Endpoint
from walletcli.dht.mainline import Mainline
from walletcli.dht.messages import Item
from walletcli.dht.settings import Settings
from walletcli.dht.writer import Writer
from walletcli.errors import NetworkError, VerificationError

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "bep44.json").read_text())["vectors"]


def test_an_item_is_found_by_another_member_on_eight_nodes(swarm: Swarm) -> None:
    async def story() -> None:
        async with joined(swarm.addresses) as ours, joined(swarm.addresses) as theirs:
            item = signed(new_key(), b"x" * 996, 2**63 - 1)
            assert (await ours.put(item)).stored == 8
            assert await theirs.get(item.key) == item
            assert await theirs.count(item) >= 6  # its own member, or ours, may be one of the eight

    asyncio.run(story())


def test_the_published_item_without_salt_is_stored_as_it_is(swarm: Swarm) -> None:
    vector = VECTORS[0]
    value = vector["value"].encode()
    item = Item(bytes.fromhex(vector["public_key"]), vector["seq"], bytes.fromhex(vector["signature"]), value)
    assert item.target.hex() == vector["target"]

    async def story() -> None:
        async with joined(swarm.addresses) as ours:
            assert (await ours.put(item)).stored == 8
            assert await ours.get(item.key) == item

    asyncio.run(story())


def test_the_published_item_with_salt_is_not_one_of_ours(swarm: Swarm) -> None:
    vector = VECTORS[1]
    value = vector["value"].encode()
    item = Item(bytes.fromhex(vector["public_key"]), vector["seq"], bytes.fromhex(vector["signature"]), value)
    with pytest.raises(VerificationError):
        item.check()

    async def story() -> None:
        async with joined(swarm.addresses) as ours:
            kept = await ours.put(item)
            assert kept.stored == 0
            assert set(kept.refused) <= {206}

    asyncio.run(story())


def test_nothing_is_found_for_a_key_that_nobody_put(swarm: Swarm) -> None:
    async def story() -> None:
        async with joined(swarm.addresses) as ours:
            assert await ours.get(bytes(new_key().verify_key)) is None

    asyncio.run(story())


def test_a_newer_item_replaces_an_older_one_and_never_the_other_way(swarm: Swarm) -> None:
    key = new_key()
    old, new = signed(key, b"old", 5), signed(key, b"new", 6)

    async def story() -> None:
        async with joined(swarm.addresses) as ours:
            await ours.put(old)
            assert (await ours.put(new)).stored == 8
            with pytest.raises(VerificationError) as refused:
                await ours.put(old)
            assert refused.value.code == "dht.newer-exists"
            assert (await ours.keep(old)).newer == new
            assert await ours.count(old) == 0
            assert await ours.get(new.key) == new

    asyncio.run(story())


def test_another_value_under_the_same_seq_does_not_count(swarm: Swarm) -> None:
    key = new_key()

    async def story() -> None:
        async with joined(swarm.addresses) as ours:
            await ours.put(signed(key, b"one", 5))
            assert (await ours.put(signed(key, b"two", 5))).stored == 0

    asyncio.run(story())


@pytest.mark.parametrize("change", [{"value": b"other"}, {"seq": 2}, {"signature": bytes(64)}])
def test_a_tampered_item_is_stored_nowhere(swarm: Swarm, change: dict[str, Any]) -> None:
    item = replace(signed(new_key()), **change)

    async def story() -> None:
        async with joined(swarm.addresses) as ours:
            kept = await ours.put(item)
            assert kept.stored == 0
            assert set(kept.refused) <= {206}
            assert await ours.get(item.key) is None

    asyncio.run(story())


def test_compare_and_swap_holds(swarm: Swarm) -> None:
    key = new_key()

    async def story() -> None:
        async with joined(swarm.addresses) as ours:
            await ours.put(signed(key, b"1", 1))
            with pytest.raises(NetworkError) as refused:
                await ours.put(signed(key, b"3", 3), cas=2)
            assert refused.value.code == "dht.precondition"
            assert (await ours.put(signed(key, b"3", 3), cas=1)).stored == 8

    asyncio.run(story())


def test_a_value_over_the_limit_is_refused_with_205(swarm: Swarm) -> None:
    async def story() -> None:
        async with joined(swarm.addresses) as ours:
            kept = await ours.put(signed(new_key(), b"x" * 997))
            assert kept.stored == 0
            assert set(kept.refused) == {205}

    asyncio.run(story())


def test_without_any_node_putting_says_so() -> None:
    async def story() -> None:
        endpoint = await Endpoint.open("127.0.0.1", 0, private=True)
        with contextlib.closing(Writer(endpoint)) as writer:
            assert (await writer.put(signed(new_key()), counted=True)).nearest == 0
            assert await writer.get(bytes(32)) == (None, 0, ())

    asyncio.run(story())


def test_a_member_whose_address_is_taken_says_so(swarm: Swarm) -> None:
    async def story() -> None:

        async with joined(swarm.addresses) as ours:
            taken = ours.session.addresses[0]
            with pytest.raises(NetworkError) as refused:
                await Mainline.join(Settings((taken,), bootstrap=(), private=True))
            assert refused.value.code == "dht.listen"

    asyncio.run(story())


def test_saved_routing_state_brings_a_member_back_without_help(swarm: Swarm) -> None:
    async def story() -> None:
        async with joined(swarm.addresses) as ours:
            item = signed(new_key())
            assert (await ours.put(item)).stored == 8
            state = ours.save()
        async with joined(
            (),
        ) as empty:
            assert await empty.get(item.key) is None

        back = await Mainline.join(Settings((("127.0.0.1", 0),), bootstrap=(), private=True), state)
        try:
            await until(lambda: back.session.nodes >= 4)
            assert await back.get(item.key) == item
        finally:
            await back.close()

    asyncio.run(story())


@pytest.mark.parametrize("state", [b"", b"garbage", b"d9:dht statei1ee", b"d" * 300_000])
def test_damaged_routing_state_is_not_used(state: bytes) -> None:
    async def story() -> None:

        ours = await Mainline.join(Settings((("127.0.0.1", 0),), bootstrap=(), private=True), state)
        assert ours.session.nodes == 0
        await ours.close()

    asyncio.run(story())


def test_half_the_nodes_killed_and_a_keyless_republish_and_more_killed_loses_nothing() -> None:
    with swarm_of(24) as swarm:

        async def story() -> None:
            async with joined(swarm.addresses) as ours:
                items = [signed(new_key(), b"item %d" % number) for number in range(20)]
                for item in items:
                    assert (await ours.put(item)).stored == 8
                swarm.kill(12)
                kept = [await ours.keep(item) for item in items]
                assert min(result.stored for result in kept) >= 6
                assert sum(result.had for result in kept) < 8 * len(items)
                swarm.kill(4)
                async with joined(swarm.addresses) as reader:
                    for item in items:
                        assert await reader.get(item.key) == item

        asyncio.run(story())


@pytest.fixture(scope="module")
def npm(swarm: Swarm) -> Any:
    """Six of npm's nodes beside libtorrent's."""
    with npm_nodes(6, swarm.addresses[:4]) as nodes:
        yield nodes


def test_npm_finds_what_we_put(swarm: Swarm, npm: NpmNodes) -> None:
    item = signed(new_key(), b"for npm", 7)

    async def story() -> None:
        async with joined([*npm.addresses, *swarm.addresses]) as ours:
            assert (await ours.put(item)).stored >= 8
            found = await asyncio.to_thread(lambda: npm.ask({"get": item.key.hex()}))
            assert found == {
                "key": item.key.hex(), "seq": 7, "signature": item.signature.hex(), "value": item.value.hex(),
            }  # fmt: skip

    asyncio.run(story())


def test_we_find_what_npm_put(swarm: Swarm, npm: NpmNodes) -> None:
    put = npm.ask({"put": "from npm", "seq": 3})

    async def story() -> None:
        async with joined([*npm.addresses, *swarm.addresses]) as ours:
            found = await ours.get(bytes.fromhex(put["key"]))
            assert found is not None
            assert (found.seq, found.value) == (3, b"from npm")
            assert await ours.count(found) > 0

    asyncio.run(story())


def test_npm_pkarr_reads_from_the_dht_what_we_put(swarm: Swarm, npm: NpmNodes) -> None:
    packet = foreign_packet("alice", 7, text=b"for pkarr")
    item = Item(packet.public_key, packet.seq, packet.signature, packet.value)

    async def story() -> None:
        async with joined([*npm.addresses, *swarm.addresses]) as ours:
            assert (await ours.put(item)).stored >= 8
            found = await asyncio.to_thread(lambda: npm.ask({"pkarr get": identity("alice").z32}))
            assert found["payload"] == packet.to_relay_payload().hex()
            assert [text for _, text in found["texts"]] == ["for pkarr"]

    asyncio.run(story())


def test_we_read_what_npm_pkarr_put_into_the_dht_and_put_it_again(swarm: Swarm, npm: NpmNodes) -> None:
    put = npm.ask({"pkarr put": "from pkarr", "seq": 1_700_000_000_000_000})
    assert put["nodes"] > 0
    key = z32_decode(put["z32"], 32)

    async def story() -> None:
        async with joined([*npm.addresses, *swarm.addresses]) as ours:
            found = await ours.get(key)
            assert found is not None
            payload = found.signature + found.seq.to_bytes(8, "big") + found.value
            assert payload.hex() == put["payload"]
            assert SignedPacket.from_relay_payload(key, payload).seq == put["seq"]
            assert (await ours.put(found)).stored >= 6  # npm's nodes refuse some of what they have already

    asyncio.run(story())


@pytest.mark.parametrize("change", [{"value": b"other"}, {"signature": bytes(64)}])
def test_npm_pkarr_does_not_read_what_was_tampered_with(swarm: Swarm, npm: NpmNodes, change: dict[str, Any]) -> None:
    item = replace(signed(new_key()), **change)

    async def story() -> None:
        async with joined([*npm.addresses, *swarm.addresses]) as ours:
            assert (await ours.put(item)).stored == 0
            assert await asyncio.to_thread(lambda: npm.ask({"pkarr get": z32_encode(item.key)})) is None

    asyncio.run(story())


def test_a_dht_of_npm_alone_takes_refuses_and_counts_the_same(npm: NpmNodes) -> None:
    key = new_key()
    with npm_nodes(10, []) as alone, npm_nodes(2, alone.addresses[:1]) as more:

        async def story() -> None:
            endpoint = await Endpoint.open("127.0.0.1", 0, private=True)
            seeds = [Contact(None, address) for address in (*alone.addresses, *more.addresses)]
            with contextlib.closing(Writer(endpoint, seeds=lambda: seeds)) as writer:
                item = signed(key, b"one", 5)
                assert (await writer.put(item, counted=True)).stored == 8
                again = await writer.put(item, counted=True)  # npm says 302 to the same item
                assert again.stored == 8
                assert (await writer.put(signed(key, b"two", 5), counted=True)).stored == 0
                assert (await writer.put(signed(key, b"low", 4), counted=True)).newer == item
                refused = await writer.put(signed(key, b"six", 6), cas=4, counted=True)
                assert (refused.stored, set(refused.refused)) == (0, {301})
                too_long = await writer.put(signed(new_key(), b"x" * 1001), counted=True)
                assert (too_long.stored, set(too_long.refused)) == (0, {205})
                forged = replace(signed(new_key()), signature=bytes(64))
                assert (await writer.put(forged, counted=True)).stored == 0

        asyncio.run(story())
