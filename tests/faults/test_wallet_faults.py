"""A wallet under kill -9, a full disk and several processes: the old state or the new, and no `seq` used twice.

The system calls that touch the wallet's files are listed once by strace; then each of them, one after another, is where
the process is killed, or where the disk is full.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.wallet.parts import WORDS, HonestRelay, make_home, opened, password
from walletcli.core.encodings import z32_decode
from walletcli.core.packet import SignedPacket
from walletcli.core.record import Record
from walletcli.errors import VaultError
from walletcli.wallet.access.opening import open_here
from walletcli.wallet.access.unlock import lock, unlock
from walletcli.wallet.home import Home
from walletcli.wallet.identities import create_identity, set_attribute, show_identity
from walletcli.wallet.publish import publish_identity
from walletcli.wallet.relays import list_relays
from walletcli.wallet.transfer import _files as names_of

ROOT = Path(__file__).parents[2]
WRITER = "tests.faults.wallet_writer"
CHANGING = ("write", "fsync", "rename", "link", "linkat", "unlink")
"""System calls between which the state of the disk is another."""

MANY = 30
"""More points than this are thinned out evenly, but for the long form of the tests; a single write has a dozen."""

_CALL = re.compile(r"(\w+)\(.*\) += ")


@dataclass(frozen=True)
class Point:
    """The `nth` time that `call` touches one of the wallet's files, counted from 1."""

    call: str
    nth: int


