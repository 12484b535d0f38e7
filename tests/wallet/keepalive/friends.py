"""A wallet with contacts of whom it knows the records, and relays among which they are spread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.client.records import record
from tests.client.servers import Shelf
from tests.wallet.parts import HonestRelay
from walletcli.core.encodings import z32_encode
from walletcli.core.record import Record
from walletcli.wallet.access.session import Session
from walletcli.wallet.contacts.book import read_book, save_book
from walletcli.wallet.contacts.contact import Contact
from walletcli.wallet.identities import create_identity
from walletcli.wallet.publish import publish_identity
from walletcli.wallet.relays import add_relay
from walletcli.wallet.state.changes import Remember
from walletcli.wallet.state.view import IdentityView
from walletcli.wallet.state.wallet_view import Seen


@dataclass
class Friends:
    """An open wallet, its identities, relays, and people whom its identities know.

    Attributes:
        session: the open wallet.
        relays: in its list.
    """

    session: Session
    relays: list[HonestRelay]

    @classmethod
    def make(cls, session: Session, start: Callable[[], HonestRelay], relays: int = 4) -> Friends:
        """Make a wallet with so many relays, and the published identity `alice`."""
        made = cls(session, [start() for _ in range(relays)])
        for relay in made.relays:
            add_relay(session.home, relay.url)
        made.identity("alice")
        return made

    def identity(self, label: str) -> IdentityView:
        """Make and publish one more identity."""
        create_identity(self.session, label)
        publish_identity(self.session, label, [relay.url for relay in self.relays], accept_link=True)
        self.forget_questions()
        return self.view(label)

    def view(self, label: str) -> IdentityView:
        return next(item for item in self.session.snapshot().wallet.identities if item.label == label)

    def know(self, names: Sequence[str], label: str = "alice", seq: int = 100) -> list[Record]:
        """Have an identity know people, and remember their records."""
        records = [record(name, seq, profile={"name": name}) for name in names]
        identity, before = self.view(label), read_book(self.session, self.view(label).index)
        contacts = [Contact(item.packet.public_key, name, 20_000) for name, item in zip(names, records, strict=True)]
        save_book(self.session, identity.index, before, before.with_contacts(contacts))
        seen = [(item.packet.public_key, Seen(seq, item.packet.document_hash, item.to_bytes())) for item in records]
        self.session.apply(Remember(tuple(seen)))
        return records

    def forget_questions(self) -> None:
        for relay in self.relays:
            relay.shelf.asked.clear()

    def holders(self, wanted: Record) -> list[HonestRelay]:
        """Return the relays that have a record, and its document."""
        assert wanted.document is not None
        key, digest = wanted.packet.public_key, wanted.document.hash
        return [
            relay
            for relay in self.relays
            if relay.shelf.packets.get(key) == wanted.packet and digest in relay.shelf.documents
        ]


def keys_seen(shelf: Shelf) -> set[str]:
    """Return whose packets a relay was asked for or given, in z-base-32."""
    return {asked.path[1:] for asked in shelf.asked if not asked.path.startswith("/document/")}


def z32s(records: Sequence[Record]) -> set[str]:
    return {z32_encode(item.packet.public_key) for item in records}
