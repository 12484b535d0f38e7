"""Documents of what a node keeps alive come from the nodes that the records themselves name, and from no traps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.client.records import identity, record
from tests.core.approving import ONE, approvers
from tests.core.samples import key, sealing_key
from tests.dht.swarm import Swarm
from tests.node.dht.test_node_in_dht import path_of, rounds_until, settings
from tests.node.local import LocalNode, eventually, running
from walletcli.core.approvals import DocumentApprovals
from walletcli.core.cose import Sign1
from walletcli.core.document import Document
from walletcli.core.document_parts import Address, Delegation, Power, Transport
from walletcli.core.grant import Grant, Terms
from walletcli.core.record import Record
from walletcli.core.short_record import to_short
from walletcli.node.metrics import Peering
from walletcli.node.named_nodes import MAX_PLACES, NamedNodes

ALLOWED = 'named_networks = ["127.0.0.0/8"]'
DAY = 20_000


@pytest.fixture
def host(tmp_path: Path) -> Iterator[LocalNode]:
    """A node that is in no DHT, and has documents."""
    with running(tmp_path / "host") as node:
        yield node


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as found:
        yield found


def grant_by(provider: Record, name: str) -> bytes:
    """Return a provider's grant to somebody; whoever looks for documents asks only who gave it, and where that is."""
    grant = Grant(
        provider.packet.public_key,
        identity(name).public_key,
        Terms(1 << 20, 30, 1 << 20),
        bytes(16),
        DAY,
        DAY + 300,
        to_short(provider),
    )
    return Sign1.sign(key("granter"), Grant.TYP, grant.to_payload()).to_bytes()


def record_of(host: LocalNode) -> Record:
    return host.service._identity.record


def liar(host: LocalNode) -> Record:
    """Return the record of another provider, which says that it is where `host` is."""
    device = Delegation(key("d").public_key, sealing_key("s"), frozenset({Power.GRANT}), DAY, DAY + 90)
    location = host.address.removeprefix("walletcli://").partition("/")[0]
    return record("liar", 5, delegations=(device,), addresses=(Address(Transport.TCP, location, bytes(32)),))


def put(node: LocalNode, wanted: Record, *, document: bool = True) -> None:
    if wanted.document is not None and document:
        body = wanted.document.to_bytes()
        assert node.ask("PUT", f"/document/{wanted.document.hash.hex()}", body).status == 204
    answer = node.ask("PUT", path_of(wanted.packet), wanted.packet.to_relay_payload(), prefer="wait=20")
    assert answer.status == 204


def has(node: LocalNode, wanted: Record) -> bool:
    assert wanted.document is not None
    path = f"/document/{wanted.document.hash.hex()}"
    return node.ask("GET", path, cache_control="only-if-cached").status == 200


def keeps(swarm: Swarm, directory: Path, stack: ExitStack, more: str = ALLOWED) -> LocalNode:
    pin = f'pins = ["{identity("alice").did}"]\n'
    return stack.enter_context(running(directory, settings(swarm, more=pin + more)))


def told_of_newer(swarm: Swarm, tmp_path: Path, newer: Record) -> None:
    """Put a packet into the DHT, by a node that has no document and dies."""
    with running(tmp_path / "passing", settings(swarm)) as passing:
        put(passing, newer, document=False)


def peering(node: LocalNode) -> Peering:
    return node.service.metrics.peering


def test_the_document_of_a_newer_packet_comes_from_the_provider_that_the_one_before_names(
    swarm: Swarm, tmp_path: Path, host: LocalNode, stack: ExitStack
) -> None:
    keeper = keeps(swarm, tmp_path / "keeper", stack)
    put(keeper, record("alice", 7, bindings=(grant_by(record_of(host), "alice"),)))
    newer = record("alice", 8, profile={"name": "Alice"})
    put(host, newer)
    told_of_newer(swarm, tmp_path, newer)
    rounds_until(keeper, lambda: keeper.service._store.packets([newer.packet.public_key])[0] is not None)
    eventually(lambda: has(keeper, newer), "the document")
    assert keeper.service._store.named_document(newer.packet.public_key) == newer.document.hash  # type: ignore[union-attr]


