from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.client.records import foreign_packet, identity, record, unsigned
from tests.client.servers import Asked, Server, Shelf, TlsFiles
from walletcli.client.freshness import FreshnessMap, Seen
from walletcli.client.relay import RelayClient
from walletcli.core.document_parts import Address, Retirement, Transport
from walletcli.core.record import Record
from walletcli.errors import NetworkError, VerificationError
from walletcli.net.addresses import NodeAddress
from walletcli.net.tcp import TcpDialer

NODE = identity("node")
ALICE = record("alice")


def node_record(pin: bytes, seq: int = 10, **fields: object) -> Record:
    return record("node", seq, addresses=(Address(Transport.TCP, "192.0.2.1:7411", pin),), **fields)


@pytest.fixture
def files(tmp_path: Path) -> TlsFiles:
    return TlsFiles.make(tmp_path)


@pytest.fixture
def node(files: TlsFiles) -> Iterator[Callable[..., tuple[Shelf, Server]]]:
    servers: list[Server] = []

    def start(own: Record | None, tls: TlsFiles = files) -> tuple[Shelf, Server]:
        shelf = Shelf()
        shelf.put(ALICE)
        if own is not None:
            shelf.put(own)
        servers.append(Server(shelf.converse, tls.context))
        return shelf, servers[-1]

    yield start
    for server in servers:
        server.close()


def client(server: Server, memory: FreshnessMap | None = None) -> RelayClient:
    address = NodeAddress.from_text(f"walletcli://127.0.0.1:{server.port}/{NODE.did}")
    return RelayClient(address, TcpDialer(), None, timeout_s=3, memory=memory)


def refused(server: Server, memory: FreshnessMap | None = None) -> str:
    with client(server, memory) as one, pytest.raises((NetworkError, VerificationError)) as caught:
        one.get_packet(ALICE.packet.public_key)
    assert caught.value.hint
    return caught.value.code


def paths(shelf: Shelf) -> list[str]:
    return [asked.path for asked in shelf.asked]


def test_a_node_whose_record_pins_its_key_is_used(node: Callable[..., tuple[Shelf, Server]], files: TlsFiles) -> None:
    shelf, server = node(node_record(files.pin))
    with client(server) as one:
        assert one.get_packet(ALICE.packet.public_key) == ALICE.packet
        assert one.get_packet(ALICE.packet.public_key) == ALICE.packet
    assert server.connections == 1
    assert paths(shelf)[0] == f"/{NODE.z32}"
    assert paths(shelf)[1].startswith("/document/")


def test_a_key_among_several_pins_is_enough(node: Callable[..., tuple[Shelf, Server]], files: TlsFiles) -> None:
    several = record(
        "node",
        addresses=(
            Address(Transport.HTTPS, "node.example"),
            Address(Transport.TCP, "192.0.2.1:1", bytes(32)),
            Address(Transport.TCP, "192.0.2.1:2", files.pin),
        ),
    )
    with client(node(several)[1]) as one:
        assert one.get_packet(ALICE.packet.public_key) == ALICE.packet


def test_nothing_is_asked_before_the_key_is_proven(
    node: Callable[..., tuple[Shelf, Server]], files: TlsFiles, tmp_path: Path
) -> None:
    """Somebody in the middle has the node's true record, and a TLS key of their own."""
    shelf, server = node(node_record(files.pin), TlsFiles.make(tmp_path, "middle"))
    assert refused(server) == "tls.pin-mismatch"
    assert f"/{identity('alice').z32}" not in paths(shelf)


def test_a_record_without_pins_proves_nothing(node: Callable[..., tuple[Shelf, Server]]) -> None:
    assert refused(node(record("node"))[1]) == "tls.pin-mismatch"


def test_a_node_without_a_record_is_told_apart(node: Callable[..., tuple[Shelf, Server]]) -> None:
    assert refused(node(None)[1]) == "tls.no-record"


def test_a_node_whose_document_is_missing_proves_nothing(
    node: Callable[..., tuple[Shelf, Server]], files: TlsFiles
) -> None:
    shelf, server = node(node_record(files.pin))
    shelf.documents.clear()
    assert refused(server) == "tls.no-record"


