"""A restore of 1,000 identities with 20 contacts each, against derivation and what the node needs for the same GETs."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.load import LOAD_CORE
from bench.measure import Row, at_most
from bench.processes import Server, pin, python
from bench.servers import ROOT, init_node
from walletcli.client.fanout import for_each
from walletcli.client.host import HostClient
from walletcli.client.host_answers import Token
from walletcli.client.manifests import Writers
from walletcli.client.places import HostPlace
from walletcli.client.relay import RelayClient
from walletcli.core import x25519
from walletcli.core.bip39 import Mnemonic
from walletcli.core.blob import INDEX_ID
from walletcli.core.card import Card
from walletcli.core.cose import Sign1
from walletcli.core.document import Document
from walletcli.core.document_parts import Delegation
from walletcli.core.ed25519 import SigningKey
from walletcli.core.encodings import b64url_encode, z32_encode
from walletcli.core.identity_id import IdentityId
from walletcli.core.keys import KeyTree
from walletcli.core.login import Login, Purpose
from walletcli.core.manifest import Manifest
from walletcli.core.packet import SignedPacket
from walletcli.core.record import Record, packet_value
from walletcli.core.sealed import unseal
from walletcli.core.secret import Secret
from walletcli.net.addresses import NodeAddress
from walletcli.net.tcp import TcpDialer
from walletcli.net.tls import pinned_client_context
from walletcli.vault.kdf import KdfParameters
from walletcli.wallet.contacts.book import ContactBook
from walletcli.wallet.contacts.contact import Contact, HeldCard
from walletcli.wallet.create import NewSlots
from walletcli.wallet.home import Home
from walletcli.wallet.recovery.plan import DEFAULT_GAP, Plan
from walletcli.wallet.recovery.report import report_of
from walletcli.wallet.recovery.run import Run
from walletcli.wallet.recovery.story import journal_of
from walletcli.wallet.restore import begin_restore
from walletcli.wallet.sealed.index import CONTACTS, Kind
from walletcli.wallet.sealed.owner import Owner
from walletcli.wallet.sealed.writing import put_item
from walletcli.wallet.state.draft import DEVICE_POWERS, today
from walletcli.wallet.state.sections import OwnerSection, seal_section

IDENTITIES = 1000
CONTACTS_EACH = 20
ROUNDS = 5
FIRST_SEQ = 1_700_000_000_000_000
WORDS = "legal winner thank year wave sausage worth useful legal winner thank yellow"
PASSWORD = Secret(b"bench")


def _book(number: int) -> bytes:
    """Return the contact book of an identity: each contact has a card with a name and a mail address."""
    contacts = []
    for contact in range(CONTACTS_EACH):
        key = SigningKey(Secret(hashlib.sha256(f"bench contact {number % 50} {contact}".encode()).digest()))
        card = Card(key.public_key, {"name": f"Ada Lovelace {contact}", "email": "ada@example.org"}, 20_000, 20_365)
        signed = Sign1.sign(key, Card.TYP, card.to_payload()).to_bytes()
        contacts.append(Contact(key.public_key, f"Ada {contact}", 20_000, HeldCard(signed, 20_000)))
    return ContactBook(contacts).to_bytes()


@dataclass(frozen=True)
class Person:
    """An identity of the owner, on the machine that is going to be lost."""

    tree: KeyTree
    index: int

    @property
    def root(self) -> SigningKey:
        return self.tree.root(self.index)

    def _secret(self, what: str) -> Secret:
        return Secret(hashlib.sha256(f"bench {what} {self.index}".encode()).digest())

    @property
    def device(self) -> Delegation:
        start = today(time.time()) - 3
        signing, sealing = SigningKey(self._secret("signing")), x25519.public_key(self._secret("sealing"))
        return Delegation(signing.public_key, sealing, DEVICE_POWERS, start, start + 90)

    def record(self, seq: int, *grants: bytes) -> Record:
        device, root = self.device, self.root
        recipients = [device.sealing_key, self.tree.recovery_public_key(self.index, 0)]
        section = seal_section(OwnerSection(f"name {self.index}", {}), root.public_key, recipients, os.urandom)
        document = Document(root.public_key, seq, bindings=grants, delegations=(device,), sections=(section,))
        packet = SignedPacket.sign(root, seq, packet_value(document))
        return Record.verified(packet, document.to_bytes())

    def sign(self, typ: str, payload: bytes) -> bytes:
        return Sign1.sign(SigningKey(self._secret("signing")), typ, payload).to_bytes()

    def settle(self, address: NodeAddress) -> bytes:
        """Bind to the provider, publish there, and keep a contact book there; return the id of its one blob."""
        did = IdentityId(self.root.public_key).did
        device, sealing = self.device, self._secret("sealing")
        recipients = tuple(sorted((device.sealing_key, self.tree.recovery_public_key(self.index, 0))))
        with RelayClient(address, TcpDialer(), did) as relay, HostClient(address, TcpDialer(), did) as host:
            _put(relay, self.record(FIRST_SEQ))
            grant = host.request_grant(self.sign, today=today(time.time()), quota_bytes=1 << 20)
            record = self.record(FIRST_SEQ + 1, grant.data)
            _put(relay, record)
            host.login(self.sign)
            place = HostPlace(host, Writers.of(self.root.public_key, [record]))
            owner = Owner(
                self.root.public_key, device.signing_key, frozenset({device.signing_key}), recipients,
                lambda blob, context: unseal(blob, sealing, context),
                lambda payload: self.sign(Manifest.TYP, payload),
            )  # fmt: skip
            seen = put_item(place, owner, Kind.SYSTEM, CONTACTS, _book(self.index))
            return next(iter(seen.index.pins))


def _put(relay: RelayClient, record: Record) -> None:
    assert record.document is not None
    relay.put_document(record.document.to_bytes())
    relay.put_packet(record.packet)


def hosting_node(directory: Path) -> tuple[Server, str, str]:
    """Start a node that hosts anybody, without limits; return it, its URL in clear and its pinned address."""
    init_node(directory)
    (directory / "node.toml").write_text('[hosting]\npolicy = "open"\n')
    command = python("-m", "walletcli", "--json", "node", "run", str(directory), "--no-limits")
    server = Server([*command, "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"], ROOT)
    addresses = json.loads(server.ready_line)["addresses"]
    clear = next(address for address in addresses if address.startswith("http://"))
    return server, clear, next(address for address in addresses if address.startswith("walletcli://"))


class Bare:
    """A client that gets what a restore gets, over as many connections, and looks at none of it.

    Args:
        tree: the keys.
        clear: the node's address without TLS.
        pinned: with TLS.
        blobs: id of the contact book's one blob, for each identity.
    """

    def __init__(self, tree: KeyTree, clear: NodeAddress, pinned: NodeAddress, blobs: Sequence[bytes]) -> None:
        assert pinned.node is not None
        self._tree, self._clear, self._pinned, self._node, self._blobs = tree, clear, pinned, pinned.node, blobs

    def run(self) -> None:
        """Derive the keys and get everything once."""
        keys = self._tree.root_public_keys(0, len(self._blobs) + DEFAULT_GAP)
        for index in range(len(self._blobs)):
            self._tree.recovery_public_key(index, 0)
        self._records(keys)
        for_each(range(len(self._blobs)), self._data)

    def _records(self, keys: Sequence[bytes]) -> None:
        with Wire(socket.create_connection((self._clear.host, self._clear.port))) as wire:
            for key in keys:
                packet = wire.get(f"/{z32_encode(key)}")
                if packet:
                    wire.get(_document_path(key, packet))

    def _data(self, index: int) -> None:
        root = self._tree.root(index)
        place = f"/host/{z32_encode(root.public_key)}/blob/"
        sock = socket.create_connection((self._pinned.host, self._pinned.port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with Wire(pinned_client_context().wrap_socket(sock)) as wire:
            own = wire.get(f"/{self._node.z32}")
            wire.get(_document_path(self._node.public_key, own))
            login = Login(root.public_key, self._node.public_key, wire.get("/host/challenge"), 15, Purpose.ROOT)
            signed = Sign1.sign(root, Login.TYP, login.to_payload()).to_bytes()
            token = Token.from_bytes(wire.post("/host/login", signed)).value
            bearer = f"Authorization: Bearer {b64url_encode(token)}\r\n"
            for blob in (INDEX_ID, self._blobs[index]):
                wire.get(place + blob.hex(), bearer)


def _document_path(key: bytes, payload: bytes) -> str:
    document_hash = SignedPacket.from_relay_payload(key, payload).document_hash
    assert document_hash is not None
    return f"/document/{document_hash.hex()}"


class Wire:
    """A connection on which requests are made one after the other; of an answer only its length is read."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self._sock.close()

    def get(self, path: str, headers: str = "") -> bytes:
        return self._answer(f"GET {path} HTTP/1.1\r\nHost: bench\r\n{headers}\r\n".encode())

    def post(self, path: str, body: bytes) -> bytes:
        return self._answer(
            f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
        )

    def _answer(self, request: bytes) -> bytes:
        self._sock.sendall(request)
        data = self._sock.recv(65_536)
        while (end := data.find(b"\r\n\r\n")) < 0:
            data += self._sock.recv(65_536)
        head = data[:end].lower()
        at = head.find(b"content-length: ")
        size = end + 4 + (int(head[at + 16 :].split(b"\r", 1)[0]) if at >= 0 else 0)
        while len(data) < size:
            data += self._sock.recv(65_536)
        return data[end + 4 :] if head.startswith(b"http/1.1 200") else b""


