"""Everything that needs the root goes in one trip: what was asked is what is signed, and both sides know it after."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.wallet.airgap.parts import TREE, Machines, document_of, here, refusal
from tests.wallet.parts import HonestRelay
from walletcli.core.authority import check_authority
from walletcli.core.card import CardFile, verify_card
from walletcli.core.contact_export import verify_export
from walletcli.core.document_parts import Power
from walletcli.core.export_file import SealedExport, read_export_file
from walletcli.core.record import Record
from walletcli.core.request_file import RequestFile
from walletcli.core.request_items import PublishItem
from walletcli.core.response import ResponseFile
from walletcli.core.sealed import unseal
from walletcli.signers.requests import PacketRequest
from walletcli.signers.software import SoftwareSigner
from walletcli.wallet.airgap.making import NewIdentity, Wish, ask_to_enrol, make_request
from walletcli.wallet.airgap.waiting import read_book
from walletcli.wallet.airgap.wishes import card_wish, export_wish
from walletcli.wallet.home import Home
from walletcli.wallet.identities import create_identity, rename_identity, retire_identity, set_attribute
from walletcli.wallet.publish import publish_identity
from walletcli.wallet.state import sections
from walletcli.wallet.state.changes import RevokeDevices, SetBindings


def test_an_identity_is_made_in_one_trip(machines: Machines) -> None:
    wish = Wish(new=(NewIdentity("my work", {"name": "Alice"}, {"phone": "+1 555 0100"}),))
    applied = machines.trip(wish)
    assert [(item.kind, item.label) for item in applied.items] == [("create", "my work")]
    view = machines.view("my work")
    document = document_of(view.record)
    assert view.public_key == TREE.root(0).public_key
    assert (view.profile, view.sealed_profile) == ({"name": "Alice"}, {"phone": "+1 555 0100"})
    assert (view.changed, view.unseen, view.path, view.index) == (False, False, "m/9791'/0'", 0)
    assert view.recovery_key == TREE.recovery_public_key(0, 0)
    (device,) = document.delegations
    assert (device.signing_key, device.sealing_key) == (view.device_signing_key, view.device_sealing_key)
    assert device.powers == {Power.HOST, Power.MESSAGE, Power.SHARE}
    assert document.profile == {"name": "Alice"}
    assert document.previous is None


def test_the_words_alone_open_what_the_first_record_seals(machines: Machines) -> None:
    machines.trip(Wish(new=(NewIdentity("alice", {}, {"phone": "1"}),)))
    document = document_of(machines.view("alice").record)
    content = unseal(document.sections[0], TREE.recovery_secret(0, 0), sections.context(document.identity))
    assert sections.OwnerSection.from_bytes(content) == sections.OwnerSection("alice", {"phone": "1"})


def test_the_cold_side_holds_what_it_has_signed(alice: Machines) -> None:
    online, cold = alice.view("alice"), alice.view("alice", alice.cold)
    assert cold.record == online.record
    assert (cold.profile, cold.changed, cold.unseen) == ({"name": "Alice"}, False, False)
    with here(alice.online) as session:
        set_attribute(session, "alice", "name", "Alice B.")
        set_attribute(session, "alice", "mail", "a@example.org", sealed=True)
        rename_identity(session, "alice", "alice at home")
    alice.trip()
    cold = alice.view("alice at home", alice.cold)
    assert (cold.profile, cold.sealed_profile) == ({"name": "Alice B."}, {"mail": "a@example.org"})
    assert cold.record == alice.view("alice at home").record


def test_the_next_identity_gets_the_next_index(machines: Machines) -> None:
    for label in ("a", "b"):
        machines.create(label)
    assert [machines.view(label).index for label in ("a", "b")] == [0, 1]
    assert machines.view("b").public_key == TREE.root(1).public_key


def test_several_things_go_in_one_file(alice: Machines) -> None:
    alice.create("bob")
    with here(alice.online) as session:
        set_attribute(session, "alice", "name", "A.")
        set_attribute(session, "bob", "phone", "2", sealed=True)
        card = card_wish(session, "alice")
    made = alice.ask(Wish(("alice", "bob"), (NewIdentity("carol"), NewIdentity("dave")), (card,)))
    out = alice.directory / "out"
    out.mkdir()
    applied = alice.apply(alice.approve(made.path), out=str(out))
    assert [item.kind for item in applied.items] == ["publish", "publish", "create", "create", "sign"]
    assert applied.to_publish == ("alice", "bob", "carol", "dave")
    assert [alice.view(label).index for label in ("carol", "dave")] == [2, 3]
    assert document_of(alice.view("alice").record).profile == {"name": "A."}


def test_each_identity_signs_for_itself_and_for_no_other(alice: Machines) -> None:
    alice.create("bob")
    with here(alice.online) as session:
        set_attribute(session, "alice", "name", "A.")
        set_attribute(session, "bob", "name", "B.")
    file = ResponseFile.from_bytes(Path(alice.approve(alice.ask().path)).read_bytes())
    keys = [alice.view(label).public_key for label in ("alice", "bob")]
    assert [response.identity for response in file.responses] == keys
    assert keys[1] not in file.signed[0]
    assert keys[0] not in file.signed[1]


def test_identities_of_one_trip_share_nothing_that_goes_public(machines: Machines) -> None:
    machines.trip(Wish(new=(NewIdentity("a"), NewIdentity("b"))))
    views = [machines.view(label) for label in ("a", "b")]
    documents = [document_of(view.record) for view in views]
    parts = [
        {
            document.identity,
            document.seq,
            document.hash,
            *document.sections,
            *(key for device in document.delegations for key in (device.signing_key, device.sealing_key)),
        }
        for document in documents
    ]
    assert not parts[0] & parts[1]
    for view, other in zip(views, reversed(views), strict=True):
        for secret in (other.public_key, other.device_signing_key, other.device_sealing_key, other.recovery_key):
            assert secret not in (view.record or b"")


def test_what_is_signed_is_what_a_publish_would_have_signed(alice: Machines) -> None:
    with here(alice.online) as session:
        set_attribute(session, "alice", "name", "Alice B.")
        own = alice.view("alice")
        session.apply(SetBindings(own.index, (b"grant",)))
    made = alice.ask(Wish(("alice",)))
    alice.apply(alice.approve(made.path, accept=("grant",)))
    document = document_of(alice.view("alice").record)
    assert document == made.request.items[0].document  # type: ignore[union-attr]  # it asks for a record
    assert document.bindings == (b"grant",)
    assert alice.view("alice").bindings is None


def test_there_is_one_path_on_which_a_root_signs(alice: Machines) -> None:
    """What comes back is what the signer of a wallet with its root at hand gives for the same request."""
    with here(alice.online) as session:
        set_attribute(session, "alice", "name", "Alice B.")
    item = alice.ask().request.items[0]
    assert isinstance(item, PublishItem)
    alice.apply(alice.approve(_pending(alice)))
    there = SoftwareSigner(TREE.root(0), item.identity).sign(
        PacketRequest(item.identity, item.document, item.record.document)
    )
    assert Record.from_bytes(alice.view("alice").record or b"").packet == there


def test_a_record_that_was_signed_elsewhere_is_published(alice: Machines, relay: HonestRelay) -> None:
    with here(alice.online) as session:
        published = publish_identity(session, "alice", [relay.url])
        assert not published.new
        set_attribute(session, "alice", "name", "Alice B.")
    refused = refusal(lambda: _publish(alice, relay))
    assert refused.code == "wallet.watch-only"
    assert "request make alice" in refused.hint
    alice.trip()
    _publish(alice, relay)
    assert document_of(relay.record(alice.view("alice").public_key).to_bytes()).profile == {"name": "Alice B."}


def _publish(machines: Machines, relay: HonestRelay, *, on_top: bool = False) -> None:
    with here(machines.online) as session:
        publish_identity(session, "alice", [relay.url], on_top=on_top)


def test_an_unchanged_record_is_stored_again_although_the_device_should_be_renewed(
    alice: Machines, relay: HonestRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    (device,) = document_of(alice.view("alice").record).delegations
    later = (device.not_after_day - 10) * 86_400
    monkeypatch.setattr("walletcli.wallet.next_record.time.time", lambda: float(later))
    with here(alice.online) as session:
        assert not publish_identity(session, "alice", [relay.url]).new
    monkeypatch.setattr("walletcli.wallet.airgap.making.time.time", lambda: float(later))
    made = alice.ask()
    (renewed,) = made.request.items[0].document.delegations  # type: ignore[union-attr]  # it asks for a record
    assert renewed.signing_key == device.signing_key
    assert renewed.not_after_day > device.not_after_day


def test_what_is_decided_after_the_request_waits_for_the_next_one(alice: Machines) -> None:
    with here(alice.online) as session:
        set_attribute(session, "alice", "name", "Alice B.")
    made = alice.ask()
    with here(alice.online) as session:
        set_attribute(session, "alice", "phone", "1", sealed=True)
        session.apply(SetBindings(0, (b"later",)))
    alice.apply(alice.approve(made.path))
    view = alice.view("alice")
    assert (view.changed, view.bindings, view.sealed_profile) == (True, (b"later",), {"phone": "1"})
    alice.trip(accept=("grant",))
    view = alice.view("alice")
    assert (view.changed, view.bindings) == (False, None)


def test_a_retirement_goes_the_same_way(alice: Machines) -> None:
    with here(alice.online) as session:
        retire_identity(session, "alice", "no longer used")
    assert refusal(lambda: alice.approve(alice.ask().path)).code == "request.alarm"
    alice.apply(alice.approve(_pending(alice), accept=("retire",)))
    document = document_of(alice.view("alice").record)
    assert document.retirement is not None
    assert alice.view("alice", alice.cold).retired is not None
    assert refusal(lambda: alice.ask(Wish(("alice",)))).code == "request.nothing"


def _pending(machines: Machines) -> str:
    """Write the one request that waits once more, as a stick that was found again."""
    with here(machines.online) as session:
        (waiting,) = read_book(session).waiting
    path = machines.path()
    Path(path).write_bytes(waiting.request.to_bytes())
    return path


def test_a_second_approval_gives_the_same_response_and_signs_nothing(alice: Machines) -> None:
    with here(alice.online) as session:
        set_attribute(session, "alice", "name", "Alice B.")
    made = alice.ask(Wish(("alice",), (NewIdentity("bob"),)))
    first = alice.approve(made.path)
    with here(alice.cold) as session:
        generation = session.facts().generation
    second = alice.approve(made.path)
    assert Path(first).read_bytes() == Path(second).read_bytes()
    with here(alice.cold) as session:
        assert session.facts().generation == generation
    assert [item.answered for item in alice.review(made.path).items] == [True, True]


def test_the_owner_may_approve_some_items_and_others_later(alice: Machines) -> None:
    with here(alice.online) as session:
        set_attribute(session, "alice", "name", "Alice B.")
    made = alice.ask(Wish(("alice",), (NewIdentity("bob"), NewIdentity("carol"))))
    partly = alice.approve(made.path, items=(3,))
    assert [one.item for one in ResponseFile.from_bytes(Path(partly).read_bytes()).responses] == [3]
    whole = alice.approve(made.path, items=(1,))
    assert [one.item for one in ResponseFile.from_bytes(Path(whole).read_bytes()).responses] == [1, 3]
    applied = alice.apply(whole)
    assert applied.unanswered == (2,)
    assert alice.view("carol").index == 2
    with here(alice.online) as session:
        assert [item.label for item in session.summaries()] == ["alice", "carol"]
        assert len(session._keeper._state.waiting) == 0  # type: ignore[union-attr]  # the device that was not wanted


def test_a_cold_wallet_that_was_restored_learns_what_it_is_asked_about(alice: Machines) -> None:
    restored = alice.restored_cold()
    with here(alice.online) as session:
        set_attribute(session, "alice", "name", "Alice B.")
    made = alice.ask()
    (item,) = alice.review(made.path, restored).items
    assert [found.name for found in item.alarms] == ["history"]
    assert refusal(lambda: alice.approve(made.path, restored)).code == "request.alarm"
    alice.apply(alice.approve(made.path, restored, accept=("history",)))
    assert alice.view("alice", restored).record == alice.view("alice").record
    with here(alice.online) as session:
        set_attribute(session, "alice", "name", "Alice C.")
    (item,) = alice.review(alice.ask().path, restored).items
    assert item.alarms == ()


def test_a_root_signs_a_card(alice: Machines) -> None:
    with here(alice.online) as session:
        made = make_request(session, Wish(statements=(card_wish(session, "alice"),)), alice.path(), offline=True)
    response = alice.approve(made.path)
    assert refusal(lambda: alice.apply(response)).code == "response.out"
    (item,) = alice.apply(response, out=str(alice.directory)).items
    assert item.statement == str(alice.directory / "item-1.card")
    card, sign1 = verify_card(CardFile.from_bytes(Path(item.statement).read_bytes()).card)
    view = alice.view("alice")
    assert (card.identity, sign1.signer, card.attributes) == (view.public_key, view.public_key, {"name": "Alice"})
    record = Record.from_bytes(view.record or b"")
    check_authority(sign1, view.public_key, record, Power.SHARE, card.day, root_allowed=True)


def test_a_root_signs_a_contact_list_that_its_owner_reads(alice: Machines) -> None:
    with here(alice.online) as session:
        made = make_request(session, Wish(statements=(export_wish(session, "alice"),)), alice.path(), offline=True)
    answer, taken = alice.approve(made.path), alice.directory / "a file"
    taken.touch()
    assert refusal(lambda: alice.apply(answer, out=str(taken))).code == "storage.failed"
    (item,) = alice.apply(answer, out=str(alice.directory / "new" / "place")).items  # and so it was not lost
    file = read_export_file(Path(item.statement or "").read_bytes())
    assert isinstance(file, SealedExport)
    export, sign1 = verify_export(file.open(TREE.recovery_secret(0, 0)).export)
    assert sign1.signer == export.identity == alice.view("alice").public_key


def enrolled(machines: Machines, relay: HonestRelay | None = None, name: str = "laptop") -> str:
    """Ask on another online machine to become a device of Alice's; return the path of the request."""
    home = machines.new_watch(name)
    record = Record.from_bytes(machines.view("alice").record or b"")
    with here(home) as session:
        who = machines.view("alice").summary().did
        if relay is not None:
            return ask_to_enrol(session, who, machines.path(), [relay.url]).path
        return ask_to_enrol(session, who, machines.path(), record=record).path


