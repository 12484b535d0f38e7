"""The grant: the provider's half of a binding.

The other half is the identity's document that contains it. A grant is checked against the provider's newest record
that the verifier knows; one that does not verify disables that binding and nothing else.

Spec: docs/spec/grant.md.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Final

from walletcli.core import cbor, ed25519
from walletcli.core.approvals import check_follows
from walletcli.core.authority import check_authority
from walletcli.core.cbor import Value
from walletcli.core.document import MAX_GRANT_BYTES
from walletcli.core.document_parts import LAST_DAY, Power
from walletcli.core.identity_id import IdentityId
from walletcli.core.payload import VERSION, Payload, malformed
from walletcli.core.record import Record
from walletcli.core.short_record import from_short
from walletcli.core.statements import verify_statement
from walletcli.errors import FormatError, VerificationError

MAX_GRANT_DAYS: Final = 400
"""Longest life of a grant."""

MAX_QUOTA_BYTES: Final = 1 << 50
"""Largest quota."""

MAX_RETENTION_DAYS: Final = 3650
"""Longest time that data is kept for an identity that has left."""

MAX_BLOB_BYTES: Final = 1 << 26
"""Largest blob that a provider can allow."""

NONCE_BYTES: Final = 16
"""Length of a grant's nonce."""

_WHAT = "grant"


@dataclass(frozen=True, slots=True)
class Terms:
    """What a provider gives.

    Attributes:
        quota_bytes: room for sealed blobs, 0 to 2^50.
        retention_days: how long data is kept after the identity has left, 0 to 3650.
        max_blob_bytes: largest sealed blob, 1 to 2^26.

    Raises:
        FormatError: ``grant.malformed``.
    """

    quota_bytes: int
    retention_days: int
    max_blob_bytes: int

    def __post_init__(self) -> None:
        for value, low, high in (
            (self.quota_bytes, 0, MAX_QUOTA_BYTES),
            (self.retention_days, 0, MAX_RETENTION_DAYS),
            (self.max_blob_bytes, 1, MAX_BLOB_BYTES),
        ):
            if type(value) is not int or not low <= value <= high:
                raise malformed(_WHAT, "terms are out of their range")

    def to_cbor(self) -> dict[int, object]:
        """Return the map of the CDDL."""
        return {1: self.quota_bytes, 2: self.retention_days, 3: self.max_blob_bytes}

    @classmethod
    def from_cbor(cls, value: Value) -> Terms:
        """Read the map of the CDDL; raises FormatError ``grant.malformed``."""
        if type(value) is not dict or value.keys() != {1, 2, 3}:
            raise malformed(_WHAT, "terms need quota, retention and the largest blob")
        quota, retention, blob = value[1], value[2], value[3]
        if type(quota) is not int or type(retention) is not int or type(blob) is not int:
            raise malformed(_WHAT, "terms are numbers")
        return cls(quota, retention, blob)

    def to_json(self) -> dict[str, object]:
        """Return the three numbers."""
        return {
            "quota_bytes": self.quota_bytes,
            "retention_days": self.retention_days,
            "max_blob_bytes": self.max_blob_bytes,
        }


@dataclass(frozen=True, slots=True)
class Grant:
    """What a provider signs for an identity.

    Attributes:
        provider: its root key, 32 bytes.
        identity: root key of whom it hosts, 32 bytes.
        terms: what it gives.
        nonce: 16 bytes.
        not_before_day: first day, days since 1970-01-01.
        not_after_day: first day on which it no longer holds, 1 to 400 days later.
        evidence: the provider's record, short form.

    Raises:
        FormatError: ``grant.malformed``, ``key.malformed``.
    """

    TYP: ClassVar[str] = "application/walletcli-grant+cose"

    provider: bytes
    identity: bytes
    terms: Terms
    nonce: bytes
    not_before_day: int
    not_after_day: int
    evidence: bytes

    def __post_init__(self) -> None:
        ed25519.check_encoding(self.provider)
        ed25519.check_encoding(self.identity)
        if self.provider == self.identity:
            raise malformed(_WHAT, "nobody is one's own provider")
        if len(self.nonce) != NONCE_BYTES:
            raise malformed(_WHAT, f"a nonce has {NONCE_BYTES} bytes")
        last = min(LAST_DAY, self.not_before_day + MAX_GRANT_DAYS)
        if not 0 <= self.not_before_day < self.not_after_day <= last:
            raise malformed(_WHAT, f"a grant lasts 1 to {MAX_GRANT_DAYS} days")
        if not 1 <= len(self.evidence) <= MAX_GRANT_BYTES:
            raise malformed(_WHAT, "the provider's record is missing or too long")

    def to_payload(self) -> bytes:
        """Encode what is signed."""
        return cbor.encode(
            {
                1: VERSION,
                2: self.provider,
                3: self.identity,
                4: self.terms.to_cbor(),
                5: self.nonce,
                6: self.not_before_day,
                7: self.not_after_day,
                8: self.evidence,
            }
        )

    @classmethod
    def from_payload(cls, data: bytes) -> Grant:
        """Decode what is signed.

        Raises:
            FormatError: ``grant.malformed``, ``grant.unknown-version``, ``key.malformed``, ``cbor.*``.
        """
        fields = Payload(data, _WHAT, (2, 3, 4, 5, 6, 7, 8), (), MAX_GRANT_BYTES)
        return cls(
            fields.raw(2, 32, 32),
            fields.raw(3, 32, 32),
            Terms.from_cbor(fields.value(4)),
            fields.raw(5, NONCE_BYTES, NONCE_BYTES),
            fields.integer(6, 0, LAST_DAY),
            fields.integer(7, 0, LAST_DAY),
            fields.raw(8, 1, MAX_GRANT_BYTES),
        )

    def to_json(self) -> dict[str, object]:
        """Return who, whom, terms and days."""
        return {
            "provider": IdentityId(self.provider).did,
            "identity": IdentityId(self.identity).did,
            "terms": self.terms.to_json(),
            "not_before_day": self.not_before_day,
            "not_after_day": self.not_after_day,
        }


