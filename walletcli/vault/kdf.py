"""Argon2id: what a guess at the password costs, and its bounds.

Spec: RFC 9106; docs/spec/vault.md, "Kinds of factor".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from nacl.bindings import crypto_pwhash_alg, crypto_pwhash_ALG_ARGON2ID13
from nacl.exceptions import CryptoError

from walletcli.core.secret import Secret
from walletcli.errors import FormatError, VaultError
from walletcli.vault.keys import KEY_BYTES

MIN_MEMORY_MIB: Final = 8
"""Least memory, MiB."""

MAX_MEMORY_MIB: Final = 2048
"""Most memory, MiB; checked before it is taken."""

MAX_PASSES: Final = 16
"""Most passes over the memory."""

SALT_BYTES: Final = 16
"""Length of a salt."""

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class KdfParameters:
    """How much a guess at the password costs (one lane).

    Args:
        memory_mib: 8 to 2048 MiB.
        passes: 1 to 16.

    Raises:
        FormatError: ``kdf.out-of-range``.
    """

    memory_mib: int = 256
    passes: int = 3

    def __post_init__(self) -> None:
        check_range("memory, in MiB,", self.memory_mib, MIN_MEMORY_MIB, MAX_MEMORY_MIB)
        check_range("passes", self.passes, 1, MAX_PASSES)


def check_range(what: str, value: object, low: int, high: int) -> int:
    """Return `value` if it is an integer from `low` to `high`.

    Raises:
        FormatError: ``kdf.out-of-range``.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        hint = "the vault was altered, or made by a program with other limits"
        raise FormatError("kdf.out-of-range", f"the password's {what} must be {low} to {high}", hint)
    return value


def argon2id(password: Secret, salt: bytes, cost: KdfParameters) -> Secret:
    """Return 32 bytes of Argon2id, version 1.3.

    Args:
        password: any bytes.
        salt: 16 bytes.
        cost: memory and passes.

    Raises:
        VaultError: ``kdf.memory`` if the system does not give the memory.
    """
    try:
        key = crypto_pwhash_alg(
            KEY_BYTES, password.reveal(), salt, cost.passes, cost.memory_mib * _MIB, crypto_pwhash_ALG_ARGON2ID13
        )
    except (CryptoError, MemoryError) as error:
        message = f"this machine did not give the {cost.memory_mib} MiB that the password of this vault needs"
        hint = "close other programs, or open the vault on a larger machine"
        raise VaultError("kdf.memory", message, hint) from error
    return Secret(key)
