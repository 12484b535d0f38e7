"""Plays the relay: what keeping contacts' records alive tells it, and what two identities of a wallet show together."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.wallet.keepalive.friends import Friends, keys_seen, z32s
from walletcli.core.encodings import z32_encode
from walletcli.net.addresses import NodeAddress
from walletcli.net.stream import Stream
from walletcli.net.tcp import TcpDialer
from walletcli.wallet.keepalive.run import KeepWish, keep_wallet_alive

CONTACTS = 60
RELAYS = 5
RUNS = 3


class Recording:
    """Opens connections over TCP, and remembers where to and on whose behalf, in order."""

    def __init__(self) -> None:
        self.dialled: list[tuple[str, str | None]] = []
        self._dialer = TcpDialer()

    def dial(self, address: NodeAddress, for_identity: str | None, deadline_s: float) -> Stream:
        self.dialled.append((address.to_text(), for_identity))
        return self._dialer.dial(address, for_identity, deadline_s)


@pytest.fixture
def friends(friends_at: Callable[[int], Friends]) -> Friends:
    return friends_at(RELAYS)


def keep(friends: Friends, whom: list[str], dial: Callable[[], Recording] = Recording) -> Recording:
    dialer = dial()
    wish = KeepWish(spread_s=0, everything=True, own=False)
    keep_wallet_alive(friends.session, whom, wish, dialer=dialer)
    return dialer


def test_however_often_it_looks_one_relay_sees_its_share_and_no_more(friends: Friends) -> None:
    known = friends.know([f"friend {n}" for n in range(CONTACTS)])
    first: list[set[str]] = []
    for _ in range(RUNS):
        keep(friends, ["alice"])
        seen = [keys_seen(relay.shelf) for relay in friends.relays]
        first = first or seen
    assert seen == first, "three days of it show a relay what the first one did"
    assert set().union(*seen) == z32s(known)
    assert all(not one & other for at, one in enumerate(seen) for other in seen[at + 1 :])
    assert max(map(len, seen)) < 2 * CONTACTS / 3  # the expectation is a fifth; one in a billion runs gets here


def test_a_relay_hears_of_no_contact_in_its_head_lines(friends: Friends) -> None:
    friends.know(["bob", "carol"])
    did = z32_encode(friends.view("alice").public_key)
    keep(friends, ["alice"])
    for relay in friends.relays:
        for asked in relay.shelf.asked:
            assert did.encode() not in asked.head + asked.body
            assert b"walletcli" not in asked.head.lower()


def test_two_identities_show_nobody_a_contact_a_connection_or_a_turn_in_common(friends: Friends) -> None:
    friends.identity("other")
    both = [f"friend {n}" for n in range(12)]
    friends.know([*both, "alice's own friend"])
    friends.know([*both, "the other's own friend"], "other")
    friends.forget_questions()
    one, other = (keep(friends, [label]) for label in ("alice", "other"))
    assert len(one.dialled) > len(both)
    assert {who for _, who in one.dialled} != {who for _, who in other.dialled}
    together = keep(friends, [])
    owners = [who for _, who in together.dialled]
    assert None not in owners
    assert owners == sorted(owners, key=owners.index), "one identity's turn is over before the other's begins"


def test_what_two_identities_ask_for_has_nothing_in_common(friends: Friends) -> None:
    friends.identity("other")
    both = [f"friend {n}" for n in range(12)]
    friends.know([*both, "alice's own friend"])
    friends.know([*both, "the other's own friend"], "other")
    asked = []
    for label in ("alice", "other"):
        friends.forget_questions()
        keep(friends, [label])
        asked.append(set().union(*(keys_seen(relay.shelf) for relay in friends.relays)))
    assert len(asked[0]) == len(both) + 1
    assert len(asked[1]) == 1
    assert not asked[0] & asked[1]
