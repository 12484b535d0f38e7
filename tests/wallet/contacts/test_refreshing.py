"""Keeping up with contacts: what is new, what was refused, whom nobody asks, and what is not led back."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import pytest

from tests.core.samples import key, sealing_key
from tests.dht.swarm import swarm_of
from tests.wallet.contacts.people import TODAY, Owner, Stranger
from tests.wallet.contacts.samples import anonymous
from tests.wallet.parts import HonestRelay
from walletcli.client.sources import open_source
from walletcli.core.cose import Sign1
from walletcli.core.document_parts import Address, Delegation, Power, Retirement, Transport
from walletcli.core.encodings import z32_encode
from walletcli.core.grant import Grant, Terms
from walletcli.core.identity_id import IdentityId
from walletcli.core.short_record import to_short
from walletcli.errors import InputError, NetworkError
from walletcli.net.addresses import NodeAddress
from walletcli.net.stream import SocketStream
from walletcli.net.tcp import TcpDialer
from walletcli.wallet.contacts.adding import add_contact, introduction_from
from walletcli.wallet.contacts.book import save_book
from walletcli.wallet.contacts.contact import HeldCard
from walletcli.wallet.contacts.editing import block_contact
from walletcli.wallet.contacts.refreshing import RefreshReport, refresh_contacts
from walletcli.wallet.contacts.report import ContactReport
from walletcli.wallet.providers.book import ProviderEntry, change_book
from walletcli.wallet.relays import add_relay, remove_relay
from walletcli.wallet.resolve import resolve_identity

Relays = Callable[[], HonestRelay]


@pytest.fixture(autouse=True)
def known(owner: Owner, bob: Stranger) -> None:
    """Bob is a contact."""
    add_contact(owner.session, owner.inquiry(), introduction_from(bob.card_file(bob.device("phone"))))
    owner.shelf.asked.clear()


def refresh(owner: Owner, *relays: str) -> RefreshReport:
    return refresh_contacts(owner.session, owner.label, relays=relays)


def kinds(report: RefreshReport) -> list[str]:
    return [item.kind for item in report.news]


def asked_for(relay: HonestRelay) -> set[str]:
    return {asked.path for asked in relay.shelf.asked if not asked.path.startswith("/document/")}


def grant_of(provider: Stranger, to: Stranger) -> bytes:
    grant = Grant(
        provider.key, to.key, Terms(1 << 20, 30, 1 << 20), bytes(16), TODAY - 1, TODAY + 30, to_short(provider.record)
    )
    return Sign1.sign(provider.device("granter"), Grant.TYP, grant.to_payload()).to_bytes()


def provider(name: str) -> Stranger:
    found = Stranger(name)
    granter = key(f"{name}'s granter")
    device = Delegation(granter.public_key, sealing_key("x"), frozenset({Power.GRANT}), TODAY - 1, TODAY + 30)
    address = Address(Transport.TCP, "127.0.0.1:9", bytes(32))
    return found.next(delegations=(device,), addresses=(address,))


def test_nothing_new_is_no_news(owner: Owner) -> None:
    report = refresh(owner)
    assert (report.asked, report.changed, report.news, report.failures) == (1, 0, (), ())
    assert not report.to_publish


def test_a_new_provider_is_news_and_its_address_is_where_to_ask_next(owner: Owner, bob: Stranger) -> None:
    one, other = provider("one"), provider("other")
    owner.shelf.put(bob.next(bindings=(grant_of(one, bob),)).record)
    assert kinds(refresh(owner)) == ["provider"]
    owner.shelf.put(bob.next(bindings=(grant_of(other, bob),)).record)
    report = refresh(owner)
    assert kinds(report) == ["provider"]
    assert other.did in report.news[0].text
    sighting = owner.contact("Bob").sighting
    assert sighting is not None
    assert sighting.providers == (other.key,)
    assert sighting.places == (f"walletcli://127.0.0.1:9/{other.did}",)


def test_a_grant_that_does_not_hold_is_no_provider(owner: Owner, bob: Stranger) -> None:
    fake = provider("one")
    owner.shelf.put(bob.next(bindings=(grant_of(fake, Stranger("carol")),)).record)
    refresh(owner)
    sighting = owner.contact("Bob").sighting
    assert sighting is not None
    assert sighting.providers == ()


def test_what_a_contact_shares_and_withdraws_is_news(owner: Owner, bob: Stranger) -> None:
    owner.shelf.put(bob.shares(owner.identity, phone="1", email="b@x").record)
    first = refresh(owner)
    assert first.news[0].text == "it lets you read email, phone"
    owner.shelf.put(bob.shares(owner.identity, phone="2").record)
    second = refresh(owner)
    assert second.news[0].text == "it lets you read phone; it has withdrawn email"
    assert ContactReport.of(owner.contact("Bob")).to_json()["received"] == {"phone": "2"}


def test_what_is_shared_with_somebody_else_is_not_read(owner: Owner, bob: Stranger) -> None:
    from dataclasses import replace as changed

    other = changed(owner.identity, device_sealing_key=sealing_key("y"))
    owner.shelf.put(bob.shares(other, phone="1").record)
    assert refresh(owner).news == ()


def test_the_end_of_an_identity_is_news(owner: Owner, bob: Stranger) -> None:
    owner.shelf.put(bob.next(retirement=Retirement(TODAY, 2), delegations=()).record)
    assert "retired" in kinds(refresh(owner))
    assert ContactReport.of(owner.contact("Bob")).state == "retired"


def test_a_split_is_news_and_the_state_before_it_stays(owner: Owner, bob: Stranger, relays: Relays) -> None:
    other = relays()
    other.shelf.put(Stranger("bob", "tablet").record)
    add_relay(owner.session.home, other.url)
    before = owner.contact("Bob").sighting
    assert kinds(refresh(owner)) == ["split"]
    after = owner.contact("Bob").sighting
    assert before is not None
    assert after is not None
    assert (after.seq, after.sealing_keys) == (before.seq, before.sealing_keys)
    assert ContactReport.of(owner.contact("Bob")).state == "split"


def test_an_older_record_is_refused_and_named(owner: Owner, bob: Stranger, relays: Relays) -> None:
    stale = relays()
    stale.shelf.put(bob.record)
    add_relay(owner.session.home, stale.url)
    owner.shelf.put(bob.with_devices("tablet").record)
    refresh(owner)
    report = refresh(owner)
    assert kinds(report) == ["stale"]
    assert stale.url in report.news[0].text
    assert owner.contact("Bob").sighting is not None
    assert owner.contact("Bob").sighting.seq == bob.document.seq  # type: ignore[union-attr]


def test_only_older_records_are_a_failure_and_change_nothing(owner: Owner, bob: Stranger, relays: Relays) -> None:
    stale = relays()
    stale.shelf.put(bob.record)
    owner.shelf.put(bob.with_devices("tablet").record)
    refresh(owner)
    report = refresh(owner, stale.url)
    assert [item.error.code for item in report.failures] == ["record.stale"]
    assert owner.contact("Bob").sighting.seq == bob.document.seq  # type: ignore[union-attr]


def test_a_contact_that_nobody_has_is_a_failure_and_the_others_are_found(owner: Owner, bob: Stranger) -> None:
    carol = Stranger("carol")
    add_contact(owner.session, owner.inquiry(offline=True), introduction_from(carol.card_file(record=False)))
    owner.shelf.put(bob.with_devices("tablet").record)
    report = refresh(owner)
    assert (report.asked, report.changed) == (2, 1)
    assert [(item.contact, item.error.code) for item in report.failures] == [("Carol", "resolve.not-found")]


def test_blocked_contacts_and_those_without_an_identity_are_not_looked_up(owner: Owner, bob: Stranger) -> None:
    save_book(owner.session, owner.identity.index, owner.book, owner.book.with_contacts([anonymous("Eve")]))
    block_contact(owner.session, owner.identity, "Bob")
    report = refresh(owner)
    assert (report.asked, report.skipped) == (0, 2)
    assert owner.shelf.asked == []


def test_somebody_without_an_identity_cannot_be_looked_up_by_name(owner: Owner) -> None:
    save_book(owner.session, owner.identity.index, owner.book, owner.book.with_contacts([anonymous("Eve")]))
    with pytest.raises(InputError) as error:
        refresh_contacts(owner.session, owner.label, whom=["Eve"])
    assert error.value.code == "contact.no-identity"


def test_a_blocked_contact_is_not_looked_up_by_name_either(owner: Owner) -> None:
    block_contact(owner.session, owner.identity, "Bob")
    with pytest.raises(InputError) as error:
        refresh_contacts(owner.session, owner.label, whom=["Bob"])
    assert error.value.code == "contact.blocked"


def test_only_who_is_named_is_looked_up(owner: Owner, bob: Stranger) -> None:
    carol = Stranger("carol")
    owner.shelf.put(carol.record)
    add_contact(owner.session, owner.inquiry(offline=True), introduction_from(carol.card_file()))
    refresh_contacts(owner.session, owner.label, whom=["Carol"])
    assert asked_for(owner.relay) == {f"/{z32_encode(carol.key)}"}


def test_ones_own_provider_is_never_asked(owner: Owner, relays: Relays) -> None:
    entry = ProviderEntry(key("provider").public_key, owner.relay.url)
    change_book(owner.session, owner.identity.index, lambda book: book.with_entry(entry))
    with pytest.raises(NetworkError) as error:
        refresh(owner)
    assert error.value.code == "contact.only-provider"
    other = relays()
    add_relay(owner.session.home, other.url)
    refresh(owner)
    assert owner.shelf.asked == []
    assert len(other.shelf.asked) == 1


def test_a_provider_of_ones_own_is_not_asked_where_a_contact_is_hosted_there_too(owner: Owner, bob: Stranger) -> None:
    host = provider("one")
    entry = ProviderEntry(host.key, f"walletcli://127.0.0.1:9/{host.did}")
    change_book(owner.session, owner.identity.index, lambda book: book.with_entry(entry))
    owner.shelf.put(bob.next(bindings=(grant_of(host, bob),)).record)
    refresh(owner)
    inquiry = owner.inquiry()
    assert inquiry.places(owner.contact("Bob").sighting.places) == []  # type: ignore[union-attr]


def test_without_anybody_to_ask_it_says_so(owner: Owner) -> None:
    remove_relay(owner.session.home, owner.relay.url)
    with pytest.raises(NetworkError) as error:
        refresh(owner)
    assert error.value.code == "relay.none"


def test_offline_it_asks_nobody(owner: Owner) -> None:
    with pytest.raises(NetworkError) as error:
        refresh_contacts(owner.session, owner.label, offline=True)
    assert error.value.code == "network.offline"
    assert owner.shelf.asked == []


def test_without_contacts_nobody_is_needed(owner: Owner) -> None:
    from walletcli.wallet.identities import create_identity

    create_identity(owner.session, "work")
    remove_relay(owner.session.home, owner.relay.url)
    assert refresh_contacts(owner.session, "work").asked == 0


def test_a_card_of_a_device_is_proven_by_the_record_that_comes_later(owner: Owner) -> None:
    carol = Stranger("carol", "phone")
    contact = add_contact(
        owner.session, owner.inquiry(offline=True), introduction_from(carol.card_file(carol.device("phone")))
    ).contact
    assert contact.card is not None
    unproven = type(contact)(contact.id, "Carol", TODAY, HeldCard(contact.card.data, None))
    save_book(owner.session, owner.identity.index, owner.book, owner.book.with_contacts([unproven]))
    owner.shelf.put(carol.record)
    assert kinds(refresh(owner)) == ["card"]
    assert owner.contact("Carol").card == HeldCard(contact.card.data, TODAY)


def test_a_card_of_a_foreign_key_stays_unproven(owner: Owner, bob: Stranger) -> None:
    forged = HeldCard(bob.card(key("mallory")), None)
    contact = type(owner.contact("Bob"))(bob.key, "Bob", TODAY, forged)
    save_book(owner.session, owner.identity.index, owner.book, owner.book.with_contacts([contact]))
    refresh(owner)
    assert owner.contact("Bob").card == forged
    assert not ContactReport.of(owner.contact("Bob")).to_json()["card"]["verified"]  # type: ignore[index]


def test_a_relay_learns_of_contacts_over_the_route_of_the_identity_whose_they_are(owner: Owner) -> None:
    from walletcli.net.tcp import TcpDialer

    routes: list[str | None] = []

    class Listening(TcpDialer):
        def dial(self, address: object, for_identity: str | None, deadline_s: float) -> object:  # type: ignore[override]
            routes.append(for_identity)
            return super().dial(address, for_identity, deadline_s)  # type: ignore[arg-type]

    refresh_contacts(owner.session, owner.label, dialer=Listening())
    assert routes == [IdentityId(owner.key).did]


def test_many_contacts_are_asked_for_over_one_connection(owner: Owner) -> None:
    strangers = [Stranger(f"stranger {number}", "phone") for number in range(60)]
    for stranger in strangers:
        owner.shelf.put(stranger.record)
        add_contact(owner.session, owner.inquiry(offline=True), introduction_from(stranger.card_file()), stranger.name)
    before = owner.relay._server.connections
    for stranger in strangers:
        owner.shelf.put(stranger.with_devices("tablet").record)
    report = refresh(owner)
    assert (report.asked, report.changed, report.failures) == (61, 60, ())
    assert owner.relay._server.connections == before + 1
    assert not report.is_spread, "the only relay has learned of all of them, and that is told"


def test_a_document_that_relays_lack_is_looked_for_at_the_providers_that_the_known_record_names(
    owner: Owner, bob: Stranger
) -> None:
    class Watching(TcpDialer):
        asked: ClassVar[list[str]] = []

        def dial(self, address: NodeAddress, for_identity: str | None, deadline_s: float) -> SocketStream:
            self.asked.append(address.to_text())
            return super().dial(address, for_identity, deadline_s)

    host = provider("one")
    owner.shelf.put(bob.next(bindings=(grant_of(host, bob),)).record)
    refresh(owner)
    owner.shelf.put(bob.next(profile={"name": "Bob"}).record, document=False)
    found = resolve_identity(bob.did, owner.session, dialer=Watching())
    assert found.resolution.pending is not None
    assert Watching.asked == [owner.relay.url, f"walletcli://127.0.0.1:9/{host.did}"]


def test_contacts_are_looked_up_in_the_dht_where_it_stands_in_the_list(owner: Owner, bob: Stranger) -> None:
    newer = bob.next(profile={"name": "Bob"}).record
    owner.shelf.put(newer)
    owner.shelf.packets[bob.key] = bob.record.packet
    with swarm_of(8) as swarm:
        dht = "dht://" + ",".join(f"{host}:{port}" for host, port in swarm.addresses[:3])
        with open_source(NodeAddress.from_relay_text(dht), TcpDialer()) as source:
            assert (source.put_packet(newer.packet) or 0) >= 4
        add_relay(owner.session.home, dht)
        assert refresh(owner).changed == 1
        sighting = owner.contact("Bob").sighting
        assert sighting is not None
        assert sighting.seq == newer.packet.seq
        added = add_contact(owner.session, owner.inquiry(), introduction_from(bob.did.encode()))
        assert (added.is_new, added.independent) == (False, 2)
