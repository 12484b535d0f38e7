"""The watch side takes over an answer to its own question, whole and once; anything else leaves it as it was."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.core.samples import BOB, sealing_key
from tests.wallet.airgap.parts import (
    OTHER_WORDS,
    TREE,
    Machines,
    document_of,
    forged,
    forged_record,
    here,
    refusal,
)
from tests.wallet.parts import opened, password
from walletcli.core.document import Document
from walletcli.core.identity_id import IdentityId
from walletcli.core.record import Record
from walletcli.core.request_file import RequestFile
from walletcli.core.response import Origin, Response
from walletcli.core.short_record import from_short, to_short
from walletcli.wallet.access.unlock import lock, unlock
from walletcli.wallet.airgap.making import NewIdentity, Wish, ask_to_enrol, make_request
from walletcli.wallet.airgap.waiting import cancel_request, list_requests
from walletcli.wallet.home import Home
from walletcli.wallet.identities import set_attribute
from walletcli.wallet.state.changes import Adopt, KeepDevices, TakeIdentity, TakeSigned
from walletcli.wallet.state.sections import OwnerSection, seal_section


def changed(machines: Machines, home: Home | None = None) -> str:
    """Make a request for Alice's next record; return its path."""
    with here(home or machines.online) as session:
        set_attribute(session, "alice", "name", f"Alice {time.time_ns()}")
    return machines.ask(home=home).path


def outcome(machines: Machines, path: str, home: Home | None = None) -> str:
    """Return what applying ends in; nothing in the wallet is different then."""
    with here(home or machines.online) as session:
        before = session.facts().generation, session.snapshot().wallet
    code = refusal(lambda: machines.apply(path, home)).code
    with here(home or machines.online) as session:
        assert (session.facts().generation, session.snapshot().wallet) == before
    return code


def write(machines: Machines, data: bytes) -> str:
    path = machines.path()
    Path(path).write_bytes(data)
    return path


def test_a_response_is_applied_once(alice: Machines) -> None:
    response = alice.approve(changed(alice))
    alice.apply(response)
    assert outcome(alice, response) == "response.applied"


def test_an_older_response_does_not_bring_an_older_record_back(alice: Machines) -> None:
    old = alice.approve(changed(alice))
    alice.apply(old)
    alice.apply(alice.approve(changed(alice)))
    record = alice.view("alice").record
    assert outcome(alice, old) == "response.applied"
    assert alice.view("alice").record == record


def test_a_response_to_a_cancelled_request_is_refused(alice: Machines) -> None:
    path = changed(alice)
    response = alice.approve(path)
    with here(alice.online) as session:
        cancel_request(session, RequestFile.from_bytes(Path(path).read_bytes()).request_id.hex()[:8])
    assert outcome(alice, response) == "response.cancelled"


def test_a_response_to_another_wallets_request_is_refused(alice: Machines) -> None:
    other = alice.new_watch("other")
    response = alice.approve(alice.ask(Wish(new=(NewIdentity("bob"),)), other).path)
    assert outcome(alice, response) == "response.unknown"
    alice.apply(response, other)


def test_a_response_to_a_request_that_was_altered_on_its_way_is_refused(alice: Machines) -> None:
    path = changed(alice)
    other = alice.tampered(path, lambda request: replace(request, expires_day=request.expires_day + 1))
    assert outcome(alice, alice.approve(other)) == "response.digest"


def test_a_response_that_comes_too_late_is_refused(alice: Machines, monkeypatch: pytest.MonkeyPatch) -> None:
    response = alice.approve(changed(alice))
    real = time.time
    monkeypatch.setattr("walletcli.wallet.airgap.applying.time.time", lambda: real() + 15 * 86_400)
    assert outcome(alice, response) == "response.expired"
    monkeypatch.setattr("walletcli.wallet.airgap.applying.time.time", lambda: real() + 12 * 86_400)
    alice.apply(response)


