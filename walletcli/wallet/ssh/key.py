"""An identity's SSH key: drawn when it is first asked for, shown, named by the record on request.

Spec: docs/spec/ssh.md, "The key".
"""

from __future__ import annotations

from dataclasses import dataclass

from walletcli.core.identity_id import IdentityId
from walletcli.core.ssh.keys import fingerprint, key_blob, key_line
from walletcli.core.ssh.named_keys import named_keys
from walletcli.core.ssh.named_security_keys import named_security_keys
from walletcli.errors import FormatError, InputError
from walletcli.wallet.access.session import Session
from walletcli.wallet.state.changes import KeepSshKey
from walletcli.wallet.state.draft import last_document
from walletcli.wallet.state.lookup import find
from walletcli.wallet.state.ssh_credentials import SshCredential
from walletcli.wallet.state.view import IdentityView


@dataclass(frozen=True, slots=True)
class SshKeyPage:
    """An identity that has an SSH key.

    Attributes:
        identity: its public half.
        is_new: the key has been drawn just now.
    """

    identity: IdentityView
    is_new: bool

    @property
    def public_key(self) -> bytes:
        """The key, Ed25519, 32 bytes."""
        assert self.identity.ssh_key is not None
        return self.identity.ssh_key

    @property
    def did(self) -> str:
        """The identity, as did:key."""
        return IdentityId(self.identity.public_key).did

    @property
    def is_in_record(self) -> bool:
        """Whether the identity's latest record names the key."""
        return in_record(self.identity)

    def line(self, comment: str = "") -> str:
        """Return the line for ``authorized_keys``."""
        return key_line(self.public_key, comment)

    def signer_line(self, principal: str | None = None) -> str:
        """Return the line for a list of allowed signers; the principal is the did unless given."""
        return f"{principal if principal is not None else self.did} {self.line()}"

    def to_json(self) -> dict[str, object]:
        """Return key, fingerprint, and what the record says."""
        return {
            "did": self.did,
            "public_key": self.line(),
            "fingerprint": fingerprint(key_blob(self.public_key)),
            "new": self.is_new,
            "named": self.identity.names_ssh_key,
            "in_record": self.is_in_record,
        }


def ssh_key(session: Session, who: str, named: bool | None = None) -> SshKeyPage:
    """Return an identity's SSH key; draw it if there is none.

    Args:
        session: the open wallet.
        who: label or id.
        named: whether the next records name it; None: as it is.

    Raises:
        InputError: ``identity.unknown``, ``identity.retired``.
    """
    identity = living(session, who)
    is_new = identity.ssh_key is None
    if is_new or named not in (None, identity.names_ssh_key):
        identity = session.change(KeepSshKey(identity.index, named))
    return SshKeyPage(identity, is_new)


def living(session: Session, who: str) -> IdentityView:
    """Return an identity that has not ended.

    Raises:
        InputError: ``identity.unknown``, ``identity.retired``.
    """
    identity = find(session.snapshot().wallet, who)
    if identity.retired is not None:
        raise InputError(
            "identity.retired", "the identity has been retired: its SSH keys are of no use any more", "create a new one"
        )
    return identity


def with_some_key(session: Session, who: str) -> IdentityView:
    """Return an identity that can sign: this device's SSH key is drawn if there is neither one nor a security key.

    Raises:
        InputError: ``identity.unknown``, ``identity.retired``.
    """
    identity = living(session, who)
    if identity.ssh_key is None and not any(item.can_be_asked for item in identity.ssh_credentials):
        return ssh_key(session, who).identity
    return identity


def in_record(identity: IdentityView) -> bool:
    """Tell whether the latest record of an identity names this device's SSH key."""
    document = last_document(identity)
    try:
        named = named_keys(document) if document is not None else {}
    except FormatError:
        return False
    return identity.ssh_key is not None and named.get(identity.device_signing_key) == identity.ssh_key


def names_security_key(identity: IdentityView, credential: SshCredential) -> bool:
    """Tell whether the latest record of an identity names its SSH key on a security key."""
    document = last_document(identity)
    try:
        return document is not None and credential.in_document() in named_security_keys(document)
    except FormatError:
        return False


def check_line(text: str, what: str) -> str:
    """Check what the user wants on a line beside a key: printable, on one line, and for a principal without spaces.

    Raises:
        InputError: ``ssh.comment``, ``ssh.principal``.
    """
    if what == "comment" and not (text.isprintable() and len(text) <= 256):
        raise InputError("ssh.comment", "a comment has at most 256 printable characters", "choose a shorter one")
    if what == "principal" and not (
        text.isascii() and text.isprintable() and 1 <= len(text) <= 256 and not set(text) & set(' ,"*?!#')
    ):
        raise InputError(
            "ssh.principal", "a principal has 1 to 256 characters without spaces, commas and patterns", "see --help"
        )
    return text
