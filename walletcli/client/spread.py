"""Looks many identities up, each at nodes of its own: what keeping up with contacts needs.

A node is asked over one connection for those that it is asked for, and learns of no others.

Spec: docs/spec/resolution.md, "Many at once".
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from walletcli.client.answers import with_others
from walletcli.client.fanout import for_each
from walletcli.client.freshness import Freshness
from walletcli.client.link import TIMEOUT_S
from walletcli.client.scan import PER_KEY_S, Scanned, approvals_wanted, scanned
from walletcli.client.sources import Asking, open_visit
from walletcli.client.visit import Found
from walletcli.core.identity_id import IdentityId
from walletcli.net.addresses import NodeAddress
from walletcli.net.dialer import Dialer


def look_up_each(
    wanted: Mapping[IdentityId, Sequence[NodeAddress]],
    *,
    dialer: Dialer,
    memory: Freshness | None = None,
    for_identity: str | None = None,
    timeout_s: float = TIMEOUT_S,
    now_s: float | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Scanned]:
    """Ask for each identity at its nodes, and verify what comes.

    Args:
        wanted: who to look for, and where; the same node twice is asked once.
        dialer: opens the connections, one to each node.
        memory: what is remembered of identities; brought up to date. None: freshness is not checked.
        for_identity: did:key of the identity on whose behalf is asked, or None.
        timeout_s: how long a node may take for anything, in seconds; `PER_KEY_S` more for each identity.
        now_s: Unix time in seconds; None takes the clock.
        progress: takes how many answers are there, and how many there will be; called from several threads.

    Returns:
        One result for each of `wanted`, in their order; one without nodes was not found.
    """
    now_s = time.time() if now_s is None else now_s
    found = Found()
    keys: dict[NodeAddress, list[bytes]] = {}
    for identity, addresses in wanted.items():
        for address in dict.fromkeys(addresses):
            keys.setdefault(address, []).append(identity.public_key)
    visits = {address: open_visit(address, dialer, for_identity, memory, found) for address in keys}
    total, done = sum(map(len, keys.values())), 0

    def step() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(min(done, total), total)

    def visit_one(address: NodeAddress) -> None:
        deadline_s = time.monotonic() + timeout_s + PER_KEY_S * len(keys[address])
        visits[address].look_up(keys[address], deadline_s, step)

    def complete_one(address: NodeAddress) -> None:
        deadline_s = time.monotonic() + timeout_s + PER_KEY_S * len(keys[address])
        visits[address].look_for_documents(missing[address], deadline_s)

    def approvals_at(address: NodeAddress) -> None:
        """Ask a node for approvals of those alone that it was asked for."""
        wanted = approvals_wanted([visits[address].answer(key) for key in keys[address]], memory)
        visits[address].look_for_approvals(wanted, time.monotonic() + timeout_s)

    try:
        for_each(list(visits), visit_one)
        missing = _missing(keys, visits, found)
        for_each(list(missing), complete_one)
        for_each(list(visits), approvals_at)
        records = {address: visit.node_record for address, visit in visits.items()}
    finally:
        for visit in visits.values():
            visit.close()
    return [
        scanned(
            identity,
            [visits[address].answer(identity.public_key) for address in dict.fromkeys(addresses)],
            memory,
            now_s,
            [records[address] for address in dict.fromkeys(addresses)],
        )
        for identity, addresses in wanted.items()
    ]


def _missing(
    keys: Mapping[NodeAddress, Sequence[bytes]], visits: Mapping[NodeAddress, Asking], found: Found
) -> dict[NodeAddress, list[bytes]]:
    """Return, for each node, the documents that nobody has given of the identities that it was asked for."""
    lacking = set(found.missing_documents)
    if not lacking:
        return {}
    named: dict[bytes, set[bytes]] = {}
    for address, asked in keys.items():
        for key in asked:
            for answer in with_others([visits[address].answer(key)]):
                if answer.packet is not None and answer.packet.document_hash in lacking:
                    named.setdefault(key, set()).add(answer.packet.document_hash)
    wanted = {
        address: sorted(set().union(*(named.get(key, set()) for key in asked))) for address, asked in keys.items()
    }
    return {address: hashes for address, hashes in wanted.items() if hashes}
