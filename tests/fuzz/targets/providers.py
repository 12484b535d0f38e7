"""What a wallet remembers of an identity's providers."""

from __future__ import annotations

from tests.fuzz.target import Target
from walletcli.client.copying import Missing
from walletcli.errors import WalletError
from walletcli.wallet.providers.book import KitChoice, ProviderBook, ProviderEntry, Role
from walletcli.wallet.providers.journal import Journal, Stage
from walletcli.wallet.providers.move_report import ItemOutcome, MoveReport, Outcome, Unusable


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
        ProviderBook(entries[:1], KitChoice(), _journal(Stage.GRANTED, None)).to_bytes(),
        ProviderBook(entries[:1], KitChoice(), _journal(Stage.TOLD, REPORT), (20_000, REPORT)).to_bytes(),
    ]


REPORT = MoveReport(
    (
        ItemOutcome(True, "letter", 4, 1 << 31, Outcome.OLDER, 1 << 30),
        ItemOutcome(False, "contacts", 4, 1 << 31, Outcome.VAULT),
    ),
    1,
    2,
    3,
    4096,
    (Missing(b"\3" * 16, 2, 1),),
    (Unusable(b"\4" * 16, "http://127.0.0.1:7411", "blob.mismatch", "other bytes"),),
    old="unreliable",
    old_error=Unusable(None, "http://127.0.0.1:7411", "blob.mismatch", "other bytes"),
)


def _journal(stage: Stage, report: MoveReport | None) -> Journal:
    return Journal(
        stage, b"\1" * 32, b"\2" * 32, "http://127.0.0.1:7412", b"grant", (b"before",), 20_000, False, report
    )


TARGETS = [Target("provider-book", check_book, books)]
