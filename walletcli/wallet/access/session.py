"""An open wallet as the stories see it: the same operations whether an agent or this process holds the secrets.

Light: importing it loads no cryptography. `LocalSession` and `AgentSession` are its two kinds.

Spec: docs/spec/agent.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self, cast

from walletcli.errors import VaultError
from walletcli.wallet.access import wire
from walletcli.wallet.home import Home

if TYPE_CHECKING:
    from walletcli.wallet.state.changes import Change, PutDrawer
    from walletcli.wallet.state.summary import IdentitySummary
    from walletcli.wallet.state.view import IdentityView
    from walletcli.wallet.state.wallet_view import Snapshot, WalletFacts


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

        generation, wallet = rows_of(self.ask(wire.GET_VIEW))
        return Snapshot(cast("int", generation), WalletView.from_cbor(wallet))

    def apply(self, change: Change) -> IdentityView | None:
        """Make a change; it is on disk when this returns.

        Returns:
            The identity that it touched, as it is now, or None if it touched none.
        """
        from walletcli.wallet.state.change_rows import to_row

        return identity_of(self.ask(wire.APPLY, to_row(change)))

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
        return [cast("tuple[bytes, bytes]", tuple(rows_of(row))) for row in rows_of(self.ask(wire.NEW_DEVICES, count))]

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


def identity_of(answer: object) -> IdentityView | None:
    """Return the identity in the answer to a change: the one that it touched, or None."""
    from walletcli.wallet.state.view import IdentityView

    _, identity = rows_of(answer)
    return IdentityView.from_cbor(identity) if identity is not None else None


def rows_of(value: object) -> list[object]:
    """Return the list that an answer is."""
    return cast("list[object]", value)


def _summaries(value: object) -> list[IdentitySummary]:
    from walletcli.wallet.state.summary import IdentitySummary

    return [IdentitySummary.from_cbor(row) for row in rows_of(value)]
