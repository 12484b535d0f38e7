"""What a client remembers of each identity, so that nobody can lead it back.

Spec: docs/spec/resolution.md, "Freshness".
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from walletcli.core.approvals import is_better
from walletcli.core.equivocation import EquivocationProof
from walletcli.core.record import Record


@dataclass(frozen=True, slots=True)
class Waiting:
    """A change of approvers that nobody has approved, and since when it is known here.

    Args:
        change: what is changed into what, 32 bytes (`walletcli.core.approvals.change_of`).
        since_day: the first sight of it, days since 1970-01-01.
    """

    change: bytes
    since_day: int


@dataclass(frozen=True, slots=True)
class Seen:
    """The newest state of an identity that was ever verified.

    Args:
        seq: its packet's.
        document_hash: SHA-256 of its document (32 bytes), or None for a packet that names none.
        record: the state itself, where it was kept; always, if its document names approvers.
        waiting: a later change of the approvers that is waited for, or None.
    """

    seq: int
    document_hash: bytes | None
    record: Record | None = None
    waiting: Waiting | None = None

    @classmethod
    def of(cls, record: Record) -> Seen:
        """Return what to remember of `record`."""
        return cls(record.packet.seq, record.packet.document_hash, record)

    def may_follow(self, known: Seen | None) -> bool:
        """Tell whether this may take the place of what is remembered: never below it, nor beside it with its `seq`."""
        if known is None or known.seq < self.seq:
            return True
        return known.seq == self.seq and known.document_hash == self.document_hash

    def after(self, known: Seen | None) -> Seen:
        """Return what is remembered where `known` was: of the same state, nothing that was known of it is forgotten."""
        if known is None or (known.seq, known.document_hash) != (self.seq, self.document_hash):
            return self
        waiting = self.waiting if self.waiting is not None else known.waiting
        return replace(self, record=_joined(known.record, self.record), waiting=waiting)


def _joined(known: Record | None, record: Record | None) -> Record | None:
    """Return one state with the better of what is known beside its document; whoever serves it may have taken some."""
    if known is None or record is None:
        return record or known
    document, beside = record.document, record.beside
    if document is None or beside is None:
        return known
    return record if is_better(None, document, beside, known.beside) else known


class Freshness(Protocol):
    """Remembers the newest state of each identity; kept sealed by whoever implements it.

    Called from several threads: relays are asked at once, and the records of pinned nodes are looked up there.
    """

    def get(self, public_key: bytes) -> Seen | None:
        """Return what was seen of the identity with this root key (32 bytes), or None."""

    def put(self, public_key: bytes, seen: Seen) -> None:
        """Remember `seen`, unless something newer is remembered already, or another state with its `seq`."""

    def splits(self, public_key: bytes) -> Sequence[EquivocationProof]:
        """Return the splits that were met of the identity with this root key (32 bytes), healed or not."""

    def keep_split(self, proof: EquivocationProof) -> None:
        """Remember a split, so that it stays open though nobody shows it any more."""


class FreshnessMap:
    """A `Freshness` in memory."""

    def __init__(self) -> None:
        self._seen: dict[bytes, Seen] = {}
        self._splits: dict[tuple[bytes, int, tuple[bytes, bytes]], EquivocationProof] = {}
        self._lock = threading.Lock()

    def get(self, public_key: bytes) -> Seen | None:
        """Return what was seen of the identity with this root key (32 bytes), or None."""
        return self._seen.get(public_key)

    def put(self, public_key: bytes, seen: Seen) -> None:
        """Remember `seen`, unless something newer is remembered already."""
        with self._lock:
            known = self._seen.get(public_key)
            if seen.may_follow(known):
                self._seen[public_key] = seen.after(known)

    def splits(self, public_key: bytes) -> Sequence[EquivocationProof]:
        """Return the splits that were met of the identity with this root key (32 bytes), healed or not."""
        with self._lock:
            return [proof for proof in self._splits.values() if proof.public_key == public_key]

    def keep_split(self, proof: EquivocationProof) -> None:
        """Remember a split."""
        with self._lock:
            known = self._splits.setdefault((proof.public_key, proof.seq, proof.pair), proof)
            self._splits[proof.public_key, proof.seq, proof.pair] = known.joined(proof)
