"""The machine that will be lost: a wallet on real nodes, whose owner knows exactly what it holds."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.wallet.parts import WORDS, make_home, opened
from walletcli.core.ed25519 import SigningKey
from walletcli.core.secret import Secret
from walletcli.net.tcp import TcpDialer
from walletcli.wallet.access.session import Session
from walletcli.wallet.contacts.book import ContactBook, read_book, save_book
from walletcli.wallet.contacts.contact import Contact, HeldRelation, anonymous_id
from walletcli.wallet.home import Home
from walletcli.wallet.identities import create_identity, set_attribute
from walletcli.wallet.providers.bind import BindWish, bind_provider
from walletcli.wallet.publish import publish_identity
from walletcli.wallet.relays import add_relay
from walletcli.wallet.sealed.access import open_data
from walletcli.wallet.sealed.data import put_file
from walletcli.wallet.sealed.sync import SyncWish, sync_data
from walletcli.wallet.state.view import IdentityView


def contacts(label: str, count: int, relations: int) -> list[Contact]:
    """Return contacts of an identity, the first ones with a relation; nobody looks them up."""
    made = []
    for number in range(count):
        name = f"friend {number} of {label}"
        if number < relations:
            key = SigningKey(Secret(hashlib.sha256(name.encode()).digest())).public_key
            made.append(Contact(key, name, 20_000, relation=HeldRelation((b"ours", b"theirs"), 20_000)))
        else:
            made.append(Contact(anonymous_id(name, {}, None, None), name, 20_000))
    return made


@dataclass
class Machine:
    """A wallet in a home that is going to be deleted.

    Args:
        directory: where home, kits and files are.
        relays: where records are published.
        home: of the wallet.
    """

    directory: Path
    relays: Sequence[str]
    home: Home = field(init=False)

    def __post_init__(self) -> None:
        self.home = make_home(self.directory / "old", WORDS)
        for relay in self.relays:
            add_relay(self.home, relay)

    @contextmanager
    def open(self) -> Iterator[Session]:
        with opened(self.home) as session:
            yield session

    def lose(self) -> None:
        """Delete the wallet's directory."""
        shutil.rmtree(self.home.path)

    def kit(self, label: str) -> Path:
        return self.directory / "kits" / label

    def create(
        self,
        session: Session,
        label: str,
        provider: str | None = None,
        *,
        kit: bool = False,
        friends: int = 0,
        relations: int = 0,
        files: dict[str, int] | None = None,
        sealed: dict[str, str] | None = None,
    ) -> IdentityView:
        """Create and publish an identity; bind it, and keep its contacts and files at its provider."""
        create_identity(session, label)
        for name, value in (sealed or {}).items():
            set_attribute(session, label, name, value, sealed=True)
        if friends:
            self.know(session, label, contacts(label, friends, relations))
        if provider is None:
            publish_identity(session, label, accept_link=True)
        else:
            wish = BindWish(provider, str(self.kit(label)) if kit else None, not kit, accept_link=True)
            bind_provider(session, label, wish)
            for name, size in (files or {}).items():
                self.put(session, label, name, size)
            self.sync(session, label)
        return self.view(session, label)

    def know(self, session: Session, label: str, friends: Sequence[Contact]) -> None:
        index = self.view(session, label).index
        book = read_book(session, index)
        save_book(session, index, book, book.with_contacts(friends))

    def put(self, session: Session, label: str, name: str, size: int) -> None:
        path = self.directory / f"{label} {name}"
        path.write_bytes(hashlib.shake_128(str(path).encode()).digest(size))
        put_file(session, label, str(path), name=name)

    def sync(self, session: Session, label: str) -> None:
        """Bring the data in step, without looking contacts up."""
        with open_data(session, self.view(session, label), _dialer()) as data:
            sync_data(data, SyncWish(), is_newest=True, progress=lambda _: None)

    def view(self, session: Session, label: str) -> IdentityView:
        return next(item for item in session.snapshot().wallet.identities if item.label == label)

    def book(self, session: Session, label: str) -> ContactBook:
        return read_book(session, self.view(session, label).index)


def _dialer() -> TcpDialer:

    return TcpDialer()
