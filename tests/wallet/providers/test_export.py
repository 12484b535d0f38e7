"""Export: everything that a provider holds, verified, in a directory that is an exit kit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.wallet.providers.parts import Host, bind, blob_id, fails, put, record_of, view_of
from walletcli.client.kit import DirectoryPlace, read_head
from walletcli.client.manifests import SignedManifest
from walletcli.net.tcp import TcpDialer
from walletcli.wallet.access.session import Session
from walletcli.wallet.identities import create_identity
from walletcli.wallet.providers.export import export_data
from walletcli.wallet.providers.places import bound_places, writers_of
from walletcli.wallet.publish import publish_identity
from walletcli.wallet.state.view import IdentityView


def fill(session: Session, count: int) -> None:
    with bound_places(session, view_of(session), TcpDialer()) as places:
        place = places.usable[0].place
        assert place is not None
        for number in range(count):
            put(session, view_of(session), place, number, b"sealed %d" % number)


def test_an_export_is_a_kit_with_everything(session: Session, alice: IdentityView, host: Host, tmp_path: Path) -> None:
    bind(session, host.address)
    fill(session, 3)
    done = export_data(session, "alice", str(tmp_path / "out"))
    assert done.shortfall is None
    head = read_head(done.directory)
    assert head is not None
    assert head.record == record_of(session)
    kit = DirectoryPlace(done.directory, writers_of(view_of(session)))
    assert [item.blob_id for item in kit.manifests() if isinstance(item, SignedManifest)] == [
        blob_id(number) for number in range(3)
    ]
    said = done.to_json()
    assert said["items"] == [{"blob": blob_id(n).hex(), "version": 1, "bytes": 8} for n in range(3)]


def test_an_export_goes_on_where_it_was(session: Session, alice: IdentityView, host: Host, tmp_path: Path) -> None:
    bind(session, host.address)
    fill(session, 2)
    export_data(session, "alice", str(tmp_path / "out"))
    again = export_data(session, "alice", str(tmp_path / "out"))
    assert len(again.report.same) == 2
    assert again.report.copied == []


def test_what_should_be_there_and_is_not_is_named(
    session: Session, alice: IdentityView, host: Host, tmp_path: Path
) -> None:
    bind(session, host.address)
    fill(session, 2)
    done = export_data(session, "alice", str(tmp_path / "out"), wanted={blob_id(1): 2, blob_id(7): 1})
    assert done.shortfall is not None
    assert done.shortfall.exit_code == 11
    assert [(item.blob_id, item.version, item.found_version) for item in done.report.missing] == [
        (blob_id(1), 2, 1),
        (blob_id(7), 1, 0),
    ]


def test_a_provider_that_is_left_still_hands_over(
    session: Session, alice: IdentityView, host: Host, tmp_path: Path
) -> None:
    from walletcli.wallet.providers.unbind import unbind_provider

    bind(session, host.address)
    fill(session, 2)
    unbind_provider(session, "alice", host.did, without_copy=True)
    done = export_data(session, "alice", str(tmp_path / "out"), provider=host.did)
    assert len(done.report.copied) == 2


def test_nothing_is_exported_from_nowhere(session: Session, alice: IdentityView, host: Host, tmp_path: Path) -> None:
    fails("record.none", lambda: export_data(session, "alice", str(tmp_path / "out")))
    publish_identity(session, "alice", [host.url])
    fails("provider.none", lambda: export_data(session, "alice", str(tmp_path / "out")))
    bind(session, host.address)
    host.stop()
    fails("host.unreachable", lambda: export_data(session, "alice", str(tmp_path / "out")))
    assert not (tmp_path / "out").exists()


def test_other_files_and_other_identities_are_never_written_over(
    session: Session, alice: IdentityView, hosts: Callable[..., Host], tmp_path: Path
) -> None:
    bind(session, hosts("one").address)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter").write_text("dear")
    fails("exit-kit.not-empty", lambda: export_data(session, "alice", str(tmp_path / "full")))
    create_identity(session, "bob")
    bind(session, hosts("other").address, "bob", accept_link=True)
    export_data(session, "alice", str(tmp_path / "out"))
    fails("exit-kit.identity", lambda: export_data(session, "bob", str(tmp_path / "out"), accept_link=True))
