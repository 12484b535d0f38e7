"""What a wallet keeps of splits: the proofs that it has met, and what its owner has decided to heal.

Spec: docs/spec/wallet-state.md, "Splits"; docs/spec/equivocation.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from walletcli.core.document import Document
from walletcli.core.equivocation import EquivocationProof
from walletcli.errors import FormatError, InputError, VerificationError
from walletcli.wallet.state.fields import MAX_UINT, Fields

MAX_SPLITS: Final = 64
"""Most splits that are kept."""

MAX_OF_ONE: Final = 8
"""Most of one identity: a document heals no more."""

MAX_PROOF_BYTES: Final = 20_000
"""Longest proof that is kept; of a longer one the documents are left out."""

MAX_HEALED: Final = 8
"""Most splits that a document names (docs/spec/record.md)."""


@dataclass(frozen=True, slots=True)
class KeptSplit:
    """A split that this wallet has met.

    Attributes:
        identity: root key, 32 bytes.
        proof: the proof file, at most `MAX_PROOF_BYTES`.
    """

    identity: bytes
    proof: bytes

    @classmethod
    def of(cls, proof: EquivocationProof) -> KeptSplit:
        """Return what to keep of a proof."""
        data = proof.to_bytes()
        return cls(proof.public_key, data if len(data) <= MAX_PROOF_BYTES else proof.bare().to_bytes())

    @property
    def opened(self) -> EquivocationProof:
        """The proof, verified.

        Raises:
            FormatError, VerificationError: as `EquivocationProof.from_bytes`.
        """
        return _opened(self.proof)

    def to_row(self) -> list[object]:
        """Return the CBOR list that stands for it."""
        return [self.identity, self.proof]

    @classmethod
    def from_row(cls, value: object, what: str) -> KeptSplit:
        """Read the list that `to_row` wrote; raises FormatError ``WHAT.malformed``."""
        row = Fields.of_row(value, what)
        kept = cls(row.raw(0, 32), row.raw(1, max_bytes=MAX_PROOF_BYTES))
        row.end()
        return kept


@lru_cache(maxsize=MAX_SPLITS)
def _opened(proof: bytes) -> EquivocationProof:
    return EquivocationProof.from_bytes(proof)


@dataclass(frozen=True, slots=True)
class Healing:
    """The owner's decision to heal a split with the next record.

    Attributes:
        seq: the healing record's has to be above this: the split's, or a later one that was seen.
        first: content hash of one side, 32 bytes; the lower one.
        second: of the other.
    """

    seq: int
    first: bytes
    second: bytes

    @classmethod
    def of(cls, proof: EquivocationProof) -> Healing:
        """Return the decision to heal what a proof shows."""
        return cls(proof.seq, *proof.pair)

    def to_row(self) -> list[object]:
        """Return the CBOR list that stands for it."""
        return [self.seq, self.first, self.second]

    @classmethod
    def from_row(cls, value: object, what: str) -> Healing:
        """Read the list that `to_row` wrote; raises FormatError ``WHAT.malformed``."""
        row = Fields.of_row(value, what)
        healing = cls(row.integer(0, 0, MAX_UINT), row.raw(1, 32), row.raw(2, 32))
        row.end()
        if healing.first >= healing.second:
            raise FormatError(f"{what}.malformed", f"malformed {what}: the sides of a split are out of order")
        return healing


def read_healings(fields: Fields, key: int, what: str) -> tuple[Healing, ...]:
    """Take a list of decisions to heal, which is not empty where it is there."""
    return tuple(Healing.from_row(item, what) for item in fields.items(key)) if fields.has(key) else ()


def with_splits(kept: Sequence[KeptSplit], proofs: Iterable[bytes], own: frozenset[bytes]) -> tuple[KeptSplit, ...]:
    """Return what is kept after more splits were met; the oldest go first, and those of one's own identities last.

    Args:
        kept: so far, the oldest first.
        proofs: proof files; each is verified.
        own: root keys (32 bytes) of the wallet's identities.

    Raises:
        FormatError, VerificationError: as `EquivocationProof.from_bytes`.
    """
    found = list(kept)
    for data in proofs:
        proof = EquivocationProof.from_bytes(data)
        for at, item in enumerate(found):
            known = item.opened
            if (known.public_key, known.seq, known.pair) == (proof.public_key, proof.seq, proof.pair):
                found[at] = KeptSplit.of(known.joined(proof))
                break
        else:
            found.append(KeptSplit.of(proof))
            _make_room(found, proof.public_key, own)
    return tuple(found)


def _make_room(found: list[KeptSplit], key: bytes, own: frozenset[bytes]) -> None:
    same = [item for item in found if item.identity == key]
    if len(same) > MAX_OF_ONE:
        found.remove(same[0])
    if len(found) > MAX_SPLITS:
        found.remove(next((item for item in found if item.identity not in own), found[0]))


def with_healing(
    healing: Sequence[Healing],
    proofs: Iterable[bytes],
    public_key: bytes,
    last: Document | None,
    above_seq: int = 0,
) -> tuple[Healing, ...]:
    """Return what the owner has decided to heal, with more of it; what the last document heals is left out.

    Args:
        healing: so far.
        proofs: proof files; each is verified.
        public_key: of the identity, 32 bytes.
        last: its last document, or None.
        above_seq: what the healing record has to be above as well.

    Raises:
        VerificationError: ``heal.identity``; as `EquivocationProof.from_bytes`.
        FormatError: as `EquivocationProof.from_bytes`.
        InputError: ``heal.too-many``.
    """
    before = set(last.healed) if last is not None else set()
    found = {(item.first, item.second): item for item in healing}
    for data in proofs:
        proof = EquivocationProof.from_bytes(data)
        if proof.public_key != public_key:
            raise VerificationError(
                "heal.identity", "the proof is of another identity", "give the one of this identity"
            )
        if proof.pair not in before:
            found[proof.pair] = Healing.of(proof)
    if len(before | found.keys()) > MAX_HEALED:
        raise InputError(
            "heal.too-many",
            f"a document heals at most {MAX_HEALED} splits",
            "somebody keeps splitting the identity: retire it, and make a new one",
        )
    return tuple(replace(found[pair], seq=max(found[pair].seq, above_seq)) for pair in sorted(found))


def still_to_heal(healing: Sequence[Healing], document: Document) -> tuple[Healing, ...]:
    """Return those decisions that a document has not carried out."""
    return tuple(item for item in healing if (item.first, item.second) not in document.healed)


def healed_by(document: Document, healing: Sequence[Healing]) -> Document:
    """Return a document that heals also what was decided to be healed; its `seq` has to be above each split's."""
    pairs = {*document.healed, *((item.first, item.second) for item in healing)}
    return replace(document, healed=tuple(sorted(pairs)))
