"""A node under kill -9, a full disk and a failing one: what was acknowledged is there, and the store opens.

strace lists the system calls that change the store's files, and then each of them, one after another, is where the
process is killed or the system refuses. With ``WALLETCLI_SOAK=1`` there are 200 kills under load instead of 20.
"""

from __future__ import annotations

import hashlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import apsw
import pytest

from tests.client.records import foreign_packet, identity
from tests.conftest import NodeProcess, Run, clean_environment, start_node
from tests.faults import store_writer
from tests.node.local import Answer, ask, eventually
from walletcli.node.directory import NodeDirectory
from walletcli.node.sqlite_store import SqliteStore
from walletcli.node.status import status

WRITER = Path(__file__).with_name("store_writer.py")
BATCHES = 12
CALLS = ("pwrite64", "fdatasync", "fsync", "ftruncate", "unlink")
KILLS = 200 if os.environ.get("WALLETCLI_SOAK") == "1" else 20
KILLS_AT_ONCE = 4
"""How many of the kills under load share a node's start, at most."""


@dataclass(frozen=True)
class Point:
    """The `nth` time that a call is made, from 1."""

    call: str
    nth: int


def traced(path: Path, *options: str, how: str = "") -> subprocess.CompletedProcess[str]:
    """Run the writer under strace."""
    command = ["strace", "-f", "-qq", *options, sys.executable, str(WRITER), str(path), str(BATCHES), how]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=clean_environment())


def points(tmp_path: Path) -> list[Point]:
    """Return every call of the writer that changes a file of the store."""
    log = tmp_path / "strace"
    done = traced(tmp_path / "plain.db", "-y", "-e", f"trace={','.join(CALLS)}", "-o", str(log))
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
    assert len(found) > 60
    assert {point.call for point in found} >= {"pwrite64", "fdatasync"}
    return found


def stored_batches(output: str) -> set[int]:
    return {int(line.split()[1]) for line in output.splitlines() if line.startswith("stored ")}


def check_store(path: Path, acknowledged: set[int], attempted: int) -> None:
    """Open the store and check that it has every acknowledged batch whole, any other whole or not at all."""
    if not path.exists():
        assert not acknowledged
        return
    store = store_writer.open_store(path)
    try:
        held = {batch for batch in range(attempted) if holds(store, batch)}
        assert held >= acknowledged
        assert_consistent(store)
        store.stage(store_writer.writes(99), 2000)
        store.commit()
        store.committed()
        store.settle()
        assert holds(store, 99)
    finally:
        store.close()


def holds(store: SqliteStore, batch: int) -> bool:
    """Tell whether a batch is in the store; half of one fails."""
    keys = [store_writer.key(batch, number) for number in range(3)]
    payloads = store.packets(keys)
    document = store.document(hashlib.sha256(store_writer.body(batch)).digest())
    assert len({found is None for found in (*payloads, document)}) == 1
    if document is None:
        return False
    assert document == store_writer.body(batch)
    for number, payload in enumerate(payloads):
        assert payload is not None
        assert payload[72:] == store_writer.packet(batch, number, 1).payload[72:]
    return True


def assert_consistent(store: SqliteStore) -> None:
    reader = store._reader
    assert reader.execute("PRAGMA integrity_check").get == "ok"
    counts = store.counts()
    tables = {
        name: reader.execute(query).get
        for name, query in {
            "packets": "SELECT count(*) FROM packet",
            "documents": "SELECT count(*) FROM document",
            "queued": "SELECT count(*) FROM outbox",
            "unreferenced": "SELECT count(*) FROM document WHERE expires_s IS NOT NULL",
        }.items()
    }
    assert {name: getattr(counts, name) for name in tables} == tables
    indexed = reader.execute("SELECT count(*) FROM packet_index").get
    assert indexed + len(store._tail.ids) == tables["packets"]


@pytest.mark.parametrize("part", range(4))
def test_kill_at_every_write_and_fsync_of_the_store(tmp_path: Path, part: int) -> None:
    for number, point in enumerate(points(tmp_path)[part::4]):
        path = tmp_path / f"killed-{number}.db"
        done = traced(path, "-e", f"inject={point.call}:signal=SIGKILL:when={point.nth}", "-o", os.devnull)
        assert "closed" not in done.stdout or point.call == "unlink", point
        check_store(path, stored_batches(done.stdout), BATCHES)


@pytest.mark.parametrize("call", ["pwrite64", "fdatasync"])
def test_kill_while_the_log_is_copied_beside_the_batches(tmp_path: Path, call: str) -> None:
    for nth in range(2, 60, 7):
        path = tmp_path / f"killed-{nth}.db"
        done = traced(path, "-e", f"inject={call}:signal=SIGKILL:when={nth}", "-o", os.devnull, how="beside")
        check_store(path, stored_batches(done.stdout), BATCHES)


