"""A throwaway wallet in memory, into which a drill restores: made of words, or of what an open wallet's root can do.

Nothing of it ever reaches a disk, and whatever is written into it is gone when it is let go of.

Spec: docs/spec/recovery.md, "Drill".
"""

from __future__ import annotations

import time

from walletcli.core.keys import MORPHEUS_PERSONA, MORPHEUS_PURPOSE, PURPOSE, KeyTree, Scheme
from walletcli.core.slip10 import path_to_text
from walletcli.errors import VaultError
from walletcli.wallet.access.keeper import Keeper
from walletcli.wallet.access.local_session import LocalSession
from walletcli.wallet.access.root import RECOVERY_GENERATION, Root
from walletcli.wallet.access.session import Session
from walletcli.wallet.home import Home
from walletcli.wallet.state.draft import today
from walletcli.wallet.state.wallet_state import WalletState
from walletcli.wallet.state.wallet_view import WalletView


class MemoryVault:
    """An open vault that is nowhere but here.

    Args:
        payload: what it holds.
    """

    def __init__(self, payload: bytes) -> None:
        self._payload = payload
        self._generation = 1

    @property
    def generation(self) -> int:
        """Generation of what was last read or written."""
        return self._generation

    def read(self) -> bytes:
        """Return what it holds."""
        return self._payload

    def write(self, payload: bytes, expected_generation: int) -> None:
        """Replace what it holds.

        Raises:
            VaultError: ``vault.changed`` at another generation.
        """
        if expected_generation != self._generation:
            raise VaultError("vault.changed", "the vault in memory has been changed meanwhile", "try again")
        self._payload, self._generation = payload, self._generation + 1


class MemoryKeeper(Keeper):
    """A keeper whose vault is no file.

    Args:
        state: what the wallet knows.
    """

    def __init__(self, state: WalletState) -> None:
        super().__init__(MemoryVault(state.to_bytes()), "")

    def _file_stamp(self) -> tuple[int, int, int]:
        return 0, 0, 0


class BorrowedRoot:
    """The root keys of another open wallet: opens, and signs logins, by its own requests alone; no key is given out.

    Args:
        session: the open wallet.
    """

    def __init__(self, session: Session) -> None:
        wallet = session.snapshot().wallet
        self._lender = session
        self._scheme = Scheme(wallet.scheme)
        self._recovery_keys = {view.index: view.recovery_key for view in wallet.identities}

    def path(self, index: int) -> str:
        """As `Root.path`."""
        prefix = (MORPHEUS_PURPOSE, MORPHEUS_PERSONA) if self._scheme is Scheme.MORPHEUS else (PURPOSE,)
        return path_to_text((*prefix, index))

    def keys(self, start: int, count: int) -> list[bytes]:
        """As `Root.keys`."""
        return self._lender.root_keys(start, count)

    def recovery_key(self, index: int) -> bytes:
        """As `Root.recovery_key`; of an identity that the other wallet does not hold, zeros."""
        return self._recovery_keys.get(index, bytes(32))

    def unseal(self, index: int, sealed: bytes, context: bytes, generation: int = RECOVERY_GENERATION) -> bytes:
        """As `Root.unseal`."""
        return self._lender.unseal_as_root(index, sealed, context)

    def sign(self, index: int, typ: str, payload: bytes) -> bytes:
        """As `Root.sign`."""
        return self._lender.sign_statement(index, typ, payload, by_root=True)


class BorrowingKeeper(MemoryKeeper):
    """A keeper without a seed, for which another open wallet does what only its root can.

    Args:
        session: the open wallet.
    """

    def __init__(self, session: Session) -> None:
        scheme = session.snapshot().wallet.scheme
        self._borrowed = BorrowedRoot(session)
        public = WalletView(scheme, "", 0, b"", today(time.time()), True, (), {}, watch=True)
        super().__init__(WalletState(None, {}, public))

    def _root_of(self, seed: KeyTree | None) -> Root | None:
        return self._borrowed


def rehearsal(home: Home, state: WalletState) -> Session:
    """Return a wallet in memory.

    Args:
        home: whose list of relays it uses; nothing is written there.
        state: what it knows: made of words.
    """
    return LocalSession(home, MemoryKeeper(state))


def borrowed_rehearsal(session: Session) -> Session:
    """Return a wallet in memory that knows nothing, and whose root is that of an open wallet."""
    return LocalSession(session.home, BorrowingKeeper(session))
