"""Sinks: who is sent what this node newly accepts.

Spec: docs/spec/node-api.md, "Between nodes".
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Sequence
from functools import partial
from typing import Final

from walletcli.client.relay import RelayClient
from walletcli.core.approvals import DocumentApprovals
from walletcli.core.packet import SignedPacket
from walletcli.errors import NetworkError, StorageError, WalletError
from walletcli.node import log
from walletcli.node.batch_writer import BatchWriter
from walletcli.node.metrics import Peering
from walletcli.node.peers import Peer
from walletcli.node.store import QueuedPacket, Sent, Store
from walletcli.node.workers import Workers

FIRST_RETRY_S: Final = 2
LAST_RETRY_S: Final = 3600
GIVE_UP_S: Final = 2 * 86_400
"""Retries: from 2 seconds apart to an hour, for two days."""

_LOOK_S: Final = 1.0
_AT_ONCE: Final = 16
_SETTLED: Final = frozenset(("relay.conflict", "approval.missing"))
"""Errors that mean that there is nothing left to send: the sink has this packet or a newer one, or will not follow."""


def retry_s(attempts: int) -> int:
    """Return when to try again after so many failed attempts, in seconds: doubling, the later half of it at random."""
    most = min(FIRST_RETRY_S << min(attempts, 20), LAST_RETRY_S)
    return most - secrets.randbelow(most // 2 + 1)


class Sinks:
    """Empties the sinks' queues.

    Args:
        peers: the sinks.
        store: holds the queues.
        writer: settles entries.
        workers: threads that send.
        counters: what is counted.
    """

    def __init__(
        self, peers: Sequence[Peer], store: Store, writer: BatchWriter, workers: Workers, counters: Peering
    ) -> None:
        self._store = store
        self._writer = writer
        self._workers = workers
        self._counters = counters
        self._peers = list(peers)
        self._woken = {peer.name: asyncio.Event() for peer in peers}
        self._tasks = [asyncio.create_task(self._serve(peer)) for peer in peers]

    def wake(self) -> None:
        """Say that something was queued."""
        for event in self._woken.values():
            event.set()

    async def stop(self) -> None:
        """Stop sending; what is queued stays queued."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        for peer in self._peers:
            peer.close()

    async def _serve(self, peer: Peer) -> None:
        event = self._woken[peer.name]
        failures = 0
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(event.wait(), _LOOK_S)
            event.clear()
            try:
                failures = await self._send_due(peer, failures)
            except StorageError as error:
                log.error("sink.queue", code=error.code)
                failures += 1
            if failures:
                await asyncio.sleep(min(retry_s(failures - 1), 60))

    async def _send_due(self, peer: Peer, failures: int) -> int:
        """Send what is due; return the number of rounds in a row that ended at a sink that cannot be reached."""
        while due := self._store.due(peer.name, int(time.time()), _AT_ONCE):
            for entry in due:
                if not await self._send(peer, entry):
                    return failures + 1
            failures = 0
        return failures

    async def _send(self, peer: Peer, entry: QueuedPacket) -> bool:
        """Send one packet, and its document before it; False if the sink cannot be reached."""
        payload = self._store.packets([entry.key])[0]
        if payload is None:
            await self._writer.write(Sent(peer.name, entry.key, 0))
            return True
        seq = int.from_bytes(payload[64:72], "big")
        reachable, retry_at_s = True, None
        try:
            packet = SignedPacket.from_relay_payload(entry.key, payload)
            document = self._store.document(packet.document_hash) if packet.document_hash else None
            beside = self._store.approvals(packet.document_hash) if packet.document_hash else None
            await self._workers.run(partial(peer.call, partial(_deliver, packet, document, beside)))
            self._counters.sent += 1
        except WalletError as error:
            if error.code not in _SETTLED:
                self._counters.sink_errors += 1
                reachable = not isinstance(error, NetworkError)
                retry_at_s = int(time.time()) + retry_s(entry.attempts)
                log.warning("sink.failed", sink=peer.name, code=error.code, attempts=entry.attempts + 1)
                if time.time() - entry.queued_s > GIVE_UP_S:
                    self._counters.given_up += 1
                    retry_at_s = None
        await self._writer.write(Sent(peer.name, entry.key, seq, retry_at_s))
        return reachable


def _deliver(packet: SignedPacket, document: bytes | None, beside: bytes | None, client: RelayClient) -> None:
    if document is not None:
        try:
            client.put_document(document)
            if beside is not None and packet.document_hash is not None:
                client.put_approvals(packet.document_hash, DocumentApprovals.from_bytes(beside))
        except NetworkError as error:
            if error.code != "relay.no-documents":  # a plain pkarr relay takes the packet all the same
                raise
    client.put_packet(packet)