def test_every_altered_byte_is_noticed(alice: Machines) -> None:
    data = Path(alice.approve(changed(alice))).read_bytes()
    for position in range(0, len(data), 3):
        altered = bytearray(data)
        altered[position] ^= 0x41
        assert refusal(lambda: alice.apply(write(alice, bytes(altered)))).code  # noqa: B023 - called at once
    alice.apply(write(alice, data))


@pytest.mark.parametrize("content", [b"", b"walletcli response 1\n", b"\xff" * 99, bytes(3_000_000)])
def test_what_is_no_response_is_refused(alice: Machines, content: bytes) -> None:
    assert outcome(alice, write(alice, content)) in ("response.file", "cbor.truncated", "file.too-long")


def test_the_request_itself_is_told_from_the_answer_to_it_and_the_other_way_round(alice: Machines) -> None:
    request = changed(alice)
    refused = refusal(lambda: alice.apply(request))
    assert (refused.code, "request approve" in refused.hint) == ("response.is-request", True)
    response = alice.approve(request)
    refused = refusal(lambda: alice.review(response))
    assert (refused.code, "request apply" in refused.hint) == ("request.is-response", True)
    alice.apply(response)


FORGED: list[tuple[str, Callable[[Response], Response], str]] = [
    ("another item", lambda r: replace(r, item=2), "response.item"),
    ("another digest", lambda r: replace(r, digest=bytes(32)), "response.digest"),
    ("another request", lambda r: replace(r, request_id=bytes(16)), "response.unknown"),
    ("a signature over something else", lambda r: replace(r, signature=bytes(64)), "signature.invalid"),
]


@pytest.mark.parametrize(("change", "code"), [row[1:] for row in FORGED], ids=[row[0] for row in FORGED])
def test_a_response_that_the_root_signed_and_that_says_something_else_is_refused(
    alice: Machines, change: Callable[[Response], Response], code: str
) -> None:
    assert outcome(alice, write(alice, forged(alice.approve(changed(alice)), change))) == code


def test_another_identitys_root_does_not_answer(alice: Machines) -> None:
    alice.create("bob")
    response = alice.approve(changed(alice))
    other = forged(response, lambda r: replace(r, identity=TREE.root(1).public_key), 1)
    assert outcome(alice, write(alice, other)) == "response.identity"
    stranger = forged(response, lambda r: r, 1)
    assert outcome(alice, write(alice, stranger)) == "response.signer"


def test_a_record_in_the_place_of_a_signature_is_refused(alice: Machines) -> None:
    record = forged_record(document_of(alice.view("alice").record))
    origin = Origin(0, TREE.scheme, bytes(32), 0, TREE.wallet_check())

    def with_record(response: Response) -> Response:
        return replace(response, signature=None, record=to_short(record), origin=origin)

    assert outcome(alice, write(alice, forged(alice.approve(changed(alice)), with_record))) == "response.item"


def test_what_this_wallet_has_gone_on_from_is_not_undone(alice: Machines) -> None:
    first = changed(alice)
    with here(alice.online) as session:
        set_attribute(session, "alice", "motto", "x")
    second = alice.ask().path
    response = alice.approve(first)
    alice.apply(response)
    assert refusal(lambda: alice.approve(second)).code == "request.stale"
    restored = alice.restored_cold()
    late = alice.approve(second, restored, accept=("history",))  # a copy of the words that remembers nothing
    assert outcome(alice, late) == "response.stale"


# records that the other side drafted


def created(machines: Machines) -> str:
    return machines.approve(machines.ask(Wish(new=(NewIdentity("work", {"name": "A"}, {"phone": "1"}),))).path)


def redrafted(change: Callable[[Document], Document], index: int = 0) -> Callable[[Response], Response]:
    """Return what puts another record, signed by the real root, into a response."""

    def changed_response(response: Response) -> Response:
        document = from_short(response.record or b"").document
        assert document is not None
        return replace(response, record=to_short(forged_record(change(document), index)))

    return changed_response


