"""``node run`` as a process: ready, durable, alone, stopped cleanly, silent about its clients."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.client.records import foreign_packet, identity, record
from tests.conftest import NodeProcess, Run, start_node
from tests.node.local import WAIT_S, ask, eventually, read_to_end
from walletcli.client.relay import RelayClient
from walletcli.net.addresses import NodeAddress
from walletcli.net.tcp import TcpDialer
from walletcli.node.directory import NodeDirectory

NodeFactory = Callable[..., NodeProcess]


def port_of(node: NodeProcess) -> int:
    return int(node.url.rpartition(":")[2])


def put(node: NodeProcess, name: str, seq: int = 100) -> int:
    packet = foreign_packet(name, seq)
    return ask(port_of(node), "PUT", f"/{identity(name).z32}", packet.to_relay_payload()).status


def logged(node: NodeProcess) -> list[dict[str, object]]:
    return [json.loads(line) for line in log_of(node).splitlines()]


def log_of(node: NodeProcess) -> str:
    return (node.directory.parent / f"{node.directory.name}.log").read_text()


def test_ready_line_says_who_and_where(node_factory: NodeFactory) -> None:
    node = node_factory()
    assert node.address == f"walletcli://127.0.0.1:{node.address.split(':')[2].split('/')[0]}/{node.did}"
    assert ask(port_of(node), "GET", "/identity").body == f"{node.did}\n".encode()
    events = [line["event"] for line in logged(node)]
    assert events == ["node.ready"]


def test_node_on_all_addresses_says_the_one_of_its_record(tmp_path: Path, cli: Callable[..., Run]) -> None:
    directory = tmp_path / "node"
    assert cli("node", "init", str(directory), "--address", "node.example:7411").code == 0
    with (directory / "node.toml").open("a") as settings:
        settings.write('join = "no"\n')  # on all addresses it would join the public DHT
    command = [sys.executable, "-m", "walletcli", "node", "run", str(directory), "--listen", "0.0.0.0:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("ready: walletcli://node.example:7411/did:key:z6Mk")
        process.terminate()
        assert process.wait(WAIT_S) == 0


def test_client_proves_the_node_by_its_own_record(node_factory: NodeFactory) -> None:
    node = node_factory()
    stored = record("alice", 5)
    assert stored.document is not None
    with RelayClient(NodeAddress.from_text(node.address), TcpDialer()) as client:
        client.put_document(stored.document.to_bytes())
        client.put_packet(stored.packet)
        assert client.get_packet(stored.packet.public_key) == stored.packet
        assert client.get_document(stored.document.hash) == stored.document.to_bytes()


def test_what_was_stored_survives_a_stop_and_a_kill(node_factory: NodeFactory) -> None:
    for end in (NodeProcess.stop, NodeProcess.kill):
        node = node_factory()
        name = end.__name__
        assert put(node, name) == 204
        end(node)
        again = node_factory()
        assert ask(port_of(again), "GET", f"/{identity(name).z32}").status == 200
        assert again.did == node.did
        again.stop()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_stops_cleanly(node_factory: NodeFactory, number: signal.Signals) -> None:
    node = node_factory()
    assert put(node, "alice") == 204
    node.process.send_signal(number)
    assert node.process.wait(WAIT_S) == 0
    files = {path.name for path in node.directory.iterdir()}
    assert files == {"device.key", "lock", "node.record", "node.toml", "root.key", "store.db", "tls.crt", "tls.key"}
    assert [line["event"] for line in logged(node)] == ["node.ready", "node.stopping", "node.stopped"]


def test_stop_answers_what_is_under_way_and_loses_nothing(node_factory: NodeFactory) -> None:
    node = node_factory("node", "--no-limits")
    port = port_of(node)

    def send(number: int) -> tuple[str, int] | None:
        name = f"stop-{number}"
        try:
            return name, ask(port, "PUT", f"/{identity(name).z32}", foreign_packet(name).to_relay_payload()).status
        except OSError:
            return None

    with ThreadPoolExecutor(16) as pool:
        running = [pool.submit(send, number) for number in range(400)]
        eventually(lambda: sum(future.done() for future in running) > 50, "a start")
        node.process.terminate()
        answers = [answer for future in running if (answer := future.result()) is not None]
    assert node.process.wait(WAIT_S) == 0
    stored = [name for name, status in answers if status == 204]
    assert len(stored) >= 50
    again = node_factory("node", "--no-limits")
    assert all(ask(port_of(again), "GET", f"/{identity(name).z32}").status == 200 for name in stored)


def test_idle_connections_do_not_keep_a_stop_waiting(node_factory: NodeFactory) -> None:
    node = node_factory()
    with socket.create_connection(("127.0.0.1", port_of(node)), timeout=WAIT_S) as sock:
        sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert sock.recv(4096)
        assert node.stop() == 0  # which waits less long than a connection may be idle
        assert read_to_end(sock) == b""


def test_second_process_is_refused(node_factory: NodeFactory, cli: Callable[..., Run]) -> None:
    node = node_factory()
    second = cli("--json", "node", "run", str(node.directory), "--listen", "127.0.0.1:0")
    assert second.code == 8
    assert second.json["error"]["code"] == "node.busy"
    assert ask(port_of(node), "GET", "/healthz").status == 200
    node.stop()
    assert node_factory().did == node.did


def test_status_does_not_disturb_a_start(node_factory: NodeFactory) -> None:
    """Status looks at the lock by taking it for an instant."""
    node = node_factory()
    node.stop()
    files = NodeDirectory(node.directory)
    with ThreadPoolExecutor(1) as pool:
        looking = pool.submit(lambda: [files.is_locked() for _ in range(20_000)])
        again = node_factory()
        looking.result()
    assert again.did == node.did


@pytest.mark.parametrize(
    ("options", "code", "exit_code"),
    [
        (["--listen", "0.0.0.0:0", "--no-limits"], "node.no-limits", 2),
        (["--listen", "127.0.0.1:0", "--http", "[::]:0", "--no-limits"], "node.no-limits", 2),
        (["--listen", "0.0.0.0:0"], "node.no-address", 2),
        (["--listen", "127.0.0.1"], "address.malformed", 3),
        (["--listen", "127.0.0.1:70000"], "address.malformed", 3),
        (["--listen", "192.0.2.1:0"], "node.listen", 7),
        (["--listen", "127.0.0.1:0", "--source", "nowhere"], "address.malformed", 3),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else str(value),
)
def test_start_that_cannot_be(
    cli: Callable[..., Run], tmp_path: Path, options: list[str], code: str, exit_code: int
) -> None:
    directory = tmp_path / "node"
    assert cli("node", "init", str(directory)).code == 0
    done = cli("--json", "node", "run", str(directory), *options)
    assert (done.code, done.json["error"]["code"]) == (exit_code, code)
    assert "Traceback" not in done.stderr


def test_directory_that_is_no_nodes_is_refused(cli: Callable[..., Run], tmp_path: Path) -> None:
    done = cli("--json", "node", "run", str(tmp_path), "--listen", "127.0.0.1:0")
    assert (done.code, done.json["error"]["code"]) == (8, "node.missing")


def test_port_in_use_is_named(node_factory: NodeFactory, cli: Callable[..., Run], tmp_path: Path) -> None:
    node = node_factory()
    other = tmp_path / "other"
    assert cli("node", "init", str(other)).code == 0
    done = cli("--json", "node", "run", str(other), "--listen", f"127.0.0.1:{port_of(node)}")
    assert (done.code, done.json["error"]["code"]) == (7, "node.listen")


def test_logs_name_no_client_and_no_secret(node_factory: NodeFactory) -> None:
    node = node_factory()
    put(node, "alice")
    ask(port_of(node), "GET", "/secret-path-of-a-client", user_agent="client-agent")
    ask(port_of(node), "PUT", f"/{identity('bob').z32}", b"garbage of a client")
    node.stop()
    log = log_of(node)
    places = re.findall(r"127\.0\.0\.1:(\d+)", log)
    assert set(places) <= {node.address.split(":")[2].split("/")[0], str(port_of(node))}
    for text in (identity("alice").z32, identity("bob").z32, "secret-path", "client-agent", "garbage"):
        assert text not in log
    for name in ("root.key", "device.key", "tls.key"):
        secrets = [line for line in (node.directory / name).read_text().splitlines()[1:] if not line.startswith("#")]
        assert not any(secret in log for secret in secrets if len(secret) > 20)


def test_service_manager_is_told(tmp_path: Path, cli: Callable[..., Run]) -> None:
    directory = tmp_path / "node"
    assert cli("node", "init", str(directory)).code == 0
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(WAIT_S)
        environment = {**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify")}
        command = [sys.executable, "-m", "walletcli", "node", "run", str(directory), "--listen", "127.0.0.1:0"]
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            assert manager.recv(100) == b"READY=1"
            process.terminate()
            assert manager.recv(100) == b"STOPPING=1"
            assert process.wait(WAIT_S) == 0


def test_node_without_uvloop_works(node_factory: NodeFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = node_factory()
    node.stop()
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    (blocked / "uvloop.py").write_text("raise ImportError('not here')\n")
    monkeypatch.setattr("tests.conftest.clean_environment", lambda **more: {**os.environ, "PYTHONPATH": str(blocked)})
    again = start_node(node.directory)
    try:
        assert put(again, "alice") == 204
        assert again.stop() == 0
    finally:
        again.kill()
        assert again.process.stdout is not None
        again.process.stdout.close()
