"""The agent keeps contacts' records alive by itself, while the wallet is unlocked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.wallet.keepalive.friends import Friends
from tests.wallet.parts import HonestRelay, make_home, opened, password
from tests.wallet.test_schedule import OFTEN, eventually
from walletcli.wallet.access.unlock import lock, unlock
from walletcli.wallet.keepalive.log import read_log


def test_an_unlocked_wallet_brings_a_contacts_record_back(tmp_path: Path, relays: Callable[[], HonestRelay]) -> None:
    home = make_home(tmp_path / "often")
    with opened(home) as session:
        friends = Friends.make(session, relays, 3)
        (bob,) = friends.know(["bob"])
    unlock(home, password, interval=OFTEN)
    try:
        eventually(lambda: friends.holders(bob))
        with opened(home) as session:
            eventually(lambda: read_log(session, 0).entries.get(bob.packet.public_key))
    finally:
        lock(home)
    assert len(friends.holders(bob)) == 1
