"""The cold side signs nothing that it has not parsed, checked and told: a hostile machine gets an error or an alarm."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.core.samples import BOB, DAY, approvers, key, sealing_key
from tests.wallet.airgap.parts import (
    ALL_ALARMS,
    OTHER_WORDS,
    TREE,
    Machines,
    document_of,
    forged_record,
    here,
    refusal,
    with_document,
    with_item,
)
from tests.wallet.parts import opened, password
from walletcli.core.card import Card
from walletcli.core.document import Document
from walletcli.core.document_parts import Delegation, Power, Retirement, Succession
from walletcli.core.login import Login, Purpose
from walletcli.core.record import SEQ_LIMIT, Record
from walletcli.core.relation import Relation
from walletcli.core.request_file import RequestFile
from walletcli.core.request_items import CreateItem, EnrolItem, Item, SignItem
from walletcli.wallet.access.unlock import lock, unlock
from walletcli.wallet.airgap.making import NewIdentity, Wish
from walletcli.wallet.identities import create_identity, set_attribute
from walletcli.wallet.state.changes import Adopt, PutDrawer

DAY_US = 86_400_000_000


@pytest.fixture
def asked(alice: Machines) -> str:
    """A request for Alice's next record."""
    with here(alice.online) as session:
        set_attribute(session, "alice", "name", "Alice B.")
    return alice.ask().path


def outcome(machines: Machines, path: str, accept: tuple[str, ...] = ALL_ALARMS) -> str:
    """Return what approving ends in; the wallet is as before."""
    with here(machines.cold) as session:
        before = session.facts().generation
    code = refusal(lambda: machines.approve(path, accept=accept)).code
    with here(machines.cold) as session:
        assert session.facts().generation == before
    (item, *_) = machines.review(path).items
    assert item.error is not None or code in ("request.alarm", "request.expired")
    if item.error is not None:
        assert item.error[0] == code
    return code


REFUSED: list[tuple[str, Callable[[Document], Document], str]] = [
    ("another identity's document", lambda d: replace(d, identity=BOB.public_key), "request.identity"),
    ("a document that follows another", lambda d: replace(d, previous=bytes(32)), "request.previous"),
    ("a first document once more", lambda d: replace(d, previous=None), "request.previous"),
    ("the seq of the record before", lambda d: replace(d, seq=1), "request.seq"),
    ("a seq of the year 2100", lambda d: replace(d, seq=SEQ_LIMIT), "request.seq"),
    ("a successor", lambda d: replace(d, succession=Succession(bytes(32), 30)), "request.successor"),
]


