"""Splits: what was signed twice with one `seq`, found among answers, remembered, and over only once it is healed.

Spec: docs/spec/equivocation.md; docs/spec/resolution.md, "Resolving", step 5.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from walletcli.client.approved import is_approved
from walletcli.client.freshness import Freshness, Seen
from walletcli.core.approvals import check_follows
from walletcli.core.document import Document
from walletcli.core.equivocation import EquivocationProof, Side, content_hash, named_in, proofs_among
from walletcli.core.packet import SignedPacket
from walletcli.core.record import Record
from walletcli.errors import FormatError, VerificationError


class Shown(Protocol):
    """One thing that an identity's key has signed, and who showed it."""

    @property
    def packet(self) -> SignedPacket:
        """Verified."""

    @property
    def record(self) -> Record | None:
        """Packet and document, where that is at hand."""

    @property
    def addresses(self) -> Sequence[str]:
        """Who showed it, as text."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A packet by itself, or with its record; as `Shown`."""

    packet: SignedPacket
    record: Record | None = None
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Split:
    """What an identity's key has signed with one `seq`: two states or more.

    Args:
        seq: the one.
        documents: what the packets name: SHA-256 of 32 bytes each, None for a packet that names none.
        packets: all verified; of the remembered state only where its record was kept.
        addresses: who served them, as text; nobody, where it is remembered from before.
        contents: content hashes (32 bytes each) of all sides.
        proofs: the same, for everybody; empty if only one packet is at hand.
    """

    seq: int
    documents: tuple[bytes | None, ...]
    packets: tuple[SignedPacket, ...]
    addresses: tuple[str, ...]
    contents: frozenset[bytes] = frozenset()
    proofs: tuple[EquivocationProof, ...] = ()

    def is_healed_by(self, record: Record | None) -> bool:
        """Tell whether a record's document comes after the split, names all sides of it, and is approved.

        Approvers in whom all sides agree are the owner's, from before the split: they must have approved it. Those that
        one side alone names may be a thief's. What a remembered state asks for is checked where that is followed.

        Args:
            record: verified, with what is beside its document; or None.
        """
        document = record.document if record is not None else None
        if record is None or document is None or document.seq <= self.seq or not named_in(document) >= self.contents:
            return False
        sides = [side.readable for proof in self.proofs for side in proof.sides]
        agreed = {side.approvers if side is not None else None for side in sides}
        if len(agreed) != 1 or sides[0] is None:
            return True
        try:
            check_follows(sides[0], document, record.beside)
        except VerificationError:
            return False
        return True

    def to_json(self) -> dict[str, object]:
        """Return seq, the documents' hashes (hex, or null) and the sources."""
        hashes = [document and document.hex() for document in self.documents]
        return {"seq": self.seq, "documents": hashes, "sources": list(self.addresses)}


class SplitError(VerificationError):
    """The state that was found is split, and there is none before it to keep to.

    Args:
        message: whose, and who showed what.
        hint: what to do.
        proofs: for everybody, as far as both packets of a split are at hand.
    """

    def __init__(self, message: str, hint: str, proofs: Iterable[EquivocationProof]) -> None:
        super().__init__("record.equivocation", message, hint)
        self.proofs = tuple(proofs)


def find_splits(
    candidates: Sequence[Shown], seen: Seen | None, known: Sequence[EquivocationProof] = ()
) -> tuple[Split, ...]:
    """Find what was signed twice: among answers, between them and the remembered state, and what is remembered as such.

    Args:
        candidates: states not below the remembered one, the highest `seq` first.
        seen: what is remembered, or None.
        known: splits that were met before.
    """
    floor = -1 if seen is None else seen.seq
    before = [proof for proof in known if proof.seq >= floor]
    seqs = sorted({*(state.packet.seq for state in candidates), *(proof.seq for proof in before)}, reverse=True)
    found = (_split_at(seq, candidates, seen, before) for seq in seqs)
    return tuple(split for split in found if split is not None)


def _split_at(
    seq: int, candidates: Sequence[Shown], seen: Seen | None, known: Sequence[EquivocationProof]
) -> Split | None:
    states = [state for state in candidates if state.packet.seq == seq]
    proven = [side for proof in known if proof.seq == seq for side in proof.sides]
    documents: dict[bytes, bytes | None] = {}
    for state in states:
        documents.setdefault(content_hash(state.packet), state.packet.document_hash)
    if seen is not None and seen.seq == seq:
        if seen.record is not None:
            documents.setdefault(content_hash(seen.record.packet), seen.document_hash)
        elif seen.document_hash is not None:
            documents.setdefault(seen.document_hash, seen.document_hash)
    for side in proven:
        documents.setdefault(side.content, side.packet.document_hash)
    if len(documents) < 2:  # as nearly always: no side needs its document's bytes then
        return None
    sides = [*_sides_of(states), *proven]
    if seen is not None and seen.seq == seq and seen.record is not None:
        sides += _sides(seen.record.packet, seen.record.document)
    packets = dict.fromkeys([*(state.packet for state in states), *(side.packet for side in sides)])
    addresses = tuple(address for state in states for address in state.addresses)
    return Split(
        seq, tuple(documents.values()), tuple(packets), addresses, frozenset(documents), proofs_among(sides)
    )  # fmt: skip


def _sides_of(states: Iterable[Shown]) -> Iterator[Side]:
    for state in states:
        yield from _sides(state.packet, state.record.document if state.record is not None else None)


def _sides(packet: SignedPacket, document: Document | None) -> Iterator[Side]:
    """Yield the side that a packet is, unless it is of a version of which nothing can be said here."""
    try:
        yield Side(packet, document.to_bytes() if document is not None else None)
    except FormatError:
        return


def proofs_of_states(states: Iterable[Shown], known: Record | None = None) -> tuple[EquivocationProof, ...]:
    """Return a proof of all that was signed twice among states of one key, however old.

    Args:
        states: verified.
        known: one more state of that key, or None.
    """
    sides = [*_sides_of(states), *(_sides(known.packet, known.document) if known is not None else ())]
    return proofs_among(sides)


def refuse_split(record: Record, memory: Freshness | None, whose: str) -> None:
    """Refuse a record that is a side of a split, or comes after an open one and does not heal it; keep the proof.

    One that remembered approvers have approved is not refused: splits are made with the root alone.

    Args:
        record: verified, at or above the remembered `seq`.
        memory: what is remembered; None: nothing is.
        whose: who has signed it, for the message.

    Raises:
        VerificationError: ``record.equivocation``, as a `SplitError`.
    """
    if memory is None:
        return
    key = record.packet.public_key
    seen, known = memory.get(key), memory.splits(key)
    state = Signed(record.packet, record)
    splits = find_splits([state], seen, known)
    keep_splits(memory, [proof for split in splits for proof in split.proofs])
    if seen is not None and (seen.seq, seen.document_hash) == (record.packet.seq, record.packet.document_hash):
        return
    if not all(split.is_healed_by(record) for split in splits) and not is_approved(seen, record):
        raise SplitError(
            f"{whose} has signed two states with one seq",
            "its key may be in two hands: ask its owner over another channel, and trust neither state",
            [proof for split in splits for proof in split.proofs],
        )


def keep_splits(memory: Freshness | None, proofs: Iterable[EquivocationProof]) -> None:
    """Remember splits, so that they stay open though nobody shows them any more."""
    if memory is not None:
        for proof in proofs:
            memory.keep_split(proof)
