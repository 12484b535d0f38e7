"""What the root keys of a seed can do: give public keys, open what is sealed to the recovery recipient, sign.

Spec: docs/spec/keys.md; docs/spec/agent.md, "Requests".
"""

from __future__ import annotations

from typing import Protocol

from walletcli.core import x25519
from walletcli.core.keys import KeyTree
from walletcli.core.sealed import unseal
from walletcli.core.secret import Secret
from walletcli.core.slip10 import path_to_text
from walletcli.signers.statements import sign_statement

MAX_RECOVERY_PAIRS = 1024
"""Of how many identities the recovery recipient's keys are kept at hand."""

MAX_KNOWN_KEYS = 4096
"""Of how many identities the root public key is kept at hand."""

RECOVERY_GENERATION = 0
"""Generation of the recovery recipient of a new identity."""


class Root(Protocol):
    """The root keys, wherever they are."""

    def path(self, index: int) -> str:
        """Return the derivation path of an identity's root key."""

    def keys(self, start: int, count: int) -> list[bytes]:
        """Return the root public keys (32 bytes) of so many identities from an index on."""

    def recovery_key(self, index: int) -> bytes:
        """Return the X25519 public key (32 bytes) of the recovery recipient of a new identity."""

    def unseal(self, index: int, sealed: bytes, context: bytes, generation: int = RECOVERY_GENERATION) -> bytes:
        """Open what is sealed to the recovery recipient of an identity, held or not.

        Raises:
            VerificationError: ``sealed.not-for-you``, ``sealed.damaged``.
            FormatError: ``sealed.malformed``.
        """

    def sign(self, index: int, typ: str, payload: bytes) -> bytes:
        """Sign a statement that the policy allows, and return the COSE_Sign1."""


class SeedRoot:
    """The root keys of a seed in this process.

    Args:
        tree: the keys.
    """

    def __init__(self, tree: KeyTree) -> None:
        self._tree = tree
        self._pairs: dict[tuple[int, int], tuple[Secret, bytes]] = {}
        self._known: dict[int, bytes] = {}

    def path(self, index: int) -> str:
        """Return the derivation path of an identity's root key."""
        return path_to_text(self._tree.identity_path(index))

    def keys(self, start: int, count: int) -> list[bytes]:
        """Return root public keys; a restore asks for many, and then holds the identities that it has found by them."""
        if count == 1 and start in self._known:
            return [self._known[start]]
        keys = self._tree.root_public_keys(start, count)
        if len(self._known) + count > MAX_KNOWN_KEYS:
            self._known.clear()
        self._known.update(enumerate(keys, start))
        return keys

    def recovery_key(self, index: int) -> bytes:
        """Return the X25519 public key (32 bytes) of the recovery recipient of a new identity."""
        return self._pair(index, RECOVERY_GENERATION)[1]

    def unseal(self, index: int, sealed: bytes, context: bytes, generation: int = RECOVERY_GENERATION) -> bytes:
        """Open what is sealed to the recovery recipient of an identity, held or not; raises as `Root.unseal`."""
        secret, public_key = self._pair(index, generation)
        return unseal(sealed, secret, context, public_key)

    def _pair(self, index: int, generation: int) -> tuple[Secret, bytes]:
        """Return the recovery recipient's keys; those that were needed last are kept beside the seed."""
        pair = self._pairs.pop((index, generation), None)
        if pair is None:
            secret = self._tree.recovery_secret(index, generation)
            pair = secret, x25519.public_key(secret)
            if len(self._pairs) >= MAX_RECOVERY_PAIRS:
                self._pairs.pop(next(iter(self._pairs)))
        self._pairs[index, generation] = pair
        return pair

    def sign(self, index: int, typ: str, payload: bytes) -> bytes:
        """Sign a statement that the policy allows, and return the COSE_Sign1."""
        return sign_statement(self._tree.root(index), typ, payload)
