"""What a wallet remembers of an identity's providers."""

from __future__ import annotations

from tests.fuzz.target import Target
from walletcli.errors import WalletError
from walletcli.wallet.providers.book import KitChoice, ProviderBook, ProviderEntry, Role


def check_book(data: bytes) -> bool:
    """One encoding per book."""
    try:
        book = ProviderBook.from_bytes(data)
    except WalletError:
        return False
    assert book.to_bytes() == data
    return True


def books() -> list[bytes]:
    """Return an empty book, and one with providers and an exit kit."""
    entries = (
        ProviderEntry(b"\1" * 32, "http://127.0.0.1:7411"),
        ProviderEntry(b"\2" * 32, "https://node.example", Role.KIT, 20_000),
    )
    return [
        ProviderBook().to_bytes(),
        ProviderBook(entries, KitChoice()).to_bytes(),
        ProviderBook(entries[:1], KitChoice("/media/stick/kit", 20_000)).to_bytes(),
    ]


TARGETS = [Target("provider-book", check_book, books)]
