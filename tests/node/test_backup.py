"""``node backup`` and ``node restore``: the whole node, while it runs, or nothing."""

from __future__ import annotations

import json
import shutil
import stat
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import apsw
import pytest

from tests.client.records import foreign_packet, identity, record
from tests.conftest import NodeProcess, Run, start_node
from tests.node.local import ask
from walletcli.errors import FormatError, InputError, StorageError, WalletError
from walletcli.node import setup
from walletcli.node.backup import _add_digest, backup, restore
from walletcli.node.directory import NodeDirectory
from walletcli.node.status import status

NodeFactory = Callable[..., NodeProcess]


def port_of(node: NodeProcess) -> int:
    return int(node.url.rpartition(":")[2])


def put(port: int, name: str) -> int:
    return ask(port, "PUT", f"/{identity(name).z32}", foreign_packet(name).to_relay_payload()).status


def names_of(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def test_running_node_comes_back_from_its_backup(node_factory: NodeFactory, tmp_path: Path) -> None:
    node = node_factory("node", "--no-limits")
    stored = record("alice", 5)
    assert stored.document is not None
    document_path = f"/document/{stored.document.hash.hex()}"
    assert ask(port_of(node), "PUT", document_path, stored.document.to_bytes()).status == 204
    assert ask(port_of(node), "PUT", f"/{identity('alice').z32}", stored.packet.to_relay_payload()).status == 204
    backup(node.directory, tmp_path / "node.backup")
    assert put(port_of(node), "after") == 204
    node.stop()
    restore(tmp_path / "node.backup", tmp_path / "restored")
    again = start_node(tmp_path / "restored", "--no-limits")
    try:
        assert again.did == node.did
        assert ask(port_of(again), "GET", document_path).body == stored.document.to_bytes()
        assert ask(port_of(again), "GET", f"/{identity('alice').z32}").body == stored.packet.to_relay_payload()
        assert ask(port_of(again), "GET", f"/{identity('after').z32}").status == 404
        assert put(port_of(again), "after") == 204
    finally:
        again.stop()
        assert again.process.stdout is not None
        again.process.stdout.close()


def test_backup_under_load_is_whole(node_factory: NodeFactory, tmp_path: Path) -> None:
    """Everything acknowledged before the backup began is in it, and it is of one instant."""
    node = node_factory("node", "--no-limits")
    port, stop = port_of(node), threading.Event()
    acknowledged: list[str] = []

    def load(worker: int) -> None:
        number = 0
        while not stop.is_set():
            name = f"load-{worker}-{number}"
            if put(port, name) == 204:
                acknowledged.append(name)
            number += 1

    with ThreadPoolExecutor(8) as pool:
        running = [pool.submit(load, worker) for worker in range(8)]
        while len(acknowledged) < 200:
            pass
        before = list(acknowledged)
        backup(node.directory, tmp_path / "node.backup")
        stop.set()
        for future in running:
            future.result()
    node.stop()
    restore(tmp_path / "node.backup", tmp_path / "restored")
    again = start_node(tmp_path / "restored", "--no-limits")
    try:
        assert all(ask(port_of(again), "GET", f"/{identity(name).z32}").status == 200 for name in before)
        found = status(tmp_path / "restored")
        held = sum(ask(port_of(again), "GET", f"/{identity(name).z32}").status == 200 for name in acknowledged)
        assert found["packets"] == held + 1  # the node's own
    finally:
        again.stop()
        assert again.process.stdout is not None
        again.process.stdout.close()


def test_killed_node_can_be_backed_up(node_factory: NodeFactory, tmp_path: Path) -> None:
    node = node_factory()
    assert put(port_of(node), "alice") == 204
    node.kill()
    backup(node.directory, tmp_path / "node.backup")
    restore(tmp_path / "node.backup", tmp_path / "restored")
    assert status(tmp_path / "restored")["packets"] == 2


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    """A node that never ran."""
    setup.init(tmp_path / "node", ["192.0.2.1:7411"])
    return tmp_path / "node"


def test_backup_is_for_its_owner_only_and_leaves_nothing_else(fresh: Path, tmp_path: Path) -> None:
    backup(fresh, tmp_path / "node.backup")
    assert stat.S_IMODE((tmp_path / "node.backup").stat().st_mode) == 0o600
    assert names_of(tmp_path) == {"node", "node.backup"}


def test_restored_directory_is_the_same(fresh: Path, tmp_path: Path) -> None:
    backup(fresh, tmp_path / "node.backup")
    restore(tmp_path / "node.backup", tmp_path / "restored")
    assert names_of(tmp_path / "restored") == names_of(fresh) - {"lock"}
    for name in names_of(tmp_path / "restored"):
        assert (tmp_path / "restored" / name).read_bytes() == (fresh / name).read_bytes()
        assert (tmp_path / "restored" / name).stat().st_mode == (fresh / name).stat().st_mode
    assert stat.S_IMODE((tmp_path / "restored").stat().st_mode) == 0o700


def test_backup_without_keys_holds_none(node_factory: NodeFactory, tmp_path: Path) -> None:
    node = node_factory()
    backup(node.directory, tmp_path / "node.backup", keys=False)
    held = (tmp_path / "node.backup").read_bytes()
    for name in ("root.key", "device.key", "tls.key"):
        lines = (node.directory / name).read_text().splitlines()
        assert not any(line.encode() in held for line in lines if len(line) > 30 and not line.startswith("#"))


def test_a_restore_without_keys_says_what_has_to_be_put_there(
    fresh: Path, tmp_path: Path, cli: Callable[..., Run]
) -> None:
    backup(fresh, tmp_path / "with.backup")
    backup(fresh, tmp_path / "without.backup", keys=False)
    with_keys = cli("--json", "node", "restore", str(tmp_path / "with.backup"), str(tmp_path / "whole"))
    assert (json.loads(with_keys.stdout)["keys"], with_keys.stderr) == (True, "")
    done = cli("--json", "node", "restore", str(tmp_path / "without.backup"), str(tmp_path / "bare"))
    assert (done.code, json.loads(done.stdout)["keys"]) == (0, False)
    assert "root.key, device.key and tls.key" in done.stderr
    status = cli("node", "status", str(tmp_path / "bare"))
    assert status.code == 8
    assert "--without-keys" in status.stderr
    for name in ("root.key", "device.key", "tls.key"):
        shutil.copy2(fresh / name, tmp_path / "bare" / name)
    assert cli("node", "status", str(tmp_path / "bare")).code == 0


def test_restored_store_holds_no_key(node_factory: NodeFactory, tmp_path: Path) -> None:
    node = node_factory()
    node.stop()
    backup(node.directory, tmp_path / "node.backup")
    restore(tmp_path / "node.backup", tmp_path / "restored")
    stored = (tmp_path / "restored" / "store.db").read_bytes()
    for name in ("root.key", "device.key", "tls.key"):
        lines = (node.directory / name).read_text().splitlines()
        secrets = [line.encode() for line in lines if len(line) > 30 and not line.startswith("#")]
        assert secrets
        assert not any(secret in stored for secret in secrets)


def test_existing_file_and_directory_are_left_alone(fresh: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError) as caught:
        backup(fresh, tmp_path / "file")
    assert caught.value.code == "backup.exists"
    assert (tmp_path / "file").read_text() == "mine"
    backup(fresh, tmp_path / "node.backup")
    with pytest.raises(InputError) as caught:
        restore(tmp_path / "node.backup", fresh)
    assert caught.value.code == "node.exists"


def test_stopped_node_is_locked_while_it_is_backed_up(fresh: Path, tmp_path: Path) -> None:
    files = NodeDirectory(fresh)
    backup(fresh, tmp_path / "node.backup")
    with files.locked():  # it was let go
        assert files.is_locked()


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: b"hello" * 1000,
        lambda data: data[: len(data) // 2],
        lambda data: data.replace(b"hello", b"hallo"),
        lambda data: data[:68] + b"\0\0\0\1" + data[72:],
        lambda data: data[:60] + b"\0\0\0\7" + data[64:],
    ],
    ids=["empty", "text", "cut", "other values", "another program's", "another version"],
)
def test_damaged_backup_is_refused_and_nothing_is_made(
    node_factory: NodeFactory, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    node = node_factory("node", "--no-limits")
    for number in range(50):
        put(port_of(node), f"many-{number}")
    node.stop()
    backup(node.directory, tmp_path / "node.backup")
    (tmp_path / "bad.backup").write_bytes(damage((tmp_path / "node.backup").read_bytes()))
    with pytest.raises((FormatError, StorageError)):
        restore(tmp_path / "bad.backup", tmp_path / "restored")
    assert not (tmp_path / "restored").exists()
    assert not [name for name in names_of(tmp_path) if name.startswith(".")]


def test_backup_with_a_file_that_no_node_has_is_refused(fresh: Path, tmp_path: Path) -> None:
    backup(fresh, tmp_path / "node.backup")
    connection = apsw.Connection(str(tmp_path / "node.backup"))
    connection.execute("INSERT INTO node_file VALUES('../escape', x'00')")
    connection.execute("DROP TABLE backup_digest")
    _add_digest(connection)
    connection.close()
    with pytest.raises(FormatError) as caught:
        restore(tmp_path / "node.backup", tmp_path / "restored")
    assert caught.value.code == "backup.malformed"
    assert names_of(tmp_path) == {"node", "node.backup"}


def test_backup_where_it_cannot_be(fresh: Path, tmp_path: Path) -> None:
    for function, arguments in (
        (backup, (fresh, tmp_path / "no" / "file")),
        (restore, (tmp_path / "no", tmp_path / "r")),
    ):
        with pytest.raises(WalletError):
            function(*arguments)
    with pytest.raises(StorageError) as caught:
        backup(tmp_path, tmp_path / "file")
    assert caught.value.code == "node.missing"


def test_command_line_does_both(fresh: Path, tmp_path: Path, cli: Callable[..., Run]) -> None:
    done = cli("--json", "node", "backup", str(fresh), str(tmp_path / "node.backup"))
    assert (done.code, done.json) == (0, {"backup": str(tmp_path / "node.backup"), "keys": True})
    done = cli("--json", "node", "restore", str(tmp_path / "node.backup"), str(tmp_path / "restored"))
    assert done.code == 0
    assert status(tmp_path / "restored")["did"] == status(fresh)["did"]
