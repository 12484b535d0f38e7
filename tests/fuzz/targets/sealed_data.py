"""What an identity keeps sealed, and what the wallet remembers of it: index, settings, memory."""

from __future__ import annotations

from tests.fuzz.target import Target
from walletcli.errors import WalletError
from walletcli.wallet.keepalive.log import Entry, KeepLog
from walletcli.wallet.providers.book import Role
from walletcli.wallet.sealed import sync_log
from walletcli.wallet.sealed.index import Item, Kind, Piece, SealedIndex
from walletcli.wallet.sealed.memory import DataMemory, Nameless, Plan, PlannedPiece
from walletcli.wallet.sealed.reading import SeenIndex
from walletcli.wallet.sealed.settings import DeviceSettings, ProviderSettings, Settings, merge_settings
from walletcli.wallet.sealed.sync_log import SyncEntry, SyncFault
from walletcli.wallet.state.view import Share

IDENTITY = bytes(range(32))
KEYS = (bytes([1]) * 32, bytes([2]) * 32)


def check_index(data: bytes) -> bool:
    """One encoding per index, and no id in it twice."""
    try:
        index = SealedIndex.from_cbor(data)
    except WalletError:
        return False
    assert index.to_cbor() == data
    assert SealedIndex.from_bytes(index.to_bytes()) == index
    ids = [piece.blob_id for item in index.items for piece in item.pieces] + [blob_id for blob_id, _ in index.free]
    assert len(ids) == len(set(ids)) == len(index.floors)
    return True


def check_settings(data: bytes) -> bool:
    """One encoding per settings, and merging them with themselves changes nothing."""
    try:
        settings = Settings.from_bytes(data)
    except WalletError:
        return False
    assert settings.to_bytes() == data
    assert merge_settings(settings, settings, settings) == settings
    return True


def check_memory(data: bytes) -> bool:
    """One encoding per memory."""
    try:
        memory = DataMemory.from_bytes(data)
    except WalletError:
        return False
    assert memory.to_bytes() == data
    return True


def check_log(data: bytes) -> bool:
    """One encoding per log."""
    try:
        entries = sync_log.from_bytes(data)
    except WalletError:
        return False
    assert sync_log.to_bytes(list(entries.values())) == data
    return True


def logs() -> list[bytes]:
    """Return valid logs: of nothing, and of two identities."""
    fault = SyncFault("data", "host.timeout", "no answer")
    return [sync_log.to_bytes([]), sync_log.to_bytes([SyncEntry(0, 5, 5, 4), SyncEntry(3, 6, faults=(fault,))])]


def settings() -> list[Settings]:
    """Return valid settings: of nothing, and of some of everything."""
    full = Settings(
        ("route:tcp",),
        ("file", "https://relay.example"),
        (Share(("email",), KEYS),),
        (ProviderSettings(KEYS[0], "https://provider.example", Role.KIT),),
        (DeviceSettings(KEYS[0], "/kit", 20_000, ("https://relay.example",)), DeviceSettings(KEYS[1], "", None, ())),
    )
    return [Settings(), full, Settings(devices=(DeviceSettings(KEYS[0], None, None, ()),))]


def memories() -> list[DataMemory]:
    """Return valid memories: of nothing, and of some of everything."""
    plan = Plan("letter", 5, bytes(32), 1_700_000_000, KEYS, (PlannedPiece(bytes([7]) * 16, 3, bytes(32)),))
    nameless = Nameless(bytes([8]) * 16, 2, 1_700_000_000)
    return [DataMemory(), *(DataMemory(SeenIndex(index, 4, bytes(32)), (plan,), (nameless,)) for index in indices())]


def _piece(number: int) -> Piece:
    return Piece(number.to_bytes(16, "big"), number, bytes([number]) * 32)


def indices() -> list[SealedIndex]:
    """Return valid indices: of nothing, and of two items."""
    book = Item(Kind.SYSTEM, "contacts", 5, bytes(32), 1_700_000_000, KEYS, (_piece(1),))
    file = Item(Kind.FILE, "letter.txt", 2 << 20, bytes(32), 0, KEYS[:1], tuple(_piece(n) for n in (2, 3, 4)))
    full = SealedIndex(IDENTITY, (book, file), ((bytes([9]) * 16, 7),), 2, bytes(32))
    return [SealedIndex(IDENTITY), full]


def check_keep_log(data: bytes) -> bool:
    """One encoding per log of what is kept alive."""
    try:
        log = KeepLog.from_bytes(data)
    except WalletError:
        return False
    assert log.to_bytes() == data
    return True


def keep_logs() -> list[bytes]:
    """Return an empty log, and one with entries."""
    entries = {bytes(32): Entry(5), b"\1" * 32: Entry(1_800_000_000, 3, 2)}
    return [KeepLog().to_bytes(), KeepLog(entries).to_bytes()]


TARGETS = [
    Target("data-index", check_index, lambda: [index.to_cbor() for index in indices()]),
    Target("data-settings", check_settings, lambda: [item.to_bytes() for item in settings()]),
    Target("sync-log", check_log, logs),
    Target("keepalive-log", check_keep_log, keep_logs),
    Target("data-memory", check_memory, lambda: [memory.to_bytes() for memory in memories()]),
]
