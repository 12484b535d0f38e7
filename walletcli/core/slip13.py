"""SLIP-0013: where the key of a URI lies in a key tree, as hardware wallets derive it.

Spec: SLIP-0013 (https://github.com/satoshilabs/slips/blob/master/slip-0013.md); docs/spec/trezor.md, "The key".
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from walletcli.core.slip10 import HARDENED, MAX_STEP, Path
from walletcli.errors import InputError

PURPOSE: Final = 13
"""BIP43 purpose of SLIP-0013."""

MAX_URI_INDEX: Final = 0xFFFFFFFF
"""Highest index below a URI."""

_STEPS = 4
_STEP_BYTES = 4


@dataclass(frozen=True, slots=True)
class UriIdentity:
    """What a hardware wallet is asked by.

    Args:
        proto: scheme of the URI, such as ``ssh``.
        user: part before the at sign.
        host: part behind it.
        index: tells keys of one URI apart, 0 to 2^32 - 1.

    Raises:
        InputError: ``path.index``.
    """

    proto: str
    user: str
    host: str
    index: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.index <= MAX_URI_INDEX:
            raise InputError("path.index", f"the index below a URI is 0 to {MAX_URI_INDEX}, found {self.index}")

    @property
    def uri(self) -> str:
        """The URI, whose bytes decide where the key is."""
        return f"{self.proto}://{self.user}@{self.host}"

    @property
    def path(self) -> Path:
        """The derivation path, without hardened bits: five steps."""
        digest = hashlib.sha256(self.index.to_bytes(4, "little") + self.uri.encode()).digest()
        parts = (digest[at : at + _STEP_BYTES] for at in range(0, _STEPS * _STEP_BYTES, _STEP_BYTES))
        return (PURPOSE, *(int.from_bytes(part, "little") & MAX_STEP for part in parts))

    @property
    def address_n(self) -> tuple[int, ...]:
        """The same path with hardened bits, as devices are given it."""
        return tuple(HARDENED | step for step in self.path)


def identity_uri(index: int) -> UriIdentity:
    """Return what a hardware wallet knows identity `index` of the scheme ``slip13`` by.

    Raises:
        InputError: ``path.index``.
    """
    return UriIdentity("ssh", "walletcli", "identity", index)
