"""Factors: what a user shows to open a slot, and how it becomes 32 bytes.

A slot asks for one or more; the outputs of all of them together wrap its key. A new kind needs a class with the members
of `Factor`, here or in a layer above, and its line in `kinds`.

Spec: docs/spec/vault.md, "Kinds of factor".
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Final, Protocol

from walletcli.core.secret import Secret
from walletcli.errors import InputError, VaultError
from walletcli.vault.kdf import SALT_BYTES, KdfParameters, argon2id
from walletcli.vault.keys import KEY_BYTES, Entropy
from walletcli.vault.kinds import ENTRY_BYTES, KEYRING, PASSWORD, Parameters
from walletcli.vault.slots import FactorRecord

MAX_PASSWORD_BYTES: Final = 1024
"""Longest password, in bytes of UTF-8 after normalization."""


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A factor that was made for a new slot.

    Args:
        record: what the header says about it.
        output: what it gives, 32 bytes.
    """

    record: FactorRecord
    output: Secret


class Factor(Protocol):
    """Something that a user can show."""

    @property
    def kind(self) -> str:
        """The kind that the header names it by."""
        ...

    def enrol(self, vault_id: bytes, entropy: Entropy) -> Enrolment:
        """Make it ready for a new slot.

        Raises:
            WalletError: it cannot be used here.
        """
        ...

    def output(self, vault_id: bytes, parameters: Parameters) -> Secret:
        """Give its 32 bytes for a slot that was made before.

        Raises:
            VaultError: it cannot be had.
        """
        ...

    def forget(self, vault_id: bytes, parameters: Parameters) -> None:
        """Delete what `enrol` left outside of the vault, if anything.

        Raises:
            VaultError: it cannot be deleted.
        """
        ...


class PasswordFactor:
    """Something the user knows.

    Args:
        password: UTF-8; the form of its Unicode characters does not matter. 1 to 1024 bytes in normalization form C.
        cost: for new slots; old ones say their own.

    Raises:
        InputError: ``password.empty``, ``password.too-long``, ``password.not-text``.
    """

    kind = PASSWORD

    def __init__(self, password: Secret, cost: KdfParameters | None = None) -> None:
        self._password = _normalize(password)
        self._cost = cost or KdfParameters()

    def enrol(self, vault_id: bytes, entropy: Entropy) -> Enrolment:
        """Choose a salt.

        Raises:
            VaultError: ``kdf.memory`` if the system does not give the memory.
        """
        parameters: Parameters = {1: self._cost.memory_mib, 2: self._cost.passes, 3: entropy(SALT_BYTES)}
        return Enrolment(FactorRecord(PASSWORD, parameters), self.output(vault_id, parameters))

    def output(self, vault_id: bytes, parameters: Parameters) -> Secret:
        """Compute Argon2id.

        Raises:
            VaultError: ``kdf.memory`` if the system does not give the memory.
        """
        memory_mib, passes, salt = parameters[1], parameters[2], parameters[3]
        assert isinstance(memory_mib, int)
        assert isinstance(passes, int)
        assert isinstance(salt, bytes)
        return argon2id(self._password, salt, KdfParameters(memory_mib, passes))

    def forget(self, vault_id: bytes, parameters: Parameters) -> None:
        """Do nothing: a password leaves nothing outside of the vault."""


def _normalize(password: Secret) -> Secret:
    try:
        text = password.reveal().decode("utf-8", "strict")
    except UnicodeDecodeError:
        # Not chained: the foreign error holds the bytes.
        hint = "save the password file as UTF-8"
        raise InputError("password.not-text", "the password is not UTF-8 text", hint) from None
    normal = unicodedata.normalize("NFC", text).encode("utf-8")
    if not normal:
        raise InputError("password.empty", "the password is empty", "choose a password of several words")
    if len(normal) > MAX_PASSWORD_BYTES:
        message = f"the password has more than {MAX_PASSWORD_BYTES} bytes"
        raise InputError("password.too-long", message, "is the right file named as the password file?")
    return Secret(normal)


class KeyStore(Protocol):
    """A place outside of the vault that keeps small secrets by name: the keyring of the operating system."""

    def store(self, name: str, value: Secret) -> None:
        """Store `value`, and read it back before returning.

        Raises:
            VaultError: ``keyring.*``.
        """
        ...

    def load(self, name: str) -> Secret | None:
        """Return what is stored, or None.

        Raises:
            VaultError: ``keyring.*``.
        """
        ...

    def delete(self, name: str) -> None:
        """Delete what is stored; it is no error if nothing is.

        Raises:
            VaultError: ``keyring.*``.
        """
        ...


class KeyringFactor:
    """Something the operating system's keyring holds: 32 random bytes for this slot alone.

    Args:
        store: the keyring.
    """

    kind = KEYRING

    def __init__(self, store: KeyStore) -> None:
        self._store = store

    def enrol(self, vault_id: bytes, entropy: Entropy) -> Enrolment:
        """Store a new random key.

        Raises:
            VaultError: ``keyring.*``.
        """
        record = FactorRecord(KEYRING, {1: entropy(ENTRY_BYTES)})
        key = Secret(entropy(KEY_BYTES))
        self._store.store(_entry_name(vault_id, record.parameters), Secret(key.reveal().hex().encode("ascii")))
        return Enrolment(record, key)

    def output(self, vault_id: bytes, parameters: Parameters) -> Secret:
        """Fetch the key.

        Raises:
            VaultError: ``keyring.missing`` if it is not there or is no key; other ``keyring.*``.
        """
        stored = self._store.load(_entry_name(vault_id, parameters))
        key = None if stored is None else _from_hex(stored)
        if key is None:
            hint = "open it with another slot; a keyring slot works for one user on one machine"
            raise VaultError("keyring.missing", "the keyring holds no key for this vault", hint)
        return key

    def forget(self, vault_id: bytes, parameters: Parameters) -> None:
        """Delete the key from the keyring.

        Raises:
            VaultError: ``keyring.*``.
        """
        self._store.delete(_entry_name(vault_id, parameters))


def _entry_name(vault_id: bytes, parameters: Parameters) -> str:
    entry = parameters[1]
    assert isinstance(entry, bytes)
    return f"vault {vault_id.hex()} {entry.hex()}"


def _from_hex(stored: Secret) -> Secret | None:
    try:
        key = bytes.fromhex(stored.reveal().decode("ascii"))
    except ValueError:
        return None
    return Secret(key) if len(key) == KEY_BYTES else None
