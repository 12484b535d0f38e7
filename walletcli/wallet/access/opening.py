"""Opens the vault in this process: by the keyring, a security key that is plugged in, or the password."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from walletcli.core.secret import Secret
from walletcli.errors import VaultError, WalletError
from walletcli.vault.factors import Factor, KeyringFactor, PasswordFactor
from walletcli.vault.file import Vault
from walletcli.vault.hardening import harden_process
from walletcli.vault.kinds import FIDO2, KEYRING, PASSWORD
from walletcli.vault.slots import SlotInfo
from walletcli.vault.unopened import describe
from walletcli.wallet.access.keeper import Keeper
from walletcli.wallet.access.local_session import LocalSession
from walletcli.wallet.home import Home, PasswordSource


def open_here(home: Home, password: PasswordSource | None) -> LocalSession:
    """Open the wallet in this process.

    Raises:
        VaultError: ``wallet.missing``, ``wallet.locked`` if there is nobody to ask, ``vault.*``, ``slot.*``.
    """
    vault = open_vault(home, password)
    notices = tuple(f"{notice.message}; {notice.hint}" for notice in vault.notices)
    return LocalSession(home, Keeper(vault, home.vault_path, home=home), notices)


def open_vault(home: Home, password: PasswordSource | None) -> Vault:
    """Open the vault itself, for what needs its data key or its slots.

    Raises:
        VaultError: as `open_here`.
    """
    home.require()
    harden_process()  # from here on this process may hold the seed
    path = Path(home.vault_path)
    slots = describe(path).slots
    refused: WalletError | None = None
    if any(slot.kinds == (KEYRING,) for slot in slots):
        try:
            return Vault.unlock(path, [keyring_factor()])
        except VaultError as error:
            if not error.code.startswith(("keyring.", "slot.")):
                raise
            refused = error
    if password is None:
        raise _locked(refused)
    if home.keys is not None and has_key_slot(slots):
        from walletcli.wallet.access.by_key import open_by_key

        opened = open_by_key(path, slots, home.keys, password)
        if opened is not None:
            return opened
    if not any(PASSWORD in slot.kinds and FIDO2 not in slot.kinds for slot in slots):
        raise _locked(refused)
    factors: list[Factor] = [PasswordFactor(password())]
    if any(PASSWORD in slot.kinds and KEYRING in slot.kinds for slot in slots):
        factors.append(keyring_factor())
    return Vault.unlock(path, factors)


def _locked(refused: WalletError | None) -> VaultError:
    why = f": {refused.message}" if refused is not None else ""
    return VaultError("wallet.locked", f"the wallet is locked{why}", "walletcli wallet unlock, or give --password-file")


def keeper_with_key(home: Home, data_key: Secret) -> Keeper:
    """Open the wallet with the data key of its vault (32 bytes).

    Raises:
        VaultError: ``vault.*``.
    """
    return Keeper(Vault.open_with_key(Path(home.vault_path), data_key), home.vault_path)


def keyring_factor() -> KeyringFactor:
    """Return the factor that the operating system's keyring holds; nothing is asked of it yet."""
    from walletcli.vault.os_keyring import OsKeyring

    return KeyringFactor(OsKeyring())


def has_keyring_slot(slots: tuple[SlotInfo, ...]) -> bool:
    """Tell whether any slot has left an entry in the keyring."""
    return any(KEYRING in slot.kinds for slot in slots)


def has_key_slot(slots: Sequence[SlotInfo]) -> bool:
    """Tell whether any slot asks for a security key."""
    return any(FIDO2 in slot.kinds for slot in slots)
