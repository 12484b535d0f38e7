"""From the words alone: what is found, how far the search goes, when something may be signed, and what is told."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.client.records import foreign_packet
from tests.client.servers import Asked
from tests.core.approving import ONE, approvers
from tests.wallet.parts import WORDS, HonestRelay, make_home, opened
from tests.wallet.recovery.parts import FIRST_SEQ, Lost, Net, device, go, published, signed, tree_of
from walletcli.core.document_parts import Power, Retirement
from walletcli.core.ed25519 import SigningKey
from walletcli.core.encodings import z32_decode
from walletcli.core.keys import Scheme
from walletcli.core.packet import SignedPacket
from walletcli.core.record import Record
from walletcli.core.sealed import seal
from walletcli.errors import FormatError, InputError, SignerError, UsageError
from walletcli.wallet.access.session import Session
from walletcli.wallet.approvers import gathering
from walletcli.wallet.identities import create_identity
from walletcli.wallet.publish import publish_identity
from walletcli.wallet.recovery import journal as journals
from walletcli.wallet.recovery.announcement import announcement
from walletcli.wallet.recovery.journal import Journal
from walletcli.wallet.recovery.report import Report
from walletcli.wallet.recovery.story import Wish, journal_of, last_report, recover
from walletcli.wallet.state.changes import PutDrawer
from walletcli.wallet.state.sections import context

Owner = Callable[..., Lost]


def labels(report: Report) -> list[str]:
    return [found.view.label for found in report.restored]


def waits(report: Report) -> list[str]:
    return [found.entry.waits[0] if found.entry.waits else "" for found in report.restored]


def missing(report: Report) -> set[tuple[str, str]]:
    return {(found.missing.kind, found.missing.code) for found in report.not_found}


def keys_asked(relay: HonestRelay) -> list[bytes]:
    """Return the keys of identities that a relay was asked for, in order."""
    keys = [z32_decode(asked.path[1:], 32) for asked in gets(relay) if len(asked.path) == 53]
    return [key for key in keys if key != tree_of(WORDS).index_key(0).public_key]


def gets(relay: HonestRelay) -> list[Asked]:
    return [asked for asked in relay.shelf.asked if asked.method == "GET"]


def puts(relay: HonestRelay) -> list[Asked]:
    return [asked for asked in relay.shelf.asked if asked.method == "PUT"]


@pytest.mark.parametrize("together", [False, True])
def test_all_identities_come_back_and_are_taken_up_again(lost: Owner, net: Net, together: bool) -> None:
    owner = lost()
    net.hold(*(published(owner.tree, index, f"name {index}", {"phone": str(index)}) for index in (0, 1, 5)))
    with owner.begin(*net.urls, together=together) as session:
        report = go(session)
        assert report.is_complete, report.to_json()
        assert labels(report) == ["name 0", "name 1", "name 5"]
        assert report.looked_up == 26
        for found in report.restored:
            assert found.view.sealed_profile == {"phone": str(found.view.index)}
            assert found.revoked == (device(found.view.index + 1).signing_key.hex(),)
            document = net.relays[0].record(found.view.public_key).document
            assert document is not None
            assert [item.signing_key for item in document.delegations] == [found.view.device_signing_key]
            assert found.view.stored is not None
            assert set(found.view.stored.relays) == set(net.urls)


@pytest.mark.parametrize("scheme", [Scheme.MERCURY, Scheme.MORPHEUS])
def test_wallets_of_the_original_network_are_searched_as_well(lost: Owner, net: Net, scheme: Scheme) -> None:
    owner = lost(scheme=scheme)
    net.hold(published(owner.tree, 3, "old"))
    with owner.begin(*net.urls) as session:
        report = go(session)
        assert labels(report) == ["old"]
        assert report.restored[0].view.path == ("m/9791'/3'" if scheme is Scheme.MERCURY else "m/128164'/0'/3'")


@pytest.mark.parametrize(("index", "gap", "is_found"), [(19, 20, True), (20, 20, False), (20, 21, True), (2, 1, False)])
def test_the_search_ends_after_a_gap(lost: Owner, net: Net, index: int, gap: int, is_found: bool) -> None:
    owner = lost()
    net.hold(published(owner.tree, index, "far"))
    with owner.begin(*net.urls, gap=gap) as session:
        assert labels(go(session)) == (["far"] if is_found else [])


def test_nothing_is_asked_for_beyond_the_gap_and_not_in_order(lost: Owner, net: Net) -> None:
    owner = lost()
    net.hold(*(published(owner.tree, index) for index in (0, 7, 12)))
    with owner.begin(*net.urls, gap=10) as session:
        go(session)
    expected = [owner.tree.root(index).public_key for index in range(23)]
    for relay in net.relays:
        first = keys_asked(relay)[:10]
        assert set(keys_asked(relay)) == set(expected)
        assert first != sorted(first, key=expected.index), "one in 3.6 million runs"


def test_together_is_one_connection_and_apart_is_one_for_each_identity(lost: Owner) -> None:
    for together, connections in ((True, 1), (False, 20)):
        with Net.of(1) as net, lost().begin(*net.urls, together=together, scan=True, name=str(together)) as session:
            go(session)
            assert net.relays[0]._server.connections == connections


def test_too_few_sources_and_nothing_is_signed_until_more_answer(lost: Owner, net: Net) -> None:
    owner = lost()
    record = published(owner.tree, 0, "alice")
    net.hold(record)
    with owner.begin(*net.urls[:2]) as session:
        report = go(session)
        assert waits(report) == ["recovery.sources"]
        assert not report.is_complete
        assert report.restored[0].view.unseen
        assert puts(net.relays[0]) == []
        with pytest.raises(SignerError):
            session.sign(0, record.document.to_bytes() if record.document else b"", session.snapshot().generation)
        report = go(session, relays=net.urls[2:])
        assert report.is_complete, report.to_json()
        assert len(puts(net.relays[2])) == 2


def test_the_owner_may_say_that_fewer_sources_will_do(lost: Owner, net: Net) -> None:
    owner = lost()
    net.hold(published(owner.tree, 0, "alice"))
    with owner.begin(net.urls[0]) as session:
        assert waits(go(session)) == ["recovery.sources"]
        assert go(session, sources=1).is_complete


def test_the_newest_of_all_sources_counts(lost: Owner, net: Net) -> None:
    owner = lost()
    old, new = published(owner.tree, 0, "old"), published(owner.tree, 0, "new", seq=FIRST_SEQ + 500)
    for relay, record in zip(net.relays, (old, new, old), strict=True):
        relay.shelf.put(record)
    with owner.begin(*net.urls) as session:
        report = go(session)
        assert labels(report) == ["new"]
        assert report.restored[0].view.record != old.to_bytes()
        held = net.relays[0].record(owner.tree.root(0).public_key).document
        assert held is not None
        assert new.document is not None
        assert held.previous == new.document.hash


def test_two_states_with_one_seq_are_named_and_nothing_is_signed(lost: Owner, net: Net) -> None:
    owner = lost()
    net.hold(published(owner.tree, 0, "one"), published(owner.tree, 1, "other"))
    net.relays[1].shelf.put(published(owner.tree, 0, "two"))
    with owner.begin(*net.urls) as session:
        report = go(session)
        assert labels(report) == ["other"]
        assert missing(report) == {("record", "record.equivocation")}
        assert {asked.path for asked in puts(net.relays[0]) if not asked.path.startswith("/document/")} == {
            f"/{report.restored[0].view.summary().z32}"
        }


def test_a_split_identity_comes_back_once_its_owner_names_the_side_to_go_on_from(
    lost: Owner, net: Net, tmp_path: Path
) -> None:
    owner = lost()
    mine = published(owner.tree, 0, "one")
    net.hold(mine)
    net.relays[1].shelf.put(published(owner.tree, 0, "two"))
    with owner.begin(*net.urls) as session:
        go(session)
        (kept,) = session.snapshot().wallet.splits
        assert kept.identity == owner.tree.root(0).public_key
        proof = tmp_path / "split.proof"
        proof.write_bytes(kept.proof)
        create_identity(session, "one", 0)
        assert mine.document is not None
        side = mine.document.hash.hex()
        healed = publish_identity(session, "one", net.urls, heal=[str(proof)], side=side).record
        assert healed.document is not None
        assert healed.document.previous == mine.document.hash
        assert set(kept.opened.pair) == {half for pair in healed.document.healed for half in pair}


def test_a_newer_packet_without_its_document_holds_up_the_signing(lost: Owner, net: Net) -> None:
    owner = lost()
    net.hold(published(owner.tree, 0, "alice"))
    net.relays[2].shelf.put(published(owner.tree, 0, "hidden", seq=FIRST_SEQ + 9), document=False)
    with owner.begin(*net.urls) as session:
        report = go(session)
        assert labels(report) == ["alice"]
        assert waits(report) == ["record.pending"]
        assert puts(net.relays[0]) == []


def test_only_a_packet_without_its_document_is_told_and_tried_again(lost: Owner, net: Net) -> None:
    owner = lost()
    record = published(owner.tree, 4, "alice")
    for relay in net.relays:
        relay.shelf.put(record, document=False)
    with owner.begin(*net.urls) as session:
        report = go(session)
        assert missing(report) == {("record", "record.pending")}
        assert report.looked_up == 25
        net.hold(record)
        assert go(session).is_complete


def test_an_identity_of_another_program_is_told_and_not_held(lost: Owner, net: Net) -> None:
    owner = lost()
    for relay in net.relays:
        packet = foreign_packet_of(owner.tree.root(0))
        relay.shelf.packets[packet.public_key] = packet
    with owner.begin(*net.urls) as session:
        report = go(session)
        assert missing(report) == {("record", "recovery.foreign")}
        assert labels(report) == []


def foreign_packet_of(root: SigningKey) -> SignedPacket:
    return SignedPacket.sign(root, 5, foreign_packet("anybody", 5).value)


def test_a_relay_that_never_answers_is_named_and_waited_for_once(lost: Owner, net: Net) -> None:
    owner = lost()
    net.hold(*(published(owner.tree, index, f"name {index}") for index in range(30)))
    dead = net.relays.pop()
    dead.close()
    with owner.begin(*net.urls, dead.url, sources=2, accept_link=True) as session:
        report = go(session)
        assert len(report.restored) == 30
        assert missing(report) == {("relay", "relay.unreachable")}
        rows = [row for row in report.lookups if row["where"] == dead.url]
        assert [(row["what"], row["asked"], row["failed"]) for row in rows] == [("index", 1, 1), ("records", 20, 20)]
        assert not report.is_complete
        assert session_journal(session).open == set(range(30, 50))


def session_journal(session: Session) -> Journal:
    found = journals.JournalFile.read(session)
    assert found is not None
    return found.journal


def test_nobody_answers_and_the_wallet_is_there_all_the_same(lost: Owner, net: Net) -> None:
    for relay in net.relays:
        relay.close()
    with lost().begin(*net.urls) as session:
        report = go(session)
        assert not report.is_complete
        assert missing(report) == {("relay", "relay.unreachable")}
        assert labels(report) == []
        assert session_journal(session).open == set(range(20))


def test_the_same_again_asks_nobody_and_writes_nothing(lost: Owner, net: Net) -> None:
    owner = lost()
    net.hold(published(owner.tree, 0, "alice"), published(owner.tree, 2, "bob"))
    with owner.begin(*net.urls, accept_link=True) as session:
        first = go(session)
        assert first.is_complete
        vault = Path(session.home.vault_path).read_bytes()
        for relay in net.relays:
            relay.shelf.asked.clear()
        again = go(session)
        assert again.to_json() == {**first.to_json(), "lookups": []}
        assert [relay.shelf.asked for relay in net.relays] == [[], [], []]
        assert Path(session.home.vault_path).read_bytes() == vault
        assert announcement(session_journal(session)) == []
        assert last_report(session) == again


def test_a_run_that_brings_nothing_new_writes_nothing(lost: Owner, net: Net) -> None:
    owner = lost()
    net.hold(published(owner.tree, 0, "alice"))
    with owner.begin(*net.urls[:2]) as session:
        go(session)
        vault = Path(session.home.vault_path).read_bytes()
        assert waits(go(session)) == ["recovery.sources"]
        assert Path(session.home.vault_path).read_bytes() == vault


def test_a_new_relay_is_asked_for_everything(lost: Owner, net: Net) -> None:
    owner = lost()
    one, other = net.relays[:2]
    one.shelf.put(published(owner.tree, 0, "alice"))
    other.shelf.put(published(owner.tree, 3, "bob"))
    with owner.begin(one.url, sources=1) as session:
        assert labels(go(session)) == ["alice"]
        assert labels(go(session, relays=[other.url])) == ["alice", "bob"]


def test_a_longer_gap_goes_on_where_the_search_ended(lost: Owner, net: Net) -> None:
    owner = lost()
    net.hold(published(owner.tree, 30, "far"))
    with owner.begin(*net.urls) as session:
        assert labels(go(session)) == []
        for relay in net.relays:
            relay.shelf.asked.clear()
        assert labels(go(session, gap=40)) == ["far"]
        asked = set(keys_asked(net.relays[0]))
        assert owner.tree.root(5).public_key not in asked
        assert owner.tree.root(39).public_key in asked


def test_other_devices_are_kept_if_the_owner_says_so_and_a_nodes_key_in_any_case(lost: Owner, net: Net) -> None:
    owner = lost()
    phone, node = device(50), device(51, powers=frozenset({Power.GRANT}))
    alice = published(owner.tree, 0, "alice", devices=(phone, node))
    net.hold(alice, published(owner.tree, 1, "bob", devices=(phone,)))
    with owner.begin(*net.urls, keep_devices=True, accept_link=True, name="keep") as session:
        report = go(session)
        assert [found.revoked for found in report.restored] == [(), ()]
    with Net.of(3) as fresh:
        fresh.hold(alice)
        with owner.begin(*fresh.urls, name="leave") as session:
            [found] = go(session).restored
            assert found.revoked == (phone.signing_key.hex(),)
            kept = found.to_json()["devices"]["kept"]  # type: ignore[index] # a map
            assert [item["signing_key"] for item in kept] == [node.signing_key.hex()]


def test_devices_that_were_enrolled_since_stay(lost: Owner, net: Net) -> None:
    owner = lost()
    record = published(owner.tree, 0, "alice")
    net.hold(record)
    with owner.begin(*net.urls) as session:
        go(session)
        view = session.snapshot().wallet.by_index(0)
        assert view.record is not None
        mine = Record.from_bytes(view.record).document
        assert mine is not None
        both = tuple(sorted((*mine.delegations, device(77)), key=lambda item: item.signing_key))
        newer = signed(owner.tree.root(0), replace(mine, seq=mine.seq + 1, previous=mine.hash, delegations=both))
        net.hold(newer)
        report = go(session, relays=["http://127.0.0.1:1"])
        [alice] = report.restored
        assert alice.view.record == newer.to_bytes()
        assert device(77).signing_key.hex() not in alice.revoked


def test_nothing_but_the_devices_changes_in_the_new_record(
    lost: Owner, net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "ask", lambda _home, question, _progress: (ONE.agree(question.subject),))
    owner = lost()
    before = published(
        owner.tree,
        0,
        "alice",
        profile={"name": "A."},
        approvers=approvers(ONE),
        extensions={99: b"later"},
    ).document
    assert before is not None
    net.hold(signed(owner.tree.root(0), before))
    with owner.begin(*net.urls) as session:
        assert go(session).is_complete
    after = net.relays[0].record(before.identity).document
    assert after is not None
    assert (
        replace(
            after, seq=before.seq, previous=before.previous, delegations=before.delegations, sections=before.sections
        )
        == before
    )


def test_a_retired_identity_comes_back_as_such_and_nothing_is_signed(lost: Owner, net: Net) -> None:
    owner = lost()
    net.hold(published(owner.tree, 0, "gone", retirement=Retirement(20_000, 1), delegations=()))
    with owner.begin(*net.urls) as session:
        report = go(session)
        assert report.is_complete, report.to_json()
        assert report.restored[0].to_json()["retired"] is True
        assert puts(net.relays[0]) == []


def test_what_ties_identities_together_waits_for_the_owner(lost: Owner, net: Net) -> None:
    owner = lost()
    net.hold(*(published(owner.tree, index, f"name {index}", profile={"name": "Same"}) for index in range(2)))
    with owner.begin(*net.urls) as session:
        report = go(session)
        assert sorted(waits(report)) == ["link.would-link", "link.would-link"]
        report = go(session, accept_link=True)
        assert report.is_complete, report.to_json()


def test_records_are_spread_over_the_time_that_was_named(lost: Owner, net: Net) -> None:
    owner = lost()
    net.hold(*(published(owner.tree, index, f"name {index}") for index in range(6)))
    paused: list[float] = []
    with owner.begin(*net.urls, spread_s=3600) as session:
        report = recover(session, journal_of(session), pause=paused.append)
        assert report.is_complete
    steps = [paused[:20], paused[20:26], paused[26:32], paused[32:]]
    assert [len(step) for step in steps] == [20, 6, 6, 6], "two steps of a search, reading, publishing"
    assert all(0 < sum(step) <= 3600 for step in steps)


class Stopped(Exception):
    """Ends a run in the middle."""


def stop_after(pauses: int) -> Callable[[float], None]:
    """Return what waits so many times, and then ends the run."""
    left = [pauses]

    def pause(_seconds: float) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Stopped

    return pause


@pytest.mark.parametrize("pauses", [0, 9, 20, 23, 25])
def test_a_run_that_was_killed_while_it_waited_is_gone_on_with(lost: Owner, net: Net, pauses: int) -> None:
    owner = lost()
    net.hold(*(published(owner.tree, index, f"name {index}") for index in range(4)))
    with owner.begin(*net.urls, spread_s=10) as session:
        with pytest.raises(Stopped):
            recover(session, journal_of(session), pause=stop_after(pauses))
        before = len(session.summaries())
        assert before == 4 if pauses >= 20 else before <= 4
        report = go(session)
        assert report.is_complete
        assert len(report.restored) == 4


def test_a_killed_run_is_gone_on_with_where_it_stopped(lost: Owner, net: Net) -> None:
    owner = lost()
    net.hold(*(published(owner.tree, index, f"name {index}") for index in range(4)))
    with owner.begin(*net.urls, spread_s=10) as session:
        with pytest.raises(Stopped):
            recover(session, journal_of(session), pause=stop_after(20 + 4 + 4))
        assert len(session.summaries()) == 4
        for relay in net.relays:
            relay.shelf.asked.clear()
        report = go(session, spread_s=0)
        assert report.is_complete
        assert set(keys_asked(net.relays[0])) == {found.view.public_key for found in report.restored}


def test_an_identity_that_the_owner_made_by_hand_is_continued(lost: Owner, net: Net) -> None:
    owner = lost()
    net.hold(published(owner.tree, 1, "theirs", {"phone": "1"}))
    with owner.begin() as session:
        assert go(session).to_json()["restored"] == []
        create_identity(session, "mine", 1)
        report = go(session, relays=net.urls)
        assert labels(report) == ["mine"] or labels(report) == ["theirs"]
        assert report.restored[0].view.sealed_profile == {"phone": "1"}


def test_a_record_that_the_wallet_cannot_take_holds_up_no_other(lost: Owner, net: Net) -> None:
    owner = lost()
    key = owner.tree.root(1).public_key
    section = seal(b"no owner's section", [owner.tree.recovery_public_key(1, 0)], lambda n: b"\x07" * n, context(key))
    net.hold(published(owner.tree, 0, "good"), published(owner.tree, 1, "bad", sections=(section,)))
    with owner.begin(*net.urls) as session:
        report = go(session)
        assert labels(report) == ["good"]
        assert missing(report) == {("record", "owner-section.malformed")}


def test_a_section_that_the_words_do_not_open_costs_the_label(lost: Owner, net: Net) -> None:
    owner = lost()
    net.hold(published(owner.tree, 3, "theirs", sections=()))
    with owner.begin(*net.urls) as session:
        report = go(session)
        assert labels(report) == ["identity 3"]
        assert missing(report) == {("label", "recovery.no-label")}


@pytest.mark.parametrize("hours", [-30, -6, 6, 30])
def test_a_clock_that_is_hours_wrong_does_no_harm(
    lost: Owner, net: Net, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    owner = lost()
    net.hold(published(owner.tree, 0, "alice", seq=int(time.time() - 90_000) * 1_000_000))
    true = time.time
    monkeypatch.setattr(time, "time", lambda: true() + hours * 3600)
    with owner.begin(*net.urls) as session:
        assert go(session).is_complete
    document = net.relays[0].record(owner.tree.root(0).public_key).document
    assert document is not None
    assert document.seq < (true() + 31 * 3600) * 1_000_000


def test_offline_nobody_is_asked(lost: Owner, net: Net) -> None:
    with lost().begin(*net.urls) as session:
        report = recover(session, journal_of(session), offline=True)
        assert report.to_json()["restored"] == []
        assert [relay.shelf.asked for relay in net.relays] == [[], [], []]
        assert announcement(session_journal(session), offline=True) == []


def test_a_wallet_of_new_words_has_nothing_to_recover(tmp_path: Path) -> None:
    with opened(make_home(tmp_path / "home")) as session, pytest.raises(InputError) as refused:
        journal_of(session)
    assert refused.value.code == "recovery.nothing"


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        ({"gap": 0}, "recovery.gap"),
        ({"gap": 10_001}, "recovery.gap"),
        ({"sources": 0}, "recovery.source-count"),
        ({"sources": 17}, "recovery.source-count"),
        ({"spread_s": -1}, "recovery.spread"),
        ({"relays": [f"http://a{n}.example" for n in range(101)]}, "recovery.too-many"),
        ({"relays": ["nowhere"]}, "address.malformed"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_asked(
    lost: Owner, wish: dict[str, object], code: str
) -> None:
    with lost().begin() as session, pytest.raises((UsageError, InputError)) as refused:
        journal_of(session, Wish(**wish))  # type: ignore[arg-type] # parameters of this test
    assert refused.value.code == code


@pytest.mark.parametrize("content", [b"", b"\xa0", Journal().to_bytes()[:-1], Journal().to_bytes() + b"\x00"])
def test_a_journal_that_is_damaged_is_refused(lost: Owner, content: bytes) -> None:
    import hashlib

    with lost().begin() as session:
        before = session.drawer(None, journals.DRAWER)
        assert before is not None
        session.apply(PutDrawer(None, journals.DRAWER, content, hashlib.sha256(before).digest()))
        with pytest.raises(FormatError):
            journal_of(session)
