"""A provider: durable PUT of sealed blobs against raw SQLite, and 100,000 hosted identities against 1,000."""

from __future__ import annotations

import hashlib
import os
import statistics
import tempfile
import time
import urllib.request
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench import servers
from bench.load import request, send_all, write_requests
from bench.measure import Row, at_most
from walletcli.client.host import HostClient
from walletcli.client.host_answers import Token
from walletcli.client.relay import RelayClient
from walletcli.core import x25519
from walletcli.core.blob import join_blob
from walletcli.core.cose import Sign1
from walletcli.core.document import Document
from walletcli.core.document_parts import Delegation, Power
from walletcli.core.ed25519 import SigningKey
from walletcli.core.encodings import b64url_encode
from walletcli.core.grant import Grant, Terms
from walletcli.core.identity_id import IdentityId
from walletcli.core.login import Login, Purpose
from walletcli.core.manifest import Manifest
from walletcli.core.packet import SignedPacket
from walletcli.core.record import Record, packet_value
from walletcli.core.secret import Secret
from walletcli.core.short_record import to_short
from walletcli.net.addresses import NodeAddress
from walletcli.net.tcp import TcpDialer
from walletcli.node.directory import NodeDirectory
from walletcli.node.hosting.kept import Claim, PutBlob
from walletcli.node.identity import NodeIdentity
from walletcli.node.sqlite_store import SqliteStore
from walletcli.node.store import PutDocument, PutPacket, Write

CONNECTIONS = 16
ROUNDS = 9
FEW = 1000
MANY = 100_000
SMALL_BYTES = 2000
ASKED = 1200
"""Identities that are bound, written to and read in one round."""

TODAY = int(time.time()) // 86_400
DEVICE = SigningKey(Secret(hashlib.sha256(b"bench hosting device").digest()))
SEALING = x25519.public_key(Secret(hashlib.sha256(b"bench hosting sealing").digest()))


def root(number: int) -> SigningKey:
    """Return the root of identity `number`; all of them have one device, for only its signatures are looked at."""
    return SigningKey(Secret(hashlib.sha256(f"bench hosted {number}".encode()).digest()))


def record(number: int, seq: int, bindings: tuple[bytes, ...] = ()) -> Record:
    """Return a record of identity `number`."""
    key = root(number)
    delegation = Delegation(DEVICE.public_key, SEALING, frozenset({Power.HOST}), TODAY - 1, TODAY + 80)
    document = Document(key.public_key, seq, bindings=bindings, delegations=(delegation,))
    return Record.verified(SignedPacket.sign(key, seq, packet_value(document)), document.to_bytes())


def sign(typ: str, payload: bytes) -> bytes:
    """Sign a statement as the device."""
    return Sign1.sign(DEVICE, typ, payload).to_bytes()


def frame(number: int, blob_id: int, content: bytes, version: int = 1) -> bytes:
    """Return a blob with its manifest."""
    digest = hashlib.sha256(content).digest()
    said = Manifest(root(number).public_key, blob_id.to_bytes(16, "big"), version, digest, len(content))
    return join_blob(sign(Manifest.TYP, said.to_payload()), content)


@dataclass
class Provider:
    """A running node that hosts."""

    directory: Path
    url: str

    @property
    def key(self) -> bytes:
        """Its root key."""
        return NodeIdentity(NodeDirectory(self.directory)).record.packet.public_key

    @property
    def batches(self) -> int:
        """How many batches its store has written: as many fsyncs of the log."""
        with urllib.request.urlopen(f"{self.url}/metrics") as answer:
            for line in answer.read().decode().splitlines():
                if line.startswith("walletcli_node_store_batches_total "):
                    return int(float(line.split()[1]))
        raise RuntimeError("the node counts no batches")

    def grant(self, number: int) -> bytes:
        """Return a grant for identity `number`, made with the node's own key."""
        identity = NodeIdentity(NodeDirectory(self.directory))
        said = Grant(
            self.key,
            root(number).public_key,
            Terms(1 << 40, 30, 1 << 21),
            os.urandom(16),
            TODAY - 1,
            TODAY + 300,
            to_short(identity.record),
        )
        return Sign1.sign(identity.device.signing, Grant.TYP, said.to_payload()).to_bytes()

    def bind(self, number: int) -> None:
        """Bind identity `number` by the real exchange."""
        address = NodeAddress.from_text(self.url)
        did = IdentityId(root(number).public_key).did
        for seq, bindings in ((1, ()), (2, (self.grant(number),))):
            made = record(number, seq, bindings)
            assert made.document is not None
            with RelayClient(address, TcpDialer()) as relay:
                relay.put_document(made.document.to_bytes())
                relay.put_packet(made.packet)
        with HostClient(address, TcpDialer(), did) as client:
            client.login(sign)
            assert client.status().terms is not None

    def token(self, number: int) -> str:
        """Log identity `number` in."""
        with urllib.request.urlopen(f"{self.url}/host/challenge") as answer:
            nonce = answer.read()
        said = Login(root(number).public_key, self.key, nonce, 15, Purpose.DEVICE)
        body = sign(Login.TYP, said.to_payload())
        request = urllib.request.Request(f"{self.url}/host/login", body, method="POST")
        with urllib.request.urlopen(request) as answer:
            return b64url_encode(Token.from_bytes(answer.read()).value)


