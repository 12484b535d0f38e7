"""The changes that a wallet's state goes through, as typed values that travel to whoever holds the open vault.

They carry what a user decides and no secret. `walletcli.wallet.state.transitions` says what each does.

Spec: docs/spec/agent.md, "Changes".
"""

from __future__ import annotations

from dataclasses import dataclass

from walletcli.core.equivocation import MAX_PROOF_BYTES
from walletcli.errors import FormatError
from walletcli.wallet.state.approvers import ApproverPlan, Credential, read_credentials
from walletcli.wallet.state.fields import Fields
from walletcli.wallet.state.view import MAX_DRAWER_BYTES, MAX_GRANT_BYTES, MAX_INDEX, Share
from walletcli.wallet.state.wallet_view import Seen

MAX_RECORD_BYTES = 70_000 + 16_384
"""Longest record file."""

_WHAT = "agent-request"


@dataclass(frozen=True, slots=True)
class AddIdentity:
    """Hold one more identity; `index` None takes the lowest that is above all others."""

    label: str
    index: int | None
    day: int


@dataclass(frozen=True, slots=True)
class Rename:
    """Give an identity another label."""

    index: int
    label: str


@dataclass(frozen=True, slots=True)
class SetAttribute:
    """Set an attribute of the profile, public or sealed; it leaves the other half."""

    index: int
    name: str
    value: str
    sealed: bool


@dataclass(frozen=True, slots=True)
class UnsetAttribute:
    """Remove an attribute from whichever half holds it."""

    index: int
    name: str


@dataclass(frozen=True, slots=True)
class Retire:
    """Decide that an identity ends; the next record says so to everybody. `reason` as in docs/spec/record.md."""

    index: int
    day: int
    reason: int


@dataclass(frozen=True, slots=True)
class PlanPublish:
    """Remember, before any of it happens, which relays will learn of an identity and what links were accepted."""

    index: int
    relays: tuple[str, ...]
    accepted_links: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MarkStored:
    """Remember that relays acknowledged the record with this `seq`."""

    index: int
    seq: int
    relays: tuple[str, ...]
    day: int


@dataclass(frozen=True, slots=True)
class Adopt:
    """Continue from a record of this identity that was found on the network; None: none was found."""

    index: int
    record: bytes | None


@dataclass(frozen=True, slots=True)
class Remember:
    """Remember the newest that was verified of identities, by root public key (32 bytes)."""

    seen: tuple[tuple[bytes, Seen], ...]


@dataclass(frozen=True, slots=True)
class SetBindings:
    """Decide which grants the next document has, each 1 to 4096 bytes; None: leave those of the last one."""

    index: int
    grants: tuple[bytes, ...] | None


@dataclass(frozen=True, slots=True)
class SetShares:
    """Decide which attributes contacts may read from the next document on; replaces what was decided before."""

    index: int
    shares: tuple[Share, ...]


@dataclass(frozen=True, slots=True)
class RevokeDevices:
    """Leave other devices (signing keys of 32 bytes) out of the next document."""

    index: int
    devices: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class KeepSplits:
    """Remember splits that were met, by proof file; each is verified."""

    proofs: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class HealSplits:
    """Decide that the next record of an identity heals splits of it.

    Attributes:
        index: identity index.
        proofs: proof files; each is verified.
        above_seq: the healing record gets a `seq` above this, too: something later has been seen that does not heal.
    """

    index: int
    proofs: tuple[bytes, ...]
    above_seq: int = 0


@dataclass(frozen=True, slots=True)
class PutDrawer:
    """Replace a drawer if it still is what was read.

    Attributes:
        index: of the identity, or None for the wallet's own.
        name: of the drawer.
        data: up to 32 MiB, or None to remove it.
        before: SHA-256 of what was read (32 bytes), or None if it was not there.
    """

    index: int | None
    name: str
    data: bytes | None
    before: bytes | None


@dataclass(frozen=True, slots=True)
class TakeFound:
    """Hold an identity whose record was found after a restore, or continue from that record where it is newer.

    It gets the label of its owner's section.

    Attributes:
        index: identity index.
        day: of today, days since 1970-01-01 UTC.
        record: what was found, in file form.
        is_fresh: enough independent sources were asked, so that something may be signed on top of it.
        contacted: the relays that were asked for it.
    """

    index: int
    day: int
    record: bytes
    is_fresh: bool
    contacted: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TakeSigned:
    """Go on with a record that the root signed on another machine, as this wallet had asked.

    Attributes:
        index: identity index.
        record: in file form; it follows the record that the wallet has.
        decisions: hash of what had been decided when the request was made (32 bytes): what was decided since is in no
            record yet.
    """

    index: int
    record: bytes
    decisions: bytes


@dataclass(frozen=True, slots=True)
class TakeIdentity:
    """Hold an identity whose root is on another machine, with a device that waited for its record.

    Attributes:
        wanted: label and sealed attributes that its owner's section has to say; None: whatever it says.
        device: signing key of the waiting device, 32 bytes.
        record: in file form.
        scheme: restore scheme of the words.
        index: identity index.
        recovery_key: X25519 public key of the recovery recipient, 32 bytes.
        recovery_generation: its generation.
        check: 16 bytes that the same words and passphrase always give.
        day: of today, days since 1970-01-01 UTC.
        asked: relays that were asked about it.
    """

    wanted: tuple[str, tuple[tuple[str, str], ...]] | None
    device: bytes
    record: bytes
    scheme: str
    index: int
    recovery_key: bytes
    recovery_generation: int
    check: bytes
    day: int
    asked: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KeepDevices:
    """Forget all devices that wait for an answer but these, by signing key (32 bytes); refused if one is gone."""

    keys: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class KeepSshKey:
    """Have an SSH key: draw it if there is none. `named`: whether documents name it; None: as it is."""

    index: int
    named: bool | None = None


@dataclass(frozen=True, slots=True)
class SetApprovers:
    """Decide who is to approve, and keep how they are asked. The agent does not take this."""

    index: int
    plan: ApproverPlan
    credentials: tuple[Credential, ...]


@dataclass(frozen=True, slots=True)
class Several:
    """Make several changes at once, in this order, or none of them."""

    changes: tuple[Change, ...]


Change = (
    AddIdentity
    | Rename
    | SetAttribute
    | UnsetAttribute
    | Retire
    | PlanPublish
    | MarkStored
    | Adopt
    | Remember
    | SetBindings
    | SetShares
    | RevokeDevices
    | KeepSplits
    | HealSplits
    | PutDrawer
    | TakeFound
    | TakeSigned
    | TakeIdentity
    | KeepDevices
    | KeepSshKey
    | SetApprovers
    | Several
)


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
        case 14:
            return Several(tuple(_simple(item) for item in row.items(1)))
        case _:
            raise FormatError(
                f"{_WHAT}.unknown", f"unknown change {kind}", "lock and unlock the wallet: the agent may be older"
            )
