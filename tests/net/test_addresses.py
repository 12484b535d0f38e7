from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.client.records import identity
from walletcli.core.document_parts import Address
from walletcli.core.document_parts import Transport as Carried
from walletcli.errors import InputError
from walletcli.net.addresses import NodeAddress, Scheme, Transport

DID = identity("node").did


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        (f"walletcli://node.example:7411/{DID}", f"walletcli://node.example:7411/{DID}"),
        (f"  walletcli://NODE.example:7411/{DID}\n", f"walletcli://node.example:7411/{DID}"),
        (f"walletcli://[2001:DB8::0:1]:7411/{DID}", f"walletcli://[2001:db8::1]:7411/{DID}"),
        ("https://relay.example", "https://relay.example"),
        ("https://relay.example/", "https://relay.example"),
        ("HTTPS://relay.example:443", "https://relay.example"),
        ("https://relay.example:8443", "https://relay.example:8443"),
        ("http://127.0.0.1:6881", "http://127.0.0.1:6881"),
        ("http://[::1]:80", "http://[::1]"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
    ],
)
def test_an_address_has_one_canonical_text(text: str, canonical: str) -> None:
    address = NodeAddress.from_text(text)
    assert address.to_text() == canonical
    assert NodeAddress.from_text(canonical) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "relay.example",
        "ftp://relay.example",
        "https://",
        "https:///x",
        "https://relay.example/path",
        "https://relay.example?x=1",
        "https://relay.example#x",
        "https://user:secret@relay.example",
        "https://user@relay.example",
        "https://relay.example:",
        "https://relay.example:0",
        "https://relay.example:65536",
        "https://relay.example:080",
        "https://relay.example:+80",
        "https://relay.example:٨٠",
        "https://relay..example",
        "https://-relay.example",
        "https://relay_x.example",
        "https://relay.example.",
        "https://bücher.example",
        "https://\u212aelvin.example",
        "https://rel ay.example",
        "https://relay.example\x1b[2J",
        "https://127.1",
        "https://0177.0.0.1",
        "https://256.0.0.1",
        "https://2130706433",
        "https://::1",
        "https://[::1",
        "https://[::1]x",
        "https://[fe80::1%25eth0]:1",
        "https://[relay.example]",
        "http://[1.2.3.4]",
        "walletcli://node.example:7411",
        f"walletcli://node.example/{DID}",
        f"walletcli://node.example:7411/{DID}/",
        f"walletcli://node.example:7411/{DID}#0",
        f"walletcli://node.example:7411/{DID[:-1]}",
        f"walletcli://node.example:7411//{DID}",
        f"walletcli://node.example:7411/{identity('node').did_dht}",
        "walletcli://node.example:7411/did:key:z6Mk",
        f"https://relay.example/{DID}",
        "https://" + "a" * 64 + ".example",
        "https://" + "a." * 127 + "example",
        "https://" + "a" * 400,
    ],
)
def test_what_is_not_an_address_is_refused(text: str) -> None:
    with pytest.raises(InputError) as caught:
        NodeAddress.from_text(text)
    assert caught.value.code == "address.malformed"
    assert caught.value.hint


@given(st.text(max_size=60) | st.text(alphabet="wal-etcihps:/[].0123456789@%", max_size=40).map("https://".__add__))
def test_any_text_is_an_address_or_our_error(text: str) -> None:
    try:
        address = NodeAddress.from_text(text)
    except InputError:
        return
    assert NodeAddress.from_text(address.to_text()) == address


def test_only_a_pinned_address_names_a_node() -> None:
    with pytest.raises(InputError):
        NodeAddress(Scheme.PINNED, "node.example", 1)
    with pytest.raises(InputError):
        NodeAddress(Scheme.WEB, "node.example", 1, identity("node"))


@pytest.mark.parametrize("host", ["Node.example", "127.1", "::0:1", "a/b", ""])
def test_a_constructed_address_is_canonical_or_refused(host: str) -> None:
    with pytest.raises(InputError):
        NodeAddress(Scheme.CLEAR, host, 80)


