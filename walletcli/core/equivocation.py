"""The proof that a key has signed two states with one `seq`: both packets, whole, in a file that anybody can verify.

Spec: docs/spec/equivocation.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Final

from walletcli.core import bep44, cbor, ed25519
from walletcli.core.document import MAX_DOCUMENT_BYTES, Document
from walletcli.core.packet import MAX_RELAY_PAYLOAD_BYTES, SignedPacket
from walletcli.core.record import Record
from walletcli.errors import FormatError, InputError, VerificationError, WalletError

MAGIC: Final = b"walletcli equivocation 1\n"
"""First bytes of a proof file."""

MAX_PROOF_BYTES: Final = 140_000
"""Longest proof file: two packets and two documents fit."""

_PARTS: Final = 3
"""Parts of the file's list, and of a side."""


def content_hash(packet: SignedPacket) -> bytes:
    """Return what tells the sides of a split apart, 32 bytes.

    It is the hash of the document that the packet names; for a packet that names none, SHA-256 of its value.
    """
    return packet.document_hash or hashlib.sha256(packet.value).digest()


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two states.

    Attributes:
        packet: verified.
        document: the bytes that the packet's hash names, or None where they are not at hand or the packet names none.

    Raises:
        VerificationError: ``equivocation.document`` for other bytes.
        FormatError: ``document.too-long``; ``record.unknown-version`` for a packet of a version not known here.
    """

    packet: SignedPacket
    document: bytes | None = None

    def __post_init__(self) -> None:
        if self.packet.is_of_unknown_version:
            raise FormatError(
                "record.unknown-version",
                "a packet names its document in a way that is not known here",
                "update walletcli",
            )
        if self.document is None:
            return
        if len(self.document) > MAX_DOCUMENT_BYTES:
            raise FormatError("document.too-long", f"a document has at most {MAX_DOCUMENT_BYTES} bytes")
        if hashlib.sha256(self.document).digest() != self.packet.document_hash:
            raise VerificationError("equivocation.document", "a document is not the one that its packet names")

    @property
    def content(self) -> bytes:
        """What tells it apart from the other side, 32 bytes; a healing document names it."""
        return content_hash(self.packet)

    @property
    def readable(self) -> Document | None:
        """The document, where it is at hand and is what its packet says; both halves of a split can be nonsense."""
        if self.document is None:
            return None
        try:
            return Record.verified(self.packet, self.document).document
        except WalletError:
            return None

    def to_json(self) -> dict[str, object]:
        """Return the side's hash, whether its packet names a document, and what that says if it is at hand."""
        document = self.readable
        return {
            "content": self.content.hex(),
            "names_document": self.packet.document_hash is not None,
            "document_at_hand": self.document is not None,
            "document": document.to_json() if document is not None else None,
            "packet": self.packet.to_json(),
        }


@dataclass(frozen=True, slots=True)
class EquivocationProof:
    """Two states that one key has signed with one `seq`.

    Make one with `of` or `from_bytes`.

    Attributes:
        first: the side with the lower content hash.
        second: the other one.

    Raises:
        VerificationError: ``equivocation.identity``, ``equivocation.seq``, ``equivocation.same`` if the packets are not
            two states of one key with one `seq`.
        FormatError: ``equivocation.order``.
    """

    first: Side
    second: Side

    def __post_init__(self) -> None:
        one, other = self.first.packet, self.second.packet
        if one.public_key != other.public_key:
            raise VerificationError("equivocation.identity", "the packets are those of two keys", "a split is of one")
        if one.seq != other.seq:
            raise VerificationError(
                "equivocation.seq", f"the packets have seq {one.seq} and {other.seq}", "one follows the other: no split"
            )
        if self.first.content == self.second.content:
            raise VerificationError("equivocation.same", "both packets say the same: no split", "nothing is wrong")
        if self.first.content > self.second.content:
            raise FormatError("equivocation.order", "the sides are not in their one order")

    @classmethod
    def of(cls, one: Side, other: Side) -> EquivocationProof:
        """Put two sides into their order.

        Raises:
            VerificationError: ``equivocation.identity``, ``equivocation.seq``, ``equivocation.same``.
        """
        return cls(one, other) if one.content <= other.content else cls(other, one)

    @property
    def public_key(self) -> bytes:
        """The key that has signed both, 32 bytes."""
        return self.first.packet.public_key

    @property
    def seq(self) -> int:
        """The one `seq`."""
        return self.first.packet.seq

    @property
    def pair(self) -> tuple[bytes, bytes]:
        """The content hashes of both sides (32 bytes each), ascending: what a healing document names."""
        return self.first.content, self.second.content

    @property
    def sides(self) -> tuple[Side, Side]:
        """Both sides, in order."""
        return self.first, self.second

    def is_healed_by(self, document: Document | None) -> bool:
        """Tell whether a document comes after the split and names both sides of it."""
        if document is None or document.identity != self.public_key or document.seq <= self.seq:
            return False
        return named_in(document).issuperset(self.pair)

    def bare(self) -> EquivocationProof:
        """Return the proof without its documents."""
        return EquivocationProof(replace(self.first, document=None), replace(self.second, document=None))

    def joined(self, other: EquivocationProof) -> EquivocationProof:
        """Return the proof with the documents of another one of the same split, where this one has none."""
        pairs = zip(self.sides, other.sides, strict=True)
        first, second = (
            replace(mine, document=theirs.document)
            if mine.document is None and mine.content == theirs.content
            else mine
            for mine, theirs in pairs
        )
        return EquivocationProof(first, second)

    def to_json(self) -> dict[str, object]:
        """Return `seq` and both sides."""
        return {"seq": self.seq, "sides": [side.to_json() for side in self.sides]}

    def to_bytes(self) -> bytes:
        """Encode as a proof file."""
        sides = [[side.packet.signature, side.packet.value, side.document] for side in self.sides]
        return MAGIC + cbor.encode([self.public_key, self.seq, sides])

    @classmethod
    def from_bytes(cls, data: bytes) -> EquivocationProof:
        """Decode a proof file and verify all of it.

        Raises:
            FormatError: ``equivocation.file``, ``equivocation.order``, ``cbor.*``, ``key.malformed``, ``packet.*``,
                ``dns.*``, ``record.unknown-version``, ``document.too-long``.
            VerificationError: ``signature.invalid``, ``equivocation.same``, ``equivocation.document``.
        """
        if len(data) > MAX_PROOF_BYTES or not data.startswith(MAGIC):
            raise FormatError(
                "equivocation.file",
                "not a proof file of a known version",
                "a proof file starts with 'walletcli equivocation 1'",
            )
        fields = cbor.decode(data[len(MAGIC) :], MAX_PROOF_BYTES)
        if type(fields) is not list or len(fields) != _PARTS:
            raise _malformed("needs key, seq and sides")
        key, seq, sides = fields
        if type(key) is not bytes or len(key) != ed25519.PUBLIC_KEY_BYTES:
            raise _malformed("the key has 32 bytes")
        if type(seq) is not int or not 0 <= seq <= bep44.MAX_SEQ:
            raise _malformed("seq is a whole number of 63 bits")
        if type(sides) is not list or len(sides) != 2:
            raise _malformed("needs two sides")
        ed25519.check_encoding(key)
        return cls(*(_side(key, seq, side) for side in sides))


