"""The key tree: which key lives at which path, for our own scheme and for those that are restored.

Spec: docs/spec/keys.md.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from nacl import bindings

from walletcli.core import x25519
from walletcli.core.ed25519 import SigningKey
from walletcli.core.hkdf import hkdf_sha512
from walletcli.core.secret import Secret
from walletcli.core.slip10 import Node, Path
from walletcli.core.slip13 import PURPOSE as SLIP13_PURPOSE
from walletcli.core.slip13 import identity_uri
from walletcli.errors import InputError, UsageError

if TYPE_CHECKING:
    from walletcli.core.bip39 import Mnemonic

PURPOSE: Final = 9791
"""BIP43 purpose of the key tree: U+263F, the sign of Mercury."""

MORPHEUS_PURPOSE: Final = 128164
"""Purpose that the later SDK used: U+1F4A4."""

MORPHEUS_PERSONA: Final = 0
"""The SDK's kind of key that stands for a person."""

MAX_INDEX: Final = 2147483646
"""Highest index of an identity; the one above it is the wallet index's."""

WALLET_INDEX_STEP: Final = 2147483647
"""Step below the purpose where the wallet index's keys are."""

MAX_GENERATION: Final = 2147483647
"""Highest generation of a key below an identity, and highest shard of the wallet index."""

WALLET_CHECK_BYTES: Final = 16
"""Length of `KeyTree.wallet_check`, bytes."""

_MERCURY_PASSPHRASE: Final = "morpheus"  # noqa: S105 - public, and the same for everybody
_RECOVERY_STEP: Final = 1
_I2P_STEP: Final = 2
_ONION_STEP: Final = 3
_RECOVERY_LABEL: Final = b"walletcli/recovery-recipient/x25519/1"
_WALLET_CHECK_LABEL: Final = b"walletcli/wallet-check/1"


class Scheme(StrEnum):
    """How words become keys."""

    WALLETCLI = "walletcli"
    """Ours: ``m/9791'/i'``, with the user's passphrase."""

    MERCURY = "mercury"
    """The original network's first clients: ``m/9791'/i'``, with a fixed passphrase."""

    MORPHEUS = "morpheus"
    """The original network's later SDK: ``m/128164'/0'/i'``, with the user's passphrase."""

    SLIP13 = "slip13"
    """That of hardware wallets with SLIP-0013 (Trezor): ``m/13'/…`` from a URI, with the user's passphrase."""


def scheme_seed(scheme: Scheme, mnemonic: Mnemonic, passphrase: Secret | None) -> Secret:
    """Return the 64-byte seed that `scheme` makes of the words.

    Args:
        scheme: which wallet the words come from.
        mnemonic: the words.
        passphrase: BIP39's extra input as UTF-8, or None.

    Raises:
        UsageError: `scheme.passphrase`: a passphrase given with the mercury scheme, which has a fixed one.
        InputError: `passphrase.encoding`: the passphrase is not UTF-8.
    """
    if scheme is Scheme.MERCURY:
        if passphrase is not None:
            raise UsageError(
                "scheme.passphrase", "the mercury scheme has a fixed passphrase", "leave the passphrase out"
            )
        passphrase = Secret.from_text(_MERCURY_PASSPHRASE)
    return mnemonic.seed(passphrase)


