"""No provider of an identity holds a shard, under no name and after it was left."""

from __future__ import annotations

import pytest

from tests.wallet.providers.conftest import host, hosts
from tests.wallet.providers.parts import Host, bind
from tests.wallet.recovery.parts import Net
from walletcli.errors import NetworkError
from walletcli.wallet.access.session import Session
from walletcli.wallet.home import Home
from walletcli.wallet.identities import create_identity
from walletcli.wallet.index.overview import publish_index, show_index
from walletcli.wallet.index.places import allowed_relays
from walletcli.wallet.providers.unbind import unbind_provider
from walletcli.wallet.relays import add_relay

__all__ = ["host", "hosts"]


@pytest.fixture
def bound(session: Session, wallet_home: Home, host: Host) -> Session:
    """A wallet whose one identity is bound to a provider, which is a relay of its list as well, under both names."""
    add_relay(wallet_home, host.address)
    add_relay(wallet_home, host.address.replace("127.0.0.1", "localhost"))
    create_identity(session, "alice")
    bind(session, host.address)
    return session


def test_a_provider_is_no_place_under_either_of_its_names(bound: Session, host: Host, net: Net) -> None:
    with pytest.raises(NetworkError) as error:
        publish_index(bound)
    assert error.value.code == "wallet-index.no-relay"
    for url in net.urls:
        add_relay(bound.home, url)
    assert set(allowed_relays(bound)) == set(net.urls)
    publish_index(bound)
    assert set(show_index(bound).shards[0].relays) <= set(net.urls)


def test_a_providers_key_at_another_host_is_the_provider(bound: Session, host: Host, net: Net) -> None:
    elsewhere = "walletcli://elsewhere.example:7411/" + host.address.rpartition("/")[2]
    add_relay(bound.home, elsewhere)
    add_relay(bound.home, net.urls[0])
    assert allowed_relays(bound) == (net.urls[0],)


def test_nor_is_one_that_was_left(bound: Session, host: Host, net: Net) -> None:
    for url in net.urls:
        add_relay(bound.home, url)
    unbind_provider(bound, "alice", host.address)
    assert set(allowed_relays(bound)) == set(net.urls)


def test_two_names_of_one_relay_are_one_place(session: Session, wallet_home: Home) -> None:
    add_relay(wallet_home, "https://relay.example")
    add_relay(wallet_home, "https://relay.example:8443")
    add_relay(wallet_home, "https://other.example")
    assert allowed_relays(session) == ("https://relay.example", "https://other.example")
