"""The relation: two identities say, both signed, that they know each other.

One payload, two signatures over it. Either one alone is an offer.

Spec: docs/spec/contact.md, "Relation".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from walletcli.core import cbor, ed25519
from walletcli.core.authority import check_authority
from walletcli.core.card import CLOCK_DAYS
from walletcli.core.cose import Sign1
from walletcli.core.document_parts import LAST_DAY, Power
from walletcli.core.encodings import b32_decode, b32_encode
from walletcli.core.record import Record
from walletcli.core.short_record import MAX_SHORT_BYTES
from walletcli.core.statements import verify_statement
from walletcli.errors import FormatError, VerificationError

VERSION: Final = 1
"""Version of the relation's payload."""

MAX_RELATION_BYTES: Final = 512
"""Longest signed relation, COSE included."""

MAX_RELATION_DAYS: Final = 3653
"""Longest life of a relation: ten years."""

NONCE_BYTES: Final = 16
"""Length of the nonce: it tells two relations of one day apart, and an answer's offer."""

MAGIC: Final = b"walletcli relation 1\n"
"""First bytes of a relation file."""

MAX_FILE_BYTES: Final = len(MAGIC) + 2 * (MAX_RELATION_BYTES + MAX_SHORT_BYTES + 16)
"""Longest relation file."""

LINK_PREFIX: Final = "walletcli:relation:"
"""How a relation's link starts, in any case."""

_MAX_LINK_BYTES: Final = 2 * MAX_RELATION_BYTES + 8

