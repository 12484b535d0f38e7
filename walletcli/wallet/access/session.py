"""An open wallet as the stories see it: the same operations whether an agent or this process holds the secrets.

Light: importing it loads no cryptography. `LocalSession` loads it when it is made.

Spec: docs/spec/agent.md.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self, cast

from walletcli.errors import VaultError
from walletcli.wallet.access import runtime, wire
from walletcli.wallet.home import Home, PasswordSource

if TYPE_CHECKING:
    from walletcli.wallet.access.keeper import Keeper
    from walletcli.wallet.access.ssh_keys import SshSigner
    from walletcli.wallet.state.changes import Change, PutDrawer
    from walletcli.wallet.state.summary import IdentitySummary
    from walletcli.wallet.state.view import IdentityView
    from walletcli.wallet.state.wallet_view import Snapshot, WalletFacts

ANSWER_TIMEOUT_S = 30.0
"""How long a command waits for the agent; a write waits for the disk and for other processes."""

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class AgentStatus:
    """How an agent is.

    Attributes:
        pid: its process id.
        expires_in_s: seconds until it forgets everything if nobody asks it anything.
        already: it had been unlocked before.
    """

    pid: int
    expires_in_s: int
    already: bool = False

    def to_json(self) -> dict[str, object]:
        """Return the fields under their names."""
        return {"pid": self.pid, "expires_in_s": self.expires_in_s, "already": self.already}


class Session:
    """An open wallet; close it, or use it as a context manager.

    Attributes:
        home: whose wallet it is.
        notices: what the user should hear about the vault, though nothing failed; a line each.
    """

    def __init__(self, home: Home, notices: tuple[str, ...] = ()) -> None:
        self.home = home
        self.notices = notices

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the agent, or of the secrets."""

    def ask(self, kind: int, *arguments: object) -> object:
        """Have a request answered by whoever holds the secrets.

        Args:
            kind: one of `walletcli.wallet.access.wire`.
            arguments: what that kind takes.

        Raises:
            WalletError: what the request ends in, or ``agent.*`` if the agent goes away.
        """
        raise NotImplementedError

    def facts(self) -> WalletFacts:
        """Return the wallet in one line."""
        from walletcli.wallet.state.wallet_view import WalletFacts

        return WalletFacts.from_cbor(self.ask(wire.GET_FACTS))

    def summaries(self) -> list[IdentitySummary]:
        """Return the list of identities, by index."""
        return _summaries(self.ask(wire.GET_SUMMARIES))

    def derived(self, start: int, count: int) -> list[IdentitySummary]:
        """Return what the seed gives from index `start` on, held or not; at most `wire.MAX_KEYS`."""
        return _summaries(self.ask(wire.DERIVE_SUMMARIES, start, count))

    def root_keys(self, start: int, count: int) -> list[bytes]:
        """Return the root public keys (32 bytes) that the seed gives from index `start` on; at most `wire.MAX_KEYS`."""
        return cast("list[bytes]", self.ask(wire.DERIVE_KEYS, start, count))

    def snapshot(self) -> Snapshot:
        """Return the public half of the wallet."""
        from walletcli.wallet.state.wallet_view import Snapshot, WalletView

        generation, wallet = _rows(self.ask(wire.GET_VIEW))
        return Snapshot(cast("int", generation), WalletView.from_cbor(wallet))

    def apply(self, change: Change) -> IdentityView | None:
        """Make a change; it is on disk when this returns.

        Returns:
            The identity that it touched, as it is now, or None if it touched none.
        """
        from walletcli.wallet.state.changes import to_row
        from walletcli.wallet.state.view import IdentityView

        _, identity = _rows(self.ask(wire.APPLY, to_row(change)))
        return IdentityView.from_cbor(identity) if identity is not None else None

    def change(self, change: Change) -> IdentityView:
        """Make a change that touches one identity, and return that."""
        identity = self.apply(change)
        if identity is None:
            raise VaultError(
                "agent.bad-answer", "the agent did not say what became of the identity", "lock and unlock the wallet"
            )
        return identity

    def sign(self, index: int, document: bytes, generation: int, beside: bytes | None = None) -> bytes:
        """Have the packet of a document signed; the record is on disk when this returns.

        Args:
            index: identity index.
            document: the new document.
            generation: of the snapshot that it was made from.
            beside: what goes beside the document (docs/spec/approval.md), or None.

        Returns:
            The record, in file form.

        Raises:
            VaultError: ``vault.changed`` if the wallet has changed since.
            SignerError: ``request.*`` or ``identity.unseen``.
        """
        return cast("bytes", self.ask(wire.SIGN, index, document, generation, beside))

    def unseal(self, index: int, sealed: bytes, context: bytes) -> bytes:
        """Open what is sealed to this device or to the recovery recipient of an identity.

        Raises:
            VerificationError: ``sealed.not-for-you``.
        """
        return cast("bytes", self.ask(wire.UNSEAL, index, sealed, context))

    def unseal_as_root(self, index: int, sealed: bytes, context: bytes) -> bytes:
        """Open what is sealed to the recovery recipient of an identity, held or not, as the words alone can.

        Raises:
            VerificationError: ``sealed.not-for-you``, ``sealed.damaged``.
            FormatError: ``sealed.malformed``.
        """
        return cast("bytes", self.ask(wire.UNSEAL_AS_ROOT, index, sealed, context))

    def drawer(self, index: int | None, name: str) -> bytes | None:
        """Return what is in a drawer, or None if it is empty.

        Args:
            index: of the identity, or None for the wallet's own.
            name: of the drawer.
        """
        return cast("bytes | None", self.ask(wire.GET_DRAWER, index, name))

    def put_drawers(self, *changes: PutDrawer) -> None:
        """Replace drawers, all or none; on disk when this returns.

        Raises:
            VaultError: ``drawer.changed`` if one is no longer what was read.
        """
        from walletcli.wallet.state.changes import Several

        self.apply(Several(changes))

    def new_devices(self, count: int) -> list[tuple[bytes, bytes]]:
        """Have keys drawn for devices that a request is to ask for; a watch wallet's.

        Args:
            count: 1 to 32.

        Returns:
            Signing key and sealing key of each, 32 bytes each.

        Raises:
            SignerError: ``request.not-watch``.
            InputError: ``request.too-many``.
        """
        return [cast("tuple[bytes, bytes]", tuple(_rows(row))) for row in _rows(self.ask(wire.NEW_DEVICES, count))]

    def review_request(self, data: bytes) -> object:
        """Return what a request file would do, as the row of a `Review`."""
        return self.ask(wire.REVIEW_REQUEST, data)

    def approve_request(self, data: bytes, digest: bytes, items: Sequence[int], accepted: Sequence[str]) -> bytes:
        """Have items of a request signed by the root; an agent refuses that.

        Args:
            data: the request file.
            digest: its SHA-256, which its owner has compared.
            items: their numbers, counted from 1.
            accepted: names of the alarms that its owner accepts.

        Returns:
            The response file; what is in it is in the vault.

        Raises:
            SignerError: ``request.*``, ``wallet.watch-only``.
        """
        return cast("bytes", self.ask(wire.APPROVE_REQUEST, data, digest, list(items), list(accepted)))

    def sign_statement(self, index: int, typ: str, payload: bytes, *, by_root: bool = False) -> bytes:
        """Have a statement signed with this device's key, or the root's.

        Args:
            index: identity index.
            typ: type of the statement (docs/spec/cose.md).
            payload: its content.
            by_root: with the root key, where the type allows it.

        Returns:
            The COSE_Sign1.

        Raises:
            SignerError: ``statement.*``.
            FormatError: what the payload's form ends in.
        """
        return cast("bytes", self.ask(wire.SIGN_STATEMENT, index, typ, payload, by_root))

    def sign_ssh(self, index: int, data: bytes) -> bytes:
        """Have a login or a file's hash signed with this device's SSH key.

        Returns:
            The signature, 64 bytes.

        Raises:
            FormatError: ``ssh.not-signable``.
            SignerError: ``ssh.other-key``, ``ssh.no-key``.
            InputError: ``identity.retired``.
        """
        return cast("bytes", self.ask(wire.SIGN_SSH, index, data))


