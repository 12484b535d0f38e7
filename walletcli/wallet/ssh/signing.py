"""Signs a file in an identity's name, as OpenSSH does.

Spec: docs/spec/ssh.md, "Signature files".
"""

from __future__ import annotations

from dataclasses import dataclass

from walletcli.core.identity_id import IdentityId
from walletcli.core.ssh.keys import fingerprint
from walletcli.core.ssh.signable import FileHash, check_namespace
from walletcli.core.ssh.sshsig import SshSignature
from walletcli.errors import SignerError
from walletcli.wallet.access.session import Session
from walletcli.wallet.files import refuse_existing, write_file
from walletcli.wallet.home import Progress, silent
from walletcli.wallet.ssh.hashing import hash_file
from walletcli.wallet.ssh.holder import KeyHolder, SessionHolder
from walletcli.wallet.ssh.key import in_record, living, names_security_key, with_some_key
from walletcli.wallet.ssh.touching import SecurityKeyHolder, at_hand
from walletcli.wallet.state.view import IdentityView

ALGORITHM = "sha512"
"""Hash of the files that are signed."""


@dataclass(frozen=True, slots=True)
class SignedFile:
    """A file that was signed.

    Attributes:
        identity: who signed.
        signature: what was made.
        is_in_record: whether the identity's latest record names the key.
        out: the file that it was written to, or None.
    """

    identity: IdentityView
    signature: SshSignature
    is_in_record: bool
    out: str | None

    @property
    def did(self) -> str:
        """The identity, as did:key."""
        return IdentityId(self.identity.public_key).did

    def to_json(self) -> dict[str, object]:
        """Return who signed, for what, and the signature file's text."""
        touch = self.signature.touch
        return {
            "did": self.did,
            "namespace": self.signature.namespace,
            "fingerprint": fingerprint(self.signature.key_blob),
            "in_record": self.is_in_record,
            "security_key": touch.to_json() if touch is not None else None,
            "signature": self.signature.to_text(),
            "out": self.out,
        }


def sign_file(
    session: Session,
    who: str,
    path: str,
    namespace: str,
    out: str | None,
    *,
    touch: bool = False,
    tell: Progress = silent,
) -> SignedFile:
    """Sign a file with an SSH key of an identity: this device's, unless it has none or another one is asked for.

    Args:
        session: the open wallet.
        who: label or id.
        path: of the file; ``-`` for standard input.
        namespace: what the signature is for.
        out: new file for the signature; None: it is only returned.
        touch: sign with the one of its security keys that is plugged in.
        tell: takes a line before a security key is to be touched.

    Raises:
        SignerError: ``ssh.no-security-key``, ``ssh.key-not-here``, ``key.*``.
        MissingExtraError: ``key.no-hidapi``.
        InputError: ``file.*``, ``identity.*``, ``sshsig.bad-namespace``.
        StorageError: ``storage.*``.
    """
    check_namespace(namespace)
    if out is not None:
        refuse_existing(out)
    digest = hash_file(path, ALGORITHM)
    identity = with_some_key(session, who) if not touch else living(session, who)
    asked = FileHash(namespace, ALGORITHM, digest)
    holder, is_named = _holder(session, identity, touch or identity.ssh_key is None, tell)
    signature = SshSignature.of(holder.key_blob, asked, holder.sign(asked.to_bytes()))
    if out is not None:
        write_file(out, signature.to_text().encode(), replace=False)
    return SignedFile(identity, signature, is_named, out)


def _holder(session: Session, identity: IdentityView, touch: bool, tell: Progress) -> tuple[KeyHolder, bool]:
    """Return who signs, and whether the identity's latest record names that key."""
    if not touch:
        return SessionHolder(session, identity), in_record(identity)
    askable = [item for item in identity.ssh_credentials if item.can_be_asked]
    if not askable:
        raise SignerError(
            "ssh.no-security-key",
            "no security key that this wallet can ask holds an SSH key of the identity",
            f"walletcli identity ssh-security-key add {identity.label_word}",
        )
    found = at_hand(session.home, askable)
    return SecurityKeyHolder(session.home, found, tell=tell), names_security_key(identity, found)
