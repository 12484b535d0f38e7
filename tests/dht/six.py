"""Runs in a network namespace of its own: a DHT over IPv6, on an address that looks like a public one.

``unshare --map-root-user --net python -m tests.dht.six`` prints one line of JSON. Nothing leaves the namespace: it has
no interface but its loopback.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
from collections.abc import AsyncIterator, Sequence

from tests.dht.swarm import Swarm, new_key, signed, swarm_of, until
from walletcli.dht.contacts import Address
from walletcli.dht.mainline import Mainline
from walletcli.dht.settings import Settings

SIX = "2001:4860:4860::1"
FOUR = "127.0.0.1"


@contextlib.asynccontextmanager
async def joined(listen: Sequence[str], peers: Sequence[Address]) -> AsyncIterator[Mainline]:
    """A member on some addresses."""
    settings = Settings(tuple((host, 0) for host in listen), bootstrap=(), peers=tuple(peers), private=True)
    mainline = await Mainline.join(settings)
    try:
        await until(lambda: mainline.session.nodes >= 4)
        yield mainline
    finally:
        await mainline.close()


async def story(six: Swarm, four: Swarm) -> dict[str, object]:
    """Put, count and read over IPv6, and over both versions at once."""
    item, other = signed(new_key(), b"over six"), signed(new_key(), b"over both")
    async with joined([SIX], six.addresses) as ours, joined([SIX], six.addresses) as theirs:
        stored = (await ours.put(item)).stored
        read = await theirs.get(item.key) == item
        counted = await theirs.count(item)
        saved = ours.save()
    async with joined([FOUR, SIX], [*six.addresses, *four.addresses]) as both:
        kept = await both.put(other)
        writers = [writer.endpoint.address[0] for writer in both._writers]
        async with joined([SIX], six.addresses) as on_six, joined([FOUR], four.addresses) as on_four:
            read_by = [await member.get(other.key) == other for member in (on_six, on_four)]
            missing = await on_four.get(item.key) is None
    back = await Mainline.join(Settings(((SIX, 0),), bootstrap=(), private=True), saved)
    await until(lambda: back.session.nodes >= 4)
    again = await back.get(item.key) == item
    await back.close()
    return {
        "stored": stored,
        "read": read,
        "counted": counted,
        "stored on both": kept.stored,
        "writers": writers,
        "read on six and on four": read_by,
        "an item of six alone is not on four": missing,
        "comes back with saved state": again,
    }


if __name__ == "__main__":
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["ip", "-6", "address", "add", f"{SIX}/64", "dev", "lo", "nodad"], check=True)
    with swarm_of(16, SIX) as six, swarm_of(16) as four:
        print(json.dumps(asyncio.run(story(six, four))), flush=True)
