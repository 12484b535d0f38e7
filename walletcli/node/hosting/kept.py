"""What a store keeps for the identities that it hosts, and what is written there.

Spec: docs/spec/hosting.md.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import Enum
from typing import Final, Protocol

from walletcli.core.grant import Terms

MAX_BLOBS: Final = 65_536
"""How many blobs one identity may have, deleted ones included."""

PART_BYTES: Final = 262_144
"""A blob's content is kept, and read, in parts of so many bytes."""

_CLAIM: Final = struct.Struct(">32s32sQHII")


class Kept(Enum):
    """How the store stands to an identity that it hosts; one that it does not host has no row."""

    BOUND = 1
    """its record holds this node's grant"""
    LEAVING = 2
    """its record no longer does: read-only until the time has passed that the grant promised"""


class Rule(Enum):
    """What the operator decided about an identity."""

    ALLOWED = 1
    """may have a grant of a closed node"""
    BLOCKED = 2
    """gets no grant, and what was bound is leaving"""


@dataclass(frozen=True, slots=True)
class Claim:
    """The grant of this node that a document holds.

    Attributes:
        grant_digest: SHA-256 of the grant, 32 bytes.
        signer: the node's device key that signed it, 32 bytes.
        terms: what it gives.
        not_after_day: first day on which it no longer holds, days since 1970-01-01.
    """

    grant_digest: bytes
    signer: bytes
    terms: Terms
    not_after_day: int

    def to_bytes(self) -> bytes:
        """Encode for the store: 82 bytes."""
        terms = self.terms
        numbers = (terms.quota_bytes, terms.retention_days, terms.max_blob_bytes, self.not_after_day)
        return _CLAIM.pack(self.grant_digest, self.signer, *numbers)

    @classmethod
    def from_bytes(cls, data: bytes) -> Claim:
        """Decode what `to_bytes` wrote."""
        digest, signer, quota, retention, max_blob, not_after = _CLAIM.unpack(data)
        return cls(digest, signer, Terms(quota, retention, max_blob), not_after)


@dataclass(frozen=True, slots=True)
class Hosted:
    """An identity that the store hosts.

    Attributes:
        row_id: the store's number for it.
        host_id: the store's number for what it holds of it; a new one when it has had everything deleted.
        state: bound or leaving.
        due_s: when the grant ends, or, for one that is leaving, when its data goes; Unix seconds.
        terms: of the grant that counts.
        grant_digest: SHA-256 of that grant, 32 bytes.
        used_bytes: sealed bytes.
        blobs: how many, deleted ones included.
    """

    row_id: int
    host_id: int
    state: Kept
    due_s: int
    terms: Terms
    grant_digest: bytes
    used_bytes: int
    blobs: int

    def is_bound(self, now_s: float) -> bool:
        """Tell whether it may write at the Unix second `now_s`."""
        return self.state is Kept.BOUND and now_s < self.due_s


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """A blob as it is kept.

    Attributes:
        version: of its manifest.
        manifest: COSE_Sign1.
        content_id: the store's number for its content; 0 for a deleted blob.
        size_bytes: of its sealed content.
    """

    version: int
    manifest: bytes
    content_id: int
    size_bytes: int


@dataclass(slots=True)
class PutBlob:
    """Store a verified blob in place of another version, if its identity is bound and has room.

    Attributes:
        key: the identity's, 32 bytes.
        blob_id: 16 bytes.
        version: of the manifest.
        manifest: COSE_Sign1.
        content: the sealed bytes; empty for a deletion.
        replaces: the version that must be stored now; 0 for none.
        previous: SHA-256 of the manifest that this one says it replaces, or None; looked at where the stored version is
            the one before.
        share_bytes: the most that the blobs of all identities may take; 0 for no bound.
    """

    key: bytes
    blob_id: bytes
    version: int
    manifest: bytes
    content: bytes | memoryview
    replaces: int
    previous: bytes | None = None
    share_bytes: int = 0


@dataclass(slots=True)
class Forget:
    """Delete everything that is kept for an identity; how it stands stays as it is.

    Attributes:
        key: 32 bytes.
    """

    key: bytes


@dataclass(slots=True)
class UseInvitation:
    """Use an invitation for an identity; for the same identity once more costs nothing.

    Attributes:
        digest: SHA-256 of the token, 32 bytes.
        key: the identity's, 32 bytes.
    """

    digest: bytes
    key: bytes


@dataclass(slots=True)
class Disown:
    """Let go of what other keys of this node have granted, and take no such grant from here on.

    Attributes:
        signer: the key whose grants count, 32 bytes.
    """

    signer: bytes


@dataclass(slots=True)
class Sweep:
    """End what is over: grants, retention, invitations, deleted data; a bounded amount at a time."""


HostWrite = PutBlob | Forget | UseInvitation | Disown | Sweep


class HostStore(Protocol):
    """What is hosted, durably; every read raises StorageError ``storage.failed``."""

    def named_document(self, key: bytes) -> bytes | None:
        """Return the hash of the document that a key's packet names; None without one."""

    def hosted(self, key: bytes) -> Hosted | None:
        """Return how an identity is hosted, or None."""

    def rule(self, key: bytes) -> Rule | None:
        """Return what the operator decided about an identity, or None."""

    def blob(self, host_id: int, blob_id: bytes) -> StoredBlob | None:
        """Return a blob of what `hosted` named, or None."""

    def blob_part(self, content_id: int, number: int) -> bytes | None:
        """Return a part of a blob's content, counted from 0, or None if it is gone."""

    def manifests(self, host_id: int, after: bytes | None, limit: int) -> list[bytes]:
        """Return manifests ascending by blob id, from the one that follows `after`."""

    def reusable_bytes(self) -> int:
        """Return the space inside the store that is free to be used again."""
