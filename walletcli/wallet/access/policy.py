"""What the open wallet signs for a program of its user, and what it refuses.

A request may come from any program that runs as the user. So what would hand the identity to somebody else (a foreign
device, other approvers, a successor) does not pass here: it will have its own requests, with their own consent.

Spec: docs/spec/agent.md, "What is signed".
"""

from __future__ import annotations

import shlex

from walletcli.core.approvals import DocumentApprovals, check_follows
from walletcli.core.document import Document
from walletcli.core.document_parts import Delegation
from walletcli.core.record import SEQ_JUMP
from walletcli.core.ssh import named_security_keys as sk_keys
from walletcli.core.ssh.named_keys import EXTENSION, named_keys
from walletcli.errors import FormatError, SignerError, VerificationError
from walletcli.signers.requests import PacketRequest
from walletcli.wallet.state.draft import next_approvers
from walletcli.wallet.state.view import IdentityView

_DAY_US = 86_400_000_000


def check_signing(
    request: PacketRequest, identity: IdentityView, now_s: float, beside: DocumentApprovals | None = None
) -> None:
    """Check that the wallet signs this request without asking anybody.

    Args:
        request: what would be signed.
        identity: whose.
        now_s: Unix time, seconds.
        beside: the approvals of its document, or None.

    Raises:
        SignerError: ``identity.unseen``, ``request.seq``, ``request.foreign-device``, ``request.approvers``,
            ``request.not-approved``, ``request.successor``, ``request.foreign-ssh-key`` or ``request.retirement``.
    """
    if identity.unseen:
        raise SignerError(
            "identity.unseen",
            "this wallet was restored and does not know yet what the identity has published",
            "look it up first: walletcli wallet recover --relay URL; or accept fewer sources with --sources N",
        )
    document, previous = request.document, request.previous
    _check_seq(document, previous, now_s)
    for delegation in document.delegations:
        if not (_is_own(delegation, identity) or (previous is not None and delegation in previous.delegations)):
            raise SignerError(
                "request.foreign-device", "the document would give powers to a device that is not this one"
            )
    _check_ssh_keys(document, previous, identity)
    _check_security_keys(document, previous, identity)
    _check_approvers(document, previous, identity, beside)
    if document.succession != (previous.succession if previous is not None else None):
        raise SignerError("request.successor", "the document would change the successor")
    if (document.retirement is not None) != (identity.retired is not None):
        raise SignerError("request.retirement", "the document and the wallet differ on whether the identity is retired")


def _check_approvers(
    document: Document, previous: Document | None, identity: IdentityView, beside: DocumentApprovals | None
) -> None:
    """Refuse approvers that the owner has not decided on, and a document that those of now have not approved."""
    plan = identity.approvers
    if document.approvers != next_approvers(previous, identity):
        raise SignerError("request.approvers", "the document would change the approvers")
    if plan is not None and plan.lost:
        return
    try:
        check_follows(previous, document, beside)
    except VerificationError as error:
        raise SignerError(
            "request.not-approved",
            f"the identity's approvers have not approved the document: {error.message}",
            "plug the security key in and try again",
        ) from error


def _check_ssh_keys(document: Document, previous: Document | None, identity: IdentityView) -> None:
    """Refuse a device's SSH key that is neither this one's own, named by its owner's wish, nor stood there before."""
    value = document.extensions.get(EXTENSION)
    if value is None or (previous is not None and value == previous.extensions.get(EXTENSION)):
        return
    before = _named_before(previous)
    own = (identity.device_signing_key, identity.ssh_key) if identity.names_ssh_key else None
    for named in named_keys(document).items():
        if named != own and before.get(named[0]) != named[1]:
            raise SignerError("request.foreign-ssh-key", "the document would name an SSH key that is not this device's")


def _check_security_keys(document: Document, previous: Document | None, identity: IdentityView) -> None:
    """Refuse an SSH key on a security key that the owner does not want named, unless it stood there before."""
    value = document.extensions.get(sk_keys.EXTENSION)
    if value is None or (previous is not None and value == previous.extensions.get(sk_keys.EXTENSION)):
        return
    wanted = [item.in_document() for item in identity.ssh_credentials if item.named]
    if any(item not in wanted for item in sk_keys.named_security_keys(document)):
        raise SignerError(
            "request.foreign-ssh-key", "the document would name an SSH key on a security key against its owner's wish"
        )


def _named_before(previous: Document | None) -> dict[bytes, bytes]:
    try:
        return named_keys(previous) if previous is not None else {}
    except FormatError:
        return {}


def watch_only(label: str | None = None, new: str | None = None) -> SignerError:
    """Return the error for what needs a root key that this wallet does not have.

    Args:
        label: of the identity whose root is asked for, or None.
        new: label of an identity that is to be made, or None.
    """
    hint = "do this on the machine that holds the root keys"
    if new is not None or label is not None:
        what = f"--new {shlex.quote(new)}" if new is not None else shlex.quote(label or "")
        hint = (
            f"walletcli request make {what} --out FILE, and approve that file on the machine that holds the root keys"
        )
    return SignerError(
        "wallet.watch-only", "this wallet watches: the root key that this needs is on another machine", hint
    )


def _check_seq(document: Document, previous: Document | None, now_s: float) -> None:
    """Refuse a `seq` that lies ahead of the clock by more than a day, unless the last one did."""
    last = previous.seq if previous is not None else 0
    if document.seq > max(int(now_s * 1_000_000) + _DAY_US, last + SEQ_JUMP):
        raise SignerError(
            "request.seq", "seq is more than a day ahead of this machine's clock and of the last one", "check the clock"
        )


def _is_own(delegation: Delegation, identity: IdentityView) -> bool:
    return (delegation.signing_key, delegation.sealing_key) == (
        identity.device_signing_key,
        identity.device_sealing_key,
    )
