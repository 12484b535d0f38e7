"""What the wallet's tests share: a cheap wallet, its password, and an honest relay."""

from __future__ import annotations

from pathlib import Path

from tests.client.servers import Server, Shelf
from walletcli.core.bip39 import Mnemonic
from walletcli.core.record import Record
from walletcli.core.secret import Secret
from walletcli.vault.kdf import KdfParameters
from walletcli.wallet.access.agent_session import open_session
from walletcli.wallet.access.session import Session
from walletcli.wallet.create import NewSlots, create_wallet, new_mnemonic
from walletcli.wallet.home import Home
from walletcli.wallet.restore import restore_wallet

PASSWORD = Secret(b"correct horse")
CHEAP = KdfParameters(memory_mib=8, passes=1)
SLOTS = NewSlots(PASSWORD, kdf=CHEAP)
WORDS = "legal winner thank year wave sausage worth useful legal winner thank yellow"
"""A mnemonic of BIP39's test vectors."""


def password() -> Secret:
    """Answer as a user would who is asked for the password."""
    return PASSWORD


def nobody() -> Secret:
    raise AssertionError("the password was asked for")


def make_home(path: Path, words: str | None = None) -> Home:
    """Make a new wallet in `path`."""
    home = Home(str(path))
    create_wallet(home, Mnemonic.parse(words) if words else new_mnemonic(12).mnemonic, SLOTS)
    return home


def restored_home(path: Path, words: str, scheme: str = "walletcli") -> Home:
    """Restore a wallet in `path`."""
    home = Home(str(path))
    restore_wallet(home, Secret.from_text(words), SLOTS, scheme)
    return home


def opened(home: Home) -> Session:
    """Open a wallet with its password, or its agent."""
    return open_session(home, password)


class HonestRelay:
    """A relay that holds what it is told, behind a real socket."""

    def __init__(self) -> None:
        self.shelf = Shelf()
        self._server = Server(self.shelf.converse)
        self.url = self._server.address.to_text()

    def record(self, public_key: bytes) -> Record:
        """Return what it holds of an identity, verified."""
        packet = self.shelf.packets[public_key]
        assert packet.document_hash is not None
        return Record.verified(packet, self.shelf.documents[packet.document_hash])

    def close(self) -> None:
        self._server.close()