def _rows(value: object) -> list[object]:
    return cast("list[object]", value)


def _summaries(value: object) -> list[IdentitySummary]:
    from walletcli.wallet.state.summary import IdentitySummary

    return [IdentitySummary.from_cbor(row) for row in _rows(value)]


class LocalSession(Session):
    """A wallet that is open in this process.

    Args:
        home: whose wallet it is.
        keeper: holds the secrets.
        notices: what the user should hear about the vault.
    """

    def __init__(self, home: Home, keeper: Keeper, notices: tuple[str, ...] = ()) -> None:
        super().__init__(home, notices)
        self._keeper: Keeper | None = keeper

    def close(self) -> None:
        """Let go of the secrets."""
        self._keeper = None

    def snapshot(self) -> Snapshot:
        """Return the public half of the wallet: the values themselves, which nobody changes."""
        return self._open().snapshot()

    def unseal_as_root(self, index: int, sealed: bytes, context: bytes) -> bytes:
        """As asked of an agent, without the way through the request's encoding: what is sealed may be large."""
        from walletcli.wallet.access.messages import UnsealAsRoot

        return cast("bytes", self._open().answer(UnsealAsRoot(index, sealed, context)))

    def sign_statement(self, index: int, typ: str, payload: bytes, *, by_root: bool = False) -> bytes:
        """As asked of an agent, without the way through the request's encoding."""
        from walletcli.wallet.access.messages import SignStatement

        return cast("bytes", self._open().answer(SignStatement(index, typ, payload, by_root)))

    def drawer(self, index: int | None, name: str) -> bytes | None:
        """As asked of an agent, without the way through the answer's encoding: a drawer may be large."""
        from walletcli.wallet.access.messages import GetDrawer

        return cast("bytes | None", self._open().answer(GetDrawer(index, name)))

    def ask(self, kind: int, *arguments: object) -> object:
        """Have a request answered here, through the same door as the agent's."""
        from walletcli.wallet.access.messages import decode_request

        return self._open().answer(decode_request(wire.encode_request([kind, *arguments])))

    def keep_ssh_key(self, index: int) -> SshSigner:
        """Return the SSH key of an identity, and let go of everything else: the session is closed.

        Raises:
            InputError: ``identity.unknown``, ``identity.retired``.
            SignerError: ``ssh.no-key``, ``ssh.key-mismatch``.
        """
        found = self._open().ssh_signer(index)
        self.close()
        return found

    def _open(self) -> Keeper:
        if self._keeper is None:
            raise VaultError("wallet.locked", "the session is closed", "open the wallet again")
        return self._keeper


