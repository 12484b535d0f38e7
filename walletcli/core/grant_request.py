"""The request for a grant: a device asks a provider to host its identity.

Spec: docs/spec/grant.md, "Request".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from walletcli.core import cbor, ed25519
from walletcli.core.grant import MAX_QUOTA_BYTES
from walletcli.core.payload import VERSION, Payload, malformed

MAX_REQUEST_BYTES: Final = 1024
"""Longest signed request."""

MIN_NONCE_BYTES: Final = 16
"""Shortest challenge."""

MAX_NONCE_BYTES: Final = 64
"""Longest challenge."""

MAX_INVITATION_BYTES: Final = 128
"""Longest invitation token, bytes of UTF-8."""

_WHAT = "grant-request"


@dataclass(frozen=True, slots=True)
class GrantRequest:
    """What a device signs to be hosted.

    Attributes:
        identity: root key, 32 bytes.
        provider: root key of the node that is asked, 32 bytes.
        nonce: that node's challenge, 16 to 64 bytes.
        quota_bytes: room that is wanted, 0 to 2^50.
        invitation: token of a closed node, 1 to 128 bytes, or None.

    Raises:
        FormatError: ``grant-request.malformed``, ``key.malformed``.
    """

    TYP: ClassVar[str] = "application/walletcli-grant-request+cose"

    identity: bytes
    provider: bytes
    nonce: bytes
    quota_bytes: int
    invitation: str | None = None

    def __post_init__(self) -> None:
        ed25519.check_encoding(self.identity)
        ed25519.check_encoding(self.provider)
        if not MIN_NONCE_BYTES <= len(self.nonce) <= MAX_NONCE_BYTES:
            raise malformed(_WHAT, "the challenge has 16 to 64 bytes")
        if not 0 <= self.quota_bytes <= MAX_QUOTA_BYTES:
            raise malformed(_WHAT, "the quota is out of range")
        if self.invitation is not None and not 1 <= len(self.invitation.encode()) <= MAX_INVITATION_BYTES:
            raise malformed(_WHAT, f"an invitation has 1 to {MAX_INVITATION_BYTES} bytes")

    def to_payload(self) -> bytes:
        """Encode what is signed."""
        fields: dict[int, object] = {
            1: VERSION,
            2: self.identity,
            3: self.provider,
            4: self.nonce,
            5: self.quota_bytes,
        }
        if self.invitation is not None:
            fields[6] = self.invitation
        return cbor.encode(fields)

    @classmethod
    def from_payload(cls, data: bytes) -> GrantRequest:
        """Decode what is signed.

        Raises:
            FormatError: ``grant-request.malformed``, ``grant-request.unknown-version``, ``key.malformed``, ``cbor.*``.
        """
        fields = Payload(data, _WHAT, (2, 3, 4, 5), (6,), MAX_REQUEST_BYTES)
        return cls(
            fields.raw(2, 32, 32),
            fields.raw(3, 32, 32),
            fields.raw(4, MIN_NONCE_BYTES, MAX_NONCE_BYTES),
            fields.integer(5, 0, MAX_QUOTA_BYTES),
            fields.text(6, MAX_INVITATION_BYTES) if fields.has(6) else None,
        )
