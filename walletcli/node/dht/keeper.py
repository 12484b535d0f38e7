"""Rounds in which everything that this node keeps alive is put again.

Spec: docs/spec/dht.md, "Keeping alive".
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from typing import Final

from walletcli.errors import StorageError, WalletError
from walletcli.node import log
from walletcli.node.dht.config import DhtConfig
from walletcli.node.dht.counters import DhtCounters
from walletcli.node.dht.member import DhtMember
from walletcli.node.store import Store

AT_ONCE: Final = 32
"""Packets that are put again at once. On the public network one takes seconds, most of them spent waiting."""

MIN_ROUND_S: Final = 900.0
MAX_ROUND_S: Final = 21_600.0
MUCH_LOST: Final = 0.5
LITTLE_LOST: Final = 0.1
LATE: Final = 1.5
"""A round that takes so many times as long as planned is too much for this node."""

_REST_S: Final = 30.0
"""Between two rounds, in seconds."""


class Keeper:
    """Keeps packets alive.

    Args:
        member: puts them.
        store: has them.
        config: pins, size of the sample, length of the first round.
        own_key: of the node's own record, 32 bytes.
        counters: what is counted.
        mirror: fetches a document that a kept packet names and the store lacks: takes the key and the SHA-256.
        kept: is told of the document of each kept packet that the store has.
    """

    def __init__(
        self,
        member: DhtMember,
        store: Store,
        config: DhtConfig,
        own_key: bytes,
        counters: DhtCounters,
        mirror: Callable[[bytes, bytes], Awaitable[None]],
        kept: Callable[[bytes], None],
    ) -> None:
        self._member = member
        self._store = store
        self._config = config
        self._own_key = own_key
        self._counters = counters
        self._mirror = mirror
        self._kept = kept
        self._round_s = config.republish_minutes * 60.0
        self._random = secrets.SystemRandom()

    async def run(self) -> None:
        """Do round after round."""
        while True:
            await asyncio.sleep(_REST_S)  # also at the start: the first members have to be met
            self._counters.round_s = self._round_s
            try:
                await self.round(self._round_s)
            except StorageError as error:
                log.warning("dht.round-failed", code=error.code)

    async def round(self, spread_s: float) -> None:
        """Put everything once, spread over `spread_s` seconds, and set the next round's length.

        Raises:
            StorageError: the store cannot be read.
        """
        keys = self.keys()
        counters = self._counters
        expected, missing = counters.copies_expected, counters.copies_missing
        limit = asyncio.Semaphore(AT_ONCE)
        pause_s = spread_s / max(len(keys), 1)
        started = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as group:
            for key in keys:
                await limit.acquire()
                group.create_task(self._keep(key, limit))
                await asyncio.sleep(pause_s)
        took_s = asyncio.get_running_loop().time() - started
        if took_s > LATE * max(spread_s, _REST_S):
            log.warning("dht.round-late", packets=len(keys), planned_s=round(spread_s), took_s=round(took_s))
        counters.rounds += 1
        expected, missing = counters.copies_expected - expected, counters.copies_missing - missing
        self._round_s = next_round_s(self._round_s, missing / expected if expected else 0.0)

    def keys(self) -> list[bytes]:
        """Return what is kept alive, in random order: own record, pins, what is hosted, and a sample drawn anew."""
        found = {self._own_key, *self._config.pins, *self._store.hosted_keys()}
        found.update(self._store.random_keys(self._config.sample))
        keys = list(found)
        self._random.shuffle(keys)
        return keys

    async def _keep(self, key: bytes, limit: asyncio.Semaphore) -> None:
        try:
            await self._member.keep(key)
            self._counters.kept += 1
            document_hash = self._store.named_document(key)
            if document_hash is None:
                return
            body = self._store.document(document_hash)
            if body is None:
                await self._mirror(key, document_hash)
            else:
                self._kept(body)
        except WalletError as error:
            log.warning("dht.not-kept", code=error.code)
        except Exception as error:  # noqa: BLE001 - a bug costs one packet its turn, not the round
            log.bug("dht.bug", error)
        finally:
            limit.release()


def next_round_s(round_s: float, lost: float) -> float:
    """Return how long the next round is, in seconds.

    Args:
        round_s: length of the last one.
        lost: share of all copies that were gone, 0 to 1.
    """
    if lost > MUCH_LOST:
        round_s /= 2
    elif lost < LITTLE_LOST:
        round_s *= 1.5
    return min(max(round_s, MIN_ROUND_S), MAX_ROUND_S)
