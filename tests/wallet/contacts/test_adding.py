"""Adding a contact: what must verify, where the record comes from, what is refused, and what is said."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.core.samples import key
from tests.wallet.contacts.people import TODAY, Owner, Stranger, Write, delegations
from tests.wallet.parts import HonestRelay
from walletcli.core.card import CardFile, to_link
from walletcli.core.document_parts import Power, Retirement
from walletcli.core.identity_id import IdentityId
from walletcli.core.short_record import to_short
from walletcli.errors import FormatError, InputError, NetworkError, VerificationError, WalletError
from walletcli.wallet.contacts.adding import Added, Introduction, add_contact, introduction_from, read_introduction
from walletcli.wallet.contacts.contact import Standing
from walletcli.wallet.contacts.editing import block_contact, set_of_contact
from walletcli.wallet.contacts.report import ContactReport
from walletcli.wallet.identities import create_identity
from walletcli.wallet.providers.book import ProviderEntry, change_book
from walletcli.wallet.relays import add_relay, remove_relay


def add(owner: Owner, what: bytes | str, name: str | None = None, *, offline: bool = False) -> Added:
    found = introduction_from(what) if isinstance(what, bytes) else read_introduction(what)
    return add_contact(owner.session, owner.inquiry(offline=offline), found, name)


def code_of(owner: Owner, what: bytes | str, **settings: bool) -> str:
    with pytest.raises(WalletError) as error:
        add(owner, what, **settings)
    assert error.value.hint
    assert len(owner.book) == 0
    return error.value.code


def test_a_card_signed_by_a_device_is_checked_with_the_record_from_the_network(owner: Owner, bob: Stranger) -> None:
    added = add(owner, bob.card_file(bob.device("phone"), record=False))
    assert added.is_new
    assert added.contact.name == "Bob"
    assert added.contact.card is not None
    assert added.contact.card.checked_day == TODAY
    assert added.contact.sighting is not None
    assert added.contact.sighting.seq == bob.document.seq
    assert added.why[0] == f"card: signed by a device that the record with seq {bob.document.seq} names"
    assert added.asked == (owner.relay.url,)


def test_a_link_and_an_id_in_any_form_name_the_same_contact(owner: Owner, bob: Stranger) -> None:
    found = IdentityId(bob.key)
    add(owner, bob.card_link(bob.device("phone")).upper())
    for text in (found.did, found.did_dht, found.pk, found.z32):
        again = add(owner, text)
        assert not again.is_new
        assert again.contact.card is not None
    assert len(owner.book) == 1


def test_without_a_network_the_record_in_the_file_does(owner: Owner, bob: Stranger) -> None:
    owner.shelf.asked.clear()
    added = add(owner, bob.card_file(bob.device("phone")), offline=True)
    assert added.contact.card is not None
    assert "in the file" in added.why[1]
    assert owner.shelf.asked == []


def test_without_a_network_and_a_record_a_card_of_a_device_is_refused(owner: Owner, bob: Stranger) -> None:
    assert code_of(owner, bob.card_file(bob.device("phone"), record=False), offline=True) == "card.evidence"
    assert code_of(owner, bob.card_link(bob.device("phone")), offline=True) == "card.evidence"


def test_a_card_of_the_root_needs_no_record(owner: Owner) -> None:
    added = add(owner, Stranger("carol").card_file(record=False), offline=True)
    assert added.why[0] == "card: signed by the root key of the identity"
    assert ContactReport.of(added.contact).state == "not looked up"


def test_a_card_that_anybody_signed_for_somebody_else_is_refused(owner: Owner, bob: Stranger) -> None:
    assert code_of(owner, bob.card_file(key("mallory"))) == "authority.not-delegated"


def test_the_record_on_the_network_counts_more_than_an_older_one_in_the_file(owner: Owner, bob: Stranger) -> None:
    stale = bob.card_file(bob.device("phone"))
    owner.shelf.put(bob.with_devices("tablet").record)
    assert code_of(owner, stale) == "authority.not-delegated"


def test_a_record_that_is_known_is_not_undercut_by_a_file_even_offline(owner: Owner, bob: Stranger) -> None:
    stale = bob.card_file(bob.device("phone"))
    owner.shelf.put(bob.with_devices("tablet").record)
    inquiry = owner.inquiry()
    inquiry.newest(bob.key)
    inquiry.save()
    assert code_of(owner, stale, offline=True) == "authority.not-delegated"


def test_a_relay_that_holds_back_the_newest_record_does_not_lead_back_from_the_file(
    owner: Owner, bob: Stranger
) -> None:
    newer = bob.with_devices("tablet").card_file(bob.device("tablet"))
    added = add(owner, newer)
    assert added.contact.sighting is not None
    assert added.contact.sighting.seq == bob.document.seq
    assert "no newer record could be looked up" in added.warnings[0]


def test_a_file_with_another_state_of_the_same_seq_is_a_split(owner: Owner, bob: Stranger) -> None:
    add(owner, bob.did, "Bob")
    other = Stranger("bob", "tablet")
    with pytest.raises(VerificationError) as error:
        add(owner, other.card_file(other.device("tablet")), offline=True)
    assert error.value.code == "record.equivocation"


def test_a_card_with_somebody_elses_record_beside_it_is_refused(owner: Owner, bob: Stranger) -> None:
    file = CardFile(bob.card(bob.device("phone")), to_short(Stranger("carol", "phone").record)).to_bytes()
    assert code_of(owner, file) == "record.identity-mismatch"


def test_a_device_without_the_power_to_share_signs_no_card(owner: Owner, bob: Stranger) -> None:
    (phone,) = delegations("bob's phone")
    bob.next(
        delegations=(type(phone)(phone.signing_key, phone.sealing_key, frozenset({Power.HOST}), TODAY, TODAY + 9),)
    )
    owner.shelf.put(bob.record)
    assert code_of(owner, bob.card_file(bob.device("phone"))) == "authority.power"


@pytest.mark.parametrize(
    ("day", "not_after_day", "code"),
    [(TODAY - 30, TODAY, "card.expired"), (TODAY + 2, TODAY + 30, "card.not-yet")],
)
def test_a_card_that_does_not_hold_today_is_refused(
    owner: Owner, bob: Stranger, day: int, not_after_day: int, code: str
) -> None:
    assert code_of(owner, bob.card_file(day=day, not_after_day=not_after_day)) == code


def test_a_tampered_card_is_refused(owner: Owner, bob: Stranger) -> None:
    card = bytearray(bob.card())
    card[-1] ^= 1
    assert code_of(owner, CardFile(bytes(card)).to_bytes()) == "signature.invalid"


@pytest.mark.parametrize(
    ("damage", "codes"),
    [
        (lambda link: link[:-1], {"card.link", "cose.malformed", "cbor.truncated"}),
        (lambda link: link.replace("A", "1", 1), {"card.link"}),
        (lambda link: link + "0", {"card.link"}),
        (lambda link: link[: len(link) // 2], {"card.link", "cose.malformed", "cbor.truncated"}),
        (lambda link: "walletcli:card:", {"card.link"}),
    ],
)
def test_a_link_with_a_slip_is_refused(owner: Owner, bob: Stranger, damage: object, codes: set[str]) -> None:
    assert code_of(owner, damage(bob.card_link())) in codes  # type: ignore[operator]


@pytest.mark.parametrize("name", ["B\u202eob", "Bo\u200bb", "B\x07ob", "Bob\x00", "x" * 1025])
def test_a_card_with_what_cannot_be_shown_cannot_even_be_made(bob: Stranger, name: str) -> None:
    with pytest.raises(FormatError) as error:
        bob.card(attributes={"name": name})
    assert error.value.code == "card.attributes"


def test_a_name_of_several_lines_becomes_one(owner: Owner, bob: Stranger) -> None:
    assert add(owner, bob.card_file(attributes={"name": "Bob\n  the   Builder"})).contact.name == "Bob the Builder"


@pytest.mark.parametrize("attributes", [{}, {"email": "b@example.org"}, {"name": "\n"}])
def test_a_contact_without_a_name_needs_one(owner: Owner, bob: Stranger, attributes: dict[str, str]) -> None:
    file = bob.card_file(attributes=attributes)
    assert code_of(owner, file) == "contact.name"
    assert add(owner, file, "Bobby").contact.name == "Bobby"


def test_the_public_profile_names_a_contact_that_came_without_a_card(owner: Owner, bob: Stranger) -> None:
    owner.shelf.put(bob.next(profile={"name": "Robert"}).record)
    assert add(owner, bob.did).contact.name == "Robert"


def test_a_name_that_looks_like_another_contacts_is_warned_of(owner: Owner, bob: Stranger) -> None:
    add(owner, bob.card_file())
    carol = Stranger("carol")
    added = add_contact(
        owner.session, owner.inquiry(offline=True), introduction_from(carol.card_file(record=False)), "Воb"
    )
    assert any("looks like that of the contact 'Bob'" in text for text in added.warnings)
    assert any("mixes letters of several alphabets" in text for text in added.warnings)


def test_a_name_that_looks_like_ones_own_label_is_warned_of(owner: Owner, bob: Stranger) -> None:
    added = add(owner, bob.card_file(attributes={"name": "Аlice"}))
    assert any("your own label 'alice'" in text for text in added.warnings)


def test_a_second_card_keeps_the_name_and_the_newer_card(owner: Owner, bob: Stranger) -> None:
    add(owner, bob.card_file(), "My Bob")
    newest = bob.card_file(bob.device("phone"), not_after_day=TODAY + 300, attributes={"name": "B", "phone": "1"})
    add(owner, newest)
    again = add(owner, bob.card_file(day=TODAY - 1, not_after_day=TODAY + 1))
    assert again.contact.name == "My Bob"
    report = ContactReport.of(again.contact).to_json()
    assert report["card"]["not_after_day"] == TODAY + 300  # type: ignore[index]


def test_oneself_is_no_contact(owner: Owner) -> None:
    assert code_of(owner, IdentityId(owner.key).did) == "contact.self"


def test_another_identity_of_the_wallet_needs_consent_and_is_not_looked_up_without(owner: Owner) -> None:
    work = create_identity(owner.session, "work")
    did = IdentityId(work.public_key).did
    owner.shelf.asked.clear()
    assert code_of(owner, did) == "link.would-link"
    assert owner.shelf.asked == []
    inquiry = owner.inquiry(offline=True)
    found = add_contact(owner.session, inquiry, Introduction(work.public_key), "Work", accept_link=True)
    assert found.is_new
    assert f"own-contact:{did}" in owner.identity.accepted_links


def test_a_blocked_contact_is_not_added_again(owner: Owner, bob: Stranger) -> None:
    add(owner, bob.card_file())
    block_contact(owner.session, owner.identity, "Bob")
    with pytest.raises(InputError) as error:
        add(owner, bob.card_file())
    assert error.value.code == "contact.blocked"


def test_a_retired_identity_is_shown_as_such(owner: Owner, bob: Stranger) -> None:
    owner.shelf.put(bob.next(retirement=Retirement(TODAY, 1), delegations=()).record)
    added = add(owner, bob.did, "Bob")
    assert added.contact.sighting is not None
    assert added.contact.sighting.standing is Standing.RETIRED
    assert "the identity has been retired by its owner" in added.warnings


def test_an_identity_that_is_split_is_not_trusted_anew(owner: Owner, bob: Stranger, relays: object) -> None:
    other = relays()  # type: ignore[operator]
    other.shelf.put(Stranger("bob", "tablet").record)
    add_relay(owner.session.home, other.url)
    assert code_of(owner, bob.card_file(record=False)) == "record.equivocation"


def test_a_contact_that_splits_keeps_its_state_and_is_shown_as_split(
    owner: Owner, bob: Stranger, relays: object
) -> None:
    add(owner, bob.card_file())
    other = relays()  # type: ignore[operator]
    other.shelf.put(Stranger("bob", "tablet").record)
    add_relay(owner.session.home, other.url)
    again = add(owner, bob.card_file())
    assert ContactReport.of(again.contact).state == "split"
    assert any("two hands" in text for text in again.warnings)
    remove_relay(owner.session.home, other.url)
    assert ContactReport.of(add(owner, bob.card_file()).contact).state == "split"


def test_a_dead_network_is_an_error_where_the_file_does_not_help(owner: Owner, bob: Stranger) -> None:
    owner.relay.close()
    assert code_of(owner, bob.card_link(bob.device("phone"))) in ("resolve.unreachable", "relay.unreachable")


def test_a_dead_network_is_a_warning_where_the_file_has_the_record(owner: Owner, bob: Stranger) -> None:
    owner.relay.close()
    added = add(owner, bob.card_file(bob.device("phone")))
    assert added.contact.card is not None
    assert "no newer record could be looked up" in added.warnings[0]


def test_a_provider_of_ones_own_is_never_asked_about_a_contact(owner: Owner, bob: Stranger) -> None:
    entry = ProviderEntry(key("provider").public_key, owner.relay.url)
    change_book(owner.session, owner.identity.index, lambda book: book.with_entry(entry))
    owner.shelf.asked.clear()
    with pytest.raises(NetworkError) as error:
        add(owner, bob.card_link(bob.device("phone")))
    assert error.value.code == "contact.only-provider"
    assert owner.shelf.asked == []
    found = introduction_from(bob.card_link(bob.device("phone")).encode())
    assert add_contact(owner.session, owner.inquiry(owner.relay.url), found).is_new


def test_a_hint_in_clear_is_not_followed(owner: Owner, relays: object) -> None:
    other: HonestRelay = relays()  # type: ignore[operator]
    carol = Stranger("carol", "phone")
    other.shelf.put(carol.record)
    link = carol.card_link(carol.device("phone"), hints=(other.url, "ftp://x", "https://user@"))
    assert code_of(owner, link) == "resolve.not-found"
    assert other.shelf.asked == []


def test_what_a_contact_shares_is_read_when_it_is_added(owner: Owner, bob: Stranger) -> None:
    owner.shelf.put(bob.shares(owner.identity, phone="+1 555 0100", evil="x").record)
    added = add(owner, bob.did, "Bob")
    assert added.contact.sighting is not None
    assert added.contact.sighting.received == {"evil": "x", "phone": "+1 555 0100"}


@pytest.mark.parametrize("source", ["nowhere.card", "did:key:zBad", "pk:short", "", "iez1234"])
def test_what_names_nobody_is_refused(owner: Owner, source: str) -> None:
    assert code_of(owner, source) in ("contact.source", "identity.malformed", "file.unreadable")


@pytest.mark.parametrize("content", [b"", b"walletcli card 2\n", b"\xff" * 100, b"hello", b"walletcli card 1\n\x82"])
def test_a_file_that_is_no_card_is_refused(owner: Owner, write: Write, content: bytes) -> None:
    assert code_of(owner, write("x.card", content)) in ("card.file", "cbor.truncated")


def test_a_file_that_is_too_long_is_refused_before_it_is_read_through(owner: Owner, write: Write) -> None:
    assert code_of(owner, write("x.card", bytes(200_000))) == "file.too-long"


def test_a_file_may_hold_a_link_or_an_id(owner: Owner, bob: Stranger, write: Write) -> None:
    assert add(owner, write("bob.txt", (bob.card_link() + "\r\n").encode())).is_new
    assert not add(owner, write("bob.id", f" {bob.did}\n".encode())).is_new


def test_a_contact_keeps_what_the_owner_knows_when_it_is_added_again(owner: Owner, bob: Stranger) -> None:
    add(owner, bob.card_file())
    set_of_contact(owner.session, owner.identity, "Bob", "note", "owes me a book")
    again = add(owner, to_link(bob.card()))
    assert again.contact.notes == ("owes me a book",)


# --- how many sources


def test_a_stranger_seen_at_fewer_than_three_sources_is_added_with_a_warning(owner: Owner, bob: Stranger) -> None:
    added = add(owner, bob.card_file(bob.device("phone")))
    assert added.independent == 1
    assert any("1 independent source has answered" in said for said in added.warnings)
    assert "1 independent source" not in " ".join(add(owner, IdentityId(bob.key).did).warnings), "bob is known now"


def test_a_stranger_seen_at_three_sources_is_added_without_one(
    owner: Owner, bob: Stranger, relays: Callable[[], HonestRelay]
) -> None:
    for other in (relays(), relays()):
        other.shelf.packets, other.shelf.documents = owner.shelf.packets, owner.shelf.documents
        add_relay(owner.session.home, other.url)
    added = add(owner, bob.card_file(bob.device("phone")))
    assert (added.independent, added.warnings) == (3, ())
    assert added.latest_day == max(item.not_before_day for item in bob.document.delegations)


def test_a_record_in_a_file_is_no_source(owner: Owner, bob: Stranger) -> None:
    added = add(owner, bob.card_file(bob.device("phone")), offline=True)
    assert added.independent == 0
    assert any("0 independent sources have answered" in said for said in added.warnings)
