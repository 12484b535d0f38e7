"""Which relays a contact has, and in which order: whom the wallet shows that it knows somebody."""

from __future__ import annotations

from tests.core.samples import key
from walletcli.core.identity_id import IdentityId
from walletcli.net.addresses import NodeAddress
from walletcli.wallet.contacts.own_providers import OwnProviders
from walletcli.wallet.contacts.placing import ranked, spread_over

RELAYS = [NodeAddress.from_text(f"https://relay{n}.example") for n in range(5)]
CONTACTS = [bytes([n & 255, n >> 8]) + bytes(30) for n in range(500)]
KEY = b"\7" * 32
DID = IdentityId(key("provider").public_key).did


def places(relays: list[NodeAddress], key: bytes = KEY) -> list[NodeAddress]:
    """Return each contact's first relay."""
    return [ranked(key, contact, relays)[0] for contact in CONTACTS]


def test_a_contact_has_one_place_whatever_the_order_of_the_relays() -> None:
    assert places(RELAYS) == places(RELAYS[::-1]) == places(RELAYS)


def test_contacts_are_spread_evenly_and_differently_for_each_key() -> None:
    for other in (KEY, b"\x08" * 32):
        counts = [places(RELAYS, other).count(relay) for relay in RELAYS]
        assert all(60 <= count <= 140 for count in counts)
    assert places(RELAYS) != places(RELAYS, b"\x08" * 32)


def test_a_relay_that_goes_moves_its_own_contacts_only_and_comes_back_to_them() -> None:
    before, after = places(RELAYS), places(RELAYS[1:])
    assert [old == new for old, new in zip(before, after, strict=True)] == [old != RELAYS[0] for old in before]


def test_all_relays_have_their_turn_in_the_order_of_a_contact() -> None:
    for contact in CONTACTS[:20]:
        assert set(ranked(KEY, contact, RELAYS)) == set(RELAYS)


def addresses(*texts: str) -> list[NodeAddress]:
    return [NodeAddress.from_relay_text(text) for text in texts]


def test_two_addresses_of_one_node_are_one_relay() -> None:
    listed = addresses("https://one.example", f"walletcli://one.example:7/{DID}", "https://two.example")
    assert spread_over(listed, OwnProviders()) == [listed[0], listed[2]]


def test_no_address_of_a_provider_of_ones_own_is_among_them() -> None:
    own = OwnProviders([key("provider").public_key])
    listed = addresses(f"walletcli://one.example:7/{DID}", "https://one.example", "https://two.example")
    assert spread_over(listed, own) == listed[2:], "the second address is the same host"


def test_the_dht_is_no_relay() -> None:
    assert spread_over(addresses("dht", "https://two.example"), OwnProviders()) == addresses("https://two.example")
