"""A migration under kill -9 after each step: of the wallet, of the old node, of the new node; and with a full disk.

All three cases: the old provider agrees, refuses, is dead. Whatever is killed and whenever: what stood at two places is
back, what did not is named, one document is signed, and contacts find the new provider.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import NodeProcess, Run, start_node
from tests.faults.migrator import ONLY_WITH_LOSSES, POINTS
from tests.wallet.parts import HonestRelay, make_home, opened
from tests.wallet.providers.parts import Host, bind, fails, get_data, names_of, put_data, record_of, view_of
from tests.wallet.providers.test_migrate import providers_in
from walletcli.core.identity_id import IdentityId
from walletcli.core.record import Record
from walletcli.wallet.home import Home
from walletcli.wallet.identities import create_identity
from walletcli.wallet.providers.book import read_book
from walletcli.wallet.relays import add_relay
from walletcli.wallet.resolve import resolve_identity

ROOT = Path(__file__).resolve().parents[2]
CASES = ("agrees", "refuses", "dead")
OPEN, OFF = 'policy = "open"', 'policy = "off"'
FILM = b"frame" * 300_000
STEPS = tuple(point for point in POINTS if point != ONLY_WITH_LOSSES)
BEFORE_THE_COPY_IS_DONE = ("granted", "decided", "signed", "stored at the new one", "first blob copied")
WHILE_NODES_MATTER = (*BEFORE_THE_COPY_IS_DONE, "all copied", "published", "old one told", "kit refreshed")


@dataclass
class Move:
    """A wallet that is about to move, and what its identity keeps: two items at two places, a song at one."""

    home: Home
    contact: Home
    did: str
    relay: HonestRelay
    old: str
    new: str

    @classmethod
    def prepare(cls, directory: Path, old: str, new: str, relay: HonestRelay) -> Move:
        home, contact = make_home(directory / "home"), make_home(directory / "contact")
        add_relay(home, relay.url)
        kit, away = directory / "kit", directory / "away"
        with opened(home) as session:
            did = create_identity(session, "alice").summary().did
            bind(session, old, kit=str(kit))
            put_data(session, directory, "letter", b"dear")
            put_data(session, directory, "film", FILM)
            kit.rename(away)
            put_data(session, directory, "song", b"la la")
            away.rename(kit)
        with opened(contact) as other:
            resolve_identity(did, other, [relay.url])
        return cls(home, contact, did, relay, old, new)

    @property
    def record(self) -> Record:
        with opened(self.home) as session:
            return record_of(session)

    def run(self, point: str = "", act: str = "kill") -> subprocess.CompletedProcess[str]:
        """Migrate, or go on, in a process of its own."""
        command = [sys.executable, "-m", "tests.faults.migrator", self.home.path, self.new, point, act]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)

    def kill_at(self, point: str) -> None:
        done = self.run(point)
        assert done.returncode == -9, (point, done.stdout, done.stderr)

    def complete(self) -> dict[str, Any]:
        """Go on until it is done, and return the answer."""
        done = self.run()
        assert done.returncode in (0, 11), (done.stdout, done.stderr)
        answer: dict[str, Any] = json.loads(done.stdout)
        assert answer["stage"] == "done"
        return answer

    def check(self, answer: dict[str, Any], *, song_is_lost: bool | None) -> None:
        """Check what must hold in the end, whatever happened on the way.

        Args:
            answer: of the last run.
            song_is_lost: whether the item that stood at the old provider alone must be lost; None: either way.
        """
        items = {item["name"]: item["outcome"] for item in answer["report"]["items"] if item["kind"] == "file"}
        own = {item["outcome"] for item in answer["report"]["items"] if item["kind"] == "system"}
        assert own <= {"moved", "there", "kit", "vault"}
        assert items.keys() == {"letter", "film", "song"}
        assert {items["letter"], items["film"]} <= {"moved", "there", "kit"}, items
        lost = items["song"] == "lost"
        assert song_is_lost in (lost, None), items
        assert len(answer["report"]["blobs"]["lost"]) == (1 if lost else 0)
        assert answer["report"]["complete"] is not lost
        key = IdentityId.from_text(answer["to"]["provider"]).public_key
        with opened(self.home) as session:
            assert names_of(session) == sorted({"letter", "film"} if lost else items)
            assert get_data(session, "letter") == b"dear"
            assert get_data(session, "film") == FILM
            assert providers_in(record_of(session)) == [key]
            assert read_book(session, 0).journal is None
            assert self.relay.record(view_of(session).public_key) == record_of(session)
        with opened(self.contact) as other:
            found = resolve_identity(self.did, other, [self.relay.url]).resolution
            assert providers_in(found.record) == [key]


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[tuple[Host, Host]]:
    """An old and a new provider in this process."""
    old, new = Host.start(tmp_path / "old", OPEN), Host.start(tmp_path / "new", OPEN)
    yield old, new
    old.stop()
    new.stop()


@pytest.fixture
def move(tmp_path: Path, hosts: tuple[Host, Host], relay: HonestRelay) -> Move:
    return Move.prepare(tmp_path, hosts[0].address, hosts[1].address, relay)


@pytest.fixture
def relay() -> Iterator[HonestRelay]:
    found = HonestRelay()
    yield found
    found.close()


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run").mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))


def turn(old: Host, case: str) -> None:
    """Have the old provider agree, refuse, or be dead."""
    if case != "agrees":
        old.stop()
    if case == "refuses":
        (old.node.directory / "node.toml").write_text(f"[hosting]\n{OFF}\n")
        old.restart()


@pytest.mark.parametrize("case", CASES)
def test_a_wallet_that_is_killed_after_each_step_in_turn_loses_nothing(
    move: Move, hosts: tuple[Host, Host], case: str
) -> None:
    turn(hosts[0], case)
    seqs = set()
    for point in POINTS if case != "agrees" else STEPS:
        move.kill_at(point)
        seqs.add(move.record.packet.seq)
    assert len(seqs) == 2, "the document from before, and one new one"
    move.check(move.complete(), song_is_lost=case != "agrees")
    if case == "dead":
        hosts[0].restart()  # it never heard of the move
        with opened(move.contact) as other:
            fails("record.stale", lambda: resolve_identity(move.did, other, [move.old]))


@pytest.mark.parametrize("point", STEPS)
def test_a_wallet_that_is_killed_after_one_step_goes_on(move: Move, point: str) -> None:
    move.kill_at(point)
    move.check(move.complete(), song_is_lost=False)


@pytest.mark.soak
@pytest.mark.parametrize("case", ["refuses", "dead"])
@pytest.mark.parametrize("point", POINTS)
def test_a_wallet_that_is_killed_after_one_step_goes_on_without_the_old_provider(
    move: Move, hosts: tuple[Host, Host], point: str, case: str
) -> None:
    turn(hosts[0], case)
    move.kill_at(point)
    move.check(move.complete(), song_is_lost=True)


@pytest.mark.parametrize("point", ["decided", "all copied", "copying written down", "telling written down"])
def test_a_full_disk_stops_a_migration_and_the_next_run_goes_on(move: Move, point: str) -> None:
    done = move.run(point, "full")
    assert json.loads(done.stdout) == {"error": "storage.full"}, done.stdout + done.stderr
    move.check(move.complete(), song_is_lost=False)


def test_a_full_disk_of_the_exit_kit_is_told_and_moves_all_the_same(
    move: Move, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from walletcli.client.kit_files import KitFiles
    from walletcli.errors import StorageError
    from walletcli.wallet.providers.migrate import MigrateWish, migrate

    def full(*_: object) -> None:
        raise StorageError("storage.full", "cannot write: no space left", "free some space there")

    monkeypatch.setattr(KitFiles, "write", full)
    with opened(move.home) as session:
        done = migrate(session, "alice", MigrateWish(move.new))
    assert done.shortfall is not None
    assert done.shortfall.code == "storage.full"
    assert done.report.is_complete
    monkeypatch.undo()


# nodes as processes, for they are to be killed


@dataclass
class Nodes:
    old: NodeProcess
    new: NodeProcess

    def close(self) -> None:
        for node in (self.old, self.new):
            with contextlib.suppress(ProcessLookupError):
                node.process.kill()
            node.process.wait(15)
            if node.process.stdout is not None:
                node.process.stdout.close()


@pytest.fixture
def nodes(tmp_path: Path, cli: Callable[..., Run]) -> Iterator[Nodes]:
    started = []
    for name in ("old", "new"):
        assert cli("node", "init", str(tmp_path / name)).code == 0
        started.append(start_node(tmp_path / name, "--no-limits", "--hosting", "open"))
    found = Nodes(*started)
    yield found
    found.close()


def again(node: NodeProcess) -> NodeProcess:
    """Start a node that was killed (or is now), on its ports."""
    node.process.kill()
    node.process.wait(15)
    if node.process.stdout is not None:
        node.process.stdout.close()
    port, http_port = (int(text.split("/")[2].rpartition(":")[2]) for text in (node.address, node.url))
    return start_node(node.directory, "--no-limits", "--hosting", "open", port=port, http_port=http_port)


def test_a_new_node_that_is_killed_at_each_step_in_turn_loses_nothing(
    tmp_path: Path, nodes: Nodes, relay: HonestRelay
) -> None:
    move = Move.prepare(tmp_path, nodes.old.address, nodes.new.address, relay)
    for point in WHILE_NODES_MATTER:
        move.run(point, f"pid:{nodes.new.process.pid}")
        nodes.new = again(nodes.new)
    move.check(move.complete(), song_is_lost=False)


@pytest.mark.parametrize("point", ["stored at the new one", "first blob copied", "second blob copied", "all copied"])
def test_an_old_node_that_is_killed_in_the_middle_is_made_up_for_by_the_kit(
    tmp_path: Path, nodes: Nodes, relay: HonestRelay, point: str
) -> None:
    move = Move.prepare(tmp_path, nodes.old.address, nodes.new.address, relay)
    done = move.run(point, f"pid:{nodes.old.process.pid}")
    assert done.returncode in (0, 11), (done.stdout, done.stderr)
    answer = json.loads(done.stdout)
    assert answer["from"]["told"] is False
    move.check(answer, song_is_lost=None if "blob" in point else point != "all copied")
    nodes.old = again(nodes.old)
    with opened(move.contact) as other:
        fails("record.stale", lambda: resolve_identity(move.did, other, [nodes.old.address]))
