"""A provider that is new to a wallet: its own record is looked up, the newest counts, and how many answered is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.wallet.parts import HonestRelay
from tests.wallet.providers.parts import Host, bind, view_of
from tests.wallet.recovery.parts import signed
from walletcli.core.identity_id import IdentityId
from walletcli.core.record import Record
from walletcli.errors import VerificationError
from walletcli.node.directory import NodeDirectory
from walletcli.node.identity import NodeIdentity
from walletcli.node.keys import read_root_key
from walletcli.wallet.access.session import Session
from walletcli.wallet.relays import add_relay, remove_relay
from walletcli.wallet.state.view import IdentityView


def next_record(host: Host, seq: int = 1, **fields: object) -> Record:
    """Return a record of a provider beyond the one that it shows."""
    files = NodeDirectory(host.node.directory)
    shown = NodeIdentity(files).record
    root = read_root_key(files.root_key, host.key)
    assert root is not None
    assert shown.document is not None
    return signed(root, replace(shown.document, seq=shown.packet.seq + seq, **fields))


def test_how_many_independent_sources_answered_about_a_new_provider_is_told(
    session: Session, alice: IdentityView, host: Host, relays: Callable[[], HonestRelay]
) -> None:
    for _ in range(2):
        add_relay(session.home, relays().url)
    bound = bind(session, host.address)
    assert bound.independent == 2
    assert (bound.to_json()["independent"], bound.to_json()["wanted"]) == (2, 3)
    assert bind(session, host.address).independent is None, "it is known now"


def test_without_a_relay_nobody_is_asked(session: Session, alice: IdentityView, host: Host) -> None:
    assert bind(session, host.address).independent == 0


def test_a_provider_that_shows_an_older_record_than_a_relay_has_is_refused(
    session: Session, alice: IdentityView, host: Host, relay: HonestRelay
) -> None:
    add_relay(session.home, relay.url)
    relay.shelf.put(next_record(host))
    with pytest.raises(VerificationError) as refused:
        bind(session, host.address)
    assert refused.value.code == "record.stale"
    assert view_of(session).record is None
    assert alice.public_key not in relay.shelf.packets
    remove_relay(session.home, relay.url)
    with pytest.raises(VerificationError) as again:
        bind(session, host.address)
    assert again.value.code == "record.stale", "that is remembered"


def test_a_provider_that_has_signed_two_records_with_one_seq_is_refused(
    session: Session, alice: IdentityView, host: Host, relay: HonestRelay
) -> None:
    add_relay(session.home, relay.url)
    relay.shelf.put(next_record(host, 0, profile={"name": "another"}))
    with pytest.raises(VerificationError) as refused:
        bind(session, host.address)
    assert refused.value.code == "record.equivocation"


def test_the_provider_itself_as_a_relay_is_one_source(
    session: Session, alice: IdentityView, host: Host, relay: HonestRelay
) -> None:
    for address in (host.address, host.url, relay.url):
        add_relay(session.home, address)
    assert bind(session, host.address, accept_link=True).independent == 3, "on this machine the port tells them apart"
    assert relay.shelf.asked[0].path == "/" + IdentityId(host.key).z32