class AgentSession(Session):
    """A wallet that an agent holds open.

    Args:
        home: whose wallet it is.
        connection: connected to the agent, with a timeout.
    """

    def __init__(self, home: Home, connection: socket.socket) -> None:
        super().__init__(home)
        self._connection = connection

    def close(self) -> None:
        """Close the connection; the agent stays."""
        self._connection.close()

    def ask(self, kind: int, *arguments: object) -> object:
        """Have a request answered by the agent.

        Raises:
            WalletError: what the request ends in, or ``agent.gone``, ``agent.bad-answer``.
        """
        deadline_s = time.monotonic() + ANSWER_TIMEOUT_S
        try:
            self._connection.sendall(wire.frame(wire.encode_request([kind, *arguments])))
            length = int.from_bytes(self._receive(wire.HEADER_BYTES, deadline_s), "big")
            if length > wire.MAX_ANSWER_BYTES:
                raise VaultError("agent.bad-answer", "the agent's answer is too long", "lock and unlock the wallet")
            content = self._receive(length, deadline_s)
        except OSError as error:
            raise VaultError(
                "agent.gone", "the agent went away before it answered", "walletcli wallet unlock"
            ) from error
        return wire.decode_answer(content)

    def _receive(self, length: int, deadline_s: float) -> bytes:
        parts = bytearray()
        while len(parts) < length:
            if time.monotonic() > deadline_s:
                raise TimeoutError
            part = self._connection.recv(min(length - len(parts), _CHUNK_BYTES))
            if not part:
                raise ConnectionResetError
            parts += part
        return bytes(parts)

    def status(self) -> AgentStatus:
        """Return how the agent is."""
        pid, expires_in_s = _rows(self.ask(wire.GET_STATUS))
        return AgentStatus(cast("int", pid), cast("int", expires_in_s))

    def lock(self) -> None:
        """Make the agent forget everything and end."""
        self.ask(wire.LOCK)

    def kill(self) -> None:
        """End an agent that no longer answers; it is this user's process, as the kernel told when it was found."""
        import os
        import signal

        pid = runtime.peer_pid(self._connection)
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def find_agent(home: Home) -> AgentSession | None:
    """Return a session with this home's agent, or None if there is none.

    Raises:
        VaultError: ``agent.foreign`` or ``agent.unreachable``.
        StorageError: ``agent.directory``.
    """
    connection = runtime.connect(home, ANSWER_TIMEOUT_S)
    return AgentSession(home, connection) if connection is not None else None


def live_agent(home: Home) -> AgentSession | None:
    """Return a session with this home's agent if it still has the vault open.

    An agent that finds, when it is asked, that the vault has been sealed with another key or has gone, ends; then there
    is none.

    Raises:
        VaultError: ``agent.foreign`` or ``agent.unreachable``.
        StorageError: ``agent.directory``.
    """
    agent = find_agent(home)
    if agent is None:
        return None
    try:
        agent.status()
    except VaultError as error:
        agent.close()
        if error.code not in ("agent.locked", "agent.gone"):
            raise
        return None
    return agent


def open_session(home: Home, password: PasswordSource | None = None) -> Session:
    """Open the wallet: through its agent, or else here with the keyring or the password.

    Args:
        home: whose wallet.
        password: asked for the password if nothing else opens the vault; None: nobody can be asked.

    Raises:
        VaultError: ``wallet.missing``, ``wallet.locked``, ``vault.*``.
    """
    home.require()
    agent = live_agent(home)
    if agent is not None:
        return agent
    from walletcli.wallet.access.opening import open_here

    return open_here(home, password)