def test_approvals_of_a_document_that_removes_the_approvers_come_with_it(
    swarm: Swarm, tmp_path: Path, host: LocalNode, stack: ExitStack
) -> None:
    keeper = keeps(swarm, tmp_path / "keeper", stack)
    grant = grant_by(record_of(host), "alice")
    put(keeper, record("alice", 7, bindings=(grant,), approvers=approvers(ONE)))
    newer = record("alice", 8, profile={"name": "Alice"})
    assert newer.document is not None
    beside = DocumentApprovals((ONE.approve(newer.document),)).to_bytes()
    path = f"/document/{newer.document.hash.hex()}"
    assert host.ask("PUT", path, newer.document.to_bytes()).status == 204
    assert host.ask("PUT", f"{path}/approvals", beside).status == 204
    put(host, newer)
    told_of_newer(swarm, tmp_path, newer)
    rounds_until(keeper, lambda: has(keeper, newer))
    eventually(
        lambda: keeper.ask("GET", f"{path}/approvals", cache_control="only-if-cached").body == beside, "the approvals"
    )


def test_somebody_new_is_looked_for_at_any_node_whose_record_is_kept_alive(
    swarm: Swarm, tmp_path: Path, host: LocalNode, stack: ExitStack
) -> None:
    keeper = keeps(swarm, tmp_path / "keeper", stack)
    alice = record("alice", 7, profile={"name": "Alice"})
    put(host, alice)
    put(keeper, record_of(host))
    told_of_newer(swarm, tmp_path, alice)
    rounds_until(keeper, lambda: has(keeper, alice))


@pytest.mark.parametrize("more", ["", "named_nodes = false\n" + ALLOWED])
def test_private_addresses_are_not_asked_unless_they_are_allowed_and_nobody_is_where_that_is_off(
    swarm: Swarm, tmp_path: Path, host: LocalNode, stack: ExitStack, more: str
) -> None:
    keeper = keeps(swarm, tmp_path / "keeper", stack, more)
    put(keeper, record("alice", 7, bindings=(grant_by(record_of(host), "alice"),)))
    newer = record("alice", 8, profile={"name": "Alice"})
    put(host, newer)
    dht, served = keeper.service._dht, host.service.metrics.total()
    assert dht is not None
    keeper.run(lambda: dht.keeper.round(0.0))
    put(keeper, newer, document=False)
    for _ in range(3):
        keeper.run(lambda: dht.keeper.round(0.0))
    assert not has(keeper, newer)
    assert host.service.metrics.total() == served
    assert peering(keeper).source_errors == (0 if more else 1), "refused, and then left alone for an hour"


def test_a_node_that_does_not_prove_the_key_is_not_believed_and_left_alone(
    swarm: Swarm, tmp_path: Path, host: LocalNode, stack: ExitStack
) -> None:
    keeper = keeps(swarm, tmp_path / "keeper", stack)
    put(keeper, record("alice", 7, bindings=(grant_by(liar(host), "alice"),)))
    newer = record("alice", 8, profile={"name": "Alice"})
    put(host, newer)
    dht = keeper.service._dht
    assert dht is not None
    keeper.run(lambda: dht.keeper.round(0.0))
    put(keeper, newer, document=False)
    for _ in range(3):
        keeper.run(lambda: dht.keeper.round(0.0))
    assert (peering(keeper).asked, peering(keeper).source_errors) == (1, 1)
    assert not has(keeper, newer)


def test_what_a_document_names_is_bounded_and_never_this_node(tmp_path: Path, host: LocalNode) -> None:
    def named() -> NamedNodes:
        service = host.service
        return NamedNodes(host.key, service._store, service._sources, service._workers, Peering(), host.loop)  # type: ignore[arg-type]

    nodes = host.call(named)
    own = record("alice", 7, bindings=(grant_by(record_of(host), "alice"),)).document
    assert own is not None
    nodes.learn(own.to_bytes())
    assert nodes.places(identity("alice").public_key) == []
    for number in range(10):
        where = Address(Transport.TCP, f"192.0.2.{number}:7411", bytes(32))
        nodes.learn(Document(key(f"node {number}").public_key, 1, addresses=(where,)).to_bytes())
    assert len(nodes.places(identity("alice").public_key)) == MAX_PLACES
    nodes.learn(b"\xff")
