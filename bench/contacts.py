"""A contact export against bare libsodium: the format alone, and the whole way into a contact book."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from nacl import bindings

from bench.measure import Row, at_least, in_turn
from walletcli.core.card import Card
from walletcli.core.contact_export import ContactExport, Entry, verify_entries, verify_export
from walletcli.core.cose import Sign1, sig_structure
from walletcli.core.ed25519 import SigningKey
from walletcli.core.export_file import OpenExport
from walletcli.core.secret import Secret
from walletcli.vault.kdf import KdfParameters
from walletcli.wallet.access.agent_session import open_session
from walletcli.wallet.access.session import Session
from walletcli.wallet.contacts.book import ContactBook, read_book, save_book
from walletcli.wallet.contacts.evidence import Inquiry
from walletcli.wallet.contacts.importing import import_contacts
from walletcli.wallet.create import NewSlots, create_wallet, new_mnemonic
from walletcli.wallet.home import Home
from walletcli.wallet.identities import create_identity

CONTACTS = 10_000
ROUNDS = 5
DAY = int(time.time()) // 86_400


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
    """An export of 10,000 contacts, each with a card: decoded and verified, and imported, against bare verification."""
    cards = _cards(CONTACTS)
    data = _export(cards)
    signed = [(card.signature + sig_structure(card.typ, card.signer, card.payload), card.signer) for card in cards]

    def decode() -> None:
        export, _ = verify_export(data)
        assert sum(item.card is not None for item in verify_entries(export)) == CONTACTS

    def bare() -> None:
        for message, key in signed:
            bindings.crypto_sign_open(message, key)

    decode_s, bare_s = in_turn(decode, bare, ROUNDS)
    with tempfile.TemporaryDirectory() as scratch:
        import_s, bare_again_s, book_bytes = _imported(Path(scratch), data, bare)
    return [
        at_least(
            "an export with 10,000 contacts and their cards decoded and verified, against 10,000 bare verifies",
            bare_s / decode_s,
            0.6,
            f"{CONTACTS / decode_s:,.0f} contacts/s, {len(data) // CONTACTS} bytes each; "
            f"bare {CONTACTS / bare_s:,.0f}/s",
        ),
        at_least(
            "the same export imported: read from its file, verified, into the contact book, sealed and synced",
            bare_again_s / import_s,
            0.6,
            f"{CONTACTS / import_s:,.0f} contacts/s, a book of {book_bytes:,} bytes; "
            f"bare {CONTACTS / bare_again_s:,.0f}/s",
        ),
    ]


def _imported(scratch: Path, data: bytes, bare: Callable[[], object]) -> tuple[float, float, int]:
    """Import the export again and again into an empty book; return the seconds of both, and the book's size."""
    file = scratch / "contacts.export"
    file.write_bytes(OpenExport(data).to_bytes())
    home = Home(str(scratch / "home"))
    password = Secret(b"a password for measuring")
    create_wallet(home, new_mnemonic(12).mnemonic, NewSlots(password, kdf=KdfParameters(8, 1)))
    os.environ["XDG_RUNTIME_DIR"] = str(scratch)  # no agent of the user's is met
    with open_session(home, lambda: password) as session:
        identity = create_identity(session, "bench")

        def ours() -> None:
            report = import_contacts(session, Inquiry(session, identity, offline=True), str(file))
            assert report.added == CONTACTS
            assert not report.dropped

        times: list[float] = []
        bare_times: list[float] = []
        for _ in range(ROUNDS + 1):
            _empty(session, identity.index)
            times.append(_processor_s(ours))
            bare_times.append(_processor_s(bare))
        return min(times[1:]), min(bare_times[1:]), len(read_book(session, identity.index).to_bytes())


def _processor_s(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def _empty(session: Session, index: int) -> None:
    save_book(session, index, read_book(session, index), ContactBook())
