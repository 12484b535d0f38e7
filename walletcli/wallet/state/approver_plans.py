"""What becomes of an identity when its owner decides who is to approve, and when that is signed.

Spec: docs/spec/wallet-state.md, "Public half".
"""

from __future__ import annotations

from dataclasses import replace

from walletcli.core.document_parts import Approvers
from walletcli.errors import InputError
from walletcli.wallet.state.approvers import ApproverPlan, Credential
from walletcli.wallet.state.draft import last_document
from walletcli.wallet.state.view import IdentityView


def with_plan(identity: IdentityView, plan: ApproverPlan, credentials: tuple[Credential, ...]) -> IdentityView:
    """Return the identity after its owner has decided who is to approve; undecided again if that is as it is signed.

    Raises:
        InputError: ``approver.root``.
    """
    if plan.approvers is not None and any(item.public_key == identity.public_key for item in plan.approvers.approvers):
        raise InputError("approver.root", "the root key cannot approve", "add a security key")
    last = last_document(identity)
    decided = None if plan == ApproverPlan(last.approvers if last is not None else None) else plan
    return replace(
        identity, approvers=decided, credentials=credentials, changed=identity.changed or decided is not None
    )


def still_to_decide(plan: ApproverPlan | None, signed: Approvers | None) -> ApproverPlan | None:
    """Return what of a decision is not signed yet."""
    return None if plan is None or plan.approvers == signed else plan
