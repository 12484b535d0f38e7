"""Proves that a connection ends at the node that its address names.

The TLS handshake with a pinned node verifies nothing. The node's own record does: it is signed by the key in the
address, and pins the TLS key. It is read over the connection itself, before anything is said that tells what is wanted.

Spec: docs/spec/addresses.md, "Pinning".
"""

from __future__ import annotations

import time
from functools import lru_cache

from walletcli.client.approved import check_remembered, known_document
from walletcli.client.freshness import Freshness, Seen
from walletcli.client.http import HttpConnection, Request, Response
from walletcli.client.splits import refuse_split
from walletcli.core.approvals import MAX_APPROVALS_BYTES, DocumentApprovals
from walletcli.core.document import MAX_DOCUMENT_BYTES
from walletcli.core.packet import MAX_RELAY_PAYLOAD_BYTES, SignedPacket
from walletcli.core.record import Record
from walletcli.errors import FormatError, NetworkError, VerificationError
from walletcli.net.addresses import NodeAddress


def check_pin(
    connection: HttpConnection, address: NodeAddress, memory: Freshness | None, deadline_s: float
) -> tuple[bytes, Record]:
    """Read the node's record over `connection` and check that it pins the connection's TLS key.

    Args:
        connection: fresh, inside TLS.
        address: with the node's identity.
        memory: what was seen of the node's record before; it is brought up to date.
        deadline_s: the instant of ``time.monotonic()``, in seconds, by which it must be done.

    Returns:
        The pin (SHA-256 of the TLS key, 32 bytes), now proven, and the node's record that proves it.

    Raises:
        NetworkError: ``tls.no-record``, ``relay.*``.
        VerificationError: ``tls.pin-mismatch``, ``tls.retired``, ``tls.bad-record``, ``record.stale``,
            ``record.equivocation``, ``approval.missing`` if approvers of the node that are remembered have not
            approved it.
    """
    name = address.to_text()
    record = _own_record(connection, address, deadline_s)
    assert record.document is not None
    seen = memory.get(record.packet.public_key) if memory is not None else None
    _check_fresh(record, memory, seen, name)
    record = _with_approvals(connection, record, seen, deadline_s)
    check_remembered(memory, record, int(time.time()) // 86_400)
    assert record.document is not None
    if record.document.retirement is not None:
        raise VerificationError(
            "tls.retired", f"the identity of {name} is retired", "ask its operator for a new address"
        )
    pin = connection.stream.peer_pin
    if pin is None or pin not in [entry.pin for entry in record.document.addresses]:
        raise VerificationError(
            "tls.pin-mismatch",
            f"the TLS key at {name} is not one that the node's record names",
            "somebody may be between you and the node, or its record is older than its key: ask its operator",
        )
    if memory is not None:
        memory.put(record.packet.public_key, Seen.of(record))
    return pin, record


def _own_record(connection: HttpConnection, address: NodeAddress, deadline_s: float) -> Record:
    assert address.node is not None
    name = address.to_text()
    answer = connection.exchange(Request("GET", f"/{address.node.z32}"), MAX_RELAY_PAYLOAD_BYTES, deadline_s)
    _check_has(answer, name)
    try:
        packet = _packet(address.node.public_key, answer.body)
        if packet.document_hash is None or not connection.is_reusable:
            raise _no_record(name)
        path = f"/document/{packet.document_hash.hex()}"
        document = connection.exchange(Request("GET", path), MAX_DOCUMENT_BYTES, deadline_s)
        _check_has(document, name)
        return _record(packet, document.body)
    except (FormatError, VerificationError) as error:
        raise VerificationError(
            "tls.bad-record",
            f"{name} does not prove its key: {error.message} ({error.code})",
            "somebody may be between you and the node: ask its operator",
        ) from error


@lru_cache(maxsize=16)
def _packet(public_key: bytes, payload: bytes) -> SignedPacket:
    """Verify a node's packet; each connection to the same node brings the same one."""
    return SignedPacket.from_relay_payload(public_key, payload)


@lru_cache(maxsize=16)
def _record(packet: SignedPacket, document: bytes) -> Record:
    return Record.verified(packet, document)


def _check_has(answer: Response, name: str) -> None:
    if answer.status != 200:
        raise _no_record(name)


def _no_record(name: str) -> NetworkError:
    return NetworkError(
        "tls.no-record",
        f"{name} has no record of its own, so its key cannot be proven",
        "check the did:key in the address; a node publishes its record when it starts",
    )


def _with_approvals(connection: HttpConnection, record: Record, seen: Seen | None, deadline_s: float) -> Record:
    """Return the record with what is beside its document, if approvers play a part."""
    assert record.document is not None
    if record.document.approvers is None and known_document(seen) is None:
        return record
    path = f"/document/{record.document.hash.hex()}/approvals"
    answer = connection.exchange(Request("GET", path), MAX_APPROVALS_BYTES, deadline_s)
    if answer.status != 200:
        return record
    try:
        return record.with_approvals(DocumentApprovals.from_bytes(answer.body))
    except FormatError:
        return record  # as good as none


def _check_fresh(record: Record, memory: Freshness | None, seen: Seen | None, name: str) -> None:
    if seen is not None and record.packet.seq < seen.seq:
        raise VerificationError(
            "record.stale", f"{name} proves its key with a record that is older than the known one", "ask its operator"
        )
    refuse_split(record, memory, name)
