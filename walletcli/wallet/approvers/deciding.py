"""Who approves for an identity: lists approvers, adds security keys, takes them away.

A decision is kept in the vault, and signed with the next record: that is when the approvers of now are asked.

Spec: docs/spec/approval.md, "Making".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from walletcli.core.document_parts import Approver, Approvers, Form
from walletcli.errors import InputError, UsageError
from walletcli.wallet.access.session import Session
from walletcli.wallet.airgap.waiting import read_book
from walletcli.wallet.approvers.enrolling import chosen_device, enrol
from walletcli.wallet.approvers.overview import WaitingApproval, waiting_of
from walletcli.wallet.security_keys import given_name, prompts_of
from walletcli.wallet.state.approvers import MAX_CREDENTIALS, ApproverPlan, Credential, joined
from walletcli.wallet.state.changes import PlanPublish, SetApprovers, Several
from walletcli.wallet.state.draft import last_document, next_approvers
from walletcli.wallet.state.lookup import find
from walletcli.wallet.state.view import IdentityView

DEFAULT_DELAY_DAYS = 30
"""How long a removal without approvals takes at each verifier, if nothing else is said."""


@dataclass(frozen=True, slots=True)
class ApproverView:
    """One approver.

    Attributes:
        approver: as documents name it.
        name: the owner's, or empty if this wallet does not know how to ask it.
        can_be_asked: whether it does.
        state: ``in-force``, ``to-be-added`` or ``to-be-removed`` with the next record.
    """

    approver: Approver
    name: str
    can_be_asked: bool
    state: str

    def to_json(self) -> dict[str, object]:
        """Return key, algorithm, whether it needs its PIN, what its approvals are, name and state."""
        return {
            "key": self.approver.public_key.hex(),
            "algorithm": {-8: "EdDSA", -7: "ES256"}[self.approver.algorithm],
            "pin": self.approver.user_verification,
            "form": "signed-text" if self.approver.form is Form.SIGNED_TEXT else "assertion",
            "name": self.name or None,
            "can_be_asked": self.can_be_asked,
            "state": self.state,
        }


@dataclass(frozen=True, slots=True)
class ApproversView:
    """Who approves for an identity.

    Attributes:
        did: the identity's.
        label: its label.
        approvers: those in force and those that are decided on, ascending by key.
        threshold: how many must approve once the decision is signed; 0 if there are none.
        delay_days: how long a removal without them takes then; 0 if there are none.
        waits: whether a decision waits for the next publish.
        lost: whether that one goes without the approvals of now.
        waiting: what waits for approvals.
    """

    did: str
    label: str
    approvers: tuple[ApproverView, ...]
    threshold: int
    delay_days: int
    waits: bool
    lost: bool
    waiting: tuple[WaitingApproval, ...] = ()

    def to_json(self) -> dict[str, object]:
        """Return all fields."""
        return {
            "did": self.did,
            "label": self.label,
            "approvers": [item.to_json() for item in self.approvers],
            "threshold": self.threshold,
            "delay_days": self.delay_days,
            "waits": self.waits,
            "lost": self.lost,
            "waiting": [item.to_json() for item in self.waiting],
        }


def list_approvers(session: Session, who: str) -> ApproversView:
    """Return who approves for an identity, and what is decided.

    Raises:
        InputError: ``identity.unknown``.
    """
    identity = find(session.snapshot().wallet, who)
    return replace(view_of(identity), waiting=waiting_of(identity, read_book(session)))


def view_of(identity: IdentityView) -> ApproversView:
    """Return who approves for an identity, and what is decided."""
    last = last_document(identity)
    now, then = last.approvers if last is not None else None, next_approvers(last, identity)
    names = {item.public_key: item.name for item in identity.credentials}
    before, after = ({item.public_key: item for item in group.approvers} if group else {} for group in (now, then))

    def view(key: bytes) -> ApproverView:
        state = "in-force" if key in before and key in after else "to-be-added" if key in after else "to-be-removed"
        return ApproverView(after.get(key) or before[key], names.get(key, ""), key in names, state)

    return ApproversView(
        identity.summary().did,
        identity.label,
        tuple(view(key) for key in sorted(before.keys() | after.keys())),
        then.threshold if then is not None else 0,
        then.delay_days if then is not None else 0,
        identity.approvers is not None,
        identity.approvers is not None and identity.approvers.lost,
    )


def add_approver(
    session: Session,
    who: str,
    *,
    which: str | None = None,
    name: str | None = None,
    verify: bool = True,
    threshold: int | None = None,
    delay_days: int | None = None,
    accept_link: bool = False,
) -> ApproversView:
    """Have a security key or a Ledger approve for an identity from the next record on.

    It approves something that nobody uses first: a device that cannot do that would lock its owner out.

    Args:
        session: the wallet, opened for this and not by the agent.
        who: label or id.
        which: path or serial number of the device; None if one only is plugged in.
        name: the owner's name for it; None: what the device calls itself.
        verify: its approvals need its PIN; a Ledger is unlocked with its own in any case.
        threshold: how many must approve; None: as it is, or one.
        delay_days: 1 to 365; None: as it is, or 30.
        accept_link: go ahead though the key approves for another identity of this wallet.

    Raises:
        InputError: ``identity.*``, ``approver.too-many``, ``approver.threshold``, ``approver.name``,
            ``link.would-link``.
        SignerError: ``key.*``, ``ledger.*``, ``approver.consent`` if the agent was asked.
        UsageError: ``key.unknown``, ``ledger.has-pin``.
        MissingExtraError: ``key.no-hidapi``.
    """
    wallet = session.snapshot().wallet
    identity = find(wallet, who)
    before = next_approvers(last_document(identity), identity)
    if before is not None and len(before.approvers) >= MAX_CREDENTIALS:
        raise InputError("approver.too-many", f"an identity has at most {MAX_CREDENTIALS} approvers", "remove one")
    key = chosen_device(which)
    called = given_name(name if name is not None else key.name)
    made, accepted = enrol(
        key, prompts_of(session.home), identity, wallet.identities, verify=verify, accept_link=accept_link
    )
    change = plan_with(identity, made.approver, made.credential_id, called, threshold, delay_days)
    changes: list[PlanPublish | SetApprovers] = [change]
    if accepted:
        changes.append(PlanPublish(identity.index, (), accepted))
    session.apply(Several(tuple(changes)))
    return list_approvers(session, who)


def plan_with(
    identity: IdentityView,
    approver: Approver,
    credential_id: bytes,
    name: str,
    threshold: int | None,
    delay_days: int | None,
) -> SetApprovers:
    """Return the decision that one more key approves for an identity.

    Args:
        identity: as it is.
        approver: as documents name it.
        credential_id: how it is asked, 1 to 1023 bytes.
        name: the owner's name for it.
        threshold: how many must approve; None: as it is, or one.
        delay_days: 1 to 365; None: as it is, or 30.

    Raises:
        InputError: ``approver.too-many``, ``approver.threshold``, ``approver.name``.
    """
    before = next_approvers(last_document(identity), identity)
    members = before.approvers if before is not None else ()
    if len(members) >= MAX_CREDENTIALS:
        raise InputError("approver.too-many", f"an identity has at most {MAX_CREDENTIALS} approvers", "remove one")
    plan = ApproverPlan(_group((*members, approver), before, threshold, delay_days))
    new = Credential(approver.public_key, credential_id, given_name(name))
    credentials = joined((new,), (item for item in identity.credentials if item.public_key in _in_use(identity)))
    return SetApprovers(identity.index, plan, credentials)


def remove_approver(
    session: Session, who: str, key: str, *, threshold: int | None = None, lost: bool = False
) -> ApproversView:
    """Have a security key approve no more, from the next record on.

    Args:
        session: the wallet, opened for this and not by the agent.
        who: label or id.
        key: the approver: its name, or the beginning of its key in hexadecimal.
        threshold: how many of the others must approve; None: as it is, or all that are left.
        lost: the next record goes without the approvals of now: everybody who saw them waits for the delay.

    Raises:
        InputError: ``identity.*``, ``approver.unknown``, ``approver.threshold``.
        UsageError: ``approver.ambiguous``.
        SignerError: ``approver.consent`` if the agent was asked.
    """
    identity = find(session.snapshot().wallet, who)
    before = next_approvers(last_document(identity), identity)
    gone = named_approver(identity, before, key)
    left = [item for item in (before.approvers if before is not None else ()) if item.public_key != gone]
    in_force = last_document(identity)
    keeps = in_force is not None and in_force.approvers is not None
    plan = ApproverPlan(_group(left, before, threshold, None) if left else None, lost and keeps)
    kept = tuple(item for item in identity.credentials if keeps or item.public_key != gone)
    session.apply(SetApprovers(identity.index, plan, kept))
    return list_approvers(session, who)


def _in_use(identity: IdentityView) -> set[bytes]:
    """Return the keys of approvers in force and of those that are decided on."""
    last = last_document(identity)
    groups = (last.approvers if last is not None else None, next_approvers(last, identity))
    return {item.public_key for group in groups if group is not None for item in group.approvers}


def _group(
    members: Iterable[Approver], before: Approvers | None, threshold: int | None, delay_days: int | None
) -> Approvers:
    ordered = tuple(sorted(members, key=lambda item: item.public_key))
    wanted = threshold if threshold is not None else min(before.threshold if before is not None else 1, len(ordered))
    if not 1 <= wanted <= len(ordered):
        raise InputError(
            "approver.threshold", f"{wanted} of {len(ordered)} cannot approve", f"choose 1 to {len(ordered)}"
        )
    days = delay_days if delay_days is not None else before.delay_days if before is not None else DEFAULT_DELAY_DAYS
    return Approvers(wanted, ordered, days)


def named_approver(identity: IdentityView, group: Approvers | None, text: str) -> bytes:
    """Return the key (32 or 33 bytes) of an approver that is named by its name, or the beginning of its key.

    Raises:
        InputError: ``approver.unknown``.
        UsageError: ``approver.ambiguous``.
    """
    keys = [item.public_key for item in group.approvers] if group is not None else []
    names = {item.public_key: item.name for item in identity.credentials}
    found = [key for key in keys if names.get(key) == text]
    found = found or [key for key in keys if len(text) >= 4 and key.hex().startswith(text.lower())]
    if not found:
        hint = f"see: walletcli identity approver list {identity.label_word}"
        raise InputError("approver.unknown", f"{text!r} is no approver of {identity.label!r}", hint)
    if len(found) > 1:
        raise UsageError("approver.ambiguous", f"{len(found)} approvers are called {text!r}", "name one by its key")
    return found[0]
