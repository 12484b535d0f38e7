"""Publishing, resolving, relays, record files and nodes, over real sockets."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.cli.conftest import Answer
from tests.conftest import NodeProcess, Run, clean_environment
from tests.core.dns_wire import message, name, rr, text
from tests.core.samples import ALICE
from walletcli.client.relay import RelayClient
from walletcli.core.encodings import b64url_encode
from walletcli.core.identity_id import IdentityId
from walletcli.core.packet import SignedPacket
from walletcli.net.addresses import NodeAddress
from walletcli.net.tcp import TcpDialer

Cli = Callable[..., Run]
Password = tuple[str, str]


@pytest.fixture
def alice(answer: Answer, wallet: Path, password: Password) -> str:
    """An identity `alice` in the test wallet; its did."""
    return str(answer("identity", "create", "alice", *password, home=wallet)["did"])


def test_what_one_publishes_anybody_resolves(
    answer: Answer, cli: Cli, wallet: Path, alice: str, node: NodeProcess, password: Password, tmp_path: Path
) -> None:
    answer("identity", "set", "alice", "name", "Alice", "--public", *password, home=wallet)
    published = answer("publish", "alice", "--relay", node.address, *password, home=wallet)
    assert (published["did"], published["stored"]["relays"]) == (alice, [node.address])
    nobody = tmp_path / "nobody"
    for form in (alice, published["did"], IdentityId.from_text(alice).z32):
        found = answer("resolve", form, "--relay", node.url, home=nobody)
        assert (found["did"], found["seq"], found["freshness"]) == (alice, published["seq"], "not-checked")
        assert found["document"]["profile"] == {"name": "Alice"}
    assert answer("identity", "list", *password, home=wallet)["identities"][0]["published"] is True
    text = cli("resolve", "alice", "--relay", node.address, *password, home=wallet).stdout
    assert "name (public):  Alice\n" in text
    assert f"(current, seq {published['seq']})" in text
    assert "at or above what this wallet has seen before" in text


def test_how_many_independent_sources_have_answered_is_told(
    answer: Answer, cli: Cli, wallet: Path, alice: str, node_factory: Callable[..., NodeProcess], password: Password,
    tmp_path: Path,
) -> None:  # fmt: skip
    nodes = [node_factory(name).url for name in ("one", "two", "three")]
    relays = [option for node in nodes for option in ("--relay", node)]
    answer("publish", "alice", *relays, *password, home=wallet)
    nobody = tmp_path / "nobody"
    for count, said in (
        (1, "1 independent source has answered; 3 are wanted before new trust starts"),
        (2, "2 independent sources have answered; 3 are wanted before new trust starts"),
        (3, "3 independent sources have answered: enough for new trust to start"),
    ):
        asked = relays[: 2 * count]
        found = answer("resolve", alice, *asked, home=nobody)
        assert (found["independent"], found["wanted"]) == (count, 3)
        assert all(source["counts"] for source in found["sources"])
        assert said in cli("resolve", alice, *asked, home=nobody).stdout
    known = cli("resolve", "alice", *relays[:2], *password, home=wallet).stdout
    assert "1 independent source has answered; one will do for what is known" in known
    assert "its latest date is " in known


def test_the_list_of_relays_is_used(
    answer: Answer, wallet: Path, alice: str, node: NodeProcess, password: Password
) -> None:
    assert answer("publish", "alice", *password, home=wallet, code=7)["error"]["code"] == "relay.none"
    assert answer("relay", "add", node.address, home=wallet) == {"relays": [node.address]}
    assert answer("relay", "add", node.url, home=wallet) == {"relays": [node.address, node.url]}
    assert answer("relay", "remove", node.url, home=wallet) == {"relays": [node.address]}
    assert answer("publish", "alice", *password, home=wallet)["stored"]["relays"] == [node.address]
    assert answer("resolve", alice, home=wallet)["did"] == alice
    answer("relay", "remove", node.url, home=wallet, code=3)
    answer("relay", "add", "gopher://x", home=wallet, code=3)


def test_fewer_copies_than_asked_have_their_own_exit_code(
    answer: Answer, wallet: Path, alice: str, node: NodeProcess, password: Password, free_port: Callable[[], int]
) -> None:
    dead = f"http://127.0.0.1:{free_port()}"
    answer("publish", "alice", "--relay", node.address, *password, home=wallet)
    to_both = ["publish", "alice", "--relay", node.address, "--relay", dead, *password]
    short = answer(*to_both, home=wallet, code=9)
    assert (short["did"], short["stored"]["relays"]) == (alice, [node.address]), "what was done is the answer"
    assert [(item["address"], item["error"]) for item in short["stored"]["failed"]] == [(dead, "relay.unreachable")]
    assert answer(*to_both, "--copies", "1", home=wallet)["stored"]["relays"] == [node.address]
    nowhere = answer("publish", "alice", "--relay", dead, *password, home=wallet, code=9)
    assert nowhere["error"]["code"] == "publish.short"


@pytest.mark.parametrize(("scheme", "code"), [("http", 7), ("https", 4), ("walletcli, of a port without TLS", 7)])
def test_an_address_of_the_wrong_kind_is_answered_with_how_nodes_are_named(
    answer: Answer, wallet: Path, alice: str, node: NodeProcess, password: Password, scheme: str,
    code: int,
) -> None:  # fmt: skip
    parts = urlsplit(node.address)
    named = f"{scheme}://{parts.netloc}"
    if scheme not in ("http", "https"):
        named = f"walletcli://{urlsplit(node.url).netloc}{parts.path}"
    for command in (["publish", "alice"], ["resolve", alice]):  # a restored wallet looks before it publishes
        error = answer(*command, "--relay", named, *password, home=wallet, code=code)["error"]
        assert "a node is named as it says when it starts: walletcli://HOST:PORT/did:key:…" in error["hint"]


def test_linking_needs_leave(answer: Answer, wallet: Path, alice: str, node: NodeProcess, password: Password) -> None:
    answer("identity", "create", "work", *password, home=wallet)
    answer("publish", "alice", "--relay", node.address, *password, home=wallet)
    error = answer("publish", "work", "--relay", node.address, *password, home=wallet, code=3)["error"]
    assert error["code"] == "link.would-link"
    assert "--accept-link" in error["hint"]
    answer("publish", "work", "--relay", node.address, "--accept-link", *password, home=wallet)
    answer("publish", "work", "--relay", node.address, *password, home=wallet)


def test_offline_touches_no_network(
    answer: Answer, wallet: Path, alice: str, node: NodeProcess, password: Password
) -> None:
    for command in (["publish", "alice", *password], ["resolve", alice]):
        error = answer("--offline", *command, "--relay", node.address, home=wallet, code=7)["error"]
        assert error["code"] == "network.offline"


def test_nobody_found_is_a_network_error(answer: Answer, home: Path, node: NodeProcess) -> None:
    unknown = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"
    assert answer("resolve", unknown, "--relay", node.url, home=home, code=7)["error"]["code"] == "resolve.not-found"
    assert answer("resolve", "alice", "--relay", node.url, home=home, code=3)["error"]["code"] == "identity.unknown"


def test_record_files_are_exported_shown_and_verified(
    answer: Answer, wallet: Path, alice: str, node: NodeProcess, password: Password, tmp_path: Path
) -> None:
    file = tmp_path / "alice.record"
    error = answer("record", "export", "alice", str(file), *password, home=wallet, code=3)["error"]
    assert error["code"] == "record.none"
    published = answer("publish", "alice", "--relay", node.address, *password, home=wallet)
    exported = answer("record", "export", "alice", str(file), "--accept-link", *password, home=wallet)
    assert exported["seq"] == published["seq"]
    assert answer("record", "verify", str(file)) == exported
    assert answer("record", "show", str(file))["did"] == alice
    answer("record", "export", "alice", str(file), *password, home=wallet, code=3)
    damaged = bytearray(file.read_bytes())
    damaged[80] ^= 1
    file.write_bytes(damaged)
    error = answer("record", "verify", str(file), code=4)["error"]
    assert error["code"] == "signature.invalid"
    answer("record", "verify", "/dev/null", code=3)
    answer("record", "verify", str(tmp_path / "missing"), code=3)


def test_the_did_dht_view_is_the_same_from_a_relay_and_from_a_file(
    answer: Answer, cli: Cli, wallet: Path, alice: str, node: NodeProcess, password: Password, tmp_path: Path
) -> None:
    file = tmp_path / "alice.record"
    answer("publish", "alice", "--relay", node.address, *password, home=wallet)
    answer("record", "export", "alice", str(file), "--accept-link", *password, home=wallet)

    resolved = answer("resolve", alice, "--did-document", "--relay", node.address, home=wallet)["did_document"]

    assert resolved["id"].startswith("did:dht:")
    assert resolved["capabilityInvocation"] == [resolved["id"] + "#0"]
    assert resolved["authentication"] != resolved["capabilityInvocation"]
    assert answer("record", "show", str(file))["did_document"] == resolved
    assert json.loads(cli("record", "show", "--did-document", str(file)).stdout) == resolved


def test_a_record_file_is_taken_into_account_without_a_relay_and_beside_one(
    answer: Answer, cli: Cli, wallet: Path, alice: str, node: NodeProcess, password: Password, tmp_path: Path
) -> None:
    file, nobody = tmp_path / "alice.record", tmp_path / "nobody"
    published = answer("publish", "alice", "--relay", node.address, *password, home=wallet)
    answer("record", "export", "alice", str(file), "--accept-link", *password, home=wallet)
    alone = answer("resolve", alice, "--record", str(file), "--offline", home=nobody)
    assert (alone["seq"], alone["independent"]) == (published["seq"], 0)
    assert [source["address"] for source in alone["sources"]] == ["file"]
    both = answer("resolve", alice, "--record", str(file), "--relay", node.address, home=nobody)
    assert [(item["address"], item["counts"]) for item in both["sources"]] == [(node.address, True), ("file", False)]
    other = answer("identity", "create", "other", *password, home=wallet)["did"]
    refused = answer("resolve", other, "--record", str(file), "--relay", node.address, home=nobody, code=4)
    assert refused["error"]["code"] == "record.identity-mismatch"
    answer("resolve", alice, "--record", "/dev/null", "--relay", node.address, home=nobody, code=3)
    answer("resolve", alice, "--record", str(tmp_path / "missing"), home=nobody, code=3)


def test_the_did_dht_view_says_that_an_identity_has_ended(
    answer: Answer, cli: Cli, wallet: Path, alice: str, node: NodeProcess, password: Password, tmp_path: Path
) -> None:
    at = ("--relay", node.address)
    published = answer("publish", "alice", *at, *password, home=wallet)
    found = answer("resolve", alice, "--did-document", *at, home=tmp_path / "nobody")
    assert found["did_document_metadata"] == {"deactivated": False, "versionId": str(published["seq"])}
    answer("identity", "retire", "alice", "--yes", *password, home=wallet)
    answer("publish", "alice", *at, *password, home=wallet)
    found = answer("resolve", alice, "--did-document", *at, home=tmp_path / "nobody")
    assert found["did_document_metadata"] == {"deactivated": True, "versionId": str(found["seq"])}
    assert "the identity has ended" in cli("resolve", alice, "--did-document", *at, home=tmp_path / "nobody").stderr


def test_the_did_dht_view_of_records_that_other_programs_made(
    answer: Answer, node: NodeProcess, tmp_path: Path
) -> None:
    z32 = IdentityId(ALICE.public_key).z32
    key0 = rr(name("_k0", "_did"), text("t=0;k=" + b64url_encode(ALICE.public_key)))
    service = rr(name("_s0", "_did"), text("id=files;t=Files;se=https://files.example/a,https://files.example/b"))
    states = (
        (rr(name("_did", z32), text("v=0;vm=k0;auth=k0;svc=s0")), key0, service),
        (rr(name("_did", z32), text("deactivated")),),
    )
    seen = []
    for seq, records in enumerate(states, 1_700_000_000):
        with RelayClient(NodeAddress.from_text(node.url), TcpDialer()) as relay:
            relay.put_packet(SignedPacket.sign(ALICE, seq, message(*records)))
        seen.append(answer("resolve", f"did:dht:{z32}", "--did-document", "--relay", node.url, home=tmp_path / "no"))
    alive, ended = seen
    assert alive["document"] is None
    assert alive["did_document"]["service"] == [
        {
            "id": f"did:dht:{z32}#files",
            "type": "Files",
            "serviceEndpoint": ["https://files.example/a", "https://files.example/b"],
        }
    ]
    assert alive["did_document_metadata"] == {"deactivated": False, "versionId": "1700000000"}
    assert ended["did_document"] == {"id": f"did:dht:{z32}"}
    assert ended["did_document_metadata"] == {"deactivated": True, "versionId": "1700000001"}


def test_an_address_in_clear_is_warned_of(cli: Cli, home: Path) -> None:
    done = cli("relay", "add", "http://198.51.100.7", home=home)

    assert done.code == 0
    assert "in clear" in done.stderr
    assert "in clear" not in cli("relay", "add", "http://127.0.0.1:7411", home=home).stderr


def test_a_node_says_one_line_when_ready_and_stops_when_told(
    answer: Answer, cli: Cli, node: NodeProcess, tmp_path: Path
) -> None:
    made = answer("node", "status", str(node.directory))
    assert (made["did"], made["running"], made["listen"]) == (node.did, True, node.address)
    assert answer("node", "run", str(node.directory), "--listen", "127.0.0.1:0", code=8)["error"]["code"] == "node.busy"
    assert node.stop() == 0
    assert node.process.stdout is not None
    assert node.process.stdout.read() == ""
    assert answer("node", "status", str(node.directory))["running"] is False


def test_the_ready_line_follows_its_schema(answer: Answer, tmp_path: Path) -> None:
    from tests.cli.answers import validator

    made = answer("node", "init", str(tmp_path / "n"), "--address", "node.example:7411")
    assert made["addresses"] == ["node.example:7411"]
    process = subprocess.Popen(
        [sys.executable, "-m", "walletcli", "node", "run", str(tmp_path / "n"), "--listen", "127.0.0.1:0", "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=clean_environment(),
    )  # fmt: skip
    assert process.stdout is not None
    ready = json.loads(process.stdout.readline())
    validator("node-run").validate(ready)
    assert ready["did"] == made["did"]
    process.send_signal(signal.SIGINT)
    assert process.wait(15) == 0
    process.stdout.close()


def test_nodes_are_backed_up_and_restored(answer: Answer, node: NodeProcess, tmp_path: Path) -> None:
    backup, other = tmp_path / "node.backup", tmp_path / "other"
    assert answer("node", "backup", str(node.directory), str(backup)) == {"backup": str(backup), "keys": True}
    answer("node", "backup", str(node.directory), str(backup), code=3)
    assert answer("node", "restore", str(backup), str(other)) == {"directory": str(other), "keys": True}
    assert answer("node", "status", str(other))["did"] == node.did
    answer("node", "restore", str(backup), str(other), code=3)


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["run", "missing", "--listen", "127.0.0.1:0"], 8),
        (["run", "missing"], 2),
        (["status", "missing"], 8),
        (["restore", "missing", "other"], 3),
        (["init", "n", "--address", "no port"], 3),
    ],
)
def test_node_commands_refuse_nonsense(answer: Answer, tmp_path: Path, args: list[str], code: int) -> None:
    answer("node", *[str(tmp_path / arg) if arg in ("missing", "other", "n") else arg for arg in args], code=code)


def test_limits_are_off_on_loopback_only(answer: Answer, tmp_path: Path) -> None:
    answer("node", "init", str(tmp_path / "n"))
    error = answer("node", "run", str(tmp_path / "n"), "--listen", "0.0.0.0:0", "--no-limits", code=2)["error"]
    assert error["code"] == "node.no-limits"
