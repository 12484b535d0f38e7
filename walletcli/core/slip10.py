"""SLIP-0010 key derivation for Ed25519: hardened steps only.

Spec: SLIP-0010 (https://github.com/satoshilabs/slips/blob/master/slip-0010.md), curve ``ed25519``.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from walletcli.core.secret import Secret
from walletcli.errors import FormatError, InputError

HARDENED: Final = 0x80000000
"""Added to an index when a hardened step is derived (BIP32)."""

MAX_STEP: Final = HARDENED - 1
"""Highest index of a step, without the hardened bit."""

MIN_SEED_BYTES: Final = 16
"""Shortest seed that SLIP-0010 allows, bytes."""

MAX_SEED_BYTES: Final = 64
"""Longest seed that SLIP-0010 allows, bytes."""

MAX_DEPTH: Final = 255
"""Longest derivation path, steps (the depth of BIP32 is one byte)."""

Path = tuple[int, ...]
"""A derivation path from the master node: indices without the hardened bit, every step hardened."""

_CURVE_KEY: Final = b"ed25519 seed"


@dataclass(frozen=True, slots=True)
class Node:
    """A place in the key tree.

    Args:
        key: 32 bytes, an Ed25519 seed where the path says signing key, else input of a derivation.
        chain_code: 32 bytes, as secret as the key (together they give all children).
    """

    key: Secret
    chain_code: Secret

    @classmethod
    def master(cls, seed: Secret) -> Node:
        """Return the node at ``m``.

        Args:
            seed: 16 to 64 bytes; BIP39 gives 64.

        Raises:
            FormatError: `seed.length`.
        """
        if not MIN_SEED_BYTES <= len(seed) <= MAX_SEED_BYTES:
            raise FormatError(
                "seed.length", f"a seed has {MIN_SEED_BYTES} to {MAX_SEED_BYTES} bytes, found {len(seed)}"
            )
        return cls._from_digest(hmac.digest(_CURVE_KEY, seed.reveal(), "sha512"))

    def child(self, index: int) -> Node:
        """Return the hardened child at `index` (0 to 2^31 - 1, without the hardened bit).

        Raises:
            InputError: `path.index`.
        """
        _check_index(index)
        data = b"\0" + self.key.reveal() + (HARDENED | index).to_bytes(4, "big")
        return self._from_digest(hmac.digest(self.chain_code.reveal(), data, "sha512"))

    def descend(self, path: Path) -> Node:
        """Return the node at `path` below this one."""
        node = self
        for index in path:
            node = node.child(index)
        return node

    def child_keys(self, start: int, count: int) -> Iterator[Secret]:
        """Yield the keys of `count` children from `start` on, without their chain codes; fast.

        Raises:
            InputError: `path.index`.
        """
        if count < 1:
            return
        _check_index(start)
        _check_index(start + count - 1)
        prefix = b"\0" + self.key.reveal()
        chain_code = self.chain_code.reveal()
        for index in range(HARDENED | start, (HARDENED | start) + count):
            yield Secret(hmac.digest(chain_code, prefix + index.to_bytes(4, "big"), "sha512")[:32])

    @classmethod
    def _from_digest(cls, digest: bytes) -> Node:
        return cls(Secret(digest[:32]), Secret(digest[32:]))


def derive(seed: Secret, path: Path) -> Node:
    """Return the node at `path` of the tree that grows from `seed`.

    Raises:
        FormatError: `seed.length`.
        InputError: `path.index`.
    """
    return Node.master(seed).descend(path)


def path_to_text(path: Path) -> str:
    """Return a path as ``m/9791'/0'``."""
    return "m" + "".join(f"/{index}'" for index in path)


def path_from_text(text: str) -> Path:
    """Read a path in the form that `path_to_text` writes.

    Raises:
        InputError: `path.malformed`: another form, a step that is not hardened, or too many steps; `path.index`: an
                index above 2^31 - 1.
    """
    root, *steps = text.split("/", MAX_DEPTH + 1)
    if root != "m" or len(steps) > MAX_DEPTH:
        raise InputError("path.malformed", "a derivation path starts with m", "write it like m/9791'/0'")
    return tuple(_step_from_text(step) for step in steps)


def _step_from_text(step: str) -> int:
    digits = step.removesuffix("'")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 10 or (digits[0] == "0" and digits != "0"):
        raise InputError("path.malformed", "a step of a derivation path is a number and '", "write it like m/9791'/0'")
    if step == digits:
        raise InputError("path.malformed", "Ed25519 has hardened steps only", "end each step with '")
    index = int(digits)
    _check_index(index)
    return index


def _check_index(index: int) -> None:
    if not 0 <= index <= MAX_STEP:
        raise InputError("path.index", f"the index of a step is 0 to {MAX_STEP}, found {index}")