def test_a_packet_that_names_no_document_proves_nothing(node: Callable[..., tuple[Shelf, Server]]) -> None:
    shelf, server = node(None)
    shelf.packets[NODE.public_key] = foreign_packet("node")
    assert refused(server) == "tls.no-record"


def test_the_record_of_another_identity_proves_nothing(
    node: Callable[..., tuple[Shelf, Server]], files: TlsFiles
) -> None:
    shelf, server = node(None)
    theirs = record("mallory", addresses=(Address(Transport.TCP, "192.0.2.1:1", files.pin),))
    assert theirs.document
    shelf.put(theirs)
    shelf.packets[NODE.public_key] = theirs.packet
    assert refused(server) == "tls.bad-record"


def test_a_record_with_a_broken_signature_proves_nothing(
    node: Callable[..., tuple[Shelf, Server]], files: TlsFiles
) -> None:
    own = node_record(files.pin)
    shelf, server = node(own)
    honest = shelf.decide
    shelf.decide = lambda a: (200, unsigned(own.packet)) if a.path == f"/{NODE.z32}" else honest(a)  # type: ignore[method-assign] # a relay that lies
    assert refused(server) == "tls.bad-record"


def test_another_document_than_the_packets_proves_nothing(
    node: Callable[..., tuple[Shelf, Server]], files: TlsFiles, tmp_path: Path
) -> None:
    """The true packet, and beside it a document that pins the key of somebody in the middle."""
    middle = TlsFiles.make(tmp_path, "middle")
    own, forged = node_record(files.pin), node_record(middle.pin)
    assert own.document
    assert forged.document
    shelf, server = node(own, middle)
    shelf.documents[hashlib.sha256(own.document.to_bytes()).digest()] = forged.document.to_bytes()
    assert refused(server) == "tls.bad-record"


def test_a_retired_node_is_not_used(node: Callable[..., tuple[Shelf, Server]], files: TlsFiles) -> None:
    assert refused(node(node_record(files.pin, retirement=Retirement(20_000)))[1]) == "tls.retired"


def test_a_stolen_key_of_an_older_record_is_stale(node: Callable[..., tuple[Shelf, Server]], files: TlsFiles) -> None:
    memory = FreshnessMap()
    memory.put(NODE.public_key, Seen.of(node_record(bytes(32), seq=11)))
    assert refused(node(node_record(files.pin, seq=10))[1], memory) == "record.stale"


def test_a_node_with_two_records_of_one_seq_is_not_used(
    node: Callable[..., tuple[Shelf, Server]], files: TlsFiles
) -> None:
    memory = FreshnessMap()
    memory.put(NODE.public_key, Seen.of(node_record(bytes(32))))
    assert refused(node(node_record(files.pin))[1], memory) == "record.equivocation"


def test_the_nodes_record_is_remembered(node: Callable[..., tuple[Shelf, Server]], files: TlsFiles) -> None:
    memory = FreshnessMap()
    own = node_record(files.pin)
    with client(node(own)[1], memory) as one:
        one.get_packet(ALICE.packet.public_key)
    assert memory.get(NODE.public_key) == Seen.of(own)


def test_a_proven_key_is_not_proven_again_within_one_client(
    node: Callable[..., tuple[Shelf, Server]], files: TlsFiles
) -> None:
    shelf, server = node(node_record(files.pin))
    with client(server) as one:
        one.get_packet(ALICE.packet.public_key)
        one.close()
        one.get_packet(ALICE.packet.public_key)
    assert server.connections == 2
    assert paths(shelf).count(f"/{NODE.z32}") == 1


def test_a_node_that_hangs_up_after_its_proof_is_our_error(
    node: Callable[..., tuple[Shelf, Server]], files: TlsFiles
) -> None:
    shelf, server = node(node_record(files.pin))
    honest = shelf.decide
    count = 0

    def cut(asked: Asked) -> tuple[int, bytes]:
        nonlocal count
        count += 1
        if count > 2:
            raise OSError("hang up")
        return honest(asked)

    shelf.decide = cut  # type: ignore[method-assign] # a node that dies
    assert refused(server) == "relay.unreachable"
