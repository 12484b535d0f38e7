"""A contact export against bare libsodium."""

from __future__ import annotations

import hashlib

from nacl import bindings

from bench.measure import Row, at_least, in_turn
from walletcli.core.card import Card
from walletcli.core.contact_export import ContactExport, Entry, verify_entries, verify_export
from walletcli.core.cose import Sign1, sig_structure
from walletcli.core.ed25519 import SigningKey
from walletcli.core.secret import Secret

CONTACTS = 10_000
ROUNDS = 5
DAY = 20_000


def _key(number: int) -> SigningKey:
    return SigningKey(Secret(hashlib.sha256(f"bench contact {number}".encode()).digest()))


def _cards(count: int) -> list[Sign1]:
    signed = []
    for number in range(count):
        key = _key(number)
        attributes = {"name": f"Ada Lovelace {number}", "email": f"ada{number}@example.org"}
        signed.append(Sign1.sign(key, Card.TYP, Card(key.public_key, attributes, DAY, DAY + 365).to_payload()))
    return sorted(signed, key=lambda item: item.signer)


def _export(cards: list[Sign1]) -> bytes:
    owner = _key(-1)
    entries = tuple(Entry(card.signer, f"contact {n}", card.to_bytes()) for n, card in enumerate(cards))
    export = ContactExport(owner.public_key, DAY, bytes(16), entries)
    return Sign1.sign(owner, ContactExport.TYP, export.to_payload()).to_bytes()


def verify_contacts() -> list[Row]:
    """An export of 10,000 contacts, each with a card, decoded and verified, against bare verification of the cards."""
    cards = _cards(CONTACTS)
    data = _export(cards)
    signed = [(card.signature + sig_structure(card.typ, card.signer, card.payload), card.signer) for card in cards]

    def ours() -> None:
        export, _ = verify_export(data)
        assert sum(item.card is not None for item in verify_entries(export)) == CONTACTS

    def bare() -> None:
        for message, key in signed:
            bindings.crypto_sign_open(message, key)

    ours_s, bare_s = in_turn(ours, bare, ROUNDS)
    return [
        at_least(
            "an export with 10,000 contacts and their cards decoded and verified, against 10,000 bare verifies",
            bare_s / ours_s,
            0.6,
            f"{CONTACTS / ours_s:,.0f} contacts/s, {len(data) // CONTACTS} bytes each; bare {CONTACTS / bare_s:,.0f}/s",
        )
    ]
