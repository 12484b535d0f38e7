"""Sharing: who can open what in the next document, and for how long."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.core.samples import sealing_key
from tests.wallet.contacts.people import TODAY, Owner, Stranger, device_scalar
from tests.wallet.contacts.samples import plain
from walletcli.core.document import Document
from walletcli.core.sealed import unseal
from walletcli.errors import InputError, VerificationError, WalletError
from walletcli.wallet.contacts.adding import add_contact, introduction_from
from walletcli.wallet.contacts.contact import Contact, Sighting
from walletcli.wallet.contacts.editing import block_contact, remove_contact
from walletcli.wallet.contacts.refreshing import refresh_contacts
from walletcli.wallet.contacts.sharing import share_with, shares_of, unshare
from walletcli.wallet.identities import retire_identity, set_attribute
from walletcli.wallet.state.sections import SharedSection, shared_context


@pytest.fixture(autouse=True)
def known(owner: Owner, bob: Stranger) -> None:
    """Bob is a contact, and Alice has something to share."""
    add_contact(owner.session, owner.inquiry(), introduction_from(bob.card_file()))
    set_attribute(owner.session, owner.label, "phone", "+1 555 0100", sealed=True)
    set_attribute(owner.session, owner.label, "email", "a@example.org", sealed=True)
    set_attribute(owner.session, owner.label, "city", "Turin", sealed=False)


def share(owner: Owner, *names: str) -> object:
    return share_with(owner.session, owner.inquiry(), "Bob", names)


def readable(owner: Owner, bob: Stranger, device: str = "phone", document: Document | None = None) -> dict[str, str]:
    """Return what a device of Bob's opens in Alice's published document."""
    found: dict[str, str] = {}
    for section in (document or owner.relay.record(owner.key).document or Document(bytes(32), 0)).sections:
        try:
            content = unseal(section, device_scalar(bob, device), shared_context(owner.key))
        except VerificationError:
            continue
        found.update(SharedSection.from_bytes(content).attributes)
    return found


def test_what_is_shared_can_be_read_after_the_next_publish_and_not_before(owner: Owner, bob: Stranger) -> None:
    shared = share(owner, "phone")
    assert shared.to_publish  # type: ignore[attr-defined]
    assert readable(owner, bob) == {}
    owner.publish()
    assert readable(owner, bob) == {"phone": "+1 555 0100"}


def test_nobody_else_reads_it(owner: Owner, bob: Stranger) -> None:
    share(owner, "phone")
    owner.publish()
    assert readable(owner, Stranger("carol", "phone")) == {}
    assert readable(owner, bob, "another phone") == {}


def test_attributes_are_added_and_withdrawn_by_name(owner: Owner, bob: Stranger) -> None:
    share(owner, "phone")
    share(owner, "email", "phone")
    owner.publish()
    assert readable(owner, bob) == {"email": "a@example.org", "phone": "+1 555 0100"}
    unshare(owner.session, owner.identity, "Bob", ["phone"])
    owner.publish()
    assert readable(owner, bob) == {"email": "a@example.org"}
    unshare(owner.session, owner.identity, "Bob")
    owner.publish()
    assert readable(owner, bob) == {}


def test_a_new_value_is_shared_with_the_next_publish(owner: Owner, bob: Stranger) -> None:
    share(owner, "phone")
    owner.publish()
    set_attribute(owner.session, owner.label, "phone", "+1 555 0199", sealed=True)
    owner.publish()
    assert readable(owner, bob) == {"phone": "+1 555 0199"}


def test_the_owners_other_device_and_words_read_what_is_shared_as_well(owner: Owner) -> None:
    share(owner, "phone")
    document = owner.publish().document
    assert document is not None
    opened = []
    for section in document.sections:
        try:
            content = owner.session.unseal(owner.identity.index, section, shared_context(owner.key))
        except VerificationError:
            continue
        opened.append(SharedSection.from_bytes(content).attributes)
    assert opened == [{"phone": "+1 555 0100"}]


def test_a_public_attribute_is_said_to_be_public(owner: Owner) -> None:
    shared = share(owner, "city", "phone")
    assert shared.public == ("city",)  # type: ignore[attr-defined]


def test_an_attribute_that_there_is_not_cannot_be_shared(owner: Owner) -> None:
    with pytest.raises(InputError) as error:
        share(owner, "shoe-size")
    assert error.value.code == "attribute.unknown"


def test_what_was_not_shared_cannot_be_withdrawn(owner: Owner) -> None:
    with pytest.raises(InputError) as error:
        unshare(owner.session, owner.identity, "Bob", ["phone"])
    assert error.value.code == "share.unknown"


def test_a_contact_without_devices_reads_nothing(owner: Owner, bob: Stranger) -> None:
    owner.shelf.put(bob.next(delegations=()).record)
    with pytest.raises(VerificationError) as error:
        share(owner, "phone")
    assert error.value.code == "share.no-device"


def test_new_devices_of_a_contact_are_sealed_to_after_a_refresh_and_a_publish(owner: Owner, bob: Stranger) -> None:
    share(owner, "phone")
    owner.publish()
    owner.shelf.put(bob.with_devices("tablet").record)
    report = refresh_contacts(owner.session, owner.label)
    assert report.to_publish
    assert [item.kind for item in report.news] == ["devices"]
    owner.publish()
    assert readable(owner, bob, "tablet") == {"phone": "+1 555 0100"}
    assert readable(owner, bob, "phone") == {}


def test_a_blocked_contact_reads_nothing_of_the_next_document(owner: Owner, bob: Stranger) -> None:
    share(owner, "phone")
    owner.publish()
    block_contact(owner.session, owner.identity, "Bob")
    owner.publish()
    assert readable(owner, bob) == {}
    with pytest.raises(InputError) as error:
        share(owner, "phone")
    assert error.value.code == "contact.blocked"
    block_contact(owner.session, owner.identity, "Bob", blocked=False)
    owner.publish()
    assert readable(owner, bob) == {"phone": "+1 555 0100"}


def test_a_contact_that_was_removed_reads_nothing_of_the_next_document(owner: Owner, bob: Stranger) -> None:
    share(owner, "phone")
    owner.publish()
    remove_contact(owner.session, owner.identity, "Bob")
    owner.publish()
    assert readable(owner, bob) == {}


def test_sharing_ends_with_the_identity(owner: Owner) -> None:
    share(owner, "phone")
    retire_identity(owner.session, owner.label)
    remove_contact(owner.session, owner.identity, "Bob")
    assert len(owner.book) == 0


def reader(number: int, *names: str, devices: int = 1) -> Contact:
    keys = tuple(sorted(sealing_key(f"{number}/{device}") for device in range(devices)))
    return replace(plain(f"reader {number}"), shared=names, sighting=Sighting(1, TODAY, sealing_keys=keys))


def test_contacts_that_read_the_same_share_a_section_and_others_do_not() -> None:
    shares = shares_of([reader(1, "a"), reader(2, "a"), reader(3, "a", "b"), reader(4)])
    assert [(share.names, len(share.recipients)) for share in shares] == [(("a",), 2), (("a", "b"), 1)]


def test_many_readers_take_several_sections_of_at_most_14_devices() -> None:
    shares = shares_of([reader(number, "a", devices=3) for number in range(10)])
    assert [len(share.recipients) for share in shares] == [14, 14, 2]
    assert sum(len(share.recipients) for share in shares) == 30


def test_too_many_different_shares_are_refused_and_nothing_is_kept(owner: Owner) -> None:
    from walletcli.wallet.contacts.book import save_book
    from walletcli.wallet.contacts.sharing import share_changes

    contacts = [reader(number, f"a{number}") for number in range(33)]
    with pytest.raises(WalletError) as error:
        save_book(
            owner.session, owner.identity.index, owner.book, owner.book.with_contacts(contacts),
            lambda book: share_changes(owner.session, owner.identity, book),
        )  # fmt: skip
    assert error.value.code == "share.too-many"
    assert len(owner.book) == 1