def test_a_second_online_wallet_is_enrolled_in_one_trip(alice: Machines, relay: HonestRelay) -> None:
    with here(alice.online) as session:
        set_attribute(session, "alice", "phone", "+1 555 0100", sealed=True)
    alice.trip()
    _publish(alice, relay)
    path = enrolled(alice, relay)
    (item,) = alice.review(path).items
    assert item.alarms == ()
    assert any(line.startswith("ADDS the device") for line in item.lines)
    laptop = replace_home(alice, "laptop")
    alice.apply(alice.approve(path), laptop)
    view = alice.view("alice", laptop)
    assert view.sealed_profile == {"phone": "+1 555 0100"}
    assert view.profile == {"name": "Alice"}
    assert view.contacted == (relay.url,)
    devices = {device.signing_key for device in document_of(view.record).delegations}
    assert devices == {view.device_signing_key, alice.view("alice").device_signing_key}


def replace_home(machines: Machines, name: str) -> Home:
    return Home(str(machines.directory / name))


def test_both_devices_go_on_and_lock_out_nobody(alice: Machines, relay: HonestRelay) -> None:
    _publish(alice, relay)
    path = enrolled(alice, relay)
    laptop = replace_home(alice, "laptop")
    alice.apply(alice.approve(path), laptop)
    with here(laptop) as session:
        publish_identity(session, "alice", [relay.url])
        set_attribute(session, "alice", "phone", "2", sealed=True)
    alice.trip(home=laptop)
    with here(laptop) as session:
        publish_identity(session, "alice", [relay.url])
    with here(alice.online) as session:
        set_attribute(session, "alice", "mail", "m", sealed=True)
        assert refusal(lambda: publish_identity(session, "alice", [relay.url])).code == "publish.newer-exists"
        made = make_request(session, Wish(("alice",)), alice.path(), [relay.url], on_top=True)
    alice.apply(alice.approve(made.path))
    _publish(alice, relay)
    assert alice.view("alice").sealed_profile == {"mail": "m", "phone": "2"}
    with here(laptop) as session:
        publish_identity(session, "alice", [relay.url], on_top=True)
    assert alice.view("alice", laptop).sealed_profile == {"mail": "m", "phone": "2"}


