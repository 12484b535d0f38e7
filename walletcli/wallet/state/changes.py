"""The changes that a wallet's state goes through, as typed values that travel to whoever holds the open vault.

They carry what a user decides and no secret. `walletcli.wallet.state.transitions` says what each does.

Spec: docs/spec/agent.md, "Changes".
"""

from __future__ import annotations

from dataclasses import dataclass

from walletcli.wallet.state.approvers import ApproverPlan, Credential
from walletcli.wallet.state.ssh_credentials import SshCredential
from walletcli.wallet.state.view import Share
from walletcli.wallet.state.wallet_view import Seen


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
class SetSshCredentials:
    """Have these SSH keys on security keys, and no others. The agent does not take this."""

    index: int
    credentials: tuple[SshCredential, ...]


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
    | SetSshCredentials
    | Several
)