MAX_LINK_CHARS: Final = len(LINK_PREFIX) + -(-8 * _MAX_LINK_BYTES // 5)
"""Longest link, characters."""

_KEYS: Final = frozenset({1, 2, 3, 4, 5})


def _wrong(detail: str) -> FormatError:
    return FormatError("relation.malformed", f"relation: {detail}")


@dataclass(frozen=True, slots=True)
class Relation:
    """What both sides of a relation sign.

    Attributes:
        parties: the two root keys (32 bytes each), ascending.
        nonce: 16 bytes, chosen at random by who offers.
        day: when it was offered, days since 1970-01-01.
        not_after_day: first day it no longer holds, 1 to 3,653 days later.

    Raises:
        FormatError: ``relation.malformed``, ``relation.dates``, ``key.malformed``.
    """

    TYP: ClassVar[str] = "application/walletcli-relation+cose"

    parties: tuple[bytes, bytes]
    nonce: bytes
    day: int
    not_after_day: int

    def __post_init__(self) -> None:
        for key in self.parties:
            ed25519.check_encoding(key)
        if self.parties[0] >= self.parties[1]:
            raise _wrong("two keys, ascending")
        if len(self.nonce) != NONCE_BYTES:
            raise _wrong(f"a nonce has {NONCE_BYTES} bytes")
        if not 0 <= self.day < self.not_after_day <= min(LAST_DAY, self.day + MAX_RELATION_DAYS):
            raise FormatError(
                "relation.dates", f"a relation lasts 1 to {MAX_RELATION_DAYS} days, within the years 1970 to 2099"
            )

    @classmethod
    def between(cls, one: bytes, other: bytes, nonce: bytes, day: int, not_after_day: int) -> Relation:
        """Return a relation of two identities, in whichever order they are given."""
        return cls((min(one, other), max(one, other)), nonce, day, not_after_day)

    def other_side(self, identity: bytes) -> bytes:
        """Return the other party's key.

        Raises:
            VerificationError: ``relation.parties``: `identity` is neither party.
        """
        self.side_of(identity)
        return self.parties[1] if identity == self.parties[0] else self.parties[0]

    def side_of(self, identity: bytes) -> int:
        """Return 0 or 1: where the party's key and signature stand.

        Raises:
            VerificationError: ``relation.parties``: `identity` is neither party.
        """
        if identity not in self.parties:
            raise VerificationError(
                "relation.parties", "the relation is between other identities", "ask for one that is meant for you"
            )
        return self.parties.index(identity)

    def check_day(self, today: int) -> None:
        """Check that the relation holds today.

        Raises:
            VerificationError: ``relation.expired``, ``relation.not-yet``.
        """
        if today >= self.not_after_day:
            raise VerificationError("relation.expired", "the relation has expired", "make a new one together")
        if self.day > today + CLOCK_DAYS:
            raise VerificationError(
                "relation.not-yet", "the relation was offered on a day to come", "check the clock of this machine"
            )

    def to_payload(self) -> bytes:
        """Encode what is signed."""
        return cbor.encode({1: VERSION, 2: list(self.parties), 3: self.nonce, 4: self.day, 5: self.not_after_day})

    @classmethod
    def from_payload(cls, data: bytes) -> Relation:
        """Decode what is signed; exactly one encoding is accepted.

        Raises:
            FormatError: ``relation.unknown-version``, ``relation.malformed``, ``relation.dates``, ``key.malformed``,
                ``cbor.*``.
        """
        fields = cbor.decode(data, MAX_RELATION_BYTES)
        if type(fields) is not dict or fields.get(1) != VERSION or type(fields[1]) is not int:
            raise FormatError(
                "relation.unknown-version", "the relation is of a version not known here", "update walletcli"
            )
        if fields.keys() != _KEYS:
            raise _wrong("a field is missing or unknown")
        _, parties, nonce, day, not_after_day = fields.values()  # in the order of the keys
        if type(parties) is not list or len(parties) != 2:
            raise _wrong("needs two keys")
        one, other = parties
        if type(one) is not bytes or type(other) is not bytes or type(nonce) is not bytes:
            raise _wrong("needs two keys and a nonce")
        if type(day) is not int or type(not_after_day) is not int:
            raise _wrong("needs two days")
        return cls((one, other), nonce, day, not_after_day)


@dataclass(frozen=True, slots=True)
class SignedRelation:
    """A relation with one signature (an offer) or both; made by `verify_relation`, which checks them.

    Attributes:
        relation: what is signed.
        signed: COSE bytes by side, in the order of the parties; None where a side has not signed.
        signatures: the same, decoded.
    """

    relation: Relation
    signed: tuple[bytes | None, bytes | None]
    signatures: tuple[Sign1 | None, Sign1 | None]

    @property
    def is_whole(self) -> bool:
        """Whether both sides have signed."""
        return None not in self.signed

    def check_side(self, identity: bytes, record: Record | None, day: int) -> None:
        """Check that a side has signed, and that its signer may: its root, or a device with the power to share.

        Args:
            identity: one of the parties.
            record: newest record of that identity that is known, or None, which will do for its root's signature.
            day: on which the device must have the power: the verifier's own today for what it sees first.

        Raises:
            VerificationError: ``relation.parties``, ``relation.unsigned``, ``relation.evidence``, ``authority.*``.
        """
        sign1 = self.signatures[self.relation.side_of(identity)]
        if sign1 is None:
            raise VerificationError(
                "relation.unsigned", "one side has not signed the relation", "have the other side accept the offer"
            )
        if sign1.signer == identity:
            return
        if record is None:
            raise VerificationError(
                "relation.evidence",
                "a device signed the relation, and the record that names it is not known",
                "resolve the identity first, or ask for a file that holds its record",
            )
        check_authority(sign1, identity, record, Power.SHARE, day, root_allowed=True)

    def with_answer(self, side: bytes, signed: bytes) -> SignedRelation:
        """Return the relation with the signature of `side` (a party's key) added or replaced.

        Raises:
            FormatError, VerificationError: as `verify_relation`.
        """
        at = self.relation.side_of(side)
        lower, higher = self.signed
        return verify_relation(signed if at == 0 else lower, signed if at == 1 else higher)


def verify_relation(lower: bytes | None, higher: bytes | None) -> SignedRelation:
    """Decode one or two signed relations and check that they are one, and the signatures.

    Not yet whether the signers may sign (`SignedRelation.check_side`), nor the day (`Relation.check_day`).

    Args:
        lower: COSE bytes of the party with the lower key, or None.
        higher: COSE bytes of the party with the higher key, or None.

    Raises:
        FormatError: ``cose.*``, ``relation.malformed`` and other ``relation.*``, ``key.malformed``, ``cbor.*``.
        VerificationError: ``signature.invalid``; ``relation.differs``: the two sides signed different relations;
            ``relation.same-signer``: one key signed for both sides.
    """
    found = [verify_statement(data, Relation, MAX_RELATION_BYTES) if data else None for data in (lower, higher)]
    relations = [item[0] for item in found if item]
    signers = {item[1].signer for item in found if item}
    if not relations:
        raise _wrong("nobody has signed")
    if relations[0] != relations[-1]:
        raise VerificationError("relation.differs", "the two sides signed different relations")
    if len(signers) < len(relations):
        raise VerificationError("relation.same-signer", "one key signed for both sides")
    one, other = found
    return SignedRelation(relations[0], (lower, higher), (one[1] if one else None, other[1] if other else None))


@dataclass(frozen=True, slots=True)
class RelationFile:
    """A relation as a file: an offer, or whole.

    Attributes:
        signed: COSE bytes by side, in the order of the parties; at least one.
        short_records: records of the parties in the same order, or None; not looked at yet.
    """

    signed: tuple[bytes | None, bytes | None]
    short_records: tuple[bytes | None, bytes | None] = (None, None)

    def to_bytes(self) -> bytes:
        """Encode the file."""
        return MAGIC + cbor.encode([*self.signed, *self.short_records])

    @classmethod
    def from_bytes(cls, data: bytes) -> RelationFile:
        """Decode the file; what is in it is for `verify_relation` and `from_short`.

        Raises:
            FormatError: ``relation.file``, ``cbor.*``.
        """
        if len(data) > MAX_FILE_BYTES or not data.startswith(MAGIC):
            raise FormatError(
                "relation.file",
                "not a relation file of a known version",
                "a relation file starts with 'walletcli relation 1'",
            )
        parts = cbor.decode(data[len(MAGIC) :], MAX_FILE_BYTES)
        if type(parts) is not list or len(parts) != 4 or parts[:2] == [None, None]:
            raise FormatError("relation.file", "needs two sides, one of them signed, and two records")
        lower, higher = (_part(part, MAX_RELATION_BYTES) for part in parts[:2])
        lower_record, higher_record = (_part(part, MAX_SHORT_BYTES) for part in parts[2:])
        return cls((lower, higher), (lower_record, higher_record))


def to_link(signed: tuple[bytes | None, bytes | None]) -> str:
    """Return the link of an offer or a relation, without records; in upper case it is alphanumeric for QR codes.

    Args:
        signed: COSE bytes by side, in the order of the parties; at least one.
    """
    return LINK_PREFIX + b32_encode(cbor.encode(list(signed)))


def from_link(text: str) -> RelationFile:
    """Read a link, in upper or lower case; what is in it is for `verify_relation`.

    Raises:
        FormatError: ``relation.link``.
    """
    text = text.strip() if len(text) < 2 * MAX_LINK_CHARS else text
    prefix, body = text[: len(LINK_PREFIX)], text[len(LINK_PREFIX) :]
    try:
        if prefix.lower() != LINK_PREFIX or not body:
            raise FormatError("relation.link", "it does not start with walletcli:relation:")
        sides = cbor.decode(b32_decode(body, _MAX_LINK_BYTES), _MAX_LINK_BYTES)
        if type(sides) is not list or len(sides) != 2 or sides == [None, None]:
            raise FormatError("relation.link", "needs two sides, one of them signed")
        lower, higher = (_part(side, MAX_RELATION_BYTES) for side in sides)
    except FormatError as error:
        raise FormatError(
            "relation.link",
            f"not the link of a relation: {error.message}",
            "copy the whole link, or scan the code anew",
        ) from error
    return RelationFile((lower, higher))


def _part(value: object, max_bytes: int) -> bytes | None:
    if value is None:
        return None
    if type(value) is not bytes or not 1 <= len(value) <= max_bytes:
        raise FormatError("relation.file", f"a part is null or has 1 to {max_bytes} bytes")
    return value