def test_a_lost_device_is_revoked_in_one_trip(alice: Machines, relay: HonestRelay) -> None:
    _publish(alice, relay)
    laptop = replace_home(alice, "laptop")
    alice.apply(alice.approve(enrolled(alice, relay)), laptop)
    with here(laptop) as session:
        session.apply(RevokeDevices(0, (alice.view("alice").device_signing_key,)))
    made = alice.ask(home=laptop)
    (item,) = alice.review(made.path).items
    assert any(line.startswith("REMOVES the device") for line in item.lines)
    alice.apply(alice.approve(made.path), laptop)
    view = alice.view("alice", laptop)
    assert [device.signing_key for device in document_of(view.record).delegations] == [view.device_signing_key]
    assert view.revoked == ()


def test_an_identity_is_found_by_its_key_if_its_index_is_not_known(machines: Machines) -> None:
    for label in ("a", "b", "alice"):
        machines.create(label)
    restored = machines.restored_cold()
    path = enrolled(machines)
    (item,) = machines.review(path, restored).items
    assert item.index == 2
    laptop = replace_home(machines, "laptop")
    machines.apply(machines.approve(path, restored, accept=("history",)), laptop)
    assert machines.view("alice", laptop).index == 2


def test_a_lost_response_is_made_good_by_a_record_file(alice: Machines) -> None:
    with here(alice.online) as session:
        set_attribute(session, "alice", "name", "Alice B.")
    alice.approve(alice.ask().path)  # and the stick breaks
    assert refusal(lambda: alice.approve(alice.ask().path)).code == "request.stale"
    record = alice.path()
    Path(record).write_bytes(alice.view("alice", alice.cold).record or b"")
    (item,) = alice.apply(record).items
    assert (item.kind, item.label) == ("record", "alice")
    assert alice.view("alice").record == alice.view("alice", alice.cold).record
    with here(alice.online) as session:
        set_attribute(session, "alice", "name", "Alice C.")
    alice.trip()


