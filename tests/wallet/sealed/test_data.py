"""The owner's files at a real node: put, list, get, remove; interrupted, refused, and by two homes at once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.wallet.providers.parts import Host, bind, fails, view_of
from walletcli.client.host import HostClient
from walletcli.errors import InputError, NetworkError, StorageError, VerificationError
from walletcli.wallet.access.session import Session
from walletcli.wallet.files import NewFile
from walletcli.wallet.sealed import data as stories
from walletcli.wallet.sealed.data import get_file, list_data, put_file, remove_file
from walletcli.wallet.sealed.index import Kind
from walletcli.wallet.sealed.locking import data_lock
from walletcli.wallet.sealed.memory import read_memory
from walletcli.wallet.state.view import IdentityView

LARGE = hashlib.shake_128(b"large").digest(3_300_000)


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., str]:
    """Write a file and return its path."""

    def write(name: str = "letter.txt", content: bytes = b"dear all") -> str:
        path = tmp_path / name
        path.write_bytes(content)
        return str(path)

    return write


@pytest.fixture
def bound(session: Session, alice: IdentityView, host: Host, tmp_path: Path) -> Session:
    """A wallet whose identity is bound, with an exit kit in a directory."""
    bind(session, host.address, kit=str(tmp_path / "kit"))
    return session


def got(session: Session, path: Path, name: str = "letter.txt") -> bytes:
    with NewFile(str(path / "out")) as out:
        get_file(session, "alice", name, out)
        out.commit()
    content = (path / "out").read_bytes()
    (path / "out").unlink()
    return content


def files_of(session: Session, **more: object) -> list[str]:
    return [item.name for item in list_data(session, "alice", **more).seen.index.of_kind(Kind.FILE)]  # type: ignore[arg-type]


@pytest.mark.parametrize("content", [b"", b"dear all", LARGE])
def test_a_file_comes_back(bound: Session, file: Callable[..., str], tmp_path: Path, content: bytes) -> None:
    stored = put_file(bound, "alice", file(content=content))
    assert stored.new
    assert [kit.complete for kit in stored.kits] == [True]
    assert got(bound, tmp_path) == content


def test_without_a_provider_it_says_what_to_do(session: Session, alice: IdentityView, file: Callable[..., str]) -> None:
    error = fails("data.no-provider", lambda: put_file(session, "alice", file()))
    assert "provider bind alice" in error.hint
    assert read_memory(session, alice.index).plans == ()


def test_the_same_file_again_stores_nothing(bound: Session, file: Callable[..., str]) -> None:
    before = put_file(bound, "alice", file()).item
    again = put_file(bound, "alice", file())
    assert not again.new
    assert again.item == before


def test_another_file_of_the_name_needs_to_be_told(bound: Session, file: Callable[..., str], tmp_path: Path) -> None:
    put_file(bound, "alice", file())
    other = file(content=b"another")
    fails("data.exists", lambda: put_file(bound, "alice", other))
    assert got(bound, tmp_path) == b"dear all"
    assert put_file(bound, "alice", other, replace=True).replaced
    assert got(bound, tmp_path) == b"another"


def test_a_name_of_ones_own(bound: Session, file: Callable[..., str]) -> None:
    put_file(bound, "alice", file(), name="Brief an alle")
    assert files_of(bound) == ["Brief an alle"]


@pytest.mark.parametrize("what", ["directory", "pipe", "missing"])
def test_only_a_file_is_put(bound: Session, tmp_path: Path, what: str) -> None:
    path = tmp_path / "thing"
    if what == "directory":
        path.mkdir()
    elif what == "pipe":
        import os

        os.mkfifo(path)
    code = {"directory": "file.not-regular", "pipe": "file.not-regular", "missing": "file.missing"}[what]
    fails(code, lambda: put_file(bound, "alice", str(path)))


def test_a_removed_file_is_gone_everywhere(
    bound: Session, file: Callable[..., str], tmp_path: Path, host: Host
) -> None:
    put_file(bound, "alice", file(content=LARGE))
    removed = remove_file(bound, "alice", "letter.txt")
    assert removed.item
    assert files_of(bound) == []
    fails("data.unknown", lambda: got(bound, tmp_path))
    fails("data.unknown", lambda: remove_file(bound, "alice", "letter.txt"))
    sizes = [path.stat().st_size for path in (tmp_path / "kit" / "blobs").iterdir()]
    assert max(sizes) < 10_000


def test_a_list_can_be_had_while_nobody_answers(bound: Session, file: Callable[..., str], host: Host) -> None:
    put_file(bound, "alice", file())
    assert files_of(bound, offline=True) == ["letter.txt"]
    host.stop()
    found = list_data(bound, "alice")
    assert found.source is not None  # the exit kit
    assert [item.name for item in found.seen.index.of_kind(Kind.FILE)] == ["letter.txt"]


def test_a_dead_provider_is_made_up_for_by_the_exit_kit(
    bound: Session, file: Callable[..., str], host: Host, tmp_path: Path
) -> None:
    put_file(bound, "alice", file(content=LARGE))
    host.stop()
    assert got(bound, tmp_path) == LARGE


def test_an_exit_kit_that_is_not_there_is_told_and_no_failure(
    bound: Session, file: Callable[..., str], tmp_path: Path
) -> None:
    kit = tmp_path / "kit"
    (kit / "exit-kit").unlink()
    (kit / "letters").write_text("somebody else's")
    stored = put_file(bound, "alice", file())
    assert [kit.complete for kit in stored.kits] == [False]
    assert stored.kits[0].error is not None
    assert got(bound, tmp_path) == b"dear all"


def test_a_provider_without_room_says_so_and_the_old_state_stays(
    session: Session, alice: IdentityView, host: Host, file: Callable[..., str], tmp_path: Path
) -> None:
    bind(session, host.address, quota_bytes=1_500_000)
    put_file(session, "alice", file("small.txt"))
    fails("blob.quota", lambda: put_file(session, "alice", file(content=LARGE)))
    assert got(session, tmp_path, "small.txt") == b"dear all"
    assert [plan.name for plan in list_data(session, "alice").unfinished] == ["letter.txt"]
    assert remove_file(session, "alice", "letter.txt").unfinished
    put_file(session, "alice", file("other.txt", LARGE[:900_000]))
    assert list_data(session, "alice").unfinished == ()


# Interrupted


class Breaking:
    """Lets the connection break after some blobs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
        self.left = after
        self.puts: list[int] = []
        self._put = HostClient.put_blob
        monkeypatch.setattr(HostClient, "put_blob", lambda *arguments: self.put(*arguments))

    def put(self, client: HostClient, manifest: bytes, content: bytes, replaces_version: int) -> None:
        if self.left == 0:
            raise NetworkError("host.unreachable", "the connection broke", "try again")
        self.left -= 1
        self.puts.append(len(content))
        self._put(client, manifest, content, replaces_version)


