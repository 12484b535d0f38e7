"""Changes as rows of CBOR, as they travel to whoever holds the open vault.

Spec: docs/spec/agent.md, "Changes".
"""

from __future__ import annotations

from walletcli.core.equivocation import MAX_PROOF_BYTES
from walletcli.errors import FormatError
from walletcli.wallet.state.approvers import ApproverPlan, read_credentials
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
from walletcli.wallet.state.fields import Fields
from walletcli.wallet.state.ssh_credentials import read_credentials as read_ssh_credentials
from walletcli.wallet.state.view import MAX_DRAWER_BYTES, MAX_GRANT_BYTES, MAX_INDEX, Share
from walletcli.wallet.state.wallet_view import Seen

MAX_RECORD_BYTES = 70_000 + 16_384
"""Longest record file."""

_WHAT = "agent-request"


def to_row(change: Change) -> list[object]:
    """Return the CBOR list that stands for `change`."""
    match change:
        case AddIdentity():
            return [1, change.label, change.index, change.day]
        case Rename():
            return [2, change.index, change.label]
        case SetAttribute():
            return [3, change.index, change.name, change.value, change.sealed]
        case UnsetAttribute():
            return [4, change.index, change.name]
        case Retire():
            return [5, change.index, change.day, change.reason]
        case PlanPublish():
            return [6, change.index, list(change.relays), list(change.accepted_links)]
        case MarkStored():
            return [7, change.index, change.seq, list(change.relays), change.day]
        case Adopt():
            return [8, change.index, change.record]
        case Remember():
            return [9, [seen.to_row(identity) for identity, seen in change.seen]]
        case SetBindings():
            return [10, change.index, list(change.grants) if change.grants is not None else None]
        case SetShares():
            return [11, change.index, [share.to_row() for share in change.shares]]
        case RevokeDevices():
            return [12, change.index, list(change.devices)]
        case PutDrawer():
            return [13, change.index, change.name, change.data, change.before]
        case TakeFound():
            return [30, change.index, change.day, change.record, change.is_fresh, list(change.contacted)]
        case TakeSigned():
            return [35, change.index, change.record, change.decisions]
        case TakeIdentity():
            return _take_identity_row(change)
        case KeepDevices():
            return [37, list(change.keys)]
        case KeepSshKey():
            return [60, change.index, int(change.named) if change.named is not None else None]
        case KeepSplits():
            return [45, list(change.proofs)]
        case SetApprovers():
            return [55, change.index, change.plan.to_row(), [item.to_row() for item in change.credentials]]
        case SetSshCredentials():
            return [61, change.index, [item.to_row() for item in change.credentials]]
        case HealSplits():
            return [46, change.index, list(change.proofs), change.above_seq]
        case Several():
            return [14, [to_row(one) for one in change.changes]]


def from_row(value: object) -> Change:
    """Read what `to_row` wrote.

    Raises:
        FormatError: ``agent-request.malformed``.
    """
    row = Fields.of_row(value, _WHAT)
    change = _change(row.integer(0), row)
    row.end()
    return change


def _index(row: Fields, position: int = 1) -> int:
    return row.integer(position, high=MAX_INDEX)


def _grants(row: Fields) -> tuple[bytes, ...] | None:
    if row.has(2):
        return row.raws(2, max_bytes=MAX_GRANT_BYTES)
    row.optional_raw(2)
    return None


def _put_drawer(row: Fields) -> PutDrawer:
    return PutDrawer(
        row.optional_integer(1, MAX_INDEX),
        row.text(2),
        row.optional_raw(3, max_bytes=MAX_DRAWER_BYTES),
        row.optional_raw(4, 32),
    )


def _take_identity_row(change: TakeIdentity) -> list[object]:
    origin = [change.scheme, change.index, change.recovery_key, change.recovery_generation, change.check]
    wanted = [change.wanted[0], dict(change.wanted[1])] if change.wanted is not None else None
    return [36, wanted, change.device, change.record, *origin, change.day, list(change.asked)]


