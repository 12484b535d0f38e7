"""A restore that finds the wallet index asks for what it names and little else; whatever is wrong with it is told."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import pairwise

import pytest

from tests.vectors import cases_wallet_index
from tests.wallet.parts import HonestRelay
from tests.wallet.recovery.parts import Lost, Net, go, published
from tests.wallet.recovery.test_story import Stopped, gets, keys_asked, labels, missing, session_journal, stop_after
from walletcli.core.encodings import z32_encode
from walletcli.core.keys import KeyTree, Scheme
from walletcli.core.packet import SignedPacket
from walletcli.core.wallet_index import Ranges, ShardContent, seal_shard
from walletcli.wallet.recovery.announcement import announcement
from walletcli.wallet.recovery.journal import Journal
from walletcli.wallet.recovery.plan import Plan
from walletcli.wallet.recovery.story import journal_of, recover

Owner = Callable[..., Lost]
OURS = Scheme.WALLETCLI
FAR = (0, 7, 300, 5_000)


def shard(
    tree: KeyTree, *indices: int, number: int = 0, shards: int | None = 1, seq: int = 50, scheme: Scheme = OURS
) -> SignedPacket:
    content = ShardContent({scheme: Ranges.of(indices)} if indices else {}, shards if number == 0 else None)
    return seal_shard(tree.index_key(number), number, content, seq, os.urandom)


def give(packet: SignedPacket, *relays: HonestRelay) -> None:
    for relay in relays:
        relay.shelf.packets[packet.public_key] = packet


def index_rows(report_lookups: tuple[dict[str, object], ...]) -> list[dict[str, object]]:
    return [row for row in report_lookups if row["what"] == "index"]


def test_what_the_index_names_comes_back_and_nothing_else_is_asked_for(lost: Owner, net: Net) -> None:
    owner = lost()
    net.hold(*(published(owner.tree, index, f"name {index}") for index in FAR))
    give(shard(owner.tree, *FAR), *net.relays)
    with owner.begin(*net.urls) as session:
        report = go(session)
        assert report.is_complete, report.to_json()
        assert labels(report) == [f"name {index}" for index in FAR]
        assert report.looked_up == 4 + 3 + 3
        assert report.index is not None
        assert (report.index.listed, len(report.index.answered), report.index.shards) == (4, 3, 1)
    expected = {owner.tree.root(index).public_key for index in (*FAR, 1, 2, 3, 5_001, 5_002, 5_003)}
    for relay in net.relays:
        assert set(keys_asked(relay)) == expected
        assert gets(relay)[0].path == "/" + z32_encode(owner.tree.index_key(0).public_key)
        assert not any(asked.path == "/sample" for asked in relay.shelf.asked)


def test_nothing_is_asked_for_beyond_the_index_if_the_owner_says_so(lost: Owner, net: Net) -> None:
    owner = lost()
    net.hold(*(published(owner.tree, index, f"name {index}") for index in (0, 1, 2)))
    give(shard(owner.tree, 0, 1), *net.relays)
    with owner.begin(*net.urls, beyond=0) as session:
        assert labels(go(session)) == ["name 0", "name 1"]
        assert set(keys_asked(net.relays[0])) == {owner.tree.root(index).public_key for index in (0, 1)}


def test_what_is_newer_than_the_index_is_found_beyond_it(lost: Owner, net: Net) -> None:
    owner = lost()
    net.hold(*(published(owner.tree, index, f"name {index}") for index in (0, 1, 2, 5)))
    give(shard(owner.tree, 0), *net.relays)
    with owner.begin(*net.urls) as session:
        report = go(session)
        assert labels(report) == ["name 0", "name 1", "name 2", "name 5"]
        assert report.is_complete
        assert report.looked_up == 9


def test_what_was_made_in_a_gap_since_is_found_too(lost: Owner, net: Net) -> None:
    owner = lost()
    net.hold(*(published(owner.tree, index, f"name {index}") for index in (0, 1, 40)))
    give(shard(owner.tree, 0, 40), *net.relays)
    with owner.begin(*net.urls) as session:
        report = go(session)
        assert labels(report) == ["name 0", "name 1", "name 40"]
        assert report.is_complete


def test_a_gap_that_was_not_looked_into_before_a_kill_is_not_missed(lost: Owner, net: Net) -> None:
    owner = lost()
    net.hold(*(published(owner.tree, index, f"name {index}") for index in (0, 40)))
    give(shard(owner.tree, 0, 40), *net.relays)
    with owner.begin(*net.urls, spread_s=60) as session:
        with pytest.raises(Stopped):
            recover(session, journal_of(session), pause=stop_after(0))
        report = go(session, spread_s=0)
        assert report.is_complete, report.to_json()
        assert report.looked_up == 2 + 3 + 3


def test_an_empty_index_is_an_index(lost: Owner, net: Net) -> None:
    owner = lost()
    give(shard(owner.tree), *net.relays)
    with owner.begin(*net.urls) as session:
        report = go(session)
        assert report.is_complete
        assert report.looked_up == 3


def test_an_index_that_one_relay_holds_back_or_rolls_back_is_read_from_the_others(lost: Owner, net: Net) -> None:
    owner = lost()
    net.hold(*(published(owner.tree, index, f"name {index}") for index in FAR))
    give(shard(owner.tree, *FAR, seq=90), net.relays[0])
    give(shard(owner.tree, 0, seq=3), net.relays[1])
    with owner.begin(*net.urls, beyond=0) as session:
        report = go(session)
        assert [found.view.index for found in report.restored] == list(FAR)
        rows = index_rows(report.lookups)
        assert [(row["found"], row["absent"], row["failed"]) for row in rows] == [(1, 0, 0), (1, 0, 0), (0, 1, 0)]


def test_versions_that_name_different_identities_are_joined(lost: Owner, net: Net) -> None:
    owner = lost()
    net.hold(*(published(owner.tree, index, f"name {index}") for index in FAR))
    give(shard(owner.tree, *FAR[:2], seq=90), net.relays[0])
    give(shard(owner.tree, *FAR[2:], seq=80), net.relays[1])
    with owner.begin(*net.urls, beyond=0) as session:
        assert len(go(session).restored) == 4


def test_without_an_index_the_search_goes_on_as_ever_and_the_report_says_so(lost: Owner, net: Net) -> None:
    owner = lost()
    net.hold(published(owner.tree, 2, "alice"))
    with owner.begin(*net.urls) as session:
        report = go(session)
        assert report.is_complete
        assert report.index is None
        assert report.looked_up == 23
        assert {(row["asked"], row["absent"]) for row in index_rows(report.lookups)} == {(1, 1)}


def test_a_scan_asks_for_no_index(lost: Owner, net: Net) -> None:
    owner = lost()
    give(shard(owner.tree, 0), *net.relays)
    with owner.begin(*net.urls, scan=True) as session:
        report = go(session)
        assert report.looked_up == 20
        assert index_rows(report.lookups) == []
    path = "/" + z32_encode(owner.tree.index_key(0).public_key)
    assert not any(asked.path == path for relay in net.relays for asked in relay.shelf.asked)


def foreign_version(tree: KeyTree, monkeypatch: pytest.MonkeyPatch) -> SignedPacket:
    """Return shard 0 as a program of tomorrow writes it."""
    with monkeypatch.context() as patched:
        patched.setattr(cases_wallet_index, "key", tree.index_key)
        payload = cases_wallet_index.written(cases_wallet_index.encoded({1: 2, 9: [1]}))
    return SignedPacket.from_relay_payload(tree.index_key(0).public_key, bytes.fromhex(payload))


def test_an_index_of_a_newer_program_is_named_and_identities_are_searched_for(
    lost: Owner, net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = lost()
    net.hold(published(owner.tree, 2, "alice"))
    give(foreign_version(owner.tree, monkeypatch), *net.relays)
    with owner.begin(*net.urls) as session:
        report = go(session)
        assert labels(report) == ["alice"]
        assert missing(report) == {("wallet-index", "wallet-index.unknown-version")}
        assert not report.is_complete
        give(shard(owner.tree, 2, 9, seq=cases_wallet_index.SEQ + 1), *net.relays)
        net.hold(published(owner.tree, 9, "bob"))
        assert go(session).is_complete, "the next run reads what it can read"


@pytest.mark.parametrize("kind", ["garbage", "another shard's", "forged", "oversized"])
def test_what_is_no_index_costs_nothing(lost: Owner, net: Net, kind: str) -> None:
    owner = lost()
    net.hold(published(owner.tree, 2, "alice"))
    key = owner.tree.index_key(0)
    if kind == "garbage":
        packet = SignedPacket.sign(key, 9, shard(owner.tree, 0).value[:-20] + bytes(20))
    elif kind == "another shard's":
        packet = SignedPacket.sign(key, 9, shard(owner.tree, 0, number=1).value)
    else:
        packet = shard(owner.tree, 0)
    for relay in net.relays:
        relay.shelf.packets[key.public_key] = packet
        if kind == "forged":
            relay.shelf.packets[key.public_key] = _other_signature(packet)
        if kind == "oversized":
            relay.shelf.packets[key.public_key] = _oversized(packet)
    with owner.begin(*net.urls) as session:
        report = go(session)
        assert labels(report) == ["alice"]
        assert report.index is None
        assert {row["failed"] for row in index_rows(report.lookups)} == {1}
        assert report.looked_up == 23


def _other_signature(packet: SignedPacket) -> SignedPacket:
    return SignedPacket(packet.public_key, bytes(64), packet.seq, packet.value, None)


def _oversized(packet: SignedPacket) -> SignedPacket:
    return SignedPacket(packet.public_key, packet.signature, packet.seq, packet.value * 60, None)


def test_shards_beyond_the_first_are_read_as_well(lost: Owner, net: Net) -> None:
    owner = lost()
    net.hold(*(published(owner.tree, index, f"name {index}") for index in FAR))
    for number, index in enumerate(FAR):
        give(shard(owner.tree, index, number=number, shards=4), net.relays[number % 3])
    with owner.begin(*net.urls, beyond=0) as session:
        report = go(session)
        assert report.is_complete
        assert len(report.restored) == 4
        assert report.index is not None
        assert report.index.shards == 4


def test_a_missing_shard_is_named_and_what_it_may_list_is_searched_for(lost: Owner, net: Net) -> None:
    owner = lost()
    net.hold(*(published(owner.tree, index, f"name {index}") for index in (0, 4, 300)))
    give(shard(owner.tree, 0, 300, shards=2), *net.relays)
    with owner.begin(*net.urls) as session:
        report = go(session)
        assert labels(report) == ["name 0", "name 4", "name 300"]
        assert missing(report) == {("wallet-index", "recovery.shard-missing")}
        assert report.looked_up == 25
        assert report.index is not None
        assert report.index.missing == (1,)
        give(shard(owner.tree, 4, number=1), net.relays[2])
        assert go(session).is_complete


def test_what_the_index_names_and_no_relay_has_is_reported_and_asked_for_again(lost: Owner, net: Net) -> None:
    owner = lost()
    net.hold(published(owner.tree, 0, "name 0"))
    give(shard(owner.tree, 0, 8), *net.relays)
    with owner.begin(*net.urls) as session:
        report = go(session)
        assert missing(report) == {("record", "recovery.listed-not-found")}
        assert not report.is_complete
        net.hold(published(owner.tree, 8, "name 8"))
        report = go(session)
        assert report.is_complete
        assert labels(report) == ["name 0", "name 8"]


def test_identities_of_another_scheme_are_told_of_and_left_alone(lost: Owner, net: Net) -> None:
    owner = lost()
    both = ShardContent({OURS: Ranges.of([0]), Scheme.MORPHEUS: Ranges.of([0, 1])}, 1)
    give(seal_shard(owner.tree.index_key(0), 0, both, 5, os.urandom), *net.relays)
    net.hold(published(owner.tree, 0, "alice"))
    with owner.begin(*net.urls) as session:
        report = go(session)
        assert labels(report) == ["alice"]
        assert report.to_json()["index"] == {
            "sources": net.urls,
            "shards": 1,
            "missing_shards": [],
            "identities": 1,
            "other_schemes": ["morpheus"],
        }


def test_each_is_looked_up_at_an_instant_of_its_own(lost: Owner, net: Net) -> None:
    owner = lost()
    net.hold(*(published(owner.tree, index, f"name {index}") for index in FAR))
    give(shard(owner.tree, *FAR), *net.relays)
    paused: list[float] = []
    asked: list[int] = []

    def pause(wait_s: float) -> None:
        paused.append(wait_s)
        asked.append(len(gets(net.relays[0])))

    with owner.begin(*net.urls, spread_s=600) as session:
        assert recover(session, journal_of(session), pause=pause).is_complete
    assert len(paused) == 10 + 4 + 4, "looked up with three beyond and three in gaps, read, published"
    assert 0 < sum(paused[:10]) <= 600
    assert asked[0] == 1, "the index alone comes first"
    assert all(after > before for before, after in pairwise(asked[:10]))


@pytest.mark.parametrize("pauses", [0, 1, 3, 5])
def test_a_run_that_was_killed_goes_on_and_asks_again_for_nothing_that_it_found(
    lost: Owner, net: Net, pauses: int
) -> None:
    owner = lost()
    net.hold(*(published(owner.tree, index, f"name {index}") for index in FAR))
    give(shard(owner.tree, *FAR), *net.relays)
    with owner.begin(*net.urls, spread_s=600, beyond=0) as session:
        with pytest.raises(Stopped):
            recover(session, journal_of(session), pause=stop_after(pauses))
        found = set(session_journal(session).found)
        assert len(found) == min(pauses, 4)
        for relay in net.relays:
            relay.shelf.asked.clear()
        report = go(session, spread_s=0)
        assert report.is_complete
        assert [item.view.index for item in report.restored] == list(FAR)
        looked_up = {asked.path for asked in gets(net.relays[0])}
        assert "/" + z32_encode(owner.tree.index_key(0).public_key) not in looked_up


def test_a_new_relay_is_asked_for_the_index_as_well(lost: Owner, net: Net) -> None:
    owner = lost()
    net.hold(*(published(owner.tree, index, f"name {index}") for index in FAR))
    give(shard(owner.tree, *FAR), net.relays[2])
    with owner.begin(*net.urls[:2]) as session:
        assert [found.view.index for found in go(session).restored] == [0, 7]
        report = go(session, relays=net.urls[2:])
        assert [found.view.index for found in report.restored] == list(FAR)
        assert report.index is not None


def test_when_nobody_answers_for_the_index_the_next_run_asks_again(lost: Owner, net: Net) -> None:
    owner = lost()
    dead = net.relays.pop()
    dead.close()
    with owner.begin(dead.url) as session:
        report = go(session, timeout_s=2.0)
        assert report.index is None
        assert not report.is_complete
        give(shard(owner.tree, 0), *net.relays)
        net.hold(published(owner.tree, 0, "alice"))
        assert labels(go(session, relays=net.urls)) == ["alice"]


def test_the_announcement_says_what_an_index_and_what_a_search_reveals() -> None:
    relays = ("https://a.example", "https://b.example")
    text = "\n".join(announcement(Journal(Plan(relays))))
    assert text.startswith("First the wallet index is asked for at 2 relays, alone")
    assert "3 beyond the last one and in gaps" in text
    assert "Without one: identities 0 to 19" in text
    assert "shows the relays keys that you will use later" in text
    assert "keys of strangers" in text
    assert "Nothing is spread over time" in text
    scan = "\n".join(announcement(Journal(Plan(relays, scan=True, decoys=0, spread_s=90))))
    assert "Looked up at 2 relays: identities 0 to 19; and 20 beyond" in scan
    assert "strangers" not in scan
    assert "spread at random over 90 s each" in scan
    onion = Plan(("walletcli://" + "a" * 56 + ".onion:1/did:key:z6MkthZcgMnQqVEDq6PM3j6wJeonLp2EYepAQR229JPMHz7W",))
    assert "spread at random over 1800 s each" in "\n".join(announcement(Journal(onion)))
