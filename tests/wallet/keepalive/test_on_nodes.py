"""On real nodes: a provider dies with its store, a contact's device brings the record back, others resolve it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.wallet.parts import make_home, opened
from tests.wallet.providers.parts import Host, bind
from walletcli.client.keeping import Outcome
from walletcli.core.document import Document
from walletcli.core.identity_id import IdentityId
from walletcli.errors import NetworkError
from walletcli.wallet.contacts.adding import add_contact, introduction_from
from walletcli.wallet.contacts.evidence import Inquiry
from walletcli.wallet.home import Home
from walletcli.wallet.identities import create_identity, set_attribute
from walletcli.wallet.keepalive.run import KeepWish, keep_wallet_alive
from walletcli.wallet.publish import publish_identity
from walletcli.wallet.relays import add_relay
from walletcli.wallet.resolve import resolve_identity


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[list[Host]]:
    """Bob's provider, and three relays that know nothing of him."""
    started = [Host.start(tmp_path / f"node{n}", f'policy = "{"off" if n else "open"}"') for n in range(4)]
    yield started
    for node in started:
        node.stop()


def test_a_contacts_device_brings_a_record_back_that_its_provider_took_along(tmp_path: Path, nodes: list[Host]) -> None:
    provider, *relays = nodes
    with opened(make_home(tmp_path / "bob")) as bob:
        create_identity(bob, "bob")
        set_attribute(bob, "bob", "name", "Bob")
        bind(bob, provider.address, "bob")
        key = publish_identity(bob, "bob", [provider.address]).record.packet.public_key
    did = IdentityId(key).did
    with opened(make_home(tmp_path / "alice")) as alice:
        for relay in relays:
            add_relay(alice.home, relay.address)
        create_identity(alice, "alice")
        publish_identity(alice, "alice")
        identity = alice.snapshot().wallet.by_index(0)
        add_contact(alice, Inquiry(alice, identity, [provider.address]), introduction_from(did.encode()), "Bob")
        provider.wipe()
        nobody = Home(str(tmp_path / "nobody"))
        with pytest.raises(NetworkError) as gone:
            resolve_identity(did, None, [relay.address for relay in relays], home=nobody)
        assert gone.value.code == "resolve.not-found"
        (report,) = keep_wallet_alive(alice, ["alice"], KeepWish(spread_s=0)).reports
        ((task, visit),) = [(task, visit) for task, visit in report.visits if not task.is_own]
        assert (task.name, visit.outcome) == ("Bob", Outcome.RESTORED)
    found = resolve_identity(did, None, [relay.address for relay in relays], home=nobody)
    document = found.resolution.record.document
    assert isinstance(document, Document)
    assert document.profile == {"name": "Bob"}
    assert [source.seq for source in found.resolution.sources].count(found.seq) == 1
