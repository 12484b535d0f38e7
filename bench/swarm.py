"""A process with a DHT of libtorrent nodes on loopback: ``python bench/swarm.py COUNT``.

Prints one line of JSON, the addresses of the nodes, when they know each other, and runs until it is told to stop.
"""

from __future__ import annotations

import json
import secrets
import signal
import sys
import time
from typing import Any, cast

import libtorrent

KNOWN = 16
SETTLE_S = 3.0


def settings() -> dict[str, object]:
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
        "alert_mask": int(category.dht_notification | category.dht_operation_notification),
    }


def main(count: int) -> None:
    """Run `count` nodes."""
    nodes = [libtorrent.session(cast(Any, settings())) for _ in range(count)]
    addresses = [("127.0.0.1", node.listen_port()) for node in nodes]
    for node in nodes:
        for address in secrets.SystemRandom().sample(addresses, min(KNOWN, count)):
            node.add_dht_node(address)
    time.sleep(SETTLE_S)
    print(json.dumps(addresses), flush=True)
    signal.sigwait([signal.SIGTERM, signal.SIGINT])


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT])
    main(int(sys.argv[1]))
