"""What can be asked for packets and documents: a relay or node, or the DHT; whoever asks need not know which it is.

Spec: docs/spec/resolution.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Protocol, Self

from walletcli.client.answers import Answer
from walletcli.client.freshness import Freshness
from walletcli.client.link import TIMEOUT_S
from walletcli.client.relay import RelayClient
from walletcli.client.visit import Found, Visit
from walletcli.core.approvals import DocumentApprovals
from walletcli.core.packet import SignedPacket
from walletcli.core.record import Record
from walletcli.net.addresses import NodeAddress, Scheme
from walletcli.net.dialer import Dialer


class Source(Protocol):
    """Has packets, and perhaps documents; for one identity, and one thread at a time. As `RelayClient`."""

    address: NodeAddress

    def __enter__(self) -> Self:
        """Return itself."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""

    @property
    def node_record(self) -> Record | None:
        """The record with which a pinned node has proven its key."""

    def get_packet(
        self, public_key: bytes, min_seq: int | None = None, *, from_store: bool = False
    ) -> SignedPacket | None:
        """Return the packet that it has for a key (32 bytes), verified, or None where it has none."""

    def get_packets(self, public_key: bytes, *, from_store: bool = False) -> tuple[SignedPacket, ...]:
        """Return the same packet, and further ones where two with one `seq` were met; nothing where it has none."""

    def put_packet(self, packet: SignedPacket, cas_seq: int | None = None, *, dht_wait_s: int = 0) -> int | None:
        """Store a packet; return on how many nodes of the DHT it is, where that is known."""

    def get_document(self, document_hash: bytes, *, from_store: bool = False) -> bytes | None:
        """Return the document with this SHA-256 (32 bytes), or None where it has none."""

    def put_document(self, document: bytes) -> None:
        """Store a document under its hash."""

    def get_approvals(self, document_hash: bytes) -> DocumentApprovals | None:
        """Return the approvals beside a document, or None where it has none."""

    def put_approvals(self, document_hash: bytes, beside: DocumentApprovals) -> None:
        """Store the approvals of a document that is stored there."""


class Asking(Protocol):
    """One source in one scan of many identities; for one thread at a time. As `Visit`."""

    @property
    def node_record(self) -> Record | None:
        """The record with which a pinned relay has proven its key."""

    def close(self) -> None:
        """Close the connection."""

    def answer(self, public_key: bytes) -> Answer:
        """Return what was said of a key (32 bytes) that was looked up."""

    def look_up(self, keys: Sequence[bytes], deadline_s: float, step: Callable[[], None]) -> None:
        """Ask for the packets of `keys` (32 bytes each) and the documents that they name; nothing is raised."""

    def look_for_documents(self, hashes: Sequence[bytes], deadline_s: float) -> None:
        """Ask for documents that another source's packets name; nothing is raised."""

    def look_for_approvals(self, hashes: Sequence[bytes], deadline_s: float) -> None:
        """Ask for what is beside documents; nothing is raised."""


def open_source(
    address: NodeAddress,
    dialer: Dialer,
    for_identity: str | None = None,
    *,
    timeout_s: float = TIMEOUT_S,
    memory: Freshness | None = None,
) -> Source:
    """Return what asks at an address; arguments as of `RelayClient`. Nothing is connected yet."""
    if address.scheme is not Scheme.DHT:
        return RelayClient(address, dialer, for_identity, timeout_s=timeout_s, memory=memory)
    from walletcli.client.mainline import DhtSource

    return DhtSource(address, dialer, timeout_s=timeout_s)


def open_visit(
    address: NodeAddress, dialer: Dialer, for_identity: str | None, memory: Freshness | None, found: Found
) -> Asking:
    """Return what asks for many at an address; arguments as of `Visit`. Nothing is connected yet."""
    if address.scheme is not Scheme.DHT:
        return Visit(address, dialer, for_identity, memory, found)
    from walletcli.client.mainline import DhtVisit

    return DhtVisit(address, dialer, found)
