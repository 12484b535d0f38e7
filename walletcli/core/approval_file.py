"""What a holder of keys gives back to a request: approvals, or a key that is offered as approver.

It needs no signature of its own: an approval is one, over exactly what was asked for.

Spec: docs/spec/gathering.md, "Approval file".
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from walletcli.core import cbor
from walletcli.core.approval import MAX_APPROVALS, Approval, Subject, read_approvals
from walletcli.core.approver_items import MAX_CREDENTIAL_BYTES
from walletcli.core.cbor import Value
from walletcli.core.document_parts import Approver
from walletcli.core.request_file import ID_BYTES
from walletcli.errors import FormatError

MAGIC: Final = b"walletcli approval 1\n"
"""First bytes of an approval file."""

MAX_FILE_BYTES: Final = 16_384
"""Longest approval file."""

DIGEST_BYTES: Final = 32
"""Length of a request's digest."""

_OFFER_LABEL: Final = "walletcli approver offer"


def _malformed(detail: str) -> FormatError:
    return FormatError("approval-file.malformed", f"approval file: {detail}")


@dataclass(frozen=True, slots=True)
class Offer:
    """A key that is offered as approver.

    Attributes:
        approver: as a document would name it.
        credential_id: what the security key made for it, 1 to 1023 bytes.
        proof: approval of `offer_subject` by that key.
    """

    approver: Approver
    credential_id: bytes
    proof: Approval

    def __post_init__(self) -> None:
        if not 1 <= len(self.credential_id) <= MAX_CREDENTIAL_BYTES:
            raise _malformed(f"a credential id has 1 to {MAX_CREDENTIAL_BYTES} bytes")


@dataclass(frozen=True, slots=True)
class ApprovalFile:
    """An answer by whoever holds keys that approve.

    Attributes:
        request_id: 16 bytes.
        digest: of the request, 32 bytes.
        approvals: of what was asked for, 1 to 8, ascending by key; none in an offer.
        offer: the key that is offered, or None.

    Raises:
        FormatError: ``approval-file.malformed``.
    """

    request_id: bytes
    digest: bytes
    approvals: tuple[Approval, ...] = ()
    offer: Offer | None = None

    def __post_init__(self) -> None:
        if len(self.request_id) != ID_BYTES or len(self.digest) != DIGEST_BYTES:
            raise _malformed("it does not say what it answers")
        if bool(self.approvals) == (self.offer is not None) or len(self.approvals) > MAX_APPROVALS:
            raise _malformed(f"it has 1 to {MAX_APPROVALS} approvals, or a key that is offered")

    def to_bytes(self) -> bytes:
        """Encode the file."""
        body: Value = [approval.to_cbor() for approval in self.approvals]
        if self.offer is not None:
            body = {1: self.offer.approver.to_cbor(), 2: self.offer.credential_id, 3: self.offer.proof.to_cbor()}
        return MAGIC + cbor.encode([self.request_id, self.digest, body])

    @classmethod
    def from_bytes(cls, data: bytes) -> ApprovalFile:
        """Decode a file; exactly one encoding is accepted. No signature is checked.

        Raises:
            FormatError: ``approval-file.file``, ``approval-file.malformed``, ``approval.*``, ``document.approvers``,
                ``key.malformed``, ``cbor.*``.
        """
        if len(data) > MAX_FILE_BYTES or not data.startswith(MAGIC):
            raise FormatError("approval-file.file", "not an approval of a known version: it starts otherwise")
        value = cbor.decode(data[len(MAGIC) :], MAX_FILE_BYTES)
        if type(value) is not list or len(value) != 3:
            raise _malformed("it has an id, a digest and an answer")
        request_id, digest, body = value
        if type(request_id) is not bytes or type(digest) is not bytes:
            raise _malformed("it does not say what it answers")
        if type(body) is list:
            return cls(request_id, digest, read_approvals(body))
        return cls(request_id, digest, offer=_offer(body))


def _offer(value: Value) -> Offer:
    if type(value) is not dict or value.keys() != {1, 2, 3} or type(value[2]) is not bytes:
        raise _malformed("an offer has a key, a credential id and an approval")
    return Offer(Approver.from_cbor(value[1]), value[2], Approval.from_cbor(value[3]))


def offer_subject(identity: bytes, digest: bytes, approver: Approver) -> Subject:
    """Return what a key approves to show that it can, and that it answers this request.

    It is made from the key itself, so nobody can have it be the hash of a document that was there before.

    Args:
        identity: whose approver it is to be, root key of 32 bytes.
        digest: of the request, 32 bytes.
        approver: the key.
    """
    content = cbor.encode([_OFFER_LABEL, digest, approver.to_cbor()])
    return Subject.rehearsal(identity, hashlib.sha256(content).digest())
