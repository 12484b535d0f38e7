"""What an open wallet may show: everything but the seed and the private halves of device keys.

The agent gives these values to any program of its user, so nothing here may ever hold a secret key. They are still
private (labels, sealed attributes): they live in the vault and in memory, never in clear on disk.

Spec: docs/spec/wallet-state.md, "Public half".
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field

from walletcli.core import cbor
from walletcli.errors import InputError
from walletcli.wallet.state.approvers import ApproverPlan, Credential, read_credentials
from walletcli.wallet.state.fields import Fields
from walletcli.wallet.state.kept_splits import Healing, read_healings
from walletcli.wallet.state.ssh_credentials import SshCredential
from walletcli.wallet.state.ssh_credentials import read_credentials as read_ssh_credentials
from walletcli.wallet.state.summary import IdentitySummary

MAX_INDEX = 2**31 - 2
"""Largest identity index: the one after it holds the wallet index (docs/spec/keys.md)."""

MAX_RECIPIENTS = 14
"""Most contacts' devices that one share is sealed to: the owner's device and the recovery recipient read it, too."""

MAX_DRAWER_BYTES = 32 << 20
"""Largest drawer of the vault."""

MAX_GRANT_BYTES = 4096
"""Longest grant (docs/spec/record.md)."""

_WHAT = "wallet-view"


@dataclass(frozen=True, slots=True)
class Stored:
    """Where the latest record has been stored.

    Attributes:
        seq: `seq` of that record.
        relays: addresses that acknowledged it.
        day: day of the last publish, days since 1970-01-01 UTC.
    """

    seq: int
    relays: tuple[str, ...]
    day: int


@dataclass(frozen=True, slots=True)
class Retired:
    """The owner's decision to end an identity; signed with the next record.

    Attributes:
        day: days since 1970-01-01 UTC.
        reason: index into the reasons of docs/spec/record.md.
    """

    day: int
    reason: int


@dataclass(frozen=True, slots=True)
class Share:
    """Attributes that the owner lets some contacts read: one sealed section of the document.

    Attributes:
        names: of the attributes, ascending.
        recipients: X25519 public keys of the contacts' devices, 32 bytes each, ascending; at most `MAX_RECIPIENTS`.
    """

    names: tuple[str, ...]
    recipients: tuple[bytes, ...]

    def to_row(self) -> list[object]:
        """Return the CBOR list that stands for the share."""
        return [list(self.names), list(self.recipients)]

    @classmethod
    def from_row(cls, value: object, what: str) -> Share:
        """Read the list that `to_row` wrote; raises FormatError ``WHAT.malformed``."""
        row = Fields.of_row(value, what)
        share = cls(row.texts(0), row.raws(1, 32))
        row.end()
        return share


@dataclass(frozen=True, slots=True)
class IdentityView:
    """The public half of one identity.

    Attributes:
        index: identity index in the key tree.
        public_key: root public key, 32 bytes.
        label: local name.
        created_day: days since 1970-01-01 UTC; never published.
        device_signing_key: Ed25519 public key of this device, 32 bytes.
        device_sealing_key: X25519 public key of this device, 32 bytes.
        recovery_key: X25519 public key of the recovery recipient, 32 bytes.
        recovery_generation: its generation.
        profile: attributes that are published in clear.
        sealed_profile: attributes that are published sealed to the owner.
        retired: set once the owner has retired it.
        changed: something is newer here than in `record`.
        unseen: made from restored words, and not yet looked up: it may have a record out there.
        record: latest signed record (file form), or None before the first.
        stored: where that record has been stored, or None.
        contacted: relays that have ever been told of this identity by this wallet.
        accepted_links: linking settings that the user accepted for it.
        path: derivation path of the root key.
        bindings: grants that the next document has; None: those of the last one.
        shares: what some contacts may read.
        revoked: signing keys of devices that the next document leaves out.
        healing: splits that the next document heals.
        approvers: who is to approve from the next document on; None: nothing was decided.
        credentials: how its approvers are asked, ascending by key.
        ssh_key: this device's SSH key (Ed25519, 32 bytes), or None while nobody has asked for it.
        names_ssh_key: the owner wants documents to name it.
        ssh_credentials: its SSH keys on security keys, ascending by key.
    """

    index: int
    public_key: bytes
    label: str
    created_day: int
    device_signing_key: bytes
    device_sealing_key: bytes
    recovery_key: bytes
    recovery_generation: int
    profile: dict[str, str]
    sealed_profile: dict[str, str]
    retired: Retired | None
    changed: bool
    unseen: bool
    record: bytes | None
    stored: Stored | None
    contacted: tuple[str, ...]
    accepted_links: tuple[str, ...]
    path: str
    bindings: tuple[bytes, ...] | None = None
    shares: tuple[Share, ...] = ()
    revoked: tuple[bytes, ...] = ()
    healing: tuple[Healing, ...] = ()
    approvers: ApproverPlan | None = None
    credentials: tuple[Credential, ...] = ()
    ssh_key: bytes | None = None
    names_ssh_key: bool = False
    ssh_credentials: tuple[SshCredential, ...] = ()
    _encoded: list[cbor.Encoded] = field(default_factory=list, init=False, compare=False, repr=False)

    @property
    def label_word(self) -> str:
        """The label as one word of a shell's command line, for hints that are to be typed as they stand."""
        return shlex.quote(self.label)

    def summary(self) -> IdentitySummary:
        """Return the identity as a line of a list."""
        published, retired = self.stored is not None, self.retired is not None
        return IdentitySummary.of(
            self.index, self.public_key, self.path, self.label, published=published, retired=retired
        )

    def to_json(self) -> dict[str, object]:
        """Return the summary and what else the owner may want to know."""
        stored = self.stored
        return {
            **self.summary().to_json(),
            "profile": dict(self.profile),
            "sealed_profile": dict(self.sealed_profile),
            "device": {"signing_key": self.device_signing_key.hex(), "sealing_key": self.device_sealing_key.hex()},
            "recovery_key": self.recovery_key.hex(),
            "stored": {"seq": stored.seq, "relays": list(stored.relays), "day": stored.day}
            if stored is not None
            else None,
            "changed": self.changed,
            "accepted_links": list(self.accepted_links),
        }

    def encoded(self) -> cbor.Encoded:
        """Return the encoded public half; made once, for most identities of a large wallet never change."""
        if not self._encoded:
            self._encoded.append(cbor.Encoded(cbor.encode(self.to_cbor())))
        return self._encoded[0]

    def to_cbor(self) -> dict[int, object]:
        """Return the CBOR map of the public half."""
        fields: dict[int, object] = {
            1: self.index,
            2: self.public_key,
            3: self.label,
            4: self.created_day,
            5: self.device_signing_key,
            6: self.device_sealing_key,
            7: self.recovery_key,
            8: self.recovery_generation,
            9: self.profile,
            10: self.sealed_profile,
            12: self.changed,
            13: self.unseen,
            16: list(self.contacted),
            17: list(self.accepted_links),
            18: self.path,
        }
        if self.retired is not None:
            fields[11] = {1: self.retired.day, 2: self.retired.reason}
        if self.record is not None:
            fields[14] = self.record
        if self.stored is not None:
            fields[15] = {1: self.stored.seq, 2: list(self.stored.relays), 3: self.stored.day}
        if self.bindings is not None:
            fields[19] = list(self.bindings)
        if self.shares:
            fields[20] = [share.to_row() for share in self.shares]
        if self.revoked:
            fields[21] = list(self.revoked)
        if self.healing:
            fields[38] = [item.to_row() for item in self.healing]
        if self.approvers is not None:
            fields[40] = self.approvers.to_row()
        if self.credentials:
            fields[41] = [item.to_row() for item in self.credentials]
        if self.ssh_key is not None:
            fields[43] = self.ssh_key
        if self.names_ssh_key:
            fields[44] = True
        if self.ssh_credentials:
            fields[47] = [item.to_row() for item in self.ssh_credentials]
        return fields

    @classmethod
    def from_cbor(cls, value: object) -> IdentityView:
        """Read the CBOR map of the public half.

        Raises:
            FormatError: ``wallet-view.malformed``.
        """
        fields = Fields(value, _WHAT)
        view = cls(
            index=fields.integer(1, high=MAX_INDEX),
            public_key=fields.raw(2, 32),
            label=fields.text(3),
            created_day=fields.integer(4),
            device_signing_key=fields.raw(5, 32),
            device_sealing_key=fields.raw(6, 32),
            recovery_key=fields.raw(7, 32),
            recovery_generation=fields.integer(8),
            profile=fields.text_map(9),
            sealed_profile=fields.text_map(10),
            retired=_retired(fields.fields(11)) if fields.has(11) else None,
            changed=fields.flag(12),
            unseen=fields.flag(13),
            record=fields.raw(14) if fields.has(14) else None,
            stored=_stored(fields.fields(15)) if fields.has(15) else None,
            contacted=fields.texts(16),
            accepted_links=fields.texts(17),
            path=fields.text(18),
            bindings=fields.raws(19, max_bytes=MAX_GRANT_BYTES) if fields.has(19) else None,
            shares=tuple(Share.from_row(item, _WHAT) for item in fields.items(20)) if fields.has(20) else (),
            revoked=fields.raws(21, 32) if fields.has(21) else (),
            healing=read_healings(fields, 38, _WHAT),
            approvers=ApproverPlan.from_row(fields.items(40), _WHAT) if fields.has(40) else None,
            credentials=read_credentials(fields.items(41), _WHAT) if fields.has(41) else (),
            ssh_key=fields.raw(43, 32) if fields.has(43) else None,
            names_ssh_key=fields.present(44),
            ssh_credentials=read_ssh_credentials(fields.items(47), _WHAT) if fields.has(47) else (),
        )
        fields.end()
        return view


def _retired(fields: Fields) -> Retired:
    retired = Retired(fields.integer(1), fields.integer(2))
    fields.end()
    return retired


def _stored(fields: Fields) -> Stored:
    stored = Stored(fields.integer(1), fields.texts(2), fields.integer(3))
    fields.end()
    return stored


def unknown_identity(who: str) -> InputError:
    """Return the error for an identity that this wallet does not hold."""
    return InputError("identity.unknown", f"this wallet holds no identity {who}", "see: walletcli identity list")
