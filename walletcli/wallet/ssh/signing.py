"""Signs a file in an identity's name, as OpenSSH does.

Spec: docs/spec/ssh.md, "Signature files".
"""

from __future__ import annotations

from dataclasses import dataclass

from walletcli.core.ssh.keys import fingerprint
from walletcli.core.ssh.signable import FileHash, check_namespace
from walletcli.core.ssh.sshsig import SshSignature
from walletcli.wallet.access.session import Session
from walletcli.wallet.files import refuse_existing, write_file
from walletcli.wallet.ssh.hashing import hash_file
from walletcli.wallet.ssh.holder import SessionHolder
from walletcli.wallet.ssh.key import SshKeyPage, ssh_key

ALGORITHM = "sha512"
"""Hash of the files that are signed."""


@dataclass(frozen=True, slots=True)
class SignedFile:
    """A file that was signed.

    Attributes:
        page: who signed.
        signature: what was made.
        out: the file that it was written to, or None.
    """

    page: SshKeyPage
    signature: SshSignature
    out: str | None

    def to_json(self) -> dict[str, object]:
        """Return who signed, for what, and the signature file's text."""
        return {
            "did": self.page.did,
            "namespace": self.signature.namespace,
            "fingerprint": fingerprint(self.signature.key_blob),
            "in_record": self.page.is_in_record,
            "signature": self.signature.to_text(),
            "out": self.out,
        }


def sign_file(session: Session, who: str, path: str, namespace: str, out: str | None) -> SignedFile:
    """Sign a file with the SSH key of an identity.

    Args:
        session: the open wallet.
        who: label or id.
        path: of the file; ``-`` for standard input.
        namespace: what the signature is for.
        out: new file for the signature; None: it is only returned.

    Raises:
        InputError: ``file.*``, ``identity.*``, ``sshsig.bad-namespace``.
        StorageError: ``storage.*``.
    """
    check_namespace(namespace)
    if out is not None:
        refuse_existing(out)
    digest = hash_file(path, ALGORITHM)
    page = ssh_key(session, who)
    asked = FileHash(namespace, ALGORITHM, digest)
    value = SessionHolder(session, page.identity).sign(asked.to_bytes())
    signature = SshSignature.of(page.public_key, asked, value)
    if out is not None:
        write_file(out, signature.to_text().encode(), replace=False)
    return SignedFile(page, signature, out)