def named_in(document: Document | None) -> frozenset[bytes]:
    """Return the content hashes (32 bytes each) that a document names as healed."""
    return frozenset(half for pair in document.healed for half in pair) if document is not None else frozenset()


def open_proofs(proofs: Iterable[EquivocationProof], healed: Collection[bytes]) -> tuple[EquivocationProof, ...]:
    """Return the proofs of which not both sides are among `healed` (content hashes, 32 bytes each)."""
    return tuple(proof for proof in proofs if not set(proof.pair) <= set(healed))


def proofs_among(sides: Iterable[Side]) -> tuple[EquivocationProof, ...]:
    """Return proofs for all that was signed twice among verified states of one key; the highest `seq` first.

    Of more than two states with one `seq` the lowest by content hash stands against each other one.
    """
    by_seq: dict[int, dict[bytes, Side]] = {}
    for side in sides:
        known = by_seq.setdefault(side.packet.seq, {})
        if side.content not in known or known[side.content].document is None:
            known[side.content] = side
    found = []
    for seq in sorted(by_seq, reverse=True):
        first, *others = (by_seq[seq][content] for content in sorted(by_seq[seq]))
        found += [EquivocationProof(first, other) for other in others]
    return tuple(found)


def proof_of_records(one: Record, other: Record) -> EquivocationProof:
    """Return the proof that two verified records are a split.

    Raises:
        VerificationError: ``equivocation.identity``.
        InputError: ``equivocation.none`` if they are none.
    """
    sides = [
        Side(item.packet, item.document.to_bytes() if item.document is not None else None) for item in (one, other)
    ]
    try:
        return EquivocationProof.of(*sides)
    except VerificationError as error:
        if error.code == "equivocation.identity":
            raise
        raise no_split(error.message) from error


def no_split(why: str) -> InputError:
    """Return the error for what shows no split."""
    return InputError("equivocation.none", why, "there is nothing to prove; keep both files if you doubt it")


def _side(key: bytes, seq: int, value: cbor.Value) -> Side:
    if type(value) is not list or len(value) != _PARTS:
        raise _malformed("a side has a signature, a packet and a document")
    signature, packet, document = value
    if type(signature) is not bytes or len(signature) != ed25519.SIGNATURE_BYTES or type(packet) is not bytes:
        raise _malformed("a signature has 64 bytes, and a packet is a byte string")
    if document is not None and type(document) is not bytes:
        raise _malformed("a document is a byte string or null")
    payload = signature + seq.to_bytes(8, "big") + packet
    if len(payload) > MAX_RELAY_PAYLOAD_BYTES:
        raise FormatError("packet.too-long", f"a packet holds at most {bep44.MAX_VALUE_BYTES} bytes")
    return Side(SignedPacket.from_relay_payload(key, payload), document)


def _malformed(detail: str) -> FormatError:
    return FormatError("equivocation.file", f"proof file: {detail}")
