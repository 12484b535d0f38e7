"""The file that a contact export travels in: open, or sealed to its owner or to somebody else.

Spec: docs/spec/contact.md, "Export file".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from walletcli.core import cbor, sealed
from walletcli.core.approval import Approval, read_approvals
from walletcli.core.cbor import Value
from walletcli.core.contact_export import MAX_EXPORT_BYTES
from walletcli.core.secret import Secret
from walletcli.core.short_record import MAX_SHORT_BYTES
from walletcli.errors import FormatError

MAGIC: Final = b"walletcli contact export 1\n"
"""First bytes of an export file."""

CONTEXT: Final = b"walletcli contact export 1"
"""Context of the sealed form."""

MAX_FILE_BYTES: Final = len(MAGIC) + sealed.MAX_BYTES + 16
"""Longest export file."""

_OPEN: Final = 0
_SEALED: Final = 1


@dataclass(frozen=True, slots=True)
class OpenExport:
    """An export that can be read.

    Attributes:
        export: its COSE bytes; not looked at yet.
        short_record: its owner's record, or None; not looked at yet.
        approvals: of the export by its owner's approvers, ascending by key; their form is checked.
    """

    export: bytes
    short_record: bytes | None = None
    approvals: tuple[Approval, ...] = ()

    @property
    def _parts(self) -> list[Value]:
        approvals: list[Value] = [approval.to_cbor() for approval in self.approvals]
        return [self.export, self.short_record, *([approvals] if approvals else [])]

    def to_bytes(self) -> bytes:
        """Encode the open file."""
        return MAGIC + cbor.encode([_OPEN, *self._parts])

    def seal(self, recipients: Sequence[bytes], entropy: Callable[[int], bytes]) -> SealedExport:
        """Return the sealed form.

        Args:
            recipients: 1 to 16 X25519 public keys: one's own devices and recovery recipient, or another's devices.
            entropy: gives as many random bytes as asked.

        Raises:
            FormatError: ``sealed.recipients``, ``sealed.too-long``, ``key.malformed``.
        """
        return SealedExport(sealed.seal(cbor.encode(self._parts), recipients, entropy, CONTEXT))


@dataclass(frozen=True, slots=True)
class SealedExport:
    """An export that only its recipients can read.

    Attributes:
        blob: sealed bytes (docs/spec/sealed.md).
    """

    blob: bytes

    def to_bytes(self) -> bytes:
        """Encode the sealed file."""
        return MAGIC + cbor.encode([_SEALED, self.blob])

    def open(self, secret: Secret) -> OpenExport:
        """Return the export.

        Args:
            secret: X25519 scalar of 32 bytes of one of the recipients.

        Raises:
            FormatError: ``sealed.malformed``, ``contact-export.file``, ``key.malformed``, ``cbor.*``.
            VerificationError: ``sealed.not-for-you``, ``sealed.damaged``, ``sealed.weak-key``.
        """
        return self.opened(sealed.unseal(self.blob, secret, CONTEXT))

    @staticmethod
    def opened(content: bytes) -> OpenExport:
        """Return the export that an unsealed blob holds, for readers whose key is elsewhere.

        Raises:
            FormatError: ``contact-export.file``, ``cbor.*``.
        """
        return _open_export(cbor.decode(content, sealed.MAX_BYTES))


def read_export_file(data: bytes) -> OpenExport | SealedExport:
    """Decode an export file; what is in it is for `verify_export` and `from_short`.

    Raises:
        FormatError: ``contact-export.file``, ``approval.*``, ``cbor.*``.
    """
    if len(data) > MAX_FILE_BYTES or not data.startswith(MAGIC):
        raise _wrong("not a contact export of a known version", "it starts with 'walletcli contact export 1'")
    parts = cbor.decode(data[len(MAGIC) :], MAX_FILE_BYTES)
    if type(parts) is list and len(parts) in (3, 4) and parts[0] == _OPEN and type(parts[0]) is int:
        return _open_export(parts[1:])
    if type(parts) is list and len(parts) == 2 and parts[0] == _SEALED and type(parts[0]) is int:
        blob = parts[1]
        if type(blob) is bytes and 1 <= len(blob) <= sealed.MAX_BYTES:
            return SealedExport(blob)
    raise _wrong("needs an export and a record, or sealed bytes")


def _open_export(parts: Value) -> OpenExport:
    if type(parts) is not list or len(parts) not in (2, 3):
        raise _wrong("needs an export and a record")
    export, record = parts[:2]
    if type(export) is not bytes or not 1 <= len(export) <= MAX_EXPORT_BYTES:
        raise _wrong(f"an export has 1 to {MAX_EXPORT_BYTES} bytes")
    if record is not None and (type(record) is not bytes or not 1 <= len(record) <= MAX_SHORT_BYTES):
        raise _wrong(f"a record is null or has 1 to {MAX_SHORT_BYTES} bytes")
    approvals = read_approvals(parts[2]) if len(parts) == 3 else ()
    if len(parts) == 3 and not approvals:
        raise _wrong("approvals are left out where there are none")
    return OpenExport(export, record, approvals)


def _wrong(detail: str, hint: str = "") -> FormatError:
    return FormatError("contact-export.file", f"contact export: {detail}", hint)
