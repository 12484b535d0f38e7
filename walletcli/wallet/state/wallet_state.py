"""What the vault holds: the secrets, and beside them the public half that an agent may show.

Spec: docs/spec/wallet-state.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise

from walletcli.core import cbor
from walletcli.core.secret import Secret
from walletcli.errors import FormatError
from walletcli.wallet.state.fields import Fields
from walletcli.wallet.state.view import MAX_DRAWER_BYTES, MAX_INDEX
from walletcli.wallet.state.wallet_view import WalletView

VERSION = 1
"""Version of the format."""

SEED_BYTES = 64
"""Length of the BIP39 seed."""

DEVICE_SEED_BYTES = 32
"""Length of each device key's private half."""

DRAWER_NAME = re.compile(r"[a-z][a-z-]{0,31}")
"""Names of drawers."""

MAX_STATE_BYTES = 256 << 20
"""Longest encoded state: some sixty thousand identities with a record each."""

_WHAT = "wallet-state"


@dataclass(frozen=True, slots=True)
class DeviceSecrets:
    """The private halves of this device's keys for one identity; random, never derived from the seed.

    Attributes:
        signing: Ed25519 seed, 32 bytes.
        sealing: X25519 scalar, 32 bytes.
    """

    signing: Secret
    sealing: Secret


DrawerKey = tuple[int, str]
"""Which drawer: the index of an identity (-1: the whole wallet's), and a name."""

WALLET_DRAWER = -1
"""Stands for the wallet in place of an identity's index."""


@dataclass(frozen=True, slots=True)
class WalletState:
    """Everything that a wallet knows.

    Attributes:
        seed: the BIP39 seed, 64 bytes; None in a watch wallet.
        devices: this device's secrets by identity index; exactly one entry for each identity.
        public: the rest; holds no secret key.
        drawers: named parts, each in a format of its own; an identity's ones go with it.
        waiting: secrets of devices that a request asks to enrol, by signing key (32 bytes).
        ssh: Ed25519 seeds (32 bytes) of SSH keys by identity index; exactly of those that have one.
    """

    seed: Secret | None
    devices: dict[int, DeviceSecrets]
    public: WalletView
    drawers: dict[DrawerKey, bytes] = field(default_factory=dict)
    waiting: dict[bytes, DeviceSecrets] = field(default_factory=dict)
    ssh: dict[int, Secret] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.seed is None) != self.public.watch:
            raise FormatError(f"{_WHAT}.malformed", "malformed wallet-state: a watch wallet, and no other, has no seed")
        indices = [identity.index for identity in self.public.identities]
        if indices != sorted(set(indices)) or set(indices) != self.devices.keys():
            raise FormatError(f"{_WHAT}.malformed", "malformed wallet-state: identities and device keys do not match")
        if not {index for index, _ in self.drawers} <= {WALLET_DRAWER, *indices}:
            raise FormatError(f"{_WHAT}.malformed", "malformed wallet-state: a drawer of an identity that is not held")
        if self.ssh.keys() != {identity.index for identity in self.public.identities if identity.ssh_key is not None}:
            raise FormatError(f"{_WHAT}.malformed", "malformed wallet-state: identities and SSH keys do not match")

    def to_bytes(self) -> bytes:
        """Encode the state. The result holds every secret: it goes into the vault and nowhere else."""
        devices = [_to_row(index, keys) for index, keys in sorted(self.devices.items())]
        fields: dict[int, object] = {1: VERSION, 3: devices, 4: self.public.to_cbor()}
        if self.seed is not None:
            fields[2] = self.seed.reveal()
        if self.drawers:
            fields[5] = [[*key, data] for key, data in sorted(self.drawers.items())]
        if self.waiting:
            fields[6] = [_to_row(key, keys) for key, keys in sorted(self.waiting.items())]
        if self.ssh:
            fields[7] = [[index, seed.reveal()] for index, seed in sorted(self.ssh.items())]
        return cbor.encode(fields)

    @classmethod
    def from_bytes(cls, data: bytes) -> WalletState:
        """Decode a state.

        Raises:
            FormatError: ``wallet-state.unknown-version``, ``wallet-state.*``, ``wallet-view.*`` or ``cbor.*``.
        """
        fields = Fields(cbor.decode(data, MAX_STATE_BYTES), _WHAT)
        if fields.integer(1) != VERSION:
            raise FormatError(
                f"{_WHAT}.unknown-version", "the vault was written by a newer version of walletcli", "update walletcli"
            )
        seed = Secret(fields.raw(2, SEED_BYTES)) if fields.has(2) else None
        devices = fields.keyed_rows(3, _device)
        public = WalletView.from_cbor(fields.fields(4))
        drawers = _drawers(fields.items(5)) if fields.has(5) else {}
        waiting = fields.keyed_rows(6, _waiting) if fields.has(6) else None
        ssh = fields.keyed_rows(7, _ssh) if fields.has(7) else None
        fields.end()
        if {} in (waiting, ssh):
            raise FormatError(f"{_WHAT}.malformed", "malformed wallet-state: a list of no devices")
        return cls(seed, devices, public, drawers, waiting or {}, ssh or {})


def _to_row(key: int | bytes, keys: DeviceSecrets) -> list[object]:
    return [key, keys.signing.reveal(), keys.sealing.reveal()]


def _drawers(rows: list[object]) -> dict[DrawerKey, bytes]:
    """Read drawers that stand in the order of their keys, each once."""
    found = [_drawer(item) for item in rows]
    if not found or any(first[0] >= second[0] for first, second in pairwise(found)):
        raise FormatError(f"{_WHAT}.malformed", "malformed wallet-state: drawers are repeated or out of order")
    return dict(found)


def _drawer(item: object) -> tuple[DrawerKey, bytes]:
    row = Fields.of_row(item, _WHAT)
    key = row.integer(0, WALLET_DRAWER, MAX_INDEX), row.text(1)
    data = row.raw(2, max_bytes=MAX_DRAWER_BYTES)
    row.end()
    if not DRAWER_NAME.fullmatch(key[1]):
        raise FormatError(f"{_WHAT}.malformed", "malformed wallet-state: the name of a drawer")
    return key, data


def _device(item: object) -> tuple[int, DeviceSecrets]:
    row = Fields.of_row(item, _WHAT)
    index = row.integer(0, high=MAX_INDEX)
    return index, _secrets(row)


def _waiting(item: object) -> tuple[bytes, DeviceSecrets]:
    row = Fields.of_row(item, _WHAT)
    signing_key = row.raw(0, 32)
    return signing_key, _secrets(row)


def _ssh(item: object) -> tuple[int, Secret]:
    row = Fields.of_row(item, _WHAT)
    found = row.integer(0, high=MAX_INDEX), Secret(row.raw(1, DEVICE_SEED_BYTES))
    row.end()
    return found


def _secrets(row: Fields) -> DeviceSecrets:
    secrets = DeviceSecrets(Secret(row.raw(1, DEVICE_SEED_BYTES)), Secret(row.raw(2, DEVICE_SEED_BYTES)))
    row.end()
    return secrets