@pytest.mark.parametrize(("change", "code"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_no_owner_can_accept_is_refused(
    alice: Machines, asked: str, change: Callable[[Document], Document], code: str
) -> None:
    assert outcome(alice, alice.tampered(asked, with_document(change))) == code


def test_approvers_and_successor_are_not_dropped(alice: Machines) -> None:
    before = document_of(alice.view("alice", alice.cold).record)
    guarded = replace(
        before,
        seq=before.seq + 1,
        previous=before.hash,
        approvers=approvers(2, 1),
        succession=Succession(bytes(32), 30),
    )
    record = forged_record(guarded)
    with here(alice.online) as session:
        session.apply(Adopt(0, record.to_bytes()))
        set_attribute(session, "alice", "name", "Alice B.")
    path = alice.ask().path
    (item,) = alice.review(alice.tampered(path, with_document(lambda d: replace(d, approvers=None)))).items
    assert "approvers" in [found.name for found in item.alarms]
    assert "REMOVES all approvers" in item.lines
    tampered = alice.tampered(path, with_document(lambda d: replace(d, succession=None)))
    assert outcome(alice, tampered) == "request.successor"
    lines = alice.review(path).items[0].lines
    assert "approvers: 1 of 2" in lines
    assert "a successor, who may take over after 30 days" in lines


def hidden(name: str = "attacker") -> Delegation:
    today = int(time.time()) // 86_400
    powers = frozenset({Power.HOST, Power.MESSAGE, Power.SHARE})
    return Delegation(key(name).public_key, sealing_key(name), powers, today, today + 90)


def with_device(document: Document, item: Delegation) -> Document:
    kept = [one for one in document.delegations if one.signing_key != item.signing_key]
    return replace(document, delegations=tuple(sorted((*kept, item), key=lambda one: one.signing_key)))


def jumped(document: Document) -> Document:
    return replace(document, seq=int(time.time() * 1e6) + 3 * DAY_US)


ALARMING: list[tuple[str, Callable[[Document], Document], str, str]] = [
    ("a device that is slipped in", lambda d: with_device(d, hidden()), "device", "A NEW DEVICE"),
    (
        "a device that gets another sealing key",
        lambda d: with_device(d, replace(d.delegations[0], sealing_key=sealing_key("attacker"))),
        "device",
        "OTHER KEYS OR POWERS",
    ),
    (
        "a device that gets more powers",
        lambda d: with_device(d, replace(d.delegations[0], powers=frozenset(Power))),
        "device",
        "OTHER KEYS OR POWERS",
    ),
    ("a seq far ahead", jumped, "seq", "seq jumps"),
    ("a binding of nobody", lambda d: replace(d, bindings=(b"grant",)), "grant", "does not verify"),
    ("no section for the words", lambda d: replace(d, sections=()), "recovery", "would not bring"),
    ("a section sealed to somebody else", lambda d: replace(d, sections=(bytes(300),)), "recovery", "would not bring"),
    (
        "approvers that nobody chose",
        lambda d: replace(d, approvers=approvers(2, 1)),
        "approvers",
        "OTHER APPROVERS",
    ),
    (
        "the end",
        lambda d: replace(d, retirement=Retirement(DAY), profile={}, delegations=(), sections=d.sections),
        "retire",
        "for good",
    ),
    (
        "a device from next year",
        lambda d: with_device(
            d,
            replace(
                d.delegations[0],
                not_before_day=int(time.time()) // 86_400 + 300,
                not_after_day=int(time.time()) // 86_400 + 390,
            ),
        ),
        "clock",
        "by this machine's clock",
    ),
]


@pytest.mark.parametrize(("change", "name", "text"), [row[1:] for row in ALARMING], ids=[row[0] for row in ALARMING])
def test_what_an_honest_wallet_does_not_ask_raises_an_alarm(
    alice: Machines, asked: str, change: Callable[[Document], Document], name: str, text: str
) -> None:
    path = alice.tampered(asked, with_document(change))
    (item,) = alice.review(path).items
    assert [found.name for found in item.alarms] == [name]
    assert text in item.alarms[0].text
    others = tuple(other for other in ALL_ALARMS if other != name)
    assert outcome(alice, path, others) == "request.alarm"
    alice.approve(path, accept=(name,))


def test_an_honest_request_raises_no_alarm(alice: Machines, asked: str) -> None:
    (item,) = alice.review(asked).items
    assert (item.alarms, item.error, item.label, item.index) == ((), None, "alice", 0)


def test_one_accepted_alarm_does_not_cover_another(alice: Machines, asked: str) -> None:
    path = alice.tampered(asked, with_document(lambda d: jumped(with_device(d, hidden()))))
    assert outcome(alice, path, ("seq",)) == "request.alarm"
    assert outcome(alice, path, ("device",)) == "request.alarm"


def test_whatever_differs_is_told(alice: Machines, asked: str) -> None:
    path = alice.tampered(
        asked,
        with_document(lambda d: with_device(replace(d, profile={"motto": "new"}, bindings=(b"grant",)), hidden())),
    )
    lines = "\n".join(alice.review(path).items[0].lines)
    for told in (
        "removes public name",
        "public motto = new (new)",
        f"ADDS the device {key('attacker').public_key.hex()[:16]}",
        "ADDS the binding with nobody known",
        "DOES NOT VERIFY",
    ):
        assert told in lines


def test_two_trips_that_cross_each_other_are_not_both_signed(alice: Machines, asked: str) -> None:
    with here(alice.online) as session:
        set_attribute(session, "alice", "motto", "x")
    second = alice.ask().path
    response = alice.approve(asked)
    assert outcome(alice, second) == "request.stale"
    hint = (alice.review(second).items[0].error or ("", "", ""))[2]
    assert "apply that answer first" in hint
    assert "walletcli record export" in hint, "the way on where no answer is left"
    alice.apply(response)
    alice.trip()
    assert document_of(alice.view("alice").record).profile == {"name": "Alice B.", "motto": "x"}


def test_a_seq_is_never_used_for_two_documents(alice: Machines, asked: str) -> None:
    alice.approve(asked)
    seqs = {Record.from_bytes(alice.view("alice", alice.cold).record or b"").packet.seq}
    for name in ("other", "another"):
        path = alice.tampered(asked, with_document(lambda d, name=name: replace(d, profile={"name": name})))
        assert outcome(alice, path) == "request.stale"
    seqs.add(Record.from_bytes(alice.view("alice", alice.cold).record or b"").packet.seq)
    assert len(seqs) == 1


def test_a_record_that_somebody_else_signed_is_no_base(alice: Machines, asked: str) -> None:
    path = Path(asked)
    path.write_bytes(path.read_bytes().replace(alice.view("alice").public_key, BOB.public_key))
    assert refusal(lambda: alice.review(asked)).code == "signature.invalid"


def test_another_record_with_the_seq_of_the_last_one_is_a_split(alice: Machines, asked: str) -> None:
    last = document_of(alice.view("alice", alice.cold).record)
    twin = forged_record(replace(last, profile={"name": "twin"}))
    path = alice.tampered(
        asked,
        with_item(
            lambda item: replace(
                item, record=twin, document=replace(item.document, previous=document_of(twin.to_bytes()).hash)
            )
        ),
    )
    assert outcome(alice, path) == "request.split"


def test_a_newer_record_of_another_copy_of_the_words_raises_an_alarm(alice: Machines, asked: str) -> None:
    last = document_of(alice.view("alice", alice.cold).record)
    newer = forged_record(replace(last, seq=last.seq + 5, previous=last.hash))
    path = alice.tampered(
        asked,
        with_item(
            lambda item: replace(
                item,
                record=newer,
                document=replace(item.document, previous=document_of(newer.to_bytes()).hash, seq=last.seq + 10),
            )
        ),
    )
    (item,) = alice.review(path).items
    assert [found.name for found in item.alarms] == ["history"]
    assert outcome(alice, path, ()) == "request.alarm"
    alice.approve(path, accept=("history",))


def test_a_record_from_before_is_refused_by_who_signed_a_later_one(alice: Machines, asked: str) -> None:
    """The online machine replays the state of weeks ago, with a device in it that was revoked since."""
    alice.apply(alice.approve(asked))
    old = RequestFile.from_bytes(Path(asked).read_bytes())
    path = alice.path()
    Path(path).write_bytes(replace(old, request_id=bytes(16)).to_bytes())
    assert outcome(alice, path) == "request.stale"


@pytest.mark.parametrize("index", [1, 7, 2_147_483_646])
def test_an_index_that_gives_another_key_is_refused(alice: Machines, asked: str, index: int) -> None:
    path = alice.tampered(asked, with_item(lambda item: replace(item, index=index)))
    assert outcome(alice, path) == "request.foreign"


def test_a_wallet_of_other_words_signs_nothing(alice: Machines, asked: str) -> None:
    other = alice.restored_cold(OTHER_WORDS)
    assert refusal(lambda: alice.approve(asked, other, accept=ALL_ALARMS)).code == "request.foreign"
    enrol = alice.path()
    record = Record.from_bytes(alice.view("alice").record or b"")
    item = EnrolItem(record.packet.public_key, None, record, hidden(), record.packet.seq + 9)
    Path(enrol).write_bytes(request_of(item).to_bytes())
    assert refusal(lambda: alice.approve(enrol, other, accept=ALL_ALARMS)).code == "request.foreign"


def request_of(*items: Item) -> RequestFile:
    today = int(time.time()) // 86_400
    return RequestFile(os.urandom(16), today, today + 14, items)


def written(machines: Machines, *items: Item) -> str:
    path = machines.path()
    Path(path).write_bytes(request_of(*items).to_bytes())
    return path


def enrolment(machines: Machines, asking: Delegation, **changes: Any) -> str:
    record = Record.from_bytes(machines.view("alice").record or b"")
    item = EnrolItem(record.packet.public_key, None, record, asking, record.packet.seq + 9)
    return written(machines, replace(item, **changes))


def test_a_device_is_enrolled_once(alice: Machines) -> None:
    (own,) = document_of(alice.view("alice").record).delegations
    for asking in (own, replace(hidden(), signing_key=own.signing_key), replace(hidden(), sealing_key=own.sealing_key)):
        assert outcome(alice, enrolment(alice, asking)) == "request.enrolled"


def test_an_enrolment_with_an_old_seq_is_refused(alice: Machines) -> None:
    assert outcome(alice, enrolment(alice, hidden(), seq=1)) == "request.seq"


def test_a_device_that_wants_to_grant_raises_an_alarm(alice: Machines) -> None:
    path = enrolment(alice, replace(hidden(), powers=frozenset(Power)))
    assert [found.name for found in alice.review(path).items[0].alarms] == ["device"]


def test_no_more_devices_are_enrolled_than_can_read(alice: Machines) -> None:
    for number in range(7):
        alice.approve(enrolment(alice, hidden(f"device {number}")))
        with here(alice.online) as session:
            session.apply(Adopt(0, alice.view("alice", alice.cold).record))
    assert len(document_of(alice.view("alice").record).delegations) == 8
    assert outcome(alice, enrolment(alice, hidden("one more"))) == "request.devices"


def test_a_restored_wallet_does_not_know_which_indices_are_free(machines: Machines) -> None:
    restored = machines.restored_cold()
    made = machines.ask(Wish(new=(NewIdentity("alice"),)))
    assert [found.name for found in machines.review(made.path, restored).items[0].alarms] == ["history"]
    assert refusal(lambda: machines.approve(made.path, restored)).code == "request.alarm"


def test_an_index_that_the_online_side_knows_to_be_used_is_not_used(machines: Machines) -> None:
    made = machines.ask(Wish(new=(NewIdentity("alice"),)))
    path = machines.tampered(made.path, with_item(lambda item: replace(item, least_index=5)))  # type: ignore[arg-type]
    assert machines.review(path).items[0].index == 5
    with here(machines.cold) as session:
        create_identity(session, "six", 6)
    assert machines.review(path).items[0].index == 7


def test_beyond_the_last_index_there_is_nothing(machines: Machines) -> None:
    item = CreateItem("a", hidden(), {}, {}, 5, 2_147_483_646)
    assert machines.review(written(machines, item)).items[0].error is None
    path = written(machines, item, replace(item, label="b"))
    assert (machines.review(path).items[1].error or ("",))[0] == "request.foreign"


def statement(typ: str, payload: bytes, index: int = 0) -> SignItem:
    return SignItem(TREE.root(index).public_key, index, typ, payload)


def test_statements_are_parsed_and_of_the_identity_and_of_few_types(alice: Machines) -> None:
    own = TREE.root(0).public_key
    bobs = Card(BOB.public_key, {"name": "Alice"}, DAY, DAY + 30)
    others = Relation.between(BOB.public_key, key("carol").public_key, bytes(16), DAY, DAY + 30)
    login = Login(own, BOB.public_key, bytes(16), 5, Purpose.ROOT)
    for typ, payload, code in (
        (Card.TYP, bobs.to_payload(), "statement.identity"),
        (Relation.TYP, others.to_payload(), "statement.identity"),
        (Card.TYP, b"\xa0", "card.unknown-version"),
        (Card.TYP, b"3:seqi1e1:v0:", "cbor.trailing"),
        (Login.TYP, login.to_payload(), "statement.unknown"),
        ("application/walletcli-response+cose", b"\xa0", "statement.unknown"),
        ("application/walletcli-grant+cose", b"\xa0", "statement.unknown"),
    ):
        assert outcome(alice, written(alice, statement(typ, payload))) == code


def test_a_statement_for_another_index_is_refused(alice: Machines) -> None:
    card = Card(TREE.root(0).public_key, {}, DAY, DAY + 30)
    item = replace(statement(Card.TYP, card.to_payload()), index=1)
    assert outcome(alice, written(alice, item)) == "request.foreign"


def test_an_expired_request_is_shown_and_not_signed(
    alice: Machines, asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = time.time
    monkeypatch.setattr("walletcli.wallet.access.keeper.time.time", lambda: real() + 15 * 86_400)
    assert alice.review(asked).expired
    assert outcome(alice, asked) == "request.expired"


def test_an_expired_request_that_was_answered_gives_the_same_answer(
    alice: Machines, asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Path(alice.approve(asked)).read_bytes()
    real = time.time
    monkeypatch.setattr("walletcli.wallet.access.keeper.time.time", lambda: real() + 15 * 86_400)
    assert Path(alice.approve(asked)).read_bytes() == first


def test_a_request_from_tomorrow_but_one_raises_an_alarm(
    alice: Machines, asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = time.time
    monkeypatch.setattr("walletcli.wallet.access.keeper.time.time", lambda: real() - 3 * 86_400)
    assert "clock" in [found.name for found in alice.review(asked).items[0].alarms]
    assert outcome(alice, asked, ()) == "request.alarm"


def test_the_digest_has_to_be_that_of_the_file(alice: Machines, asked: str) -> None:
    data = Path(asked).read_bytes()
    with here(alice.cold) as session:
        refused = refusal(lambda: session.approve_request(data, bytes(32), [1], []))
    assert refused.code == "request.digest"


def test_an_item_that_there_is_not_is_refused(alice: Machines, asked: str) -> None:
    assert refusal(lambda: alice.approve(asked, items=(2,))).code == "request.item"


def test_one_bad_item_keeps_all_from_being_signed(alice: Machines, asked: str) -> None:
    request = RequestFile.from_bytes(Path(asked).read_bytes())
    card = Card(BOB.public_key, {}, DAY, DAY + 30)
    path = alice.path()
    bad = statement(Card.TYP, card.to_payload())
    Path(path).write_bytes(replace(request, items=(*request.items, bad)).to_bytes())
    assert refusal(lambda: alice.approve(path)).code == "statement.identity"
    assert alice.view("alice", alice.cold).record == alice.view("alice").record
    alice.approve(path, items=(1,))


def test_the_agent_shows_and_does_not_approve(alice: Machines, asked: str) -> None:
    data = Path(asked).read_bytes()
    request = RequestFile.from_bytes(data)
    unlock(alice.cold, password)
    try:
        with opened(alice.cold) as session:
            assert session.review_request(data)
            refused = refusal(lambda: session.approve_request(data, request.digest, [1], []))
            assert refused.code == "request.consent"
    finally:
        lock(alice.cold)


def test_a_watch_wallet_reads_requests_and_approves_none(alice: Machines, asked: str) -> None:
    review = alice.review(asked, alice.online)
    assert not review.by_root
    assert review.items[0].lines
    assert refusal(lambda: alice.approve(asked, alice.online)).code == "wallet.watch-only"


def test_both_machines_show_one_digest(alice: Machines, asked: str) -> None:
    assert alice.review(asked).words == alice.review(asked, alice.online).words


def test_a_log_that_a_program_has_spoiled_makes_nothing_be_signed_twice(alice: Machines, asked: str) -> None:
    alice.approve(asked)
    with here(alice.cold) as session:
        data = session.drawer(None, "requests")
        assert data is not None
        session.put_drawers(PutDrawer(None, "requests", None, hashlib.sha256(data).digest()))
    assert outcome(alice, asked) == "request.stale"


def test_text_in_a_request_cannot_draw_on_the_screen(alice: Machines, asked: str) -> None:
    path = alice.tampered(
        asked, with_document(lambda d: replace(d, profile={"name": "A\nRETIRES the identity", "x": "х" * 500}))
    )
    for line in alice.review(path).items[0].lines:
        assert line.isascii() and line.isprintable() and len(line) <= 160


def test_the_cold_wallet_keeps_decisions_of_its_own(alice: Machines, asked: str) -> None:
    with here(alice.cold) as session:
        set_attribute(session, "alice", "motto", "mine")
    alice.approve(asked)
    view = alice.view("alice", alice.cold)
    assert view.profile == {"name": "Alice B.", "motto": "mine"}
    assert view.changed