@pytest.mark.parametrize("error", ["ENOSPC", "EIO"])
def test_disk_that_refuses_while_the_log_is_copied_beside_the_batches_loses_nothing(tmp_path: Path, error: str) -> None:
    for nth in range(3, 60, 9):
        path = tmp_path / f"refused-{nth}.db"
        rule = f"inject=pwrite64,fdatasync:error={error}:when={nth}+11"
        done = traced(path, "-e", rule, "-o", os.devnull, how="beside")
        assert (done.returncode, done.stderr) == (0, ""), nth
        check_store(path, stored_batches(done.stdout), BATCHES)


@pytest.mark.parametrize("error", ["ENOSPC", "EIO"])
def test_disk_that_refuses_any_write_or_fsync_loses_nothing(tmp_path: Path, error: str) -> None:
    for number, point in enumerate(points(tmp_path)[1::4]):
        path = tmp_path / f"refused-{number}.db"
        done = traced(path, "-e", f"inject={point.call}:error={error}:when={point.nth}", "-o", os.devnull)
        assert (done.returncode, done.stderr) == (0, ""), point
        codes = set(re.findall(r"storage\.\S+", done.stdout))
        assert codes <= {"storage.full", "storage.failed"}, point
        check_store(path, stored_batches(done.stdout), BATCHES)


def test_disk_that_stays_full_refuses_everything_and_recovers(tmp_path: Path) -> None:
    writes = [point for point in points(tmp_path) if point.call == "pwrite64"]
    first = writes[len(writes) // 2]  # well behind the making of the store
    path = tmp_path / "full.db"
    done = traced(path, "-e", f"inject=pwrite64:error=ENOSPC:when={first.nth}..{first.nth + 5}", "-o", os.devnull)
    refused = [line for line in done.stdout.splitlines() if line.startswith("refused ")]
    assert refused
    assert all(line.endswith(" storage.full") for line in refused)
    assert BATCHES - 1 in stored_batches(done.stdout)
    check_store(path, stored_batches(done.stdout), BATCHES)


# the whole node


def start_traced(directory: Path, log: Path, *options: str) -> NodeProcess:
    """Start a node under strace."""
    real = subprocess.Popen
    prefix = ["strace", "-f", "-qq", "-y", "-s", "40", "-o", str(log), *options]

    def popen(command: Sequence[str], **settings: object) -> subprocess.Popen[str]:
        return real([*prefix, *command], **settings)  # type: ignore[call-overload, no-any-return]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.conftest.subprocess.Popen", popen)
        return start_node(directory, "--no-limits")


@pytest.fixture
def directory(tmp_path: Path, cli: Callable[..., Run]) -> Path:
    """A node that has run once, so that its store is there."""
    path = tmp_path / "node"
    assert cli("node", "init", str(path)).code == 0
    node = start_node(path)
    assert node.stop() == 0
    end(node)
    return path


def end(node: NodeProcess) -> None:
    """End a node, whatever state it is in."""
    if node.process.poll() is None:
        state = NodeDirectory(node.directory).read_run_state()
        os.kill(int(state.get("pid", node.process.pid)), signal.SIGKILL)
    node.process.wait(20)
    assert node.process.stdout is not None
    node.process.stdout.close()


def port_of(node: NodeProcess) -> int:
    return int(node.url.rpartition(":")[2])


def put(port: int, name: str, seq: int = 100) -> Answer:
    return ask(port, "PUT", f"/{identity(name).z32}", foreign_packet(name, seq).to_relay_payload())


def is_stored(port: int, name: str) -> bool:
    return ask(port, "GET", f"/{identity(name).z32}").status == 200


def test_answer_goes_out_after_the_fsync(directory: Path, tmp_path: Path) -> None:
    """Between a packet's last byte to the log and its 204 there is an fdatasync that has returned."""
    log = tmp_path / "strace"
    node = start_traced(directory, log, "-e", "trace=pwrite64,fdatasync,write,sendto,sendmsg,writev")
    try:
        for number in range(15):
            assert put(port_of(node), f"ordered-{number}").status == 204
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
    assert answers == 15


@pytest.mark.parametrize(
    ("call", "nth"),
    [("pwrite64", 40), ("pwrite64", 41), ("pwrite64", 70), ("fdatasync", 8), ("fdatasync", 15), ("fdatasync", 40)],
)
def test_node_killed_inside_a_batch_keeps_what_it_acknowledged(
    directory: Path, tmp_path: Path, call: str, nth: int
) -> None:
    # strace counts for each thread; all commits of a node are on one
    node = start_traced(directory, tmp_path / "strace", "-e", f"inject={call}:signal=SIGKILL:when={nth}")
    acknowledged = []
    try:
        for number in range(200):
            try:
                if put(port_of(node), f"inside-{number}").status == 204:
                    acknowledged.append(f"inside-{number}")
            except OSError:
                break
        eventually(lambda: node.process.poll() is not None, "the kill")
    finally:
        end(node)
    again = start_node(directory, "--no-limits")
    try:
        assert acknowledged
        assert all(is_stored(port_of(again), name) for name in acknowledged)
        assert put(port_of(again), "afterwards").status == 204
    finally:
        end(again)


def test_kills_under_load_lose_nothing_that_was_acknowledged(directory: Path) -> None:
    acknowledged: dict[str, int] = {}
    for kill in range(KILLS):
        node = start_node(directory, "--no-limits")
        try:
            newly = load_until_killed(node, kill)
        finally:
            end(node)
        acknowledged.update(newly)
        if kill % KILLS_AT_ONCE == KILLS_AT_ONCE - 1 or kill == KILLS - 1:
            check_after_kills(directory, acknowledged)
    assert len(acknowledged) > KILLS * 5


def load_until_killed(node: NodeProcess, kill: int) -> dict[str, int]:
    """PUT from several threads, kill the node at a random instant, and return what was acknowledged."""
    port, acknowledged, lock = port_of(node), dict[str, int](), threading.Lock()

    def load(worker: int) -> None:
        for number in range(10_000):
            name = f"kill-{worker}-{number % 50}"
            seq = kill * 10_000 + number + 1
            try:
                answer = put(port, name, seq)
            except OSError:
                return
            assert answer.status == 204
            with lock:
                acknowledged[name] = seq

    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(load, worker) for worker in range(4)]
        time.sleep(0.15 + int.from_bytes(os.urandom(2), "big") / 65_536 * 0.5)
        node.kill()
        for future in running:
            future.result()
    return acknowledged


