"""What each change does to the state: pure functions from one valid state to the next.

Spec: docs/spec/agent.md, "Changes".
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from walletcli.core.document import check_attribute
from walletcli.core.document_parts import LAST_DAY, RETIREMENT_REASONS
from walletcli.core.record import Record
from walletcli.errors import InputError, VaultError, VerificationError
from walletcli.wallet.state.approver_plans import still_to_decide, with_plan
from walletcli.wallet.state.changes import (
    AddIdentity,
    Adopt,
    Change,
    HealSplits,
    KeepDevices,
    KeepSplits,
    KeepSshKey,
    MarkStored,
    PlanPublish,
    PutDrawer,
    Remember,
    Rename,
    Retire,
    RevokeDevices,
    SetApprovers,
    SetAttribute,
    SetBindings,
    SetShares,
    SetSshCredentials,
    Several,
    TakeFound,
    TakeIdentity,
    TakeSigned,
    UnsetAttribute,
)
from walletcli.wallet.state.continuing import Found, check_continues, continued, label_wanted
from walletcli.wallet.state.decided import decisions_hash
from walletcli.wallet.state.kept_splits import still_to_heal, with_healing, with_splits
from walletcli.wallet.state.naming import free_label
from walletcli.wallet.state.sections import MAX_ATTRIBUTES
from walletcli.wallet.state.view import (
    MAX_DRAWER_BYTES,
    MAX_RECIPIENTS,
    IdentityView,
    Retired,
    Stored,
    unknown_identity,
)
from walletcli.wallet.state.wallet_state import DRAWER_NAME, WALLET_DRAWER, DeviceSecrets, WalletState
from walletcli.wallet.state.wallet_view import Seen, WalletView

MAX_BINDINGS = 16
"""Most bindings of an identity (docs/spec/record.md)."""

MAX_SHARES = 32
"""Most shared sections: half of what a document holds."""

IdentityChange = (
    Rename
    | SetAttribute
    | UnsetAttribute
    | Retire
    | PlanPublish
    | MarkStored
    | SetBindings
    | SetShares
    | RevokeDevices
    | HealSplits
    | SetApprovers
    | SetSshCredentials
)
"""The changes that touch one identity and need nothing but the state."""


def apply(state: WalletState, change: Change, found: Found | None = None) -> WalletState:
    """Return the state after `change`, but for those that need keys (`add_identity`, `take_found`) and `Several`.

    Args:
        state: the state before.
        change: what the user decided.
        found: for `Adopt`, what was found, if anything.

    Raises:
        InputError: ``identity.*``, ``label.*`` or ``attribute.*``.
        FormatError: ``document.profile``, ``record.*``.
        VerificationError: ``record.*`` for an adopted record.
    """
    if isinstance(change, Remember):
        return _with_public(state, replace(state.public, seen=_remember(state.public, change)))
    if isinstance(change, KeepSplits):
        own = frozenset(identity.public_key for identity in state.public.identities)
        return _with_public(state, replace(state.public, splits=with_splits(state.public.splits, change.proofs, own)))
    if isinstance(change, PutDrawer):
        return put_drawers(state, (change,))
    if isinstance(change, AddIdentity | TakeFound | TakeIdentity | KeepDevices | KeepSshKey | Several):
        raise TypeError("an identity is added with its keys, and several changes one by one")
    before = state.public.by_index(change.index)
    if isinstance(change, TakeSigned):
        return _with_identity(state, _take_signed(before, change))
    if isinstance(change, Adopt):
        return _with_identity(state, _adopt(state.public, before, found))
    return _with_identity(state, _changed(state.public, before, change))


def _changed(wallet: WalletView, identity: IdentityView, change: IdentityChange) -> IdentityView:
    match change:
        case Rename():
            return replace(identity, label=free_label(wallet, change.label, identity.index), changed=True)
        case SetAttribute():
            return _set_attribute(identity, change)
        case UnsetAttribute():
            return _unset_attribute(identity, change)
        case Retire():
            return _retire(identity, change)
        case PlanPublish():
            links = _union(identity.accepted_links, change.accepted_links)
            return replace(identity, contacted=_union(identity.contacted, change.relays), accepted_links=links)
        case MarkStored():
            return _mark_stored(identity, change)
        case SetBindings():
            return _set_bindings(identity, change)
        case SetShares():
            return _set_shares(identity, change)
        case RevokeDevices():
            return _revoke_devices(identity, change)
        case SetApprovers():
            _require_alive(identity)
            return with_plan(identity, change.plan, change.credentials)
        case SetSshCredentials():
            _require_alive(identity)
            return replace(identity, ssh_credentials=change.credentials, changed=True)
        case HealSplits():
            return _heal_splits(identity, change)


def add_identity(state: WalletState, identity: IdentityView, secrets: DeviceSecrets) -> WalletState:
    """Return the state with one more identity."""
    return add_identities(state, [(identity, secrets)])


def add_identities(state: WalletState, new: Sequence[tuple[IdentityView, DeviceSecrets]]) -> WalletState:
    """Return the state with more identities."""
    identities = sorted((*state.public.identities, *(view for view, _ in new)), key=lambda item: item.index)
    devices = {**state.devices, **{view.index: secrets for view, secrets in new}}
    return replace(state, devices=devices, public=replace(state.public, identities=tuple(identities)))


def record_signed(state: WalletState, index: int, record: bytes) -> WalletState:
    """Return the state after a record of this wallet's own has been signed."""
    identity = state.public.by_index(index)
    signed = replace(
        identity,
        record=record,
        stored=None,
        changed=False,
        unseen=False,
        bindings=None,
        revoked=(),
        healing=(),
        approvers=None,
    )  # what was decided stands in the record now
    return _with_identity(state, signed)


