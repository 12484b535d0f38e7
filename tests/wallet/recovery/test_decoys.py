"""Decoys: keys of strangers that one relay names and the others are asked for, among the owner's."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable

import pytest

from tests.wallet.parts import HonestRelay
from tests.wallet.recovery.parts import Lost, Net, go, published, tree_of
from tests.wallet.recovery.test_story import gets, keys_asked, labels
from walletcli.core.ed25519 import SigningKey
from walletcli.core.secret import Secret
from walletcli.net.addresses import NodeAddress
from walletcli.wallet.recovery.decoys import Decoys

Owner = Callable[..., Lost]
STRANGERS = tree_of("zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo wrong")


def key(number: int) -> bytes:
    return SigningKey(Secret(hashlib.sha256(b"%d" % number).digest())).public_key


def relay(number: int) -> NodeAddress:
    return NodeAddress.from_text(f"https://relay-{number}.example")


RELAYS = [relay(0), relay(1), relay(2)]


def test_a_decoy_is_asked_for_at_relays_that_did_not_name_it() -> None:
    named = {RELAYS[0]: [key(1), key(2)], RELAYS[1]: [key(2), key(3)], RELAYS[2]: []}
    drawn = dict(Decoys(20, named).draw(RELAYS))
    assert drawn == {key(1): [RELAYS[1], RELAYS[2]], key(2): [RELAYS[2]], key(3): [RELAYS[0], RELAYS[2]]}


def test_no_more_are_drawn_than_wanted_and_none_twice() -> None:
    decoys = Decoys(3, {RELAYS[0]: [key(number) for number in range(8)]})
    assert decoys.known == 8
    steps = [[drawn for drawn, _ in decoys.draw(RELAYS)] for _ in range(4)]
    assert [len(step) for step in steps] == [3, 3, 2, 0]
    assert len({drawn for step in steps for drawn in step}) == 8


def test_which_are_drawn_is_random() -> None:
    named = {RELAYS[0]: [key(number) for number in range(8)]}
    first: Counter[bytes] = Counter(next(iter(Decoys(1, named).draw(RELAYS)))[0] for _ in range(100))
    assert len(first) > 4


def test_a_relay_alone_gets_no_decoys() -> None:
    assert list(Decoys(5, {RELAYS[0]: [key(1)]}).draw(RELAYS[:1])) == []


def strange(net: Net) -> None:
    """Have each relay hold and name strangers of its own; all hold all."""
    net.hold(*(published(STRANGERS, index) for index in range(9)))
    for number, one in enumerate(net.relays):
        one.shelf.sample = b"".join(STRANGERS.root(index).public_key for index in range(number * 3, number * 3 + 3))


def test_a_search_stands_among_strangers_of_which_nothing_is_kept(lost: Owner, net: Net) -> None:
    owner = lost()
    net.hold(*(published(owner.tree, index, f"name {index}") for index in (0, 1)))
    strange(net)
    with owner.begin(*net.urls) as session:
        report = go(session)
        assert labels(report) == ["name 0", "name 1"]
        assert report.is_complete
        assert session.snapshot().wallet.seen == {}
        rows = [row for row in report.lookups if row["what"] == "records"]
        assert [(row["asked"], row["decoys"]) for row in rows] == [(22, 6)] * 3
    strangers = {STRANGERS.root(index).public_key for index in range(9)}
    own = {owner.tree.root(index).public_key for index in range(22)}
    for number, one in enumerate(net.relays):
        asked = keys_asked(one)
        named = {STRANGERS.root(index).public_key for index in range(number * 3, number * 3 + 3)}
        assert set(asked[:26]) <= own | strangers
        assert strangers & set(asked) == strangers - named
        assert [found in strangers for found in asked[:26]] != sorted(found in strangers for found in asked[:26])


def test_the_owners_own_keys_are_no_decoys(lost: Owner, net: Net) -> None:
    owner = lost()
    net.hold(published(owner.tree, 0, "alice"), published(STRANGERS, 0))
    for one in net.relays:
        one.shelf.sample = owner.tree.root(0).public_key
    net.relays[0].shelf.sample = STRANGERS.root(0).public_key
    with owner.begin(*net.urls) as session:
        report = go(session)
        assert labels(report) == ["alice"]
        rows = [row for row in report.lookups if row["what"] == "records"]
        assert [(row["asked"], row["found"], row["decoys"]) for row in rows] == [(21, 1, 0), (21, 1, 1), (21, 1, 1)]


@pytest.mark.parametrize("wish", [{"decoys": 0}, {"together": True}])
def test_there_are_none_where_they_are_not_wanted_or_hide_nothing(
    lost: Owner, net: Net, wish: dict[str, object]
) -> None:
    strange(net)
    with lost().begin(*net.urls, **wish) as session:
        report = go(session)
        assert {row["decoys"] for row in report.lookups} == {0}
    assert not any(asked.path == "/sample" for one in net.relays for asked in one.shelf.asked)


@pytest.mark.parametrize("sample", [None, b"", b"x" * 33, b"x" * 4096, bytes(32) * 3])
def test_a_relay_that_names_none_or_nonsense_costs_nothing(lost: Owner, net: Net, sample: bytes | None) -> None:
    owner = lost()
    net.hold(published(owner.tree, 1, "alice"))
    for one in net.relays:
        one.shelf.sample = sample
    with owner.begin(*net.urls) as session:
        report = go(session)
        assert labels(report) == ["alice"]
        assert report.is_complete


def test_a_relay_that_did_not_answer_for_the_index_is_not_asked_for_decoys(lost: Owner, net: Net) -> None:
    owner = lost()
    strange(net)
    dead: HonestRelay = net.relays[0]
    dead.shelf.packets[owner.tree.index_key(0).public_key] = published(STRANGERS, 0).packet
    with owner.begin(*net.urls) as session:
        go(session)
    assert not any(asked.path == "/sample" for asked in gets(dead))
    assert any(asked.path == "/sample" for asked in gets(net.relays[1]))
