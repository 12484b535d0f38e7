"""Checks what a place holds of an identity: manifests and the blobs that they vouch for.

Spec: docs/spec/hosting.md, docs/spec/exit-kit.md, "Verification".
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from walletcli.core.blob import MAX_MANIFEST_BYTES
from walletcli.core.cose import Sign1
from walletcli.core.document_parts import Power
from walletcli.core.manifest import Manifest
from walletcli.core.record import Record
from walletcli.core.statements import verify_statement
from walletcli.errors import FormatError, VerificationError, WalletError

MAX_BLOBS: Final = 65_536
"""Most blobs of one identity that are looked at: 64 GiB in pieces of 1 MiB."""

MAX_CONTENT_BYTES: Final = 2 << 20
"""Longest sealed content that is taken from a place by default, in bytes: the wallet's pieces hold 1 MiB."""


@dataclass(frozen=True, slots=True)
class SignedManifest:
    """A manifest whose signature and signer have been checked.

    Attributes:
        manifest: what it says.
        data: the COSE_Sign1 that says it.
    """

    manifest: Manifest
    data: bytes

    @property
    def blob_id(self) -> bytes:
        """16 bytes."""
        return self.manifest.blob_id

    @property
    def version(self) -> int:
        """Of the blob, from 1."""
        return self.manifest.version

    @property
    def signer(self) -> bytes:
        """Public key that signed it, 32 bytes."""
        return Sign1.from_bytes(self.data, MAX_MANIFEST_BYTES).signer

    @property
    def is_deletion(self) -> bool:
        """Whether it says that the blob is no more."""
        return self.manifest.content_hash is None

    @property
    def digest(self) -> bytes:
        """SHA-256 of the COSE_Sign1, 32 bytes."""
        return hashlib.sha256(self.data).digest()

    def is_same(self, other: SignedManifest) -> bool:
        """Whether both name the same version with the same content, whichever device has signed."""
        mine, others = self.manifest, other.manifest
        return (mine.version, mine.content_hash) == (others.version, others.content_hash)


@dataclass(frozen=True, slots=True)
class Blob:
    """A manifest and the sealed bytes that it names; empty for a deletion."""

    manifest: SignedManifest
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ItemFault:
    """One thing at a place that must not be used, or could not be moved.

    Attributes:
        blob_id: 16 bytes, or None where not even that can be told.
        error: why.
        name: how the place calls it.
    """

    blob_id: bytes | None
    error: WalletError
    name: str = ""

    def to_json(self) -> dict[str, object]:
        """Return blob (hex or null), name and error."""
        return {"blob": self.blob_id.hex() if self.blob_id else None, "name": self.name, "error": self.error.to_json()}


Listed: TypeAlias = SignedManifest | ItemFault
"""An entry of what a place lists."""


@dataclass(frozen=True, slots=True)
class Writers:
    """Who may sign an identity's manifests.

    A manifest says no date, so that a date of a delegation decides nothing here: a key counts as long as one of the
    records at hand delegates to it. To stop trusting a key, leave out the records that still name it. What such a key
    had signed before is still taken if it is pinned: somebody who is trusted vouches for it.

    Attributes:
        identity: root key, 32 bytes.
        keys: public keys of 32 bytes: the root, and each device with the power ``host``.
        known: the version that each blob had when it was last seen here; none may be below.
        pinned: version and SHA-256 of the sealed bytes of blobs that are right whoever signed their manifest, because
            the identity's index names them, or because they were checked when their signer was still a device.
        anyone: take manifests of any signer: only to see what a place lists, never to use what they name.
    """

    identity: bytes
    keys: frozenset[bytes]
    known: Mapping[bytes, int] = field(default_factory=dict)
    pinned: Mapping[bytes, tuple[int, bytes]] = field(default_factory=dict)
    anyone: bool = False

    @classmethod
    def of(cls, identity: bytes, records: Iterable[Record], known: Mapping[bytes, int] | None = None) -> Writers:
        """Return who may write by `records` of the identity; records of others and pending ones give nobody."""
        keys = {identity}
        for record in records:
            if record.document is not None and record.packet.public_key == identity:
                keys.update(item.signing_key for item in record.document.delegations if Power.HOST in item.powers)
        return cls(identity, frozenset(keys), known or {})

    def verified(self, data: bytes, place: str, blob_id: bytes | None = None) -> SignedManifest:
        """Check a manifest that `place` gave.

        Args:
            data: the COSE_Sign1.
            place: who gave it, for messages.
            blob_id: the blob that was asked for, or None.

        Raises:
            FormatError: ``cose.*``, ``cbor.*``, ``manifest.*``.
            VerificationError: ``signature.invalid``, ``blob.identity``, ``blob.writer``, ``blob.other``,
                ``blob.old-version``.
        """
        manifest, sign1 = verify_statement(data, Manifest, MAX_MANIFEST_BYTES)
        if manifest.identity != self.identity:
            raise VerificationError("blob.identity", f"{place} gave a blob of another identity", _elsewhere(place))
        name = manifest.blob_id.hex()
        said = (manifest.version, manifest.content_hash)
        trusted = self.anyone or sign1.signer in self.keys or self.pinned.get(manifest.blob_id) == said
        if not trusted:
            raise VerificationError(
                "blob.writer", f"blob {name} at {place} is signed by no device of its owner", _elsewhere(place)
            )
        if blob_id is not None and manifest.blob_id != blob_id:
            raise VerificationError("blob.other", f"{place} gave another blob than asked for", _elsewhere(place))
        known = self.known.get(manifest.blob_id, 0)
        if manifest.version < known:
            raise VerificationError(
                "blob.old-version",
                f"{place} has version {manifest.version} of blob {name}, below the known {known}",
                _elsewhere(place),
            )
        return SignedManifest(manifest, data)


def checked_blob(manifest: SignedManifest, content: bytes, place: str) -> Blob:
    """Check sealed bytes against the manifest that came with them.

    Raises:
        VerificationError: ``blob.mismatch``.
    """
    named = manifest.manifest
    digest = hashlib.sha256(content).digest() if content else None
    if len(content) != named.length_bytes or digest != named.content_hash:
        raise VerificationError(
            "blob.mismatch",
            f"{place} gave other bytes for blob {named.blob_id.hex()} than its manifest names",
            _elsewhere(place),
        )
    return Blob(manifest, content)


def manifest_of(data: bytes) -> Manifest:
    """Decode one's own manifest; its signature is not checked.

    Raises:
        FormatError: ``cose.*``, ``cbor.*``, ``manifest.*``.
    """
    return Manifest.from_payload(Sign1.from_bytes(data, MAX_MANIFEST_BYTES).payload)


def nameable(data: bytes) -> bytes | None:
    """Return the blob id in a manifest that did not verify, or None where none can be read."""
    try:
        return manifest_of(data).blob_id
    except FormatError:
        return None


def _elsewhere(place: str) -> str:
    return f"do not rely on {place}: take the blob from another place, such as the exit kit"
