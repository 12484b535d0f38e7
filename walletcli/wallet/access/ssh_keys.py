"""What the open vault does with an identity's SSH key: draw it, and sign what it has parsed.

Spec: docs/spec/ssh.md, "The key" and "What is signed".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from walletcli.core.ed25519 import SigningKey
from walletcli.core.secret import Secret
from walletcli.core.ssh.keys import key_blob
from walletcli.core.ssh.signable import parse_for
from walletcli.errors import InputError, SignerError
from walletcli.wallet.state.changes import KeepSshKey
from walletcli.wallet.state.view import IdentityView
from walletcli.wallet.state.wallet_state import DEVICE_SEED_BYTES, WalletState


def keep(state: WalletState, change: KeepSshKey, entropy: Callable[[int], bytes]) -> WalletState:
    """Return the state in which an identity has an SSH key, named by its documents as its owner wishes.

    Raises:
        InputError: ``identity.unknown``, ``identity.retired``.
    """
    identity = state.public.by_index(change.index)
    _check_alive(identity)
    ssh = dict(state.ssh)
    if identity.ssh_key is None:
        ssh[change.index] = seed = Secret(entropy(DEVICE_SEED_BYTES))
        identity = replace(identity, ssh_key=SigningKey(seed).public_key)
    if change.named not in (None, identity.names_ssh_key):
        identity = replace(identity, names_ssh_key=not identity.names_ssh_key, changed=True)
    identities = tuple(identity if item.index == identity.index else item for item in state.public.identities)
    return replace(state, ssh=ssh, public=replace(state.public, identities=identities))


class SshSigner:
    """One SSH key of a vault, without anything else that the vault holds.

    Args:
        identity: whose key.
        seed: Ed25519 seed, 32 bytes.

    Raises:
        InputError: ``identity.retired``.
        SignerError: ``ssh.no-key``, ``ssh.key-mismatch``.
    """

    __slots__ = ("_key", "public_key")

    def __init__(self, identity: IdentityView, seed: Secret | None) -> None:
        _check_alive(identity)
        if identity.ssh_key is None or seed is None:
            raise SignerError(
                "ssh.no-key",
                "this device has no SSH key for the identity yet",
                f"walletcli identity ssh-key {identity.label_word}",
            )
        self._key = SigningKey(seed)
        self.public_key = self._key.public_key
        if self.public_key != identity.ssh_key:
            raise SignerError(
                "ssh.key-mismatch", "the vault's SSH key is not the one that it says it is", "go back to a copy of it"
            )

    def sign(self, data: bytes) -> bytes:
        """Sign a login or a file's hash, which is parsed whole first.

        Raises:
            FormatError: ``ssh.not-signable``, ``ssh.key``, ``key.malformed``.
            SignerError: ``ssh.other-key``.
        """
        return self._key.sign(parse_for(key_blob(self.public_key), data).to_bytes())


def signer(state: WalletState, index: int) -> SshSigner:
    """Return the SSH key of an identity.

    Raises:
        InputError: ``identity.unknown``, ``identity.retired``.
        SignerError: ``ssh.no-key``, ``ssh.key-mismatch``.
    """
    return SshSigner(state.public.by_index(index), state.ssh.get(index))


def sign(state: WalletState, index: int, data: bytes) -> bytes:
    """Sign a login or a file's hash with the SSH key of an identity.

    Args:
        state: of the wallet.
        index: of the identity.
        data: what is to be signed; it is parsed whole first.

    Returns:
        The signature, 64 bytes.

    Raises:
        InputError: ``identity.unknown``, ``identity.retired``.
        FormatError: ``ssh.not-signable``, ``ssh.key``, ``key.malformed``.
        SignerError: ``ssh.no-key``, ``ssh.key-mismatch``, ``ssh.other-key``.
    """
    return signer(state, index).sign(data)


def _check_alive(identity: IdentityView) -> None:
    if identity.retired is not None:
        raise InputError(
            "identity.retired", "the identity has been retired: its SSH key is of no use any more", "create a new one"
        )
