"""PyPI cwt verifies a real node's grants and what we send it, and makes grants, logins and manifests that are taken."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cbor2
import cwt
import pytest

from tests.client.records import key
from tests.client.servers import Asked
from tests.node.hosting.people import Person, blob_id, sealed
from tests.peers.test_cwt_contacts import made_by_cwt, public
from tests.wallet.parts import make_home, opened
from tests.wallet.providers.liar import Answer, Liar
from tests.wallet.providers.parts import Host, bind, fails, record_of
from walletcli.client.host_answers import HostState
from walletcli.core.cose import Sign1
from walletcli.core.ed25519 import SigningKey
from walletcli.core.grant import Grant
from walletcli.core.login import Login
from walletcli.core.manifest import Manifest
from walletcli.node.directory import NodeDirectory
from walletcli.node.identity import NodeIdentity
from walletcli.wallet.access.session import Session
from walletcli.wallet.identities import create_identity


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    found = Host.start(tmp_path / "node", 'policy = "open"')
    yield found
    found.stop()


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    (tmp_path / "run").mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    with opened(make_home(tmp_path / "home")) as found:
        create_identity(found, "alice")
        yield found


@pytest.fixture
def liar(host: Host) -> Iterator[Liar]:
    found = Liar(host)
    yield found
    found.close()


def device_of(host: Host) -> SigningKey:
    return NodeIdentity(NodeDirectory(host.node.directory)).device.signing


def test_cwt_verifies_the_grant_of_a_real_node(host: Host) -> None:
    grant = Person().bind(host.address)
    protected, unprotected, payload = cwt.COSE.new().decode_with_headers(grant.data, public(device_of(host)))
    assert protected == {1: -8, 4: device_of(host).public_key, 16: Grant.TYP}
    assert unprotected == {}
    said: dict[int, Any] = cbor2.loads(payload)
    assert (said[2], said[3]) == (host.key, Person().key)
    with pytest.raises((cwt.VerifyError, ValueError)):
        cwt.COSE.new().decode(grant.data, public(key("mallory")))


def test_cwt_verifies_what_a_wallet_sends(session: Session, liar: Liar) -> None:
    bind(session, liar.url)
    view = session.snapshot().wallet.identities[0]
    device = cwt.COSEKey.new({1: 1, 2: view.device_signing_key, 3: -8, -1: 6, -2: view.device_signing_key})
    sent = {asked.path: asked.body for asked in liar.asked if asked.method == "POST"}
    assert sent.keys() == {"/host/grant", "/host/login"}
    for body in sent.values():
        assert cbor2.loads(cwt.COSE.new().decode(body, device))[2] == view.public_key


def test_a_wallet_takes_a_grant_that_cwt_made(session: Session, liar: Liar) -> None:
    made = []

    def by_cwt(asked: Asked, answer: Answer) -> Answer:
        if asked.path != "/host/grant":
            return answer
        payload = cbor2.dumps(cbor2.loads(Sign1.from_bytes(answer[1], 4096).payload), canonical=True)
        made.append(made_by_cwt(device_of(liar.host), Grant.TYP, payload))
        return 200, made[-1]

    liar.alters = by_cwt
    bound = bind(session, liar.url)
    assert [view.counts_the_grant for view in bound.overview.providers] == [True]
    document = record_of(session).document
    assert document is not None
    assert document.bindings == tuple(made)


def test_a_wallet_refuses_a_grant_that_cwt_signed_with_another_key(session: Session, liar: Liar) -> None:
    def by_another(asked: Asked, answer: Answer) -> Answer:
        if asked.path != "/host/grant":
            return answer
        return 200, made_by_cwt(key("mallory"), Grant.TYP, Sign1.from_bytes(answer[1], 4096).payload)

    liar.alters = by_another
    fails("host.unverified", lambda: bind(session, liar.url))


def test_a_real_node_takes_logins_and_manifests_that_cwt_made(host: Host) -> None:
    alice = Person()
    alice.bind(host.address)
    content = sealed()

    def sign(typ: str, payload: bytes) -> bytes:
        assert typ == Login.TYP
        return made_by_cwt(key(alice.phone), typ, payload)

    with alice.client(host.address) as client:
        client.login(sign)
        said = Manifest(alice.key, blob_id(1), 1, hashlib.sha256(content).digest(), len(content))
        client.put_blob(made_by_cwt(key(alice.phone), Manifest.TYP, said.to_payload()), content, 0)
        found = client.get_blob(blob_id(1), alice.writers)
        assert found is not None
        assert found.content == content
        assert client.status().state is HostState.BOUND
        assert cwt.COSE.new().decode(found.manifest.data, public(key(alice.phone))) == said.to_payload()