@dataclass(frozen=True, slots=True)
class VerifiedGrant:
    """A grant that holds.

    Attributes:
        grant: what it says.
        signer: the provider's device key that signed it, 32 bytes.
        provider_record: the provider's newest record that is known.
        data: the COSE_Sign1.
    """

    grant: Grant
    signer: bytes
    provider_record: Record
    data: bytes

    @property
    def digest(self) -> bytes:
        """SHA-256 of the COSE_Sign1, 32 bytes."""
        return hashlib.sha256(self.data).digest()


def check_grant(data: bytes, identity: bytes, today: int, newest: Record | None = None) -> VerifiedGrant:
    """Check a grant in full.

    Args:
        data: the COSE_Sign1, at most 4096 bytes.
        identity: whose document contains it, root key of 32 bytes.
        today: days since 1970-01-01.
        newest: the newest record of the provider that is known otherwise, or None.

    Raises:
        FormatError: ``cose.*``, ``grant.malformed``, ``grant.unknown-version``, ``key.malformed``, ``cbor.*``.
        VerificationError: ``signature.invalid``, ``grant.identity``, ``grant.not-yet``, ``grant.expired``,
            ``grant.provider-record`` (not the provider's, or not signed by it), ``grant.key-rotated`` (the key that
            signed no longer grants for the provider).
    """
    grant, sign1 = verify_statement(data, Grant, MAX_GRANT_BYTES)
    if grant.identity != identity:
        raise VerificationError("grant.identity", "the grant is for another identity")
    if today < grant.not_before_day:
        raise VerificationError("grant.not-yet", "the grant does not hold yet", "check the clock")
    if today >= grant.not_after_day:
        raise VerificationError("grant.expired", "the grant has expired", "bind again, or move to another provider")
    record = _provider_record(grant, newest)
    try:
        check_authority(sign1, grant.provider, record, Power.GRANT, today, root_allowed=False)
    except VerificationError as error:
        raise VerificationError(
            "grant.key-rotated", f"the key that signed the grant does not grant for the provider today: {error.message}"
        ) from error
    return VerifiedGrant(grant, sign1.signer, record, data)


@lru_cache(maxsize=64)
def evidence_record(evidence: bytes) -> Record:
    """Decode and verify a provider's record as a grant carries it; those whom one provider hosts have the same one.

    Raises:
        FormatError, VerificationError: as `from_short`.
    """
    return from_short(evidence, MAX_GRANT_BYTES)


def _provider_record(grant: Grant, newest: Record | None) -> Record:
    """Return the newer of the record in the grant and the one that is known otherwise."""
    try:
        evidence = evidence_record(grant.evidence)
    except (FormatError, VerificationError) as error:
        raise VerificationError(
            "grant.provider-record", f"the provider's record in the grant does not verify: {error.message}"
        ) from error
    if evidence.packet.public_key != grant.provider:
        raise VerificationError("grant.provider-record", "the record in the grant is not the provider's")
    if newest is None or newest.packet.public_key != grant.provider or newest.document is None:
        return evidence
    if newest.packet.seq >= evidence.packet.seq or not _follows(newest, evidence):
        return newest
    return evidence


def _follows(newest: Record, evidence: Record) -> bool:
    """Tell whether the record in a grant is as good as a newer one: not if there are approvers, for it brings none."""
    if newest.document is None or evidence.document is None:
        return True
    try:
        check_follows(newest.document, evidence.document, evidence.beside)
    except VerificationError:
        return False
    return True
