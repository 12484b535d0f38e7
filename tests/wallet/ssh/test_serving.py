"""The socket of an SSH agent: whose it is, what is left of it, and what bad clients can do to it."""

from __future__ import annotations

import gc
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.wallet.parts import opened
from tests.wallet.ssh.agents import RunningAgent, exchange, receive, serving
from walletcli.core.ssh.agent_messages import FAILURE, MAX_MESSAGE_BYTES, ListKeys, SignData, encode, keys_answer
from walletcli.core.ssh.encoding import string
from walletcli.core.ssh.keys import key_blob, signature_blob
from walletcli.core.ssh.signable import FileHash
from walletcli.errors import FormatError, SignerError, StorageError, VaultError
from walletcli.wallet.access import runtime
from walletcli.wallet.access.agent_session import AgentSession
from walletcli.wallet.access.session import Session
from walletcli.wallet.access.unlock import lock
from walletcli.wallet.home import Home
from walletcli.wallet.identities import create_identity
from walletcli.wallet.ssh.holder import AgentHolder, OwnHolder, holder_of
from walletcli.wallet.ssh.key import ssh_key
from walletcli.wallet.ssh.place import MAX_AGENTS, AgentSocket, socket_names
from walletcli.wallet.ssh.serving import MAX_CLIENTS
from walletcli.wallet.transfer import wipe

FILE = FileHash("file", "sha512", bytes(64))
ADA = bytes(32)


@pytest.fixture
def ada(session: Session) -> Iterator[RunningAgent]:
    """The agent of an identity."""
    create_identity(session, "ada")
    with serving(session, "ada") as agent:
        yield agent


def keys_of(agent: RunningAgent) -> bytes:
    return keys_answer((key_blob(agent.page.public_key),))


def sign(agent: RunningAgent) -> SignData:
    return SignData(key_blob(agent.page.public_key), FILE.to_bytes(), 0)


