"""A real node hosts, as the real client sees it."""

from __future__ import annotations

from tests.conftest import NodeProcess
from tests.node.hosting.people import Person, blob_id, sealed, sign_as
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
