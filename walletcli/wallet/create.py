"""Makes a wallet: draws the words, and seals what they give into a new vault."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass
from pathlib import Path

from walletcli.core import dice
from walletcli.core.bip39 import Mnemonic
from walletcli.core.keys import KeyTree, Scheme, scheme_seed
from walletcli.core.secret import Secret
from walletcli.errors import UsageError, WalletError
from walletcli.vault import unopened
from walletcli.vault.factors import Factor, PasswordFactor
from walletcli.vault.file import Vault
from walletcli.vault.kdf import KdfParameters
from walletcli.wallet.access.opening import keyring_factor
from walletcli.wallet.home import Home
from walletcli.wallet.state.wallet_state import WalletState
from walletcli.wallet.state.wallet_view import WalletFacts, WalletView
from walletcli.wallet.status import WalletStatus, wallet_status

MAKING_SUFFIX = ".making"
"""Ending of the name of a vault that does not have all its slots yet."""

_ENTROPY_BYTES = {12: 16, 15: 20, 18: 24, 21: 28, 24: 32}
_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class NewMnemonic:
    """New words, not yet used.

    Attributes:
        mnemonic: the words.
        os_entropy: the operating system's share, if rolls were mixed in: with them it gives the words.
        recipe: how to recompute the words from that share and the rolls, or None.
    """

    mnemonic: Mnemonic
    os_entropy: Secret | None
    recipe: str | None


@dataclass(frozen=True, slots=True)
class NewSlots:
    """What is to open a new vault: a password, the keyring, or either of the two.

    Attributes:
        password: of a slot of its own, or None for no such slot.
        keyring: whether the operating system's keyring opens it.
        kdf: how much a guess at the password costs, or None for the default.

    Raises:
        UsageError: ``slot.none`` if nothing would open it.
    """

    password: Secret | None
    keyring: bool = False
    kdf: KdfParameters | None = None

    def __post_init__(self) -> None:
        if self.password is None and not self.keyring:
            raise UsageError("slot.none", "nothing would open the vault", "choose a password, the keyring, or both")

    def factors(self) -> list[Factor]:
        """Return one factor for each slot; the keyring first, for it is the one that may refuse."""
        keyring: list[Factor] = [keyring_factor()] if self.keyring else []
        return keyring + ([PasswordFactor(self.password, self.kdf)] if self.password is not None else [])


def new_mnemonic(
    word_count: int = 24, language: str = "english", rolls: str | None = None, kind: str = "dice"
) -> NewMnemonic:
    """Draw words from the operating system's entropy, mixed with rolls if there are any.

    Args:
        word_count: 12, 15, 18, 21 or 24.
        language: of the word list.
        rolls: what was thrown, as `walletcli.core.dice` reads it.
        kind: dice or coin.

    Raises:
        UsageError: ``mnemonic.word-count``.
        InputError: ``mnemonic.*``, ``dice.*``.
    """
    length_bytes = _ENTROPY_BYTES.get(word_count)
    if length_bytes is None:
        raise UsageError("mnemonic.word-count", f"{word_count} words are not possible", "choose 12, 15, 18, 21 or 24")
    if rolls is None:
        return NewMnemonic(Mnemonic.from_entropy(Secret(os.urandom(length_bytes)), language), None, None)
    os_entropy = Secret(os.urandom(dice.OS_ENTROPY_BYTES))
    entropy = dice.mix(os_entropy, rolls, kind, length_bytes)
    return NewMnemonic(Mnemonic.from_entropy(entropy, language), os_entropy, dice.recipe(kind, length_bytes))


def create_wallet(
    home: Home,
    mnemonic: Mnemonic,
    slots: NewSlots,
    passphrase: Secret | None = None,
    scheme: str = Scheme.WALLETCLI.value,
) -> WalletStatus:
    """Make a wallet from new words. It is on disk when this returns.

    Args:
        home: where; the directory is made if it is not there.
        mnemonic: the words.
        slots: what opens it.
        passphrase: BIP39's extra input, or None.
        scheme: ``walletcli``, or ``slip13`` for words that a hardware wallet is to be given as well.

    Raises:
        VaultError: ``vault.exists``, ``vault.busy``, ``keyring.*``.
        StorageError: ``home.unusable``, ``storage.*``.
    """
    return make_wallet(home, first_state(mnemonic, passphrase, Scheme(scheme), restored=False), slots)


def first_state(mnemonic: Mnemonic, passphrase: Secret | None, scheme: Scheme, *, restored: bool) -> WalletState:
    """Return the state of a wallet without identities.

    Raises:
        UsageError: ``scheme.passphrase``.
        InputError: ``passphrase.encoding``.
    """
    seed = scheme_seed(scheme, mnemonic, passphrase)
    check = KeyTree(seed, scheme).wallet_check()
    day = int(time.time()) // _DAY_S
    public = WalletView(scheme.value, mnemonic.language, mnemonic.word_count, check, day, restored, (), {})
    return WalletState(seed, {}, public)


def create_watch_wallet(home: Home, slots: NewSlots) -> WalletStatus:
    """Make a wallet without words: its identities' root keys are on another machine, which answers its requests.

    Raises:
        VaultError: ``vault.exists``, ``vault.busy``, ``keyring.*``.
        StorageError: ``home.unusable``, ``storage.*``.
    """
    day = int(time.time()) // _DAY_S
    public = WalletView(Scheme.WALLETCLI.value, "", 0, b"", day, False, (), {}, watch=True)
    return make_wallet(home, WalletState(None, {}, public), slots)


def make_wallet(home: Home, state: WalletState, slots: NewSlots) -> WalletStatus:
    """Seal `state` into a new vault with all its slots, or leave nothing behind.

    Raises:
        VaultError: ``vault.exists``, ``vault.busy``, ``keyring.*``.
        StorageError: ``home.unusable``, ``storage.*``.
    """
    vault = make_vault(home, state, slots)
    public = state.public
    facts = WalletFacts(
        public.scheme,
        public.language,
        public.word_count,
        public.check,
        public.created_day,
        public.restored,
        0,
        vault.generation,
        public.watch,
    )
    return wallet_status(home).with_facts(facts)


def make_vault(home: Home, state: WalletState, slots: NewSlots) -> Vault:
    """Seal `state` into a new vault with all its slots, or leave nothing behind.

    Returns:
        The vault, open.

    Raises:
        VaultError: ``vault.exists``, ``vault.busy``, ``keyring.*``.
        StorageError: ``home.unusable``, ``storage.*``.
    """
    home.make()
    first, *others = slots.factors()
    path = Path(home.vault_path)
    if others:
        return _make_in_steps(path, state, first, others)
    return Vault.create(path, state.to_bytes(), [first])


def _make_in_steps(path: Path, state: WalletState, first: Factor, others: list[Factor]) -> Vault:
    """Make the vault under another name until it has all its slots, so that a crash leaves none or a whole one."""
    making = path.with_name(path.name + MAKING_SUFFIX)
    if path.exists():  # before a keyring or a slow hash is asked for anything; the import below checks again
        Vault.create(path, b"", [first])
    with contextlib.suppress(WalletError):
        unopened.wipe(making)  # left over by a crash
    vault = Vault.create(making, state.to_bytes(), [first])
    try:
        for factor in others:
            vault.add_slot([factor])
        unopened.import_sealed(path, unopened.export_sealed(making))
    except BaseException:
        unopened.wipe(making, [first])
        raise
    unopened.wipe(making)
    return Vault.open_with_key(path, vault.data_key)
