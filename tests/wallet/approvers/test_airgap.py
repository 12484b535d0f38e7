"""Approvers of an identity whose root is on a machine of its own: both machines can ask them, one of them has to."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.core.approving import ONE
from tests.hid.in_process import InProcess
from tests.wallet.airgap.parts import TREE, Machines, forged, here
from tests.wallet.approvers.parts import People
from tests.wallet.test_security_keys import Prompts, Shelf
from walletcli.core.approvals import DocumentApprovals, check_follows
from walletcli.core.document import Document
from walletcli.core.identity_id import IdentityId
from walletcli.core.packet import SignedPacket
from walletcli.core.record import Record, packet_value
from walletcli.errors import WalletError
from walletcli.signers.devices.hidapi import PluggedKey
from walletcli.wallet.airgap.making import Wish, ask_to_enrol
from walletcli.wallet.airgap.showing import approve_request, review_file
from walletcli.wallet.approvers.by_file import AskWish, ask_approvers, take_approvals
from walletcli.wallet.approvers.deciding import add_approver, list_approvers, remove_approver
from walletcli.wallet.approvers.key_holder import approve_asked, review_asked
from walletcli.wallet.approvers.overview import all_waiting
from walletcli.wallet.home import Home
from walletcli.wallet.identities import set_attribute


@pytest.fixture
def alice(tmp_path: Path, shelf: Shelf) -> Machines:
    """A cold machine and an online one that looks after alice, for whom the key on the shelf approves."""
    machines = Machines(tmp_path)
    machines.create("alice", name="Alice")
    machines.cold, machines.online = replace(machines.cold, keys=Prompts()), replace(machines.online, keys=Prompts())
    shelf.plug()
    with here(machines.online) as session:
        add_approver(session, "alice", name="blue")
    machines.trip(accept=("approvers",))
    return machines


def refusal(call: object) -> str:
    assert callable(call)
    with pytest.raises(WalletError) as refused:
        call()
    return refused.value.code


def record_of(machines: Machines, home: Home | None = None) -> Record:
    record = machines.view("alice", home).record
    assert record is not None
    return Record.from_bytes(record)


def change(machines: Machines) -> Record:
    """Have something to sign; return the record of before."""
    before = record_of(machines)
    with here(machines.online) as session:
        set_attribute(session, "alice", "name", f"{before.packet.seq}")
    return before


def test_approvers_are_set_in_one_trip_after_a_question(alice: Machines) -> None:
    document = record_of(alice).document
    assert document is not None
    assert document.approvers is not None
    with here(alice.online) as session:
        assert [item.state for item in list_approvers(session, "alice").approvers] == ["in-force"]


@pytest.mark.parametrize("where", ["cold", "online"])
def test_the_key_can_be_touched_at_either_machine(alice: Machines, shelf: Shelf, where: str) -> None:
    before = change(alice)
    key = shelf.keys.copy()
    if where == "online":
        shelf.keys.clear()
    answer = alice.approve(alice.ask().path)
    shelf.keys.clear()
    if where == "online":
        assert refusal(lambda: alice.apply(answer)) == "approver.not-here"
        shelf.keys.update(key)
    alice.apply(answer)
    after = record_of(alice)
    assert after.document is not None
    assert after.beside is not None
    check_follows(before.document, after.document, after.beside)


def test_without_the_key_nothing_of_it_is_taken_over(alice: Machines, shelf: Shelf) -> None:
    before = change(alice)
    shelf.keys.clear()
    answer = alice.approve(alice.ask().path)
    assert refusal(lambda: alice.apply(answer)) == "approver.not-here"
    shelf.plug(1)  # somebody else's
    assert refusal(lambda: alice.apply(answer)) == "approver.not-here"
    assert record_of(alice).packet.seq == before.packet.seq


def test_a_device_is_enrolled_only_with_the_key_at_the_cold_machine(alice: Machines, shelf: Shelf) -> None:
    laptop = alice.new_watch("laptop")
    with here(laptop) as session:
        did = IdentityId(record_of(alice).packet.public_key).did
        made = ask_to_enrol(session, did, alice.path(), record=record_of(alice))
    key = shelf.keys.copy()
    shelf.keys.clear()
    assert refusal(lambda: alice.approve(made.path)) == "approver.not-here"
    shelf.keys.update(key)
    alice.apply(alice.approve(made.path), laptop)
    after = record_of(alice, laptop)
    assert after.document is not None
    check_follows(record_of(alice).document, after.document, after.beside)
    assert alice.view("alice", laptop).credentials == alice.view("alice").credentials


@pytest.fixture
def both(alice: Machines, shelf: Shelf) -> Machines:
    """Alice, for whom blue and red both have to approve; neither is plugged in."""
    shelf.plug(1)
    with here(alice.online) as session:
        add_approver(session, "alice", which="0001", name="red", threshold=2)
    alice.trip(accept=("approvers",))
    return alice


def approve_cold(machines: Machines, path: str, *turns: Callable[[], object], patient: bool = True) -> str:
    """Approve a request at the cold machine, where people plug keys in; return the path of the response."""
    out, cold = machines.path(), replace(machines.cold, keys=People(*turns))
    with here(cold) as session:
        approve_request(session, review_file(session, path), (1,), (), out, is_patient=patient)
    return out


def test_keys_approve_in_turn_at_the_cold_machine_and_what_one_gave_is_kept(both: Machines, shelf: Shelf) -> None:
    before, keys = change(both), dict(shelf.keys)
    blue, red = ({key: wire} for key, wire in keys.items())
    path = both.ask().path
    put(shelf, blue)

    def gone() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        approve_cold(both, path, gone)
    put(shelf, {})
    answer = approve_cold(both, path, lambda: put(shelf, red))
    put(shelf, {})
    both.apply(answer)
    after = record_of(both)
    assert after.document is not None
    check_follows(before.document, after.document, after.beside)


def test_one_key_at_each_machine_is_enough_only_if_one_machine_has_both(both: Machines, shelf: Shelf) -> None:
    """What was given at the cold machine does not travel by itself: the online one gathers its own."""
    before, keys = change(both), dict(shelf.keys)
    blue, red = ({key: wire} for key, wire in keys.items())
    put(shelf, blue)
    answer = approve_cold(both, both.ask().path, patient=False)
    put(shelf, red)
    assert refusal(lambda: both.apply(answer)) == "approver.not-here"
    put(shelf, blue)
    both.apply(answer)  # red's is kept here
    after = record_of(both)
    assert after.document is not None
    check_follows(before.document, after.document, after.beside)


def test_approvals_come_to_the_online_machine_by_file_before_the_roots_signature(both: Machines, shelf: Shelf) -> None:
    with here(both.online) as session:
        set_attribute(session, "alice", "name", "early")
        with pytest.raises(WalletError) as refused:
            ask_approvers(session, AskWish("alice"), both.path(), offline=True)
    assert refused.value.code == "approver.nothing-waits"
    before, keys = change(both), dict(shelf.keys)
    request, asked, answer = both.ask().path, both.path(), both.path()
    nobody = replace(Home(str(both.directory / "nobody")), keys=Prompts())
    with here(both.online) as session:
        ask_approvers(session, AskWish("alice"), asked, offline=True)
    approve_asked(nobody, review_asked(asked, time.time()), answer)  # with both keys
    put(shelf, {})
    assert refusal(lambda: both.apply(answer)) == "response.from-approver"
    with here(both.online) as session:
        assert take_approvals(session, answer).is_complete
        set_attribute(session, "alice", "name", "decided later")
    both.apply(both.approve(request))
    after = record_of(both)
    assert after.document is not None
    check_follows(before.document, after.document, after.beside)
    with here(both.online) as session:
        assert all_waiting(session) == ()
    put(shelf, keys)


def put(shelf: Shelf, keys: dict[PluggedKey, InProcess]) -> None:
    shelf.keys.clear()
    shelf.keys.update(keys)


def test_keys_that_are_lost_are_left_out_after_a_question(alice: Machines, shelf: Shelf) -> None:
    shelf.keys.clear()
    with here(alice.online) as session:
        remove_approver(session, "alice", "blue", lost=True)
    alice.trip(Wish(), accept=("approvers",))
    document = record_of(alice).document
    assert document is not None
    assert document.approvers is None


FALSE: dict[str, DocumentApprovals | None] = {
    "none": None,
    "an empty list": DocumentApprovals(()),
    "a stranger's": DocumentApprovals((ONE.approve(Document(bytes(31) + b"\1", 5)),)),
}


@pytest.mark.parametrize("name", [name for name in FALSE if name != "none"])
def test_a_response_with_false_approvals_is_not_taken_over(alice: Machines, name: str) -> None:
    """The root signs it all the same: that the approvers agree is for this side to see."""
    before = change(alice)
    answer, path = alice.approve(alice.ask().path), alice.path()
    Path(path).write_bytes(forged(answer, lambda one: replace(one, beside=FALSE[name])))
    assert refusal(lambda: alice.apply(path)) == "response.not-approved"
    assert record_of(alice) == before
    alice.apply(answer)


@pytest.mark.parametrize("name", FALSE)
def test_an_enrolment_with_false_approvals_is_not_taken_over(alice: Machines, name: str) -> None:
    laptop = alice.new_watch("laptop")
    with here(laptop) as session:
        did = IdentityId(record_of(alice).packet.public_key).did
        made = ask_to_enrol(session, did, alice.path(), record=record_of(alice))
    answer, path = alice.approve(made.path), alice.path()
    Path(path).write_bytes(forged(answer, lambda one: replace(one, beside=FALSE[name])))
    assert refusal(lambda: alice.apply(path, laptop)) == "response.not-approved"
    alice.apply(answer, laptop)


def thiefs(machines: Machines, seq: int, **fields: Any) -> str:
    """Return the path of a record file that the root signed and nobody approved."""
    last = record_of(machines).document
    assert last is not None
    document = replace(last, seq=seq, previous=last.hash, **fields)
    packet = SignedPacket.sign(TREE.root(machines.view("alice").index), seq, packet_value(document))
    path = machines.path()
    Path(path).write_bytes(Record.verified(packet, document.to_bytes()).to_bytes())
    return path


@pytest.mark.parametrize("approvers", ["kept", "removed"])
def test_a_record_file_that_nobody_approved_is_not_taken_over(alice: Machines, approvers: str) -> None:
    before = record_of(alice)
    fields: dict[str, None] = {} if approvers == "kept" else {"approvers": None}
    path = thiefs(alice, before.packet.seq + 5, **fields)
    assert refusal(lambda: alice.apply(path)) == "approval.missing"
    assert record_of(alice) == before


def test_a_record_file_that_was_approved_is_taken_over(alice: Machines) -> None:
    change(alice)
    alice.approve(alice.ask().path)
    approved, path = record_of(alice, alice.cold), alice.path()
    Path(path).write_bytes(approved.to_bytes())
    alice.apply(path)
    assert record_of(alice) == approved


def test_a_record_file_with_the_seq_of_another_record_is_a_split_and_not_taken_over(tmp_path: Path) -> None:
    machines = Machines(tmp_path)
    machines.create("alice", name="Alice")
    before = record_of(machines)
    path = thiefs(machines, before.packet.seq, profile={"name": "Mallory"})
    assert refusal(lambda: machines.apply(path)) == "record.equivocation"
    later = thiefs(machines, before.packet.seq + 5)
    assert refusal(lambda: machines.apply(later)) == "record.equivocation"
    assert record_of(machines) == before
