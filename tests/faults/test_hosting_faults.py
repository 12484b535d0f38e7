"""A provider under kill -9, a full disk and a failing one: a blob that was acknowledged is there, and sums are exact.

As in test_node_faults: strace lists the system calls that change the store, and each of them is where the process is
killed or refused.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import NodeProcess, Run, clean_environment, start_node
from tests.faults import host_writer
from tests.faults.test_node_faults import Point, directory, end, start_traced, stored_batches
from tests.node.hosting.people import Person, Remote, blob_id, sealed, sign_as
from tests.node.hosting.test_states import assert_consistent
from tests.node.local import eventually
from walletcli.client.host import HostClient
from walletcli.client.host_answers import HostState
from walletcli.errors import WalletError
from walletcli.node.hosting.kept import Sweep
from walletcli.node.sqlite_store import SqliteStore

__all__ = ["directory"]

WRITER = Path(__file__).with_name("host_writer.py")
BATCHES = 7
CALLS = ("pwrite64", "fdatasync", "fsync", "ftruncate")
OPEN = '[hosting]\npolicy = "open"\n'


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store to start from."""
    path = tmp_path_factory.mktemp("prepared") / "store.db"
    host_writer.prepare(path)
    return path


def traced(path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = ["strace", "-f", "-qq", *options, sys.executable, str(WRITER), str(path), str(BATCHES)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=clean_environment())


@pytest.fixture(scope="module")
def points(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Point]:
    """Every call of the writer that changes a file of the store; of the writes every seventh, for there are many."""
    path = tmp_path_factory.mktemp("points") / "plain.db"
    shutil.copy(prepared, path)
    log = path.with_name("strace")
    done = traced(path, "-y", "-e", f"trace={','.join(CALLS)}", "-o", str(log))
    assert done.stdout.endswith("closed\n"), done.stderr
    counts: dict[str, int] = {}
    found = []
    for line in log.read_text().splitlines():
        call = re.match(r"\d+ +(\w+)\(", line)
        if call is None:
            continue
        counts[call[1]] = counts.get(call[1], 0) + 1
        if "plain.db" in line:
            found.append(Point(call[1], counts[call[1]]))
    writes = [point for point in found if point.call == "pwrite64"]
    assert len(writes) > 500
    others = [point for point in found if point.call != "pwrite64"]
    assert len(others) > 10
    return [*others, *writes[:: len(writes) // 60]]


def check_store(path: Path, acknowledged: set[int]) -> None:
    """Every acknowledged batch is whole, any other whole or not at all, and everything is counted exactly."""
    store = host_writer.open_store(path)
    try:
        held = {batch for batch in range(BATCHES) if store.hosted(host_writer.key(batch)) is not None}
        assert held >= acknowledged
        assert held == set(range(len(held)))
        assert_consistent(store)
        used = store._reader.execute("SELECT used FROM invitation").get
        assert used == len(held) == store._reader.execute("SELECT count(*) FROM invited").get
        check_blobs(store, held)
        store.stage([*host_writer.bind(99), host_writer.blob(99, 0), Sweep()], host_writer.NOW_S)
        store.commit()
        store.committed()
        store.settle()
        assert_consistent(store)
    finally:
        store.close()


def check_blobs(store: SqliteStore, held: set[int]) -> None:
    for batch in held:
        hosted = store.hosted(host_writer.key(batch))
        assert hosted is not None
        is_gone = batch + 1 in held and (batch + 1) % 3 == 2
        assert hosted.blobs == (0 if is_gone else 2)
        for number in () if is_gone else (0, 1):
            blob = store.blob(hosted.host_id, number.to_bytes(16, "big"))
            assert blob is not None
            parts = [store.blob_part(blob.content_id, part) for part in range(3)]
            assert b"".join(part or b"" for part in parts) == host_writer.content(batch + 1, number)
    shared = store.hosted(host_writer.key(host_writer.SHARED))
    assert shared is not None
    newest = store.blob(shared.host_id, (1).to_bytes(16, "big"))
    assert (newest.version if newest is not None else 0) == len(held)


@pytest.mark.parametrize("part", range(4))
def test_kill_at_writes_and_fsyncs_of_hosting(prepared: Path, points: list[Point], tmp_path: Path, part: int) -> None:
    for number, point in enumerate(points[part::4]):
        path = tmp_path / f"killed-{number}.db"
        shutil.copy(prepared, path)
        done = traced(path, "-e", f"inject={point.call}:signal=SIGKILL:when={point.nth}", "-o", os.devnull)
        assert "closed" not in done.stdout, point
        check_store(path, stored_batches(done.stdout))


@pytest.mark.parametrize("error", ["ENOSPC", "EIO"])
def test_disk_that_refuses_any_write_or_fsync_of_hosting_loses_nothing(
    prepared: Path, points: list[Point], tmp_path: Path, error: str
) -> None:
    for number, point in enumerate(points[1::4]):
        path = tmp_path / f"refused-{number}.db"
        shutil.copy(prepared, path)
        done = traced(path, "-e", f"inject={point.call}:error={error}:when={point.nth}", "-o", os.devnull)
        assert (done.returncode, done.stderr) == (0, ""), point
        assert set(re.findall(r"storage\.\S+", done.stdout)) <= {"storage.full", "storage.failed"}, point
        check_store(path, stored_batches(done.stdout))


# the whole node


def bound_client(node: NodeProcess, person: Person) -> HostClient:
    """Return a client that is logged in for somebody who is bound."""
    person.bind(node.address)
    client = person.client(node.address)
    client.login(sign_as(person.phone))
    return client


def test_blob_is_acknowledged_after_the_fsync(directory: Path, tmp_path: Path) -> None:
    (directory / "node.toml").write_text(OPEN)
    log = tmp_path / "strace"
    node = start_traced(directory, log, "-e", "trace=pwrite64,fdatasync,write,sendto,sendmsg,writev")
    try:
        alice = Person()
        alice.bind(node.url)
        with alice.client(node.url) as client:
            client.login(sign_as(alice.phone))
            for number in range(10):
                content = sealed(100_000)
                client.put_blob(alice.manifest(number, content), content, 0)
    finally:
        end(node)
    synced, answers = True, 0
    for line in log.read_text().splitlines():
        if "store.db-wal>" in line and "pwrite64(" in line:
            synced = False
        elif "fdatasync" in line and line.rstrip().endswith("= 0"):
            synced = True
        elif "HTTP/1.1 204" in line:
            assert synced, line
            answers += 1
    assert answers >= 14  # four of records


@pytest.mark.parametrize(("call", "nth"), [("pwrite64", 150), ("pwrite64", 333), ("fdatasync", 12), ("fdatasync", 30)])
def test_node_killed_inside_a_blob_keeps_what_it_acknowledged(
    directory: Path, tmp_path: Path, call: str, nth: int
) -> None:
    (directory / "node.toml").write_text(OPEN)
    node = start_traced(directory, tmp_path / "strace", "-e", f"inject={call}:signal=SIGKILL:when={nth}")
    alice, acknowledged = Person(), {}
    try:
        with bound_client(node, alice) as client:
            for number in range(200):
                content = sealed(50_000)
                try:
                    client.put_blob(alice.manifest(number, content), content, 0)
                except WalletError:
                    break
                acknowledged[number] = content
        eventually(lambda: node.process.poll() is not None, "the kill")
    finally:
        end(node)
    again = start_node(directory, "--no-limits")
    try:
        with alice.client(again.address) as client:
            client.login(sign_as(alice.phone))
            assert client.status().state is HostState.BOUND
            listed = {item.blob_id for item in client.blobs(alice.writers)}
            assert listed >= {blob_id(number) for number in acknowledged}
            assert len(listed) <= len(acknowledged) + 1
            assert client.status().used_bytes == 50_000 * len(listed)
            for number, content in acknowledged.items():
                found = client.get_blob(blob_id(number), alice.writers)
                assert found is not None
                assert found.content == content
    finally:
        end(again)


@pytest.mark.parametrize(
    ("call", "error", "status", "code"),
    [
        ("pwrite64", "ENOSPC", 507, "storage.full"),
        ("pwrite64", "EIO", 503, "storage.failed"),
        ("fdatasync", "EIO", 503, "storage.failed"),
    ],
)
def test_provider_on_a_failing_disk_says_so_acknowledges_nothing_and_recovers(
    directory: Path, tmp_path: Path, call: str, error: str, status: int, code: str
) -> None:
    (directory / "node.toml").write_text(OPEN)
    first, last = {"pwrite64": (400, 440), "fdatasync": (20, 24)}[call]
    inject = f"inject={call}:error={error}:when={first}..{last}"
    node = start_traced(directory, tmp_path / "strace", "-e", f"trace={call}", "-e", inject)
    alice, kept, refused, asked = Person(), {}, [], Remote(node)
    try:
        with bound_client(node, alice) as client:
            token = alice.token(asked)
            for number in range(400):
                content = sealed(20_000)
                answer = alice.put(asked, number, content, **token)
                if answer.status == 204:
                    kept[number] = content
                    if refused:
                        break
                else:
                    refused.append((answer.status, answer.code))
            assert refused
            assert set(refused) == {(status, code)}
            assert {item.blob_id for item in client.blobs(alice.writers)} == {blob_id(number) for number in kept}
            assert client.status().used_bytes == 20_000 * len(kept)
    finally:
        end(node)
    again = start_node(directory, "--no-limits")
    try:
        with alice.client(again.address) as client:
            client.login(sign_as(alice.phone))
            for number, content in kept.items():
                found = client.get_blob(blob_id(number), alice.writers)
                assert found is not None
                assert found.content == content
    finally:
        end(again)


def test_backup_of_a_running_provider_is_whole_and_a_damaged_one_is_refused(
    node: NodeProcess, tmp_path: Path, cli: Callable[..., Run], node_factory: Callable[..., NodeProcess]
) -> None:
    alice = Person()
    contents = {number: sealed(300_000) for number in range(5)}
    with bound_client(node, alice) as client:
        for number, content in contents.items():
            client.put_blob(alice.manifest(number, content), content, 0)
    token = cli("--json", "node", "invite", str(node.directory)).json["name"]
    file = tmp_path / "node.backup"
    assert cli("node", "backup", str(node.directory), str(file)).code == 0
    node.kill()
    damaged = tmp_path / "damaged.backup"
    data = bytearray(file.read_bytes())
    at = data.index(contents[3][1000:1100])
    data[at] ^= 1
    damaged.write_bytes(data)
    refused = cli("--json", "node", "restore", str(damaged), str(tmp_path / "never"))
    assert (refused.code, refused.json["error"]["code"]) == (8, "backup.damaged")
    assert cli("node", "restore", str(file), str(tmp_path / "again")).code == 0
    assert cli("--json", "node", "list", str(tmp_path / "again")).json["invitations"][0]["name"] == token
    again = node_factory("again", "--no-limits")
    with alice.client(again.address) as client:
        client.login(sign_as(alice.phone))
        assert client.status().state is HostState.BOUND
        for number, content in contents.items():
            found = client.get_blob(blob_id(number), alice.writers)
            assert found is not None
            assert found.content == content
