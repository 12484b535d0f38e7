"""An open wallet for several threads at once: its requests are answered one by one."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from walletcli.wallet.access.session import Session
from walletcli.wallet.state.wallet_view import Snapshot

if TYPE_CHECKING:
    from walletcli.wallet.state.changes import Change
    from walletcli.wallet.state.view import IdentityView


class SharedSession(Session):
    """Passes requests on, one at a time; closing it leaves the other session open.

    Args:
        session: answers them.
    """

    def __init__(self, session: Session) -> None:
        super().__init__(session.home, session.notices)
        self._session = session
        self._lock = threading.Lock()

    def ask(self, kind: int, *arguments: object) -> object:
        """Have a request answered when it is its turn.

        Raises:
            WalletError: what the request ends in.
        """
        with self._lock:
            return self._session.ask(kind, *arguments)

    def snapshot(self) -> Snapshot:
        """Return the public half of the wallet when it is its turn."""
        with self._lock:
            return self._session.snapshot()

    def apply(self, change: Change) -> IdentityView | None:
        """Make a change when it is its turn."""
        with self._lock:
            return self._session.apply(change)

    def unseal_as_root(self, index: int, sealed: bytes, context: bytes) -> bytes:
        """Open what is sealed to the recovery recipient when it is its turn."""
        with self._lock:
            return self._session.unseal_as_root(index, sealed, context)

    def sign_statement(self, index: int, typ: str, payload: bytes, *, by_root: bool = False) -> bytes:
        """Have a statement signed when it is its turn."""
        with self._lock:
            return self._session.sign_statement(index, typ, payload, by_root=by_root)

    def drawer(self, index: int | None, name: str) -> bytes | None:
        """Return what is in a drawer when it is its turn."""
        with self._lock:
            return self._session.drawer(index, name)
