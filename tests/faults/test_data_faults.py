"""Sealed data under kill -9 after everything that becomes durable, and with a full disk: the old state or the new one.

What becomes durable, one after another: a write of the vault, a blob at the provider, a file of the exit kit. After
each of them the process is killed; then nothing that was there is gone, and the same command run again completes.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.wallet.parts import WORDS, make_home, opened, restored_home
from tests.wallet.providers.parts import Host, bind, view_of
from walletcli.wallet.access.session import Session
from walletcli.wallet.contacts.book import read_book, save_book
from walletcli.wallet.contacts.contact import Contact, anonymous_id
from walletcli.wallet.files import NewFile
from walletcli.wallet.home import Home
from walletcli.wallet.identities import create_identity
from walletcli.wallet.publish import publish_identity
from walletcli.wallet.sealed.data import get_file, list_data, put_file
from walletcli.wallet.sealed.index import Kind
from walletcli.wallet.sealed.memory import read_memory
from walletcli.wallet.sealed.sync import sync_identity

ROOT = Path(__file__).resolve().parents[2]
FEW = 8
"""So many points are tried, spread evenly, but in the long form of the tests."""

OLD, NEW = (hashlib.shake_128(name).digest(1_300_000) for name in (b"old", b"new"))


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    found = Host.start(tmp_path / "provider", 'policy = "open"')
    yield found
    found.stop()


@pytest.fixture
def home(tmp_path: Path, host: Host) -> Home:
    """A wallet whose identity is bound, with an exit kit in a directory."""
    found = make_home(tmp_path / "home", WORDS)
    with opened(found) as session:
        create_identity(session, "alice")
        bind(session, host.address, kit=str(tmp_path / "kit"))
    return found


def run(home: Home, nth: int, act: str, action: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.faults.data_keeper", home.path, str(nth), act, action, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def points(count: int) -> list[int]:
    every = range(1, count + 1)
    return list(every) if os.environ.get("WALLETCLI_SOAK") == "1" else list(every)[:: max(1, count // FEW)]


def content(session: Session, path: Path, name: str) -> bytes | None:
    if list_data(session, "alice").seen.index.get(Kind.FILE, name) is None:
        return None
    with NewFile(str(path / "out")) as out:
        get_file(session, "alice", name, out)
        out.commit()
    found = (path / "out").read_bytes()
    (path / "out").unlink()
    return found


def largest_in_kit(path: Path) -> int:
    return sum(item.stat().st_size for item in (path / "kit" / "blobs").iterdir())


def test_a_killed_put_leaves_the_old_file_or_the_new_one(home: Home, tmp_path: Path) -> None:
    path = tmp_path / "file"
    with opened(home) as session:
        path.write_bytes(OLD)
        put_file(session, "alice", str(path))
    path.write_bytes(NEW)
    count = int(run(home, 0, "kill", "put", str(path)).stdout)
    assert count >= 8
    outcomes = set()
    for point in points(count):
        with opened(home) as session:
            path.write_bytes(OLD)
            put_file(session, "alice", str(path), replace=True)
        path.write_bytes(NEW)
        assert run(home, point, "kill", "put", str(path)).returncode == -9
        with opened(home) as session:
            found = content(session, tmp_path, "file")
            assert found in (OLD, NEW)
            outcomes.add(found)
            put_file(session, "alice", str(path), replace=True)
            assert content(session, tmp_path, "file") == NEW
            assert read_memory(session, view_of(session).index).plans == ()
    assert outcomes == {OLD, NEW}
    with opened(home) as session:
        assert sync_identity(session, "alice").errors == []
        index = list_data(session, "alice").seen.index
        assert len(index.pins) + len(index.free) <= 20
    assert largest_in_kit(tmp_path) < 3_000_000


def test_a_killed_removal_leaves_the_file_or_nothing(home: Home, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(NEW)
    with opened(home) as session:
        put_file(session, "alice", str(path))
    count = int(run(home, 0, "kill", "remove", "file").stdout)
    for point in points(count):
        with opened(home) as session:
            put_file(session, "alice", str(path))
        assert run(home, point, "kill", "remove", "file").returncode == -9
        with opened(home) as session:
            assert content(session, tmp_path, "file") in (None, NEW)
            assert sync_identity(session, "alice").errors == []


def know(session: Session, name: str) -> None:
    index = view_of(session).index
    book = read_book(session, index)
    save_book(session, index, book, book.with_contacts([Contact(anonymous_id(name, {}, None, None), name, 20_000)]))


def known(session: Session) -> set[str]:
    return set(read_book(session, view_of(session).index).names().values())


def test_a_killed_synchronization_loses_no_contact_of_either_device(home: Home, host: Host, tmp_path: Path) -> None:
    other = restored_home(tmp_path / "second", WORDS)
    path = tmp_path / "file"
    path.write_bytes(NEW)
    with opened(home) as first, opened(other) as second:
        create_identity(second, "alice")
        publish_identity(second, "alice", [host.address])
        for session in (first, second, first):
            assert sync_identity(session, "alice").errors == []
    names: set[str] = set()
    count, kills = 12, 0
    for point in range(1, count, 1 if os.environ.get("WALLETCLI_SOAK") == "1" else 2):
        with opened(home) as first, opened(other) as second:
            know(first, f"first {point}")
            know(second, f"second {point}")
            assert sync_identity(second, "alice").errors == []
        names |= {f"first {point}", f"second {point}"}
        done = run(home, point, "kill", "sync")
        assert done.returncode in (-9, 0), done
        kills += done.returncode == -9
        with opened(home) as first, opened(other) as second:
            for session in (first, second):
                assert sync_identity(session, "alice").errors == []
            assert known(first) == names
            assert known(second) == names
    assert kills > 3


def test_a_killed_sealing_anew_leaves_every_file_whole(home: Home, host: Host, tmp_path: Path) -> None:
    for number in range(2):
        (tmp_path / f"file {number}").write_bytes(NEW)
        with opened(home) as session:
            put_file(session, "alice", str(tmp_path / f"file {number}"))
    with opened(restored_home(tmp_path / "second", WORDS)) as second:
        create_identity(second, "alice")
        publish_identity(second, "alice", [host.address])
    point = 0
    while (done := run(home, point := point + 2, "kill", "sync")).returncode == -9:
        with opened(home) as session:
            for number in range(2):
                assert content(session, tmp_path, f"file {number}") == NEW
    assert done.returncode == 0, done
    assert point > 4
    with opened(home) as session:
        items = list_data(session, "alice").seen.index.items
        assert {len(item.recipients) for item in items} == {3}


def test_a_full_disk_ends_a_put_with_an_error_and_the_next_one_completes(home: Home, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(NEW)
    first = run(home, 1, "full", "put", str(path))
    assert first.stdout == "storage.full\n", first
    with opened(home) as session:
        assert content(session, tmp_path, "file") in (None, NEW)
        put_file(session, "alice", str(path), replace=True)
        assert content(session, tmp_path, "file") == NEW


def test_a_full_disk_leaves_no_file_where_one_was_to_be_written(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    from walletcli.errors import StorageError
    from walletcli.wallet import files

    path = tmp_path / "file"
    path.write_bytes(NEW)
    target = tmp_path / "target"
    target.mkdir()
    with opened(home) as session:
        put_file(session, "alice", str(path))

        def full(*_: object) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with pytest.raises(StorageError) as error, NewFile(str(target / "copy")) as out, monkeypatch.context() as now:
            now.setattr(files.os, "write", full)
            get_file(session, "alice", "file", out)
    assert error.value.code == "storage.full"
    assert os.listdir(target) == []
