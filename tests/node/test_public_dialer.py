"""Where strangers' records cannot lead a node, and how seldom it goes where they can."""

from __future__ import annotations

import ipaddress
import socket
import time

import pytest

from tests.client.records import identity
from walletcli.errors import NetworkError
from walletcli.net.addresses import NodeAddress
from walletcli.net.tcp import Target
from walletcli.node.public_dialer import PER_HOST_BURST, PublicDialer

DID = identity("node").did


def targets(*hosts: str) -> list[Target]:
    return [(socket.AF_INET6 if ":" in host else socket.AF_INET, host) for host in hosts]


def pinned(location: str) -> NodeAddress:
    return NodeAddress.from_text(f"walletcli://{location}/{DID}")


def refusal(dialer: PublicDialer, address: NodeAddress, *hosts: str) -> str:
    with pytest.raises(NetworkError) as raised:
        dialer.usable(address, targets(*hosts))
    return raised.value.code


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "192.0.2.1",
        "224.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "fe80::1%lo", "2606:4700::1%eth0", "fc00::1", "ff02::1",
        "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::a00:1", "2002:7f00:1::",
        "2001:0:7f00:1::", "2001:db8::1", "fec0::1",
    ],
)  # fmt: skip
def test_an_address_that_is_not_public_is_not_connected_to(host: str) -> None:
    assert refusal(PublicDialer(), pinned("node.example:7411"), host) == "network.not-public"


@pytest.mark.parametrize("host", ["8.8.8.8", "2606:4700:4700::1111"])
def test_a_public_address_is(host: str) -> None:
    assert PublicDialer().usable(pinned("node.example:7411"), targets(host)) == targets(host)


@pytest.mark.parametrize("port", [1, 22, 25, 80, 1023])
def test_ports_of_other_services_are_left_alone(port: int) -> None:
    assert refusal(PublicDialer(), pinned(f"8.8.8.8:{port}"), "8.8.8.8") == "network.not-public"


@pytest.mark.parametrize("port", [443, 1024, 65_535])
def test_ports_of_nodes_are_not(port: int) -> None:
    assert PublicDialer().usable(pinned(f"8.8.8.8:{port}"), targets("8.8.8.8"))


@pytest.mark.parametrize("text", ["http://8.8.8.8:8080", "https://8.8.8.8:8443"])
def test_nobody_is_connected_to_who_proves_no_key(text: str) -> None:
    assert refusal(PublicDialer(), NodeAddress.from_text(text), "8.8.8.8") == "network.not-public"


def test_a_name_that_stands_for_a_private_address_too_leads_to_the_public_one_alone() -> None:
    found = PublicDialer().usable(pinned("node.example:7411"), targets("127.0.0.1", "8.8.8.8", "8.8.4.4"))
    assert found == targets("8.8.8.8")


def test_the_operators_own_networks_are_allowed_where_they_are_set() -> None:
    dialer = PublicDialer([ipaddress.ip_network("192.168.0.0/16")])
    assert dialer.usable(pinned("node.example:7411"), targets("192.168.1.1"))
    assert refusal(dialer, pinned("node.example:7411"), "10.0.0.1") == "network.not-public"


@pytest.mark.parametrize("hosts", [["8.8.8.8"], ["2606:4700::1", "2606:4700::2", "2606:4700::3:4"]])
def test_one_machine_is_asked_seldom_whatever_names_and_keys_lead_there(hosts: list[str]) -> None:
    dialer = PublicDialer()
    for number in range(PER_HOST_BURST):
        dialer.usable(pinned(f"name{number}.example:7411"), targets(hosts[number % len(hosts)]))
    assert refusal(dialer, pinned("another.example:7412"), hosts[-1]) == "network.too-often"
    assert dialer.usable(pinned("another.example:7412"), targets("8.8.4.4"))


def test_nothing_is_sent_to_where_it_may_not_go() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.0)
        address = pinned(f"localhost:{server.getsockname()[1]}")
        with pytest.raises(NetworkError) as raised:
            PublicDialer().dial(address, None, time.monotonic() + 60)
        assert raised.value.code == "network.not-public"
        with pytest.raises(BlockingIOError):
            server.accept()
