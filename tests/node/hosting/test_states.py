"""Bound, leaving, unknown: how an identity stands follows from its record, at once, and what is kept goes in time."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from tests.client.records import foreign_packet, identity
from tests.node.hosting.people import Person, blob_id, sealed, sign_as, today
from tests.node.local import LocalNode, ask, eventually
from walletcli.client.host_answers import HostState, HostStatus
from walletcli.client.relay import RelayClient
from walletcli.core.cose import Sign1
from walletcli.core.ed25519 import SigningKey
from walletcli.core.grant import Grant, Terms
from walletcli.core.secret import Secret
from walletcli.net.addresses import NodeAddress
from walletcli.net.tcp import TcpDialer
from walletcli.node.hosting.claims import claim_of
from walletcli.node.hosting.kept import Claim, Disown, Forget, Kept, PutBlob, Sweep, UseInvitation
from walletcli.node.sqlite_store import SqliteStore
from walletcli.node.store import Outcome, PutDocument, PutPacket, Write

Local = Callable[..., LocalNode]
DAY_S = 86_400
NOW_S = 20_000 * DAY_S + 1000
SIGNER = b"s" * 32


def state(node: LocalNode, person: Person) -> HostStatus:
    with person.client(node.address) as client:
        client.login(sign_as(person.phone))
        return client.status()


# a node


def test_record_that_holds_the_grant_binds_at_once(host: LocalNode, alice: Person) -> None:
    alice.publish(host.address)
    assert state(host, alice).state is HostState.UNKNOWN
    grant = alice.bind(host.address, quota_bytes=1000)
    now = state(host, alice)
    assert (now.state, now.leaving_day, now.grant_digest) == (HostState.BOUND, None, grant.digest)
    assert now.terms == Terms(1000, 30, 2 << 20)


def test_record_without_the_grant_makes_it_read_only_at_once(host: LocalNode, bound: Person) -> None:
    content, longer = sealed(), sealed(400_000)
    assert bound.put(host, 1, content).status == 204
    assert bound.put(host, 2, longer).status == 204
    token = bound.token(host)
    bound.bindings = ()
    bound.publish(host.address)
    now = state(host, bound)
    assert (now.state, now.leaving_day) == (HostState.LEAVING, today() + 30)
    assert (now.used_bytes, now.blobs) == (401_000, 2)
    for size in (10, 100_000):
        answer = bound.put(host, 3, sealed(size), **token)
        assert (answer.status, answer.code) == (403, "host.not-bound")
    with bound.client(host.address) as client:
        client.login(sign_as(bound.phone))
        assert [item.blob_id for item in client.blobs(bound.writers)] == [blob_id(1), blob_id(2)]
        for number, wanted in ((1, content), (2, longer)):
            found = client.get_blob(blob_id(number), bound.writers)
            assert found is not None
            assert found.content == wanted
        client.forget()
        assert (client.status().state, client.status().blobs) == (HostState.LEAVING, 0)


def test_who_comes_back_has_everything_as_before(host: LocalNode, bound: Person) -> None:
    assert bound.put(host, 1, sealed()).status == 204
    kept, bound.bindings = bound.bindings, ()
    bound.publish(host.address)
    assert state(host, bound).state is HostState.LEAVING
    bound.bindings = kept
    bound.publish(host.address)
    now = state(host, bound)
    assert (now.state, now.leaving_day, now.blobs) == (HostState.BOUND, None, 1)
    assert bound.put(host, 1, sealed(), 2, 1).status == 204


def test_packet_whose_document_is_not_here_changes_nothing(host: LocalNode, bound: Person) -> None:
    bound.bindings, bound.seq = (), bound.seq + 1
    record = bound.record()
    assert record.document is not None
    with RelayClient(NodeAddress.from_text(host.address), TcpDialer()) as relay:
        relay.put_packet(record.packet)
        token = host.ask("POST", "/host/login", bound.login(host))
        assert (token.status, token.code) == (403, "host.unknown-identity")
        assert host.call(lambda: host.service._store.hosted(bound.key)).state is Kept.BOUND  # type: ignore[union-attr]
        relay.put_document(record.document.to_bytes())
    assert state(host, bound).state is HostState.LEAVING


def test_packet_without_a_document_holds_no_grant(host: LocalNode, bound: Person) -> None:
    payload = foreign_packet(bound.name, bound.seq + 1).to_relay_payload()
    assert host.ask("PUT", f"/{identity(bound.name).z32}", payload).status == 204
    assert host.call(lambda: host.service._store.hosted(bound.key)).state is Kept.LEAVING  # type: ignore[union-attr]


def test_stale_record_is_refused_and_changes_nothing(host: LocalNode, bound: Person) -> None:
    old = bound.record().packet.to_relay_payload()
    bound.bindings = ()
    bound.publish(host.address)
    answer = host.ask("PUT", f"/{identity(bound.name).z32}", old)
    assert (answer.status, answer.code) == (409, "packet.conflict")
    assert state(host, bound).state is HostState.LEAVING


def test_record_that_names_the_new_provider_is_served_and_sent_on_by_the_old_one(
    host: LocalNode, local: Local, alice: Person
) -> None:
    other = local("other")
    old = local("old", f'sinks = ["{other.url}"]\n[hosting]\npolicy = "open"\n')
    alice.bind(old.address)
    alice.bindings = ()
    alice.bind(host.address)
    newest = alice.publish(old.address)
    assert old.ask("GET", f"/{identity(alice.name).z32}").body == newest.packet.to_relay_payload()
    assert state(old, alice).state is HostState.LEAVING
    eventually(
        lambda: other.ask("GET", f"/{identity(alice.name).z32}").body == newest.packet.to_relay_payload(), "the sink"
    )


def test_what_is_kept_goes_when_its_time_is_over_and_the_record_stays(local: Local, alice: Person) -> None:
    node = local("node", '[hosting]\npolicy = "open"\nretention_days = 0\n', limits=False)
    alice.bind(node.address)
    for number in range(150):
        assert alice.put(node, number, sealed(2000)).status == 204
    alice.bindings = ()
    newest = alice.publish(node.address)
    assert state(node, alice).leaving_day == today()
    node.run(lambda: sweep(node))
    assert state(node, alice).state is HostState.UNKNOWN
    counts = node.call(node.service._store.counts)
    assert (counts.hosted, counts.leaving, counts.blobs, counts.blob_bytes, counts.trash) == (0, 0, 0, 0, 0)
    with apsw.Connection(str(node.directory / "store.db")) as connection:
        assert connection.execute("SELECT (SELECT count(*) FROM blob) + (SELECT count(*) FROM blob_part)").get == 0
    assert node.ask("GET", f"/{identity(alice.name).z32}").body == newest.packet.to_relay_payload()


async def sweep(node: LocalNode) -> None:
    await node.service._sweep()


def test_terms_of_a_grant_stay_when_the_node_changes_its_own(local: Local, alice: Person, bob: Person) -> None:
    node = local("node", '[hosting]\npolicy = "open"\nquota_mib = 2\nretention_days = 5\n')
    alice.bind(node.address)
    (node.directory / "node.toml").write_text('[hosting]\npolicy = "open"\nquota_mib = 1\nretention_days = 9\n')
    eventually(lambda: b"\x00\x10\x00\x00" in ask(node.port, "GET", "/host").body, "the new terms")
    alice.publish(node.address)
    assert state(node, alice).terms == Terms(2 << 20, 5, 2 << 20)
    bob.bind(node.address)
    assert state(node, bob).terms == Terms(1 << 20, 9, 2 << 20)


@pytest.fixture
def bob(person: Callable[[], Person]) -> Person:
    return person()


def test_policy_changes_on_a_running_node_and_a_broken_file_changes_nothing(local: Local, alice: Person) -> None:
    node = local("node", '[hosting]\npolicy = "open"\n')
    file = node.directory / "node.toml"
    assert b"open" in node.ask("GET", "/host").body
    file.write_text('[hosting]\npolicy = "closed"\n')
    eventually(lambda: b"closed" in node.ask("GET", "/host").body, "the new policy")
    file.write_text('[hosting]\npolicy = "ajar"\n')
    file.write_text("[hosting\n")
    file.write_text('[hosting]\npolicy = "closed"\n[limits]\nrequests_per_second = 1\nrequests_burst = 3\n')
    eventually(lambda: node.ask("GET", "/identity").status == 429, "the new limit")
    file.write_text('[hosting]\npolicy = "open"\n')
    eventually(lambda: b"open" in node.ask("GET", "/host").body, "the policy before")


def test_number_of_connections_changes_on_a_running_node(local: Local) -> None:
    node = local("node", "[limits]\nconnections_per_address = 1\n")
    file = node.directory / "node.toml"
    with socket.create_connection(("127.0.0.1", node.port)):
        eventually(lambda: node.service.server.open_connections == 1, "the connection")
        assert node.ask("GET", "/identity").code == "limits.connections"
        file.write_text("[limits]\nconnections_per_address = 2\n")
        eventually(lambda: node.ask("GET", "/identity").status == 200, "the new limit")


def test_record_that_comes_from_a_source_counts_like_one_that_is_put(local: Local, alice: Person) -> None:
    other = local("other")
    node = local("node", f'sources = ["{other.url}"]\n[hosting]\npolicy = "open"\n')
    alice.publish(node.address)
    with alice.client(node.address) as client:
        grant = client.request_grant(sign_as(alice.phone), today=today())
    alice.bindings = (grant.data,)
    alice.publish(other.address)
    node.call(lambda: node.service._sources._not_before.clear())  # type: ignore[union-attr]
    assert node.ask("GET", f"/{identity(alice.name).z32}").status == 200
    eventually(lambda: state(node, alice).state is HostState.BOUND, "the binding")


def test_binding_made_by_a_key_that_the_node_has_replaced_is_leaving(local: Local, alice: Person) -> None:
    node = local("node", '[hosting]\npolicy = "open"\n')
    alice.bind(node.address)
    node.stop()
    files = node.directory
    (files / "device.key").unlink()
    from walletcli.node import keys, own_record
    from walletcli.node.directory import NodeDirectory

    directory = NodeDirectory(files)
    device = keys.make_device_keys(directory.device_key, lambda size: b"\x07" * size)
    old = own_record.read_record(directory.record)
    root = keys.read_root_key(directory.root_key, old.packet.public_key)
    assert root is not None
    assert old.document is not None
    new = own_record.sign_record(root, device, old.document.addresses, old, today() * DAY_S, lambda size: bytes(size))
    directory.record.write_bytes(new.to_bytes())
    node.start()
    assert state(node, alice).state is HostState.LEAVING
    alice.bind(node.address)
    assert state(node, alice).state is HostState.BOUND


# the store, with a clock of its own


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    opened = SqliteStore(tmp_path / "store.db")
    yield opened
    opened.close()


def write(store: SqliteStore, *writes: Write, now_s: int = NOW_S) -> list[Outcome]:
    store.stage(writes, now_s)
    outcomes = store.commit()
    store.committed()
    store.settle()
    return outcomes


def key(number: int) -> bytes:
    return number.to_bytes(32, "big")


def record_of(number: int, seq: int, claim: Claim | None, body: bytes = b"") -> list[Write]:
    body = body or b"document %d %d" % (number, seq)
    name = (number << 32 | seq).to_bytes(32, "little")
    payload = bytes(64) + seq.to_bytes(8, "big") + bytes(100)
    return [PutDocument(name, key(number), body, claim=claim), PutPacket(key(number), payload, seq, name)]


def claim(quota: int = 1000, retention: int = 10, last_day: int = 20_100, signer: bytes = SIGNER) -> Claim:
    return Claim(b"d" * 32, signer, Terms(quota, retention, 1 << 20), last_day)


def blob(number: int, name: int, size: int = 100, version: int = 1, replaces: int = 0, **more: Any) -> PutBlob:
    manifest = b"manifest %d %d %d" % (number, name, version)
    return PutBlob(key(number), blob_id(name), version, manifest, bytes(size), replaces, **more)


def assert_consistent(store: SqliteStore) -> None:
    """Every sum and count is what the tables say."""
    reader = store._reader
    counts = store.counts()
    for name, query in {
        "hosted": "SELECT count(*) FROM hosted",
        "leaving": "SELECT count(*) FROM hosted WHERE state = 2",
        "blobs": "SELECT ifnull(sum(blobs), 0) FROM hosted",
        "blob_bytes": "SELECT ifnull(sum(used), 0) FROM hosted",
        "trash": "SELECT count(*) FROM trash",
    }.items():
        assert reader.execute(query).get == getattr(counts, name), name
    from walletcli.node.hosting.tables import is_consistent

    assert is_consistent(reader)
    orphans = "SELECT count(*) FROM blob WHERE host NOT IN (SELECT host FROM hosted UNION SELECT host FROM trash)"
    assert reader.execute(orphans).get == 0
    contents = "SELECT count(*) FROM blob_part WHERE id / 256 NOT IN (SELECT content FROM blob)"
    assert reader.execute(contents).get == 0


def test_leaving_lasts_for_the_days_of_the_grant_from_first_sight(store: SqliteStore) -> None:
    write(store, *record_of(1, 1, claim(retention=10)), blob(1, 1))
    left_s = NOW_S + 5 * DAY_S
    write(store, *record_of(1, 2, None), now_s=left_s)
    write(store, *record_of(1, 3, None), now_s=left_s + DAY_S)  # another record does not start it anew
    hosted = store.hosted(key(1))
    assert hosted is not None
    assert (hosted.state, hosted.due_s) == (Kept.LEAVING, left_s + 10 * DAY_S)
    write(store, Sweep(), now_s=left_s + 10 * DAY_S - 1)
    assert store.hosted(key(1)) is not None
    write(store, Sweep(), now_s=left_s + 10 * DAY_S)
    assert store.hosted(key(1)) is None
    assert_consistent(store)


def test_grant_whose_time_is_over_is_leaving_from_the_sweep_that_sees_it(store: SqliteStore) -> None:
    write(store, *record_of(1, 1, claim(last_day=20_010, retention=3)), blob(1, 1))
    over_s = 20_010 * DAY_S
    assert write(store, blob(1, 2), now_s=over_s - 1) == [Outcome.STORED]
    assert write(store, blob(1, 3), now_s=over_s) == [Outcome.NOT_BOUND]
    hosted = store.hosted(key(1))
    assert hosted is not None
    assert (hosted.is_bound(over_s - 1), hosted.is_bound(over_s)) == (True, False)
    write(store, Sweep(), now_s=over_s + 7 * DAY_S)
    hosted = store.hosted(key(1))
    assert hosted is not None
    assert (hosted.state, hosted.due_s) == (Kept.LEAVING, over_s + 10 * DAY_S)
    assert_consistent(store)


def test_record_with_a_grant_that_is_over_binds_nobody(store: SqliteStore) -> None:
    write(store, *record_of(1, 1, claim(last_day=20_000)))
    assert store.hosted(key(1)) is None


def test_document_before_or_after_its_packet_binds_alike(store: SqliteStore) -> None:
    document, packet = record_of(1, 1, claim())
    write(store, packet)
    assert store.hosted(key(1)) is None
    write(store, document)
    assert store.hosted(key(1)) is not None


def test_document_of_somebody_else_binds_nobody(store: SqliteStore) -> None:
    document, _ = record_of(1, 1, claim())
    _, packet = record_of(2, 1, claim())
    assert isinstance(document, PutDocument)
    assert isinstance(packet, PutPacket)
    packet.document_hash = document.document_hash
    write(store, document, packet)
    assert store.hosted(key(2)) is None


def test_document_that_was_named_before_binds_again_without_being_sent_again(store: SqliteStore) -> None:
    first = record_of(1, 1, claim())
    write(store, *first)
    write(store, *record_of(1, 2, None))
    again = first[1]
    assert isinstance(again, PutPacket)
    again.seq, again.payload = 3, bytes(64) + (3).to_bytes(8, "big") + bytes(100)
    write(store, again)
    hosted = store.hosted(key(1))
    assert hosted is not None
    assert hosted.state is Kept.BOUND


def test_other_keys_grants_are_let_go_of(store: SqliteStore) -> None:
    write(store, *record_of(1, 1, claim(signer=b"o" * 32)), *record_of(2, 1, claim()), Disown(SIGNER))
    first, second = store.hosted(key(1)), store.hosted(key(2))
    assert first is not None
    assert second is not None
    assert (first.state, second.state) == (Kept.LEAVING, Kept.BOUND)
    write(store, Disown(SIGNER))
    assert_consistent(store)
    again = record_of(1, 1, None)[1]
    assert isinstance(again, PutPacket)
    again.seq, again.payload = 2, bytes(64) + (2).to_bytes(8, "big") + bytes(100)
    write(store, again, *record_of(3, 1, claim(signer=b"o" * 32)))
    first = store.hosted(key(1))
    assert first is not None
    assert (first.state, store.hosted(key(3))) == (Kept.LEAVING, None)


def test_deleted_data_is_cleared_away_a_little_at_a_time(store: SqliteStore) -> None:
    write(store, *record_of(1, 1, claim(quota=1 << 30)), *(blob(1, number, 10) for number in range(250)))
    write(store, Forget(key(1)))
    assert store.counts().trash == 1
    write(store, blob(1, 1, 10))
    sweeps = 0
    while store.counts().trash:
        write(store, Sweep())
        sweeps += 1
        assert_consistent(store)
    assert sweeps == 3
    assert store.counts().blobs == 1


def test_long_contents_are_cleared_away_one_by_one(store: SqliteStore) -> None:
    write(store, *record_of(1, 1, claim(quota=1 << 30)))
    for number in range(3):
        put = blob(1, number, 5 << 20)
        write(store, *record_of(1, 2 + number, Claim(b"d" * 32, SIGNER, Terms(1 << 30, 1, 6 << 20), 20_100)))
        assert write(store, put) == [Outcome.STORED]
    write(store, Forget(key(1)))
    write(store, Sweep())
    assert store._reader.execute("SELECT count(*) FROM blob").get == 2
    while store.counts().trash:
        write(store, Sweep())
    assert store._reader.execute("SELECT count(*) FROM blob_part").get == 0
    assert store.reusable_bytes() > 10 << 20


def test_batch_that_is_rolled_back_leaves_nothing(store: SqliteStore) -> None:
    write(store, *record_of(1, 1, claim()))
    store.stage([blob(1, 1), *record_of(2, 1, claim()), Forget(key(1))], NOW_S)
    store._roll_back()
    assert store.hosted(key(2)) is None
    assert store.blob(1, blob_id(1)) is None
    assert write(store, blob(1, 1)) == [Outcome.STORED]
    assert_consistent(store)


def test_blobs_of_one_batch_see_each_other(store: SqliteStore) -> None:
    outcomes = write(
        store,
        *record_of(1, 1, claim(quota=250)),
        blob(1, 1, 100),
        blob(1, 1, 100, 2, 1),
        blob(1, 1, 100, 2, 1),
        blob(1, 1, 50, 3, 1),
        blob(1, 2, 200),
        blob(1, 2, 150),
    )
    assert outcomes[2:] == [
        Outcome.STORED,
        Outcome.STORED,
        Outcome.SAME,
        Outcome.PRECONDITION,
        Outcome.NO_QUOTA,
        Outcome.STORED,
    ]
    assert_consistent(store)


def test_invitation_that_is_over_goes_with_who_used_it(store: SqliteStore) -> None:
    store._writer.execute("INSERT INTO invitation VALUES(?, 2, 0, ?, ?)", (bytes(32), NOW_S, NOW_S + 10))
    assert write(store, UseInvitation(bytes(32), key(1)), UseInvitation(bytes(32), key(1))) == [
        Outcome.STORED,
        Outcome.SAME,
    ]
    assert write(store, UseInvitation(bytes(32), key(2)), now_s=NOW_S + 10) == [Outcome.REFUSED]
    write(store, Sweep(), now_s=NOW_S + 10)
    tables = "SELECT (SELECT count(*) FROM invitation) + (SELECT count(*) FROM invited)"
    assert store._reader.execute(tables).get == 0


def test_store_of_the_version_before_gets_the_tables(tmp_path: Path) -> None:
    from walletcli.node.hosting.tables import TABLES

    path = tmp_path / "old.db"
    made = SqliteStore(path)
    write(made, *record_of(1, 1, None))
    made.close()
    with apsw.Connection(str(path)) as old:
        for name in (*TABLES, "guard"):
            old.execute(f"DROP TABLE {name}")
        for column in ("claim", "has_approvers", "beside"):
            old.execute(f"ALTER TABLE document DROP COLUMN {column}")
        old.execute("PRAGMA user_version = 1")
    old.close()
    again = SqliteStore(path)
    assert again.packets([key(1)]) != [None]
    write(again, *record_of(2, 1, claim()), blob(2, 1))
    assert_consistent(again)
    again.close()


def test_reads_keep_no_snapshot_behind_them(store: SqliteStore) -> None:
    write(store, *record_of(1, 1, claim()), blob(1, 1), blob(1, 2))
    hosted = store.hosted(key(1))
    assert hosted is not None
    reads: list[Callable[[], object]] = [
        lambda: store.hosted(key(1)),
        lambda: store.rule(key(1)),
        lambda: store.blob(hosted.host_id, blob_id(1)),
        lambda: store.manifests(hosted.host_id, None, 1),
        lambda: store.document((1 << 32 | 1).to_bytes(32, "little")),
    ]
    for read in reads:
        assert read() is not None or read is reads[1]
        assert store._reader.txn_state("main") == apsw.SQLITE_TXN_NONE
    found = store.blob(hosted.host_id, blob_id(1))
    assert found is not None
    assert store.blob_part(found.content_id, 0) == bytes(100)
    assert store._content_reader.txn_state("main") == apsw.SQLITE_TXN_NONE


# claims


def test_longest_grant_of_this_key_counts_and_others_are_passed_over() -> None:
    alice = Person("claims alice")
    provider, other = SigningKey(Secret(b"\x11" * 32)), SigningKey(Secret(b"\x12" * 32))

    def grant(last: int, quota: int = 5, signer: SigningKey = provider, **changed: Any) -> bytes:
        said = Grant(
            **{
                "provider": other.public_key,
                "identity": alice.key,
                "terms": Terms(quota, 1, 1),
                "nonce": last.to_bytes(16, "big"),
                "not_before_day": 20_000,
                "not_after_day": last,
                "evidence": b"x",
                **changed,
            }
        )
        return Sign1.sign(signer, Grant.TYP, said.to_payload()).to_bytes()

    good = grant(20_100)
    broken = good[:-1] + bytes((good[-1] ^ 1,))
    alice.bindings = (
        grant(20_050),
        good,
        grant(20_100, quota=4),
        grant(20_200, signer=other),
        grant(20_200, identity=Person("claims bob").key),
        grant(20_200, provider=Person("claims carol").key),
        broken,
        b"nothing",
    )
    document = alice.record().document
    assert document is not None
    found = claim_of(document, other.public_key, provider.public_key)
    assert found is not None
    assert (found.not_after_day, found.terms.quota_bytes) == (20_100, 5)
    assert claim_of(document, Person("x").key, provider.public_key) is None
