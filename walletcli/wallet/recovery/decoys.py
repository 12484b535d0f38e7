"""Keys of strangers among which a search without an index hides, from whoever did not name them.

Spec: docs/spec/recovery.md, "Decoys".
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from walletcli.client.fanout import for_each
from walletcli.client.relay import RelayClient
from walletcli.errors import WalletError
from walletcli.net.addresses import NodeAddress, Scheme
from walletcli.net.dialer import Dialer


class Decoys:
    """Live keys, by the relay that named them.

    Args:
        count: how many are drawn for each step.
        named: keys (32 bytes) that each relay named.
    """

    def __init__(self, count: int, named: dict[NodeAddress, list[bytes]]) -> None:
        self._count = count
        self._named = named

    @property
    def known(self) -> int:
        """How many there are."""
        return len({key for keys in self._named.values() for key in keys})

    def draw(self, relays: Sequence[NodeAddress]) -> Iterator[tuple[bytes, list[NodeAddress]]]:
        """Draw decoys that were not drawn before, each with the relays that it is asked for at.

        A relay that named a key knows that it is one of strangers, so it is not asked for it.

        Args:
            relays: that are asked in this step.
        """
        pool = [(key, source) for source, keys in self._named.items() for key in keys]
        pool.sort(key=lambda _: os.urandom(16))
        drawn: set[bytes] = set()
        for key, source in pool:
            others = [relay for relay in relays if relay != source and key not in self._named.get(relay, ())]
            if len(drawn) < self._count and others and key not in drawn:
                drawn.add(key)
                yield key, others
        self._named = {source: [key for key in keys if key not in drawn] for source, keys in self._named.items()}


def ask_for_decoys(relays: Sequence[NodeAddress], count: int, *, dialer: Dialer, timeout_s: float) -> Decoys:
    """Have each relay name some keys that it holds; one that does not offer that names none.

    Args:
        relays: whom to ask.
        count: how many are wanted for each step; with 0, or a single relay, nobody is asked.
        dialer: opens the connections.
        timeout_s: how long a call may take, in seconds.
    """
    if not count or len(relays) < 2:
        return Decoys(0, {})
    nodes = [relay for relay in relays if relay.scheme is not Scheme.DHT]

    def ask(relay: NodeAddress) -> list[bytes]:
        try:
            with RelayClient(relay, dialer, timeout_s=timeout_s) as client:
                return client.get_sample()
        except WalletError:
            return []

    return Decoys(count, dict(zip(nodes, for_each(nodes, ask), strict=True)))
