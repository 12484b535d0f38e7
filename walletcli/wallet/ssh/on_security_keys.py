"""SSH keys of an identity that live in security keys: made, shown, named by the record, removed.

They are the identity's, not this device's: with the words and the security key, another device signs with them as well.

Spec: docs/spec/ssh.md, "On a security key".
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace

from walletcli.core.identity_id import IdentityId
from walletcli.core.ssh.keys import fingerprint
from walletcli.core.ssh.named_security_keys import MAX_KEYS
from walletcli.errors import InputError, SignerError, UsageError
from walletcli.wallet.access.session import Session
from walletcli.wallet.linkability import accepted_keys
from walletcli.wallet.ssh.key import living, names_security_key
from walletcli.wallet.state.changes import PlanPublish, SetSshCredentials, Several
from walletcli.wallet.state.lookup import find
from walletcli.wallet.state.ssh_credentials import SshCredential, ordered
from walletcli.wallet.state.view import IdentityView


@dataclass(frozen=True, slots=True)
class SshSecurityKeyPage:
    """One SSH key on a security key.

    Attributes:
        identity: whose.
        credential: the key, and how it is asked.
        is_in_record: whether the identity's latest record names it.
    """

    identity: IdentityView
    credential: SshCredential
    is_in_record: bool

    @property
    def did(self) -> str:
        """The identity, as did:key."""
        return IdentityId(self.identity.public_key).did

    @property
    def fingerprint(self) -> str:
        """The key's fingerprint, as OpenSSH writes it."""
        return fingerprint(self.credential.key.to_blob())

    def line(self, comment: str = "") -> str:
        """Return the line for ``authorized_keys``, which asks for the PIN where the key has one."""
        option = "verify-required " if self.credential.verify else ""
        return option + self.credential.key.to_line(comment)

    def signer_line(self, principal: str | None = None) -> str:
        """Return the line for a list of allowed signers; the principal is the did unless given."""
        return f"{principal if principal is not None else self.did} {self.credential.key.to_line()}"

    def to_json(self) -> dict[str, object]:
        """Return name, key, what it needs, and what the record says."""
        return {
            "name": self.credential.name or None,
            "public_key": self.credential.key.to_line(),
            "authorized_keys": self.line(),
            "allowed_signers": self.signer_line(),
            "fingerprint": self.fingerprint,
            "pin": self.credential.verify,
            "can_be_asked": self.credential.can_be_asked,
            "named": self.credential.named,
            "in_record": self.is_in_record,
        }


def list_security_keys(session: Session, who: str) -> tuple[SshSecurityKeyPage, ...]:
    """Return an identity's SSH keys on security keys.

    Raises:
        InputError: ``identity.unknown``.
    """
    return _pages(find(session.snapshot().wallet, who))


def add_security_key(
    session: Session,
    who: str,
    *,
    which: str | None = None,
    name: str | None = None,
    verify: bool = True,
    named: bool = False,
    accept_link: bool = False,
) -> SshSecurityKeyPage:
    """Make an SSH key for an identity on a security key; it is touched twice.

    The second touch signs something that nobody uses, so that a key which cannot is found out now.

    Args:
        session: the wallet, opened for this and not by the agent.
        who: label or id.
        which: path or serial number of the security key; None if one only is plugged in.
        name: the owner's name for it; None: what the device calls itself.
        verify: it signs with its PIN.
        named: the next records name it.
        accept_link: go ahead though the security key serves another identity of this wallet.

    Raises:
        InputError: ``identity.*``, ``ssh-key.too-many``, ``approver.name``, ``link.would-link``.
        SignerError: ``key.*``, ``approver.consent`` if the agent was asked.
        UsageError: ``key.unknown``.
        MissingExtraError: ``key.no-hidapi``.
    """
    from walletcli.signers.devices.opening import opened
    from walletcli.signers.devices.ssh_signer import new_ssh_key, sign_ssh
    from walletcli.wallet.security_keys import chosen_key, given_name, prompts_of
    from walletcli.wallet.shared_keys import shared_links

    identity = living(session, who)
    if len(identity.ssh_credentials) >= MAX_KEYS:
        raise InputError("ssh-key.too-many", f"an identity has at most {MAX_KEYS} of these keys", "remove one")
    key = chosen_key(which)
    called = given_name(name if name is not None else key.name)
    with opened(key, prompts_of(session.home)) as device:
        accepted = accepted_keys(
            shared_links(device, identity, session.snapshot().wallet.identities), accept=accept_link
        )
        exclude = [item.credential_id for item in identity.ssh_credentials if item.can_be_asked]
        try:
            made, credential_id = new_ssh_key(device, exclude, verify=verify)
        except SignerError as error:
            raise _told(error, identity) from error
        sign_ssh(device, made, credential_id, os.urandom(32), verify=verify)
    credential = SshCredential(made, verify, credential_id, called, named)
    _keep(session, identity, (*identity.ssh_credentials, credential), accepted)
    return _page(session, who, credential)


