"""The manifest of a sealed blob: which version of what, signed by a device of its owner.

Spec: docs/spec/grant.md, "Blobs".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from walletcli.core import cbor, ed25519
from walletcli.core.blob import ID_BYTES, MAX_MANIFEST_BYTES
from walletcli.core.grant import MAX_BLOB_BYTES
from walletcli.core.payload import VERSION, Payload, malformed
from walletcli.errors import FormatError

MAX_VERSION: Final = 1 << 53
"""Highest version of a blob."""

_HASH_BYTES = 32
_WHAT = "manifest"
_LEAST: Final = {1: 24, 2: 1 << 8, 4: 1 << 16}
"""The least number that has so many bytes of its own."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is signed about a blob.

    Attributes:
        identity: root key of its owner, 32 bytes.
        blob_id: 16 bytes.
        version: 1 to 2^53; each one replaces a lower one.
        content_hash: SHA-256 of the sealed bytes, or None if the blob has been deleted.
        length_bytes: of the sealed bytes; 0 if it has been deleted.
        previous: SHA-256 of the signed manifest that this one replaces, or None for a first one.

    Raises:
        FormatError: ``manifest.malformed``, ``key.malformed``.
    """

    TYP: ClassVar[str] = "application/walletcli-manifest+cose"

    identity: bytes
    blob_id: bytes
    version: int
    content_hash: bytes | None
    length_bytes: int
    previous: bytes | None = None

    def __post_init__(self) -> None:
        ed25519.check_encoding(self.identity)
        if len(self.blob_id) != ID_BYTES:
            raise malformed(_WHAT, f"the id of a blob has {ID_BYTES} bytes")
        if not 1 <= self.version <= MAX_VERSION:
            raise malformed(_WHAT, "the version is out of range")
        if self.content_hash is not None and len(self.content_hash) != _HASH_BYTES:
            raise malformed(_WHAT, "a hash has 32 bytes")
        low, high = (0, 0) if self.content_hash is None else (1, MAX_BLOB_BYTES)
        if not low <= self.length_bytes <= high:
            raise malformed(_WHAT, "the length is out of range, or a deleted blob has one")
        if self.previous is not None and len(self.previous) != _HASH_BYTES:
            raise malformed(_WHAT, "a hash has 32 bytes")

    def to_payload(self) -> bytes:
        """Encode what is signed."""
        fields: dict[int, object] = {
            1: VERSION,
            2: self.identity,
            3: self.blob_id,
            4: self.version,
            5: self.content_hash,
            6: self.length_bytes,
        }
        if self.previous is not None:
            fields[7] = self.previous
        return cbor.encode(fields)

    @classmethod
    def from_payload(cls, data: bytes) -> Manifest:
        """Decode what is signed.

        Raises:
            FormatError: ``manifest.malformed``, ``manifest.unknown-version``, ``key.malformed``, ``cbor.*``.
        """
        usual = _usual(data)
        if usual is not None:
            return cls(*usual)
        fields = Payload(data, _WHAT, (2, 3, 4, 5, 6), (7,), MAX_MANIFEST_BYTES)
        return cls(
            fields.raw(2, 32, 32),
            fields.raw(3, ID_BYTES, ID_BYTES),
            fields.integer(4, 1, MAX_VERSION),
            _hash(fields) if fields.value(5) is not None else None,
            fields.integer(6, 0, MAX_BLOB_BYTES),
            fields.raw(7, _HASH_BYTES, _HASH_BYTES) if fields.has(7) else None,
        )


def _hash(fields: Payload) -> bytes:
    try:
        return fields.raw(5, _HASH_BYTES, _HASH_BYTES)
    except FormatError:
        raise malformed(_WHAT, "a hash has 32 bytes") from None


def _usual(data: bytes) -> tuple[bytes, bytes, int, bytes, int, bytes | None] | None:
    """Take a payload apart that has the usual bytes around its fields; None for all others.

    Comparing is several times faster than decoding, and no less strict: what stands in between has one encoding.
    """
    has_previous = data[:1] == b"\xa7"
    if not (has_previous or data[:1] == b"\xa6") or data[1:6] != b"\1\1\2\x58\x20" or data[38:40] != b"\3\x50":
        return None
    version, at = _usual_number(data, 56, 4)
    digest = data[at + 3 : at + 35]
    if data[at : at + 3] != b"\5\x58\x20":
        return None
    length, end = _usual_number(data, at + 35, 6)
    previous = data[end + 3 :] if has_previous else None
    if len(data) != end + (35 if has_previous else 0) or (has_previous and data[end : end + 3] != b"\7\x58\x20"):
        return None
    return data[6:38], data[40:56], version, digest, length, previous


def _usual_number(data: bytes, at: int, key: int) -> tuple[int, int]:
    """Read a field that holds a number of at most 32 bits; return it and where it ends, which is 0 if it is not one."""
    head = data[at + 1] if len(data) > at + 1 and data[at] == key else 0xFF
    if head < 24:
        return head, at + 2
    if not 0x18 <= head <= 0x1A:
        return 0, 0
    size = 1 << (head - 0x18)
    number = int.from_bytes(data[at + 2 : at + 2 + size], "big")
    return (number, at + 2 + size) if number >= _LEAST[size] else (0, 0)
