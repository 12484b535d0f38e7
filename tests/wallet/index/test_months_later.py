"""An index outlives the wallet that wrote it: its home, a relay that held it, and every DHT node of that day."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.dht.swarm import Swarm, swarm_of
from tests.node.dht.test_node_in_dht import settings
from tests.node.local import LocalNode, eventually, running
from tests.wallet.parts import WORDS, make_home, opened
from tests.wallet.recovery.parts import Lost, go
from walletcli.wallet.identities import create_identity
from walletcli.wallet.index.overview import publish_index
from walletcli.wallet.publish import publish_identity
from walletcli.wallet.relays import add_relay


@pytest.fixture
def swarm() -> Iterator[Swarm]:
    """Sixteen libtorrent nodes."""
    with swarm_of(16) as found:
        yield found


def replace_all(swarm: Swarm, nodes: list[LocalNode]) -> None:
    """Have every member of the DHT go, after new ones came; `nodes` meet those, and do one round."""
    old = swarm.addresses
    swarm.add(16)
    for address in old:
        del swarm.nodes[address]
    for node in nodes:
        dht = node.service._dht
        assert dht is not None
        session = dht.member.mainline.session
        for address in swarm.addresses:
            node.call(lambda address=address, session=session: session.add(*address))  # type: ignore[misc]
        eventually(lambda node=node, session=session: node.call(lambda: session.nodes) >= 8, "new members")  # type: ignore[misc]
        node.run(lambda dht=dht: dht.keeper.round(0.0))  # type: ignore[misc]


def test_after_months_the_words_find_the_index_and_by_it_the_identities(swarm: Swarm, tmp_path: Path) -> None:
    with ExitStack() as stack:
        first = stack.enter_context(running(tmp_path / "a", settings(swarm)))
        second = stack.enter_context(running(tmp_path / "b", settings(swarm)))
        third = stack.enter_context(running(tmp_path / "c", settings(swarm)))
        home = make_home(tmp_path / "old", WORDS)
        for node in (first, second, third):
            add_relay(home, node.url)
        with opened(home) as session:
            for label, index in (("alice", 0), ("bob", 40)):
                create_identity(session, label, index)
                publish_identity(session, label, accept_link=True)
            view = publish_index(session)
            assert set(view.shards[0].stored) == {first.url, second.url, third.url}

        shutil.rmtree(home.path)
        first.stop()
        replace_all(swarm, [second, third])
        stranger = stack.enter_context(running(tmp_path / "d", settings(swarm)))

        with Lost(tmp_path).begin(third.url, stranger.url, sources=2, beyond=0) as session:
            report = go(session, timeout_s=15.0, accept_link=True)
            assert report.index is not None, report.to_json()
            assert set(report.index.answered) == {third.url, stranger.url}
            assert [found.view.label for found in report.restored] == ["alice", "bob"]
            assert report.looked_up == 2

        members = ",".join(f"{host}:{port}" for host, port in swarm.addresses[:4])
        with Lost(tmp_path).begin(third.url, f"dht://{members}", sources=2, beyond=0, name="by dht") as session:
            report = go(session, timeout_s=15.0, accept_link=True)
            assert report.index is not None, report.to_json()
            assert len(report.index.answered) == 2, "a relay, and the DHT itself"
            assert [found.view.label for found in report.restored] == ["alice", "bob"]