def _set_attribute(identity: IdentityView, change: SetAttribute) -> IdentityView:
    _require_alive(identity)
    check_attribute(change.name, change.value)
    public, sealed = dict(identity.profile), dict(identity.sealed_profile)
    into, out_of = (sealed, public) if change.sealed else (public, sealed)
    into[change.name] = change.value
    out_of.pop(change.name, None)
    if len(into) > MAX_ATTRIBUTES:
        raise InputError("attribute.too-many", f"an identity has at most {MAX_ATTRIBUTES} attributes of a kind")
    return replace(identity, profile=public, sealed_profile=sealed, changed=True)


def _unset_attribute(identity: IdentityView, change: UnsetAttribute) -> IdentityView:
    _require_alive(identity)
    public, sealed = dict(identity.profile), dict(identity.sealed_profile)
    if public.pop(change.name, None) is None and sealed.pop(change.name, None) is None:
        raise InputError(
            "attribute.unknown",
            f"the identity has no attribute {change.name!r}",
            f"see: walletcli identity show {identity.label_word}",
        )
    return replace(identity, profile=public, sealed_profile=sealed, changed=True)


def _retire(identity: IdentityView, change: Retire) -> IdentityView:
    _require_alive(identity)
    if change.reason >= len(RETIREMENT_REASONS) or change.day > LAST_DAY:
        raise InputError("identity.retire-reason", "there is no such reason or day for retiring")
    return replace(identity, retired=Retired(change.day, change.reason), changed=True)


def _set_bindings(identity: IdentityView, change: SetBindings) -> IdentityView:
    _require_alive(identity)
    grants = change.grants
    if grants is not None and (len(grants) > MAX_BINDINGS or len(set(grants)) < len(grants) or not all(grants)):
        raise InputError("binding.too-many", f"an identity has at most {MAX_BINDINGS} bindings, no two alike")
    return replace(identity, bindings=grants, changed=True)


