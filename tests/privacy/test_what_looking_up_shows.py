"""Plays the relay: what looking contacts up, again and again, tells it of who they are."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.client.records import record
from tests.wallet.keepalive.friends import Friends, keys_seen, z32s
from tests.wallet.parts import HonestRelay
from walletcli.core.encodings import z32_encode
from walletcli.core.identity_id import IdentityId
from walletcli.core.record import Record
from walletcli.wallet.contacts.adding import add_contact, introduction_from
from walletcli.wallet.contacts.book import read_book
from walletcli.wallet.contacts.evidence import Inquiry
from walletcli.wallet.contacts.placing import ASKED, STAND_INS
from walletcli.wallet.contacts.refreshing import RefreshReport, refresh_contacts
from walletcli.wallet.keepalive.run import KeepWish, keep_wallet_alive
from walletcli.wallet.relays import remove_relay

CONTACTS = 60
RELAYS = 6
RUNS = 4
NAMES = [f"friend {n}" for n in range(CONTACTS)]


@pytest.fixture
def friends(friends_at: Callable[[int], Friends]) -> Friends:
    return friends_at(RELAYS)


def publish(friends: Friends, records: list[Record], *, at: list[HonestRelay] | None = None) -> None:
    for relay in friends.relays if at is None else at:
        for item in records:
            relay.shelf.put(item)


def refresh(friends: Friends) -> RefreshReport:
    return refresh_contacts(friends.session, "alice")


def seen(friends: Friends) -> list[set[str]]:
    return [keys_seen(relay.shelf) for relay in friends.relays]


def times_seen(friends: Friends, records: list[Record]) -> list[int]:
    """Return by how many relays each record was seen to be asked for."""
    shown = seen(friends)
    return [sum(key in share for share in shown) for key in (z32_encode(item.packet.public_key) for item in records)]


def test_however_often_contacts_are_looked_up_one_relay_sees_its_share_and_no_more(friends: Friends) -> None:
    known = friends.know(NAMES)
    publish(friends, known)
    first: list[set[str]] = []
    for run in range(RUNS):
        newer = [record(name, 200 + run, profile={"name": name}) for name in NAMES]
        publish(friends, newer)
        report = refresh(friends)
        assert (report.changed, report.failures, report.stood_in) == (CONTACTS, (), 0)
        first = first or seen(friends)
    assert seen(friends) == first, "weeks of it show a relay what the first day did"
    assert set().union(*first) == z32s(known)
    assert times_seen(friends, known) == [ASKED] * CONTACTS
    assert max(map(len, first)) < 2 * CONTACTS / 3  # the expectation is a third; one in ten million runs gets here


def test_looking_up_and_keeping_alive_show_the_same_relays_the_same_contacts(friends: Friends) -> None:
    known = friends.know(NAMES[:20])
    publish(friends, known)
    refresh(friends)
    looked_up = seen(friends)
    friends.forget_questions()
    keep_wallet_alive(friends.session, ["alice"], KeepWish(spread_s=0, everything=True, own=False))
    assert set().union(*seen(friends)) == z32s(known)
    assert all(kept <= asked for kept, asked in zip(seen(friends), looked_up, strict=True))


def test_a_contact_that_nobody_has_is_shown_to_the_stand_ins_and_to_nobody_else(friends: Friends) -> None:
    known = friends.know(NAMES[:20])
    for _ in range(RUNS):
        report = refresh(friends)
        assert report.stood_in == 20
        assert [item.error.code for item in report.failures] == ["resolve.not-found"] * 20
    assert times_seen(friends, known) == [ASKED + STAND_INS] * 20


def test_relays_that_fail_by_turns_show_a_contact_to_no_more_than_its_stand_ins(friends: Friends) -> None:
    known = friends.know(NAMES[:20])
    publish(friends, known)
    for relay in friends.relays:
        relay.shelf.is_broken = True
        assert refresh(friends).failures == ()
        relay.shelf.is_broken = False
    assert max(times_seen(friends, known)) <= ASKED + STAND_INS


def test_a_relay_that_leaves_the_list_moves_its_own_share_only(friends: Friends) -> None:
    known = friends.know(NAMES)
    publish(friends, known)
    refresh(friends)
    before = seen(friends)
    friends.forget_questions()
    remove_relay(friends.session.home, friends.relays[0].url)
    refresh(friends)
    after = seen(friends)
    assert after[0] == set()
    grown = [new - old for new, old in zip(after[1:], before[1:], strict=True)]
    assert all(new >= old for new, old in zip(after[1:], before[1:], strict=True))
    assert sorted(key for share in grown for key in share) == sorted(before[0])


def test_somebody_new_is_shown_to_three_relays_and_later_to_two_of_them(friends: Friends) -> None:
    bob = record("bob", 100, profile={"name": "bob"})
    publish(friends, [bob])
    did = IdentityId(bob.packet.public_key).did
    added = add_contact(
        friends.session, Inquiry(friends.session, friends.view("alice")), introduction_from(did.encode())
    )
    assert added.independent == 3
    assert times_seen(friends, [bob]) == [3]
    of_newcomer = seen(friends)
    friends.forget_questions()
    refresh(friends)
    assert times_seen(friends, [bob]) == [ASKED]
    assert all(later <= then for later, then in zip(seen(friends), of_newcomer, strict=True))


@pytest.mark.parametrize("at", range(RELAYS))
def test_somebody_new_is_found_at_whichever_relay_alone_has_the_record_and_followed_there(
    friends: Friends, at: int
) -> None:
    bob = record("bob", 100, profile={"name": "bob"})
    publish(friends, [bob], at=[friends.relays[at]])
    did = IdentityId(bob.packet.public_key).did
    add_contact(friends.session, Inquiry(friends.session, friends.view("alice")), introduction_from(did.encode()))
    (contact,) = read_book(friends.session, friends.view("alice").index)
    assert contact.places in ((), (friends.relays[at].url,))
    keep_wallet_alive(friends.session, ["alice"], KeepWish(spread_s=0, everything=True, own=False))
    publish(friends, [record("bob", 200, profile={"name": "robert"})], at=[friends.relays[at]])
    friends.forget_questions()
    assert refresh(friends).changed == 1
    assert times_seen(friends, [bob])[0] <= ASKED + 1
