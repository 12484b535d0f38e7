"""What a request can ask of people who hold keys that approve: an approval, or a key of theirs as approver.

Spec: docs/spec/gathering.md, "What is asked".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Final

from walletcli.core.approval import Kind, Subject
from walletcli.core.cbor import Value
from walletcli.core.contact_export import MAX_EXPORT_BYTES, ContactExport, verify_export
from walletcli.core.document import Document
from walletcli.core.document_parts import Approvers
from walletcli.core.item_parts import check_record, malformed, read_bytes, read_key, sized
from walletcli.core.record import Record
from walletcli.errors import VerificationError

MAX_KEYS: Final = 8
"""Most keys that a request asks: as many as an identity can have approvers."""

MAX_CREDENTIAL_BYTES: Final = 1023
"""Longest credential id that CTAP 2.1 allows."""


@dataclass(frozen=True, slots=True)
class AskedKey:
    """A key that is asked to approve.

    Attributes:
        public_key: of the approver, 32 or 33 bytes.
        credential_id: what its security key made for it, 1 to 1023 bytes; it cannot sign without.

    Raises:
        FormatError: ``request.malformed``.
    """

    public_key: bytes
    credential_id: bytes

    def __post_init__(self) -> None:
        if len(self.public_key) not in (32, 33) or not 1 <= len(self.credential_id) <= MAX_CREDENTIAL_BYTES:
            raise malformed("a key that is asked needs a public key and a credential id")


@dataclass(frozen=True, slots=True)
class ApproveItem:
    """Asks approvers of an identity to approve its next document, or a contact export of it.

    Attributes:
        identity: root key, 32 bytes.
        record: the identity's record in force, verified, with what is beside it; its document names the approvers.
        document: that is to be approved, or None for an export.
        export: that is to be approved, its COSE_Sign1, or None for a document.
        keys: which approvers are asked, ascending by key, and how.

    Raises:
        VerificationError: ``request.record`` if the record or what is to be approved is another identity's;
            ``signature.invalid`` for an export.
        FormatError: ``request.malformed``, and what an export ends in.
    """

    KIND: ClassVar[int] = 5

    identity: bytes
    record: Record
    document: Document | None
    export: bytes | None
    keys: tuple[AskedKey, ...]
    _subject: Subject = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        check_record(self.identity, self.record)
        if self.record.document is None or self.record.document.approvers is None:
            raise malformed("the record in force names no approvers")
        if (self.document is None) == (self.export is None):
            raise malformed("a document or an export is to be approved")
        if self.document is not None and self.document.identity != self.identity:
            raise VerificationError("request.record", "the document in the request is another identity's")
        names = [item.public_key for item in self.keys]
        if not 1 <= len(names) <= MAX_KEYS or any(map(bytes.__ge__, names, names[1:])):
            raise malformed(f"1 to {MAX_KEYS} keys are asked, in order")
        if not set(names) <= {item.public_key for item in self.approvers.approvers}:
            raise malformed("a key is asked that is no approver")
        object.__setattr__(self, "_subject", self._made_subject())

    @property
    def approvers(self) -> Approvers:
        """Who may approve it."""
        assert self.record.document is not None
        assert self.record.document.approvers is not None
        return self.record.document.approvers

    @property
    def subject(self) -> Subject:
        """What is approved."""
        return self._subject

    def _made_subject(self) -> Subject:
        if self.document is not None:
            return Subject.of_document(self.document)
        export = self.opened_export()
        assert export is not None
        return Subject.of_export(self.identity, self.export or b"", len(export.entries))

    def opened_export(self) -> ContactExport | None:
        """Return the export, its signature checked; None for a document.

        Raises:
            FormatError, VerificationError: as `verify_export`; ``request.record`` if it is another identity's.
        """
        if self.export is None:
            return None
        export, _ = verify_export(self.export)
        if export.identity != self.identity:
            raise VerificationError("request.record", "the export in the request is another identity's")
        return export

    def to_row(self) -> list[Value]:
        """Return the array of the CDDL."""
        keys: list[Value] = [[item.public_key, item.credential_id] for item in self.keys]
        what = self.document.to_bare_bytes() if self.document is not None else self.export
        return [self.KIND, self.identity, self.record.to_bytes(), int(self.subject.kind), what, keys]

    @classmethod
    def from_row(cls, row: list[Value]) -> ApproveItem:
        """Read the array of the CDDL."""
        _, identity, record, kind, what, keys = sized(row, 6)
        if type(kind) is not int or kind not in (Kind.DOCUMENT, Kind.CONTACT_EXPORT):
            raise malformed("something is to be approved that is not known here")
        if type(keys) is not list or len(keys) > MAX_KEYS:
            raise malformed(f"1 to {MAX_KEYS} keys are asked, in order")
        data, found = read_bytes(what), Record.from_bytes(read_bytes(record))
        asked = tuple(map(_asked_key, keys))
        if kind == Kind.DOCUMENT:
            return cls(read_key(identity), found, Document.from_bare_bytes(data), None, asked)
        if len(data) > MAX_EXPORT_BYTES:
            raise malformed(f"an export of at most {MAX_EXPORT_BYTES} bytes")
        return cls(read_key(identity), found, None, data, asked)


@dataclass(frozen=True, slots=True)
class OfferItem:
    """Asks somebody for a key of theirs as approver of an identity.

    Attributes:
        identity: root key, 32 bytes.
        verify: whether its approvals are to ask for its PIN.
    """

    KIND: ClassVar[int] = 6

    identity: bytes
    verify: bool

    def to_row(self) -> list[Value]:
        """Return the array of the CDDL."""
        return [self.KIND, self.identity, self.verify]

    @classmethod
    def from_row(cls, row: list[Value]) -> OfferItem:
        """Read the array of the CDDL."""
        _, identity, verify = sized(row, 3)
        if type(verify) is not bool:
            raise malformed("whether a PIN is asked for is true or false")
        return cls(read_key(identity), verify)


def _asked_key(value: Value) -> AskedKey:
    if type(value) is not list or len(value) != 2:
        raise malformed("a key that is asked has two parts")
    return AskedKey(read_bytes(value[0]), read_bytes(value[1]))
