"""kill -9 while the wallet index is written, and while a restore by it waits: the old state or the new one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.index_keeper import POINTS
from tests.wallet.parts import WORDS, make_home, opened
from tests.wallet.recovery.parts import Lost, Net, published, tree_of
from walletcli.core.keys import Scheme
from walletcli.core.wallet_index import Ranges, ShardContent, open_shard, seal_shard
from walletcli.wallet.home import Home
from walletcli.wallet.identities import create_identity
from walletcli.wallet.index.overview import publish_index, show_index
from walletcli.wallet.publish import publish_identity
from walletcli.wallet.relays import add_relay

ROOT = Path(__file__).resolve().parents[2]
TREE = tree_of(WORDS)
FAR = (0, 9, 80)


@pytest.fixture
def net() -> Iterator[Net]:
    """Three honest relays."""
    with Net.of(3) as found:
        yield found


@pytest.fixture
def home(tmp_path: Path, net: Net) -> Home:
    """A wallet whose index names one identity, and which has another one by now."""
    found = make_home(tmp_path / "home", WORDS)
    for url in net.urls:
        add_relay(found, url)
    with opened(found) as session:
        create_identity(session, "alice")
        publish_identity(session, "alice")
        publish_index(session)
        create_identity(session, "bob")
        publish_identity(session, "bob", accept_link=True)
    return found


def run(what: str, home: Home, point: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.faults.index_keeper", what, home.path, point]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def held(net: Net) -> list[tuple[int, list[int]]]:
    """Return `seq` and identities of what each relay has."""
    packets = [relay.shelf.packets[TREE.index_key(0).public_key] for relay in net.relays]
    return [(packet.seq, list(open_shard(TREE.index_key(0), 0, packet).of(Scheme.WALLETCLI))) for packet in packets]


@pytest.mark.parametrize("point", POINTS)
def test_a_write_that_was_killed_is_made_again_with_a_seq_of_its_own(home: Home, net: Net, point: str) -> None:
    before = held(net)
    done = run("write", home, point)
    assert done.returncode == -9, (done.stdout, done.stderr)
    between = held(net)
    assert between == before or {identities == [0, 1] for _, identities in between} == {True}
    with opened(home) as session:
        slot = show_index(session).shards[0].next_s
    done = run("write", home)
    assert done.returncode == 0, done.stderr
    after = held(net)
    assert {tuple(identities) for _, identities in after} == {(0, 1)}
    assert min(seq for seq, _ in after) > max(seq for seq, _ in between)
    with opened(home) as session:
        view = show_index(session)
        assert view.waiting == ()
        assert view.shards[0].next_s != slot


@pytest.mark.parametrize("waits", [0, 1, 2, 4, 7])
def test_a_restore_that_was_killed_while_it_waited_completes(tmp_path: Path, net: Net, waits: int) -> None:
    net.hold(*(published(TREE, index, f"name {index}") for index in FAR))
    packet = seal_shard(TREE.index_key(0), 0, ShardContent({Scheme.WALLETCLI: Ranges.of(FAR)}, 1), 7, os.urandom)
    for relay in net.relays:
        relay.shelf.packets[packet.public_key] = packet
    with Lost(tmp_path).begin(*net.urls, spread_s=3600, beyond=0) as session:
        home = session.home
    done = run("recover", home, str(waits))
    assert done.returncode == -9, (done.stdout, done.stderr)
    with opened(home) as session:
        assert len(session.summaries()) == min(waits, 3)
    done = run("recover", home)
    assert done.stdout.split() == ["3", "True", "3"], done.stderr
