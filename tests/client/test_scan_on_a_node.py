"""Asking ahead against the real node, whose limits it runs into."""

from __future__ import annotations

from tests.client.records import identity, record
from tests.conftest import NodeProcess
from walletcli.client.relay import RelayClient
from walletcli.client.scan import scan
from walletcli.net.addresses import NodeAddress
from walletcli.net.tcp import TcpDialer

PUBLISHED = 30
ABSENT = 470


def test_a_node_that_limits_its_clients_is_asked_to_the_end(node: NodeProcess) -> None:
    address = NodeAddress.from_text(node.address)
    with RelayClient(address, TcpDialer()) as client:
        for number in range(PUBLISHED):
            one = record(f"name {number}")
            assert one.document is not None
            client.put_document(one.document.to_bytes())
            client.put_packet(one.packet)
    wanted = [identity(f"name {number}") for number in range(PUBLISHED + ABSENT)]
    results = scan(wanted, [address, NodeAddress.from_text(node.url)], dialer=TcpDialer())
    assert [result.resolution is not None for result in results] == [True] * PUBLISHED + [False] * ABSENT
    assert all(result.is_absent for result in results[PUBLISHED:])
