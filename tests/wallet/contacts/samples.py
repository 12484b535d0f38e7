"""Contacts for tests, the same ones in every run."""

from __future__ import annotations

from tests.core.samples import DAY, key, sealing_key
from walletcli.core.card import Card
from walletcli.core.cose import Sign1
from walletcli.core.relation import Relation
from walletcli.wallet.contacts.contact import Contact, HeldCard, HeldRelation, Sighting, Standing, anonymous_id

OWNER = key("owner of the book")
BOB = key("bob")
CAROL = key("carol")


def card_of(name: str, day: int = DAY, days: int = 365) -> bytes:
    """Return a card that the root of `name` has signed."""
    signer = key(name)
    card = Card(signer.public_key, {"name": name}, day, day + days)
    return Sign1.sign(signer, Card.TYP, card.to_payload()).to_bytes()


def sides(name: str, day: int = DAY) -> tuple[bytes, bytes]:
    """Return a relation of the owner and `name`, signed by both roots, in the order of the parties."""
    other = key(name)
    relation = Relation.between(OWNER.public_key, other.public_key, bytes([day % 256]) * 16, day, day + 365)
    signed = {
        signer.public_key: Sign1.sign(signer, Relation.TYP, relation.to_payload()).to_bytes()
        for signer in (OWNER, other)
    }
    lower, higher = (signed[party] for party in relation.parties)
    return lower, higher


def plain(name: str, **parts: object) -> Contact:
    """Return a contact with an identity and nothing else but `parts`."""
    return Contact(key(name).public_key, name, DAY, **parts)  # type: ignore[arg-type]


def full(name: str) -> Contact:
    """Return a contact that has every field."""
    return Contact(
        key(name).public_key,
        name,
        DAY,
        HeldCard(card_of(name), DAY),
        DAY + 1,
        HeldRelation(sides(name), DAY + 2),
        sides(name, DAY + 3)[0],
        DAY + 4,
        ("first note", "second note"),
        {"email": f"{name}@example.org"},
        f"uid of {name}",
        ("https://relay.example", "walletcli://node.example:7411/did:key:z6Mk"),
        ("birthday", "phone"),
        Sighting(
            7, DAY, Standing.RETIRED, (key("provider").public_key,), ("https://provider.example",),
            tuple(sorted((sealing_key("one"), sealing_key("two")))), {"phone": "+1 555 0100"},
        ),
    )  # fmt: skip


def anonymous(name: str) -> Contact:
    """Return a contact without an identity."""
    return Contact(anonymous_id(name, {}, None, None), name, DAY, notes=("met at a fair",), attributes={"tel": "1"})