def host_path(number: int, rest: str = "") -> str:
    """Return a path below an identity."""
    return f"/host/{IdentityId(root(number).public_key).z32}{rest}"


def start(running: ExitStack, directory: Path) -> Provider:
    """Start a provider without limits."""
    server, url = servers.node(directory, "--hosting", "open")
    running.enter_context(server)
    return Provider(directory, url)


def fill(directory: Path, provider_key: bytes, signer: bytes, count: int) -> None:
    """Host identities through the store's own interface, each with its record and two blobs of some KB."""
    store = SqliteStore(servers.store_path(directory))
    terms = Terms(1 << 30, 30, 1 << 21)
    body = record(0, 2, (bytes(900),)).document
    assert body is not None
    for first in range(0, count, 1000):
        writes: list[Write] = []
        for number in range(first, min(first + 1000, count)):
            key = hashlib.sha256(b"filled %d" % number).digest()
            name = hashlib.sha256(key).digest()
            payload = os.urandom(64) + (2).to_bytes(8, "big") + bytes(320)
            claim = Claim(os.urandom(32), signer, terms, TODAY + 200 + number % 150)
            writes.append(PutDocument(name, key, body.to_bytes(), claim=claim))
            writes.append(PutPacket(key, payload, 2, name))
            writes += [PutBlob(key, os.urandom(16), 1, os.urandom(330), os.urandom(SMALL_BYTES), 0) for _ in range(2)]
        store.stage(writes, TODAY * 86_400)
        store.commit()
        store.committed()
        store.settle()
    store.close()


def hosted() -> list[Row]:
    """Bind, PUT and GET with a hundred times the hosted identities."""
    rates: dict[tuple[str, int], list[float]] = {}
    memory = {}
    with tempfile.TemporaryDirectory(dir=servers.ROOT / ".work") as name, ExitStack() as running:
        scratch = Path(name)
        providers = {}
        for count in (FEW, MANY):
            directory = scratch / f"node{count}"
            servers.init_node(directory)
            identity = NodeIdentity(NodeDirectory(directory))
            fill(directory, identity.record.packet.public_key, identity.device.signing.public_key, count)
            server, url = servers.node(directory, "--hosting", "open")
            running.enter_context(server)
            providers[count] = (Provider(directory, url), server)
        for number in range(ROUNDS):
            people = range(number * ASKED, (number + 1) * ASKED)
            for count, (provider, _) in providers.items():
                for what, requests in _rounds(provider, people):
                    write_requests(scratch / "requests", requests)
                    rate = send_all(provider.url, scratch / "requests", CONNECTIONS).rate
                    rates.setdefault((what, count), []).append(rate)
        memory = {count: server.memory().resident / 1024 for count, (_, server) in providers.items()}
    rows = []
    for what in ("bind", "blob PUT", "blob GET"):
        few, many = (statistics.median(rates[what, count]) for count in (FEW, MANY))
        rows.append(
            at_most(
                f"provider with {MANY:,} hosted identities against {FEW:,}: time of a {what}",
                few / many,
                1.3,
                f"{many:,.0f}/s against {few:,.0f}/s",
            )
        )
    grown = memory[MANY] - memory[FEW]
    rows.append(
        Row(
            f"provider with {MANY:,} hosted identities against {FEW:,}: memory growth after the same load",
            "under 32 MB",
            f"{grown:.0f} MB",
            grown < 32,
            f"{memory[MANY]:.0f} MB against {memory[FEW]:.0f} MB resident",
        )
    )
    return rows


def _rounds(provider: Provider, people: range) -> Iterable[tuple[str, list[bytes]]]:
    """Yield what is measured, and its requests: first the records, then what a bound identity does."""
    yield "bind", [one for number in people for one in _publish(number, (provider.grant(number),))]
    tokens = {number: provider.token(number) for number in people}
    content = os.urandom(SMALL_BYTES)
    bearer = {number: f"Authorization: Bearer {token}" for number, token in tokens.items()}
    path = f"/blob/{7:032x}"
    yield (
        "blob PUT",
        [
            request("PUT", host_path(number, path), frame(number, 7, content), bearer[number], 'If-Match: "0"')
            for number in people
        ],
    )
    yield "blob GET", [request("GET", host_path(number, path), b"", bearer[number]) for number in people] * 3


def _publish(number: int, bindings: tuple[bytes, ...]) -> list[bytes]:
    made = record(number, 2, bindings)
    assert made.document is not None
    document = request("PUT", f"/document/{made.document.hash.hex()}", made.document.to_bytes())
    return [document, request("PUT", f"/{IdentityId(made.packet.public_key).z32}", made.packet.to_relay_payload())]
