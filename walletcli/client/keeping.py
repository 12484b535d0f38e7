"""Looks whether a relay still has somebody's record, and brings it back there as it was signed; no key is needed.

Spec: docs/spec/keepalive.md, "One visit".
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from enum import StrEnum

from walletcli.client.answers import Answer, completed
from walletcli.client.freshness import Freshness
from walletcli.client.link import TIMEOUT_S
from walletcli.client.publish import publish
from walletcli.client.relay import RelayClient
from walletcli.client.scan import scanned
from walletcli.client.splits import Signed, SplitError, keep_splits, proofs_of_states
from walletcli.core.equivocation import content_hash
from walletcli.core.identity_id import IdentityId
from walletcli.core.packet import SignedPacket
from walletcli.core.record import Record
from walletcli.errors import NetworkError, WalletError
from walletcli.net.addresses import NodeAddress
from walletcli.net.dialer import Dialer


class Outcome(StrEnum):
    """What a visit came to."""

    KEPT = "kept"
    """the relay has the record"""
    RESTORED = "restored"
    """it lacked the record, or a part of it, and has it now"""
    NEWER = "newer"
    """it has a newer one, which is remembered now"""
    REFUSED = "refused"
    """it has a newer packet that cannot be followed: its document is missing, or it leaves a split open"""
    SPLIT = "split"
    """it has another state with the same `seq`; the proof is remembered"""
    LIMITED = "limited"
    """it wants fewer requests"""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Visit:
    """What came of one visit.

    Attributes:
        outcome: in one word.
        seq: of the packet that the relay has now, where that is known.
        error: why it failed, or what was refused; None otherwise.
    """

    outcome: Outcome
    seq: int | None = None
    error: WalletError | None = None


def keep_alive(
    record: Record,
    address: NodeAddress,
    *,
    dialer: Dialer,
    for_identity: str | None,
    memory: Freshness,
    timeout_s: float = TIMEOUT_S,
) -> Visit:
    """Look whether a relay has a record, and put it there if it has not; nothing is raised but by bugs.

    What is put is what was signed: document, approvals, packet. A newer packet that the relay has is verified, its
    document fetched, and remembered as after a resolution.

    Args:
        record: verified; the newest that is known, with its document if its packet names one.
        address: of the relay.
        dialer: opens the connections.
        for_identity: did:key of the identity on whose behalf, or None.
        memory: what is remembered; brought up to date.
        timeout_s: how long each call may take, in seconds.
    """
    try:
        with RelayClient(address, dialer, for_identity, timeout_s=timeout_s, memory=memory) as relay:
            found = _look(relay, record, memory)
        return found if found is not None else _restore(record, address, dialer, for_identity, memory, timeout_s)
    except SplitError as error:
        return Visit(Outcome.SPLIT, record.packet.seq, error)
    except NetworkError as error:
        return Visit(Outcome.LIMITED if error.code == "relay.limited" else Outcome.FAILED, None, error)
    except WalletError as error:
        return Visit(Outcome.FAILED, None, error)


def _look(relay: RelayClient, record: Record, memory: Freshness) -> Visit | None:
    """Return what the relay has, or None where it lacks the record."""
    packet = record.packet
    held = relay.get_packet(packet.public_key, from_store=True)
    if held is None or held.seq < packet.seq:
        return None
    if held.seq > packet.seq:
        return _take_newer(relay, held, memory)
    if content_hash(held) != content_hash(packet):
        proofs = proofs_of_states([Signed(held)], record)
        keep_splits(memory, proofs)
        error = SplitError("the relay has another state with the same seq", "see: walletcli record prove", proofs)
        return Visit(Outcome.SPLIT, held.seq, error)
    return Visit(Outcome.RESTORED if _complete(relay, record) else Outcome.KEPT, held.seq)


def _complete(relay: RelayClient, record: Record) -> bool:
    """Put a document, and what is beside it, where they are missing; say whether they were, and could be put."""
    document, beside = record.document, record.beside
    if document is None:
        return False
    has_document = relay.get_document(document.hash, from_store=True) is not None
    if has_document and (beside is None or relay.get_approvals(document.hash) is not None):
        return False
    try:
        if not has_document:
            relay.put_document(document.to_bytes())
        if beside is not None:
            relay.put_approvals(document.hash, beside)
    except NetworkError as error:
        if error.code != "relay.no-documents":
            raise
        return False
    return True


def _take_newer(relay: RelayClient, held: SignedPacket, memory: Freshness) -> Visit:
    """Verify a newer state as after a resolution, and remember it if it is to be followed."""
    document = relay.get_document(held.document_hash) if held.document_hash is not None else None
    key, node_record = held.public_key, relay.link.node_record
    answers = completed([Answer(relay.address.to_text(), held, document)], [relay], key, memory.get(key))
    found = scanned(IdentityId(key), answers, memory, time.time(), [node_record], with_bindings=False)
    if found.resolution is not None and found.resolution.record.packet.seq == held.seq and not found.resolution.pending:
        return Visit(Outcome.NEWER, held.seq)
    return Visit(Outcome.REFUSED, held.seq, found.error)


def _restore(
    record: Record,
    address: NodeAddress,
    dialer: Dialer,
    for_identity: str | None,
    memory: Freshness,
    timeout_s: float,
) -> Visit:
    """Put a record where it is missing, and see that it is there; a relay that keeps no documents gets the packet."""

    def put(what: Record) -> None:
        publish(what, [address], dialer=dialer, for_identity=for_identity, timeout_s=timeout_s, memory=memory)

    try:
        put(record)
    except NetworkError as error:
        failed = getattr(error, "stored", None)
        codes = {failure.code for failure in failed.failed} if failed is not None else set()
        if codes != {"relay.no-documents"}:
            if "relay.limited" in codes:
                return Visit(Outcome.LIMITED, None, error)
            raise
        put(replace(record, document=None, beside=None))
    return Visit(Outcome.RESTORED, record.packet.seq)
