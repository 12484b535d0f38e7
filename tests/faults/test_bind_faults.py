"""A bind that is killed after any of its steps is completed by the same command: one grant counts, one kit is made."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.binder import POINTS
from tests.wallet.parts import HonestRelay, make_home, opened
from tests.wallet.providers.parts import Host, record_of, view_of
from walletcli.client.kit import read_head
from walletcli.wallet.home import Home
from walletcli.wallet.identities import create_identity
from walletcli.wallet.providers.overview import provider_status
from walletcli.wallet.relays import add_relay

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    found = Host.start(tmp_path / "node", 'policy = "open"')
    yield found
    found.stop()


@pytest.fixture
def relay() -> Iterator[HonestRelay]:
    found = HonestRelay()
    yield found
    found.close()


@pytest.fixture
def home(tmp_path: Path, relay: HonestRelay, monkeypatch: pytest.MonkeyPatch) -> Home:
    (tmp_path / "run").mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    made = make_home(tmp_path / "home")
    add_relay(made, relay.url)
    with opened(made) as session:
        create_identity(session, "alice")
    return made


def run(home: Home, address: str, kit: Path, point: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.faults.binder", home.path, address, str(kit), point]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def completes(home: Home, host: Host, relay: HonestRelay, kit: Path) -> None:
    done = run(home, host.address, kit)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [view["state"] for view in json.loads(done.stdout)["providers"]] == ["valid"]
    with opened(home) as session:
        record = record_of(session)
        assert record.document is not None
        assert len(record.document.bindings) == 1
        assert relay.record(view_of(session).public_key) == record
        overview = provider_status(session, "alice")
        assert [view.counts_the_grant for view in overview.providers] == [True]
        assert [state.complete for state in overview.kits] == [True]
    head = read_head(str(kit))
    assert head is not None
    assert head.record == record


@pytest.mark.parametrize("point", POINTS)
def test_a_bind_that_is_killed_after_one_step_is_completed(
    home: Home, host: Host, relay: HonestRelay, tmp_path: Path, point: str
) -> None:
    killed = run(home, host.address, tmp_path / "kit", point)
    assert killed.returncode == -9, killed.stdout + killed.stderr
    completes(home, host, relay, tmp_path / "kit")


def test_a_bind_that_is_killed_after_each_step_in_turn_is_completed(
    home: Home, host: Host, relay: HonestRelay, tmp_path: Path
) -> None:
    for point in POINTS:
        run(home, host.address, tmp_path / "kit", point)
    completes(home, host, relay, tmp_path / "kit")
