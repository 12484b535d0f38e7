"""A process with a private DHT of libtorrent nodes on loopback: ``python scripts/swarm.py COUNT``.

Prints one line of JSON, the addresses of the nodes, when they know each other, and runs until it is told to stop.
The demonstration, the tests and the measurements have their strangers from here.
"""

from __future__ import annotations

import json
import secrets
import signal
import sys
import time
from typing import Any, Final, cast

import libtorrent

from walletcli.core import bencode

KNOWN: Final = 16
"""To how many others a node is introduced."""

ENOUGH: Final = 8
"""How many each must know before the swarm counts as one."""

READY_S: Final = 60.0
MAX_STATE_BYTES: Final = 1 << 20

Address = tuple[str, int]


def settings(**more: Any) -> dict[str, Any]:
    """Return libtorrent's settings for a node of a private DHT; nothing outside is asked."""
    category = libtorrent.alert.category_t
    return {
        "listen_interfaces": "127.0.0.1:0",
        "enable_dht": True,
        "enable_lsd": False,
        "enable_upnp": False,
        "enable_natpmp": False,
        "enable_incoming_tcp": False,
        "enable_incoming_utp": False,
        "dht_bootstrap_nodes": "",
        "dht_restrict_routing_ips": False,
        "dht_restrict_search_ips": False,
        "dht_prefer_verified_node_ids": False,
        "dht_ignore_dark_internet": False,
        "dht_block_ratelimit": 1_000_000,
        "dht_upload_rate_limit": 100_000_000,
        "dht_max_dht_items": 100_000,
        "dht_max_fail_count": 2,
        "alert_mask": int(category.dht_notification | category.dht_operation_notification),
        **more,
    }


def start(count: int, host: str = "127.0.0.1", **more: Any) -> dict[Address, libtorrent.session]:
    """Start nodes that know nobody; return them by their addresses.

    Args:
        count: how many.
        host: numeric address.
        more: settings of libtorrent's that differ.
    """
    listen = f"[{host}]:0" if ":" in host else f"{host}:0"
    nodes = [libtorrent.session(cast(Any, settings(listen_interfaces=listen, **more))) for _ in range(count)]
    return {(host, node.listen_port()): node for node in nodes}


def introduce(nodes: dict[Address, libtorrent.session]) -> None:
    """Tell each node about some others, and wait until it knows enough of them.

    Raises:
        TimeoutError: they do not come together.
    """
    addresses = list(nodes)
    for node in nodes.values():
        for address in secrets.SystemRandom().sample(addresses, min(KNOWN, len(addresses))):
            node.add_dht_node(address)
    least = min(len(nodes) - 1, ENOUGH)
    end = time.monotonic() + READY_S
    while any(known(node) < least for node in nodes.values()):
        if time.monotonic() > end:
            raise TimeoutError("the swarm did not come together")
        time.sleep(0.05)


def known(node: libtorrent.session) -> int:
    """Return how many nodes are in a node's table, of both IP versions."""
    flag = int(libtorrent.save_state_flags_t.save_dht_state)
    saved: Any = bencode.decode(libtorrent.write_session_params_buf(node.session_state(flag), flag), MAX_STATE_BYTES)
    tables = saved[b"dht state"]
    return len(tables.get(b"nodes", ())) + len(tables.get(b"nodes6", ()))


def main(count: int) -> None:
    """Run `count` nodes."""
    nodes = start(count)
    introduce(nodes)
    print(json.dumps(list(nodes)), flush=True)
    signal.sigwait([signal.SIGTERM, signal.SIGINT])


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT])
    main(int(sys.argv[1]))
