"""A provider in memory for tests: it does what docs/spec/hosting.md says, unless a test has it lie."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.client.records import identity, key, record
from tests.client.servers import Asked, Conversation
from walletcli.core import cbor
from walletcli.core.blob import join_blob, split_blob
from walletcli.core.cose import Sign1
from walletcli.core.document_parts import Delegation, Power
from walletcli.core.encodings import b64url_decode
from walletcli.core.grant import Grant, Terms
from walletcli.core.grant_request import MAX_REQUEST_BYTES, GrantRequest
from walletcli.core.login import MAX_LOGIN_BYTES, Login
from walletcli.core.manifest import Manifest
from walletcli.core.record import Record
from walletcli.core.secret import Secret
from walletcli.core.short_record import to_short
from walletcli.core.statements import verify_statement
from walletcli.core.x25519 import public_key as sealing_key

TODAY = 20_000
"""The day of the tests, in days since 1970-01-01."""

TERMS = Terms(1 << 30, 30, 1 << 21)


def device(name: str, powers: frozenset[Power], start: int = TODAY - 10, end: int = TODAY + 60) -> Delegation:
    """Return the delegation of the device called `name`."""
    sealing = sealing_key(Secret(hashlib.sha256(f"sealing {name}".encode()).digest()))
    return Delegation(key(name).public_key, sealing, powers, start, end)


def with_devices(name: str, *devices: Delegation, seq: int = 100, **fields: object) -> Record:
    """Return a record of the identity called `name` with these devices."""
    ordered = tuple(sorted(devices, key=lambda item: item.signing_key))
    return record(name, seq, delegations=ordered, **fields)


ALICE = with_devices("alice", device("phone", frozenset({Power.HOST})))
PROVIDER = with_devices("provider", device("daily", frozenset({Power.GRANT})))
HOSTED = f"/host/{identity('alice').z32}"


def sign_as(name: str) -> Callable[[str, bytes], bytes]:
    """Return what signs with the key called `name`."""
    return lambda typ, payload: Sign1.sign(key(name), typ, payload).to_bytes()


def manifest(
    blob_id: bytes, content: bytes | None, version: int = 1, *, owner: str = "alice", signer: str = "phone"
) -> bytes:
    """Return a signed manifest of sealed bytes; None: of a deletion."""
    digest = hashlib.sha256(content).digest() if content is not None else None
    said = Manifest(key(owner).public_key, blob_id, version, digest, len(content or b""))
    return sign_as(signer)(Manifest.TYP, said.to_payload())


def blob_id(number: int) -> bytes:
    """Return an id of 16 bytes; 0 is the index."""
    return number.to_bytes(16, "big")


@dataclass
class Provider:
    """Hosts one identity, `alice`; a test changes its fields or replaces its methods to have it lie."""

    record: Record = PROVIDER
    terms: Terms = TERMS
    policy: str = "open"
    blobs: dict[bytes, tuple[int, bytes, bytes]] = field(default_factory=dict)
    tokens: set[bytes] = field(default_factory=set)
    challenges: set[bytes] = field(default_factory=set)
    asked: list[Asked] = field(default_factory=list)
    granter: str = "daily"
    page_items: int = 500
    now_s: int = TODAY * 86_400
    alters: Callable[[Asked, tuple[int, bytes]], tuple[int, bytes]] = lambda _, answer: answer
    last_grant: Grant | None = None

    def put(self, number: int, content: bytes, version: int = 1) -> bytes:
        """Have a blob; returns its manifest."""
        signed = manifest(blob_id(number), content, version)
        self.blobs[blob_id(number)] = (version, signed, content)
        return signed

    def converse(self, conversation: Conversation) -> None:
        while (asked := conversation.read()) is not None:
            self.asked.append(asked)
            conversation.answer(*self.alters(asked, self.decide(asked)))

    def decide(self, asked: Asked) -> tuple[int, bytes]:
        path, _, query = asked.path.partition("?")
        if path == "/host":
            return 200, self.offer()
        if path == "/host/challenge":
            challenge = secrets.token_bytes(40)
            self.challenges.add(challenge)
            return 200, challenge
        if path == "/host/grant":
            return 200, self.grant(asked.body)
        if path == "/host/login":
            return self._login(asked.body)
        bearer = asked.headers.get("authorization", "").removeprefix("Bearer ")
        if not bearer or b64url_decode(bearer) not in self.tokens or not path.startswith(HOSTED):
            return 401, b"login.expired: log in again\n"
        return self._hosted(
            asked, path.removeprefix(HOSTED), dict(part.split("=") for part in query.split("&") if part)
        )

    def offer(self) -> bytes:
        return cbor.encode(
            {
                1: 1,
                2: self.record.packet.public_key,
                3: to_short(self.record),
                4: self.terms.to_cbor(),
                5: self.policy,
                6: self.now_s,
            }
        )

    def grant(self, body: bytes) -> bytes:
        asked, _ = verify_statement(body, GrantRequest, MAX_REQUEST_BYTES)
        assert asked.nonce in self.challenges
        terms = Terms(asked.quota_bytes, self.terms.retention_days, self.terms.max_blob_bytes)
        said = self.make_grant(
            Grant(
                self.record.packet.public_key,
                asked.identity,
                terms,
                secrets.token_bytes(16),
                TODAY - 1,
                TODAY + 365,
                to_short(self.record),
            )
        )
        self.last_grant = said
        return sign_as(self.granter)(Grant.TYP, said.to_payload())

    def make_grant(self, honest: Grant) -> Grant:
        return honest

    def _login(self, body: bytes) -> tuple[int, bytes]:
        asked, sign1 = verify_statement(body, Login, MAX_LOGIN_BYTES)
        if asked.nonce not in self.challenges or asked.audience != self.record.packet.public_key:
            return 401, b"login.invalid: not for here\n"
        self.challenges.remove(asked.nonce)
        wanted = "alice" if asked.by_root else "phone"
        if sign1.signer != key(wanted).public_key:
            return 401, b"login.invalid: no device\n"
        token = secrets.token_bytes(32)
        self.tokens.add(token)
        return 200, cbor.encode([token, self.now_s + 60 * asked.minutes])

    def _hosted(self, asked: Asked, path: str, query: dict[str, str]) -> tuple[int, bytes]:
        if path == "" and asked.method == "DELETE":
            self.blobs.clear()
            return 204, b""
        if path == "":
            used = sum(len(content) for _, _, content in self.blobs.values())
            return 200, cbor.encode({1: 1, 2: self.terms.to_cbor(), 3: used, 4: len(self.blobs)})
        if path == "/blobs":
            after = bytes.fromhex(query.get("after", ""))
            items = [self.blobs[name][1] for name in sorted(self.blobs) if not after or name > after]
            return 200, cbor.encode(items[: min(int(query["limit"]), self.page_items)])
        name = bytes.fromhex(path.removeprefix("/blob/"))
        if asked.method == "PUT":
            return self._put(name, asked)
        if name not in self.blobs:
            return 404, b"request.path: nothing there\n"
        _, signed, content = self.blobs[name]
        return 200, join_blob(signed, content)

    def _put(self, name: bytes, asked: Asked) -> tuple[int, bytes]:
        signed, content = split_blob(asked.body)
        has = self.blobs[name][0] if name in self.blobs else 0
        if asked.headers["if-match"] != f'"{has}"':
            return 412, b"blob.version: another one is here\n"
        said, _ = verify_statement(signed, Manifest, 512)
        self.blobs[name] = (said.version, signed, content)
        return 204, b""
