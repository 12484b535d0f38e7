"""A device brings back what relays have lost of its contacts, when it is due, at the relay that is theirs."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.client.records import key, record
from tests.wallet.keepalive.friends import Friends, keys_seen, z32s
from tests.wallet.parts import HonestRelay
from walletcli.client.keeping import Outcome
from walletcli.errors import InputError, NetworkError, WalletError
from walletcli.net.addresses import NodeAddress
from walletcli.wallet.access.session import Session
from walletcli.wallet.contacts.book import read_book, save_book
from walletcli.wallet.contacts.contact import Contact
from walletcli.wallet.contacts.editing import block_contact, remove_contact
from walletcli.wallet.identities import create_identity
from walletcli.wallet.keepalive import run as keeping
from walletcli.wallet.keepalive.log import Entry, change_log, read_log
from walletcli.wallet.keepalive.plan import MAX_VISITS
from walletcli.wallet.keepalive.run import KeepReport, KeepWish, keep_due_contacts, keep_wallet_alive
from walletcli.wallet.providers.book import ProviderEntry, change_book
from walletcli.wallet.relays import add_relay
from walletcli.wallet.sealed.sync_wallet import sync_wallet
from walletcli.wallet.state.changes import Remember
from walletcli.wallet.state.wallet_view import Seen

NAMES = ["bob", "carol", "dave", "erin", "frank", "grace"]


@pytest.fixture
def friends(session: Session, relays: Callable[[], HonestRelay]) -> Friends:
    return Friends.make(session, relays)


def keep(friends: Friends, **wish: object) -> KeepReport:
    (report,) = keep_wallet_alive(friends.session, ["alice"], KeepWish(spread_s=0, **wish)).reports  # type: ignore[arg-type]
    return report


def outcomes(report: KeepReport) -> set[Outcome]:
    return {visit.outcome for task, visit in report.visits if not task.is_own}


def refused(act: Callable[[], object]) -> str:
    with pytest.raises(WalletError) as raised:
        act()
    return raised.value.code


def test_each_contact_is_brought_back_at_one_relay_and_resolves_there(friends: Friends) -> None:
    known = friends.know(NAMES)
    report = keep(friends)
    assert outcomes(report) == {Outcome.RESTORED}
    assert [len(friends.holders(item)) for item in known] == [1] * len(known)


def test_nothing_is_due_again_until_half_a_day_has_passed(friends: Friends) -> None:
    friends.know(NAMES)
    keep(friends)
    friends.forget_questions()
    report = keep(friends)
    assert (report.visits, report.not_due) == ([], len(NAMES))
    assert all(not relay.shelf.asked for relay in friends.relays)
    again = keep(friends, everything=True)
    assert outcomes(again) == {Outcome.KEPT}


def test_the_place_stays_the_same_in_each_run(friends: Friends) -> None:
    known = friends.know(NAMES)
    keep(friends)
    places = [friends.holders(item) for item in known]
    for relay in friends.relays:
        relay.shelf.packets.clear()
        relay.shelf.documents.clear()
    keep(friends, everything=True)
    assert [friends.holders(item) for item in known] == places


def test_what_is_newer_at_the_relay_is_remembered(friends: Friends) -> None:
    (bob,) = friends.know(["bob"])
    keep(friends)
    (relay,) = friends.holders(bob)
    newer = record("bob", 200)
    relay.shelf.put(newer)
    report = keep(friends, everything=True)
    assert outcomes(report) == {Outcome.NEWER}
    assert friends.session.snapshot().wallet.seen[bob.packet.public_key].seq == 200


def test_the_identitys_own_record_is_kept_where_it_was_stored(friends: Friends) -> None:
    own = friends.view("alice").public_key
    lost = friends.relays[0].shelf
    del lost.packets[own]
    report = keep(friends)
    assert [task.is_own for task, _ in report.visits] == [True] * len(friends.relays)
    assert own in lost.packets


def test_ones_own_provider_is_never_asked_about_contacts(friends: Friends) -> None:
    friends.know([*NAMES, *(f"friend {n}" for n in range(20))])
    provider = friends.relays[0]
    index = friends.view("alice").index
    entry = ProviderEntry(key("provider").public_key, provider.url)
    change_book(friends.session, index, lambda book: book.with_entry(entry))
    keep(friends, own=False)
    assert provider.shelf.asked == []


def test_with_fewer_than_three_relays_it_is_refused_unless_one_goes_on(
    session: Session, relays: Callable[[], HonestRelay]
) -> None:
    friends = Friends.make(session, relays, 2)
    (bob,) = friends.know(["bob"])
    assert refused(lambda: keep(friends)) == "keepalive.few-relays"
    assert all(not relay.shelf.asked for relay in friends.relays)
    keep(friends, few_relays=True)
    assert len(friends.holders(bob)) == 1


def test_two_addresses_of_one_relay_are_one_and_the_dht_is_none(
    session: Session, relays: Callable[[], HonestRelay]
) -> None:
    friends = Friends.make(session, relays, 2)
    port = NodeAddress.from_text(friends.relays[0].url).port
    add_relay(session.home, f"http://localhost:{port}")
    add_relay(session.home, "dht://127.0.0.1:9")
    assert refused(lambda: keep(friends)) == "keepalive.few-relays"


def test_another_address_of_ones_own_provider_is_not_asked_either(friends: Friends) -> None:
    friends.know([f"friend {n}" for n in range(20)])
    provider = friends.relays[0]
    port = NodeAddress.from_text(provider.url).port
    add_relay(friends.session.home, f"http://localhost:{port}")
    entry = ProviderEntry(key("provider").public_key, provider.url)
    change_book(friends.session, friends.view("alice").index, lambda book: book.with_entry(entry))
    keep(friends, own=False)
    assert provider.shelf.asked == []


def test_blocked_and_removed_contacts_are_left_alone(friends: Friends) -> None:
    known = friends.know(NAMES)
    block_contact(friends.session, friends.view("alice"), "bob")
    remove_contact(friends.session, friends.view("alice"), "carol")
    keep(friends)
    assert [len(friends.holders(item)) for item in known] == [0, 0, 1, 1, 1, 1]
    log = read_log(friends.session, friends.view("alice").index)
    assert len(log.entries) == 4 + 1


def test_a_contact_whose_record_was_never_seen_is_counted_and_left(friends: Friends) -> None:
    (bob,) = friends.know(["bob"])
    friends.session.apply(_forgotten(bob.packet.public_key, bob.packet.seq + 1))
    report = keep(friends, own=False)
    assert (report.visits, report.without_record) == ([], 1)


def _forgotten(public_key: bytes, seq: int) -> Remember:
    return Remember(((public_key, Seen(seq, bytes(32), None)),))


def test_a_run_is_bounded_and_the_next_one_goes_on(friends: Friends) -> None:
    count = MAX_VISITS + 6
    known = friends.know([f"friend {n}" for n in range(count)])
    first = keep(friends, own=False)
    assert (len(first.visits), first.left) == (MAX_VISITS, 6)
    second = keep(friends, own=False)
    assert (len(second.visits), second.not_due) == (6, MAX_VISITS)
    assert all(len(friends.holders(item)) == 1 for item in known)


def test_a_run_that_is_cut_off_goes_on_where_it_stopped(friends: Friends, monkeypatch: pytest.MonkeyPatch) -> None:
    friends.know(NAMES)
    visits = 0
    whole = keeping.keep_alive

    def cut_off(*args: object, **settings: object) -> object:
        nonlocal visits
        visits += 1
        if visits == 4:
            raise KeyboardInterrupt
        return whole(*args, **settings)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(keeping, "keep_alive", cut_off)
        with pytest.raises(KeyboardInterrupt):
            keep(friends, own=False)
    assert len(keep(friends, own=False).visits) == len(NAMES) - 3


def test_visits_come_in_random_order_at_random_instants(friends: Friends) -> None:
    friends.know(NAMES)
    orders, pauses = set(), []
    for _ in range(6):
        wish = KeepWish(spread_s=100.0, everything=True, own=False)
        done = keep_wallet_alive(friends.session, ["alice"], wish, pause=pauses.append)
        orders.add(tuple(task.name for task, _ in done.reports[0].visits))
    assert len(orders) > 1
    assert len(pauses) == 6 * (len(NAMES) - 1)
    assert len(set(pauses)) == len(pauses)


def test_a_relay_that_limits_is_left_alone_for_the_rest_of_the_run(
    friends: Friends, monkeypatch: pytest.MonkeyPatch
) -> None:
    friends.know([*NAMES, *(f"friend {n}" for n in range(14))])
    limited = friends.relays[0].shelf
    monkeypatch.setattr(limited, "decide", lambda asked: (429, b""))
    report = keep(friends, own=False)
    assert report.count(Outcome.LIMITED) == 1
    assert len(limited.asked) == 1
    assert report.left > 0


def test_a_dead_network_moves_nobody_and_a_dead_relay_its_own(friends: Friends) -> None:
    known = friends.know(NAMES)
    keep(friends, own=False)
    (gone,) = friends.holders(known[0])
    moved = [item for item in known if friends.holders(item) == [gone]]
    gone.close()
    for _ in range(3):
        keep(friends, own=False, everything=True)
    log = read_log(friends.session, friends.view("alice").index)
    assert [log.entries[item.packet.public_key].moved for item in known] == [int(item in moved) for item in known]
    keep(friends, own=False, everything=True)
    assert all([relay for relay in friends.holders(item) if relay is not gone] for item in moved)


def test_without_any_answer_nothing_moves(friends: Friends) -> None:
    known = friends.know(NAMES)
    for relay in friends.relays:
        relay.close()
    for _ in range(4):
        report = keep(friends, own=False, everything=True)
    assert outcomes(report) == {Outcome.FAILED}
    log = read_log(friends.session, friends.view("alice").index)
    assert all(log.entries[item.packet.public_key].moved == 0 for item in known)


def test_a_contact_of_two_identities_is_kept_by_one_of_them(friends: Friends) -> None:
    other = friends.identity("other")
    (bob,) = friends.know(["bob"])
    friends.know(["bob"], "other")
    friends.know(["carol"], "other")
    reports = {report.identity.label: report for report in keep_wallet_alive(friends.session, (), _now()).reports}
    assert [task.name for task, _ in reports["alice"].visits] == ["bob"]
    assert [task.name for task, _ in reports["other"].visits] == ["carol"]
    assert reports["other"].elsewhere == 1
    assert len(friends.holders(bob)) == 1
    assert other.label == "other"


def test_an_identity_of_the_wallet_is_nobodys_contact_to_keep(friends: Friends) -> None:
    other = friends.identity("other")
    index = friends.view("alice").index
    book = read_book(friends.session, index)
    save_book(friends.session, index, book, book.with_contacts([Contact(other.public_key, "me", 20_000)]))
    report = keep(friends, own=False)
    assert (report.visits, report.elsewhere) == ([], 1)


def _now(**wish: object) -> KeepWish:
    return KeepWish(spread_s=0, own=False, **wish)  # type: ignore[arg-type]


def test_offline_and_unpublished_are_errors(friends: Friends) -> None:
    with pytest.raises(NetworkError):
        keep_wallet_alive(friends.session, offline=True)
    create_identity(friends.session, "draft")
    with pytest.raises(InputError) as raised:
        keep_wallet_alive(friends.session, ["draft"])
    assert raised.value.code == "keepalive.unpublished"
    assert refused(lambda: keep_wallet_alive(friends.session, ["nobody"])) == "identity.unknown"


def test_a_synchronization_looks_after_what_is_due(friends: Friends) -> None:
    known = friends.know(NAMES)
    (report,) = sync_wallet(friends.session, ["alice"], spread_s=0).reports
    assert report.kept is not None
    assert len(report.kept.visits) == len(NAMES)
    assert all(len(friends.holders(item)) == 1 for item in known)
    assert report.to_json()["kept"] is not None


def test_a_synchronization_with_few_relays_leaves_it_out(session: Session, relays: Callable[[], HonestRelay]) -> None:
    friends = Friends.make(session, relays, 1)
    friends.know(NAMES)
    assert keep_due_contacts(session, 0, 0.0) is None
    add_relay(session.home, relays().url)
    assert keep_due_contacts(session, 0, 0.0) is None


def test_a_log_that_is_damaged_is_an_error(friends: Friends) -> None:
    friends.know(NAMES)
    index = friends.view("alice").index
    change_log(friends.session, index, lambda log: log.with_entry(bytes(32), Entry(5)))
    keep(friends)
    assert bytes(32) not in read_log(friends.session, index).entries  # nobody's contact


def test_a_relay_sees_its_share_of_the_contacts_and_always_the_same(friends: Friends) -> None:
    known = friends.know([f"friend {n}" for n in range(40)])
    shares = []
    for _ in range(3):
        friends.forget_questions()
        keep(friends, own=False, everything=True)
        shares.append([keys_seen(relay.shelf) for relay in friends.relays])
    assert shares[0] == shares[1] == shares[2]
    assert set().union(*shares[0]) == z32s(known)
    assert sum(map(len, shares[0])) == len(known)
    assert max(map(len, shares[0])) <= 2 * len(known) // 3
