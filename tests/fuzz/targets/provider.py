"""What identities and providers sign, and whatever anybody asks of a node below ``/host``."""

from __future__ import annotations

import atexit
import functools
import hashlib
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from tests.fuzz.target import Target, fixed_entropy
from walletcli.core import cbor
from walletcli.core.blob import join_blob
from walletcli.core.cose import Sign1
from walletcli.core.document import Document
from walletcli.core.document_parts import Delegation, Power
from walletcli.core.ed25519 import SigningKey
from walletcli.core.encodings import b64url_encode
from walletcli.core.grant import Grant, Terms
from walletcli.core.grant_request import GrantRequest
from walletcli.core.identity_id import IdentityId
from walletcli.core.login import Login, Purpose
from walletcli.core.manifest import Manifest
from walletcli.core.packet import SignedPacket
from walletcli.core.record import Record, packet_value
from walletcli.core.secret import Secret
from walletcli.core.statements import Statement
from walletcli.errors import WalletError
from walletcli.node import setup
from walletcli.node.batch_writer import BatchWriter, WriterState
from walletcli.node.clock import Clock
from walletcli.node.config import Hosting, Policy, Storage
from walletcli.node.directory import NodeDirectory
from walletcli.node.gate import Gate
from walletcli.node.hosting.budget import Budget
from walletcli.node.hosting.kept import Claim
from walletcli.node.hosting.provider import Provider
from walletcli.node.hosting.routes import HostRoutes
from walletcli.node.hosting.tokens import Session, signer_tag
from walletcli.node.http import Connection
from walletcli.node.identity import NodeIdentity
from walletcli.node.metrics import HostingCounters
from walletcli.node.request import Client, Refusal, Request
from walletcli.node.sqlite_store import SqliteStore
from walletcli.node.store import Outcome, PutDocument, PutPacket, Write

ROOT = SigningKey(Secret(bytes(range(32))))
DEVICE = SigningKey(Secret(bytes(range(1, 33))))
OTHER = SigningKey(Secret(bytes(range(2, 34))))
TERMS = Terms(1 << 20, 30, 1 << 18)
CHALLENGE = bytes(range(40))
PATH = f"/host/{IdentityId(ROOT.public_key).z32}"
STATUSES = {200, 204, 400, 401, 403, 404, 405, 411, 412, 413, 428, 503, 507}
SLOT = b"@token@"
"""Stands for a token that is good while the target runs."""


def checks(cls: type[Statement]) -> Callable[[bytes], bool]:
    """Return the rule of a statement: one encoding for each value."""

    def check(data: bytes) -> bool:
        try:
            found = cls.from_payload(data)
        except WalletError:
            return False
        assert found.to_payload() == data
        return True

    return check


class _Writer:
    """Says of everything that it is there already, so that no input changes what the next one meets."""

    def __init__(self) -> None:
        self.state = WriterState()

    def submit(self, write: Write, done: Callable[[Outcome | WalletError], None]) -> None:
        done(Outcome.SAME)


class _Connection:
    """Keeps the answers."""

    def __init__(self) -> None:
        self.answers: list[bytes] = []

    def finish(self, answer: bytes) -> None:
        self.answers.append(answer)


