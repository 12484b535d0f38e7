"""A real node hosts, as the real client sees it."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import NodeProcess
from tests.node.hosting.people import Person, Remote, blob_id, sealed, sign_as
from walletcli.client.host_answers import HostState


def test_identity_is_bound_stores_lists_reads_and_deletes(node: NodeProcess) -> None:
    alice = Person()
    grant = alice.bind(node.address, quota_bytes=1 << 20)
    content, longer = sealed(), sealed(600_000)
    with alice.client(node.address) as client:
        client.login(sign_as(alice.phone))
        status = client.status()
        assert (status.state, status.used_bytes, status.blobs) == (HostState.BOUND, 0, 0)
        assert status.grant_digest == grant.digest
        client.put_blob(alice.manifest(1, content), content, 0)
        client.put_blob(alice.manifest(2, longer), longer, 0)
        assert [item.blob_id for item in client.blobs(alice.writers)] == [blob_id(1), blob_id(2)]
        for number, wanted in ((1, content), (2, longer)):
            found = client.get_blob(blob_id(number), alice.writers)
            assert found is not None
            assert found.content == wanted
        status = client.status()
        assert (status.used_bytes, status.blobs) == (601_000, 2)
        client.put_blob(alice.manifest(1, None, 2), b"", 1)
        assert client.status().used_bytes == 600_000
        client.forget()
        assert list(client.blobs(alice.writers)) == []
        status = client.status()
        assert (status.state, status.used_bytes, status.blobs) == (HostState.BOUND, 0, 0)


def test_metrics_and_the_status_page_say_how_much_is_hosted(node: NodeProcess) -> None:
    alice, bob = Person("counted alice"), Person("counted bob")
    asked = Remote(node)
    for one in (alice, bob):
        one.bind(node.address)
        assert one.put(asked, 1, sealed(100_000)).status == 204
        assert one.ask(asked, "GET", f"/blob/{blob_id(1).hex()}").status == 200
    bob.bindings = ()
    bob.publish(node.address)
    assert asked.ask("POST", "/host/login", b"").status == 400
    assert asked.ask("POST", "/host/grant", b"").status == 400
    numbers = {
        family.name: family.samples[0].value
        for family in text_string_to_metric_families(asked.ask("GET", "/metrics").body.decode())
    }
    assert {name: numbers[f"walletcli_node_{name}"] for name in WANTED} == WANTED
    page = asked.ask("GET", "/").body.decode()
    assert "<dt>identities</dt><dd>2, of them 1 leaving</dd>" in page
    assert "<dt>for</dt><dd>anybody</dd>" in page


WANTED = {
    "grants": 2,
    "grants_refused": 1,
    "logins": 4,
    "logins_refused": 1,
    "blobs_received": 2,
    "blob_bytes_received": 200_000,
    "blobs_given": 2,
    "blob_bytes_given": 200_000,
    "hosted": 2,
    "hosted_leaving": 1,
    "blobs": 2,
    "blob_bytes": 200_000,
    "trash": 0,
}
