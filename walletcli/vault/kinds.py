"""The open list of factor kinds: what the header may say about each.

A kind that is not listed is kept as it stands and cannot be opened by this version. To add one, add its check here and
a `Factor` for it; the format of the vault stays.

Spec: docs/spec/vault.md, "Kinds of factor".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from walletcli.vault.fields import malformed
from walletcli.vault.kdf import MAX_MEMORY_MIB, MAX_PASSES, MIN_MEMORY_MIB, SALT_BYTES, check_range

PASSWORD: Final = "password"  # noqa: S105  # the name of the kind
"""Something that the user knows."""

KEYRING: Final = "keyring"
"""Something that the operating system's keyring holds."""

FIDO2: Final = "fido2"
"""Something that the user holds: a security key."""

MAX_CREDENTIAL_BYTES: Final = 1023
"""Longest credential id of a security key."""

CHALLENGE_BYTES: Final = 32
"""Length of the salt that a security key computes its secret from."""

ENTRY_BYTES: Final = 16
"""Length of the random name of a keyring entry."""

Parameters = Mapping[int, int | bytes | str]
"""Public values of a factor, by number."""


def check_parameters(kind: str, parameters: Parameters) -> None:
    """Check the parameters of a factor if its kind is known.

    Raises:
        FormatError: ``slot.malformed``, ``kdf.out-of-range``.
    """
    check = _CHECKS.get(kind)
    if check is not None:
        check(parameters)


def _check_password(parameters: Parameters) -> None:
    if set(parameters) != {1, 2, 3}:
        raise malformed("a password factor has missing or unknown parameters", "slot.malformed")
    check_range("memory, in MiB,", parameters[1], MIN_MEMORY_MIB, MAX_MEMORY_MIB)
    check_range("passes", parameters[2], 1, MAX_PASSES)
    _check_random(parameters[3], SALT_BYTES, "the salt of a password")


def _check_keyring(parameters: Parameters) -> None:
    if set(parameters) != {1}:
        raise malformed("a keyring factor has missing or unknown parameters", "slot.malformed")
    _check_random(parameters[1], ENTRY_BYTES, "the entry of a keyring factor")


def _check_fido2(parameters: Parameters) -> None:
    if set(parameters) != {1, 2, 3}:
        raise malformed("a security key's factor has missing or unknown parameters", "slot.malformed")
    credential_id = parameters[1]
    if not isinstance(credential_id, bytes) or not 1 <= len(credential_id) <= MAX_CREDENTIAL_BYTES:
        raise malformed(f"a credential id must have 1 to {MAX_CREDENTIAL_BYTES} bytes", "slot.malformed")
    _check_random(parameters[2], CHALLENGE_BYTES, "the salt of a security key")
    if isinstance(parameters[3], bool) or parameters[3] not in (0, 1):
        raise malformed("whether a security key asks for its PIN must be 0 or 1", "slot.malformed")


def _check_random(value: object, length_bytes: int, what: str) -> None:
    if not isinstance(value, bytes) or len(value) != length_bytes:
        raise malformed(f"{what} must have {length_bytes} bytes", "slot.malformed")


_CHECKS: Final[Mapping[str, Callable[[Parameters], None]]] = {
    PASSWORD: _check_password,
    KEYRING: _check_keyring,
    FIDO2: _check_fido2,
}
