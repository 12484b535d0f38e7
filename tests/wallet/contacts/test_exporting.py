"""Exports and imports: who can read them, who signed them, what is dropped, what is never overwritten."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.core.samples import entropy, key, scalar
from tests.wallet.contacts.people import TODAY, Owner, Stranger, Write
from tests.wallet.contacts.samples import anonymous, plain
from tests.wallet.parts import HonestRelay, make_home, opened
from walletcli.core.contact_export import ContactExport, Entry, verify_export
from walletcli.core.cose import Sign1
from walletcli.core.ed25519 import SigningKey
from walletcli.core.export_file import CONTEXT, OpenExport, SealedExport, read_export_file
from walletcli.core.relation import Relation
from walletcli.core.sealed import unseal
from walletcli.core.short_record import to_short
from walletcli.errors import FormatError, InputError, NetworkError, VerificationError, WalletError
from walletcli.wallet.contacts import exporting, importing
from walletcli.wallet.contacts.adding import add_contact, introduction_from
from walletcli.wallet.contacts.book import save_book
from walletcli.wallet.contacts.contact import Contact, HeldCard, HeldRelation
from walletcli.wallet.contacts.editing import block_contact, set_of_contact
from walletcli.wallet.contacts.exporting import Exported, Wanted, export_contacts
from walletcli.wallet.contacts.importing import Imported, import_contacts
from walletcli.wallet.contacts.relating import complete_relation, offer_relation
from walletcli.wallet.contacts.verifying import mark_compared
from walletcli.wallet.identities import create_identity, show_identity
from walletcli.wallet.vcards import Version

NOTE = "owes me a book"


@pytest.fixture(autouse=True)
def known(owner: Owner, bob: Stranger) -> None:
    """Bob is a contact with card, relation, attribute and note; Eve is one without an identity."""
    add_contact(owner.session, owner.inquiry(), introduction_from(bob.card_file(bob.device("phone"))))
    offered = offer_relation(owner.session, owner.identity, "Bob").file
    assert offered is not None
    complete_relation(owner.session, owner.inquiry(), "Bob", bob.answer(offered, bob.device("phone")))
    set_of_contact(owner.session, owner.identity, "Bob", "note", NOTE)
    set_of_contact(owner.session, owner.identity, "Bob", "city", "Turin")
    save_book(owner.session, owner.identity.index, owner.book, owner.book.with_contacts([anonymous("Eve")]))


def export(owner: Owner, path: Path, accept_link: bool = False, **wanted: object) -> Exported:
    made = Wanted(**wanted)  # type: ignore[arg-type]
    return export_contacts(owner.session, owner.inquiry(), made, str(path), accept_link=accept_link)


def take(owner: Owner, path: object, *, offline: bool = False, **settings: bool) -> Imported:
    return import_contacts(owner.session, owner.inquiry(offline=offline), str(path), **settings)


def emptied(owner: Owner) -> None:
    save_book(owner.session, owner.identity.index, owner.book, owner.book.without(owner.book.names()))


def payload_of(opened_export: OpenExport) -> ContactExport:
    return verify_export(opened_export.export)[0]


def made_by(
    stranger: Stranger,
    entries: Sequence[Entry],
    signer: SigningKey | None = None,
    *,
    record: bool = True,
    day: int = TODAY,
) -> OpenExport:
    said = ContactExport(stranger.key, day, bytes(16), tuple(sorted(entries, key=lambda entry: entry.key)))
    signed = Sign1.sign(signer or stranger.root, ContactExport.TYP, said.to_payload()).to_bytes()
    return OpenExport(signed, to_short(stranger.record) if record else None)


def test_an_export_to_oneself_brings_everything_back(owner: Owner, tmp_path: Path) -> None:
    before = owner.contact("Bob")
    made = export(owner, tmp_path / "x")
    assert (made.count, made.anonymous, made.blocked) == (1, 1, 0)
    emptied(owner)
    report = take(owner, tmp_path / "x", offline=True)
    assert (report.signer, report.is_own, report.added, report.dropped) == (owner.key, True, 1, [])
    after = owner.contact("Bob")
    assert (after.name, after.relation, after.notes, dict(after.attributes)) == (
        before.name, before.relation, before.notes, dict(before.attributes),
    )  # fmt: skip
    assert after.card is not None
    assert before.card is not None
    assert after.card.data == before.card.data


def test_what_a_program_left_waiting_is_not_exported_in_place_of_what_was_asked_for(
    owner: Owner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = ContactExport(owner.identity.public_key, TODAY, bytes(16), ()).to_payload()
    planted = owner.session.sign_statement(owner.identity.index, ContactExport.TYP, other)
    monkeypatch.setattr(exporting, "waiting_export", lambda *_: planted)
    export(owner, tmp_path / "list")
    emptied(owner)
    assert take(owner, tmp_path / "list", offline=True).added == 1


def compare(owner: Owner, *, compared: bool = True) -> None:
    mark_compared(owner.session, owner.identity, owner.contact("Bob"), compared=compared)


def test_an_export_to_oneself_says_with_whom_words_were_compared_and_no_other_does(
    owner: Owner, tmp_path: Path
) -> None:
    compare(owner)
    export(owner, tmp_path / "self")
    export(owner, tmp_path / "bob", reader="Bob", accept_link=True)
    export(owner, tmp_path / "all", is_open=True, accept_link=True)
    found = {}
    for name, keys in (("self", owner), ("bob", scalar("bob's phone")), ("all", None)):
        file = read_export_file((tmp_path / name).read_bytes())
        if isinstance(file, SealedExport):
            index = owner.identity.index
            opened_file = file.opened(
                owner.session.unseal(index, file.blob, CONTEXT) if keys is owner else unseal(file.blob, keys, CONTEXT)  # type: ignore[arg-type]
            )
        else:
            opened_file = file
        found[name] = payload_of(opened_file).entries[0].compared_day
    assert found == {"self": TODAY, "bob": None, "all": None}
    emptied(owner)
    assert take(owner, tmp_path / "self", offline=True).warnings == []
    assert owner.contact("Bob").compared_day == TODAY


def test_nobody_is_verified_because_somebody_else_says_so(owner: Owner, write: Write) -> None:
    entry = Entry(key("x").public_key, "X", compared_day=TODAY)
    carol = Stranger("carol")
    take(owner, write("x", made_by(carol, [entry, Entry(owner.contact("Bob").id, "Bob", compared_day=1)]).to_bytes()))
    assert owner.contact("X").compared_day is None
    assert owner.contact("Bob").compared_day is None


def test_what_a_device_that_is_gone_has_compared_does_not_count(
    owner: Owner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compare(owner)
    export(owner, tmp_path / "x")
    emptied(owner)
    monkeypatch.setattr(importing, "today", lambda _now: TODAY + 120)
    report = take(owner, tmp_path / "x", any_device=True)
    assert "verified is not taken" in report.warnings[0]
    assert owner.contact("Bob").compared_day is None


def test_an_old_list_makes_nobody_verified_again_unasked(owner: Owner, tmp_path: Path) -> None:
    compare(owner)
    export(owner, tmp_path / "x")
    compare(owner, compared=False)
    report = take(owner, tmp_path / "x", offline=True)
    assert [(item.field, item.kept) for item in report.conflicts] == [("safety words", "not compared")]
    assert owner.contact("Bob").compared_day is None
    report = take(owner, tmp_path / "x", offline=True, replace_known=True)
    assert [(item.field, item.other) for item in report.conflicts] == [("safety words", "not compared")]
    assert owner.contact("Bob").compared_day == TODAY


def test_the_words_alone_open_an_export_to_oneself(owner: Owner, tmp_path: Path, session: object) -> None:
    export(owner, tmp_path / "x")
    file = read_export_file((tmp_path / "x").read_bytes())
    assert isinstance(file, SealedExport)
    tree = owner.session._keeper._tree  # type: ignore[attr-defined]
    secret = tree.recovery_secret(owner.identity.index, owner.identity.recovery_generation)
    assert payload_of(file.open(secret)).entries[0].name == "Bob"


def test_an_export_to_somebody_is_for_their_devices_alone_and_has_no_notes(
    owner: Owner, bob: Stranger, tmp_path: Path
) -> None:
    export(owner, tmp_path / "x", reader="Bob")
    file = read_export_file((tmp_path / "x").read_bytes())
    assert isinstance(file, SealedExport)
    (entry,) = payload_of(file.opened(unseal(file.blob, scalar("bob's phone"), CONTEXT))).entries
    assert entry.notes is None
    with pytest.raises(VerificationError):
        file.open(scalar("bob's tablet"))
    with pytest.raises(VerificationError) as error:
        take(owner, tmp_path / "x")
    assert error.value.code == "sealed.not-for-you"
    assert "--as" in error.value.hint


def test_an_open_export_has_notes_only_on_demand(owner: Owner, tmp_path: Path) -> None:
    export(owner, tmp_path / "x", is_open=True)
    assert NOTE.encode() not in (tmp_path / "x").read_bytes()
    export(owner, tmp_path / "y", is_open=True, notes=True)
    assert NOTE.encode() in (tmp_path / "y").read_bytes()


def test_only_those_who_are_named_are_exported(owner: Owner, tmp_path: Path) -> None:
    save_book(owner.session, owner.identity.index, owner.book, owner.book.with_contacts([plain("carol")]))
    assert export(owner, tmp_path / "all").count == 2
    assert export(owner, tmp_path / "one", whom=("carol",)).count == 1
    with pytest.raises(InputError) as error:
        export(owner, tmp_path / "none", whom=("nobody",))
    assert error.value.code == "contact.unknown"


def test_blocked_contacts_are_left_out_and_not_exported_by_name_either(owner: Owner, tmp_path: Path) -> None:
    block_contact(owner.session, owner.identity, "Bob")
    assert (export(owner, tmp_path / "x").count, export(owner, tmp_path / "y").blocked) == (0, 1)
    with pytest.raises(InputError) as error:
        export(owner, tmp_path / "z", whom=("Bob",))
    assert error.value.code == "contact.blocked"
    with pytest.raises(InputError) as error:
        export(owner, tmp_path / "z", reader="Bob")
    assert error.value.code == "contact.blocked"


def test_a_file_that_is_there_is_not_replaced(owner: Owner, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"mine")
    with pytest.raises(InputError) as error:
        export(owner, tmp_path / "x")
    assert error.value.code == "file.exists"
    assert (tmp_path / "x").read_bytes() == b"mine"


def test_an_export_is_for_one_kind_of_reader() -> None:
    with pytest.raises(InputError) as error:
        Wanted(reader="Bob", is_open=True)
    assert error.value.code == "contact-export.choice"


def test_an_export_to_somebody_who_was_never_published_is_refused(owner: Owner, tmp_path: Path) -> None:
    with pytest.raises(NetworkError):
        export(owner, tmp_path / "x", reader=Stranger("carol").did)
    assert not (tmp_path / "x").exists()


def test_an_export_that_names_another_identity_of_the_wallet_needs_consent(owner: Owner, tmp_path: Path) -> None:
    work = create_identity(owner.session, "work")
    me = replace(plain("me at work"), id=work.public_key)
    save_book(owner.session, owner.identity.index, owner.book, owner.book.with_contacts([me]))
    with pytest.raises(InputError) as error:
        export(owner, tmp_path / "x", is_open=True)
    assert error.value.code == "link.would-link"
    assert "your own identity 'work'" in error.value.message
    assert export(owner, tmp_path / "mine").count == 2
    assert export(owner, tmp_path / "x", accept_link=True, is_open=True).count == 2
    assert export(owner, tmp_path / "y", is_open=True).count == 2  # remembered


def test_an_export_that_mentions_another_identity_of_the_wallet_needs_consent(owner: Owner, tmp_path: Path) -> None:
    work = create_identity(owner.session, "work").summary().did
    set_of_contact(owner.session, owner.identity, "Bob", "url", f"https://x/{work}")
    with pytest.raises(InputError) as error:
        export(owner, tmp_path / "x", vcard=Version.V4)
    assert "the export names 'work'" in error.value.message


def test_contacts_that_another_identity_has_too_need_consent(owner: Owner, bob: Stranger, tmp_path: Path) -> None:
    create_identity(owner.session, "work")
    work = show_identity(owner.session, "work")
    save_book(owner.session, work.index, type(owner.book)(), type(owner.book)([replace(plain("B"), id=bob.key)]))
    with pytest.raises(InputError) as error:
        export(owner, tmp_path / "x", reader="Bob")
    assert "contacts of 'work', too" in error.value.message
    assert export(owner, tmp_path / "mine").count == 1


def test_a_second_import_changes_nothing(owner: Owner, tmp_path: Path) -> None:
    export(owner, tmp_path / "x")
    before = owner.book
    report = take(owner, tmp_path / "x")
    assert (report.added, report.changed, report.unchanged) == (0, 0, 1)
    assert owner.book == before


def test_what_book_and_file_say_differently_is_kept_and_named_or_replaced_on_demand(
    owner: Owner, tmp_path: Path
) -> None:
    export(owner, tmp_path / "x")
    set_of_contact(owner.session, owner.identity, "Bob", "city", "Milan")
    set_of_contact(owner.session, owner.identity, "Bob", "name", "Robert")
    report = take(owner, tmp_path / "x")
    found = {(item.field, item.kept, item.other) for item in report.conflicts}
    assert found == {("name", "Robert", "Bob"), ("city", "Milan", "Turin")}
    assert owner.contact("Robert").attributes["city"] == "Milan"
    take(owner, tmp_path / "x", replace_known=True)
    assert owner.contact("Bob").attributes["city"] == "Turin"


def test_notes_of_book_and_file_are_both_kept(owner: Owner, tmp_path: Path) -> None:
    export(owner, tmp_path / "x")
    set_of_contact(owner.session, owner.identity, "Bob", "note", "has paid")
    take(owner, tmp_path / "x")
    assert owner.contact("Bob").notes == ("has paid", NOTE)


def test_a_blocked_contact_is_left_alone_by_an_import(owner: Owner, tmp_path: Path) -> None:
    export(owner, tmp_path / "x")
    set_of_contact(owner.session, owner.identity, "Bob", "city", "Milan")
    block_contact(owner.session, owner.identity, "Bob")
    before = owner.book
    assert take(owner, tmp_path / "x", replace_known=True).skipped == 1
    assert owner.book == before


def test_somebody_elses_list_brings_cards_and_names_but_no_relations(owner: Owner, write: Write) -> None:
    carol, dave = Stranger("carol"), Stranger("dave")
    relation = Relation.between(carol.key, dave.key, bytes(16), TODAY, TODAY + 9)
    signed = [Sign1.sign(who.root, Relation.TYP, relation.to_payload()).to_bytes() for who in (carol, dave)]
    sides = tuple(signed) if relation.parties[0] == carol.key else tuple(reversed(signed))
    entry = Entry(dave.key, "Dave", dave.card(), sides, {"city": "Rome"})  # type: ignore[arg-type]
    owner.shelf.put(carol.record)
    report = take(owner, write("x", made_by(carol, [entry]).to_bytes()))
    assert (report.signer, report.is_own, report.added, report.dropped) == (carol.key, False, 1, [])
    found = owner.contact("Dave")
    assert found.relation is None
    assert found.card == HeldCard(dave.card(), TODAY)


def test_oneself_in_somebody_elses_list_is_skipped(owner: Owner, write: Write) -> None:
    file = made_by(Stranger("carol"), [Entry(owner.key, "You")])
    assert take(owner, write("x", file.to_bytes()), offline=True).skipped == 1


def test_what_is_wrong_with_cards_and_relations_is_named_one_by_one(owner: Owner, bob: Stranger, write: Write) -> None:
    carol, dave, erin = Stranger("carol"), Stranger("dave"), Stranger("erin")
    broken = bytearray(dave.card())
    broken[-1] ^= 1
    entries = [
        Entry(carol.key, "Carol", dave.card()),
        Entry(dave.key, "Dave", bytes(broken)),
        Entry(erin.key, "Erin", erin.card(day=TODAY - 9, not_after_day=TODAY - 1)),
        Entry(bob.key, "Bob", bob.card(key("mallory")), (b"x", b"y")),
    ]
    report = take(owner, write("x", made_by(Stranger("frank"), entries).to_bytes()), offline=True)
    found = {(item.contact, item.error.code) for item in report.dropped}
    assert {("Carol", "contact-export.card"), ("Dave", "signature.invalid"), ("Erin", "card.expired")} <= found
    assert ("Bob", "authority.not-delegated") in found
    assert sum(name == "Bob" for name, _ in found) == 2
    assert report.added == 3
    assert [owner.contact(name).card for name in ("Carol", "Dave", "Erin")] == [None] * 3


def test_a_forged_card_does_not_take_the_place_of_a_proven_one(owner: Owner, write: Write) -> None:
    grace = Stranger("grace", "phone")
    add_contact(owner.session, owner.inquiry(offline=True), introduction_from(grace.card_file(record=False)), "Grace")
    forged = grace.card(key("mallory"), not_after_day=TODAY + 900, hints=("https://mallory.example",))
    entry = Entry(grace.key, "Grace", forged)
    take(owner, write("x", made_by(Stranger("frank"), [entry]).to_bytes()), offline=True)
    assert owner.contact("Grace").card == HeldCard(grace.card(), TODAY)
    assert owner.contact("Grace").places == ()


def test_a_card_of_a_device_from_a_list_waits_for_its_record(owner: Owner, write: Write) -> None:
    grace = Stranger("grace", "phone")
    entry = Entry(grace.key, "Grace", grace.card(grace.device("phone"), hints=("https://x.example",)))
    take(owner, write("x", made_by(Stranger("frank"), [entry]).to_bytes()), offline=True)
    found = owner.contact("Grace")
    assert found.card is not None
    assert found.card.checked_day is None
    assert found.places == ()


def test_a_list_of_a_device_takes_the_record_that_names_it(owner: Owner, write: Write) -> None:
    carol = Stranger("carol", "phone")
    entries = [Entry(key("x").public_key, "X")]
    with_record = made_by(carol, entries, carol.device("phone"))
    without = made_by(carol, entries, carol.device("phone"), record=False)
    with pytest.raises(WalletError) as error:
        take(owner, write("without", without.to_bytes()), offline=True)
    assert error.value.code == "contact-export.evidence"
    assert take(owner, write("with", with_record.to_bytes()), offline=True).added == 1


def test_a_list_that_somebody_else_signed_is_refused(owner: Owner, write: Write) -> None:
    carol = Stranger("carol", "phone")
    file = made_by(carol, [Entry(key("x").public_key, "X")], key("mallory"))
    with pytest.raises(WalletError) as error:
        take(owner, write("x", file.to_bytes()), offline=True)
    assert error.value.code == "authority.not-delegated"
    assert len(owner.book) == 2


def test_a_list_that_a_stranger_signed_in_ones_own_name_is_refused(owner: Owner, write: Write) -> None:
    said = ContactExport(owner.key, TODAY, bytes(16), (Entry(key("x").public_key, "X"),))
    signed = Sign1.sign(key("mallory"), ContactExport.TYP, said.to_payload()).to_bytes()
    with pytest.raises(VerificationError) as error:
        take(owner, write("x", OpenExport(signed).to_bytes()))
    assert error.value.code == "authority.not-delegated"


def test_ones_own_list_of_a_device_that_is_gone_is_taken_only_on_demand(
    owner: Owner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(owner, tmp_path / "x")
    emptied(owner)
    monkeypatch.setattr(importing, "today", lambda _now: TODAY + 120)
    with pytest.raises(VerificationError) as error:
        take(owner, tmp_path / "x")
    assert (error.value.code, "--any-device" in error.value.hint) == ("authority.expired", True)
    assert take(owner, tmp_path / "x", any_device=True).added == 1


def test_nobody_elses_list_is_taken_of_a_device_that_is_gone(owner: Owner, write: Write) -> None:
    carol = Stranger("carol", "phone")
    file = made_by(carol, [Entry(key("x").public_key, "X")], key("mallory"))
    with pytest.raises(VerificationError):
        take(owner, write("x", file.to_bytes()), offline=True, any_device=True)


def test_a_list_of_a_device_that_was_revoked_is_refused(owner: Owner, write: Write) -> None:
    carol = Stranger("carol", "phone")
    file = made_by(carol, [Entry(key("x").public_key, "X")], carol.device("phone"))
    owner.shelf.put(carol.with_devices("tablet").record)
    with pytest.raises(VerificationError) as error:
        take(owner, write("x", file.to_bytes()))
    assert error.value.code == "authority.not-delegated"


@pytest.mark.parametrize("at", [40, 200, 600])
def test_an_altered_file_is_refused_and_nothing_is_taken(owner: Owner, tmp_path: Path, at: int) -> None:
    export(owner, tmp_path / "x", is_open=True)
    data = bytearray((tmp_path / "x").read_bytes())
    data[at] ^= 1
    (tmp_path / "x").write_bytes(bytes(data))
    before = owner.book
    with pytest.raises(WalletError):
        take(owner, tmp_path / "x")
    assert owner.book == before


def test_a_relation_in_ones_own_list_that_is_somebody_elses_is_dropped(owner: Owner, write: Write) -> None:
    carol = Stranger("carol")
    relation = Relation.between(key("x").public_key, carol.key, bytes(16), TODAY, TODAY + 9)
    signed = {
        who.public_key: Sign1.sign(who, Relation.TYP, relation.to_payload()).to_bytes()
        for who in (key("x"), carol.root)
    }
    sides = signed[relation.parties[0]], signed[relation.parties[1]]
    said = ContactExport(owner.key, TODAY, bytes(16), (Entry(carol.key, "Carol", None, sides),))
    data = owner.session.sign_statement(owner.identity.index, ContactExport.TYP, said.to_payload())
    report = take(owner, write("x", OpenExport(data).to_bytes()))
    assert [(item.contact, item.error.code) for item in report.dropped] == [("Carol", "relation.parties")]
    assert owner.contact("Carol").relation is None


def test_names_that_look_alike_are_warned_of_in_an_import(owner: Owner, write: Write) -> None:
    file = made_by(Stranger("frank"), [Entry(key("x").public_key, "Воb")])
    report = take(owner, write("x", file.to_bytes()), offline=True)
    assert any("looks like that of the contact 'Bob'" in text for text in report.warnings)


def test_warnings_of_an_import_come_to_an_end(owner: Owner, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "MAX_WARNINGS", 3)
    entries = [Entry(key(f"x{number}").public_key, "Bob") for number in range(9)]
    report = take(owner, write("x", made_by(Stranger("frank"), entries).to_bytes()), offline=True)
    assert len(report.warnings) == 4


def test_an_identity_of_ones_own_in_a_list_needs_consent(owner: Owner, write: Write) -> None:
    work = create_identity(owner.session, "work")
    file = write("x", made_by(Stranger("frank"), [Entry(work.public_key, "W")]).to_bytes())
    with pytest.raises(InputError) as error:
        take(owner, file, offline=True)
    assert error.value.code == "link.would-link"
    assert take(owner, file, offline=True, accept_link=True).added == 1


def test_a_list_that_does_not_fit_is_refused_as_a_whole(
    owner: Owner, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    from walletcli.wallet.contacts import book

    monkeypatch.setattr(book, "MAX_CONTACTS", 4)
    entries = [Entry(key(f"x{number}").public_key, f"x{number}") for number in range(3)]
    with pytest.raises(InputError) as error:
        take(owner, write("x", made_by(Stranger("frank"), entries).to_bytes()), offline=True)
    assert error.value.code == "contact-book.too-many"
    assert len(owner.book) == 2


def test_a_contact_list_moves_to_another_wallet(owner: Owner, relay: HonestRelay, tmp_path: Path) -> None:
    from tests.wallet.contacts.people import make_owner

    with opened(make_home(tmp_path / "other home")) as session:
        other = make_owner(session, relay, "anna")
        export(owner, tmp_path / "x", reader=other.identity.summary().did)
        report = import_contacts(session, other.inquiry(relay.url), str(tmp_path / "x"))
        assert (report.signer, report.added) == (owner.key, 1)
        assert other.contact("Bob").relation is None
        assert other.contact("Bob").notes == ()


def test_a_name_with_spaces_around_it_is_taken_without_them(owner: Owner, write: Write) -> None:
    entries = [Entry(key("x").public_key, "  X "), Entry(key("y").public_key, " ")]
    take(owner, write("x", made_by(Stranger("frank"), entries).to_bytes()), offline=True)
    assert owner.book.get(key("x").public_key).name == "X"  # type: ignore[union-attr]
    assert owner.book.get(key("y").public_key).name.startswith("did:key:")  # type: ignore[union-attr]


def test_an_expired_relation_is_not_taken(owner: Owner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export(owner, tmp_path / "x")
    emptied(owner)
    monkeypatch.setattr(importing, "today", lambda _now: TODAY + 4000)
    report = take(owner, tmp_path / "x", any_device=True)
    assert {item.error.code for item in report.dropped} == {"card.expired", "relation.expired"}
    assert owner.contact("Bob").relation is None


def test_a_relation_keeps_the_day_on_which_the_list_says_it_was_known(owner: Owner, tmp_path: Path) -> None:
    export(owner, tmp_path / "x")
    emptied(owner)
    take(owner, tmp_path / "x")
    held = owner.contact("Bob").relation
    assert isinstance(held, HeldRelation)
    assert held.day == TODAY


def test_too_large_an_export_is_refused_before_it_is_signed(
    owner: Owner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from walletcli.wallet.contacts import exporting

    monkeypatch.setattr(exporting, "MAX_DRAWER_BYTES", 100)
    with pytest.raises(FormatError) as error:
        export(owner, tmp_path / "x")
    assert error.value.code == "contact-export.too-long"


def test_too_large_a_sealed_export_is_refused_before_it_is_opened(
    owner: Owner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(owner, tmp_path / "x")
    monkeypatch.setattr(importing, "MAX_SEALED_BYTES", 100)
    with pytest.raises(FormatError) as error:
        take(owner, tmp_path / "x")
    assert error.value.code == "contact-export.too-long"


def test_an_export_opens_for_a_reader_of_several_devices(owner: Owner, tmp_path: Path) -> None:
    carol = Stranger("carol", *(f"device {number}" for number in range(20)))
    owner.shelf.put(carol.record)
    export(owner, tmp_path / "x", reader=carol.did)
    file = read_export_file((tmp_path / "x").read_bytes())
    assert isinstance(file, SealedExport)
    opened_by = 0
    for number in range(20):
        try:
            file.open(scalar(f"carol's device {number}"))
        except VerificationError:
            continue
        opened_by += 1
    assert opened_by == 16


def test_vcards_carry_what_the_card_says_and_the_owner_knows(owner: Owner, tmp_path: Path) -> None:
    for version in Version:
        path = tmp_path / f"{version}.vcf"
        assert export(owner, path, vcard=version).count == 2
        text = path.read_text()
        assert "FN:Bob" in text
        assert "Turin" in text
        assert owner.contact("Bob").name in text
        assert NOTE not in text
        export(owner, tmp_path / f"{version} with notes.vcf", vcard=version, notes=True)
        assert NOTE in (tmp_path / f"{version} with notes.vcf").read_text()


def test_vcards_of_ones_own_come_back_as_the_same_contacts(owner: Owner, tmp_path: Path) -> None:
    for version in Version:
        path = tmp_path / f"{version}.vcf"
        export(owner, path, vcard=version)
        report = take(owner, path, offline=True)
        assert (report.signer, report.added, report.refused) == (None, 0, [])
        assert len(owner.book) == 2


def test_a_contact_without_an_identity_stays_itself_when_it_has_another_name(owner: Owner, tmp_path: Path) -> None:
    set_of_contact(owner.session, owner.identity, "Eve", "name", "Eva")
    export(owner, tmp_path / "x.vcf", vcard=Version.V4)
    take(owner, tmp_path / "x.vcf")
    assert len(owner.book) == 2


def test_vcards_of_other_programs_come_in_and_bad_ones_are_named(owner: Owner, write: Write) -> None:
    cards = (
        "BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Ada Lovelace\r\nN:Lovelace;Ada;;;\r\nTEL;TYPE=CELL:+44 1\r\n"
        "PHOTO;ENCODING=b:AAAA\r\nUID:abc-1\r\nEND:VCARD\r\n"
        "BEGIN:VCARD\r\nVERSION:2.1\r\nFN:Old\r\nEND:VCARD\r\n"
        "BEGIN:VCARD\r\nVERSION:4.0\r\nFN:Gr\r\n ace Hopper\r\nNOTE:folded\\nline\r\nEND:VCARD\r\n"
        "BEGIN:VCARD\r\nVERSION:4.0\r\nFN:bad\x07\r\nEND:VCARD\r\n"
    )
    report = take(owner, write("x.vcf", cards.encode()))
    assert (report.added, report.left_out) == (2, {"PHOTO": 1})
    assert [(item.number, item.error.code) for item in report.refused] == [(2, "vcard.version"), (4, "vcard.control")]
    ada = owner.contact("Ada Lovelace")
    assert (ada.key, ada.uid, ada.attributes["tel.cell"]) == (None, "abc-1", "+44 1")
    assert owner.contact("Grace Hopper").notes == ("folded\nline",)


def test_a_vcard_with_a_known_uid_is_the_contact_that_has_it(owner: Owner, write: Write) -> None:
    def card(name: str, extra: str = "") -> bytes:
        return f"BEGIN:VCARD\r\nVERSION:4.0\r\nFN:{name}\r\n{extra}UID:u-1\r\nEND:VCARD\r\n".encode()

    take(owner, write("a.vcf", card("Ada")))
    report = take(owner, write("b.vcf", card("Ada King", "EMAIL:ada@x.example\r\n")))
    assert (report.added, report.changed) == (0, 1)
    assert [(item.field, item.kept) for item in report.conflicts] == [("name", "Ada")]
    assert owner.contact("Ada").attributes["email"] == "ada@x.example"


def test_a_vcard_gives_no_identity_to_a_contact_that_is_there(owner: Owner, write: Write) -> None:
    mallory = Stranger("mallory").did
    first = b"BEGIN:VCARD\r\nVERSION:4.0\r\nFN:Ada\r\nUID:u-1\r\nEND:VCARD\r\n"
    second = first.replace(b"UID", f"URL:{mallory}\r\nUID".encode())
    take(owner, write("a.vcf", first))
    report = take(owner, write("b.vcf", second))
    assert report.added == 1
    assert any("looks like that of the contact 'Ada'" in text for text in report.warnings)
    ids = {contact.key for contact in owner.book if contact.name == "Ada"}
    assert ids == {None, Stranger("mallory").key}


def test_a_vcard_that_claims_a_known_identity_changes_no_card_and_verifies_nothing(
    owner: Owner, bob: Stranger, write: Write
) -> None:
    before = owner.contact("Bob")
    card = f"BEGIN:VCARD\r\nVERSION:4.0\r\nFN:Evil Bob\r\nURL:{bob.did}\r\nTEL:666\r\nEND:VCARD\r\n"
    report = take(owner, write("x.vcf", card.encode()))
    after = owner.contact("Bob")
    assert (after.card, after.relation, after.compared_day) == (before.card, before.relation, None)
    assert after.attributes["tel"] == "666"
    assert [(item.field, item.other) for item in report.conflicts] == [("name", "Evil Bob")]


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"BEGIN:VCARD\r\nVERSION:4.0\r\nFN:A\r\n", b"\xff\xfe\x00", b"walletcli contact export 2\n"]
)
def test_what_is_neither_an_export_nor_vcards_is_refused(owner: Owner, write: Write, data: bytes) -> None:
    before = owner.book
    try:
        report = take(owner, write("x", data))
    except FormatError as error:
        assert error.code.startswith("vcard.")  # noqa: PT017 - one case is refused card by card
    else:
        assert [item.error.code for item in report.refused] == ["vcard.truncated"]
    assert owner.book == before


def test_sealed_bytes_that_hold_no_export_are_refused(owner: Owner, write: Write) -> None:
    from walletcli.core.sealed import seal

    blob = seal(b"\x82\x00", [owner.identity.device_sealing_key], entropy("x"), CONTEXT)
    with pytest.raises(FormatError):
        take(owner, write("x", SealedExport(blob).to_bytes()))


def test_everything_of_an_import_can_be_told_to_programs(owner: Owner, write: Write) -> None:
    entries = [Entry(key("x").public_key, "Bob", b"bad"), Entry(Stranger("bob").key, "B")]
    report = take(owner, write("x", made_by(Stranger("frank"), entries).to_bytes()), offline=True).to_json()
    assert report["signer"] == Stranger("frank").did
    assert report["dropped"][0]["error"]["code"].startswith("co")  # type: ignore[index]
    assert report["conflicts"] == [
        {"name": "Bob", "id": Stranger("bob").did, "field": "name", "kept": "Bob", "other": "B"}
    ]


def test_a_contact_of_every_kind_of_entry_is_valid() -> None:
    assert Contact(key("x").public_key, "X", 1).key == key("x").public_key