def _set_shares(identity: IdentityView, change: SetShares) -> IdentityView:
    _require_alive(identity)
    for share in change.shares:
        if not 1 <= len(share.recipients) <= MAX_RECIPIENTS:
            raise InputError("share.recipients", f"a share is sealed to 1 to {MAX_RECIPIENTS} devices")
    if len(change.shares) > MAX_SHARES:
        raise InputError("share.too-many", f"an identity shares at most {MAX_SHARES} sets of attributes")
    if change.shares == identity.shares:
        return identity
    return replace(identity, shares=change.shares, changed=True)


def _revoke_devices(identity: IdentityView, change: RevokeDevices) -> IdentityView:
    _require_alive(identity)
    if identity.device_signing_key in change.devices:
        raise InputError(
            "device.own", "this device cannot revoke itself", "wipe the wallet, and revoke it from another device"
        )
    revoked = tuple(sorted({*identity.revoked, *change.devices}))
    return identity if revoked == identity.revoked else replace(identity, revoked=revoked, changed=True)


def _heal_splits(identity: IdentityView, change: HealSplits) -> IdentityView:
    last = Record.from_bytes(identity.record).document if identity.record is not None else None
    if last is not None and last.retirement is not None:
        _require_alive(identity)  # a record that is yet to say so heals as well
    healing = with_healing(identity.healing, change.proofs, identity.public_key, last, change.above_seq)
    return identity if healing == identity.healing else replace(identity, healing=healing, changed=True)


def put_drawers(state: WalletState, changes: Sequence[PutDrawer]) -> WalletState:
    """Replace drawers, each of which still has the content that its change was made from.

    Raises:
        InputError: ``identity.unknown``, ``drawer.name``, ``drawer.too-long``.
        VaultError: ``drawer.changed``.
    """
    drawers = dict(state.drawers)
    held = {WALLET_DRAWER, *state.devices}
    for change in changes:
        index = change.index if change.index is not None else WALLET_DRAWER
        if index not in held:
            raise unknown_identity(f"index {index}")
        if not DRAWER_NAME.fullmatch(change.name):
            raise InputError("drawer.name", "the name of a drawer has 1 to 32 of a-z and '-'")
        if len(change.data or b"") > MAX_DRAWER_BYTES:
            raise InputError("drawer.too-long", f"a part of the wallet has at most {MAX_DRAWER_BYTES} bytes")
        before = drawers.pop((index, change.name), None)
        if change.before != (hashlib.sha256(before).digest() if before is not None else None):
            raise VaultError(
                "drawer.changed", "another process has changed this part of the wallet meanwhile", "try again"
            )
        if change.data is not None:
            drawers[index, change.name] = change.data
    return replace(state, drawers=drawers)


def _require_alive(identity: IdentityView) -> None:
    if identity.retired is not None:
        raise InputError(
            "identity.retired", "the identity has been retired: nothing about it changes any more", "create a new one"
        )


def _mark_stored(identity: IdentityView, change: MarkStored) -> IdentityView:
    if identity.record is None or Record.from_bytes(identity.record).packet.seq != change.seq:
        return identity  # a newer record has been signed meanwhile
    before = identity.stored.relays if identity.stored is not None else ()
    stored = Stored(change.seq, _union(before, change.relays), change.day)
    return replace(identity, stored=stored, contacted=_union(identity.contacted, change.relays))


def _adopt(wallet: WalletView, identity: IdentityView, found: Found | None) -> IdentityView:
    """Take over a record from the network; what the wallet has decided since its own goes on top with the next one."""
    if found is None:
        return replace(identity, unseen=False)
    check_continues(identity, found.record)
    if identity.record is not None and found.record.packet.seq <= Record.from_bytes(identity.record).packet.seq:
        raise VerificationError("record.not-newer", "the record is not newer than the one that this wallet has")
    return _relabelled(wallet, continued(identity, found), label_wanted(identity, found))


