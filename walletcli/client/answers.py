"""What relays answered about one identity: gathered at once, verified one by one, grouped into states.

Spec: docs/spec/resolution.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from walletcli.client.approved import hashes_to_ask_for
from walletcli.client.fanout import for_each
from walletcli.client.freshness import Seen
from walletcli.core.approvals import DocumentApprovals
from walletcli.core.packet import SignedPacket
from walletcli.core.record import Record
from walletcli.errors import FormatError, VerificationError, WalletError

if TYPE_CHECKING:
    from walletcli.client.sources import Source


@dataclass(frozen=True, slots=True)
class Answer:
    """What one relay said.

    Args:
        address: the relay, as text.
        packet: verified, or None.
        document: the bytes that the packet's hash names, or None.
        error: why there is no packet, or no document of it, where that was a failure.
        beside: what relays have beside the document.
        others: what else it has that was signed with one `seq` and two values; only a source of many nodes has that.
    """

    address: str
    packet: SignedPacket | None = None
    document: bytes | None = None
    error: WalletError | None = None
    beside: tuple[DocumentApprovals, ...] = ()
    others: tuple[Answer, ...] = ()

    @classmethod
    def of_packets(cls, address: str, packets: Sequence[SignedPacket]) -> Answer:
        """Return the answer of a source that has these packets, the newest first, or none."""
        others = tuple(cls(address, packet) for packet in packets[1:])
        return cls(address, packets[0] if packets else None, others=others)


@dataclass(slots=True)
class State:
    """One thing that the identity's key has signed, and who serves it.

    Args:
        packet: verified.
        addresses: the relays that serve it.
        record: packet and document, checked against each other; None while the document cannot be had.
        fault: why the document, though it is the one named, must not be used.
        beside: what relays have beside the document.
        is_refused: whether it may not be followed, as approvers that are remembered have not approved it.
    """

    packet: SignedPacket
    addresses: list[str] = field(default_factory=list)
    record: Record | None = None
    fault: WalletError | None = None
    beside: list[DocumentApprovals] = field(default_factory=list)
    is_refused: bool = False

    @property
    def is_pending(self) -> bool:
        """Whether the packet names a document that could not be had, or cannot be used."""
        return self.record is None

    @property
    def content(self) -> bytes:
        """What tells two states of one `seq` apart: the document's hash, or the packet's value where it names none."""
        return self.packet.document_hash or self.packet.value


def gather(clients: Sequence[Source], public_key: bytes, seen: Seen | None = None) -> list[Answer]:
    """Ask all relays at once for the packet of a key and the document that it names; one answer for each client.

    Args:
        clients: the relays.
        public_key: 32 bytes.
        seen: what is remembered: it decides whether approvals are asked for as well.
    """
    answers = for_each(clients, lambda client: _ask(client, public_key))
    alive = [client for client, answer in zip(clients, answers, strict=True) if answer.packet or not answer.error]
    return completed(with_others(answers), alive, public_key, seen)


def with_others(answers: Sequence[Answer]) -> list[Answer]:
    """Return answers, and behind them as answers of their own what else their sources have."""
    return [
        *(replace(answer, others=()) for answer in answers),
        *(item for answer in answers for item in answer.others),
    ]


def completed(
    answers: Sequence[Answer], clients: Sequence[Source], public_key: bytes, seen: Seen | None
) -> list[Answer]:
    """Return answers with the documents that their packets name, as far as one of them or of `clients` has them.

    Args:
        answers: of anybody.
        clients: who is asked for what is missing, and for approvals.
        public_key: whose, 32 bytes.
        seen: as in `gather`.
    """
    missing = {a.packet.document_hash for a in answers if a.packet and a.document is None and a.packet.document_hash}
    found: dict[bytes | None, bytes | None] = {
        a.packet.document_hash: a.document for a in answers if a.packet and a.document
    }
    for document_hash in missing - found.keys():
        found[document_hash] = _document_from_any(clients, document_hash)
    named = [(public_key, document_hash, body) for document_hash, body in found.items() if document_hash is not None]
    beside = {
        document_hash: _beside_at_all(clients, document_hash)
        for document_hash in hashes_to_ask_for(named, lambda _: seen)
    }
    return [
        replace(
            answer,
            document=found.get(answer.packet.document_hash),
            beside=(*answer.beside, *beside.get(answer.packet.document_hash or b"", ())),
        )
        if answer.packet
        else answer
        for answer in answers
    ]


def states(answers: Iterable[Answer]) -> list[State]:
    """Group answers into what was signed, highest `seq` first."""
    grouped: dict[tuple[int, bytes], State] = {}
    for answer in answers:
        if answer.packet is None:
            continue
        state = State(answer.packet)
        state = grouped.setdefault((answer.packet.seq, state.content), state)
        state.addresses.append(answer.address)
        state.beside += [offered for offered in answer.beside if offered not in state.beside]
        if state.record is None:
            _complete(state, answer)
    return sorted(grouped.values(), key=lambda state: state.packet.seq, reverse=True)


def _complete(state: State, answer: Answer) -> None:
    packet = answer.packet
    if packet is None or (packet.document_hash is not None and answer.document is None):
        return
    try:
        state.record = Record.verified(packet, answer.document)
        state.packet, state.fault = packet, None
    except (FormatError, VerificationError) as error:
        state.fault = error


def _ask(client: Source, public_key: bytes) -> Answer:
    address = client.address.to_text()
    try:
        found = Answer.of_packets(address, client.get_packets(public_key))
    except WalletError as error:
        return Answer(address, error=error)
    if found.packet is None or found.packet.document_hash is None:
        return found
    try:
        return replace(found, document=client.get_document(found.packet.document_hash))
    except WalletError as error:
        return replace(found, error=error)


def _beside_at_all(clients: Sequence[Source], document_hash: bytes) -> tuple[DocumentApprovals, ...]:
    """Ask all at once for what is beside a document: one may have it and another not, or keep it back."""

    def ask(client: Source) -> DocumentApprovals | None:
        try:
            return client.get_approvals(document_hash)
        except WalletError:
            return None  # without approvals the state of before stays, and that is told

    return tuple(beside for beside in for_each(clients, ask) if beside is not None)


def _document_from_any(clients: Sequence[Source], document_hash: bytes) -> bytes | None:
    """Ask all at once again: whoever has it, the hash tells that it is the right one."""

    def ask(client: Source) -> bytes | None:
        try:
            return client.get_document(document_hash)
        except WalletError:
            return None  # the relay's own answer has been reported already

    return next((document for document in for_each(clients, ask) if document is not None), None)
