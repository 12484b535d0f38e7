"""Asks the owner's security keys to approve what is about to be signed.

Spec: docs/spec/approval.md, "Making".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from walletcli.core.approval import Approval, Subject
from walletcli.core.approvals import approvals_for
from walletcli.core.document import Document
from walletcli.core.document_parts import Approver, Approvers
from walletcli.core.record import Record
from walletcli.errors import SignerError
from walletcli.wallet.home import Home, Progress, silent
from walletcli.wallet.state.approvers import Credential
from walletcli.wallet.state.draft import last_record
from walletcli.wallet.state.view import IdentityView

if TYPE_CHECKING:
    from walletcli.signers.devices.hidapi import PluggedKey
    from walletcli.signers.devices.prompts import KeyPrompts

_OF_ONE_KEY = frozenset({
    "key.no-permission", "key.busy", "key.removed", "key.unsupported", "key.timeout", "key.not-enrolled",
    "ledger.locked", "ledger.wrong-app", "ledger.old", "ledger.timeout",
})  # fmt: skip
"""Why one device among several is passed over; told if too few others approve."""


def approvals_of(home: Home, identity: IdentityView, document: Document, progress: Progress = silent) -> bytes | None:
    """Return what goes beside an identity's next document; security keys are asked for as many approvals as it takes.

    Args:
        home: whose prompts ask for PIN and touch.
        identity: as it was when the document was made.
        document: what is about to be signed.
        progress: takes a line per step.

    Returns:
        What is beside it, encoded; None if that is nothing.

    Raises:
        SignerError: ``approver.*``, ``key.*``.
        MissingExtraError: ``key.no-hidapi``.
    """
    last, is_lost = last_record(identity), identity.approvers is not None and identity.approvers.lost
    return beside_of(home, identity.credentials, last, document, is_lost=is_lost, progress=progress)


def beside_of(
    home: Home | None,
    credentials: Sequence[Credential],
    last: Record | None,
    document: Document,
    *,
    is_lost: bool = False,
    progress: Progress = silent,
) -> bytes | None:
    """Return what goes beside a document that follows a record; as `approvals_of`.

    Args:
        home: whose prompts ask for PIN and touch; None: nobody is asked.
        credentials: how the approvers are asked.
        last: the record that it follows, or None.
        document: what is about to be signed.
        is_lost: its owner has said that the approvers cannot approve any more.
        progress: takes a line per step.
    """
    before = last.document if last is not None else None
    approvals: tuple[Approval, ...] = ()
    if before is not None and before.approvers is not None and not is_lost:
        approvals = ask(home, credentials, before.approvers, Subject.of_document(document), progress)
    made = approvals_for(before, last.beside if last is not None else None, document, approvals)
    return made.to_bytes() if made is not None else None


def ask(
    home: Home | None,
    credentials: Sequence[Credential],
    approvers: Approvers,
    subject: Subject,
    progress: Progress = silent,
) -> tuple[Approval, ...]:
    """Have as many approvers approve as it takes, each with a touch.

    Args:
        home: whose prompts ask; None: nobody is.
        credentials: how the approvers are asked.
        approvers: of the document that is in force.
        subject: what is approved.
        progress: takes a line per step.

    Raises:
        SignerError: ``approver.unattended`` if there is nobody to ask, ``approver.no-credential``,
            ``approver.not-here``, ``key.*``.
        MissingExtraError: ``key.no-hidapi``.
    """
    from walletcli.signers.devices.approving import plugged_approvers

    if home is None or home.keys is None:
        raise SignerError(
            "approver.unattended",
            "this needs a security key or another device that approves, and nobody is here to confirm it",
            "do it by hand: walletcli publish WHO",
        )
    known = {item.public_key: item for item in credentials}
    wanted = [(item, known[item.public_key]) for item in approvers.approvers if item.public_key in known]
    if len(wanted) < approvers.threshold:
        raise SignerError(
            "approver.no-credential",
            f"this wallet knows how to ask {len(wanted)} of its approvers, {approvers.threshold} must approve",
            "use the wallet that enrolled them; if they are lost: walletcli identity approver remove WHO KEY --lost",
        )
    progress(f"asking for {approvers.threshold} approval(s)")
    given, refused = _from_keys(
        plugged_approvers([item for item, _ in wanted]), home.keys, wanted, subject, approvers.threshold
    )
    if len(given) >= approvers.threshold:
        return tuple(given)
    if refused is not None:
        raise refused
    names = ", ".join(repr(credential.name) for _, credential in wanted)
    missing = approvers.threshold - len(given)
    raise SignerError(
        "approver.not-here",
        f"{missing} more of the identity's approvers must approve, and no key that is plugged in is one ({names})",
        "plug in as many of them as must approve, at the same time, and try again",
    )


def _from_keys(
    plugged: Sequence[PluggedKey],
    prompts: KeyPrompts,
    wanted: Sequence[tuple[Approver, Credential]],
    subject: Subject,
    threshold: int,
) -> tuple[list[Approval], SignerError | None]:
    """Ask keys one after the other; return what they gave, and why one of them gave nothing."""
    given: list[Approval] = []
    refused: SignerError | None = None
    for key in plugged:
        done = {approval.public_key for approval in given}
        left = [pair for pair in wanted if pair[0].public_key not in done]
        try:
            given += _from_key(key, prompts, left, subject, threshold - len(given))
        except SignerError as error:
            if error.code not in _OF_ONE_KEY:
                raise
            refused = error
        if len(given) >= threshold:
            break
    return given, refused


def _from_key(
    plugged: PluggedKey,
    prompts: KeyPrompts,
    wanted: Sequence[tuple[Approver, Credential]],
    subject: Subject,
    most: int,
) -> Iterator[Approval]:
    from walletcli.signers.devices.approving import opened_approver

    with opened_approver(plugged, prompts) as device:
        fitting = [pair for pair in wanted if device.fits(pair[0], pair[1].credential_id)]
        for approver, credential in fitting[:most]:
            yield device.approve(approver, credential.credential_id, subject)