def take_found(state: WalletState, change: TakeFound, found: Found) -> WalletState:
    """Return the state after a record has been found of an identity that is held, were it only for this.

    Args:
        state: the state before; the identity is in it.
        change: what was found.
        found: the record of `change`.

    Raises:
        VerificationError: ``record.identity-mismatch``, ``record.pending``.
    """
    before = state.public.by_index(change.index)
    after = taken(before, change, found)
    label = label_wanted(before, found) if after.record != before.record else None
    return _with_identity(state, _relabelled(state.public, after, label))


def taken(identity: IdentityView, change: TakeFound, found: Found) -> IdentityView:
    """Return an identity after a record of it has been found; its label stays.

    Raises:
        VerificationError: ``record.identity-mismatch``, ``record.pending``.
    """
    unseen = identity.unseen and not change.is_fresh
    last = Record.from_bytes(identity.record).packet.seq if identity.record is not None else -1
    if found.record.packet.seq > last:
        identity = continued(identity, found)
    return replace(identity, unseen=unseen, contacted=_union(identity.contacted, change.contacted))


def _take_signed(identity: IdentityView, change: TakeSigned) -> IdentityView:
    """Go on with a record that was asked for; what was decided since then waits for the next one."""
    found = Record.from_bytes(change.record)
    document = check_continues(identity, found)
    last = Record.from_bytes(identity.record).packet.document_hash if identity.record is not None else None
    if document.previous != last:
        raise VerificationError(
            "response.stale",
            f"{identity.label!r} has gone on since the request was made",
            "make the request anew",
        )
    devices = {item.signing_key for item in document.delegations}
    return replace(
        identity,
        record=change.record,
        stored=None,
        changed=decisions_hash(identity) != change.decisions,
        unseen=False,
        bindings=identity.bindings if identity.bindings not in (None, document.bindings) else None,
        revoked=tuple(key for key in identity.revoked if key in devices),
        healing=still_to_heal(identity.healing, document),
        approvers=still_to_decide(identity.approvers, document.approvers),
    )


def record_approved(state: WalletState, index: int, found: Found, *, held: bool) -> WalletState:
    """Return the state after a record has been signed that another wallet of the owner's had drafted.

    What that wallet had decided is what this one holds now, unless decisions of its own wait to be signed.

    Args:
        state: the state before; the identity is in it.
        index: of the identity.
        found: the record, signed with this wallet's root key, newer than what it has.
        held: whether the wallet held the identity before.
    """
    identity = state.public.by_index(index)
    if held and identity.changed:
        return _with_identity(state, continued(identity, found))
    blank = replace(
        identity, record=None, profile={}, sealed_profile={}, bindings=None, revoked=(), healing=(), changed=False,
        approvers=None, ssh_credentials=(),
    )  # fmt: skip
    approved = replace(continued(blank, found), changed=False)
    label = found.section.label if held and found.section is not None else None
    return _with_identity(state, _relabelled(state.public, approved, label))


def _relabelled(wallet: WalletView, identity: IdentityView, label: str | None) -> IdentityView:
    """Return the identity with another label, if there is one and it is free."""
    try:
        return replace(identity, label=free_label(wallet, label, identity.index)) if label else identity
    except InputError:
        return identity


def _remember(wallet: WalletView, change: Remember) -> dict[bytes, Seen]:
    known = dict(wallet.seen)
    for identity, seen in change.seen:
        before = known.get(identity)
        if before is None or before.seq < seen.seq or before.is_completed_by(seen):
            known[identity] = before.completed_by(seen) if before is not None else seen
    return known


def _union(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted({*one, *other}))


def _with_identity(state: WalletState, identity: IdentityView) -> WalletState:
    identities = tuple(identity if item.index == identity.index else item for item in state.public.identities)
    return _with_public(state, replace(state.public, identities=identities))


def _with_public(state: WalletState, public: WalletView) -> WalletState:
    return replace(state, public=public)
