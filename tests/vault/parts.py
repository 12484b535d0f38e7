"""What the vault's tests share: a cheap cost, a keyring in memory, and entropy that is the same everywhere."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from walletcli.core.secret import Secret
from walletcli.errors import VaultError
from walletcli.vault.factors import KeyringFactor, PasswordFactor
from walletcli.vault.kdf import KdfParameters

CHEAP = KdfParameters(memory_mib=8, passes=1)
"""The least that a password may cost."""


class KeysInMemory:
    """A key store like the keyring of an operating system; `failing` makes it refuse."""

    def __init__(self) -> None:
        self.entries: dict[str, bytes] = {}
        self.failing: str | None = None

    def store(self, name: str, value: Secret) -> None:
        self._check()
        self.entries[name] = value.reveal()

    def load(self, name: str) -> Secret | None:
        self._check()
        found = self.entries.get(name)
        return None if found is None else Secret(found)

    def delete(self, name: str) -> None:
        self._check()
        self.entries.pop(name, None)

    def _check(self) -> None:
        if self.failing is not None:
            raise VaultError(self.failing, "the keyring refuses", "unlock it")


def password(text: str = "correct horse") -> PasswordFactor:
    """Return a password that costs little."""
    return PasswordFactor(Secret.from_text(text), CHEAP)


def keyring(store: KeysInMemory) -> KeyringFactor:
    """Return the factor of a keyring in memory."""
    return KeyringFactor(store)


def fixed_entropy(label: str) -> Callable[[int], bytes]:
    """Return an entropy argument: the i-th call gives the start of SHA-512(label, space, i in decimal)."""
    calls = [0]

    def entropy(length_bytes: int) -> bytes:
        block = hashlib.sha512(f"{label} {calls[0]}".encode()).digest()
        calls[0] += 1
        assert length_bytes <= len(block)
        return block[:length_bytes]

    return entropy
