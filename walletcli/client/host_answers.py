"""What a provider answers: its offer, a login's token, an identity's state, a page of manifests.

Providers encode it, clients decode it strictly.

Spec: docs/spec/hosting.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from walletcli.core import cbor
from walletcli.core.blob import MAX_MANIFEST_BYTES
from walletcli.core.cbor import Map, Value
from walletcli.core.document_parts import LAST_DAY
from walletcli.core.grant import Terms
from walletcli.core.record import Record
from walletcli.core.short_record import MAX_SHORT_BYTES, from_short, to_short
from walletcli.errors import FormatError

VERSION: Final = 1
"""Version of the offer's format."""

MAX_OFFER_BYTES: Final = MAX_SHORT_BYTES + 256
"""Longest offer, in bytes."""

MAX_STATUS_BYTES: Final = 512
"""Longest state of a hosted identity, in bytes."""

MAX_LOGIN_BYTES: Final = 64
"""Longest answer to a login, in bytes."""

TOKEN_BYTES: Final = 32
"""A login's token."""

PAGE_ITEMS: Final = 500
"""Most manifests in one page."""

MAX_PAGE_BYTES: Final = 3 + PAGE_ITEMS * (MAX_MANIFEST_BYTES + 3)
"""Longest page, in bytes."""

_MAX_SECONDS: Final = 1 << 40
_MAX_BYTES: Final = 1 << 53


class HostState(Enum):
    """How an identity stands to the provider."""

    BOUND = 1
    """its record there holds this provider's valid grant"""
    LEAVING = 2
    """its record no longer does: read-only, until the data is deleted"""
    UNKNOWN = 3
    """nothing is kept for it"""


@dataclass(frozen=True, slots=True)
class Offer:
    """What a provider says of itself.

    Attributes:
        record: its own record, verified.
        terms: what it grants.
        is_open: whether it grants to anybody; otherwise to whom it invited or allows.
        time_s: its clock, Unix time in seconds.
    """

    record: Record
    terms: Terms
    is_open: bool
    time_s: int

    @property
    def provider(self) -> bytes:
        """Root key of the provider, 32 bytes."""
        return self.record.packet.public_key

    def to_bytes(self) -> bytes:
        """Encode the offer."""
        return cbor.encode(
            {
                1: VERSION,
                2: self.provider,
                3: to_short(self.record),
                4: self.terms.to_cbor(),
                5: "open" if self.is_open else "closed",
                6: self.time_s,
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Offer:
        """Decode an offer and verify the provider's record in it.

        Raises:
            FormatError: ``host.malformed``, ``cbor.*``, ``record.*``, ``document.*``, ``grant.malformed``.
            VerificationError: ``signature.invalid``, ``record.*``.
        """
        fields = _fields(data, MAX_OFFER_BYTES, {1, 2, 3, 4, 5, 6}, set())
        if _uint(fields[1], VERSION) != VERSION or fields[5] not in ("open", "closed") or type(fields[3]) is not bytes:
            raise _malformed("an offer of a version that is known")
        record = from_short(fields[3])
        if record.packet.public_key != fields[2]:
            raise _malformed("an offer with the provider's own record")
        return cls(record, Terms.from_cbor(fields[4]), fields[5] == "open", _uint(fields[6], _MAX_SECONDS))


@dataclass(frozen=True, slots=True)
class HostStatus:
    """What a provider keeps for an identity, by its own word.

    Attributes:
        state: bound, leaving or unknown.
        terms: of the grant that it goes by, or None.
        used_bytes: sealed bytes that it keeps.
        blobs: how many.
        leaving_day: day on which it deletes what it keeps, or None.
        grant_digest: SHA-256 of the grant that it goes by, or None.
    """

    state: HostState
    terms: Terms | None
    used_bytes: int
    blobs: int
    leaving_day: int | None
    grant_digest: bytes | None

    def to_bytes(self) -> bytes:
        """Encode the state of an identity; what is None is left out."""
        fields: dict[int, object] = {1: self.state.value, 3: self.used_bytes, 4: self.blobs}
        if self.terms is not None:
            fields[2] = self.terms.to_cbor()
        if self.leaving_day is not None:
            fields[5] = min(self.leaving_day, LAST_DAY)
        if self.grant_digest is not None:
            fields[6] = self.grant_digest
        return cbor.encode(fields)

    @classmethod
    def from_bytes(cls, data: bytes) -> HostStatus:
        """Decode the state of an identity.

        Raises:
            FormatError: ``host.malformed``, ``cbor.*``, ``grant.malformed``.
        """
        fields = _fields(data, MAX_STATUS_BYTES, {1, 3, 4}, {2, 5, 6})
        digest = fields.get(6)
        if digest is not None and (type(digest) is not bytes or len(digest) != 32):
            raise _malformed("a digest of 32 bytes")
        state = _uint(fields[1], 3)
        if state == 0:
            raise _malformed("a known state")
        return cls(
            HostState(state),
            Terms.from_cbor(fields[2]) if fields.get(2) is not None else None,
            _uint(fields[3], _MAX_BYTES),
            _uint(fields[4], _MAX_BYTES),
            _uint(fields[5], LAST_DAY) if fields.get(5) is not None else None,
            digest,
        )


@dataclass(frozen=True, slots=True)
class Token:
    """What a login gives.

    Attributes:
        value: 32 bytes.
        expires_s: Unix time in seconds by the provider's clock.
    """

    value: bytes = field(repr=False)
    expires_s: int

    def to_bytes(self) -> bytes:
        """Encode the answer to a login."""
        return cbor.encode([self.value, self.expires_s])

    @classmethod
    def from_bytes(cls, data: bytes) -> Token:
        """Decode the answer to a login.

        Raises:
            FormatError: ``host.malformed``, ``cbor.*``.
        """
        parts = cbor.decode(data, MAX_LOGIN_BYTES)
        if type(parts) is not list or len(parts) != 2 or type(parts[0]) is not bytes or len(parts[0]) != TOKEN_BYTES:
            raise _malformed(f"a token of {TOKEN_BYTES} bytes and when it ends")
        return cls(parts[0], _uint(parts[1], _MAX_SECONDS))


def write_page(manifests: list[bytes]) -> bytes:
    """Encode a page of at most `PAGE_ITEMS` manifests."""
    return cbor.encode(manifests)


def read_page(data: bytes) -> list[bytes]:
    """Return the manifests of a page, each 1 to 512 bytes; none is verified.

    Raises:
        FormatError: ``host.malformed``, ``cbor.*``.
    """
    items = cbor.decode(data, MAX_PAGE_BYTES)
    if type(items) is not list or len(items) > PAGE_ITEMS:
        raise _malformed(f"a list of at most {PAGE_ITEMS} manifests")
    page = [item for item in items if type(item) is bytes and 1 <= len(item) <= MAX_MANIFEST_BYTES]
    if len(page) != len(items):
        raise _malformed(f"manifests of at most {MAX_MANIFEST_BYTES} bytes")
    return page


def _fields(data: bytes, max_bytes: int, required: set[int], optional: set[int]) -> Map:
    fields = cbor.decode(data, max_bytes)
    if type(fields) is not dict or not required <= fields.keys() <= required | optional:
        raise _malformed("a map with the fields of hosting.md")
    return fields


def _uint(value: Value, most: int) -> int:
    if type(value) is not int or not 0 <= value <= most:
        raise _malformed(f"a whole number up to {most}")
    return value


def _malformed(needed: str) -> FormatError:
    return FormatError("host.malformed", f"the answer is not {needed}")
