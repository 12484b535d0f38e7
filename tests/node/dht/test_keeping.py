"""How often packets are put again follows what the DHT has lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.client.records import foreign_packet
from tests.dht.swarm import Swarm
from tests.node.dht.test_node_in_dht import path_of, settings
from tests.node.dht.test_outliving import replace_all
from tests.node.local import running
from walletcli.node.dht.keeper import MAX_ROUND_S, MIN_ROUND_S, next_round_s


@pytest.mark.parametrize(
    ("round_s", "lost", "then_s"),
    [
        (3600.0, 1.0, 1800.0),
        (3600.0, 0.51, 1800.0),
        (3600.0, 0.5, 3600.0),
        (3600.0, 0.1, 3600.0),
        (3600.0, 0.09, 5400.0),
        (3600.0, 0.0, 5400.0),
        (MIN_ROUND_S, 1.0, MIN_ROUND_S),
        (1000.0, 1.0, MIN_ROUND_S),
        (MAX_ROUND_S, 0.0, MAX_ROUND_S),
        (20_000.0, 0.0, MAX_ROUND_S),
    ],
)
def test_rounds_get_shorter_when_much_is_lost_and_longer_when_little_is(
    round_s: float, lost: float, then_s: float
) -> None:
    assert next_round_s(round_s, lost) == then_s


def test_a_node_that_finds_its_copies_gone_comes_back_sooner_and_one_that_finds_them_later(
    swarm: Swarm, tmp_path: Path
) -> None:
    with running(tmp_path / "a", settings(swarm)) as node:
        dht = node.service._dht
        assert dht is not None
        for number in range(8):
            packet = foreign_packet(f"someone {number}")
            assert node.ask("PUT", path_of(packet), packet.to_relay_payload(), prefer="wait=20").status == 204
        node.run(lambda: dht.keeper.round(0.0))
        longer_s = dht.keeper._round_s
        assert longer_s == 3600 * 1.5
        replace_all(swarm, node)
        node.run(lambda: dht.keeper.round(0.0))
        assert dht.keeper._round_s == longer_s / 2
        node.run(lambda: dht.keeper.round(0.0))
        assert dht.keeper._round_s == longer_s / 2 * 1.5
