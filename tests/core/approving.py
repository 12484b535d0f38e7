"""Keys that approve, in software: assertions put together by hand, with none of the code under test."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.core.samples import digest
from walletcli.core.approval import Approval, Subject
from walletcli.core.document import Document
from walletcli.core.document_parts import Approver, Approvers, Form

PARTY = hashlib.sha256(b"walletcli:approver").digest()


def client_data_hash(kind: int, identity: bytes, subject: bytes) -> bytes:
    return hashlib.sha256(cbor2.dumps(["application/walletcli-approval", 1, kind, identity, subject])).digest()


@dataclass(frozen=True)
class SoftKey:
    """One key, from a name.

    Args:
        name: gives the private key.
        algorithm: -8 or -7.
        verify: whether an identity asks it for the PIN.
        seed: gives the private key instead.
    """

    name: str
    algorithm: int = -8
    verify: bool = True
    seed: str | None = None

    @property
    def private(self) -> Any:
        secret = digest(self.seed or f"approver {self.name}")
        if self.algorithm == -8:
            return ed25519.Ed25519PrivateKey.from_private_bytes(secret)
        return ec.derive_private_key(int.from_bytes(secret, "big") >> 1, ec.SECP256R1())

    @property
    def public_key(self) -> bytes:
        public = self.private.public_key()
        if self.algorithm == -8:
            return bytes(public.public_bytes(Encoding.Raw, PublicFormat.Raw))
        return bytes(public.public_bytes(Encoding.X962, PublicFormat.CompressedPoint))

    @property
    def approver(self) -> Approver:
        return Approver(self.algorithm, self.public_key, self.verify)

    def sign(self, message: bytes) -> bytes:
        if self.algorithm == -8:
            return bytes(self.private.sign(message))
        return bytes(self.private.sign(message, ec.ECDSA(SHA256(), deterministic_signing=True)))

    def approve(
        self,
        document: Document,
        *,
        kind: int = 1,
        identity: bytes | None = None,
        flags: int = 0x05,
        party: bytes = PARTY,
        counter: int = 7,
        subject: bytes | None = None,
    ) -> Approval:
        data = party + bytes([flags]) + counter.to_bytes(4, "big")
        hashed = client_data_hash(kind, identity or document.identity, subject or document.hash)
        return Approval(self.algorithm, self.public_key, data, self.sign(data + hashed))

    def agree(self, subject: Subject) -> Approval:
        """Approve what a wallet asks to be approved."""
        data = PARTY + b"\x05" + (7).to_bytes(4, "big")
        hashed = client_data_hash(int(subject.kind), subject.identity, subject.digest)
        return Approval(self.algorithm, self.public_key, data, self.sign(data + hashed))


@dataclass(frozen=True)
class ScreenKey:
    """One device that signs a text, from a name.

    Args:
        name: gives the private key.
        seed: gives the private key instead.
    """

    name: str
    seed: str | None = None

    @property
    def private(self) -> ed25519.Ed25519PrivateKey:
        return ed25519.Ed25519PrivateKey.from_private_bytes(digest(self.seed or f"screen {self.name}"))

    @property
    def public_key(self) -> bytes:
        return self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    @property
    def approver(self) -> Approver:
        return Approver(-8, self.public_key, False, Form.SIGNED_TEXT)

    def message(self, text: str, domain: bytes = PARTY) -> bytes:
        said = text.encode()
        head = b"\xffsolana offchain\x00" + domain + b"\x00\x01" + self.public_key
        return head + len(said).to_bytes(2, "little") + said

    def sign_text(self, text: str) -> Approval:
        return Approval(-8, self.public_key, None, self.private.sign(self.message(text)))

    def approve(self, document: Document) -> Approval:
        return self.agree(Subject.of_document(document))

    def agree(self, subject: Subject) -> Approval:
        """Approve what a wallet asks to be approved."""
        return self.sign_text(subject.text)


ONE = SoftKey("one")
TWO = SoftKey("two", -7)
THREE = SoftKey("three", verify=False)
KEYS = (ONE, TWO, THREE)
SCREEN = ScreenKey("screen")


def approvers(*keys: SoftKey | ScreenKey, threshold: int = 1, delay_days: int = 30) -> Approvers:
    listed = sorted((key.approver for key in keys), key=lambda item: item.public_key)
    return Approvers(threshold, tuple(listed), delay_days)