@pytest.mark.parametrize("after", range(5))
def test_an_interrupted_upload_goes_on_where_it_was(
    bound: Session, file: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    path = file(content=LARGE)
    breaking = Breaking(monkeypatch, after)
    fails("host.unreachable", lambda: put_file(bound, "alice", path))
    assert files_of(bound) == []
    assert [plan.name for plan in list_data(bound, "alice").unfinished] == ["letter.txt"]
    breaking.left = 100
    stored = put_file(bound, "alice", path)
    assert stored.resumed == after
    assert len(breaking.puts) == 5  # four pieces and the index, each once
    assert got(bound, tmp_path) == LARGE
    assert read_memory(bound, view_of(bound).index).plans == ()


def test_an_interrupted_upload_of_another_file_leaves_nothing_behind(
    bound: Session, file: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    breaking = Breaking(monkeypatch, 2)
    fails("host.unreachable", lambda: put_file(bound, "alice", file(content=LARGE)))
    breaking.left = 100
    put_file(bound, "alice", file(content=b"short"))
    assert got(bound, tmp_path) == b"short"
    sizes = [path.stat().st_size for path in (tmp_path / "kit" / "blobs").iterdir()]
    assert max(sizes) < 10_000


def test_an_upload_that_was_refused_for_its_name_need_not_be_repeated(
    bound: Session, file: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    breaking = Breaking(monkeypatch, 3)
    path = file(content=LARGE)
    fails("host.unreachable", lambda: put_file(bound, "alice", path))
    breaking.left = 100
    assert put_file(bound, "alice", path, replace=True).resumed == 3


def test_a_file_that_changes_while_it_is_read_is_not_stored(
    bound: Session, file: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = file(content=LARGE)
    read = stories.SourceFile.piece

    def meddle(source: stories.SourceFile, number: int, digest: bytes) -> bytes:
        if number == 2:
            Path(path).write_bytes(LARGE[:-1] + b"?")
        return read(source, number, digest)

    monkeypatch.setattr(stories.SourceFile, "piece", meddle)
    monkeypatch.setattr(stories.SourceFile, "scan", _scan_then_change(path))
    fails("data.file-changed", lambda: put_file(bound, "alice", path))
    assert files_of(bound) == []


def _scan_then_change(path: str) -> Callable[[stories.SourceFile], stories.Scan]:
    scan = stories.SourceFile.scan

    def scanning(source: stories.SourceFile) -> stories.Scan:
        found = scan(source)
        Path(path).write_bytes(LARGE[::-1])
        return found

    return scanning


# Two at once


def test_another_process_of_the_wallet_is_waited_for_and_then_named(
    bound: Session, file: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    index = view_of(bound).index
    with data_lock(bound.home, index):
        with pytest.raises(StorageError) as error, data_lock(bound.home, index, wait_s=0):
            raise AssertionError("locked twice")
        assert error.value.code == "data.busy"
        with data_lock(bound.home, index + 1, wait_s=0):
            pass
    put_file(bound, "alice", file())


def test_a_wrong_clock_does_no_harm(
    bound: Session, file: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_file(bound, "alice", file("one.txt"))
    import time

    now = time.time()
    for hours in (-24, 30):  # what a provider signs holds from the day before
        monkeypatch.setattr("time.time", lambda shift=hours: now + shift * 3600)
        put_file(bound, "alice", file("one.txt", b"%d" % hours), replace=True)
        assert got(bound, tmp_path, "one.txt") == b"%d" % hours


# A provider that lies


def test_a_provider_that_was_put_back_to_an_old_copy_is_named_and_the_kit_is_used(
    bound: Session, file: Callable[..., str], host: Host, tmp_path: Path
) -> None:
    put_file(bound, "alice", file("one.txt"))
    host.stop()
    host.copy_to(tmp_path / "backup")
    host.restart()
    put_file(bound, "alice", file("two.txt", LARGE))
    host.stop()
    import shutil

    shutil.rmtree(host.node.directory)
    shutil.copytree(tmp_path / "backup", host.node.directory)
    host.restart()
    found = list_data(bound, "alice")
    assert [item.name for item in found.seen.index.of_kind(Kind.FILE)] == ["one.txt", "two.txt"]
    assert [fault.error.code for fault in found.faults] == ["blob.old-version"]
    assert host.address in found.faults[0].error.message
    assert got(bound, tmp_path, "two.txt") == LARGE
    error = fails("blob.old-version", lambda: put_file(bound, "alice", file("three.txt")))
    assert host.address in error.message


LIES: dict[str, Callable[..., object]] = {
    "data.withheld": lambda *_, **__: None,
    "host.too-much": lambda *_, **__: _raise("host.too-much"),
    "host.timeout": lambda *_, **__: _raise("host.timeout"),
    "host.bad-answer": lambda *_, **__: _raise("host.bad-answer"),
}
"""What a provider may do in place of giving a blob, by the error that it ends in."""


def _raise(code: str) -> object:
    raise NetworkError(code, "it answered badly", "do not rely on it")


@pytest.mark.parametrize("code", LIES)
def test_whatever_a_provider_gives_instead_the_kit_is_read_and_nothing_is_written_there(
    bound: Session, file: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    put_file(bound, "alice", file(content=LARGE))
    monkeypatch.setattr(HostClient, "get_blob", LIES[code])
    assert got(bound, tmp_path) == LARGE
    found = list_data(bound, "alice")
    assert [fault.error.code for fault in found.faults] == [code]
    before = read_memory(bound, view_of(bound).index)
    fails(code, lambda: put_file(bound, "alice", file("other.txt")))
    assert read_memory(bound, view_of(bound).index) == before


def test_a_provider_that_lost_everything_is_named(
    session: Session, alice: IdentityView, hosts: Callable[..., Host], file: Callable[..., str]
) -> None:
    host = hosts()
    bind(session, host.address)
    put_file(session, "alice", file())
    host.wipe()
    host.restart()
    with pytest.raises((NetworkError, VerificationError)):
        put_file(session, "alice", file("two.txt"))
    assert files_of(session, offline=True) == ["letter.txt"]


def test_nothing_readable_is_at_the_provider(
    bound: Session, file: Callable[..., str], host: Host, tmp_path: Path
) -> None:
    put_file(bound, "alice", file("passport.pdf", b"a very secret text" * 1000), name="passport.pdf")
    host.stop()
    for directory in (host.node.directory, tmp_path / "kit"):
        for path in directory.rglob("*"):
            if path.is_file():
                content = path.read_bytes()
                for text in ("passport", "very secret"):
                    for form in (text.encode(), text.encode("utf-16-le"), text.encode().hex().encode()):
                        assert form not in content, path


def test_an_unknown_identity_is_named(bound: Session, file: Callable[..., str]) -> None:
    with pytest.raises(InputError) as error:
        put_file(bound, "nobody", file())
    assert error.value.code == "identity.unknown"