@functools.cache
def _node() -> tuple[HostRoutes, bytes]:
    """Return a provider with one identity that is bound, and that identity's token."""
    directory = Path(tempfile.mkdtemp(prefix="fuzz-node-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    setup.init(directory / "node", ["192.0.2.1:7411"], entropy=fixed_entropy("node"))
    identity = NodeIdentity(NodeDirectory(directory / "node"))
    store = SqliteStore(directory / "node" / "store.db")
    today = int(time.time()) // 86_400
    delegation = Delegation(DEVICE.public_key, b"\x09" + bytes(31), frozenset({Power.HOST}), today - 1, today + 80)
    document = Document(ROOT.public_key, 7, delegations=(delegation,))
    record = Record.verified(SignedPacket.sign(ROOT, 7, packet_value(document)), document.to_bytes())
    claim = Claim(bytes(32), bytes(32), TERMS, today + 100)
    store.stage(
        [
            PutDocument(document.hash, ROOT.public_key, document.to_bytes(), claim=claim),
            PutPacket(ROOT.public_key, record.packet.to_relay_payload(), 7, document.hash),
        ],
        int(time.time()),
    )
    store.commit()
    store.committed()
    clock = Clock(1000.0)
    gate = Gate(store, cast(BatchWriter, _Writer()), clock, None, Storage(0), directory)
    routes = HostRoutes(gate, Provider(identity, Hosting(Policy.OPEN)), Budget(clock, None), HostingCounters())
    session = Session(ROOT.public_key, Purpose.DEVICE, signer_tag(DEVICE.public_key))
    return routes, routes._tokens.make(session, int(time.time()) + 1_000_000)


def check_host(data: bytes) -> bool:
    """A request gets exactly one answer, of a status that the page names, and no error of another kind comes out.

    Input: method, target, ``Authorization`` and ``If-Match`` on a line each, then the body.
    """
    parts = data.split(b"\n", 4)
    if len(parts) != 5:
        return False
    method, target, authorization, match, body = parts
    routes, token = _node()
    headers = {b"authorization": authorization.replace(SLOT, b64url_encode(token).encode()), b"if-match": match}
    path, _, query = target.partition(b"?")
    if not path.startswith(b"/host") or path[5:6] not in (b"", b"/"):
        return False
    client = Client(b"\x7f\0\0\1", False)
    limit = routes.body_limit(method, path, headers, client, len(body))
    if isinstance(limit, Refusal):
        assert limit.status in STATUSES
        return False
    if len(body) > limit.most_bytes:
        return False
    connection = _Connection()
    request = Request(method, target, {name: value for name, value in headers.items() if value}, body, client, True)
    answer = routes.answer(request, cast(Connection, connection), path, query)
    answers = connection.answers + ([answer] if answer is not None else [])
    assert len(answers) == 1
    assert answers[0].startswith(b"HTTP/1.1 ")
    status = int(answers[0][9:12])
    assert status in STATUSES
    return status < 300


def _statement(key: SigningKey, statement: Any) -> bytes:
    return Sign1.sign(key, statement.TYP, statement.to_payload()).to_bytes()


def _asked(method: str, path: str, body: bytes = b"", token: bytes = b"Bearer " + SLOT, match: bytes = b"") -> bytes:
    return b"\n".join((method.encode(), path.encode(), token, match, body))


def _host_seeds() -> list[bytes]:
    content = b"sealed"
    digest = hashlib.sha256(content).digest()
    manifest = Manifest(ROOT.public_key, bytes(15) + b"\1", 1, digest, len(content))
    frame = join_blob(_statement(DEVICE, manifest), content)
    gone = join_blob(_statement(DEVICE, Manifest(ROOT.public_key, bytes(16), 4, None, 0, bytes(32))), b"")
    return [
        _asked("GET", "/host", token=b""),
        _asked("GET", "/host/challenge", token=b""),
        _asked("GET", PATH),
        _asked("DELETE", PATH),
        _asked("GET", f"{PATH}/blobs"),
        _asked("GET", f"{PATH}/blobs?after={'0' * 32}&limit=7"),
        _asked("PUT", f"{PATH}/blob/{'0' * 31}1", frame, match=b'"0"'),
        _asked("PUT", f"{PATH}/blob/{'0' * 32}", gone, match=b'"3"'),
        _asked("OPTIONS", "/host/login", token=b""),
    ]


def _grant() -> Grant:
    return Grant(OTHER.public_key, ROOT.public_key, TERMS, bytes(16), 20_000, 20_300, cbor.encode([bytes(64), b"x"]))


TARGETS = [
    Target("grant", checks(Grant), lambda: [_grant().to_payload()]),
    Target(
        "grant-request",
        checks(GrantRequest),
        lambda: [
            GrantRequest(ROOT.public_key, OTHER.public_key, CHALLENGE, 1 << 20, invitation).to_payload()
            for invitation in (None, "an invitation")
        ],
        1024,
    ),
    Target(
        "login",
        checks(Login),
        lambda: [Login(ROOT.public_key, OTHER.public_key, CHALLENGE, 5, one).to_payload() for one in Purpose],
        512,
    ),
    Target(
        "manifest",
        checks(Manifest),
        lambda: [
            Manifest(ROOT.public_key, bytes(16), 3, bytes(32), 9, bytes(32)).to_payload(),
            Manifest(ROOT.public_key, bytes(16), 3, None, 0).to_payload(),
        ],
        512,
    ),
    Target("node-host", check_host, _host_seeds, 2048),
]
