"""What would tie two identities together is named before anything leaves, and accepted once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.dht.swarm import swarm_of
from tests.wallet.parts import HonestRelay
from walletcli.core.document import Document
from walletcli.core.document_parts import Address, Approver, Approvers, Succession, Transport
from walletcli.core.ed25519 import SigningKey
from walletcli.core.identity_id import IdentityId
from walletcli.core.packet import SignedPacket
from walletcli.core.record import Record, packet_value
from walletcli.core.secret import Secret
from walletcli.errors import InputError
from walletcli.net.addresses import NodeAddress
from walletcli.wallet.access.session import Session
from walletcli.wallet.identities import create_identity, set_attribute, show_identity
from walletcli.wallet.linkability import find_links
from walletcli.wallet.publish import publish_identity
from walletcli.wallet.records import export_record
from walletcli.wallet.state.view import IdentityView
from walletcli.wallet.state.wallet_view import WalletView

ONION = NodeAddress.from_text(f"http://{'a' * 56}.onion")
WEB = NodeAddress.from_text("https://relay.example")


def refused(action: Callable[[], object]) -> InputError:
    with pytest.raises(InputError) as caught:
        action()
    assert caught.value.code == "link.would-link"
    return caught.value


def test_a_second_identity_over_tcp_needs_a_yes_which_is_remembered(session: Session, relay: HonestRelay) -> None:
    create_identity(session, "alice")
    second = create_identity(session, "bob")
    publish_identity(session, "alice", [relay.url])
    error = refused(lambda: publish_identity(session, "bob", [relay.url]))
    assert "'alice'" in error.message
    assert "--accept-link" in error.hint
    assert second.public_key not in relay.shelf.packets
    assert show_identity(session, "bob").contacted == ()
    publish_identity(session, "bob", [relay.url], accept_link=True)
    assert show_identity(session, "bob").accepted_links == ("route:tcp",)
    set_attribute(session, "bob", "name", "Bob")
    publish_identity(session, "bob", [relay.url])


def test_the_first_identity_stays_free_to_publish(session: Session, relays: Callable[[], HonestRelay]) -> None:
    one, other = relays(), relays()
    create_identity(session, "alice")
    create_identity(session, "bob")
    publish_identity(session, "alice", [one.url])
    publish_identity(session, "bob", [one.url], accept_link=True)
    publish_identity(session, "alice", [one.url, other.url])


def test_another_relay_over_tcp_links_as_well(session: Session, relays: Callable[[], HonestRelay]) -> None:
    create_identity(session, "alice")
    create_identity(session, "bob")
    publish_identity(session, "alice", [relays().url])
    assert "compare notes" in refused(lambda: publish_identity(session, "bob", [relays().url])).message


def test_the_dht_sees_this_machines_address_as_a_relay_over_tcp_does(
    session: Session, relays: Callable[[], HonestRelay]
) -> None:
    with swarm_of(4) as swarm:
        dht = "dht://" + ",".join(f"{host}:{port}" for host, port in swarm.addresses)
        create_identity(session, "alice")
        create_identity(session, "bob")
        one, other = relays(), relays()
        publish_identity(session, "alice", [one.url, dht])
        assert dht in show_identity(session, "alice").contacted
        refused(lambda: publish_identity(session, "bob", [other.url, dht]))
        published = publish_identity(session, "bob", [other.url, dht], accept_link=True)
        assert published.stored.packet_only == (dht,)


def test_a_refused_publish_signs_and_sends_nothing(session: Session, relay: HonestRelay) -> None:
    create_identity(session, "alice")
    create_identity(session, "bob")
    publish_identity(session, "alice", [relay.url])
    asked = len(relay.shelf.asked)
    refused(lambda: publish_identity(session, "bob", [relay.url]))
    assert len(relay.shelf.asked) == asked
    assert show_identity(session, "bob").record is None


@pytest.mark.parametrize("value", ["Alice Example", " alice  EXAMPLE", "ALICEEXAMPLE"])
def test_a_public_value_that_two_identities_share_is_named(session: Session, relay: HonestRelay, value: str) -> None:
    create_identity(session, "alice")
    set_attribute(session, "alice", "name", "Alice Example")
    publish_identity(session, "alice", [relay.url])
    create_identity(session, "bob")
    publish_identity(session, "bob", [relay.url], accept_link=True)
    set_attribute(session, "bob", "nick", value.strip())
    assert "'nick'" in refused(lambda: publish_identity(session, "bob", [relay.url])).message
    set_attribute(session, "bob", "nick", "somebody else")
    publish_identity(session, "bob", [relay.url])


def test_a_value_that_was_published_and_is_unset_here_still_links(session: Session, relay: HonestRelay) -> None:
    from walletcli.wallet.identities import unset_attribute

    create_identity(session, "alice")
    set_attribute(session, "alice", "name", "Alice Example")
    publish_identity(session, "alice", [relay.url])
    unset_attribute(session, "alice", "name")
    create_identity(session, "bob")
    set_attribute(session, "bob", "name", "Alice Example")
    assert "'name'" in refused(lambda: publish_identity(session, "bob", [relay.url])).message


def test_a_sealed_value_may_be_shared(session: Session, tmp_path: Path, relay: HonestRelay) -> None:
    create_identity(session, "alice")
    set_attribute(session, "alice", "phone", "+1 555 0100", sealed=True)
    publish_identity(session, "alice", [relay.url])
    create_identity(session, "bob")
    set_attribute(session, "bob", "phone", "+1 555 0100", sealed=True)
    publish_identity(session, "bob", [relay.url], accept_link=True)
    assert show_identity(session, "bob").accepted_links == ("route:tcp",)


def test_naming_ones_other_identity_is_named(session: Session, relay: HonestRelay) -> None:
    alice = IdentityId(create_identity(session, "alice").public_key)
    publish_identity(session, "alice", [relay.url])
    create_identity(session, "bob")
    for text in (alice.did, alice.did_dht, alice.pk, alice.aliases[0]):
        set_attribute(session, "bob", "see", f"see also {text}")
        assert "'see' names 'alice'" in refused(lambda: publish_identity(session, "bob", [relay.url])).message


def test_an_identity_that_never_left_the_wallet_links_nothing(session: Session, relay: HonestRelay) -> None:
    create_identity(session, "alice")
    set_attribute(session, "alice", "name", "Alice")
    create_identity(session, "bob")
    set_attribute(session, "bob", "name", "Alice")
    publish_identity(session, "bob", [relay.url])


def test_an_export_to_a_file_is_checked_and_counts_as_having_left(
    session: Session, relay: HonestRelay, tmp_path: Path
) -> None:
    for label in ("alice", "bob"):
        create_identity(session, label)
        set_attribute(session, label, "name", "Alice")
    publish_identity(session, "alice", [relay.url])
    export_record(session, "alice", str(tmp_path / "alice.record"))
    with pytest.raises(InputError):
        publish_identity(session, "bob", [relay.url])
    publish_identity(session, "bob", [relay.url], accept_link=True)
    export_record(session, "bob", str(tmp_path / "bob.record"))


def view(index: int, **fields: object) -> IdentityView:
    key = SigningKey(Secret(bytes([index + 1]) * 32))
    plain = IdentityView(
        index=index,
        public_key=key.public_key,
        label=f"identity {index}",
        created_day=0,
        device_signing_key=bytes([index, 1]) * 16,
        device_sealing_key=bytes([index, 2]) * 16,
        recovery_key=bytes([index, 3]) * 16,
        recovery_generation=0,
        profile={},
        sealed_profile={},
        retired=None,
        changed=False,
        unseen=False,
        record=None,
        stored=None,
        contacted=("file",),
        accepted_links=(),
        path=f"m/9791'/{index}'",
    )
    document = fields.pop("document", None)
    if isinstance(document, Document):
        signed = replace(document, identity=key.public_key)
        record = Record.verified(SignedPacket.sign(key, signed.seq, packet_value(signed)), signed.to_bytes())
        fields["record"] = record.to_bytes()
    return replace(plain, **fields)  # type: ignore[arg-type]  # test data


def links(*identities: IdentityView, relays: tuple[NodeAddress, ...] = ()) -> list[str]:
    wallet = WalletView("walletcli", "english", 12, bytes(16), 0, False, identities, {})
    return [link.key for link in find_links(wallet, identities[-1], relays)]


ME = SigningKey(Secret(bytes(32))).public_key
APPROVER = Approver(-8, SigningKey(Secret(b"\x09" * 32)).public_key, user_verification=True)


@pytest.mark.parametrize(
    ("document", "what"),
    [
        (Document(ME, 1, addresses=(Address(Transport.TCP, "198.51.100.7:7411"),)), "address"),
        (Document(ME, 1, approvers=Approvers(1, (APPROVER,), 30)), "approver"),
        (Document(ME, 1, succession=Succession(bytes(32), 30)), "successor"),
        (Document(ME, 1, bindings=(b"one grant for two",)), "binding"),
        (Document(ME, 1, sections=(b"one", b"other")), "sealed section"),
    ],
)
def test_what_stands_in_two_documents_is_named(document: Document, what: str) -> None:
    found = links(view(0, document=document), view(1, document=document))
    assert found
    assert all(key.startswith(f"{what}:") for key in found)
    assert links(view(0, document=document), view(1, document=document, accepted_links=tuple(found))) == []
    assert links(view(0), view(1, document=document)) == []


def test_shared_device_keys_are_named() -> None:
    same = view(0).device_signing_key
    assert links(view(0), view(1, device_signing_key=same)) == [f"device key:{same.hex()}"]


def test_tor_links_nothing_and_tcp_after_tor_is_the_first_tcp() -> None:
    assert links(view(0, contacted=(WEB.to_text(),)), view(1), relays=(ONION,)) == []
    assert links(view(0, contacted=(ONION.to_text(),)), view(1), relays=(WEB,)) == []
    assert links(view(0, contacted=(WEB.to_text(),)), view(1), relays=(ONION, WEB)) == ["route:tcp"]


def test_an_identity_is_compared_with_hundreds_of_others() -> None:
    others = [view(n, profile={"name": f"name {n}"}, contacted=(WEB.to_text(),)) for n in range(200)]
    mine = replace(view(200), profile={"name": "name 137"})
    assert links(*others, mine, relays=(WEB,)) == ["route:tcp", "profile:name=name 137"]