def show_security_key(session: Session, who: str, key: str | None, named: bool | None = None) -> SshSecurityKeyPage:
    """Return one SSH key on a security key.

    Args:
        session: the wallet; opened for this, and not by the agent, if `named` says something new.
        who: label or id.
        key: its name, or its fingerprint or the beginning of that; None if there is one only.
        named: whether the next records name it; None: as it is.

    Raises:
        InputError: ``identity.*``, ``ssh-key.unknown``.
        UsageError: ``ssh-key.ambiguous``.
        SignerError: ``approver.consent`` if the agent was asked for a change.
    """
    identity = living(session, who)
    found = _named(identity, key)
    if named not in (None, found.named):
        changed = replace(found, named=not found.named)
        _keep(session, identity, (changed if item == found else item for item in identity.ssh_credentials))
        found = changed
    return _page(session, who, found)


def remove_security_key(session: Session, who: str, key: str) -> SshSecurityKeyPage:
    """Forget an SSH key on a security key, and name it no more; return what it was.

    Raises:
        InputError: ``identity.*``, ``ssh-key.unknown``.
        UsageError: ``ssh-key.ambiguous``.
        SignerError: ``approver.consent`` if the agent was asked.
    """
    identity = living(session, who)
    found = _named(identity, key)
    _keep(session, identity, (item for item in identity.ssh_credentials if item != found))
    return SshSecurityKeyPage(identity, found, names_security_key(identity, found))


def _keep(
    session: Session, identity: IdentityView, credentials: Iterable[SshCredential], accepted: tuple[str, ...] = ()
) -> None:
    changes: list[PlanPublish | SetSshCredentials] = [SetSshCredentials(identity.index, ordered(credentials))]
    if accepted:
        changes.append(PlanPublish(identity.index, (), accepted))
    session.apply(Several(tuple(changes)))


def _page(session: Session, who: str, credential: SshCredential) -> SshSecurityKeyPage:
    return next(item for item in list_security_keys(session, who) if item.credential.key == credential.key)


def _pages(identity: IdentityView) -> tuple[SshSecurityKeyPage, ...]:
    return tuple(
        SshSecurityKeyPage(identity, item, names_security_key(identity, item)) for item in identity.ssh_credentials
    )


def _named(identity: IdentityView, text: str | None) -> SshCredential:
    hint = f"see: walletcli identity ssh-security-key list {identity.label_word}"
    pages = _pages(identity)
    found = [page for page in pages if text in (None, page.credential.name)]
    found = found or [
        page for page in pages if text is not None and len(text) >= 12 and page.fingerprint.startswith(text)
    ]
    if not pages:
        add = f"make one: walletcli identity ssh-security-key add {identity.label_word}"
        raise InputError("ssh-key.unknown", f"no security key holds an SSH key of {identity.label!r}", add)
    if not found:
        raise InputError("ssh-key.unknown", f"{text!r} is no SSH key of {identity.label!r} on a security key", hint)
    if len(found) > 1:
        raise UsageError("ssh-key.ambiguous", f"{len(found)} SSH keys on security keys fit", f"name one; {hint}")
    return found[0].credential


def _told(error: SignerError, identity: IdentityView) -> SignerError:
    """Return an error in the words of this story."""
    if error.code != "key.already-enrolled":
        return error
    return SignerError(
        "key.already-enrolled",
        "this security key holds an SSH key of the identity already",
        f"see: walletcli identity ssh-security-key list {identity.label_word}",
    )
