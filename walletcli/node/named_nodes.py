"""Nodes that records name: asked for a document that a record kept alive here lacks, and that no source has.

Spec: docs/spec/node-api.md, "Nodes that records name".
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeVar

from walletcli.client.relay import RelayClient
from walletcli.core.approvals import DocumentApprovals
from walletcli.core.cose import Sign1
from walletcli.core.document import MAX_GRANT_BYTES, Document
from walletcli.core.grant import Grant, evidence_record
from walletcli.core.identity_id import IdentityId
from walletcli.errors import InputError, NetworkError, WalletError
from walletcli.net.addresses import NodeAddress, Scheme
from walletcli.net.dialer import Dialer
from walletcli.node import log
from walletcli.node.metrics import Peering
from walletcli.node.peers import Peer
from walletcli.node.store import Store
from walletcli.node.workers import Workers

MAX_PLACES: Final = 4
"""How many nodes are asked for one document, at most; those that its own record names come first."""

MAX_PROVIDERS: Final = 8
"""How many bindings of a document are looked at."""

MAX_NODES: Final = 1024
"""How many nodes are remembered."""

MAX_HOSTED: Final = 65_536
"""Of how many identities it is remembered by which nodes they are hosted."""

AT_ONCE: Final = 2
MAX_WAITING: Final = 64
"""How many documents may be looked for at once; beyond it nobody is asked, and the next round comes back to it."""

PAUSE_S: Final = 3600.0
"""How long a node that failed is left alone, in seconds."""

_K = TypeVar("_K")
_V = TypeVar("_V")


@dataclass(frozen=True, slots=True)
class FoundDocument:
    """What a node gave.

    Attributes:
        body: the document, of the hash that was asked for.
        beside: the approvals beside it, if approvers play a part in it.
    """

    body: bytes
    beside: DocumentApprovals | None


class NamedNodes:
    """Remembers which nodes records name, and asks them for documents.

    Args:
        own_key: of this node, which is not asked, 32 bytes.
        store: has the newest records of providers, as far as they are known.
        dialer: opens the connections, and refuses where strangers may not lead this node.
        workers: threads that ask.
        counters: what is counted.
        loop: the running event loop.
    """

    def __init__(
        self,
        own_key: bytes,
        store: Store,
        dialer: Dialer,
        workers: Workers,
        counters: Peering,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._own_key = own_key
        self._store = store
        self._dialer = dialer
        self._workers = workers
        self._counters = counters
        self._loop = loop
        self._nodes: dict[bytes, tuple[NodeAddress, ...]] = {}
        self._hosts: dict[bytes, tuple[bytes, ...]] = {}
        self._paused: dict[str, float] = {}
        self._peers: dict[NodeAddress, Peer] = {}
        self._limit = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0

    def learn(self, body: bytes) -> None:
        """Note which nodes a document names: its identity's providers, and itself if it is a node.

        Args:
            body: as it is stored.
        """
        try:
            document = Document.from_bytes(body)
        except WalletError:
            return
        self._note_node(document)
        hosts = tuple(self._providers(document))
        if hosts:
            _bounded_put(self._hosts, document.identity, hosts, MAX_HOSTED)

    async def fetch(self, key: bytes, document_hash: bytes) -> FoundDocument | None:
        """Ask for a document, one node after the other, until one has it.

        Args:
            key: whose it is, 32 bytes.
            document_hash: its SHA-256.
        """
        if self._waiting >= MAX_WAITING:
            return None
        self._waiting += 1
        try:
            async with self._limit:
                is_guarded = self._store.is_guarded(key)
                for address in self.places(key):
                    found = await self._ask(address, document_hash, is_guarded)
                    if found is not None:
                        return found
        finally:
            self._waiting -= 1
        return None

    def places(self, key: bytes) -> list[NodeAddress]:
        """Return whom to ask for documents of an identity: those that host it, then others, drawn at random."""
        hosts = [host for host in self._hosts.get(key, ()) if host != self._own_key]
        others = [node for node in self._nodes if node not in hosts and node != self._own_key]
        secrets.SystemRandom().shuffle(others)
        now, found = self._loop.time(), dict[NodeAddress, None]()
        for node in (*hosts, *others):
            for address in self._newest(node) or self._nodes.get(node, ()):
                if self._paused.get(address.location, 0.0) <= now:
                    found[address] = None
            if len(found) >= MAX_PLACES:
                break
        return list(found)[:MAX_PLACES]

    async def _ask(self, address: NodeAddress, document_hash: bytes, is_guarded: bool) -> FoundDocument | None:
        def ask(client: RelayClient) -> FoundDocument | None:
            body = client.get_document(document_hash, from_store=True)
            if body is None:
                return None
            wanted = is_guarded or Document.from_bytes(body).approvers is not None
            return FoundDocument(body, client.get_approvals(document_hash) if wanted else None)

        peer = self._peer(address)
        self._counters.asked += 1
        try:
            return await self._workers.run(lambda: peer.call(ask))
        except WalletError as error:
            self._counters.source_errors += 1
            self._peers.pop(address, peer).close()
            if not isinstance(error, NetworkError) or error.code != "network.too-often":
                _bounded_put(self._paused, address.location, self._loop.time() + PAUSE_S, MAX_NODES)
            log.warning("source.named-failed", source=address.to_text(), code=error.code)
            return None

    def _peer(self, address: NodeAddress) -> Peer:
        """Return a node that is asked; a few stay connected."""
        if address not in self._peers:
            if len(self._peers) >= AT_ONCE * MAX_PLACES:
                self._peers.pop(next(iter(self._peers))).close()
            self._peers[address] = Peer(address, self._dialer)
        return self._peers[address]

    def _note_node(self, document: Document) -> None:
        addresses = _pinned(document)
        if addresses:
            _bounded_put(self._nodes, document.identity, addresses, MAX_NODES)

    def _providers(self, document: Document) -> Iterator[bytes]:
        for data in document.bindings[:MAX_PROVIDERS]:
            try:
                grant = Grant.from_payload(Sign1.from_bytes(data, MAX_GRANT_BYTES).payload)
                evidence = evidence_record(grant.evidence)
            except WalletError:
                continue
            if evidence.packet.public_key != grant.provider or evidence.document is None:
                continue
            if grant.provider not in self._nodes:
                self._note_node(evidence.document)
            yield grant.provider

    def _newest(self, node: bytes) -> tuple[NodeAddress, ...]:
        """Return the addresses in a node's own record, if it is stored here."""
        named = self._store.named_document(node)
        body = self._store.document(named) if named is not None else None
        return _pinned(Document.from_bytes(body)) if body is not None else ()

    def close(self) -> None:
        """Close the connections that are kept."""
        for peer in self._peers.values():
            peer.close()


def _pinned(document: Document) -> tuple[NodeAddress, ...]:
    """Return where a node says that it is, as far as its key is proven there."""
    found = []
    for entry in document.addresses:
        try:
            address = NodeAddress.from_record(entry, IdentityId(document.identity))
        except InputError:
            continue
        if address.scheme is Scheme.PINNED:
            found.append(address)
    return tuple(found)


def _bounded_put(names: dict[_K, _V], name: _K, value: _V, most: int) -> None:
    """Put a value in; the one that was put longest ago goes where there are too many."""
    names.pop(name, None)
    if len(names) >= most:
        del names[next(iter(names))]
    names[name] = value
