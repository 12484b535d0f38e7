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
