"""The SQLite store by itself: the tail and the index, rollback, queues, and what another connection sees."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from walletcli.errors import StorageError
from walletcli.node import sqlite_batch, sqlite_store
from walletcli.node.sqlite_store import SqliteStore
from walletcli.node.store import Counts, DueWork, Expire, Outcome, Probe, PutDocument, PutPacket, Sent, Write

SINK = "http://127.0.0.1:1"


def key(number: int) -> bytes:
    return hashlib.sha256(b"key %d" % number).digest()


def payload(number: int, seq: int = 1, length: int = 100) -> bytes:
    return bytes([number % 256]) * 64 + seq.to_bytes(8, "big") + bytes(length)


def put(number: int, seq: int = 1, *, forward: bool = False, document: bytes | None = None) -> PutPacket:
    return PutPacket(key(number), payload(number, seq), seq, document, forward=forward)


def write(store: SqliteStore, *writes: Write, now_s: int = 1000) -> list[Outcome]:
    store.stage(writes, now_s)
    outcomes = store.commit()
    store.committed()
    store.settle()
    return outcomes


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    opened = SqliteStore(path, [SINK])
    yield opened
    opened.close()


@pytest.fixture
def short_tail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_store, "TAIL_PACKETS", 10)


def test_files_are_for_their_owner_only(store: SqliteStore, path: Path) -> None:
    write(store, put(1))
    modes = {part.name: part.stat().st_mode & 0o777 for part in path.parent.iterdir()}
    assert modes == {"store.db": 0o600, "store.db-wal": 0o600, "store.db-shm": 0o600}


def test_settings_that_durability_rests_on(store: SqliteStore) -> None:
    settings = {
        name: store._writer.execute(f"PRAGMA {name}").get
        for name in ("journal_mode", "synchronous", "wal_autocheckpoint", "cache_spill", "page_size")
    }
    assert settings == {
        "journal_mode": "wal",
        "synchronous": 2,
        "wal_autocheckpoint": 0,
        "cache_spill": 0,
        "page_size": 4096,
    }
    copier = {name: store._copier.execute(f"PRAGMA {name}").get for name in ("synchronous", "wal_autocheckpoint")}
    assert copier == {"synchronous": 2, "wal_autocheckpoint": 0}


def test_packets_are_found_in_the_tail_and_in_the_index(store: SqliteStore, short_tail: None) -> None:
    for number in range(35):
        assert write(store, put(number)) == [Outcome.STORED]
        assert store.packets([key(n) for n in range(number + 1)]) == [payload(n) for n in range(number + 1)]
    indexed = store._reader.execute("SELECT count(*) FROM packet_index").get
    assert (indexed, len(store._tail.ids)) in ((30, 5), (33, 2))
    assert store.packets([key(99)]) == [None]


def test_packets_are_replaced_wherever_they_are(store: SqliteStore, short_tail: None) -> None:
    for seq in (1, 2, 3):
        for number in range(15):
            assert write(store, put(number, seq)) == [Outcome.STORED]
    assert store.packets([key(number) for number in range(15)]) == [payload(number, 3) for number in range(15)]
    assert store.counts().packets == 15


def test_tail_is_read_back_when_the_store_is_opened(store: SqliteStore, path: Path, short_tail: None) -> None:
    write(store, *[put(number) for number in range(12)])
    write(store, *[put(number) for number in range(12, 16)])
    again = SqliteStore(path)
    assert again._tail.indexed == 12
    assert sorted(again._tail.ids.values()) == [13, 14, 15, 16]
    assert again.packets([key(3), key(14)]) == [payload(3), payload(14)]
    again.close()


def test_row_ids_are_never_given_twice(store: SqliteStore, path: Path, short_tail: None) -> None:
    write(store, *[put(number) for number in range(12)])
    store._writer.execute("DELETE FROM packet WHERE id > 10")
    again = SqliteStore(path)
    write(again, put(50))
    assert again._reader.execute("SELECT max(id) FROM packet").get == 13
    again.close()


def test_keys_that_share_a_tag_are_told_apart(store: SqliteStore, short_tail: None) -> None:
    """An attacker can make keys that begin alike; they cost more, and are never taken for each other."""
    twins = [b"\7" * 6 + bytes([number]) * 26 for number in range(25)]
    for number, twin in enumerate(twins):
        assert write(store, PutPacket(twin, payload(number), 1, None)) == [Outcome.STORED]
    assert store.packets(twins) == [payload(number) for number in range(25)]
    assert store.packets([b"\7" * 6 + b"\xff" * 26]) == [None]
    for number, twin in enumerate(twins):
        assert write(store, PutPacket(twin, payload(number, 2), 2, None)) == [Outcome.STORED]
        assert write(store, PutPacket(twin, payload(number, 1), 1, None)) == [Outcome.CONFLICT]
    assert store.packets(twins) == [payload(number, 2) for number in range(25)]


def test_batch_sees_its_own_writes(store: SqliteStore) -> None:
    assert write(store, put(1, 1), put(1, 2), put(1, 2), put(1, 1)) == [
        Outcome.STORED,
        Outcome.STORED,
        Outcome.SAME,
        Outcome.CONFLICT,
    ]
    assert store.packets([key(1)]) == [payload(1, 2)]


def test_staged_batch_is_not_seen_before_its_commit(store: SqliteStore) -> None:
    store.stage([put(1)], 0)
    assert store.packets([key(1)]) == [None]
    store.commit()
    store.committed()
    assert store.packets([key(1)]) == [payload(1)]


def test_reads_between_batches_see_the_newest_state(store: SqliteStore) -> None:
    """The reader keeps a snapshot over many reads; it must be let go with every batch."""
    for seq in range(1, 50):
        assert store.packets([key(1)]) == [payload(1, seq - 1) if seq > 1 else None]
        write(store, put(1, seq))


def test_failed_commit_leaves_nothing_behind(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    write(store, put(1))
    before = store.counts()
    store.stage([put(2), put(1, 5)], 0)
    store._writer.execute("ROLLBACK")  # COMMIT now fails as it does on a disk that is full
    with pytest.raises(StorageError):
        store.commit()
    store.committed()
    assert store.packets([key(1), key(2)]) == [payload(1), None]
    assert store.counts() == before
    assert write(store, put(3), put(2)) == [Outcome.STORED] * 2
    assert store.packets([key(2), key(3)]) == [payload(2), payload(3)]


def test_failed_stage_leaves_nothing_behind(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_batch, "_INSERT", "INSERT INTO nowhere VALUES(?, ?, ?, ?, ?, ?)")
    with pytest.raises(StorageError, match="cannot be used"):
        store.stage([put(1)], 0)
    monkeypatch.undo()
    assert write(store, put(1)) == [Outcome.STORED]
    assert store.packets([key(1)]) == [payload(1)]


def test_failed_merge_is_tried_again(store: SqliteStore, short_tail: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_store, "_MERGE", "INSERT INTO nowhere SELECT tag, id FROM packet WHERE id > ?")
    with pytest.raises(StorageError):
        write(store, *[put(number) for number in range(12)])
    monkeypatch.undo()
    monkeypatch.setattr(sqlite_store, "TAIL_PACKETS", 10)
    assert store.packets([key(0), key(11)]) == [payload(0), payload(11)]
    write(store, put(12))
    write(store, put(13))
    assert store._tail.indexed == 13
    assert store.packets([key(number) for number in range(14)]) == [payload(number) for number in range(14)]


def test_log_is_copied_back_and_started_anew(store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_store, "CHECKPOINT_PAGES", 50)
    for number in range(400):
        write(store, put(number))
        store.packets([key(number)])  # a reader that never goes away
    log = path.with_name("store.db-wal").stat().st_size
    assert log < 150 * 4200
    assert store.packets([key(number) for number in range(400)]) == [payload(number) for number in range(400)]


def test_long_log_is_copied_beside_the_batches_and_the_rest_between_two(
    store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_store, "CHECKPOINT_PAGES", 50)
    found, most_bytes = [], 0
    for number in range(400):
        store.stage([put(number)], 1000)
        if (due := store.due_work()) is DueWork.COPY:
            store.copy_log()  # in the middle of a batch
        store.commit()
        store.committed()
        if due is DueWork.SETTLE:
            store.settle()
        found.append(due)
        most_bytes = max(most_bytes, path.with_name("store.db-wal").stat().st_size)
    turns = [due for due, _ in itertools.groupby(found)]
    assert turns[:6] == [DueWork.NOTHING, DueWork.COPY, DueWork.SETTLE] * 2
    assert most_bytes < 150 * 4200
    assert store.packets([key(number) for number in range(400)]) == [payload(number) for number in range(400)]


def test_log_that_cannot_be_copied_is_due_again(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_store, "CHECKPOINT_PAGES", 1)
    store.stage([put(1)], 1000)
    store.commit()
    store.committed()
    copier = store._copier
    monkeypatch.setattr(store, "_copier", apsw.Connection(":memory:"))
    store._copier.close()
    with pytest.raises(StorageError, match="cannot be used"):
        store.copy_log()
    assert store.due_work() is DueWork.COPY
    monkeypatch.setattr(store, "_copier", copier)
    store.copy_log()
    assert store.due_work() is DueWork.SETTLE


def test_counts_are_those_of_the_tables(store: SqliteStore) -> None:
    body, other = b"a" * 1000, b"b" * 3000
    hashes = [hashlib.sha256(text).digest() for text in (body, other)]
    write(store, put(1, document=hashes[0]), put(2, document=b"x" * 32), put(3))
    assert store.counts() == Counts(packets=3, pending=2)
    write(store, PutDocument(hashes[0], key(1), body), PutDocument(hashes[1], key(3), other))
    assert store.counts() == Counts(
        packets=3, documents=2, pending=1, unreferenced=1, unreferenced_bytes=3000, document_bytes=4000
    )
    write(store, put(2, 2), put(1, 2))
    assert store.counts().pending == 0
    write(store, Expire(), now_s=10_000)
    assert store.counts() == Counts(packets=3)


def test_queue_is_written_with_the_packet_and_newest_wins(store: SqliteStore) -> None:
    write(store, put(1, 1, forward=True), put(2, 1, forward=True), put(3, 1), now_s=100)
    assert [entry.key for entry in store.due(SINK, 100, 10)] == [key(1), key(2)]
    write(store, put(1, 2, forward=True), now_s=200)
    assert store.counts().queued == 2
    write(store, Sent(SINK, key(1), 1))  # the older one arrived; the newer is still to go
    assert {entry.key for entry in store.due(SINK, 200, 10)} == {key(1), key(2)}
    write(store, Sent(SINK, key(1), 2))
    assert [entry.key for entry in store.due(SINK, 200, 10)] == [key(2)]
    write(store, Sent(SINK, key(2), 1, retry_at_s=500))
    assert store.due(SINK, 499, 10) == []
    assert [entry.attempts for entry in store.due(SINK, 500, 10)] == [1]
    assert store.due("another sink", 500, 10) == []
    write(store, Sent("another sink", key(2), 1))
    assert store.counts().queued == 1


def test_refused_packet_is_not_queued(store: SqliteStore) -> None:
    write(store, put(1, 5, forward=True))
    write(store, Sent(SINK, key(1), 5))
    assert write(store, put(1, 5, forward=True), put(1, 4, forward=True)) == [Outcome.SAME, Outcome.CONFLICT]
    assert store.counts().queued == 0


def test_document_that_completes_a_packet_sends_it_again(store: SqliteStore) -> None:
    body = b"document"
    document_hash = hashlib.sha256(body).digest()
    write(store, put(1, 1, forward=True, document=document_hash))
    write(store, Sent(SINK, key(1), 1))
    write(store, PutDocument(document_hash, key(1), body, forward=True))
    assert [entry.key for entry in store.due(SINK, 2000, 10)] == [key(1)]


def test_queue_is_bounded_and_the_oldest_go_first(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_batch, "MAX_QUEUED", 3)
    for number in range(5):
        write(store, put(number, forward=True), now_s=1000 + number)
    assert [entry.key for entry in store.due(SINK, 2000, 10)] == [key(2), key(3), key(4)]
    assert (store.counts().queued, store.counts().dropped) == (3, 2)


def test_probe_writes(store: SqliteStore) -> None:
    assert write(store, Probe()) == [Outcome.STORED]


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"not a database" * 100, "storage.damaged"), (b"SQLite format 3\0" + bytes(5000), "storage.damaged")],
)
def test_file_that_is_no_store_is_refused(path: Path, content: bytes, code: str) -> None:
    path.write_bytes(content)
    with pytest.raises(StorageError) as caught:
        SqliteStore(path)
    assert caught.value.code == code


@pytest.mark.parametrize("statement", ["PRAGMA user_version = 4", "PRAGMA application_id = 7", "CREATE TABLE t(x)"])
def test_database_of_somebody_else_is_refused(path: Path, statement: str) -> None:
    if "TABLE" not in statement:
        SqliteStore(path).close()
    other = apsw.Connection(str(path))
    other.execute(statement)
    other.close()
    with pytest.raises(StorageError) as caught:
        SqliteStore(path)
    assert caught.value.code == "storage.version"


def test_directory_that_is_not_there_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        SqliteStore(tmp_path / "nowhere" / "store.db")
