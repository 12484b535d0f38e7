"""Fixtures of the tests of contacts: an owner, somebody to know, a relay between them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.wallet.contacts.people import Owner, Stranger, Write, make_owner, writer
from tests.wallet.parts import HonestRelay
from walletcli.wallet.access.session import Session
from walletcli.wallet.relays import add_relay


@pytest.fixture
def owner(session: Session, relay: HonestRelay) -> Owner:
    """A published identity whose wallet knows one relay."""
    add_relay(session.home, relay.url)
    return make_owner(session, relay)


@pytest.fixture
def bob(owner: Owner) -> Stranger:
    """Somebody with a phone, whose record the relay has."""
    stranger = Stranger("bob", "phone")
    owner.shelf.put(stranger.record)
    return stranger


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file, and return its path."""
    return writer(tmp_path)
