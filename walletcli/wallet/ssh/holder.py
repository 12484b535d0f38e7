"""Whoever holds an identity's SSH key: this process, or the wallet's agent.

Spec: docs/spec/ssh.md, "The agent".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from walletcli.core import ed25519
from walletcli.core.ssh.keys import key_blob, signature_blob
from walletcli.errors import VaultError
from walletcli.wallet.access.agent_session import AgentSession, live_agent
from walletcli.wallet.access.local_session import LocalSession
from walletcli.wallet.access.session import Session
from walletcli.wallet.access.ssh_keys import SshSigner
from walletcli.wallet.home import Home
from walletcli.wallet.state.view import IdentityView

IsOver = Callable[[], bool]
"""Tells that nobody waits for an answer any more."""


def never() -> bool:
    """Tell that somebody waits for the answer, however long it takes."""
    return False


class KeyHolder(Protocol):
    """Signs with one SSH key."""

    @property
    def key_blob(self) -> bytes:
        """The key, as SSH spells it."""
        ...

    def sign(self, data: bytes, is_over: IsOver = never) -> bytes:
        """Sign a login or a file's hash; the signature is as SSH spells it.

        Args:
            data: what is to be signed; it is parsed whole first.
            is_over: tells that nobody waits for the signature any more; asked while somebody is to touch a key.

        Raises:
            WalletError: what the request ends in.
        """
        ...


class SessionHolder:
    """A key in the vault of a wallet that is open for one command.

    Args:
        session: the open wallet; it stays open as long as this is used.
        identity: whose key.
    """

    def __init__(self, session: Session, identity: IdentityView) -> None:
        assert identity.ssh_key is not None
        self.public_key = identity.ssh_key
        self.key_blob = key_blob(self.public_key)
        self._session = session
        self._index = identity.index

    def sign(self, data: bytes, is_over: IsOver = never) -> bytes:
        """Sign a login or a file's hash.

        Raises:
            WalletError: as `Session.sign_ssh`; VerificationError ``signature.invalid`` if it is not this key's.
        """
        return _verified(self.public_key, data, self._session.sign_ssh(self._index, data))


class OwnHolder:
    """A key in this process, which has let go of everything else that the vault holds.

    Args:
        home: whose wallet; when its vault has gone, nothing is signed any more.
        signer: the key.
    """

    def __init__(self, home: Home, signer: SshSigner) -> None:
        self.public_key = signer.public_key
        self.key_blob = key_blob(self.public_key)
        self._home = home
        self._signer = signer

    def sign(self, data: bytes, is_over: IsOver = never) -> bytes:
        """Sign a login or a file's hash.

        Raises:
            VaultError: ``wallet.missing``.
            WalletError: as `SshSigner.sign`; VerificationError ``signature.invalid`` if it is not this key's.
        """
        self._home.require()
        return _verified(self.public_key, data, self._signer.sign(data))


class AgentHolder:
    """A key that the wallet's agent holds; asked anew each time, for the wallet may be locked in between.

    Args:
        home: whose wallet.
        identity: whose key.
    """

    def __init__(self, home: Home, identity: IdentityView) -> None:
        assert identity.ssh_key is not None
        self.public_key = identity.ssh_key
        self.key_blob = key_blob(self.public_key)
        self._home = home
        self._index = identity.index

    def sign(self, data: bytes, is_over: IsOver = never) -> bytes:
        """Sign a login or a file's hash.

        Raises:
            VaultError: ``wallet.locked``, ``agent.*``.
            WalletError: as `Session.sign_ssh`; VerificationError ``signature.invalid`` if it is not this key's.
        """
        session = live_agent(self._home)
        if session is None:
            raise VaultError("wallet.locked", "the wallet has been locked", "walletcli wallet unlock")
        with session:
            return _verified(self.public_key, data, session.sign_ssh(self._index, data))


def holder_of(session: Session, identity: IdentityView) -> KeyHolder:
    """Return who signs with this device's SSH key of an identity for as long as an agent serves.

    With a session of this process the key is taken out of it and the session is closed: neither the seed nor another
    key stays in memory for what may be days.
    """
    if isinstance(session, AgentSession):
        return AgentHolder(session.home, identity)
    if isinstance(session, LocalSession):
        return OwnHolder(session.home, session.keep_ssh_key(identity.index))
    return SessionHolder(session, identity)


def _verified(public_key: bytes, data: bytes, signature: bytes) -> bytes:
    ed25519.verify(public_key, data, signature)
    return signature_blob(signature)