def test_a_wallet_that_holds_its_root_answers_requests_too(tmp_path: Path, machines: Machines) -> None:
    with here(machines.cold) as session:
        create_identity(session, "of its own")
    machines.create("asked for")
    assert machines.view("asked for").index == 1
    own = machines.view("of its own", machines.cold)
    assert (own.index, own.record) == (0, None)


def test_relays_are_asked_before_anything_is_drafted(alice: Machines, relay: HonestRelay) -> None:
    _publish(alice, relay)
    laptop = replace_home(alice, "laptop")
    alice.apply(alice.approve(enrolled(alice, relay)), laptop)
    with here(laptop) as session:
        publish_identity(session, "alice", [relay.url])
    with here(alice.online) as session:
        set_attribute(session, "alice", "name", "Alice B.")
        refused = refusal(lambda: make_request(session, Wish(("alice",)), alice.path(), [relay.url]))
    assert refused.code == "publish.newer-exists"


def test_the_cold_clock_reaches_nothing_that_leaves(machines: Machines, monkeypatch: pytest.MonkeyPatch) -> None:
    made = machines.ask(Wish(new=(NewIdentity("alice"),)))
    (item,) = RequestFile.from_bytes(Path(made.path).read_bytes()).items
    real = time.time
    monkeypatch.setattr("walletcli.wallet.access.keeper.time.time", lambda: real() - 40 * 86_400)
    assert [found.name for found in machines.review(made.path).items[0].alarms] == ["seq", "clock", "clock"]
    response = machines.approve(made.path, accept=("seq", "clock"))
    monkeypatch.setattr("walletcli.wallet.access.keeper.time.time", real)
    machines.apply(response)
    document = document_of(machines.view("alice").record)
    assert (document.seq, document.delegations) == (item.seq, (item.device,))  # type: ignore[union-attr]


@pytest.mark.parametrize("hours", [-26, -12, 0, 12, 23])
def test_hours_of_difference_between_the_clocks_disturb_nobody(
    machines: Machines, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    real: Callable[[], float] = time.time
    made = machines.ask(Wish(new=(NewIdentity("alice"),)))
    monkeypatch.setattr("walletcli.wallet.access.keeper.time.time", lambda: real() + hours * 3600)
    (item,) = machines.review(made.path).items
    assert item.alarms == () or hours < -24
    machines.apply(machines.approve(made.path, accept=("seq", "clock")))