@pytest.mark.parametrize(
    ("text", "loopback", "notice"),
    [
        ("http://127.0.0.1:1", True, False),
        ("http://127.8.9.1:1", True, False),
        ("http://[::1]:1", True, False),
        ("http://localhost:1", True, False),
        ("http://a.localhost:1", True, False),
        ("http://10.0.0.1:1", False, True),
        ("http://localhost.example:1", False, True),
        ("https://relay.example", False, False),
        (f"http://{'a' * 56}.onion", False, False),
    ],
)
def test_clear_text_beyond_this_machine_comes_with_a_notice(text: str, loopback: bool, notice: bool) -> None:
    address = NodeAddress.from_text(text)
    assert address.is_loopback is loopback
    assert (address.notice is not None) is notice


def test_the_host_tells_the_transport() -> None:
    assert NodeAddress.from_text(f"walletcli://{'a' * 56}.onion:1/{DID}").transport is Transport.TOR
    assert NodeAddress.from_text(f"walletcli://{'a' * 52}.b32.i2p:1/{DID}").transport is Transport.I2P
    assert NodeAddress.from_text("https://onion.example").transport is Transport.TCP


def test_a_record_gives_pinned_and_web_addresses_but_never_clear_ones() -> None:
    node = identity("node")
    pinned = NodeAddress.from_record(Address(Carried.TCP, "192.0.2.7:7411", bytes(32)), node)
    assert pinned.to_text() == f"walletcli://192.0.2.7:7411/{DID}"
    assert (
        NodeAddress.from_record(Address(Carried.HTTPS, "relay.example:443"), node).to_text() == "https://relay.example"
    )
    with pytest.raises(InputError):
        NodeAddress.from_record(Address(Carried.TCP, "http://192.0.2.7", bytes(32)), node)


def test_host_header_and_location() -> None:
    assert NodeAddress.from_text("https://relay.example").authority == "relay.example"
    assert NodeAddress.from_text("https://relay.example").location == "relay.example:443"
    assert NodeAddress.from_text(f"walletcli://[::1]:443/{DID}").authority == "[::1]:443"


# --- the DHT, which may stand in a list of relays


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("dht", "dht"),
        (" DHT\n", "dht"),
        ("dht://127.0.0.1:6881", "dht://127.0.0.1:6881"),
        ("DHT://Router.example:6881,[2001:DB8::0:1]:7", "dht://router.example:6881,[2001:db8::1]:7"),
    ],
)
def test_the_dht_has_one_canonical_text(text: str, canonical: str) -> None:
    address = NodeAddress.from_relay_text(text)
    assert (address.to_text(), address.transport, address.shows_source) == (canonical, Transport.UDP, True)
    assert NodeAddress.from_relay_text(canonical) == address


def test_the_dht_is_no_node() -> None:
    for text in ("dht", "dht://127.0.0.1:6881"):
        with pytest.raises(InputError) as caught:
            NodeAddress.from_text(text)
        assert (caught.value.code, bool(caught.value.hint)) == ("address.no-node", True)


@pytest.mark.parametrize(
    "text",
    [
        "dht:",
        "dht://",
        "dht://router.example",
        "dht://router.example:0",
        "dht://router.example:6881/",
        "dht://router.example:6881,",
        "dht://,router.example:6881",
        "dht://router.example:6881;b.example:1",
        "dht://user@router.example:6881",
        "dht://a.example:1,a.example:1",
        "dht://127.1:6881",
        f"dht://a.example:1/{DID}",
        "dht://" + ",".join(f"10.0.0.{number}:1" for number in range(17)),
    ],
)
def test_what_names_members_badly_is_refused(text: str) -> None:
    with pytest.raises(InputError) as caught:
        NodeAddress.from_relay_text(text)
    assert caught.value.code == "address.malformed"


def test_only_a_dht_has_members_and_it_has_no_host() -> None:
    for wrong in (
        lambda: NodeAddress(Scheme.WEB, "a.example", 1, members=(("b.example", 1),)),
        lambda: NodeAddress(Scheme.DHT, "a.example", 0),
        lambda: NodeAddress(Scheme.DHT, "", 1),
        lambda: NodeAddress(Scheme.DHT, "", 0, identity("node")),
    ):
        with pytest.raises(InputError):
            wrong()


def test_who_asks_the_dht_is_told_what_that_shows_and_not_on_this_machine_alone() -> None:
    public, own = NodeAddress.from_relay_text("dht"), NodeAddress.from_relay_text("dht://127.0.0.1:1,[::1]:2")
    assert "in clear" in (public.notice or "")
    assert not public.is_loopback
    assert (own.notice, own.is_loopback) == (None, True)
    assert NodeAddress.from_relay_text("dht://127.0.0.1:1,10.0.0.1:2").notice is not None
