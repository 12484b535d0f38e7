"""Synchronization on a real node: one home with its provider and kit, and two homes of one identity."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.core.samples import key, sealing_key
from tests.wallet.parts import WORDS, HonestRelay, make_home, opened, restored_home
from tests.wallet.providers.parts import Host, bind, view_of
from walletcli.client.kit import read_head
from walletcli.core.record import Record
from walletcli.errors import InputError, NetworkError, VerificationError
from walletcli.wallet.access.session import Session
from walletcli.wallet.contacts.book import read_book, save_book
from walletcli.wallet.contacts.contact import Contact, Sighting, anonymous_id
from walletcli.wallet.contacts.sharing import decide_shares, unshare
from walletcli.wallet.files import NewFile
from walletcli.wallet.identities import create_identity, retire_identity, set_attribute
from walletcli.wallet.publish import publish_identity
from walletcli.wallet.relays import add_relay
from walletcli.wallet.sealed.data import get_file, list_data, put_file
from walletcli.wallet.sealed.index import CONTACTS, SETTINGS, Kind
from walletcli.wallet.sealed.locking import data_lock
from walletcli.wallet.sealed.memory import change_memory, read_memory
from walletcli.wallet.sealed.settings import Settings
from walletcli.wallet.sealed.sync import SyncReport, SyncWish, sync_identity
from walletcli.wallet.state.changes import PlanPublish, RevokeDevices
from walletcli.wallet.state.draft import last_document

LARGE = hashlib.shake_128(b"large").digest(2_400_000)


@pytest.fixture
def first(tmp_path: Path, host: Host) -> Iterator[Session]:
    """A home whose identity `alice` is bound, with an exit kit in a directory."""
    with opened(make_home(tmp_path / "first", WORDS)) as session:
        create_identity(session, "alice")
        bind(session, host.address, kit=str(tmp_path / "kit"))
        yield session


@pytest.fixture
def second(tmp_path: Path, first: Session, host: Host) -> Iterator[Session]:
    """A second home of the same identity, from the same words, published and followed by the first."""
    with opened(restored_home(tmp_path / "second", WORDS)) as session:
        create_identity(session, "alice")
        publish_identity(session, "alice", [host.address])
        yield session


def synced(session: Session, **wish: bool) -> SyncReport:
    report = sync_identity(session, "alice", wish=SyncWish(**wish))
    assert report.errors == [], [(step, error.code, error.message) for step, error in report.errors]
    return report


def failures(report: SyncReport) -> list[tuple[str, str]]:
    return [(step, error.code) for step, error in report.errors]


def know(session: Session, *names: str) -> None:
    """Add contacts of these names."""
    index = view_of(session).index
    book = read_book(session, index)
    save_book(session, index, book, book.with_contacts(_contact(name) for name in names))


def _contact(name: str) -> Contact:
    """Return a contact without an identity: nobody looks it up."""
    return Contact(anonymous_id(name, {}, None, None), name, 20_000)


def known(session: Session) -> set[str]:
    return set(read_book(session, view_of(session).index).names().values())


def settings_at(session: Session) -> Settings:
    from walletcli.net.tcp import TcpDialer
    from walletcli.wallet.sealed.access import open_data

    with open_data(session, view_of(session), TcpDialer()) as data:
        content = data.items().content(Kind.SYSTEM, SETTINGS)
    assert content is not None
    return Settings.from_bytes(content)


def put(session: Session, path: Path, name: str, content: bytes) -> None:
    (path / name).write_bytes(content)
    put_file(session, "alice", str(path / name))


def got(session: Session, path: Path, name: str) -> bytes:
    with NewFile(str(path / "out")) as out:
        get_file(session, "alice", name, out)
        out.commit()
    content = (path / "out").read_bytes()
    (path / "out").unlink()
    return content


# One home


def test_contacts_and_settings_are_kept_sealed_and_in_the_kit(first: Session, tmp_path: Path) -> None:
    know(first, "Bob")
    report = synced(first)
    assert report.data is not None
    assert report.data.sent == (CONTACTS, SETTINGS)
    assert [kit.complete for kit in report.kits] == [True]
    own = list_data(first, "alice").seen.index.of_kind(Kind.SYSTEM)
    assert [item.name for item in own] == [CONTACTS, SETTINGS]
    assert read_head(str(tmp_path / "kit")) is not None


def test_a_second_run_has_nothing_to_do(first: Session) -> None:
    know(first, "Bob")
    synced(first)
    settle = synced(first)  # the day on which the kit was refreshed stands in the settings
    again = synced(first)
    assert settle.data is not None
    assert again.data is not None
    assert again.data.sent == ()
    assert again.data.version == settle.data.version
    assert again.record is None
    assert [kit.copied for kit in again.kits] == [0]


def test_without_a_provider_there_is_nothing_to_bring_in_step(session: Session) -> None:
    create_identity(session, "alice")
    report = synced(session)
    assert (report.data, report.record, report.kits) == (None, None, ())


def test_settings_hold_what_stands_nowhere_else(first: Session, host: Host, tmp_path: Path) -> None:
    view = view_of(first)
    first.apply(PlanPublish(view.index, (), ("mention:x",)))
    add_relay(first.home, host.url)
    synced(first)
    found = settings_at(first)
    assert "mention:x" in found.accepted_links
    assert [item.provider for item in found.providers] == [host.key]
    (row,) = found.devices
    assert (row.device, row.kit_path, row.relays) == (view.device_signing_key, str(tmp_path / "kit"), (host.url,))


def test_a_dead_provider_is_named_and_the_rest_is_done(first: Session, host: Host, relay: HonestRelay) -> None:
    add_relay(first.home, relay.url)
    host.stop()
    report = sync_identity(first, "alice")
    assert ("data", "host.unreachable") in failures(report)
    assert report.data is None


def test_offline_opens_no_connection(first: Session) -> None:
    with pytest.raises(NetworkError) as error:
        sync_identity(first, "alice", offline=True)
    assert error.value.code == "network.offline"


def test_the_record_is_stored_again_where_it_is_not_yet(first: Session, relay: HonestRelay) -> None:
    assert synced(first).record is None
    add_relay(first.home, relay.url)
    assert synced(first).record == "stored"
    assert relay.record(view_of(first).public_key).to_bytes() == view_of(first).record
    assert synced(first).record is None


def test_the_record_is_stored_again_the_next_day(first: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    synced(first)
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now + 86_400)
    assert synced(first).record == "stored"
    assert synced(first).record is None


def test_what_was_changed_and_not_published_stays_unpublished(first: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    set_attribute(first, "alice", "name", "Alice", sealed=False)
    before = view_of(first).record
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now + 86_400)
    assert synced(first).record == "stored"
    assert view_of(first).record == before


def test_a_device_whose_say_ends_soon_is_renewed(first: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    document = last_document(view_of(first))
    assert document is not None
    (own,) = document.delegations
    monkeypatch.setattr("time.time", lambda: (own.not_after_day - 10) * 86_400.0)
    report = sync_identity(first, "alice")
    assert report.record == "signed"
    renewed = last_document(view_of(first))
    assert renewed is not None
    assert renewed.delegations[0].not_after_day > own.not_after_day + 30


def test_a_grant_that_ends_soon_is_renewed_on_the_same_terms(
    first: Session, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    from walletcli.wallet.providers import renewal
    from walletcli.wallet.providers.grants import decided_grants
    from walletcli.wallet.providers.links import read_grant

    (before,) = decided_grants(view_of(first))
    with monkeypatch.context() as patched:
        patched.setattr("walletcli.wallet.sealed.following.ends_soon", lambda binding, day: True)
        patched.setattr(renewal, "ends_soon", lambda binding, day: True)
        report = synced(first)
    assert report.renewed == (host.key,)
    assert report.record == "signed"
    (after,) = decided_grants(view_of(first))
    old, new = read_grant(before), read_grant(after)
    assert old is not None
    assert new is not None
    assert (new.provider, new.terms) == (old.provider, old.terms)
    assert new.nonce != old.nonce
    data = view_of(first).record
    assert data is not None
    assert Record.from_bytes(data).document == last_document(view_of(first))


def test_a_retired_identity_is_not_written_to(first: Session, host: Host) -> None:
    synced(first)
    retire_identity(first, "alice", "none given")
    publish_identity(first, "alice", [host.address])
    report = synced(first)
    assert (report.data, report.kits) == (None, ())


def test_an_identity_that_was_restored_and_not_looked_up_is_left_alone(tmp_path: Path) -> None:
    with opened(restored_home(tmp_path / "restored", WORDS)) as session:
        create_identity(session, "alice")
        assert failures(sync_identity(session, "alice")) == [("plan", "sync.not-recovered")]


def test_while_another_process_writes_the_data_is_named_and_the_rest_is_done(
    first: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    from walletcli.wallet.sealed import locking

    monkeypatch.setattr(locking, "LOCK_S", 0.0)
    monkeypatch.setattr("walletcli.wallet.sealed.sync.data_lock", lambda home, index: data_lock(home, index, 0.0))
    with data_lock(first.home, view_of(first).index):
        assert failures(sync_identity(first, "alice")) == [("data", "data.busy")]


def test_an_unknown_identity_is_named(first: Session) -> None:
    with pytest.raises(InputError):
        sync_identity(first, "nobody")


# What is left over


def test_an_interrupted_upload_is_kept_for_a_week_and_then_cleared(
    first: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.wallet.sealed.test_data import Breaking

    (tmp_path / "large").write_bytes(LARGE)
    with monkeypatch.context() as patched:
        breaking = Breaking(patched, 2)
        with pytest.raises(NetworkError):
            put_file(first, "alice", str(tmp_path / "large"))
        assert breaking.left == 0
    synced(first)
    assert [plan.name for plan in read_memory(first, view_of(first).index).plans] == ["large"]
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now + 8 * 86_400)
    report = synced(first)
    assert report.data is not None
    assert report.data.cleared.ended == ("large",)
    assert max(path.stat().st_size for path in (tmp_path / "kit" / "blobs").iterdir()) < 10_000


def test_what_nobody_names_is_cleared_after_a_day_and_not_before(
    first: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.wallet.sealed.test_data import Breaking

    (tmp_path / "large").write_bytes(LARGE)
    with monkeypatch.context() as patched:
        Breaking(patched, 2)
        with pytest.raises(NetworkError):
            put_file(first, "alice", str(tmp_path / "large"))
    index = view_of(first).index
    change_memory(first, index, lambda memory: memory.without_plan("large"))  # as if the vault had been put back
    assert _deleted(synced(first)) == 0
    assert len(read_memory(first, index).nameless) == 2
    now = time.time()
    for hours, deleted in ((-5, 0), (23, 0), (25, 2), (26, 0)):
        monkeypatch.setattr("time.time", lambda shift=hours: now + shift * 3600)
        if hours > 0:
            assert _deleted(synced(first)) == deleted, hours
    assert read_memory(first, index).nameless == ()


def _deleted(report: SyncReport) -> int:
    assert report.data is not None
    return report.data.cleared.deleted


# Two homes


def test_a_second_device_reads_what_the_first_stored(first: Session, second: Session, tmp_path: Path) -> None:
    know(first, "Bob", "Carol")
    put(first, tmp_path, "large", LARGE)
    synced(first)
    assert synced(second).data is not None
    assert known(second) == {"Bob", "Carol"}
    assert got(second, tmp_path, "large") == LARGE


def test_a_new_device_is_followed_and_everything_is_sealed_to_it(
    first: Session, second: Session, tmp_path: Path
) -> None:
    put(first, tmp_path, "large", LARGE)
    before = list_data(first, "alice").seen.index.get(Kind.FILE, "large")
    report = synced(first)
    assert report.followed_seq is not None
    assert report.data is not None
    assert report.data.resealed == ("large",)
    after = list_data(first, "alice").seen.index.get(Kind.FILE, "large")
    assert before is not None
    assert after is not None
    assert view_of(second).device_sealing_key in set(after.recipients) - set(before.recipients)
    assert after.digest == before.digest
    assert got(second, tmp_path, "large") == LARGE
    again = synced(first)
    assert again.data is not None
    assert again.data.resealed == ()
    assert not view_of(first).changed


def test_changes_of_both_devices_meet(first: Session, second: Session) -> None:
    know(first, "Bob", "Carol")
    synced(first)
    synced(second)
    know(first, "Dave")
    know(second, "Erin")
    _forget(second, "Bob")
    synced(first)
    assert synced(second).data is not None
    synced(first)
    assert known(first) == known(second) == {"Carol", "Dave", "Erin"}


def _forget(session: Session, name: str) -> None:
    index = view_of(session).index
    book = read_book(session, index)
    save_book(session, index, book, book.without([key for key, found in book.names().items() if found == name]))


def test_what_one_device_withdraws_the_other_does_not_share_again(first: Session, second: Session) -> None:
    index = view_of(first).index
    keys = tuple(sorted(sealing_key(f"reader {number}") for number in range(2)))
    reader = Contact(key("reader").public_key, "Rita", 20_000, shared=("phone",), sighting=Sighting(1, 20_000))
    for session, seen in ((first, keys[:1]), (second, keys)):
        book = read_book(session, index)
        contact = replace(reader, sighting=Sighting(len(seen), 20_000, sealing_keys=seen))
        save_book(session, index, book, book.with_contacts([contact]))
        decide_shares(session, view_of(session))
        sync_identity(first, "alice")
        sync_identity(second, "alice")
    assert [share.recipients for share in view_of(second).shares] == [keys]
    unshare(first, view_of(first), "Rita")
    for session in (first, second, first):
        sync_identity(session, "alice")
    assert view_of(first).shares == view_of(second).shares == ()


def test_a_device_that_was_revoked_reads_nothing_that_is_written_afterwards(
    first: Session, second: Session, host: Host, tmp_path: Path
) -> None:
    put(first, tmp_path, "before", b"before")
    know(first, "Bob")
    synced(first)
    synced(second)
    synced(first)
    lost = view_of(second).device_signing_key
    view = view_of(first)
    first.apply(RevokeDevices(view.index, (lost,)))
    publish_identity(first, "alice", [host.address])
    report = synced(first)
    assert report.data is not None
    assert set(report.data.sent) == {CONTACTS, SETTINGS}
    put(first, tmp_path, "after", b"after")
    index = list_data(first, "alice").seen.index
    for name in ("after", CONTACTS, SETTINGS):
        found = index.get(Kind.FILE, name) or index.get(Kind.SYSTEM, name)
        assert found is not None
        assert view_of(second).device_sealing_key not in found.recipients
    old = index.get(Kind.FILE, "before")
    assert old is not None
    assert view_of(second).device_sealing_key in old.recipients
    assert synced(first, reseal=True).data is not None
    old = list_data(first, "alice").seen.index.get(Kind.FILE, "before")
    assert old is not None
    assert view_of(second).device_sealing_key not in old.recipients
    failed = failures(sync_identity(second, "alice"))
    assert ("record", "device.left-out") in failed
    assert ("data", "host.login") in failed


def test_what_a_revoked_device_had_stored_is_stored_anew_by_the_other(
    first: Session, second: Session, host: Host, hosts: Callable[..., Host], tmp_path: Path
) -> None:
    synced(first)
    put(second, tmp_path, "laptop's", LARGE)
    know(second, "Bob")
    synced(second)
    view = view_of(first)
    lost = view_of(second).device_signing_key
    synced(first)
    first.apply(RevokeDevices(view.index, (lost,)))
    publish_identity(first, "alice", [host.address])
    report = synced(first)
    assert report.data is not None
    assert report.data.resealed == ("laptop's",)
    assert got(first, tmp_path, "laptop's") == LARGE
    assert known(first) == {"Bob"}
    assert [kit.complete for kit in report.kits] == [True]


def test_what_a_removed_device_stored_unseen_is_believed_only_when_told(
    first: Session, second: Session, host: Host, tmp_path: Path
) -> None:
    synced(first)
    synced(second)
    synced(first)
    put(second, tmp_path, "unseen", b"unseen")
    first.apply(RevokeDevices(view_of(first).index, (view_of(second).device_signing_key,)))
    publish_identity(first, "alice", [host.address])
    report = sync_identity(first, "alice")
    assert failures(report) == [("data", "data.by-removed-device")]
    assert view_of(second).device_signing_key.hex()[:8] in report.errors[0][1].message
    synced(first, accept_removed=True)
    assert got(first, tmp_path, "unseen") == b"unseen"
    synced(first)


def test_a_removed_devices_word_is_left_out_when_the_data_is_put_back(
    first: Session, second: Session, host: Host, tmp_path: Path
) -> None:
    put(first, tmp_path, "seen", LARGE)
    synced(first)
    synced(second)
    synced(first)
    put(second, tmp_path, "unseen", b"unseen")
    first.apply(RevokeDevices(view_of(first).index, (view_of(second).device_signing_key,)))
    publish_identity(first, "alice", [host.address])
    synced(first, put_back=True)
    names = [item.name for item in list_data(first, "alice").seen.index.of_kind(Kind.FILE)]
    assert names == ["seen"]
    assert got(first, tmp_path, "seen") == LARGE


def test_a_device_that_the_other_does_not_know_yet_is_explained(
    first: Session, second: Session, tmp_path: Path
) -> None:
    synced(second)
    (tmp_path / "x").write_bytes(b"x")
    with pytest.raises(VerificationError) as error:
        put_file(first, "alice", str(tmp_path / "x"))
    assert error.value.code == "data.unknown-device"
    assert "walletcli sync alice" in error.value.hint
    synced(first)
    put(first, tmp_path, "x", b"x")


def test_two_devices_that_put_at_once_both_succeed(first: Session, second: Session, tmp_path: Path) -> None:
    import threading

    synced(first)
    synced(second)
    for number in range(2):
        (tmp_path / str(number)).mkdir()
        for name in range(4):
            (tmp_path / str(number) / f"{number} {name}").write_bytes(b"%d %d" % (number, name))

    def work(number: int, session: Session) -> None:
        for name in range(4):
            put_file(session, "alice", str(tmp_path / str(number) / f"{number} {name}"))

    threads = [threading.Thread(target=work, args=(number, session)) for number, session in enumerate((first, second))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for session in (first, second):
        names = {item.name for item in list_data(session, "alice").seen.index.of_kind(Kind.FILE)}
        assert names == {f"{number} {name}" for number in range(2) for name in range(4)}
    assert got(first, tmp_path, "1 3") == b"1 3"


def test_of_two_devices_that_put_one_name_at_once_exactly_one_is_told(
    first: Session, second: Session, tmp_path: Path
) -> None:
    import threading

    synced(first)
    synced(second)
    for number in range(2):
        (tmp_path / str(number)).mkdir()
    for attempt in range(3):
        codes: list[str] = []
        threads = [
            threading.Thread(target=_put_one, args=(session, tmp_path / str(number) / f"name {attempt}", codes))
            for number, session in enumerate((first, second))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(codes) == ["", "data.exists"]
        winner = tmp_path / str(0 if got(first, tmp_path, f"name {attempt}") == b"0" else 1) / f"name {attempt}"
        assert got(second, tmp_path, f"name {attempt}") == winner.read_bytes()


def _put_one(session: Session, path: Path, codes: list[str]) -> None:
    path.write_bytes(path.parent.name.encode())
    try:
        put_file(session, "alice", str(path))
    except InputError as error:
        codes.append(error.code)
    else:
        codes.append("")


# A provider that lost or holds back


def test_a_provider_that_was_put_back_to_an_old_copy_gets_everything_again_when_told(
    first: Session, host: Host, tmp_path: Path
) -> None:
    put(first, tmp_path, "one", b"one")
    know(first, "Bob")
    synced(first)
    host.stop()
    host.copy_to(tmp_path / "backup")
    host.restart()
    put(first, tmp_path, "two", LARGE)
    know(first, "Carol")
    synced(first)
    host.stop()
    _replace(host.node.directory, tmp_path / "backup")
    host.restart()
    assert ("data", "blob.old-version") in failures(sync_identity(first, "alice"))
    report = synced(first, put_back=True)
    assert report.data is not None
    assert report.data.put_back is not None
    assert report.data.put_back.lost == ()
    assert got(first, tmp_path, "two") == LARGE
    synced(first)
    assert known(first) == {"Bob", "Carol"}


def test_what_is_nowhere_is_named_before_it_is_given_up(first: Session, host: Host, tmp_path: Path) -> None:
    put(first, tmp_path, "one", b"one")
    synced(first)
    index = list_data(first, "alice").seen.index
    item = index.get(Kind.FILE, "one")
    assert item is not None
    host.wipe()
    host.restart()
    (tmp_path / "kit" / "blobs" / item.pieces[0].blob_id.hex()).unlink()
    publish_identity(first, "alice", [host.address])
    report = sync_identity(first, "alice", wish=SyncWish(put_back=True))
    assert failures(report) == [("data", "data.would-lose")]
    assert "'one'" in report.errors[0][1].message
    report = synced(first, put_back=True, accept_loss=True)
    assert report.data is not None
    assert report.data.put_back is not None
    assert [lost.item.name for lost in report.data.put_back.lost] == ["one"]
    synced(first)


def test_another_device_keeps_everything_when_the_data_was_put_back_to_less(
    first: Session, second: Session, host: Host, tmp_path: Path
) -> None:
    know(first, "Bob")
    synced(first)
    synced(second)
    host.stop()
    host.copy_to(tmp_path / "backup")
    with contextlib.suppress(FileNotFoundError):
        _replace(tmp_path / "old kit", tmp_path / "kit")
    host.restart()
    know(second, "Carol")
    synced(second)
    host.stop()
    _replace(host.node.directory, tmp_path / "backup")
    host.restart()
    put(first, tmp_path, "more", b"x")  # the first has not seen what the second had stored
    assert failures(sync_identity(second, "alice")) == [("data", "data.split")]
    synced(second, put_back=True)
    assert known(second) == {"Bob", "Carol"}
    synced(first)
    assert known(first) == {"Bob", "Carol"}
    assert got(second, tmp_path, "more") == b"x"


def test_a_device_that_had_more_keeps_it_when_another_one_put_the_data_back(
    first: Session, second: Session, host: Host, tmp_path: Path
) -> None:
    know(first, "Bob")
    put(first, tmp_path, "one", b"one")
    synced(first)
    synced(second)
    know(second, "Carol")
    synced(second)
    item = list_data(first, "alice", offline=True).seen.index.get(Kind.FILE, "one")
    assert item is not None
    (tmp_path / "kit" / "blobs" / item.pieces[0].blob_id.hex()).unlink()
    host.wipe()
    host.restart()
    publish_identity(first, "alice", [host.address])
    synced(first, put_back=True, accept_loss=True)  # it has not seen what the second had stored
    assert failures(sync_identity(second, "alice")) == [("data", "blob.old-version")]
    for name in ("Dave", "Erin", "Frank"):
        know(first, name)
        synced(first)
    synced(second)
    synced(first)
    assert known(first) == known(second) == {"Bob", "Carol", "Dave", "Erin", "Frank"}


def _replace(directory: Path, copy: Path) -> None:
    import shutil

    shutil.rmtree(directory, ignore_errors=True)
    shutil.copytree(copy, directory)
