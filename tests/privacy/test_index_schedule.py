"""When a shard of the wallet index is written says nothing about when identities are made, published or visited."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.wallet.index.conftest import Clock, clock
from tests.wallet.parts import WORDS, make_home, opened
from tests.wallet.recovery.parts import Net, tree_of
from walletcli.core.packet import SignedPacket
from walletcli.wallet.access.session import Session
from walletcli.wallet.identities import create_identity
from walletcli.wallet.index.overview import show_index
from walletcli.wallet.index.writing import keep_index
from walletcli.wallet.publish import publish_identity
from walletcli.wallet.relays import add_relay
from walletcli.wallet.sealed.sync_wallet import sync_wallet

__all__ = ["clock"]

KEY = tree_of(WORDS).index_key(0).public_key
DAY_S = 86_400
WRITES = 8


@pytest.fixture
def net() -> Iterator[Net]:
    """Three honest relays: the disks that an observer has."""
    with Net.of(3) as found:
        yield found


@pytest.fixture
def owner(tmp_path: Path, net: Net, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    """An open wallet."""
    (tmp_path / "run").mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    home = make_home(tmp_path / "home", WORDS)
    for url in net.urls:
        add_relay(home, url)
    with opened(home) as session:
        yield session


def on_disks(net: Net) -> set[SignedPacket]:
    return {relay.shelf.packets[KEY] for relay in net.relays if KEY in relay.shelf.packets}


def test_nothing_that_the_owner_does_moves_a_slot_or_a_byte_on_the_disks(
    owner: Session, net: Net, clock: Clock
) -> None:
    keep_index(owner)
    instants: list[float] = []
    for number in range(WRITES):
        slot_s = show_index(owner).shards[0].next_s
        before = on_disks(net)
        clock.now_s += (slot_s - clock.now_s) * (1 + secrets.randbelow(98)) / 100
        create_identity(owner, f"name {number}")
        publish_identity(owner, f"name {number}", accept_link=True)
        sync_wallet(owner, spread_s=0)
        assert on_disks(net) == before, "what is new waits"
        assert show_index(owner).shards[0].next_s == slot_s
        clock.now_s = float(slot_s)
        assert keep_index(owner).written == 0
        instants.append(clock.now_s)
        after = on_disks(net)
        assert len(after) == 1
        assert {len(packet.value) for packet in after} == {996}
    waits = [later - sooner for sooner, later in pairwise(instants)]
    assert all(3 * DAY_S - 1 <= wait <= 5 * DAY_S for wait in waits)
    assert len(set(waits)) == len(waits), "drawn anew each time"


def test_a_wallet_in_which_nothing_happens_writes_as_often(owner: Session, net: Net, clock: Clock) -> None:
    keep_index(owner)
    for _ in range(WRITES):
        before = on_disks(net)
        clock.now_s = float(show_index(owner).shards[0].next_s)
        assert keep_index(owner).written == 0
        assert on_disks(net).isdisjoint(before)
