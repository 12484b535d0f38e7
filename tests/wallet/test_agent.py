"""The agent: what it answers, to whom, for how long, and what bad clients can do to it."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.wallet.parts import CHEAP, PASSWORD, make_home, nobody, password
from walletcli.core import cbor
from walletcli.core.ed25519 import SigningKey
from walletcli.core.secret import Secret
from walletcli.errors import FormatError, InputError, SignerError, StorageError, VaultError
from walletcli.wallet.access import runtime, wire
from walletcli.wallet.access.agent import WAKE_S
from walletcli.wallet.access.agent_session import AgentSession, find_agent, open_session
from walletcli.wallet.access.opening import open_vault
from walletcli.wallet.access.unlock import lock, unlock
from walletcli.wallet.home import Home
from walletcli.wallet.identities import create_identity, show_identity
from walletcli.wallet.slots import change_password
from walletcli.wallet.state.change_rows import to_row
from walletcli.wallet.state.changes import AddIdentity, Change, Rename
from walletcli.wallet.status import wallet_status
from walletcli.wallet.transfer import wipe


def connected(home: Home) -> socket.socket:
    connection = runtime.connect(home, 5.0)
    assert connection is not None
    return connection


def found(home: Home) -> AgentSession:
    agent = find_agent(home)
    assert agent is not None
    return agent


def answer(connection: socket.socket) -> object:
    """Read one answer; an error of the agent is raised."""
    header = connection.recv(4, socket.MSG_WAITALL)
    return wire.decode_answer(connection.recv(int.from_bytes(header, "big"), socket.MSG_WAITALL))


def is_closed(connection: socket.socket) -> bool:
    with contextlib.suppress(ConnectionResetError):
        return connection.recv(1) == b""
    return True


def close_all(connections: list[socket.socket]) -> None:
    for connection in connections:
        connection.close()


def pid_of(home: Home) -> int:
    with found(home) as agent:
        return agent.status().pid


LOCKED = ("agent.locked", "agent.gone")
"""What a request ends in that finds the vault changed: the agent may have seen it first."""


def gone(pid: int, timeout_s: float = 5.0) -> bool:
    deadline_s = time.monotonic() + timeout_s
    while time.monotonic() < deadline_s:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":  # ended, and whoever adopts orphans here has not looked yet
            return True
        time.sleep(0.01)
    return False


# What it is for


def test_whoever_takes_long_to_type_or_to_touch_unlocks_all_the_same(
    wallet_home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    import walletcli.wallet.access.unlock as unlocking

    passed_s = 0.0
    clock = time.monotonic
    monkeypatch.setattr(unlocking.time, "monotonic", lambda: clock() + passed_s)

    def slowly() -> Secret:
        nonlocal passed_s
        passed_s += 10 * unlocking.START_TIMEOUT_S
        return password()

    try:
        assert not unlock(wallet_home, slowly).already
    finally:
        assert lock(wallet_home)


def test_an_unlocked_wallet_needs_no_password(agent_home: Home) -> None:
    with open_session(agent_home, nobody) as session:
        create_identity(session, "alice")
        assert [summary.label for summary in session.summaries()] == ["alice"]


def test_locking_ends_the_agent_and_removes_its_socket(agent_home: Home, runtime: Path) -> None:
    pid = pid_of(agent_home)
    assert lock(agent_home)
    assert gone(pid)
    assert not lock(agent_home)
    assert [path.name for path in (runtime / "walletcli").iterdir() if path.suffix == ".sock"] == []
    with pytest.raises(VaultError) as refused:
        open_session(agent_home)
    assert refused.value.code == "wallet.locked"


def test_unlocking_twice_keeps_the_first_agent_and_asks_nothing(agent_home: Home) -> None:
    pid = pid_of(agent_home)
    status = unlock(agent_home, nobody)
    assert (status.pid, status.already) == (pid, True)


def test_a_wrong_password_starts_no_agent(wallet_home: Home) -> None:
    with pytest.raises(VaultError) as refused:
        unlock(wallet_home, lambda: Secret(b"wrong"))
    assert refused.value.code == "vault.wrong-password"
    assert find_agent(wallet_home) is None


def test_locked_and_unlocked_again_at_once(wallet_home: Home) -> None:
    for _ in range(3):
        assert not unlock(wallet_home, password).already
        assert lock(wallet_home)


def test_two_homes_have_two_agents(tmp_path: Path) -> None:
    homes = [make_home(tmp_path / name) for name in ("one", "two")]
    pids = {unlock(home, password).pid for home in homes}
    assert len(pids) == 2
    assert lock(homes[0])
    found(homes[1]).close()
    assert lock(homes[1])


def test_status_tells_without_a_password(agent_home: Home) -> None:
    status = wallet_status(agent_home)
    assert status.unlocked
    assert status.facts is not None
    assert status.expires_in_s is not None
    assert 890 <= status.expires_in_s <= 900


# How long it lives


def test_it_expires_when_nobody_asks_anything(wallet_home: Home) -> None:
    pid = unlock(wallet_home, password, idle_s=1.0).pid
    assert gone(pid)
    assert find_agent(wallet_home) is None


def test_it_expires_in_any_case_at_its_absolute_end(wallet_home: Home) -> None:
    pid = unlock(wallet_home, password, idle_s=60.0, absolute_s=1.0).pid
    with contextlib.suppress(VaultError), found(wallet_home) as agent:
        while True:
            agent.facts()
    assert gone(pid)


def test_looking_at_it_does_not_keep_a_silent_connection_or_garbage_alive(wallet_home: Home) -> None:
    pid = unlock(wallet_home, password, idle_s=1.5).pid
    connection = connected(wallet_home)
    with contextlib.suppress(OSError):
        while not gone(pid, 0.05):
            connection.sendall(wire.frame(b"garbage"))
            answer_or_error(connection)
    assert gone(pid)
    connection.close()


def answer_or_error(connection: socket.socket) -> None:
    with contextlib.suppress(FormatError):
        answer(connection)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_locks_it_at_once(wallet_home: Home, number: signal.Signals) -> None:
    pid = unlock(wallet_home, password).pid
    os.kill(pid, number)
    assert gone(pid, 2.0)
    assert find_agent(wallet_home) is None


@pytest.mark.parametrize(
    ("idle_s", "absolute_s"), [(0, None), (-1, None), (float("nan"), None), (900, 0.5), (1e9, None)]
)
def test_a_time_that_makes_no_sense_is_refused(wallet_home: Home, idle_s: float, absolute_s: float | None) -> None:
    with pytest.raises(InputError) as refused:
        unlock(wallet_home, password, idle_s, absolute_s)
    assert refused.value.code == "agent.timeout"


# Who is let in


def test_socket_and_directory_are_the_users_alone_and_name_nothing(agent_home: Home, runtime: Path) -> None:
    directory = runtime / "walletcli"
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    for path in directory.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0
        assert "home" not in path.name


@pytest.mark.parametrize("spoil", ["open", "link"])
def test_a_runtime_directory_that_others_can_reach_is_refused(
    wallet_home: Home, runtime: Path, spoil: str, tmp_path: Path
) -> None:
    directory = runtime / "walletcli"
    if spoil == "open":
        directory.mkdir()
        directory.chmod(0o755)
    else:
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        directory.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError) as refused:
        unlock(wallet_home, password)
    assert refused.value.code == "agent.directory"


def test_a_long_runtime_path_works(wallet_home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True, mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(deep))
    unlock(wallet_home, password)
    with open_session(wallet_home, nobody) as session:
        assert session.summaries() == []
    assert lock(wallet_home)


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to act as another user")
def test_another_users_process_is_not_answered(agent_home: Home, runtime: Path) -> None:
    path = runtime / "walletcli" / runtime_name(agent_home)
    script = (
        "import socket, sys, os\n"
        "os.chdir(os.path.dirname(sys.argv[1]))\n"
        "s = socket.socket(socket.AF_UNIX); s.connect(os.path.basename(sys.argv[1]))\n"
        "os.write(1, b'connected')\n"
        "try:\n"
        "    s.sendall(bytes.fromhex(sys.argv[2]))\n"
        "    answered = s.recv(1) != b''\n"
        "except (BrokenPipeError, ConnectionResetError):\n"
        "    answered = False\n"
        "sys.exit(7 if answered else 0)\n"
    )
    request = wire.frame(wire.encode_request([wire.GET_VIEW])).hex()
    parents = [path, *path.parents]
    modes = {parent: parent.stat().st_mode for parent in parents if parent.stat().st_uid == 0 and parent != Path("/")}
    try:
        for parent, mode in modes.items():  # even where the directories would let them through
            parent.chmod(mode | 0o777)
        done = subprocess.run(
            ["/usr/bin/python3", "-c", script, str(path), request], user=65534, capture_output=True, check=False
        )
    finally:
        for parent, mode in modes.items():
            parent.chmod(stat.S_IMODE(mode))
    assert done.stdout == b"connected", done.stderr
    assert done.returncode == 0


def runtime_name(home: Home) -> str:
    return runtime.socket_name(home)


def test_somebody_elses_listener_is_not_trusted(wallet_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    unlock(wallet_home, password)
    monkeypatch.setattr(runtime, "peer_uid", lambda _connection: 12345)
    with pytest.raises(VaultError) as refused:
        find_agent(wallet_home)
    assert refused.value.code == "agent.foreign"
    monkeypatch.undo()


def test_it_leaves_no_core_dump_and_is_not_readable(agent_home: Home) -> None:
    pid = pid_of(agent_home)
    assert resource.prlimit(pid, resource.RLIMIT_CORE) == (0, 0)
    assert Path(f"/proc/{pid}/mem").stat().st_uid == 0
    status = Path(f"/proc/{pid}/status").read_text()
    assert "CoreDumping:\t0" in status


def test_its_command_line_and_environment_hold_no_secret(agent_home: Home) -> None:
    pid = pid_of(agent_home)
    data_key = open_vault(agent_home, password).data_key.reveal()
    for name in ("cmdline", "environ"):
        seen = Path(f"/proc/{pid}/{name}").read_bytes()
        for secret in (data_key, data_key.hex().encode(), PASSWORD.reveal()):
            assert secret not in seen


# What bad clients can do


def test_garbage_gets_an_error_and_the_agent_goes_on(agent_home: Home) -> None:
    connection = connected(agent_home)
    for content in (b"", b"\xff", b"\x80", b"{}", *map(cbor.encode, ([], [1], [1, 99], {1: 2}))):
        connection.sendall(wire.frame(content))
        with pytest.raises(FormatError):
            answer(connection)
    connection.sendall(wire.frame(wire.encode_request([wire.GET_SUMMARIES])))
    assert answer(connection) == []
    connection.close()


@pytest.mark.parametrize(
    "row",
    [
        [2, 1],
        [1, 1, 0],
        [1, 5, 0, 0],
        [1, 5, 0, 10_001],
        [1, 5, -1, 1],
        [1, 5, True, 1],
        [1, 6, 0, b""],
        [1, 6, 2**31 - 1, b"", 1],
        [1, 6, 0, b"x" * 65_537, 1],
        [1, 7, [1]],
        [1, 7, [99]],
        [1, 7, [2, 0, 5]],
        [1, 7, [2, 0, "x", 1]],
        [1, 7, [9, [[b"short", 1, None, None]]]],
        [1, 7, "x"],
        [1, 8, 0, b"", "text"],
        ["1", 1],
        [None, 1],
    ],
)
def test_a_request_that_is_not_exactly_right_is_refused(agent_home: Home, row: list[object]) -> None:
    connection = connected(agent_home)
    connection.sendall(wire.frame(cbor.encode(row)))
    with pytest.raises(FormatError) as refused:
        answer(connection)
    assert refused.value.code.startswith(("agent-request.", "cbor."))
    connection.close()


def test_a_request_that_is_too_long_ends_its_connection_only(agent_home: Home) -> None:
    connection = connected(agent_home)
    connection.sendall((wire.MAX_LARGE_REQUEST_BYTES + 1).to_bytes(4, "big") + bytes(1000))
    with pytest.raises(FormatError) as refused:
        answer(connection)
    assert refused.value.code == "agent-request.too-long"
    assert is_closed(connection)
    connection.close()
    with found(agent_home) as agent:
        assert agent.summaries() == []


def test_slow_half_and_silent_clients_hold_up_nobody(agent_home: Home) -> None:
    slow = [connected(agent_home) for _ in range(10)]
    request = wire.frame(wire.encode_request([wire.GET_SUMMARIES]))
    for number, connection in enumerate(slow):
        connection.sendall(request[: number % len(request)])
    with found(agent_home) as agent:
        assert agent.summaries() == []
    for number, connection in enumerate(slow):
        connection.sendall(request[number % len(request) :])
        assert answer(connection) == []
        connection.close()


def test_a_client_that_reads_nothing_holds_up_nobody(agent_home: Home) -> None:
    with found(agent_home) as agent:
        for number in range(20):
            create_identity(agent, f"identity {number}")
    deaf = connected(agent_home)
    deaf.setblocking(False)
    request = wire.frame(wire.encode_request([wire.GET_VIEW]))
    with contextlib.suppress(BlockingIOError):
        while True:
            deaf.send(request)
    with found(agent_home) as agent:
        assert len(agent.summaries()) == 20
    deaf.close()


def test_clients_that_come_and_go_leave_nothing_behind(agent_home: Home) -> None:
    pid = pid_of(agent_home)
    before = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    for _ in range(100):
        connected(agent_home).close()
    with found(agent_home) as agent:
        agent.facts()
    deadline_s = time.monotonic() + 5
    while len(list(Path(f"/proc/{pid}/fd").iterdir())) > before and time.monotonic() < deadline_s:
        time.sleep(0.02)
    assert len(list(Path(f"/proc/{pid}/fd").iterdir())) <= before


def test_more_clients_than_fit_push_out_the_longest_silent(agent_home: Home) -> None:
    crowd = [connected(agent_home) for _ in range(100)]
    with found(agent_home) as agent:
        assert agent.summaries() == []
    assert is_closed(crowd[0])
    close_all(crowd)


def test_many_clients_at_once_are_all_served(agent_home: Home) -> None:
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            with open_session(agent_home, nobody) as session:
                create_identity(session, f"identity {number}")
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    with found(agent_home) as agent:
        assert [summary.index for summary in agent.summaries()] == list(range(16))


def test_requests_sent_in_one_go_are_answered_in_order(agent_home: Home) -> None:
    connection = connected(agent_home)
    changes: list[Change] = [AddIdentity("a", None, 1), Rename(0, "b"), Rename(0, "c")]
    connection.sendall(b"".join(wire.frame(wire.encode_request([wire.APPLY, to_row(change)])) for change in changes))
    labels = []
    for _ in changes:
        row = answer(connection)
        assert isinstance(row, list)
        labels.append(row[1][3])
    assert labels == ["a", "b", "c"]
    connection.close()


# Sockets left behind, second agents


def test_a_killed_agents_socket_is_replaced(wallet_home: Home) -> None:
    pid = unlock(wallet_home, password).pid
    os.kill(pid, signal.SIGKILL)
    assert gone(pid)
    assert find_agent(wallet_home) is None
    assert not unlock(wallet_home, password).already
    assert lock(wallet_home)


def test_a_stuck_agent_is_ended_by_lock(agent_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("walletcli.wallet.access.agent_session.ANSWER_TIMEOUT_S", 0.3)
    pid = pid_of(agent_home)
    os.kill(pid, signal.SIGSTOP)
    assert lock(agent_home)
    assert gone(pid)


def test_a_second_agent_for_one_home_is_refused(agent_home: Home) -> None:
    from walletcli.wallet.access.agent import listen

    with pytest.raises(VaultError) as refused:
        listen(agent_home)
    assert refused.value.code == "agent.running"


def test_two_unlocks_at_once_leave_one_agent(wallet_home: Home) -> None:
    results: list[int] = []

    def work() -> None:
        results.append(unlock(wallet_home, password).pid)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == len(threads)
    assert set(results) == {pid_of(wallet_home)}
    assert lock(wallet_home)


# The vault changes under it


def test_what_another_process_writes_is_seen(agent_home: Home) -> None:
    agent = found(agent_home)
    create_identity(agent, "alice")
    from walletcli.wallet.access.opening import open_here

    with open_here(agent_home, password) as local:
        create_identity(local, "bob")
        create_identity(agent, "carol")
        assert [summary.label for summary in local.summaries()] == ["alice", "bob", "carol"]
    assert [summary.label for summary in agent.summaries()] == ["alice", "bob", "carol"]
    agent.close()


def test_a_new_password_locks_the_agent(agent_home: Home) -> None:
    pid = pid_of(agent_home)
    with found(agent_home) as agent:
        change_password(agent_home, password, Secret(b"new"), kdf=CHEAP)
        with pytest.raises(VaultError) as refused:
            agent.summaries()
    assert refused.value.code in LOCKED
    assert gone(pid)


def test_an_agent_with_an_old_key_is_replaced_by_the_next_unlock(agent_home: Home) -> None:
    pid = pid_of(agent_home)
    change_password(agent_home, password, Secret(b"new"), kdf=CHEAP)
    status = unlock(agent_home, lambda: Secret(b"new"))
    assert not status.already
    assert status.pid != pid
    assert gone(pid)


def test_a_command_does_without_an_agent_with_an_old_key(agent_home: Home) -> None:
    change_password(agent_home, password, Secret(b"new"), kdf=CHEAP)
    with open_session(agent_home, lambda: Secret(b"new")) as session:
        assert session.summaries() == []


def test_a_wiped_wallet_locks_the_agent(agent_home: Home) -> None:
    pid = pid_of(agent_home)
    wipe(agent_home)
    assert gone(pid)


@pytest.mark.parametrize("left", [None, 0, -1, 100])
def test_a_vault_that_vanishes_or_is_cut_short_locks_the_agent(agent_home: Home, left: int | None) -> None:
    pid = pid_of(agent_home)
    agent = found(agent_home)
    vault = Path(agent_home.vault_path)
    content = vault.read_bytes()
    if left is None:
        vault.unlink()
    else:
        vault.write_bytes(content[:left])
    with pytest.raises(VaultError) as refused:
        agent.facts()
    assert refused.value.code in LOCKED
    agent.close()
    assert gone(pid)


@pytest.mark.parametrize("way", ["the directory is deleted", "the password is changed", "the vault is damaged"])
def test_an_agent_that_nobody_asks_ends_all_the_same(agent_home: Home, way: str) -> None:
    pid = pid_of(agent_home)
    vault = Path(agent_home.vault_path)
    match way:
        case "the directory is deleted":
            shutil.rmtree(agent_home.path)
        case "the password is changed":
            change_password(agent_home, password, Secret(b"new"), kdf=CHEAP)
        case _:
            vault.write_bytes(vault.read_bytes()[:-1])
    assert gone(pid, 4 * WAKE_S)


def test_an_agent_outlives_what_it_looks_at(agent_home: Home) -> None:
    pid = pid_of(agent_home)
    os.utime(agent_home.vault_path)
    assert not gone(pid, 1.5 * WAKE_S)
    assert pid_of(agent_home) == pid


# What it does not do


def test_no_answer_holds_a_secret(agent_home: Home) -> None:
    with found(agent_home) as agent:
        for number in range(3):
            create_identity(agent, f"identity {number}")
    from walletcli.wallet.state.wallet_state import WalletState

    state = WalletState.from_bytes(open_vault(agent_home, password).read())
    secrets = [state.seed.reveal()]
    secrets += [key.reveal() for device in state.devices.values() for key in (device.signing, device.sealing)]
    requests: list[list[object]] = [
        [wire.GET_STATUS],
        [wire.GET_FACTS],
        [wire.GET_SUMMARIES],
        [wire.GET_VIEW],
        [wire.DERIVE_SUMMARIES, 0, 5],
        [wire.APPLY, to_row(Rename(0, "x"))],
    ]
    connection = connected(agent_home)
    for request in requests:
        connection.sendall(wire.frame(wire.encode_request(request)))
        said = cbor.encode(answer(connection))
        assert not [secret for secret in secrets if secret in said or secret[:16] in said]
    connection.close()


def test_it_signs_no_powers_for_a_foreign_device(agent_home: Home) -> None:
    from dataclasses import replace

    from walletcli.wallet.state.draft import next_document

    with found(agent_home) as agent:
        create_identity(agent, "alice")
        snapshot = agent.snapshot()
        document = next_document(snapshot.wallet.by_index(0), (), time.time(), os.urandom)
        own = document.delegations[0]
        foreign = replace(own, signing_key=SigningKey(Secret(bytes(32))).public_key)
        with pytest.raises(SignerError) as refused:
            agent.sign(0, replace(document, delegations=(foreign,)).to_bytes(), snapshot.generation)
        assert refused.value.code == "request.foreign-device"
        assert show_identity(agent, "alice").record is None


def test_a_document_made_from_an_older_state_is_not_signed(agent_home: Home) -> None:
    from walletcli.wallet.state.draft import next_document

    with found(agent_home) as agent:
        create_identity(agent, "alice")
        snapshot = agent.snapshot()
        document = next_document(snapshot.wallet.by_index(0), (), time.time(), os.urandom)
        agent.apply(Rename(0, "bob"))
        with pytest.raises(VaultError) as refused:
            agent.sign(0, document.to_bytes(), snapshot.generation)
        assert refused.value.code == "vault.changed"


def test_the_way_to_the_agent_loads_nothing_heavy(agent_home: Home) -> None:
    script = (
        "import sys\n"
        "from walletcli.wallet.home import Home\n"
        "from walletcli.wallet.access.agent_session import open_session\n"
        "with open_session(Home.at(sys.argv[1])) as session:\n"
        "    [summary.to_json() for summary in session.summaries()]\n"
        "print(*sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, agent_home.path], capture_output=True, check=True, text=True)
    heavy = {"nacl", "cryptography", "keyring", "platformdirs", "asyncio", "mnemonic", "cffi", "json", "ctypes"}
    assert "walletcli.wallet.access.agent_session" in done.stdout.split()
    assert heavy & set(done.stdout.split()) == set()