def _wanted(row: Fields) -> tuple[str, tuple[tuple[str, str], ...]] | None:
    if not row.has(1):
        row.optional_raw(1)
        return None
    parts = Fields.of_row(row.items(1), _WHAT)
    wanted = parts.text(0), tuple(sorted(parts.text_map(1).items()))
    parts.end()
    return wanted


def _take_identity(row: Fields) -> TakeIdentity:
    return TakeIdentity(
        _wanted(row),
        row.raw(2, 32),
        row.raw(3, max_bytes=MAX_RECORD_BYTES),
        row.text(4, 16),
        row.integer(5, high=MAX_INDEX),
        row.raw(6, 32),
        row.integer(7, high=MAX_INDEX),
        row.raw(8, 16),
        row.integer(9),
        row.texts(10),
    )


def _flag_or_none(row: Fields, position: int) -> bool | None:
    value = row.optional_integer(position, 1)
    return bool(value) if value is not None else None


def _simple(value: object) -> Change:
    change = from_row(value)
    if isinstance(change, Several):
        raise FormatError(f"{_WHAT}.malformed", f"malformed {_WHAT}: several changes inside several")
    return change


def _change(kind: int, row: Fields) -> Change:
    match kind:
        case 1:
            return AddIdentity(row.text(1), row.optional_integer(2, MAX_INDEX), row.integer(3))
        case 2:
            return Rename(_index(row), row.text(2))
        case 3:
            return SetAttribute(_index(row), row.text(2), row.text(3), row.flag(4))
        case 4:
            return UnsetAttribute(_index(row), row.text(2))
        case 5:
            return Retire(_index(row), row.integer(2), row.integer(3))
        case 6:
            return PlanPublish(_index(row), row.texts(2), row.texts(3))
        case 7:
            return MarkStored(_index(row), row.integer(2), row.texts(3), row.integer(4))
        case 8:
            return Adopt(_index(row), row.optional_raw(2, max_bytes=MAX_RECORD_BYTES))
        case 9:
            return Remember(tuple(Seen.from_row(item, _WHAT) for item in row.items(1)))
        case 10:
            index = _index(row)
            return SetBindings(index, _grants(row))
        case 11:
            return SetShares(_index(row), tuple(Share.from_row(item, _WHAT) for item in row.items(2)))
        case 12:
            return RevokeDevices(_index(row), row.raws(2, 32))
        case 13:
            return _put_drawer(row)
        case 30:
            record = row.raw(3, max_bytes=MAX_RECORD_BYTES)
            return TakeFound(_index(row), row.integer(2), record, row.flag(4), row.texts(5))
        case 35:
            return TakeSigned(_index(row), row.raw(2, max_bytes=MAX_RECORD_BYTES), row.raw(3, 32))
        case 36:
            return _take_identity(row)
        case 37:
            return KeepDevices(row.raws(1, 32))
        case 60:
            return KeepSshKey(_index(row), _flag_or_none(row, 2))
        case 45:
            return KeepSplits(row.raws(1, max_bytes=MAX_PROOF_BYTES))
        case 46:
            return HealSplits(_index(row), row.raws(2, max_bytes=MAX_PROOF_BYTES), row.integer(3))
        case 55:
            plan = ApproverPlan.from_row(row.items(2), _WHAT)
            return SetApprovers(_index(row), plan, read_credentials(row.items(3), _WHAT))
        case 61:
            index, rows = _index(row), row.items(2)
            return SetSshCredentials(index, read_ssh_credentials(rows, _WHAT) if rows else ())
        case 14:
            return Several(tuple(_simple(item) for item in row.items(1)))
        case _:
            raise FormatError(
                f"{_WHAT}.unknown", f"unknown change {kind}", "lock and unlock the wallet: the agent may be older"
            )
