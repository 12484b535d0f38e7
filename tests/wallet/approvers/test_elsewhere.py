"""Approvals that come as files: what is asked, who looks at it, and which answers count."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.core.approving import ONE
from tests.wallet.approvers.parts import (
    Drawerful,
    People,
    a_wallet,
    decide,
    document_of,
    followed,
    guarded,
    people,
    record_of,
)
from tests.wallet.parts import HonestRelay, opened, restored_home
from tests.wallet.test_security_keys import Shelf
from walletcli.client.freshness import FreshnessMap, Seen
from walletcli.core.approval import Subject
from walletcli.core.approval_file import ApprovalFile
from walletcli.core.approver_items import ApproveItem
from walletcli.core.request_file import RequestFile
from walletcli.errors import WalletError
from walletcli.wallet.access.session import Session
from walletcli.wallet.airgap import waiting as waiting_module
from walletcli.wallet.airgap.waiting import list_requests
from walletcli.wallet.approvers import asking, by_file, inviting, key_holder
from walletcli.wallet.approvers.by_file import AskWish, ask_approvers, cancel_waiting, take_approvals
from walletcli.wallet.approvers.deciding import list_approvers
from walletcli.wallet.approvers.inviting import add_offered, invite_approver, read_offer
from walletcli.wallet.approvers.key_holder import approve_asked, offer_key, review_asked
from walletcli.wallet.approvers.overview import all_waiting, renewals
from walletcli.wallet.home import Home
from walletcli.wallet.identities import create_identity, set_attribute
from walletcli.wallet.publish import publish_identity
from walletcli.wallet.relays import add_relay
from walletcli.wallet.sealed.sync import sync_identity

OTHER_WORDS = "legal winner thank year wave sausage worth useful legal winner thank yellow"


@pytest.fixture
def keys(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> Drawerful:
    monkeypatch.setattr(asking, "LOOK_EVERY_S", 0.01)
    return Drawerful(shelf)


@pytest.fixture
def alice(tmp_path: Path, relay: HonestRelay, keys: Drawerful) -> Session:
    return guarded(a_wallet(tmp_path), keys, relay)


@pytest.fixture
def friend(tmp_path: Path) -> Home:
    """A home in which there is no wallet, and somebody who knows the PIN."""
    return replace(Home(str(tmp_path / "nobody")), keys=People())


@pytest.fixture
def path(tmp_path: Path) -> Callable[[str], str]:
    return lambda name: str(tmp_path / name)


def asked(session: Session, out: str, *names: str, days: int = 14) -> RequestFile:
    ask_approvers(session, AskWish("alice", names, days=days), out, offline=True)
    return RequestFile.from_bytes(Path(out).read_bytes())


def approved(home: Home, request: str, out: str) -> str:
    approve_asked(home, review_asked(request, time.time()), out)
    return out


def code_of(act: Callable[[], object]) -> str:
    with pytest.raises(WalletError) as refused:
        act()
    return refused.value.code


def later(monkeypatch: pytest.MonkeyPatch, days: int) -> None:
    """Let so many days pass."""

    class Clock:
        monotonic, sleep = time.monotonic, time.sleep

        def time(self) -> float:
            return time.time() + days * 86_400

    for module in (waiting_module, key_holder, by_file, inviting):
        if hasattr(module, "time"):
            monkeypatch.setattr(module, "time", Clock())


def test_two_people_approve_at_their_own_machines_and_the_owner_goes_on(
    alice: Session, relay: HonestRelay, keys: Drawerful, friend: Home, path: Callable[[str], str]
) -> None:
    before = decide(alice)
    asked(alice, path("bob.request"), "bob")
    asked(alice, path("cyd.request"), "cyd")
    for name in ("bob", "cyd"):
        keys.put(name)
        approved(friend, path(f"{name}.request"), path(f"{name}.approval"))
    keys.put()
    assert not Path(friend.path).exists()
    first = take_approvals(alice, path("cyd.approval"))
    assert (first.names, first.is_complete, first.waiting.missing) == (("cyd",), False, ("ada", "bob"))
    assert take_approvals(alice, path("bob.approval")).is_complete
    here = people(alice)
    publish_identity(alice, "alice", [relay.url])
    assert (here.touches, followed(alice, before)) == (0, 2)
    assert [item.state for item in list_requests(alice)] == ["applied", "applied"]
    assert all_waiting(alice) == ()


def test_one_approves_at_this_machine_and_one_by_file(
    alice: Session, relay: HonestRelay, keys: Drawerful, friend: Home, path: Callable[[str], str]
) -> None:
    before = decide(alice)
    keys.put("ada")
    assert code_of(lambda: publish_identity(alice, "alice", [relay.url])) == "approver.not-here"
    asked(alice, path("request"))
    keys.put("bob", "cyd")  # whoever is asked with two keys at hand gives both
    take_approvals(alice, approved(friend, path("request"), path("approval")))
    keys.put()
    publish_identity(alice, "alice", [relay.url])
    assert followed(alice, before) == 3


def test_a_request_for_one_person_has_nobody_elses_credential(
    alice: Session, keys: Drawerful, friend: Home, path: Callable[[str], str]
) -> None:
    decide(alice)
    request = asked(alice, path("request"), "bob")
    item = request.items[0]
    assert isinstance(item, ApproveItem)
    others = [item for item in alice.snapshot().wallet.by_index(0).credentials if item.name != "bob"]
    data = Path(path("request")).read_bytes()
    assert not any(other.credential_id in data for other in others)
    assert Path(path("request")).stat().st_mode & 0o777 == 0o600
    keys.put("ada")
    assert code_of(lambda: approved(friend, path("request"), path("out"))) == "approver.not-here"
    assert not Path(path("out")).exists()


def test_what_would_be_approved_is_shown_and_compared_with_what_was_seen(
    alice: Session, path: Callable[[str], str]
) -> None:
    decide(alice)
    asked(alice, path("request"))
    (item,) = review_asked(path("request"), time.time()).items
    assert "public name = Alice (new)" in item.lines
    assert item.lines[-1].startswith("nothing is known here")
    memory = FreshnessMap()
    record = record_of(alice)
    memory.put(record.packet.public_key, Seen.of(record))
    (item,) = review_asked(path("request"), time.time(), memory).items
    assert item.lines[-1] == f"follows what was seen here, seq {record.packet.seq}"


@pytest.mark.parametrize(("ahead", "code"), [(1, "request.stale"), (0, "request.split")])
def test_who_has_seen_something_else_approves_nothing(
    alice: Session, keys: Drawerful, friend: Home, path: Callable[[str], str], ahead: int, code: str
) -> None:
    decide(alice)
    asked(alice, path("request"))
    memory, packet = FreshnessMap(), record_of(alice).packet
    memory.put(packet.public_key, Seen(packet.seq + ahead, bytes(32)))
    review = review_asked(path("request"), time.time(), memory)
    keys.put("ada")
    assert code_of(lambda: approve_asked(friend, review, path("out"))) == code


def test_a_document_that_changes_the_approvers_raises_an_alarm(
    alice: Session, keys: Drawerful, friend: Home, path: Callable[[str], str]
) -> None:
    from walletcli.wallet.approvers.deciding import remove_approver

    remove_approver(alice, "alice", "cyd")
    asked(alice, path("request"))
    review = review_asked(path("request"), time.time())
    keys.put("bob")
    assert code_of(lambda: approve_asked(friend, review, path("out"))) == "request.alarm"
    approve_asked(friend, review, path("out"), ("approvers",))


def test_an_answer_counts_once_and_only_while_it_is_waited_for(
    alice: Session, relay: HonestRelay, keys: Drawerful, friend: Home, path: Callable[[str], str]
) -> None:
    decide(alice)
    asked(alice, path("request"))
    keys.put("bob")
    answer = approved(friend, path("request"), path("approval"))
    take_approvals(alice, answer)
    assert code_of(lambda: take_approvals(alice, answer)) == "response.counted"
    keys.put("cyd")
    publish_identity(alice, "alice", [relay.url])
    assert code_of(lambda: take_approvals(alice, answer)) == "response.applied"


@pytest.mark.parametrize("what", ["decided", "signed"])
def test_an_answer_to_what_is_over_is_refused(
    alice: Session, relay: HonestRelay, keys: Drawerful, friend: Home, path: Callable[[str], str], what: str
) -> None:
    decide(alice)
    asked(alice, path("request"))
    keys.put("bob")
    answer = approved(friend, path("request"), path("approval"))
    set_attribute(alice, "alice", "name", "Alicia")
    if what == "signed":
        keys.put("ada", "cyd")
        publish_identity(alice, "alice", [relay.url])
    for _ in range(2):
        assert code_of(lambda: take_approvals(alice, answer)) == "response.superseded"
    assert document_of(alice).profile.get("name") == ("Alicia" if what == "signed" else None)


def test_expired_cancelled_and_foreign_answers_are_refused(
    alice: Session, keys: Drawerful, friend: Home, path: Callable[[str], str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    decide(alice)
    asked(alice, path("request"), days=2)
    keys.put("bob")
    answer = approved(friend, path("request"), path("approval"))
    stranger = opened(restored_home(tmp_path / "stranger", OTHER_WORDS))
    assert code_of(lambda: take_approvals(stranger, answer)) == "response.unknown"
    with monkeypatch.context() as patched:
        later(patched, 2)
        assert code_of(lambda: take_approvals(alice, answer)) == "response.expired"
        late = review_asked(path("request"), time.time() + 2 * 86_400)
        assert code_of(lambda: approve_asked(friend, late, path("late"))) == "request.expired"
    cancel_waiting(alice, "alice")
    assert code_of(lambda: take_approvals(alice, answer)) == "response.cancelled"
    assert code_of(lambda: cancel_waiting(alice, "alice")) == "approver.nothing-waits"


def test_altered_answers_are_refused_whole(
    alice: Session, keys: Drawerful, friend: Home, path: Callable[[str], str]
) -> None:
    decide(alice)
    asked(alice, path("request"))
    keys.put("bob")
    approved(friend, path("request"), path("approval"))
    file = ApprovalFile.from_bytes(Path(path("approval")).read_bytes())
    (good,) = file.approvals
    changed = replace(good, signature=bytes(64))
    strange = ONE.agree(Subject.of_document(document_of(alice)))
    both = tuple(sorted((good, strange), key=lambda one: one.public_key))
    cases = [
        (replace(file, approvals=(changed,)), "approval.signature"),
        (replace(file, approvals=both), "response.approver"),
        (replace(file, digest=bytes(32)), "response.digest"),
        (replace(file, request_id=bytes(16)), "response.unknown"),
    ]
    for number, (altered, code) in enumerate(cases):
        Path(path(f"altered-{number}")).write_bytes(altered.to_bytes())
        assert code_of(lambda number=number: take_approvals(alice, path(f"altered-{number}"))) == code
    Path(path("none")).write_bytes(b"walletcli request 1\n")
    assert code_of(lambda: take_approvals(alice, path("none"))) == "approval-file.file"
    assert all_waiting(alice)[0].given == ()


def test_nothing_is_asked_where_nothing_waits(alice: Session, path: Callable[[str], str]) -> None:
    create_identity(alice, "other")
    assert code_of(lambda: asked(alice, path("one"))) == "approver.nothing-waits"
    decide(alice)
    assert code_of(lambda: asked(alice, path("one"), "zoe")) == "approver.unknown"
    assert code_of(lambda: ask_approvers(alice, AskWish("other"), path("one"), offline=True)) == "approver.none"
    wish = AskWish("alice", contacts=True)
    assert code_of(lambda: ask_approvers(alice, wish, path("one"), offline=True)) == "approver.nothing-waits"
    assert code_of(lambda: asked(alice, path("one"), days=91)) == "request.days"
    assert all_waiting(alice) == ()
    assert not Path(path("one")).exists()


def test_a_key_that_its_owner_never_holds_becomes_an_approver(
    alice: Session, relay: HonestRelay, keys: Drawerful, shelf: Shelf, friend: Home, path: Callable[[str], str]
) -> None:
    invite_approver(alice, "alice", path("invitation"))
    shelf.keys.clear()
    shelf.plug(5)
    offer_key(friend, review_asked(path("invitation"), time.time()), path("offer"))
    theirs = dict(shelf.keys)
    view = read_offer(alice, "alice", path("offer"))
    found = add_offered(alice, "alice", view, name="dan")
    assert ("dan", "to-be-added") in [(item.name, item.state) for item in found.approvers]
    assert code_of(lambda: read_offer(alice, "alice", path("offer"))) == "response.applied"
    keys.put("ada", "bob")
    publish_identity(alice, "alice", [relay.url])
    before = decide(alice)
    asked(alice, path("request"), "dan")
    shelf.keys.clear()
    shelf.keys.update(theirs)
    take_approvals(alice, approved(friend, path("request"), path("approval")))
    keys.put("cyd")
    publish_identity(alice, "alice", [relay.url])
    assert followed(alice, before) == 2


def test_an_offer_that_proves_nothing_adds_nobody(
    alice: Session, shelf: Shelf, friend: Home, path: Callable[[str], str]
) -> None:
    invite_approver(alice, "alice", path("invitation"))
    invite_approver(alice, "alice", path("second"))
    shelf.plug(5)
    offer_key(friend, review_asked(path("invitation"), time.time()), path("offer"))
    file = ApprovalFile.from_bytes(Path(path("offer")).read_bytes())
    second = RequestFile.from_bytes(Path(path("second")).read_bytes())
    assert file.offer is not None
    offer = file.offer
    bare = replace(offer, approver=replace(offer.approver, user_verification=False))
    cases = [
        (replace(file, offer=replace(offer, proof=replace(offer.proof, signature=bytes(64)))), "approval.signature"),
        (replace(file, offer=replace(offer, approver=ONE.approver)), "approval.key"),
        (replace(file, offer=bare), "response.pin"),
        (replace(file, request_id=second.request_id, digest=second.digest), "approval.signature"),
    ]
    for number, (altered, code) in enumerate(cases):
        Path(path(f"altered-{number}")).write_bytes(altered.to_bytes())
        assert code_of(lambda number=number: read_offer(alice, "alice", path(f"altered-{number}"))) == code
    assert len(list_approvers(alice, "alice").approvers) == 3


def test_files_of_one_kind_are_told_from_the_other(
    alice: Session, keys: Drawerful, shelf: Shelf, friend: Home, path: Callable[[str], str]
) -> None:
    decide(alice)
    asked(alice, path("request"))
    invite_approver(alice, "alice", path("invitation"))
    keys.put("ada")
    ask_review, invitation = (review_asked(path(name), time.time()) for name in ("request", "invitation"))
    assert code_of(lambda: offer_key(friend, ask_review, path("one"))) == "request.for-approval"
    assert code_of(lambda: approve_asked(friend, invitation, path("one"))) == "request.for-offer"
    approved(friend, path("request"), path("approval"))
    offer_key(friend, invitation, path("offer"))
    assert code_of(lambda: take_approvals(alice, path("offer"))) == "response.is-offer"
    assert code_of(lambda: read_offer(alice, "alice", path("approval"))) == "response.is-approval"


@pytest.mark.parametrize(("days", "left"), [(29, 29), (1, 1), (0, 0), (-5, 0)])
def test_a_device_that_is_to_be_renewed_is_told_of_long_before(
    alice: Session, monkeypatch: pytest.MonkeyPatch, days: int, left: int
) -> None:
    (own,) = document_of(alice).delegations
    assert renewals(alice) == ()
    monkeypatch.setattr("time.time", lambda: (own.not_after_day - days) * 86_400.0)
    (found,) = renewals(alice)
    assert (found.label, found.days, found.last_day) == ("alice", left, own.not_after_day - 1)


def test_unattended_work_tells_what_has_to_be_renewed_and_waits_for_nobody(
    alice: Session, relay: HonestRelay, keys: Drawerful, friend: Home, path: Callable[[str], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    add_relay(alice.home, relay.url)
    (own,) = document_of(alice).delegations
    before = document_of(alice)
    monkeypatch.setattr("time.time", lambda: (own.not_after_day - 10) * 86_400.0)
    here = people(alice, lambda: keys.put("ada"))
    report = sync_identity(alice, "alice")
    assert report.renewal is not None
    assert (report.renewal.days, report.record, here.asked_for) == (10, "stored", [])
    assert document_of(alice) == before

    # it is gathered like any other record
    for name in ("bob", "cyd"):
        asked(alice, path(f"{name}.request"), name)
        keys.put(name)
        take_approvals(alice, approved(friend, path(f"{name}.request"), path(f"{name}.approval")))
    keys.put()
    report = sync_identity(alice, "alice")
    assert (report.renewal, report.record) == (None, "signed")
    assert followed(alice, before) == 2
    assert document_of(alice).delegations[0].not_after_day > own.not_after_day + 30
