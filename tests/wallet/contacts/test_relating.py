"""Relations: offered, accepted, completed; replays, other parties, revoked devices and all else are refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.core.samples import key
from tests.wallet.contacts.people import TODAY, Owner, Stranger
from walletcli.core.cose import Sign1
from walletcli.core.record import Record
from walletcli.core.relation import Relation, RelationFile, from_link, to_link, verify_relation
from walletcli.core.short_record import from_short
from walletcli.errors import FormatError, WalletError
from walletcli.wallet.contacts.adding import add_contact, introduction_from
from walletcli.wallet.contacts.contact import HeldRelation
from walletcli.wallet.contacts.editing import block_contact
from walletcli.wallet.contacts.relating import (
    Related,
    accept_relation,
    complete_relation,
    offer_relation,
    read_relation,
)
from walletcli.wallet.contacts.report import ContactReport
from walletcli.wallet.identities import create_identity, show_identity


@pytest.fixture(autouse=True)
def known(owner: Owner, bob: Stranger) -> None:
    """Bob is a contact."""
    add_contact(owner.session, owner.inquiry(), introduction_from(bob.card_file()))


def offer(owner: Owner, days: int = 365) -> Related:
    return offer_relation(owner.session, owner.identity, "Bob", days)


def accept(owner: Owner, file: RelationFile, *, offline: bool = False) -> Related:
    return accept_relation(owner.session, owner.inquiry(offline=offline), "Bob", file)


def complete(owner: Owner, file: RelationFile, *, offline: bool = False) -> Related:
    return complete_relation(owner.session, owner.inquiry(offline=offline), "Bob", file)


def sent(related: Related) -> RelationFile:
    assert related.file is not None
    return related.file


def refused(owner: Owner, step: object, file: RelationFile, *, offline: bool = False) -> str:
    """Return the code of the error; nothing was kept."""
    before = owner.book
    with pytest.raises(WalletError) as error:
        step(owner, file, offline=offline)  # type: ignore[operator]
    assert error.value.hint
    assert [contact.relation for contact in owner.book] == [contact.relation for contact in before]
    return error.value.code


def test_an_offer_is_signed_by_this_device_and_carries_the_record_that_names_it(owner: Owner, bob: Stranger) -> None:
    made = offer(owner, 30)
    relation = made.relation.relation
    assert set(relation.parties) == {owner.key, bob.key}
    assert (relation.day, relation.not_after_day) == (TODAY, TODAY + 30)
    assert not made.relation.is_whole
    short = sent(made).short_records[relation.side_of(owner.key)]
    assert short is not None
    made.relation.check_side(owner.key, from_short(short), TODAY)
    assert owner.contact("Bob").offer is not None


def test_two_offers_have_two_nonces(owner: Owner) -> None:
    assert offer(owner).relation.relation.nonce != offer(owner).relation.relation.nonce


def test_an_answer_completes_the_relation(owner: Owner, bob: Stranger) -> None:
    answer = bob.answer(sent(offer(owner)), bob.device("phone"))
    found = complete(owner, answer)
    assert found.file is None
    held = owner.contact("Bob").relation
    assert held is not None
    assert held.day == TODAY
    assert verify_relation(*held.sides).is_whole
    assert owner.contact("Bob").offer is None


def test_an_offer_that_is_accepted_is_whole_on_both_sides(owner: Owner, bob: Stranger) -> None:
    made = accept(owner, bob.offer(owner.key, bob.device("phone")))
    whole = verify_relation(*sent(made).signed)
    assert whole.is_whole
    whole.check_side(owner.key, Record.from_bytes(owner.identity.record or b""), TODAY)
    held = owner.contact("Bob").relation
    assert held is not None
    assert held.sides == whole.signed


def test_accepting_the_same_offer_again_gives_the_same_answer(owner: Owner, bob: Stranger) -> None:
    file = bob.offer(owner.key)
    assert sent(accept(owner, file)).signed == sent(accept(owner, file)).signed


def test_completing_twice_changes_nothing(owner: Owner, bob: Stranger) -> None:
    answer = bob.answer(sent(offer(owner)))
    complete(owner, answer)
    before = owner.book
    complete(owner, answer)
    assert owner.book == before


def test_the_answer_to_an_offer_that_another_replaced_is_refused(owner: Owner, bob: Stranger) -> None:
    first = bob.answer(sent(offer(owner)))
    offer(owner)
    assert refused(owner, complete, first) == "relation.not-offered"


def test_an_old_relation_does_not_pass_for_the_answer_to_a_new_offer(owner: Owner, bob: Stranger) -> None:
    old = bob.answer(sent(offer(owner)))
    complete(owner, old)
    removed = replace(owner.contact("Bob"), relation=None)
    from walletcli.wallet.contacts.book import save_book

    save_book(owner.session, owner.identity.index, owner.book, owner.book.with_contacts([removed]))
    offer(owner)
    assert refused(owner, complete, old) == "relation.not-offered"


def test_what_nobody_offered_is_not_completed(owner: Owner, bob: Stranger) -> None:
    made = bob.offer(owner.key)
    assert refused(owner, complete, made) == "relation.not-offered"


def test_ones_own_offer_is_no_answer(owner: Owner) -> None:
    assert refused(owner, complete, sent(offer(owner))) == "relation.unsigned"


def test_ones_own_offer_cannot_be_accepted(owner: Owner) -> None:
    assert refused(owner, accept, sent(offer(owner))) == "relation.unsigned"


def test_an_offer_to_somebody_else_is_refused(owner: Owner, bob: Stranger) -> None:
    assert refused(owner, accept, bob.offer(key("carol").public_key)) == "relation.parties"


def test_an_offer_to_another_identity_of_the_same_wallet_is_refused(owner: Owner, bob: Stranger) -> None:
    work = create_identity(owner.session, "work")
    assert refused(owner, accept, bob.offer(work.public_key)) == "relation.parties"


def test_an_offer_of_another_contact_is_refused(owner: Owner) -> None:
    assert refused(owner, accept, Stranger("carol", "phone").offer(owner.key)) == "relation.parties"


def test_an_offer_that_somebody_else_signed_is_refused(owner: Owner, bob: Stranger) -> None:
    assert refused(owner, accept, bob.offer(owner.key, key("mallory"))) == "authority.not-delegated"


def test_one_key_does_not_sign_for_both(owner: Owner, bob: Stranger) -> None:
    offered = bob.offer(owner.key)
    other_side = Stranger("bob").answer(offered)
    signed = next(side for side in other_side.signed if side is not None)
    both = RelationFile((signed, signed))
    assert refused(owner, accept, both) == "relation.same-signer"


@pytest.mark.parametrize(
    ("day", "not_after_day", "code"),
    [(TODAY - 9, TODAY, "relation.expired"), (TODAY + 2, TODAY + 9, "relation.not-yet")],
)
def test_an_offer_that_does_not_hold_today_is_refused(
    owner: Owner, bob: Stranger, day: int, not_after_day: int, code: str
) -> None:
    assert refused(owner, accept, bob.offer(owner.key, day=day, not_after_day=not_after_day)) == code


def test_an_altered_offer_is_refused(owner: Owner, bob: Stranger) -> None:
    file = bob.offer(owner.key)
    at = next(n for n, side in enumerate(file.signed) if side is not None)
    signed = bytearray(file.signed[at] or b"")
    signed[-1] ^= 1
    sides = (bytes(signed), None) if at == 0 else (None, bytes(signed))
    assert refused(owner, accept, RelationFile(sides)) == "signature.invalid"


def test_sides_of_two_relations_are_not_one(owner: Owner, bob: Stranger) -> None:
    offered = sent(offer(owner))
    other = bob.answer(sent(offer(owner)))
    mine = next(side for side in offered.signed if side is not None)
    at = next(n for n, side in enumerate(offered.signed) if side is not None)
    sides = (mine, other.signed[1]) if at == 0 else (other.signed[0], mine)
    assert refused(owner, complete, RelationFile(sides)) == "relation.differs"


def test_a_device_that_was_revoked_makes_no_relation_for_those_who_had_none(owner: Owner, bob: Stranger) -> None:
    stolen = bob.offer(owner.key, bob.device("phone"), day=TODAY - 1)  # dated, and with the record, from before
    owner.shelf.put(bob.with_devices("tablet").record)
    assert refused(owner, accept, stolen) == "authority.not-delegated"


def test_a_relation_outlives_the_device_that_signed_it(owner: Owner, bob: Stranger) -> None:
    file = bob.offer(owner.key, bob.device("phone"))
    accept(owner, file)
    owner.shelf.put(bob.with_devices("tablet").record)
    again = accept(owner, file)
    assert again.relation.is_whole
    assert owner.contact("Bob").relation is not None


def test_an_offer_older_than_the_relation_that_is_held_is_refused(owner: Owner, bob: Stranger) -> None:
    old = bob.offer(owner.key, day=TODAY - 1, nonce=bytes(15) + b"1")
    accept(owner, bob.offer(owner.key))
    assert refused(owner, accept, old) == "relation.older"


def test_two_relations_of_one_day_end_in_the_same_one_on_both_sides(owner: Owner, bob: Stranger) -> None:
    mine = sent(offer(owner))
    theirs = bob.offer(owner.key)
    complete(owner, bob.answer(mine))
    accept(owner, theirs)
    held = owner.contact("Bob").relation
    assert held is not None
    assert held.sides == max(
        (bob.answer(mine).signed, sent(accept(owner, theirs)).signed), key=lambda sides: sides[0] or b""
    )


def test_a_blocked_contact_gets_and_gives_no_relation(owner: Owner, bob: Stranger) -> None:
    file, mine = bob.offer(owner.key), sent(offer(owner))
    block_contact(owner.session, owner.identity, "Bob")
    assert refused(owner, accept, file) == "contact.blocked"
    assert refused(owner, complete, bob.answer(mine)) == "contact.blocked"
    with pytest.raises(WalletError):
        offer(owner)


def test_nothing_is_signed_when_the_record_cannot_be_looked_up_unless_offline_is_wanted(
    owner: Owner, bob: Stranger
) -> None:
    owner.relay.close()
    file = bob.offer(owner.key, bob.device("phone"))
    with pytest.raises(WalletError) as error:
        accept(owner, file)
    assert "--offline" in error.value.hint
    assert accept(owner, file, offline=True).relation.is_whole


def test_offline_a_device_needs_a_record_that_is_known(owner: Owner) -> None:
    carol = Stranger("carol", "phone")
    add_contact(owner.session, owner.inquiry(offline=True), introduction_from(carol.card_file(record=False)))
    file = carol.offer(owner.key, carol.device("phone"), record=False)
    with pytest.raises(WalletError) as error:
        accept_relation(owner.session, owner.inquiry(offline=True), "Carol", file)
    assert error.value.code == "relation.evidence"


def test_an_identity_that_was_never_published_offers_nothing(owner: Owner, bob: Stranger) -> None:
    create_identity(owner.session, "work")
    work = show_identity(owner.session, "work")
    add_contact(
        owner.session,
        type(owner.inquiry())(owner.session, work, offline=True),
        introduction_from(bob.card_file(bob.device("phone"))),
    )
    with pytest.raises(WalletError) as error:
        offer_relation(owner.session, work, "Bob")
    assert error.value.code == "record.none"


def test_a_link_carries_what_is_signed_and_no_record(owner: Owner, bob: Stranger) -> None:
    made = offer(owner)
    assert made.link is not None
    file = read_relation(made.link.upper().encode())
    assert file.signed == sent(made).signed
    assert file.short_records == (None, None)
    complete(owner, read_relation(to_link(bob.answer(file, bob.device("phone")).signed).encode()))
    assert owner.contact("Bob").relation is not None


@pytest.mark.parametrize(
    "text",
    [
        "walletcli:relation:",
        "walletcli:relation:0",
        "walletcli:relation:QL3PM",
        "walletcli:card:QL3PM",
        "walletcli:relation:" + "A" * 5000,
        "",
    ],
)
def test_what_is_no_link_of_a_relation_is_refused(text: str) -> None:
    with pytest.raises(FormatError) as error:
        from_link(text)
    assert error.value.code == "relation.link"
    assert error.value.hint


def test_a_link_has_one_reading(owner: Owner) -> None:
    link = offer(owner).link
    assert link is not None
    assert to_link(from_link(link).signed) == link


def test_a_relation_is_told_with_its_days_and_whether_it_has_ended(owner: Owner, bob: Stranger) -> None:
    accept(owner, bob.offer(owner.key))
    report = ContactReport.of(owner.contact("Bob")).to_json()["relation"]
    assert report == {
        "day": TODAY,
        "not_after_day": TODAY + 30,
        "stored_day": TODAY,
        "expired": False,
        "nonce": "00" * 16,
    }
    later = ContactReport(owner.contact("Bob"), TODAY + 31).to_json()["relation"]
    assert later is not None
    assert later["expired"]  # type: ignore[index]


def test_a_relation_that_cannot_be_read_is_none(owner: Owner) -> None:
    broken = replace(owner.contact("Bob"), relation=HeldRelation((b"x", b"y"), TODAY))
    assert ContactReport.of(broken).to_json()["relation"] is None


def test_what_is_signed_is_a_relation_and_nothing_else(owner: Owner) -> None:
    signed = next(side for side in sent(offer(owner)).signed if side is not None)
    sign1 = Sign1.from_bytes(signed, 512)
    assert sign1.typ == Relation.TYP
    assert sign1.signer == owner.identity.device_signing_key
