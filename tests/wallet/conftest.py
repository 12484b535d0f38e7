"""Fixtures of the wallet's tests: a private runtime directory, wallets, relays, agents."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.wallet.parts import HonestRelay, make_home, opened, password
from walletcli.wallet.access.session import Session
from walletcli.wallet.access.unlock import lock, unlock
from walletcli.wallet.home import Home


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's runtime directory, where sockets of agents are."""
    path = tmp_path / "run"
    path.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(path))
    return path


@pytest.fixture
def wallet_home(tmp_path: Path) -> Home:
    """A home with a new wallet."""
    return make_home(tmp_path / "home")


@pytest.fixture
def session(wallet_home: Home) -> Iterator[Session]:
    """That wallet, open in this process."""
    with opened(wallet_home) as found:
        yield found


@pytest.fixture(params=["here", "agent"])
def either_session(request: pytest.FixtureRequest, wallet_home: Home) -> Iterator[Session]:
    """The wallet open in this process, and then by its agent."""
    if request.param == "agent":
        unlock(wallet_home, password)
    with opened(wallet_home) as found:
        yield found
    lock(wallet_home)


@pytest.fixture
def agent_home(wallet_home: Home) -> Iterator[Home]:
    """A home whose wallet is unlocked."""
    unlock(wallet_home, password)
    yield wallet_home
    lock(wallet_home)


@pytest.fixture
def relays() -> Iterator[Callable[[], HonestRelay]]:
    """Start honest relays."""
    started: list[HonestRelay] = []

    def start() -> HonestRelay:
        started.append(HonestRelay())
        return started[-1]

    yield start
    for relay in started:
        relay.close()


@pytest.fixture
def relay(relays: Callable[[], HonestRelay]) -> HonestRelay:
    """One honest relay."""
    return relays()
