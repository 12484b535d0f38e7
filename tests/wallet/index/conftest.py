"""Fixtures of the index's tests: relays, a wallet with an identity, and a clock that can be moved."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.wallet.recovery.parts import Net
from walletcli.wallet.access.session import Session
from walletcli.wallet.home import Home
from walletcli.wallet.identities import create_identity
from walletcli.wallet.publish import publish_identity
from walletcli.wallet.relays import add_relay


@pytest.fixture
def net() -> Iterator[Net]:
    """Four honest relays."""
    with Net.of(4) as found:
        yield found


@pytest.fixture
def owner(session: Session, wallet_home: Home, net: Net) -> Session:
    """A wallet with the identity alice, published at one of the four relays."""
    for url in net.urls:
        add_relay(wallet_home, url)
    create_identity(session, "alice")
    publish_identity(session, "alice", net.urls[:1])
    return session


class Clock:
    """Unix time that a test moves."""

    def __init__(self) -> None:
        self.now_s = time.time()

    def __call__(self) -> float:
        return self.now_s

    def forward(self, days: float) -> None:
        self.now_s += days * 86_400


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Have the wallet read another clock."""
    found = Clock()
    monkeypatch.setattr(time, "time", found)
    return found
