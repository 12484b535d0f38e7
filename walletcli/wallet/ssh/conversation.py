"""What the SSH agent answers on one connection: which requests are granted, and which are refused and why.

Spec: docs/spec/ssh.md, "The agent".
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from walletcli.core.secret import Secret
from walletcli.core.ssh import agent_messages
from walletcli.core.ssh.agent_messages import BindSession, ListKeys, LockAgent, SignData, UnlockAgent
from walletcli.core.ssh.signable import Login, parse_for
from walletcli.errors import FormatError, SignerError, VerificationError, WalletError
from walletcli.wallet.ssh.foreign_keys import verify_host
from walletcli.wallet.ssh.holder import IsOver, KeyHolder, never

_ANEW = "log in anew; if it comes again, that program or server is not to be trusted"
_SALT_BYTES = 16
_SCRYPT = {"n": 1 << 14, "r": 8, "p": 1}


class SharedLock:
    """LOCK and UNLOCK, for all connections of an agent; keeps a salted hash of the passphrase alone."""

    def __init__(self) -> None:
        self._locked: tuple[bytes, Secret] | None = None

    @property
    def is_closed(self) -> bool:
        """Whether everything is refused now."""
        return self._locked is not None

    def close(self, passphrase: Secret) -> None:
        """Refuse everything from now on.

        Raises:
            SignerError: ``ssh-agent.locked`` if it is closed already.
        """
        if self._locked is not None:
            raise _locked()
        salt = os.urandom(_SALT_BYTES)
        self._locked = salt, self._hashed(passphrase, salt)

    def open(self, passphrase: Secret) -> None:
        """Serve again.

        Raises:
            SignerError: ``ssh-agent.wrong-passphrase``.
        """
        if self._locked is None or self._hashed(passphrase, self._locked[0]) != self._locked[1]:
            raise SignerError("ssh-agent.wrong-passphrase", "it is not locked with this passphrase", "type it again")
        self._locked = None

    @staticmethod
    def _hashed(passphrase: Secret, salt: bytes) -> Secret:
        return Secret(hashlib.scrypt(passphrase.reveal(), salt=salt, **_SCRYPT))


@dataclass(frozen=True, slots=True)
class Policy:
    """What an agent grants beyond the rule.

    Attributes:
        allow_unbound: logins on connections that do not say for which session.
    """

    allow_unbound: bool = False


class Conversation:
    """One connection to the agent.

    Args:
        holders: of the identity's keys.
        lock: shared by all connections.
        policy: of the agent.
        refused: is told why a request was refused.
        is_over: tells that nobody waits for an answer on this connection any more.
    """

    def __init__(
        self, holders: Sequence[KeyHolder], lock: SharedLock, policy: Policy, refused: Callable[[WalletError], None],
        is_over: IsOver = never,
    ) -> None:  # fmt: skip
        self._holders = {holder.key_blob: holder for holder in holders}
        self._is_over = is_over
        self._lock = lock
        self._policy = policy
        self._refused = refused
        self._bound: BindSession | None = None
        self._shut: WalletError | None = None

    def answer(self, message: bytes) -> bytes:
        """Answer a request: type and content, without the length; never raises one of our errors."""
        try:
            return self._answer(agent_messages.decode(message))
        except WalletError as error:
            self._refused(error)
            return agent_messages.FAILURE

    def _answer(self, message: agent_messages.Message) -> bytes:
        if isinstance(message, BindSession):
            self._bind(message)
            return agent_messages.SUCCESS
        if self._shut is not None:
            raise self._shut
        match message:
            case UnlockAgent():
                self._lock.open(message.passphrase)
                return agent_messages.SUCCESS
            case ListKeys():
                return agent_messages.keys_answer(() if self._lock.is_closed else tuple(self._holders))
            case SignData():
                return agent_messages.signature_answer(self._sign(message))
            case LockAgent():
                self._lock.close(message.passphrase)
                return agent_messages.SUCCESS

    def _bind(self, message: BindSession) -> None:
        """Bind the connection to a session; where that fails, it is refused everything from then on."""
        try:
            if self._bound is not None or self._shut is not None:
                raise SignerError(
                    "ssh-agent.bound-twice", "the connection was bound to a session before", "connect anew"
                )
            _check_host(message)
            if message.is_forwarding:
                raise SignerError(
                    "ssh-agent.forwarded",
                    "the agent was forwarded to another machine, whose administrators could use it",
                    "log in without -A; to go on from there, use: ssh -J",
                )
        except SignerError as error:
            self._shut = error
            raise
        self._bound = message

    def _sign(self, message: SignData) -> bytes:
        if self._lock.is_closed:
            raise _locked()
        holder = self._holders.get(message.key_blob)
        if holder is None:
            raise SignerError(
                "ssh-agent.other-key",
                "a signature by a key was asked for that is not this identity's",
                "ask for its keys",
            )
        if message.flags:
            raise SignerError("ssh-agent.flags", "a kind of signature was asked for that the key does not have", _ANEW)
        asked = parse_for(holder.key_blob, message.data)
        if isinstance(asked, Login):
            self._check_session(asked)
        return holder.sign(message.data, self._is_over)

    def _check_session(self, login: Login) -> None:
        if self._bound is None:
            if self._policy.allow_unbound:
                return
            raise SignerError(
                "ssh-agent.unbound",
                "a login on a connection that does not say which server it is for",
                "use OpenSSH 8.9 or later, or start the agent with --allow-unbound",
            )
        if login.session != self._bound.session:
            raise SignerError(
                "ssh-agent.session", "a login for another session than the connection was bound to", _ANEW
            )
        if login.host_key not in (None, self._bound.host_key):
            raise SignerError(
                "ssh-agent.host-key", "a login for another server than the connection was bound to", _ANEW
            )


def _check_host(message: BindSession) -> None:
    try:
        verify_host(message.host_key, message.signature, message.session)
    except (FormatError, VerificationError) as error:
        raise SignerError(
            "ssh-agent.host-signature", f"the server's signature of the session is not good: {error.message}", _ANEW
        ) from error


def _locked() -> SignerError:
    return SignerError("ssh-agent.locked", "the agent was locked with a passphrase", "unlock it with: ssh-add -X")