CREATED: list[tuple[str, Callable[[Document], Document], str]] = [
    ("another seq", lambda d: replace(d, seq=d.seq + 1), "response.record"),
    ("no device", lambda d: replace(d, delegations=()), "response.record"),
    (
        "another device",
        lambda d: replace(d, delegations=(replace(d.delegations[0], sealing_key=sealing_key("x")),)),
        "response.record",
    ),
    ("a profile that was not asked for", lambda d: replace(d, profile={"name": "B"}), "response.record"),
    ("a predecessor", lambda d: replace(d, previous=bytes(32)), "response.record"),
    ("a binding", lambda d: replace(d, bindings=(b"grant",)), "response.record"),
    ("no section for the device", lambda d: replace(d, sections=()), "response.record"),
    ("a section of nobody", lambda d: replace(d, sections=(bytes(200),)), "response.record"),
]


@pytest.mark.parametrize(("change", "code"), [row[1:] for row in CREATED], ids=[row[0] for row in CREATED])
def test_a_new_identity_is_what_was_asked_for_or_refused(
    machines: Machines, change: Callable[[Document], Document], code: str
) -> None:
    response = created(machines)
    assert outcome(machines, write(machines, forged(response, redrafted(change)))) == code
    machines.apply(response)


@pytest.mark.parametrize(
    "said", [OwnerSection("evil", {"phone": "1"}), OwnerSection("work", {}), OwnerSection("work", {"phone": "2"})]
)
def test_other_sealed_words_than_those_that_were_asked_for_are_refused(machines: Machines, said: OwnerSection) -> None:
    response = created(machines)

    def relabelled(document: Document) -> Document:
        readers = [document.delegations[0].sealing_key, TREE.recovery_public_key(0, 0)]
        section = seal_section(said, document.identity, readers, os.urandom)
        return replace(document, sections=(section,))

    assert outcome(machines, write(machines, forged(response, redrafted(relabelled)))) == "response.record"


def test_an_identity_that_is_held_is_not_made_again(alice: Machines) -> None:
    """The other side has forgotten that it made identity 0, but an honest online wallet says what it knows."""
    made = alice.ask(Wish(new=(NewIdentity("bob"),)))
    restored = alice.restored_cold()
    assert made.request.items[0].least_index == 1
    response = alice.approve(made.path, restored, accept=("history",))
    assert alice.apply(response).items[0].label == "bob"
    assert alice.view("bob").index == 1


def test_other_words_do_not_answer_later(alice: Machines) -> None:
    other = alice.restored_cold(OTHER_WORDS)
    made = alice.ask(Wish(new=(NewIdentity("bob"),)))
    foreign = alice.approve(made.path, other, accept=("history",))
    assert outcome(alice, foreign) == "response.foreign"
    alice.apply(alice.approve(made.path))


def enrolment(machines: Machines) -> tuple[str, Home]:
    laptop = machines.new_watch("laptop")
    record = Record.from_bytes(machines.view("alice").record or b"")
    with here(laptop) as session:
        made = ask_to_enrol(session, IdentityId(record.packet.public_key).did, machines.path(), record=record)
    return machines.approve(made.path), laptop


ENROLLED: list[tuple[str, Callable[[Document], Document]]] = [
    ("without the device", lambda d: replace(d, delegations=d.delegations[:1])),
    ("without the other device", lambda d: replace(d, delegations=d.delegations[1:])),
    ("another profile", lambda d: replace(d, profile={})),
    ("another seq", lambda d: replace(d, seq=d.seq + 1)),
    ("another predecessor", lambda d: replace(d, previous=bytes(32))),
    ("an unreadable owner's section", lambda d: replace(d, sections=())),
]


