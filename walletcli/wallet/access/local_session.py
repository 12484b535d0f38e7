"""A wallet that is open in this process: requests are answered here, by the same keeper as an agent's.

Spec: docs/spec/agent.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from walletcli.errors import VaultError
from walletcli.wallet.access import wire
from walletcli.wallet.access.session import Session, identity_of
from walletcli.wallet.home import Home

if TYPE_CHECKING:
    from walletcli.wallet.access.keeper import Keeper
    from walletcli.wallet.access.ssh_keys import SshSigner
    from walletcli.wallet.state.changes import Change
    from walletcli.wallet.state.view import IdentityView
    from walletcli.wallet.state.wallet_view import Snapshot


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

    def apply(self, change: Change) -> IdentityView | None:
        """As asked of an agent; what a restore has found and read goes without the way through an encoding."""
        from walletcli.wallet.access.messages import Apply
        from walletcli.wallet.state.changes import PutDrawer, Several, TakeFound

        if not isinstance(change, Several) or not all(isinstance(one, TakeFound | PutDrawer) for one in change.changes):
            return super().apply(change)
        return identity_of(self._open().answer(Apply(change)))

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
