"""Somebody to have as a contact, all of whose keys a test holds; and the owner of a wallet."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.client.servers import Shelf
from tests.core.samples import entropy, key, scalar, sealing_key
from tests.wallet.parts import HonestRelay
from walletcli.core.card import Card, CardFile, to_link
from walletcli.core.cose import Sign1
from walletcli.core.document import Document
from walletcli.core.document_parts import Delegation, Power
from walletcli.core.ed25519 import SigningKey
from walletcli.core.identity_id import IdentityId
from walletcli.core.packet import SignedPacket
from walletcli.core.record import Record, packet_value
from walletcli.core.relation import Relation, RelationFile
from walletcli.core.short_record import to_short
from walletcli.wallet.access.session import Session
from walletcli.wallet.contacts.book import ContactBook, read_book
from walletcli.wallet.contacts.contact import Contact
from walletcli.wallet.contacts.evidence import Inquiry
from walletcli.wallet.contacts.lookup import find_contact
from walletcli.wallet.identities import create_identity, show_identity
from walletcli.wallet.publish import publish_identity
from walletcli.wallet.state.sections import SharedSection, seal_shared
from walletcli.wallet.state.view import IdentityView

TODAY = int(time.time()) // 86_400


class Stranger:
    """An identity that is in no wallet: signs whatever a test wants.

    Args:
        name: gives its keys.
        devices: names of its devices; each may share.
    """

    def __init__(self, name: str, *devices: str) -> None:
        self.name = name
        self.root = key(name)
        self.document = Document(
            self.root.public_key, 100, delegations=delegations(*(f"{name}'s {device}" for device in devices))
        )

    @property
    def key(self) -> bytes:
        return self.root.public_key

    @property
    def did(self) -> str:
        return IdentityId(self.key).did

    def device(self, name: str) -> SigningKey:
        return key(f"{self.name}'s {name}")

    @property
    def record(self) -> Record:
        packet = SignedPacket.sign(self.root, self.document.seq, packet_value(self.document))
        return Record.verified(packet, self.document.to_bytes())

    def next(self, **changes: Any) -> Stranger:
        """Sign another state, on top of this one."""
        before = self.document
        self.document = replace(before, seq=before.seq + 1, previous=before.hash, **changes)
        return self

    def with_devices(self, *names: str) -> Stranger:
        return self.next(delegations=delegations(*(f"{self.name}'s {name}" for name in names)))

    def shares(self, identity: IdentityView, **attributes: str) -> Stranger:
        """Let an identity read attributes."""
        section = seal_shared(
            SharedSection(attributes), self.key, [identity.device_sealing_key], entropy(f"section {self.document.seq}")
        )
        return self.next(sections=(section,))

    def card(self, signer: SigningKey | None = None, **fields: Any) -> bytes:
        said = {"attributes": {"name": self.name.title()}, "day": TODAY, "not_after_day": TODAY + 30, **fields}
        card = Card(self.key, **said)
        return Sign1.sign(signer or self.root, Card.TYP, card.to_payload()).to_bytes()

    def card_file(self, signer: SigningKey | None = None, *, record: bool = True, **fields: Any) -> bytes:
        return CardFile(self.card(signer, **fields), to_short(self.record) if record else None).to_bytes()

    def card_link(self, signer: SigningKey | None = None, **fields: Any) -> str:
        return to_link(self.card(signer, **fields))

    def offer(self, to: bytes, signer: SigningKey | None = None, *, record: bool = True, **fields: Any) -> RelationFile:
        """Sign this side of a relation."""
        said = {"nonce": bytes(16), "day": TODAY, "not_after_day": TODAY + 30, **fields}
        relation = Relation.between(self.key, to, **said)
        return self._file(relation, None, signer, record=record)

    def answer(self, file: RelationFile, signer: SigningKey | None = None, *, record: bool = True) -> RelationFile:
        """Sign this side of an offer."""
        signed = next(side for side in file.signed if side is not None)
        relation = Relation.from_payload(Sign1.from_bytes(signed, 512).payload)
        return self._file(relation, signed, signer, record=record)

    def _file(
        self, relation: Relation, other: bytes | None, signer: SigningKey | None, *, record: bool
    ) -> RelationFile:
        own = Sign1.sign(signer or self.root, Relation.TYP, relation.to_payload()).to_bytes()
        short = to_short(self.record) if record else None
        if relation.side_of(self.key) == 0:
            return RelationFile((own, other), (short, None))
        return RelationFile((other, own), (None, short))


def delegations(*names: str) -> tuple[Delegation, ...]:
    powers = frozenset({Power.HOST, Power.MESSAGE, Power.SHARE})
    found = [Delegation(key(name).public_key, sealing_key(name), powers, TODAY - 1, TODAY + 89) for name in names]
    return tuple(sorted(found, key=lambda item: item.signing_key))


def device_scalar(stranger: Stranger, name: str) -> Any:
    return scalar(f"{stranger.name}'s {name}")


@dataclass
class Owner:
    """An identity of an open wallet, and what it knows.

    Attributes:
        session: the open wallet.
        label: of the identity.
        relay: where it publishes; in the wallet's list.
    """

    session: Session
    label: str
    relay: HonestRelay

    @property
    def identity(self) -> IdentityView:
        return show_identity(self.session, self.label)

    @property
    def key(self) -> bytes:
        return self.identity.public_key

    @property
    def shelf(self) -> Shelf:
        return self.relay.shelf

    @property
    def book(self) -> ContactBook:
        return read_book(self.session, self.identity.index)

    def contact(self, who: str) -> Contact:
        return find_contact(self.book, who)

    def inquiry(self, *relays: str, offline: bool = False) -> Inquiry:
        return Inquiry(self.session, self.identity, relays, offline=offline)

    def publish(self) -> Record:
        return publish_identity(self.session, self.label, [self.relay.url]).record


def make_owner(session: Session, relay: HonestRelay, label: str = "alice") -> Owner:
    """Create and publish an identity."""
    create_identity(session, label)
    owner = Owner(session, label, relay)
    owner.publish()
    return owner


Write = Callable[[str, bytes], str]


def writer(directory: Path) -> Write:
    """Return a function that writes a file and gives its path."""

    def write(name: str, data: bytes) -> str:
        path = directory / name
        path.write_bytes(data)
        return str(path)

    return write