@pytest.mark.parametrize("change", [row[1] for row in ENROLLED], ids=[row[0] for row in ENROLLED])
def test_an_enrolment_adds_the_device_and_changes_nothing_else(
    alice: Machines, change: Callable[[Document], Document]
) -> None:
    response, laptop = enrolment(alice)
    assert outcome(alice, write(alice, forged(response, redrafted(change))), laptop) == "response.record"
    alice.apply(response, laptop)


def test_an_enrolment_of_another_identity_is_refused(alice: Machines) -> None:
    alice.create("bob")
    response, laptop = enrolment(alice)
    bob = document_of(alice.view("bob").record)

    def of_bob(answer: Response) -> Response:
        return replace(answer, identity=TREE.root(1).public_key, record=to_short(forged_record(bob, 1)))

    assert outcome(alice, write(alice, forged(response, of_bob, 1)), laptop) == "response.identity"


# what a program of the same user can ask for by itself


def test_no_program_can_make_a_wallet_hold_what_no_device_waits_for(alice: Machines) -> None:
    record = alice.view("alice").record or b""
    origin = ("walletcli", 5, bytes(32), 0, bytes(16), 20_000, ())
    with here(alice.online) as session:
        change = TakeIdentity(("x", ()), bytes(32), record, *origin)
        assert refusal(lambda: session.apply(change)).code == "response.record"
    with here(alice.cold) as session:
        assert refusal(lambda: session.apply(change)).code == "request.not-watch"


def test_no_program_can_make_a_wallet_go_on_with_what_the_root_did_not_sign(alice: Machines) -> None:
    with here(alice.online) as session:
        own = alice.view("alice")
        for record, code in (
            (forged_record(replace(document_of(own.record), seq=9)).to_bytes(), "response.stale"),
            (own.record or b"", "response.stale"),
            (b"walletcli record 1\n", "cbor.truncated"),
        ):
            assert refusal(lambda: session.apply(TakeSigned(0, record, bytes(32)))).code == code  # noqa: B023


def test_devices_that_do_not_wait_cannot_be_kept(alice: Machines) -> None:
    with here(alice.online) as session:
        assert refusal(lambda: session.apply(KeepDevices((bytes(32),)))).code == "request.device-gone"


def test_private_halves_of_waiting_devices_are_shown_to_nobody(machines: Machines) -> None:
    machines.ask(Wish(new=(NewIdentity("alice"),)))
    with here(machines.online) as session:
        (secrets,) = session._keeper._state.waiting.values()
        shown = [session.ask(4), session.ask(10, None, "requests"), session.ask(2)]
    for secret in (secrets.signing.reveal(), secrets.sealing.reveal()):
        assert all(secret not in repr(value).encode() and secret.hex() not in repr(value) for value in shown)
        assert secret not in (shown[1] or b"")


def test_an_agent_of_a_watch_wallet_asks_and_applies_as_well(machines: Machines) -> None:
    unlock(machines.online, password)
    try:
        with opened(machines.online) as session:
            made = make_request(session, Wish(new=(NewIdentity("alice"),)), machines.path(), offline=True)
        response = machines.approve(made.path)
        machines.apply(response)
        with opened(machines.online) as session:
            assert [item.label for item in session.summaries()] == ["alice"]
    finally:
        lock(machines.online)


# asking


def test_a_wallet_with_its_root_asks_nobody(machines: Machines) -> None:
    for action in (
        lambda: machines.ask(Wish(new=(NewIdentity("a"),)), machines.cold),
        lambda: machines.apply(machines.path(), machines.cold),
    ):
        assert refusal(action).code == "request.not-watch"
    with here(machines.cold) as session:
        assert refusal(lambda: session.new_devices(1)).code == "request.not-watch"


def test_nothing_is_asked_for_if_nothing_waits(alice: Machines) -> None:
    assert refusal(lambda: alice.ask()).code == "request.nothing"
    assert refusal(lambda: alice.ask(Wish(("alice",)))).code == "request.nothing"
    assert refusal(lambda: alice.ask(Wish(("nobody",)))).code == "identity.unknown"


