"""Verifies a file's signature: by the signer's identity, or by a list of allowed signers.

Spec: docs/spec/ssh.md, "Signature files".
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from walletcli.core.document import Document
from walletcli.core.identity_id import IdentityId
from walletcli.core.record import Record
from walletcli.core.ssh import allowed_signers, sshsig
from walletcli.core.ssh.allowed_signers import Now
from walletcli.core.ssh.keys import fingerprint, from_key_blob
from walletcli.core.ssh.named_keys import check_named
from walletcli.core.ssh.named_security_keys import check_named_security_key
from walletcli.core.ssh.security_keys import SkKey
from walletcli.core.ssh.sshsig import SshSignature
from walletcli.errors import VerificationError
from walletcli.wallet.access.session import Session
from walletcli.wallet.files import read_file
from walletcli.wallet.ssh import kept
from walletcli.wallet.ssh.foreign_keys import verify
from walletcli.wallet.ssh.hashing import hash_file

_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class CheckedSignature:
    """A signature that is the one of some key over the file, for the purpose that was asked for; whose key, is open.

    Attributes:
        signature: as it was read.
        digest: hash of the file.
    """

    signature: SshSignature
    digest: bytes

    def to_json(self) -> dict[str, object]:
        """Return what is known of it."""
        touch = self.signature.touch
        return {
            "valid": True,
            "namespace": self.signature.namespace,
            "hash": self.signature.algorithm,
            "fingerprint": fingerprint(self.signature.key_blob),
            "security_key": touch.to_json() if touch is not None else None,
        }


@dataclass(frozen=True, slots=True)
class Evidence:
    """The newest record of an identity that could be had.

    Attributes:
        record: verified.
        freshness: how it stands to what was known before.
    """

    record: Record
    freshness: str


@dataclass(frozen=True, slots=True)
class SignedByIdentity:
    """A signature by an identity.

    Attributes:
        checked: the signature.
        did: the identity.
        device: signing key of the device (32 bytes), or None for a key on a security key, and if the record does not
            name it any more.
        until_day: first day on which the key counts no more without a newer record, or None.
        evidence: the record that was looked at.
        kept_day: the day on which this wallet had found it good, where it counts only for that; or None.
    """

    checked: CheckedSignature
    did: str
    device: bytes | None
    until_day: int | None
    evidence: Evidence
    kept_day: int | None

    def to_json(self) -> dict[str, object]:
        """Return what was verified."""
        return {
            **self.checked.to_json(),
            "by": "identity",
            "did": self.did,
            "device": self.device.hex() if self.device is not None else None,
            "until_day": self.until_day,
            "seq": self.evidence.record.packet.seq,
            "freshness": self.evidence.freshness,
            "kept_day": self.kept_day,
        }


@dataclass(frozen=True, slots=True)
class SignedByListed:
    """A signature by a key of a list.

    Attributes:
        checked: the signature.
        principals: what the list calls the key's owner.
    """

    checked: CheckedSignature
    principals: str

    def to_json(self) -> dict[str, object]:
        """Return what was verified."""
        return {**self.checked.to_json(), "by": "allowed-signers", "principals": self.principals}


def check_signature(path: str, signature_path: str, namespace: str) -> CheckedSignature:
    """Check a signature file against a file, whoever's key it is.

    Args:
        path: of the file; ``-`` for standard input.
        signature_path: of the signature.
        namespace: what the signature has to be for.

    Raises:
        InputError: ``file.*``.
        FormatError: ``sshsig.*``, ``ssh.key``, ``key.malformed``.
        VerificationError: ``sshsig.namespace``, ``signature.invalid``.
    """
    signature = SshSignature.from_file(read_file(signature_path, sshsig.MAX_FILE_BYTES))
    signature.check_namespace(namespace)
    digest = hash_file(path, signature.algorithm)
    try:
        verify(signature.key_blob, signature.signature_blob, signature.signed(digest))
    except VerificationError as error:
        raise VerificationError(
            "signature.invalid",
            f"the signature is not one of this file: {error.message}",
            "it is another file, the file was changed, or the signature was",
        ) from error
    return CheckedSignature(signature, digest)


def by_list(checked: CheckedSignature, list_path: str, principal: str | None) -> SignedByListed:
    """Find the signer in a list of allowed signers.

    Args:
        checked: the signature.
        list_path: of the list.
        principal: who has to have signed; None: anybody in the list.

    Raises:
        InputError: ``file.*``.
        FormatError: ``allowed-signers.malformed``.
        VerificationError: ``allowed-signers.not-listed``.
    """
    signers = allowed_signers.parse(read_file(list_path, allowed_signers.MAX_FILE_BYTES))
    signature = checked.signature
    found = allowed_signers.check_allowed(signers, signature.key_blob, principal, signature.namespace, _now())
    return SignedByListed(checked, found.principals)


def by_identity(
    checked: CheckedSignature, evidence: Evidence, session: Session | None, *, keep: bool = False
) -> SignedByIdentity:
    """Check that the key is one of an identity, today or when this wallet kept the signature.

    Args:
        checked: the signature.
        evidence: the identity's newest record.
        session: the open wallet, which knows what it has kept; or None.
        keep: remember in the wallet that the signature is good today.

    Raises:
        FormatError: ``ssh.key``, ``key.malformed``, ``ssh-keys.malformed``, ``kept-signatures.malformed``.
        VerificationError: ``ssh-keys.*``, ``record.pending``.
    """
    identity = evidence.record.packet.public_key
    document = evidence.record.document
    if document is None:
        raise VerificationError("record.pending", "the newest record's document cannot be had", "try again later")
    day = int(time.time()) // _DAY_S
    did = IdentityId(identity).did
    try:
        device, until_day = _counts(checked.signature, document, day)
    except VerificationError as error:
        kept_day = kept.kept_day(session, *_parts(checked), identity) if session is not None else None
        if kept_day is None:
            raise VerificationError(error.code, _today_only(error.message), error.hint) from error
        return SignedByIdentity(checked, did, None, None, evidence, kept_day)
    if keep and session is not None:
        kept.keep(session, *_parts(checked), identity, day)
    return SignedByIdentity(checked, did, device, until_day, evidence, None)


def _counts(signature: SshSignature, document: Document, day: int) -> tuple[bytes | None, int]:
    """Check that a key is one of the identity's today; return its device, if it has one, and until when that holds."""
    touch = signature.touch
    if touch is not None:
        key = SkKey.from_blob(signature.key_blob)
        return None, check_named_security_key(document, key, day, is_verified=touch.is_verified)
    device = check_named(document, from_key_blob(signature.key_blob), day)
    return device.signing_key, device.not_after_day


def _parts(checked: CheckedSignature) -> tuple[SshSignature, bytes]:
    return checked.signature, checked.digest


def _today_only(message: str) -> str:
    return f"{message}; a signature has no date that could be believed, so it does not count"


def _now(format_text: Callable[[str, time.struct_time], str] = time.strftime) -> Now:
    now_s = time.time()
    layout = "%Y%m%d%H%M%S"
    return Now(format_text(layout, time.gmtime(now_s)), format_text(layout, time.localtime(now_s)))
