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
from walletcli.core.document_parts import Approver, Approvers

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
    """

    name: str
    algorithm: int = -8
    verify: bool = True

    @property
    def private(self) -> Any:
        secret = digest(f"approver {self.name}")
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


ONE = SoftKey("one")
TWO = SoftKey("two", -7)
THREE = SoftKey("three", verify=False)
KEYS = (ONE, TWO, THREE)


def approvers(*keys: SoftKey, threshold: int = 1, delay_days: int = 30) -> Approvers:
    listed = sorted((key.approver for key in keys), key=lambda item: item.public_key)
    return Approvers(threshold, tuple(listed), delay_days)
