"""The exit kit's bytes: what an identity needs to leave its provider without asking it.

Spec: docs/spec/exit-kit.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from walletcli.core import cbor, record
from walletcli.core.blob import MAX_FRAME_BYTES, join_blob, split_blob
from walletcli.core.document import MAX_GRANT_BYTES
from walletcli.core.document_parts import LAST_DAY
from walletcli.core.record import Record
from walletcli.errors import FormatError, VerificationError

MAGIC: Final = b"walletcli exit kit 1\n"
"""First line of the kit's head."""

BLOB_MAGIC: Final = b"walletcli blob 1\n"
"""First line of each blob's file."""

VERSION: Final = 1
"""Version of the head's format."""

MAX_GRANTS: Final = 16
"""As many as a document holds."""

MAX_HEAD_BYTES: Final = len(MAGIC) + record.MAX_FILE_BYTES + MAX_GRANTS * (MAX_GRANT_BYTES + 3) + 128
"""Longest head, in bytes."""

MAX_BLOB_FILE_BYTES: Final = len(BLOB_MAGIC) + MAX_FRAME_BYTES
"""Longest file of a blob, in bytes."""

_NAME: Final = re.compile(r"[0-9a-f]{32}")
_KEYS: Final = {1, 2, 3, 4, 5}


@dataclass(frozen=True, slots=True)
class ExitKitHead:
    """Whose kit it is, with the latest record and the grants that it lives by.

    Attributes:
        record: the identity's latest record, with its document.
        grants: the providers' halves of its bindings, each a COSE_Sign1 of 1 to 4096 bytes; at most 16. They are kept
            as they are: whoever uses one verifies it.
        day: when the kit was last refreshed, in days since 1970-01-01 (UTC).
    """

    record: Record
    grants: tuple[bytes, ...]
    day: int

    def __post_init__(self) -> None:
        if self.record.document is None:
            raise _malformed("a record with its document is needed")
        if len(self.grants) > MAX_GRANTS or not all(1 <= len(grant) <= MAX_GRANT_BYTES for grant in self.grants):
            raise _malformed(f"at most {MAX_GRANTS} grants of 1 to {MAX_GRANT_BYTES} bytes")
        if not 0 <= self.day <= LAST_DAY:
            raise _malformed("the day is out of range")

    @property
    def identity(self) -> bytes:
        """Root key of the identity, 32 bytes."""
        return self.record.packet.public_key

    def to_bytes(self) -> bytes:
        """Encode as the kit's head."""
        return MAGIC + cbor.encode(
            {1: VERSION, 2: self.identity, 3: self.record.to_bytes(), 4: list(self.grants), 5: self.day}
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> ExitKitHead:
        """Decode a kit's head and verify its record.

        Raises:
            FormatError: ``exit-kit.malformed``, ``exit-kit.unknown-version``, ``cbor.*``, ``record.*``, ``document.*``.
            VerificationError: ``exit-kit.identity`` for another identity's record, ``signature.invalid``, ``record.*``.
        """
        if len(data) > MAX_HEAD_BYTES or not data.startswith(MAGIC):
            raise _malformed("it does not start with 'walletcli exit kit 1', or is too long")
        fields = cbor.decode(data[len(MAGIC) :], MAX_HEAD_BYTES)
        if type(fields) is not dict:
            raise _malformed("needs a map")
        if fields.get(1) != VERSION or type(fields[1]) is not int:
            raise FormatError("exit-kit.unknown-version", "a kit of a version that is not known", "update walletcli")
        if fields.keys() != _KEYS:
            raise _malformed("a field is missing or unknown")
        identity, record_file, grants, day = fields[2], fields[3], fields[4], fields[5]
        if type(identity) is not bytes or type(record_file) is not bytes or type(day) is not int:
            raise _malformed("needs an identity, a record file and a day")
        if type(grants) is not list or len(grants) > MAX_GRANTS:
            raise _malformed("needs a list of grants")
        kept = Record.from_bytes(record_file)
        if kept.packet.public_key != identity:
            raise VerificationError("exit-kit.identity", "the kit holds the record of another identity than it names")
        return cls(kept, tuple(_grant(item) for item in grants), day)


def blob_file_name(blob_id: bytes) -> str:
    """Return the file name of a blob: its id of 16 bytes in lower-case hexadecimal."""
    return blob_id.hex()


def blob_id_of(name: str) -> bytes | None:
    """Return the id that a file name stands for, or None for a name that is no blob's."""
    return bytes.fromhex(name) if _NAME.fullmatch(name) else None


def blob_file(manifest: bytes, sealed: bytes) -> bytes:
    """Return the bytes of a blob's file.

    Raises:
        FormatError: ``blob.malformed`` for a manifest or content that is too long.
    """
    return BLOB_MAGIC + join_blob(manifest, sealed)


def read_blob_file(data: bytes) -> tuple[bytes, bytes]:
    """Return manifest and sealed content of a blob's file; neither is verified.

    Raises:
        FormatError: ``blob.malformed``.
    """
    if len(data) > MAX_BLOB_FILE_BYTES or not data.startswith(BLOB_MAGIC):
        raise FormatError("blob.malformed", "it does not start with 'walletcli blob 1', or is too long")
    return split_blob(data[len(BLOB_MAGIC) :])


def _grant(value: cbor.Value) -> bytes:
    if type(value) is not bytes:
        raise _malformed("a grant is a byte string")
    return value


def _malformed(why: str) -> FormatError:
    return FormatError(
        "exit-kit.malformed", f"not a usable exit kit: {why}", "name the directory that `provider bind` made"
    )
