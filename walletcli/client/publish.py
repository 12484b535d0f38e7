"""Stores a record on relays: the document first, then the packet, then a look at what they really hold.

Spec: docs/spec/resolution.md, "Publishing".
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from walletcli.client.fanout import for_each
from walletcli.client.freshness import Freshness
from walletcli.client.link import TIMEOUT_S
from walletcli.client.sources import Source, open_source
from walletcli.client.splits import Signed, SplitError, keep_splits, proofs_of_states
from walletcli.core.identity_id import IdentityId
from walletcli.core.packet import SignedPacket
from walletcli.core.record import Record
from walletcli.errors import InputError, NetworkError, ShortPublishError, VerificationError, WalletError
from walletcli.net.addresses import NAME_HINT, NodeAddress
from walletcli.net.dialer import Dialer

DHT_WAIT_S: Final = 10
"""How long a relay may take to put a packet into the DHT and count, in seconds; less than a call may take."""

_OVERTAKEN: Final = frozenset({"publish.newer-exists", "record.equivocation"})


@dataclass(frozen=True, slots=True)
class Failure:
    """Why one relay does not hold the record.

    Args:
        address: the relay, as text.
        code: of our error.
        message: of our error.
        hint: of our error.
    """

    address: str
    code: str
    message: str
    hint: str = ""

    def to_json(self) -> dict[str, object]:
        """Return all of it but the hint, which the error that tells of all relays gives."""
        return {"address": self.address, "error": self.code, "message": self.message}


@dataclass(frozen=True, slots=True)
class Stored:
    """Where a record is, by the relays' own answers to a second question.

    Args:
        relays: those that hold all of it, as text.
        packet_only: those that hold the packet and keep no documents.
        dht_nodes: how many nodes of the DHT hold the packet, as the relay that knows of most says; they may be the
            same nodes, so numbers of several relays are not added up.
        failed: the others, and why.
    """

    relays: tuple[str, ...]
    packet_only: tuple[str, ...] = ()
    dht_nodes: int = 0
    failed: tuple[Failure, ...] = ()

    @property
    def copies(self) -> int:
        """How many relays count: packets alone count only if somebody holds the document that they name."""
        return len(self.relays) + (len(self.packet_only) if self.relays else 0)

    def to_json(self) -> dict[str, object]:
        """Return all four fields."""
        return {
            "relays": list(self.relays),
            "packet_only": list(self.packet_only),
            "dht_nodes": self.dht_nodes,
            "failed": [failure.to_json() for failure in self.failed],
        }


class PublishedShortError(ShortPublishError):
    """Stored on fewer relays than asked for; `stored` says where.

    Args:
        stored: what was reached.
        wanted: how many copies were asked for.
    """

    def __init__(self, stored: Stored, wanted: int) -> None:
        why = [f"{failure.message} ({failure.code})" for failure in stored.failed]
        why += [f"{address} holds the packet only, as it keeps no documents" for address in stored.packet_only]
        are_misnamed = not stored.copies and {failure.hint for failure in stored.failed} == {NAME_HINT}
        super().__init__(
            "publish.short",
            f"held by {stored.copies} of the {wanted} relays asked for: {'; '.join(why) or 'no more were named'}",
            NAME_HINT if are_misnamed else "publish again later, or name other relays; what was stored stays stored",
        )
        self.stored = stored


@dataclass(slots=True)
class _Attempt:
    """How far one relay has come."""

    client: Source
    has_document: bool = False
    has_packet: bool = False
    keeps_documents: bool = True
    dht_nodes: int = 0
    error: WalletError | None = None

    @property
    def address(self) -> str:
        return self.client.address.to_text()


def publish(
    record: Record,
    relays: Sequence[NodeAddress],
    *,
    dialer: Dialer,
    copies: int | None = None,
    for_identity: str | None = None,
    timeout_s: float = TIMEOUT_S,
    memory: Freshness | None = None,
) -> Stored:
    """Store `record` on all relays and count, by asking again, how many hold it.

    The document goes everywhere before the packet goes anywhere. If no relay takes the document, no packet is put: it
    would leave the identity's readers with a state that they cannot see.

    Args:
        record: what to publish; without a document (a packet that names none, or whose document is known to be
            published) only the packet is put.
        relays: where; the same one twice counts once.
        dialer: opens the connections.
        copies: how many relays must hold it, at least 1; None means all of them.
        for_identity: did:key of the identity on whose behalf; None means the record's own.
        timeout_s: how long each call to a relay may take, in seconds.
        memory: freshness of pinned nodes' own records; it keeps a split that shows.

    Raises:
        NetworkError: ``relay.none`` without relays, ``network.offline``.
        ShortPublishError: ``publish.short``, as a `PublishedShortError`.
        VerificationError: ``publish.newer-exists`` when a relay has a packet of this key with a higher `seq`,
            ``record.equivocation`` when it has another one with the same.
        InputError: ``publish.copies`` when more copies are asked for than relays are named.
    """
    addresses = list(dict.fromkeys(relays))
    if not addresses:
        raise NetworkError("relay.none", "no relay is known to publish to", "add one with `relay add`, or give --relay")
    wanted = len(addresses) if copies is None else copies
    if not 1 <= wanted <= len(addresses):
        raise InputError(
            "publish.copies",
            f"cannot have {wanted} copies on {len(addresses)} relays",
            "name more relays, or ask for less",
        )
    owner = for_identity or IdentityId(record.packet.public_key).did
    with ExitStack() as open_clients:
        attempts = [
            _Attempt(open_clients.enter_context(open_source(a, dialer, owner, timeout_s=timeout_s, memory=memory)))
            for a in addresses
        ]
        _store(record, attempts, memory)
    stored = _count(attempts, needs_document=record.document is not None)
    offline = next((a.error for a in attempts if a.error is not None and a.error.code == "network.offline"), None)
    if offline is not None:
        raise offline
    if stored.copies < wanted:
        raise PublishedShortError(stored, wanted)
    return stored


def _store(record: Record, attempts: Sequence[_Attempt], memory: Freshness | None) -> None:
    if record.document is not None:
        document = record.document.to_bytes()
        for_each(attempts, lambda attempt: _put_document(attempt, document, record))
        if not any(attempt.has_document for attempt in attempts):
            return
    for_each(attempts, lambda attempt: _put_packet(attempt, record))
    _raise_if_overtaken(attempts, memory)
    for_each(attempts, lambda attempt: _ask_again(attempt, record))
    _raise_if_overtaken(attempts, memory)


def _raise_if_overtaken(attempts: Sequence[_Attempt], memory: Freshness | None) -> None:
    """One relay with something else that the key has signed matters more than all that took the packet."""
    for attempt in attempts:
        if isinstance(attempt.error, SplitError):
            keep_splits(memory, attempt.error.proofs)
    for attempt in attempts:
        if attempt.error is not None and attempt.error.code in _OVERTAKEN:
            raise attempt.error


def _put_document(attempt: _Attempt, document: bytes, record: Record) -> None:
    try:
        attempt.client.put_document(document)
        if record.beside is not None and record.packet.document_hash is not None:
            attempt.client.put_approvals(record.packet.document_hash, record.beside)
    except WalletError as error:
        if error.code == "relay.no-documents":
            attempt.keeps_documents = False
        else:
            attempt.error = error
    else:
        attempt.has_document = True


def _put_packet(attempt: _Attempt, record: Record) -> None:
    if attempt.error is not None:
        return
    try:
        attempt.dht_nodes = attempt.client.put_packet(record.packet, dht_wait_s=DHT_WAIT_S) or 0
    except WalletError as error:
        attempt.error = error
    else:
        attempt.has_packet = True
        return
    if attempt.error.code in ("relay.conflict", "relay.precondition"):
        _look_at_conflict(attempt, record)


def _look_at_conflict(attempt: _Attempt, record: Record) -> None:
    """A relay says that it knows better: see what it knows, as its word alone proves nothing."""
    try:
        held = attempt.client.get_packets(record.packet.public_key)
        if _is_among(held, record, attempt.address):
            attempt.error, attempt.has_packet = None, True
    except WalletError as error:
        attempt.error = error


def _ask_again(attempt: _Attempt, record: Record) -> None:
    if not attempt.has_packet:
        return
    attempt.has_packet = False
    packet = record.packet
    try:
        held = attempt.client.get_packets(packet.public_key, from_store=True)
        if not _is_among(held, record, attempt.address):
            raise NetworkError(
                "relay.lost", f"{attempt.address} took the packet and does not have it", "name another relay"
            )
        attempt.has_packet = True
        if attempt.has_document and packet.document_hash is not None:
            attempt.has_document = attempt.client.get_document(packet.document_hash) is not None
            if not attempt.has_document:
                raise NetworkError(
                    "relay.lost", f"{attempt.address} took the document and does not have it", "name another relay"
                )
    except WalletError as error:
        attempt.error = error


def _is_among(held: Sequence[SignedPacket], record: Record, address: str) -> bool:
    """Whether a relay holds the packet of `record`; raises as `_is_held`, of whatever it holds."""
    return sum(_is_held(packet, record, address) for packet in held) > 0


def _is_held(held: SignedPacket, record: Record, address: str) -> bool:
    """Whether a relay holds the packet of `record`; False where it holds an older one.

    Raises:
        VerificationError: ``publish.newer-exists``, ``record.equivocation``.
    """
    packet = record.packet
    if held.seq > packet.seq:
        raise VerificationError(
            "publish.newer-exists",
            f"{address} has a newer packet of this identity (seq {held.seq}, this one has {packet.seq})",
            "if another device of yours published it, take it over: walletcli sync; else somebody has its root key",
        )
    if held.seq == packet.seq and held.value != packet.value:
        raise SplitError(
            f"{address} has another packet of this identity with the same seq {packet.seq}",
            "another device of yours has signed it, or somebody has its root key: see walletcli record prove",
            proofs_of_states([Signed(held)], record),
        )
    return held.seq == packet.seq


def _count(attempts: Sequence[_Attempt], *, needs_document: bool) -> Stored:
    full, packet_only, failed = [], [], []
    for attempt in attempts:
        if attempt.error is not None:
            failed.append(Failure(attempt.address, attempt.error.code, attempt.error.message, attempt.error.hint))
        elif attempt.has_packet and (attempt.has_document or not needs_document):
            full.append(attempt.address)
        elif attempt.has_packet:
            packet_only.append(attempt.address)
        else:
            failed.append(_not_tried(attempt))
    dht_nodes = max((attempt.dht_nodes for attempt in attempts if attempt.error is None), default=0)
    return Stored(tuple(full), tuple(packet_only), dht_nodes, tuple(failed))


def _not_tried(attempt: _Attempt) -> Failure:
    """A relay that was left alone because the document is nowhere."""
    why = "it keeps no documents" if not attempt.keeps_documents else "nobody holds the document"
    return Failure(
        attempt.address,
        "relay.no-documents",
        f"{attempt.address} was not given the packet: {why}, and no relay took it",
    )