def check_after_kills(directory: Path, acknowledged: dict[str, int]) -> None:
    again = start_node(directory, "--no-limits")
    try:
        for name, seq in acknowledged.items():
            answer = ask(port_of(again), "GET", f"/{identity(name).z32}")
            assert answer.status == 200
            assert int(answer.headers["etag"].strip('"')) >= seq
        assert again.stop() == 0
    finally:
        end(again)
    store = SqliteStore(directory / "store.db")
    try:
        assert_consistent(store)
    finally:
        store.close()


@pytest.mark.parametrize(
    ("call", "error", "status_", "code"),
    [
        ("pwrite64", "ENOSPC", 507, "storage.full"),
        ("pwrite64", "EIO", 503, "storage.failed"),
        ("fdatasync", "EIO", 503, "storage.failed"),
    ],
)
def test_node_on_a_failing_disk_says_so_acknowledges_nothing_and_recovers(
    directory: Path, tmp_path: Path, call: str, error: str, status_: int, code: str
) -> None:
    count = {"pwrite64": 40, "fdatasync": 6}[call]
    inject = f"inject={call}:error={error}:when=25..{25 + count}"
    node = start_traced(directory, tmp_path / "strace", "-e", f"trace={call}", "-e", inject)
    acknowledged, refused = [], []
    try:
        for number in range(400):
            answer = put(port_of(node), f"failing-{number}")
            (acknowledged if answer.status == 204 else refused).append((f"failing-{number}", answer))
            if refused and answer.status == 204:
                break
        assert refused
        assert {answer.status for _, answer in refused} == {status_}
        assert {answer.code for _, answer in refused} == {code}
        assert not any(is_stored(port_of(node), name) for name, _ in refused)
        eventually(lambda: ask(port_of(node), "GET", "/healthz").status == 200, "recovery")
        assert put(port_of(node), "recovered").status == 204
    finally:
        end(node)
    again = start_node(directory, "--no-limits")
    try:
        assert all(is_stored(port_of(again), name) for name, _ in acknowledged)
        assert not any(is_stored(port_of(again), name) for name, _ in refused)
    finally:
        end(again)


def test_store_that_is_damaged_is_refused_with_a_way_out(directory: Path, cli: Callable[..., Run]) -> None:
    node = start_node(directory)
    assert node.stop() == 0
    end(node)
    data = bytearray((directory / "store.db").read_bytes())
    data[:100] = os.urandom(100)
    (directory / "store.db").write_bytes(data)
    done = cli("--json", "node", "run", str(directory), "--listen", "127.0.0.1:0")
    assert done.code == 8
    assert done.json["error"]["code"] == "storage.damaged"
    assert "node restore" in done.json["error"]["hint"]
    assert "Traceback" not in done.stderr


def test_log_of_a_killed_node_is_read_by_others(directory: Path) -> None:
    node = start_node(directory, "--no-limits")
    for number in range(5):
        assert put(port_of(node), f"left-{number}").status == 204
    node.kill()
    end(node)
    assert (directory / "store.db-wal").stat().st_size > 0
    assert status(directory)["packets"] == 6
    connection = apsw.Connection(str(directory / "store.db"))
    assert connection.execute("PRAGMA integrity_check").get == "ok"
    connection.close()
