"""The approval: a device in its owner's hand agrees to one exact document, or one exact contact export.

There are two forms. A security key gives what FIDO2 calls an assertion: it signs its own authenticator data and the
hash of what is approved. A device with a screen signs a readable text that it has shown. Whoever verifies makes hash
or text anew, so that an approval fits nothing else.

Spec: docs/spec/approval.md, "Approval"; WebAuthn level 2, section 6.1 (authenticator data) and 7.2 (assertions).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from walletcli.core import cbor, ed25519, p256
from walletcli.core.approval_text import off_chain_message, text_of, text_of_export, text_of_rehearsal
from walletcli.core.cbor import Value
from walletcli.core.document import Document
from walletcli.core.document_parts import Approver, Approvers, Form
from walletcli.errors import FormatError, VerificationError

TYP: Final = "application/walletcli-approval"
"""Type label; first in the bytes of an approval, and first in what its key signs the hash of."""

VERSION: Final = 1
"""Version of an approval that is an assertion, and of what is hashed for it."""

TEXT_VERSION: Final = 2
"""Version of an approval that is a signed text."""

RELYING_PARTY: Final = "walletcli:approver"
"""Name that credentials of approvers are made under; no domain, so that no web page can ask a key for them."""

AUTHENTICATOR_DATA_BYTES: Final = 37
"""Length of the authenticator data of an assertion without extensions: 32 of hash, flags, 4 of counter."""

MAX_APPROVAL_BYTES: Final = 256
"""Longest approval."""

MAX_APPROVALS: Final = 8
"""Most approvals beside one thing: as many as an identity can have approvers."""

EDDSA: Final = -8
ES256: Final = -7

USER_PRESENT: Final = 0x01
USER_VERIFIED: Final = 0x04
ATTESTED: Final = 0x40
EXTENDED: Final = 0x80

_PARTY_HASH: Final = hashlib.sha256(RELYING_PARTY.encode("ascii")).digest()


class Kind(IntEnum):
    """What can be approved; one kind never passes for another."""

    DOCUMENT = 1
    CONTACT_EXPORT = 2


@dataclass(frozen=True, slots=True)
class Subject:
    """What is approved.

    Attributes:
        kind: what it is.
        identity: whose it is, root key of 32 bytes.
        digest: SHA-256 of its exact bytes, 32 bytes.
        text: what a device with a screen shows and signs.
    """

    kind: Kind
    identity: bytes
    digest: bytes
    text: str

    @classmethod
    def of_document(cls, document: Document) -> Subject:
        """Return a document as what is approved."""
        digest = document.hash
        return cls(Kind.DOCUMENT, document.identity, digest, text_of(document, digest))

    @classmethod
    def of_export(cls, identity: bytes, data: bytes, contacts: int) -> Subject:
        """Return a contact export as what is approved.

        Args:
            identity: whose list it is, root key of 32 bytes.
            data: its COSE_Sign1.
            contacts: how many it names.
        """
        digest = hashlib.sha256(data).digest()
        return cls(Kind.CONTACT_EXPORT, identity, digest, text_of_export(identity, digest, contacts))

    @classmethod
    def rehearsal(cls, identity: bytes, digest: bytes) -> Subject:
        """Return something to approve that is nobody's document and nobody's export.

        Args:
            identity: who wants an approver, root key of 32 bytes.
            digest: 32 random bytes.
        """
        return cls(Kind.DOCUMENT, identity, digest, text_of_rehearsal(identity, digest))

    @property
    def client_data_hash(self) -> bytes:
        """The 32 bytes that a security key is given to sign."""
        return hashlib.sha256(cbor.encode([TYP, VERSION, int(self.kind), self.identity, self.digest])).digest()

    def message_for(self, public_key: bytes) -> bytes:
        """Return the bytes that a device with a screen signs with a key (32 bytes): the text, and what is around it."""
        return off_chain_message(_PARTY_HASH, public_key, self.text)


@dataclass(frozen=True, slots=True)
class Approval:
    """An approval, its form checked; `check` checks what it is worth.

    Attributes:
        algorithm: COSE algorithm, -8 (EdDSA) or -7 (ES256).
        public_key: 32 bytes (Ed25519) or 33 bytes (compressed P-256 point).
        authenticator_data: 37 bytes, as the security key gave them; None: a signed text.
        signature: 64 bytes (Ed25519), or DER of at most 72 bytes (ES256).

    Raises:
        FormatError: ``approval.malformed``, ``approval.authenticator-data``.
    """

    algorithm: int
    public_key: bytes
    authenticator_data: bytes | None
    signature: bytes

    def __post_init__(self) -> None:
        try:
            Approver(self.algorithm, self.public_key, user_verification=False, form=self.form)
        except FormatError as error:
            raise FormatError("approval.malformed", f"approval: {error.message}") from error
        data = self.authenticator_data
        if data is not None and (len(data) != AUTHENTICATOR_DATA_BYTES or self.flags & (ATTESTED | EXTENDED)):
            raise FormatError(
                "approval.authenticator-data",
                f"an approval has {AUTHENTICATOR_DATA_BYTES} bytes of authenticator data, without key or extensions",
            )
        is_eddsa = self.algorithm == EDDSA
        if not (len(self.signature) == 64 if is_eddsa else 8 <= len(self.signature) <= p256.MAX_SIGNATURE_BYTES):
            raise FormatError("approval.malformed", "approval: the signature is too short or too long")

    @property
    def form(self) -> Form:
        """Whether it is an assertion or a signed text."""
        return Form.SIGNED_TEXT if self.authenticator_data is None else Form.ASSERTION

    @property
    def flags(self) -> int:
        """The flags of the authenticator data; none of a signed text."""
        return 0 if self.authenticator_data is None else self.authenticator_data[32]

    def check(self, subject: Subject, approver: Approver) -> None:
        """Check that this is `approver`'s approval of `subject`.

        Raises:
            VerificationError: ``approval.key``, ``approval.form``, ``approval.relying-party``,
                ``approval.not-touched``, ``approval.not-verified``, ``approval.signature``.
        """
        if (self.algorithm, self.public_key) != (approver.algorithm, approver.public_key):
            raise VerificationError("approval.key", "the approval is of another key")
        if self.form is not approver.form:
            raise VerificationError("approval.form", "the approval is of another form than this approver gives")
        if self.authenticator_data is None:
            message = subject.message_for(self.public_key)
        else:
            self._check_asserted(self.authenticator_data, approver)
            message = self.authenticator_data + subject.client_data_hash
        try:
            (ed25519.verify if self.algorithm == EDDSA else p256.verify)(self.public_key, message, self.signature)
        except VerificationError as error:
            raise VerificationError(
                "approval.signature", "the approval is of something else, or was changed: its signature does not verify"
            ) from error

    def _check_asserted(self, data: bytes, approver: Approver) -> None:
        if data[:32] != _PARTY_HASH:
            raise VerificationError("approval.relying-party", "the key signed this for another relying party")
        if not self.flags & USER_PRESENT:
            raise VerificationError("approval.not-touched", "nobody touched the key for this approval")
        if approver.user_verification and not self.flags & USER_VERIFIED:
            raise VerificationError("approval.not-verified", "the key did not ask for its PIN for this approval")

    def to_cbor(self) -> list[Value]:
        """Return the array of the CDDL."""
        if self.authenticator_data is None:
            return [TYP, TEXT_VERSION, self.public_key, self.signature]
        return [TYP, VERSION, self.algorithm, self.public_key, self.authenticator_data, self.signature]

    @classmethod
    def from_cbor(cls, value: Value) -> Approval:
        """Read the array of the CDDL.

        Raises:
            FormatError: ``approval.malformed``, ``approval.unknown-version``, ``approval.authenticator-data``.
        """
        if type(value) is not list or len(value) < 2 or value[0] != TYP:
            raise FormatError("approval.malformed", "approval: not an approval")
        if type(value[1]) is not int or value[1] not in (VERSION, TEXT_VERSION):
            raise FormatError("approval.unknown-version", "approval: of a version not known here", "update walletcli")
        if len(value) != (6 if value[1] == VERSION else 4):
            raise FormatError("approval.malformed", "approval: a field is missing or unknown")
        if value[1] == TEXT_VERSION:
            _, _, public_key, signature = value
            if type(public_key) is not bytes or type(signature) is not bytes:
                raise FormatError("approval.malformed", "approval: needs a key and a signature")
            return cls(EDDSA, public_key, None, signature)
        _, _, algorithm, public_key, authenticator_data, signature = value
        if type(algorithm) is not int or type(public_key) is not bytes:
            raise FormatError("approval.malformed", "approval: needs an algorithm and a key")
        if type(authenticator_data) is not bytes or type(signature) is not bytes:
            raise FormatError("approval.malformed", "approval: needs authenticator data and a signature")
        return cls(algorithm, public_key, authenticator_data, signature)

    def to_bytes(self) -> bytes:
        """Encode."""
        return cbor.encode(self.to_cbor())

    @classmethod
    def from_bytes(cls, data: bytes) -> Approval:
        """Decode; exactly one encoding is accepted.

        Raises:
            FormatError: ``approval.too-long``, ``cbor.*``, and as `from_cbor`.
        """
        if len(data) > MAX_APPROVAL_BYTES:
            raise FormatError(
                "approval.too-long", f"an approval of at most {MAX_APPROVAL_BYTES} bytes, found {len(data)}"
            )
        return cls.from_cbor(cbor.decode(data, MAX_APPROVAL_BYTES))


def read_approvals(value: Value) -> tuple[Approval, ...]:
    """Read a list of approvals.

    Raises:
        FormatError: ``approval.malformed`` if there are more than 8, or keys are repeated or out of order; as
            `Approval.from_cbor`.
    """
    if type(value) is not list or len(value) > MAX_APPROVALS:
        raise FormatError("approval.malformed", f"approvals: needs a list of at most {MAX_APPROVALS}")
    approvals = tuple(Approval.from_cbor(item) for item in value)
    keys = [approval.public_key for approval in approvals]
    if any(map(bytes.__ge__, keys, keys[1:])):
        raise FormatError("approval.malformed", "approvals: keys are repeated or out of order")
    return approvals


def in_order(approvals: Iterable[Approval]) -> tuple[Approval, ...]:
    """Return approvals in the order that they are encoded in."""
    return tuple(sorted(approvals, key=lambda approval: approval.public_key))


def check_threshold(approvers: Approvers, subject: Subject, approvals: Iterable[Approval]) -> None:
    """Check that enough approvers have approved `subject`; an approval that is worth nothing takes nothing away.

    Raises:
        VerificationError: ``approval.missing``, with what was wrong with the ones that did not count.
    """
    given = {approval.public_key: approval for approval in approvals}
    good, faults = 0, []
    for approver in approvers.approvers:
        approval = given.get(approver.public_key)
        if approval is None:
            continue
        try:
            approval.check(subject, approver)
        except VerificationError as error:
            faults.append(f"{error.message} ({error.code})")
        else:
            good += 1
    if good < approvers.threshold:
        why = f"; {'; '.join(faults)}" if faults else ""
        raise VerificationError(
            "approval.missing",
            f"{good} of the {approvers.threshold} approvals that are needed are there{why}",
            "its owner has to approve it with their device; until then the state of before stays",
        )
