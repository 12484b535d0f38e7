"""A provider's log, metrics and status page tell nobody apart, and its disk holds nothing but what it was given."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

from tests.client.records import identity, key
from tests.conftest import NodeProcess, Run
from tests.node.hosting.people import Person, Remote, blob_id, device, sealed, sign_as
from walletcli.core.encodings import base58_encode, z32_encode


def forms(value: bytes) -> list[bytes]:
    """Return a key or id in every coding in which it might slip out."""
    texts = [value.hex(), value.hex().upper(), z32_encode(value), base58_encode(value)]
    texts += [base64.b64encode(value).decode().rstrip("="), base64.urlsafe_b64encode(value).decode().rstrip("=")]
    return [value, repr(value)[2:-1].encode(), *(text.encode() for text in texts)]


def live_through(node: NodeProcess, person: Person, token: str) -> None:
    """Do everything that hosting knows, and be refused in many ways."""
    asked = Remote(node)
    person.bind(node.address, quota_bytes=1 << 20, invitation=token)
    for number, size in ((1, 1000), (2, 300_000), (2, 10), (3, 1 << 20)):
        person.put(asked, number, sealed(size))
    person.put(asked, 4, sealed(), signer="somebody else")
    person.put(asked, 4, sealed(), if_match="x")
    for path in ("", "/blobs", f"/blob/{blob_id(1).hex()}", f"/blob/{blob_id(9).hex()}", "/nothing"):
        person.ask(asked, "GET", path)
        asked.ask("GET", f"{person.path}{path}")
    asked.ask("POST", "/host/login", person.login(asked, signer="somebody else"))
    asked.ask("POST", "/host/grant", person.grant_request(asked, invitation="no such invitation"))
    person.devices = [device(f"{person.name} other")]
    person.bindings = ()
    person.publish(node.address)
    with person.client(node.address) as client:
        client.login(sign_as(f"{person.name} other"))
        client.forget()


def test_nothing_that_the_node_says_tells_identities_apart(
    node_factory: Callable[..., NodeProcess], cli: Callable[..., Run], tmp_path: Path
) -> None:
    node = node_factory("node")
    directory = str(node.directory)
    token = cli("--json", "node", "invite", directory, "--uses", "2").json["token"]
    people = [Person("quiet alice"), Person("quiet bob")]
    for one in people:
        live_through(node, one, token)
    cli("node", "block", directory, identity(people[0].name).did)
    (node.directory / "node.toml").write_text("[hosting\n")
    asked = Remote(node)
    said = asked.ask("GET", "/metrics").body + asked.ask("GET", "/").body
    assert node.stop() == 0
    said += (tmp_path / "node.log").read_bytes()
    assert b"node.ready" in said
    secrets = [token.encode(), *(blob_id(number).hex().encode() for number in range(1, 10))]
    for one in people:
        for name in (one.name, one.phone, f"{one.name} other"):
            secrets += forms(key(name).public_key)
    for secret in secrets:
        assert secret not in said, secret


def test_invitations_and_blobs_lie_on_the_disk_as_hashes_and_sealed_bytes(
    node_factory: Callable[..., NodeProcess], cli: Callable[..., Run]
) -> None:
    node = node_factory("node")
    token = cli("--json", "node", "invite", str(node.directory)).json["token"]
    alice, content = Person("lying alice"), sealed(5000)
    alice.bind(node.address, invitation=token)
    assert alice.put(Remote(node), 1, content).status == 204
    assert node.stop() == 0
    disk = b"".join(path.read_bytes() for path in node.directory.iterdir())
    assert content[:4000] in disk or content[1000:3000] in disk
    assert token.encode() not in disk
