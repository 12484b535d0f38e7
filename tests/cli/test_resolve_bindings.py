"""What `resolve` says of bindings, with the real node; the grants are made here."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.cli.conftest import Answer
from tests.client.provider import device, sign_as, with_devices
from tests.client.records import identity, key, record
from tests.conftest import NodeProcess, Run
from walletcli.client.relay import RelayClient
from walletcli.core.document_parts import Power
from walletcli.core.grant import Grant, Terms
from walletcli.core.short_record import to_short
from walletcli.net.addresses import NodeAddress
from walletcli.net.tcp import TcpDialer

TODAY = int(time.time()) // 86_400
PROVIDER = with_devices("provider", device("daily", frozenset({Power.GRANT}), TODAY - 10, TODAY + 60))


def grant(until: int, nonce: int) -> bytes:
    said = Grant(
        PROVIDER.packet.public_key, identity("alice").public_key, Terms(1000, 30, 1 << 20), bytes([nonce]) * 16,
        TODAY - 30, until, to_short(PROVIDER),
    )  # fmt: skip
    return sign_as("daily")(Grant.TYP, said.to_payload())


@pytest.fixture
def published(node: NodeProcess) -> str:
    """Alice's record with a valid, an expired and a meaningless binding on the node; her did."""
    bound = record("alice", 100, bindings=(grant(TODAY + 30, 1), grant(TODAY - 1, 2), b"nonsense"))
    assert bound.document is not None
    with RelayClient(NodeAddress.from_text(node.address), TcpDialer()) as client:
        client.put_document(bound.document.to_bytes())
        client.put_packet(bound.packet)
    return identity("alice").did


def test_bindings_are_told_with_both_signers(
    answer: Answer, cli: Callable[..., Run], node: NodeProcess, published: str
) -> None:
    valid, expired, nonsense = answer("resolve", published, "--relay", node.address)["bindings"]
    assert (valid["state"], valid["provider"]) == ("valid", identity("provider").did)
    assert valid["signers"] == {"provider_key": key("daily").public_key.hex(), "identity": published}
    assert (expired["state"], nonsense["state"]) == ("grant.expired", "cbor.truncated")
    assert nonsense["provider"] is None
    text = cli("resolve", published, "--relay", node.address).stdout
    assert f"binding:    {identity('provider').did}: valid before " in text
    assert "does not hold: the grant has expired (grant.expired)" in text
    assert "cannot be read (cbor.truncated)" in text
    assert "bindings: 1 of 3 hold today" in text