def restored(directory: Path, relay: str, count: int) -> Callable[[], None]:
    """Return what restores `count` identities into a new home, up to the point where records would be signed."""
    home = Home(str(directory))
    plan = Plan((relay,), together=True)
    session = begin_restore(home, Secret.from_text(WORDS), NewSlots(PASSWORD, kdf=KdfParameters(8, 1)), plan)

    def run() -> None:
        with session:
            file = journal_of(session)
            restore = Run(session, file, TcpDialer())
            restore.search(plan.addresses)
            restore.read()
            restore.remember()
            report = report_of(restore.journal, restore.wallet)
            books = [item.count for found in report.restored for item in found.entry.items if item.kind == CONTACTS]
            assert books == [CONTACTS_EACH] * count, f"{len(report.restored)} identities, {len(books)} books"

    return run


def _timed(server: Server, work: Callable[[], None]) -> tuple[float, float, float]:
    """Return the seconds that pass, and those of processor time here and at the node."""
    started, here, there = time.perf_counter(), time.process_time(), server.cpu_s()
    work()
    return time.perf_counter() - started, time.process_time() - here, server.cpu_s() - there


def restore(count: int = IDENTITIES, rounds: int = ROUNDS) -> list[Row]:
    """Derive, look up, log in, read, decode, verify and keep, against derivation and a bare client's same exchanges."""
    pin(LOAD_CORE)
    with tempfile.TemporaryDirectory() as directory:
        server, clear, pinned = hosting_node(Path(directory) / "node")
        with server:
            tree = KeyTree(Mnemonic.parse(WORDS).seed(None))
            address = NodeAddress.from_text(pinned)
            blobs = _settled(tree, address, count)
            bare = Bare(tree, NodeAddress.from_text(clear), address, blobs)
            times: tuple[list[tuple[float, float, float]], ...] = ([], [])
            for number in range(rounds):
                ours = restored(Path(directory) / f"home {number}", clear, count)
                for kept, work in zip(times, (ours, bare.run), strict=True):
                    kept.append(_timed(server, work))
    ours_s, bare_s = (min(here + there for _, here, there in kept) for kept in times)
    elapsed = [min(seconds for seconds, _, _ in kept) for kept in times]
    rates = [f"{count / seconds:,.0f}" for seconds in elapsed]
    detail = (
        f"processor time of client and node together {ours_s / count * 1000:.1f} ms for each identity, the bare client "
        f"{bare_s / count * 1000:.1f} ms; by the clock {rates[0]} and {rates[1]} identities/s"
    )
    what = f"restore of {count:,} identities with {CONTACTS_EACH} contacts each, against derivation and the same GETs"
    return [at_most(what, ours_s / bare_s, 2.0, detail)]


def _settled(tree: KeyTree, address: NodeAddress, count: int) -> list[bytes]:
    blobs: dict[int, bytes] = {}

    def settle(index: int) -> None:
        blobs[index] = Person(tree, index).settle(address)

    for_each(range(count), settle)
    return [blobs[index] for index in range(count)]