class KeyTree:
    """All keys that one seed gives.

    Args:
        seed: 16 to 64 bytes, 64 from BIP39.
        scheme: decides where identities are.

    Raises:
        FormatError: `seed.length`.
    """

    __slots__ = ("_above", "_identities", "_index", "_seed", "scheme")

    def __init__(self, seed: Secret, scheme: Scheme = Scheme.WALLETCLI) -> None:
        self.scheme: Final = scheme
        self._seed = seed
        master = Node.master(seed)
        prefix = _identity_prefix(scheme)
        self._above: Final = len(prefix)
        self._identities = master.descend(prefix)
        self._index = master.descend((PURPOSE, WALLET_INDEX_STEP))

    def __repr__(self) -> str:
        return f"KeyTree(scheme={self.scheme.value!r})"

    def identity_path(self, index: int) -> Path:
        """Return the derivation path of identity `index` (0 to `MAX_INDEX`).

        Raises:
            InputError: `identity.index`.
        """
        return identity_path(self.scheme, index)

    def root(self, index: int) -> SigningKey:
        """Return the root key of identity `index`.

        Raises:
            InputError: `identity.index`.
        """
        return SigningKey(self._identity(index).key)

    def root_public_keys(self, start: int, count: int) -> list[bytes]:
        """Return the root public keys of `count` identities from `start` on, 32 bytes each.

        Raises:
            InputError: `identity.index`.
        """
        if count < 1:
            return []
        _checked_index(start)
        _checked_index(start + count - 1)
        if self.scheme is Scheme.SLIP13:  # no two of them are neighbours
            return [self.root(index).public_key for index in range(start, start + count)]
        keypair = bindings.crypto_sign_seed_keypair
        return [keypair(key.reveal())[0] for key in self._identities.child_keys(start, count)]

    def recovery_secret(self, index: int, generation: int) -> Secret:
        """Return the X25519 private key (32 bytes, clamped where it is used) of an identity's recovery recipient.

        Raises:
            InputError: `identity.index` or `path.index`.
        """
        return hkdf_sha512(self._below(index, _RECOVERY_STEP, generation), _RECOVERY_LABEL, 32)

    def recovery_public_key(self, index: int, generation: int) -> bytes:
        """Return the X25519 public key (32 bytes) that goes with `recovery_secret`."""
        return x25519.public_key(self.recovery_secret(index, generation))

    def i2p_key(self, index: int, generation: int) -> SigningKey:
        """Return the long-term signing key of an identity's I2P destination.

        Raises:
            InputError: `identity.index` or `path.index`.
        """
        return SigningKey(self._below(index, _I2P_STEP, generation))

    def onion_key(self, index: int, generation: int) -> SigningKey:
        """Return the key of an identity's Tor v3 onion service.

        Raises:
            InputError: `identity.index` or `path.index`.
        """
        return SigningKey(self._below(index, _ONION_STEP, generation))

    def index_key(self, shard: int) -> SigningKey:
        """Return the key of a shard of the wallet index; the same place in every scheme.

        Raises:
            InputError: `path.index`.
        """
        return SigningKey(self._index.child(shard).key)

    def wallet_check(self) -> bytes:
        """Return 16 bytes that are equal for two trees if, and only if, their seeds are; not a secret.

        They let a restore or a backup check say "same words" without a key. They confirm a guess of the whole seed and
        nothing less, as any of its public keys does.
        """
        return hkdf_sha512(self._seed, _WALLET_CHECK_LABEL, WALLET_CHECK_BYTES).reveal()

    def _identity(self, index: int) -> Node:
        return self._identities.descend(identity_path(self.scheme, index)[self._above :])

    def _below(self, index: int, step: int, generation: int) -> Secret:
        return self._identity(index).descend((step, generation)).key


def identity_path(scheme: Scheme, index: int) -> Path:
    """Return the derivation path of identity `index` (0 to `MAX_INDEX`) in a scheme.

    Raises:
        InputError: `identity.index`.
    """
    if scheme is Scheme.SLIP13:
        return identity_uri(_checked_index(index)).path
    return (*_identity_prefix(scheme), _checked_index(index))


def _identity_prefix(scheme: Scheme) -> Path:
    """Return the steps that all identities of a scheme have in common."""
    if scheme is Scheme.SLIP13:
        return (SLIP13_PURPOSE,)
    return (MORPHEUS_PURPOSE, MORPHEUS_PERSONA) if scheme is Scheme.MORPHEUS else (PURPOSE,)


def _checked_index(index: int) -> int:
    if not 0 <= index <= MAX_INDEX:
        raise InputError("identity.index", f"the index of an identity is 0 to {MAX_INDEX}, found {index}")
    return index
