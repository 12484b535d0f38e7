"""The changes that a wallet's state goes through, as typed values that travel to whoever holds the open vault.

They carry what a user decides and no secret. `walletcli.wallet.transitions` says what each does.

Spec: docs/spec/agent.md, "Changes".
"""

from __future__ import annotations

from dataclasses import dataclass

from walletcli.errors import FormatError
from walletcli.wallet.fields import Fields
from walletcli.wallet.view import MAX_INDEX
from walletcli.wallet.wallet_view import Seen

MAX_RECORD_BYTES = 70_000
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


Change = AddIdentity | Rename | SetAttribute | UnsetAttribute | Retire | PlanPublish | MarkStored | Adopt | Remember


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
        case _:
            raise FormatError(
                f"{_WHAT}.unknown", f"unknown change {kind}", "lock and unlock the wallet: the agent may be older"
            )
