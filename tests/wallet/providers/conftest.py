"""Fixtures of the providers' tests: real nodes that host, and a wallet with one identity."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.wallet.providers.parts import Host
from walletcli.wallet.access.session import Session
from walletcli.wallet.identities import create_identity
from walletcli.wallet.state.view import IdentityView


@pytest.fixture(autouse=True)
def empty_at_first(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a provider hold nothing after a bind, so that a test counts what it has put there itself.

    What a bind stores of the wallet's own is tried in test_first_sync.py.
    """
    if request.path.name != "test_first_sync.py":
        monkeypatch.setattr("walletcli.wallet.providers.bind._Run._first_sync", lambda run: None)


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Callable[..., Host]]:
    """Start nodes that host anybody; `settings` are lines of the hosting section, `addresses` those of its record."""
    with contextlib.ExitStack() as stack:

        def start(name: str = "provider", settings: str = 'policy = "open"', addresses: Sequence[str] = ()) -> Host:
            host = Host.start(tmp_path / name, settings, addresses)
            stack.callback(host.stop)
            return host

        yield start


@pytest.fixture
def host(hosts: Callable[..., Host]) -> Host:
    """A node that hosts anybody."""
    return hosts()


@pytest.fixture
def alice(session: Session) -> IdentityView:
    """An identity of the session's wallet."""
    return create_identity(session, "alice")
