"""What a member of the DHT is told: addresses, peers, bounds.

Spec: docs/spec/dht.md, "Limits"; docs/decisions/0017-dht.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from walletcli.dht.contacts import Address

PUBLIC_BOOTSTRAP: Final = (
    ("dht.libtorrent.org", 25401),
    ("router.bittorrent.com", 6881),
    ("dht.transmissionbt.com", 6881),
)
"""Nodes that give newcomers to the public network their first addresses."""

DEFAULT_COPIES: Final = 8
MAX_COPIES: Final = 20
MAX_ITEMS: Final = 100_000
"""Items that libtorrent stores for others. Over its default of 700 it lets older ones go without a word."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How to take part.

    Attributes:
        listen: numeric addresses and UDP ports of libtorrent; port 0 for any. One or more.
        writer_port: UDP port of the writer, on the same addresses; 0 for any.
        bootstrap: names or addresses of nodes for newcomers; empty for none.
        peers: numeric addresses of nodes that are known to be members.
        copies: on how many nodes an item is put, 1 to 20.
        private: a DHT of one's own: addresses that are not public count, and one may hold many nodes.
        read_only: ask and put, store nothing for others and answer nobody (BEP43): for who stays a moment only.
    """

    listen: tuple[Address, ...]
    writer_port: int = 0
    bootstrap: tuple[Address, ...] = PUBLIC_BOOTSTRAP
    peers: tuple[Address, ...] = ()
    copies: int = DEFAULT_COPIES
    private: bool = False
    read_only: bool = False