def run(home: Home, *action: str, strace: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    name, *arguments = action
    command = [sys.executable, "-B", "-m", WRITER, name, home.path, *arguments]
    if strace:
        watched = [option for path in (home.path, *names_of(home)) for option in ("-P", path)]
        command = ["strace", "-f", "-qq", *watched, *strace, *command]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def points_of(home: Home, log: Path, *action: str) -> list[Point]:
    """Return every system call of an undisturbed step, in order."""
    done = run(home, *action, strace=("-e", f"trace={','.join(CHANGING)}", "-o", str(log)))
    assert done.stdout == "done\n", done.stdout + done.stderr
    seen: Counter[str] = Counter()
    points = []
    for line in log.read_text().splitlines():
        found = _CALL.search(line)
        if found:
            seen[found.group(1)] += 1
            points.append(Point(found.group(1), seen[found.group(1)]))
    assert {"write", "fsync", "rename"} <= seen.keys(), seen
    return points


def each_kill(home: Home, log: Path, *action: str) -> Iterator[Point]:
    """Kill a step at every point, each time from the same state of the disk."""
    before = Path(f"{home.path}.before")
    if os.path.isdir(home.path):
        shutil.copytree(home.path, before)
    points = points_of(home, log, *action)
    if len(points) > MANY and os.environ.get("WALLETCLI_SOAK") != "1":
        points = points[:: len(points) // MANY + 1]
    for point in points:
        shutil.rmtree(home.path)
        if before.exists():
            shutil.copytree(before, home.path)
        done = run(home, *action, strace=("-e", f"inject={point.call}:signal=SIGKILL:when={point.nth}"))
        assert done.returncode == -9, (point, done)
        yield point


@pytest.fixture(autouse=True)
def _runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run").mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))


@pytest.fixture
def relay() -> Iterator[HonestRelay]:
    found = HonestRelay()
    yield found
    found.close()


def packets_seen(relay: HonestRelay) -> list[SignedPacket]:
    """Return every packet that the relay was ever given."""
    puts = [asked for asked in relay.shelf.asked if asked.method == "PUT" and not asked.path.startswith("/document/")]
    return [SignedPacket.from_relay_payload(z32_decode(asked.path[1:], 32), asked.body) for asked in puts]


def check_no_seq_twice(relay: HonestRelay) -> None:
    by_seq: dict[tuple[bytes, int], set[bytes]] = {}
    for packet in packets_seen(relay):
        by_seq.setdefault((packet.public_key, packet.seq), set()).add(packet.value)
    assert by_seq
    assert [key for key, values in by_seq.items() if len(values) > 1] == []


@pytest.mark.parametrize("action", ["create", "create-two"])
def test_a_killed_create_leaves_no_wallet_or_a_whole_one(tmp_path: Path, action: str) -> None:
    home = Home(str(tmp_path / "home"))
    outcomes: Counter[str] = Counter()
    for _ in each_kill(home, tmp_path / "trace", action):
        if home.exists():
            outcomes["new"] += 1
            with open_here(home, password) as session:
                assert session.facts().word_count == 12
                create_identity(session, "alice")
        else:
            outcomes["old"] += 1
            done = run(home, action)
            assert done.stdout == "done\n"
            assert [name for name in os.listdir(home.path) if "making" in name] == []
    assert outcomes["new"]
    assert outcomes["old"]


def test_a_killed_change_leaves_the_old_state_or_the_new(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    outcomes: Counter[tuple[str, ...]] = Counter()
    for _ in each_kill(home, tmp_path / "trace", "identity", "alice"):
        with opened(home) as session:
            labels = tuple(summary.label or "" for summary in session.summaries())
            outcomes[labels] += 1
            create_identity(session, "bob")
    assert outcomes.keys() == {(), ("alice",)}


def test_a_killed_publish_never_uses_a_seq_twice(tmp_path: Path, relay: HonestRelay) -> None:
    home = make_home(tmp_path / "home", WORDS)
    with opened(home) as session:
        create_identity(session, "alice")
    outcomes: Counter[bool] = Counter()
    first = True
    for _ in each_kill(home, tmp_path / "trace", "publish", "alice", relay.url):
        if first:
            first = False  # what the undisturbed run put there belongs to a state that each_kill takes back
            relay.shelf.packets.clear()
            relay.shelf.asked.clear()
        with opened(home) as session:
            kept = show_identity(session, "alice").record
            outcomes[kept is not None] += 1
            for packet in packets_seen(relay):
                assert kept is not None, "a relay saw what the vault had not kept"
                assert packet == Record.from_bytes(kept).packet
            published = publish_identity(session, "alice", [relay.url])
            assert kept is None or published.record.to_bytes() == kept
            set_attribute(session, "alice", "name", "Alice")
            publish_identity(session, "alice", [relay.url])
        check_no_seq_twice(relay)
        relay.shelf.packets.clear()
        relay.shelf.asked.clear()
    assert outcomes.keys() == {True, False}


def test_a_killed_relay_add_leaves_the_old_list_or_the_new(tmp_path: Path) -> None:
    home = Home(str(tmp_path / "home"))
    assert run(home, "relay", "https://a.example").stdout == "done\n"
    before = Path(home.relays_path).read_bytes()
    for nth in range(1, 4):
        for call in ("fsync", "rename"):
            Path(home.relays_path).write_bytes(before)
            run(home, "relay", "https://b.example", strace=("-e", f"inject={call}:signal=SIGKILL:when={nth}"))
            assert list_relays(home) in (["https://a.example"], ["https://a.example", "https://b.example"])


@pytest.mark.parametrize("call", ["write", "fsync"])
@pytest.mark.parametrize("action", ["create", "identity", "publish"])
def test_a_full_disk_changes_nothing_and_publishes_nothing(
    tmp_path: Path, relay: HonestRelay, action: str, call: str
) -> None:
    home = Home(str(tmp_path / "home"))
    arguments = {"create": (), "identity": ("bob",), "publish": ("alice", relay.url)}[action]
    if action != "create":
        make_home(Path(home.path))
        with opened(home) as session:
            create_identity(session, "alice")
    before = Path(home.vault_path).read_bytes() if home.exists() else None
    done = run(home, action, *arguments, strace=("-e", f"inject={call}:error=ENOSPC:when=1+"))
    assert done.stdout == "storage.full\n", done.stdout + done.stderr
    assert done.returncode == 8
    assert (Path(home.vault_path).read_bytes() if home.exists() else None) == before
    assert packets_seen(relay) == []
    assert run(home, action, *arguments).stdout == "done\n"


def test_processes_at_once_lose_nothing_and_use_no_seq_twice(tmp_path: Path, relay: HonestRelay) -> None:
    home = make_home(tmp_path / "home")
    with opened(home) as session:
        create_identity(session, "shared")
    unlock(home, password)
    rounds = 6
    crowd = [("one", "here"), ("two", "agent"), ("three", "agent"), ("four", "here")]
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", WRITER, "many", home.path, name, str(rounds), where, relay.url],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for name, where in crowd
    ]  # fmt: skip
    for process in processes:
        out, err = process.communicate(timeout=150)
        assert out == "done\n", out + err
    with opened(home) as session:
        summaries = session.summaries()
        labels = {summary.label for summary in summaries}
        last = show_identity(session, "shared")
    assert labels == {"shared", *(f"{name} {n} renamed" for name, _ in crowd for n in range(rounds))}
    assert [summary.index for summary in summaries] == list(range(1 + rounds * len(crowd)))
    assert last.profile == {name: str(rounds - 1) for name, _ in crowd}
    assert last.record is not None
    assert not last.changed
    check_no_seq_twice(relay)
    documents = [
        Record.verified(packet, relay.shelf.documents[packet.document_hash or b""]) for packet in packets_seen(relay)
    ]
    previous = {record.document.previous for record in documents if record.document is not None}
    hashes = {record.packet.document_hash for record in documents}
    assert len(hashes) > rounds
    assert relay.record(last.public_key).to_bytes() == last.record
    # a chain, not a tree: no two records follow the same one
    assert len(previous) == len(hashes)
    lock(home)


def test_a_vault_put_back_from_a_copy_is_noticed_by_who_has_it_open(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    copy = Path(home.vault_path).read_bytes()
    with opened(home) as session:
        create_identity(session, "alice")
        Path(home.vault_path).write_bytes(copy)
        with pytest.raises(VaultError) as refused:
            session.summaries()
        assert refused.value.code == "vault.changed"
