"""Every connection of a story about an identity's providers is opened for that identity, and for no other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.wallet.parts import HonestRelay
from tests.wallet.providers.parts import Host, put_data, view_of
from walletcli.net.addresses import NodeAddress
from walletcli.net.stream import SocketStream
from walletcli.net.tcp import TcpDialer
from walletcli.wallet.access.session import Session
from walletcli.wallet.identities import create_identity
from walletcli.wallet.providers.bind import BindWish, bind_provider
from walletcli.wallet.providers.export import export_data
from walletcli.wallet.providers.migrate import MigrateWish, migrate
from walletcli.wallet.providers.overview import provider_status
from walletcli.wallet.providers.places import bound_places
from walletcli.wallet.providers.renewal import renew_grants
from walletcli.wallet.providers.unbind import unbind_provider
from walletcli.wallet.relays import add_relay
from walletcli.wallet.state.view import IdentityView


class Recorder(TcpDialer):
    """A dialer that remembers on whose behalf it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None]] = []

    def dial(self, address: NodeAddress, for_identity: str | None, deadline_s: float) -> SocketStream:
        self.asked.append((address.to_text(), for_identity))
        return super().dial(address, for_identity, deadline_s)


def test_every_connection_is_opened_for_the_identity(
    session: Session, alice: IdentityView, hosts: Callable[..., Host], relay: HonestRelay, tmp_path: Path
) -> None:
    create_identity(session, "bob")
    add_relay(session.home, relay.url)
    old, new, dialer = hosts("old"), hosts("new"), Recorder()
    bind_provider(session, "alice", BindWish(old.address, kit=str(tmp_path / "kit")), dialer=dialer)
    put_data(session, tmp_path, "letter", b"dear")
    provider_status(session, "alice", dialer=dialer)
    migrate(session, "alice", MigrateWish(new.address), dialer=dialer)
    export_data(session, "alice", str(tmp_path / "out"), dialer=dialer)
    with bound_places(session, view_of(session), dialer) as places:
        renew_grants(session, view_of(session), places, dialer)
    unbind_provider(session, "alice", new.did, dialer=dialer, without_copy=True, forget=True)
    did = view_of(session).summary().did
    assert {address for address, _ in dialer.asked} == {relay.url, old.address, new.address}
    assert {who for _, who in dialer.asked} == {did}
