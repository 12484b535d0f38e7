"""The DHT as a source of the client's own, on a swarm of strangers."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from tests.client.records import foreign_packet, identity, record, unsigned
from tests.client.servers import Conversation, Server, Shelf
from tests.dht.strangers import Stranger, stranger
from tests.dht.swarm import Swarm, joined, swarm_of
from walletcli.client.dht_process import meet, settings_of
from walletcli.client.freshness import FreshnessMap
from walletcli.client.independence import independent
from walletcli.client.mainline import DhtSource, view_of
from walletcli.client.publish import PublishedShortError, publish
from walletcli.client.resolution import Outcome, Resolution
from walletcli.client.resolve import resolve
from walletcli.client.scan import scan, scan_apart
from walletcli.client.sources import open_source
from walletcli.client.spread import look_up_each
from walletcli.core.packet import SignedPacket
from walletcli.dht.mainline import Mainline
from walletcli.dht.settings import PUBLIC_BOOTSTRAP, Settings
from walletcli.errors import NetworkError, VerificationError
from walletcli.net.addresses import NodeAddress
from walletcli.net.offline import OfflineDialer
from walletcli.net.tcp import TcpDialer

Serve = Callable[[Callable[[Conversation], None]], Server]
Relay = Callable[..., tuple[Shelf, Server]]

MOST = 6
"""Of eight copies so many are made and counted however busy the machine is."""


@pytest.fixture(scope="module")
def swarm() -> Iterator[Swarm]:
    """Twelve libtorrent nodes."""
    with swarm_of(12) as found:
        yield found


@pytest.fixture(scope="module")
def dialer() -> TcpDialer:
    """The view of the DHT goes when it goes."""
    return TcpDialer()


@pytest.fixture
def dht(swarm: Swarm) -> NodeAddress:
    return entered_by(*swarm.addresses[:3])


def entered_by(*members: tuple[str, int]) -> NodeAddress:
    return NodeAddress.from_relay_text("dht://" + ",".join(f"{host}:{port}" for host, port in members))


def put(dht: NodeAddress, dialer: TcpDialer, packet: SignedPacket) -> int | None:
    with open_source(dht, dialer) as source:
        return source.put_packet(packet)


def ask(name: str, dialer: TcpDialer, *addresses: NodeAddress, memory: FreshnessMap | None = None) -> Resolution:
    return resolve(identity(name), addresses, dialer=dialer, memory=memory)


# --- packets in and out


def test_what_is_put_is_counted_and_found(dht: NodeAddress, dialer: TcpDialer) -> None:
    packet = record("put and found").packet
    assert (put(dht, dialer, packet) or 0) >= MOST
    with open_source(dht, TcpDialer()) as other:
        assert other.get_packet(packet.public_key) == packet
        assert other.get_packet(identity("nobody").public_key) is None


def test_a_packet_of_another_program_is_found(dht: NodeAddress, dialer: TcpDialer) -> None:
    put(dht, dialer, foreign_packet("foreign"))
    found = ask("foreign", dialer, dht)
    assert (found.record.document, found.pending) == (None, None)


def test_a_document_comes_from_a_relay_that_has_no_packet(dht: NodeAddress, dialer: TcpDialer, relay: Relay) -> None:
    whole = record("packet there, document here", profile={"name": "A"})
    put(dht, dialer, whole.packet)
    shelf, server = relay()
    shelf.put(whole)
    shelf.packets.clear()
    found = ask("packet there, document here", dialer, dht, server.address, memory=FreshnessMap())
    assert found.record == whole
    assert [source.outcome for source in found.sources] == [Outcome.CURRENT, Outcome.NOT_FOUND]
    assert found.independent == (dht.to_text(), server.address.to_text())


def test_a_newer_packet_in_the_dht_wins_over_a_relay_that_holds_it_back(
    dht: NodeAddress, dialer: TcpDialer, relay: Relay
) -> None:
    old, new = record("held back", 100), record("held back", 200)
    put(dht, dialer, new.packet)
    shelf, server = relay()
    shelf.put(new)
    shelf.put(old)
    found = ask("held back", dialer, server.address, dht)
    assert found.record == new
    assert [source.outcome for source in found.sources] == [Outcome.OLDER, Outcome.CURRENT]


def test_a_document_that_nobody_has_leaves_the_packet_pending(dht: NodeAddress, dialer: TcpDialer) -> None:
    put(dht, dialer, record("pending").packet)
    memory = FreshnessMap()
    found = ask("pending", dialer, dht, memory=memory)
    assert found.pending == record("pending").packet
    assert memory.get(identity("pending").public_key) is None


def test_the_dht_is_one_source_whatever_it_is_entered_by(dht: NodeAddress) -> None:
    other = entered_by(("127.0.0.1", 9))
    assert independent([dht.to_text(), "https://a.example", "dht", other.to_text()]) == (
        dht.to_text(),
        "https://a.example",
    )


def test_a_forged_item_is_no_answer(dialer: TcpDialer) -> None:
    packet = record("forged").packet

    def forge(node: Stranger, query: dict[bytes, object], address: tuple[str, int]) -> None:
        signature = bytes(64)
        node.answer(query, address, k=packet.public_key, sig=signature, seq=packet.seq + 1, v=packet.value)

    with stranger(forge) as liar:
        found = open_source(entered_by(liar.address), dialer).get_packet(packet.public_key)
    assert found is None


def test_an_item_that_is_signed_and_is_no_packet_is_a_bad_answer(dht: NodeAddress, dialer: TcpDialer) -> None:
    from tests.client.records import key
    from walletcli.core import bep44
    from walletcli.dht.messages import Item

    value = b"not a packet"
    item = Item(key("odd").public_key, 1, key("odd").sign(bep44.signable(1, value)), value)
    odd = replace(record("odd").packet)
    object.__setattr__(odd, "seq", item.seq)
    object.__setattr__(odd, "signature", item.signature)
    object.__setattr__(odd, "value", value)
    put(dht, dialer, odd)
    with pytest.raises(NetworkError) as refused:
        ask("odd", dialer, dht)
    assert refused.value.code == "resolve.unreachable"
    assert "relay.bad-answer" in refused.value.message


# --- many at once


def test_many_are_looked_up_together_apart_and_each_at_its_own(
    dht: NodeAddress, dialer: TcpDialer, relay: Relay
) -> None:
    names = [f"one of {number}" for number in range(12)]
    shelf, server = relay()
    for name in names[:8]:
        shelf.put(record(name))
        put(dht, dialer, record(name).packet)
    shelf.packets.clear()
    wanted = [identity(name) for name in names]
    places = (dht, server.address)
    for scanned in (
        scan(wanted, places, dialer=dialer),
        scan_apart(wanted, places, dialer=dialer),
        look_up_each(dict.fromkeys(wanted, places), dialer=dialer),
    ):
        found = [item.resolution.record.document is not None for item in scanned if item.resolution is not None]
        assert found == [True] * 8
        assert all(item.is_absent for item in scanned[8:])
        assert [len(item.resolution.independent) for item in scanned if item.resolution is not None] == [2] * 8


# --- publishing


def test_a_record_is_published_through_the_dht_beside_a_node(dht: NodeAddress, dialer: TcpDialer, relay: Relay) -> None:
    _, server = relay()
    stored = publish(record("published"), (server.address, dht), dialer=dialer)
    assert (stored.relays, stored.packet_only) == ((server.address.to_text(),), (dht.to_text(),))
    assert stored.copies == 2
    assert stored.dht_nodes >= MOST


def test_a_record_whose_document_would_be_nowhere_is_not_put(dht: NodeAddress, dialer: TcpDialer) -> None:
    with pytest.raises(PublishedShortError):
        publish(record("only the dht"), (dht,), dialer=dialer)
    with pytest.raises(NetworkError, match="none of them knows"):
        ask("only the dht", dialer, dht)


def test_a_record_that_the_dht_has_a_newer_one_of_is_not_put(dht: NodeAddress, dialer: TcpDialer, relay: Relay) -> None:
    put(dht, dialer, record("overtaken", 200).packet)
    with pytest.raises(VerificationError) as refused:
        publish(record("overtaken", 100), (relay()[1].address, dht), dialer=dialer)
    assert refused.value.code == "publish.newer-exists"


# --- who may


def test_offline_the_dht_is_not_entered(dht: NodeAddress, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(*args: object, **more: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(subprocess, "Popen", start)
    with pytest.raises(NetworkError) as refused:
        resolve(identity("alice"), [dht], dialer=OfflineDialer())
    assert refused.value.code == "network.offline"


def test_a_route_that_carries_no_datagrams_does_not_enter_the_dht(dht: NodeAddress, relay: Relay) -> None:
    class Hidden(TcpDialer):
        def allow_datagrams(self, address: NodeAddress) -> None:
            raise NetworkError("network.transport", f"{address.to_text()} is not asked over this route")

    shelf, server = relay()
    shelf.put(record("alice"))
    found = resolve(identity("alice"), [dht, server.address], dialer=Hidden())
    assert [source.error_code for source in found.sources] == ["network.transport", None]
    assert found.independent == (server.address.to_text(),)


def test_the_tcp_dialer_itself_does_not_dial_the_dht(dht: NodeAddress, dialer: TcpDialer) -> None:
    with pytest.raises(NetworkError) as refused:
        dialer.dial(dht, None, 1e9)
    assert refused.value.code == "network.transport"


def test_a_dht_whose_process_has_ended_is_a_failure_and_no_source(dht: NodeAddress, relay: Relay) -> None:
    dialer = TcpDialer()
    view_of(dht, dialer).process.kill()
    shelf, server = relay()
    shelf.put(record("alice"))
    found = resolve(identity("alice"), [dht, server.address], dialer=dialer)
    assert [source.error_code for source in found.sources] == ["dht.unreachable", None]
    assert found.independent == (server.address.to_text(),)
    with pytest.raises(PublishedShortError) as short:
        publish(record("alice"), [dht, server.address], dialer=dialer)
    assert short.value.stored.relays == (server.address.to_text(),)


def test_a_dht_that_nobody_answers_for_is_a_failure(dialer: TcpDialer, free_port: Callable[[], int]) -> None:
    with pytest.raises(NetworkError) as refused:
        open_source(entered_by(("127.0.0.1", free_port())), dialer).get_packet(identity("alice").public_key)
    assert refused.value.code == "dht.unreachable"


def test_who_waits_for_the_dht_waits_no_longer_than_was_said(dialer: TcpDialer, free_port: Callable[[], int]) -> None:
    source = DhtSource(entered_by(("127.0.0.1", free_port())), dialer, timeout_s=0.1)
    with pytest.raises(NetworkError) as refused:
        source.get_packet(identity("alice").public_key)
    assert refused.value.code == "relay.timeout"


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ('{"id": 1, "error": "dht.unreachable"}', "dht.unreachable"),
        ('{"id": 1, "error": "dht.busy"}', "dht.busy"),
        ('{"id": 1, "error": "dht.listen"}', "dht.listen"),
        ('{"id": 1, "error": "dht.precondition"}', "dht.precondition"),
        ('{"id": 1, "error": ["what"]}', "dht.unreachable"),
        ('{"id": 1, "payload": null, "answered": 0}', "dht.unreachable"),
        ('{"id": 1}', "dht.unreachable"),
        ('{"id": 1, "payload": "zz"}', "dht.unreachable"),
        ('{"id": 1, "payload": "00"}', "relay.bad-answer"),
        ("x" * 10_000, "dht.unreachable"),
        ("{", "dht.unreachable"),
        ("[1]", "relay.timeout"),
        ('{"id": 2}', "relay.timeout"),
        ('{"id": [1]}', "relay.timeout"),
    ],
)
def test_what_the_process_says_is_believed_no_more_than_a_relay(
    dht: NodeAddress, said: str, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = f"import sys\nsys.stdin.readline()\nprint({said!r}, flush=True)\nsys.stdin.read()\n"
    start = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda _, **how: start([sys.executable, "-c", program], **how))
    dialer = TcpDialer()
    with pytest.raises(NetworkError) as refused:
        DhtSource(dht, dialer, timeout_s=5 if code != "relay.timeout" else 0.3).get_packet(identity("alice").public_key)
    assert refused.value.code == code


def test_a_forged_packet_from_the_process_is_refused(dht: NodeAddress, monkeypatch: pytest.MonkeyPatch) -> None:
    said = f'{{"id": 1, "payload": "{unsigned(record("alice").packet).hex()}"}}'
    program = f"import sys\nsys.stdin.readline()\nprint({said!r}, flush=True)\nsys.stdin.read()\n"
    start = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda _, **how: start([sys.executable, "-c", program], **how))
    with pytest.raises(VerificationError) as refused:
        DhtSource(dht, TcpDialer()).get_packet(identity("alice").public_key)
    assert refused.value.code == "signature.invalid"


def test_nobody_met_ends_the_wait_and_everybody_there_is_does_too(swarm: Swarm) -> None:
    async def story() -> tuple[int, int]:
        async with joined(swarm.addresses[:2], read_only=True) as member:
            await meet(member)
            known = member.session.nodes
        alone = await Mainline.join(Settings((("127.0.0.1", 0),), bootstrap=(), private=True))
        await meet(alone, 0.1)
        nobody = alone.session.nodes
        await alone.close()
        return known, nobody

    known, nobody = asyncio.run(story())
    assert known >= 8
    assert nobody == 0


def test_the_dht_is_left_when_the_dialer_is_gone(dht: NodeAddress) -> None:
    dialer = TcpDialer()
    view = view_of(dht, dialer)
    assert view_of(dht, dialer) is view
    assert DhtSource(dht, dialer).get_packet(identity("nobody").public_key) is None
    assert view.process.poll() is None
    del dialer
    gc.collect()
    assert view.process.wait(30) is not None


def test_the_process_ends_by_itself_with_its_input(dht: NodeAddress) -> None:
    dialer = TcpDialer()
    process = view_of(dht, dialer).process
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(30) == 0


@pytest.mark.parametrize(
    ("text", "bootstrap", "peers", "is_private"),
    [
        ("dht", PUBLIC_BOOTSTRAP, (), False),
        ("dht://router.example:6881", (("router.example", 6881),), (), False),
        ("dht://198.51.100.7:6881,[2001:4860::1]:7", (), (("198.51.100.7", 6881), ("2001:4860::1", 7)), False),
        ("dht://10.0.0.1:6881,10.0.0.2:6881", (), (("10.0.0.1", 6881), ("10.0.0.2", 6881)), True),
        ("dht://127.0.0.1:6881", (), (("127.0.0.1", 6881),), True),
    ],
)
def test_the_address_says_how_the_dht_is_entered(
    text: str, bootstrap: tuple[object, ...], peers: tuple[object, ...], is_private: bool
) -> None:
    settings = settings_of(NodeAddress.from_relay_text(text))
    assert (settings.bootstrap, settings.peers, settings.private) == (bootstrap, peers, is_private)
    assert settings.read_only
    assert settings.listen == ((("127.0.0.1" if "127.0.0.1" in text else "0.0.0.0"), 0),)


def test_nothing_of_the_dht_is_loaded_where_no_dht_is_asked() -> None:
    program = (
        "import sys, walletcli.client.resolve, walletcli.client.publish, walletcli.client.scan;"
        "print([name for name in ('libtorrent', 'asyncio', 'walletcli.client.mainline') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
