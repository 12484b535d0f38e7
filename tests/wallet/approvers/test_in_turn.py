"""Keys that approve in turn at one machine: what one gave is not lost, whatever becomes of the next."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.wallet.approvers.parts import Drawerful, a_wallet, decide, document_of, followed, guarded, people
from tests.wallet.parts import HonestRelay
from tests.wallet.test_security_keys import Shelf
from walletcli.core.approval import Approval
from walletcli.errors import SignerError, WalletError
from walletcli.wallet.access.session import Session
from walletcli.wallet.airgap.waiting import cancel_request, change_book, list_requests, read_book
from walletcli.wallet.approvers import asking
from walletcli.wallet.approvers.deciding import remove_approver
from walletcli.wallet.identities import set_attribute
from walletcli.wallet.publish import publish_identity


@pytest.fixture
def keys(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> Drawerful:
    monkeypatch.setattr(asking, "LOOK_EVERY_S", 0.01)
    return Drawerful(shelf)


@pytest.fixture
def alice(tmp_path: Path, relay: HonestRelay, keys: Drawerful) -> Session:
    return guarded(a_wallet(tmp_path), keys, relay)


def publish(session: Session, relay: HonestRelay) -> None:
    publish_identity(session, "alice", [relay.url])


def refusal(session: Session, relay: HonestRelay) -> WalletError:
    with pytest.raises(WalletError) as refused:
        publish(session, relay)
    return refused.value


def gathered(session: Session) -> list[int]:
    return [len(item.approvals) for item in read_book(session).gathered]


def states(session: Session) -> list[str]:
    return [item.state for item in list_requests(session)]


def test_one_key_is_taken_out_and_the_next_plugged_in(alice: Session, relay: HonestRelay, keys: Drawerful) -> None:
    before = decide(alice)
    keys.put("ada")
    here = people(alice, lambda: keys.put("cyd"))
    publish(alice, relay)
    assert followed(alice, before) == 2
    assert here.asked_for == [(1, 2, ("bob", "cyd"), "")]
    assert (states(alice), gathered(alice)) == (["applied"], [])


def test_nobody_needs_to_be_plugged_in_at_first_and_strangers_keys_do_not_count(
    alice: Session, relay: HonestRelay, keys: Drawerful, shelf: Shelf
) -> None:
    before = decide(alice)
    here = people(alice, lambda: shelf.plug(7), lambda: keys.put("bob"), lambda: keys.put("ada"))
    publish(alice, relay)
    assert followed(alice, before) == 2
    assert [given for given, *_ in here.asked_for] == [0, 0, 1]


def test_a_key_that_stays_plugged_in_is_touched_once(alice: Session, relay: HonestRelay, keys: Drawerful) -> None:
    before = decide(alice)
    keys.put("ada")
    here = people(alice, lambda: keys.put("ada", "bob"))
    publish(alice, relay)
    assert here.touches == 2
    assert followed(alice, before) == 2


def test_what_was_approved_is_kept_when_the_owner_goes_away(
    alice: Session, relay: HonestRelay, keys: Drawerful
) -> None:
    before = decide(alice)
    keys.put("ada")

    def gone() -> None:
        raise KeyboardInterrupt

    people(alice, gone)
    with pytest.raises(KeyboardInterrupt):
        publish(alice, relay)
    assert (states(alice), gathered(alice)) == (["waiting"], [1])
    assert document_of(alice) == before
    keys.put("bob")
    here = people(alice)
    publish(alice, relay)
    assert (here.touches, here.asked_for) == (1, [])
    assert followed(alice, before) == 2


def test_a_script_gets_an_error_and_the_next_run_goes_on(alice: Session, relay: HonestRelay, keys: Drawerful) -> None:
    before = decide(alice)
    keys.put("ada")
    error = refusal(alice, relay)
    assert error.code == "approver.not-here"
    assert "1 of 2 are kept" in error.hint
    again = refusal(alice, relay)  # the same key does not count twice
    assert again.code == "approver.not-here"
    keys.put("cyd")
    publish(alice, relay)
    assert followed(alice, before) == 2


def test_a_key_that_is_pulled_out_is_told_and_another_one_will_do(
    alice: Session, relay: HonestRelay, keys: Drawerful, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = decide(alice)
    keys.put("ada")
    wire = next(iter(keys.shelf.keys.values()))
    wire.is_removed = True
    here = people(alice, lambda: keys.put("bob", "cyd"))
    publish(alice, relay)
    assert here.asked_for[0][0] == 0
    assert here.asked_for[0][3] == "the key is gone"
    assert followed(alice, before) == 2


def test_nothing_more_is_waited_for_than_a_while(
    alice: Session, relay: HonestRelay, keys: Drawerful, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "ANOTHER_KEY_LIMIT_S", 0.05)
    decide(alice)
    keys.put("ada")
    people(alice, lambda: None)
    assert refusal(alice, relay).code == "approver.not-here"
    assert gathered(alice) == [1]


def test_what_runs_unattended_waits_for_nobody_and_keeps_what_it_got(
    alice: Session, relay: HonestRelay, keys: Drawerful
) -> None:
    decide(alice)
    keys.put("ada")
    here = people(alice, lambda: keys.put("bob"))
    with pytest.raises(WalletError) as refused:
        publish_identity(alice, "alice", [relay.url], is_patient=False)
    assert refused.value.code == "approver.not-here"
    assert (here.asked_for, gathered(alice)) == ([], [1])


def test_what_is_decided_meanwhile_makes_it_another_document(
    alice: Session, relay: HonestRelay, keys: Drawerful
) -> None:
    before = decide(alice)
    keys.put("ada")
    refusal(alice, relay)
    set_attribute(alice, "alice", "name", "Alicia")
    refusal(alice, relay)  # asks ada again, for the new one
    assert states(alice) == ["waiting", "superseded"]
    keys.put("bob")
    publish(alice, relay)
    assert document_of(alice).profile["name"] == "Alicia"
    assert followed(alice, before) == 2


def test_what_is_cancelled_is_forgotten(alice: Session, relay: HonestRelay, keys: Drawerful) -> None:
    before = decide(alice)
    keys.put("ada")
    refusal(alice, relay)
    cancel_request(alice, read_book(alice).waiting[0].request.request_id.hex())
    assert gathered(alice) == []
    keys.put("bob")
    refusal(alice, relay)
    assert gathered(alice) == [1]
    assert document_of(alice) == before


def test_what_a_program_of_the_user_writes_there_does_not_count(
    alice: Session, relay: HonestRelay, keys: Drawerful
) -> None:
    decide(alice)
    keys.put("ada")
    refusal(alice, relay)
    (kept,) = read_book(alice).gathered
    (approval,) = kept.approvals
    bob = next(item for item in alice.snapshot().wallet.by_index(0).credentials if item.name == "bob")
    forged = Approval(approval.algorithm, bob.public_key, approval.authenticator_data, approval.signature)
    change_book(alice, lambda book: (book.with_approvals(kept.digest, (approval, forged)), ()))
    keys.put()
    error = refusal(alice, relay)
    assert error.code == "approver.not-here"
    assert "1 of 2 are kept" in error.hint


def test_the_wrong_pin_ends_it_and_keeps_what_is_there(alice: Session, relay: HonestRelay, keys: Drawerful) -> None:
    before = decide(alice)
    keys.put("ada")
    here = people(alice, lambda: keys.put("bob"))

    def wrong(*_: object, **__: object) -> object:
        raise SignerError("key.pin-wrong", "the PIN is wrong", "")

    turn = here.turns[0]
    here.turns[0] = lambda: (turn(), setattr(here, "pin", wrong))
    assert refusal(alice, relay).code == "key.pin-wrong"
    assert gathered(alice) == [1]
    keys.put("cyd")
    people(alice)
    publish(alice, relay)
    assert followed(alice, before) == 2


def test_approvers_that_are_lost_need_nothing_gathered(alice: Session, relay: HonestRelay, keys: Drawerful) -> None:
    decide(alice)
    keys.put("ada")
    refusal(alice, relay)
    remove_approver(alice, "alice", "bob", lost=True)
    before = document_of(alice)
    people(alice)
    publish(alice, relay)
    assert document_of(alice) != before
    assert document_of(alice).approvers != before.approvers