def test_a_label_is_asked_for_once(alice: Machines) -> None:
    assert refusal(lambda: alice.ask(Wish(new=(NewIdentity("Alice"),)))).code == "label.exists"
    assert refusal(lambda: alice.ask(Wish(new=(NewIdentity("b"), NewIdentity("B"))))).code == "label.exists"
    assert refusal(lambda: alice.ask(Wish(new=(NewIdentity("did:key:x"),)))).code == "label.malformed"


def test_a_file_that_is_there_is_not_replaced_and_nothing_waits_then(alice: Machines) -> None:
    path = write(alice, b"precious")
    with here(alice.online) as session:
        wish = Wish(new=(NewIdentity("b"),))
        assert refusal(lambda: make_request(session, wish, path, offline=True)).code == "file.exists"
        missing = str(alice.directory / "no" / "such" / "place")
        assert refusal(lambda: make_request(session, wish, missing, offline=True)).code == "storage.failed"
        assert "waiting" not in [item.state for item in list_requests(session)]
        assert not session._keeper._state.waiting
    assert Path(path).read_bytes() == b"precious"


def test_more_requests_than_can_wait_are_not_made(machines: Machines) -> None:
    for number in range(16):
        machines.ask(Wish(new=(NewIdentity(f"a{number}"),)))
    assert refusal(lambda: machines.ask(Wish(new=(NewIdentity("b"),)))).code == "request.too-many"
    with here(machines.online) as session:
        assert len(session._keeper._state.waiting) in (16, 17)
        waiting = list_requests(session)
        assert [item.state for item in waiting] == ["waiting"] * 16
        cancel_request(session, waiting[0].request_id.hex())
        assert len(session._keeper._state.waiting) == 15
    machines.ask(Wish(new=(NewIdentity("b"),)))


@pytest.mark.parametrize("named", ["", "abc", "zzzz", "0" * 32])
def test_a_request_that_there_is_not_cannot_be_cancelled(alice: Machines, named: str) -> None:
    changed(alice)
    with here(alice.online) as session:
        assert refusal(lambda: cancel_request(session, named)).code == "request.unknown"


def test_a_wallet_is_not_enrolled_where_it_is_a_device(alice: Machines) -> None:
    record = Record.from_bytes(alice.view("alice").record or b"")
    with here(alice.online) as session:
        did = IdentityId(record.packet.public_key).did
        assert refusal(lambda: ask_to_enrol(session, did, alice.path(), record=record)).code == "identity.exists"
        bob = IdentityId(BOB.public_key).did
        refused = refusal(lambda: ask_to_enrol(session, bob, alice.path(), record=record))
        assert refused.code == "record.identity-mismatch"
        refused = refusal(lambda: ask_to_enrol(session, bob, alice.path()))
        assert refused.code == "relay.none"
        pending = Record(record.packet, None)
        other = alice.new_watch("laptop")
    with here(other) as session:
        refused = refusal(lambda: ask_to_enrol(session, did, alice.path(), record=pending))
        assert refused.code == "record.pending"


def test_a_record_file_of_somebody_else_or_of_before_is_not_taken_over(alice: Machines) -> None:
    bob = forged_record(Document(TREE.root(9).public_key, 5), 9)
    assert outcome(alice, write(alice, bob.to_bytes())) == "identity.unknown"
    assert outcome(alice, write(alice, alice.view("alice").record or b"")) == "record.not-newer"


def test_a_later_record_is_gone_on_from_with_what_was_decided(alice: Machines) -> None:
    before = document_of(alice.view("alice").record)
    newer = forged_record(replace(before, seq=before.seq + 1, previous=before.hash, profile={"name": "N"}))
    with here(alice.online) as session:
        set_attribute(session, "alice", "phone", "1", sealed=True)
        session.apply(Adopt(0, newer.to_bytes()))
    view = alice.view("alice")
    assert (view.profile, view.sealed_profile, view.changed) == ({"name": "N"}, {"phone": "1"}, True)
