"""Sources: who is asked for what this node does not have.

Spec: docs/spec/node-api.md, "Between nodes".
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Any, Final, TypeVar

from walletcli.core.approvals import DocumentApprovals
from walletcli.core.document import Document
from walletcli.core.packet import SignedPacket
from walletcli.errors import NetworkError, StorageError, WalletError
from walletcli.node import log
from walletcli.node.batch_writer import BatchWriter
from walletcli.node.clock import Clock
from walletcli.node.hosting.kept import Claim
from walletcli.node.metrics import Peering
from walletcli.node.named_nodes import NamedNodes
from walletcli.node.peers import Peer
from walletcli.node.store import Outcome, PutApprovals, PutDocument, PutPacket, Store
from walletcli.node.workers import Workers

ASK_AGAIN_S: Final = 300.0
"""How long what is stored is taken as new enough, in seconds."""

MISSING_S: Final = 60.0
"""How long a key that no source had is not asked for, in seconds."""

REFRESH_WAIT_S: Final = 2.0
"""How long a client waits for something newer than what is stored, in seconds; a late answer still gets stored."""

AT_ONCE: Final = 8
MISSES_AT_ONCE: Final = 256
"""How many packets that the store lacks are looked for at once where there is a DHT; it puts them in order itself."""

PAUSE_S: Final = 30.0
"""How long a source that could not be reached is left alone, in seconds."""

_REMEMBERED: Final = 65_536
_MAX_WAITING: Final = 256

Found = Callable[[bytes | None], None]
_T = TypeVar("_T")


class Sources:
    """Asks other nodes, verifies and stores what they give.

    Args:
        peers: who is asked.
        store: where answers are looked up once they are stored.
        writer: stores them.
        clock: the server's clock.
        workers: threads that ask.
        counters: what is counted.
        loop: the running event loop.
        claim_of: returns this node's grant that a document holds, or None.
        find: looks for a packet in the DHT; None without one.
        named: nodes that records name, asked for documents that no peer has; None: nobody is asked for that.
    """

    def __init__(
        self,
        peers: Sequence[Peer],
        store: Store,
        writer: BatchWriter,
        clock: Clock,
        workers: Workers,
        counters: Peering,
        loop: asyncio.AbstractEventLoop,
        claim_of: Callable[[Document], Claim | None],
        find: Callable[[bytes], Awaitable[SignedPacket | None]] | None = None,
        named: NamedNodes | None = None,
    ) -> None:
        self._peers = list(peers)
        self._store = store
        self._writer = writer
        self._clock = clock
        self._workers = workers
        self._counters = counters
        self._loop = loop
        self._claim_of = claim_of
        self._find = find
        self._named = named
        self._not_before: dict[bytes, float] = {}
        self._paused: dict[str, float] = {}
        self._waiting: dict[bytes, list[Found]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def ask_packet(self, key: bytes, stored: bytes | None, found: Found, *, anew: bool = False) -> bool:
        """Ask for a packet unless that was done lately.

        Args:
            key: 32 bytes.
            stored: the payload that the store has.
            found: called once with the payload to serve, or None.
            anew: also if it was done lately.

        Returns:
            False, without a call, if the store's answer is to be served at once.
        """
        return self._ask(key, found, partial(self._fetch_packet, key, stored), stored, anew=anew)

    def are_settled(self, keys: Sequence[bytes]) -> list[bool]:
        """Tell for which keys (32 bytes) the store's answer is to be served at once, whatever it is."""
        get, now = self._not_before.get, self._clock.now
        return [get(key, 0.0) > now for key in keys]

    def ask_document(self, document_hash: bytes, found: Found) -> bool:
        """Ask for a document; as `ask_packet`."""
        if not self._peers:
            return False
        return self._ask(document_hash, found, partial(self._fetch_document, document_hash), None)

    def is_fresh(self, key: bytes) -> None:
        """Remember that a packet was just put here, so that nobody need be asked for it."""
        self._remember(key, ASK_AGAIN_S)

    def _remember(self, name: bytes, for_s: float) -> None:
        self._not_before.pop(name, None)
        if len(self._not_before) >= _REMEMBERED:
            del self._not_before[next(iter(self._not_before))]
        self._not_before[name] = self._clock.now + for_s

    def _ask(
        self,
        name: bytes,
        found: Found,
        fetch: Callable[[], Coroutine[Any, Any, bytes | None]],
        stored: bytes | None,
        *,
        anew: bool = False,
    ) -> bool:
        waiting = self._waiting.get(name)
        if waiting is not None:
            if len(waiting) >= _MAX_WAITING:
                return False
            waiting.append(found)
            return True
        most = AT_ONCE if self._find is None or stored is not None else MISSES_AT_ONCE
        was_asked = not anew and self._not_before.get(name, 0.0) > self._clock.now
        if was_asked or len(self._waiting) >= most:
            return False
        self._waiting[name] = [found]
        task = self._loop.create_task(self._answer(name, fetch, stored))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def _answer(
        self, name: bytes, fetch: Callable[[], Coroutine[Any, Any, bytes | None]], stored: bytes | None
    ) -> None:
        """Fetch, and tell everybody who waits; those who have something stored wait only so long."""
        early = self._loop.call_later(REFRESH_WAIT_S, self._tell, name, stored) if stored is not None else None
        result: bytes | None = stored
        try:
            result = await fetch()
        except StorageError as error:
            log.error("source.not-stored", code=error.code)
        finally:
            if early is not None:
                early.cancel()
            self._remember(name, MISSING_S if result is None else ASK_AGAIN_S)
            self._tell(name, result)
            self._waiting.pop(name, None)

    def _tell(self, name: bytes, result: bytes | None) -> None:
        waiting = self._waiting.get(name, [])
        for found in waiting:
            found(result)
        waiting.clear()

    async def _each(self, ask: Callable[[Peer], _T]) -> list[_T]:
        """Ask all sources that are not paused, and return what those gave that answered."""
        now = self._clock.now
        peers = [peer for peer in self._peers if self._paused.get(peer.name, 0.0) <= now]
        self._counters.asked += len(peers)
        answers = await asyncio.gather(
            *(self._workers.run(partial(ask, peer)) for peer in peers), return_exceptions=True
        )
        good = []
        for peer, answer in zip(peers, answers, strict=True):
            if isinstance(answer, WalletError):
                self._counters.source_errors += 1
                if isinstance(answer, NetworkError):
                    self._paused[peer.name] = now + PAUSE_S
                log.warning("source.failed", source=peer.name, code=answer.code)
            elif isinstance(answer, BaseException):
                raise answer
            else:
                good.append(answer)
        return good

    async def _fetch_packet(self, key: bytes, stored: bytes | None) -> bytes | None:
        def ask(peer: Peer) -> tuple[SignedPacket, bytes | None] | None:
            packet = peer.call(lambda client: client.get_packet(key, from_store=True))
            if packet is None or packet.seq <= stored_seq:
                return None
            document_hash = packet.document_hash
            if document_hash is None:
                return packet, None
            return packet, peer.call(lambda client: client.get_document(document_hash, from_store=True))

        stored_seq = -1 if stored is None else int.from_bytes(stored[64:72], "big")
        from_peers, in_dht = await asyncio.gather(self._each(ask), self._in_dht(key))
        answers = [answer for answer in from_peers if answer is not None]
        if in_dht is not None and in_dht.seq > stored_seq:
            answers.append((in_dht, None))
        if not answers:
            return stored
        self._counters.found += 1
        for packet in sorted({answer[0].seq: answer[0] for answer in answers}.values(), key=_seq, reverse=True):
            named = packet.document_hash
            bodies = [body for other, body in answers if other.document_hash == named and body is not None]
            if bodies and await self._store_document(bodies[0]) and named is not None:
                await self._fetch_approvals(named, bodies[0])
            if await self.take(packet):
                break
        return self._store.packets([key])[0]

    async def _in_dht(self, key: bytes) -> SignedPacket | None:
        return await self._find(key) if self._find is not None else None

    async def take(self, packet: SignedPacket) -> bool:
        """Store a verified packet if it is newer, and the document that it names, if a source has it.

        Returns:
            False if the identity has approvers who have not approved it: an older one may be approved.

        Raises:
            StorageError: the store cannot be written.
        """
        document_hash = packet.document_hash
        if document_hash is not None:
            body = self._store.document(document_hash)
            if body is None:
                await self._mirror_soon(packet.public_key, document_hash)
            elif self._store.approvals(document_hash) is None:
                await self._fetch_approvals(document_hash, body)
        payload = packet.to_relay_payload()
        outcome = await self._writer.write(PutPacket(packet.public_key, payload, packet.seq, document_hash))
        return outcome is not Outcome.NOT_APPROVED

    async def mirror(self, key: bytes, document_hash: bytes) -> None:
        """Fetch a document from the sources, or else from nodes that records name, and store it if one has it.

        Args:
            key: whose document it is, 32 bytes.
            document_hash: its SHA-256.

        Raises:
            StorageError: the store cannot be written.
        """
        if self._peers and await self._fetch_document(document_hash) is not None:
            return
        if self._named is not None:
            await self._from_named(key, document_hash, self._named)

    def learn(self, body: bytes) -> None:
        """Note which nodes a document names, for what may be looked for later."""
        if self._named is not None:
            self._named.learn(body)

    async def _mirror_soon(self, key: bytes, document_hash: bytes) -> None:
        """Ask the sources now, and nodes that records name without keeping anybody waiting."""
        if self._peers and await self._fetch_document(document_hash) is not None:
            return
        if self._named is not None:
            before = self._store.named_document(key)
            body = self._store.document(before) if before is not None else None
            if body is not None:
                self._named.learn(body)  # it goes when the packet that is stored next does not name it
            task = self._loop.create_task(self._from_named(key, document_hash, self._named))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _from_named(self, key: bytes, document_hash: bytes, named: NamedNodes) -> None:
        try:
            found = await named.fetch(key, document_hash)
            if found is None or not await self._store_document(found.body):
                return
            self._counters.found += 1
            if found.beside is not None:
                await self._writer.write(PutApprovals(document_hash, found.beside.to_bytes()))
        except StorageError as error:
            log.error("source.not-stored", code=error.code)

    async def _fetch_document(self, document_hash: bytes) -> bytes | None:
        def ask(peer: Peer) -> bytes | None:
            return peer.call(lambda client: client.get_document(document_hash, from_store=True))

        for body in await self._each(ask):
            if body is not None and await self._store_document(body):
                self._counters.found += 1
                await self._fetch_approvals(document_hash, body)
                return body
        return None

    async def _fetch_approvals(self, document_hash: bytes, body: bytes) -> None:
        """Store what sources have beside a document, if approvers play a part in it."""
        document = Document.from_bytes(body)
        if document.approvers is None and not self._store.is_guarded(document.identity):
            return

        def ask(peer: Peer) -> DocumentApprovals | None:
            return peer.call(lambda client: client.get_approvals(document_hash))

        for beside in await self._each(ask):
            if beside is not None:
                await self._writer.write(PutApprovals(document_hash, beside.to_bytes()))

    async def _store_document(self, body: bytes) -> bool:
        """Store a document whose hash the client has checked; False if it does not decode."""
        try:
            document = Document.from_bytes(body)
        except WalletError as error:
            log.warning("source.bad-document", code=error.code)
            return False
        await self._writer.write(
            PutDocument(
                document.hash,
                document.identity,
                body,
                claim=self._claim_of(document),
                has_approvers=document.approvers is not None,
            )
        )
        return True

    def stop(self) -> None:
        """Give up what is being asked."""
        for task in self._tasks:
            task.cancel()
        for peer in self._peers:
            peer.close()
        if self._named is not None:
            self._named.close()


def _seq(packet: SignedPacket) -> int:
    return packet.seq