def test_it_serves_many_connections(ada: RunningAgent) -> None:
    assert ada.ask(ListKeys(), sign(ada), ListKeys())[::2] == [keys_of(ada)] * 2
    threads = [threading.Thread(target=ada.ask, args=(ListKeys(), sign(ada))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert ada.refused == []


def test_socket_and_directory_are_the_users_alone_and_name_nothing(ada: RunningAgent, runtime: Path) -> None:
    found = os.lstat(ada.path)
    assert stat.S_ISSOCK(found.st_mode)
    assert stat.S_IMODE(found.st_mode) == 0o600
    assert stat.S_IMODE(os.lstat(os.path.dirname(ada.path)).st_mode) == 0o700
    name = os.path.basename(ada.path)
    assert "ada" not in name
    assert ada.page.did not in name


def test_it_leaves_no_socket_behind(session: Session) -> None:
    create_identity(session, "ada")
    with serving(session, "ada") as agent:
        assert os.path.exists(agent.path)
    assert not os.path.lexists(agent.path)


def test_a_second_agent_for_one_identity_is_refused_and_named(wallet_home: Home) -> None:
    with AgentSocket(wallet_home, ADA, alone=True) as first:
        with pytest.raises(VaultError) as refused:
            AgentSocket(wallet_home, ADA, alone=True)
        assert refused.value.code == "ssh-agent.running"
        assert first.path in refused.value.hint
        with AgentSocket(wallet_home, bytes([1] * 32), alone=True) as other:
            assert other.path != first.path


def test_commands_have_agents_of_their_own_up_to_a_limit(wallet_home: Home) -> None:
    places = [AgentSocket(wallet_home, ADA, alone=False) for _ in range(MAX_AGENTS)]
    assert len({place.path for place in places}) == MAX_AGENTS
    with pytest.raises(VaultError) as refused:
        AgentSocket(wallet_home, ADA, alone=False)
    assert refused.value.code == "ssh-agent.too-many"
    for place in places:
        place.__exit__(None, None, None)
    with AgentSocket(wallet_home, ADA, alone=False) as again:
        assert again.path == places[0].path


def _place(home: Home) -> Path:
    return Path(runtime.make_directory()) / socket_names(home, ADA, 1)[0]


def test_a_killed_agents_socket_is_replaced(wallet_home: Home) -> None:
    path = _place(wallet_home)
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()
    with AgentSocket(wallet_home, ADA, alone=True) as place:
        assert place.path == str(path)


def test_what_is_no_socket_is_not_removed(wallet_home: Home, tmp_path: Path) -> None:
    path, precious = _place(wallet_home), tmp_path / "precious"
    precious.write_text("mine")
    for make in (lambda: path.write_text("mine"), lambda: path.symlink_to(precious), path.mkdir):
        make()
        with pytest.raises(StorageError) as refused:
            AgentSocket(wallet_home, ADA, alone=True)
        assert refused.value.code == "ssh-agent.socket"
        assert os.path.lexists(path)
        if path.is_dir():
            path.rmdir()
        else:
            path.unlink()
    assert precious.read_text() == "mine"
    with AgentSocket(wallet_home, ADA, alone=True):
        pass  # the lock was let go each time


def test_a_link_to_somebody_elses_socket_is_not_followed(wallet_home: Home, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(theirs))
    _place(wallet_home).symlink_to(theirs)
    with pytest.raises(StorageError):
        AgentSocket(wallet_home, ADA, alone=True)
    assert theirs.exists()
    listener.close()


def test_a_lock_that_is_a_link_is_refused(wallet_home: Home, tmp_path: Path) -> None:
    Path(f"{_place(wallet_home)}.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic link"):
        AgentSocket(wallet_home, ADA, alone=True)
    assert not (tmp_path / "elsewhere").exists()


def test_a_path_that_no_program_could_use_is_refused(
    wallet_home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / ("x" * 80)
    deep.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(deep))
    with pytest.raises(StorageError) as refused:
        AgentSocket(wallet_home, ADA, alone=True)
    assert refused.value.code == "ssh-agent.path-too-long"


def test_a_directory_that_others_can_reach_is_refused(wallet_home: Home) -> None:
    os.chmod(runtime.make_directory(), 0o755)
    with pytest.raises(StorageError) as refused:
        AgentSocket(wallet_home, ADA, alone=True)
    assert refused.value.code == "agent.directory"


def test_another_users_process_is_not_answered(ada: RunningAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "peer_uid", lambda connection: os.getuid() + 1)
    with ada.connect() as connection:
        assert exchange(connection, encode(ListKeys())) == b""


@pytest.mark.parametrize("length_bytes", [0, MAX_MESSAGE_BYTES + 1, 2**32 - 1])
def test_a_length_that_cannot_be_ends_the_connection_only(ada: RunningAgent, length_bytes: int) -> None:
    with ada.connect() as connection:
        connection.sendall(length_bytes.to_bytes(4, "big") + b"\x0b")
        assert receive(connection, 1) == b""
    assert ada.ask(ListKeys()) == [keys_of(ada)]


def test_the_longest_message_is_read_and_refused(ada: RunningAgent) -> None:
    with ada.connect() as connection:
        assert exchange(connection, b"\x0b".ljust(MAX_MESSAGE_BYTES, b"\0")) == FAILURE
        assert exchange(connection, encode(ListKeys())) == keys_of(ada)


def test_half_a_message_holds_up_nobody(ada: RunningAgent) -> None:
    with ada.connect() as slow:
        slow.sendall(b"\0\0")
        assert ada.ask(ListKeys()) == [keys_of(ada)]
        slow.sendall(b"\0\1\x0b")
        assert receive(slow, 4 + len(keys_of(ada))) == string(keys_of(ada))


def test_a_client_that_reads_nothing_holds_up_nobody(ada: RunningAgent) -> None:
    with ada.connect() as deaf:
        deaf.settimeout(0.2)
        try:
            for _ in range(20_000):
                deaf.sendall(string(encode(ListKeys())) * 10)
        except TimeoutError:
            pass
        assert ada.ask(ListKeys()) == [keys_of(ada)]


def test_more_clients_than_fit_push_out_the_longest_silent(ada: RunningAgent) -> None:
    silent = [ada.connect() for _ in range(MAX_CLIENTS)]
    for connection in silent:
        assert exchange(connection, encode(ListKeys())) == keys_of(ada)
    with ada.connect() as late:
        assert exchange(late, encode(ListKeys())) == keys_of(ada)
    assert exchange(silent[0], encode(ListKeys())) == b""
    assert exchange(silent[1], encode(ListKeys())) == keys_of(ada)
    for connection in silent:
        connection.close()


def test_the_key_stays_with_the_wallets_agent(agent_home: Home) -> None:
    with opened(agent_home) as session:
        create_identity(session, "ada")
        page = ssh_key(session, "ada")
        assert isinstance(session, AgentSession)
        holder = holder_of(session, page.identity)
    assert isinstance(holder, AgentHolder)
    assert len(holder.sign(FILE.to_bytes())) == len(signature_blob(bytes(64)))
    lock(agent_home)
    with pytest.raises(VaultError) as refused:
        holder.sign(FILE.to_bytes())
    assert refused.value.code == "wallet.locked"


def test_without_an_agent_one_key_is_kept_and_the_session_closed(session: Session) -> None:
    create_identity(session, "ada")
    create_identity(session, "bob")
    identity = ssh_key(session, "ada").identity
    keeper = weakref.ref(session._keeper)  # type: ignore[attr-defined]  # what holds the seed
    holder = holder_of(session, identity)
    assert isinstance(holder, OwnHolder)
    gc.collect()
    assert keeper() is None
    assert len(holder.sign(FILE.to_bytes())) == len(signature_blob(bytes(64)))
    with pytest.raises(VaultError):
        session.snapshot()
    with pytest.raises(FormatError):
        holder.sign(bytes(32))
    wipe(session.home)
    with pytest.raises(VaultError) as gone:
        holder.sign(FILE.to_bytes())
    assert gone.value.code == "wallet.missing"


def test_an_identity_without_a_key_gives_none(session: Session) -> None:
    create_identity(session, "ada")
    with pytest.raises(SignerError) as refused:
        session.keep_ssh_key(0)  # type: ignore[attr-defined]  # a session of this process
    assert refused.value.code == "ssh.no-key"


SCRIPT = """
import sys
from tests.wallet.parts import opened, password
from walletcli.wallet.access.agent_session import open_session
from walletcli.wallet.home import Home
from walletcli.wallet.ssh.conversation import Policy
from walletcli.wallet.ssh.key import ssh_key
from walletcli.wallet.ssh.running import Told, serve
with open_session(Home(sys.argv[1]), password) as session:
    told = Told(print, print)
    identity = ssh_key(session, "ada").identity
    serve(session, identity, Policy(), told, lambda path, keys: print(path, flush=True))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
def test_a_signal_ends_it_and_the_next_one_takes_its_place(wallet_home: Home, number: signal.Signals) -> None:
    with opened(wallet_home) as session:
        create_identity(session, "ada")
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, wallet_home.path], stdout=subprocess.PIPE, text=True
    ) as started:
        try:
            assert started.stdout is not None
            path = started.stdout.readline().strip()
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(path)
                assert exchange(connection, encode(ListKeys()))[:1] == b"\x0c"
            started.send_signal(number)
            code = started.wait(30)
        finally:
            started.kill()
    assert code == (-signal.SIGKILL if number == signal.SIGKILL else 0)
    assert os.path.lexists(path) == (number == signal.SIGKILL)
    with opened(wallet_home) as session:
        identity = ssh_key(session, "ada").identity
        with AgentSocket(wallet_home, identity.public_key, alone=True) as again:
            assert again.path == path
